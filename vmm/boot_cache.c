/* SPDX-License-Identifier: MIT */
/*
 * boot_cache.c: kernels that were unpacked before. An entry is one file:
 *
 *   | unpacked kernel | what it was unpacked from | struct cache_tail |
 *
 * It is named by a checksum of the last packed bytes, where most formats have their own of all;
 * that need not tell all kernels apart, for an entry is taken only when its packed bytes are
 * the same to the last one. A checksum of the unpacked kernel finds what a disk, or a host that
 * went down while an entry was written, did to the rest. It is looked at once after each start
 * of the host: 70 MB of a kernel cost a tenth of its boot. Entries appear by rename() and do
 * not change but for the start that is noted; the ones used last are kept. Nothing here is an
 * error: a cache that does not work is as good as none.
 */
#include "vmm/boot_packed.h"
#include "vmm/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if HAVE_LIBELF /* libelf needs zlib, too */

#include <zlib.h>

#define CACHE_MAGIC   UINT64_C(0x326b706e75746564) /* of this form of an entry */
#define CACHE_ENTRIES 4
#define CACHE_MAX     (UINT64_C(256) << 20) /* bytes of a kernel worth keeping */
#define CACHE_CHUNK   65536
#define CACHE_PREFIX  "vmlinux-"
#define CACHE_START   "/proc/sys/kernel/random/boot_id"
#define CACHE_FLAGS   (O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)

struct cache_tail {
	uint64_t magic;
	uint64_t size, packed; /* bytes */
	uint64_t crc;          /* of the unpacked kernel */
	char start[40];        /* of the host, since which this is known to be right */
};

/* This start of the host, padded with zeros; empty if that cannot be known. */
static void cache_start(char *start, size_t len)
{
	int fd = open(CACHE_START, O_RDONLY | O_CLOEXEC);

	memset(start, 0, len);
	if (fd < 0)
		return;
	if (read(fd, start, len) < 0)
		start[0] = 0;
	close(fd);
}

/* The directory, made if need be; ours alone. -1: not to be used. */
static int cache_open(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno == ENOENT && !mkdir(dir, 0700))
		fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && !fstat(fd, &st) && st.st_uid == geteuid() && !(st.st_mode & 022))
		return fd;
	log_debug("%s: no cache of unpacked kernels: %s", dir,
		  fd < 0 ? strerror(errno) : "another user may write to it");
	if (fd >= 0)
		close(fd);
	return -1;
}

static void cache_name(char *name, size_t len, const uint8_t *packed, size_t n)
{
	size_t end = MIN(n, (size_t)CACHE_CHUNK);

	snprintf(name, len, CACHE_PREFIX "%08lx-%zu", crc32_z(0, packed + n - end, end), n);
}

/* Read [at, at + len) of `fd` in pieces: the checksum of it, and whether it equals `same`
 * (unless that is NULL). */
static bool cache_read(int fd, uint64_t at, uint64_t len, const uint8_t *same, uint64_t *crc)
{
	static uint8_t buf[CACHE_CHUNK]; /* main thread only, before others are */

	*crc = 0;
	while (len) {
		ssize_t n = pread(fd, buf, MIN(len, (uint64_t)sizeof(buf)), (off_t)at);

		if (n <= 0 || (same && memcmp(buf, same, (size_t)n) != 0))
			return false;
		if (!same)
			*crc = crc32_z(*crc, buf, (size_t)n);
		same = same ? same + n : NULL;
		at += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return true;
}

static bool cache_holds(int fd, const uint8_t *packed, size_t len, uint64_t size,
			struct cache_tail *t)
{
	uint64_t crc;
	struct stat st;

	return !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	       (uint64_t)st.st_size == size + len + sizeof(*t) &&
	       pread(fd, t, sizeof(*t), (off_t)(size + len)) == sizeof(*t) &&
	       t->magic == CACHE_MAGIC && t->size == size && t->packed == len &&
	       cache_read(fd, size, len, packed, &crc);
}

/* Whether its kernel is what was kept; that it is, since this start of the host, is noted. */
static bool cache_sound(int fd, struct cache_tail *t)
{
	char start[sizeof(t->start)];
	uint64_t crc;

	cache_start(start, sizeof(start));
	if (start[0] && !memcmp(start, t->start, sizeof(start)))
		return true;
	if (!cache_read(fd, 0, t->size, NULL, &crc) || crc != t->crc)
		return false;
	memcpy(t->start, start, sizeof(start));
	if (pwrite(fd, t, sizeof(*t), (off_t)(t->size + t->packed)) < 0)
		log_debug("the cache's entry cannot be written: %s", strerror(errno));
	return true;
}

int cache_find(const char *dir, const uint8_t *packed, size_t len, uint64_t size)
{
	int at = cache_open(dir), fd;
	struct cache_tail t;
	char name[64];

	if (at < 0)
		return -1;
	cache_name(name, sizeof(name), packed, len);
	fd = openat(at, name, O_RDWR | CACHE_FLAGS);
	if (fd < 0 && errno == EROFS)
		fd = openat(at, name, O_RDONLY | CACHE_FLAGS);
	close(at);
	if (fd < 0)
		return -1;
	if (cache_holds(fd, packed, len, size, &t) && cache_sound(fd, &t)) {
		futimens(fd, NULL); /* it was used */
		return fd;
	}
	close(fd);
	return -1;
}

static bool cache_write(int fd, const void *data, uint64_t len)
{
	const uint8_t *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (uint64_t)n;
	}
	return true;
}

static bool cache_fill(int out, const uint8_t *packed, size_t len, int fd, uint64_t size)
{
	uint8_t *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	struct cache_tail t = { .magic = CACHE_MAGIC, .size = size, .packed = len };
	bool done;

	if (p == MAP_FAILED)
		return false;
	t.crc = crc32_z(0, p, size);
	cache_start(t.start, sizeof(t.start));
	done = cache_write(out, p, size) && cache_write(out, packed, len) &&
	       cache_write(out, &t, sizeof(t));
	munmap(p, size);
	return done;
}

/* The entry used longest ago into `name`. How many there are. */
static unsigned cache_oldest(DIR *d, char *name, size_t len)
{
	struct timespec oldest = { 0 };
	struct dirent *e;
	unsigned n = 0;
	struct stat st;

	rewinddir(d);
	while ((e = readdir(d))) {
		if (strncmp(e->d_name, CACHE_PREFIX, strlen(CACHE_PREFIX)) != 0 ||
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (!n++ || st.st_mtim.tv_sec < oldest.tv_sec ||
		    (st.st_mtim.tv_sec == oldest.tv_sec && st.st_mtim.tv_nsec < oldest.tv_nsec)) {
			oldest = st.st_mtim;
			snprintf(name, len, "%s", e->d_name);
		}
	}
	return n;
}

static void cache_trim(int at)
{
	int copy = dup(at);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	char name[NAME_MAX + 1];

	if (!d) {
		if (copy >= 0)
			close(copy);
		return;
	}
	while (cache_oldest(d, name, sizeof(name)) > CACHE_ENTRIES && !unlinkat(at, name, 0))
		;
	closedir(d);
}

void cache_keep(const char *dir, const uint8_t *packed, size_t len, int fd, uint64_t size)
{
	int at = size <= CACHE_MAX ? cache_open(dir) : -1, out;
	char name[64], temporary[96];

	if (at < 0)
		return;
	cache_name(name, sizeof(name), packed, len);
	snprintf(temporary, sizeof(temporary), "%s.%d", name, getpid());
	out = openat(at, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (out >= 0) {
		if (!cache_fill(out, packed, len, fd, size) ||
		    renameat(at, temporary, at, name) < 0) {
			log_debug("%s/%s: cannot be kept: %s", dir, name, strerror(errno));
			unlinkat(at, temporary, 0);
		}
		close(out);
		cache_trim(at);
	}
	close(at);
}

#else

int cache_find(const char *dir, const uint8_t *packed, size_t len, uint64_t size)
{
	(void)dir, (void)packed, (void)len, (void)size;
	return -1;
}

void cache_keep(const char *dir, const uint8_t *packed, size_t len, int fd, uint64_t size)
{
	(void)dir, (void)packed, (void)len, (void)fd, (void)size;
}

#endif

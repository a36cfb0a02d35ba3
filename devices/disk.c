/* SPDX-License-Identifier: MIT */
/* disk.c: opening with an answer to each mistake, a lock, and transfers that are complete. */
#include "devices/disk.h"

#include "vmm/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DISK_ZEROES 65536 /* bytes written at a time where the host cannot make zeroes itself */

/* --- opening ------------------------------------------------------------------------ */

/* Images that are no raw ones: a guest would see gibberish, and spoil it. */
static const struct {
	const char *name, *magic;
	unsigned len;
} disk_formats[] = {
	{ "qcow2", "QFI\xfb", 4 },
	{ "vmdk", "KDMV", 4 },
	{ "vhdx", "vhdxfile", 8 },
};

static int disk_fail(char *why, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);

static int disk_fail(char *why, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, size, fmt, ap);
	va_end(ap);
	return -1;
}

static int disk_open_failed(const struct disk *d, char *why, size_t size)
{
	const char *advice = "";

	if (errno == ENOENT)
		advice = strchr(d->path, ',') ? " (after a comma, only ro is known)"
					      : "; truncate -s 8G makes an empty one";
	else if (!d->readonly && (errno == EACCES || errno == EPERM || errno == EROFS))
		advice = "; with ,ro the guest only reads it";
	else if (errno == EISDIR)
		advice = "; a disk is a file or a block device";
	return disk_fail(why, size, "--disk %s: %s%s", d->path, strerror(errno), advice);
}

static int disk_check_kind(const struct disk *d, char *why, size_t size)
{
	char head[8] = { 0 };
	struct stat st;

	if (fstat(d->fd, &st) < 0)
		return disk_fail(why, size, "--disk %s: %s", d->path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return disk_fail(why, size,
				 "--disk %s: a directory; a disk is a file or a block "
				 "device",
				 d->path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return disk_fail(why, size, "--disk %s: neither a file nor a block device",
				 d->path);
	if (pread(d->fd, head, sizeof(head), 0) < 0)
		return disk_fail(why, size, "--disk %s: %s", d->path, strerror(errno));
	for (unsigned i = 0; i < ARRAY_SIZE(disk_formats); i++)
		if (!memcmp(head, disk_formats[i].magic, disk_formats[i].len))
			return disk_fail(why, size,
					 "--disk %s: a %s image, and only raw ones will "
					 "do; qemu-img convert -O raw makes one",
					 d->path, disk_formats[i].name);
	return 0;
}

/* A lock of the open file, not of the process: two --disk of one duet exclude each other,
 * too, and so does QEMU. It ends with us, however we end. */
static int disk_lock(const struct disk *d, char *why, size_t size)
{
	struct flock l = { .l_type = d->readonly ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

	if (!fcntl(d->fd, F_OFD_SETLK, &l))
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return disk_fail(why, size,
				 "--disk %s: in use; two guests must not write one "
				 "disk. End the other, or let all only read it: ,ro",
				 d->path);
	log_warn("--disk %s: cannot be locked (%s): nothing keeps another guest from writing it",
		 d->path, strerror(errno));
	return 0;
}

static int disk_measure(struct disk *d, char *why, size_t size)
{
	off_t bytes = lseek(d->fd, 0, SEEK_END); /* of a block device, too */

	if (bytes < 0)
		return disk_fail(why, size, "--disk %s: %s", d->path, strerror(errno));
	if (bytes < DISK_SECTOR)
		return disk_fail(why, size, "--disk %s: %s; truncate -s 8G makes it larger",
				 d->path, bytes ? "not even a sector of 512 bytes" : "empty");
	if (bytes % DISK_SECTOR)
		log_warn("--disk %s: its size is no multiple of 512: the guest does not see its "
			 "last %u bytes",
			 d->path, (unsigned)(bytes % DISK_SECTOR));
	d->sectors = (uint64_t)bytes / DISK_SECTOR;
	return 0;
}

int disk_open(struct disk *d, const char *path, bool readonly, char *why, size_t size)
{
	*d = (struct disk){ .path = path, .readonly = readonly };
	/* O_NONBLOCK: a FIFO is to be refused, not waited for. */
	d->fd = open(path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (d->fd < 0)
		return disk_open_failed(d, why, size);
	if (!disk_check_kind(d, why, size) && !disk_lock(d, why, size) &&
	    !disk_measure(d, why, size))
		return 0;
	disk_close(d);
	return -1;
}

void disk_close(struct disk *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

/* --- transfers ---------------------------------------------------------------------- */

/* `n` bytes are done: what is left. */
static int disk_advance(struct iovec **iov, int cnt, size_t n)
{
	for (; cnt && n >= (*iov)->iov_len; (*iov)++, cnt--)
		n -= (*iov)->iov_len;
	if (cnt) {
		(*iov)->iov_base = (uint8_t *)(*iov)->iov_base + n;
		(*iov)->iov_len -= n;
	}
	return cnt;
}

static int disk_move(const struct disk *d, struct iovec *iov, int cnt, uint64_t off,
		     ssize_t (*move)(int, const struct iovec *, int, off_t))
{
	while (cnt) {
		ssize_t n = move(d->fd, iov, cnt, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		off += (uint64_t)n;
		cnt = disk_advance(&iov, cnt, (size_t)n);
	}
	return 0;
}

int disk_read(const struct disk *d, struct iovec *iov, int cnt, uint64_t off)
{
	return disk_move(d, iov, cnt, off, preadv);
}

int disk_write(const struct disk *d, struct iovec *iov, int cnt, uint64_t off)
{
	return disk_move(d, iov, cnt, off, pwritev);
}

int disk_flush(const struct disk *d)
{
	return fdatasync(d->fd) < 0 ? -errno : 0;
}

static int disk_allocate(const struct disk *d, int mode, uint64_t off, uint64_t len)
{
	int err;

	do
		err = fallocate(d->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len);
	while (err < 0 && errno == EINTR);
	return err < 0 ? -errno : 0;
}

/* Not this file system, or not a block device whose sectors are larger than ours. */
static bool disk_cannot(int err)
{
	return err == -EOPNOTSUPP || err == -EINVAL;
}

int disk_discard(const struct disk *d, uint64_t off, uint64_t len)
{
	int err = disk_allocate(d, FALLOC_FL_PUNCH_HOLE, off, len);

	return disk_cannot(err) ? 0 : err; /* then the space stays in use */
}

/* Where the host's file system knows no better way. */
static int disk_write_zeroes(const struct disk *d, uint64_t off, uint64_t len)
{
	static const uint8_t zeroes[DISK_ZEROES];

	while (len) {
		size_t n = MIN(len, (uint64_t)sizeof(zeroes));
		struct iovec iov = { .iov_base = (void *)(uintptr_t)zeroes, .iov_len = n };
		int err = disk_write(d, &iov, 1, off);

		if (err)
			return err;
		off += n;
		len -= n;
	}
	return 0;
}

int disk_zero(const struct disk *d, uint64_t off, uint64_t len, bool unmap)
{
	int err = disk_allocate(d, unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE, off, len);

	return disk_cannot(err) ? disk_write_zeroes(d, off, len) : err;
}

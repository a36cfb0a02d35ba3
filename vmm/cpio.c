/* SPDX-License-Identifier: MIT */
/*
 * cpio.c: entries one after the other: a header of 13 numbers in hex, the name, the bytes; each
 * of the last two padded to a multiple of four.
 *
 * What is in a directory may change while it is read. An entry's header says a size, so that many
 * bytes follow: a file that shrinks is filled up with zeros, one that grows is cut.
 */
#include "vmm/cpio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CPIO_CHUNK 65536

static int cpio_fail(struct cpio *c, const char *fmt, ...) PRINTF_LIKE(2, 3);

static int cpio_fail(struct cpio *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->why, sizeof(c->why), fmt, ap);
	va_end(ap);
	return -1;
}

static int cpio_full(struct cpio *c, const char *what)
{
	c->full = true;
	return cpio_fail(c, "%s: the archive would be larger than %llu MiB", what,
			 (unsigned long long)c->max >> 20);
}

static int cpio_put(struct cpio *c, const void *data, size_t size)
{
	if (size > c->max - c->size)
		return cpio_full(c, "too much");
	if (size && fwrite(data, size, 1, c->out) != 1)
		return cpio_fail(c, "cannot write the archive: %s", strerror(errno));
	c->size += size;
	return 0;
}

static int cpio_pad(struct cpio *c)
{
	static const char zeros[4];

	return cpio_put(c, zeros, -c->size & 3);
}

static int cpio_head(struct cpio *c, const char *name, mode_t mode, uint64_t size, time_t mtime)
{
	char head[128];
	int n;

	if (strlen(name) >= PATH_MAX)
		return cpio_fail(c, "%.200s...: too long a name", name);
	if (size > c->max)
		return cpio_full(c, name);
	n = snprintf(head, sizeof(head),
		     "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", ++c->ino, mode,
		     0, 0, 1, (unsigned)mtime, (unsigned)size, 0, 0, 0, 0,
		     (unsigned)strlen(name) + 1, 0);
	if (cpio_put(c, head, (size_t)n) < 0 || cpio_put(c, name, strlen(name) + 1) < 0)
		return -1;
	return cpio_pad(c);
}

int cpio_dir(struct cpio *c, const char *name)
{
	return cpio_head(c, name, S_IFDIR | 0755, 0, 0);
}

static int cpio_whole(struct cpio *c, const char *name, const struct stat *st, const void *data,
		      size_t size)
{
	if (cpio_head(c, name, st->st_mode, size, st->st_mtime) < 0 || cpio_put(c, data, size) < 0)
		return -1;
	return cpio_pad(c);
}

int cpio_bytes(struct cpio *c, const char *name, mode_t mode, const void *data, size_t size)
{
	struct stat st = { .st_mode = S_IFREG | (mode & 07777) };

	return cpio_whole(c, name, &st, data, size);
}

/* As many bytes of `fd` as its entry says. */
static int cpio_body(struct cpio *c, int fd, const char *path, uint64_t size)
{
	static char buf[CPIO_CHUNK]; /* the main thread alone makes archives */

	while (size) {
		size_t want = (size_t)MIN(size, (uint64_t)sizeof(buf));
		ssize_t n = read(fd, buf, want);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cpio_fail(c, "%s: %s", path, strerror(errno));
		if (!n) { /* it has shrunk */
			n = (ssize_t)want;
			memset(buf, 0, want);
		}
		if (cpio_put(c, buf, (size_t)n) < 0)
			return -1;
		size -= (uint64_t)n;
	}
	return cpio_pad(c);
}

/* Closes `fd`. */
static int cpio_opened(struct cpio *c, const char *name, int fd, const char *path)
{
	struct stat st;
	int err = -1;

	if (fd < 0 || fstat(fd, &st) < 0)
		cpio_fail(c, "%s: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		cpio_fail(c, "%s: not a file", path);
	else if (!cpio_head(c, name, st.st_mode, (uint64_t)st.st_size, st.st_mtime))
		err = cpio_body(c, fd, path, (uint64_t)st.st_size);
	if (fd >= 0)
		close(fd);
	return err;
}

int cpio_file(struct cpio *c, const char *name, const char *path)
{
	return cpio_opened(c, name, open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), path);
}

int cpio_stream(struct cpio *c, const char *name, int fd)
{
	char *data = NULL, *more;
	size_t size = 0, room = 0;
	ssize_t n = 1;
	int err;

	while (n && size <= c->max) {
		if (size == room) {
			room += CPIO_CHUNK + room;
			more = realloc(data, room);
			if (!more)
				break;
			data = more;
		}
		n = read(fd, data + size, room - size);
		if (n < 0 && errno != EINTR)
			break;
		size += n > 0 ? (size_t)n : 0;
	}
	if (size > c->max)
		err = cpio_full(c, name);
	else if (n)
		err = cpio_fail(c, "stdin: %s", strerror(errno));
	else
		err = cpio_bytes(c, name, 0644, data, size);
	free(data);
	return err;
}

/* --- trees ------------------------------------------------------------------------------- */

/* A place in both worlds. */
struct cpio_at {
	int dir;                        /* of the host */
	char name[PATH_MAX];            /* in the archive */
	char path[PATH_MAX + NAME_MAX]; /* on the host, for messages */
	unsigned depth;
};

static int cpio_below(struct cpio *c, struct cpio_at *at);

static int cpio_link(struct cpio *c, const struct cpio_at *at, const char *entry,
		     const struct stat *st)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(at->dir, entry, target, sizeof(target));

	if (n < 0)
		return cpio_fail(c, "%s: %s", at->path, strerror(errno));
	return cpio_whole(c, at->name, st, target, (size_t)n);
}

static int cpio_subdir(struct cpio *c, struct cpio_at *at, const char *entry, const struct stat *st)
{
	int outer = at->dir, err;

	if (at->depth == CPIO_DEPTH_MAX)
		return cpio_fail(c, "%s: too deep", at->path);
	if (cpio_head(c, at->name, st->st_mode, 0, st->st_mtime) < 0)
		return -1;
	at->dir = openat(outer, entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	at->depth++;
	err = at->dir < 0 ? cpio_fail(c, "%s: %s", at->path, strerror(errno)) : cpio_below(c, at);
	at->depth--;
	at->dir = outer;
	return err;
}

/* `at` names the entry by now, but for at->dir, where it is. */
static int cpio_entry(struct cpio *c, struct cpio_at *at, const char *entry)
{
	struct stat st;

	if (fstatat(at->dir, entry, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 /* gone meanwhile */
				       : cpio_fail(c, "%s: %s", at->path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return cpio_subdir(c, at, entry, &st);
	if (S_ISLNK(st.st_mode))
		return cpio_link(c, at, entry, &st);
	if (!S_ISREG(st.st_mode))
		return 0;
	return cpio_opened(c, at->name,
			   openat(at->dir, entry, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC),
			   at->path);
}

static int cpio_named(struct cpio *c, struct cpio_at *at, const char *entry)
{
	size_t name = strlen(at->name), path = strlen(at->path);
	int err;

	if (name + strlen(entry) + 2 > sizeof(at->name) ||
	    path + strlen(entry) + 2 > sizeof(at->path))
		return cpio_fail(c, "%s/%s: too long a name", at->path, entry);
	snprintf(at->name + name, sizeof(at->name) - name, "%s%s", name ? "/" : "", entry);
	snprintf(at->path + path, sizeof(at->path) - path, "/%s", entry);
	err = cpio_entry(c, at, entry);
	at->name[name] = at->path[path] = '\0';
	return err;
}

static int cpio_not_dots(const struct dirent *d)
{
	return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

static int cpio_by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* The entries of at->dir, which is closed: by name, so that the same tree gives the same archive.
 */
static int cpio_below(struct cpio *c, struct cpio_at *at)
{
	struct dirent **entries;
	char self[32];
	int n, err = 0;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", at->dir);
	n = scandir(self, &entries, cpio_not_dots, cpio_by_bytes);
	if (n < 0)
		err = cpio_fail(c, "%s: %s", at->path, strerror(errno));
	for (int i = 0; i < n; i++) {
		if (!err)
			err = cpio_named(c, at, entries[i]->d_name);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	close(at->dir);
	return err;
}

int cpio_tree(struct cpio *c, const char *name, const char *path)
{
	struct cpio_at at = { .dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };

	if (at.dir < 0)
		return cpio_fail(c, "%s: %s", path, strerror(errno));
	snprintf(at.name, sizeof(at.name), "%s", name);
	snprintf(at.path, sizeof(at.path), "%s", path);
	if (*name && cpio_dir(c, name) < 0) {
		close(at.dir);
		return -1;
	}
	return cpio_below(c, &at);
}

int cpio_end(struct cpio *c)
{
	if (cpio_head(c, "TRAILER!!!", 0, 0, 0) < 0)
		return -1;
	return fflush(c->out) ? cpio_fail(c, "cannot write the archive: %s", strerror(errno)) : 0;
}

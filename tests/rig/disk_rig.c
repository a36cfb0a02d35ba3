/* SPDX-License-Identifier: MIT */
/* disk_rig.c: stands between disk.c and the kernel, and makes files. */
#include "tests/rig/disk_rig.h"

#include "vmm/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct disk_host disk_host;

static char disk_path[] = "/tmp/duet-disk-XXXXXX";

/* Does the host let this one through? */
static int disk_host_refuses(void)
{
	if (disk_host.interrupt && disk_host.interrupt--) {
		errno = EINTR;
		return 1;
	}
	errno = disk_host.error;
	return disk_host.error != 0;
}

static ssize_t disk_host_move(long call, int fd, const struct iovec *iov, int n, off_t off)
{
	struct iovec first = iov[0];

	disk_host.transfers++;
	if (disk_host_refuses())
		return -1;
	if (!disk_host.most)
		return syscall(call, fd, iov, n, off, 0L);
	if (first.iov_len > disk_host.most)
		first.iov_len = disk_host.most;
	return syscall(call, fd, &first, 1, off, 0L);
}

/* In place of the C library's. */
ssize_t preadv(int fd, const struct iovec *iov, int n, off_t off)
{
	return disk_host_move(SYS_preadv, fd, iov, n, off);
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t off)
{
	return disk_host_move(SYS_pwritev, fd, iov, n, off);
}

int fdatasync(int fd)
{
	disk_host.flushes++;
	return disk_host_refuses() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

unsigned char disk_byte(size_t i)
{
	return (unsigned char)(i * 7 + i / 512 * 13 + 1);
}

const char *disk_file_make(size_t size)
{
	unsigned char *bytes = malloc(size + 1);
	int fd;

	disk_host = (struct disk_host){ .error = 0 };
	BUG_ON(!bytes);
	for (size_t i = 0; i < size; i++)
		bytes[i] = disk_byte(i);
	fd = mkstemp(disk_path);
	BUG_ON(fd < 0);
	BUG_ON(write(fd, bytes, size) != (ssize_t)size);
	close(fd);
	free(bytes);
	return disk_path;
}

void disk_file_remove(void)
{
	unlink(disk_path);
	for (size_t i = sizeof(disk_path) - 7; i < sizeof(disk_path) - 1; i++)
		disk_path[i] = 'X'; /* for the next */
}

unsigned char disk_file_at(size_t i)
{
	unsigned char byte = 0;
	int fd = open(disk_path, O_RDONLY);

	BUG_ON(pread(fd, &byte, 1, (off_t)i) != 1);
	close(fd);
	return byte;
}

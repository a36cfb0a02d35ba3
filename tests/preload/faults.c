/* SPDX-License-Identifier: MIT */
/*
 * faults.c: host faults that cannot be had on demand, by LD_PRELOAD under an ordinary duet
 * (tests/hostfaults.py). DUET_FAULTS says which, letters in any number:
 *
 *   a   nine of ten writev() to a descriptor that is no file say EAGAIN (a tap with no room)
 *   c   the time of day leaps a day to and fro with each look at it
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define DAY 86400

static bool fault_on(char which)
{
	const char *on = getenv("DUET_FAULTS");

	return on && strchr(on, which);
}

ssize_t writev(int fd, const struct iovec *iov, int cnt)
{
	static atomic_uint calls;
	struct stat st;

	if (fault_on('a') && calls++ % 10 && !fstat(fd, &st) && S_ISCHR(st.st_mode)) {
		errno = EAGAIN;
		return -1;
	}
	return syscall(SYS_writev, fd, iov, cnt);
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
	static atomic_uint looks;
	int err = (int)syscall(SYS_clock_gettime, clock, t);

	if (!err && clock == CLOCK_REALTIME && fault_on('c'))
		t->tv_sec += looks++ % 2 ? DAY : -DAY;
	return err;
}

/* SPDX-License-Identifier: MIT */
/* board_outputs.c: the files of the host that a machine writes to. */
#include "vmm/board.h"
#include "vmm/log.h"
#include "vmm/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int outputs_check_fd(const struct opts *o)
{
	if (o->serial2_fd >= 0 && fcntl(o->serial2_fd, F_GETFD) < 0)
		return board_fail(EXIT_USAGE, "--serial2 fd:%d: no such descriptor is open",
				  o->serial2_fd);
	return 0;
}

int board_open_outputs(struct board *b)
{
	const struct opts *o = b->o;
	int err;

	cputime_open();
	if (o->stats && !(b->stats = fopen(o->stats, "we")))
		return board_fail(EXIT_USAGE, "--stats %s: %s", o->stats, strerror(errno));
	if (b->stats) /* a buffer now: later the C library could not ask how large it should be */
		setvbuf(b->stats, NULL, _IOFBF, BUFSIZ);
	b->marks_fd =
		o->marks ? open(o->marks, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666) : -1;
	if (o->marks && b->marks_fd < 0)
		return board_fail(EXIT_USAGE, "--marks %s: %s", o->marks, strerror(errno));
	err = o->trace_file ? trace_open(o->trace_file) : 0;
	if (err)
		return board_fail(EXIT_USAGE, "--trace-file %s: %s", o->trace_file, strerror(-err));
	if (o->trace)
		trace_enable(o->trace, NULL);
	if (!o->serial2 || o->serial2_fd >= 0)
		return outputs_check_fd(o);
	b->serial2_fd = open(o->serial2, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (b->serial2_fd < 0)
		return board_fail(EXIT_USAGE, "--serial2 %s: %s", o->serial2, strerror(errno));
	return 0;
}

/* 0 or -errno: what open() would say to a writer who makes the file if need be. */
static int outputs_writable(const char *path)
{
	char dir[PATH_MAX];
	struct stat st;

	if (!stat(path, &st))
		return S_ISDIR(st.st_mode) ? -EISDIR : access(path, W_OK) < 0 ? -errno : 0;
	if (errno != ENOENT || !*path)
		return -errno;
	snprintf(dir, sizeof(dir), "%s", path); /* stat() has refused what is longer */
	return access(dirname(dir), W_OK | X_OK) < 0 ? -errno : 0;
}

static int outputs_check(const char *option, const char *path)
{
	int err = path ? outputs_writable(path) : 0;

	return err ? board_fail(EXIT_USAGE, "%s%s: %s", option, path, strerror(-err)) : 0;
}

int board_check_outputs(const struct opts *o)
{
	const char *serial2 = o->serial2_fd < 0 ? o->serial2 : NULL;
	int status = outputs_check("--stats ", o->stats);

	if (!status)
		status = outputs_check("--marks ", o->marks);
	if (!status)
		status = outputs_check("--trace-file ", o->trace_file);
	if (!status)
		status = outputs_check("--serial2 ", serial2);
	for (unsigned i = 0; i < o->n_nics && !status; i++)
		status = outputs_check("pcap=", o->nic[i].pcap[0] ? o->nic[i].pcap : NULL);
	return status ? status : outputs_check_fd(o);
}

void board_close_outputs(struct board *b)
{
	int err = trace_close();

	if (b->serial2_fd >= 0)
		close(b->serial2_fd);
	if (err)
		log_error("--trace-file %s: lines are lost: %s", b->o->trace_file, strerror(-err));
	if (b->marks_fd >= 0 && close(b->marks_fd) < 0)
		log_error("--marks %s: %s", b->o->marks, strerror(errno));
	if (b->stats && fclose(b->stats) != 0)
		log_error("--stats %s: %s", b->o->stats, strerror(errno));
	cputime_close();
}

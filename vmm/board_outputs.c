/* SPDX-License-Identifier: MIT */
/* board_outputs.c: the files of the host that a machine writes to. */
#include "vmm/board.h"
#include "vmm/log.h"
#include "vmm/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

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
	if (o->serial2_fd >= 0 && fcntl(o->serial2_fd, F_GETFD) < 0)
		return board_fail(EXIT_USAGE, "--serial2 fd:%d: no such descriptor is open",
				  o->serial2_fd);
	if (!o->serial2 || o->serial2_fd >= 0)
		return 0;
	b->serial2_fd = open(o->serial2, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (b->serial2_fd < 0)
		return board_fail(EXIT_USAGE, "--serial2 %s: %s", o->serial2, strerror(errno));
	return 0;
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

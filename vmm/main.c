/* SPDX-License-Identifier: MIT */
/*
 * main.c: from the command line to an exit status (enum exit_status in board.h).
 */
#include "vmm/acct.h"
#include "vmm/board.h"
#include "vmm/calibrate.h"
#include "vmm/exec.h"
#include "vmm/log.h"
#include "vmm/opts.h"
#include "vmm/opts_file.h"
#include "vmm/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* A descriptor opened later must not end up as stdin, stdout or stderr by accident. */
static void main_fill_std_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* Text that nobody got is a failure; a guest's console is not judged like that. */
static int main_flush(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	log_error("stdout: %s", strerror(errno));
	return EXIT_HOST;
}

static int main_command(const struct opts *o)
{
	switch (o->command) {
	case OPTS_HELP:
		opts_help(stdout, o->topic);
		return main_flush(EXIT_OK);
	case OPTS_VERSION:
		opts_version(stdout);
		return main_flush(EXIT_OK);
	case OPTS_PROBE:
		return main_flush(probe_run(o->json));
	case OPTS_CALIBRATE:
		return main_flush(calibrate_run(o->json, o->samples));
	case OPTS_EXEC:
		return exec_run(o);
	case OPTS_RUN:
		break;
	}
	return o->dry_run ? main_flush(board_dry_run(o)) : board_run(o);
}

/* The words of a command for a guest are its own, however many, and whatever they begin with. */
static int main_parse(struct opts *o, int argc, char **argv)
{
	static struct opts_words words;

	if (argc > 1 && !strcmp(argv[1], "exec"))
		return opts_parse(o, argc, argv);
	if (opts_words(&words, argc, argv, o->why, sizeof(o->why)) < 0)
		return -1;
	return opts_parse(o, words.argc, words.argv);
}

int main(int argc, char **argv)
{
	static struct opts o;

	main_fill_std_fds();
	signal(SIGPIPE, SIG_IGN); /* a reader that leaves is an error code, not our end */
	signal(SIGXFSZ, SIG_IGN); /* so is a file that may not grow */
	if (main_parse(&o, argc, argv) < 0) {
		log_error("%s", o.why);
		return o.command == OPTS_EXEC ? EXIT_EXEC : EXIT_USAGE;
	}
	log_set_level(o.log_level);
	acct_on = !o.no_accounting;
	return main_command(&o);
}

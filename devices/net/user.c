/* SPDX-License-Identifier: MIT */
/*
 * user.c: networking without privilege, by passt: a process of its own that turns the
 * guest's frames into ordinary sockets of the host, answers DHCP and DNS, and listens at
 * forwarded ports. We start it with one end of a socket pair; it goes into the background
 * once it is ready, and ends when our end is closed, be it by our death.
 */
#include "devices/net/backend.h"
#include "vmm/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { USER_ARGS_MAX = 64 };

extern char **environ;

/* passt's options out of "tcp:SPEC,udp:SPEC..." in `forwards`, which is cut up. */
static void user_options(char **argv, int n, char *forwards)
{
	char *save, *word = strtok_r(forwards, ",", &save);

	for (; word && n < USER_ARGS_MAX - 2; word = strtok_r(NULL, ",", &save)) {
		argv[n++] = (char *)(strncmp(word, "udp:", 4) ? "--tcp-ports" : "--udp-ports");
		argv[n++] = word + 4;
	}
	argv[n] = NULL;
}

/* Start it with what it says going to `out`. What we ignore or block is not its affair. */
static int user_spawn(char **argv, int out, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, ignored;
	int err;

	sigemptyset(&none);
	sigemptyset(&ignored);
	sigaddset(&ignored, SIGPIPE);
	sigaddset(&ignored, SIGXFSZ);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &ignored);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, out, 1);
	posix_spawn_file_actions_adddup2(&files, out, 2);
	err = posix_spawnp(pid, argv[0], &files, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	return -err;
}

/* The last line of what it said, or the exit status. */
static void user_explain(int out, int status)
{
	char text[2048], *end, *line;
	ssize_t len = pread(out, text, sizeof(text) - 1, 0);

	for (end = text + MAX(len, 0); end > text && end[-1] == '\n'; end--)
		;
	*end = '\0';
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	if (*line)
		log_error("user: passt could not start: %s", line);
	else
		log_error("user: passt could not start: status %#x: run it by hand to see why",
			  (unsigned)status);
}

/* Run passt on `fd` until it is in the background and ready. */
static int user_start(int fd, const char *arg)
{
	char number[16], forwards[512];
	char *argv[USER_ARGS_MAX] = { (char *)"passt", (char *)"--quiet", (char *)"--fd", number };
	int out = memfd_create("passt", MFD_CLOEXEC), status = 0, err;
	pid_t pid = -1;

	snprintf(number, sizeof(number), "%d", fd);
	snprintf(forwards, sizeof(forwards), "%s", arg ? arg : "");
	user_options(argv, 4, forwards);
	err = out < 0 ? -errno : user_spawn(argv, out, &pid);
	if (err == -ENOENT)
		log_error("user: there is no passt, which does the work: apt install passt");
	else if (err)
		log_error("user: passt: %s", strerror(-err));
	while (!err && waitpid(pid, &status, 0) < 0)
		err = errno == EINTR ? 0 : -errno;
	if (!err && status) {
		user_explain(out, status);
		err = -ECHILD;
	}
	if (out >= 0)
		close(out);
	return err;
}

struct net *net_user_open(struct loop *l, const char *arg, int *err)
{
	struct stream_config c = { .listen_fd = -1, .name = "user" };
	int pair[2];

	c.lost = "passt has ended: the guest has no network until duet is restarted";
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		*err = -errno;
		log_error("user: %s", strerror(-*err));
		return NULL;
	}
	c.fd = pair[0];
	fcntl(pair[1], F_SETFD, 0); /* passt's: nothing else is started meanwhile */
	*err = user_start(pair[1], arg);
	close(pair[1]);
	if (!*err)
		return stream_new(l, &c, err);
	close(pair[0]);
	return NULL;
}

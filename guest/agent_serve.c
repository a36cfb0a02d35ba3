/* SPDX-License-Identifier: MIT */
/*
 * "agent serve": the host half. Listens on the addresses it is given, which are those of the
 * guest's taps, and on no other. Each connection is served by a process of its own, which its
 * watchdog ends if the guest is gone; it dies with this one.
 */
#include "guest/agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define SERVE_MAX 8

struct serve_opts {
	struct in_addr addr[SERVE_MAX];
	unsigned n;
	unsigned port;
};

static int serve_add(struct serve_opts *o, const char *text)
{
	struct in_addr addr;

	if (inet_pton(AF_INET, text, &addr) != 1 || addr.s_addr == htonl(INADDR_ANY)) {
		fprintf(stderr, "agent: --bind %s: not the IPv4 address of one interface\n", text);
		return -1;
	}
	if (o->n == SERVE_MAX) {
		fprintf(stderr, "agent: more than %d addresses\n", SERVE_MAX);
		return -1;
	}
	o->addr[o->n++] = addr;
	return 0;
}

static int serve_parse(struct serve_opts *o, int argc, char **argv)
{
	static const struct option options[] = { { "bind", required_argument, NULL, 'b' },
						 { "port", required_argument, NULL, 'p' },
						 { 0 } };
	int c;

	while ((c = getopt_long(argc, argv, "b:p:", options, NULL)) != -1) {
		if (c == 'p')
			o->port = atoi(optarg);
		else if (c != 'b' || serve_add(o, optarg))
			return -1;
	}
	if (o->n && o->port && o->port < 65536 && optind == argc)
		return 0;
	fprintf(stderr, "usage: agent serve --bind ADDR [--bind ADDR ...] [--port P]\n");
	return -1;
}

static int serve_listen(const struct serve_opts *o, struct pollfd *fds)
{
	for (unsigned i = 0; i < o->n; i++) {
		char text[INET_ADDRSTRLEN];

		inet_ntop(AF_INET, &o->addr[i], text, sizeof(text));
		fds[i].fd = net_listen(o->addr[i], o->port);
		fds[i].events = POLLIN;
		if (fds[i].fd < 0) {
			fprintf(stderr, "agent: cannot listen on %s:%u: %s\n", text, o->port,
				strerror(errno));
			return -1;
		}
		printf("listening on %s:%u\n", text, o->port);
	}
	return fflush(stdout);
}

static void serve_fork(int listener)
{
	pid_t parent = getpid();
	int conn = net_accept(listener, 0);

	if (conn < 0)
		return;
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			session_run_host(conn);
		_exit(0);
	}
	close(conn);
}

int serve_main(int argc, char **argv)
{
	struct serve_opts opts = { .port = AGENT_PORT };
	struct pollfd fds[SERVE_MAX];

	if (serve_parse(&opts, argc, argv))
		return 2;
	signal(SIGCHLD, SIG_IGN); /* nobody waits for the children */
	if (serve_listen(&opts, fds))
		return 1;
	for (;;) {
		if (poll(fds, opts.n, -1) < 0 && errno != EINTR) {
			perror("agent: poll");
			return 1;
		}
		for (unsigned i = 0; i < opts.n; i++) {
			if (fds[i].revents)
				serve_fork(fds[i].fd);
		}
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * A session: one job, done by both halves together.
 *
 *     guest                                       host
 *     connect to the control port         --->
 *     "duet1 WORK time= ... port=UDPPORT" --->
 *                                         <---    "ok PORT"
 *     connect the data socket to PORT     --->    accept, or connect to UDPPORT
 *     workload's guest half              <===>    workload's host half
 *                                         <---    "result ..." or "error TEXT"
 *
 * Within the halves, "end N" closes a datagram stream and "ack N" moves its window.
 */
#include "guest/agent.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST_TIME_MAX 3600000 /* ms: bounds on what a request may ask for */

int session_fail(struct session *s, const char *what)
{
	if (watchdog_fired)
		snprintf(s->error, sizeof(s->error), "%s: given up by the watchdog", what);
	else if (errno == EAGAIN || errno == ETIMEDOUT)
		snprintf(s->error, sizeof(s->error), "%s: no progress for %u ms", what,
			 net_stall_ms);
	else
		snprintf(s->error, sizeof(s->error), "%s: %s", what, strerror(errno));
	return -1;
}

int session_say(struct session *s, const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	return net_send_all(s->ctl.fd, line, n) ? session_fail(s, "control connection") : 0;
}

/* The next line that is not a late "ack". */
static int session_hear(struct session *s, char *line, size_t size)
{
	do {
		if (!net_read_line(&s->ctl, line, size, net_stall_ms))
			return session_fail(s, "control connection");
	} while (!strncmp(line, "ack ", 4));
	if (strncmp(line, "error ", 6))
		return 0;
	snprintf(s->error, sizeof(s->error), "the other half: %.120s", line + 6);
	return -1;
}

int session_read_end(struct session *s, uint64_t *sent)
{
	char line[512];

	if (session_hear(s, line, sizeof(line)))
		return -1;
	if (sscanf(line, "end %" SCNu64, sent) == 1)
		return 0;
	errno = EPROTO;
	return session_fail(s, "end of stream");
}

static const char result_format[] =
	"result bytes=%" PRIu64 " count=%" PRIu64 " ns=%" PRIu64 " sent=%" PRIu64
	" received=%" PRIu64 " bad=%" PRIu64 " first=%" PRId64 " frames=%" PRIu64 " dup=%" PRIu64
	" order=%" PRIu64 " sizes=%" PRIu64 " csum=%" PRIu64 " retrans=%" PRIu64 "\n";

static int session_write_result(struct session *s)
{
	const struct tally *t = &s->mine;

	return session_say(s, result_format, t->bytes, t->count, t->ns, t->sent, t->received,
			   t->bad_bytes, t->first_bad, t->bad_frames, t->duplicate, t->reordered,
			   t->frame_sizes, t->csum_errors, t->retransmits);
}

static int session_read_result(struct session *s)
{
	struct tally *t = &s->peer;
	char line[512];
	int n;

	if (session_hear(s, line, sizeof(line)))
		return -1;
	n = sscanf(line,
		   "result bytes=%" SCNu64 " count=%" SCNu64 " ns=%" SCNu64 " sent=%" SCNu64
		   " received=%" SCNu64 " bad=%" SCNu64 " first=%" SCNd64 " frames=%" SCNu64
		   " dup=%" SCNu64 " order=%" SCNu64 " sizes=%" SCNu64 " csum=%" SCNu64
		   " retrans=%" SCNu64,
		   &t->bytes, &t->count, &t->ns, &t->sent, &t->received, &t->bad_bytes,
		   &t->first_bad, &t->bad_frames, &t->duplicate, &t->reordered, &t->frame_sizes,
		   &t->csum_errors, &t->retransmits);
	if (n == 13)
		return 0;
	errno = EPROTO;
	return session_fail(s, "result");
}

/* Both ways are closed and everything has arrived: now the count of retransmits is final. */
static int session_close_stream(struct session *s)
{
	char sink[256];
	ssize_t n;

	shutdown(s->data, SHUT_WR);
	while ((n = recv(s->data, sink, sizeof(sink), 0)) > 0)
		;
	s->mine.retransmits = net_retransmits(s->data);
	return n < 0 ? session_fail(s, "end of stream") : 0;
}

static int session_do(struct session *s, const struct workload *w, int (*half)(struct session *s))
{
	uint64_t csum = net_csum_errors();
	int ret;

	s->mine.first_bad = s->peer.first_bad = -1;
	ret = half(s);
	if (!ret && !w->udp)
		ret = session_close_stream(s);
	s->mine.csum_errors = net_csum_errors() - csum;
	return ret;
}

/* ---- guest's half ---- */

static int session_request(struct session *s, const char *ifname, struct in_addr host)
{
	const struct workload *w = workload_find(s->job.work);
	const struct job *j = &s->job;
	struct in_addr local;
	char line[512];
	unsigned port;

	if (net_name(s->ctl.fd, false, &local))
		return session_fail(s, "own address");
	s->data = net_socket(w->udp ? SOCK_DGRAM : SOCK_STREAM, ifname, local);
	if (s->data < 0)
		return session_fail(s, "data socket");
	if (session_say(s,
			"duet1 %s time=%u warmup=%u count=%" PRIu64 " size=%u seed=%" PRIu64
			" port=%u\n",
			j->work, j->time_ms, j->warmup_ms, j->count, j->size, j->seed,
			w->udp ? net_port(s->data) : 0))
		return -1;
	if (session_hear(s, line, sizeof(line)))
		return -1;
	if (sscanf(line, "ok %u", &port) != 1) {
		errno = EPROTO;
		return session_fail(s, "host half");
	}
	return net_connect(s->data, host, port) ? session_fail(s, "data connection") : 0;
}

/* From before the request: the host may send as soon as it has that. */
static int session_marked(struct session *s, const char *ifname, struct in_addr host)
{
	const struct workload *w = workload_find(s->job.work);
	int ret;

	s->begin = mark_now();
	ret = session_request(s, ifname, host);
	if (!ret)
		ret = session_do(s, w, w->guest);
	s->end = mark_now();
	return ret;
}

int session_run_guest(struct session *s, const char *ifname, struct in_addr host, unsigned port)
{
	int ret = -1;

	s->data = -1;
	s->ctl.fd = net_socket(SOCK_STREAM, ifname, (struct in_addr){ 0 });
	if (s->ctl.fd < 0)
		return session_fail(s, ifname);
	if (net_connect(s->ctl.fd, host, port))
		session_fail(s, "connecting to the host half");
	else if (!session_marked(s, ifname, host))
		ret = session_read_result(s);
	if (s->data >= 0)
		close(s->data);
	close(s->ctl.fd);
	return ret;
}

/* ---- host's half ---- */

static int session_parse(struct session *s)
{
	struct job *j = &s->job;
	char line[512];

	if (session_hear(s, line, sizeof(line)))
		return -1;
	if (sscanf(line,
		   "duet1 %19s time=%u warmup=%u count=%" SCNu64 " size=%u seed=%" SCNu64
		   " port=%u",
		   j->work, &j->time_ms, &j->warmup_ms, &j->count, &j->size, &j->seed,
		   &j->port) == 7 &&
	    workload_find(j->work) && j->time_ms <= HOST_TIME_MAX && j->warmup_ms <= HOST_TIME_MAX)
		return 0;
	errno = EPROTO;
	return session_fail(s, "request");
}

static int session_accept(struct session *s, struct in_addr local)
{
	int listener = net_listen(local, 0);

	if (listener < 0)
		return session_fail(s, "data socket");
	if (!session_say(s, "ok %u\n", net_port(listener))) {
		s->data = net_accept(listener, net_stall_ms);
		if (s->data < 0)
			session_fail(s, "data connection");
	}
	close(listener);
	return s->data < 0 ? -1 : 0;
}

static int session_answer(struct session *s)
{
	struct in_addr local, peer;

	if (net_name(s->ctl.fd, false, &local) || net_name(s->ctl.fd, true, &peer))
		return session_fail(s, "control connection");
	if (!workload_find(s->job.work)->udp)
		return session_accept(s, local);
	s->data = net_socket(SOCK_DGRAM, NULL, local);
	if (s->data < 0 || net_connect(s->data, peer, s->job.port))
		return session_fail(s, "data socket");
	return session_say(s, "ok %u\n", net_port(s->data));
}

/* Serves one guest connection to its end, in a process of its own. */
void session_run_host(int ctl_fd)
{
	struct session s = { .ctl.fd = ctl_fd, .data = -1 };

	if (!session_parse(&s) && !session_answer(&s)) {
		const struct workload *w = workload_find(s.job.work);
		uint64_t ms = s.job.count ? HOST_TIME_MAX : s.job.time_ms + s.job.warmup_ms;

		watchdog_arm(ms / 1000 + 3 * net_stall_ms / 1000);
		if (!session_do(&s, w, w->host))
			session_write_result(&s);
	}
	if (s.error[0]) {
		fprintf(stderr, "agent: %s: %s\n", s.job.work, s.error);
		session_say(&s, "error %s\n", s.error);
	}
	if (s.data >= 0)
		close(s.data);
	net_linger_close(ctl_fd);
}

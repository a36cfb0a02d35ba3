/* SPDX-License-Identifier: MIT */
/*
 * The workloads, both halves of each. A stream ends when its session closes it, a flood of
 * datagrams by "end N" on the control connection and silence. Who receives, measures.
 */
#include "guest/agent.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#define STREAM_CHUNK 65536 /* per send() and recv() */
#define RR_WARMUP    64    /* transactions, when the run is by count */

static char buf[STREAM_CHUNK];

bool work_goes_on(const struct session *s, uint64_t start_ns, uint64_t done)
{
	const struct job *j = &s->job;

	if (watchdog_fired)
		return false;
	if (j->count)
		return done < j->count;
	return clock_ns() - start_ns < (j->time_ms + j->warmup_ms) * NS_PER_MS;
}

static int work_result(struct session *s, const struct meter *m)
{
	meter_read(m, &s->mine);
	if (s->mine.ns)
		return 0;
	errno = ENODATA;
	return session_fail(s, "nothing arrived in the measured window");
}

static int stream_send(struct session *s)
{
	uint64_t start = clock_ns(), sent = 0;

	while (work_goes_on(s, start, sent)) {
		size_t n = sizeof(buf);

		if (s->job.count && s->job.count - sent < n)
			n = s->job.count - sent;
		if (net_send_all(s->data, buf, n))
			return session_fail(s, "send");
		sent += n;
	}
	s->mine.sent = sent;
	return 0;
}

static int stream_receive(struct session *s)
{
	struct meter m;
	ssize_t n;

	meter_init(&m, &s->job);
	while ((n = recv(s->data, buf, sizeof(buf), 0)) > 0) {
		meter_add(&m, n, n);
		s->mine.received += n;
	}
	return n < 0 || watchdog_fired ? session_fail(s, "recv") : work_result(s, &m);
}

static int rr_nodelay(struct session *s)
{
	int one = 1;

	if (setsockopt(s->data, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)))
		return session_fail(s, "TCP_NODELAY");
	return 0;
}

/* 0, or -1; an orderly end of the connection is an error here, too. */
static int rr_once(struct session *s)
{
	char byte = 0;
	ssize_t n;

	if (send(s->data, &byte, 1, MSG_NOSIGNAL) != 1)
		return session_fail(s, "send");
	n = recv(s->data, &byte, 1, 0);
	if (n == 0)
		errno = ECONNRESET;
	return n == 1 ? 0 : session_fail(s, "recv");
}

/* *n: transactions. */
static int rr_warm_up(struct session *s, uint64_t *n)
{
	uint64_t start = clock_ns();

	do {
		if (rr_once(s))
			return -1;
		++*n;
	} while (s->job.count ? *n < RR_WARMUP : clock_ns() - start < s->job.warmup_ms * NS_PER_MS);
	return 0;
}

static int rr_ping(struct session *s)
{
	static struct hist hist;
	uint64_t start, before, now, warmup = 0;

	memset(&hist, 0, sizeof(hist));
	if (rr_nodelay(s) || rr_warm_up(s, &warmup))
		return -1;
	start = before = now = clock_ns();
	while (!watchdog_fired && (s->job.count ? hist.total < s->job.count
						: now - start < s->job.time_ms * NS_PER_MS)) {
		if (rr_once(s))
			return -1;
		now = clock_ns();
		hist_add(&hist, now - before);
		before = now;
	}
	s->mine.sent = s->mine.received = warmup + hist.total;
	s->mine.count = s->mine.bytes = hist.total;
	s->mine.ns = now - start;
	s->mine.median_ns = hist_quantile(&hist, 0.5);
	s->mine.p99_ns = hist_quantile(&hist, 0.99);
	return 0;
}

static int rr_echo(struct session *s)
{
	char byte;
	ssize_t n;

	if (rr_nodelay(s))
		return -1;
	while ((n = recv(s->data, &byte, 1, 0)) == 1) {
		if (send(s->data, &byte, 1, MSG_NOSIGNAL) != 1)
			return session_fail(s, "send");
	}
	return n < 0 ? session_fail(s, "recv") : 0;
}

static size_t flood_size(const struct session *s)
{
	return s->job.size < sizeof(buf) ? s->job.size : sizeof(buf);
}

/* A full queue (ENOBUFS) just means: again. The datagram was not sent. */
static int flood_send(struct session *s)
{
	uint64_t start = clock_ns(), sent = 0;
	size_t size = flood_size(s);

	while (work_goes_on(s, start, sent)) {
		if (send(s->data, buf, size, 0) == (ssize_t)size)
			sent++;
		else if (errno != ENOBUFS)
			return session_fail(s, "send");
	}
	s->mine.sent = sent;
	return session_say(s, "end %" PRIu64 "\n", sent);
}

static int flood_receive(struct session *s)
{
	struct meter m;

	meter_init(&m, &s->job);
	if (net_stall_timeout(s->data, UDP_IDLE_MS))
		return session_fail(s, "data socket");
	while (!watchdog_fired) {
		ssize_t n = recv(s->data, buf, sizeof(buf), 0);

		if (n >= 0) {
			meter_add(&m, n, 1);
			s->mine.received++;
		} else if (errno != EAGAIN) {
			return session_fail(s, "recv");
		} else if (net_readable(s->ctl.fd, 0)) {
			break;
		}
	}
	if (watchdog_fired)
		return session_fail(s, "recv");
	s->quiet_ns = m.last_ns ? clock_ns() - m.last_ns : 0;
	return session_read_end(s, &s->mine.sent) ? -1 : work_result(s, &m);
}

static const struct workload workloads[] = {
	/* name, unit, udp, host_measures, guest half, host half */
	{ "tcp_out", "Mbit/s", false, true, stream_send, stream_receive },
	{ "tcp_in", "Mbit/s", false, false, stream_receive, stream_send },
	{ "tcp_rr", "trans/s", false, false, rr_ping, rr_echo },
	{ "udp_out", "pkt/s", true, true, flood_send, flood_receive },
	{ "udp_in", "pkt/s", true, false, flood_receive, flood_send },
	{ "check_tcp_out", NULL, false, true, check_stream_send, check_stream_receive },
	{ "check_tcp_in", NULL, false, false, check_stream_receive, check_stream_send },
	{ "check_udp_out", NULL, true, true, check_udp_send, check_udp_receive },
	{ "check_udp_in", NULL, true, false, check_udp_receive, check_udp_send },
};

const struct workload *workload_find(const char *name)
{
	for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++) {
		if (!strcmp(workloads[i].name, name))
			return &workloads[i];
	}
	return NULL;
}

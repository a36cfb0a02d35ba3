/* SPDX-License-Identifier: MIT */
/*
 * The traffic agent: what its files share. agent.c has the story and the commands.
 *
 * One run is a *session*: a TCP control connection that carries text lines, and one data
 * socket (TCP or UDP) that carries the traffic. Guest and host each run their own half of
 * the same job (agent_work.c, agent_check.c); the half that receives does the measuring.
 */
#ifndef GUEST_AGENT_H
#define GUEST_AGENT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AGENT_PORT  5577  /* the host half's control port */
#define STALL_MS    10000 /* no progress for this long ends a run, unless --stall says less */
#define UDP_IDLE_MS 250   /* a datagram stream is over after this much silence */
#define NS_PER_MS   1000000ull
#define NS_PER_SEC  1000000000ull

#define UDP_MIN 18   /* payload of a 60-byte Ethernet frame (no FCS) */
#define UDP_MAX 1472 /* payload of a 1514-byte one */

/* What the guest asks for; travels as the first line of a session. */
struct job {
	char work[20];
	unsigned time_ms;   /* measured time; unused when count is set */
	unsigned warmup_ms; /* before it, not measured */
	uint64_t count;     /* 0: by time; else bytes, transactions or datagrams */
	unsigned size;      /* bytes per send(): stream chunk or datagram payload */
	uint64_t seed;      /* of the pattern, for the integrity jobs */
	unsigned port;      /* the guest's UDP port; 0 for TCP jobs */
};

/* What one half saw. The host's travels back as the last line of a session. */
struct tally {
	uint64_t bytes, count, ns; /* inside the measured window */
	uint64_t sent, received;   /* datagrams (or stream bytes) of the whole run */
	uint64_t bad_bytes;        /* integrity: bytes that differ from the pattern, */
	int64_t first_bad;         /* where first (stream offset, datagram number), or -1 */
	uint64_t bad_frames, duplicate, reordered;
	uint64_t frame_sizes; /* different datagram sizes received intact */
	uint64_t csum_errors; /* packets this half's kernel threw away for their checksum */
	uint64_t retransmits;
	uint64_t median_ns, p99_ns; /* tcp_rr only */
};

/* A line reader over the control connection. */
struct lines {
	int fd;
	size_t len;
	char buf[512];
};

struct session {
	struct lines ctl;
	int data;
	struct job job;
	struct tally mine, peer;
	unsigned begin, end; /* the guest's marks around the job; 0: none */
	uint64_t quiet_ns;   /* from the last arrival to the end mark, nothing came */
	char error[160];     /* set by session_fail() */
};

struct workload {
	const char *name;
	const char *unit;
	bool udp;
	bool host_measures;
	int (*guest)(struct session *s);
	int (*host)(struct session *s);
};

/* agent_work.c, agent_check.c: 0, or -1 with s->error set. */
const struct workload *workload_find(const char *name);
bool work_goes_on(const struct session *s, uint64_t start_ns, uint64_t done);
int check_stream_send(struct session *s);
int check_stream_receive(struct session *s);
int check_udp_send(struct session *s);
int check_udp_receive(struct session *s);

/* agent_session.c */
int session_fail(struct session *s, const char *what);
int session_say(struct session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int session_read_end(struct session *s, uint64_t *sent);
int session_run_guest(struct session *s, const char *ifname, struct in_addr host, unsigned port);
void session_run_host(int ctl_fd);

/* agent_net.c: -1 with errno set on failure. */
extern unsigned net_stall_ms; /* no progress for this long is a failure */
int net_socket(int type, const char *ifname, struct in_addr local);
int net_connect(int fd, struct in_addr addr, unsigned port);
int net_listen(struct in_addr addr, unsigned port);
int net_accept(int fd, int timeout_ms);
unsigned net_port(int fd);
int net_name(int fd, bool peer, struct in_addr *addr);
int net_stall_timeout(int fd, int ms);
bool net_readable(int fd, int timeout_ms);
int net_send_all(int fd, const void *buf, size_t len);
void net_linger_close(int fd);
/* Returns the line's length with '\n' replaced by NUL; 0 on timeout (errno ETIMEDOUT) or EOF. */
size_t net_read_line(struct lines *l, char *line, size_t size, int timeout_ms);
uint64_t net_csum_errors(void);
uint64_t net_retransmits(int fd);

/* agent_stat.c */
uint64_t clock_ns(void);
void watchdog_arm(unsigned seconds); /* 0 disarms */
extern volatile int watchdog_fired;

struct meter { /* counts what arrives after the warm-up */
	uint64_t warmup_ns, open_ns, start_ns, last_ns;
	uint64_t bytes, count;
};
void meter_init(struct meter *m, const struct job *job);
void meter_add(struct meter *m, uint64_t bytes, uint64_t count);
void meter_read(const struct meter *m, struct tally *t);

#define HIST_SUB   64 /* steps per power of two: latencies within 1.6 % */
#define HIST_SLOTS (HIST_SUB * 40)
struct hist {
	uint64_t total;
	uint32_t slot[HIST_SLOTS];
};
void hist_add(struct hist *h, uint64_t ns);
uint64_t hist_quantile(const struct hist *h, double q);

struct cpu_times {
	uint64_t user, system, irq, softirq, steal, idle;
};
void cpu_times_read(struct cpu_times *c);
void cpu_times_delta(struct cpu_times *c, const struct cpu_times *before);

/* agent_report.c: lines gather in memory; report_flush() writes them between runs. */
int report_open(const char *path);
void report(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void report_string(const char *text); /* quoted, with JSON's escapes */
int report_flush(void);

/* agent_mark.c: the VMM's figures of this moment, labelled. */
int mark_open(void); /* 0, or -1 having said why */
/* The label, from 1; 0 when mark_open() was not called. */
unsigned mark_now(void);
int mark_main(int argc, char **argv);

/* agent_features.c */
void features_driver(const char *ifname, char driver[32], char version[32]);
int features_main(int argc, char **argv);

/* agent_serve.c, agent_run.c */
int serve_main(int argc, char **argv);
int run_main(int argc, char **argv);
int integrity_main(int argc, char **argv);

#endif

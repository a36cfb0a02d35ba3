/* SPDX-License-Identifier: MIT */
/*
 * Integrity: patterned traffic of which the receiver checks every byte.
 *
 * The pattern is a function of (seed, offset): 64-bit word i of stream `seed` is a bijective
 * scramble of seed + i, so bytes that were shifted, swapped or repeated do not fit their place.
 * Each TCP run is one stream. Each datagram is a stream of its own, seeded by its number, after
 * an 8-byte header that says which number and length it has.
 *
 * Datagrams are acknowledged over the control connection, up to the highest number seen, and at
 * most UDP_WINDOW are under way, far less than any queue on the path holds: a lost one was lost by
 * the NIC.
 */
#include "guest/agent.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define CHECK_CHUNK  65536
#define UDP_WINDOW   32
#define UDP_ACK_EACH 16
#define UDP_STALL_MS 1000 /* an unmoved window is written off after this */
#define UDP_SIZES    (UDP_MAX - UDP_MIN + 1)
#define UDP_STRIDE   577 /* prime to UDP_SIZES: neighbours differ much, all sizes come up */
#define UDP_MAGIC    0xd0e7

struct check_header {
	uint32_t seq;
	uint16_t len;
	uint16_t magic;
};

static char buf[CHECK_CHUNK] __attribute__((aligned(8)));

static uint64_t pattern_word(uint64_t seed, uint64_t index)
{
	uint64_t x = (seed + index) * 0x9e3779b97f4a7c15ull;

	return htole64(x ^ x >> 32);
}

/* Far apart for neighbouring numbers, so that no stream is another one shifted. */
static uint64_t pattern_seed(uint64_t seed, uint64_t number)
{
	uint64_t x = (seed ^ number << 20) + 0xd1b54a32d192ed03ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

/* @offset: of buf[0] in the stream, a multiple of 8. */
static void pattern_fill(char *p, size_t len, uint64_t seed, uint64_t offset)
{
	for (size_t i = 0; i < len; i += 8) {
		uint64_t word = pattern_word(seed, (offset + i) / 8);

		memcpy(p + i, &word, len - i < 8 ? len - i : 8);
	}
}

/* Counts the bytes that are wrong; *@first: index of the first one if there is any. */
static size_t pattern_check(const char *p, size_t len, uint64_t seed, uint64_t offset,
			    size_t *first)
{
	size_t bad = 0;

	for (size_t i = 0; i < len; i += 8) {
		uint64_t want = pattern_word(seed, (offset + i) / 8), got = want;

		memcpy(&got, p + i, len - i < 8 ? len - i : 8);
		if (got == want)
			continue;
		for (size_t j = 0; j < 8; j++) {
			if (((char *)&got)[j] == ((char *)&want)[j])
				continue;
			if (!bad++)
				*first = i + j;
		}
	}
	return bad;
}

int check_stream_send(struct session *s)
{
	uint64_t sent = 0;

	while (work_goes_on(s, 0, sent)) {
		uint64_t left = s->job.count - sent;
		size_t n = left < CHECK_CHUNK ? left : CHECK_CHUNK;

		pattern_fill(buf, n, s->job.seed, sent);
		if (net_send_all(s->data, buf, n))
			return session_fail(s, "send");
		sent += n;
	}
	s->mine.sent = sent;
	return 0;
}

/* Reads to the end of the stream: a byte too many is as wrong as one too few. */
int check_stream_receive(struct session *s)
{
	struct tally *t = &s->mine;
	uint64_t start = clock_ns();
	ssize_t n;

	while ((n = recv(s->data, buf, CHECK_CHUNK, MSG_WAITALL)) > 0) {
		size_t first, bad = pattern_check(buf, n, s->job.seed, t->received, &first);

		if (bad && !t->bad_bytes)
			t->first_bad = t->received + first;
		t->bad_bytes += bad;
		t->received += n;
		if (t->received % 8)
			break; /* cut off: jobs come in whole words */
	}
	if (n < 0 || watchdog_fired)
		return session_fail(s, "recv");
	t->sent = s->job.count;
	t->bytes = t->count = t->received;
	t->ns = clock_ns() - start;
	return 0;
}

static size_t check_udp_size(uint64_t seq)
{
	return UDP_MIN + seq * UDP_STRIDE % UDP_SIZES;
}

static int check_udp_send_one(struct session *s, uint64_t seq)
{
	size_t len = check_udp_size(seq);
	struct check_header h = { htole32(seq), htole16(len), htole16(UDP_MAGIC) };

	memcpy(buf, &h, sizeof(h));
	pattern_fill(buf + sizeof(h), len - sizeof(h), pattern_seed(s->job.seed, seq), 0);
	while (send(s->data, buf, len, 0) != (ssize_t)len) {
		if (errno != ENOBUFS || watchdog_fired)
			return session_fail(s, "send");
	}
	return 0;
}

struct check_udp_window {
	uint64_t acked, written_off;
	unsigned stalls;
};

/* Takes one acknowledgement; 0 also if none comes in UDP_STALL_MS. */
static int check_udp_ack(struct session *s, struct check_udp_window *w)
{
	char line[512];

	if (!net_read_line(&s->ctl, line, sizeof(line), UDP_STALL_MS))
		return errno == ETIMEDOUT && !watchdog_fired ? 0
							     : session_fail(s, "acknowledgement");
	if (sscanf(line, "ack %" SCNu64, &w->acked) == 1)
		return 0;
	snprintf(s->error, sizeof(s->error), "the other half: %.120s", line);
	return -1;
}

/*
 * Blocks while the window is full. If it has not moved in UDP_STALL_MS, what is under way is
 * written off, so that losses do not end the run; the receiver is who counts and reports them.
 * (The receiver repeats itself when idle, so lines alone are no progress.)
 */
static int check_udp_wait(struct session *s, struct check_udp_window *w, uint64_t sent)
{
	uint64_t since = clock_ns();

	while (sent >= w->acked + w->written_off + UDP_WINDOW) {
		uint64_t acked = w->acked;

		if (check_udp_ack(s, w))
			return -1;
		if (w->acked != acked)
			since = clock_ns();
		if (clock_ns() - since < UDP_STALL_MS * NS_PER_MS)
			continue;
		if (++w->stalls * UDP_STALL_MS > net_stall_ms) {
			errno = ETIMEDOUT;
			return session_fail(s, "acknowledgement");
		}
		w->written_off = sent - w->acked;
	}
	return 0;
}

int check_udp_send(struct session *s)
{
	struct check_udp_window w = { 0 };

	for (uint64_t seq = 0; work_goes_on(s, 0, seq); seq++) {
		if (check_udp_wait(s, &w, seq) || check_udp_send_one(s, seq))
			return -1;
		s->mine.sent = seq + 1;
	}
	return session_say(s, "end %" PRIu64 "\n", s->mine.sent);
}

/* What the receiver remembers: which numbers and which sizes came. */
struct check_udp_seen {
	uint64_t next; /* the number that should come next */
	unsigned char *seq;
	unsigned char size[UDP_SIZES];
};

static bool check_udp_intact(struct session *s, size_t len, uint64_t seq,
			     const struct check_header *h)
{
	struct tally *t = &s->mine;
	size_t first, bad;

	if (seq >= s->job.count || le16toh(h->magic) != UDP_MAGIC || le16toh(h->len) != len ||
	    len != check_udp_size(seq))
		bad = sizeof(*h); /* it is not what it says: charge the header */
	else
		bad = pattern_check(buf + sizeof(*h), len - sizeof(*h),
				    pattern_seed(s->job.seed, seq), 0, &first);
	if (bad && !t->bad_frames++)
		t->first_bad = seq;
	t->bad_bytes += bad;
	return !bad;
}

static void check_udp_one(struct session *s, struct check_udp_seen *seen, size_t len)
{
	struct tally *t = &s->mine;
	struct check_header h = { 0 };
	uint64_t seq;

	memcpy(&h, buf, len < sizeof(h) ? len : sizeof(h));
	seq = le32toh(h.seq);
	if (!check_udp_intact(s, len, seq, &h))
		return;
	if (seen->seq[seq]) {
		t->duplicate++;
		return;
	}
	seen->seq[seq] = 1;
	t->reordered += seq < seen->next;
	seen->next = seq < seen->next ? seen->next : seq + 1;
	t->frame_sizes += !seen->size[len - UDP_MIN];
	seen->size[len - UDP_MIN] = 1;
	t->received++;
	t->bytes += len;
}

/* Every UDP_ACK_EACH arrivals, and when idle, in case that those of the last window are lost. */
static int check_udp_loop(struct session *s, struct check_udp_seen *seen)
{
	struct tally *t = &s->mine;
	uint64_t start = clock_ns(), arrivals = 0;
	bool ended = false; /* the sender said so; what it sent before that is here */

	/* The sender, unless it is gone, sends a window in each UDP_STALL_MS. */
	while (!watchdog_fired) {
		ssize_t n = recv(s->data, buf, sizeof(buf), ended ? MSG_DONTWAIT : 0);

		if (n >= 0)
			check_udp_one(s, seen, n);
		else if (errno != EAGAIN)
			return session_fail(s, "recv");
		else if (ended)
			break;
		else if ((ended = net_readable(s->ctl.fd, 0))) /* since that recv, perhaps */
			continue;
		else if (clock_ns() - start - t->ns > net_stall_ms * NS_PER_MS)
			return session_fail(s, "datagrams");
		if (n >= 0)
			t->ns = clock_ns() - start;
		if (n >= 0 ? ++arrivals % UDP_ACK_EACH : !seen->next)
			continue;
		if (session_say(s, "ack %" PRIu64 "\n", seen->next))
			return -1;
	}
	t->count = t->received;
	return watchdog_fired ? session_fail(s, "recv") : session_read_end(s, &t->sent);
}

int check_udp_receive(struct session *s)
{
	struct check_udp_seen *seen = calloc(1, sizeof(*seen));
	int ret = -1;

	if (seen)
		seen->seq = s->job.count <= UINT32_MAX ? calloc(s->job.count, 1) : NULL;
	if (!seen || !seen->seq || net_stall_timeout(s->data, UDP_IDLE_MS))
		session_fail(s, "receiver");
	else
		ret = check_udp_loop(s, seen);
	if (seen)
		free(seen->seq);
	free(seen);
	return ret;
}

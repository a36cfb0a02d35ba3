/* SPDX-License-Identifier: MIT */
/* nic.c: the part of a NIC that is the same whichever ring it walks. */
#include "devices/nic.h"

#include "devices/net/offload.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define NIC_STREAM 16   /* wake-ups that are looked at together; frames to be a stream */
#define NIC_TICKS  4    /* looks of the worker's own in the time that polling outlasts a stream */
#define NIC_LARGE  1000 /* bytes of an average frame */

/* --- polling: while work comes often, somebody looks out for it --- */

static uint64_t nic_poll_ns(const struct nic *n)
{
	return (uint64_t)n->cfg.poll_us * 1000;
}

static void nic_look(struct watch *w)
{
	struct nic *n = container_of(w, struct nic, watch);

	n->ops->look(n);
}

/*
 * Has the NIC streamed since it was looked at last? That is: frames went mostly one way, or
 * were large. A request and its answer are neither; with them the guest waits for us, not
 * for its doorbells, and another thread on the way is only a detour.
 */
static bool nic_streams(struct nic *n)
{
	struct nic_pace old = n->pace, *now = &n->pace;
	uint64_t tx, rx, frames;

	*now = (struct nic_pace){
		.at = loop_now(),
		.wakeups = counter_get(&n->stat.wakeups),
		.tx_frames = counter_get(&n->stat.tx_frames),
		.rx_frames = counter_get(&n->stat.rx_frames),
		.bytes = counter_get(&n->stat.tx_bytes) + counter_get(&n->stat.rx_bytes),
	};
	tx = now->tx_frames - old.tx_frames;
	rx = now->rx_frames - old.rx_frames;
	frames = tx + rx;
	return frames >= (n->polling ? 1 : NIC_STREAM) &&
	       now->at - old.at < NIC_STREAM * nic_poll_ns(n) &&
	       (2 * MIN(tx, rx) < MAX(tx, rx) || now->bytes - old.bytes > NIC_LARGE * frames);
}

static void nic_poll_begin(struct nic *n)
{
	n->polling = true;
	counter_inc(&n->stat.poll_spells);
	n->ops->poll_begin(n);
	watch_on(n->m->watcher, &n->watch);
	n->ticks = 0;
	loop_timer_set(&n->poll_timer, nic_poll_ns(n) / NIC_TICKS);
}

static void nic_poll_tick(struct loop_timer *t)
{
	struct nic *n = container_of(t, struct nic, poll_timer);

	lock_take(&n->work);
	if (++n->ticks % NIC_TICKS || nic_streams(n)) {
		/* A busy guest leaves the watcher no time: this bounds how long frames wait, so
		 * that they are on their way while the guest makes the next. */
		n->ops->catch_up(n);
		loop_timer_set(t, nic_poll_ns(n) / NIC_TICKS);
	} else {
		watch_off(&n->watch);
		n->polling = false;
		n->ops->poll_end(n);
	}
	lock_drop(&n->work);
}

void nic_work_begin(struct nic *n)
{
	trace(NET, "%s: woken", n->cfg.name);
	lock_take(&n->work);
	counter_inc(&n->stat.wakeups);
	if (nic_has(n, RUNG_POLL) && !n->polling &&
	    counter_get(&n->stat.wakeups) - n->pace.wakeups >= NIC_STREAM && nic_streams(n))
		nic_poll_begin(n);
}

/* --- */

int nic_init(struct nic *n, const struct nic_ops *ops, struct machine *m,
	     const struct nic_config *cfg, struct net *be)
{
	n->ops = ops;
	n->cfg = *cfg;
	n->m = m;
	n->be = be;
	lock_init(&n->work);
	lock_init(&n->lock);
	if (!nic_has(n, RUNG_OFFLOAD_TX))
		be->tx_offload = 0; /* net_send() finishes frames */
	n->watch.look = nic_look;
	watcher_add(m->watcher, &n->watch);
	n->poll_timer.f.fd = -1;
	return loop_timer_init(m->loop, &n->poll_timer, nic_poll_tick);
}

void nic_fini(struct nic *n)
{
	watcher_remove(n->m->watcher, &n->watch);
	loop_timer_destroy(&n->poll_timer);
	net_close(n->be);
	lock_destroy(&n->lock);
	lock_destroy(&n->work);
}

void nic_destroy(struct nic *n)
{
	if (n)
		n->ops->destroy(n);
}

struct iovec nic_bounce(struct nic *n, const struct iovec *iov, int cnt, void *bounce, size_t size)
{
	size_t len = iov_copy_out(iov, cnt, 0, bounce, size);

	counter_add(&n->stat.bytes_copied, len);
	return (struct iovec){ bounce, len };
}

void nic_tx_taken(struct nic *n, size_t len)
{
	counter_inc(&n->stat.tx_frames);
	counter_add(&n->stat.tx_bytes, len);
	if (n->cfg.exits)
		counter_add(&n->stat.extra_exits, n->cfg.extra(n->cfg.extra_ctx, n->cfg.exits));
}

void nic_guest_fault(struct nic *n, const char *why)
{
	/* The one counter that vCPU threads and the I/O thread both write. */
	atomic_fetch_add_explicit(&n->stat.guest_faults, 1, memory_order_relaxed);
	trace(GUEST, "%s: %s", n->cfg.name, why);
}

/* Counters of one moment. */
struct nic_counts {
	struct nic_stat nic;
	struct net_stat net;
};

/* While no frame is between NIC and backend, so that their figures agree. */
static void nic_count(struct nic *n, struct nic_counts *s)
{
	lock_take(&n->work);
	if (n->ops->count)
		n->ops->count(n);
#define X(name, what) s->nic.name = counter_get(&n->stat.name);
	NIC_STATS(X)
#undef X
#define X(name, what) s->net.name = counter_get(&n->be->stat.name);
	NET_STATS(X)
#undef X
	lock_drop(&n->work);
}

/* A ratio of counters, where there is one. */
static void nic_ratio_json(const char *name, const counter_t *a, const counter_t *b, struct json *j)
{
	if (counter_get(b))
		json_double(j, name, (double)counter_get(a) / (double)counter_get(b));
}

static void nic_ratios_json(const struct nic_counts *s, struct json *j)
{
	json_open(j, "ratios", '{');
	nic_ratio_json("tx_frames_per_call", &s->nic.tx_frames, &s->net.tx_calls, j);
	nic_ratio_json("rx_frames_per_call", &s->nic.rx_frames, &s->net.rx_calls, j);
	nic_ratio_json("tx_frames_per_batch", &s->nic.tx_frames, &s->nic.tx_batches, j);
	nic_ratio_json("rx_frames_per_batch", &s->nic.rx_frames, &s->nic.rx_batches, j);
	nic_ratio_json("tx_frames_per_kick", &s->nic.tx_frames, &s->nic.tx_kicks, j);
	nic_ratio_json("tx_frames_per_irq", &s->nic.tx_frames, &s->nic.irqs, j);
	nic_ratio_json("rx_frames_per_irq", &s->nic.rx_frames, &s->nic.irqs, j);
	json_close(j, '}');
}

void nic_stats_json(struct nic *n, struct json *j)
{
	char rungs[160];
	struct nic_counts s;

	nic_count(n, &s);
	json_str(j, "name", n->cfg.name);
	json_str(j, "model", n->ops->model);
	json_str(j, "backend", n->be->name);
	json_str(j, "ladder", ladder_string(n->cfg.rungs, rungs, sizeof(rungs)));
#define X(name, what) json_u64(j, #name, counter_get(&s.nic.name));
	NIC_STATS(X)
#undef X
	json_open(j, "backend_stats", '{');
#define X(name, what) json_u64(j, #name, counter_get(&s.net.name));
	NET_STATS(X)
#undef X
	json_close(j, '}');
	nic_ratios_json(&s, j);
	locks_json(&n->work, &n->lock, j);
	json_open(j, "registers", '[');
	n->ops->accounts(n, access_json, j);
	json_close(j, ']');
	if (n->ops->stats)
		n->ops->stats(n, j);
}

void nic_stats_print(struct nic *n, FILE *f)
{
	struct nic_counts s;

	nic_count(n, &s);
	fprintf(f, "%s (%s on %s)\n", n->cfg.name, n->ops->model, n->be->name);
#define X(name, what) counter_print(#name, what, &s.nic.name, f);
	NIC_STATS(X)
#undef X
#define X(name, what) counter_print("net " #name, what, &s.net.name, f);
	NET_STATS(X)
#undef X
	locks_print(&n->work, &n->lock, f);
	access_print_head(f, "register");
	n->ops->accounts(n, access_print, f);
}

int nic_parse_mac(const char *s, uint8_t mac[6])
{
	static const uint8_t zero[6];

	for (unsigned i = 0; i < 6; i++, s += 3) {
		if (!isxdigit((unsigned char)s[0]) || !isxdigit((unsigned char)s[1]) ||
		    s[2] != (i < 5 ? ':' : '\0'))
			return -EINVAL;
		mac[i] = (uint8_t)strtoul(s, NULL, 16);
	}
	/* A multicast (or zero) source address is refused by switches and by drivers. */
	return (mac[0] & 1) || !memcmp(mac, zero, 6) ? -EINVAL : 0;
}

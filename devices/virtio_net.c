/* SPDX-License-Identifier: MIT */
/*
 * 1. Story
 *
 * virtio_net.c: a virtio network device (virtio 1.2, section 5.1), the paravirtual twin
 * of e1000.c. Both files have the same nine sections, so `diff -y` shows what differs.
 *
 *   guest: avail ring, doorbell -> eventfd -> vnet_kick -> vnet_tx_run
 *     -> vnet_tx_one: chain -> header {checksum, segmentation}, iovec into guest RAM
 *     -> net_send -> one writev
 *     -> vnet_tx_done: used ring -> vnet_irq_update -> MSI-X, if the driver asked for it
 *
 *   tap readable -> vnet_rx_ready -> vnet_rx_fill: chains -> the window
 *     -> vnet_rx_one: net_recv, one readv straight into guest RAM
 *     -> vnet_rx_deliver: header, used ring -> vnet_irq_update
 *
 * The doorbell's value is not needed: the ring says it all, so the hypervisor may turn
 * the write into an eventfd and the guest goes on without waiting for us. While we drain
 * a ring, the driver is asked not to ring at all.
 *
 * Nothing is copied but headers. A 64 KiB TCP packet is one chain, one writev.
 *
 * Threads: frames move on the I/O thread only, in batches, holding nic.work. Everything
 * that runs on a vCPU thread (virtio_pci.c's registers) takes nic.work too, changes
 * state, and pokes a queue to have the I/O thread act on it; the backend is called from
 * a vCPU only where there is no worker (ladder.h). While a stream flows, the driver is
 * not to ring at all: the watcher looks for it (vnet_look()).
 *
 * With vhost=on the host's kernel walks the rings instead (virtio_net_vhost.c).
 *
 * Left out on purpose: several queue pairs, packed rings, legacy drivers, UFO/USO, RSS,
 * announcements.
 */
#include "devices/virtio_net.h"

#include "devices/net/offload.h"
#include "vmm/log.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <string.h>

#define VNET_CLASS       0x020000   /* network controller, Ethernet */
#define VNET_LINK_PERIOD 1000000000 /* ns between two looks at the backend's link */

/* 2. State: struct vnet in virtio_net.h */

static struct vnet *vnet_of(struct nic *n)
{
	return container_of(n, struct vnet, nic);
}

/* May we touch queue `q`? DRIVER_OK was seen, the function is a bus master, the queue ours. */
static bool vnet_live(struct vnet *v, unsigned q)
{
	return v->running && virtq_enabled(vnet_q(v, q)) && pci_bus_master(&v->nic.pci) &&
	       !(v->lent & BIT(q));
}

void vnet_poke(struct vnet *v, unsigned q)
{
	v->poked[q]++;
	loop_event_signal(&v->vp.q[q].kick);
}

/* 3. Registers: virtio_pci.c; features: virtio_net_features.c */

/* The link has no event to wait for. I/O thread. */
static void vnet_link_look(struct loop_timer *t)
{
	struct vnet *v = container_of(t, struct vnet, link_timer);
	uint16_t now = net_link_up(v->nic.be) ? VIRTIO_NET_S_LINK_UP : 0;

	nic_work_begin(&v->nic);
	if (v->running && now != v->config.status) {
		trace(NET, "%s: link %s", v->nic.cfg.name, now ? "up" : "down");
		if (virtio_pci_config_set(&v->vp, offsetof(struct virtio_net_config, status), &now,
					  sizeof(now), true))
			counter_inc(&v->nic.stat.irqs);
	}
	vnet_vhost_sync(v);
	if (v->running)
		loop_timer_set(t, VNET_LINK_PERIOD);
	lock_drop(&v->nic.work);
}

/* 4. Ring: virtq.c; the receive window: virtio_net_ring.c */

/* 5. Transmit */

/* Give the chain back, sent or not: a driver waits for each. */
static void vnet_tx_done(struct vnet *v, const struct virtq_chain *c, int err)
{
	struct virtq *q = vnet_q(v, VNET_TX);

	if (err) {
		counter_inc(&v->nic.stat.tx_drops);
		if (err == -EINVAL)
			nic_guest_fault(&v->nic, "transmit chain that is no valid frame");
	} else {
		nic_tx_taken(&v->nic, c->out_len - VNET_HDR_LEN);
	}
	virtq_push(q, c->head, 0);
	virtq_publish(q);
	trace(NET, "%s: tx given back, used idx %u", v->nic.cfg.name, q->next_used);
}

/* 5.1.6.2.2: flags we do not know are to be ignored, and so is what a driver left in the
 * fields that its flags and gso_type give no meaning. hdr_len is never more than a hint,
 * and one that cannot be true is none. */
static void vnet_tx_sanitize(struct virtio_net_hdr *h, size_t frame_len)
{
	h->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	if (!h->flags)
		h->csum_start = h->csum_offset = 0;
	if (h->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		h->gso_size = h->hdr_len = 0;
	if (h->hdr_len > frame_len)
		h->hdr_len = 0;
}

/* As net_send(); -EINVAL also for a chain that is no frame. */
static int vnet_tx_send(struct vnet *v, const struct virtq_chain *c)
{
	struct virtio_net_hdr_mrg_rxbuf h;
	const struct iovec *frame;
	struct iovec bounced;
	int cnt = c->n_out;

	if (c->n_in || c->out_len < VNET_HDR_LEN + NET_FRAME_MIN ||
	    c->out_len > VNET_HDR_LEN + NET_FRAME_MAX)
		return -EINVAL;
	iov_copy_out(v->tx.iov, cnt, 0, &h, sizeof(h));
	vnet_tx_sanitize(&h.hdr, c->out_len - sizeof(h));
	frame = vnet_iov_skip(v->tx.iov, &cnt, sizeof(h));
	trace(NET, "%s: tx %zu bytes, %d pieces", v->nic.cfg.name, c->out_len - sizeof(h), cnt);
	if (!nic_has(&v->nic, RUNG_ZERO_COPY)) {
		bounced = nic_bounce(&v->nic, frame, cnt, v->bounce, sizeof(v->bounce));
		frame = &bounced;
		cnt = 1;
	}
	return net_send(v->nic.be, &h.hdr, frame, cnt);
}

/* One frame. > 0: done with it, 0: none, < 0: stop for now. */
static int vnet_tx_one(struct vnet *v)
{
	struct virtq *q = vnet_q(v, VNET_TX);
	struct virtq_chain c;
	int got = virtq_pop(q, &c, v->tx.iov, NET_IOV_MAX), err;

	if (got < 0)
		vnet_broken(v, got == -E2BIG ? "transmit chain of too many buffers" : q->fault);
	if (got <= 0)
		return got;
	err = vnet_tx_send(v, &c);
	if (err == -EAGAIN) {
		virtq_unpop(q);
		v->tx.blocked = true;
		counter_inc(&v->nic.stat.tx_again);
		return -1;
	}
	vnet_tx_done(v, &c, err);
	return 1;
}

/* Nothing more to send: sleep, unless the ring moved meanwhile. */
static bool vnet_tx_idle(struct vnet *v)
{
	struct virtq *q = vnet_q(v, VNET_TX);

	if (!v->nic.polling)
		return !virtq_kick_enable(q);
	/* The watcher rings. First the flag, then the look: pairs with vnet_look(). */
	v->tx_idx = virtq_avail_idx(q);
	v->tx_seen = q->next_avail;
	v->tx_awake = false;
	return !virtq_waits(q);
}

/* The doorbell, or our own poke: drain the ring, up to a batch. */
static void vnet_tx_run(struct vnet *v)
{
	struct virtq *q = vnet_q(v, VNET_TX);
	bool quiet = nic_has(&v->nic, RUNG_KICK); /* no kicks while we look at the ring */
	unsigned n = 0, turn = v->vp.rung_at ? VNET_QUEUE_SIZE : VNET_BATCH;
	uint64_t enough = nic_segments(&v->nic) + NIC_TURN_SEGMENTS;
	int got = 1;

	if (v->tx.blocked)
		return;
	v->tx_awake = true;
	while (got >= 0 && n < turn && nic_segments(&v->nic) < enough) {
		if (quiet)
			virtq_kick_disable(q);
		else
			virtq_kick_enable(q);
		got = vnet_tx_one(v);
		n += got > 0;
		if (got)
			continue;
		/* Empty: ask for a kick, then look once more. */
		if (vnet_tx_idle(v))
			break;
	}
	if (n)
		counter_inc(&v->nic.stat.tx_batches);
	if (got > 0)
		vnet_poke(v, VNET_TX);
	vnet_irq_update(v, VNET_TX);
}

static void vnet_tx_writable(void *nic)
{
	struct vnet *v = nic;

	nic_work_begin(&v->nic);
	v->tx.blocked = false;
	if (vnet_live(v, VNET_TX))
		vnet_tx_run(v);
	lock_drop(&v->nic.work);
}

/* 6. Receive */

/* No buffers (or nobody to give them): the backend keeps its frames until a kick. */
static void vnet_rx_starve(struct vnet *v)
{
	v->rx.starved = true;
	net_rx_enable(v->nic.be, false);
}

/* `len` bytes are in the window behind where the header goes: complete the chains that
 * they touch, all at once, as a driver takes num_buffers of them in one go. */
static void vnet_rx_deliver(struct vnet *v, struct virtio_net_hdr_mrg_rxbuf *h, size_t len)
{
	struct virtq *q = vnet_q(v, VNET_RX);
	struct vnet_rx *rx = &v->rx;
	size_t left = VNET_HDR_LEN + len;
	unsigned n = 0;

	trace(NET, "%s: rx %zu bytes", v->nic.cfg.name, len);
	while (left && n < rx->n) {
		const struct virtq_chain *c = &rx->chain[n++];
		size_t here = MIN(left, (size_t)c->in_len);

		virtq_push(q, c->head, (uint32_t)here);
		left -= here;
	}
	if (!(v->guest_offloads & BIT64(VIRTIO_NET_F_GUEST_CSUM)) ||
	    !nic_has(&v->nic, RUNG_OFFLOAD_RX))
		h->hdr.flags = 0; /* 5.1.6.4.1 */
	h->num_buffers = (uint16_t)n;
	iov_copy_in(rx->iov, (int)rx->n_iov, 0, h, sizeof(*h));
	virtq_publish(q);
	vnet_rx_forget(rx, n);
	counter_inc(&v->nic.stat.rx_frames);
	counter_add(&v->nic.stat.rx_bytes, len);
	trace(NET, "%s: rx given back, used idx %u", v->nic.cfg.name, q->next_used);
}

/* One frame into the window, which is filled. False: none waits. */
static bool vnet_rx_one(struct vnet *v)
{
	struct virtio_net_hdr_mrg_rxbuf h = { .num_buffers = 0 };
	int cnt;
	ssize_t len = vnet_rx_read(v, &h.hdr, &cnt);

	if (!len)
		return false;
	/* A frame nobody wants is overwritten by the next: its chains stay in the window. */
	if (len >= 0 && vnet_filter_accepts(v, v->rx.payload, cnt)) {
		vnet_rx_deliver(v, &h, (size_t)len);
		return true;
	}
	counter_inc(&v->nic.stat.rx_drops);
	counter_inc(len < 0 ? &v->nic.stat.rx_oversize : &v->nic.stat.rx_filtered);
	return true;
}

/* Has the batch used a quarter of the ring? Then the guest had better begin: large frames
 * fill the ring before the batch is over, and we would take turns instead of overlapping. */
static bool vnet_rx_irq_early(struct vnet *v)
{
	struct virtq *q = vnet_q(v, VNET_RX);

	return (uint16_t)(q->next_used - q->signalled) > q->size / 4;
}

static void vnet_rx_run(struct vnet *v)
{
	unsigned n = 0;

	if (!vnet_live(v, VNET_RX) || v->offloads_stale) {
		vnet_rx_starve(v);
		return;
	}
	if (vnet_rx_fill_or_wait(v) <= 0) {
		counter_inc(&v->nic.stat.rx_ring_full);
		vnet_rx_starve(v);
		return;
	}
	while (vnet_rx_one(v) && ++n < VNET_BATCH && vnet_rx_fill(v) > 0)
		if (vnet_rx_irq_early(v))
			vnet_irq_update(v, VNET_RX);
	if (n)
		counter_inc(&v->nic.stat.rx_batches);
	vnet_irq_update(v, VNET_RX);
}

/* Frames wait in the backend. Called again until they do not. */
static void vnet_rx_ready(void *nic)
{
	struct vnet *v = nic;

	nic_work_begin(&v->nic);
	vnet_rx_run(v);
	lock_drop(&v->nic.work);
}

/* Buffers came, or reception was switched on or off. */
static void vnet_rx_resume(struct vnet *v)
{
	if (v->offloads_stale) {
		vnet_rx_offload_apply(v);
		net_log_offloads(v->nic.be, v->nic.cfg.name, vnet_rx_offload(v),
				 vnet_tx_offload(v));
	}
	if (v->rx.starved && vnet_rx_fill_or_wait(v) > 0) {
		v->rx.starved = false;
		net_rx_enable(v->nic.be, true);
	}
}

/* 7. Interrupt */

void vnet_irq_raise(struct vnet *v, unsigned q)
{
	if (virtio_pci_irq(&v->vp, q)) {
		trace(IRQ, "%s: interrupt of queue %u", v->nic.cfg.name, q);
		counter_inc(&v->nic.stat.irqs);
		return;
	}
	counter_inc(&v->nic.stat.irqs_suppressed);
	if (!virtio_pci_msix_on(&v->vp)) /* the line is up already */
		counter_inc(&v->nic.stat.irqs_coalesced);
}

void vnet_irq_update(struct vnet *v, unsigned q)
{
	struct virtq *vq = vnet_q(v, q);

	if (!virtq_enabled(vq) || !virtq_irq_open(vq))
		return;
	if (virtq_irq_due(vq))
		vnet_irq_raise(v, q);
	else
		counter_inc(&v->nic.stat.irqs_suppressed);
}

/* 8. Reset */

void vnet_broken(struct vnet *v, const char *why)
{
	v->running = false;
	virtio_pci_needs_reset(&v->vp, why);
	net_rx_enable(v->nic.be, false);
	vnet_vhost_sync(v);
}

static void vnet_driver_ok(void *dev)
{
	struct vnet *v = dev;

	v->running = true;
	v->negotiated = v->vp.features;
	v->rx.mergeable = virtio_pci_has(&v->vp, VIRTIO_NET_F_MRG_RXBUF);
	v->rx.starved = true;
	v->guest_offloads = v->vp.features & VNET_GUEST_OFFLOADS;
	v->offloads_stale = true;
	v->filter.by_vlan = virtio_pci_has(&v->vp, VIRTIO_NET_F_CTRL_VLAN);
	loop_timer_set(&v->link_timer, VNET_LINK_PERIOD);
	vnet_vhost_sync(v);
	for (unsigned q = 0; q < VNET_QUEUES; q++)
		vnet_poke(v, q);
}

/* On a vCPU thread, with work held: no frame is in flight. The backend may still call
 * vnet_rx_ready() once, which then turns reception off. */
static void vnet_reset(void *dev)
{
	struct vnet *v = dev;

	v->running = false;
	vnet_vhost_sync(v);
	v->tx_awake = true; /* there is nothing to look at */
	v->guest_offloads = 0;
	v->tx.blocked = false;
	v->rx = (struct vnet_rx){ .starved = true };
	vnet_filter_reset(&v->filter);
	virtio_pci_config_set(&v->vp, offsetof(struct virtio_net_config, mac), v->nic.cfg.mac,
			      ETH_ALEN, false);
}

/* 9. Operations, create, destroy */

/* A doorbell, on the I/O thread. */
static void vnet_kick(void *dev, unsigned q)
{
	static void (*const kick[])(struct vnet *) = {
		[VNET_RX] = vnet_rx_resume,
		[VNET_TX] = vnet_tx_run,
		[VNET_CTRL] = vnet_ctrl_kick,
	};
	struct vnet *v = dev;

	nic_work_begin(&v->nic);
	vnet_count_kicks(v, q, v->vp.q[q].kick.count);
	if (vnet_live(v, q))
		kick[q](v);
	lock_drop(&v->nic.work);
}

/* Let the driver ring again, or go on without, whichever vnet_tx_sleep() finds right. */
static void vnet_catch_up(struct nic *n)
{
	struct vnet *v = vnet_of(n);

	if (vnet_live(v, VNET_TX))
		vnet_tx_run(v);
}

/* The driver was asked not to ring: look whether it would have. */
static void vnet_look(struct nic *n)
{
	struct vnet *v = vnet_of(n);

	if (v->tx_awake || __atomic_load_n(v->tx_idx, __ATOMIC_RELAXED) == v->tx_seen ||
	    atomic_exchange(&v->tx_awake, true))
		return;
	v->rung_by_watcher++;
	loop_event_signal(&v->vp.q[VNET_TX].kick);
}

/* A doorbell, on the thread of the vCPU that rang: without a worker it transmits. */
static void vnet_rung(void *dev, unsigned q)
{
	struct vnet *v = dev;

	lock_take(&v->nic.work);
	counter_inc(&v->nic.stat.tx_kicks);
	if (vnet_live(v, q))
		vnet_tx_run(v);
	lock_drop(&v->nic.work);
}

static void vnet_fault(void *dev, const char *why)
{
	struct vnet *v = dev;

	nic_guest_fault(&v->nic, why);
}

static const struct virtio_pci_ops vnet_virtio_ops = {
	.features_ok = vnet_features_ok,
	.driver_ok = vnet_driver_ok,
	.reset = vnet_reset,
	.kick = vnet_kick,
	.rung = vnet_rung,
	.vector = vnet_vhost_vector,
	.fault = vnet_fault,
};

static void vnet_config_reading(struct pci_dev *d, unsigned off, unsigned size)
{
	virtio_pci_config_reading(&vnet_of(container_of(d, struct nic, pci))->vp, off, size);
}

static void vnet_config_written(struct pci_dev *d, unsigned off, unsigned size)
{
	struct vnet *v = vnet_of(container_of(d, struct nic, pci));

	virtio_pci_config_written(&v->vp, off, size);
	if (off > PCI_COMMAND + 1 || off + size <= PCI_COMMAND)
		return;
	/* Doorbells that rang while we were no bus master went unanswered. */
	lock_take(&v->nic.work);
	vnet_vhost_sync(v);
	for (unsigned q = 0; v->running && q < VNET_QUEUES; q++)
		vnet_poke(v, q);
	lock_drop(&v->nic.work);
}

static void vnet_destroy(struct nic *n)
{
	struct vnet *v = vnet_of(n);

	loop_timer_destroy(&v->link_timer);
	virtio_pci_destroy(&v->vp);
	vnet_vhost_free(v);
	nic_fini(n);
	free(v);
}

static void vnet_stats(struct nic *n, struct json *j)
{
	struct vnet *v = vnet_of(n);

	lock_take(&n->work);
	json_u64(j, "features", v->negotiated);
	json_str(j, "frames_by", v->vhost ? "vhost" : "duet");
	lock_drop(&n->work);
}

static const struct nic_ops vnet_nic_ops = {
	.model = "virtio",
	.destroy = vnet_destroy,
	.stats = vnet_stats,
	.count = vnet_vhost_count,
	.accounts = vnet_accounts,
	.poll_begin = vnet_catch_up,
	.poll_end = vnet_catch_up,
	.look = vnet_look,
	.catch_up = vnet_catch_up,
};

static void vnet_config_init(struct vnet *v)
{
	memcpy(v->config.mac, v->nic.cfg.mac, ETH_ALEN);
	v->config.status = net_link_up(v->nic.be) ? VIRTIO_NET_S_LINK_UP : 0;
	v->config.max_virtqueue_pairs = 1;
	v->config.mtu = (uint16_t)v->nic.cfg.mtu;
	vnet_filter_reset(&v->filter);
	v->rx.starved = true;
}

static int vnet_attach(struct vnet *v, struct pci_host *pci, unsigned slot)
{
	int err;

	v->vp = (struct virtio_pci){
		.ops = &vnet_virtio_ops,
		.dev = v,
		.m = v->nic.m,
		.pci = &v->nic.pci,
		.work = &v->nic.work,
		.lock = &v->nic.lock,
		.offered = vnet_offered(&v->nic.cfg),
		.n_queues = VNET_QUEUES,
		.rung_at = nic_has(&v->nic, RUNG_WORKER) ? 0 : BIT(VNET_TX),
		.queue_max = { VNET_QUEUE_SIZE, VNET_QUEUE_SIZE, VNET_CTRL_SIZE },
		.config = (uint8_t *)&v->config,
		.config_len = offsetof(struct virtio_net_config, speed),
	};
	err = virtio_pci_init(&v->vp, VIRTIO_ID_NET, VNET_CLASS);
	if (err)
		return err;
	v->nic.pci.config_reading = vnet_config_reading;
	v->nic.pci.config_written = vnet_config_written;
	err = loop_timer_init(v->nic.m->loop, &v->link_timer, vnet_link_look);
	return err ? err : pci_attach(pci, &v->nic.pci, slot);
}

struct nic *virtio_net_new(struct machine *m, struct pci_host *pci, unsigned slot,
			   const struct nic_config *cfg, struct net *be)
{
	struct vnet *v = calloc(1, sizeof(*v));
	int err;

	if (!v) {
		log_error("%s: out of memory", cfg->name);
		net_close(be);
		return NULL;
	}
	v->link_timer.f.fd = -1;
	v->tx_awake = true;
	err = nic_init(&v->nic, &vnet_nic_ops, m, cfg, be);
	vnet_config_init(v);
	if (!err)
		err = vnet_attach(v, pci, slot);
	if (err)
		log_error("%s: cannot put a virtio-net in PCI slot %u: %s", cfg->name, slot,
			  strerror(-err));
	else
		err = vnet_vhost_new(v);
	if (err) {
		vnet_destroy(&v->nic);
		return NULL;
	}
	net_attach(be, &(struct net_client){
			       .readable = vnet_rx_ready, .writable = vnet_tx_writable, .nic = v });
	return &v->nic;
}

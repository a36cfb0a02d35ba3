/* SPDX-License-Identifier: MIT */
/*
 * virtio_server.c: from a doorbell to serve(), and from its answer to an interrupt.
 *
 *   doorbell -> eventfd -> vserver_kicked -> vserver_drain -> vserver_one: chain -> serve()
 *     -> used ring -> MSI-X or INTA#, if the driver asked for it
 *
 * Each answer is published, and told if the driver wants to hear of it, before the next
 * request is looked at: requests may be slow, and none waits for the next.
 */
#include "devices/virtio_server.h"

#include "vmm/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_config.h>

#define VSERVER_BATCH 32 /* requests until others may have the lock */

#define VSERVER_OFFERED                                                                            \
	(BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_RING_F_EVENT_IDX) |                              \
	 BIT64(VIRTIO_RING_F_INDIRECT_DESC))

static struct virtq *vserver_q(struct vserver *v)
{
	return &v->vp.q[0].vq;
}

void vserver_fault(struct vserver *v, const char *why)
{
	/* vCPU threads write this one, too. */
	atomic_fetch_add_explicit(&v->stat.guest_faults, 1, memory_order_relaxed);
	trace(GUEST, "%s: %s", v->name, why);
}

/* --- requests ----------------------------------------------------------------------- */

/* May the queue be touched? */
static bool vserver_live(struct vserver *v)
{
	return v->running && virtq_enabled(vserver_q(v)) && pci_bus_master(&v->pci);
}

/* Have the loop's thread look at the queue. work held. */
static void vserver_poke(struct vserver *v)
{
	v->poked++;
	loop_event_signal(&v->vp.q[0].kick);
}

static void vserver_irq_update(struct vserver *v)
{
	bool raised = virtq_irq_due(vserver_q(v)) && virtio_pci_irq(&v->vp, 0);

	if (raised)
		trace(IRQ, "%s: interrupt", v->name);
	counter_inc(raised ? &v->stat.irqs : &v->stat.irqs_suppressed);
}

/* The queue makes no sense any more: until a reset, that is it. */
static void vserver_broken(struct vserver *v, const char *why)
{
	v->running = false;
	virtio_pci_needs_reset(&v->vp, why);
}

/* One request. > 0: answered, 0: there is none, < 0: stop. */
static int vserver_one(struct vserver *v)
{
	struct virtq *q = vserver_q(v);
	struct virtq_chain c;
	int got = virtq_pop(q, &c, v->iov, VSERVER_IOV);
	uint64_t start;
	uint32_t len;

	if (got < 0)
		vserver_broken(v, got == -E2BIG ? "request of too many buffers" : q->fault);
	if (got <= 0)
		return got;
	start = acct_now();
	len = v->ops->serve(v, &c);
	counter_add(&v->stat.busy, acct_span(start, acct_now()));
	counter_inc(&v->stat.requests);
	virtq_push(q, c.head, len);
	virtq_publish(q);
	vserver_irq_update(v);
	return 1;
}

/* All that waits, up to a batch; the driver need not ring meanwhile. */
static void vserver_drain(struct vserver *v)
{
	struct virtq *q = vserver_q(v);
	unsigned n = 0;
	int got = 1;

	while (got >= 0 && n < VSERVER_BATCH) {
		virtq_kick_disable(q);
		got = vserver_one(v);
		n += got > 0;
		/* Empty: ask for a kick, then look once more. */
		if (!got && !virtq_kick_enable(q))
			return;
	}
	if (n == VSERVER_BATCH)
		vserver_poke(v);
}

/* --- what the transport asks ---------------------------------------------------------- */

/* A doorbell, on the loop's thread. The eventfd has added up the signals, ours and the
 * guest's. */
static void vserver_kicked(void *dev, unsigned q)
{
	struct vserver *v = dev;
	uint64_t n = v->vp.q[q].kick.count, own;

	lock_take(&v->work);
	own = MIN(n, (uint64_t)v->poked);
	v->poked -= (unsigned)own;
	counter_add(&v->stat.kicks, n - own);
	counter_inc(&v->stat.wakeups);
	if (vserver_live(v))
		vserver_drain(v);
	lock_drop(&v->work);
}

/* No feature of the devices here rests on another. */
static bool vserver_features_ok(void *dev, uint64_t features)
{
	(void)dev;
	(void)features;
	return true;
}

static void vserver_driver_ok(void *dev)
{
	struct vserver *v = dev;

	v->running = true;
	v->negotiated = v->vp.features;
	vserver_poke(v); /* for what was posted, and rung for, too early */
}

static void vserver_reset(void *dev)
{
	struct vserver *v = dev;

	v->running = false;
}

static void vserver_transport_fault(void *dev, const char *why)
{
	vserver_fault(dev, why);
}

static const struct virtio_pci_ops vserver_virtio_ops = {
	.features_ok = vserver_features_ok,
	.driver_ok = vserver_driver_ok,
	.reset = vserver_reset,
	.kick = vserver_kicked,
	.fault = vserver_transport_fault,
};

static void vserver_config_reading(struct pci_dev *d, unsigned off, unsigned size)
{
	virtio_pci_config_reading(&container_of(d, struct vserver, pci)->vp, off, size);
}

static void vserver_config_written(struct pci_dev *d, unsigned off, unsigned size)
{
	struct vserver *v = container_of(d, struct vserver, pci);

	virtio_pci_config_written(&v->vp, off, size);
	if (off > PCI_COMMAND + 1 || off + size <= PCI_COMMAND)
		return;
	/* Doorbells that rang while we were no bus master went unanswered. */
	lock_take(&v->work);
	if (v->running)
		vserver_poke(v);
	lock_drop(&v->work);
}

/* --- set-up ------------------------------------------------------------------------- */

int vserver_init(struct vserver *v, const struct vserver_ops *ops, struct machine *m,
		 struct pci_host *pci, unsigned slot, const struct vserver_config *cfg)
{
	int err;

	v->ops = ops;
	v->name = cfg->name;
	lock_init(&v->work);
	lock_init(&v->lock);
	v->vp = (struct virtio_pci){
		.ops = &vserver_virtio_ops,
		.dev = v,
		.m = m,
		.pci = &v->pci,
		.work = &v->work,
		.lock = &v->lock,
		.loop = cfg->loop,
		.offered = VSERVER_OFFERED | cfg->features,
		.n_queues = 1,
		.queue_max = { VSERVER_QUEUE },
		.config = cfg->config,
		.config_len = cfg->config_len,
	};
	err = virtio_pci_init(&v->vp, ops->type, ops->class_code);
	if (err)
		return err;
	v->pci.config_reading = vserver_config_reading;
	v->pci.config_written = vserver_config_written;
	return pci_attach(pci, &v->pci, slot);
}

void vserver_fini(struct vserver *v)
{
	virtio_pci_destroy(&v->vp);
	lock_destroy(&v->lock);
	lock_destroy(&v->work);
}

/* --- statistics --------------------------------------------------------------------- */

void vserver_stats_json(struct vserver *v, struct json *j)
{
	json_str(j, "name", v->name);
	json_str(j, "model", v->ops->model);
#define X(name, what) json_u64(j, #name, counter_get(&v->stat.name));
	VSERVER_STATS(X)
#undef X
	json_u64(j, "busy_ns", acct_ns(counter_get(&v->stat.busy)));
	v->ops->stats_json(v, j);
	locks_json(&v->work, &v->lock, j);
	json_open(j, "registers", '[');
	virtio_pci_accounts(&v->vp, access_json, j);
	json_close(j, ']');
	json_u64(j, "features", counter_get(&v->negotiated));
}

void vserver_stats_print(struct vserver *v, FILE *f)
{
	fprintf(f, "%s (%s): %.1f us with requests\n", v->name, v->ops->model,
		(double)acct_ns(counter_get(&v->stat.busy)) / 1e3);
#define X(name, what) counter_print(#name, what, &v->stat.name, f);
	VSERVER_STATS(X)
#undef X
	v->ops->stats_print(v, f);
	locks_print(&v->work, &v->lock, f);
	access_print_head(f, "register");
	virtio_pci_accounts(&v->vp, access_print, f);
}

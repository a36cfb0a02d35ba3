/* SPDX-License-Identifier: MIT */
/*
 * virtio_net_vhost.c: vhost=on: the host's kernel moves the frames (vhost.h), this device
 * keeps the registers, the control queue, and the say when.
 *
 *   guest: doorbell -> eventfd -> the kernel's thread: ring -> tap
 *   the kernel's thread: used ring -> eventfd -> KVM -> the guest's MSI-X vector
 *
 * Frames, doorbells and interrupts pass this process by. Only where the guest may not be
 * sent a message (it is masked, or there is INTA# instead) does the kernel signal `call`, and the
 * I/O thread does as it does for its own interrupts. The doorbells' eventfds count on
 * while the kernel waits for them, so what was rung is known all the same.
 *
 * The kernel has both queues while the driver is there (DRIVER_OK), the function is a bus
 * master and the tap exists: vnet_vhost_sync(), whenever one of these may have changed, gives
 * them or takes them back. Taking back waits for the kernel, so it is the quiesce.
 *
 * Left out on purpose: the receive filter, which the kernel does not have, so it is not offered.
 */
#include "devices/vhost.h"
#include "devices/virtio_net.h"
#include "vmm/log.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define VNET_VHOST_QUEUES 2 /* VNET_RX, VNET_TX; the same numbers are the kernel's */

/* What is between kernel and driver, and not ours: the rest is between us and the driver, or
 * between us and the tap. */
#define VNET_VHOST_KERNEL                                                                          \
	(BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_RING_F_EVENT_IDX) |                              \
	 BIT64(VIRTIO_RING_F_INDIRECT_DESC) | BIT64(VIRTIO_NET_F_MRG_RXBUF))
#define VNET_VHOST_FILTERS                                                                         \
	(BIT64(VIRTIO_NET_F_CTRL_RX) | BIT64(VIRTIO_NET_F_CTRL_RX_EXTRA) |                         \
	 BIT64(VIRTIO_NET_F_CTRL_VLAN))

struct vnet_vhost_queue {
	/* fixed at create: */
	struct vnet *v;
	struct loop_event call;    /* the kernel would interrupt, but KVM must not */
	struct msix_sender sender; /* the kernel, as MSI-X sees it */
};

struct vnet_vhost {
	/* fixed at create, but for their insides: */
	struct vhost kernel;
	int tap; /* the backend's */
	struct vnet_vhost_queue q[VNET_VHOST_QUEUES];
	struct loop_fd err; /* eventfd: the kernel cannot make sense of a ring */
	struct vnet *v;
};

/* --- interrupts ----------------------------------------------------------------------- */

static void vnet_vhost_called(struct loop_event *e)
{
	struct vnet_vhost_queue *vq = container_of(e, struct vnet_vhost_queue, call);
	struct vnet *v = vq->v;

	nic_work_begin(&v->nic);
	if (v->running)
		vnet_irq_raise(v, (unsigned)(vq - v->vhost->q));
	lock_drop(&v->nic.work);
}

/* As msix_sender.use(). */
static void vnet_vhost_use(struct msix_sender *s, int fd)
{
	struct vnet_vhost_queue *vq = container_of(s, struct vnet_vhost_queue, sender);
	struct vnet_vhost *vh = vq->v->vhost;

	trace(IRQ, "%s: queue %u: the kernel sends %s", vq->v->nic.cfg.name, (unsigned)(vq - vh->q),
	      fd < 0 ? "nothing, and tells us" : "the message");
	vhost_call(&vh->kernel, (unsigned)(vq - vh->q), fd < 0 ? vq->call.f.fd : fd);
}

void vnet_vhost_vector(void *dev, unsigned q)
{
	struct vnet *v = dev;

	if (v->vhost && v->vp.has_msix && q < VNET_VHOST_QUEUES)
		msix_sender_move(&v->vp.msix, &v->vhost->q[q].sender, v->vp.q[q].vector);
}

/* --- who serves the queues ------------------------------------------------------------ */

static int vnet_vhost_give(struct vnet *v, unsigned q)
{
	struct virtio_pci_queue *pq = &v->vp.q[q];
	int err;

	vnet_vhost_vector(v, q); /* a reset has none */
	/* Two that wait for one eventfd would both be woken. */
	loop_fd_mod(&pq->kick.f, 0);
	v->lent |= BIT(q);
	err = vhost_start(&v->vhost->kernel, q, &pq->vq, pq->kick.f.fd, v->vhost->tap);
	trace(NET, "%s: queue %u is the kernel's from %u on, error %d", v->nic.cfg.name, q,
	      pq->vq.next_avail, err);
	return err;
}

static void vnet_vhost_take(struct vnet *v, unsigned q)
{
	struct virtio_pci_queue *pq = &v->vp.q[q];

	vhost_stop(&v->vhost->kernel, q, &pq->vq);
	trace(NET, "%s: queue %u is back, at %u", v->nic.cfg.name, q, pq->vq.next_avail);
	v->lent &= ~BIT(q);
	loop_fd_mod(&pq->kick.f, EPOLLIN); /* what was rung meanwhile is counted then */
}

/* Whatever the last driver's rings were accused of is over. */
static bool vnet_vhost_accused(struct vnet_vhost *vh)
{
	uint64_t n;

	return read(vh->err.fd, &n, sizeof(n)) == sizeof(n);
}

static void vnet_vhost_give_all(struct vnet *v)
{
	int err = vhost_negotiated(&v->vhost->kernel, v->vp.features & VNET_VHOST_KERNEL);

	vnet_rx_offload_apply(v);
	net_log_offloads(v->nic.be, v->nic.cfg.name, vnet_rx_offload(v), vnet_tx_offload(v));
	vnet_vhost_accused(v->vhost);
	for (unsigned q = 0; q < VNET_VHOST_QUEUES && !err; q++)
		if (virtq_enabled(vnet_q(v, q)))
			err = vnet_vhost_give(v, q);
	if (err)
		vnet_broken(v, NULL); /* virtq_enable() has found the rings good */
}

void vnet_vhost_sync(struct vnet *v)
{
	bool kernel;

	if (!v->vhost)
		return;
	kernel = v->running && pci_bus_master(&v->nic.pci) && net_link_up(v->nic.be);
	if (kernel && !v->lent)
		vnet_vhost_give_all(v);
	for (unsigned q = 0; v->lent && !kernel && q < VNET_VHOST_QUEUES; q++)
		if (v->lent & BIT(q))
			vnet_vhost_take(v, q);
}

static void vnet_vhost_erred(struct loop_fd *f, uint32_t events)
{
	struct vnet *v = container_of(f, struct vnet_vhost, err)->v;

	(void)events;
	nic_work_begin(&v->nic);
	if (vnet_vhost_accused(v->vhost) && v->lent)
		vnet_broken(v, "a ring or descriptor that the host's kernel cannot follow");
	lock_drop(&v->nic.work);
}

/* --- counters --------------------------------------------------------------------------- */

void vnet_vhost_count(struct nic *n)
{
	struct vnet *v = container_of(n, struct vnet, nic);
	uint64_t rung;

	for (unsigned q = 0; q < VNET_VHOST_QUEUES; q++)
		if ((v->lent & BIT(q)) && read(v->vp.q[q].kick.f.fd, &rung, sizeof(rung)) > 0)
			vnet_count_kicks(v, q, rung);
}

/* --- create, destroy -------------------------------------------------------------------- */

static int vnet_vhost_events(struct vnet *v, struct loop *l)
{
	struct vnet_vhost *vh = v->vhost;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), err;

	if (fd < 0)
		return -errno;
	err = loop_fd_add(l, &vh->err, fd, EPOLLIN, vnet_vhost_erred);
	if (err)
		close(fd);
	for (unsigned q = 0; q < VNET_VHOST_QUEUES && !err; q++)
		err = loop_event_init(l, &vh->q[q].call, vnet_vhost_called);
	return err;
}

static int vnet_vhost_open(struct vnet *v)
{
	struct vnet_vhost *vh = v->vhost;
	int err;

	vh->tap = net_lend(v->nic.be, VNET_HDR_LEN);
	if (vh->tap < 0)
		return vh->tap;
	err = vhost_open(&vh->kernel, v->nic.cfg.name, &v->nic.m->mem, vh->err.fd,
			 VNET_VHOST_QUEUES);
	for (unsigned q = 0; q < VNET_VHOST_QUEUES && !err; q++)
		err = vhost_call(&vh->kernel, q, vh->q[q].call.f.fd);
	for (unsigned q = 0; q < VNET_VHOST_QUEUES && v->vp.has_msix; q++)
		msix_sender_add(&v->vp.msix, &vh->q[q].sender);
	/* No driver has seen them yet. */
	v->vp.offered &= ~VNET_VHOST_FILTERS & (vh->kernel.features | ~VNET_VHOST_KERNEL);
	return err;
}

int vnet_vhost_new(struct vnet *v)
{
	int err;

	if (!v->nic.cfg.vhost)
		return 0;
	v->vhost = calloc(1, sizeof(*v->vhost));
	if (!v->vhost)
		return -ENOMEM;
	v->vhost->v = v;
	v->vhost->kernel.fd = v->vhost->err.fd = -1;
	for (unsigned q = 0; q < VNET_VHOST_QUEUES; q++) {
		v->vhost->q[q].v = v;
		v->vhost->q[q].call.f.fd = -1;
		v->vhost->q[q].sender.use = vnet_vhost_use;
	}
	err = vnet_vhost_events(v, v->nic.m->loop);
	if (err)
		log_error("%s: vhost=on: %s", v->nic.cfg.name, strerror(-err));
	return err ? err : vnet_vhost_open(v);
}

void vnet_vhost_free(struct vnet *v)
{
	struct vnet_vhost *vh = v->vhost;

	if (!vh)
		return;
	vhost_close(&vh->kernel);
	for (unsigned q = 0; q < VNET_VHOST_QUEUES; q++)
		loop_event_destroy(&vh->q[q].call);
	if (vh->err.fd >= 0) {
		int fd = vh->err.fd;

		loop_fd_del(&vh->err);
		close(fd);
	}
	free(vh);
}

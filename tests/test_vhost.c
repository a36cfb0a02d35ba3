/* SPDX-License-Identifier: MIT */
/*
 * test_vhost.c: virtio-net with vhost=on: what the host's kernel is told and when, and who
 * interrupts. The kernel is a fake (tests/rig/fake_vhost.h).
 */
#include "devices/vhost.h"
#include "devices/virtio_net.h"
#include "tests/rig/exam.h"
#include "tests/rig/fake_vhost.h"
#include "tests/rig/grab.h"
#include "tests/rig/ring_virtio.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CFG(field) __builtin_offsetof(struct virtio_pci_common_cfg, field)
#define F(name)    BIT64(VIRTIO_NET_F_##name)
#define RINGS      (BIT64(VIRTIO_RING_F_EVENT_IDX) | BIT64(VIRTIO_RING_F_INDIRECT_DESC))
#define FRAME      100u

int open(const char *path, int flags, ...)
{
	if (!strcmp(path, VHOST_DEVICE))
		return fake_vhost_open();
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	return fd == fake_vhost.fd ? fake_vhost_ioctl(request, arg)
				   : (int)syscall(SYS_ioctl, fd, request, arg);
}

static bool signalled(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void signal_fd(int fd)
{
	uint64_t one = 1;

	ck_assert_int_eq(write(fd, &one, sizeof(one)), sizeof(one));
}

/* --- the machine --------------------------------------------------------------------- */

static uint8_t frame[FRAME];

static struct nic_rig *rig(bool intx)
{
	struct rig_opts o = { .vhost = true, .intx = intx, .features_on = UINT64_MAX };

	return nic_rig_new(RIG_VIRTIO, &o);
}

static void rig_end(struct nic_rig *r)
{
	int fd = fake_vhost.fd;

	nic_rig_free(r);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}

static uint64_t status(struct nic_rig *r)
{
	return ring_virtio_cfg_read(r, CFG(device_status), 1);
}

static const struct fake_msi *message(const struct nic_rig *r, unsigned q)
{
	return &r->m->f->msi[RIG_VQ_VECTOR(q)];
}

static bool served(void)
{
	ck_assert((fake_vhost.q[0].tap >= 0) == (fake_vhost.q[1].tap >= 0));
	return fake_vhost.q[0].tap >= 0;
}

static void bus_master(struct nic_rig *r, bool on)
{
	fake_pci_write(r->m->f, r->slot, PCI_COMMAND, 2,
		       PCI_COMMAND_MEMORY | (on ? PCI_COMMAND_MASTER : 0));
	rig_run(r);
}

static uint64_t hva(const struct nic_rig *r, gpa_t at)
{
	return (uintptr_t)gm_span(&r->m->f->m.mem, at, 1);
}

/* --- before the guest ----------------------------------------------------------------- */

static const struct {
	int err;
	const char *cure;
} absent[] = {
	{ ENOENT, "modprobe vhost_net" },
	{ ENODEV, "modprobe vhost_net" },
	{ EACCES, "join the device's group" },
	{ EMFILE, "Too many open files" },
};

static struct nic *refused(const char **said)
{
	static struct grab g;
	struct rig_machine *m = rig_machine_new(0);
	struct fake_net *be = fake_net_new(m->f->m.loop, NET_OFF_ALL);
	struct nic_config cfg = { .name = "net0",
				  .mac = { 2, 0, 0, 0, 0, 9 },
				  .rungs = LADDER_BEST & LADDER_VIRTIO,
				  .poll_us = 1,
				  .vhost = true };
	struct nic *n;

	grab_start(&g);
	n = virtio_net_new(&m->f->m, m->pci, 3, &cfg, &be->net);
	*said = grab_stop(&g);
	if (!n)
		rig_machine_free(m);
	return n;
}

START_TEST(absent_device_is_refused_with_the_cure)
{
	const char *said;

	fake_vhost_boot();
	fake_vhost.open_errno = absent[_i].err;
	ck_assert_ptr_null(refused(&said));
	ck_assert_msg(strstr(said, "duet: net0: /dev/vhost-net: ") == said &&
			      strstr(said, absent[_i].cure) && strchr(said, '\n')[1] == '\0',
		      "%s", said);
}
END_TEST

static const unsigned long setup_requests[] = { VHOST_SET_OWNER, VHOST_GET_FEATURES,
						VHOST_SET_MEM_TABLE, VHOST_SET_VRING_ERR,
						VHOST_SET_VRING_CALL };

START_TEST(fake_vhost_that_refuses_to_be_set_up_ends_it)
{
	const char *said;

	fake_vhost_boot();
	fake_vhost.refused = setup_requests[_i];
	ck_assert_ptr_null(refused(&said));
	ck_assert_msg(strstr(said, "net0: /dev/vhost-net: VHOST_") &&
			      strstr(said, "Operation not permitted; leave out vhost=on\n"),
		      "%s", said);
	ck_assert_int_eq(fcntl(fake_vhost.fd, F_GETFD), -1);
}
END_TEST

START_TEST(fake_vhost_is_told_of_all_memory)
{
	fake_vhost_boot();
	struct nic_rig *r = rig(false);
	const struct gmem *m = &r->m->f->m.mem;

	ck_assert_uint_eq(fake_vhost.mem->nregions, m->n);
	for (unsigned i = 0; i < m->n; i++) {
		ck_assert_uint_eq(fake_vhost.mem->regions[i].guest_phys_addr, m->r[i].gpa);
		ck_assert_uint_eq(fake_vhost.mem->regions[i].memory_size, m->r[i].size);
		ck_assert_uint_eq(fake_vhost.mem->regions[i].userspace_addr,
				  (uintptr_t)m->r[i].hva);
	}
	rig_end(r);
}
END_TEST

/* --- features ------------------------------------------------------------------------- */

START_TEST(filters_are_not_offered_and_rings_are_as_the_kernel_knows_them)
{
	fake_vhost_boot();
	fake_vhost.knows &= _i ? ~BIT64(VIRTIO_RING_F_EVENT_IDX) : UINT64_MAX;
	struct nic_rig *r = rig(false);
	uint64_t f = r->v.features;

	ck_assert(!(f & (F(CTRL_RX) | F(CTRL_RX_EXTRA) | F(CTRL_VLAN))));
	ck_assert(f & F(CTRL_MAC_ADDR) && f & F(CTRL_GUEST_OFFLOADS) && f & F(HOST_TSO4));
	ck_assert_uint_eq(f & RINGS, fake_vhost.knows & RINGS);
	ck_assert_uint_eq(fake_vhost.features,
			  f & fake_vhost.knows); /* ours are none of its business */
	ck_assert_int_eq(r->net->lent, VNET_HDR_LEN);
	ck_assert_uint_eq(r->nic->be->rx_offload, NET_OFF_ALL);
	rig_end(r);
}
END_TEST

START_TEST(offloads_that_the_driver_turns_off_reach_the_backend)
{
	fake_vhost_boot();
	struct nic_rig *r = rig(false);
	uint64_t none = 0;

	ck_assert_uint_eq(ring_virtio_command(r, VIRTIO_NET_CTRL_GUEST_OFFLOADS,
					      VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, &none, 8),
			  VIRTIO_NET_OK);
	ck_assert_uint_eq(r->nic->be->rx_offload, 0);
	rig_end(r);
}
END_TEST

/* --- queues ----------------------------------------------------------------------------- */

START_TEST(started_driver_gives_both_queues_to_the_kernel)
{
	fake_vhost_boot();
	struct nic_rig *r = rig(false);

	ck_assert(served());
	for (unsigned q = 0; q < 2; q++) {
		const struct rig_vq *v = &r->v.q[q];
		const struct fake_vhost_queue *k = &fake_vhost.q[q];

		ck_assert_uint_eq(k->size, v->size);
		ck_assert_uint_eq(k->base, 0);
		ck_assert_uint_eq(k->at.desc_user_addr, hva(r, v->desc));
		ck_assert_uint_eq(k->at.avail_user_addr, hva(r, v->avail));
		ck_assert_uint_eq(k->at.used_user_addr, hva(r, v->used));
		ck_assert_uint_eq(k->at.flags, 0);
		ck_assert_int_eq(k->tap, r->net->wake.f.fd);
	}
	rig_end(r);
}
END_TEST

START_TEST(frames_and_doorbells_are_left_to_the_kernel_and_counted)
{
	fake_vhost_boot();
	struct nic_rig *r = rig(false);
	struct vnet *v = container_of(r->nic, struct vnet, nic);
	struct nic_stat *s = &r->nic->stat;

	for (unsigned i = 0; i < 3; i++) {
		ck_assert(rig_post_tx(r, frame, FRAME));
		ring_vq_ring_bell(r, RIG_VQ_TX);
		rig_post_rx(r, 1);
		ring_vq_ring_bell(r, RIG_VQ_RX);
	}
	rig_receive(r, frame, FRAME, NULL);
	rig_run(r);
	/* And doorbells that were on their way to the I/O thread when it gave the queues away. */
	v->vp.ops->kick(v, VNET_TX);
	v->vp.ops->kick(v, VNET_RX);
	ck_assert_uint_eq(r->net->sends, 0);
	ck_assert_uint_eq(fake_net_waiting(r->net), 1);
	ck_assert_uint_eq(v->vp.q[VNET_TX].vq.next_avail, 0);
	ck_assert(signalled(fake_vhost.q[0].kick) && signalled(fake_vhost.q[1].kick));
	lock_take(&r->nic->work);
	vnet_vhost_count(r->nic);
	lock_drop(&r->nic->work);
	ck_assert_uint_eq(counter_get(&s->tx_kicks), 3);
	ring_vq_ring_bell(r, RIG_VQ_TX);
	bus_master(r, false); /* and those of which nobody asked meanwhile */
	ck_assert_uint_eq(counter_get(&s->tx_kicks), 4);
	ck_assert_uint_ge(counter_get(&s->rx_kicks), 3);
	rig_end(r);
}
END_TEST

START_TEST(reset_takes_the_queues_back_and_the_next_driver_begins_anew)
{
	fake_vhost_boot();
	struct nic_rig *r = rig(false);

	rig_post_tx(r, frame, FRAME);
	fake_vhost_use(RIG_VQ_TX, 0);
	r->drv->reset(r);
	ck_assert(!served());
	ck_assert_int_eq(fake_vhost.q[0].kick, -1);
	ck_assert_int_eq(fake_vhost.q[1].kick, -1);
	rig_restart(r);
	ck_assert(served());
	ck_assert_uint_eq(fake_vhost.q[RIG_VQ_TX].base, 0);
	ck_assert_uint_eq(fake_vhost.starts, 4);
	ck_assert_uint_eq(counter_get(&r->nic->stat.guest_faults), 0);
	rig_end(r);
}
END_TEST

START_TEST(no_bus_master_no_kernel_and_then_on_where_it_stopped)
{
	fake_vhost_boot();
	struct nic_rig *r = rig(false);

	for (unsigned i = 0; i < 5; i++)
		ck_assert(rig_post_tx(r, frame, FRAME));
	fake_vhost_use(RIG_VQ_TX, 0);
	fake_vhost_use(RIG_VQ_TX, 0);
	bus_master(r, false);
	ck_assert(!served());
	bus_master(r, false); /* nothing to do again */
	ck_assert_uint_eq(fake_vhost.stops, 2);
	ck_assert_uint_eq(r->net->sends, 0);
	bus_master(r, true);
	ck_assert(served());
	ck_assert_uint_eq(fake_vhost.q[RIG_VQ_TX].base, 2);
	ck_assert_uint_eq(fake_vhost.q[RIG_VQ_RX].base, 0);
	rig_end(r);
}
END_TEST

START_TEST(tap_that_goes_is_taken_from_the_kernel)
{
	fake_vhost_boot();
	struct nic_rig *r = rig(false);

	r->net->link = false;
	loop_timer_set(&container_of(r->nic, struct vnet, nic)->link_timer, 1);
	loop_once(r->m->f->m.loop, -1);
	ck_assert(!served());
	rig_end(r);
}
END_TEST

START_TEST(driver_of_the_control_queue_alone_gives_the_kernel_nothing)
{
	fake_vhost_boot();
	struct nic_rig *r = rig(false);

	ring_virtio_accept(r);
	ring_virtio_go(r, 0);
	rig_run(r);
	ck_assert_uint_eq(fake_vhost.starts, 2);
	ck_assert(!served());
	ck_assert_uint_eq(counter_get(&r->nic->stat.guest_faults), 0);
	rig_end(r);
}
END_TEST

/* --- faults ----------------------------------------------------------------------------- */

START_TEST(ring_that_the_kernel_cannot_follow_needs_a_reset)
{
	fake_vhost_boot();
	struct nic_rig *r = rig(false);

	ck_assert_int_eq(fake_vhost.q[0].err, fake_vhost.q[1].err);
	signal_fd(fake_vhost.q[1].err);
	rig_run(r);
	ck_assert(status(r) & VIRTIO_CONFIG_S_NEEDS_RESET);
	ck_assert(!served());
	ck_assert_uint_eq(counter_get(&r->nic->stat.guest_faults), 1);
	rig_restart(r);
	ck_assert(served());
	ck_assert(!(status(r) & VIRTIO_CONFIG_S_NEEDS_RESET));
	rig_end(r);
}
END_TEST

START_TEST(fault_of_the_last_driver_is_not_the_next_ones)
{
	fake_vhost_boot();
	struct nic_rig *r = rig(false);

	signal_fd(fake_vhost.q[1].err);
	r->drv->start(r); /* resets, and is there again, before anybody looks */
	rig_run(r);
	ck_assert(served());
	ck_assert(!(status(r) & VIRTIO_CONFIG_S_NEEDS_RESET));
	ck_assert_uint_eq(counter_get(&r->nic->stat.guest_faults), 0);
	rig_end(r);
}
END_TEST

static const unsigned long start_requests[] = { VHOST_SET_FEATURES,   VHOST_SET_VRING_NUM,
						VHOST_SET_VRING_BASE, VHOST_SET_VRING_ADDR,
						VHOST_SET_VRING_KICK, VHOST_NET_SET_BACKEND };

START_TEST(refused_queue_needs_a_reset_and_is_said_once)
{
	struct grab g;
	const char *said;

	fake_vhost_boot();
	struct nic_rig *r = rig(false);

	r->drv->reset(r);
	fake_vhost.refused = start_requests[_i];
	grab_start(&g);
	ring_virtio_accept(r);
	ring_virtio_go(r, 2);
	ck_assert(status(r) & VIRTIO_CONFIG_S_NEEDS_RESET);
	ck_assert_uint_eq(counter_get(&r->nic->stat.guest_faults), 0);
	ring_virtio_accept(r);
	ring_virtio_go(r, 2);
	said = grab_stop(&g);
	ck_assert_msg(strstr(said, "/dev/vhost-net: VHOST_") && strchr(said, '\n')[1] == '\0', "%s",
		      said);
	fake_vhost.refused = 0;
	rig_restart(r);
	ck_assert(served());
	rig_end(r);
}
END_TEST

/* --- interrupts --------------------------------------------------------------------------- */

START_TEST(unmasked_vector_is_signalled_by_the_kernel_itself)
{
	fake_vhost_boot();
	struct nic_rig *r = rig(false);

	for (unsigned q = 0; q < 2; q++)
		ck_assert_int_eq(fake_vhost.q[q].call, message(r, q)->fd);
	rig_end(r);
}
END_TEST

START_TEST(message_for_a_masked_vector_is_pending_until_it_is_unmasked)
{
	fake_vhost_boot();
	struct nic_rig *r = rig(false);

	r->drv->mask(r, true);
	rig_irq_clear(r);
	ck_assert_int_lt(fake_vhost.q[0].call, FAKE_MSI_FD);
	signal_fd(fake_vhost.q[0].call);
	rig_run(r);
	ck_assert_uint_eq(rig_irqs(r), 0);
	ck_assert_uint_eq(rig_read32(r, r->v.msix + 0x800), BIT(RIG_VQ_VECTOR(0)));
	r->drv->mask(r, false);
	ck_assert_uint_eq(rig_irqs(r), 1);
	ck_assert_int_eq(fake_vhost.q[0].call, message(r, 0)->fd);
	rig_end(r);
}
END_TEST

START_TEST(signal_that_crosses_the_unmasking_is_sent)
{
	fake_vhost_boot();
	struct nic_rig *r = rig(false);

	r->drv->mask(r, true);
	rig_irq_clear(r);
	signal_fd(fake_vhost.q[1].call);
	r->drv->mask(r, false);
	ck_assert_uint_eq(rig_irqs(r), 0);
	rig_run(r);
	ck_assert_uint_eq(rig_irqs(r), 1);
	ck_assert_uint_eq(counter_get(&r->nic->stat.irqs), 1);
	rig_end(r);
}
END_TEST

START_TEST(vector_changed_under_way_is_the_one_signalled)
{
	fake_vhost_boot();
	struct nic_rig *r = rig(false);

	ring_virtio_cfg_write(r, CFG(queue_select), 2, RIG_VQ_TX);
	ring_virtio_cfg_write(r, CFG(queue_msix_vector), 2, RIG_VQ_VECTOR(RIG_VQ_RX));
	ck_assert_int_eq(fake_vhost.q[RIG_VQ_TX].call, message(r, RIG_VQ_RX)->fd);
	ring_virtio_cfg_write(r, CFG(queue_msix_vector), 2, VIRTIO_MSI_NO_VECTOR);
	ck_assert_int_lt(fake_vhost.q[RIG_VQ_TX].call, FAKE_MSI_FD);
	ring_virtio_cfg_write(r, CFG(queue_select), 2, RIG_VQ_CTRL);
	ring_virtio_cfg_write(r, CFG(queue_msix_vector), 2, RIG_VQ_VECTOR(RIG_VQ_RX));
	ck_assert_int_eq(fake_vhost.q[RIG_VQ_RX].call, message(r, RIG_VQ_RX)->fd);
	rig_end(r);
}
END_TEST

START_TEST(line_is_raised_for_the_kernel)
{
	fake_vhost_boot();
	struct nic_rig *r = rig(true);

	for (unsigned q = 0; q < 2; q++) {
		ck_assert_int_lt(fake_vhost.q[q].call, FAKE_MSI_FD);
		signal_fd(fake_vhost.q[q].call);
		rig_run(r);
		ck_assert_uint_eq(rig_irqs(r), 1); /* up already, the second time */
	}
	ck_assert_uint_eq(r->drv->ack(r), 1);
	ck_assert(!fake_gsi_level(r->m->f, GSI_PCI_BASE + r->slot % GSI_PCI_NR));
	rig_end(r);
}
END_TEST

static const struct test_entry tests[] = {
	TLOOP(absent_device_is_refused_with_the_cure, 0, ARRAY_SIZE(absent)),
	TLOOP(fake_vhost_that_refuses_to_be_set_up_ends_it, 0, ARRAY_SIZE(setup_requests)),
	T(fake_vhost_is_told_of_all_memory),
	TLOOP(filters_are_not_offered_and_rings_are_as_the_kernel_knows_them, 0, 2),
	T(offloads_that_the_driver_turns_off_reach_the_backend),
	T(started_driver_gives_both_queues_to_the_kernel),
	T(frames_and_doorbells_are_left_to_the_kernel_and_counted),
	T(reset_takes_the_queues_back_and_the_next_driver_begins_anew),
	T(no_bus_master_no_kernel_and_then_on_where_it_stopped),
	T(tap_that_goes_is_taken_from_the_kernel),
	T(driver_of_the_control_queue_alone_gives_the_kernel_nothing),
	T(ring_that_the_kernel_cannot_follow_needs_a_reset),
	T(fault_of_the_last_driver_is_not_the_next_ones),
	TLOOP(refused_queue_needs_a_reset_and_is_said_once, 0, ARRAY_SIZE(start_requests)),
	T(unmasked_vector_is_signalled_by_the_kernel_itself),
	T(message_for_a_masked_vector_is_pending_until_it_is_unmasked),
	T(signal_that_crosses_the_unmasking_is_sent),
	T(vector_changed_under_way_is_the_one_signalled),
	T(line_is_raised_for_the_kernel),
};

CHECK_MAIN("vhost", tests)

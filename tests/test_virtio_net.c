/* SPDX-License-Identifier: MIT */
/*
 * test_virtio_net.c: what only a virtio network device has (virtio 1.2, section 5.1):
 * its configuration structure, features that need each other, and receive buffers of any
 * shape. What it shares with the e1000 is in the test_nic_*.c.
 */
#include "devices/virtio_net.h"
#include "tests/rig/exam.h"
#include "tests/rig/ring_virtio.h"

#include <string.h>

#define CFG(field)    __builtin_offsetof(struct virtio_pci_common_cfg, field)
#define NETCFG(field) __builtin_offsetof(struct virtio_net_config, field)
#define F(name)       BIT64(VIRTIO_NET_F_##name)
#define FRAME         100u

static const uint8_t peer[6] = { 2, 0, 0, 0, 0, 1 };
static uint8_t frame[FRAME_BUF];
static struct rig_rx rx;

static struct nic_rig *rig(uint64_t features_on, uint64_t features_off)
{
	struct rig_opts o = { .features_on = features_on, .features_off = features_off };

	return nic_rig_new(RIG_VIRTIO, &o);
}

static struct vnet *vnet(struct nic_rig *r)
{
	return container_of(r->nic, struct vnet, nic);
}

static uint64_t netcfg(struct nic_rig *r, unsigned off, unsigned size)
{
	return bus_read(&r->m->f->m.mmio, r->v.config + off, size);
}

static uint64_t status(struct nic_rig *r)
{
	return ring_virtio_cfg_read(r, CFG(device_status), 1);
}

static uint64_t offered(struct nic_rig *r)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < 2; i++) {
		ring_virtio_cfg_write(r, CFG(device_feature_select), 4, i);
		v |= ring_virtio_cfg_read(r, CFG(device_feature), 4) << 32 * i;
	}
	return v;
}

/* --- configuration ------------------------------------------------------------------------ */

START_TEST(configuration_says_mac_link_and_mtu)
{
	struct rig_opts o = { .mtu = 9000 };
	struct nic_rig *r = nic_rig_new(RIG_VIRTIO, &o);

	ck_assert(offered(r) & F(MTU));
	ck_assert_uint_eq(netcfg(r, NETCFG(mtu), 2), 9000);
	ck_assert_uint_eq(netcfg(r, NETCFG(status), 2), VIRTIO_NET_S_LINK_UP);
	ck_assert_uint_eq(netcfg(r, NETCFG(max_virtqueue_pairs), 2), 1);
	for (unsigned i = 0; i < 6; i++)
		ck_assert_uint_eq(netcfg(r, i, 1), r->mac[i]);
	bus_write(&r->m->f->m.mmio, r->v.config, 1, 0xee);
	ck_assert_uint_eq(netcfg(r, 0, 1), r->mac[0]); /* read-only since 1.0 */
	nic_rig_free(r);
}
END_TEST

START_TEST(mtu_is_not_offered_when_there_is_none)
{
	struct nic_rig *r = rig(0, 0);

	ck_assert(!(offered(r) & F(MTU)));
	nic_rig_free(r);
}
END_TEST

START_TEST(everything_offered_may_be_accepted)
{
	struct nic_rig *r = rig(UINT64_MAX, 0);

	ck_assert_uint_eq(r->v.features, offered(r));
	exam_works(r);
	nic_rig_free(r);
}
END_TEST

/* 5.1.3.1: the first bit without any of the others. */
static const struct {
	unsigned feature;
	uint64_t without;
} lonely[] = {
	{ VIRTIO_NET_F_GUEST_TSO4, F(GUEST_CSUM) },
	{ VIRTIO_NET_F_GUEST_TSO6, F(GUEST_CSUM) },
	{ VIRTIO_NET_F_GUEST_ECN, F(GUEST_TSO4) | F(GUEST_TSO6) },
	{ VIRTIO_NET_F_HOST_TSO4, F(CSUM) },
	{ VIRTIO_NET_F_HOST_TSO6, F(CSUM) },
	{ VIRTIO_NET_F_HOST_ECN, F(HOST_TSO4) | F(HOST_TSO6) },
	{ VIRTIO_NET_F_CTRL_RX, F(CTRL_VQ) },
	{ VIRTIO_NET_F_CTRL_VLAN, F(CTRL_VQ) },
	{ VIRTIO_NET_F_CTRL_MAC_ADDR, F(CTRL_VQ) },
	{ VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, F(CTRL_VQ) },
};

static bool negotiates(struct nic_rig *r, uint64_t features)
{
	ring_virtio_cfg_write(r, CFG(device_status), 1, 0);
	ring_virtio_cfg_write(r, CFG(device_status), 1, VIRTIO_CONFIG_S_DRIVER);
	for (unsigned i = 0; i < 2; i++) {
		ring_virtio_cfg_write(r, CFG(guest_feature_select), 4, i);
		ring_virtio_cfg_write(r, CFG(guest_feature), 4, (uint32_t)(features >> 32 * i));
	}
	ring_virtio_cfg_write(r, CFG(device_status), 1,
			      VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK);
	return status(r) & VIRTIO_CONFIG_S_FEATURES_OK;
}

START_TEST(feature_without_what_it_needs_is_refused)
{
	struct nic_rig *r = rig(0, 0);
	uint64_t version = BIT64(VIRTIO_F_VERSION_1), all = offered(r);
	uint64_t one = BIT64(lonely[_i].feature);

	ck_assert(all & one);
	ck_assert(!negotiates(r, version | one));
	ck_assert(!negotiates(r, (all & ~lonely[_i].without) | one));
	ck_assert(negotiates(r, all));
	nic_rig_free(r);
}
END_TEST

/* The device looks once a second; the test makes that second a nanosecond. */
static void link_is(struct nic_rig *r, bool up)
{
	r->net->link = up;
	loop_timer_set(&vnet(r)->link_timer, 1);
	loop_once(r->m->f->m.loop, -1);
}

START_TEST(link_change_is_told_by_a_configuration_interrupt)
{
	struct nic_rig *r = rig(0, 0);
	uint64_t generation = ring_virtio_cfg_read(r, CFG(config_generation), 1);
	unsigned irqs;

	rig_irq_clear(r);
	link_is(r, true);
	ck_assert_uint_eq(rig_irqs(r), 0); /* no change */
	link_is(r, false);
	irqs = rig_irqs(r);
	ck_assert_uint_eq(irqs, 1);
	ck_assert_uint_eq(netcfg(r, NETCFG(status), 2), 0);
	ck_assert_uint_ne(ring_virtio_cfg_read(r, CFG(config_generation), 1), generation);
	link_is(r, true);
	ck_assert_uint_eq(netcfg(r, NETCFG(status), 2), VIRTIO_NET_S_LINK_UP);
	nic_rig_free(r);
}
END_TEST

START_TEST(link_that_fell_while_no_driver_looked_is_told_to_the_next)
{
	struct nic_rig *r = rig(0, 0);

	ring_virtio_cfg_write(r, CFG(device_status), 1, 0);
	rig_irq_clear(r);
	link_is(r, false);
	ck_assert_uint_eq(rig_irqs(r), 0); /* nobody is there */
	rig_restart(r);
	rig_irq_clear(r);
	link_is(r, false);
	ck_assert_uint_eq(netcfg(r, NETCFG(status), 2), 0);
	ck_assert_uint_eq(rig_irqs(r), 1);
	nic_rig_free(r);
}
END_TEST

START_TEST(broken_queue_needs_reset_and_says_so)
{
	struct nic_rig *r = rig(0, 0);
	struct rig_vq *q = &r->v.q[RIG_VQ_TX];

	rig_irq_clear(r);
	ring_vq_put_avail(r, q, (uint16_t)q->size);
	ring_vq_ring_bell(r, RIG_VQ_TX);
	rig_run(r);
	ck_assert(status(r) & VIRTIO_CONFIG_S_NEEDS_RESET);
	ck_assert_uint_eq(rig_irqs(r), 1);
	ck_assert(!r->net->rx_enabled);
	rig_restart(r);
	ck_assert(!(status(r) & VIRTIO_CONFIG_S_NEEDS_RESET));
	exam_works(r);
	nic_rig_free(r);
}
END_TEST

/* --- receive buffers (5.1.6.3, 5.1.6.4)
 * ----------------------------------------------------------------- */

static void receive(struct nic_rig *r, size_t len, uint32_t seed)
{
	frame_plain(frame, len, r->mac, seed);
	rig_receive(r, frame, len, NULL);
	rig_run(r);
}

START_TEST(merged_frame_takes_as_many_buffers_as_it_fills)
{
	struct rig_opts o = { .rx_buf = 128,
			      .features_off = F(GUEST_TSO4) | F(GUEST_TSO6) | F(GUEST_ECN) };
	struct nic_rig *r = nic_rig_new(RIG_VIRTIO, &o);

	rig_post_rx(r, 100);
	/* One byte less than full, full, and one more: 12 bytes are the header's. */
	for (unsigned n = 1; n <= 8; n++)
		for (unsigned d = 0; d < 3; d++) {
			size_t len = 128 * n - 12 + d - 1;

			receive(r, len, n);
			ck_assert(rig_rx_next(r, &rx));
			ck_assert_uint_eq(rx.len, len);
			ck_assert_mem_eq(rx.data, frame, len);
			ck_assert_uint_eq(rx.buffers, n + d / 2);
			rig_post_rx(r, rx.buffers);
		}
	nic_rig_free(r);
}
END_TEST

/* One receive chain of three buffers that cut the header in two. */
static void post_split(struct nic_rig *r, gpa_t at)
{
	struct ring_buf b[] = { { at, 5, true }, { at + 100, 20, true }, { at + 200, 1600, true } };

	ck_assert(ring_vq_post(r, &r->v.q[RIG_VQ_RX], b, 3, true, NULL));
	ring_vq_kick(r, RIG_VQ_RX);
}

START_TEST(header_may_be_cut_by_the_edge_of_a_buffer)
{
	struct nic_rig *r =
		rig(0, _i ? 0 : F(MRG_RXBUF) | F(GUEST_TSO4) | F(GUEST_TSO6) | F(GUEST_ECN));
	uint8_t got[12 + 500], h[12] = { [10] = 1 };
	struct vring_used_elem e;
	gpa_t at = rig_alloc(r, 4096, 64);

	rig_fill(r, at, 0xee, 2000);
	post_split(r, at);
	receive(r, 500, 1);
	ck_assert(ring_vq_used(r, &r->v.q[RIG_VQ_RX], &e));
	ck_assert_uint_eq(e.len, 512);
	rig_peek(r, at, got, 5);
	rig_peek(r, at + 100, got + 5, 20);
	rig_peek(r, at + 200, got + 25, 487);
	ck_assert_mem_eq(got, h, 12); /* num_buffers is 1, with MRG_RXBUF or without */
	ck_assert_mem_eq(got + 12, frame, 500);
	nic_rig_free(r);
}
END_TEST

START_TEST(frame_nobody_wants_costs_no_buffer)
{
	struct nic_rig *r = rig(0, 0);

	rig_post_rx(r, 1);
	for (unsigned i = 0; i < 100; i++) {
		frame_plain(frame, FRAME, peer, i);
		rig_receive(r, frame, FRAME, NULL);
	}
	receive(r, FRAME, 101);
	exam_received(r, frame, FRAME);
	exam_accounts(r, 0, 101);
	ck_assert_uint_eq(rig_stat(r, rx_drops), 100);
	nic_rig_free(r);
}
END_TEST

START_TEST(buffers_left_over_serve_the_next_frames_in_order)
{
	struct rig_opts o = { .rx_buf = 256 };
	struct nic_rig *r = nic_rig_new(RIG_VIRTIO, &o);
	/* 64 KiB never fit, so any room will do; 1500 bytes have fit before and must again. */
	unsigned largest = rig_has(r, OFFLOAD_RX) ? 1 : 6;

	rig_post_rx(r, 24);
	for (unsigned i = 0; i < 4; i++) {
		receive(r, 1500, i); /* 6 buffers each */
		exam_received(r, frame, 1500);
	}
	receive(r, FRAME, 9);
	exam_received_none(r); /* all are used, to the last */
	ck_assert_uint_eq(rig_stat(r, rx_ring_full), 1);
	rig_post_rx(r, largest);
	rig_run(r);
	exam_received(r, frame, FRAME);
	nic_rig_free(r);
}
END_TEST

START_TEST(without_merging_a_frame_needs_one_chain)
{
	struct rig_opts o = { .rx_buf = 512,
			      .features_off =
				      F(MRG_RXBUF) | F(GUEST_TSO4) | F(GUEST_TSO6) | F(GUEST_ECN) };
	struct nic_rig *r = nic_rig_new(RIG_VIRTIO, &o);

	rig_post_rx(r, 8);
	receive(r, 501, 1);
	exam_received_none(r);
	ck_assert_uint_eq(rig_stat(r, rx_drops), 1);
	receive(r, 500, 2);
	exam_received(r, frame, 500);
	nic_rig_free(r);
}
END_TEST

START_TEST(receive_buffer_with_room_for_the_header_only_is_a_fault)
{
	struct nic_rig *r = rig(0, 0);

	rig_sabotage_rx_at(r, rig_rx_buf(r, 0), 12);
	receive(r, FRAME, 1);
	ck_assert_uint_eq(rig_stat(r, guest_faults), 1);
	ck_assert(status(r) & VIRTIO_CONFIG_S_NEEDS_RESET);
	nic_rig_free(r);
}
END_TEST

START_TEST(driver_without_guest_csum_sees_no_flags)
{
	struct nic_rig *r = rig(0, VNET_GUEST_OFFLOADS);
	struct virtio_net_hdr h = { .flags = VIRTIO_NET_HDR_F_DATA_VALID };

	rig_post_rx(r, 1);
	frame_plain(frame, FRAME, r->mac, 1);
	rig_receive(r, frame, FRAME, &h);
	rig_run(r);
	ck_assert(rig_rx_next(r, &rx));
	ck_assert_uint_eq(rx.hdr.flags, 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(long_batch_interrupts_before_the_ring_is_used_up)
{
	struct rig_opts o = { .rx_ring = 64, .rx_buf = 256 };
	struct nic_rig *r = nic_rig_new(RIG_VIRTIO, &o);
	uint64_t before;

	rig_post_rx(r, 64);
	rig_run(r);
	rig_irq_clear(r);
	before = rig_stat(r, irqs_suppressed);
	frame_plain(frame, 900, r->mac, 1); /* 4 buffers */
	for (unsigned i = 0; i < 6; i++)
		rig_receive(r, frame, 900, NULL);
	rig_run(r);
	/* Once within the batch; this driver has not asked again, so not at its end. */
	ck_assert_uint_eq(rig_irqs(r), 1);
	ck_assert_uint_eq(rig_stat(r, irqs_suppressed), before + 1);
	nic_rig_free(r);
}
END_TEST

/* The backend still delivers as it did for the driver before, and is first to be heard. */
START_TEST(frame_that_waits_across_a_reset_meets_the_new_driver_whole)
{
	/* Without the offload-rx rung a frame is no longer than the MTU. */
	struct rig_opts o = { .mtu = rig_gets(RIG_VIRTIO, OFFLOAD_RX) ? 0 : 5000 };
	struct nic_rig *r = nic_rig_new(RIG_VIRTIO, &o);

	rig_post_rx(r, 100);
	rig_run(r);
	ck_assert(r->net->rx_enabled);
	frame_plain(frame, 5000, r->mac, 1);
	rig_receive(r, frame, 5000, NULL);
	ring_virtio_bring_up(r);
	rig_post_rx(r, 100);
	rig_run(r);
	exam_received(r, frame, 5000);
	nic_rig_free(r);
}
END_TEST

/* --- transmit (5.1.6.2)
 * --------------------------------------------------------------------------------- */

START_TEST(unknown_header_flags_are_ignored)
{
	struct nic_rig *r = rig(0, 0);
	struct virtio_net_hdr h = { .flags = 0xfe };

	frame_plain(frame, FRAME, peer, 1);
	ck_assert(rig_post_tx_offload(r, &h, frame, FRAME));
	rig_kick(r);
	rig_run(r);
	exam_sent(r, 0, frame, FRAME);
	ck_assert_uint_eq(r->net->sent[0].hdr.flags, 0);
	ck_assert_uint_eq(rig_stat(r, guest_faults), 0);
	nic_rig_free(r);
}
END_TEST

/* What a header's fields hold when nothing says that they mean something. */
static const struct virtio_net_hdr leftovers[] = {
	{ .csum_start = 34, .csum_offset = 16 },
	{ .csum_start = 0xffff, .csum_offset = 0xffff },
	{ .gso_size = 1448 },
	{ .hdr_len = 54 },
	{ .hdr_len = 0xffff, .gso_size = 0xffff, .csum_start = 0xffff, .csum_offset = 0xffff },
};

START_TEST(header_fields_that_mean_nothing_are_ignored)
{
	struct rig_opts o = { .backend_offload = NET_OFF_ALL };
	struct nic_rig *r = nic_rig_new(RIG_VIRTIO, &o);
	struct virtio_net_hdr h = leftovers[_i], nothing = { .flags = 0 };

	frame_plain(frame, FRAME, peer, 1);
	ck_assert(rig_post_tx_offload(r, &h, frame, FRAME));
	rig_kick(r);
	rig_run(r);
	exam_sent(r, 0, frame, FRAME);
	ck_assert_mem_eq(&r->net->sent[0].hdr, &nothing, sizeof(nothing));
	ck_assert_uint_eq(rig_stat(r, guest_faults), 0);
	nic_rig_free(r);
}
END_TEST

/* Send a TCP frame of 4000 bytes of payload, with such a header. What comes out is right;
 * when it comes out whole, the backend is told a header length of `passed_on`. */
static void exam_partial(uint8_t gso_type, uint16_t gso_size, uint16_t hdr_len, uint16_t passed_on)
{
	struct rig_opts o = { .backend_offload = NET_OFF_ALL };
	struct nic_rig *r = nic_rig_new(RIG_VIRTIO, &o);
	struct frame_ip f = { .partial = true, .payload = 4000, .seed = 1 };
	struct virtio_net_hdr truth, h;
	size_t len;

	memcpy(f.dst, peer, 6);
	len = frame_ip(frame, &f, &truth);
	truth.gso_type = gso_type;
	truth.gso_size = gso_size;
	h = truth;
	h.gso_size = 1448;
	h.hdr_len = hdr_len;
	ck_assert(rig_post_tx_offload(r, &h, frame, len));
	rig_kick(r);
	rig_run(r);
	ck_assert_uint_eq(rig_stat(r, guest_faults), 0);
	ck_assert_uint_ge(r->net->sent_nr, 1);
	if (exam_passed_on(r, &truth)) {
		ck_assert_uint_eq(r->net->sent[0].hdr.hdr_len, passed_on);
		truth.hdr_len = passed_on;
	}
	exam_sent_unfinished(r, frame, len, &truth);
	nic_rig_free(r);
}

START_TEST(checksum_alone_needs_no_segment_size)
{
	exam_partial(VIRTIO_NET_HDR_GSO_NONE, 0, 0xffff, 0);
}
END_TEST

static const struct {
	uint16_t hint, passed_on;
} header_hints[] = { { 54, 54 }, { 0, 0 }, { 4066, 4066 }, { 4067, 0 }, { 0xffff, 0 } };

START_TEST(header_length_is_a_hint_that_may_be_wrong)
{
	exam_partial(VIRTIO_NET_HDR_GSO_TCPV4, 1448, header_hints[_i].hint,
		     header_hints[_i].passed_on);
}
END_TEST

START_TEST(frame_with_a_writable_buffer_behind_it_is_dropped)
{
	struct nic_rig *r = rig(0, 0);
	struct ring_buf b[] = { { r->v.tx_hdr, 12, false },
				{ r->arena, FRAME, false },
				{ r->arena + 4096, 64, true } };

	rig_fill(r, r->v.tx_hdr, 0, 12);
	ck_assert(ring_vq_post(r, &r->v.q[RIG_VQ_TX], b, 3, false, NULL));
	rig_kick(r);
	rig_run(r);
	ck_assert_uint_eq(r->net->sent_nr, 0);
	ck_assert_uint_eq(rig_stat(r, tx_drops), 1);
	ck_assert_uint_eq(rig_stat(r, guest_faults), 1);
	ck_assert_uint_eq(rig_tx_done(r), 1); /* and given back */
	ck_assert(!(status(r) & VIRTIO_CONFIG_S_NEEDS_RESET));
	nic_rig_free(r);
}
END_TEST

START_TEST(doorbell_does_not_ask_a_full_backend_again)
{
	struct nic_rig *r = rig(0, 0);
	unsigned sends;

	fake_net_set_full(r->net, true);
	exam_burst(r, 1, 1);
	sends = r->net->sends;
	ring_vq_ring_bell(r, RIG_VQ_TX);
	rig_run(r);
	ck_assert_uint_eq(r->net->sends, sends);
	fake_net_set_full(r->net, false);
	rig_run(r);
	ck_assert_uint_eq(r->net->sent_nr, 1);
	nic_rig_free(r);
}
END_TEST

START_TEST(doorbell_unheard_without_bus_mastering_is_answered_with_it)
{
	struct nic_rig *r = rig(0, 0);

	fake_pci_write(r->m->f, r->slot, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	exam_burst(r, 3, 1);
	ck_assert_uint_eq(r->net->sent_nr, 0);
	fake_pci_write(r->m->f, r->slot, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	rig_run(r);
	ck_assert_uint_eq(r->net->sent_nr, 3);
	nic_rig_free(r);
}
END_TEST

static const struct test_entry tests[] = {
	T(configuration_says_mac_link_and_mtu),
	T(mtu_is_not_offered_when_there_is_none),
	T(everything_offered_may_be_accepted),
	TLOOP(feature_without_what_it_needs_is_refused, 0, 10),
	T(link_change_is_told_by_a_configuration_interrupt),
	T(link_that_fell_while_no_driver_looked_is_told_to_the_next),
	T(broken_queue_needs_reset_and_says_so),
	T(merged_frame_takes_as_many_buffers_as_it_fills),
	TLOOP(header_may_be_cut_by_the_edge_of_a_buffer, 0, 2),
	T(frame_nobody_wants_costs_no_buffer),
	T(buffers_left_over_serve_the_next_frames_in_order),
	T(without_merging_a_frame_needs_one_chain),
	T(receive_buffer_with_room_for_the_header_only_is_a_fault),
	T(driver_without_guest_csum_sees_no_flags),
	T(long_batch_interrupts_before_the_ring_is_used_up),
	T(frame_that_waits_across_a_reset_meets_the_new_driver_whole),
	T(unknown_header_flags_are_ignored),
	TLOOP(header_fields_that_mean_nothing_are_ignored, 0, 5),
	T(checksum_alone_needs_no_segment_size),
	TLOOP(header_length_is_a_hint_that_may_be_wrong, 0, 5),
	T(frame_with_a_writable_buffer_behind_it_is_dropped),
	T(doorbell_does_not_ask_a_full_backend_again),
	T(doorbell_unheard_without_bus_mastering_is_answered_with_it),
};

CHECK_MAIN("virtio-net", tests)

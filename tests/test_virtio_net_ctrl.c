/* SPDX-License-Identifier: MIT */
/*
 * test_virtio_net_ctrl.c: the control queue of a virtio network device (virtio 1.2,
 * section 5.1.6.5), and the receive filter and offloads that it sets.
 */
#include "devices/virtio_net.h"
#include "tests/rig/exam.h"
#include "tests/rig/ring_virtio.h"

#include <string.h>

#define CFG(field)    __builtin_offsetof(struct virtio_pci_common_cfg, field)
#define NETCFG(field) __builtin_offsetof(struct virtio_net_config, field)
#define F(name)       BIT64(VIRTIO_NET_F_##name)
#define CTRL(c, x)    VIRTIO_NET_CTRL_##c, VIRTIO_NET_CTRL_##c##_##x
#define CTRL_FEATURES (F(CTRL_RX_EXTRA) | F(CTRL_VLAN) | F(CTRL_GUEST_OFFLOADS))
#define FRAME         100u

static const uint8_t peer[6] = { 2, 0, 0, 0, 0, 1 };
static const uint8_t peer2[6] = { 2, 0, 0, 0, 0, 2 };
static const uint8_t group[6] = { 0x33, 0x33, 0, 0, 0, 1 };
static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
static uint8_t frame[FRAME_BUF];
static struct rig_rx rx;

static struct nic_rig *rig(uint64_t features_on, uint64_t features_off)
{
	struct rig_opts o = { .features_on = features_on, .features_off = features_off };

	return nic_rig_new(RIG_VIRTIO, &o);
}

static uint64_t netcfg(struct nic_rig *r, unsigned off, unsigned size)
{
	return bus_read(&r->m->f->m.mmio, r->v.config + off, size);
}

static uint64_t status(struct nic_rig *r)
{
	return ring_virtio_cfg_read(r, CFG(device_status), 1);
}

/* --- filters (5.1.6.5.1 to 5.1.6.5.3) --------------------------------------------------------- */

static bool accepts(struct nic_rig *r, const uint8_t dst[6])
{
	frame_plain(frame, FRAME, dst, dst[5]);
	rig_post_rx(r, 1);
	rig_receive(r, frame, FRAME, NULL);
	rig_run(r);
	return rig_rx_next(r, &rx);
}

static void mode(struct nic_rig *r, uint8_t cmd, uint8_t on)
{
	ck_assert_uint_eq(ring_virtio_command(r, VIRTIO_NET_CTRL_RX, cmd, &on, 1), VIRTIO_NET_OK);
}

START_TEST(device_that_no_driver_has_asked_takes_everything)
{
	struct nic_rig *r = rig(0, F(CTRL_RX) | F(CTRL_RX_EXTRA));

	ck_assert(accepts(r, peer));
	ck_assert(accepts(r, group));
	nic_rig_free(r);
}
END_TEST

static const struct {
	uint8_t cmd;
	bool unicast, multicast, broadcast, own; /* taken with it on; promiscuous is off */
} modes[] = {
	{ VIRTIO_NET_CTRL_RX_PROMISC, true, true, true, true },
	{ VIRTIO_NET_CTRL_RX_ALLMULTI, false, true, true, true },
	{ VIRTIO_NET_CTRL_RX_ALLUNI, true, false, true, true },
	{ VIRTIO_NET_CTRL_RX_NOMULTI, false, false, true, true },
	{ VIRTIO_NET_CTRL_RX_NOUNI, false, false, true, false },
	{ VIRTIO_NET_CTRL_RX_NOBCAST, false, false, false, true },
};

START_TEST(receive_mode_selects_by_kind_of_address)
{
	struct nic_rig *r = rig(F(CTRL_RX_EXTRA), 0);

	for (unsigned on = 1; on < 2; on--) { /* on, off */
		mode(r, modes[_i].cmd, (uint8_t)on);
		ck_assert_int_eq(accepts(r, peer), on && modes[_i].unicast);
		ck_assert_int_eq(accepts(r, group), on && modes[_i].multicast);
		ck_assert_int_eq(accepts(r, broadcast), !on || modes[_i].broadcast);
		ck_assert_int_eq(accepts(r, r->mac), !on || modes[_i].own);
	}
	nic_rig_free(r);
}
END_TEST

START_TEST(modes_are_forgotten_at_reset)
{
	struct nic_rig *r = rig(F(CTRL_RX_EXTRA), 0);

	mode(r, VIRTIO_NET_CTRL_RX_NOBCAST, 1);
	mode(r, VIRTIO_NET_CTRL_RX_NOUNI, 1);
	rig_restart(r);
	ck_assert(accepts(r, broadcast));
	ck_assert(accepts(r, r->mac));
	nic_rig_free(r);
}
END_TEST

START_TEST(no_multicast_goes_before_the_table)
{
	struct nic_rig *r = rig(F(CTRL_RX_EXTRA), 0);

	r->drv->multicast(r, group);
	ck_assert(accepts(r, group));
	mode(r, VIRTIO_NET_CTRL_RX_NOMULTI, 1);
	ck_assert(!accepts(r, group));
	nic_rig_free(r);
}
END_TEST

/* Two lists of `uni` and `multi` addresses: peer or group first, others after. */
static uint32_t mac_table(uint8_t *t, uint32_t uni, uint32_t multi)
{
	uint8_t *p = t;

	for (unsigned list = 0; list < 2; list++) {
		uint32_t n = list ? multi : uni;

		memcpy(p, &n, 4);
		p += 4;
		for (unsigned i = 0; i < n; i++, p += 6) {
			memcpy(p, list ? group : peer, 6);
			p[4] = (uint8_t)i;
		}
	}
	return (uint32_t)(p - t);
}

static uint8_t set_table(struct nic_rig *r, uint32_t uni, uint32_t multi)
{
	static uint8_t t[2048];
	uint32_t len = mac_table(t, uni, multi);

	ck_assert_uint_le(len, 1900);
	return ring_virtio_command(r, CTRL(MAC, TABLE_SET), t, len);
}

START_TEST(table_lists_addresses_to_take)
{
	struct nic_rig *r = rig(0, 0);

	ck_assert_uint_eq(set_table(r, 1, 1), VIRTIO_NET_OK);
	ck_assert(accepts(r, peer));
	ck_assert(!accepts(r, peer2));
	ck_assert(accepts(r, group));
	ck_assert(accepts(r, r->mac));
	ck_assert_uint_eq(set_table(r, 0, 0), VIRTIO_NET_OK);
	ck_assert(!accepts(r, peer));
	ck_assert(!accepts(r, group));
	nic_rig_free(r);
}
END_TEST

START_TEST(table_that_is_too_long_takes_all_of_its_kind)
{
	struct nic_rig *r = rig(0, 0);

	ck_assert_uint_eq(set_table(r, VNET_MACS, VNET_MACS), VIRTIO_NET_OK);
	ck_assert(!accepts(r, peer2));
	ck_assert_uint_eq(set_table(r, VNET_MACS + 1, 1), VIRTIO_NET_OK);
	ck_assert(accepts(r, peer2));
	ck_assert(accepts(r, group));
	ck_assert_uint_eq(set_table(r, 1, VNET_MACS + 1), VIRTIO_NET_OK);
	ck_assert(!accepts(r, peer2));
	ck_assert(accepts(r, (const uint8_t[]){ 1, 2, 3, 4, 5, 6 }));
	nic_rig_free(r);
}
END_TEST

START_TEST(table_that_lies_about_its_length_changes_nothing)
{
	static const uint32_t counts[] = { 2, 0x2aaaaaab, 0x40000000, UINT32_MAX };
	struct nic_rig *r = rig(0, 0);
	uint8_t t[64];
	uint32_t len;

	ck_assert_uint_eq(set_table(r, 1, 1), VIRTIO_NET_OK);
	for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
		len = mac_table(t, 0, 1);
		memcpy(t + 4, &counts[i], 4); /* the second count, 6 bytes follow */
		ck_assert_uint_eq(ring_virtio_command(r, CTRL(MAC, TABLE_SET), t, len),
				  VIRTIO_NET_ERR);
		ck_assert(accepts(r, peer)); /* the first list was good, and must wait */
	}
	ck_assert_uint_eq(ring_virtio_command(r, CTRL(MAC, TABLE_SET), t, 3), VIRTIO_NET_ERR);
	ck_assert(accepts(r, group));
	nic_rig_free(r);
}
END_TEST

START_TEST(address_set_moves_the_card_until_reset)
{
	struct nic_rig *r = rig(0, 0);

	ck_assert_uint_eq(ring_virtio_command(r, CTRL(MAC, ADDR_SET), peer, 6), VIRTIO_NET_OK);
	ck_assert(accepts(r, peer));
	ck_assert(!accepts(r, r->mac));
	ck_assert_uint_eq(netcfg(r, 5, 1), peer[5]);
	rig_restart(r);
	ck_assert_uint_eq(netcfg(r, 5, 1), r->mac[5]);
	ck_assert(accepts(r, r->mac));
	nic_rig_free(r);
}
END_TEST

static uint8_t vlan(struct nic_rig *r, uint8_t cmd, uint16_t vid)
{
	return ring_virtio_command(r, VIRTIO_NET_CTRL_VLAN, cmd, &vid, 2);
}

static bool accepts_tag(struct nic_rig *r, uint16_t vid)
{
	frame_tagged(frame, FRAME, r->mac, vid, 1);
	rig_post_rx(r, 1);
	rig_receive(r, frame, FRAME, NULL);
	rig_run(r);
	return rig_rx_next(r, &rx);
}

START_TEST(vlan_may_be_taken_away_again)
{
	struct nic_rig *r = rig(F(CTRL_VLAN), 0);

	ck_assert_uint_eq(vlan(r, VIRTIO_NET_CTRL_VLAN_ADD, 7), VIRTIO_NET_OK);
	ck_assert_uint_eq(vlan(r, VIRTIO_NET_CTRL_VLAN_ADD, 4095), VIRTIO_NET_OK);
	ck_assert(accepts_tag(r, 7));
	ck_assert_uint_eq(vlan(r, VIRTIO_NET_CTRL_VLAN_DEL, 7), VIRTIO_NET_OK);
	ck_assert(!accepts_tag(r, 7));
	ck_assert(accepts_tag(r, 4095));
	ck_assert(accepts_tag(r, 0x6000)); /* a priority, no VLAN */
	ck_assert_uint_eq(vlan(r, VIRTIO_NET_CTRL_VLAN_ADD, 4096), VIRTIO_NET_ERR);
	ck_assert_uint_eq(vlan(r, 2, 7), VIRTIO_NET_ERR);
	mode(r, VIRTIO_NET_CTRL_RX_PROMISC, 1);
	ck_assert(accepts_tag(r, 9)); /* promiscuous is promiscuous */
	nic_rig_free(r);
}
END_TEST

/* --- offloads of the guest (5.1.6.5.6) -----------------------------------------------------------
 */

static uint8_t set_offloads(struct nic_rig *r, uint64_t want)
{
	return ring_virtio_command(r, CTRL(GUEST_OFFLOADS, SET), &want, sizeof(want));
}

/* The backend was asked for this, or without the offload-rx rung for nothing. */
static void exam_granted(const struct nic_rig *r, unsigned want)
{
	ck_assert_uint_eq(r->net->net.rx_offload, rig_has(r, OFFLOAD_RX) ? want : 0);
}

START_TEST(guest_offloads_follow_the_driver)
{
	struct nic_rig *r = rig(CTRL_FEATURES, F(GUEST_TSO6));

	exam_granted(r, NET_OFF_CSUM | NET_OFF_TSO4 | NET_OFF_ECN);
	ck_assert_uint_eq(set_offloads(r, 0), VIRTIO_NET_OK);
	exam_granted(r, 0);
	ck_assert_uint_eq(set_offloads(r, F(GUEST_CSUM) | F(GUEST_TSO4)), VIRTIO_NET_OK);
	exam_granted(r, NET_OFF_CSUM | NET_OFF_TSO4);
	/* Not negotiated, and no offload at all. */
	ck_assert_uint_eq(set_offloads(r, F(GUEST_CSUM) | F(GUEST_TSO6)), VIRTIO_NET_ERR);
	ck_assert_uint_eq(set_offloads(r, F(GUEST_CSUM) | F(CSUM)), VIRTIO_NET_ERR);
	exam_granted(r, NET_OFF_CSUM | NET_OFF_TSO4);
	nic_rig_free(r);
}
END_TEST

/* --- the control queue itself
 * ----------------------------------------------------------------------- */

static const struct {
	uint64_t feature;
	uint8_t class, cmd;
} unasked[] = {
	{ F(CTRL_RX), CTRL(RX, PROMISC) },
	{ F(CTRL_RX), CTRL(RX, ALLMULTI) },
	{ F(CTRL_RX), CTRL(MAC, TABLE_SET) },
	{ F(CTRL_RX_EXTRA), CTRL(RX, ALLUNI) },
	{ F(CTRL_RX_EXTRA), CTRL(RX, NOBCAST) },
	{ F(CTRL_MAC_ADDR), CTRL(MAC, ADDR_SET) },
	{ F(CTRL_VLAN), CTRL(VLAN, ADD) },
	{ F(CTRL_GUEST_OFFLOADS), CTRL(GUEST_OFFLOADS, SET) },
};

START_TEST(command_of_a_feature_not_accepted_is_refused)
{
	static const uint8_t zero[16];
	struct nic_rig *r = rig(CTRL_FEATURES, unasked[_i].feature);

	ck_assert_uint_eq(ring_virtio_command(r, unasked[_i].class, unasked[_i].cmd, zero, 16),
			  VIRTIO_NET_ERR);
	nic_rig_free(r);
	r = rig(CTRL_FEATURES, 0);
	ck_assert_uint_eq(ring_virtio_command(r, unasked[_i].class, unasked[_i].cmd, zero, 16),
			  VIRTIO_NET_OK);
	nic_rig_free(r);
}
END_TEST

START_TEST(unknown_class_and_command_are_refused)
{
	static const uint8_t classes[] = { VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_MQ,
					   VIRTIO_NET_CTRL_NOTF_COAL, 7, 255 };
	static const uint8_t zero[16];
	struct nic_rig *r = rig(CTRL_FEATURES, 0);

	for (unsigned i = 0; i < ARRAY_SIZE(classes); i++)
		ck_assert_uint_eq(ring_virtio_command(r, classes[i], 0, zero, 16), VIRTIO_NET_ERR);
	for (unsigned i = 0; i <= VIRTIO_NET_CTRL_GUEST_OFFLOADS; i++)
		ck_assert_uint_eq(ring_virtio_command(r, (uint8_t)i, 200, zero, 16),
				  VIRTIO_NET_ERR);
	ck_assert_uint_eq(rig_stat(r, guest_faults), 0); /* asking is no crime */
	exam_works(r);
	nic_rig_free(r);
}
END_TEST

/* Post `n` buffers as one command and run. Returns what the device wrote. */
static uint32_t command_of(struct nic_rig *r, const struct ring_buf *b, unsigned n)
{
	struct vring_used_elem e;

	ck_assert(ring_vq_post(r, &r->v.q[RIG_VQ_CTRL], b, n, true, NULL));
	ring_vq_kick(r, RIG_VQ_CTRL);
	rig_run(r);
	ck_assert(ring_vq_used(r, &r->v.q[RIG_VQ_CTRL], &e));
	return e.len;
}

START_TEST(command_may_come_in_pieces_of_any_size)
{
	static const uint8_t bytes[] = { CTRL(MAC, ADDR_SET), 2, 0, 0, 0, 0, 1 };
	struct nic_rig *r = rig(0, 0);
	gpa_t at = r->v.ctrl;
	struct ring_buf b[sizeof(bytes) + 1];
	uint8_t ack[4] = { 0xaa, 0xaa, 0xaa, 0xaa };

	rig_poke(r, at + 100, ack, sizeof(ack));
	for (unsigned i = 0; i < sizeof(bytes); i++) {
		rig_poke(r, at + 2 * i, &bytes[i], 1);
		b[i] = (struct ring_buf){ at + 2 * i, 1, false };
	}
	b[sizeof(bytes)] = (struct ring_buf){ at + 100, sizeof(ack), true };
	ck_assert_uint_eq(command_of(r, b, ARRAY_SIZE(b)), 1);
	rig_peek(r, at + 100, ack, sizeof(ack));
	ck_assert_mem_eq(ack, ((uint8_t[]){ VIRTIO_NET_OK, 0xaa, 0xaa, 0xaa }), 4);
	ck_assert(accepts(r, peer));
	nic_rig_free(r);
}
END_TEST

START_TEST(command_without_room_for_an_answer_is_a_fault_that_passes)
{
	struct nic_rig *r = rig(0, 0);
	struct ring_buf b = { r->v.ctrl, 3, false };

	ck_assert_uint_eq(command_of(r, &b, 1), 0);
	ck_assert_uint_eq(rig_stat(r, guest_faults), 1);
	mode(r, VIRTIO_NET_CTRL_RX_PROMISC, 1);
	ck_assert(!(status(r) & VIRTIO_CONFIG_S_NEEDS_RESET));
	nic_rig_free(r);
}
END_TEST

START_TEST(full_queue_of_commands_is_served_and_one_more)
{
	struct nic_rig *r = rig(0, 0);
	struct rig_vq *q = &r->v.q[RIG_VQ_CTRL];
	struct ring_buf b[] = { { r->v.ctrl, 2, false }, { r->v.ctrl + 64, 1, true } };
	struct vring_used_elem e;

	ck_assert_uint_eq(q->size, VNET_CTRL_SIZE);
	for (unsigned i = 0; i < VNET_CTRL_SIZE; i++)
		ck_assert(ring_vq_post(r, q, b, 2, true, NULL));
	ring_vq_kick(r, RIG_VQ_CTRL);
	rig_run(r);
	for (unsigned i = 0; i < VNET_CTRL_SIZE; i++)
		ck_assert(ring_vq_used(r, q, &e));
	mode(r, VIRTIO_NET_CTRL_RX_PROMISC, 1); /* its doorbell is wanted */
	nic_rig_free(r);
}
END_TEST

/* Bytes of data that each needs. */
static const struct {
	uint8_t class, cmd;
	uint32_t enough;
} lengths[] = {
	{ CTRL(RX, PROMISC), 1 },         { CTRL(RX, NOBCAST), 1 }, { CTRL(MAC, TABLE_SET), 8 },
	{ CTRL(MAC, ADDR_SET), 6 },       { CTRL(VLAN, ADD), 2 },   { CTRL(VLAN, DEL), 2 },
	{ CTRL(GUEST_OFFLOADS, SET), 8 },
};

START_TEST(command_cut_short_is_refused_and_changes_nothing)
{
	static const uint8_t data[16];
	struct nic_rig *r = rig(CTRL_FEATURES, 0);
	unsigned offload = r->net->net.rx_offload;
	uint8_t class = lengths[_i].class, cmd = lengths[_i].cmd;

	ck_assert_int_eq(offload != 0, rig_has(r, OFFLOAD_RX) != 0);
	for (uint32_t n = 0; n < lengths[_i].enough; n++)
		ck_assert_uint_eq(ring_virtio_command(r, class, cmd, data, n), VIRTIO_NET_ERR);
	ck_assert_uint_eq(r->net->net.rx_offload, offload);
	ck_assert(accepts(r, r->mac));
	ck_assert(accepts(r, broadcast));
	ck_assert(!accepts(r, peer));
	/* More than enough is enough. */
	ck_assert_uint_eq(ring_virtio_command(r, class, cmd, data, lengths[_i].enough),
			  VIRTIO_NET_OK);
	ck_assert_uint_eq(ring_virtio_command(r, class, cmd, data, 16), VIRTIO_NET_OK);
	nic_rig_free(r);
}
END_TEST

/* What makes a chain no command breaks the queue; a driver gets out by a reset. */
static void exam_broken(struct nic_rig *r, const struct ring_buf *b, unsigned n)
{
	ck_assert(ring_vq_post(r, &r->v.q[RIG_VQ_CTRL], b, n, true, NULL));
	ring_vq_kick(r, RIG_VQ_CTRL);
	rig_run(r);
	ck_assert(status(r) & VIRTIO_CONFIG_S_NEEDS_RESET);
	ck_assert_uint_eq(rig_stat(r, guest_faults), 1);
	rig_restart(r);
	exam_works(r);
	mode(r, VIRTIO_NET_CTRL_RX_PROMISC, 1);
	nic_rig_free(r);
}

START_TEST(command_of_too_many_buffers_needs_a_reset)
{
	struct ring_buf b[65];
	struct nic_rig *r = rig(0, 0);
	unsigned fit = 64;

	for (unsigned i = 0; i < ARRAY_SIZE(b); i++)
		b[i] = (struct ring_buf){ r->v.ctrl + i, 1, false };
	b[fit - 1].device_writes = true;
	rig_fill(r, r->v.ctrl, 0xff, 100); /* of no known class */
	ck_assert_uint_eq(command_of(r, b, fit), 1);
	b[fit - 1].device_writes = false;
	b[fit].device_writes = true;
	exam_broken(r, b, fit + 1);
}
END_TEST

START_TEST(answer_before_the_command_needs_a_reset)
{
	struct nic_rig *r = rig(0, 0);
	struct ring_buf b[] = { { r->v.ctrl + 64, 1, true }, { r->v.ctrl, 3, false } };

	exam_broken(r, b, 2);
}
END_TEST

START_TEST(command_outside_ram_needs_a_reset)
{
	struct nic_rig *r = rig(0, 0);
	struct ring_buf b[] = { { rig_ram_end(r) - 1, 3, false }, { r->v.ctrl, 1, true } };

	exam_broken(r, b, 2);
}
END_TEST

START_TEST(command_of_nothing_is_refused)
{
	struct nic_rig *r = rig(0, 0);
	struct ring_buf b = { r->v.ctrl, 1, true };
	uint8_t ack = 0xaa;

	rig_poke(r, r->v.ctrl, &ack, 1);
	ck_assert_uint_eq(command_of(r, &b, 1), 1);
	rig_peek(r, r->v.ctrl, &ack, 1);
	ck_assert_uint_eq(ack, VIRTIO_NET_ERR);
	nic_rig_free(r);
}
END_TEST

static const struct test_entry tests[] = {
	T(device_that_no_driver_has_asked_takes_everything),
	TLOOP(receive_mode_selects_by_kind_of_address, 0, 6),
	T(modes_are_forgotten_at_reset),
	T(no_multicast_goes_before_the_table),
	T(table_lists_addresses_to_take),
	T(table_that_is_too_long_takes_all_of_its_kind),
	T(table_that_lies_about_its_length_changes_nothing),
	T(address_set_moves_the_card_until_reset),
	T(vlan_may_be_taken_away_again),
	T(guest_offloads_follow_the_driver),
	TLOOP(command_of_a_feature_not_accepted_is_refused, 0, 8),
	T(unknown_class_and_command_are_refused),
	T(command_may_come_in_pieces_of_any_size),
	T(command_without_room_for_an_answer_is_a_fault_that_passes),
	T(full_queue_of_commands_is_served_and_one_more),
	TLOOP(command_cut_short_is_refused_and_changes_nothing, 0, ARRAY_SIZE(lengths)),
	T(command_of_too_many_buffers_needs_a_reset),
	T(answer_before_the_command_needs_a_reset),
	T(command_outside_ram_needs_a_reset),
	T(command_of_nothing_is_refused),
};

CHECK_MAIN("virtio-net control", tests)

/* SPDX-License-Identifier: MIT */
/*
 * test_nic_control.c: what a driver tells either NIC besides frames: filters, reset in the
 * middle of traffic, the PCI command register. Interrupts are test_nic_irq.c.
 */
#include "tests/rig/exam.h"

#include <string.h>

static const uint8_t peer[6] = { 2, 0, 0, 0, 0, 1 };
static const uint8_t broadcast[6] = { 255, 255, 255, 255, 255, 255 };
static const uint8_t group[6] = { 1, 0, 0x5e, 0, 0, 0xfb };
static const uint8_t other_group[6] = { 1, 0, 0x5e, 0x7f, 1, 2 };
static uint8_t frame[2000];
static struct rig_rx rx;

/* --- filters ------------------------------------------------------------------------------ */

static bool accepts(struct nic_rig *r, const uint8_t dst[6])
{
	frame_plain(frame, 100, dst, dst[5]);
	rig_post_rx(r, 2);
	rig_receive(r, frame, 100, NULL);
	rig_run(r);
	if (!rig_rx_next(r, &rx))
		return false;
	ck_assert_uint_eq(rx.len, 100);
	ck_assert_mem_eq(rx.data, frame, 100);
	exam_received_none(r);
	return true;
}

START_TEST(foreign_unicast_is_dropped_unless_promiscuous)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);
	uint8_t nearly[6];

	memcpy(nearly, r->mac, 6);
	nearly[5] ^= 1;
	ck_assert(accepts(r, r->mac));
	ck_assert(!accepts(r, peer));
	ck_assert(!accepts(r, nearly));
	ck_assert_uint_eq(rig_stat(r, rx_drops), 2);
	ck_assert_uint_eq(rig_stat(r, rx_filtered), 2);
	ck_assert_uint_eq(rig_stat(r, rx_oversize), 0);
	r->drv->rx_mode(r, true, false);
	ck_assert(accepts(r, peer));
	ck_assert(accepts(r, nearly));
	r->drv->rx_mode(r, false, false);
	ck_assert(!accepts(r, peer));
	exam_accounts(r, 0, 6);
	nic_rig_free(r);
}
END_TEST

START_TEST(broadcast_is_accepted)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	ck_assert(accepts(r, broadcast));
	nic_rig_free(r);
}
END_TEST

START_TEST(multicast_is_accepted_only_for_joined_groups)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	ck_assert(!accepts(r, group));
	r->drv->multicast(r, group);
	ck_assert(accepts(r, group));
	ck_assert(!accepts(r, other_group));
	r->drv->multicast(r, other_group);
	ck_assert(!accepts(r, group));
	ck_assert(accepts(r, other_group));
	ck_assert(!accepts(r, peer)); /* unicast is no business of that table */
	r->drv->rx_mode(r, false, true);
	ck_assert(accepts(r, group));
	ck_assert(!accepts(r, peer));
	nic_rig_free(r);
}
END_TEST

static bool accepts_tag(struct nic_rig *r, unsigned vid)
{
	frame_tagged(frame, 100, r->mac, (uint16_t)(0x6000 | vid), vid);
	rig_post_rx(r, 2);
	rig_receive(r, frame, 100, NULL);
	rig_run(r);
	if (!rig_rx_next(r, &rx))
		return false;
	ck_assert_uint_eq(rx.len, 100);
	ck_assert_mem_eq(rx.data, frame, 100);
	return true;
}

START_TEST(tagged_frame_is_accepted_only_for_named_vlans)
{
	struct rig_opts o = { .vlan_filter = true };
	struct nic_rig *r = nic_rig_new(_i, &o);

	ck_assert(!accepts_tag(r, 5));
	r->drv->vlan_add(r, 5);
	r->drv->vlan_add(r, 4094);
	ck_assert(accepts_tag(r, 5));
	ck_assert(accepts_tag(r, 4094));
	ck_assert(!accepts_tag(r, 6));
	ck_assert(!accepts_tag(r, 37)); /* same bit, another word */
	ck_assert(accepts(r, r->mac));  /* untagged frames are not filtered */
	nic_rig_free(r);
}
END_TEST

START_TEST(tagged_frame_is_accepted_without_vlan_filter)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	ck_assert(accepts_tag(r, 5));
	ck_assert(accepts_tag(r, 0));
	nic_rig_free(r);
}
END_TEST

START_TEST(filters_are_forgotten_at_reset)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	r->drv->rx_mode(r, true, true);
	r->drv->multicast(r, group);
	rig_restart(r);
	ck_assert(!accepts(r, peer));
	ck_assert(!accepts(r, group));
	ck_assert(accepts(r, r->mac));
	nic_rig_free(r);
}
END_TEST

/* --- reset ----------------------------------------------------------------------------------- */

START_TEST(reset_forgets_frames_that_were_posted)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);
	unsigned gone = rig_has(r, WORKER) ? 0 : 10; /* by the thread that rang */

	/* Posted and kicked, but the I/O thread has not run. */
	frame_plain(frame, 100, peer, 1);
	for (unsigned i = 0; i < 10; i++)
		ck_assert(rig_post_tx(r, frame, 100));
	rig_kick(r);
	r->drv->reset(r);
	rig_run(r);
	ck_assert_uint_eq(r->net->sent_nr, gone);
	rig_restart(r);
	ck_assert_uint_eq(r->net->sent_nr, gone);
	exam_works(r);
	nic_rig_free(r);
}
END_TEST

START_TEST(reset_forgets_a_frame_held_for_the_backend)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	fake_net_set_full(r->net, true);
	exam_burst(r, 10, 0);
	rig_restart(r);
	fake_net_set_full(r->net, false);
	rig_run(r);
	ck_assert_uint_eq(r->net->sent_nr, 0);
	exam_works(r);
	nic_rig_free(r);
}
END_TEST

START_TEST(reset_while_the_backend_is_full_does_not_lose_its_answer)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	fake_net_set_full(r->net, true);
	exam_burst(r, 10, 0);
	rig_restart(r);
	exam_burst(r, 10, 100);
	ck_assert_uint_eq(r->net->sent_nr, 0);
	fake_net_set_full(r->net, false);
	rig_run(r);
	ck_assert_uint_eq(r->net->sent_nr, 10);
	for (unsigned i = 0; i < 10; i++) {
		frame_plain(frame, 100, peer, 100 + i);
		exam_sent(r, i, frame, 100);
	}
	nic_rig_free(r);
}
END_TEST

START_TEST(reset_forgets_receive_buffers)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);
	uint8_t before[100], after[100];

	rig_post_rx(r, 100);
	rig_run(r);
	r->drv->reset(r);
	rig_peek(r, rig_rx_buf(r, 0), before, 100);
	exam_receive_burst(r, 10);
	rig_peek(r, rig_rx_buf(r, 0), after, 100);
	ck_assert_mem_eq(before, after, 100);
	rig_restart(r);
	rig_run(r);
	exam_received_none(r);
	while (fake_net_waiting(r->net)) {
		rig_post_rx(r, 10);
		rig_run(r);
		exam_drain(r);
	}
	exam_works(r);
	nic_rig_free(r);
}
END_TEST

START_TEST(reset_again_and_again_in_traffic_works)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	for (unsigned i = 0; i < 200; i++) {
		frame_plain(frame, 100, r->mac, i);
		rig_post_rx(r, i % 5);
		rig_receive(r, frame, 100, NULL);
		for (unsigned k = 0; k < i % 7; k++)
			rig_post_tx(r, frame, 100);
		rig_kick(r);
		if (i % 3)
			loop_once(r->m->f->m.loop, 0);
		rig_restart(r);
	}
	rig_post_rx(r, 255);
	rig_run(r);
	exam_drain(r);
	exam_works(r);
	nic_rig_free(r);
}
END_TEST

START_TEST(device_before_the_driver_starts_it_is_silent)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	r->drv->reset(r);
	rig_irq_clear(r);
	exam_receive_burst(r, 5);
	rig_kick(r);
	rig_run(r);
	ck_assert_uint_eq(rig_irqs(r), 0);
	ck_assert_uint_eq(r->net->sent_nr, 0);
	ck_assert_uint_eq(rig_stat(r, rx_frames), 0);
	nic_rig_free(r);
}
END_TEST

/* --- the PCI command register, and two cards in one machine ---------------------------------- */

static void command(struct nic_rig *r, unsigned bits)
{
	fake_pci_write(r->m->f, r->slot, PCI_COMMAND, 2, bits);
}

START_TEST(no_bus_master_no_dma)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	rig_post_rx(r, 10);
	rig_run(r);
	command(r, PCI_COMMAND_MEMORY);
	exam_burst(r, 5, 0);
	exam_receive_burst(r, 5);
	ck_assert_uint_eq(r->net->sent_nr, 0);
	ck_assert_uint_eq(rig_tx_done(r), 0);
	exam_received_none(r);
	command(r, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	while (fake_net_waiting(r->net)) {
		rig_restart(r);
		rig_post_rx(r, 10);
		rig_run(r);
		exam_drain(r);
	}
	rig_restart(r);
	exam_works(r);
	nic_rig_free(r);
}
END_TEST

START_TEST(no_memory_decoding_no_registers)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	command(r, PCI_COMMAND_MASTER);
	ck_assert_uint_eq(rig_read32(r, r->bar[0]), UINT32_MAX);
	rig_kick(r);
	rig_run(r);
	command(r, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	ck_assert_uint_ne(rig_read32(r, r->bar[0] + 8), UINT32_MAX);
	exam_works(r);
	nic_rig_free(r);
}
END_TEST

START_TEST(both_cards_carry_traffic_in_one_machine)
{
	struct nic_rig *r = nic_rig_new(_i, NULL), *o = nic_rig_beside(r, !_i, NULL);

	ck_assert_uint_ne(r->bar[0], o->bar[0]);
	for (unsigned i = 0; i < 20; i++) {
		exam_works(r);
		exam_works(o);
	}
	rig_irq_clear(r);
	rig_irq_clear(o);
	r->drv->ack(r);
	o->drv->ack(o);
	exam_burst(r, 10, 0);
	ck_assert_uint_eq(rig_irqs(r), 1);
	ck_assert_uint_eq(rig_irqs(o), 0);
	ck_assert_uint_eq(o->net->sent_nr, 0);
	r->drv->reset(r);
	exam_works(o);
	nic_rig_free(r);
	nic_rig_free(o);
}
END_TEST

START_TEST(two_cards_of_one_kind_carry_traffic)
{
	struct nic_rig *r = nic_rig_new(_i, NULL), *o = nic_rig_beside(r, _i, NULL);

	for (unsigned i = 0; i < 20; i++) {
		exam_works(r);
		exam_works(o);
	}
	nic_rig_free(r);
	nic_rig_free(o);
}
END_TEST

/* --- tags, which only the e1000 handles itself -------------------------------------------------
 */

#define CTRL     0x0000
#define CTRL_VME BIT(30)

static void vlan_mode(struct nic_rig *r)
{
	rig_write32(r, r->bar[0] + CTRL, rig_read32(r, r->bar[0] + CTRL) | CTRL_VME);
}

START_TEST(e1000_inserts_a_tag)
{
	struct nic_rig *r = nic_rig_new(RIG_E1000, NULL);
	struct iovec iov = { frame, 100 };
	struct rig_tx t = { .iov = &iov, .n = 1, .tag = true, .tci = 0x6123 };
	uint8_t want[104];

	vlan_mode(r);
	frame_plain(frame, 100, peer, 1);
	ck_assert(r->drv->post_tx(r, &t));
	rig_kick(r);
	rig_run(r);
	memcpy(want, frame, 12);
	frame_put16(want + 12, 0x8100);
	frame_put16(want + 14, 0x6123);
	memcpy(want + 16, frame + 12, 88);
	exam_sent(r, 0, want, 104);
	nic_rig_free(r);
}
END_TEST

START_TEST(e1000_strips_a_tag)
{
	struct nic_rig *r = nic_rig_new(RIG_E1000, NULL);

	vlan_mode(r);
	frame_tagged(frame, 100, r->mac, 0x6123, 1);
	rig_post_rx(r, 2);
	rig_receive(r, frame, 100, NULL);
	rig_run(r);
	ck_assert(rig_rx_next(r, &rx));
	ck_assert(rx.tagged);
	ck_assert_uint_eq(rx.tci, 0x6123);
	ck_assert_uint_eq(rx.len, 96);
	ck_assert_mem_eq(rx.data, frame, 12);
	ck_assert_mem_eq(rx.data + 12, frame + 16, 84);
	ck_assert(accepts(r, r->mac));
	ck_assert(!rx.tagged);
	nic_rig_free(r);
}
END_TEST

static const struct test_entry tests[] = {
	EXAM(foreign_unicast_is_dropped_unless_promiscuous),
	EXAM(broadcast_is_accepted),
	EXAM(multicast_is_accepted_only_for_joined_groups),
	EXAM(tagged_frame_is_accepted_only_for_named_vlans),
	EXAM(tagged_frame_is_accepted_without_vlan_filter),
	EXAM(filters_are_forgotten_at_reset),
	EXAM(reset_forgets_frames_that_were_posted),
	EXAM(reset_forgets_a_frame_held_for_the_backend),
	EXAM(reset_while_the_backend_is_full_does_not_lose_its_answer),
	EXAM(reset_forgets_receive_buffers),
	EXAM(reset_again_and_again_in_traffic_works),
	EXAM(device_before_the_driver_starts_it_is_silent),
	EXAM(no_bus_master_no_dma),
	EXAM(no_memory_decoding_no_registers),
	EXAM(both_cards_carry_traffic_in_one_machine),
	EXAM(two_cards_of_one_kind_carry_traffic),
	T(e1000_inserts_a_tag),
	T(e1000_strips_a_tag),
};

CHECK_MAIN("nic control", tests)

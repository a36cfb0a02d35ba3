/* SPDX-License-Identifier: MIT */
/*
 * test_nic_irq.c: when either NIC interrupts and when it must not, INTx and MSI-X, and
 * the doorbells that go the other way.
 */
#include "tests/rig/exam.h"

#include <linux/virtio_ring.h>

static const uint8_t peer[6] = { 2, 0, 0, 0, 0, 1 };
static uint8_t frame[2000];

/* --- interrupts ---------------------------------------------------------------------- */

START_TEST(tx_batch_raises_one_interrupt)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);
	uint64_t before = rig_stat(r, irqs);

	exam_burst(r, 30, 0);
	ck_assert_uint_eq(rig_irqs(r), 1);
	ck_assert_uint_eq(rig_stat(r, irqs) - before, 1);
	ck_assert_uint_eq(rig_tx_done(r), 30);
	ck_assert_uint_ne(r->drv->ack(r), 0);
	exam_burst(r, 30, 0);
	ck_assert_uint_eq(rig_irqs(r), 2);
	nic_rig_free(r);
}
END_TEST

START_TEST(rx_batch_raises_one_interrupt)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	rig_post_rx(r, 100);
	rig_run(r);
	ck_assert_uint_eq(rig_irqs(r), 0);
	exam_receive_burst(r, 30);
	ck_assert_uint_eq(rig_irqs(r), 1);
	ck_assert_uint_eq(exam_drain(r), 30);
	ck_assert_uint_ne(r->drv->ack(r), 0);
	rig_run(r);
	ck_assert_uint_eq(rig_irqs(r), 1);
	exam_receive_burst(r, 30);
	ck_assert_uint_eq(rig_irqs(r), 2);
	nic_rig_free(r);
}
END_TEST

START_TEST(driver_that_has_not_answered_is_not_interrupted_again)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	exam_burst(r, 30, 0);
	exam_burst(r, 30, 30);
	ck_assert_uint_eq(rig_irqs(r), 1);
	ck_assert_uint_eq(rig_tx_done(r), 60);
	nic_rig_free(r);
}
END_TEST

START_TEST(frame_that_is_filtered_raises_no_interrupt)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	rig_post_rx(r, 100);
	frame_plain(frame, 100, peer, 1);
	rig_receive(r, frame, 100, NULL);
	rig_run(r);
	ck_assert_uint_eq(rig_irqs(r), 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(masked_cause_is_raised_after_unmask)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);
	uint64_t before = rig_stat(r, irqs);

	rig_post_rx(r, 10);
	rig_run(r);
	r->drv->mask(r, true);
	exam_receive_burst(r, 3);
	ck_assert_uint_eq(rig_irqs(r), 0);
	ck_assert(!rig_irq_level(r));
	r->drv->mask(r, false);
	rig_run(r);
	ck_assert_uint_eq(rig_irqs(r), 1);
	ck_assert_uint_eq(rig_stat(r, irqs) - before, 1);
	ck_assert_uint_eq(exam_drain(r), 3);
	nic_rig_free(r);
}
END_TEST

START_TEST(unmask_without_cause_raises_nothing)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	for (unsigned i = 0; i < 5; i++) {
		r->drv->mask(r, true);
		rig_run(r);
		r->drv->mask(r, false);
		rig_run(r);
	}
	ck_assert_uint_eq(rig_irqs(r), 0);
	nic_rig_free(r);
}
END_TEST

static void exam_suppress(struct nic_rig *r)
{
	uint64_t before = rig_stat(r, irqs_suppressed);

	rig_post_rx(r, 10);
	rig_run(r);
	r->drv->suppress(r, true);
	exam_burst(r, 10, 0);
	exam_receive_burst(r, 3);
	ck_assert_uint_eq(rig_irqs(r), 0);
	ck_assert_uint_gt(rig_stat(r, irqs_suppressed), before);
	ck_assert_uint_eq(rig_tx_done(r), 10);
	ck_assert_uint_eq(exam_drain(r), 3);
	r->drv->ack(r); /* e1000: the driver polled, the causes are stale */
	r->drv->suppress(r, false);
	exam_receive_burst(r, 1);
	ck_assert_uint_eq(rig_irqs(r), 1);
	nic_rig_free(r);
}

START_TEST(driver_that_polls_is_not_interrupted)
{
	exam_suppress(nic_rig_new(_i, NULL));
}
END_TEST

START_TEST(driver_that_polls_by_flag_is_not_interrupted)
{
	struct rig_opts o = { .features_off = BIT64(VIRTIO_RING_F_EVENT_IDX) };

	exam_suppress(nic_rig_new(RIG_VIRTIO, &o));
}
END_TEST

/* INTx: virtio without MSI-X has the same line as the e1000, and ISR in place of ICR. */
START_TEST(line_drops_after_acknowledge)
{
	struct rig_opts o = { .intx = true };
	struct nic_rig *r = nic_rig_new(_i, &o);

	ck_assert(!rig_irq_level(r));
	exam_burst(r, 1, 0);
	ck_assert(rig_irq_level(r));
	rig_run(r);
	ck_assert(rig_irq_level(r));
	rig_tx_done(r);
	ck_assert_uint_ne(r->drv->ack(r), 0);
	ck_assert(!rig_irq_level(r));
	ck_assert_uint_eq(r->drv->ack(r), 0); /* nothing left to acknowledge */
	exam_burst(r, 1, 1);
	ck_assert(rig_irq_level(r));
	ck_assert_uint_eq(rig_irqs(r), 2);
	nic_rig_free(r);
}
END_TEST

START_TEST(line_drops_at_reset)
{
	struct rig_opts o = { .intx = true };
	struct nic_rig *r = nic_rig_new(_i, &o);

	exam_burst(r, 1, 0);
	ck_assert(rig_irq_level(r));
	r->drv->reset(r);
	if (_i == RIG_E1000 && rig_has(r, IRQ)) /* KVM's to lower: the guest finds no cause */
		rig_eoi(r);
	ck_assert(!rig_irq_level(r));
	rig_restart(r);
	ck_assert(!rig_irq_level(r));
	exam_works(r);
	nic_rig_free(r);
}
END_TEST

START_TEST(line_obeys_interrupt_disable)
{
	struct rig_opts o = { .intx = true };
	struct nic_rig *r = nic_rig_new(_i, &o);
	unsigned cmd = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	fake_pci_write(r->m->f, r->slot, PCI_COMMAND, 2, cmd | PCI_COMMAND_INTX_DISABLE);
	exam_burst(r, 1, 0);
	ck_assert(!rig_irq_level(r));
	ck_assert_uint_ne(fake_pci_read(r->m->f, r->slot, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, 0);
	fake_pci_write(r->m->f, r->slot, PCI_COMMAND, 2, cmd);
	ck_assert(rig_irq_level(r));
	nic_rig_free(r);
}
END_TEST

START_TEST(msix_uses_no_line)
{
	struct nic_rig *r = nic_rig_new(RIG_VIRTIO, NULL);

	exam_burst(r, 10, 0);
	ck_assert_uint_eq(rig_irqs(r), 1);
	ck_assert_uint_eq(r->m->f->irq[GSI_PCI_BASE + r->slot % GSI_PCI_NR].edges, 0);
	ck_assert_uint_eq(bus_read(&r->m->f->m.mmio, r->v.isr, 1), 0); /* 4.1.4.5.1 */
	nic_rig_free(r);
}
END_TEST

/* --- doorbells ------------------------------------------------------------------------- */

START_TEST(doorbell_with_nothing_new_does_nothing)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	exam_burst(r, 3, 0);
	rig_tx_done(r);
	r->drv->ack(r);
	rig_irq_clear(r);
	for (unsigned i = 0; i < 10; i++) {
		rig_kick(r);
		rig_run(r);
	}
	ck_assert_uint_eq(r->net->sent_nr, 3);
	ck_assert_uint_eq(rig_irqs(r), 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(frame_posted_without_doorbell_waits_for_it)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	frame_plain(frame, 100, peer, 1);
	ck_assert(rig_post_tx(r, frame, 100));
	rig_run(r);
	rig_kick(r);
	rig_run(r);
	ck_assert_uint_eq(r->net->sent_nr, 1);
	nic_rig_free(r);
}
END_TEST

/* virtio's ends in an eventfd unless the vCPU transmits itself; the e1000's is memory with
 * the ram rung (and may be queued with coalesced) once the worker has been busy. */
START_TEST(doorbell_costs_an_exit_where_no_rung_saves_it)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);
	bool free = _i == RIG_E1000 ? rig_has(r, RAM) : rig_has(r, WORKER);
	unsigned exits, busy = 40;

	for (unsigned i = 0; i < busy; i++) {
		exam_burst(r, 1, i);
		rig_tx_done(r);
	}
	ck_assert_int_eq(rig_stat(r, ram_spells) > 0, _i == RIG_E1000 && rig_has(r, RAM));
	ck_assert_int_eq(rig_stat(r, poll_spells) > 0, rig_has(r, POLL) != 0);
	exits = r->m->accel.exits;
	frame_plain(frame, 100, peer, busy);
	ck_assert(rig_post_tx(r, frame, 100));
	rig_kick(r);
	exits = r->m->accel.exits - exits;
	ck_assert_uint_le(exits, free ? 0 : 1);
	if (!free && !rig_has(r, COALESCED))
		ck_assert_uint_eq(exits, 1);
	rig_run(r);
	ck_assert_uint_eq(r->net->sent_nr, busy + 1);
	exam_sent(r, busy, frame, 100);
	ck_assert_uint_eq(rig_tx_done(r), busy + 1);
	rig_restart(r); /* whatever the doorbell was, a reset gets the card back */
	exam_works(r);
	nic_rig_free(r);
}
END_TEST

static const struct test_entry tests[] = {
	EXAM(tx_batch_raises_one_interrupt),
	EXAM(rx_batch_raises_one_interrupt),
	EXAM(driver_that_has_not_answered_is_not_interrupted_again),
	EXAM(frame_that_is_filtered_raises_no_interrupt),
	EXAM(masked_cause_is_raised_after_unmask),
	EXAM(unmask_without_cause_raises_nothing),
	EXAM(driver_that_polls_is_not_interrupted),
	T(driver_that_polls_by_flag_is_not_interrupted),
	EXAM(line_drops_after_acknowledge),
	EXAM(line_drops_at_reset),
	EXAM(line_obeys_interrupt_disable),
	T(msix_uses_no_line),
	EXAM(doorbell_with_nothing_new_does_nothing),
	EXAM(frame_posted_without_doorbell_waits_for_it),
	EXAM(doorbell_costs_an_exit_where_no_rung_saves_it),
};

CHECK_MAIN("nic interrupts", tests)

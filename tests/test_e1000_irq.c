/* SPDX-License-Identifier: MIT */
/*
 * test_e1000_irq.c: interrupt causes, masks and the throttle of the 82540EM, on a clock of
 * the test's own.
 */
#include "devices/e1000.h"
#include "tests/check_main.h"
#include "tests/rig/nic_clock.h"
#include "tests/rig/ring_e1000.h"

static struct e1000 *dev(struct nic_rig *r)
{
	return container_of(r->nic, struct e1000, nic);
}

/* The cause is gone, or masked: the line falls, with the irq rung at the guest's EOI. */
static void exam_line_falls(struct nic_rig *r)
{
	if (rig_has(r, IRQ)) {
		ck_assert(rig_irq_level(r));
		rig_eoi(r);
	}
	ck_assert(!rig_irq_level(r));
}

/* An interrupt followed another, at no distance: with the itr rung the line is up, without
 * it the first one's 128 us must pass. */
static void exam_line_after_floor(struct nic_rig *r)
{
	if (!rig_has(r, ITR)) {
		nic_clock_pass(r, 127999);
		ck_assert(!rig_irq_level(r));
		nic_clock_pass(r, 1);
	}
	ck_assert(rig_irq_level(r));
}

/* Unmasked: nothing. */
static struct nic_rig *quiet_card(void)
{
	struct nic_rig *r = nic_rig_new(RIG_E1000, NULL);

	ew32(r, CTRL, CTRL_RST);
	rig_run(r);
	er32(r, E1000_ICR);
	rig_irq_clear(r);
	return r;
}

/* As the stock driver's self-test, bits 0 to 9, and the rest. */
START_TEST(cause_interrupts_only_when_unmasked)
{
	struct nic_rig *r = quiet_card();
	uint32_t bit = BIT(_i);

	ew32(r, E1000_ICS, bit);
	ck_assert(!rig_irq_level(r));
	ew32(r, E1000_IMS, bit); /* it waited */
	ck_assert(rig_irq_level(r));
	ck_assert_uint_eq(er32(r, E1000_IMS), bit);
	ck_assert_uint_eq(er32(r, E1000_ICR), bit);
	exam_line_falls(r);
	ck_assert_uint_eq(er32(r, E1000_ICR), 0);

	ew32(r, E1000_ICS, E1000_ICR_ALL & ~bit);
	ck_assert(!rig_irq_level(r));
	ew32(r, E1000_ICS, bit);
	exam_line_after_floor(r);
	ew32(r, E1000_IMC, bit); /* masking takes the line down, not the cause */
	exam_line_falls(r);
	ck_assert_uint_eq(er32(r, E1000_IMS), 0);
	ck_assert_uint_eq(er32(r, E1000_ICR), E1000_ICR_ALL);
	ck_assert_uint_eq(rig_irqs(r), 2);
	nic_rig_free(r);
}
END_TEST

START_TEST(cause_is_cleared_by_writing_a_one)
{
	struct nic_rig *r = quiet_card();

	ew32(r, E1000_IMS, 5);
	ew32(r, E1000_ICS, 5);
	ew32(r, E1000_ICR, 1);
	ck_assert(rig_irq_level(r));
	ew32(r, E1000_ICR, 4);
	exam_line_falls(r);
	ck_assert_uint_eq(er32(r, E1000_ICR), 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(mask_bits_are_set_and_cleared_one_by_one)
{
	struct nic_rig *r = quiet_card();

	ew32(r, E1000_IMS, 0xf0);
	ew32(r, E1000_IMS, 0x0f);
	ew32(r, E1000_IMC, 0x3c);
	ck_assert_uint_eq(er32(r, E1000_IMS), 0xc3);
	ew32(r, E1000_IMS, ~UINT32_C(0));
	ck_assert_uint_eq(er32(r, E1000_IMS), E1000_ICR_ALL);
	ck_assert_uint_eq(er32(r, E1000_ICS), 0);
	ck_assert_uint_eq(er32(r, E1000_IMC), 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(throttle_waits_from_the_last_interrupt)
{
	ck_assert_uint_eq(e1000_itr_wait(5, 0, 500), 0); /* never yet */
	ck_assert_uint_eq(e1000_itr_wait(1000, 1000, 0), 0);
	ck_assert_uint_eq(e1000_itr_wait(1000, 1000, 500), 128000);
	ck_assert_uint_eq(e1000_itr_wait(128999, 1000, 500), 1);
	ck_assert_uint_eq(e1000_itr_wait(129000, 1000, 500), 0);
	ck_assert_uint_eq(e1000_itr_wait(UINT64_MAX, 1, 0xffff), 0);
}
END_TEST

START_TEST(throttled_cause_interrupts_when_the_interval_is_over)
{
	struct nic_rig *r = quiet_card();
	struct e1000 *e = dev(r);

	ew32(r, E1000_ITR, 500); /* 128 us */
	ew32(r, E1000_IMS, 1);
	ew32(r, E1000_ICS, 1);
	ck_assert(rig_irq_level(r)); /* leading edge */
	er32(r, E1000_ICR);
	exam_line_falls(r);
	nic_clock_pass(r, 100000);
	ew32(r, E1000_ICS, 1);
	ck_assert(!rig_irq_level(r));
	ck_assert_uint_eq(e->itr_due, e->line_at + 128000);
	e->itr_timer.expired(&e->itr_timer); /* early: set anew */
	ck_assert(!rig_irq_level(r));
	nic_clock_pass(r, 28000);
	ck_assert(rig_irq_level(r));
	ck_assert_uint_eq(rig_irqs(r), 2);
	ck_assert_uint_eq(rig_stat(r, irqs_suppressed), 1);
	ck_assert_uint_eq(rig_stat(r, irqs_coalesced), 1);
	ew32(r, E1000_ICS, 1); /* the line is up */
	ck_assert_uint_eq(rig_stat(r, irqs_coalesced), 2);
	ew32(r, E1000_ICS, 2); /* masked */
	ck_assert_uint_eq(rig_stat(r, irqs_suppressed), 3);
	ck_assert_uint_eq(rig_stat(r, irqs_coalesced), 2);
	er32(r, E1000_ICR);
	exam_line_falls(r);
	nic_clock_pass(r, 1000000); /* idle: at once again */
	ew32(r, E1000_ICS, 1);
	ck_assert(rig_irq_level(r));
	nic_rig_free(r);
}
END_TEST

START_TEST(throttle_that_is_lifted_lets_the_cause_through)
{
	struct nic_rig *r = quiet_card();

	ew32(r, E1000_ITR, 0xffff);
	ew32(r, E1000_IMS, 1);
	ew32(r, E1000_ICS, 1);
	er32(r, E1000_ICR);
	exam_line_falls(r);
	ew32(r, E1000_ICS, 1);
	ck_assert(!rig_irq_level(r));
	ew32(r, E1000_ITR, 0);
	exam_line_after_floor(r);
	nic_rig_free(r);
}
END_TEST

START_TEST(interval_above_the_floor_is_kept_on_every_rung)
{
	struct nic_rig *r = quiet_card();

	ew32(r, E1000_ITR, 1000);
	ew32(r, E1000_IMS, 1);
	ew32(r, E1000_ICS, 1);
	er32(r, E1000_ICR);
	exam_line_falls(r);
	ew32(r, E1000_ICS, 1);
	nic_clock_pass(r, 255999);
	ck_assert(!rig_irq_level(r));
	nic_clock_pass(r, 1);
	ck_assert(rig_irq_level(r));
	nic_rig_free(r);
}
END_TEST

START_TEST(cause_that_outlives_the_eoi_raises_the_line_again)
{
	struct nic_rig *r = quiet_card();

	ew32(r, E1000_IMS, 3);
	ew32(r, E1000_ICS, 1);
	ew32(r, E1000_ICS, 2); /* joins it */
	ck_assert_uint_eq(rig_irqs(r), 1);
	ew32(r, E1000_ICR, 1);
	rig_eoi(r); /* the handler saw one of two */
	if (rig_has(r, IRQ))
		exam_line_after_floor(r);
	ck_assert(rig_irq_level(r));
	ck_assert_uint_eq(rig_irqs(r), rig_has(r, IRQ) ? 2 : 1);
	ew32(r, E1000_ICR, 2);
	exam_line_falls(r);
	nic_rig_free(r);
}
END_TEST

START_TEST(reset_takes_the_line_down_and_masks_everything)
{
	struct nic_rig *r = quiet_card();

	ew32(r, E1000_IMS, 1);
	ew32(r, E1000_ICS, 1);
	ck_assert(rig_irq_level(r));
	ew32(r, E1000_CTRL, E1000_CTRL_RST);
	exam_line_falls(r);
	ck_assert_uint_eq(er32(r, E1000_IMS), 0);
	ck_assert_uint_eq(er32(r, E1000_ICR), 0);
	nic_rig_free(r);
}
END_TEST

static const struct test_entry tests[] = {
	TLOOP(cause_interrupts_only_when_unmasked, 0, 17),
	T(cause_is_cleared_by_writing_a_one),
	T(mask_bits_are_set_and_cleared_one_by_one),
	T(throttle_waits_from_the_last_interrupt),
	T(throttled_cause_interrupts_when_the_interval_is_over),
	T(throttle_that_is_lifted_lets_the_cause_through),
	T(interval_above_the_floor_is_kept_on_every_rung),
	T(cause_that_outlives_the_eoi_raises_the_line_again),
	T(reset_takes_the_line_down_and_masks_everything),
};

CHECK_MAIN("e1000 interrupts", tests)

/* SPDX-License-Identifier: MIT */
/*
 * test_e1000_delay.c: TIDV and TADV, by which a driver lets a TXDW wait [13.4.44, 13.4.46]. A
 * card may have it wait or not; ours does while the watcher looks at the clock for it.
 */
#include "tests/check_main.h"
#include "tests/rig/exam.h"
#include "tests/rig/nic_clock.h"
#include "tests/rig/ring_e1000.h"

enum { TADV = 0x382c };

#define TXDW    BIT(0)
#define TXD_IDE 0x80 /* TXDW may wait for TIDV */
#define UNIT_NS UINT64_C(1024)
#define DELAY   100 /* units */

static bool waits(const struct nic_rig *r)
{
	return rig_has(r, POLL) && rig_has(r, ITR);
}

/* The card sends a stream, so it is polling where it can; of causes TXDW alone interrupts. */
static struct nic_rig *busy_card(uint32_t tadv)
{
	struct nic_rig *r = nic_rig_new(RIG_E1000, NULL);

	ew32(r, TIDV, DELAY); /* before their page turns into memory (rung ram) */
	ew32(r, TADV, tadv);
	for (unsigned i = 0; i < 40; i++) {
		exam_burst(r, 1, i);
		rig_tx_done(r);
	}
	ew32(r, IMC, ~UINT32_C(0));
	ew32(r, IMS, TXDW);
	er32(r, ICR);
	rig_eoi(r);
	nic_clock_pass(r, NIC_CLOCK_RUN); /* the throttle is of the past */
	rig_irq_clear(r);
	return r;
}

/* A frame that nobody is in a hurry to hear of. */
static void send_patient(struct nic_rig *r)
{
	struct tx_desc d = {
		.addr = rig_tx_buf(r, 100),
		.len = 100,
		.cmd = TXD_EOP | TXD_IFCS | TXD_RS | TXD_IDE,
	};

	ring_e1000_put_tx(r, &d, true);
	ring_e1000_kick(r);
	fake_machine_run(r->m->f);
}

static void pass(struct nic_rig *r, uint64_t ns)
{
	nic_clock_pass(r, ns);
	fake_machine_run(r->m->f);
}

START_TEST(done_is_told_when_the_delay_is_over)
{
	struct nic_rig *r = busy_card(0);

	send_patient(r);
	ck_assert_uint_eq(rig_irqs(r), !waits(r));
	pass(r, DELAY * UNIT_NS - 1);
	ck_assert_uint_eq(rig_irqs(r), !waits(r));
	pass(r, 1);
	ck_assert_uint_eq(rig_irqs(r), 1);
	ck_assert_uint_eq(er32(r, ICR) & TXDW, TXDW);
	nic_rig_free(r);
}
END_TEST

/* Each frame starts TIDV anew, none TADV. */
START_TEST(absolute_delay_bounds_a_stream)
{
	struct nic_rig *r = busy_card(DELAY * 2);

	if (!waits(r))
		goto out;
	for (unsigned i = 0; i < 4; i++) {
		send_patient(r);
		ck_assert_uint_eq(rig_irqs(r), 0);
		pass(r, DELAY / 2 * UNIT_NS);
	}
	ck_assert_uint_eq(rig_irqs(r), 1);
out:
	nic_rig_free(r);
}
END_TEST

/* Once the fuzzer's: it was not told, and the watcher did not rest. */
START_TEST(done_is_told_by_a_transmitter_that_was_turned_off)
{
	struct nic_rig *r = busy_card(0);

	send_patient(r);
	ew32(r, TCTL, 0);
	fake_machine_run(r->m->f);
	ck_assert_uint_eq(rig_irqs(r), !waits(r));
	pass(r, DELAY * UNIT_NS);
	ck_assert_uint_eq(rig_irqs(r), 1);
	ck_assert_uint_eq(er32(r, ICR) & TXDW, TXDW);
	nic_rig_free(r);
}
END_TEST

static const struct test_entry tests[] = {
	T(done_is_told_when_the_delay_is_over),
	T(absolute_delay_bounds_a_stream),
	T(done_is_told_by_a_transmitter_that_was_turned_off),
};

CHECK_MAIN("e1000 transmit delay", tests)

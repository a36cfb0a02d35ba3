/* SPDX-License-Identifier: MIT */
/* test.c: duet's e1000 in a fake machine; its backend keeps what the driver sent. */
#include "exercise.h"
#include "tests/check_main.h"
#include "tests/rig/nic_rig.h"

#define ENTRIES 16u
#define LEN     60u

static struct nic_rig *r;
static struct driver d;
static gpa_t frame;

static void up(void)
{
	struct rig_opts o = { .tx_ring = ENTRIES };

	/* QEMU's way: the vCPU that rings sends, so nothing waits for the I/O thread. */
	setenv("DUET_RUNGS", "0", 1);
	r = nic_rig_new(RIG_E1000, &o);
	d = (struct driver){
		.m = &r->m->f->m, .regs = r->bar[0], .ring = r->tx_ring, .entries = ENTRIES
	};
	frame = rig_alloc(r, LEN, 8);
}

static void send(uint8_t byte)
{
	rig_fill(r, frame, byte, LEN);
	driver_send(&d, frame, LEN);
	rig_run(r);
}

static void expect_sent(unsigned i, uint8_t byte)
{
	ck_assert_uint_gt(r->net->sent_nr, i);
	ck_assert_uint_eq(r->net->sent[i].len, LEN);
	ck_assert_uint_eq(r->net->sent[i].data[0], byte);
	ck_assert_uint_eq(r->net->sent[i].data[LEN - 1], byte);
}

START_TEST(frame_goes_out_and_is_done)
{
	up();
	ck_assert(!driver_done(&d, 0));
	send(0x55);
	expect_sent(0, 0x55);
	ck_assert(driver_done(&d, 0));
	ck_assert(!driver_done(&d, 1));
	nic_rig_free(r);
}
END_TEST

START_TEST(ring_is_a_ring)
{
	up();
	for (unsigned i = 0; i < 3 * ENTRIES; i++) {
		send((uint8_t)i);
		expect_sent(i, (uint8_t)i);
	}
	ck_assert_uint_eq(d.tail, 0);
	ck_assert_uint_eq(rig_stat(r, guest_faults), 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(card_is_told_once_a_frame)
{
	uint64_t before;

	up();
	before = rig_stat(r, tx_kicks);
	send(1);
	send(2);
	ck_assert_uint_eq(rig_stat(r, tx_kicks) - before, 2);
	nic_rig_free(r);
}
END_TEST

static const struct test_entry tests[] = {
	T(frame_goes_out_and_is_done),
	T(ring_is_a_ring),
	T(card_is_told_once_a_frame),
};

CHECK_MAIN("send-a-frame", tests)

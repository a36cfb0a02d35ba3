/* SPDX-License-Identifier: MIT */
/*
 * test_nic_extra.c: artificial exits (--net exits=N), the same for both NICs, made by a
 * fake that counts what it was asked for. The real ones are tests/kvm/test_calibrate.c.
 */
#include "tests/rig/exam.h"

#include <string.h>

static struct fake_extra {
	unsigned calls, exits;
	unsigned limit; /* gives up after so many exits */
	pthread_t thread;
	bool locked; /* nic.work was held at each call */
	struct nic *nic;
} extra;

static unsigned fake_exits(void *ctx, unsigned n)
{
	unsigned made = MIN(n, extra.limit - extra.exits);

	ck_assert_ptr_eq(ctx, &extra);
	extra.calls++;
	extra.exits += made;
	extra.thread = pthread_self();
	extra.locked = extra.locked && pthread_mutex_trylock(&extra.nic->work.mutex) != 0;
	return made;
}

static struct nic_rig *extra_rig(int model, unsigned exits)
{
	struct nic_rig *r = nic_rig_new(model, NULL);

	extra = (struct fake_extra){ .limit = 1000000, .locked = true, .nic = r->nic };
	r->nic->cfg.exits = exits;
	r->nic->cfg.extra = fake_exits;
	r->nic->cfg.extra_ctx = &extra;
	return r;
}

START_TEST(each_frame_sent_makes_its_exits)
{
	struct nic_rig *r = extra_rig(_i, 7);

	exam_burst(r, 5, 0);
	ck_assert_uint_eq(r->net->sent_nr, 5);
	ck_assert_uint_eq(extra.calls, 5);
	ck_assert_uint_eq(extra.exits, 35);
	ck_assert_uint_eq(rig_stat(r, extra_exits), 35);
	ck_assert(extra.locked);
	ck_assert(pthread_equal(extra.thread, pthread_self()));
	exam_burst(r, 1, 5);
	ck_assert_uint_eq(rig_stat(r, extra_exits), 42);
	nic_rig_free(r);
}
END_TEST

START_TEST(none_are_made_unless_asked_for)
{
	struct nic_rig *r = extra_rig(_i, 0);

	exam_burst(r, 5, 0);
	ck_assert_uint_eq(r->net->sent_nr, 5);
	ck_assert_uint_eq(extra.calls, 0);
	ck_assert_uint_eq(rig_stat(r, extra_exits), 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(received_frames_make_none)
{
	struct nic_rig *r = extra_rig(_i, 7);
	uint8_t frame[100];

	frame_plain(frame, sizeof(frame), r->mac, 1);
	rig_post_rx(r, 4);
	rig_receive(r, frame, sizeof(frame), NULL);
	rig_run(r);
	exam_received(r, frame, sizeof(frame));
	ck_assert_uint_eq(extra.calls, 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(malformed_frames_make_none)
{
	struct nic_rig *r = extra_rig(_i, 7);
	uint8_t frame[60] = { 0 };

	ck_assert(rig_post_tx(r, frame, 13));
	rig_kick(r);
	rig_run(r);
	ck_assert_uint_gt(rig_stat(r, tx_drops) + rig_stat(r, guest_faults), 0);
	ck_assert_uint_eq(extra.calls, 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(frame_that_waited_for_room_makes_them_once)
{
	struct nic_rig *r = extra_rig(_i, 7);

	fake_net_set_full(r->net, true);
	exam_burst(r, 4, 0);
	ck_assert_uint_gt(rig_stat(r, tx_again), 0);
	ck_assert_uint_eq(extra.calls, 0);
	fake_net_set_full(r->net, false);
	rig_run(r);
	ck_assert_uint_eq(r->net->sent_nr, 4);
	ck_assert_uint_eq(extra.calls, 4);
	nic_rig_free(r);
}
END_TEST

START_TEST(those_not_made_are_not_counted)
{
	struct nic_rig *r = extra_rig(_i, 7);

	extra.limit = 10;
	exam_burst(r, 5, 0);
	ck_assert_uint_eq(r->net->sent_nr, 5);
	ck_assert_uint_eq(extra.calls, 5);
	ck_assert_uint_eq(rig_stat(r, extra_exits), 10);
	nic_rig_free(r);
}
END_TEST

static const struct test_entry tests[] = {
	EXAM(each_frame_sent_makes_its_exits),
	EXAM(none_are_made_unless_asked_for),
	EXAM(received_frames_make_none),
	EXAM(malformed_frames_make_none),
	EXAM(frame_that_waited_for_room_makes_them_once),
	EXAM(those_not_made_are_not_counted),
};

CHECK_MAIN("nic extra", tests)

/* SPDX-License-Identifier: MIT */
/*
 * test_virtio_net_window.c: where virtio-net reads frames to when many in a row were small,
 * and what becomes of one that is not. Other receiving: test_virtio_net.c.
 */
#include "tests/rig/exam.h"

#define BUFFER 256           /* of the driver, bytes */
#define FIRST  (BUFFER - 12) /* of a frame, in the first of its buffers [5.1.6] */
#define SMALL  100
#define MANY   40 /* enough that no larger one is expected */

static uint8_t frame[FRAME_BUF];

static struct nic_rig *rig(unsigned buffers)
{
	struct rig_opts o = { .rx_buf = BUFFER };
	struct nic_rig *r = nic_rig_new(RIG_VIRTIO, &o);

	rig_post_rx(r, buffers);
	return r;
}

static void receive(struct nic_rig *r, size_t len, uint32_t seed)
{
	frame_plain(frame, len, r->mac, seed);
	rig_receive(r, frame, len, NULL);
	rig_run(r);
}

static void receive_small(struct nic_rig *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		receive(r, SMALL, i);
		exam_received(r, frame, SMALL);
	}
}

/* Bytes copied for the next frame, which arrives whole. */
static uint64_t copied(struct nic_rig *r, size_t len)
{
	uint64_t before = rig_stat(r, bytes_copied);

	receive(r, len, (uint32_t)len);
	exam_received(r, frame, len);
	return rig_stat(r, bytes_copied) - before;
}

START_TEST(longer_frame_after_many_small_ones_is_whole)
{
	struct nic_rig *r = rig(0);

	for (size_t len = 240; len <= 1514; len += 49) {
		uint64_t whole = rig_has(r, ZERO_COPY) ? 0 : len;

		rig_post_rx(r, RIG_RING_MAX);
		receive_small(r, MANY);
		ck_assert_uint_eq(copied(r, len), whole ? whole : len > FIRST ? len - FIRST : 0);
		ck_assert_uint_eq(copied(r, len), whole); /* expected now */
	}
	nic_rig_free(r);
}
END_TEST

START_TEST(longer_frame_that_meets_too_little_room_is_lost_alone)
{
	struct nic_rig *r = rig(MANY + 2);

	if (!rig_has(r, OFFLOAD_RX)) /* 1514 bytes at most: it is known that they fit */
		rig_post_rx(r, 1514 / BUFFER);
	receive_small(r, MANY);
	receive(r, 1500, 1);
	if (rig_has(r, OFFLOAD_RX)) {
		exam_received_none(r);
		ck_assert_uint_eq(rig_stat(r, rx_oversize), 1);
		receive_small(r, 2);
	} else {
		exam_received(r, frame, 1500);
	}
	nic_rig_free(r);
}
END_TEST

/* The filter has to see the whole header, however little of it the first buffer takes. */
START_TEST(address_is_known_when_the_first_buffer_ends_within_it)
{
	struct nic_rig *r = rig(MANY + 8);

	receive_small(r, MANY);
	r->drv->post_rx_at(r, rig_rx_buf(r, 0), 16); /* its turn comes behind the eight */
	for (unsigned i = 1; i < MANY; i++)
		r->drv->post_rx_at(r, rig_rx_buf(r, i), BUFFER);
	r->drv->kick_rx(r);
	for (unsigned i = 0; i < 12; i++)
		receive(r, SMALL, i);
	ck_assert_uint_eq(rig_stat(r, rx_filtered), 0);
	ck_assert_uint_eq(rig_stat(r, rx_frames), MANY + 12);
	nic_rig_free(r);
}
END_TEST

static const struct test_entry tests[] = {
	T(longer_frame_after_many_small_ones_is_whole),
	T(longer_frame_that_meets_too_little_room_is_lost_alone),
	T(address_is_known_when_the_first_buffer_ends_within_it),
};

CHECK_MAIN("virtio-net window", tests)

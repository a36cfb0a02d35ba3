/* SPDX-License-Identifier: MIT */
/*
 * test_virtq.c: the split ring by itself, with a driver that writes descriptors by hand:
 * order and wrap-around, who is notified when, and every way a chain can be malformed.
 */
#include "devices/virtq.h"
#include "tests/check_main.h"

#include <errno.h>
#include <string.h>

#define RAM   UINT64_C(0x100000)
#define DESC  UINT64_C(0x1000)
#define AVAIL UINT64_C(0x2000)
#define USED  UINT64_C(0x3000)
#define TABLE UINT64_C(0x4000)
#define BUF   UINT64_C(0x10000)
#define SEGS  16

#define EVENT_IDX BIT64(VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT  BIT64(VIRTIO_RING_F_INDIRECT_DESC)

/* One queue and the driver's view of it. */
static uint64_t ram = RAM; /* bytes the next queue_up() makes */
static struct gmem mem;
static struct virtq q;
static struct vring_desc *desc, *table;
static struct vring_avail *avail;
static struct vring_used *used;
static struct virtq_chain chain;
static struct iovec iov[SEGS];

static void queue_up(uint16_t size, uint64_t features)
{
	struct virtq_layout l = { .size = size, .desc = DESC, .avail = AVAIL, .used = USED };

	ck_assert_int_eq(gm_init(&mem, ram), 0);
	desc = gm_span(&mem, DESC, 0);
	table = gm_span(&mem, TABLE, 0);
	avail = gm_span(&mem, AVAIL, 0);
	used = gm_span(&mem, USED, 0);
	ck_assert_int_eq(virtq_enable(&q, &mem, &l, features), 0);
}

static void queue_down(void)
{
	virtq_disable(&q);
	gm_destroy(&mem);
	ram = RAM;
}

static struct vring_desc buf(unsigned i, uint32_t len, uint16_t flags, uint16_t next)
{
	return (struct vring_desc){
		.addr = BUF + 0x1000 * i, .len = len, .flags = flags, .next = next
	};
}

/* Names the indirect table, `len` bytes of it. */
static struct vring_desc to_table(uint32_t len, uint16_t flags)
{
	return (struct vring_desc){
		.addr = TABLE, .len = len, .flags = VRING_DESC_F_INDIRECT | flags, .next = 1
	};
}

static void post(uint16_t head)
{
	avail->ring[avail->idx % q.size] = head;
	avail->idx++;
}

static int pop(void)
{
	return virtq_pop(&q, &chain, iov, SEGS);
}

/* The device takes one chain and gives it back. */
static void serve(void)
{
	ck_assert_int_eq(pop(), 1);
	virtq_push(&q, chain.head, 0);
	virtq_publish(&q);
}

/* --- good chains -------------------------------------------------------------------- */

START_TEST(chain_is_described_readable_part_first)
{
	queue_up(8, 0);
	desc[3] = buf(0, 12, VRING_DESC_F_NEXT, 5);
	desc[5] = buf(1, 100, VRING_DESC_F_NEXT, 1);
	desc[1] = buf(2, 64, VRING_DESC_F_WRITE, 7);
	ck_assert_int_eq(pop(), 0);
	post(3);
	ck_assert_int_eq(pop(), 1);
	ck_assert_uint_eq(chain.head, 3);
	ck_assert_uint_eq(chain.n_out, 2);
	ck_assert_uint_eq(chain.out_len, 112);
	ck_assert_uint_eq(chain.n_in, 1);
	ck_assert_uint_eq(chain.in_len, 64);
	ck_assert_ptr_eq(iov[1].iov_base, gm_span(&mem, BUF + 0x1000, 1));
	ck_assert_uint_eq(iov[1].iov_len, 100);
	ck_assert_ptr_eq(iov[2].iov_base, gm_span(&mem, BUF + 0x2000, 1));
	ck_assert_int_eq(pop(), 0);
	queue_down();
}
END_TEST

START_TEST(indirect_table_may_end_a_direct_chain_at_any_address)
{
	struct vring_desc t[2] = { buf(1, 20, VRING_DESC_F_NEXT, 1), buf(2, 30, 0, 0) };

	queue_up(8, INDIRECT);
	memcpy((uint8_t *)table + 3, t, sizeof(t));
	desc[0] = buf(0, 10, VRING_DESC_F_NEXT, 1);
	/* 2.7.5.3.2: WRITE on the descriptor of a table means nothing. */
	desc[1] = (struct vring_desc){ .addr = TABLE + 3,
				       .len = 32,
				       .flags = VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE };
	post(0);
	ck_assert_int_eq(pop(), 1);
	ck_assert_uint_eq(chain.n_out, 3);
	ck_assert_uint_eq(chain.out_len, 60);
	ck_assert_uint_eq(chain.n_in, 0);
	queue_down();
}
END_TEST

START_TEST(empty_buffers_take_no_entry)
{
	queue_up(8, 0);
	desc[0] = buf(0, 0, VRING_DESC_F_NEXT, 1);
	desc[1] = buf(1, 5, 0, 0);
	post(0);
	ck_assert_int_eq(pop(), 1);
	ck_assert_uint_eq(chain.n_out, 1);
	ck_assert_uint_eq(chain.out_len, 5);
	queue_down();
}
END_TEST

START_TEST(ring_keeps_order_through_the_wrap_of_the_index)
{
	queue_up(4, EVENT_IDX);
	for (unsigned i = 0; i < 4; i++)
		desc[i] = buf(i, i + 1, 0, 0);
	for (uint32_t i = 0; i < 0x10000 + 6; i++) {
		post(i % 4);
		ck_assert_int_eq(pop(), 1);
		ck_assert_uint_eq(chain.head, i % 4);
		virtq_push(&q, chain.head, i);
		virtq_publish(&q);
		ck_assert_uint_eq(used->idx, (uint16_t)(i + 1));
		ck_assert_uint_eq(used->ring[i % 4].id, i % 4);
		ck_assert_uint_eq(used->ring[i % 4].len, i);
	}
	queue_down();
}
END_TEST

START_TEST(chains_may_be_used_out_of_order)
{
	struct virtq_chain first;

	queue_up(4, 0);
	desc[0] = buf(0, 1, 0, 0);
	desc[1] = buf(1, 2, 0, 0);
	post(0);
	post(1);
	ck_assert_int_eq(virtq_pop(&q, &first, iov, SEGS), 1);
	ck_assert_int_eq(pop(), 1);
	virtq_push(&q, chain.head, 0);
	virtq_push(&q, first.head, 0);
	ck_assert_uint_eq(used->idx, 0); /* not before it is published */
	virtq_publish(&q);
	ck_assert_uint_eq(used->idx, 2);
	ck_assert_uint_eq(used->ring[0].id, 1);
	ck_assert_uint_eq(used->ring[1].id, 0);
	queue_down();
}
END_TEST

START_TEST(unpopped_chain_comes_again)
{
	queue_up(4, 0);
	desc[2] = buf(0, 7, 0, 0);
	post(2);
	ck_assert_int_eq(pop(), 1);
	virtq_unpop(&q);
	ck_assert_int_eq(pop(), 1);
	ck_assert_uint_eq(chain.head, 2);
	ck_assert_uint_eq(chain.out_len, 7);
	ck_assert_int_eq(pop(), 0);
	queue_down();
}
END_TEST

START_TEST(chain_that_needs_too_many_entries_stays)
{
	queue_up(4, 0);
	desc[0] = buf(0, 1, VRING_DESC_F_NEXT, 1);
	desc[1] = buf(1, 1, VRING_DESC_F_NEXT, 2);
	desc[2] = buf(2, 1, 0, 0);
	post(0);
	ck_assert_int_eq(virtq_pop(&q, &chain, iov, 2), -E2BIG);
	ck_assert_ptr_null(q.fault);
	ck_assert_int_eq(virtq_pop(&q, &chain, iov, 3), 1);
	queue_down();
}
END_TEST

START_TEST(avail_idx_may_be_the_whole_queue_ahead_of_what_is_used)
{
	queue_up(4, 0);
	for (uint16_t i = 0; i < 4; i++) {
		desc[i] = buf(i, 1, 0, 0);
		post(i);
	}
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(pop(), 1);
	ck_assert_int_eq(pop(), 0);
	queue_down();
}
END_TEST

/* --- malformed: each is a fault, and the queue is dead afterwards ---------------------- */

static void expect_fault(const char *why)
{
	ck_assert_int_eq(pop(), -EINVAL);
	ck_assert_str_eq(q.fault, why);
	/* Even when the driver repairs what it did. */
	desc[0] = buf(0, 1, 0, 0);
	ck_assert_int_eq(pop(), -EINVAL);
	queue_down();
}

START_TEST(avail_idx_that_jumps_is_a_fault)
{
	queue_up(4, 0);
	avail->idx = 5;
	expect_fault("avail idx jumped by more than the queue's size");
}
END_TEST

START_TEST(avail_idx_that_goes_back_is_a_fault)
{
	queue_up(4, 0);
	desc[0] = buf(0, 1, 0, 0);
	post(0);
	serve();
	avail->idx = 0;
	expect_fault("avail idx jumped by more than the queue's size");
}
END_TEST

START_TEST(avail_idx_that_offers_what_we_still_hold_is_a_fault)
{
	queue_up(4, 0);
	desc[0] = buf(0, 1, 0, 0);
	post(0);
	post(0);
	ck_assert_int_eq(pop(), 1);
	ck_assert_int_eq(pop(), 1);
	avail->idx = 5; /* only 2 of 4 can be new */
	expect_fault("avail idx jumped by more than the queue's size");
}
END_TEST

START_TEST(head_out_of_range_is_a_fault)
{
	queue_up(4, 0);
	post(4);
	expect_fault("head outside the descriptor table");
}
END_TEST

/* One chain from descriptor 0 on, then the fault. */
static void expect_chain_fault(const char *why)
{
	post(0);
	expect_fault(why);
}

START_TEST(next_out_of_range_is_a_fault)
{
	queue_up(4, 0);
	desc[0] = buf(0, 1, VRING_DESC_F_NEXT, 4);
	expect_chain_fault("next descriptor outside its table");
}
END_TEST

START_TEST(loop_is_a_fault)
{
	queue_up(4, 0);
	desc[0] = buf(0, 1, VRING_DESC_F_NEXT, 1);
	desc[1] = buf(1, 1, VRING_DESC_F_NEXT, 0);
	expect_chain_fault("chain loops, or is too long");
}
END_TEST

START_TEST(chain_of_very_many_empty_buffers_is_not_followed_to_its_end)
{
	queue_up(4, INDIRECT);
	for (unsigned i = 0; i < VIRTQ_CHAIN_MAX; i++)
		table[i] = buf(0, 0, VRING_DESC_F_NEXT, (uint16_t)(i + 1));
	table[VIRTQ_CHAIN_MAX] = buf(0, 1, 0, 0);
	desc[0] = to_table(0x80000, 0);
	expect_chain_fault("chain loops, or is too long");
}
END_TEST

START_TEST(readable_after_writable_is_a_fault)
{
	queue_up(4, 0);
	desc[0] = buf(0, 1, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1);
	desc[1] = buf(1, 1, 0, 0);
	expect_chain_fault("readable descriptor after a writable one");
}
END_TEST

/* Addresses a buffer must not have: past the end, across it, wrapping, at the top. */
static const struct {
	gpa_t addr;
	uint32_t len;
} outside[] = {
	{ RAM, 1 }, { RAM - 1, 2 }, { UINT64_MAX, 2 }, { UINT64_MAX - 15, 32 }, { 0, UINT32_MAX },
};

START_TEST(buffer_outside_ram_is_a_fault)
{
	queue_up(4, 0);
	desc[0] = (struct vring_desc){ .addr = outside[_i].addr, .len = outside[_i].len };
	expect_chain_fault("buffer outside RAM");
}
END_TEST

START_TEST(indirect_table_outside_ram_is_a_fault)
{
	queue_up(4, INDIRECT);
	desc[0] = (struct vring_desc){ .addr = outside[_i].addr & ~UINT64_C(15),
				       .len = 0x100000 + 16,
				       .flags = VRING_DESC_F_INDIRECT };
	expect_chain_fault("indirect table outside RAM");
}
END_TEST

/* Sparse RAM of 1 GiB: four whole buffers of it are 2^32 bytes. */
START_TEST(chain_of_4_gib_is_a_fault)
{
	ram = 0x40000000;
	queue_up(4, 0);
	for (unsigned i = 0; i < 4; i++)
		desc[i] = (struct vring_desc){ .len = (uint32_t)ram,
					       .flags = i < 3,
					       .next = (uint16_t)(i + 1) };
	desc[3].len--;
	post(0);
	ck_assert_int_eq(pop(), 1);
	ck_assert_uint_eq(chain.out_len, UINT32_MAX);
	desc[3].len++;
	expect_chain_fault("chain of 4 GiB or more");
}
END_TEST

static const uint32_t bad_table_len[] = { 0, 1, 15, 17, 24 };

START_TEST(indirect_table_of_bad_length_is_a_fault)
{
	queue_up(4, INDIRECT);
	table[0] = buf(0, 1, 0, 0);
	desc[0] = to_table(bad_table_len[_i], 0);
	expect_chain_fault("indirect table of a length that is no multiple of 16");
}
END_TEST

START_TEST(indirect_table_in_a_table_is_a_fault)
{
	queue_up(4, INDIRECT);
	table[0] = to_table(16, 0);
	desc[0] = table[0];
	expect_chain_fault("indirect descriptor inside an indirect table");
}
END_TEST

START_TEST(indirect_with_next_is_a_fault)
{
	queue_up(4, INDIRECT);
	table[0] = buf(0, 1, 0, 0);
	desc[0] = to_table(16, VRING_DESC_F_NEXT);
	desc[1] = buf(1, 1, 0, 0);
	expect_chain_fault("indirect descriptor with NEXT");
}
END_TEST

START_TEST(indirect_not_negotiated_is_a_fault)
{
	queue_up(4, 0);
	table[0] = buf(0, 1, 0, 0);
	desc[0] = to_table(16, 0);
	expect_chain_fault("indirect descriptor, not negotiated");
}
END_TEST

START_TEST(next_that_leaves_the_indirect_table_is_a_fault)
{
	queue_up(4, INDIRECT);
	table[0] = buf(0, 1, VRING_DESC_F_NEXT, 1);
	table[1] = buf(1, 1, 0, 0);
	desc[0] = to_table(16, 0);
	expect_chain_fault("next descriptor outside its table");
}
END_TEST

/* --- enabling --------------------------------------------------------------------------- */

static const struct {
	struct virtq_layout l;
	int err;
} bad_layout[] = {
	{ { 0, DESC, AVAIL, USED }, -EINVAL },
	{ { 3, DESC, AVAIL, USED }, -EINVAL },
	{ { 2048, DESC, AVAIL, USED }, -EINVAL },
	{ { 8, DESC + 8, AVAIL, USED }, -EINVAL },
	{ { 8, DESC, AVAIL + 1, USED }, -EINVAL },
	{ { 8, DESC, AVAIL, USED + 2 }, -EINVAL },
	{ { 8, RAM - 7 * 16, AVAIL, USED }, -EFAULT },
	{ { 8, DESC, RAM - 20, USED }, -EFAULT },
	{ { 8, DESC, AVAIL, RAM - 68 }, -EFAULT },
	{ { 8, ~UINT64_C(15), AVAIL, USED }, -EFAULT },
};

START_TEST(queue_in_a_bad_place_is_not_enabled)
{
	ck_assert_int_eq(gm_init(&mem, RAM), 0);
	ck_assert_int_eq(virtq_enable(&q, &mem, &bad_layout[_i].l, 0), bad_layout[_i].err);
	ck_assert(!virtq_enabled(&q));
	ck_assert_int_eq(pop(), 0);
	gm_destroy(&mem);
}
END_TEST

START_TEST(queue_that_just_fits_is_enabled_and_starts_over)
{
	/* 8 entries: 128, 6 + 16 = 22, 6 + 64 = 70 bytes. */
	struct virtq_layout l = { 8, RAM - 128, RAM - 22, RAM - 72 };

	queue_up(4, 0);
	avail->idx = 9;
	ck_assert_int_eq(pop(), -EINVAL);
	ck_assert_int_eq(virtq_enable(&q, &mem, &l, 0), 0);
	ck_assert_int_eq(pop(), 0);
	queue_down();
}
END_TEST

/* --- interrupts ------------------------------------------------------------------------- */

/* used_event: interrupt when idx passes it, whatever the batch, also around the wrap. */
START_TEST(interrupt_is_due_when_used_event_is_passed)
{
	queue_up(4, EVENT_IDX);
	desc[0] = buf(0, 1, 0, 0);
	for (uint32_t i = 0; i < 0x10000 + 8; i++) {
		uint16_t before = used->idx;

		/* Every third: "interrupt after two more"; the rest of the time: not soon. */
		avail->ring[4] = (uint16_t)(i % 3 == 0 ? before + 1 : before + 0x8000);
		post(0);
		serve();
		ck_assert(!virtq_irq_due(&q)); /* one is not two */
		post(0);
		serve();
		ck_assert_int_eq(virtq_irq_due(&q), i % 3 == 0);
		ck_assert(!virtq_irq_due(&q)); /* nothing new */
	}
	queue_down();
}
END_TEST

START_TEST(interrupt_covers_a_batch_that_passes_used_event_midway)
{
	queue_up(4, EVENT_IDX);
	desc[0] = buf(0, 1, 0, 0);
	avail->ring[4] = 1;
	for (unsigned i = 0; i < 3; i++) {
		post(0);
		serve();
	}
	ck_assert(virtq_irq_open(&q));
	ck_assert(virtq_irq_due(&q));
	ck_assert(!virtq_irq_open(&q));
	queue_down();
}
END_TEST

START_TEST(interrupt_follows_the_flag_without_event_idx)
{
	queue_up(4, 0);
	desc[0] = buf(0, 1, 0, 0);
	post(0);
	serve();
	ck_assert(virtq_irq_due(&q));
	avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	post(0);
	serve();
	ck_assert(!virtq_irq_due(&q));
	queue_down();
}
END_TEST

/* --- doorbells -------------------------------------------------------------------------- */

/* Would the driver ring for having moved avail->idx from `old` (2.7.10)? */
static bool driver_rings(uint16_t old)
{
	uint16_t event;

	if (!q.event_idx)
		return !(used->flags & VRING_USED_F_NO_NOTIFY);
	memcpy(&event, &used->ring[q.size], sizeof(event));
	return vring_need_event(event, avail->idx, old);
}

static void exam_doorbell(void)
{
	uint16_t old;

	for (uint32_t i = 0; i < 0x10000 + 8; i++) {
		virtq_kick_disable(&q);
		ck_assert(!virtq_kick_enable(&q));
		old = avail->idx;
		post(0);
		ck_assert(driver_rings(old));
		virtq_kick_disable(&q);
		old = avail->idx;
		post(0);
		ck_assert(!driver_rings(old)); /* we are awake */
		serve();
		/* Asking again finds what came in between: no bell will ring for it. */
		ck_assert(virtq_kick_enable(&q));
		serve();
	}
}

START_TEST(doorbell_is_wanted_only_when_asked_for)
{
	queue_up(4, _i ? EVENT_IDX : 0);
	desc[0] = buf(0, 1, 0, 0);
	exam_doorbell();
	queue_down();
}
END_TEST

START_TEST(asking_for_a_doorbell_finds_a_broken_index)
{
	queue_up(4, EVENT_IDX);
	avail->idx = 100;
	ck_assert(virtq_kick_enable(&q));
	ck_assert_int_eq(pop(), -EINVAL);
	queue_down();
}
END_TEST

static const struct test_entry tests[] = {
	T(chain_is_described_readable_part_first),
	T(indirect_table_may_end_a_direct_chain_at_any_address),
	T(empty_buffers_take_no_entry),
	T(ring_keeps_order_through_the_wrap_of_the_index),
	T(chains_may_be_used_out_of_order),
	T(unpopped_chain_comes_again),
	T(chain_that_needs_too_many_entries_stays),
	T(avail_idx_may_be_the_whole_queue_ahead_of_what_is_used),
	T(avail_idx_that_jumps_is_a_fault),
	T(avail_idx_that_goes_back_is_a_fault),
	T(avail_idx_that_offers_what_we_still_hold_is_a_fault),
	T(head_out_of_range_is_a_fault),
	T(next_out_of_range_is_a_fault),
	T(loop_is_a_fault),
	T(chain_of_very_many_empty_buffers_is_not_followed_to_its_end),
	T(readable_after_writable_is_a_fault),
	TLOOP(buffer_outside_ram_is_a_fault, 0, 5),
	TLOOP(indirect_table_outside_ram_is_a_fault, 0, 5),
	T(chain_of_4_gib_is_a_fault),
	TLOOP(indirect_table_of_bad_length_is_a_fault, 0, 5),
	T(indirect_table_in_a_table_is_a_fault),
	T(indirect_with_next_is_a_fault),
	T(indirect_not_negotiated_is_a_fault),
	T(next_that_leaves_the_indirect_table_is_a_fault),
	TLOOP(queue_in_a_bad_place_is_not_enabled, 0, 10),
	T(queue_that_just_fits_is_enabled_and_starts_over),
	T(interrupt_is_due_when_used_event_is_passed),
	T(interrupt_covers_a_batch_that_passes_used_event_midway),
	T(interrupt_follows_the_flag_without_event_idx),
	TLOOP(doorbell_is_wanted_only_when_asked_for, 0, 2),
	T(asking_for_a_doorbell_finds_a_broken_index),
};

CHECK_MAIN("virtq", tests)

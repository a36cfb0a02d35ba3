/* SPDX-License-Identifier: MIT */
/* test.c: a decent guest, and the others. Each runs in a process of its own, so a crash is told. */
#include "exercise.h"
#include "tests/check_main.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define RAM  0x10000u
#define ROOM 64u

static struct gmem mem;
static struct {
	uint8_t before[16], out[ROOM], after[16];
} buf;
static struct {
	unsigned before[4], kinds[MAIL_KINDS], after[4];
} count;

static void up(void)
{
	ck_assert_int_eq(gm_init(&mem, RAM), 0);
	memset(&buf, 0x5a, sizeof(buf));
	memset(&count, 0, sizeof(count));
}

/* Nothing outside of what it may write was written. */
static void unhurt(void)
{
	static const unsigned none[4];

	for (unsigned i = 0; i < sizeof(buf.before); i++)
		ck_assert(buf.before[i] == 0x5a && buf.after[i] == 0x5a);
	ck_assert_mem_eq(count.before, none, sizeof(none));
	ck_assert_mem_eq(count.after, none, sizeof(none));
	gm_destroy(&mem);
}

static void post(gpa_t at, gpa_t next, uint32_t len, uint32_t kind)
{
	struct mail mail = { .next = next, .len = len, .kind = kind };

	ck_assert_int_eq(gm_write(&mem, at, &mail, sizeof(mail)), 0);
}

static long collect(gpa_t head)
{
	return mail_collect(&mem, head, buf.out, ROOM, count.kinds);
}

START_TEST(decent_guest_is_served)
{
	up();
	post(0x1000, 0x2000, 3, 1);
	ck_assert_int_eq(gm_write(&mem, 0x1000 + sizeof(struct mail), "abc", 3), 0);
	post(0x2000, 0, 2, 1);
	ck_assert_int_eq(gm_write(&mem, 0x2000 + sizeof(struct mail), "de", 2), 0);
	ck_assert_int_eq(collect(0x1000), 5);
	ck_assert_mem_eq(buf.out, "abcde", 5);
	ck_assert_uint_eq(count.kinds[1], 2);
	ck_assert_int_eq(collect(0), 0);
	unhurt();
}
END_TEST

START_TEST(full_room_is_enough_and_a_byte_more_is_not)
{
	up();
	post(0x1000, 0, ROOM, 0);
	ck_assert_int_eq(collect(0x1000), ROOM);
	post(0x1000, 0, ROOM + 1, 0);
	ck_assert_int_eq(collect(0x1000), -EINVAL);
	unhurt();
}
END_TEST

START_TEST(lengths_that_wrap_are_too_long)
{
	up();
	post(0x1000, 0x2000, 16, 0);
	post(0x2000, 0, 0xfffffff8, 0);
	ck_assert_int_eq(collect(0x1000), -EINVAL);
	unhurt();
}
END_TEST

START_TEST(list_that_bites_its_tail_ends)
{
	up();
	post(0x1000, 0x1000, 0, 0);
	alarm(5); /* of what does not end, Check hears so */
	ck_assert_int_eq(collect(0x1000), -EINVAL);
	unhurt();
}
END_TEST

START_TEST(kind_is_an_index)
{
	up();
	post(0x1000, 0, 0, MAIL_KINDS);
	ck_assert_int_eq(collect(0x1000), -EINVAL);
	unhurt();
}
END_TEST

START_TEST(body_ends_where_ram_does)
{
	up();
	post(RAM - sizeof(struct mail) - 8, 0, 9, 0);
	ck_assert_int_eq(collect(RAM - sizeof(struct mail) - 8), -EINVAL);
	ck_assert_int_eq(collect(RAM - 8), -EINVAL);
	ck_assert_int_eq(collect(UINT64_MAX - 4), -EINVAL);
	unhurt();
}
END_TEST

static const struct test_entry tests[] = {
	T(decent_guest_is_served),
	T(full_room_is_enough_and_a_byte_more_is_not),
	T(lengths_that_wrap_are_too_long),
	T(list_that_bites_its_tail_ends),
	T(kind_is_an_index),
	T(body_ends_where_ram_does),
};

CHECK_MAIN("mailbox", tests)

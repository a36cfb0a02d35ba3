/* SPDX-License-Identifier: MIT */
/* test.c: exits as KVM would report them, made by hand, so without KVM. */
#include "exercise.h"
#include "tests/check_main.h"

#include <string.h>

#define DATA_AT 4096 /* where KVM puts it: the page behind struct kvm_run */

static union {
	struct kvm_run run;
	uint8_t bytes[2 * DATA_AT];
} u;
static uint8_t out[16];

static size_t guest_did(unsigned direction, unsigned size, unsigned count, const char *data)
{
	u.run.exit_reason = KVM_EXIT_IO;
	u.run.io.direction = (uint8_t)direction;
	u.run.io.size = (uint8_t)size;
	u.run.io.count = count;
	u.run.io.port = 0xe9;
	u.run.io.data_offset = DATA_AT;
	memcpy(u.bytes + DATA_AT, data, strlen(data));
	return exit_io_bytes(&u.run, out, sizeof(out));
}

START_TEST(one_byte)
{
	ck_assert_uint_eq(guest_did(KVM_EXIT_IO_OUT, 1, 1, "x"), 1);
	ck_assert_uint_eq(out[0], 'x');
}
END_TEST

START_TEST(word_has_two_bytes)
{
	ck_assert_uint_eq(guest_did(KVM_EXIT_IO_OUT, 2, 1, "ab"), 2);
	ck_assert_mem_eq(out, "ab", 2);
}
END_TEST

START_TEST(string_is_one_exit)
{
	ck_assert_uint_eq(guest_did(KVM_EXIT_IO_OUT, 1, 5, "hello"), 5);
	ck_assert_mem_eq(out, "hello", 5);
	ck_assert_uint_eq(guest_did(KVM_EXIT_IO_OUT, 4, 2, "12345678"), 8);
	ck_assert_mem_eq(out, "12345678", 8);
}
END_TEST

START_TEST(no_more_than_there_is_room_for)
{
	uint8_t small[4] = "....";

	guest_did(KVM_EXIT_IO_OUT, 1, 8, "abcdefgh");
	ck_assert_uint_eq(exit_io_bytes(&u.run, small, 3), 3);
	ck_assert_mem_eq(small, "abc.", 4);
}
END_TEST

START_TEST(reads_carry_nothing_out)
{
	ck_assert_uint_eq(guest_did(KVM_EXIT_IO_IN, 1, 1, "x"), 0);
}
END_TEST

static const struct test_entry tests[] = {
	T(one_byte),
	T(word_has_two_bytes),
	T(string_is_one_exit),
	T(no_more_than_there_is_room_for),
	T(reads_carry_nothing_out),
};

CHECK_MAIN("string-io", tests)

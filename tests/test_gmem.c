/* SPDX-License-Identifier: MIT */
/* test_gmem.c: no address and no length of a guest's choosing leaves guest RAM. */
#include "tests/check_main.h"
#include "vmm/gmem.h"
#include "vmm/layout.h"

#include <errno.h>
#include <string.h>

#define MiB (UINT64_C(1) << 20)
#define GiB (UINT64_C(1) << 30)

START_TEST(size_that_is_no_multiple_of_a_page_is_refused)
{
	struct gmem m;

	ck_assert_int_eq(gm_init(&m, 0), -EINVAL);
	ck_assert_int_eq(gm_init(&m, 4095), -EINVAL);
	ck_assert_int_eq(gm_init(&m, MiB + 1), -EINVAL);
}
END_TEST

START_TEST(size_beyond_the_address_space_is_refused)
{
	struct gmem m;

	ck_assert_int_eq(gm_init(&m, UINT64_C(1) << 62), -ENOMEM);
	ck_assert_uint_eq(m.n, 0);
}
END_TEST

START_TEST(small_ram_is_one_region_from_zero)
{
	struct gmem m;

	ck_assert_int_eq(gm_init(&m, 16 * MiB), 0);
	ck_assert_uint_eq(m.n, 1);
	ck_assert_ptr_nonnull(gm_span(&m, 0, 16 * MiB));
	ck_assert_ptr_null(gm_span(&m, 0, 16 * MiB + 1));
	ck_assert_ptr_null(gm_span(&m, 16 * MiB, 0));
	gm_destroy(&m);
}
END_TEST

START_TEST(large_ram_continues_above_the_hole)
{
	struct gmem m;

	ck_assert_int_eq(gm_init(&m, 5 * GiB), 0);
	ck_assert_uint_eq(m.n, 2);
	ck_assert_uint_eq(m.size, 5 * GiB);
	ck_assert_ptr_nonnull(gm_span(&m, RAM_LOW_MAX - 1, 1));
	ck_assert_ptr_null(gm_span(&m, RAM_LOW_MAX - 1, 2));
	ck_assert_ptr_null(gm_span(&m, RAM_LOW_MAX, 1));
	ck_assert_ptr_null(gm_span(&m, RAM_HIGH_BASE - 1, 2));
	ck_assert_ptr_nonnull(gm_span(&m, RAM_HIGH_BASE, 5 * GiB - RAM_LOW_MAX));
	ck_assert_ptr_null(gm_span(&m, RAM_HIGH_BASE, 5 * GiB - RAM_LOW_MAX + 1));
	gm_destroy(&m);
}
END_TEST

START_TEST(span_that_wraps_is_refused)
{
	struct gmem m;

	ck_assert_int_eq(gm_init(&m, MiB), 0);
	ck_assert_ptr_null(gm_span(&m, 16, UINT64_MAX));
	ck_assert_ptr_null(gm_span(&m, 16, UINT64_MAX - 15));
	ck_assert_ptr_null(gm_span(&m, UINT64_MAX, 1));
	ck_assert_ptr_null(gm_span(&m, UINT64_MAX - 1, 4));
	gm_destroy(&m);
}
END_TEST

START_TEST(copies_arrive_or_nothing_is_touched)
{
	struct gmem m;
	char out[4] = "abc";

	ck_assert_int_eq(gm_init(&m, MiB), 0);
	ck_assert_int_eq(gm_write(&m, MiB - 4, "xyz", 4), 0);
	ck_assert_int_eq(gm_write(&m, MiB - 3, "xyz", 4), -EFAULT);
	ck_assert_int_eq(gm_read(&m, MiB - 3, out, 4), -EFAULT);
	ck_assert_str_eq(out, "abc");
	ck_assert_int_eq(gm_read(&m, MiB - 4, out, 4), 0);
	ck_assert_str_eq(out, "xyz");
	gm_destroy(&m);
}
END_TEST

static const struct test_entry tests[] = {
	T(size_that_is_no_multiple_of_a_page_is_refused),
	T(size_beyond_the_address_space_is_refused),
	T(small_ram_is_one_region_from_zero),
	T(large_ram_continues_above_the_hole),
	T(span_that_wraps_is_refused),
	T(copies_arrive_or_nothing_is_touched),
};

CHECK_MAIN("gmem", tests)

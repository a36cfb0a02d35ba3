/* SPDX-License-Identifier: MIT */
/*
 * test_calibrate.c: what calibrate makes of samples, and how it prints that; no KVM.
 * Measuring is tests/kvm/test_calibrate.c.
 */
#include "guest/payload/calibrate.h"
#include "tests/check_main.h"
#include "vmm/calibrate.h"

#include <string.h>

#define NEAR(a, b) ck_assert_double_eq_tol(a, b, 1e-9)

START_TEST(figures_are_the_quartiles_less_the_median_base)
{
	/* Bases 100, 300, 200: median 200. Events 1000, 400, 800, in batches of 10. */
	const uint64_t pairs[] = { 100, 1000, 300, 400, 200, 800 };
	struct cal_figures f = cal_figures(pairs, 3, 10);

	NEAR(f.base, 20);
	NEAR(f.min, 20);
	NEAR(f.q1, 40);
	NEAR(f.median, 60);
	NEAR(f.q3, 70);
	NEAR(f.max, 80);
}
END_TEST

START_TEST(even_numbers_of_samples_meet_in_the_middle)
{
	const uint64_t pairs[] = { 10, 30, 20, 50, 20, 70, 30, 90 };
	struct cal_figures f = cal_figures(pairs, 4, 1);

	NEAR(f.base, 20);
	NEAR(f.median, 40);
	NEAR(f.q1, 25);
	NEAR(f.q3, 55);
}
END_TEST

START_TEST(one_sample_is_all_of_its_figures)
{
	const uint64_t pairs[] = { 64, 640 };
	struct cal_figures f = cal_figures(pairs, 1, 64);

	NEAR(f.min, 9);
	NEAR(f.q1, 9);
	NEAR(f.median, 9);
	NEAR(f.q3, 9);
	NEAR(f.max, 9);
}
END_TEST

/* An event cheaper than the noise: that shows, and is not made a round 0. */
START_TEST(figures_may_be_below_zero)
{
	const uint64_t pairs[] = { 100, 90, 100, 120, 100, 80 };

	NEAR(cal_figures(pairs, 3, 10).median, -1);
}
END_TEST

static const struct cal_kind kind = { .name = "good", .what = "does it", .batch = 64 };
static const struct cal_kind bad = { .name = "bad", .what = "cannot" };

/* What is printed of one kind that was measured and one that was not. Freed by the caller. */
static char *report(bool json)
{
	struct cal_result done = { .kind = &kind, .ok = true };
	struct cal_result failed = { .kind = &bad, .why = "it \"broke\"" };
	char *text = NULL;
	size_t size;
	struct cal_report r = { .f = open_memstream(&text, &size), .json = json, .samples = 5 };

	done.ns = (struct cal_figures){
		.min = 1, .q1 = 2, .median = 3.5, .q3 = 6, .max = 7, .base = 100
	};
	cal_report_begin(&r);
	cal_report_kind(&r, &done);
	cal_report_kind(&r, &failed);
	cal_report_end(&r);
	fclose(r.f);
	return text;
}

static void expect_words(const char *text, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ck_assert_msg(strstr(text, words[i]), "no '%s' in: %s", words[i], text);
}

START_TEST(table_has_figures_or_the_reason)
{
	static const char *const words[] = {
		"KVM on ", "Linux ", "5 of each",
		"good                   3.5        1.0        7.0        4.0  does it\n",
		"bad             not available: it \"broke\"\n"
	};
	char *text = report(false);

	expect_words(text, words, ARRAY_SIZE(words));
	free(text);
}
END_TEST

START_TEST(json_has_figures_or_the_reason)
{
	static const char *const words[] = {
		"\"version\": 1",     "\"flavour\": ",    "\"samples\": 5", "\"available\": true",
		"\"median_ns\": 3.5", "\"min_ns\": 1,",   "\"q1_ns\": 2,",  "\"q3_ns\": 6,",
		"\"max_ns\": 7,",     "\"base_ns\": 100", "\"batch\": 64",  "\"available\": false",
		"it \\\"broke\\\""
	};
	char *text = report(true);

	expect_words(text, words, ARRAY_SIZE(words));
	ck_assert_ptr_null(strstr(strstr(text, "\"bad\""), "median_ns"));
	free(text);
}
END_TEST

/* What the code takes for granted of the table. */
START_TEST(table_of_kinds_is_sound)
{
	for (unsigned i = 0; i < CAL_KINDS; i++) {
		const struct cal_kind *k = &cal_kinds[i];

		ck_assert_uint_gt(k->batch, 0);
		ck_assert_uint_eq(k->batch % 2, 0); /* there and back, on and off */
		ck_assert(k->op > CAL_OP_STOP && k->op < CAL_OPS && k->base < CAL_OPS);
		ck_assert_int_le(strlen(k->name), 15);
		ck_assert(!k->cap == !k->cap_name);
		for (unsigned j = 0; j < i; j++)
			ck_assert_str_ne(k->name, cal_kinds[j].name);
	}
}
END_TEST

static const struct test_entry tests[] = {
	T(figures_are_the_quartiles_less_the_median_base),
	T(even_numbers_of_samples_meet_in_the_middle),
	T(one_sample_is_all_of_its_figures),
	T(figures_may_be_below_zero),
	T(table_has_figures_or_the_reason),
	T(json_has_figures_or_the_reason),
	T(table_of_kinds_is_sound),
};

CHECK_MAIN("calibrate", tests)

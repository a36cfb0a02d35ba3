/* SPDX-License-Identifier: MIT */
/* test_ladder.c: the rungs by name, alone and together. */
#include "devices/ladder.h"
#include "tests/check_main.h"

#include <string.h>

#define R(name) BIT(RUNG_##name)

START_TEST(rung_has_a_name_of_its_own_and_a_line_of_help)
{
	enum ladder_rung r = (enum ladder_rung)_i;

	ck_assert_int_eq(ladder_find(ladder_name(r)), r);
	ck_assert_uint_gt(strlen(ladder_help(r)), 10);
	ck_assert_int_eq(strcspn(ladder_name(r), ",=+ "), strlen(ladder_name(r)));
	ck_assert_int_eq(ladder_on_virtio(r), (LADDER_VIRTIO & BIT(r)) != 0);
	ck_assert_str_ne(ladder_name(r), "qemu"); /* those are presets */
	ck_assert_str_ne(ladder_name(r), "best");
}
END_TEST

START_TEST(name_of_no_rung_is_not_found)
{
	static const char *const words[] = { "", "worke", "workers", "Worker", "qemu", "best" };

	ck_assert_int_eq(ladder_find(words[_i]), RUNG_NR);
}
END_TEST

START_TEST(preset_is_a_rung_and_all_before_it)
{
	unsigned rungs = 0, before = 0;

	for (unsigned r = 0; r < RUNG_NR; r++) {
		ck_assert(ladder_preset(ladder_name((enum ladder_rung)r), &rungs));
		ck_assert_uint_eq(rungs, before | BIT(r));
		ck_assert_msg(!ladder_conflict(rungs), "%s", ladder_conflict(rungs));
		before = rungs;
	}
	ck_assert_uint_eq(rungs, LADDER_ALL);
}
END_TEST

START_TEST(qemu_is_no_rung_and_best_all_but_the_experiment)
{
	unsigned rungs = 1234;

	ck_assert(ladder_preset("qemu", &rungs));
	ck_assert_uint_eq(rungs, 0);
	ck_assert(ladder_preset("best", &rungs));
	ck_assert_uint_eq(rungs, LADDER_ALL & ~(R(IRQ) | R(IRQ_PAGE)));
	ck_assert(!ladder_preset("better", &rungs));
	ck_assert(!ladder_preset("", &rungs));
	ck_assert_uint_eq(rungs, LADDER_ALL & ~(R(IRQ) | R(IRQ_PAGE))); /* untouched */
	ck_assert_ptr_null(ladder_conflict(LADDER_QEMU));
	ck_assert_ptr_null(ladder_conflict(LADDER_BEST));
	ck_assert_ptr_null(ladder_conflict(LADDER_VIRTIO));
}
END_TEST

/* Illegal, the rung that the message blames, what it says would help; and the same rungs
 * with that help. */
static const struct {
	unsigned rungs;
	const char *blames, *says;
	unsigned mended;
} conflicts[] = {
	{ R(POLL), "poll=on", "worker=on", R(POLL) | R(WORKER) },
	{ LADDER_BEST & ~R(WORKER), "poll=on", "worker=on", LADDER_BEST },
	{ R(RAM) | R(WORKER), "ram=on", "poll=on", R(RAM) | R(WORKER) | R(POLL) },
	{ R(COALESCED) | R(WORKER), "coalesced=on", "poll=on", R(COALESCED) | R(WORKER) | R(POLL) },
};

START_TEST(conflict_names_the_rung_and_the_remedy)
{
	const char *why = ladder_conflict(conflicts[_i].rungs);

	ck_assert_ptr_nonnull(why);
	ck_assert_msg(strstr(why, conflicts[_i].blames) && strstr(why, conflicts[_i].says), "%s",
		      why);
	ck_assert_ptr_null(ladder_conflict(conflicts[_i].mended));
}
END_TEST

/* Every combination is legal or has a reason, and is written so that it can be read. */
START_TEST(string_names_each_rung_once)
{
	char text[160], *save, *word;

	for (unsigned rungs = 1; rungs <= LADDER_ALL; rungs++) {
		unsigned got = 0;

		if (rungs == LADDER_BEST)
			continue;
		ck_assert_ptr_eq(ladder_string(rungs, text, sizeof(text)), text);
		for (word = strtok_r(text, "+", &save); word; word = strtok_r(NULL, "+", &save)) {
			ck_assert_int_ne(ladder_find(word), RUNG_NR);
			ck_assert_uint_eq(got & BIT(ladder_find(word)), 0);
			got |= BIT(ladder_find(word));
		}
		ck_assert_uint_eq(got, rungs);
	}
	ck_assert_str_eq(ladder_string(LADDER_QEMU, text, sizeof(text)), "qemu");
	ck_assert_str_eq(ladder_string(LADDER_BEST, text, sizeof(text)), "best");
	ck_assert_str_eq(ladder_string(R(OFFLOAD_TX) | R(KICK), text, sizeof(text)),
			 "offload-tx+kick");
}
END_TEST

START_TEST(string_is_cut_at_the_end_of_its_room)
{
	char text[32], whole[160];

	ladder_string(LADDER_ALL, whole, sizeof(whole));
	for (size_t size = 1; size < sizeof(text); size++) {
		memset(text, '#', sizeof(text));
		ladder_string(LADDER_ALL, text, size);
		ck_assert_uint_eq(strlen(text), size - 1);
		ck_assert_int_eq(strncmp(text, whole, size - 1), 0);
		ck_assert_int_eq(text[size], '#');
	}
}
END_TEST

static const struct test_entry tests[] = {
	TLOOP(rung_has_a_name_of_its_own_and_a_line_of_help, 0, RUNG_NR),
	TLOOP(name_of_no_rung_is_not_found, 0, 6),
	T(preset_is_a_rung_and_all_before_it),
	T(qemu_is_no_rung_and_best_all_but_the_experiment),
	TLOOP(conflict_names_the_rung_and_the_remedy, 0, ARRAY_SIZE(conflicts)),
	T(string_names_each_rung_once),
	T(string_is_cut_at_the_end_of_its_room),
};

CHECK_MAIN("ladder", tests)

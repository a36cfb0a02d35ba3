/* SPDX-License-Identifier: MIT */
/* test_board_kernel.c: what is booted when nobody said what, and what the guest's end means then.
 */
#include "tests/check_main.h"
#include "vmm/board.h"
#include "vmm/log.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#define RELEASE "6.1.0-9-amd64"
#define FILES   6

static char dir[] = "/tmp/duet-test-find-XXXXXX";
static struct kernel_files k;
static char why[700];

/* Make the files of `names` in the directory, look, take them away again. */
static int find_among(const char *const names[FILES])
{
	char path[256];
	int found;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	for (unsigned i = 0; i < FILES && names[i]; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		fclose(fopen(path, "w"));
	}
	found = kernel_find(&k, dir, RELEASE, why, sizeof(why));
	for (unsigned i = 0; i < FILES && names[i]; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
	return found;
}

static const struct {
	const char *there[FILES], *kernel, *initrd;
} finds[] = {
	{ { "vmlinuz-" RELEASE, "vmlinuz-6.2.0", "initrd.img-" RELEASE, "initrd.img-6.2.0" },
	  "vmlinuz-" RELEASE,
	  "initrd.img-" RELEASE },
	{ { "vmlinuz-6.1.0-9-cloud", "vmlinuz-6.1.0-10-cloud", "initrd.img-6.1.0-10-cloud" },
	  "vmlinuz-6.1.0-10-cloud",
	  "initrd.img-6.1.0-10-cloud" },
	{ { "vmlinuz-5.10.0-30", "initrd.img-6.1.0-9" }, "vmlinuz-5.10.0-30", NULL },
	{ { "vmlinuz-6.8.1.fc40", "initramfs-6.8.1.fc40.img" },
	  "vmlinuz-6.8.1.fc40",
	  "initramfs-6.8.1.fc40.img" },
};

START_TEST(running_kernel_then_the_newest_with_its_own_initrd)
{
	ck_assert_msg(!find_among(finds[_i].there), "%s", why);
	ck_assert_str_eq(strrchr(k.kernel, '/') + 1, finds[_i].kernel);
	if (finds[_i].initrd)
		ck_assert_str_eq(strrchr(k.initrd, '/') + 1, finds[_i].initrd);
	else
		ck_assert_ptr_null(k.initrd);
}
END_TEST

START_TEST(where_there_is_none_it_says_what_was_looked_for)
{
	static const char *const nothing[FILES] = { "config-" RELEASE };

	ck_assert_int_eq(find_among(nothing), -1);
	ck_assert_ptr_nonnull(strstr(why, "/vmlinuz-" RELEASE));
	ck_assert_ptr_nonnull(strstr(why, "/vmlinuz-*"));
	ck_assert_ptr_nonnull(strstr(why, "--kernel FILE"));
}
END_TEST

START_TEST(named_files_are_taken_as_they_are)
{
	ck_assert_int_eq(kernel_choose(&k, "./auto", NULL, why, sizeof(why)), 0);
	ck_assert_str_eq(k.kernel, "./auto");
	ck_assert_ptr_null(k.initrd);
	ck_assert_int_eq(kernel_choose(&k, "K", "I", why, sizeof(why)), 0);
	ck_assert_str_eq(k.initrd, "I");
}
END_TEST

/* Linux leaves a word for the BIOS: whether a reset is a warm one. */
static const struct {
	enum stop_reason why;
	uint16_t flag;
	const char *append;
	bool panicked;
} ends[] = {
	{ STOP_RESET, 0x1234, NULL, true },       { STOP_RESET, 0, NULL, false },
	{ STOP_RESET, 0x1234, "quiet", false },   { STOP_POWEROFF, 0x1234, NULL, false },
	{ STOP_DEBUG_EXIT, 0x1234, NULL, false },
};

START_TEST(warm_reset_is_a_panic_on_our_own_command_line)
{
	static struct board b;
	struct opts o = { .kernel = "K", .append = ends[_i].append };

	b.o = &o;
	b.why = ends[_i].why;
	ck_assert_int_eq(gm_init(&b.m.mem, 1 << 20), 0);
	ck_assert_int_eq(gm_write(&b.m.mem, 0x472, &ends[_i].flag, 2), 0);
	ck_assert_int_eq(board_panicked(&b), ends[_i].panicked);
	if (ends[_i].why == STOP_RESET)
		ck_assert_int_eq(board_exit_status(&b), ends[_i].panicked ? EXIT_CRASH : EXIT_OK);
	gm_destroy(&b.m.mem);
}
END_TEST

static const struct test_entry tests[] = {
	TLOOP(running_kernel_then_the_newest_with_its_own_initrd, 0, ARRAY_SIZE(finds)),
	T(where_there_is_none_it_says_what_was_looked_for),
	T(named_files_are_taken_as_they_are),
	TLOOP(warm_reset_is_a_panic_on_our_own_command_line, 0, ARRAY_SIZE(ends)),
};

CHECK_MAIN("board_kernel", tests)

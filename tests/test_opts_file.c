/* SPDX-License-Identifier: MIT */
/* test_opts_file.c: @FILE: which words a text is, and what is wrong with others. */
#include "tests/check_main.h"
#include "vmm/opts_file.h"
#include "vmm/util.h"

#include <string.h>
#include <unistd.h>

static struct opts_words w;
static char why[300];

/* `duet COMMAND -q @FILE last`, FILE holding `n` bytes. */
static int words_of(const char *command, const char *text, size_t n)
{
	char path[] = "/tmp/duet-test-words-XXXXXX", at[64];
	char *argv[] = { (char *)"duet", (char *)command, (char *)"-q", at, (char *)"last", NULL };
	int fd = mkstemp(path), r;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, n), (ssize_t)n);
	close(fd);
	snprintf(at, sizeof(at), "@%s", path);
	r = opts_words(&w, 5, argv, why, sizeof(why));
	unlink(path);
	return r;
}

static const struct {
	const char *text;
	const char *words[4];
} good[] = {
	{ "", { NULL } },
	{ "# nothing\n  # at all", { NULL } },
	{ "-m 1G\n-c\t2 # two", { "-m", "1G", "-c", "2" } },
	{ "-a 'console=ttyS0 quiet'\r\n", { "-a", "console=ttyS0 quiet" } },
	{ "\"a \\\"b\\\" \\c\" d\\ e\\# ''", { "a \"b\" \\c", "d e#", "" } },
	{ "a'b'\"c\"d x#y", { "abcd", "x#y" } },
	{ "'#' '@f'", { "#", "@f" } },
};

START_TEST(words_are_separated_and_unquoted)
{
	int n = 0;

	ck_assert_msg(!words_of("run", good[_i].text, strlen(good[_i].text)), "%s", why);
	for (; n < 4 && good[_i].words[n]; n++)
		ck_assert_str_eq(w.argv[3 + n], good[_i].words[n]);
	ck_assert_int_eq(w.argc, 4 + n);
	ck_assert_str_eq(w.argv[3 + n], "last");
	ck_assert_ptr_null(w.argv[w.argc]);
}
END_TEST

static const struct {
	const char *text, *says;
} bad[] = {
	{ "a\n'b\n'", ":2: a quote" }, { "a\n\n\"b", ":3: a quote" },   { "\"b\\", ":1: a quote" },
	{ "a b\\\n", ":1: a \\" },     { "# c\n@other", ":2: a file" }, { "b\\", ":1: a \\" },
};

START_TEST(mistakes_are_told_by_file_and_line)
{
	ck_assert_int_eq(words_of("run", bad[_i].text, strlen(bad[_i].text)), -1);
	ck_assert_msg(strstr(why, bad[_i].says), "%s", why);
	ck_assert_ptr_nonnull(strstr(why, "/tmp/duet-test-words-"));
}
END_TEST

START_TEST(size_and_number_are_bounded)
{
	static char text[OPTS_FILE_MAX];

	memset(text, 'a', sizeof(text));
	ck_assert_int_eq(words_of("run", text, sizeof(text) - 1), 0);
	ck_assert_int_eq(words_of("run", text, sizeof(text)), -1);
	ck_assert_ptr_nonnull(strstr(why, "too long"));
	for (unsigned i = 1; i < sizeof(text); i += 2)
		text[i] = '\n';
	ck_assert_int_eq(words_of("run", text, sizeof(text) - 1), -1);
	ck_assert_ptr_nonnull(strstr(why, "too many"));
	ck_assert_int_eq(words_of("run", "a\0b", 3), -1);
	ck_assert_ptr_nonnull(strstr(why, "not a text"));
}
END_TEST

START_TEST(other_commands_and_what_follows_dashes_are_left_alone)
{
	char *argv[] = { (char *)"duet", (char *)"run", (char *)"--", (char *)"@f", NULL };

	ck_assert_int_eq(words_of("exec", "a b", 3), 0);
	ck_assert_int_eq(w.argc, 5);
	ck_assert_int_eq(opts_words(&w, 4, argv, why, sizeof(why)), 0);
	ck_assert_str_eq(w.argv[3], "@f");
	argv[2] = (char *)"@/nonexistent/f";
	ck_assert_int_eq(opts_words(&w, 4, argv, why, sizeof(why)), -1);
	ck_assert_ptr_nonnull(strstr(why, "@/nonexistent/f: No such file"));
}
END_TEST

static const struct test_entry tests[] = {
	TLOOP(words_are_separated_and_unquoted, 0, ARRAY_SIZE(good)),
	TLOOP(mistakes_are_told_by_file_and_line, 0, ARRAY_SIZE(bad)),
	T(size_and_number_are_bounded),
	T(other_commands_and_what_follows_dashes_are_left_alone),
};

CHECK_MAIN("opts_file", tests)

/* SPDX-License-Identifier: MIT */
/*
 * test_cpio.c: archives, as cpio(1) reads them: what comes out is what went in, and what cannot
 * go in is said. Each test has a directory of its own: src/ is packed, out/ is where it comes out.
 */
#include "tests/check_main.h"
#include "vmm/cpio.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LIMIT (UINT64_C(1) << 20)

static char dir[] = "/tmp/duet-cpio-XXXXXX";
static struct cpio c;

static void shell(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* A command that has to succeed, in the test's directory. */
static void shell(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ck_assert_int_eq(chdir(dir), 0);
	ck_assert_msg(system(text) == 0, "%s", text);
}

static void setup(void)
{
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	shell("mkdir src out");
	c = (struct cpio){ .out = fopen("archive", "w"), .max = LIMIT };
	ck_assert_ptr_nonnull(c.out);
}

static void teardown(void)
{
	fclose(c.out);
	shell("chmod -R u+rwx . && rm -rf src out archive list");
	ck_assert_int_eq(rmdir(dir), 0);
}

/* End the archive and unpack it. */
static void unpack(void)
{
	ck_assert_msg(!cpio_end(&c), "%s", c.why);
	shell("cd out && cpio -id --quiet --no-absolute-filenames <../archive");
}

START_TEST(tree_comes_out_as_it_went_in)
{
	setup();
	shell("cd src && mkdir -p a/b/c empty && printf hello >a/b/c/file && : >nothing && "
	      "head -c 100000 /dev/urandom >a/noise && printf 123 >three && chmod 751 three && "
	      "ln -s ../three a/link && ln -s /nonexistent dangling");
	ck_assert_msg(!cpio_tree(&c, "work", "src"), "%s", c.why);
	unpack();
	shell("diff -r --no-dereference src out/work");
	shell("[ \"$(stat -c %%a out/work/three)\" = 751 ] && [ -d out/work/empty ]");
	teardown();
}
END_TEST

START_TEST(strange_names_are_names)
{
	setup();
	shell("cd src && printf 1 >'TRAILER!!!' && printf 2 >\"$(printf 'new\\nline')\" && "
	      "printf 3 >\"$(printf '\\377\\001')\" && printf 4 >-rf && printf 5 >' ' && mkdir "
	      "...");
	ck_assert_msg(!cpio_tree(&c, "work", "src"), "%s", c.why);
	unpack();
	shell("diff -r src out/work");
	teardown();
}
END_TEST

START_TEST(top_level_tree_and_single_files)
{
	setup();
	shell("mkdir src/bin && printf x >src/bin/tool");
	ck_assert_msg(!cpio_tree(&c, "", "src"), "%s", c.why);
	ck_assert_msg(!cpio_dir(&c, "more") && !cpio_bytes(&c, "more/bytes", 0640, "abcde", 5) &&
			      !cpio_file(&c, "more/copy", "src/bin/tool"),
		      "%s", c.why);
	unpack();
	shell("[ \"$(cat out/bin/tool out/more/bytes out/more/copy)\" = xabcdex ]");
	shell("[ \"$(stat -c %%a out/more/bytes)\" = 640 ]");
	teardown();
}
END_TEST

START_TEST(what_is_no_file_is_left_out)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "src/socket" };
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	setup();
	shell("mkfifo src/pipe && : >src/file");
	ck_assert_int_eq(bind(s, (struct sockaddr *)&un, sizeof(un)), 0);
	ck_assert_msg(!cpio_tree(&c, "work", "src"), "%s", c.why);
	unpack();
	shell("[ \"$(ls out/work)\" = file ]");
	close(s);
	teardown();
}
END_TEST

START_TEST(stream_is_read_to_its_end)
{
	int p[2];

	setup();
	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(write(p[1], "one", 3), 3);
	ck_assert_int_eq(write(p[1], "\0two", 4), 4);
	close(p[1]);
	ck_assert_msg(!cpio_stream(&c, "input", p[0]), "%s", c.why);
	close(p[0]);
	p[0] = open("/dev/zero", O_RDONLY);
	ck_assert_int_lt(cpio_stream(&c, "endless", p[0]), 0);
	ck_assert(c.full);
	close(p[0]);
	unpack();
	shell("[ \"$(od -An -c out/input | tr -d ' ')\" = 'one\\0two' ]");
	teardown();
}
END_TEST

START_TEST(too_much_is_refused)
{
	setup();
	shell("truncate -s 2M src/big");
	ck_assert_int_lt(cpio_tree(&c, "work", "src"), 0);
	ck_assert(c.full);
	ck_assert_ptr_nonnull(strstr(c.why, "work/big"));
	ck_assert_uint_le(c.size, LIMIT);
	teardown();
	setup(); /* many that are small */
	shell("cd src && seq 1 20 | while read n; do truncate -s 100K $n; done");
	ck_assert_int_lt(cpio_tree(&c, "work", "src"), 0);
	ck_assert(c.full);
	ck_assert_uint_le(c.size, LIMIT);
	teardown();
}
END_TEST

START_TEST(too_deep_is_refused)
{
	setup();
	shell("cd src && for n in $(seq 1 %d); do mkdir d && cd d; done", CPIO_DEPTH_MAX + 2);
	ck_assert_int_lt(cpio_tree(&c, "work", "src"), 0);
	ck_assert_ptr_nonnull(strstr(c.why, "too deep"));
	ck_assert(!c.full);
	teardown();
}
END_TEST

START_TEST(what_cannot_be_read_is_named)
{
	setup();
	ck_assert_int_lt(cpio_tree(&c, "work", "nonexistent"), 0);
	ck_assert_str_eq(c.why, "nonexistent: No such file or directory");
	ck_assert_int_lt(cpio_tree(&c, "work", "archive"), 0);
	ck_assert_str_eq(c.why, "archive: Not a directory");
	ck_assert_int_lt(cpio_file(&c, "x", "src"), 0);
	ck_assert_str_eq(c.why, "src: not a file");
	if (geteuid()) { /* root reads everything */
		shell(": >src/secret && chmod 0 src/secret");
		ck_assert_int_lt(cpio_tree(&c, "work", "src"), 0);
		ck_assert_str_eq(c.why, "src/secret: Permission denied");
	}
	teardown();
}
END_TEST

START_TEST(full_disk_is_said)
{
	setup();
	fclose(c.out);
	c.out = fopen("/dev/full", "w");
	ck_assert_msg(cpio_bytes(&c, "x", 0644, dir, 1) || cpio_end(&c), "nobody noticed");
	ck_assert_ptr_nonnull(strstr(c.why, "No space left"));
	teardown();
}
END_TEST

static const struct test_entry tests[] = {
	T(tree_comes_out_as_it_went_in),
	T(strange_names_are_names),
	T(top_level_tree_and_single_files),
	T(what_is_no_file_is_left_out),
	T(stream_is_read_to_its_end),
	T(too_much_is_refused),
	T(too_deep_is_refused),
	T(what_cannot_be_read_is_named),
	T(full_disk_is_said),
};

CHECK_MAIN("cpio", tests)

/* SPDX-License-Identifier: MIT */
/* test_opts_exec.c: the command line of `duet exec`, but for what test_opts.c asks of all. */
#include "tests/check_main.h"
#include "tests/rig/opts_line.h"
#include "vmm/util.h"

#include <string.h>

START_TEST(exec_ends_its_options_at_the_command)
{
	ck_assert_int_eq(parse("exec ls -l -k --help"), 0);
	ck_assert_int_eq(o.command, OPTS_EXEC);
	ck_assert_str_eq(o.exec.argv[0], "ls");
	ck_assert_str_eq(o.exec.argv[3], "--help");
	ck_assert_ptr_null(o.exec.argv[4]);
	ck_assert_ptr_null(o.kernel);
	ck_assert_str_eq(o.exec.dir, ".");
	ck_assert(!o.exec.no_dir && !o.exec.input && !o.exec.root);
	ck_assert_uint_eq(o.exec.limit, UINT64_C(64) << 20);
	ck_assert_uint_eq(o.timeout, 0);
	ck_assert_int_eq(parse("exec -k K -m 1G -n e1000,null --dir D --root R --limit 1G --stdin "
			       "--no-dir --timeout 60 -- -x --"),
			 0);
	ck_assert_str_eq(o.kernel, "K");
	ck_assert_uint_eq(o.n_nics, 1);
	ck_assert_str_eq(o.exec.dir, "D");
	ck_assert_str_eq(o.exec.root, "R");
	ck_assert(o.exec.no_dir && o.exec.input);
	ck_assert_uint_eq(o.exec.limit, UINT64_C(1) << 30);
	ck_assert_uint_eq(o.timeout, 60);
	ck_assert_str_eq(o.exec.argv[0], "-x");
	ck_assert_str_eq(o.exec.argv[1], "--");
	ck_assert_ptr_null(o.exec.argv[2]);
	ck_assert_int_eq(parse("run K --timeout 5"), 0);
	ck_assert_uint_eq(o.timeout, 5);
}
END_TEST

START_TEST(exec_files_have_a_name_on_each_side)
{
	static const struct {
		const char *host, *guest;
	} files[] = { { "a/b.c", "b.c" }, { "/x:y", "/usr/bin/z" }, { "plain", "sub/...x" } };

	ck_assert_int_eq(parse("exec --file a/b.c --file /x:y:/usr/bin/z --file plain:sub/...x ls"),
			 0);
	ck_assert_uint_eq(o.exec.n_files, 3);
	for (unsigned i = 0; i < 3; i++) {
		const struct opts_file *f = &o.exec.file[i];

		ck_assert_int_eq(f->host_len, (int)strlen(files[i].host));
		ck_assert_int_eq(strncmp(f->host, files[i].host, strlen(files[i].host)), 0);
		ck_assert_str_eq(f->guest, files[i].guest);
	}
}
END_TEST

START_TEST(exec_takes_so_many_files)
{
	char line[1024] = "exec";

	for (unsigned i = 0; i < OPTS_FILES_MAX; i++)
		snprintf(line + strlen(line), sizeof(line) - strlen(line), " --file %u", i);
	snprintf(line + strlen(line), sizeof(line) - strlen(line), " true");
	ck_assert_int_eq(parse(line), 0);
	ck_assert_uint_eq(o.exec.n_files, OPTS_FILES_MAX);
	memcpy(line + strlen(line) - 4, "--file more true", 17);
	ck_assert_int_eq(parse(line), -1);
	ck_assert_ptr_nonnull(strstr(o.why, "at most 32"));
}
END_TEST

static const struct test_entry tests[] = {
	T(exec_ends_its_options_at_the_command),
	T(exec_files_have_a_name_on_each_side),
	T(exec_takes_so_many_files),
};

CHECK_MAIN("opts_exec", tests)

/* SPDX-License-Identifier: MIT */
/*
 * check_main.h: the main() of every Check program here. A test program lists its
 * cases in one table; CK_FORK=no in the environment runs them in one process.
 */
#ifndef DUET_CHECK_MAIN_H
#define DUET_CHECK_MAIN_H

#include <check.h>
#include <stdlib.h>

struct test_entry {
	const TTest **test; /* START_TEST() makes a variable, not a constant */
	int from, to;       /* loop test over [from, to); both 0: once */
};

/* clang-format off */
#define T(name)           { &name, 0, 0 }
#define TLOOP(name, a, b) { &name, a, b }
/* clang-format on */

static inline int check_main(const char *suite, const struct test_entry *t, size_t n)
{
	Suite *s = suite_create(suite);
	TCase *tc = tcase_create(suite);
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 300); /* for what hangs; ThreadSanitizer takes a minute */
	for (size_t i = 0; i < n; i++) {
		if (t[i].to > t[i].from)
			tcase_add_loop_test(tc, *t[i].test, t[i].from, t[i].to);
		else
			tcase_add_test(tc, *t[i].test);
	}
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#define CHECK_MAIN(suite, table)                                                                   \
	int main(void)                                                                             \
	{                                                                                          \
		return check_main(suite, table, sizeof(table) / sizeof((table)[0]));               \
	}

#endif

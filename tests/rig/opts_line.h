/* SPDX-License-Identifier: MIT */
/* opts_line.h: a command line as a test writes it: one string. */
#ifndef DUET_TEST_OPTS_LINE_H
#define DUET_TEST_OPTS_LINE_H

#include "vmm/opts.h"

#include <check.h>
#include <string.h>

#define ARGS_MAX 80

static struct opts o;

/* Parse the words of `line`, separated by single blanks; '_' stands for an empty word. */
static inline int parse(const char *line)
{
	static char text[1280];
	static char *argv[ARGS_MAX] = { (char *)"duet" };
	char *save, *word;
	int argc = 1;

	snprintf(text, sizeof(text), "%s", line);
	for (word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		ck_assert_int_lt(argc, ARGS_MAX - 1);
		argv[argc++] = strcmp(word, "_") ? word : (char *)"";
	}
	argv[argc] = NULL;
	return opts_parse(&o, argc, argv);
}

#endif

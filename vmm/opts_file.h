/* SPDX-License-Identifier: MIT */
/* opts_file.h: @FILE among the words of `duet run`: the words in FILE in its place. */
#ifndef DUET_OPTS_FILE_H
#define DUET_OPTS_FILE_H

#include <stddef.h>

#define OPTS_FILE_MAX  65536 /* bytes of all files together */
#define OPTS_WORDS_MAX 512   /* with those of the command line */

/* Large, and what argv points to: keep it as long as what was parsed out of it. */
struct opts_words {
	int argc;
	char *argv[OPTS_WORDS_MAX + 1]; /* the last one is NULL */
	char text[OPTS_FILE_MAX];
	size_t used; /* of text */
};

/*
 * argv into w->argv. In a file words are separated by blanks and line ends; '#' at the begin of a
 * word is a comment up to the end of the line; '...', "..." and \ quote as in a shell, but nothing
 * is replaced. A file names no other file. 0, or -1 with `why`: FILE:LINE and what is wrong.
 */
int opts_words(struct opts_words *w, int argc, char **argv, char *why, size_t len);

#endif

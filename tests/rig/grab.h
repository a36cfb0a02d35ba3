/* SPDX-License-Identifier: MIT */
/* grab.h: what duet says on stderr, as a string to compare. */
#ifndef DUET_TEST_GRAB_H
#define DUET_TEST_GRAB_H

struct grab {
	int saved; /* the real stderr */
	int file;  /* stands in for it */
	char text[4096];
};

/* Redirect stderr; one grab at a time. */
void grab_start(struct grab *g);
/* Put stderr back; returns g->text, all that was written meanwhile. */
const char *grab_stop(struct grab *g);

#endif

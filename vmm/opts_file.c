/* SPDX-License-Identifier: MIT */
/*
 * opts_file.c: options kept in a file. Words are unquoted where they were read to: they only get
 * shorter.
 */
#include "vmm/opts_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Where we are in a file; `why` takes what is wrong with it. */
struct opts_cursor {
	const char *path;
	unsigned line;
	char *in, *out; /* the next byte, and where the word that it belongs to grows */
	char *why;
	size_t len;
};

static int opts_file_fail(const struct opts_cursor *c, const char *text)
{
	snprintf(c->why, c->len, "%.200s:%u: %s", c->path, c->line, text);
	return -1;
}

static int opts_words_add(struct opts_words *w, char *word)
{
	if (w->argc == OPTS_WORDS_MAX)
		return -1;
	w->argv[w->argc++] = word;
	w->argv[w->argc] = NULL;
	return 0;
}

/* Blanks, ends of lines and comments. */
static void opts_file_skip(struct opts_cursor *c)
{
	for (; *c->in && strchr(" \t\r\n#", *c->in); c->in++) {
		if (*c->in == '#')
			c->in += strcspn(c->in, "\n");
		if (!*c->in)
			return;
		c->line += *c->in == '\n';
	}
}

/* One quoted part; c->in is behind its first quote. */
static int opts_file_quoted(struct opts_cursor *c, char quote)
{
	for (; *c->in != quote; c->in++) {
		if (quote == '"' && *c->in == '\\' && c->in[1] && strchr("\"\\", c->in[1]))
			c->in++;
		if (!*c->in)
			return opts_file_fail(c, "a quote that does not end");
		if (*c->in == '\n')
			return opts_file_fail(c, "a quote that does not end on this line");
		*c->out++ = *c->in;
	}
	c->in++;
	return 0;
}

static int opts_file_word(struct opts_cursor *c)
{
	while (*c->in && !strchr(" \t\r\n", *c->in)) {
		char next = *c->in++;

		if (next == '\'' || next == '"') {
			if (opts_file_quoted(c, next) < 0)
				return -1;
			continue;
		}
		if (next == '\\') {
			if (!*c->in || *c->in == '\n')
				return opts_file_fail(c, "a \\ with nothing behind it");
			next = *c->in++;
		}
		*c->out++ = next;
	}
	return 0;
}

static int opts_file_words(struct opts_words *w, struct opts_cursor *c)
{
	for (opts_file_skip(c); *c->in; opts_file_skip(c)) {
		char *word = c->in;
		bool more, newline;

		if (*word == '@')
			return opts_file_fail(c, "a file of options cannot name another");
		c->out = word;
		if (opts_file_word(c) < 0)
			return -1;
		more = *c->in;
		newline = *c->in == '\n';
		*c->out = '\0';
		c->in += more; /* what ended the word may be overwritten by now */
		if (opts_words_add(w, word) < 0)
			return opts_file_fail(c, "too many words");
		c->line += newline;
	}
	return 0;
}

static ssize_t opts_file_read(const char *path, char *dst, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;
	size_t have = 0;
	ssize_t n = 1;

	if (fd < 0)
		return -errno;
	while (n > 0 && have < room) {
		n = read(fd, dst + have, room - have);
		have += n > 0 ? (size_t)n : 0;
	}
	err = n < 0 ? -errno : 0;
	close(fd);
	return err ? err : (ssize_t)have;
}

static int opts_file(struct opts_words *w, const char *path, char *why, size_t len)
{
	struct opts_cursor c = { path, 1, w->text + w->used, NULL, why, len };
	size_t room = sizeof(w->text) - w->used;
	ssize_t n = opts_file_read(path, c.in, room);

	if (n < 0) {
		snprintf(why, len, "@%.200s: %s", path, strerror((int)-n));
		return -1;
	}
	if ((size_t)n == room || memchr(c.in, '\0', (size_t)n))
		return opts_file_fail(&c, (size_t)n == room ? "too long for a file of options"
							    : "not a text file");
	c.in[n] = '\0';
	w->used += (size_t)n + 1;
	return opts_file_words(w, &c);
}

int opts_words(struct opts_words *w, int argc, char **argv, char *why, size_t len)
{
	bool run = argc > 1 && !strcmp(argv[1], "run"), ended = false;

	w->argc = 0;
	w->used = 0;
	for (int i = 0; i < argc; i++) {
		ended = ended || (i > 1 && !strcmp(argv[i], "--"));
		if (run && !ended && i > 1 && argv[i][0] == '@') {
			if (opts_file(w, argv[i] + 1, why, len) < 0)
				return -1;
		} else if (opts_words_add(w, argv[i]) < 0) {
			snprintf(why, len, "more than %d words", OPTS_WORDS_MAX);
			return -1;
		}
	}
	return 0;
}

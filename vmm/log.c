/* SPDX-License-Identifier: MIT */
/*
 * log.c: one formatted line per write(2), so that lines of different threads
 * and of a guest console on the same terminal do not interleave.
 */
#include "vmm/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_RED    "\033[31m"
#define LOG_YELLOW "\033[33m"
#define LOG_PLAIN  "\033[m"

/* Any thread: */
static _Atomic int log_shown = LOG_LEVEL_INFO;
static _Atomic int log_colours = -1; /* yes, no, or nobody has asked yet */

void log_set_level(enum log_level level)
{
	log_shown = (int)level;
}

/* Asked once, so that a line costs one system call. */
static bool log_in_colour(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	if (log_colours < 0)
		log_colours =
			!(no && *no) && term && strcmp(term, "dumb") != 0 && isatty(STDERR_FILENO);
	return log_colours;
}

static void log_line(enum log_level level, const char *word, const char *fmt, va_list ap)
{
	static const char *const colours[] = { LOG_RED, LOG_YELLOW };
	bool colour = level <= LOG_LEVEL_WARNING && log_in_colour();
	char line[1024];
	size_t n;

	if ((int)level > log_shown)
		return;
	n = (size_t)snprintf(line, sizeof(line), "%sduet:%s %s", colour ? colours[level] : "",
			     colour ? LOG_PLAIN : "", word);
	vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	n = strlen(line);
	line[n++] = '\n';
	/* Nothing sensible can be done when stderr itself is gone. */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}

void log_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_LEVEL_ERROR, "", fmt, ap);
	va_end(ap);
}

void log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_LEVEL_WARNING, "warning: ", fmt, ap);
	va_end(ap);
}

void log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_LEVEL_INFO, "", fmt, ap);
	va_end(ap);
}

void log_debug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_LEVEL_DEBUG, "debug: ", fmt, ap);
	va_end(ap);
}

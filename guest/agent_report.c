/* SPDX-License-Identifier: MIT */
/*
 * The agent's JSON lines. They gather in memory while runs are on and are written between them;
 * a serial port is drained before the next run starts, so its interrupts fall into no window.
 */
#include "guest/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static char text[64 << 10];
static size_t text_len;
static int out = STDOUT_FILENO;

/* On a tty: no echo, and no '\n' to "\r\n". */
int report_open(const char *path)
{
	struct termios tio;

	out = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_CLOEXEC, 0644);
	if (out < 0) {
		fprintf(stderr, "agent: cannot write to %s: %s\n", path, strerror(errno));
		return -1;
	}
	if (!tcgetattr(out, &tio)) {
		cfmakeraw(&tio);
		tcsetattr(out, TCSANOW, &tio);
	}
	return 0;
}

void report(const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text + text_len, sizeof(text) - text_len, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < sizeof(text) - text_len)
		text_len += n;
}

void report_string(const char *s)
{
	report("\"");
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			report("\\%c", *s);
		else if ((unsigned char)*s < ' ')
			report("\\u%04x", *s);
		else
			report("%c", *s);
	}
	report("\"");
}

int report_flush(void)
{
	size_t done = 0;

	while (done < text_len) {
		ssize_t n = write(out, text + done, text_len - done);

		if (n < 0 && errno != EINTR) {
			fprintf(stderr, "agent: cannot write results: %s\n", strerror(errno));
			text_len = 0;
			return -1;
		}
		done += n > 0 ? n : 0;
	}
	text_len = 0;
	tcdrain(out);
	return 0;
}

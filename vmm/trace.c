/* SPDX-License-Identifier: MIT */
/* trace.c: trace classes by name, and the line writer. */
#include "vmm/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

unsigned trace_mask;

static FILE *trace_out; /* NULL: stderr. Set before threads start. */
static int trace_err;   /* why the last line that was lost was; the output's lock */

static const struct {
	const char *name, *help;
} trace_classes[TRACE_NR] = {
#define X(sym, name, what) { name, what },
	TRACE_CLASSES(X)
#undef X
};

const char *trace_class_name(enum trace_class c)
{
	return trace_classes[c].name;
}

const char *trace_class_help(enum trace_class c)
{
	return trace_classes[c].help;
}

static unsigned trace_lookup(const char *word, size_t len)
{
	if (len == 3 && !memcmp(word, "all", 3))
		return BIT(TRACE_NR) - 1;
	for (unsigned c = 0; c < TRACE_NR; c++)
		if (strlen(trace_classes[c].name) == len &&
		    !memcmp(word, trace_classes[c].name, len))
			return BIT(c);
	return 0;
}

int trace_enable(const char *list, const char **bad)
{
	unsigned mask = 0;

	for (const char *p = list;; p++) {
		size_t len = strcspn(p, ",");
		unsigned m = trace_lookup(p, len);

		if (!m) {
			if (bad)
				*bad = p;
			return -EINVAL;
		}
		mask |= m;
		p += len;
		if (!*p)
			break;
	}
	trace_mask |= mask;
	return 0;
}

int trace_open(const char *path)
{
	trace_out = fopen(path, "we");
	if (!trace_out)
		return -errno;
	setvbuf(trace_out, NULL, _IOFBF, 1 << 16);
	return 0;
}

int trace_close(void)
{
	int err = trace_err;

	if (trace_out && fclose(trace_out))
		err = errno;
	trace_out = NULL;
	trace_err = 0;
	return -err;
}

/* Nanoseconds since the first call. The output is locked: so no line overtakes another. */
static uint64_t trace_now(void)
{
	static uint64_t first;
	struct timespec t;
	uint64_t now;

	clock_gettime(CLOCK_MONOTONIC, &t);
	now = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	if (!first)
		first = now;
	return now - first;
}

void trace_emit(const char *cls, const char *func, const char *fmt, ...)
{
	char who[16] = "?", text[512];
	FILE *out = trace_out ? trace_out : stderr;
	uint64_t now;
	va_list ap;

	pthread_getname_np(pthread_self(), who, sizeof(who));
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	flockfile(out);
	now = trace_now();
	if (fprintf(out, "%" PRIu64 ".%09" PRIu64 " [%s] %s %s: %s\n", now / 1000000000,
		    now % 1000000000, who, cls, func, text) < 0)
		trace_err = errno;
	funlockfile(out);
}

/* SPDX-License-Identifier: MIT */
/* trace.c: trace classes by name, and the line writer. */
#include "vmm/trace.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

unsigned trace_mask;

static FILE *trace_out; /* NULL: stderr. Set before threads start. */

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

void trace_close(void)
{
	if (trace_out)
		fclose(trace_out);
	trace_out = NULL;
}

static double trace_now(void)
{
	static struct timespec t0;
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	pthread_mutex_lock(&lock);
	if (!t0.tv_sec)
		t0 = t;
	pthread_mutex_unlock(&lock);
	return (double)(t.tv_sec - t0.tv_sec) + (double)(t.tv_nsec - t0.tv_nsec) / 1e9;
}

void trace_emit(const char *cls, const char *func, const char *fmt, ...)
{
	char who[16] = "?", text[512];
	va_list ap;

	pthread_getname_np(pthread_self(), who, sizeof(who));
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(trace_out ? trace_out : stderr, "%.6f [%s] %s %s: %s\n", trace_now(), who, cls,
		func, text);
}

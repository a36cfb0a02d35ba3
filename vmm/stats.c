/* SPDX-License-Identifier: MIT */
/* stats.c: the writers behind --stats. */
#include "vmm/stats.h"

#include <inttypes.h>

void counter_print(const char *name, const char *what, const counter_t *c, FILE *f)
{
	if (counter_get(c))
		fprintf(f, "  %-16s %12" PRIu64 "  %s\n", name, counter_get(c), what);
}

static void json_quote(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else if (c < 0x20)
			fprintf(f, "\\u%04x", c);
		else
			fputc(c, f);
	}
	fputc('"', f);
}

static void json_break(struct json *j, unsigned depth)
{
	if (!j->one_line)
		fprintf(j->f, "\n%*s", (int)(2 * depth), "");
}

/* Comma, newline, indentation and the key: what stands before each value. */
static void json_lead(struct json *j, const char *key)
{
	BUG_ON(j->depth >= 32);
	if (j->more & BIT(j->depth))
		fputc(',', j->f);
	if (j->depth)
		json_break(j, j->depth);
	j->more |= BIT(j->depth);
	if (key) {
		json_quote(j->f, key);
		fputs(": ", j->f);
	}
}

void json_open(struct json *j, const char *key, char bracket)
{
	json_lead(j, key);
	fputc(bracket, j->f);
	j->depth++;
	BUG_ON(j->depth >= 32);
	j->more &= ~BIT(j->depth);
}

void json_close(struct json *j, char bracket)
{
	BUG_ON(!j->depth);
	if (j->more & BIT(j->depth))
		json_break(j, j->depth - 1);
	j->depth--;
	fputc(bracket, j->f);
	if (!j->depth)
		fputc('\n', j->f);
}

void json_u64(struct json *j, const char *key, uint64_t v)
{
	json_lead(j, key);
	fprintf(j->f, "%" PRIu64, v);
}

void json_double(struct json *j, const char *key, double v)
{
	json_lead(j, key);
	fprintf(j->f, "%.6g", v);
}

void json_bool(struct json *j, const char *key, int v)
{
	json_lead(j, key);
	fputs(v ? "true" : "false", j->f);
}

void json_str(struct json *j, const char *key, const char *v)
{
	json_lead(j, key);
	json_quote(j->f, v);
}

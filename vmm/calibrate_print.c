/* SPDX-License-Identifier: MIT */
/* calibrate_print.c: from samples to figures, and those for people and for programs. */
#include "vmm/board.h"
#include "vmm/calibrate.h"
#include "vmm/probe.h"

#include <string.h>
#include <sys/utsname.h>

#ifndef DUET_VERSION
#define DUET_VERSION "unknown"
#endif

#define CALIBRATE_VERSION 1 /* of the JSON: docs/calibrate.md */

static int cal_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The value below which `part` of the `n` sorted ones lie, between two of them if need be. */
static double cal_quantile(const double *v, unsigned n, double part)
{
	double at = part * (n - 1);
	unsigned i = (unsigned)at;

	return i + 1 < n ? v[i] + (at - i) * (v[i + 1] - v[i]) : v[n - 1];
}

struct cal_figures cal_figures(const uint64_t *pairs, unsigned n, unsigned batch)
{
	struct cal_figures f = { 0 };
	double *v = calloc(n, sizeof(*v));

	if (!v)
		return f;
	for (unsigned i = 0; i < n; i++)
		v[i] = (double)pairs[2 * i] / batch;
	qsort(v, n, sizeof(*v), cal_compare);
	f.base = cal_quantile(v, n, 0.5);
	for (unsigned i = 0; i < n; i++)
		v[i] = (double)pairs[2 * i + 1] / batch - f.base;
	qsort(v, n, sizeof(*v), cal_compare);
	f.min = v[0];
	f.q1 = cal_quantile(v, n, 0.25);
	f.median = cal_quantile(v, n, 0.5);
	f.q3 = cal_quantile(v, n, 0.75);
	f.max = v[n - 1];
	free(v);
	return f;
}

/* "AMD EPYC ..." of the first processor; an emulated one says so here. */
static void cal_processor(char *name, size_t size)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char line[256];

	snprintf(name, size, "unknown");
	while (f && fgets(line, sizeof(line), f)) {
		const char *colon = strchr(line, ':');

		if (strncmp(line, "model name", 10) != 0 || !colon)
			continue;
		snprintf(name, size, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
		break;
	}
	if (f)
		fclose(f);
}

void cal_report_begin(struct cal_report *r)
{
	char processor[128];
	struct utsname u;

	cal_processor(processor, sizeof(processor));
	uname(&u);
	r->j = (struct json){ .f = r->f };
	if (!r->json) {
		fprintf(r->f, "host     KVM on %s; %s; Linux %s\n", probe_flavour(), processor,
			u.release);
		fprintf(r->f, "samples  %u of each kind; ns an event; spread: the middle half\n\n",
			r->samples);
		fprintf(r->f, "%-15s %10s %10s %10s %10s  %s\n", "kind", "median", "min", "max",
			"spread", "what");
		return;
	}
	json_open(&r->j, NULL, '{');
	json_u64(&r->j, "version", CALIBRATE_VERSION);
	json_str(&r->j, "duet", DUET_VERSION);
	json_open(&r->j, "host", '{');
	json_str(&r->j, "flavour", probe_flavour());
	json_str(&r->j, "processor", processor);
	json_str(&r->j, "kernel", u.release);
	json_close(&r->j, '}');
	json_u64(&r->j, "samples", r->samples);
	json_open(&r->j, "kinds", '[');
}

static void cal_kind_json(struct json *j, const struct cal_result *res)
{
	json_open(j, NULL, '{');
	json_str(j, "name", res->kind->name);
	json_str(j, "what", res->kind->what);
	json_bool(j, "available", res->ok);
	if (!res->ok) {
		json_str(j, "why", res->why);
		json_close(j, '}');
		return;
	}
	json_u64(j, "batch", res->kind->batch);
	json_double(j, "median_ns", res->ns.median);
	json_double(j, "min_ns", res->ns.min);
	json_double(j, "max_ns", res->ns.max);
	json_double(j, "q1_ns", res->ns.q1);
	json_double(j, "q3_ns", res->ns.q3);
	json_double(j, "base_ns", res->ns.base);
	json_close(j, '}');
}

void cal_report_kind(struct cal_report *r, const struct cal_result *res)
{
	const struct cal_figures *ns = &res->ns;

	if (r->json)
		cal_kind_json(&r->j, res);
	else if (res->ok)
		fprintf(r->f, "%-15s %10.1f %10.1f %10.1f %10.1f  %s\n", res->kind->name,
			ns->median, ns->min, ns->max, ns->q3 - ns->q1, res->kind->what);
	else
		fprintf(r->f, "%-15s not available: %s\n", res->kind->name, res->why);
	fflush(r->f); /* some kinds take seconds */
}

void cal_report_end(struct cal_report *r)
{
	if (!r->json)
		return;
	json_close(&r->j, ']');
	json_close(&r->j, '}');
}

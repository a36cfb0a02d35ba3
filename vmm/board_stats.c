/* SPDX-License-Identifier: MIT */
/* board_stats.c: what --stats writes, at the end or while the guest runs. */
#include "devices/nic.h"
#include "vmm/board.h"
#include "vmm/log.h"
#include "vmm/probe.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#ifndef DUET_VERSION
#define DUET_VERSION "unknown"
#endif

#define STATS_VERSION 2 /* raise it when a member changes its meaning */

const char *board_stop_name(const struct board *b)
{
	static const char *const names[] = {
		[STOP_POWEROFF] = "poweroff",     [STOP_RESET] = "reset",
		[STOP_DEBUG_EXIT] = "debug_exit", [STOP_USER] = "user",
		[STOP_CRASH] = "crash",           [STOP_HOST] = "host",
	};

	return b->end ? names[b->why] : "running"; /* until then, `why` may change */
}

uint64_t board_lifetime(const struct board *b)
{
	return (b->end ? b->end : loop_now()) - b->start;
}

static void stats_run(struct board *b, struct json *j)
{
	json_open(j, "run", '{');
	json_double(j, "seconds", (double)board_lifetime(b) / 1e9);
	json_str(j, "stop", board_stop_name(b));
	if (b->end)
		json_u64(j, "exit_status", (uint64_t)board_exit_status(b));
	json_close(j, '}');
}

static void stats_vcpus(struct board *b, struct json *j)
{
	json_open(j, "vcpus", '[');
	for (unsigned i = 0; i < b->n_vcpus; i++) {
		json_open(j, NULL, '{');
		vcpu_stats_json(&b->vcpu[i], j);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void stats_thread(const char *name, struct cputime *t, struct json *j)
{
	struct cpu_usage u = cputime_usage(t);

	json_open(j, NULL, '{');
	json_str(j, "name", name);
	json_u64(j, "user_ns", u.user_ns);
	json_u64(j, "system_ns", u.system_ns);
	json_close(j, '}');
}

static void stats_threads(struct board *b, struct json *j)
{
	char name[16];

	json_open(j, "threads", '[');
	stats_thread("main", &b->main_cpu, j);
	stats_thread("io", &b->io_cpu, j);
	for (unsigned i = 0; i < b->n_vcpus; i++) {
		snprintf(name, sizeof(name), "vcpu%u", i);
		stats_thread(name, &b->vcpu[i].cpu, j);
	}
	json_close(j, ']');
}

static void stats_bus(struct bus *bus, struct json *j)
{
	json_open(j, bus->name, '{');
	json_u64(j, "unclaimed", atomic_load(&bus->unclaimed));
	json_open(j, "regions", '[');
	bus_accounts(bus, access_json, j);
	json_close(j, ']');
	json_close(j, '}');
}

static void stats_nics(struct board *b, struct json *j)
{
	json_open(j, "nics", '[');
	for (unsigned i = 0; i < b->n_nics; i++) {
		json_open(j, NULL, '{');
		nic_stats_json(b->nic[i], j);
		json_close(j, '}');
	}
	json_close(j, ']');
}

void board_stats_json(struct board *b, FILE *f)
{
	struct json j = { .f = f };

	json_open(&j, NULL, '{');
	json_u64(&j, "version", STATS_VERSION);
	json_str(&j, "duet", DUET_VERSION);
	json_bool(&j, "accounting", acct_on);
	json_open(&j, "host", '{');
	json_str(&j, "flavour", probe_flavour());
	json_close(&j, '}');
	stats_run(b, &j);
	stats_vcpus(b, &j);
	stats_threads(b, &j);
	json_open(&j, "buses", '{');
	stats_bus(&b->m.pio, &j);
	stats_bus(&b->m.mmio, &j);
	json_close(&j, '}');
	stats_nics(b, &j);
	json_close(&j, '}');
}

/* A file that is no file (a pipe) takes one object after the other. */
static void board_stats_file(struct board *b)
{
	rewind(b->stats);
	if (ftruncate(fileno(b->stats), 0) < 0 && errno != EINVAL)
		log_error("--stats %s: %s", b->o->stats, strerror(errno));
	board_stats_json(b, b->stats);
	if (fflush(b->stats))
		log_error("--stats %s: %s", b->o->stats, strerror(errno));
}

void board_stats_end(struct board *b)
{
	if (b->stats)
		board_stats_file(b);
	if (b->o->stats_table)
		board_stats_table(b, stderr);
}

void board_stats_now(struct board *b)
{
	if (b->stats)
		board_stats_file(b);
	if (b->o->stats_table || !b->stats)
		board_stats_table(b, stderr);
}

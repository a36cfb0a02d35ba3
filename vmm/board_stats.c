/* SPDX-License-Identifier: MIT */
/* board_stats.c: what --stats writes, at the end or while the guest runs. */
#include "devices/mark.h"
#include "devices/nic.h"
#include "devices/virtio_rng.h"
#include "vmm/board.h"
#include "vmm/log.h"

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

uint64_t board_lifetime(const struct board *b, const struct acct_moment *now)
{
	return (b->end ? b->end : now->ns) - b->start;
}

static void stats_run(struct board *b, const struct acct_moment *now, struct json *j)
{
	json_open(j, "run", '{');
	json_double(j, "seconds", (double)board_lifetime(b, now) / 1e9);
	json_str(j, "stop", board_stop_name(b));
	if (b->end)
		json_u64(j, "exit_status", (uint64_t)board_exit_status(b));
	json_close(j, '}');
}

static void stats_vcpus(struct board *b, const struct acct_moment *now, struct json *j)
{
	json_open(j, "vcpus", '[');
	for (unsigned i = 0; i < b->n_vcpus; i++) {
		json_open(j, NULL, '{');
		vcpu_stats_json(&b->vcpu[i], now, j);
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
	stats_thread("watcher", watcher_cpu(b->m.watcher), j);
	for (unsigned i = 0; i < b->n_disks; i++)
		stats_thread(b->disk[i].worker.name, &b->disk[i].worker.cpu, j);
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
	json_u64(j, "coalesced", counter_get(&bus->coalesced));
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

static void stats_disks(struct board *b, struct json *j)
{
	if (!b->n_disks)
		return;
	json_open(j, "disks", '[');
	for (unsigned i = 0; i < b->n_disks; i++) {
		json_open(j, NULL, '{');
		vserver_stats_json(board_disk_server(b, i), j);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void stats_rng(struct board *b, struct json *j)
{
	if (!b->rng)
		return;
	json_open(j, "rng", '{');
	vserver_stats_json(virtio_rng_server(b->rng), j);
	json_close(j, '}');
}

static void stats_marks(struct board *b, struct json *j)
{
	if (!b->mark)
		return;
	json_open(j, "marks", '{');
	json_u64(j, "taken", mark_taken(b->mark));
	json_u64(j, "lost", counter_get(&b->marks_lost));
	json_u64(j, "guest_faults", mark_faults(b->mark));
	json_close(j, '}');
}

static void stats_object(struct board *b, const char *key, const struct acct_moment *now,
			 struct json *j)
{
	json_open(j, key, '{');
	json_u64(j, "version", STATS_VERSION);
	json_str(j, "duet", DUET_VERSION);
	json_bool(j, "accounting", acct_on);
	json_open(j, "host", '{');
	json_str(j, "flavour", b->flavour);
	json_close(j, '}');
	stats_run(b, now, j);
	stats_vcpus(b, now, j);
	stats_threads(b, j);
	json_open(j, "buses", '{');
	stats_bus(&b->m.pio, j);
	stats_bus(&b->m.mmio, j);
	json_close(j, '}');
	stats_nics(b, j);
	stats_disks(b, j);
	stats_rng(b, j);
	stats_marks(b, j);
	json_close(j, '}');
}

void board_stats_json(struct board *b, FILE *f)
{
	struct acct_moment now = acct_moment();
	struct json j = { .f = f };

	stats_object(b, NULL, &now, &j);
}

/* Said once, then only counted: a full disk stays full. */
static void mark_lost(struct board *b, int err)
{
	if (!counter_get(&b->marks_lost))
		log_error("--marks %s: marks are lost: %s", b->o->marks, strerror(err));
	counter_inc(&b->marks_lost);
}

/* A whole line or nothing: what a full disk cut off is taken back. */
static void mark_append(struct board *b, const char *line, size_t len)
{
	ssize_t n = write(b->marks_fd, line, len);

	if (n == (ssize_t)len)
		return;
	mark_lost(b, n < 0 ? errno : ENOSPC);
	if (n > 0 && ftruncate(b->marks_fd, lseek(b->marks_fd, -n, SEEK_CUR)) < 0)
		log_error("--marks %s: ends in half a line: %s", b->o->marks, strerror(errno));
}

void board_mark(void *board, uint32_t label)
{
	struct acct_moment now = acct_moment();
	struct board *b = board;
	char *line = NULL;
	size_t len = 0;
	struct json j = { .f = open_memstream(&line, &len), .one_line = true };

	if (!j.f) {
		mark_lost(b, errno);
		return;
	}
	json_open(&j, NULL, '{');
	json_u64(&j, "mark", label);
	json_u64(&j, "ns", board_lifetime(b, &now));
	stats_object(b, "stats", &now, &j);
	json_close(&j, '}');
	if (fclose(j.f))
		mark_lost(b, errno);
	else
		mark_append(b, line, len);
	free(line);
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

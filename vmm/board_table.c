/* SPDX-License-Identifier: MIT */
/* board_table.c: the statistics for a person to read: what was used, and how much. */
#include "devices/nic.h"
#include "devices/virtio_rng.h"
#include "vmm/board.h"

#include <inttypes.h>

static void table_thread(const char *name, struct cputime *t, FILE *f)
{
	struct cpu_usage u = cputime_usage(t);

	fprintf(f, "  %-16s %12.3f %12.3f\n", name, (double)u.user_ns / 1e6,
		(double)u.system_ns / 1e6);
}

static void table_threads(struct board *b, FILE *f)
{
	char name[16];

	fprintf(f, "  %-16s %12s %12s\n", "thread", "user ms", "system ms");
	table_thread("main", &b->main_cpu, f);
	table_thread("io", &b->io_cpu, f);
	table_thread("watcher", watcher_cpu(b->m.watcher), f);
	for (unsigned i = 0; i < b->n_disks; i++)
		table_thread(b->disk[i].worker.name, &b->disk[i].worker.cpu, f);
	for (unsigned i = 0; i < b->n_vcpus; i++) {
		snprintf(name, sizeof(name), "vcpu%u", i);
		table_thread(name, &b->vcpu[i].cpu, f);
	}
}

static void table_bus(struct bus *bus, FILE *f)
{
	fprintf(f, "%s: %" PRIu64 " accesses met nobody, %" PRIu64 " writes had been queued\n",
		bus->name, atomic_load(&bus->unclaimed), counter_get(&bus->coalesced));
	access_print_head(f, "region");
	bus_accounts(bus, access_print, f);
}

void board_stats_table(struct board *b, FILE *f)
{
	struct acct_moment now = acct_moment();

	fprintf(f, "--- %s after %.3f s\n", board_stop_name(b),
		(double)board_lifetime(b, &now) / 1e9);
	table_threads(b, f);
	for (unsigned i = 0; i < b->n_vcpus; i++)
		vcpu_stats_print(&b->vcpu[i], &now, f);
	table_bus(&b->m.pio, f);
	table_bus(&b->m.mmio, f);
	for (unsigned i = 0; i < b->n_nics; i++)
		nic_stats_print(b->nic[i], f);
	for (unsigned i = 0; i < b->n_disks; i++)
		vserver_stats_print(board_disk_server(b, i), f);
	if (b->rng)
		vserver_stats_print(virtio_rng_server(b->rng), f);
	fflush(f);
}

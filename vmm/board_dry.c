/* SPDX-License-Identifier: MIT */
/*
 * board_dry.c: --dry-run: the machine as it would be started, in print. It is built without
 * KVM, with backends that go nowhere, and asked: RAM is loaded as ever, and the PCI bus is
 * looked over through its ports, as a guest does. What it says is what is there, one fact a
 * line, so that two machines can be compared by diff.
 */
#include "devices/ladder.h"
#include "devices/nic.h"
#include "vmm/board.h"
#include "vmm/log.h"
#include "vmm/sandbox.h"

#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdarg.h>
#include <string.h>

#define DRY_PCI_ENABLE UINT32_C(0x80000000) /* PCI 3.0, 3.2.2.3.2 */
#define DRY_CAPS       48                   /* most capabilities that 192 bytes hold */

/* --- interrupts that go nowhere: one of each is enough for all ---------------------- */

static void dry_line_set(struct irq_line *l, bool level)
{
	(void)l;
	(void)level;
}

static struct irq_line *dry_irq(struct machine *m, unsigned gsi)
{
	static struct irq_line line = { .set = dry_line_set };

	(void)m;
	(void)gsi;
	return &line;
}

static struct irq_eoi *dry_irq_eoi(struct machine *m, unsigned gsi)
{
	(void)m;
	(void)gsi;
	return NULL;
}

static int dry_msi_route(struct msi_vec *v, uint64_t addr, uint32_t data)
{
	(void)v;
	(void)addr;
	(void)data;
	return 0;
}

static void dry_msi_fire(struct msi_vec *v)
{
	(void)v;
}

static struct msi_vec *dry_msi_alloc(struct msi_router *r)
{
	static const struct msi_ops ops = { .route = dry_msi_route, .fire = dry_msi_fire };
	static struct msi_vec vec = { .ops = &ops };

	(void)r;
	return &vec;
}

void board_dry_irqs(struct machine *m)
{
	static struct msi_router router = { .alloc = dry_msi_alloc };

	m->irq = dry_irq;
	m->irq_eoi = dry_irq_eoi;
	m->msi = &router;
}

/* --- a fact: a name, a value -------------------------------------------------------- */

static void dry_say(const char *name, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void dry_say(const char *name, const char *fmt, ...)
{
	va_list ap;

	printf("%-10s ", name);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/* --- RAM and what is in it ----------------------------------------------------------- */

static void dry_kernel(const struct board *b)
{
	const struct boot *k = &b->boot;
	bool elf = b->entry.mode == BOOT_FLAT32;

	dry_say("kernel", "%s", b->files.kernel);
	dry_say("  file", "%s, %" PRIu64 " bytes", elf ? "ELF" : "bzImage", k->kernel.size);
	if (!elf)
		dry_say("  unpacked", "%s%s%s", k->format ? "by the host (" : "by the guest",
			k->format ? k->format : "", k->format ? ")" : "");
	dry_say("  entry", "%#" PRIx64 ", %s", b->entry.ip,
		elf ? "32 bits, by its PVH note" : "64 bits, by Linux's boot protocol");
	dry_say("  needs", "RAM up to %#" PRIx64 " to start", k->kernel_end);
	dry_say("initrd", "%s", b->files.initrd ? b->files.initrd : "none");
	if (b->files.initrd)
		dry_say("  file", "%" PRIu64 " bytes at %#" PRIx64, k->info.initrd_size,
			k->info.initrd);
	dry_say("cmdline", "%s",
		(const char *)gm_span(&b->m.mem, k->info.cmdline, k->info.cmdline_size + 1));
}

static void dry_memory(const struct board *b)
{
	struct e820_map map;

	dry_say("memory", "%" PRIu64 " KiB", b->m.mem.size >> 10);
	e820_build(&b->m.mem, &map);
	for (unsigned i = 0; i < map.n; i++)
		dry_say("  e820", "0x%09" PRIx64 "-0x%09" PRIx64 " %s", map.e[i].addr,
			map.e[i].addr + map.e[i].size - 1, map.e[i].type == 1 ? "RAM" : "reserved");
}

static void dry_serial(const struct opts *o)
{
	dry_say("ttyS0", "port %#x, GSI %d, stdin and stdout", PORT_COM1, GSI_COM1);
	dry_say("ttyS1", "port %#x, GSI %d, %s", PORT_COM2, GSI_COM2,
		o->serial2 ? o->serial2 : "nobody listens");
}

/* --- the PCI bus, as its guest sees it ------------------------------------------------- */

static void dry_select(struct board *b, unsigned slot, unsigned reg)
{
	bus_write(&b->m.pio, PORT_PCI_CONFIG, 4, DRY_PCI_ENABLE | slot << 11 | (reg & 0xfc));
}

static uint32_t dry_config(struct board *b, unsigned slot, unsigned reg)
{
	dry_select(b, slot, reg);
	return (uint32_t)bus_read(&b->m.pio, PORT_PCI_CONFIG + 4, 4);
}

/* A BAR's size is what it does not take of ones (PCI 3.0, 6.2.5.1). */
static void dry_bar(struct board *b, unsigned slot, unsigned n)
{
	unsigned reg = PCI_BASE_ADDRESS_0 + 4 * n;
	uint32_t was = dry_config(b, slot, reg), mask;
	bool io = was & PCI_BASE_ADDRESS_SPACE_IO;
	uint32_t flags = ~(uint32_t)(io ? PCI_BASE_ADDRESS_IO_MASK : PCI_BASE_ADDRESS_MEM_MASK);
	char name[8];

	bus_write(&b->m.pio, PORT_PCI_CONFIG + 4, 4, UINT32_MAX);
	mask = dry_config(b, slot, reg) & ~flags;
	bus_write(&b->m.pio, PORT_PCI_CONFIG + 4, 4, was);
	if (!mask)
		return;
	snprintf(name, sizeof(name), "  BAR%u", n);
	was &= ~flags;
	dry_say(name, "%s %#x-%#x", io ? "ports" : "memory", was, was + ~mask);
}

/* How many messages the card in `slot` may send; 0: it has no MSI-X. */
static unsigned dry_messages(struct board *b, unsigned slot)
{
	uint32_t at = dry_config(b, slot, PCI_CAPABILITY_LIST) & 0xfc, cap;

	for (unsigned n = 0; at && n < DRY_CAPS; n++, at = cap >> 8 & 0xfc) {
		cap = dry_config(b, slot, at);
		if ((cap & 0xff) == PCI_CAP_ID_MSIX)
			return (cap >> 16 & PCI_MSIX_FLAGS_QSIZE) + 1;
	}
	return 0;
}

static void dry_card(struct board *b, unsigned slot)
{
	uint32_t irq = dry_config(b, slot, PCI_INTERRUPT_LINE);
	unsigned messages = dry_messages(b, slot);

	for (unsigned n = 0; n < 6; n++)
		dry_bar(b, slot, n);
	if (irq & 0xff00)
		dry_say("  INTA#", "GSI %u", irq & 0xff);
	if (messages)
		dry_say("  MSI-X", "%u messages", messages);
}

/* "00:01.0" as lspci has it, and the numbers by which a driver knows it. False: empty. */
static bool dry_slot(struct board *b, unsigned slot, const char *what)
{
	uint32_t id = dry_config(b, slot, PCI_VENDOR_ID);
	char name[8];

	if (id == UINT32_MAX)
		return false;
	snprintf(name, sizeof(name), "00:%02x.0", slot);
	dry_say(name, "%04x:%04x, %s", id & 0xffff, id >> 16, what);
	dry_card(b, slot);
	return true;
}

static void dry_nic(const struct opts_nic *on, const struct nic *n)
{
	const uint8_t *mac = n->cfg.mac;
	char rungs[256];

	dry_say("  MAC", "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
		mac[5]);
	if (n->cfg.mtu)
		dry_say("  MTU", "%u", n->cfg.mtu);
	if (on->vhost)
		dry_say("  vhost", "on");
	else
		dry_say("  ladder", "%s", ladder_string(n->cfg.rungs, rungs, sizeof(rungs)));
	if (nic_has(n, RUNG_POLL) && !on->vhost)
		dry_say("  poll", "%u us", n->cfg.poll_us);
	if (n->cfg.exits)
		dry_say("  exits", "%u more for each frame", n->cfg.exits);
	dry_say("  backend", "%s%s%s", on->backend, on->arg[0] ? " " : "", on->arg);
	if (on->pcap[0])
		dry_say("  pcap", "%s", on->pcap);
}

static void dry_disk(const struct disk *d)
{
	dry_say("  file", "%s", d->path);
	dry_say("  size", "%" PRIu64 " bytes%s", d->sectors * DISK_SECTOR,
		d->readonly ? ", read-only" : "");
}

static void dry_pci(struct board *b)
{
	char what[32];

	dry_slot(b, 0, "host bridge");
	for (unsigned i = 0; i < b->n_nics; i++) {
		snprintf(what, sizeof(what), "%s: %s", b->nic[i]->cfg.name, b->nic[i]->ops->model);
		if (dry_slot(b, PCI_SLOT_NICS + i, what))
			dry_nic(&b->o->nic[i], b->nic[i]);
	}
	for (unsigned i = 0; i < b->n_disks; i++) {
		snprintf(what, sizeof(what), "%s: virtio-blk", b->disk[i].worker.name);
		if (dry_slot(b, PCI_SLOT_DISKS + i, what))
			dry_disk(&b->disk[i].file);
	}
	dry_slot(b, PCI_SLOT_RNG, "virtio-rng");
}

/* --- what the process does besides ------------------------------------------------------ */

static void dry_word(const char *name, const char *value)
{
	if (value)
		dry_say(name, "%s", value);
}

static void dry_outputs(const struct opts *o)
{
	dry_word("stats", o->stats);
	if (o->stats_table)
		dry_say("stats", "as a table to stderr");
	dry_word("marks", o->marks);
	if (o->trace)
		dry_say("trace", "%s to %s", o->trace, o->trace_file ? o->trace_file : "stderr");
	dry_say("accounting", "%s", o->no_accounting ? "off" : "on");
	dry_say("sandbox", "%s",
		o->sandbox == OPTS_SANDBOX_OFF || sandbox_lacking() ? "off" : "on");
	dry_word("user", o->user);
	dry_word("chroot", o->chroot);
	if (o->timeout)
		dry_say("timeout", "%u s", o->timeout);
}

int board_dry_run(const struct opts *o)
{
	static struct board b; /* too large for a stack */
	int status = board_check_outputs(o);

	/* What devices tell of themselves is about these backends, not about those asked for. */
	if (o->log_level > LOG_LEVEL_WARNING)
		log_set_level(LOG_LEVEL_WARNING);
	if (status)
		return status;
	status = board_build(&b, o);
	if (!status)
		status = board_confine(o);
	if (!status) {
		dry_kernel(&b);
		dry_say("cpus", "%u", o->cpus);
		dry_memory(&b);
		dry_serial(o);
		dry_pci(&b);
		dry_outputs(o);
	}
	board_destroy(&b);
	return status;
}

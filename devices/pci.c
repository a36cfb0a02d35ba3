/* SPDX-License-Identifier: MIT */
/*
 * pci.c: configuration mechanism #1, one bus, one function per slot, a host bridge in
 * slot 0.
 *
 *   outl 0xcf8 -> address latch        in/out 0xcfc..0xcff -> the byte, word or dword
 *   E......|bus....|slot.|fn.|reg...00   of the register that the latch selects
 *
 * A write first changes the bytes (write mask, write-1-to-clear mask), then takes
 * effect: BARs move on the machine's buses, the INTx veto reaches the line, the device's
 * hook is told. Left out on purpose: bridges, 64-bit and expansion ROM BARs, multi-function
 * devices, PCI Express, power management, MSI (devices here have INTx or MSI-X).
 *
 * Locks: h->lock -> (bus locks | intx_lock -> pci_line.lock).
 */
#include "devices/pci.h"

#include "devices/pci_intx.h"
#include "vmm/layout.h"
#include "vmm/log.h"
#include "vmm/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define PCI_CONFIG_ENABLE BIT(31)
#define PCI_CONFIG_PORTS  8
#define PCI_CONFIG_DATA   4 /* offset of 0xcfc from 0xcf8 */

#define PCI_VENDOR_INTEL 0x8086
#define PCI_DEVICE_HOST  0x0d57
#define PCI_CLASS_HOST   0x060000

/* Status bits that the guest clears by writing 1: errors, which never occur here. */
#define PCI_STATUS_W1C                                                                             \
	(PCI_STATUS_PARITY | PCI_STATUS_SIG_TARGET_ABORT | PCI_STATUS_REC_TARGET_ABORT |           \
	 PCI_STATUS_REC_MASTER_ABORT | PCI_STATUS_SIG_SYSTEM_ERROR | PCI_STATUS_DETECTED_PARITY)

struct pci_host {
	/* fixed: */
	struct machine *m;
	struct region ports;
	struct pci_dev bridge;
	struct pci_line line[GSI_PCI_NR];
	pthread_mutex_t lock;
	/* lock: */
	uint32_t address; /* the latch at 0xcf8 */
	struct pci_dev *dev[PCI_SLOTS];
	uint64_t next_mmio, next_io; /* where pci_attach() places the next BAR */
	counter_t undecoded;
};

/* --- configuration space as bytes ------------------------------------------------- */

static uint32_t pci_get(const struct pci_dev *d, unsigned off, unsigned size)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < size; i++)
		v |= (uint32_t)d->config[off + i] << (8 * i);
	return v;
}

static void pci_put(uint8_t *space, unsigned off, unsigned size, uint32_t val)
{
	for (unsigned i = 0; i < size; i++)
		space[off + i] = (uint8_t)(val >> (8 * i));
}

static bool pci_overlaps(unsigned off, unsigned size, unsigned reg, unsigned len)
{
	return off < reg + len && reg < off + size;
}

/* --- bus mastering ---------------------------------------------------------------- */

bool pci_bus_master(const struct pci_dev *d)
{
	/* Pairs with pci_write_bytes(): a byte on its own, whose order against other
	 * memory the doorbell or lock that made us look has settled. */
	return __atomic_load_n(&d->config[PCI_COMMAND], __ATOMIC_RELAXED) & PCI_COMMAND_MASTER;
}

/* --- BARs ------------------------------------------------------------------------- */

static struct bus *pci_bar_bus(struct pci_host *h, const struct pci_bar *b)
{
	return b->io ? &h->m->pio : &h->m->mmio;
}

static uint64_t pci_bar_base(const struct pci_dev *d, unsigned n)
{
	uint32_t v = pci_get(d, PCI_BASE_ADDRESS_0 + 4 * n, 4);

	return v & (d->bar[n].io ? (uint32_t)PCI_BASE_ADDRESS_IO_MASK
				 : (uint32_t)PCI_BASE_ADDRESS_MEM_MASK);
}

/* Do the command register and the bridge's windows let BAR `n` decode `base`? */
static bool pci_bar_enabled(const struct pci_dev *d, unsigned n, uint64_t base)
{
	const struct pci_bar *b = &d->bar[n];
	uint16_t bit = b->io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
	uint64_t lo = b->io ? PCI_PORT_BASE : PCI_MMIO_BASE;
	uint64_t hi = b->io ? PCI_PORT_END : PCI_MMIO_END;

	return b->region.size && (pci_get(d, PCI_COMMAND, 2) & bit) && base >= lo &&
	       base + b->region.size <= hi;
}

/*
 * Make one BAR's place on the bus agree with its registers. Only we map and unmap BARs,
 * with the host lock held, so `mapped` and `base` may be looked at without the bus's.
 * Returns false when it should decode but cannot, as another region is there.
 */
static bool pci_bar_update(struct pci_dev *d, unsigned n)
{
	struct region *r = &d->bar[n].region;
	uint64_t base = pci_bar_base(d, n);
	bool on = pci_bar_enabled(d, n, base);
	int err;

	if (r->mapped && on && r->base == base)
		return true;
	if (r->mapped)
		bus_unmap(pci_bar_bus(d->host, &d->bar[n]), r);
	if (!on)
		return true;
	err = bus_map(pci_bar_bus(d->host, &d->bar[n]), r, base);
	trace(PCI, "slot %u: BAR%u %s at %#" PRIx64 "%s", d->slot, n, r->name, base,
	      err ? ": not decoded, in the way of another" : "");
	return !err;
}

/* Will pci_bar_update() take a BAR of `d` from where it is? */
static bool pci_bars_move(const struct pci_dev *d)
{
	for (unsigned n = 0; n < ARRAY_SIZE(d->bar); n++) {
		const struct region *r = &d->bar[n].region;
		uint64_t base = pci_bar_base(d, n);

		if (r->mapped && (r->base != base || !pci_bar_enabled(d, n, base)))
			return true;
	}
	return false;
}

/* After a change in `d`, whose old place may also have been what kept another off the bus. */
static void pci_bars_update(struct pci_host *h, struct pci_dev *d)
{
	if (d->bars_moving && pci_bars_move(d))
		d->bars_moving(d);
	for (unsigned n = 0; n < ARRAY_SIZE(d->bar); n++)
		if (!pci_bar_update(d, n))
			counter_inc(&h->undecoded);
	for (unsigned s = 0; s < PCI_SLOTS; s++)
		for (unsigned n = 0; h->dev[s] && n < ARRAY_SIZE(h->dev[s]->bar); n++)
			pci_bar_update(h->dev[s], n);
}

uint64_t pci_undecoded(const struct pci_host *h)
{
	return counter_get(&h->undecoded);
}

/* --- configuration accesses ------------------------------------------------------- */

static void pci_write_bytes(struct pci_dev *d, unsigned off, unsigned size, uint32_t val)
{
	for (unsigned i = 0; i < size; i++) {
		uint8_t v = (uint8_t)(val >> (8 * i)), *c = &d->config[off + i];
		uint8_t wm = d->wmask[off + i];
		uint8_t now = (uint8_t)((*c & ~wm) | (v & wm));

		now &= (uint8_t) ~(v & d->w1cmask[off + i]);
		/* Pairs with pci_bus_master(). */
		__atomic_store_n(c, now, __ATOMIC_RELAXED);
	}
}

static void pci_config_write(struct pci_host *h, struct pci_dev *d, unsigned off, unsigned size,
			     uint32_t val)
{
	pci_write_bytes(d, off, size, val);
	trace(PCI, "slot %u: %#x/%u <- %#x, now %#x", d->slot, off, size, val,
	      pci_get(d, off, size));
	if (pci_overlaps(off, size, PCI_COMMAND, 2))
		pci_intx_veto(d, pci_get(d, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE);
	if (pci_overlaps(off, size, PCI_COMMAND, 2) ||
	    pci_overlaps(off, size, PCI_BASE_ADDRESS_0, 4 * (unsigned)ARRAY_SIZE(d->bar)))
		pci_bars_update(h, d);
	if (d->config_written)
		d->config_written(d, off, size);
}

static uint32_t pci_config_read(struct pci_dev *d, unsigned off, unsigned size)
{
	uint32_t v;

	if (d->config_reading)
		d->config_reading(d, off, size);
	v = pci_get(d, off, size);
	/* The one bit that follows the device and not the guest's writes. It shows the
	 * device's wish, whether or not INTX_DISABLE lets it out (PCI 3.0, 6.2.3). */
	if (pci_overlaps(off, size, PCI_STATUS, 1) && pci_intx_pending(d))
		v |= (uint32_t)PCI_STATUS_INTERRUPT << (8 * (PCI_STATUS - off));
	return v;
}

/*
 * The device that the latch selects for an access at 0xcfc + `lane`, and the register,
 * or NULL: mechanism off, another bus or function, empty slot, or an access across the
 * dword. Host lock held.
 */
static struct pci_dev *pci_selected(struct pci_host *h, unsigned lane, unsigned size, unsigned *reg)
{
	uint32_t a = h->address;

	/* Bits 23..16 are the bus, 10..8 the function: both must be 0. */
	if (!(a & PCI_CONFIG_ENABLE) || (a & 0x00ff0700) || lane + size > 4)
		return NULL;
	*reg = (a & 0xfc) + lane;
	return h->dev[(a >> 11) % PCI_SLOTS];
}

static uint64_t pci_ports_read(void *dev, uint64_t off, unsigned size)
{
	struct pci_host *h = dev;
	uint64_t v = bus_ones(size);
	struct pci_dev *d;
	unsigned reg;

	pthread_mutex_lock(&h->lock);
	if (off == 0 && size == 4) {
		v = h->address;
	} else if (off >= PCI_CONFIG_DATA) {
		d = pci_selected(h, (unsigned)off - PCI_CONFIG_DATA, size, &reg);
		if (d)
			v = pci_config_read(d, reg, size);
	}
	pthread_mutex_unlock(&h->lock);
	return v;
}

/* Only a dword at 0xcf8 reaches the latch: bytes there are other chips' ports on a PC. */
static void pci_ports_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	struct pci_host *h = dev;
	struct pci_dev *d;
	unsigned reg;

	pthread_mutex_lock(&h->lock);
	if (off == 0 && size == 4) {
		h->address = (uint32_t)val & (PCI_CONFIG_ENABLE | 0x00fffffc);
	} else if (off >= PCI_CONFIG_DATA) {
		d = pci_selected(h, (unsigned)off - PCI_CONFIG_DATA, size, &reg);
		if (d)
			pci_config_write(h, d, reg, size, (uint32_t)val);
	}
	pthread_mutex_unlock(&h->lock);
}

static const struct region_ops pci_ports_ops = {
	.read = pci_ports_read,
	.write = pci_ports_write,
	.sizes = 1 | 2 | 4,
};

/* --- building a device ------------------------------------------------------------ */

void pci_init(struct pci_dev *d, const struct pci_id *id)
{
	memset(d, 0, sizeof(*d));
	pci_intx_init(d);
	d->cap_end = PCI_STD_HEADER_SIZEOF;
	pci_put(d->config, PCI_VENDOR_ID, 2, id->vendor);
	pci_put(d->config, PCI_DEVICE_ID, 2, id->device);
	pci_put(d->config, PCI_CLASS_REVISION, 4, id->class_code << 8 | id->revision);
	pci_put(d->config, PCI_SUBSYSTEM_VENDOR_ID, 2, id->subsys_vendor);
	pci_put(d->config, PCI_SUBSYSTEM_ID, 2, id->subsys);
	pci_put(d->wmask, PCI_COMMAND, 2,
		PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
			PCI_COMMAND_INTX_DISABLE);
	pci_put(d->w1cmask, PCI_STATUS, 2, PCI_STATUS_W1C);
	d->wmask[PCI_CACHE_LINE_SIZE] = 0xff;
	d->wmask[PCI_LATENCY_TIMER] = 0xff;
	d->wmask[PCI_INTERRUPT_LINE] = 0xff;
}

void pci_bar_init(struct pci_dev *d, unsigned n, bool io, uint64_t size, const char *name,
		  const struct region_ops *ops, void *dev)
{
	unsigned reg = PCI_BASE_ADDRESS_0 + 4 * n;

	BUG_ON(n >= ARRAY_SIZE(d->bar) || size < (io ? 4 : 16) || (size & (size - 1)) ||
	       size > (io ? 256 : BIT(30)));
	d->bar[n].io = io;
	d->bar[n].region = (struct region){ .name = name, .ops = ops, .dev = dev, .size = size };
	pci_put(d->config, reg, 4, io ? PCI_BASE_ADDRESS_SPACE_IO : 0);
	/* Low bits that stay 0 are how software finds the size (PCI 3.0, 6.2.5.1). */
	pci_put(d->wmask, reg, 4, (uint32_t) ~(size - 1));
	d->wmask[PCI_COMMAND] |= io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
}

/* Where the next capability's offset is to be written: the end of the chain. */
static uint8_t *pci_cap_tail(struct pci_dev *d)
{
	uint8_t *next = &d->config[PCI_CAPABILITY_LIST];

	while (*next)
		next = &d->config[*next + PCI_CAP_LIST_NEXT];
	return next;
}

uint8_t pci_cap_add(struct pci_dev *d, uint8_t id, uint8_t len, const void *body)
{
	uint8_t at = d->cap_end;

	BUG_ON(len < PCI_CAP_SIZEOF || (unsigned)at + len > PCI_CFG_SPACE_SIZE - 4);
	*pci_cap_tail(d) = at;
	d->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	d->config[at + PCI_CAP_LIST_ID] = id;
	if (body)
		memcpy(&d->config[at + PCI_CAP_FLAGS], body, len - PCI_CAP_FLAGS);
	d->cap_end = (uint8_t)((at + len + 3) & ~3);
	return at;
}

/* Take `size` bytes, aligned to it, of a window. False: no room. */
static bool pci_window_take(uint64_t *next, uint64_t end, uint64_t size, uint64_t *base)
{
	uint64_t at = (*next + size - 1) & ~(size - 1);

	if (at + size > end)
		return false;
	*base = at;
	*next = at + size;
	return true;
}

static int pci_place_bars(struct pci_host *h, struct pci_dev *d)
{
	uint64_t mmio = h->next_mmio, io = h->next_io, base = 0;

	for (unsigned n = 0; n < ARRAY_SIZE(d->bar); n++) {
		uint64_t size = d->bar[n].region.size;

		if (!size)
			continue;
		/* Memory BARs get pages of their own, so that each can be mapped alone. */
		if (!(d->bar[n].io ? pci_window_take(&io, PCI_PORT_END, size, &base)
				   : pci_window_take(&mmio, PCI_MMIO_END, size < 4096 ? 4096 : size,
						     &base)))
			return -ENOSPC;
		pci_put(d->config, PCI_BASE_ADDRESS_0 + 4 * n, 4,
			(uint32_t)base | (d->bar[n].io ? PCI_BASE_ADDRESS_SPACE_IO : 0));
	}
	h->next_mmio = mmio;
	h->next_io = io;
	return 0;
}

int pci_attach(struct pci_host *h, struct pci_dev *d, unsigned slot)
{
	int err;

	if (!slot || slot >= PCI_SLOTS)
		return -EINVAL;
	pthread_mutex_lock(&h->lock);
	err = h->dev[slot] ? -EEXIST : pci_place_bars(h, d);
	if (!err) {
		d->host = h;
		d->slot = slot;
		d->line = &h->line[slot % GSI_PCI_NR];
		d->config[PCI_INTERRUPT_PIN] = 1; /* INTA# */
		d->config[PCI_INTERRUPT_LINE] = (uint8_t)(GSI_PCI_BASE + slot % GSI_PCI_NR);
		h->dev[slot] = d;
	}
	pthread_mutex_unlock(&h->lock);
	return err;
}

void pci_fini(struct pci_dev *d)
{
	struct pci_host *h = d->host;

	if (h) {
		pthread_mutex_lock(&h->lock);
		h->dev[d->slot] = NULL;
		for (unsigned n = 0; n < ARRAY_SIZE(d->bar); n++)
			bus_unmap(pci_bar_bus(h, &d->bar[n]), &d->bar[n].region);
		pthread_mutex_unlock(&h->lock);
	}
	pci_intx_fini(d);
}

/* --- the host bridge -------------------------------------------------------------- */

/*
 * Systems look for a host bridge to believe in mechanism #1. The number is the one that
 * several other VMMs use for a bridge without a chip behind it; a real chipset's would
 * make Linux work around that chipset's faults.
 */
static void pci_bridge_init(struct pci_host *h)
{
	static const struct pci_id id = {
		.vendor = PCI_VENDOR_INTEL,
		.device = PCI_DEVICE_HOST,
		.class_code = PCI_CLASS_HOST,
	};

	pci_init(&h->bridge, &id);
	h->bridge.host = h;
	h->bridge.line = &h->line[0]; /* it never asks for an interrupt */
	memset(h->bridge.wmask, 0, sizeof(h->bridge.wmask));
	h->bridge.config[PCI_COMMAND] = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	h->dev[0] = &h->bridge;
}

static bool pci_lines_init(struct pci_host *h)
{
	bool ok = true;

	for (unsigned i = 0; i < GSI_PCI_NR; i++)
		ok = pci_line_init(&h->line[i], h->m, GSI_PCI_BASE + i) && ok;
	return ok;
}

struct pci_host *pci_host_new(struct machine *m)
{
	struct pci_host *h = calloc(1, sizeof(*h));
	int err;

	if (!h) {
		log_error("PCI host: out of memory");
		return NULL;
	}
	h->m = m;
	h->next_mmio = PCI_MMIO_BASE;
	h->next_io = PCI_PORT_BASE;
	pthread_mutex_init(&h->lock, NULL);
	pci_bridge_init(h);
	h->ports = (struct region){
		.name = "pci-config", .ops = &pci_ports_ops, .dev = h, .size = PCI_CONFIG_PORTS
	};
	err = pci_lines_init(h) ? bus_map(&m->pio, &h->ports, PORT_PCI_CONFIG) : -ENXIO;
	if (err) {
		log_error("PCI host: cannot have port %#x and interrupts %d to %d: %s",
			  PORT_PCI_CONFIG, GSI_PCI_BASE, GSI_PCI_BASE + GSI_PCI_NR - 1,
			  strerror(-err));
		pci_host_free(h);
		return NULL;
	}
	return h;
}

void pci_host_free(struct pci_host *h)
{
	pci_fini(&h->bridge);
	bus_unmap(&h->m->pio, &h->ports);
	for (unsigned i = 0; i < GSI_PCI_NR; i++)
		pci_line_destroy(&h->line[i]);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

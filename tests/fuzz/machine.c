/* SPDX-License-Identifier: MIT */
/* machine.c: see machine.h. */
#include "tests/fuzz/machine.h"

#include "tests/fuzz/wire.h"

#include <errno.h>
#include <sys/mman.h>

#define FUZZ_GUARD  65536 /* bytes on either side of RAM */
#define FUZZ_BUDGET 512   /* frames that a backend takes until it is asked to again */

/* --- the machine's life --------------------------------------------------------- */

/* RAM between pages that fault. */
static void fuzz_ram_fence(struct gmem *mem)
{
	uint8_t *p = mmap(NULL, FUZZ_RAM + 2 * FUZZ_GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	BUG_ON(p == MAP_FAILED || mprotect(p + FUZZ_GUARD, FUZZ_RAM, PROT_READ | PROT_WRITE) < 0);
	munmap(mem->r[0].hva, mem->r[0].size);
	mem->r[0].hva = p + FUZZ_GUARD;
}

/* RAM at the start of an input: empty, but for one frame of each kind that has headers. */
static const uint8_t *fuzz_ram_image(void)
{
	static const uint8_t kinds[] = { WIRE_TCP4, WIRE_TCP6, WIRE_UDP4, WIRE_TAGGED };
	static uint8_t image[FUZZ_RAM];

	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
		memcpy(image + FUZZ_FRAMES + i * 0x4000, wire_template(kinds[i], NULL), 0x4000);
	return image;
}

static int fuzz_page(struct bus_accel *a, uint64_t addr, void *mem, enum page_mode mode)
{
	struct fuzz_machine *m = container_of(a, struct fuzz_machine, accel.accel);

	return m->refuse && mode != PAGE_TRAP ? -ENOMEM : m->granted.page(a, addr, mem, mode);
}

static int fuzz_coalesce(struct bus_accel *a, uint64_t addr, unsigned size, bool on)
{
	struct fuzz_machine *m = container_of(a, struct fuzz_machine, accel.accel);

	return m->refuse && on ? -ENOSPC : m->granted.coalesce(a, addr, size, on);
}

/* Left to the region's write(), which does the same as the eventfd would. */
static int fuzz_doorbell(struct bus_accel *a, uint64_t addr, const struct doorbell *d, bool on)
{
	(void)a, (void)addr, (void)d, (void)on;
	return 0;
}

static void fuzz_accel_begin(struct fuzz_machine *m)
{
	fake_accel_init(&m->accel, &m->f->m.mmio);
	m->granted = m->accel.accel;
	m->accel.accel.page = fuzz_page;
	m->accel.accel.coalesce = fuzz_coalesce;
	m->accel.accel.doorbell = fuzz_doorbell;
	m->refuse = false;
}

static void fuzz_fake_reset(struct fake_machine *f)
{
	for (unsigned i = 0; i < f->n_eois; i++)
		if (f->eoi[i].in_loop)
			loop_event_destroy(&f->eoi[i].event);
	memset(f->eoi, 0, sizeof(f->eoi));
	f->n_eois = f->n_msi = f->stops = 0;
	for (unsigned i = 0; i < IOAPIC_PINS; i++)
		f->irq[i].level = false;
	for (unsigned i = 0; i < FAKE_MSI_MAX; i++)
		f->msi[i].routes = f->msi[i].fires = 0;
}

struct fuzz_machine *fuzz_machine_begin(void)
{
	static struct fuzz_machine m;
	static const uint8_t *image;

	if (!m.f) {
		m.f = fake_machine_new(FUZZ_RAM);
		fuzz_ram_fence(&m.f->m.mem);
		image = fuzz_ram_image();
	}
	memcpy(m.f->m.mem.r[0].hva, image, FUZZ_RAM);
	fuzz_clock_reset();
	fuzz_accel_begin(&m);
	m.pci = pci_host_new(&m.f->m);
	BUG_ON(!m.pci);
	m.n_nics = 0;
	return &m;
}

static void fuzz_bus_end(struct bus *b)
{
	FUZZ_CHECK(!b->n, "%s: a region was left on the bus", b->name);
	bus_destroy(b);
	bus_init(b, b->name, b->pio);
}

void fuzz_machine_end(struct fuzz_machine *m)
{
	for (unsigned i = 0; i < m->n_nics; i++)
		nic_destroy(m->nic[i].nic);
	pci_host_free(m->pci);
	FUZZ_CHECK(!m->accel.n_zones, "a zone was left with the hypervisor");
	for (unsigned i = 0; i < FAKE_PAGES; i++)
		FUZZ_CHECK(!m->accel.page[i].mem, "a page was left with the hypervisor");
	fake_accel_fini(&m->accel);
	fuzz_bus_end(&m->f->m.pio);
	fuzz_bus_end(&m->f->m.mmio);
	fuzz_fake_reset(m->f);
}

/* --- NICs ----------------------------------------------------------------------- */

/* The best ladder, for an input of zeros; of what has conflicts, as little as makes sense. */
static unsigned fuzz_rungs(uint16_t flip, bool virtio)
{
	unsigned rungs = LADDER_BEST ^ flip, polled = BIT(RUNG_COALESCED) | BIT(RUNG_RAM);

	if (!(rungs & BIT(RUNG_WORKER)))
		rungs &= ~BIT(RUNG_POLL);
	if (!(rungs & BIT(RUNG_POLL)))
		rungs &= ~polled;
	BUG_ON(ladder_conflict(rungs));
	return rungs & (virtio ? (unsigned)LADDER_VIRTIO : LADDER_ALL);
}

static unsigned fuzz_extra(void *ctx, unsigned n)
{
	(void)ctx;
	return n;
}

void fuzz_nic_enable(struct fuzz_machine *m, struct fuzz_nic *n)
{
	for (unsigned i = 0; i < ARRAY_SIZE(n->bar); i++)
		if (n->bar[i])
			fake_pci_write(m->f, n->slot, PCI_BASE_ADDRESS_0 + 4 * i, 4, n->bar[i]);
	fake_pci_write(m->f, n->slot, PCI_COMMAND, 2,
		       PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static struct net *fuzz_backend_new(struct fuzz_machine *m, struct fuzz_nic *n, uint8_t how)
{
	int err;

	if (how >= 0xe0) {
		struct net *be = net_open(m->f->m.loop, "loop", NULL, &err);

		BUG_ON(!be);
		return be;
	}
	n->net = fake_net_new(m->f->m.loop, how & NET_OFF_ALL);
	n->net->full_after = FUZZ_BUDGET;
	n->net->link = !(how & 0x10);
	return &n->net->net;
}

struct fuzz_nic *fuzz_nic_plug(struct fuzz_machine *m, struct fuzz_in *in, bool virtio)
{
	struct fuzz_nic *n = &m->nic[m->n_nics];
	struct nic_config cfg = { .name = "net0", .poll_us = 4000, .extra = fuzz_extra };
	uint8_t how = fuzz_u8(in), backend = fuzz_u8(in);
	struct net *be;

	*n = (struct fuzz_nic){ .slot = 3 + m->n_nics++ };
	cfg.rungs = fuzz_rungs(fuzz_u16(in), virtio);
	cfg.mtu = how & 1 ? 9000 : 0;
	cfg.exits = how & 2 ? 3 : 0;
	memcpy(cfg.mac, wire_mac, sizeof(cfg.mac));
	m->f->max_msi = how & 4 ? 0 : FAKE_MSI_MAX;
	be = fuzz_backend_new(m, n, backend);
	be->mtu = how & 8 ? 1500 : 0;
	n->nic = (virtio ? virtio_net_new : e1000_new)(&m->f->m, m->pci, n->slot, &cfg, be);
	BUG_ON(!n->nic);
	for (unsigned i = 0; i < ARRAY_SIZE(n->bar); i++)
		n->bar[i] = fake_pci_bar(m->f, n->slot, i);
	fuzz_nic_enable(m, n);
	return n;
}

void fuzz_run(struct fuzz_machine *m)
{
	fake_machine_run(m->f);
	for (unsigned i = 0; i < m->n_nics; i++)
		if (m->nic[i].net)
			fake_net_clear(m->nic[i].net);
}

/* --- the guest -------------------------------------------------------------------- */

/* Where an access that would cross a page is moved to. */
static uint64_t fuzz_within_page(uint64_t addr, unsigned size)
{
	return addr % BUS_PAGE_SIZE + size > BUS_PAGE_SIZE ? addr & -(uint64_t)size : addr;
}

void fuzz_store(struct fuzz_machine *m, uint64_t addr, unsigned size, uint64_t val)
{
	fake_store(&m->accel, fuzz_within_page(addr, size), size, val & bus_ones(size));
}

uint64_t fuzz_load(struct fuzz_machine *m, uint64_t addr, unsigned size)
{
	return fake_load(&m->accel, fuzz_within_page(addr, size), size);
}

gpa_t fuzz_gpa(struct fuzz_in *in, const struct fuzz_nic *n)
{
	uint8_t how = fuzz_u8(in);

	if (how < 160)
		return FUZZ_FRAMES + (gpa_t)how * 0x100;
	switch (how % 8) {
	case 0:
		return FUZZ_RAM - fuzz_u8(in);
	case 1:
		return n->bar[0] + fuzz_u16(in);
	case 2:
		return fuzz_u64(in);
	case 3:
		return UINT64_MAX - fuzz_u8(in);
	default:
		return (gpa_t)fuzz_u16(in) << 2;
	}
}

uint8_t *fuzz_ram(struct fuzz_machine *m, gpa_t at, size_t len)
{
	return m->f->m.mem.r[0].hva + at % (FUZZ_RAM - len);
}

/* --- operations --------------------------------------------------------------------- */

void fuzz_op_poke(struct fuzz_machine *m, struct fuzz_in *in)
{
	gpa_t at = fuzz_u16(in) * 4u;
	size_t len = fuzz_below(in, 32) + 1u;

	fuzz_bytes(in, fuzz_ram(m, at, len), len);
}

void fuzz_op_time(struct fuzz_machine *m, struct fuzz_in *in)
{
	/* From a microsecond to half an hour. */
	fuzz_clock_pass(UINT64_C(1000) << fuzz_below(in, 31));
	fuzz_run(m);
}

void fuzz_op_config(struct fuzz_machine *m, struct fuzz_in *in, unsigned slot)
{
	static const uint8_t often[] = { PCI_COMMAND,        PCI_STATUS,         PCI_BASE_ADDRESS_0,
					 PCI_BASE_ADDRESS_1, PCI_BASE_ADDRESS_2, PCI_COMMAND };
	unsigned off = fuzz_u8(in), size = 1u << fuzz_below(in, 3);

	if (off < 128)
		off = often[off % ARRAY_SIZE(often)];
	off &= -size;
	if (fuzz_u8(in) & 1)
		fake_pci_read(m->f, slot, off, size);
	else
		fake_pci_write(m->f, slot, off, size, fuzz_u32(in));
}

void fuzz_op_backend(struct fuzz_machine *m, struct fuzz_in *in, struct fuzz_nic *n)
{
	uint8_t how = fuzz_u8(in);

	if (!n->net)
		return;
	n->net->full_after = how & 1 ? 1 + fuzz_u8(in) : FUZZ_BUDGET;
	n->net->refuse = how & 2;
	n->net->link = !(how & 4);
	n->net->rx_can = how & 8 ? fuzz_u8(in) & NET_OFF_ALL : NET_OFF_ALL;
	fake_net_set_full(n->net, how & 16);
	if (how & 32)
		fuzz_run(m);
}

void fuzz_op_frame(struct fuzz_machine *m, struct fuzz_in *in, struct fuzz_nic *n)
{
	struct virtio_net_hdr h;
	const uint8_t *frame;
	size_t len;

	frame = wire_frame(in, &h, &len);
	if (n->net && fake_net_waiting(n->net) < 64)
		fake_net_queue(n->net, &h, frame, len);
	if (fuzz_u8(in) & 1)
		fuzz_run(m);
}

void fuzz_op_host(struct fuzz_machine *m, struct fuzz_in *in, struct fuzz_nic *n)
{
	uint8_t how = fuzz_u8(in);

	if (how & 1)
		fake_guest_eoi(m->f, GSI_PCI_BASE + n->slot % GSI_PCI_NR);
	m->refuse = how & 2;
	if (how & 4)
		watcher_look(m->f->m.watcher);
	if (how & 8)
		bus_drain(&m->f->m.mmio);
}

/* --- at the end of an input ---------------------------------------------------------- */

void fuzz_backend_rest(struct fuzz_machine *m, struct fuzz_nic *n)
{
	m->refuse = false;
	n->net->full_after = 0;
	n->net->refuse = false;
	n->net->queue_next = n->net->queue_nr;
	fake_net_set_full(n->net, false);
	fuzz_run(m);
}

static void fuzz_account(void *ctx, const char *name, const struct access *a)
{
	(void)name;
	*(uint64_t *)ctx += counter_get(&a->reads) + counter_get(&a->writes);
}

void fuzz_nic_sum(const struct fuzz_nic *n)
{
	const struct nic_stat *s = &n->nic->stat;
	const struct net_stat *b = &n->nic->be->stat;
	uint64_t accesses = 0;

	FUZZ_CHECK(counter_get(&s->rx_frames) + counter_get(&s->rx_drops) -
				   counter_get(&s->rx_segments) + counter_get(&s->rx_cut) ==
			   counter_get(&b->rx_frames) + counter_get(&b->rx_drops),
		   "received frames do not add up");
	n->nic->ops->accounts(n->nic, fuzz_account, &accesses);
}

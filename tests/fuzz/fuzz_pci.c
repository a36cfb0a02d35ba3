/* SPDX-License-Identifier: MIT */
/*
 * fuzz_pci.c: configuration space of a bus with three NICs, through the ports 0xcf8 to
 * 0xcff: accesses of every size at every offset, BARs that are sized, moved onto each other
 * and out of their windows, decoding on and off, and accesses to where the BARs are now.
 *
 * After each operation what the buses decode is what the registers say; in the end, when
 * the registers are as the firmware left them, all of it is there again.
 */
#include "tests/fuzz/machine.h"
#include "vmm/layout.h"

const char fuzz_name[] = "pci";

struct drv {
	struct fuzz_machine *m;
	unsigned nic; /* the one that operations are about */
};

static struct fuzz_nic *drv_nic(struct drv *d)
{
	return &d->m->nic[d->nic];
}

/* --- what must hold ---------------------------------------------------------------- */

static void check_bus(const struct bus *b)
{
	for (unsigned i = 0; i + 1 < b->n; i++)
		FUZZ_CHECK(b->r[i]->base + b->r[i]->size <= b->r[i + 1]->base, "%s: %s overlaps %s",
			   b->name, b->r[i]->name, b->r[i + 1]->name);
}

static uint32_t config32(const struct pci_dev *p, unsigned off)
{
	uint32_t v;

	memcpy(&v, p->config + off, sizeof(v));
	return v;
}

/* A BAR that is decoded is where its register says, and may be. */
static void check_bar(const struct pci_dev *p, unsigned i)
{
	const struct region *r = &p->bar[i].region;
	uint32_t v = config32(p, PCI_BASE_ADDRESS_0 + 4 * i);
	bool io = p->bar[i].io;

	if (!r->mapped)
		return;
	FUZZ_CHECK(r->base == (v & (io ? ~UINT32_C(3) : ~UINT32_C(15))),
		   "slot %u: BAR%u is not where its register says", p->slot, i);
	FUZZ_CHECK(p->config[PCI_COMMAND] & (io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY),
		   "slot %u: BAR%u is decoded, and switched off", p->slot, i);
	FUZZ_CHECK(io ? r->base >= PCI_PORT_BASE && r->base + r->size <= PCI_PORT_END
		      : r->base >= PCI_MMIO_BASE && r->base + r->size <= PCI_MMIO_END,
		   "slot %u: BAR%u is outside of the window", p->slot, i);
}

static void check_all(struct drv *d)
{
	check_bus(&d->m->f->m.pio);
	check_bus(&d->m->f->m.mmio);
	for (unsigned k = 0; k < d->m->n_nics; k++) {
		const struct pci_dev *p = &d->m->nic[k].nic->pci;

		for (unsigned i = 0; i < ARRAY_SIZE(p->bar); i++)
			check_bar(p, i);
		FUZZ_CHECK(config32(p, 0) == (k ? 0x10411af4u : 0x100e8086u),
			   "slot %u: its identity has changed", p->slot);
	}
}

/* --- operations ---------------------------------------------------------------------- */

static void op_select(struct drv *d, struct fuzz_in *in)
{
	d->nic = fuzz_below(in, d->m->n_nics);
}

static void op_ports(struct drv *d, struct fuzz_in *in)
{
	struct bus *pio = &d->m->f->m.pio;
	uint8_t how = fuzz_u8(in);
	uint64_t port = PORT_PCI_CONFIG + (how & 7);
	unsigned size = 1u << ((how >> 3) & 3);

	if (how & 32)
		bus_read(pio, port, size);
	else
		bus_write(pio, port, size, how & 64 ? 0x80000000u | fuzz_u16(in) : fuzz_u64(in));
}

static void op_config(struct drv *d, struct fuzz_in *in)
{
	fuzz_op_config(d->m, in, drv_nic(d)->slot);
}

static void op_bar(struct drv *d, struct fuzz_in *in)
{
	static const uint32_t places[] = { 0,          0xffffffff, 0xc0000000, 0xfebfc000,
					   0xfebffff0, 0xfec00000, 0x1000,     0xfffc };
	uint8_t how = fuzz_u8(in);
	unsigned off = PCI_BASE_ADDRESS_0 + (how & 3) % 3 * 4u;
	const struct fuzz_nic *other;
	uint32_t val;

	if (how & 4) {
		other = &d->m->nic[fuzz_below(in, d->m->n_nics)];
		val = other->bar[fuzz_below(in, 3)];
	} else {
		val = how & 8 ? fuzz_u32(in) : places[fuzz_below(in, ARRAY_SIZE(places))];
	}
	if (how & 16)
		val += (uint32_t)(int8_t)fuzz_u8(in) * 0x1000u;
	fake_pci_write(d->m->f, drv_nic(d)->slot, off, 4, val);
	if (how & 32)
		fake_pci_read(d->m->f, drv_nic(d)->slot, off, 4);
}

static void op_command(struct drv *d, struct fuzz_in *in)
{
	fake_pci_write(d->m->f, drv_nic(d)->slot, PCI_COMMAND, 2, fuzz_u16(in));
}

static void op_enable(struct drv *d, struct fuzz_in *in)
{
	(void)in;
	fuzz_nic_enable(d->m, drv_nic(d));
}

/* Where one of its BARs is, or was. */
static void op_access(struct drv *d, struct fuzz_in *in)
{
	const struct pci_dev *p = &drv_nic(d)->nic->pci;
	uint8_t how = fuzz_u8(in);
	unsigned i = (how & 3) % 3, size = 1u << ((how >> 2) & 3);
	uint32_t base = how & 16 ? drv_nic(d)->bar[i] : config32(p, PCI_BASE_ADDRESS_0 + 4 * i);
	uint64_t addr = (base & ~UINT32_C(15)) + fuzz_u16(in);

	if (p->bar[i].io && (how & 32))
		bus_write(&d->m->f->m.pio, addr, size, fuzz_u32(in));
	else if (p->bar[i].io)
		bus_read(&d->m->f->m.pio, addr, size);
	else if (how & 32)
		fuzz_store(d->m, addr, size, fuzz_u32(in));
	else
		fuzz_load(d->m, addr, size);
}

/* Both units on, so that pages of the BAR may become memory. */
static void op_busy(struct drv *d, struct fuzz_in *in)
{
	uint32_t bar = d->m->nic[0].bar[0];

	fuzz_store(d->m, bar + 0x400, 4, 2);
	fuzz_store(d->m, bar + 0x100, 4, 2);
	fuzz_store(d->m, bar + 0xd0, 4, 0x1ffff);
	for (unsigned i = fuzz_below(in, 40); i; i--) {
		fuzz_store(d->m, bar + 0xc8, 4, 1);
		fuzz_run(d->m);
	}
}

static void op_time(struct drv *d, struct fuzz_in *in)
{
	fuzz_op_time(d->m, in);
}

static void op_host(struct drv *d, struct fuzz_in *in)
{
	fuzz_op_host(d->m, in, drv_nic(d));
}

static void (*const ops[])(struct drv *, struct fuzz_in *) = {
	op_select, op_ports,  op_config, op_bar,  op_bar,  op_command,
	op_enable, op_access, op_access, op_busy, op_time, op_host,
};

static void recover(struct drv *d)
{
	for (unsigned k = 0; k < d->m->n_nics; k++)
		fuzz_nic_enable(d->m, &d->m->nic[k]);
	check_all(d);
	for (unsigned k = 0; k < d->m->n_nics; k++) {
		const struct pci_dev *p = &d->m->nic[k].nic->pci;

		for (unsigned i = 0; i < ARRAY_SIZE(p->bar); i++)
			FUZZ_CHECK(!p->bar[i].region.size || p->bar[i].region.mapped,
				   "slot %u: BAR%u has not come back", p->slot, i);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	struct drv d = { .m = fuzz_machine_begin() };

	for (unsigned k = 0; k < 3; k++)
		fuzz_nic_plug(d.m, &in, k);
	for (unsigned i = 0; i < 256 && in.left; i++) {
		ops[fuzz_below(&in, ARRAY_SIZE(ops))](&d, &in);
		check_all(&d);
	}
	fuzz_run(d.m);
	recover(&d);
	fuzz_machine_end(d.m);
	return 0;
}

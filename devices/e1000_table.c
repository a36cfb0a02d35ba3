/* SPDX-License-Identifier: MIT */
/*
 * e1000_table.c: the registers of the 82540EM, in the order of their offsets, to be
 * read beside chapter 13 of the 8254x manual. One table serves the bus handlers, the
 * traces (names) and the test that walks every row.
 *
 * Masks keep what the stock driver's self-test (`ethtool -t`) writes and reads back.
 * RDH, TDH and the ring registers are plain storage while a unit is disabled, and are
 * read when it is not.
 */
#include "devices/e1000.h"

/* columns: offset, name, access, mask, reset value, count, stride, quiesce, hooks */
#define ROW(reg, acc, msk, rst, ...)                                                               \
	{                                                                                          \
		.off = E1000_##reg, .name = #reg, .access = E1000_##acc, .mask = msk,              \
		.reset = rst, __VA_ARGS__                                                          \
	}
#define STAT(reg)                                                                                  \
	{                                                                                          \
		.off = E1000_##reg, .name = #reg, .access = E1000_RC                               \
	}
/* 64-bit counters clear with their upper half [13.7]. */
#define STAT_LOW(reg)                                                                              \
	{                                                                                          \
		.off = E1000_##reg, .name = #reg, .access = E1000_RO                               \
	}
#define STAT_HIGH(reg)                                                                             \
	{                                                                                          \
		.off = E1000_##reg, .name = #reg, .access = E1000_RC, .read = e1000_stat_high_read \
	}

#define ALL32 0xffffffffu

const struct e1000_reg e1000_table[] = {
	/* --- general [13.4.1 - 13.4.16] --- */
	ROW(CTRL, RW, 0x58fc1be9, 0x00000241, .quiesce = true, .write = e1000_ctrl_write),
	ROW(STATUS, RO, 0, 0, .read = e1000_status_read),
	ROW(EECD, RW, 0x00000077, E1000_EECD_PRES | E1000_EECD_FWE_DIS, .read = e1000_eecd_read,
	    .write = e1000_eecd_write),
	ROW(EERD, RW, 0xffffff00, 0, .write = e1000_eerd_write),
	ROW(CTRL_EXT, RW, 0x00a3cf00, 0),
	ROW(MDIC, RW, 0x2fffffff, 0, .quiesce = true, .write = e1000_mdic_write),
	ROW(FCAL, RW, ALL32, 0x00c28001),
	ROW(FCAH, RW, 0x0000ffff, 0x00000100),
	ROW(FCT, RW, 0x0000ffff, 0x00008808),
	ROW(VET, RW, 0x0000ffff, 0x00008100, .quiesce = true),

	/* --- interrupts [13.4.17 - 13.4.21] --- */
	ROW(ICR, RC, 0, 0, .read = e1000_icr_read, .write = e1000_icr_write),
	ROW(ITR, RW, 0x0000ffff, 0, .write = e1000_itr_write),
	ROW(ICS, WO, 0, 0, .write = e1000_ics_write),
	ROW(IMS, W1S, E1000_ICR_ALL, 0, .write = e1000_ims_write),
	ROW(IMC, WO, 0, 0, .write = e1000_imc_write),

	/* --- receive and transmit control, flow control --- */
	ROW(RCTL, RW, 0x06dfb3fe, 0, .quiesce = true, .write = e1000_rctl_write),
	ROW(FCTTV, RW, 0x0000ffff, 0),
	ROW(TXCW, RW, 0xc000ffff, 0),
	ROW(RXCW, RO, 0, 0),
	ROW(TCTL, RW, 0x033ffffa, 0, .quiesce = true, .write = e1000_tctl_write),
	ROW(TIPG, RW, 0x3fffffff, 0x00602008),
	ROW(AIFS, RW, 0x0000ffff, 0),
	ROW(LEDCTL, RW, 0xcfcfcfcf, 0x07061302 & 0xcfcfcfcf),
	ROW(PBA, RW, 0x0000003f, 0x00100030),
	ROW(FCRTL, RW, 0x8000fff8, 0),
	ROW(FCRTH, RW, 0x0000fff8, 0),

	/* --- receive FIFO and ring [13.4.25 - 13.4.32, 13.8] --- */
	ROW(RDFH, RW, 0x00001fff, 0),
	ROW(RDFT, RW, 0x00001fff, 0),
	ROW(RDFHS, RW, 0x00001fff, 0),
	ROW(RDFTS, RW, 0x00001fff, 0),
	ROW(RDFPC, RW, 0x00001fff, 0),
	ROW(RDBAL, RW, 0xfffffff0, 0, .quiesce = true, .write = e1000_rx_ring_write),
	ROW(RDBAH, RW, ALL32, 0, .quiesce = true, .write = e1000_rx_ring_write),
	ROW(RDLEN, RW, 0x000fff80, 0, .quiesce = true, .write = e1000_rx_ring_write),
	ROW(RDH, RW, 0x0000ffff, 0, .quiesce = true, .write = e1000_rx_ring_write),
	ROW(RDT, RW, 0x0000ffff, 0, .rang = e1000_rdt_rang),
	ROW(RDTR, RW, 0x0000ffff, 0),
	ROW(RXDCTL, RW, 0x013f3f3f, 0x00010000),
	ROW(RADV, RW, 0x0000ffff, 0),
	ROW(RSRPD, RW, 0x00000fff, 0),

	/* --- transmit FIFO and ring [13.4.35 - 13.4.45, 13.8] --- */
	ROW(TXDMAC, RW, 0x00000001, 0),
	ROW(TDFH, RW, 0x00001fff, 0),
	ROW(TDFT, RW, 0x00001fff, 0),
	ROW(TDFHS, RW, 0x00001fff, 0),
	ROW(TDFTS, RW, 0x00001fff, 0),
	ROW(TDFPC, RW, 0x00001fff, 0),
	ROW(TDBAL, RW, 0xfffffff0, 0, .quiesce = true, .write = e1000_tx_ring_write),
	ROW(TDBAH, RW, ALL32, 0, .quiesce = true, .write = e1000_tx_ring_write),
	ROW(TDLEN, RW, 0x000fff80, 0, .quiesce = true, .write = e1000_tx_ring_write),
	ROW(TDH, RW, 0x0000ffff, 0, .quiesce = true, .write = e1000_tx_ring_write),
	ROW(TDT, RW, 0x0000ffff, 0, .rang = e1000_tdt_rang),
	ROW(TIDV, RW, 0x0000ffff, 0),
	ROW(TXDCTL, RW, 0xff3f3f3f, 0),
	ROW(TADV, RW, 0x0000ffff, 0),
	ROW(TSPMT, RW, ALL32, 0x01000400),

	/* --- statistics [13.7]; the ones nothing counts are what a wire does wrong --- */
	STAT(CRCERRS),
	STAT(ALGNERRC),
	STAT(SYMERRS),
	STAT(RXERRC),
	STAT(MPC),
	STAT(SCC),
	STAT(ECOL),
	STAT(MCC),
	STAT(LATECOL),
	STAT(COLC),
	STAT(DC),
	STAT(TNCRS),
	STAT(SEC),
	STAT(CEXTERR),
	STAT(RLEC),
	STAT(XONRXC),
	STAT(XONTXC),
	STAT(XOFFRXC),
	STAT(XOFFTXC),
	STAT(FCRUC),
	{ .off = E1000_PRC64, .name = "PRC", .access = E1000_RC, .count = 6, .stride = 4 },
	STAT(GPRC),
	STAT(BPRC),
	STAT(MPRC),
	STAT(GPTC),
	STAT_LOW(GORCL),
	STAT_HIGH(GORCH),
	STAT_LOW(GOTCL),
	STAT_HIGH(GOTCH),
	STAT(RNBC),
	STAT(RUC),
	STAT(RFC),
	STAT(ROC),
	STAT(RJC),
	STAT(MGTPRC),
	STAT(MGTPDC),
	STAT(MGTPTC),
	STAT_LOW(TORL),
	STAT_HIGH(TORH),
	STAT_LOW(TOTL),
	STAT_HIGH(TOTH),
	STAT(TPR),
	STAT(TPT),
	{ .off = E1000_PTC64, .name = "PTC", .access = E1000_RC, .count = 6, .stride = 4 },
	STAT(MPTC),
	STAT(BPTC),
	STAT(TSCTC),
	STAT(TSCTFC),

	/* --- filters [13.4.46, 13.5], wake-up [13.6] --- */
	ROW(RXCSUM, RW, 0x000007ff, 0, .quiesce = true),
	ROW(MTA, RW, ALL32, 0, .count = E1000_MTA_WORDS, .stride = 4, .quiesce = true),
	ROW(RAL, RW, ALL32, 0, .count = E1000_RA_PAIRS, .stride = 8, .quiesce = true),
	ROW(RAH, RW, 0x8003ffff, 0, .count = E1000_RA_PAIRS, .stride = 8, .quiesce = true),
	ROW(VFTA, RW, ALL32, 0, .count = E1000_VFTA_WORDS, .stride = 4, .quiesce = true),
	ROW(WUC, RW, 0x0000000f, 0),
	ROW(WUFC, RW, 0x000f80ff, 0),
	ROW(WUS, RW, 0x000f00ff, 0),
	ROW(MANC, RW, 0x0ffffff7, 0),
	ROW(IPAV, RW, 0x0001000f, 0),
	ROW(WUPL, RO, 0, 0),
};

const unsigned e1000_table_rows = ARRAY_SIZE(e1000_table);
_Static_assert(ARRAY_SIZE(e1000_table) <= E1000_ROWS_MAX, "each row has an account");

/* Does word `w` belong to *r? Shifts and masks do: strides are 4 or 8. */
static bool e1000_row_has(const struct e1000_reg *r, unsigned w)
{
	uint32_t d = w * 4 - r->off;

	if (r->count == 0)
		return d == 0;
	return d < (uint32_t)r->count * r->stride && (d & (r->stride - 1u)) == 0;
}

const struct e1000_reg *e1000_table_row(unsigned w)
{
	unsigned lo = 0, hi = e1000_table_rows;

	/* The last row that starts at or before w; RAL's and RAH's rows interleave, so
	 * the one before may be it too. */
	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (e1000_table[mid].off <= w * 4)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (unsigned i = lo; i > 0 && i + 2 > lo; i--)
		if (e1000_row_has(&e1000_table[i - 1], w))
			return &e1000_table[i - 1];
	return NULL;
}

uint32_t e1000_reg_read(struct e1000 *e, uint32_t off)
{
	unsigned w = off / 4;
	const struct e1000_reg *r = e1000_table_row(w);
	uint32_t val = 0;

	if (!r)
		return 0;
	lock_take(&e->nic.lock);
	if (r->read) {
		val = r->read(e, w);
	} else if (r->access != E1000_WO) {
		val = e1000_ram(e, off) ? *e1000_ram(e, off) & r->mask : e1000_get(e, off);
		if (r->access == E1000_RC)
			e1000_set(e, off, 0);
	}
	lock_drop(&e->nic.lock);
	trace(MMIO, "%s: %s (%#x) -> %#x", e->nic.cfg.name, r->name, off, val);
	return val;
}

void e1000_reg_store(struct e1000 *e, const struct e1000_reg *r, uint32_t off, uint32_t val)
{
	uint32_t old = e1000_get(e, off);
	_Atomic uint32_t *ram = e1000_ram(e, off);

	if (ram)
		*ram = (old & ~r->mask) | (val & r->mask);
	/* seq_cst for the sake of TDT and RDT: pairs with e1000_ring_load(). */
	if (r->access == E1000_RW)
		atomic_store(&e->reg[off / 4], (old & ~r->mask) | (val & r->mask));
	else if (r->access == E1000_W1S)
		e1000_set(e, off, old | (val & r->mask));
}

void e1000_reg_write(struct e1000 *e, uint32_t off, uint32_t val)
{
	unsigned w = off / 4;
	const struct e1000_reg *r = e1000_table_row(w);

	if (!r)
		return;
	trace(MMIO, "%s: %s (%#x) <- %#x", e->nic.cfg.name, r->name, off, val);
	if (r->rang) {
		e1000_doorbell_write(e, r, val);
		return;
	}
	if (r->quiesce)
		lock_take(&e->nic.work);
	lock_take(&e->nic.lock);
	e1000_reg_store(e, r, off, val);
	if (r->write)
		r->write(e, w, val);
	if (off < BUS_PAGE_SIZE)
		e1000_irq_page_wrote(e, off);
	lock_drop(&e->nic.lock);
	if (r->quiesce)
		lock_drop(&e->nic.work);
}

/* --- interrupt causes and masks [13.4.17 - 13.4.21] --- */

uint32_t e1000_icr_read(struct e1000 *e, unsigned w)
{
	uint32_t causes = e1000_get(e, w * 4);

	if (e->irq_page) /* through the I/O BAR, or it exited before the page was memory */
		return e->shown;
	e1000_set(e, E1000_ICR, 0);
	e1000_irq_update(e);
	return causes;
}

void e1000_icr_write(struct e1000 *e, unsigned w, uint32_t val)
{
	e1000_irq_page_off(e);
	e1000_set(e, E1000_ICR, e1000_get(e, w * 4) & ~val);
	e1000_irq_update(e);
}

void e1000_ics_write(struct e1000 *e, unsigned w, uint32_t val)
{
	(void)w;
	e1000_irq_raise(e, val & E1000_ICR_ALL);
}

void e1000_imc_write(struct e1000 *e, unsigned w, uint32_t val)
{
	(void)w;
	e1000_irq_page_ack(e, val);
	e1000_set(e, E1000_IMS, e1000_get(e, E1000_IMS) & ~val);
	e1000_irq_update(e);
}

void e1000_ims_write(struct e1000 *e, unsigned w, uint32_t val)
{
	(void)w, (void)val;
	e1000_irq_page_on(e);
	e1000_irq_update(e);
}

void e1000_itr_write(struct e1000 *e, unsigned w, uint32_t val)
{
	(void)w, (void)val;
	e1000_irq_update(e);
}

/* --- the two BARs --- */

/* The chip knows aligned 32-bit accesses only [13.2]. */
static uint64_t e1000_mem_read(void *dev, uint64_t off, unsigned size)
{
	return off & 3 ? bus_ones(size) : e1000_reg_read(dev, (uint32_t)off);
}

static void e1000_mem_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	struct e1000 *e = dev;

	if (size == 4 && !(off & 3))
		e1000_reg_write(e, (uint32_t)off, (uint32_t)val);
	else
		nic_guest_fault(&e->nic, "unaligned register write");
}

/* Through the I/O BAR the stock driver resets the chip: address, then data [13.3]. */
static uint64_t e1000_io_read(void *dev, uint64_t off, unsigned size)
{
	struct e1000 *e = dev;
	uint32_t addr = atomic_load(&e->ioaddr);

	if (off == E1000_IOADDR)
		return addr;
	if (off != E1000_IODATA || addr >= E1000_MEM_SIZE)
		return bus_ones(size);
	return e1000_mem_read(e, addr, size);
}

static void e1000_io_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	struct e1000 *e = dev;
	uint32_t addr = atomic_load(&e->ioaddr);

	if (off == E1000_IOADDR)
		atomic_store(&e->ioaddr, (uint32_t)val);
	else if (off == E1000_IODATA && addr < E1000_MEM_SIZE)
		e1000_mem_write(e, addr, size, val);
}

const struct region_ops e1000_mem_ops = {
	.read = e1000_mem_read,
	.write = e1000_mem_write,
	.sizes = 4,
	.account = e1000_mem_account,
};

const struct region_ops e1000_io_ops = {
	.read = e1000_io_read,
	.write = e1000_io_write,
	.sizes = 4,
	.account = e1000_io_account,
};

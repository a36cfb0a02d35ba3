/* SPDX-License-Identifier: MIT */
/*
 * fuzz_e1000.c: the 82540EM under a driver that does anything: registers of every size at
 * every offset, rings and descriptors that make sense until a byte of the input says
 * otherwise, frames off the wire, a backend without room, time, resets, configuration space,
 * on any rungs of the ladder.
 *
 * Whatever happened, a reset makes it a card again that sends and receives.
 */
#include "devices/e1000.h"
#include "tests/fuzz/machine.h"
#include "tests/fuzz/wire.h"

#include <linux/mii.h>

#define TX_RING 0x1000
#define RX_RING 0x5000
#define RX_BUFS 0x20000

const char fuzz_name[] = "e1000";

/* What a driver knows. */
struct drv {
	struct fuzz_machine *m;
	struct fuzz_nic *n;
	struct e1000 *e;
	uint32_t tx_size, rx_size; /* descriptors */
	uint32_t tdt, rdt;
	bool looped; /* frames came that no backend gave */
};

static void drv_write(struct drv *d, uint32_t off, uint32_t val)
{
	fuzz_store(d->m, d->n->bar[E1000_BAR_MEM] + off, 4, val);
}

static uint32_t drv_read(struct drv *d, uint32_t off)
{
	return (uint32_t)fuzz_load(d->m, d->n->bar[E1000_BAR_MEM] + off, 4);
}

/* --- bringing it up ---------------------------------------------------------------- */

static void drv_rings(struct drv *d, uint32_t tx_size, uint32_t rx_size)
{
	d->tx_size = tx_size;
	d->rx_size = rx_size;
	d->tdt = d->rdt = 0;
	drv_write(d, E1000_TDBAL, TX_RING);
	drv_write(d, E1000_TDLEN, tx_size * E1000_DESC_SIZE);
	drv_write(d, E1000_TDH, 0);
	drv_write(d, E1000_TDT, 0);
	drv_write(d, E1000_RDBAL, RX_RING);
	drv_write(d, E1000_RDLEN, rx_size * E1000_DESC_SIZE);
	drv_write(d, E1000_RDH, 0);
	drv_write(d, E1000_RDT, 0);
}

static void drv_up(struct drv *d, uint32_t rctl)
{
	drv_write(d, E1000_TCTL, E1000_TCTL_EN);
	drv_write(d, E1000_RCTL, rctl | E1000_RCTL_EN);
	drv_write(d, E1000_IMS, E1000_ICR_ALL);
}

static void op_start(struct drv *d, struct fuzz_in *in)
{
	static const uint16_t size[] = { 256, 8, 64, 1024 };
	uint8_t how = fuzz_u8(in), rctl = fuzz_u8(in);

	drv_rings(d, size[how & 3], size[(how >> 2) & 3]);
	drv_write(d, E1000_ITR, how & 16 ? fuzz_u16(in) : 0);
	drv_write(d, E1000_TIDV, how & 32 ? fuzz_u8(in) : 0);
	drv_write(d, E1000_CTRL, E1000_CTRL_SLU | (how & 64 ? E1000_CTRL_VME : 0));
	drv_write(d, E1000_RXCSUM, how & 128 ? fuzz_u16(in) : 0x300);
	drv_up(d, E1000_RCTL_BAM | (rctl & 1 ? E1000_RCTL_LPE : 0) |
			  (rctl & 2 ? E1000_RCTL_SECRC : 0) | (rctl & 4 ? E1000_RCTL_UPE : 0) |
			  (rctl & 8 ? E1000_RCTL_MPE : 0) | (rctl & 16 ? E1000_RCTL_VFE : 0) |
			  ((rctl >> 5) & 3u) << E1000_RCTL_BSIZE_SHIFT |
			  (rctl & 128 ? E1000_RCTL_BSEX : 0));
}

/* --- transmit ----------------------------------------------------------------------- */

static void drv_put(struct drv *d, uint64_t addr, uint64_t rest)
{
	uint64_t desc[2] = { addr, rest };

	memcpy(fuzz_ram(d->m, TX_RING + d->tdt * E1000_DESC_SIZE, sizeof(desc)), desc,
	       sizeof(desc));
	d->tdt = (d->tdt + 1) % d->tx_size;
}

/* One packet, as the input describes it. */
struct packet {
	enum wire_kind kind;
	struct virtio_net_hdr h;
	gpa_t at;
	uint32_t len;
	uint8_t how; /* PKT_* */
	uint8_t popts, pieces;
	uint16_t mss, tci;
};

enum {
	PKT_CONTEXT = 1,
	PKT_TSE = 2,
	PKT_IC = 4,
	PKT_VLE = 8,
	PKT_IDE = 16,
	PKT_NO_RS = 32,
	PKT_NO_EOP = 64,
	PKT_LIE = 128
};

static void packet_read(struct packet *p, struct fuzz_in *in)
{
	static const uint16_t usual[] = { 60, 1514, 14, 200, 9014, 65535, 16288, 16289 };
	uint8_t what = fuzz_u8(in), len;

	p->how = fuzz_u8(in);
	p->kind = WIRE_TCP4 + (what & 3);
	wire_template(p->kind, &p->h);
	p->at = FUZZ_FRAMES + (what & 3) * 0x4000u;
	p->pieces = 1 + ((what >> 2) & 3);
	p->popts = (what >> 4) & 3;
	len = fuzz_u8(in);
	p->len = len < 128 ? usual[len % 8] % (len < 112 ? 9100u : 65536u)
			   : fuzz_u16(in) % (len < 245 ? 2000 : 65536);
	p->mss = p->how & PKT_TSE ? 500 + fuzz_u16(in) : 0;
	p->tci = p->how & PKT_VLE ? fuzz_u16(in) : 0;
}

static void put_context(struct drv *d, const struct packet *p, struct fuzz_in *in)
{
	uint8_t c[E1000_DESC_SIZE] = {
		14,
		24,
		(uint8_t)(p->h.csum_start - 1),
		0,
		(uint8_t)p->h.csum_start,
		(uint8_t)(p->h.csum_start + p->h.csum_offset),
	};
	uint32_t low = (p->len - p->h.hdr_len) & E1000_TXD_LEN;
	uint64_t desc[2];

	low |= E1000_TXD_DEXT | E1000_TXD_TUCMD_TCP | (p->how & PKT_TSE ? E1000_TXD_TSE : 0);
	low |= p->kind == WIRE_TCP6 ? 0 : E1000_TXD_TUCMD_IP;
	low |= p->how & PKT_IDE ? E1000_TXD_RS : 0;
	memcpy(c + 8, &low, sizeof(low));
	c[13] = (uint8_t)p->h.hdr_len;
	memcpy(c + 14, &p->mss, sizeof(p->mss));
	for (unsigned lies = p->how & PKT_LIE ? 1 + fuzz_below(in, 3) : 0; lies; lies--)
		fuzz_set_byte(in, c, sizeof(c));
	memcpy(desc, c, sizeof(desc));
	drv_put(d, desc[0], desc[1]);
}

static void put_packet(struct drv *d, const struct packet *p)
{
	bool ext = p->popts || (p->how & PKT_TSE);
	uint32_t done = 0, low = p->how & PKT_NO_RS ? 0 : E1000_TXD_RS;
	uint64_t high = (uint64_t)p->tci << 48;

	low |= p->how & PKT_VLE ? E1000_TXD_VLE : 0;
	low |= p->how & PKT_IDE ? E1000_TXD_IDE : 0;
	low |= ext ? E1000_TXD_DEXT | E1000_TXD_DTYP_DATA << E1000_TXD_DTYP_SHIFT : 0;
	low |= ext && (p->how & PKT_TSE) ? E1000_TXD_TSE : 0;
	low |= !ext && (p->how & PKT_IC) ? E1000_TXD_IC | 50u << 16 : 0;
	high |= (uint64_t)(ext ? p->popts : 34) << 40;
	for (unsigned i = 0; i < p->pieces; i++) {
		bool last = i + 1u == p->pieces;
		uint32_t n = last ? p->len - done : MIN((p->len - done) / 2 + 1, p->len - done);

		low &= ~E1000_TXD_EOP;
		low |= last && !(p->how & PKT_NO_EOP) ? E1000_TXD_EOP : 0;
		drv_put(d, p->at + done, high | low | n);
		done += n;
	}
}

static void op_tx(struct drv *d, struct fuzz_in *in)
{
	uint8_t how = fuzz_u8(in);
	struct packet p;

	packet_read(&p, in);
	if (p.how & PKT_CONTEXT)
		put_context(d, &p, in);
	for (unsigned i = 0; i <= (how & 15u); i++)
		put_packet(d, &p);
	if (how & 16)
		d->tdt = (d->tdt + d->tx_size - 1) % d->tx_size; /* the last is not all there */
	drv_write(d, E1000_TDT, d->tdt);
	if (how & 32)
		fuzz_run(d->m);
}

/* Any 16 bytes for a descriptor. */
static void op_tx_raw(struct drv *d, struct fuzz_in *in)
{
	uint8_t how = fuzz_u8(in);
	uint64_t rest = fuzz_u64(in);
	gpa_t at = fuzz_gpa(in, d->n);

	for (unsigned i = 0; i <= (how & 63u) * (how & 64 ? 8 : 1); i++)
		drv_put(d, at, rest);
	drv_write(d, E1000_TDT, d->tdt);
}

/* --- receive ------------------------------------------------------------------------ */

static void drv_post(struct drv *d, gpa_t at)
{
	uint64_t desc[2] = { at, 0 };

	memcpy(fuzz_ram(d->m, RX_RING + d->rdt * E1000_DESC_SIZE, sizeof(desc)), desc,
	       sizeof(desc));
	d->rdt = (d->rdt + 1) % d->rx_size;
}

static void op_rx(struct drv *d, struct fuzz_in *in)
{
	uint8_t how = fuzz_u8(in);
	gpa_t at = how & 64 ? fuzz_gpa(in, d->n) : 0;
	unsigned n = how & 32 ? d->rx_size - 1 : (how & 31u) + 1;

	for (unsigned i = 0; i < n; i++)
		drv_post(d, how & 64 ? at : RX_BUFS + (gpa_t)(d->rdt % 60) * 2048);
	drv_write(d, E1000_RDT, d->rdt);
	if (how & 128)
		fuzz_run(d->m);
}

/* --- registers ---------------------------------------------------------------------- */

static void op_reg(struct drv *d, struct fuzz_in *in)
{
	const struct e1000_reg *r = &e1000_table[fuzz_below(in, e1000_table_rows)];
	uint8_t how = fuzz_u8(in);
	uint32_t off = r->off + (r->count ? how % r->count : 0u) * r->stride;

	if (r->count < 2 && (how & 1))
		drv_read(d, off);
	else if (r->count < 2 && (how & 2))
		drv_write(d, off, BIT(fuzz_below(in, 32)));
	else
		drv_write(d, off, fuzz_u32(in));
}

static void op_raw(struct drv *d, struct fuzz_in *in)
{
	uint64_t addr = d->n->bar[E1000_BAR_MEM] + fuzz_u32(in) % (E1000_MEM_SIZE + 64);
	unsigned size = fuzz_size(in);

	if (fuzz_u8(in) & 1)
		fuzz_load(d->m, addr, size);
	else
		fuzz_store(d->m, addr, size, fuzz_u64(in));
}

static void op_io(struct drv *d, struct fuzz_in *in)
{
	struct bus *pio = &d->m->f->m.pio;
	uint8_t how = fuzz_u8(in);
	uint64_t at = d->n->bar[E1000_BAR_IO] + (how & 7);
	unsigned size = how & 8 ? 1u << ((how >> 4) & 3) : 4;

	if (how & 128)
		bus_read(pio, at, size);
	else
		bus_write(pio, at, size, how & 64 ? fuzz_u16(in) : fuzz_u32(in));
}

/* Bits into the EEPROM, one clock each. */
static void op_eeprom(struct drv *d, struct fuzz_in *in)
{
	uint32_t bits = fuzz_u32(in), eecd = E1000_EECD_CS | E1000_EECD_REQ;

	drv_write(d, E1000_EECD, E1000_EECD_REQ);
	for (unsigned i = 0; i < 32; i++) {
		uint32_t di = bits & BIT(31 - i) ? E1000_EECD_DI : 0;

		drv_write(d, E1000_EECD, eecd | di);
		drv_write(d, E1000_EECD, eecd | di | E1000_EECD_SK);
		drv_read(d, E1000_EECD);
	}
	drv_write(d, E1000_EERD, E1000_EERD_START | bits << 8);
}

static void op_phy(struct drv *d, struct fuzz_in *in)
{
	uint8_t reg = fuzz_u8(in);
	uint32_t op = reg & 32 ? E1000_MDIC_OP_READ : E1000_MDIC_OP_WRITE;
	uint32_t phy = reg & 64 ? fuzz_u8(in) & 31 : E1000_PHY_ADDR;

	drv_write(d, E1000_MDIC,
		  op | (reg & 128 ? E1000_MDIC_I : 0) | phy << E1000_MDIC_PHY_SHIFT |
			  (reg & 31u) << E1000_MDIC_REG_SHIFT | fuzz_u16(in));
}

static void op_loopback(struct drv *d, struct fuzz_in *in)
{
	uint8_t how = fuzz_u8(in);

	if (how & 1)
		drv_write(d, E1000_RCTL, E1000_RCTL_EN | E1000_RCTL_LBM_MAC | E1000_RCTL_UPE);
	else
		drv_write(d, E1000_MDIC,
			  E1000_MDIC_OP_WRITE | E1000_PHY_ADDR << E1000_MDIC_PHY_SHIFT |
				  MII_BMCR << E1000_MDIC_REG_SHIFT |
				  (how & 2 ? 0 : BMCR_LOOPBACK | BMCR_FULLDPLX | BMCR_SPEED1000));
}

static void op_reset(struct drv *d, struct fuzz_in *in)
{
	drv_write(d, E1000_CTRL, fuzz_u8(in) & 1 ? E1000_CTRL_RST : E1000_CTRL_PHY_RST);
}

/* What Linux does in an interrupt, and after it. */
static void op_irq(struct drv *d, struct fuzz_in *in)
{
	uint8_t how = fuzz_u8(in);

	if (how & 1)
		drv_read(d, E1000_ICR);
	if (how & 2)
		drv_write(d, E1000_IMC, ~0u);
	if (how & 4)
		fuzz_run(d->m);
	if (how & 8)
		drv_write(d, E1000_IMS, E1000_ICR_ALL);
	if (how & 16)
		drv_write(d, E1000_ICS, fuzz_u16(in));
}

/* --- what the machine does ------------------------------------------------------------ */

static void op_poke(struct drv *d, struct fuzz_in *in)
{
	fuzz_op_poke(d->m, in);
}

static void op_time(struct drv *d, struct fuzz_in *in)
{
	fuzz_op_time(d->m, in);
}

static void op_config(struct drv *d, struct fuzz_in *in)
{
	fuzz_op_config(d->m, in, d->n->slot);
}

static void op_enable(struct drv *d, struct fuzz_in *in)
{
	(void)in;
	fuzz_nic_enable(d->m, d->n);
}

static void op_backend(struct drv *d, struct fuzz_in *in)
{
	fuzz_op_backend(d->m, in, d->n);
}

static void op_frame(struct drv *d, struct fuzz_in *in)
{
	fuzz_op_frame(d->m, in, d->n);
}

static void op_host(struct drv *d, struct fuzz_in *in)
{
	fuzz_op_host(d->m, in, d->n);
}

static void op_run(struct drv *d, struct fuzz_in *in)
{
	(void)in;
	fuzz_run(d->m);
}

static void (*const ops[])(struct drv *, struct fuzz_in *) = {
	op_run,    op_tx,     op_tx,     op_rx,  op_frame, op_frame,    op_reg,     op_reg,
	op_raw,    op_poke,   op_tx_raw, op_irq, op_start, op_loopback, op_reset,   op_time,
	op_config, op_enable, op_host,   op_io,  op_phy,   op_eeprom,   op_backend,
};

/* --- afterwards ------------------------------------------------------------------------- */

static void recover_tx(struct drv *d)
{
	struct packet p = { .kind = WIRE_TCP4, .at = FUZZ_FRAMES, .len = 100, .pieces = 1 };

	put_packet(d, &p);
	drv_write(d, E1000_TDT, d->tdt);
	fake_machine_run(d->m->f);
	FUZZ_CHECK(d->n->net->sent_nr == 1 && d->n->net->sent[0].len == p.len,
		   "after a reset it sends %u frames of 1", d->n->net->sent_nr);
	FUZZ_CHECK(drv_read(d, E1000_TDH) == d->tdt, "TDH is not where TDT is");
}

static void recover_rx(struct drv *d)
{
	const uint8_t *frame = wire_template(WIRE_TCP4, NULL);
	uint64_t rest;

	for (unsigned i = 0; i < 8; i++)
		drv_post(d, RX_BUFS + i * 2048);
	drv_write(d, E1000_RDT, d->rdt);
	fuzz_run(d->m);
	fake_net_queue(d->n->net, NULL, frame, 100);
	fuzz_run(d->m);
	memcpy(&rest, fuzz_ram(d->m, RX_RING + 8, sizeof(rest)), sizeof(rest));
	FUZZ_CHECK((rest >> E1000_RXD_STATUS_SHIFT) & E1000_RXD_DD,
		   "after a reset it receives nothing");
	FUZZ_CHECK(!memcmp(fuzz_ram(d->m, RX_BUFS, 100), frame, 100), "it received another frame");
}

static void recover(struct drv *d)
{
	if (!d->looped)
		fuzz_nic_sum(d->n);
	fuzz_nic_enable(d->m, d->n);
	if (!d->n->net)
		return;
	fuzz_backend_rest(d->m, d->n);
	drv_write(d, E1000_CTRL, E1000_CTRL_RST | E1000_CTRL_PHY_RST);
	fuzz_run(d->m);
	drv_rings(d, 64, 64);
	drv_up(d, E1000_RCTL_BAM);
	fuzz_run(d->m);
	recover_tx(d);
	recover_rx(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	struct drv d = { .m = fuzz_machine_begin() };

	d.n = fuzz_nic_plug(d.m, &in, false);
	d.e = container_of(d.n->nic, struct e1000, nic);
	op_start(&d, &in);
	for (unsigned i = 0; i < 256 && in.left; i++) {
		ops[fuzz_below(&in, ARRAY_SIZE(ops))](&d, &in);
		d.looped = d.looped || e1000_loopback(d.e);
	}
	fuzz_run(d.m);
	recover(&d);
	fuzz_machine_end(d.m);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * fuzz_virtio.c: virtio-net over virtio-pci under a driver that does anything: registers of
 * every size at every offset, queues, chains and indirect tables that make sense until a
 * byte of the input says otherwise, commands, frames off the wire, a backend without room,
 * time, resets, MSI-X, configuration space and the window in it.
 *
 * Whatever happened, a reset makes it a card again that sends and receives.
 */
#include "devices/virtio_net.h"
#include "tests/fuzz/machine.h"
#include "tests/fuzz/wire.h"

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_pci.h>

#define QUEUE_AT(q)                  (0x1000u + (q)*0x3000u) /* descriptors, avail, used */
#define QUEUE_AVAIL                  0x1000u
#define QUEUE_USED                   0x1800u
#define HEADERS                      0xa000u
#define TABLES                       0xc000u /* indirect: 16 of 16 entries */
#define RX_BUFS                      0x20000u
#define CFG_WRITE(field, width, val) drv_write(d, VIRTIO_PCI_COMMON_##field, width, val)

const char fuzz_name[] = "virtio";

/* What a driver knows. */
struct drv {
	struct fuzz_machine *m;
	struct fuzz_nic *n;
	struct virtio_pci *vp;
	struct drv_queue {
		gpa_t table;
		uint16_t size, desc, idx; /* next descriptor, avail idx */
	} q[VNET_QUEUES];
	unsigned headers, tables; /* used, modulo what there is */
};

static void drv_write(struct drv *d, unsigned off, unsigned size, uint32_t val)
{
	fuzz_store(d->m, d->n->bar[VP_BAR] + VP_COMMON + off, size, val);
}

static uint32_t drv_read(struct drv *d, unsigned off, unsigned size)
{
	return (uint32_t)fuzz_load(d->m, d->n->bar[VP_BAR] + VP_COMMON + off, size);
}

static void drv_notify(struct drv *d, unsigned q)
{
	fuzz_store(d->m, d->n->bar[VP_BAR] + VP_NOTIFY + q * VP_NOTIFY_MULT, 2, q);
}

static void put16(struct drv *d, gpa_t at, uint16_t v)
{
	memcpy(fuzz_ram(d->m, at, sizeof(v)), &v, sizeof(v));
}

static uint16_t get16(struct drv *d, gpa_t at)
{
	uint16_t v;

	memcpy(&v, fuzz_ram(d->m, at, sizeof(v)), sizeof(v));
	return v;
}

/* --- bringing it up ----------------------------------------------------------------- */

static void drv_features(struct drv *d, uint64_t want)
{
	want &= d->vp->offered;
	for (unsigned i = 0; i < 2; i++) {
		CFG_WRITE(DFSELECT, 4, i);
		drv_read(d, VIRTIO_PCI_COMMON_DF, 4);
		CFG_WRITE(GFSELECT, 4, i);
		CFG_WRITE(GF, 4, (uint32_t)(want >> (32 * i)));
	}
}

/* `last`: its descriptors are the last bytes of RAM. */
static void drv_queue(struct drv *d, unsigned i, uint16_t size, bool last)
{
	uint32_t at = QUEUE_AT(i), len = size * (uint32_t)sizeof(struct vring_desc);

	d->q[i] = (struct drv_queue){ .size = size, .table = last ? FUZZ_RAM - len : at };
	memset(fuzz_ram(d->m, at, 0x3000), 0, 0x3000);
	CFG_WRITE(Q_SELECT, 2, i);
	CFG_WRITE(Q_SIZE, 2, size);
	CFG_WRITE(Q_MSIX, 2, i + 1);
	CFG_WRITE(Q_DESCLO, 4, (uint32_t)d->q[i].table);
	CFG_WRITE(Q_DESCHI, 4, 0);
	CFG_WRITE(Q_AVAILLO, 4, at + QUEUE_AVAIL);
	CFG_WRITE(Q_USEDLO, 4, at + QUEUE_USED);
	CFG_WRITE(Q_ENABLE, 2, 1);
}

static void drv_msix(struct drv *d, unsigned flags)
{
	if (!d->vp->has_msix)
		return;
	fake_pci_write(d->m->f, d->n->slot, d->vp->msix.cap + PCI_MSIX_FLAGS, 2, flags);
	for (unsigned i = 0; i < 4; i++)
		fuzz_store(d->m,
			   d->n->bar[VP_BAR_MSIX] + i * PCI_MSIX_ENTRY_SIZE +
				   PCI_MSIX_ENTRY_VECTOR_CTRL,
			   4, 0);
}

/* `off`: of the bits offered, those not to accept. `last`: a bit for each queue. */
static void drv_start(struct drv *d, uint64_t off, const uint16_t size[VNET_QUEUES], unsigned last)
{
	CFG_WRITE(STATUS, 1, 0);
	CFG_WRITE(STATUS, 1, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	drv_features(d, ~off);
	CFG_WRITE(STATUS, 1, 0xb);
	CFG_WRITE(MSIX, 2, 0);
	for (unsigned i = 0; i < VNET_QUEUES; i++)
		drv_queue(d, i, size[i], last & BIT(i));
	CFG_WRITE(STATUS, 1, 0xf);
}

static void op_start(struct drv *d, struct fuzz_in *in)
{
	static const uint16_t sizes[] = { 256, 64, 4, 1 };
	uint8_t how = fuzz_u8(in), last = fuzz_u8(in);
	uint16_t size[VNET_QUEUES] = { sizes[how & 3], sizes[(how >> 2) & 3], how & 16 ? 2 : 64 };
	uint64_t off = how & 32 ? fuzz_u32(in) : 0;

	drv_msix(d, how & 64 ? 0 : PCI_MSIX_FLAGS_ENABLE);
	drv_start(d, how & 128 ? off | BIT64(VIRTIO_RING_F_EVENT_IDX) : off, size,
		  last > 127 ? last : 0);
}

/* --- chains ---------------------------------------------------------------------------- */

static void put_desc(struct drv *d, gpa_t table, unsigned i, const struct vring_desc *v)
{
	memcpy(fuzz_ram(d->m, table + i * sizeof(*v), sizeof(*v)), v, sizeof(*v));
}

static void drv_offer(struct drv *d, unsigned q, uint16_t head)
{
	struct drv_queue *k = &d->q[q];
	gpa_t avail = QUEUE_AT(q) + QUEUE_AVAIL;

	put16(d, avail + 4 + 2 * (k->idx % k->size), head);
	put16(d, avail + 2, ++k->idx);
}

#define CHAIN_MAX 16

/* A chain in the making. */
struct chain {
	struct vring_desc v[CHAIN_MAX];
	unsigned n;
};

static void chain_add(struct chain *c, gpa_t at, uint32_t len, bool device_writes)
{
	if (c->n == CHAIN_MAX)
		return;
	c->v[c->n++] = (struct vring_desc){ .addr = at,
					    .len = len,
					    .flags = device_writes ? VRING_DESC_F_WRITE : 0 };
}

/* One byte of one descriptor is another. */
static void chain_lie(struct chain *c, struct fuzz_in *in)
{
	struct vring_desc *v = &c->v[fuzz_below(in, CHAIN_MAX) % c->n];

	fuzz_set_byte(in, v, sizeof(*v));
}

enum { OFFER_INDIRECT = 1, OFFER_LIE = 2, OFFER_KICK = 4, OFFER_RUN = 8 };

/* Link it, offer it. With OFFER_LIE, not quite as it should be. */
static void chain_offer(struct drv *d, unsigned q, struct chain *c, unsigned how,
			struct fuzz_in *in)
{
	struct drv_queue *k = &d->q[q];
	bool indirect = how & OFFER_INDIRECT;
	gpa_t table = indirect ? TABLES + (d->tables++ % 16) * 0x100 : k->table;
	uint16_t head = k->desc % k->size;

	for (unsigned i = 0; i + 1 < c->n; i++) {
		c->v[i].flags |= VRING_DESC_F_NEXT;
		c->v[i].next = (uint16_t)(indirect ? i + 1 : (head + i + 1) % k->size);
	}
	if (how & OFFER_LIE)
		chain_lie(c, in);
	for (unsigned i = 0; i < c->n; i++)
		put_desc(d, table, indirect ? i : (head + i) % k->size, &c->v[i]);
	if (indirect)
		put_desc(d, k->table, head,
			 &(struct vring_desc){ .addr = table,
					       .len = c->n * (uint32_t)sizeof(c->v[0]),
					       .flags = VRING_DESC_F_INDIRECT });
	k->desc = (uint16_t)(k->desc + (indirect ? 1 : c->n));
	drv_offer(d, q, head);
	if (how & OFFER_KICK)
		drv_notify(d, q);
	if (how & OFFER_RUN)
		fuzz_run(d->m);
}

static void op_tx(struct drv *d, struct fuzz_in *in)
{
	static const uint16_t usual[] = { 60, 1514, 14, 13, 9014, 3000, 300, 2000 };
	uint8_t how = fuzz_u8(in), what = fuzz_u8(in), size = fuzz_u8(in);
	uint32_t len = size < 128 ? usual[size % 8] : fuzz_u16(in) % (size < 240 ? 2000 : 65536);
	uint32_t done = 0;
	enum wire_kind kind = WIRE_TCP4 + (what & 3);
	gpa_t at = HEADERS + (d->headers++ % 256) * 16, frame = FUZZ_FRAMES + (what & 3) * 0x4000u;
	struct virtio_net_hdr_mrg_rxbuf h = { .num_buffers = 0 };
	struct chain c = { .n = 0 };

	wire_header(in, kind, len, &h.hdr);
	memcpy(fuzz_ram(d->m, at, sizeof(h)), &h, sizeof(h));
	if (what & 4) { /* header and frame in one buffer */
		memcpy(fuzz_ram(d->m, frame - sizeof(h), sizeof(h)), &h, sizeof(h));
		frame -= sizeof(h);
		len += (uint32_t)sizeof(h);
	} else {
		chain_add(&c, at, sizeof(h), false);
	}
	for (unsigned i = what >> 5; i; i--) {
		uint32_t n = MIN((len - done) / 2 + 1, len - done);

		chain_add(&c, frame + done, n, false);
		done += n;
	}
	chain_add(&c, frame + done, len - done, what & 8);
	chain_offer(d, VNET_TX, &c, how, in);
	for (unsigned i = how >> 4; i; i--) /* the same again */
		drv_offer(d, VNET_TX, (uint16_t)(d->q[VNET_TX].desc - 1));
	if (how & OFFER_KICK)
		drv_notify(d, VNET_TX);
}

static void op_rx(struct drv *d, struct fuzz_in *in)
{
	static const uint32_t usual[] = { 2048, 1526, 65562, 12, 13, 100, 0, 4096 };
	uint8_t how = fuzz_u8(in), what = fuzz_u8(in);
	unsigned n = 1 + (what & 31u) * (what & 32 ? 8 : 1);

	for (unsigned i = 0; i < n; i++) {
		struct chain c = { .n = 0 };
		gpa_t at = RX_BUFS + (i % 30) * 4096;

		if (what & 64)
			chain_add(&c, at + 0x800, 12, true);
		chain_add(&c, what & 128 ? fuzz_gpa(in, d->n) : at, usual[(how >> 4) & 7], true);
		chain_offer(d, VNET_RX, &c, (i ? 0 : how & OFFER_LIE) | (how & OFFER_INDIRECT), in);
	}
	drv_notify(d, VNET_RX);
	if (how & OFFER_RUN)
		fuzz_run(d->m);
}

/* A command: class, number, data, room for the answer. */
static void op_ctrl(struct drv *d, struct fuzz_in *in)
{
	uint8_t how = fuzz_u8(in), len = fuzz_u8(in);
	gpa_t at = HEADERS + 0x1400;
	struct chain c = { .n = 0 };

	len = how & 128 ? len : len % 24;
	fuzz_bytes(in, fuzz_ram(d->m, at, 512), len + 2u);
	fuzz_ram(d->m, at, 1)[0] %= 8;
	fuzz_ram(d->m, at, 2)[1] %= 8;
	if (how & 16) /* tables of more addresses than there are bytes for */
		put16(d, at + 2, len);
	chain_add(&c, at, 2, false);
	chain_add(&c, at + 2, how & 64 ? 4096u : len, false);
	if (!(how & 32))
		chain_add(&c, at + 0x300, 1, true);
	chain_offer(d, VNET_CTRL, &c, how, in);
}

/* Anything for a chain. */
static void op_chain(struct drv *d, struct fuzz_in *in)
{
	unsigned q = fuzz_below(in, VNET_QUEUES), n = 1 + fuzz_below(in, 8);
	struct chain c = { .n = 0 };
	uint8_t how = fuzz_u8(in), where = fuzz_u8(in);
	gpa_t table = TABLES + (d->tables % 16) * 0x100; /* of this very chain, if it has one */

	for (unsigned i = 0; i < n; i++) {
		gpa_t at = where & BIT(i) ? table : fuzz_gpa(in, d->n);
		uint32_t len = how & 16 ? fuzz_u32(in) : fuzz_u8(in);

		chain_add(&c, at, len, how & 32);
		c.v[i].flags |= how & 64 ? fuzz_u8(in) : 0;
		c.v[i].next = how & 128 ? fuzz_u16(in) : 0;
	}
	chain_offer(d, q, &c, how, in);
}

/* Indices, events and flags of the rings, as the driver's side has them. */
static void op_ring(struct drv *d, struct fuzz_in *in)
{
	unsigned q = fuzz_below(in, VNET_QUEUES);
	struct drv_queue *k = &d->q[q];
	gpa_t avail = QUEUE_AT(q) + QUEUE_AVAIL;
	uint8_t how = fuzz_u8(in);

	switch (how & 7) {
	case 0:
		k->idx = (uint16_t)(k->idx + fuzz_u8(in));
		put16(d, avail + 2, k->idx);
		break;
	case 1:
		put16(d, avail + 2, fuzz_u16(in));
		break;
	case 2:
		put16(d, avail, fuzz_u8(in));
		break;
	case 3:
		put16(d, avail + 4 + 2 * (k->idx % k->size), fuzz_u16(in));
		break;
	default: /* used_event: now, or somewhere */
		put16(d, avail + 4 + 2 * k->size,
		      how & 8 ? fuzz_u16(in) : get16(d, QUEUE_AT(q) + QUEUE_USED + 2));
	}
	if (how & 16)
		drv_notify(d, q);
	if (how & 32)
		fuzz_run(d->m);
}

/* --- registers -------------------------------------------------------------------------- */

static void op_common(struct drv *d, struct fuzz_in *in)
{
	uint8_t off = fuzz_below(in, sizeof(struct virtio_pci_common_cfg)), how = fuzz_u8(in);
	unsigned size = 1u << (how & 3) % 3;

	if (how & 4) { /* a field of its own width */
		off = (uint8_t)(off & ~1u);
		size = off < VIRTIO_PCI_COMMON_MSIX || off >= VIRTIO_PCI_COMMON_Q_DESCLO ? 4 : 2;
		off &= (uint8_t)-size;
		if (off == VIRTIO_PCI_COMMON_STATUS)
			size = 1;
	}
	if (how & 8)
		drv_read(d, off, size);
	else
		drv_write(d, off, size, how & 16 ? fuzz_u32(in) : fuzz_u8(in));
}

static void op_raw(struct drv *d, struct fuzz_in *in)
{
	uint8_t how = fuzz_u8(in);
	uint64_t addr = d->n->bar[how & 1 ? VP_BAR_MSIX : VP_BAR] + fuzz_u16(in) % 0x4010u;
	unsigned size = 1u << ((how >> 1) & 3);

	if (how & 8)
		fuzz_load(d->m, addr, size);
	else
		fuzz_store(d->m, addr, size, fuzz_u64(in));
}

static void op_device(struct drv *d, struct fuzz_in *in)
{
	const struct region *r = &d->vp->pci->bar[VP_BAR].region;
	uint8_t off = fuzz_u8(in) % 80;
	unsigned size = 1u << fuzz_below(in, 3);
	uint64_t v = fuzz_load(d->m, d->n->bar[VP_BAR] + VP_DEVICE + off, size);

	if (r->mapped && r->base == d->n->bar[VP_BAR]) /* else another may be there */
		FUZZ_CHECK(off + size <= d->vp->config_len || v == bus_ones(size),
			   "configuration beyond its end: %#llx", (unsigned long long)v);
	fuzz_load(d->m, d->n->bar[VP_BAR] + VP_ISR, 1);
}

static void op_notify(struct drv *d, struct fuzz_in *in)
{
	uint8_t how = fuzz_u8(in);

	drv_notify(d, how % 5);
	if (how & 128)
		fuzz_run(d->m);
}

static void op_msix(struct drv *d, struct fuzz_in *in)
{
	uint8_t how = fuzz_u8(in);
	unsigned at = (how & 31) * 4u;

	if (how & 32)
		drv_msix(d, fuzz_u16(in));
	fuzz_store(d->m, d->n->bar[VP_BAR_MSIX] + at, how & 64 ? 8 : 4, fuzz_u32(in));
	fuzz_load(d->m, d->n->bar[VP_BAR_MSIX] + (how & 128 ? 0x800 : at), how & 64 ? 8 : 4);
}

/* BAR 0 through configuration space (4.1.4.9). */
static void op_window(struct drv *d, struct fuzz_in *in)
{
	struct fake_machine *f = d->m->f;
	unsigned at = d->vp->window, slot = d->n->slot;
	uint8_t how = fuzz_u8(in);

	fake_pci_write(f, slot, at + VIRTIO_PCI_CAP_BAR, 1, how & 1 ? fuzz_u8(in) : VP_BAR);
	fake_pci_write(f, slot, at + VIRTIO_PCI_CAP_OFFSET, 4,
		       how & 2 ? fuzz_u32(in) : fuzz_u16(in) % VP_BAR_SIZE);
	fake_pci_write(f, slot, at + VIRTIO_PCI_CAP_LENGTH, 4, how & 4 ? fuzz_u8(in) : 4);
	if (how & 8)
		fake_pci_read(f, slot, at + (unsigned)sizeof(struct virtio_pci_cap), 4);
	else
		fake_pci_write(f, slot, at + (unsigned)sizeof(struct virtio_pci_cap), 4,
			       fuzz_u32(in));
}

static void op_reset(struct drv *d, struct fuzz_in *in)
{
	CFG_WRITE(STATUS, 1, fuzz_u8(in) & 1 ? fuzz_u8(in) : 0);
}

/* --- what the machine does --------------------------------------------------------------- */

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
	op_run,  op_tx,     op_tx,     op_rx,     op_frame,   op_frame,  op_ctrl,
	op_ctrl, op_chain,  op_chain,  op_ring,   op_common,  op_common, op_raw,
	op_poke, op_device, op_start,  op_reset,  op_time,    op_config, op_enable,
	op_host, op_msix,   op_window, op_notify, op_backend,
};

/* --- afterwards ----------------------------------------------------------------------------- */

static void recover_tx(struct drv *d)
{
	struct chain c = { .n = 0 };

	memset(fuzz_ram(d->m, HEADERS, VNET_HDR_LEN), 0, VNET_HDR_LEN);
	chain_add(&c, HEADERS, VNET_HDR_LEN, false);
	chain_add(&c, FUZZ_FRAMES, 100, false);
	chain_offer(d, VNET_TX, &c, OFFER_KICK, NULL);
	fake_machine_run(d->m->f);
	FUZZ_CHECK(d->n->net->sent_nr == 1 && d->n->net->sent[0].len == 100,
		   "after a reset it sends %u frames of 1", d->n->net->sent_nr);
	FUZZ_CHECK(get16(d, QUEUE_AT(VNET_TX) + QUEUE_USED + 2) == 1, "the chain is not used");
}

static void recover_rx(struct drv *d)
{
	const uint8_t *frame = wire_template(WIRE_TCP4, NULL);

	for (unsigned i = 0; i < 40; i++) {
		struct chain c = { .n = 0 };

		chain_add(&c, RX_BUFS + i * 2048, 2048, true);
		chain_offer(d, VNET_RX, &c, OFFER_KICK, NULL);
	}
	fuzz_run(d->m);
	fake_net_queue(d->n->net, NULL, frame, 100);
	fuzz_run(d->m);
	FUZZ_CHECK(get16(d, QUEUE_AT(VNET_RX) + QUEUE_USED + 2) == 1,
		   "after a reset it receives nothing");
	FUZZ_CHECK(!memcmp(fuzz_ram(d->m, RX_BUFS + VNET_HDR_LEN, 100), frame, 100),
		   "it received another frame");
}

static void recover(struct drv *d)
{
	static const uint16_t size[VNET_QUEUES] = { 64, 64, 64 };

	fuzz_nic_sum(d->n);
	FUZZ_CHECK(!(d->vp->status & VIRTIO_CONFIG_S_NEEDS_RESET) ||
			   counter_get(&d->n->nic->stat.guest_faults),
		   "it needs a reset, and no fault was counted");
	fuzz_nic_enable(d->m, d->n);
	if (!d->n->net)
		return;
	fuzz_backend_rest(d->m, d->n);
	drv_msix(d, PCI_MSIX_FLAGS_ENABLE);
	drv_start(d, 0, size, 0);
	FUZZ_CHECK(drv_read(d, VIRTIO_PCI_COMMON_STATUS, 1) == 0xf, "it refuses to start");
	fuzz_run(d->m);
	recover_tx(d);
	recover_rx(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	struct drv d = { .m = fuzz_machine_begin() };

	d.n = fuzz_nic_plug(d.m, &in, true);
	d.vp = &container_of(d.n->nic, struct vnet, nic)->vp;
	op_start(&d, &in);
	for (unsigned i = 0; i < 256 && in.left; i++)
		ops[fuzz_below(&in, ARRAY_SIZE(ops))](&d, &in);
	fuzz_run(d.m);
	recover(&d);
	fuzz_machine_end(d.m);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * 1. Story
 *
 * e1000.c: the Intel 82540EM, as its stock drivers know it. Lay it beside
 * virtio_net.c: same sections, same function stems; what differs is how the doorbell
 * arrives and whose ring is walked.
 *
 *   guest stores to TDT -> e1000_tdt_rang() or, in memory, e1000_look() -> tx_kick
 *     -> e1000_tx_run(): descriptors, in batches -> e1000_tx_desc() gathers a packet
 *     -> e1000_tx_one(): e1000_offload() makes {iovec, virtio_net_hdr} -> net_send()
 *     -> e1000_tx_done() writes DD back -> e1000_irq_raise(TXDW), once per batch
 *
 *   backend readable -> e1000_rx_ready() -> e1000_rx_one(): net_recv() into the
 *     buffers of the next descriptors -> filter, checksum verdict -> DD
 *     -> e1000_irq_raise(RXT0), once per batch
 *
 * Payload is never copied, but for a frame whose VLAN tag is stripped, one that meets
 * too few buffers, the first large one of its kind (e1000_gso.c), and PHY loopback.
 * Locks: devices/nic.h.
 *
 * This is the best way we know; without a rung of the ladder (ladder.h) it goes QEMU's.
 * Left out on purpose: the receive delay timers RDTR, RADV (stored, with no effect: the
 * manual itself recommends ITR; TIDV and TADV: e1000_irq.c), flow control (stored), descriptor
 * thresholds, wake-up, flash, half duplex. A stripped CRC is what every frame has: with
 * RCTL.SECRC clear, 4 zero bytes stand in its place; IFCS is taken as set and PSP as
 * clear. The packet checksum is computed only when RXCSUM.PCSS is not 0.
 */
#include "devices/e1000.h"
#include "devices/net/offload.h"
#include "vmm/log.h"

#include <errno.h>
#include <string.h>

/* 2. State: struct e1000 in e1000.h */

static void e1000_rx_done(struct e1000 *e);

/* 3. Registers */

void e1000_wake(struct e1000 *e)
{
	loop_event_signal(&e->tx_kick);
	loop_event_signal(&e->rx_kick);
}

void e1000_tctl_write(struct e1000 *e, unsigned w, uint32_t val)
{
	(void)w, (void)val;
	e1000_ram_off(e); /* until the worker finds both rings enabled and busy */
	e1000_irq_page_leave(e);
	e1000_wake(e);
}

void e1000_rctl_write(struct e1000 *e, unsigned w, uint32_t val)
{
	static const uint8_t shift[8] = { 11, 10, 9, 8, 11 /* reserved */, 14, 13, 12 };
	struct e1000_rx *rx = &e->rx;
	unsigned i = (val >> E1000_RCTL_BSIZE_SHIFT) & 3;

	(void)w;
	e1000_ram_off(e);
	e1000_irq_page_leave(e);
	rx->shift = shift[i | (val & E1000_RCTL_BSEX ? 4 : 0)];
	rx->want = (unsigned)((e1000_rx_longest(e) + BIT(rx->shift) - 1) >> rx->shift);
	rx->next = rx->fetched = 0; /* its buffers have that size now */
	e1000_wake(e);
}

/* 4. Ring */

/* The driver moved the ring: forget what was read from the old one. */
void e1000_tx_ring_write(struct e1000 *e, unsigned w, uint32_t val)
{
	(void)w, (void)val;
	e->tx.next = e->tx.fetched = 0;
	e->tx.pkt = (struct e1000_pkt){ .cnt = 0 };
	e->tx.ring.head = e1000_get(e, E1000_TDH);
	loop_event_signal(&e->tx_kick);
}

void e1000_rx_ring_write(struct e1000 *e, unsigned w, uint32_t val)
{
	(void)w, (void)val;
	e->rx.next = e->rx.fetched = 0;
	e->rx.ring.head = e1000_get(e, E1000_RDH);
	loop_event_signal(&e->rx_kick);
}

/* 5. Transmit */

static void e1000_tx_report(struct e1000 *e, uint32_t at)
{
	uint8_t *sta = e->tx.ring.va + at * E1000_DESC_SIZE + E1000_TXD_STA_OFF;

	/* Only the status: a context's other fields are the driver's [3.3.6]. Release:
	 * the driver may reuse the buffers once it sees DD (its own read barrier). */
	__atomic_store_n(sta, E1000_TXD_STA_DD, __ATOMIC_RELEASE);
	e->tx.reported++;
}

/* What was held back is reported now. */
static void e1000_tx_flush(struct e1000 *e)
{
	struct e1000_pkt *p = &e->tx.pkt;

	for (unsigned i = 0; i < p->n_rs; i++)
		e1000_tx_report(e, p->rs[i]);
	p->n_rs = p->descs = 0;
}

/* The packet is through, sent or not: tell the driver, and start afresh. */
static void e1000_tx_done(struct e1000 *e)
{
	struct e1000_pkt *p = &e->tx.pkt;

	e1000_tx_flush(e);
	p->cnt = 0;
	p->len = 0;
	p->open = p->ready = p->bad = false;
}

/* The rest of this packet is skipped; its descriptors are reported as they pass, for a
 * driver that waits for DD for ever is the worse outcome. */
static void e1000_tx_bad(struct e1000 *e, const char *why)
{
	if (e->tx.pkt.bad)
		return;
	nic_guest_fault(&e->nic, why);
	counter_inc(&e->nic.stat.tx_drops);
	e1000_tx_flush(e);
	e->tx.pkt.bad = true;
}

/* One descriptor, which was at ring position `at`. */
static void e1000_tx_desc(struct e1000 *e, const struct e1000_desc *d, uint32_t at)
{
	struct e1000_pkt *p = &e->tx.pkt;
	const char *why;

	if (e1000_desc_is_context(d)) {
		e1000_load_context(e->tx.ctx, d);
		if (p->open)
			e1000_tx_bad(e, "context descriptor within a packet");
		if (d->rest & E1000_TXD_RS)
			e1000_tx_report(e, at);
		return;
	}
	why = e1000_pkt_add(p, &e->nic.m->mem, d);
	if (!why && !p->ready && p->descs + 1 >= e->tx.ring.size)
		why = "packet without an end fills the ring";
	if (why)
		e1000_tx_bad(e, why);
	e->tx.urgent |= !(d->rest & E1000_TXD_IDE);
	if ((d->rest & E1000_TXD_RS) && p->bad)
		e1000_tx_report(e, at);
	else if (d->rest & E1000_TXD_RS)
		p->rs[p->n_rs++] = (uint16_t)at;
}

/* As net_send(). */
static int e1000_tx_send(struct e1000 *e, struct e1000_frame *f)
{
	struct e1000_tx *tx = &e->tx;

	if (!nic_has(&e->nic, RUNG_ZERO_COPY)) {
		tx->bounced = nic_bounce(&e->nic, f->iov, f->cnt, tx->bounce, sizeof(tx->bounce));
		f->iov = &tx->bounced;
		f->cnt = 1;
	}
	trace(NET, "%s: tx %zu bytes, %d pieces", e->nic.cfg.name, f->len, f->cnt);
	return e1000_loopback(e) ? e1000_loop(e, f) : net_send(e->nic.be, &f->h, f->iov, f->cnt);
}

/* Send the packet under assembly. False: no room, it stays; writable() will come. */
static bool e1000_tx_one(struct e1000 *e)
{
	struct e1000_pkt *p = &e->tx.pkt;
	struct e1000_frame *f = &e->tx.frame;
	const char *why;
	int err;

	if (p->bad || !p->len) /* a lone empty descriptor is padding [3.3.3] */
		goto done;
	p->tag &= !!(e1000_get(e, E1000_CTRL) & E1000_CTRL_VME);
	why = e1000_offload(f, p, e->tx.ctx, (uint16_t)e1000_get(e, E1000_VET));
	if (!why) {
		err = e1000_tx_send(e, f);
		if (err == -EAGAIN) {
			counter_inc(&e->nic.stat.tx_again);
			return false;
		}
		why = err ? "packet contradicts its offload request" : NULL;
	}
	if (why) {
		e1000_tx_bad(e, why);
		goto done;
	}
	nic_tx_taken(&e->nic, f->len);
	counter_add(&e->nic.stat.bytes_summed, f->summed);
	e1000_tally_tx(&e->tx.tally, f);
done:
	e1000_tx_done(e);
	return true;
}

bool e1000_tx_on(const struct e1000 *e)
{
	return (e1000_get(e, E1000_TCTL) & E1000_TCTL_EN) && pci_bus_master(&e->nic.pci);
}

/* Nothing more to send: sleep, unless TDT moved meanwhile. */
static bool e1000_tx_idle(struct e1000 *e)
{
	/* Clear the flag, then look at TDT: pairs with e1000_tdt_rang(), e1000_look(). */
	e->tx_seen = e->tx.ring.tail;
	atomic_store(&e->tx_awake, false);
	if (e1000_tail(e, E1000_TDT) == e->tx.ring.tail && !e1000_queued(e))
		return true;
	atomic_store(&e->tx_awake, true);
	return false;
}

/* A batch is over: publish how far we are, and interrupt once. */
static void e1000_tx_publish(struct e1000 *e)
{
	const struct e1000_ring *r = &e->tx.ring;
	uint32_t open = e->tx.pkt.descs; /* not done with those */
	uint32_t causes = r->head == r->tail ? E1000_ICR_TXQE : 0;

	e1000_drain(e);
	lock_take(&e->nic.lock);
	e1000_publish(e, E1000_TDH, r->head - open + (r->head < open ? r->size : 0));
	trace(NET, "%s: tx given back, TDH %u", e->nic.cfg.name, e1000_get(e, E1000_TDH));
	e1000_fold_tx(e);
	e1000_irq_tx_done(e, causes);
	lock_drop(&e->nic.lock);
	e->tx.reported = 0;
	e->tx.urgent = false;
}

static bool e1000_tx_batch(struct e1000 *e)
{
	struct e1000_tx *tx = &e->tx;
	unsigned turn = nic_has(&e->nic, RUNG_WORKER) ? E1000_BATCH : tx->ring.size;
	unsigned fetch = nic_has(&e->nic, RUNG_ZERO_COPY) ? E1000_BATCH : 1;
	uint64_t enough = nic_segments(&e->nic) + NIC_TURN_SEGMENTS;
	bool room = !tx->pkt.ready || e1000_tx_one(e);

	while (room && turn-- && e1000_ring_avail(&tx->ring) && nic_segments(&e->nic) < enough) {
		if (tx->next == tx->fetched) {
			tx->fetched = e1000_ring_fetch(&tx->ring, tx->desc, fetch);
			tx->next = 0;
		}
		e1000_tx_desc(e, &tx->desc[tx->next++], e1000_ring_advance(&tx->ring));
		if (tx->pkt.ready)
			room = e1000_tx_one(e);
	}
	return room;
}

/* One turn of at most E1000_BATCH descriptors, so that reception gets its own; a vCPU
 * that transmits has nothing else to do and goes once around the ring. */
void e1000_tx_run(struct e1000 *e)
{
	bool loop = e1000_loopback(e), room;

	e1000_drain(e);
	atomic_store(&e->tx_awake, true);
	if (!e1000_tx_on(e)) {
		e1000_tx_remind(e);
		e->tx_seen = e1000_tail(e, E1000_TDT);
		atomic_store(&e->tx_awake, false); /* whoever enables it kicks */
		return;
	}
	if (!e1000_ring_load(e, &e->tx.ring, E1000_TDBAL))
		goto idle;
	if (!e->tx.pkt.ready && !e1000_ring_avail(&e->tx.ring))
		goto idle;
	counter_inc(&e->nic.stat.tx_batches);
	if (loop && !e1000_ring_load(e, &e->rx.ring, E1000_RDBAL))
		e->rx.ring.tail = e->rx.ring.head; /* nothing there */
	room = e1000_tx_batch(e);
	e1000_tx_publish(e);
	if (loop)
		e1000_rx_done(e);
	if (!room)
		return; /* awake: writable() goes on */
	if (e1000_ring_avail(&e->tx.ring))
		goto again;
idle:
	e1000_tx_remind(e);
	if (e1000_tx_idle(e))
		return;
again:
	loop_event_signal(&e->tx_kick);
}

static void e1000_tx_kicked(struct loop_event *ev)
{
	struct e1000 *e = container_of(ev, struct e1000, tx_kick);

	nic_work_begin(&e->nic);
	e1000_tx_run(e);
	lock_drop(&e->nic.work);
}

static void e1000_tx_writable(void *nic)
{
	e1000_tx_kicked(&((struct e1000 *)nic)->tx_kick);
}

/* 6. Receive */

static bool e1000_rx_on(const struct e1000 *e)
{
	return (e1000_get(e, E1000_RCTL) & E1000_RCTL_EN) && pci_bus_master(&e->nic.pci) &&
	       !e1000_loopback(e);
}

/* No (or too few) buffers: the backend keeps its frames until RDT moves. */
static bool e1000_rx_starve(struct e1000 *e)
{
	/* Raise the flag, then look at RDT again: pairs with e1000_rdt_rang(), e1000_look(). */
	e->rx_seen = e->rx.ring.tail;
	atomic_store(&e->rx_starved, true);
	e1000_drain(e);
	if (e1000_tail(e, E1000_RDT) != e->rx.ring.tail && atomic_exchange(&e->rx_starved, false)) {
		loop_event_signal(&e->rx_kick);
		return false;
	}
	net_rx_enable(e->nic.be, false);
	counter_inc(&e->nic.stat.rx_ring_full);
	e->rx.tally.no_buf++;
	return false;
}

/* One frame, or what waits of the last one, to the ring. False: no frame, or no buffers. */
static bool e1000_rx_one(struct e1000 *e)
{
	struct e1000_rx *rx = &e->rx;
	unsigned bufs = e1000_rx_gather(e, rx->want);
	ssize_t len;

	if (!bufs || (rx->held && !e1000_rx_copy(e, &rx->in, bufs)))
		return e1000_rx_starve(e);
	if (rx->held) {
		rx->held = false;
		return true;
	}
	if (rx->gso.open) {
		e1000_gso_next(e, bufs);
		return true;
	}
	e1000_plan_make(e);
	len = net_recv(e->nic.be, &rx->in.h, rx->plan.iov, rx->plan.cnt);
	if (len == -EMSGSIZE) {
		rx->tally.oversize++;
		counter_inc(&e->nic.stat.rx_oversize);
		counter_inc(&e->nic.stat.rx_drops);
	} else if (len > 0) {
		e1000_plan_done(e, (size_t)len);
	}
	return len != 0;
}

/* A batch is over: publish how far we are, and interrupt once. */
static void e1000_rx_done(struct e1000 *e)
{
	struct e1000_rx *rx = &e->rx;
	uint32_t rctl = e1000_get(e, E1000_RCTL), causes = 0;
	uint32_t low = rx->ring.size >> (1 + ((rctl >> E1000_RCTL_RDMTS_SHIFT) & 3));

	if (rx->delivered) {
		trace(NET, "%s: rx given back, RDH %u", e->nic.cfg.name, rx->ring.head);
		counter_inc(&e->nic.stat.rx_batches);
		causes = E1000_ICR_RXT0;
		if (e1000_ring_avail(&rx->ring) <= low)
			causes |= E1000_ICR_RXDMT0;
	}
	if (rx->tally.missed)
		causes |= E1000_ICR_RXO;
	rx->delivered = 0;
	e1000_drain(e);
	lock_take(&e->nic.lock);
	e1000_publish(e, E1000_RDH, rx->ring.head);
	e1000_fold_rx(e);
	e1000_irq_raise(e, causes);
	lock_drop(&e->nic.lock);
}

static void e1000_rx_run(struct e1000 *e)
{
	if (!e1000_rx_on(e)) {
		net_rx_enable(e->nic.be, false);
		return;
	}
	if (!e1000_ring_load(e, &e->rx.ring, E1000_RDBAL)) {
		e1000_rx_starve(e);
		return;
	}
	for (unsigned i = 0; i < E1000_BATCH && e->rx.delivered < E1000_BATCH; i++)
		if (!e1000_rx_one(e))
			break;
	e1000_rx_done(e);
	if (e1000_rx_waits(e) && !atomic_load(&e->rx_starved))
		loop_event_signal(&e->rx_kick); /* the backend may have nothing more */
}

static void e1000_rx_ready(void *nic)
{
	struct e1000 *e = nic;

	nic_work_begin(&e->nic);
	e1000_rx_run(e);
	lock_drop(&e->nic.work);
}

/* Buffers came, or reception was switched on or off. */
void e1000_rx_resume(struct e1000 *e)
{
	bool on = e1000_rx_on(e);

	net_rx_enable(e->nic.be, on);
	if (on && e1000_rx_waits(e))
		e1000_rx_run(e);
}

static void e1000_rx_kicked(struct loop_event *ev)
{
	struct e1000 *e = container_of(ev, struct e1000, rx_kick);

	nic_work_begin(&e->nic);
	e1000_rx_resume(e);
	lock_drop(&e->nic.work);
}

/* 7. Interrupt: e1000_irq.c */

/* 8. Reset */

/* As after power-on; the PHY has a reset of its own. nic.work and nic.lock held, so no
 * frame is in flight, and none follows before the enable bits are set again. */
static void e1000_reset(struct e1000 *e)
{
	e1000_ram_off(e);
	e1000_irq_page_off(e);
	e->irq_page_refused = false;
	for (unsigned i = 0; i < e1000_table_rows; i++) {
		const struct e1000_reg *r = &e1000_table[i];

		e1000_set(e, r->off, r->reset);
		for (unsigned k = 1; k < r->count; k++)
			e1000_set(e, r->off + k * r->stride, r->reset);
	}
	/* The EEPROM is read anew [5.6.1]. */
	e1000_set(e, E1000_RAL, e->eeprom[0] | (uint32_t)e->eeprom[1] << 16);
	e1000_set(e, E1000_RAH, e->eeprom[2] | E1000_RAH_AV);
	e->mw = (struct e1000_microwire){ .bits = 0 };
	e->tx.ctx[0] = e->tx.ctx[1] = (struct e1000_ctx){ .mss = 0 };
	e1000_rx_forget(e);
	e->line_at = 0;
	e->late_due = 0;
	atomic_store(&e->rx_starved, false);
	e1000_rctl_write(e, E1000_RCTL / 4, 0);
	e1000_tx_ring_write(e, E1000_TDH / 4, 0);
	e1000_rx_ring_write(e, E1000_RDH / 4, 0);
	e1000_irq_update(e);
}

void e1000_ctrl_write(struct e1000 *e, unsigned w, uint32_t val)
{
	(void)w;
	if (val & E1000_CTRL_PHY_RST) {
		e1000_phy_reset(e);
		e1000_wake(e); /* a loopback has ended */
	}
	if (val & E1000_CTRL_RST)
		e1000_reset(e);
}

/* 9. Operations, create, destroy */

static const struct pci_id e1000_pci_id = {
	.vendor = 0x8086,
	.device = 0x100e,
	.subsys_vendor = 0x8086,
	.subsys = 0x001e,
	.class_code = 0x020000,
	.revision = 0x02,
};

/* Bus mastering may be what the rings wait for; or it ends, and so does what is under way. */
static void e1000_config_written(struct pci_dev *d, unsigned off, unsigned size)
{
	struct e1000 *e = container_of(d, struct e1000, nic.pci);

	(void)size;
	if (off > PCI_COMMAND)
		return;
	lock_take(&e->nic.work);
	e1000_wake(e);
	lock_drop(&e->nic.work);
}

static void e1000_destroy(struct nic *n)
{
	struct e1000 *e = container_of(n, struct e1000, nic);

	pci_fini(&n->pci);
	loop_event_destroy(&e->tx_kick);
	loop_event_destroy(&e->rx_kick);
	loop_timer_destroy(&e->itr_timer);
	nic_fini(n);
	free(e->pages);
	free(e);
}

static const struct nic_ops e1000_nic_ops = {
	.model = "e1000",
	.destroy = e1000_destroy,
	.accounts = e1000_accounts,
	.poll_begin = e1000_poll_begin,
	.poll_end = e1000_poll_end,
	.look = e1000_look,
	.catch_up = e1000_catch_up,
};

static unsigned e1000_rx_offload(const struct e1000 *e)
{
	return nic_has(&e->nic, RUNG_OFFLOAD_RX) ? NET_OFF_ALL : 0;
}

static int e1000_attach(struct e1000 *e, struct pci_host *pci, unsigned slot)
{
	struct pci_dev *d = &e->nic.pci;
	int err;

	pci_init(d, &e1000_pci_id);
	d->config_written = e1000_config_written;
	d->bars_moving = e1000_bars_moving;
	pci_bar_init(d, E1000_BAR_MEM, false, E1000_MEM_SIZE, e->nic.cfg.name, &e1000_mem_ops, e);
	pci_bar_init(d, E1000_BAR_IO, true, E1000_IO_SIZE, e->nic.cfg.name, &e1000_io_ops, e);
	e1000_pages_describe(e, &d->bar[E1000_BAR_MEM].region);
	err = loop_event_init(e->nic.m->loop, &e->tx_kick, e1000_tx_kicked);
	if (!err)
		err = loop_event_init(e->nic.m->loop, &e->rx_kick, e1000_rx_kicked);
	if (!err)
		err = loop_timer_init(e->nic.m->loop, &e->itr_timer, e1000_itr_expired);
	if (!err)
		err = pci_attach(pci, d, slot);
	if (!err && nic_has(&e->nic, RUNG_IRQ) && (e->eoi = pci_intx_eoi(d))) {
		e->eoi->came = e1000_eoi_came;
		e->eoi->user = e;
	}
	return err;
}

struct nic *e1000_new(struct machine *m, struct pci_host *pci, unsigned slot,
		      const struct nic_config *cfg, struct net *be)
{
	struct e1000 *e = calloc(1, sizeof(*e));
	int err;

	if (e)
		e->pages = aligned_alloc(BUS_PAGE_SIZE, E1000_PAGES * BUS_PAGE_SIZE);
	if (!e || !e->pages) {
		free(e);
		log_error("%s: out of memory", cfg->name);
		net_close(be);
		return NULL;
	}
	e->clock = loop_now;
	e->link = net_link_up(be);
	e->tx_kick.f.fd = e->rx_kick.f.fd = e->itr_timer.f.fd = -1;
	err = nic_init(&e->nic, &e1000_nic_ops, m, cfg, be);
	if (!err)
		err = e1000_attach(e, pci, slot);
	if (err) {
		log_error("%s: e1000 in PCI slot %u: %s", cfg->name, slot, strerror(-err));
		e1000_destroy(&e->nic);
		return NULL;
	}
	e1000_eeprom_init(e);
	e1000_phy_reset(e);
	e1000_reset(e);
	net_attach(be, &(struct net_client){ e1000_rx_ready, e1000_tx_writable, e1000_link_changed,
					     e });
	net_set_rx_offload(be, e1000_rx_offload(e));
	net_log_offloads(be, cfg->name, e1000_rx_offload(e), NET_OFF_ALL);
	return &e->nic;
}

/* SPDX-License-Identifier: MIT */
/*
 * e1000_doorbell.c: the two doorbells, TDT and RDT, and who answers them.
 *
 *   worker off   the vCPU that rings transmits, and goes on when the ring is empty
 *   worker       the I/O thread is woken...
 *   kick         ...unless it is awake, and is going to look at the ring anyway
 *   coalesced    while work comes often (poll), KVM queues the writes, and the watcher
 *                looks for them; where ram is to be had, that is better
 *   poll, ram    while work comes often, the two pages that hold nothing but doorbells and
 *                ring set-up are plain memory, and the watcher looks for new tails there:
 *                ringing costs the guest a store
 *
 * The pages turn into memory and back under nic.lock. A vCPU whose write exits just then
 * waits for the lock, so it finds either memory, and stores there too, or registers that
 * have taken over what the memory held. What the driver writes to the ring set-up while it
 * is memory counts from the moment that it no longer is; Linux stops the rings first, by
 * registers of other pages, and that is such a moment.
 */
#include "devices/e1000.h"

#define RX_PAGE 0x2000
#define TX_PAGE 0x3000

/* TDT says how far the driver has got. Only an I/O thread that sleeps is woken. No lock
 * is held: whom we wake may run at once, in our place, and want it. */
void e1000_tdt_rang(struct e1000 *e)
{
	/* TDT is stored; is anybody going to look? Pairs with e1000_tx_idle(), which
	 * clears the flag before it looks a last time. Both seq_cst. */
	if (!atomic_exchange(&e->tx_awake, true) || !nic_has(&e->nic, RUNG_KICK))
		loop_event_signal(&e->tx_kick);
}

void e1000_rdt_rang(struct e1000 *e)
{
	/* Likewise with e1000_rx_starve(). */
	if (atomic_exchange(&e->rx_starved, false) || !nic_has(&e->nic, RUNG_KICK))
		loop_event_signal(&e->rx_kick);
}

void e1000_doorbell_write(struct e1000 *e, const struct e1000_reg *r, uint32_t val)
{
	bool sync = r->off == E1000_TDT && !nic_has(&e->nic, RUNG_WORKER);

	if (sync)
		lock_take(&e->nic.work);
	lock_take(&e->nic.lock);
	e1000_reg_store(e, r, r->off, val);
	counter_inc(r->off == E1000_TDT ? &e->nic.stat.tx_kicks : &e->nic.stat.rx_kicks);
	lock_drop(&e->nic.lock);
	if (!sync) {
		r->rang(e);
		return;
	}
	e1000_tx_run(e);
	lock_drop(&e->nic.work);
}

/* --- pages as memory --- */

_Atomic uint32_t *e1000_ram(const struct e1000 *e, uint32_t off)
{
	if (!e->ram || off < RX_PAGE || off >= TX_PAGE + BUS_PAGE_SIZE)
		return NULL;
	return &e->pages[(off - RX_PAGE) / 4];
}

uint32_t e1000_tail(const struct e1000 *e, uint32_t off)
{
	const _Atomic uint32_t *ram = e1000_ram(e, off);

	return ram ? *ram & 0xffff : atomic_load(&e->reg[off / 4]);
}

void e1000_publish(struct e1000 *e, uint32_t off, uint32_t val)
{
	_Atomic uint32_t *ram = e1000_ram(e, off);

	e1000_set(e, off, val);
	if (ram)
		atomic_store_explicit(ram, val, memory_order_relaxed);
}

bool e1000_both_on(const struct e1000 *e)
{
	return e1000_tx_on(e) && (e1000_get(e, E1000_RCTL) & E1000_RCTL_EN);
}

void e1000_pages_describe(struct e1000 *e, struct region *r)
{
	static const uint64_t off[E1000_PAGES] = {
		[E1000_PAGE_RX] = RX_PAGE,
		[E1000_PAGE_TX] = TX_PAGE,
		[E1000_PAGE_IRQ] = 0,
	};

	r->n_pages = E1000_PAGES;
	for (unsigned i = 0; i < E1000_PAGES; i++)
		r->page[i] = (struct region_page){
			.off = off[i],
			.mem = e->pages + i * BUS_PAGE_SIZE / 4,
		};
}

/* --- writes in a queue --- */

static void e1000_zones_set(struct e1000 *e, bool on)
{
	struct region *r = &e->nic.pci.bar[E1000_BAR_MEM].region;
	struct bus *b = &e->nic.m->mmio;

	if (!nic_has(&e->nic, RUNG_COALESCED) || (e->ram && on))
		return;
	e->queue = !bus_coalesce(b, r, E1000_TDT, 4, on) && on;
	bus_coalesce(b, r, E1000_RDT, 4, on);
}

bool e1000_queued(const struct e1000 *e)
{
	return e->queue && bus_queued(&e->nic.m->mmio);
}

void e1000_drain(struct e1000 *e)
{
	if (nic_has(&e->nic, RUNG_IRQ_PAGE))
		/* Descriptors first, then the queue: pairs with the guest, which writes
		 * IMC and then polls (e1000_irq_page.c). */
		atomic_thread_fence(memory_order_seq_cst);
	if (nic_has(&e->nic, RUNG_COALESCED) || nic_has(&e->nic, RUNG_IRQ_PAGE))
		bus_drain(&e->nic.m->mmio);
}

/* --- pages as memory, on and off --- */

/* nic.work and nic.lock held. */
static void e1000_ram_on(struct e1000 *e)
{
	struct region *r = &e->nic.pci.bar[E1000_BAR_MEM].region;
	struct bus *b = &e->nic.m->mmio;
	int err;

	for (uint32_t off = RX_PAGE; off < TX_PAGE + BUS_PAGE_SIZE; off += 4)
		e->pages[(off - RX_PAGE) / 4] = off < E1000_REG_END ? e1000_get(e, off) : 0;
	err = bus_page_set(b, r, E1000_PAGE_RX, PAGE_RAM);
	if (!err)
		err = bus_page_set(b, r, E1000_PAGE_TX, PAGE_RAM);
	if (err) {
		bus_page_set(b, r, E1000_PAGE_RX, PAGE_TRAP);
		trace(NET, "%s: doorbells stay registers: error %d", e->nic.cfg.name, err);
		return;
	}
	e->ram = true;
	counter_inc(&e->nic.stat.ram_spells);
}

/* What the driver wrote counts from now on. */
static void e1000_ram_take_back(struct e1000 *e, const struct e1000_reg *r)
{
	uint32_t old = e1000_get(e, r->off), val = e->pages[(r->off - RX_PAGE) / 4];

	val = (old & ~r->mask) | (val & r->mask);
	if (r->access != E1000_RW || val == old)
		return;
	atomic_store(&e->reg[r->off / 4], val);
	if (r->write)
		r->write(e, r->off / 4, val);
}

void e1000_ram_off(struct e1000 *e)
{
	struct region *r = &e->nic.pci.bar[E1000_BAR_MEM].region;

	if (!e->ram)
		return;
	bus_page_set(&e->nic.m->mmio, r, E1000_PAGE_RX, PAGE_TRAP);
	bus_page_set(&e->nic.m->mmio, r, E1000_PAGE_TX, PAGE_TRAP);
	e->ram = false;
	for (unsigned i = 0; i < e1000_table_rows; i++)
		if (e1000_table[i].off >= RX_PAGE && e1000_table[i].off < TX_PAGE + BUS_PAGE_SIZE)
			e1000_ram_take_back(e, &e1000_table[i]);
}

void e1000_bars_moving(struct pci_dev *d)
{
	struct e1000 *e = container_of(d, struct e1000, nic.pci);

	lock_take(&e->nic.work);
	lock_take(&e->nic.lock);
	e1000_ram_off(e);
	e1000_irq_page_off(e);
	lock_drop(&e->nic.lock);
	lock_drop(&e->nic.work);
}

/* --- polling: doorbells that nobody sees, and a watcher who looks --- */

void e1000_poll_begin(struct nic *n)
{
	struct e1000 *e = container_of(n, struct e1000, nic);

	lock_take(&n->lock);
	if (!e->ram && nic_has(n, RUNG_RAM) && e1000_both_on(e))
		e1000_ram_on(e);
	lock_drop(&n->lock);
	e1000_zones_set(e, true);
}

void e1000_look(struct nic *n)
{
	struct e1000 *e = container_of(n, struct e1000, nic);

	/* As if the doorbell had rung just now; or it is time for an interrupt. */
	if (!e->tx_awake &&
	    (e1000_tail(e, E1000_TDT) != e->tx_seen || e1000_queued(e) || e1000_tx_late(e)) &&
	    !atomic_exchange(&e->tx_awake, true))
		loop_event_signal(&e->tx_kick);
	if (e->rx_starved && e1000_tail(e, E1000_RDT) != e->rx_seen &&
	    atomic_exchange(&e->rx_starved, false))
		loop_event_signal(&e->rx_kick);
}

void e1000_catch_up(struct nic *n)
{
	struct e1000 *e = container_of(n, struct e1000, nic);

	if (n->polling)
		e1000_poll_begin(n); /* again, if something has ended it */
	e1000_drain(e);
	if (!e->tx_awake)
		e1000_tx_run(e);
	if (e1000_tail(e, E1000_RDT) != e->rx_seen && atomic_exchange(&e->rx_starved, false))
		e1000_rx_resume(e);
}

void e1000_poll_end(struct nic *n)
{
	struct e1000 *e = container_of(n, struct e1000, nic);

	lock_take(&n->lock);
	e1000_ram_off(e);
	lock_drop(&n->lock);
	e1000_zones_set(e, false);
	e1000_catch_up(n);
}

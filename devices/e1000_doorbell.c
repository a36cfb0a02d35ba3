/* SPDX-License-Identifier: MIT */
/*
 * e1000_doorbell.c: the two doorbells, TDT and RDT, and who answers them.
 *
 *   worker off   the vCPU that rings transmits, and goes on when the ring is empty
 *   worker on    the I/O thread is woken...
 *   kick         ...unless it is awake, and is going to look at the ring anyway
 */
#include "devices/e1000.h"

bool e1000_tx_sync(const struct e1000 *e, unsigned w)
{
	return w == E1000_TDT / 4 && !nic_has(&e->nic, RUNG_WORKER);
}

/* TDT says how far the driver has got. Only an I/O thread that sleeps is woken. */
void e1000_tdt_write(struct e1000 *e, unsigned w, uint32_t val)
{
	(void)val;
	counter_inc(&e->nic.stat.tx_kicks);
	if (e1000_tx_sync(e, w))
		return; /* e1000_reg_write() goes on to transmit */
	/* TDT is stored; is anybody going to look? Pairs with e1000_tx_idle(), which
	 * clears the flag before it looks a last time. Both seq_cst. */
	if (!atomic_exchange(&e->tx_awake, true) || !nic_has(&e->nic, RUNG_KICK))
		loop_event_signal(&e->tx_kick);
}

uint32_t e1000_tail(const struct e1000 *e, uint32_t off)
{
	return atomic_load(&e->reg[off / 4]);
}

void e1000_rdt_write(struct e1000 *e, unsigned w, uint32_t val)
{
	(void)w, (void)val;
	counter_inc(&e->nic.stat.rx_kicks);
	/* Likewise with e1000_rx_starve(). */
	if (atomic_exchange(&e->rx_starved, false) || !nic_has(&e->nic, RUNG_KICK))
		loop_event_signal(&e->rx_kick);
}

/* --- polling: doorbells that nobody sees, and a watcher who looks --- */

void e1000_poll_begin(struct nic *n)
{
	(void)n;
}

void e1000_look(struct nic *n)
{
	struct e1000 *e = container_of(n, struct e1000, nic);

	/* As if the doorbell had rung just now. */
	if (!e->tx_awake && e1000_tail(e, E1000_TDT) != e->tx_seen &&
	    !atomic_exchange(&e->tx_awake, true))
		loop_event_signal(&e->tx_kick);
	if (e->rx_starved && e1000_tail(e, E1000_RDT) != e->rx_seen &&
	    atomic_exchange(&e->rx_starved, false))
		loop_event_signal(&e->rx_kick);
}

void e1000_catch_up(struct nic *n)
{
	struct e1000 *e = container_of(n, struct e1000, nic);

	if (!e->tx_awake)
		e1000_tx_run(e);
	if (e1000_tail(e, E1000_RDT) != e->rx_seen && atomic_exchange(&e->rx_starved, false))
		e1000_rx_resume(e);
}

void e1000_poll_end(struct nic *n)
{
	e1000_catch_up(n);
}

/* SPDX-License-Identifier: MIT */
/*
 * test_e1000_irq_page.c: ICR and STATUS as memory. The driver is Linux's in small: handler()
 * is its interrupt handler up to the EOI, poll_ends() the end of its poll.
 */
#include "devices/e1000.h"
#include "tests/check_main.h"
#include "tests/rig/exam.h"
#include "tests/rig/nic_clock.h"
#include "tests/rig/ring_e1000.h"

#include <errno.h>
#include <stdio.h>

#define RXT0 E1000_ICR_RXT0
#define TXDW E1000_ICR_TXDW
#define LSC  E1000_ICR_LSC

static struct e1000 *dev(struct nic_rig *r)
{
	return container_of(r->nic, struct e1000, nic);
}

static enum page_mode page(struct nic_rig *r)
{
	return fake_page_mode(&r->m->accel, r->bar[0]);
}

/* As the worker does: what is queued is heard first. */
static void cause(struct nic_rig *r, uint32_t bits)
{
	struct e1000 *e = dev(r);

	nic_clock_pass(r, 1000000); /* ITR is not in the way */
	e1000_drain(e);
	lock_take(&e->nic.lock);
	e1000_irq_raise(e, bits);
	lock_drop(&e->nic.lock);
}

static uint32_t handler(struct nic_rig *r)
{
	uint32_t causes = er32(r, ICR);

	if (causes) {
		ew32(r, IMC, ~UINT32_C(0));
		er32(r, STATUS);
	}
	fake_guest_eoi(r->m->f, rig_gsi(r));
	return causes;
}

static void poll_ends(struct nic_rig *r)
{
	er32(r, STATUS);
	ew32(r, IMS, IMS_LINUX);
}

/* A card that is up, with the rungs of the test's index: bit 0: irq. ICR is memory. */
static struct nic_rig *card(int i)
{
	unsigned rungs = (LADDER_BEST | BIT(RUNG_IRQ_PAGE)) & ~BIT(RUNG_IRQ);
	struct nic_rig *r;
	char mask[16];

	snprintf(mask, sizeof(mask), "%#x", rungs | (i & 1 ? BIT(RUNG_IRQ) : 0));
	ck_assert_int_eq(setenv("DUET_RUNGS", mask, 1), 0);
	r = nic_rig_new(RIG_E1000, NULL);
	ck_assert_int_eq(page(r), PAGE_ROM);
	ck_assert_uint_eq(er32(r, ICR), 0);
	ck_assert(!rig_irq_level(r));
	rig_irq_clear(r);
	return r;
}

START_TEST(interrupt_costs_an_exit_for_each_write_that_must)
{
	struct nic_rig *r = card(_i);
	unsigned exits = r->m->accel.exits;

	cause(r, RXT0);
	ck_assert(rig_irq_level(r));
	ck_assert_uint_eq(handler(r), RXT0);
	ck_assert(!rig_irq_level(r));
	poll_ends(r);
	ck_assert_uint_eq(r->m->accel.exits - exits, rig_has(r, IRQ) ? 1 : 2);
	ck_assert_uint_eq(rig_irqs(r), 1);
	ck_assert_uint_eq(er32(r, ICR), 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(cause_that_no_poll_finds_waits_for_its_own_turn)
{
	struct nic_rig *r = card(_i);

	cause(r, RXT0);
	cause(r, TXDW);
	ck_assert_uint_eq(er32(r, ICR), RXT0 | TXDW);
	cause(r, LSC); /* between the handler's read and its acknowledge */
	for (unsigned i = 0; i < r->m->f->n_eois; i++)
		ck_assert(!r->m->f->eoi[i].watched); /* IMS follows: no need to be woken */
	ck_assert_uint_eq(handler(r), RXT0 | TXDW);
	ck_assert_uint_eq(rig_irqs(r), 1);
	nic_clock_pass(r, 1000000);
	poll_ends(r); /* which has found what RXT0 and TXDW are about */
	ck_assert(rig_irq_level(r));
	ck_assert_uint_eq(handler(r), LSC);
	poll_ends(r);
	ck_assert_uint_eq(rig_irqs(r), 2);
	ck_assert(!rig_irq_level(r));
	nic_rig_free(r);
}
END_TEST

/* Nothing but the IMS itself makes the device look. */
START_TEST(cause_during_the_poll_interrupts_at_ims)
{
	struct nic_rig *r = card(_i);

	cause(r, RXT0);
	handler(r);
	cause(r, RXT0);
	rig_run(r);
	ck_assert(!rig_irq_level(r));
	ck_assert_uint_eq(er32(r, ICR), 0); /* private */
	poll_ends(r);
	ck_assert(rig_irq_level(r));
	ck_assert_uint_eq(handler(r), RXT0);
	nic_rig_free(r);
}
END_TEST

/* The queue is drained by the exit of IMS, before it. */
START_TEST(acknowledge_that_waits_in_the_queue_comes_before_ims)
{
	struct nic_rig *r = card(1);
	struct e1000 *e = dev(r);

	cause(r, RXT0);
	handler(r);
	ck_assert(bus_queued(&r->m->f->m.mmio));
	ck_assert_uint_eq(er32(r, ICR), RXT0); /* still */
	nic_clock_pass(r, 1000000);
	lock_take(&e->nic.lock);
	e1000_irq_raise(e, TXDW | LSC); /* missed it by a hair */
	lock_drop(&e->nic.lock);
	ck_assert_uint_eq(rig_irqs(r), 2);
	ck_assert_uint_eq(handler(r), RXT0 | TXDW); /* in vain */
	poll_ends(r);
	nic_clock_pass(r, 1000000);
	ck_assert(rig_irq_level(r));
	ck_assert_uint_eq(handler(r), LSC); /* not lost, and TXDW polled twice */
	poll_ends(r);
	ck_assert(!rig_irq_level(r));
	nic_rig_free(r);
}
END_TEST

START_TEST(worker_hears_an_acknowledge_before_it_interrupts)
{
	struct nic_rig *r = card(1);
	uint8_t frame[100];

	frame_plain(frame, sizeof(frame), r->mac, 1);
	rig_post_rx(r, 8);
	cause(r, RXT0);
	handler(r); /* IMC is in the queue */
	rig_receive(r, frame, sizeof(frame), NULL);
	rig_run(r);
	ck_assert_uint_eq(rig_stat(r, rx_frames), 1);
	ck_assert_uint_eq(rig_irqs(r), 1); /* masked */
	nic_clock_pass(r, 1000000);
	poll_ends(r);
	ck_assert_uint_eq(rig_irqs(r), 2);
	nic_rig_free(r);
}
END_TEST

START_TEST(timer_hears_an_acknowledge_before_it_interrupts)
{
	struct nic_rig *r = card(1);

	cause(r, RXT0);
	fake_guest_eoi(r->m->f, rig_gsi(r)); /* unacknowledged: it is to come again, */
	ew32(r, E1000_ITR, 0xffff);          /* but not yet */
	ew32(r, E1000_ICS, TXDW);
	ck_assert_uint_ne(dev(r)->itr_due, 0);
	handler(r);
	nic_clock_pass(r, 0xffff * 256);
	ck_assert_uint_eq(dev(r)->itr_due, 0);
	ck_assert_uint_eq(rig_irqs(r), 1);
	nic_rig_free(r);
}
END_TEST

/* disable_irq(): EOI without a handler. */
START_TEST(interrupt_without_acknowledge_comes_again)
{
	struct nic_rig *r = card(_i);

	cause(r, RXT0);
	fake_guest_eoi(r->m->f, rig_gsi(r));
	ck_assert_int_eq(rig_irq_level(r), !rig_has(r, IRQ));
	nic_clock_pass(r, 1000000);
	ew32(r, E1000_ICS, E1000_ICR_RXDMT0); /* the watchdog's */
	ck_assert(rig_irq_level(r));
	ck_assert_uint_eq(handler(r), RXT0 | E1000_ICR_RXDMT0);
	nic_clock_pass(r, 1000000);
	poll_ends(r);
	ck_assert_uint_eq(handler(r), 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(another_cards_interrupt_finds_nothing)
{
	struct nic_rig *r = card(_i);

	ck_assert_uint_eq(handler(r), 0);
	cause(r, RXT0);
	handler(r);
	poll_ends(r);
	ck_assert_uint_eq(handler(r), 0);
	nic_rig_free(r);
}
END_TEST

/* Every register of the page reads the same as from the handlers, before and after writes. */
static void exam_page_reads(struct nic_rig *r)
{
	for (const struct e1000_reg *g = e1000_table; g->off < BUS_PAGE_SIZE; g++) {
		uint32_t mem = er32(r, g->off), reg = e1000_reg_read(dev(r), g->off);

		ck_assert_msg(mem == reg, "%s: %#x, not %#x", g->name, mem, reg);
	}
	ck_assert_int_eq(page(r), PAGE_ROM);
}

START_TEST(page_reads_as_the_registers)
{
	struct nic_rig *r = card(_i);

	exam_page_reads(r);
	cause(r, RXT0);
	exam_page_reads(r);
	for (const struct e1000_reg *g = e1000_table; g->off < BUS_PAGE_SIZE; g++) {
		uint32_t val = 0x5a5a5a5a;

		if (g->off == E1000_CTRL)
			val &= ~(E1000_CTRL_RST | E1000_CTRL_PHY_RST);
		if (g->off == E1000_RCTL || g->off == E1000_TCTL)
			val |= RCTL_EN;
		if (g->off == E1000_ICR || g->off == E1000_IMC)
			continue; /* end it */
		ew32(r, g->off, val);
		exam_page_reads(r);
	}
	nic_rig_free(r);
}
END_TEST

START_TEST(phy_and_eeprom_answer_through_memory)
{
	struct nic_rig *r = card(_i);
	unsigned exits = r->m->accel.exits;

	ew32(r, E1000_MDIC,
	     E1000_MDIC_OP_READ | E1000_PHY_ADDR << E1000_MDIC_PHY_SHIFT |
		     2 << E1000_MDIC_REG_SHIFT);
	ck_assert_uint_eq(er32(r, E1000_MDIC) & (E1000_MDIC_R | 0xffff), E1000_MDIC_R | 0x0141);
	ew32(r, EERD, 1);
	ck_assert_uint_eq(er32(r, EERD) >> 16, r->mac[0] | r->mac[1] << 8);
	ew32(r, E1000_EECD, E1000_EECD_REQ);
	ck_assert(er32(r, E1000_EECD) & E1000_EECD_GNT);
	ck_assert_uint_eq(r->m->accel.exits - exits, 3);
	ck_assert_int_eq(page(r), PAGE_ROM);
	nic_rig_free(r);
}
END_TEST

/* Who ends it; bit 0 of the index: irq. */
static void ends_tx(struct nic_rig *r)
{
	ew32(r, TCTL, TCTL_LINUX & ~TCTL_EN);
}

static void ends_rx(struct nic_rig *r)
{
	ew32(r, RCTL, er32(r, RCTL) & ~RCTL_EN);
}

static void ends_mask(struct nic_rig *r) /* not as Linux does */
{
	ew32(r, IMC, RXT0);
	fake_load(&r->m->accel, r->bar[0] + E1000_CRCERRS, 4); /* drains */
}

static void ends_clear(struct nic_rig *r)
{
	ew32(r, ICR, TXDW);
}

static void (*const ends[])(struct nic_rig *) = { ends_tx, ends_rx, ends_mask, ends_clear };

START_TEST(registers_go_on_from_what_was_shown_and_private)
{
	struct nic_rig *r = card(_i);

	cause(r, RXT0);
	cause(r, LSC);
	ends[_i / 2](r);
	ck_assert_int_eq(page(r), PAGE_TRAP);
	ck_assert_uint_eq(er32(r, ICR), RXT0 | LSC);
	ck_assert_uint_eq(er32(r, ICR), 0); /* cleared by a read again */
	fake_guest_eoi(r->m->f, rig_gsi(r));
	ck_assert(!rig_irq_level(r));
	nic_rig_free(r);
}
END_TEST

START_TEST(reset_and_restart_leave_and_enter)
{
	struct nic_rig *r = card(_i);

	cause(r, RXT0);
	ew32(r, CTRL, CTRL_RST);
	ck_assert_int_eq(page(r), PAGE_TRAP);
	ck_assert_uint_eq(er32(r, ICR), 0);
	ck_assert_uint_eq(er32(r, IMS), 0);
	fake_guest_eoi(r->m->f, rig_gsi(r));
	ck_assert(!rig_irq_level(r));
	rig_restart(r);
	ck_assert_int_eq(page(r), PAGE_ROM);
	ck_assert_uint_eq(rig_stat(r, irq_page_spells), 2);
	exam_works(r);
	nic_rig_free(r);
}
END_TEST

START_TEST(moving_the_bar_leaves_until_the_next_ims)
{
	struct nic_rig *r = card(_i);
	uint64_t was = r->bar[0];

	cause(r, RXT0);
	fake_pci_write(r->m->f, r->slot, PCI_BASE_ADDRESS_0, 4, (uint32_t)was + 0x1000000);
	ck_assert_int_eq(page(r), PAGE_TRAP);
	r->bar[0] += 0x1000000;
	ck_assert_int_eq(page(r), PAGE_TRAP);
	ck_assert_uint_eq(handler(r), RXT0);
	poll_ends(r);
	ck_assert_int_eq(page(r), PAGE_ROM);
	cause(r, TXDW);
	ck_assert_uint_eq(handler(r), TXDW);
	nic_rig_free(r);
}
END_TEST

/* The line is up when the page becomes memory: what raised it can be read there. */
START_TEST(cause_that_waits_when_it_begins_is_shown)
{
	struct nic_rig *r = card(_i);

	ends_tx(r);
	ck_assert_uint_eq(er32(r, ICR), 0);
	ew32(r, E1000_ICS, LSC);
	ck_assert(rig_irq_level(r));
	ew32(r, TCTL, TCTL_LINUX);
	ck_assert_int_eq(page(r), PAGE_TRAP);
	ew32(r, IMS, IMS_LINUX);
	ck_assert_int_eq(page(r), PAGE_ROM);
	for (unsigned i = 0; i < 2 && handler(r) != LSC; i++) {
		ck_assert_uint_eq(i, 0); /* with irq, once in vain: it is raised by the EOI */
		ck_assert(rig_has(r, IRQ));
		fake_machine_run(r->m->f);
		ck_assert(rig_irq_level(r));
	}
	poll_ends(r);
	ck_assert_uint_eq(er32(r, ICR), 0);
	ck_assert(!rig_irq_level(r));
	nic_rig_free(r);
}
END_TEST

/* The handler has read the register, and EOIs only after IMS: what is in ICR is new. */
START_TEST(cause_that_came_before_the_eoi_is_raised_by_it)
{
	struct nic_rig *r = card(1);

	ends_tx(r);
	ew32(r, E1000_ICS, LSC);
	ck_assert_uint_eq(er32(r, ICR), LSC);
	ew32(r, IMC, ~UINT32_C(0));
	ew32(r, E1000_ICS, RXT0);
	ew32(r, TCTL, TCTL_LINUX);
	nic_clock_pass(r, 1000000);
	ew32(r, IMS, IMS_LINUX);
	ck_assert_int_eq(page(r), PAGE_ROM);
	rig_eoi(r);
	ck_assert(rig_irq_level(r));
	ck_assert_uint_eq(handler(r), RXT0);
	nic_rig_free(r);
}
END_TEST

START_TEST(hypervisor_that_refuses_is_asked_once_a_reset)
{
	struct nic_rig *r = card(_i);

	ends[0](r);
	r->m->accel.fail = -EINVAL;
	rig_restart(r);
	ck_assert_int_eq(page(r), PAGE_TRAP);
	cause(r, RXT0);
	ck_assert_uint_eq(handler(r), RXT0);
	r->m->accel.fail = 0;
	poll_ends(r);
	ck_assert_int_eq(page(r), PAGE_TRAP);
	exam_works(r);
	rig_restart(r);
	ck_assert_int_eq(page(r), PAGE_ROM);
	nic_rig_free(r);
}
END_TEST

START_TEST(register_behind_the_io_bar_reads_what_is_shown)
{
	struct nic_rig *r = card(_i);

	cause(r, RXT0);
	bus_write(&r->m->f->m.pio, r->bar[2] + E1000_IOADDR, 4, E1000_ICR);
	ck_assert_uint_eq(bus_read(&r->m->f->m.pio, r->bar[2] + E1000_IODATA, 4), RXT0);
	ck_assert_uint_eq(handler(r), RXT0);
	nic_rig_free(r);
}
END_TEST

static const struct test_entry tests[] = {
	TLOOP(interrupt_costs_an_exit_for_each_write_that_must, 0, 2),
	TLOOP(cause_that_no_poll_finds_waits_for_its_own_turn, 0, 2),
	TLOOP(cause_during_the_poll_interrupts_at_ims, 0, 2),
	T(acknowledge_that_waits_in_the_queue_comes_before_ims),
	T(worker_hears_an_acknowledge_before_it_interrupts),
	T(timer_hears_an_acknowledge_before_it_interrupts),
	T(cause_that_came_before_the_eoi_is_raised_by_it),
	TLOOP(interrupt_without_acknowledge_comes_again, 0, 2),
	TLOOP(another_cards_interrupt_finds_nothing, 0, 2),
	TLOOP(page_reads_as_the_registers, 0, 2),
	TLOOP(phy_and_eeprom_answer_through_memory, 0, 2),
	TLOOP(registers_go_on_from_what_was_shown_and_private, 0, 8),
	TLOOP(reset_and_restart_leave_and_enter, 0, 2),
	TLOOP(moving_the_bar_leaves_until_the_next_ims, 0, 2),
	TLOOP(cause_that_waits_when_it_begins_is_shown, 0, 2),
	TLOOP(hypervisor_that_refuses_is_asked_once_a_reset, 0, 2),
	TLOOP(register_behind_the_io_bar_reads_what_is_shown, 0, 2),
};

CHECK_MAIN("e1000 ICR as memory", tests)

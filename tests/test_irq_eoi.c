/* SPDX-License-Identifier: MIT */
/* test_irq_eoi.c: INTA# as a line that falls at the guest's EOI (pci_intx_eoi()). */
#include "devices/pci.h"
#include "tests/check_main.h"
#include "tests/rig/fake_machine.h"

#define SLOT  3
#define OTHER (SLOT + GSI_PCI_NR) /* shares the line */
#define GSI   (GSI_PCI_BASE + SLOT)

static struct fake_machine *f;
static struct pci_host *host;
static struct pci_dev d, other;
static struct irq_eoi *eoi;
static unsigned came;

static void on_eoi(struct irq_eoi *e)
{
	ck_assert_ptr_eq(e->user, &d);
	came++;
}

static void attach(struct pci_dev *dev, unsigned slot)
{
	static const struct pci_id id = { .vendor = 0x1234, .device = 0x5678 };

	pci_init(dev, &id);
	ck_assert_int_eq(pci_attach(host, dev, slot), 0);
}

static void setup(void)
{
	f = fake_machine_new(1 << 20);
	host = pci_host_new(&f->m);
	attach(&d, SLOT);
	attach(&other, OTHER);
	eoi = pci_intx_eoi(&d);
	ck_assert_ptr_nonnull(eoi);
	eoi->came = on_eoi;
	eoi->user = &d;
	came = 0;
}

static void teardown(void)
{
	pci_fini(&d);
	pci_fini(&other);
	pci_host_free(host);
	fake_machine_free(f);
}

static void veto(bool on)
{
	fake_pci_write(f, SLOT, PCI_COMMAND, 2, on ? PCI_COMMAND_INTX_DISABLE : 0);
}

static bool status_bit(void)
{
	return fake_pci_read(f, SLOT, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT;
}

START_TEST(line_is_up_from_raise_to_eoi)
{
	setup();
	ck_assert(irq_eoi_acked(eoi));
	ck_assert(!fake_gsi_level(f, GSI) && !status_bit());
	irq_eoi_raise(eoi);
	irq_eoi_raise(eoi);
	ck_assert(fake_gsi_level(f, GSI) && status_bit());
	ck_assert(!irq_eoi_acked(eoi));
	fake_guest_eoi(f, GSI);
	ck_assert(!fake_gsi_level(f, GSI) && !status_bit());
	ck_assert(irq_eoi_acked(eoi));
	ck_assert(irq_eoi_acked(eoi));
	irq_eoi_raise(eoi);
	ck_assert(fake_gsi_level(f, GSI) && !irq_eoi_acked(eoi));
	teardown();
}
END_TEST

START_TEST(eoi_before_the_raise_does_not_count)
{
	setup();
	fake_guest_eoi(f, GSI); /* another device's */
	irq_eoi_raise(eoi);
	ck_assert(!irq_eoi_acked(eoi));
	teardown();
}
END_TEST

START_TEST(watched_eoi_is_told_once)
{
	setup();
	irq_eoi_raise(eoi);
	ck_assert(irq_eoi_watch(eoi, f->m.loop));
	fake_machine_run(f);
	ck_assert_uint_eq(came, 0);
	fake_guest_eoi(f, GSI);
	fake_machine_run(f);
	ck_assert_uint_eq(came, 1);
	ck_assert(irq_eoi_acked(eoi));
	irq_eoi_raise(eoi);
	fake_guest_eoi(f, GSI);
	fake_machine_run(f);
	ck_assert_uint_eq(came, 1);                /* nobody asked */
	ck_assert(!irq_eoi_watch(eoi, f->m.loop)); /* it has been */
	teardown();
}
END_TEST

START_TEST(veto_keeps_the_wish_back)
{
	setup();
	veto(true);
	irq_eoi_raise(eoi);
	ck_assert(!fake_gsi_level(f, GSI) && status_bit());
	ck_assert(irq_eoi_watch(eoi, f->m.loop));
	fake_guest_eoi(f, GSI); /* was for another device */
	fake_machine_run(f);
	ck_assert(!irq_eoi_acked(eoi) && status_bit());
	ck_assert(irq_eoi_watch(eoi, f->m.loop));
	fake_machine_run(f);
	came = 0;
	veto(false);
	ck_assert(fake_gsi_level(f, GSI) && !irq_eoi_acked(eoi));
	fake_guest_eoi(f, GSI);
	fake_machine_run(f);
	ck_assert_uint_eq(came, 1);
	ck_assert(irq_eoi_acked(eoi));
	veto(true);
	veto(false);
	ck_assert(!fake_gsi_level(f, GSI));
	teardown();
}
END_TEST

/* It cannot be taken back; but the next one waits. */
START_TEST(veto_after_the_raise_comes_with_the_eoi)
{
	setup();
	irq_eoi_raise(eoi);
	veto(true);
	ck_assert(fake_gsi_level(f, GSI));
	fake_guest_eoi(f, GSI);
	ck_assert(irq_eoi_acked(eoi));
	irq_eoi_raise(eoi);
	ck_assert(!fake_gsi_level(f, GSI));
	teardown();
}
END_TEST

START_TEST(both_kinds_of_line_are_ored)
{
	setup();
	pci_intx_set(&other, true);
	irq_eoi_raise(eoi);
	fake_guest_eoi(f, GSI);
	ck_assert(fake_gsi_level(f, GSI));
	ck_assert(irq_eoi_acked(eoi));
	irq_eoi_raise(eoi);
	pci_intx_set(&other, false);
	ck_assert(fake_gsi_level(f, GSI));
	fake_guest_eoi(f, GSI);
	ck_assert(!fake_gsi_level(f, GSI));
	pci_intx_set(&d, true); /* one device, both */
	ck_assert(fake_gsi_level(f, GSI) && status_bit());
	teardown();
}
END_TEST

START_TEST(an_eoi_is_for_all_who_share_the_line)
{
	struct irq_eoi *e2;

	setup();
	e2 = pci_intx_eoi(&other);
	ck_assert_ptr_ne(e2, eoi);
	ck_assert_ptr_eq(pci_intx_eoi(&other), e2);
	irq_eoi_raise(eoi);
	irq_eoi_raise(e2);
	fake_guest_eoi(f, GSI);
	ck_assert(irq_eoi_acked(eoi) && irq_eoi_acked(e2));
	irq_eoi_raise(e2); /* its cause persists */
	ck_assert(fake_gsi_level(f, GSI));
	ck_assert(irq_eoi_acked(eoi));
	teardown();
}
END_TEST

START_TEST(machine_without_such_lines_says_so)
{
	setup();
	f->m.irq_eoi = NULL;
	ck_assert_ptr_null(pci_intx_eoi(&other));
	pci_intx_set(&other, true); /* the other kind works all the same */
	ck_assert(fake_gsi_level(f, GSI));
	fake_pci_write(f, OTHER, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
	ck_assert(!fake_gsi_level(f, GSI));
	teardown();
}
END_TEST

static const struct test_entry tests[] = {
	T(line_is_up_from_raise_to_eoi),
	T(eoi_before_the_raise_does_not_count),
	T(watched_eoi_is_told_once),
	T(veto_keeps_the_wish_back),
	T(veto_after_the_raise_comes_with_the_eoi),
	T(both_kinds_of_line_are_ored),
	T(an_eoi_is_for_all_who_share_the_line),
	T(machine_without_such_lines_says_so),
};

CHECK_MAIN("irq_eoi", tests)

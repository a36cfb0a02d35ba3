/* SPDX-License-Identifier: MIT */
/* test.c: a driver for the card: finds it, gives it a message, asks for squares. */
#include "exercise.h"
#include "tests/check_main.h"
#include "tests/rig/fake_machine.h"

#define SLOT 4u

static struct fake_machine *f;
static struct pci_host *host;
static struct card *card;
static uint64_t bar, table;
static unsigned cap;

/* The first capability with this number; 0: none. */
static unsigned find_cap(uint8_t id)
{
	unsigned at = fake_pci_read(f, SLOT, PCI_CAPABILITY_LIST, 1);

	for (unsigned i = 0; at && i < 48; i++, at = fake_pci_read(f, SLOT, at + 1, 1))
		if (fake_pci_read(f, SLOT, at, 1) == id)
			return at;
	return 0;
}

static void up(void)
{
	f = fake_machine_new(4096);
	host = pci_host_new(&f->m);
	card = card_new(&f->m, host, SLOT);
	ck_assert_ptr_nonnull(card);
	fake_pci_write(f, SLOT, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	bar = fake_pci_bar(f, SLOT, CARD_BAR);
	cap = find_cap(PCI_CAP_ID_MSIX);
}

static void down(void)
{
	card_free(card);
	pci_host_free(host);
	fake_machine_free(f);
}

static void mask(bool on)
{
	bus_write(&f->m.mmio, table + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, on);
}

static void enable(void)
{
	ck_assert_msg(cap, "the card has no MSI-X capability");
	table = fake_pci_bar(f, SLOT, CARD_BAR_MSIX);
	bus_write(&f->m.mmio, table + PCI_MSIX_ENTRY_LOWER_ADDR, 4, 0xfee00000);
	bus_write(&f->m.mmio, table + PCI_MSIX_ENTRY_DATA, 4, 0x41);
	mask(false);
	fake_pci_write(f, SLOT, cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
}

static uint32_t square(uint32_t n)
{
	bus_write(&f->m.mmio, bar + CARD_NUMBER, 4, n);
	return (uint32_t)bus_read(&f->m.mmio, bar + CARD_SQUARE, 4);
}

START_TEST(squares_without_a_message)
{
	up();
	ck_assert_uint_eq(fake_pci_read(f, SLOT, PCI_VENDOR_ID, 2), CARD_VENDOR);
	ck_assert_uint_eq(square(12), 144);
	ck_assert_uint_eq(f->msi[0].fires, 0);
	down();
}
END_TEST

START_TEST(a_message_for_each_square)
{
	up();
	enable();
	ck_assert_uint_eq(square(3), 9);
	ck_assert_uint_eq(square(0xffffffff), 1);
	ck_assert_uint_eq(f->msi[0].fires, 2);
	ck_assert_uint_eq(f->msi[0].data, 0x41);
	bus_write(&f->m.mmio, bar + CARD_SQUARE, 4, 7);
	ck_assert_uint_eq(f->msi[0].fires, 2);
	down();
}
END_TEST

START_TEST(what_is_masked_comes_later)
{
	up();
	enable();
	mask(true);
	square(5);
	ck_assert_uint_eq(f->msi[0].fires, 0);
	mask(false);
	ck_assert_uint_eq(f->msi[0].fires, 1);
	down();
}
END_TEST

START_TEST(no_vector_no_card)
{
	f = fake_machine_new(4096);
	host = pci_host_new(&f->m);
	f->max_msi = 0;
	ck_assert_ptr_null(card_new(&f->m, host, SLOT));
	pci_host_free(host);
	fake_machine_free(f);
}
END_TEST

static const struct test_entry tests[] = {
	T(squares_without_a_message),
	T(a_message_for_each_square),
	T(what_is_masked_comes_later),
	T(no_vector_no_card),
};

CHECK_MAIN("message-card", tests)

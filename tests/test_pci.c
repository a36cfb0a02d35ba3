/* SPDX-License-Identifier: MIT */
/* test_pci.c: configuration space, BARs and INTx, seen from the driver's side. */
#include "devices/pci.h"
#include "tests/check_main.h"
#include "tests/rig/fake_machine.h"

#include <errno.h>
#include <stdlib.h>

#define ABSENT   9u /* a slot without a device */
#define MEM_SIZE 0x20000u
#define IO_SIZE  64u

/* A device with a memory BAR and an I/O BAR whose registers read as their offset. */
struct toy {
	struct pci_dev pci;
	unsigned reads, config_writes;
};

static uint64_t toy_read(void *dev, uint64_t off, unsigned size)
{
	struct toy *t = dev;

	(void)size;
	t->reads++;
	return off;
}

static void toy_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	(void)dev, (void)off, (void)size, (void)val;
}

static const struct region_ops toy_ops = { .read = toy_read, .write = toy_write, .sizes = 4 };

static void toy_config_written(struct pci_dev *d, unsigned off, unsigned size)
{
	(void)off, (void)size;
	container_of(d, struct toy, pci)->config_writes++;
}

static void toy_init(struct toy *t)
{
	static const struct pci_id id = { .vendor = 0x1234,
					  .device = 0x5678,
					  .subsys_vendor = 0x9abc,
					  .subsys = 0xdef0,
					  .class_code = 0x020000,
					  .revision = 3 };

	t->reads = t->config_writes = 0;
	pci_init(&t->pci, &id);
	t->pci.config_written = toy_config_written;
	pci_bar_init(&t->pci, 0, false, MEM_SIZE, "toy-mem", &toy_ops, t);
	pci_bar_init(&t->pci, 1, true, IO_SIZE, "toy-io", &toy_ops, t);
}

static struct fake_machine *f;
static struct pci_host *host;
static struct toy a, b; /* slots 1 and 2 */

static void setup(void)
{
	f = fake_machine_new(1 << 20);
	host = pci_host_new(&f->m);
	toy_init(&a);
	toy_init(&b);
	ck_assert_int_eq(pci_attach(host, &a.pci, 1), 0);
	ck_assert_int_eq(pci_attach(host, &b.pci, 2), 0);
}

static void teardown(void)
{
	pci_fini(&a.pci);
	pci_fini(&b.pci);
	pci_host_free(host);
	fake_machine_free(f);
}

static void decode(unsigned slot, uint32_t bits)
{
	fake_pci_write(f, slot, PCI_COMMAND, 2, bits);
}

static uint32_t mem_read(uint32_t addr)
{
	return (uint32_t)bus_read(&f->m.mmio, addr, 4);
}

START_TEST(identity_reads_back_in_every_width)
{
	setup();
	ck_assert_uint_eq(fake_pci_read(f, 1, PCI_VENDOR_ID, 4), 0x56781234);
	ck_assert_uint_eq(fake_pci_read(f, 1, PCI_DEVICE_ID, 2), 0x5678);
	ck_assert_uint_eq(fake_pci_read(f, 1, PCI_DEVICE_ID + 1, 1), 0x56);
	ck_assert_uint_eq(fake_pci_read(f, 1, PCI_CLASS_REVISION, 4), 0x02000003);
	ck_assert_uint_eq(fake_pci_read(f, 1, PCI_SUBSYSTEM_VENDOR_ID, 4), 0xdef09abc);
	teardown();
}
END_TEST

START_TEST(identity_is_read_only)
{
	setup();
	for (unsigned off = 0; off < 4; off++)
		fake_pci_write(f, 1, off, 1, 0xff);
	fake_pci_write(f, 1, PCI_CLASS_REVISION, 4, ~0u);
	fake_pci_write(f, 1, PCI_SUBSYSTEM_VENDOR_ID, 4, 0);
	ck_assert_uint_eq(fake_pci_read(f, 1, PCI_VENDOR_ID, 4), 0x56781234);
	ck_assert_uint_eq(fake_pci_read(f, 1, PCI_CLASS_REVISION, 4), 0x02000003);
	ck_assert_uint_eq(fake_pci_read(f, 1, PCI_SUBSYSTEM_VENDOR_ID, 4), 0xdef09abc);
	teardown();
}
END_TEST

START_TEST(absent_slot_reads_ones_and_takes_no_write)
{
	setup();
	for (unsigned size = 1; size <= 4; size *= 2)
		ck_assert_uint_eq(fake_pci_read(f, ABSENT, 0, size), bus_ones(size));
	fake_pci_write(f, ABSENT, PCI_COMMAND, 2, 7);
	ck_assert_uint_eq(fake_pci_read(f, ABSENT, PCI_COMMAND, 2), 0xffff);
	teardown();
}
END_TEST

/* Everything the latch can hold that is not bus 0, function 0, enabled. */
START_TEST(other_bus_function_or_disabled_mechanism_reads_ones)
{
	setup();
	static const uint32_t latch[] = { 0x00000800, 0x80010800, 0x80800800, 0x80000900,
					  0x80000f00 };

	for (unsigned i = 0; i < ARRAY_SIZE(latch); i++) {
		bus_write(&f->m.pio, 0xcf8, 4, latch[i]);
		ck_assert_uint_eq(bus_read(&f->m.pio, 0xcfc, 4), 0xffffffff);
	}
	bus_write(&f->m.pio, 0xcf8, 4, 0x80000800);
	ck_assert_uint_eq(bus_read(&f->m.pio, 0xcfc, 4), 0x56781234);
	teardown();
}
END_TEST

START_TEST(latch_takes_only_dwords_and_keeps_reserved_bits_zero)
{
	setup();
	bus_write(&f->m.pio, 0xcf8, 4, 0xffffffff);
	ck_assert_uint_eq(bus_read(&f->m.pio, 0xcf8, 4), 0x80fffffc);
	bus_write(&f->m.pio, 0xcfb, 1, 0x01); /* Linux's probe of mechanism #1 */
	bus_write(&f->m.pio, 0xcf9, 1, 0x06); /* the reset register of other chipsets */
	bus_write(&f->m.pio, 0xcf8, 2, 0);
	ck_assert_uint_eq(bus_read(&f->m.pio, 0xcf8, 4), 0x80fffffc);
	ck_assert_uint_eq(bus_read(&f->m.pio, 0xcf8, 1), 0xff);
	ck_assert_uint_eq(f->stops, 0);
	teardown();
}
END_TEST

START_TEST(access_across_the_dword_reads_ones)
{
	setup();
	bus_write(&f->m.pio, 0xcf8, 4, 0x80000800);
	ck_assert_uint_eq(bus_read(&f->m.pio, 0xcff, 1), 0x56);
	ck_assert_uint_eq(bus_read(&f->m.pio, 0xcfa, 4), 0xffffffff);
	ck_assert_uint_eq(bus_read(&f->m.pio, 0xcfd, 4), 0xffffffff);
	bus_write(&f->m.pio, 0xcfa, 4, 0); /* must not reach latch nor data */
	ck_assert_uint_eq(bus_read(&f->m.pio, 0xcfc, 4), 0x56781234);
	teardown();
}
END_TEST

START_TEST(host_bridge_sits_in_slot_0_and_ignores_writes)
{
	setup();
	ck_assert_uint_eq(fake_pci_read(f, 0, PCI_VENDOR_ID, 4), 0x0d578086);
	ck_assert_uint_eq(fake_pci_read(f, 0, PCI_CLASS_DEVICE, 2), 0x0600);
	for (unsigned off = 0; off < 256; off += 4) {
		uint32_t was = fake_pci_read(f, 0, off, 4);

		fake_pci_write(f, 0, off, 4, ~was);
		ck_assert_uint_eq(fake_pci_read(f, 0, off, 4), was);
	}
	teardown();
}
END_TEST

START_TEST(bars_tell_their_size)
{
	setup();
	uint32_t mem = fake_pci_read(f, 1, PCI_BASE_ADDRESS_0, 4);

	for (unsigned n = 0; n < 6; n++)
		fake_pci_write(f, 1, PCI_BASE_ADDRESS_0 + 4 * n, 4, ~0u);
	ck_assert_uint_eq(fake_pci_read(f, 1, PCI_BASE_ADDRESS_0, 4), ~(MEM_SIZE - 1));
	ck_assert_uint_eq(fake_pci_read(f, 1, PCI_BASE_ADDRESS_1, 4), ~(IO_SIZE - 1) | 1);
	for (unsigned n = 2; n < 6; n++)
		ck_assert_uint_eq(fake_pci_read(f, 1, PCI_BASE_ADDRESS_0 + 4 * n, 4), 0);
	fake_pci_write(f, 1, PCI_ROM_ADDRESS, 4, ~0u);
	ck_assert_uint_eq(fake_pci_read(f, 1, PCI_ROM_ADDRESS, 4), 0);
	fake_pci_write(f, 1, PCI_BASE_ADDRESS_0, 4, mem);
	ck_assert_uint_eq(fake_pci_read(f, 1, PCI_BASE_ADDRESS_0, 4), mem);
	teardown();
}
END_TEST

START_TEST(firmware_places_bars_apart_inside_the_windows)
{
	setup();
	uint32_t ma = fake_pci_bar(f, 1, 0), mb = fake_pci_bar(f, 2, 0);
	uint32_t ia = fake_pci_bar(f, 1, 1), ib = fake_pci_bar(f, 2, 1);

	ck_assert_uint_ge(ma, PCI_MMIO_BASE);
	ck_assert_uint_ge(mb, ma + MEM_SIZE);
	ck_assert_uint_lt(mb, PCI_MMIO_END);
	ck_assert_uint_ge(ia, PCI_PORT_BASE);
	ck_assert_uint_ge(ib, ia + IO_SIZE);
	ck_assert_uint_lt(ib, PCI_PORT_END);
	teardown();
}
END_TEST

START_TEST(decoding_follows_the_command_register)
{
	setup();
	uint32_t mem = fake_pci_bar(f, 1, 0), io = fake_pci_bar(f, 1, 1);

	ck_assert_uint_eq(mem_read(mem + 8), 0xffffffff);
	decode(1, PCI_COMMAND_MEMORY);
	ck_assert_uint_eq(mem_read(mem + 8), 8);
	ck_assert_uint_eq(bus_read(&f->m.pio, io + 4, 4), 0xffffffff);
	decode(1, PCI_COMMAND_IO);
	ck_assert_uint_eq(mem_read(mem + 8), 0xffffffff);
	ck_assert_uint_eq(bus_read(&f->m.pio, io + 4, 4), 4);
	decode(1, 0);
	ck_assert_uint_eq(bus_read(&f->m.pio, io + 4, 4), 0xffffffff);
	teardown();
}
END_TEST

START_TEST(bar_moves_while_it_decodes)
{
	setup();
	uint32_t mem = fake_pci_bar(f, 1, 0);

	decode(1, PCI_COMMAND_MEMORY);
	fake_pci_write(f, 1, PCI_BASE_ADDRESS_0, 4, 0xd0000000);
	ck_assert_uint_eq(mem_read(mem + 8), 0xffffffff);
	ck_assert_uint_eq(mem_read(0xd0000008), 8);
	fake_pci_write(f, 1, PCI_BASE_ADDRESS_0 + 2, 2, 0xd002); /* half a BAR at a time */
	ck_assert_uint_eq(mem_read(0xd0000008), 0xffffffff);
	ck_assert_uint_eq(mem_read(0xd0020008), 8);
	teardown();
}
END_TEST

START_TEST(bar_outside_the_window_is_not_decoded)
{
	setup();
	static const uint32_t where[] = { 0,          0x00100000, 0xbffe0000,
					  0xfec00000, 0xfee00000, 0xfffe0000 };

	decode(1, PCI_COMMAND_MEMORY);
	for (unsigned i = 0; i < ARRAY_SIZE(where); i++) {
		fake_pci_write(f, 1, PCI_BASE_ADDRESS_0, 4, where[i]);
		ck_assert_uint_eq(mem_read(where[i] + 8), 0xffffffff);
		ck_assert_uint_eq(fake_pci_bar(f, 1, 0), where[i]);
	}
	fake_pci_write(f, 1, PCI_BASE_ADDRESS_0, 4, PCI_MMIO_END - MEM_SIZE);
	ck_assert_uint_eq(mem_read(PCI_MMIO_END - MEM_SIZE + 8), 8);
	decode(1, PCI_COMMAND_IO);
	fake_pci_write(f, 1, PCI_BASE_ADDRESS_1, 4, PORT_RTC & ~3);
	ck_assert_uint_eq(bus_read(&f->m.pio, PORT_RTC & ~3, 4), 0xffffffff);
	teardown();
}
END_TEST

START_TEST(overlapping_bar_waits_until_the_other_is_gone)
{
	setup();
	uint32_t mem = fake_pci_bar(f, 1, 0);

	decode(1, PCI_COMMAND_MEMORY);
	decode(2, PCI_COMMAND_MEMORY);
	ck_assert_uint_eq(pci_undecoded(host), 0);
	fake_pci_write(f, 2, PCI_BASE_ADDRESS_0, 4, mem);
	ck_assert_uint_eq(pci_undecoded(host), 1);
	mem_read(mem);
	ck_assert_uint_eq(a.reads, 1);
	ck_assert_uint_eq(b.reads, 0);
	decode(1, 0);
	mem_read(mem);
	ck_assert_uint_eq(a.reads, 1);
	ck_assert_uint_eq(b.reads, 1);
	teardown();
}
END_TEST

START_TEST(command_register_keeps_only_its_bits)
{
	setup();
	fake_pci_write(f, 1, PCI_COMMAND, 2, 0xffff);
	ck_assert_uint_eq(fake_pci_read(f, 1, PCI_COMMAND, 2),
			  PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
				  PCI_COMMAND_PARITY | PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
	teardown();
}
END_TEST

START_TEST(bus_master_follows_its_bit)
{
	setup();
	ck_assert(!pci_bus_master(&a.pci));
	decode(1, PCI_COMMAND_MASTER);
	ck_assert(pci_bus_master(&a.pci));
	ck_assert(!pci_bus_master(&b.pci));
	decode(1, PCI_COMMAND_MEMORY);
	ck_assert(!pci_bus_master(&a.pci));
	teardown();
}
END_TEST

START_TEST(status_errors_clear_by_writing_one)
{
	setup();
	a.pci.config[PCI_STATUS + 1] = 0xf9; /* as if each error had happened */
	fake_pci_write(f, 1, PCI_STATUS, 2, PCI_STATUS_REC_MASTER_ABORT);
	ck_assert_uint_eq(fake_pci_read(f, 1, PCI_STATUS + 1, 1), 0xd9);
	fake_pci_write(f, 1, PCI_STATUS, 2, 0);
	ck_assert_uint_eq(fake_pci_read(f, 1, PCI_STATUS + 1, 1), 0xd9);
	fake_pci_write(f, 1, PCI_COMMAND, 4, 0xffff0000);
	ck_assert_uint_eq(fake_pci_read(f, 1, PCI_STATUS + 1, 1), 0);
	teardown();
}
END_TEST

START_TEST(hook_sees_each_write_after_it_took_effect)
{
	setup();
	fake_pci_write(f, 1, PCI_COMMAND, 2, 1);
	fake_pci_write(f, 1, PCI_INTERRUPT_LINE, 1, 5);
	ck_assert_uint_eq(a.config_writes, 2);
	ck_assert_uint_eq(b.config_writes, 0);
	ck_assert_uint_eq(a.pci.config[PCI_INTERRUPT_LINE], 5);
	teardown();
}
END_TEST

START_TEST(capabilities_form_a_list)
{
	setup();
	static const uint8_t body[] = { 0x11, 0x22, 0x33, 0x44, 0x55 };
	struct toy t;
	uint8_t one, two;

	toy_init(&t);
	one = pci_cap_add(&t.pci, PCI_CAP_ID_VNDR, 7, body);
	two = pci_cap_add(&t.pci, PCI_CAP_ID_MSIX, 12, NULL);
	ck_assert_int_eq(pci_attach(host, &t.pci, 3), 0);
	ck_assert_uint_eq(fake_pci_read(f, 3, PCI_CAPABILITY_LIST, 1), one);
	ck_assert_uint_eq(fake_pci_read(f, 3, one, 4), 0x22110009 | two << 8);
	ck_assert_uint_eq(fake_pci_read(f, 3, one + 4, 4), 0x00554433);
	ck_assert_uint_eq(fake_pci_read(f, 3, two, 4), PCI_CAP_ID_MSIX);
	ck_assert_uint_eq(two % 4, 0);
	ck_assert(fake_pci_read(f, 3, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
	fake_pci_write(f, 3, one + 4, 4, 0);
	ck_assert_uint_eq(fake_pci_read(f, 3, one + 4, 4), 0x00554433);
	ck_assert(!(fake_pci_read(f, 1, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST));
	ck_assert_uint_eq(fake_pci_read(f, 1, PCI_CAPABILITY_LIST, 1), 0);
	pci_fini(&t.pci);
	teardown();
}
END_TEST

START_TEST(intx_drives_the_slots_line_and_shows_in_status)
{
	setup();
	ck_assert_uint_eq(fake_pci_read(f, 1, PCI_INTERRUPT_LINE, 2), 0x0100 | 17);
	pci_intx_set(&a.pci, true);
	pci_intx_set(&a.pci, true);
	ck_assert(f->irq[17].level);
	ck_assert_uint_eq(f->irq[17].edges, 1);
	ck_assert(!f->irq[18].level);
	ck_assert(fake_pci_read(f, 1, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	ck_assert(fake_pci_read(f, 1, PCI_COMMAND, 4) & PCI_STATUS_INTERRUPT << 16);
	ck_assert(!(fake_pci_read(f, 2, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT));
	pci_intx_set(&a.pci, false);
	ck_assert(!f->irq[17].level);
	ck_assert(!(fake_pci_read(f, 1, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT));
	teardown();
}
END_TEST

START_TEST(intx_disable_vetoes_the_line_not_the_status)
{
	setup();
	decode(1, PCI_COMMAND_INTX_DISABLE);
	pci_intx_set(&a.pci, true);
	ck_assert(!f->irq[17].level);
	ck_assert(fake_pci_read(f, 1, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	decode(1, 0);
	ck_assert(f->irq[17].level);
	decode(1, PCI_COMMAND_INTX_DISABLE);
	ck_assert(!f->irq[17].level);
	teardown();
}
END_TEST

START_TEST(shared_line_stays_up_while_one_wants_it)
{
	setup();
	struct toy t;

	toy_init(&t);
	ck_assert_int_eq(pci_attach(host, &t.pci, 1 + GSI_PCI_NR), 0);
	pci_intx_set(&a.pci, true);
	pci_intx_set(&t.pci, true);
	pci_intx_set(&a.pci, false);
	ck_assert(f->irq[17].level);
	pci_intx_set(&t.pci, false);
	ck_assert(!f->irq[17].level);
	ck_assert_uint_eq(f->irq[17].edges, 1);
	pci_fini(&t.pci);
	teardown();
}
END_TEST

START_TEST(attach_refuses_bad_and_taken_slots)
{
	setup();
	struct toy t;

	toy_init(&t);
	ck_assert_int_eq(pci_attach(host, &t.pci, 0), -EINVAL);
	ck_assert_int_eq(pci_attach(host, &t.pci, PCI_SLOTS), -EINVAL);
	ck_assert_int_eq(pci_attach(host, &t.pci, 1), -EEXIST);
	ck_assert_int_eq(pci_attach(host, &t.pci, PCI_SLOTS - 1), 0);
	pci_fini(&t.pci);
	ck_assert_uint_eq(fake_pci_read(f, PCI_SLOTS - 1, 0, 4), 0xffffffff);
	teardown();
}
END_TEST

START_TEST(attach_refuses_bars_that_find_no_room)
{
	setup();
	static const struct pci_id id = { .vendor = 1 };
	struct pci_dev d[3];

	for (unsigned i = 0; i < 3; i++) {
		pci_init(&d[i], &id);
		pci_bar_init(&d[i], 0, false, 1 << 28, "huge", &toy_ops, &a);
	}
	ck_assert_int_eq(pci_attach(host, &d[0], 3), 0);
	ck_assert_int_eq(pci_attach(host, &d[1], 4), 0);
	ck_assert_int_eq(pci_attach(host, &d[2], 5), -ENOSPC);
	ck_assert_uint_eq(fake_pci_read(f, 5, 0, 4), 0xffffffff);
	for (unsigned i = 0; i < 3; i++)
		pci_fini(&d[i]);
	teardown();
}
END_TEST

START_TEST(device_that_leaves_takes_its_bars_along)
{
	setup();
	struct toy t;
	uint32_t mem;

	toy_init(&t);
	ck_assert_int_eq(pci_attach(host, &t.pci, 3), 0);
	mem = fake_pci_bar(f, 3, 0);
	decode(3, PCI_COMMAND_MEMORY);
	ck_assert_uint_eq(mem_read(mem), 0);
	pci_fini(&t.pci);
	ck_assert_uint_eq(mem_read(mem), 0xffffffff);
	teardown();
}
END_TEST

START_TEST(second_host_on_the_same_ports_fails)
{
	setup();
	ck_assert_ptr_null(pci_host_new(&f->m));
	teardown();
}
END_TEST

/* The hook sees the BAR where it was, for the last time. */
static struct {
	unsigned calls;
	uint64_t base;
	bool mapped;
} moving;

static void toy_bars_moving(struct pci_dev *d)
{
	moving.calls++;
	moving.base = d->bar[0].region.base;
	moving.mapped = d->bar[0].region.mapped;
}

START_TEST(device_is_told_before_its_bars_move)
{
	uint32_t base;

	setup();
	memset(&moving, 0, sizeof(moving));
	a.pci.bars_moving = toy_bars_moving;
	base = fake_pci_bar(f, 1, 0);
	decode(1, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
	decode(1, PCI_COMMAND_MEMORY | PCI_COMMAND_IO | PCI_COMMAND_MASTER);
	fake_pci_write(f, 1, PCI_BASE_ADDRESS_0, 4, base);
	decode(2, PCI_COMMAND_MEMORY);
	decode(2, 0);
	ck_assert_uint_eq(moving.calls, 0);
	fake_pci_write(f, 1, PCI_BASE_ADDRESS_0, 4, base + 0x100000);
	ck_assert_uint_eq(moving.calls, 1);
	ck_assert(moving.mapped);
	ck_assert_uint_eq(moving.base, base);
	decode(1, 0);
	ck_assert_uint_eq(moving.calls, 2);
	ck_assert_uint_eq(moving.base, base + 0x100000);
	decode(1, 0);
	fake_pci_write(f, 1, PCI_BASE_ADDRESS_0, 4, base);
	ck_assert_uint_eq(moving.calls, 2);
	teardown();
}
END_TEST

static const struct test_entry tests[] = {
	T(identity_reads_back_in_every_width),
	T(identity_is_read_only),
	T(absent_slot_reads_ones_and_takes_no_write),
	T(other_bus_function_or_disabled_mechanism_reads_ones),
	T(latch_takes_only_dwords_and_keeps_reserved_bits_zero),
	T(access_across_the_dword_reads_ones),
	T(host_bridge_sits_in_slot_0_and_ignores_writes),
	T(bars_tell_their_size),
	T(firmware_places_bars_apart_inside_the_windows),
	T(decoding_follows_the_command_register),
	T(bar_moves_while_it_decodes),
	T(bar_outside_the_window_is_not_decoded),
	T(overlapping_bar_waits_until_the_other_is_gone),
	T(command_register_keeps_only_its_bits),
	T(bus_master_follows_its_bit),
	T(status_errors_clear_by_writing_one),
	T(hook_sees_each_write_after_it_took_effect),
	T(capabilities_form_a_list),
	T(intx_drives_the_slots_line_and_shows_in_status),
	T(intx_disable_vetoes_the_line_not_the_status),
	T(shared_line_stays_up_while_one_wants_it),
	T(attach_refuses_bad_and_taken_slots),
	T(attach_refuses_bars_that_find_no_room),
	T(device_that_leaves_takes_its_bars_along),
	T(second_host_on_the_same_ports_fails),
	T(device_is_told_before_its_bars_move),
};

CHECK_MAIN("pci", tests)

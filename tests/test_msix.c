/* SPDX-License-Identifier: MIT */
/* test_msix.c: the MSI-X table, its masks and pending bits, against recorded vectors. */
#include "devices/msix.h"
#include "tests/check_main.h"
#include "tests/rig/fake_machine.h"

#include <errno.h>

#define SLOT    1
#define ENTRIES 4
#define PBA     0x800
#define ADDR    0xfee01004u
#define DATA    0x4041u

/* A function with nothing but MSI-X, in BAR 1. */
struct toy {
	struct pci_dev pci;
	struct msix msix;
};

static struct fake_machine *f;
static struct pci_host *host;
static struct toy t;

static void toy_config_written(struct pci_dev *d, unsigned off, unsigned size)
{
	msix_config_written(&container_of(d, struct toy, pci)->msix, off, size);
}

static void setup(void)
{
	static const struct pci_id id = { .vendor = 0x1234, .device = 0x5678 };

	f = fake_machine_new(1 << 20);
	host = pci_host_new(&f->m);
	pci_init(&t.pci, &id);
	t.pci.config_written = toy_config_written;
	ck_assert_int_eq(msix_init(&t.msix, &t.pci, 1, ENTRIES, &f->m), 0);
	ck_assert_int_eq(pci_attach(host, &t.pci, SLOT), 0);
	fake_pci_write(f, SLOT, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
}

static void teardown(void)
{
	msix_destroy(&t.msix);
	pci_fini(&t.pci);
	pci_host_free(host);
	fake_machine_free(f);
}

static uint64_t table_read(unsigned off, unsigned size)
{
	return bus_read(&f->m.mmio, fake_pci_bar(f, SLOT, 1) + off, size);
}

static void table_write(unsigned off, unsigned size, uint64_t val)
{
	bus_write(&f->m.mmio, fake_pci_bar(f, SLOT, 1) + off, size, val);
}

static void control(unsigned flags)
{
	fake_pci_write(f, SLOT, t.msix.cap + PCI_MSIX_FLAGS, 2, flags);
}

static void mask(unsigned i, bool on)
{
	table_write(16 * i + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, on);
}

/* As Linux does: all masked by the function, entries written, then let go. */
static void program(unsigned i)
{
	control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	table_write(16 * i + PCI_MSIX_ENTRY_LOWER_ADDR, 4, ADDR);
	table_write(16 * i + PCI_MSIX_ENTRY_UPPER_ADDR, 4, 0);
	table_write(16 * i + PCI_MSIX_ENTRY_DATA, 4, DATA + i);
	mask(i, false);
	control(PCI_MSIX_FLAGS_ENABLE);
}

START_TEST(capability_tells_size_table_and_pba)
{
	setup();
	unsigned cap = fake_pci_read(f, SLOT, PCI_CAPABILITY_LIST, 1);

	ck_assert_uint_eq(fake_pci_read(f, SLOT, cap, 1), PCI_CAP_ID_MSIX);
	ck_assert_uint_eq(fake_pci_read(f, SLOT, cap + PCI_MSIX_FLAGS, 2), ENTRIES - 1);
	ck_assert_uint_eq(fake_pci_read(f, SLOT, cap + PCI_MSIX_TABLE, 4), 0 | 1);
	ck_assert_uint_eq(fake_pci_read(f, SLOT, cap + PCI_MSIX_PBA, 4), PBA | 1);
	fake_pci_write(f, SLOT, cap + PCI_MSIX_FLAGS, 2, 0xffff);
	ck_assert_uint_eq(fake_pci_read(f, SLOT, cap + PCI_MSIX_FLAGS, 2),
			  PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL | (ENTRIES - 1));
	fake_pci_write(f, SLOT, cap + PCI_MSIX_TABLE, 4, 0);
	ck_assert_uint_eq(fake_pci_read(f, SLOT, cap + PCI_MSIX_TABLE, 4), 0 | 1);
	teardown();
}
END_TEST

START_TEST(table_starts_masked_and_keeps_only_its_bits)
{
	setup();
	for (unsigned i = 0; i < ENTRIES; i++) {
		ck_assert_uint_eq(table_read(16 * i + 12, 4), PCI_MSIX_ENTRY_CTRL_MASKBIT);
		table_write(16 * i, 4, ~0u);
		table_write(16 * i + 12, 4, ~0u - 1);
		ck_assert_uint_eq(table_read(16 * i, 4), ~3u);
		ck_assert_uint_eq(table_read(16 * i + 12, 4), 0);
	}
	teardown();
}
END_TEST

START_TEST(table_takes_dwords_and_qwords_only)
{
	setup();
	table_write(16, 8, 0x00000001fee01000);
	table_write(24, 8, 0x0000000100004041);
	ck_assert_uint_eq(table_read(16, 8), 0x00000001fee01000);
	ck_assert_uint_eq(table_read(20, 4), 1);
	ck_assert_uint_eq(table_read(24, 8), 0x0000000100004041);
	table_write(16, 2, 0);
	table_write(16, 1, 0);
	table_write(20, 8, 0); /* not aligned */
	ck_assert_uint_eq(table_read(16, 8), 0x00000001fee01000);
	ck_assert_uint_eq(table_read(16, 2), 0xffff);
	ck_assert_uint_eq(table_read(20, 8), UINT64_MAX);
	teardown();
}
END_TEST

START_TEST(space_behind_the_table_reads_zero_and_takes_nothing)
{
	setup();
	for (unsigned off = 16 * ENTRIES; off < 4096; off += 4) {
		table_write(off, 4, ~0u);
		ck_assert_uint_eq(table_read(off, 4), 0);
	}
	teardown();
}
END_TEST

START_TEST(unmasked_entry_sends_its_message)
{
	setup();
	program(2);
	msix_fire(&t.msix, 2);
	ck_assert_uint_eq(f->msi[2].fires, 1);
	ck_assert_uint_eq(f->msi[2].addr, ADDR);
	ck_assert_uint_eq(f->msi[2].data, DATA + 2);
	ck_assert_uint_eq(f->msi[1].fires, 0);
	ck_assert_uint_eq(table_read(PBA, 4), 0);
	teardown();
}
END_TEST

START_TEST(masked_entry_is_pending_until_unmasked)
{
	setup();
	program(1);
	mask(1, true);
	msix_fire(&t.msix, 1);
	msix_fire(&t.msix, 1);
	ck_assert_uint_eq(f->msi[1].fires, 0);
	ck_assert_uint_eq(table_read(PBA, 8), BIT(1));
	mask(1, false);
	ck_assert_uint_eq(f->msi[1].fires, 1); /* two causes, one message */
	ck_assert_uint_eq(table_read(PBA, 8), 0);
	mask(1, true);
	mask(1, false);
	ck_assert_uint_eq(f->msi[1].fires, 1);
	teardown();
}
END_TEST

START_TEST(function_mask_holds_back_every_entry)
{
	setup();
	program(0);
	program(3);
	control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	msix_fire(&t.msix, 0);
	msix_fire(&t.msix, 3);
	ck_assert_uint_eq(f->msi[0].fires + f->msi[3].fires, 0);
	ck_assert_uint_eq(table_read(PBA, 4), BIT(0) | BIT(3));
	control(PCI_MSIX_FLAGS_ENABLE);
	ck_assert_uint_eq(f->msi[0].fires, 1);
	ck_assert_uint_eq(f->msi[3].fires, 1);
	teardown();
}
END_TEST

START_TEST(message_written_while_masked_is_the_one_sent)
{
	setup();
	program(1);
	mask(1, true);
	msix_fire(&t.msix, 1);
	table_write(16 + PCI_MSIX_ENTRY_DATA, 4, 0x99);
	mask(1, false);
	ck_assert_uint_eq(f->msi[1].data, 0x99);
	ck_assert_uint_eq(f->msi[1].fires, 1);
	teardown();
}
END_TEST

START_TEST(route_is_told_once_per_change)
{
	setup();
	program(1);
	ck_assert_uint_eq(f->msi[1].routes, 1); /* four stores, one route */
	mask(1, true);
	mask(1, false);
	control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	control(PCI_MSIX_FLAGS_ENABLE);
	table_write(16 + PCI_MSIX_ENTRY_DATA, 4, DATA + 1); /* the same value */
	ck_assert_uint_eq(f->msi[1].routes, 1);
	table_write(16 + PCI_MSIX_ENTRY_DATA, 4, 7);
	ck_assert_uint_eq(f->msi[1].routes, 2);
	ck_assert_uint_eq(f->msi[1].data, 7);
	teardown();
}
END_TEST

static int refuse_route(struct msi_vec *v, uint64_t addr, uint32_t data)
{
	(void)v, (void)addr, (void)data;
	return -ENOSPC;
}

static void count_fire(struct msi_vec *v)
{
	fake_msi_of(v)->fires++;
}

START_TEST(refused_route_keeps_the_message_pending)
{
	setup();
	static const struct msi_ops refusing = { .route = refuse_route, .fire = count_fire };
	const struct msi_ops *good = f->msi[1].vec.ops;

	f->msi[1].vec.ops = &refusing;
	program(1);
	msix_fire(&t.msix, 1);
	ck_assert_uint_eq(f->msi[1].fires, 0);
	ck_assert_uint_eq(table_read(PBA, 4), BIT(1));
	f->msi[1].vec.ops = good;
	mask(1, false);
	ck_assert_uint_eq(f->msi[1].fires, 1);
	teardown();
}
END_TEST

START_TEST(disabled_function_sends_nothing_and_forgets)
{
	setup();
	ck_assert(!msix_enabled(&t.msix));
	program(1);
	ck_assert(msix_enabled(&t.msix));
	mask(1, true);
	msix_fire(&t.msix, 1);
	control(0);
	ck_assert(!msix_enabled(&t.msix));
	msix_fire(&t.msix, 1);
	ck_assert_uint_eq(table_read(PBA, 4), 0);
	control(PCI_MSIX_FLAGS_ENABLE);
	mask(1, false);
	ck_assert_uint_eq(f->msi[1].fires, 0);
	teardown();
}
END_TEST

static int sender_fd[2];

static void sender_use(struct msix_sender *s, int fd)
{
	sender_fd[s->next ? 1 : 0] = fd; /* the last one added has a next */
}

START_TEST(others_send_only_while_the_entry_may_deliver)
{
	setup();
	struct msix_sender s[] = { { .use = sender_use }, { .use = sender_use } };

	program(1);
	for (unsigned i = 0; i < 2; i++) {
		sender_fd[i] = -1;
		msix_sender_add(&t.msix, &s[i]);
		msix_sender_move(&t.msix, &s[i], 1);
		ck_assert_int_eq(sender_fd[i], f->msi[1].fd);
	}
	mask(1, true);
	ck_assert_int_eq(sender_fd[0], -1);
	ck_assert_int_eq(sender_fd[1], -1);
	mask(1, false);
	ck_assert_int_eq(sender_fd[1], f->msi[1].fd);
	control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	ck_assert_int_eq(sender_fd[0], -1);
	control(PCI_MSIX_FLAGS_ENABLE);
	ck_assert_int_eq(sender_fd[0], f->msi[1].fd);
	control(0);
	ck_assert_int_eq(sender_fd[0], -1);
	program(2);
	msix_sender_move(&t.msix, &s[0], 2);
	ck_assert_int_eq(sender_fd[0], f->msi[2].fd);
	ck_assert_int_eq(sender_fd[1], f->msi[1].fd);
	msix_sender_move(&t.msix, &s[0], ENTRIES);
	ck_assert_int_eq(sender_fd[0], -1);
	teardown();
}
END_TEST

START_TEST(others_do_not_send_what_the_host_cannot_route)
{
	setup();
	static const struct msi_ops refusing = { .route = refuse_route, .fire = count_fire };
	struct msix_sender s = { .use = sender_use };

	f->msi[1].vec.ops = &refusing;
	program(1);
	sender_fd[0] = -1;
	msix_sender_add(&t.msix, &s);
	msix_sender_move(&t.msix, &s, 1);
	ck_assert_int_eq(sender_fd[0], -1);
	teardown();
}
END_TEST

START_TEST(entry_out_of_range_is_ignored)
{
	setup();
	program(0);
	msix_fire(&t.msix, ENTRIES);
	msix_fire(&t.msix, 0xffff); /* VIRTIO_MSI_NO_VECTOR */
	for (unsigned i = 0; i < FAKE_MSI_MAX; i++)
		ck_assert_uint_eq(f->msi[i].fires, 0);
	ck_assert_uint_eq(table_read(PBA, 4), 0);
	teardown();
}
END_TEST

START_TEST(unrelated_config_writes_change_nothing)
{
	setup();
	program(1);
	fake_pci_write(f, SLOT, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	fake_pci_write(f, SLOT, t.msix.cap, 2, 0);
	msix_fire(&t.msix, 1);
	ck_assert_uint_eq(f->msi[1].fires, 1);
	/* The upper byte alone, where both flags are. */
	fake_pci_write(f, SLOT, t.msix.cap + PCI_MSIX_FLAGS + 1, 1, 0);
	ck_assert(!msix_enabled(&t.msix));
	teardown();
}
END_TEST

START_TEST(router_without_vectors_fails_init)
{
	setup();
	static const struct pci_id id = { .vendor = 1 };
	struct pci_dev d;
	struct msix x;

	pci_init(&d, &id);
	f->max_msi = f->n_msi + 1;
	ck_assert_int_eq(msix_init(&x, &d, 1, 2, &f->m), -ENOSPC);
	f->m.msi = NULL;
	ck_assert_int_eq(msix_init(&x, &d, 1, 1, &f->m), -ENOSPC);
	pci_fini(&d);
	teardown();
}
END_TEST

static const struct test_entry tests[] = {
	T(capability_tells_size_table_and_pba),
	T(table_starts_masked_and_keeps_only_its_bits),
	T(table_takes_dwords_and_qwords_only),
	T(space_behind_the_table_reads_zero_and_takes_nothing),
	T(unmasked_entry_sends_its_message),
	T(masked_entry_is_pending_until_unmasked),
	T(function_mask_holds_back_every_entry),
	T(message_written_while_masked_is_the_one_sent),
	T(route_is_told_once_per_change),
	T(refused_route_keeps_the_message_pending),
	T(disabled_function_sends_nothing_and_forgets),
	T(others_send_only_while_the_entry_may_deliver),
	T(others_do_not_send_what_the_host_cannot_route),
	T(entry_out_of_range_is_ignored),
	T(unrelated_config_writes_change_nothing),
	T(router_without_vectors_fails_init),
};

CHECK_MAIN("msix", tests)

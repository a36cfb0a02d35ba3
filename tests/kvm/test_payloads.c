/* SPDX-License-Identifier: MIT */
/*
 * test_payloads.c: what every guest needs of KVM and of vmm/: exits of each kind and size,
 * interrupts, doorbells, the start of other processors, and the end.
 */
#include "tests/rig/bench.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

START_TEST(ports_of_each_size)
{
	bench_simple("pio", BOOT_FLAT32);
	ck_assert_uint_eq(bench.n, 4);
	expect_log(0, 0, 1, 0x11);
	expect_log(1, 0, 2, 0x2211);
	expect_log(2, 0, 4, 0x44332211);
	expect_log(3, 1, 1, 0x11);
	ck_assert_uint_eq(bench.b.m.pio.unclaimed, 3);
	bench_free();
}
END_TEST

START_TEST(string_io_of_each_size)
{
	bench_simple("string", BOOT_FLAT32);
	ck_assert_uint_eq(bench.n, 12);
	for (unsigned i = 0; i < 5; i++)
		expect_log(i, 0, 1, i + 1);
	for (unsigned i = 0; i < 3; i++)
		expect_log(5 + i, 0, 2, 0x1111 * (i + 1));
	expect_log(8, 0, 4, 0x44444444);
	expect_log(9, 0, 4, 0x55555555);
	expect_log(10, 0, 1, 2);
	expect_log(11, 0, 1, 1);
	bench_free();
}
END_TEST

START_TEST(memory_of_each_size)
{
	bench_simple("mmio", BOOT_FLAT32);
	ck_assert_uint_eq(bench.n, 4);
	expect_log(0, 0, 1, 0x11);
	expect_log(1, 2, 2, 0x2211);
	expect_log(2, 4, 4, 0x44332211);
	expect_log(3, 8, 4, 0x5a5a5a5a);
	ck_assert_uint_eq(bench.b.m.mmio.unclaimed, 4);
	bench_free();
}
END_TEST

START_TEST(memory_of_eight_bytes)
{
	bench_simple("mmio64", BOOT_LONG64);
	ck_assert_uint_eq(bench.n, 1);
	expect_log(0, 0, 8, UINT64_C(0x8877665544332211));
	bench_free();
}
END_TEST

START_TEST(level_line_interrupts_until_it_is_down)
{
	bench_simple("intx", BOOT_FLAT32);
	bench_free();
}
END_TEST

START_TEST(edge_line_interrupts_through_the_pic)
{
	bench_simple("pic", BOOT_FLAT32);
	bench_free();
}
END_TEST

START_TEST(message_interrupts_once_routed)
{
	bench_build("msi", 1, BOOT_FLAT32);
	bench_map();
	bench.msi = bench.b.m.msi->alloc(bench.b.m.msi);
	ck_assert_ptr_nonnull(bench.msi);
	msi_fire(bench.msi); /* no route yet: nothing, and nothing left over */
	ck_assert_int_eq(msi_route(bench.msi, LAPIC_BASE, TEST_VECTOR + 1), 0);
	ck_assert_int_eq(msi_route(bench.msi, LAPIC_BASE, TEST_VECTOR), 0);
	bench_pass();
	bench_free();
}
END_TEST

START_TEST(others_start_by_init_and_sipi)
{
	static const unsigned cpus[] = { 2, 4, 16 };

	bench_build("smp", cpus[_i], BOOT_FLAT32);
	bench_map();
	bench_pass();
	bench_free();
}
END_TEST

static uint64_t bell_count(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void bell_add(struct region *r, uint64_t off, unsigned size)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ck_assert_int_ge(fd, 0);
	r->doorbell[r->n_doorbells++] = (struct doorbell){ .off = off, .size = size, .fd = fd };
}

START_TEST(doorbells_end_in_eventfds)
{
	bench_build("doorbell", 1, BOOT_FLAT32);
	bell_add(&bench.mmio, TEST_BELL2, 2);
	bell_add(&bench.mmio, TEST_BELL4, 4);
	bell_add(&bench.mmio, TEST_BELL_ANY, 0);
	bell_add(&bench.pio, TEST_BELL_PIO, 2);
	bench_map();
	bench_pass();
	ck_assert_uint_eq(bell_count(bench.mmio.doorbell[0].fd), 2);
	ck_assert_uint_eq(bell_count(bench.mmio.doorbell[1].fd), 1);
	ck_assert_uint_eq(bell_count(bench.mmio.doorbell[2].fd), 3);
	ck_assert_uint_eq(bell_count(bench.pio.doorbell[0].fd), 1);
	ck_assert_uint_eq(bench.n, 1);
	expect_log(0, TEST_BELL2, 4, 0x77);
	bench_free();
}
END_TEST

START_TEST(triple_fault_is_reported)
{
	bench_build("triple_fault", 1, BOOT_FLAT32);
	bench_map();
	ck_assert_int_eq(bench_run(), EXIT_CRASH);
	ck_assert_int_eq(bench.b.why, STOP_CRASH);
	ck_assert_ptr_nonnull(strstr(bench.b.vcpu[0].why, "vcpu0"));
	ck_assert_ptr_nonnull(strstr(bench.b.vcpu[0].why, "triple fault"));
	bench_free();
}
END_TEST

/* Two vCPUs, one in the guest or asleep, one waiting for SIPI. */
START_TEST(stop_reaches_a_guest_that_never_exits)
{
	static const char *const names[] = { "spin", "halt" };

	bench_build(names[_i], 2, BOOT_FLAT32);
	bench_map();
	ck_assert_int_eq(board_start(&bench.b), 0);
	bench.b.m.stop(&bench.b.m, STOP_USER, 7);
	bench.b.m.stop(&bench.b.m, STOP_USER, 8); /* the first wins */
	board_wait(&bench.b);
	ck_assert_int_eq(board_exit_status(&bench.b), 7);
	bench_free();
}
END_TEST

static const struct test_entry tests[] = {
	T(ports_of_each_size),
	T(string_io_of_each_size),
	T(memory_of_each_size),
	T(memory_of_eight_bytes),
	T(level_line_interrupts_until_it_is_down),
	T(edge_line_interrupts_through_the_pic),
	T(message_interrupts_once_routed),
	TLOOP(others_start_by_init_and_sipi, 0, 3),
	T(doorbells_end_in_eventfds),
	T(triple_fault_is_reported),
	TLOOP(stop_reaches_a_guest_that_never_exits, 0, 2),
};

int main(void)
{
	return bench_main("payloads", tests, ARRAY_SIZE(tests));
}

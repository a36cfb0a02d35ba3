/* SPDX-License-Identifier: MIT */
/* test_accel.c: what KVM does to spare the guest exits, as bus.h and irq.h promise it. */
#include "tests/rig/bench.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* --- pages ------------------------------------------------------------------------ */

static _Alignas(4096) uint8_t memory[2][4096];

static int turned; /* the first error of bus_page_set() and bus_coalesce() */

static int page_turn(unsigned page, enum page_mode mode)
{
	int err = bus_page_set(&bench.b.m.mmio, &bench.mmio, page, mode);

	if (err && !turned)
		turned = err;
	return err;
}

/* In page 0. */
static int zone_set(uint64_t off, unsigned size, bool on)
{
	int err =
		bus_coalesce(&bench.b.m.mmio, &bench.mmio, TEST_PAGE0 - TEST_MMIO + off, size, on);

	if (err && !turned)
		turned = err;
	return err;
}

static void page_command(uint8_t val)
{
	static const enum page_mode modes[] = {
		[TEST_TRAP] = PAGE_TRAP, [TEST_RAM] = PAGE_RAM, [TEST_ROM] = PAGE_ROM
	};

	if (val == TEST_ZONE_ON || val == TEST_ZONE_OFF)
		zone_set(TEST_ZONE, TEST_ZONE_SIZE, val == TEST_ZONE_ON);
	else
		page_turn(val >> 4, modes[(val & 15) % ARRAY_SIZE(modes)]);
}

static void page_build(const char *name)
{
	memset(memory, 0, sizeof(memory));
	turned = 0;
	bench_build(name, 1, BOOT_FLAT32);
	bench.command = page_command;
	bench.mmio.size = TEST_PAGES_SIZE;
	bench.mmio.page[0] =
		(struct region_page){ .off = TEST_PAGE0 - TEST_MMIO, .mem = memory[0] };
	bench.mmio.page[1] =
		(struct region_page){ .off = TEST_PAGE1 - TEST_MMIO, .mem = memory[1] };
	bench.mmio.n_pages = 2;
}

static uint32_t page_dword(unsigned page, unsigned off)
{
	return __atomic_load_n((uint32_t *)(void *)&memory[page][off], __ATOMIC_RELAXED);
}

START_TEST(page_is_memory_while_it_is_turned)
{
	page_build("page");
	bench_map();
	bench_pass();
	ck_assert_int_eq(turned, 0);
	ck_assert_uint_eq(bench.n, 6);
	expect_log(0, TEST_PAGE0 - TEST_MMIO, 4, 1);
	expect_log(1, TEST_PAGE1 - TEST_MMIO, 4, 2);
	expect_log(2, TEST_PAGE0 - TEST_MMIO + 0x1000, 4, 3);
	expect_log(3, TEST_PAGE0 - TEST_MMIO, 4, 4);
	expect_log(4, TEST_PAGE0 - TEST_MMIO + 0xffc, 2, 5);
	expect_log(5, TEST_PAGE0 - TEST_MMIO, 4, 6);
	ck_assert_uint_eq(page_dword(0, 0), 0x12345679);
	ck_assert_uint_eq(memory[0][0xffc], 0x9a);
	ck_assert_uint_eq(page_dword(1, 0), 0x77);
	/* 6 writes and 3 reads */
	ck_assert_uint_eq(counter_get(&bench.b.vcpu[0].exits[KVM_EXIT_MMIO]), 9);
	bench_free();
}
END_TEST

static struct {
	_Atomic uint32_t last; /* value that reached the device */
	_Atomic uint32_t gaps; /* values that were missing before it */
	_Atomic uint64_t stores;
} count;

/* The last value is either in memory or was seen here, whichever is higher: on one vCPU
 * nothing is written while it waits for us. */
static uint32_t count_value(void)
{
	uint32_t mem = page_dword(0, 0), seen = atomic_load(&count.last);

	return mem > seen ? mem : seen;
}

static uint64_t count_off;

static void count_store(uint64_t off, unsigned size, uint64_t val)
{
	if (off != count_off || size != 4 || val != count_value() + 1)
		atomic_fetch_add(&count.gaps, 1);
	atomic_store(&count.last, (uint32_t)val);
	atomic_fetch_add(&count.stores, 1);
}

static void count_build(const char *name, uint64_t off)
{
	memset(&count, 0, sizeof(count));
	count_off = TEST_PAGE0 - TEST_MMIO + off;
	page_build(name);
	bench.store = count_store;
	bench_map();
}

/* Have the payload come to its end, and see that all its stores arrived in order. */
static void count_end(void)
{
	uint32_t enough = 1;

	ck_assert_int_eq(gm_write(&bench.b.m.mem, TEST_ENOUGH, &enough, sizeof(enough)), 0);
	board_wait(&bench.b);
	ck_assert_int_eq(board_exit_status(&bench.b), PASS);
	ck_assert_int_eq(turned, 0);
	ck_assert_uint_eq(atomic_load(&count.gaps), 0);
	ck_assert_uint_eq(bench.n, 1);
	expect_log(0, 0, 4, count_value()); /* the last one, too */
}

/* Until the guest has stored to memory (RAM) or to the device, or its thread is gone. */
static bool count_waits(bool ram)
{
	uint32_t mem = page_dword(0, 0);
	uint64_t stores = atomic_load(&count.stores), end = loop_now() + UINT64_C(20000000000);

	while (loop_now() < end)
		if (ram ? page_dword(0, 0) != mem : atomic_load(&count.stores) != stores)
			return true;
	return false;
}

#define FLIPS 200

START_TEST(nothing_is_lost_while_a_page_flips)
{
	bool moves = true;

	count_build("count", 0);
	ck_assert_int_eq(board_start(&bench.b), 0);
	for (unsigned i = 0; i < FLIPS && moves && !turned; i++) {
		moves = count_waits(false) && !page_turn(0, PAGE_RAM) && count_waits(true);
		if (i % 2) /* by way of ROM */
			moves = moves && !page_turn(0, PAGE_ROM) && count_waits(false);
		page_turn(0, PAGE_TRAP);
	}
	count_end();
	ck_assert(moves);
	bench_free();
}
END_TEST

/* As a guest's BAR on top of its memory would be. */
START_TEST(page_over_ram_is_refused)
{
	page_build("page");
	ck_assert_int_eq(bus_map(&bench.b.m.mmio, &bench.mmio, 0x100000), 0);
	ck_assert_int_eq(page_turn(0, PAGE_RAM), -EEXIST);
	ck_assert_int_eq(bench.mmio.page[0].mode, PAGE_TRAP);
	bus_unmap(&bench.b.m.mmio, &bench.mmio);
	bench_map();
	ck_assert_int_eq(page_turn(0, PAGE_RAM), 0);
	bench_free(); /* with the page turned */
}
END_TEST

/* More turns than there are slots, each at another address. */
START_TEST(slots_are_given_back)
{
	struct bus *mmio;

	page_build("page");
	mmio = &bench.b.m.mmio;
	for (unsigned i = 0; i < 2 * KVM_PAGES; i++) {
		ck_assert_int_eq(bus_map(mmio, &bench.mmio, TEST_MMIO + i * TEST_PAGES_SIZE), 0);
		ck_assert_int_eq(page_turn(0, PAGE_RAM), 0);
		ck_assert_int_eq(page_turn(1, PAGE_ROM), 0);
		bus_unmap(mmio, &bench.mmio);
	}
	bench_free();
}
END_TEST

/* --- queued writes ------------------------------------------------------------------- */

static uint64_t mmio_exits(void)
{
	return counter_get(&bench.b.vcpu[0].exits[KVM_EXIT_MMIO]);
}

START_TEST(queued_writes_come_in_order_before_the_next_exit)
{
	uint64_t rung = 0;
	int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ck_assert_int_ge(bell, 0);
	page_build("zone");
	bench.mmio.doorbell[bench.mmio.n_doorbells++] = (struct doorbell){
		.off = TEST_PAGE0 - TEST_MMIO + TEST_ZONE_BELL, .size = 4, .fd = bell
	};
	bench_map();
	bench_pass();
	ck_assert_int_eq(turned, 0);
	ck_assert_uint_eq(bench.n, 19);
	for (unsigned i = 0; i < bench.n; i++)
		ck_assert_uint_eq(bench.log[i].val, i + 1);
	expect_log(10, TEST_PAGE0 - TEST_MMIO + TEST_ZONE + 4, 1, 11);
	expect_log(12, TEST_PAGE0 - TEST_MMIO + TEST_ZONE + 6, 2, 13);
	expect_log(13, TEST_PAGE0 - TEST_MMIO + TEST_ZONE + 2, 4, 14);
	ck_assert_uint_eq(mmio_exits(), 4); /* 12, 16, 18, 19 */
	ck_assert_uint_eq(counter_get(&bench.b.m.mmio.coalesced), 15);
	ck_assert_int_eq(read(bell, &rung, sizeof(rung)), sizeof(rung));
	ck_assert_uint_eq(rung, 1);
	bench_free();
	close(bell);
}
END_TEST

START_TEST(full_queue_is_an_ordinary_exit)
{
	count_build("flood", TEST_ZONE);
	bench_pass();
	ck_assert_uint_eq(atomic_load(&count.gaps), 0);
	ck_assert_uint_eq(atomic_load(&count.last), TEST_FLOOD);
	ck_assert_uint_ge(mmio_exits(), TEST_FLOOD / BUS_QUEUE_MAX);
	ck_assert_uint_le(mmio_exits(), TEST_FLOOD / 100);
	ck_assert_uint_eq(counter_get(&bench.b.m.mmio.coalesced), TEST_FLOOD - mmio_exits());
	bench_free();
}
END_TEST

START_TEST(nothing_is_lost_or_overtaken_while_a_zone_comes_and_goes)
{
	bool moves = true;

	count_build("count", 0);
	ck_assert_int_eq(board_start(&bench.b), 0);
	for (unsigned i = 0; i < FLIPS && moves && !turned; i++) {
		zone_set(0, 4, i % 2 == 0);
		bus_drain(&bench.b.m.mmio);
		moves = count_waits(false);
		bus_drain(&bench.b.m.mmio);
	}
	count_end();
	ck_assert(moves);
	ck_assert_uint_gt(counter_get(&bench.b.m.mmio.coalesced), 0);
	bench_free();
}
END_TEST

/* --- lines that fall at EOI --------------------------------------------------------- */

static struct irq_eoi *eoi;
static _Atomic unsigned eoi_came;
static uint8_t answer; /* vCPU 0 only */

static void eoi_on(struct irq_eoi *e)
{
	eoi_came += e == eoi;
}

static void eoi_command(uint8_t val)
{
	struct machine *m = &bench.b.m;

	if (val == TEST_EOI_RAISE)
		irq_eoi_raise(eoi);
	else if (val == TEST_EOI_UP || val == TEST_EOI_DOWN)
		irq_set(m->irq(m, TEST_LEVEL_GSI), val == TEST_EOI_UP);
	else if (val == TEST_EOI_ACKED)
		answer = irq_eoi_acked(eoi);
	else if (val == TEST_EOI_WATCH)
		answer = irq_eoi_watch(eoi, m->loop);
	else if (val == TEST_EOI_CAME)
		answer = (uint8_t)eoi_came;
}

static uint8_t eoi_ask(void)
{
	return answer;
}

START_TEST(line_falls_at_eoi_and_tells)
{
	bench_build("eoi", 1, BOOT_FLAT32);
	bench.command = eoi_command;
	bench.ask = eoi_ask;
	eoi = bench.b.m.irq_eoi(&bench.b.m, TEST_LEVEL_GSI);
	ck_assert_ptr_nonnull(eoi);
	eoi->came = eoi_on;
	bench_map();
	bench_pass();
	ck_assert_uint_eq(eoi_came, 1);
	bench_free();
}
END_TEST

START_TEST(lines_are_several_a_pin_but_not_without_end)
{
	struct machine *m = &bench.b.m;
	unsigned n = 0;

	bench_build("eoi", 1, BOOT_FLAT32);
	ck_assert_ptr_null(m->irq_eoi(m, IOAPIC_PINS));
	while (m->irq_eoi(m, TEST_LEVEL_GSI))
		ck_assert_uint_lt(++n, 1000);
	ck_assert_uint_gt(n, 8); /* a board has at most this many NICs */
	bench_free();
}
END_TEST

static const struct test_entry tests[] = {
	T(page_is_memory_while_it_is_turned),
	T(nothing_is_lost_while_a_page_flips),
	T(page_over_ram_is_refused),
	T(slots_are_given_back),
	T(queued_writes_come_in_order_before_the_next_exit),
	T(full_queue_is_an_ordinary_exit),
	T(nothing_is_lost_or_overtaken_while_a_zone_comes_and_goes),
	T(line_falls_at_eoi_and_tells),
	T(lines_are_several_a_pin_but_not_without_end),
};

int main(void)
{
	return bench_main("accel", tests, ARRAY_SIZE(tests));
}

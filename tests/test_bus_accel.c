/* SPDX-License-Identifier: MIT */
/* test_bus_accel.c: pages of a region that are memory, and writes that are queued. */
#include "tests/check_main.h"
#include "tests/rig/fake_accel.h"

#include <errno.h>
#include <string.h>

#define SEEN_MAX 512

static struct probe {
	struct region r;
	unsigned reads, writes;
	uint64_t off, seen[SEEN_MAX];
	void (*on_write)(void);
} p;

static struct bus bus;

static uint64_t probe_read(void *dev, uint64_t off, unsigned size)
{
	(void)dev;
	(void)size;
	p.off = off;
	p.reads++;
	return 0;
}

static void probe_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	(void)dev;
	(void)size;
	ck_assert_uint_lt(p.writes, SEEN_MAX);
	p.off = off;
	p.seen[p.writes++] = val;
	if (p.on_write)
		p.on_write();
}

static const struct region_ops probe_any = { .read = probe_read,
					     .write = probe_write,
					     .sizes = 1 | 2 | 4 | 8 };

static int map(uint64_t base)
{
	return bus_map(&bus, &p.r, base);
}

static struct fake_accel accel;
static _Alignas(BUS_PAGE_SIZE) uint8_t memory[2][BUS_PAGE_SIZE];

/* Two pages, at +0x1000 and +0x3000, of a region of 0x4000 bytes. */
static void setup(void)
{
	p = (struct probe){ .r = { .name = "probe", .ops = &probe_any, .size = 0x4000 } };
	memset(memory, 0, sizeof(memory));
	p.r.page[0] = (struct region_page){ .off = 0x1000, .mem = memory[0] };
	p.r.page[1] = (struct region_page){ .off = 0x3000, .mem = memory[1] };
	p.r.n_pages = 2;
	bus_init(&bus, "test", false);
	fake_accel_init(&accel, &bus);
}

START_TEST(page_is_memory_for_both_or_reads_or_nobody)
{
	setup();
	ck_assert_int_eq(map(0x10000), 0);
	ck_assert_int_eq(bus_page_set(&bus, &p.r, 0, PAGE_RAM), 0);
	fake_store(&accel, 0x11004, 4, 0x1234);
	ck_assert_uint_eq(fake_load(&accel, 0x11004, 2), 0x1234);
	ck_assert_uint_eq(memory[0][4], 0x34);
	ck_assert_uint_eq(p.reads + p.writes + accel.exits, 0);

	ck_assert_int_eq(bus_page_set(&bus, &p.r, 0, PAGE_ROM), 0);
	ck_assert_uint_eq(accel.turns, 3); /* by way of PAGE_TRAP */
	fake_store(&accel, 0x11004, 4, 0x5678);
	ck_assert_uint_eq(fake_load(&accel, 0x11004, 4), 0x1234);
	ck_assert_uint_eq(p.writes, 1);
	ck_assert_uint_eq(p.off, 0x1004);
	ck_assert_uint_eq(p.reads, 0);

	ck_assert_int_eq(bus_page_set(&bus, &p.r, 0, PAGE_TRAP), 0);
	fake_load(&accel, 0x11004, 4);
	fake_store(&accel, 0x13004, 4, 1); /* the other one never was */
	ck_assert_uint_eq(p.reads, 1);
	ck_assert_uint_eq(p.writes, 2);
	ck_assert_uint_eq(accel.turns, 4);
}
END_TEST

START_TEST(page_set_to_what_it_is_asks_nobody)
{
	setup();
	ck_assert_int_eq(bus_page_set(&bus, &p.r, 0, PAGE_TRAP), 0); /* not even mapped */
	ck_assert_int_eq(map(0x10000), 0);
	ck_assert_int_eq(bus_page_set(&bus, &p.r, 0, PAGE_RAM), 0);
	ck_assert_int_eq(bus_page_set(&bus, &p.r, 0, PAGE_RAM), 0);
	ck_assert_uint_eq(accel.turns, 1);
}
END_TEST

START_TEST(page_without_a_place_or_a_hypervisor_is_refused)
{
	setup();
	ck_assert_int_eq(bus_page_set(&bus, &p.r, 0, PAGE_RAM), -ENXIO);
	ck_assert_int_eq(map(0x10010), 0);
	ck_assert_int_eq(bus_page_set(&bus, &p.r, 0, PAGE_RAM), -ENXIO);
	bus_unmap(&bus, &p.r);
	ck_assert_int_eq(map(0x10000), 0);
	accel.accel.page = NULL;
	ck_assert_int_eq(bus_page_set(&bus, &p.r, 0, PAGE_ROM), -ENOTSUP);
	bus.accel = NULL;
	ck_assert_int_eq(bus_page_set(&bus, &p.r, 0, PAGE_ROM), -ENOTSUP);
	ck_assert_int_eq(p.r.page[0].mode, PAGE_TRAP);
}
END_TEST

START_TEST(page_the_hypervisor_refuses_keeps_its_mode)
{
	setup();
	ck_assert_int_eq(map(0x10000), 0);
	accel.fail = -EEXIST;
	ck_assert_int_eq(bus_page_set(&bus, &p.r, 0, PAGE_RAM), -EEXIST);
	ck_assert_int_eq(p.r.page[0].mode, PAGE_TRAP);
	accel.fail = 0;
	ck_assert_int_eq(bus_page_set(&bus, &p.r, 0, PAGE_RAM), 0);
	accel.fail = -ENOMEM;
	ck_assert_int_eq(bus_page_set(&bus, &p.r, 0, PAGE_TRAP), -ENOMEM);
	ck_assert_int_eq(p.r.page[0].mode, PAGE_RAM);
	ck_assert_int_eq(bus_page_set(&bus, &p.r, 0, PAGE_ROM), -ENOMEM);
	ck_assert_int_eq(p.r.page[0].mode, PAGE_RAM);
}
END_TEST

START_TEST(pages_stay_behind_when_the_region_moves)
{
	setup();
	ck_assert_int_eq(map(0x10000), 0);
	ck_assert_int_eq(bus_page_set(&bus, &p.r, 0, PAGE_RAM), 0);
	ck_assert_int_eq(bus_page_set(&bus, &p.r, 1, PAGE_ROM), 0);
	bus_unmap(&bus, &p.r);
	ck_assert_int_eq(fake_page_mode(&accel, 0x11000), PAGE_TRAP);
	ck_assert_int_eq(fake_page_mode(&accel, 0x13000), PAGE_TRAP);
	ck_assert_uint_eq(fake_load(&accel, 0x11000, 4), 0xffffffff);
	ck_assert_int_eq(map(0x20000), 0);
	ck_assert_int_eq(p.r.page[1].mode, PAGE_TRAP);
	fake_store(&accel, 0x21000, 4, 7);
	ck_assert_uint_eq(p.writes, 1);
	ck_assert_int_eq(bus_page_set(&bus, &p.r, 0, PAGE_RAM), 0);
	ck_assert_int_eq(fake_page_mode(&accel, 0x21000), PAGE_RAM);
}
END_TEST

/* --- queued writes ------------------------------------------------------------------ */

#define BASE 0x10000

static void zone_on(uint64_t off, unsigned size)
{
	ck_assert_int_eq(bus_coalesce(&bus, &p.r, off, size, true), 0);
}

static void expect_seen(unsigned from, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		ck_assert_uint_eq(p.seen[from + i], from + i + 1);
}

START_TEST(queued_writes_come_in_order_before_the_next_exit)
{
	setup();
	ck_assert_int_eq(map(BASE), 0);
	zone_on(0x10, 8);
	for (unsigned i = 1; i <= 10; i++)
		fake_store(&accel, BASE + 0x10 + 4 * (i % 2), 4, i);
	ck_assert_uint_eq(p.writes + accel.exits, 0);
	fake_store(&accel, BASE + 0x18, 4, 11); /* beyond the zone */
	ck_assert_uint_eq(accel.exits, 1);
	ck_assert_uint_eq(p.writes, 11);
	expect_seen(0, 11);
	fake_store(&accel, BASE + 0x14, 8, 12); /* half in it */
	ck_assert_uint_eq(p.writes, 12);
	fake_store(&accel, BASE + 0x10, 2, 13);
	bus_drain(&bus);
	bus_drain(&bus);
	ck_assert_uint_eq(p.writes, 13);
	expect_seen(0, 13);
	ck_assert_uint_eq(p.off, 0x10);
	ck_assert_uint_eq(counter_get(&bus.coalesced), 11);
}
END_TEST

START_TEST(full_queue_exits_and_keeps_the_order)
{
	setup();
	ck_assert_int_eq(map(BASE), 0);
	zone_on(0, 4);
	for (unsigned i = 1; i <= 400; i++)
		fake_store(&accel, BASE, 4, i);
	ck_assert_uint_eq(accel.exits, 400 / FAKE_QUEUE);
	bus_drain(&bus);
	ck_assert_uint_eq(p.writes, 400);
	expect_seen(0, 400);
}
END_TEST

/* The guest never stops, as this one from the handler does not. */
static void store_again(void)
{
	fake_store(&accel, BASE, 4, p.writes + 1);
}

START_TEST(drain_ends_even_if_the_guest_does_not)
{
	setup();
	ck_assert_int_eq(map(BASE), 0);
	zone_on(0, 4);
	p.on_write = store_again;
	fake_store(&accel, BASE, 4, 1);
	bus_drain(&bus);
	ck_assert_uint_eq(p.writes, BUS_QUEUE_MAX);
	expect_seen(0, BUS_QUEUE_MAX);
}
END_TEST

static void drain_again(void)
{
	unsigned writes = p.writes;

	bus_drain(&bus);
	ck_assert_uint_eq(p.writes, writes);
}

START_TEST(drain_within_a_handler_returns_at_once)
{
	setup();
	ck_assert_int_eq(map(BASE), 0);
	zone_on(0, 4);
	p.on_write = drain_again;
	for (unsigned i = 1; i <= 3; i++)
		fake_store(&accel, BASE, 4, i);
	bus_drain(&bus);
	ck_assert_uint_eq(p.writes, 3);
	expect_seen(0, 3);
}
END_TEST

START_TEST(odd_lengths_are_cut_up)
{
	setup();
	ck_assert_int_eq(map(BASE), 0);
	zone_on(0, 16);
	fake_store(&accel, BASE, 7, UINT64_C(0x07060504030201));
	fake_store(&accel, BASE + 8, 8, UINT64_C(0x1122334455667788));
	bus_drain(&bus);
	ck_assert_uint_eq(p.writes, 4);
	ck_assert_uint_eq(p.seen[0], 0x04030201);
	ck_assert_uint_eq(p.seen[1], 0x0605);
	ck_assert_uint_eq(p.seen[2], 0x07);
	ck_assert_uint_eq(p.seen[3], UINT64_C(0x1122334455667788));
	ck_assert_uint_eq(counter_get(&bus.coalesced), 2);
}
END_TEST

START_TEST(zone_goes_when_switched_off_or_when_the_region_moves)
{
	setup();
	ck_assert_int_eq(bus_coalesce(&bus, &p.r, 0, 4, false), 0);
	ck_assert_int_eq(map(BASE), 0);
	zone_on(0, 4);
	zone_on(0, 4); /* once is enough */
	zone_on(8, 4);
	fake_store(&accel, BASE, 4, 1);
	ck_assert_int_eq(bus_coalesce(&bus, &p.r, 0, 4, false), 0);
	fake_store(&accel, BASE, 4, 2);
	ck_assert_uint_eq(accel.exits, 1);
	expect_seen(0, 2);
	fake_store(&accel, BASE + 8, 4, 3); /* the other one stays */
	ck_assert_uint_eq(accel.exits, 1);
	bus_unmap(&bus, &p.r);
	bus_drain(&bus); /* too late: there is nobody */
	ck_assert_uint_eq(p.writes, 2);
	ck_assert_uint_eq(atomic_load(&bus.unclaimed), 1);
	ck_assert_int_eq(map(2 * BASE), 0);
	fake_store(&accel, 2 * BASE + 8, 4, 3);
	ck_assert_uint_eq(accel.exits, 2);
}
END_TEST

START_TEST(zone_is_refused_where_it_cannot_be)
{
	setup();
	bus_drain(&bus);
	ck_assert_int_eq(bus_coalesce(&bus, &p.r, 0, 4, true), -ENXIO);
	ck_assert_int_eq(map(BASE), 0);
	accel.fail = -ENOMEM;
	ck_assert_int_eq(bus_coalesce(&bus, &p.r, 0, 4, true), -ENOMEM);
	accel.fail = 0;
	for (unsigned i = 0; i < REGION_ZONES; i++)
		zone_on(4 * i, 4);
	ck_assert_int_eq(bus_coalesce(&bus, &p.r, 0x100, 4, true), -ENOSPC);
	accel.accel.coalesce = NULL;
	ck_assert_int_eq(bus_coalesce(&bus, &p.r, 0x100, 4, true), -ENOTSUP);
}
END_TEST

START_TEST(zone_on_a_read_only_page_takes_its_writes)
{
	setup();
	ck_assert_int_eq(map(BASE), 0);
	ck_assert_int_eq(bus_page_set(&bus, &p.r, 0, PAGE_ROM), 0);
	zone_on(0x1010, 4);
	fake_store(&accel, BASE + 0x1010, 4, 1);
	ck_assert_uint_eq(fake_load(&accel, BASE + 0x1010, 4), 0);
	ck_assert_uint_eq(accel.exits, 0);
	fake_store(&accel, BASE + 0x1014, 4, 2);
	ck_assert_uint_eq(accel.exits, 1);
	expect_seen(0, 2);
}
END_TEST

/* A guest that counts, one drainer beside it: nothing lost, nothing out of order. */
#define COUNT 20000

static _Atomic bool guest_done;
static unsigned counted, gaps;

static void count_write(void)
{
	gaps += p.seen[0] != counted + 1;
	counted = (unsigned)p.seen[0];
	p.writes = 0;
}

static void *guest(void *arg)
{
	(void)arg;
	for (unsigned i = 1; i <= COUNT; i++)
		fake_store(&accel, BASE, 4, i);
	atomic_store(&guest_done, true);
	return NULL;
}

START_TEST(drainer_and_guest_side_by_side_keep_the_order)
{
	pthread_t t;

	setup();
	ck_assert_int_eq(map(BASE), 0);
	p.on_write = count_write;
	zone_on(0, 4);
	ck_assert_int_eq(pthread_create(&t, NULL, guest, NULL), 0);
	for (bool on = false; !atomic_load(&guest_done); on = !on) {
		bus_drain(&bus);
		ck_assert_int_eq(bus_coalesce(&bus, &p.r, 0, 4, on), 0);
	}
	pthread_join(t, NULL);
	bus_drain(&bus);
	ck_assert_uint_eq(counted, COUNT);
	ck_assert_uint_eq(gaps, 0);
}
END_TEST

static const struct test_entry tests[] = {
	T(page_is_memory_for_both_or_reads_or_nobody),
	T(page_set_to_what_it_is_asks_nobody),
	T(page_without_a_place_or_a_hypervisor_is_refused),
	T(page_the_hypervisor_refuses_keeps_its_mode),
	T(pages_stay_behind_when_the_region_moves),
	T(queued_writes_come_in_order_before_the_next_exit),
	T(full_queue_exits_and_keeps_the_order),
	T(drain_ends_even_if_the_guest_does_not),
	T(drain_within_a_handler_returns_at_once),
	T(odd_lengths_are_cut_up),
	T(zone_goes_when_switched_off_or_when_the_region_moves),
	T(zone_is_refused_where_it_cannot_be),
	T(zone_on_a_read_only_page_takes_its_writes),
	T(drainer_and_guest_side_by_side_keep_the_order),
};

CHECK_MAIN("bus_accel", tests)

/* SPDX-License-Identifier: MIT */
/* test.c: the port as a guest meets it, on the real bus of a fake machine. */
#include "exercise.h"
#include "tests/check_main.h"
#include "tests/rig/fake_machine.h"

#include <errno.h>

static struct fake_machine *f;
static struct debug_port *d;

static void up(void)
{
	f = fake_machine_new(4096);
	d = debug_port_new(&f->m);
	ck_assert_ptr_nonnull(d);
}

static void down(void)
{
	debug_port_free(d);
	fake_machine_free(f);
}

static void expect_kept(const char *text, size_t want)
{
	size_t len;
	const uint8_t *kept = debug_port_text(d, &len);

	ck_assert_uint_eq(len, want);
	ck_assert_mem_eq(kept, text, want);
	ck_assert_uint_eq(bus_read(&f->m.pio, DEBUG_PORT, 1), want);
}

START_TEST(bytes_are_kept_in_order)
{
	up();
	bus_write(&f->m.pio, DEBUG_PORT, 1, 'h');
	bus_write(&f->m.pio, DEBUG_PORT, 1, 'i');
	expect_kept("hi", 2);
	ck_assert_uint_eq(f->m.pio.unclaimed, 0);
	down();
}
END_TEST

START_TEST(a_guest_that_never_stops_fills_no_more_than_the_bound)
{
	char all[DEBUG_PORT_KEPT];

	up();
	for (unsigned i = 0; i < 10 * DEBUG_PORT_KEPT; i++) {
		if (i < DEBUG_PORT_KEPT)
			all[i] = (char)i;
		bus_write(&f->m.pio, DEBUG_PORT, 1, i);
	}
	expect_kept(all, DEBUG_PORT_KEPT);
	down();
}
END_TEST

START_TEST(other_sizes_and_neighbours_are_nobodys)
{
	up();
	bus_write(&f->m.pio, DEBUG_PORT, 2, 0x4141);
	bus_write(&f->m.pio, DEBUG_PORT + 1, 1, 'x');
	ck_assert_uint_eq(bus_read(&f->m.pio, DEBUG_PORT, 4), 0xffffffff);
	expect_kept("", 0);
	down();
}
END_TEST

START_TEST(there_is_one_and_then_none)
{
	up();
	ck_assert_ptr_null(debug_port_new(&f->m));
	ck_assert_int_eq(errno, EEXIST);
	debug_port_free(d);
	d = NULL;
	ck_assert_uint_eq(bus_read(&f->m.pio, DEBUG_PORT, 1), 0xff);
	down();
}
END_TEST

static const struct test_entry tests[] = {
	T(bytes_are_kept_in_order),
	T(a_guest_that_never_stops_fills_no_more_than_the_bound),
	T(other_sizes_and_neighbours_are_nobodys),
	T(there_is_one_and_then_none),
};

CHECK_MAIN("debug-port", tests)

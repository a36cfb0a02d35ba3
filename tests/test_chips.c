/* SPDX-License-Identifier: MIT */
/* test_chips.c: RTC, i8042, ACPI fixed hardware, the ports for debug exit and marks. */
#include "devices/acpi_pm.h"
#include "devices/debug_exit.h"
#include "devices/i8042.h"
#include "devices/mark.h"
#include "devices/rtc.h"
#include "tests/check_main.h"
#include "tests/rig/fake_machine.h"

#include <errno.h>
#include <time.h>

#define DAY 86400

static struct fake_machine *f;
static struct rtc *rtc;
static struct i8042 *i8042;
static struct acpi_pm *pm;
static struct debug_exit *debug_exit;
static struct mark *mark;
static uint32_t mark_label, mark_calls; /* of mark_note() */

static void mark_note(void *ctx, uint32_t label)
{
	ck_assert_ptr_eq(ctx, &mark_label);
	mark_label = label;
	mark_calls++;
}

static void setup(void)
{
	f = fake_machine_new(1 << 20);
	rtc = rtc_new(&f->m);
	i8042 = i8042_new(&f->m);
	pm = acpi_pm_new(&f->m);
	debug_exit = debug_exit_new(&f->m);
	mark = mark_new(&f->m, mark_note, &mark_label);
	mark_label = mark_calls = 0;
	ck_assert(rtc && i8042 && pm && debug_exit && mark);
}

static void teardown(void)
{
	rtc_free(rtc);
	i8042_free(i8042);
	acpi_pm_free(pm);
	debug_exit_free(debug_exit);
	mark_free(mark);
	fake_machine_free(f);
}

static uint32_t in(unsigned port, unsigned size)
{
	return (uint32_t)bus_read(&f->m.pio, port, size);
}

static void out(unsigned port, unsigned size, uint32_t val)
{
	bus_write(&f->m.pio, port, size, val);
}

/* --- RTC ------------------------------------------------------------------------------ */

static uint8_t cmos_read(uint8_t index)
{
	out(0x70, 1, index);
	return (uint8_t)in(0x71, 1);
}

static void cmos_write(uint8_t index, uint8_t val)
{
	out(0x70, 1, index);
	out(0x71, 1, val);
}

static int bcd(uint8_t v)
{
	ck_assert_int_lt(v & 15, 10);
	ck_assert_int_lt(v >> 4, 10);
	return (v >> 4) * 10 + (v & 15);
}

/* The clock as a driver reads it: again when a second has gone by meanwhile. */
static time_t cmos_time_bcd(void)
{
	struct tm tm = { 0 };
	uint8_t sec;

	do {
		sec = cmos_read(0);
		tm.tm_sec = bcd(sec);
		tm.tm_min = bcd(cmos_read(2));
		tm.tm_hour = bcd(cmos_read(4));
		tm.tm_mday = bcd(cmos_read(7));
		tm.tm_mon = bcd(cmos_read(8)) - 1;
		tm.tm_year = bcd(cmos_read(0x32)) * 100 + bcd(cmos_read(9)) - 1900;
	} while (cmos_read(0) != sec);
	return timegm(&tm);
}

/* Set the clock, stopped, to Saturday 1999-12-31 23:59:59 (a Friday, if the chip is right). */
static void cmos_set_1999(uint8_t b)
{
	static const uint8_t bytes[][2] = { { 0, 0x59 }, { 2, 0x59 }, { 4, 0x23 }, { 6, 7 },
					    { 7, 0x31 }, { 8, 0x12 }, { 9, 0x99 }, { 0x32, 0x19 } };

	cmos_write(0x0b, 0x80 | b);
	for (unsigned i = 0; i < ARRAY_SIZE(bytes); i++)
		cmos_write(bytes[i][0], bytes[i][1]);
}

START_TEST(rtc_shows_the_hosts_time)
{
	setup();
	time_t before = time(NULL), shown = cmos_time_bcd(), after = time(NULL);

	ck_assert_int_ge(shown, before);
	ck_assert_int_le(shown, after);
	ck_assert_uint_eq(cmos_read(0x0d), 0x80); /* valid RAM and time */
	ck_assert_uint_eq(cmos_read(0x0b), 0x02); /* BCD, 24 hours */
	teardown();
}
END_TEST

START_TEST(rtc_keeps_what_the_guest_sets)
{
	setup();
	cmos_set_1999(0x02);
	ck_assert_int_eq(cmos_time_bcd(), 946684799); /* stands still while SET */
	ck_assert_int_eq(cmos_time_bcd(), 946684799);
	cmos_write(0x0b, 0x02);
	ck_assert_int_ge(cmos_time_bcd(), 946684799);
	ck_assert_int_lt(cmos_time_bcd(), 946684799 + 60);
	ck_assert_uint_ge(cmos_read(6), 6); /* Friday, or Saturday by now */
	teardown();
}
END_TEST

START_TEST(rtc_set_fields_may_come_in_any_order)
{
	setup();
	cmos_write(0x0b, 0x82);
	cmos_write(8, 0x02); /* February, */
	cmos_write(7, 0x31); /* the 31st, */
	cmos_write(8, 0x03); /* no: of March */
	ck_assert_uint_eq(cmos_read(7), 0x31);
	cmos_write(0x0b, 0x02);
	ck_assert_uint_eq(cmos_read(8), 0x03);
	ck_assert_uint_eq(cmos_read(7), 0x31);
	teardown();
}
END_TEST

START_TEST(rtc_binary_and_12_hour_modes)
{
	setup();
	cmos_set_1999(0x02);
	cmos_write(0x0b, 0x86);
	ck_assert_uint_eq(cmos_read(0), 59);
	ck_assert_uint_eq(cmos_read(4), 23);
	ck_assert_uint_eq(cmos_read(9), 99);
	cmos_write(0x0b, 0x84);
	ck_assert_uint_eq(cmos_read(4), 0x80 | 11);
	cmos_write(0x0b, 0x80);
	ck_assert_uint_eq(cmos_read(4), 0x80 | 0x11);
	cmos_write(4, 0x12); /* 12 AM */
	cmos_write(0x0b, 0x82);
	ck_assert_uint_eq(cmos_read(4), 0x00);
	cmos_write(0x0b, 0x80);
	cmos_write(4, 0x80 | 0x12); /* 12 PM */
	cmos_write(0x0b, 0x82);
	ck_assert_uint_eq(cmos_read(4), 0x12);
	teardown();
}
END_TEST

START_TEST(rtc_survives_nonsense_in_time_registers)
{
	setup();
	for (unsigned b = 0; b < 8; b++) {
		cmos_write(0x0b, (uint8_t)(0x80 | b));
		for (unsigned i = 0; i < 10; i++)
			cmos_write((uint8_t)i, 0xff);
		cmos_write(0x32, 0xff);
		cmos_write(0x0b, (uint8_t)b);
		cmos_read(0);
	}
	cmos_set_1999(0x02);
	ck_assert_int_eq(cmos_time_bcd(), 946684799);
	teardown();
}
END_TEST

START_TEST(rtc_ram_keeps_bytes_but_not_status_registers)
{
	setup();
	for (unsigned i = 0x0e; i < 0x80; i++)
		if (i != 0x32)
			cmos_write((uint8_t)i, (uint8_t)~i);
	for (unsigned i = 0x0e; i < 0x80; i++)
		if (i != 0x32)
			ck_assert_uint_eq(cmos_read((uint8_t)(i | 0x80)), (uint8_t)~i);
	cmos_write(0x0c, 0xff);
	cmos_write(0x0d, 0x00);
	ck_assert_uint_eq(cmos_read(0x0c), 0);
	ck_assert_uint_eq(cmos_read(0x0d), 0x80);
	cmos_write(0x0a, 0xff);
	cmos_write(0x0b, 0x82); /* no update can be in progress now */
	ck_assert_uint_eq(cmos_read(0x0a), 0x7f);
	ck_assert_uint_eq(in(0x70, 1), 0xff);
	ck_assert_uint_eq(in(0x70, 2), 0xffff);
	teardown();
}
END_TEST

/* Wait for the next second, on the loop's own timer: the time is the test's condition. */
static void wait_for_irq8(void)
{
	for (unsigned i = 0; i < 20 && !f->irq[8].level; i++)
		loop_once(f->m.loop, 1000);
}

START_TEST(rtc_update_interrupt_comes_each_second_until_read)
{
	setup();
	cmos_write(0x0b, 0x12);
	wait_for_irq8();
	ck_assert(f->irq[8].level);
	ck_assert_uint_eq(cmos_read(0x0c) & 0xf0, 0x90); /* IRQF, UF */
	ck_assert(!f->irq[8].level);
	ck_assert_uint_eq(cmos_read(0x0c), 0); /* cleared by reading */
	cmos_write(0x0b, 0x02);
	ck_assert_uint_eq(f->irq[8].edges, 1);
	teardown();
}
END_TEST

START_TEST(rtc_alarm_matches_its_second_only)
{
	setup();
	cmos_set_1999(0x02);
	cmos_write(1, 0x00);
	cmos_write(3, 0x00);
	cmos_write(5, 0xff); /* any hour */
	cmos_write(0x0b, 0x22);
	wait_for_irq8();
	ck_assert(f->irq[8].level);
	ck_assert_uint_eq(cmos_read(0x0c) & 0xb0, 0xb0);
	ck_assert_int_ge(cmos_time_bcd(), 946684800);
	teardown();
}
END_TEST

START_TEST(rtc_without_enabled_interrupts_never_ticks)
{
	setup();
	cmos_write(0x0b, 0x12);
	cmos_write(0x0b, 0x02);
	ck_assert_int_eq(loop_once(f->m.loop, 1100), 0);
	ck_assert_uint_eq(f->irq[8].sets, 0);
	teardown();
}
END_TEST

/* --- i8042 ---------------------------------------------------------------------------- */

START_TEST(i8042_reset_command_stops_the_machine)
{
	setup();
	out(0x64, 1, 0xfe);
	ck_assert_uint_eq(f->stops, 1);
	ck_assert_int_eq(f->why, STOP_RESET);
	teardown();
}
END_TEST

START_TEST(i8042_other_commands_and_data_do_not)
{
	setup();
	for (unsigned cmd = 0; cmd < 0x100; cmd++)
		if (cmd != RESET_VALUE)
			out(0x64, 1, cmd);
	out(0x60, 1, 0xfe);
	out(0x64, 2, 0x00fe);
	ck_assert_uint_eq(f->stops, 0);
	teardown();
}
END_TEST

/* Both halves of a driver's patience: draining never ends, sending never waits. */
START_TEST(i8042_probe_ends_fast)
{
	setup();
	for (unsigned i = 0; i < 32; i++) {
		ck_assert_uint_eq(in(0x64, 1) & 0x01, 0x01);
		ck_assert_uint_eq(in(0x64, 1) & 0x02, 0);
		ck_assert_uint_eq(in(0x60, 1), 0xff);
	}
	ck_assert_uint_eq(in(0x61, 1), 0xff); /* not ours */
	teardown();
}
END_TEST

/* --- ACPI fixed hardware --------------------------------------------------------------- */

START_TEST(pm_sleep_type_5_powers_off)
{
	setup();
	out(PORT_ACPI_PM + 4, 2, 5 << 10 | 1 << 13);
	ck_assert_uint_eq(f->stops, 1);
	ck_assert_int_eq(f->why, STOP_POWEROFF);
	teardown();
}
END_TEST

START_TEST(pm_byte_writes_power_off_too)
{
	setup();
	out(PORT_ACPI_PM + 5, 1, (5 << 2) | 1 << 5);
	ck_assert_uint_eq(f->stops, 1);
	teardown();
}
END_TEST

START_TEST(pm_other_sleep_types_and_type_alone_do_not)
{
	setup();
	for (unsigned type = 0; type < 8; type++) {
		out(PORT_ACPI_PM + 4, 2, type << 10);
		if (type != 5)
			out(PORT_ACPI_PM + 4, 2, type << 10 | 1 << 13);
	}
	ck_assert_uint_eq(f->stops, 0);
	teardown();
}
END_TEST

START_TEST(pm_control_reads_sci_en_and_never_slp_en)
{
	setup();
	ck_assert_uint_eq(in(PORT_ACPI_PM + 4, 2), 1);
	out(PORT_ACPI_PM + 4, 2, 0x3c00 & ~(5u << 10));
	ck_assert_uint_eq(in(PORT_ACPI_PM + 4, 2) & 0x2001, 1);
	teardown();
}
END_TEST

START_TEST(pm_status_reads_zero_and_enable_keeps_defined_bits)
{
	setup();
	out(PORT_ACPI_PM, 2, 0xffff);
	ck_assert_uint_eq(in(PORT_ACPI_PM, 2), 0);
	out(PORT_ACPI_PM + 2, 2, 0xffff);
	ck_assert_uint_eq(in(PORT_ACPI_PM + 2, 2), 0x4721);
	ck_assert_uint_eq(in(PORT_ACPI_PM, 4), 0x47210000);
	ck_assert_uint_eq(f->irq[GSI_SCI].sets, 0);
	teardown();
}
END_TEST

START_TEST(pm_timer_counts_at_its_rate)
{
	setup();
	uint64_t t0 = loop_now(), t1, t2, t3;
	uint32_t a, b;

	a = in(PORT_ACPI_PM + 8, 4);
	t1 = loop_now();
	while (loop_now() < t1 + 20000000)
		;
	t2 = loop_now();
	b = in(PORT_ACPI_PM + 8, 4);
	t3 = loop_now();
	ck_assert_uint_ge(b - a, (t2 - t1) * ACPI_PM_TIMER_HZ / 1000000000 - 1);
	ck_assert_uint_le(b - a, (t3 - t0) * ACPI_PM_TIMER_HZ / 1000000000 + 1);
	out(PORT_ACPI_PM + 8, 4, 0);
	ck_assert_uint_ge(in(PORT_ACPI_PM + 8, 4), b);
	teardown();
}
END_TEST

/* --- debug exit ------------------------------------------------------------------------ */

START_TEST(debug_exit_hands_over_the_code)
{
	setup();
	ck_assert_uint_eq(in(PORT_DEBUG_EXIT, 1), 0xff);
	out(PORT_DEBUG_EXIT, 1, 0xc7);
	ck_assert_uint_eq(f->stops, 1);
	ck_assert_int_eq(f->why, STOP_DEBUG_EXIT);
	ck_assert_int_eq(f->code, 0xc7);
	teardown();
}
END_TEST

START_TEST(debug_exit_takes_bytes_only)
{
	setup();
	out(PORT_DEBUG_EXIT, 2, 1);
	out(PORT_DEBUG_EXIT, 4, 1);
	in(PORT_DEBUG_EXIT, 1);
	ck_assert_uint_eq(f->stops, 0);
	teardown();
}
END_TEST

/* --- marks ----------------------------------------------------------------------------- */

START_TEST(mark_hands_over_its_label_and_is_counted)
{
	setup();
	ck_assert_uint_eq(in(PORT_MARK, 4), 0);
	out(PORT_MARK, 4, 0xdeadbeef);
	ck_assert_uint_eq(mark_label, 0xdeadbeef);
	out(PORT_MARK, 4, 0);
	ck_assert_uint_eq(mark_label, 0);
	ck_assert_uint_eq(in(PORT_MARK, 4), 2);
	ck_assert_uint_eq(mark_calls, 2);
	teardown();
}
END_TEST

START_TEST(mark_takes_32_bits_at_its_port_only)
{
	setup();
	out(PORT_MARK, 1, 1);
	out(PORT_MARK, 2, 1);
	out(PORT_MARK + 1, 4, 1);
	out(PORT_MARK - 1, 4, 1);
	ck_assert_uint_eq(in(PORT_MARK, 1), 0xff);
	ck_assert_uint_eq(mark_calls, 0);
	ck_assert_uint_eq(mark_taken(mark), 0);
	teardown();
}
END_TEST

START_TEST(marks_beyond_the_bound_are_guest_faults)
{
	setup();
	for (unsigned i = 0; i < MARK_MAX + 3; i++)
		out(PORT_MARK, 4, i);
	ck_assert_uint_eq(mark_calls, MARK_MAX);
	ck_assert_uint_eq(mark_label, MARK_MAX - 1);
	ck_assert_uint_eq(mark_taken(mark), MARK_MAX);
	ck_assert_uint_eq(mark_faults(mark), 3);
	teardown();
}
END_TEST

/* --- all ------------------------------------------------------------------------------- */

START_TEST(taken_ports_make_new_fail_with_errno)
{
	setup();
	errno = 0;
	ck_assert_ptr_null(rtc_new(&f->m));
	ck_assert_int_eq(errno, EEXIST);
	ck_assert_ptr_null(i8042_new(&f->m));
	ck_assert_ptr_null(acpi_pm_new(&f->m));
	ck_assert_ptr_null(debug_exit_new(&f->m));
	ck_assert_ptr_null(mark_new(&f->m, mark_note, NULL));
	i8042_free(NULL);
	ck_assert_uint_eq(cmos_read(0x0d), 0x80); /* the first ones are unharmed */
	ck_assert_uint_eq(in(0x64, 1), 1);
	teardown();
}
END_TEST

START_TEST(free_gives_the_ports_back)
{
	setup();
	rtc_free(rtc);
	ck_assert_uint_eq(in(0x71, 1), 0xff);
	rtc = rtc_new(&f->m);
	ck_assert_ptr_nonnull(rtc);
	i8042_free(i8042);
	ck_assert_uint_eq(in(0x64, 1), 0xff);
	i8042 = i8042_new(&f->m);
	ck_assert_ptr_nonnull(i8042);
	teardown();
}
END_TEST

static const struct test_entry tests[] = {
	T(rtc_shows_the_hosts_time),
	T(rtc_keeps_what_the_guest_sets),
	T(rtc_set_fields_may_come_in_any_order),
	T(rtc_binary_and_12_hour_modes),
	T(rtc_survives_nonsense_in_time_registers),
	T(rtc_ram_keeps_bytes_but_not_status_registers),
	T(rtc_update_interrupt_comes_each_second_until_read),
	T(rtc_alarm_matches_its_second_only),
	T(rtc_without_enabled_interrupts_never_ticks),
	T(i8042_reset_command_stops_the_machine),
	T(i8042_other_commands_and_data_do_not),
	T(i8042_probe_ends_fast),
	T(pm_sleep_type_5_powers_off),
	T(pm_byte_writes_power_off_too),
	T(pm_other_sleep_types_and_type_alone_do_not),
	T(pm_control_reads_sci_en_and_never_slp_en),
	T(pm_status_reads_zero_and_enable_keeps_defined_bits),
	T(pm_timer_counts_at_its_rate),
	T(debug_exit_hands_over_the_code),
	T(debug_exit_takes_bytes_only),
	T(mark_hands_over_its_label_and_is_counted),
	T(mark_takes_32_bits_at_its_port_only),
	T(marks_beyond_the_bound_are_guest_faults),
	T(taken_ports_make_new_fail_with_errno),
	T(free_gives_the_ports_back),
};

CHECK_MAIN("chips", tests)

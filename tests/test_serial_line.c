/* SPDX-License-Identifier: MIT */
/*
 * test_serial_line.c: what a 16550A's line has besides bytes: a break, as LSR and interrupts
 * tell a driver; and a reader at its other end that is waited for.
 */
#include "devices/serial.h"
#include "tests/check_main.h"
#include "tests/rig/fake_machine.h"

#include <fcntl.h>
#include <linux/serial_reg.h>
#include <unistd.h>

static struct fake_machine *f;
static struct serial *s;
static unsigned rooms;

static void count_room(void *arg)
{
	(void)arg;
	rooms++;
}

static void setup(void)
{
	struct serial_config cfg = {
		.name = "ttyS0", .port = PORT_COM1, .gsi = GSI_COM1, .out_fd = -1
	};

	f = fake_machine_new(1 << 20);
	rooms = 0;
	s = serial_new(&f->m, &cfg);
	ck_assert_ptr_nonnull(s);
	serial_on_room(s, count_room, NULL);
}

static void teardown(void)
{
	serial_free(s, 0);
	fake_machine_free(f);
}

static uint8_t in(unsigned reg)
{
	return (uint8_t)bus_read(&f->m.pio, PORT_COM1 + reg, 1);
}

static void out(unsigned reg, uint8_t val)
{
	bus_write(&f->m.pio, PORT_COM1 + reg, 1, val);
}

static bool irq(void)
{
	return f->irq[GSI_COM1].level;
}

/* A driver that listens: FIFOs and RTS on. */
static void open_port(void)
{
	out(UART_FCR, UART_FCR_ENABLE_FIFO);
	out(UART_MCR, UART_MCR_RTS);
}

/* LSR's bits that an error sets. */
static uint8_t lsr_errors(void)
{
	return in(UART_LSR) & (UART_LSR_BRK_ERROR_BITS | UART_LSR_FIFOE);
}

START_TEST(break_is_told_once_with_its_byte)
{
	setup();
	ck_assert(!serial_break(s)); /* nobody listens yet */
	open_port();
	fake_machine_run(f);
	ck_assert_uint_eq(rooms, 1);
	ck_assert_uint_eq(serial_input(s, "a", 1), 1);
	ck_assert(serial_break(s));
	ck_assert(serial_break(s));
	ck_assert_uint_eq(serial_input(s, "h", 1), 1);
	ck_assert_uint_eq(lsr_errors(), UART_LSR_FIFOE); /* one is in there, behind 'a' */
	ck_assert_uint_eq(in(UART_RX), 'a');
	ck_assert_uint_eq(lsr_errors(), UART_LSR_BI | UART_LSR_FIFOE);
	ck_assert_uint_eq(lsr_errors(), UART_LSR_FIFOE); /* of the second one */
	ck_assert_uint_eq(in(UART_RX), 0);
	ck_assert_uint_eq(in(UART_RX), 0); /* nobody asked: it is forgotten with its byte */
	ck_assert_uint_eq(lsr_errors(), 0);
	ck_assert_uint_eq(in(UART_RX), 'h');
	teardown();
}
END_TEST

START_TEST(break_interrupts_as_line_status)
{
	setup();
	open_port();
	out(UART_IER, UART_IER_RLSI);
	ck_assert(serial_break(s));
	ck_assert(irq());
	ck_assert_uint_eq(in(UART_IIR)&0x0f, UART_IIR_RLSI);
	ck_assert_uint_eq(lsr_errors(), UART_LSR_BI | UART_LSR_FIFOE);
	ck_assert(!irq());
	out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
	ck_assert(serial_break(s));
	out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
	ck_assert(!irq());
	ck_assert_uint_eq(lsr_errors(), 0);
	out(UART_FCR, 0); /* without FIFO: no room for two, no bit that speaks of it */
	ck_assert(serial_break(s));
	ck_assert(!serial_break(s));
	ck_assert_uint_eq(lsr_errors(), UART_LSR_BI);
	teardown();
}
END_TEST

/* Where an impatient line loses bytes after a second (tests/test_serial.c), this one holds its
 * guest back: for twice as long, then to the last byte. */
START_TEST(patient_line_loses_nothing)
{
	struct serial_config cfg = {
		.name = "ttyS1", .port = PORT_COM2, .gsi = GSI_COM2, .patient = true
	};
	uint64_t end = loop_now() + 2 * UINT64_C(1000000000);
	uint64_t sent = 0, got = 0;
	struct serial *line;
	uint8_t buf[4096];
	int p[2];

	setup();
	ck_assert_int_eq(pipe2(p, O_NONBLOCK), 0);
	cfg.out_fd = p[1];
	line = serial_new(&f->m, &cfg);
	ck_assert_ptr_nonnull(line);
	for (; bus_read(&f->m.pio, PORT_COM2 + UART_LSR, 1) & UART_LSR_THRE; sent++)
		bus_write(&f->m.pio, PORT_COM2 + UART_TX, 1, (uint8_t)sent);
	while (loop_now() < end) {
		loop_once(f->m.loop, 100);
		if (bus_read(&f->m.pio, PORT_COM2 + UART_LSR, 1) & UART_LSR_THRE)
			bus_write(&f->m.pio, PORT_COM2 + UART_TX, 1, (uint8_t)sent++);
	}
	while (got < sent) {
		ssize_t n = read(p[0], buf, sizeof(buf));

		for (ssize_t i = 0; i < n; i++)
			ck_assert_uint_eq(buf[i], (uint8_t)got++);
		if (n <= 0)
			ck_assert_int_gt(loop_once(f->m.loop, 5000), 0);
	}
	ck_assert_uint_eq(serial_dropped(line), 0);
	serial_free(line, 0);
	close(p[0]);
	close(p[1]);
	teardown();
}
END_TEST

static const struct test_entry tests[] = {
	T(break_is_told_once_with_its_byte),
	T(break_interrupts_as_line_status),
	T(patient_line_loses_nothing),
};

CHECK_MAIN("serial_line", tests)

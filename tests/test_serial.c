/* SPDX-License-Identifier: MIT */
/* test_serial.c: the 16550A as a driver sees it, and its output to readers of all kinds. */
#include "devices/char_out.h"
#include "devices/serial.h"
#include "tests/check_main.h"
#include "tests/rig/fake_machine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/serial_reg.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define UART_IIR_MASK 0x0f /* without the FIFO bits */

static struct fake_machine *f;
static struct serial *s;
static int line[2]; /* where output goes: line[0] reads what the guest has sent */
static unsigned rooms;

static void count_room(void *arg)
{
	(void)arg;
	rooms++;
}

static struct serial *serial_on(int out_fd)
{
	struct serial_config cfg = {
		.name = "ttyS0", .port = PORT_COM1, .gsi = GSI_COM1, .out_fd = out_fd
	};

	return serial_new(&f->m, &cfg);
}

static void setup(void)
{
	signal(SIGPIPE, SIG_IGN);
	f = fake_machine_new(1 << 20);
	rooms = 0;
	ck_assert_int_eq(pipe2(line, O_CLOEXEC), 0);
	s = serial_on(line[1]);
	ck_assert_ptr_nonnull(s);
	serial_on_room(s, count_room, NULL);
}

static void teardown(void)
{
	serial_free(s, 0);
	if (line[0] >= 0)
		close(line[0]);
	close(line[1]);
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

static void guest_prints(const char *text)
{
	while (*text)
		out(UART_TX, (uint8_t)*text++);
}

static uint8_t iir(void)
{
	return in(UART_IIR)&UART_IIR_MASK;
}

/* The guest as a driver that wants input: FIFOs on, DTR and RTS up, interrupts on. */
static void open_port(void)
{
	out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_8);
	out(UART_MCR, UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);
	out(UART_IER, UART_IER_RDI);
}

/* Serve the loop until `n` bytes have come out, and check that they are `want`. */
static void expect_output(const char *want)
{
	char got[256] = { 0 };
	size_t n = 0;

	fcntl(line[0], F_SETFL, O_NONBLOCK);
	while (n < strlen(want)) {
		ssize_t r = read(line[0], got + n, sizeof(got) - 1 - n);

		if (r > 0)
			n += (size_t)r;
		else
			ck_assert_int_gt(loop_once(f->m.loop, 5000), 0);
	}
	ck_assert_str_eq(got, want);
}

/* --- probing, as Linux does it ---------------------------------------------------------- */

START_TEST(probe_finds_a_16550a)
{
	setup();
	out(UART_IER, 0);
	ck_assert_uint_eq(in(UART_IER), 0);
	out(UART_IER, 0xff);
	ck_assert_uint_eq(in(UART_IER), 0x0f);
	out(UART_IER, 0);
	out(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_RTS);
	ck_assert_uint_eq(in(UART_MSR)&0xf0, UART_MSR_DCD | UART_MSR_CTS);
	out(UART_MCR, 0);
	ck_assert_uint_eq(in(UART_MSR)&0xf0, UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS);
	ck_assert_uint_eq(in(UART_IIR) >> 6, 0);
	out(UART_FCR, UART_FCR_ENABLE_FIFO);
	ck_assert_uint_eq(in(UART_IIR) >> 6, 3);
	ck_assert_uint_eq(in(UART_IIR)&0x20, 0); /* not a 16750 */
	out(UART_FCR, 0);
	ck_assert_uint_eq(in(UART_IIR) >> 6, 0);
	teardown();
}
END_TEST

START_TEST(registers_keep_their_bits)
{
	setup();
	out(UART_SCR, 0xa5);
	ck_assert_uint_eq(in(UART_SCR), 0xa5);
	out(UART_LCR, UART_LCR_WLEN8);
	ck_assert_uint_eq(in(UART_LCR), UART_LCR_WLEN8);
	out(UART_MCR, 0xff);
	ck_assert_uint_eq(in(UART_MCR), 0x1f);
	out(UART_MCR, 0);
	out(UART_LSR, 0);
	ck_assert_uint_eq(in(UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
	ck_assert_uint_eq(bus_read(&f->m.pio, PORT_COM1, 2), 0xffff);
	teardown();
}
END_TEST

START_TEST(divisor_latch_hides_data_and_interrupts)
{
	setup();
	out(UART_IER, UART_IER_RDI);
	out(UART_LCR, UART_LCR_DLAB);
	out(UART_DLL, 0x0c);
	out(UART_DLM, 0x34);
	ck_assert_uint_eq(in(UART_DLL), 0x0c);
	ck_assert_uint_eq(in(UART_DLM), 0x34);
	out(UART_LCR, UART_LCR_WLEN8);
	ck_assert_uint_eq(in(UART_IER), UART_IER_RDI);
	guest_prints("x");
	expect_output("x"); /* and no divisor byte before it */
	teardown();
}
END_TEST

/* --- transmitter ------------------------------------------------------------------------- */

START_TEST(output_comes_out_in_order)
{
	setup();
	guest_prints("hello, ");
	guest_prints("world\r\n");
	ck_assert_uint_eq(in(UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
	expect_output("hello, world\r\n");
	ck_assert_uint_eq(serial_dropped(s), 0);
	teardown();
}
END_TEST

START_TEST(output_left_at_the_end_is_flushed)
{
	setup();
	char got[8] = { 0 };

	guest_prints("bye");
	serial_free(s, 1000);
	ck_assert_int_eq(read(line[0], got, sizeof(got)), 3);
	ck_assert_str_eq(got, "bye");
	s = serial_on(line[1]);
	teardown();
}
END_TEST

START_TEST(thre_interrupt_comes_on_enable_and_after_each_byte)
{
	setup();
	ck_assert(!irq());
	out(UART_IER, UART_IER_THRI);
	ck_assert(irq());
	ck_assert_uint_eq(iir(), UART_IIR_THRI); /* reading it is the acknowledgement */
	ck_assert(!irq());
	ck_assert_uint_eq(iir(), UART_IIR_NO_INT);
	out(UART_TX, 'a');
	ck_assert(irq());
	ck_assert_uint_eq(iir(), UART_IIR_THRI);
	out(UART_IER, 0);
	out(UART_IER, UART_IER_THRI); /* Linux tests for chips that forget this */
	ck_assert_uint_eq(iir(), UART_IIR_THRI);
	out(UART_IER, UART_IER_THRI); /* no rise, no interrupt */
	ck_assert(!irq());
	ck_assert_uint_eq(f->irq[GSI_COM1].edges, 3);
	teardown();
}
END_TEST

START_TEST(thre_interrupt_stays_away_when_disabled)
{
	setup();
	guest_prints("abc");
	ck_assert(!irq());
	ck_assert_uint_eq(iir(), UART_IIR_NO_INT);
	ck_assert_uint_eq(f->irq[GSI_COM1].sets, 0);
	teardown();
}
END_TEST

/* Fill pipe and buffer. Returns the number of bytes sent when THRE went away. */
static unsigned fill(void)
{
	unsigned n = 0;

	fcntl(line[1], F_SETPIPE_SZ, 4096);
	while ((in(UART_LSR)&UART_LSR_THRE) && n < 10 * CHAR_OUT_SIZE) {
		out(UART_TX, (uint8_t)n++);
		if (n == 8192) /* let the pipe fill, so that the loop waits for its reader */
			loop_once(f->m.loop, 5000);
	}
	return n;
}

START_TEST(slow_reader_holds_the_transmitter_back_and_loses_nothing)
{
	setup();
	unsigned sent, got = 0;
	uint8_t b[4096];

	sent = fill();
	ck_assert_uint_eq(sent, CHAR_OUT_SIZE + 4096);
	out(UART_IER, UART_IER_THRI);
	ck_assert(!irq());
	fcntl(line[0], F_SETFL, O_NONBLOCK);
	while (got < sent) {
		ssize_t n = read(line[0], b, sizeof(b));

		for (ssize_t i = 0; i < n; i++)
			ck_assert_uint_eq(b[i], (uint8_t)got++);
		if (n <= 0)
			ck_assert_int_gt(loop_once(f->m.loop, 5000), 0);
	}
	ck_assert(irq());
	ck_assert(in(UART_LSR)&UART_LSR_THRE);
	ck_assert_uint_eq(serial_dropped(s), 0);
	teardown();
}
END_TEST

START_TEST(stalled_reader_costs_bytes_not_the_guest)
{
	setup();
	fill();
	out(UART_IER, UART_IER_THRI);
	for (unsigned i = 0; i < 20 && !irq(); i++)
		loop_once(f->m.loop, 1000); /* until the stall is noticed */
	ck_assert(irq());
	ck_assert_uint_eq(serial_dropped(s), 0);
	guest_prints("lost");
	ck_assert(in(UART_LSR)&UART_LSR_THRE);
	ck_assert_uint_eq(serial_dropped(s), 4);
	teardown();
}
END_TEST

START_TEST(stalled_reader_delays_the_end_no_longer_than_asked)
{
	setup();
	uint64_t start;

	fill();
	start = loop_now();
	serial_free(s, 50);
	ck_assert_uint_ge(loop_now() - start, 50000000);
	ck_assert_uint_lt(loop_now() - start, UINT64_C(5000000000));
	s = serial_on(-1);
	teardown();
}
END_TEST

START_TEST(reader_that_left_is_survived_and_counted)
{
	setup();
	close(line[0]);
	line[0] = -1;
	guest_prints("nobody");
	while (!serial_dropped(s))
		ck_assert_int_gt(loop_once(f->m.loop, 5000), 0);
	guest_prints("listens");
	ck_assert(in(UART_LSR)&UART_LSR_THRE);
	ck_assert_uint_eq(serial_dropped(s), strlen("nobodylistens"));
	fake_machine_run(f); /* and it does not spin */
	teardown();
}
END_TEST

START_TEST(output_to_a_closed_or_no_descriptor_vanishes)
{
	setup();
	serial_free(s, 0);
	s = serial_on(-1);
	guest_prints("x");
	serial_free(s, 0);
	s = serial_on(999);
	guest_prints("x");
	ck_assert(in(UART_LSR)&UART_LSR_THRE);
	ck_assert_uint_eq(serial_dropped(s), 0);
	fake_machine_run(f);
	teardown();
}
END_TEST

START_TEST(output_to_a_file_keeps_what_was_in_it)
{
	setup();
	char path[] = "/tmp/duet-test-XXXXXX", got[16] = { 0 };
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	unlink(path);
	ck_assert_int_eq(write(fd, "old ", 4), 4);
	serial_free(s, 0);
	s = serial_on(fd);
	guest_prints("new");
	serial_free(s, 0);
	s = serial_on(-1);
	ck_assert_int_eq(pread(fd, got, sizeof(got), 0), 7);
	ck_assert_str_eq(got, "old new");
	close(fd);
	teardown();
}
END_TEST

START_TEST(output_to_a_socket_does_not_change_its_mode)
{
	setup();
	char got[8] = { 0 };
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	serial_free(s, 0);
	s = serial_on(sv[0]);
	guest_prints("hi");
	serial_free(s, 1000);
	s = serial_on(-1);
	ck_assert_int_eq(read(sv[1], got, sizeof(got)), 2);
	ck_assert_int_eq(fcntl(sv[0], F_GETFL) & O_NONBLOCK, 0);
	close(sv[0]);
	close(sv[1]);
	teardown();
}
END_TEST

START_TEST(pipe_shared_with_others_stays_blocking)
{
	setup();
	guest_prints("x");
	expect_output("x");
	ck_assert_int_eq(fcntl(line[1], F_GETFL) & O_NONBLOCK, 0);
	teardown();
}
END_TEST

/* --- receiver ---------------------------------------------------------------------------- */

START_TEST(input_arrives_with_interrupt_and_leaves_in_order)
{
	setup();
	open_port();
	ck_assert_uint_eq(serial_input(s, "ab", 2), 2);
	ck_assert(irq());
	ck_assert_uint_eq(iir(), UART_IIR_RX_TIMEOUT); /* below the trigger level */
	ck_assert(in(UART_LSR)&UART_LSR_DR);
	ck_assert_uint_eq(in(UART_RX), 'a');
	ck_assert(irq());
	ck_assert_uint_eq(in(UART_RX), 'b');
	ck_assert(!irq());
	ck_assert(!(in(UART_LSR)&UART_LSR_DR));
	ck_assert_uint_eq(in(UART_RX), 0);
	teardown();
}
END_TEST

START_TEST(input_at_the_trigger_level_is_told_as_data)
{
	setup();
	open_port();
	ck_assert_uint_eq(serial_input(s, "1234567", 7), 7);
	ck_assert_uint_eq(iir(), UART_IIR_RX_TIMEOUT);
	ck_assert_uint_eq(serial_input(s, "8", 1), 1);
	ck_assert_uint_eq(iir(), UART_IIR_RDI);
	teardown();
}
END_TEST

START_TEST(input_goes_before_transmitter_interrupts)
{
	setup();
	open_port();
	out(UART_IER, UART_IER_RDI | UART_IER_THRI);
	serial_input(s, "a", 1);
	ck_assert_uint_eq(iir(), UART_IIR_RX_TIMEOUT);
	in(UART_RX);
	ck_assert_uint_eq(iir(), UART_IIR_THRI);
	ck_assert(!irq());
	teardown();
}
END_TEST

START_TEST(full_fifo_takes_no_more_and_asks_when_empty)
{
	setup();
	open_port();
	ck_assert_uint_eq(serial_input(s, "0123456789abcdefXYZ", 19), 16);
	ck_assert_uint_eq(serial_input(s, "XYZ", 3), 0);
	for (unsigned i = 0; i < 15; i++)
		in(UART_RX);
	fake_machine_run(f);
	ck_assert_uint_eq(rooms, 0);
	in(UART_RX);
	fake_machine_run(f);
	ck_assert_uint_eq(rooms, 1);
	ck_assert(!(in(UART_LSR)&UART_LSR_OE));
	ck_assert_uint_eq(serial_input(s, "XYZ", 3), 3);
	in(UART_RX), in(UART_RX), in(UART_RX);
	fake_machine_run(f);
	ck_assert_uint_eq(rooms, 1); /* nothing had been refused */
	teardown();
}
END_TEST

START_TEST(receiver_without_fifo_holds_one_byte)
{
	setup();
	out(UART_IER, UART_IER_RDI);
	ck_assert_uint_eq(serial_input(s, "ab", 2), 1);
	ck_assert_uint_eq(iir(), UART_IIR_RDI);
	ck_assert_uint_eq(in(UART_RX), 'a');
	teardown();
}
END_TEST

START_TEST(early_input_waits_until_the_guest_wants_it)
{
	setup();
	ck_assert_uint_eq(serial_input(s, "ls\n", 3), 0);
	out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR); /* the driver probes */
	out(UART_MCR, UART_MCR_LOOP | UART_MCR_RTS);
	ck_assert_uint_eq(serial_input(s, "ls\n", 3), 0);
	out(UART_MCR, UART_MCR_DTR);
	fake_machine_run(f);
	ck_assert_uint_eq(rooms, 0);
	out(UART_MCR, UART_MCR_DTR | UART_MCR_RTS); /* ... and opens */
	fake_machine_run(f);
	ck_assert_uint_eq(rooms, 1);
	ck_assert_uint_eq(serial_input(s, "ls\n", 3), 3);
	ck_assert(!irq());
	teardown();
}
END_TEST

START_TEST(clearing_the_receiver_empties_it)
{
	setup();
	open_port();
	serial_input(s, "abc", 3);
	out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_XMIT);
	ck_assert(irq());
	out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
	ck_assert(!irq());
	ck_assert(!(in(UART_LSR)&UART_LSR_DR));
	teardown();
}
END_TEST

START_TEST(loopback_returns_bytes_and_lines_and_sends_nothing)
{
	setup();
	static const uint8_t lines[][2] = { { UART_MCR_DTR, UART_MSR_DSR },
					    { UART_MCR_RTS, UART_MSR_CTS },
					    { UART_MCR_OUT1, UART_MSR_RI },
					    { UART_MCR_OUT2, UART_MSR_DCD } };

	for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
		out(UART_MCR, UART_MCR_LOOP | lines[i][0]);
		ck_assert_uint_eq(in(UART_MSR)&0xf0, lines[i][1]);
		ck_assert_uint_eq(in(UART_MSR)&0x0f, 0); /* deltas were cleared by reading */
	}
	out(UART_TX, 'L');
	ck_assert_uint_eq(in(UART_RX), 'L');
	out(UART_TX, '1');
	out(UART_TX, '2'); /* no FIFO: overrun */
	ck_assert(in(UART_LSR)&UART_LSR_OE);
	ck_assert(!(in(UART_LSR)&UART_LSR_OE));
	out(UART_MCR, 0);
	guest_prints("out");
	expect_output("out");
	teardown();
}
END_TEST

START_TEST(line_changes_interrupt_when_enabled)
{
	setup();
	out(UART_MCR, UART_MCR_LOOP);
	in(UART_MSR);
	out(UART_MCR, UART_MCR_LOOP | UART_MCR_RTS);
	ck_assert(!irq());
	out(UART_IER, UART_IER_MSI);
	ck_assert_uint_eq(iir(), UART_IIR_MSI);
	ck_assert_uint_eq(in(UART_MSR), UART_MSR_CTS | UART_MSR_DCTS);
	ck_assert(!irq());
	out(UART_MCR, UART_MCR_LOOP | UART_MCR_RTS | UART_MCR_OUT1);
	ck_assert(!irq()); /* the ring's begin */
	out(UART_MCR, UART_MCR_LOOP | UART_MCR_RTS);
	ck_assert_uint_eq(in(UART_MSR), UART_MSR_CTS | UART_MSR_TERI);
	teardown();
}
END_TEST

START_TEST(taken_ports_fail_with_errno)
{
	setup();
	errno = 0;
	ck_assert_ptr_null(serial_on(-1));
	ck_assert_int_eq(errno, EEXIST);
	guest_prints("x");
	expect_output("x");
	teardown();
}
END_TEST

static const struct test_entry tests[] = {
	T(probe_finds_a_16550a),
	T(registers_keep_their_bits),
	T(divisor_latch_hides_data_and_interrupts),
	T(output_comes_out_in_order),
	T(output_left_at_the_end_is_flushed),
	T(thre_interrupt_comes_on_enable_and_after_each_byte),
	T(thre_interrupt_stays_away_when_disabled),
	T(slow_reader_holds_the_transmitter_back_and_loses_nothing),
	T(stalled_reader_costs_bytes_not_the_guest),
	T(stalled_reader_delays_the_end_no_longer_than_asked),
	T(reader_that_left_is_survived_and_counted),
	T(output_to_a_closed_or_no_descriptor_vanishes),
	T(output_to_a_file_keeps_what_was_in_it),
	T(output_to_a_socket_does_not_change_its_mode),
	T(pipe_shared_with_others_stays_blocking),
	T(input_arrives_with_interrupt_and_leaves_in_order),
	T(input_at_the_trigger_level_is_told_as_data),
	T(input_goes_before_transmitter_interrupts),
	T(full_fifo_takes_no_more_and_asks_when_empty),
	T(receiver_without_fifo_holds_one_byte),
	T(early_input_waits_until_the_guest_wants_it),
	T(clearing_the_receiver_empties_it),
	T(loopback_returns_bytes_and_lines_and_sends_nothing),
	T(line_changes_interrupt_when_enabled),
	T(taken_ports_fail_with_errno),
};

CHECK_MAIN("serial", tests)

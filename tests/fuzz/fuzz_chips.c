/* SPDX-License-Identifier: MIT */
/*
 * fuzz_chips.c: the chips behind fixed ports: two UARTs, RTC, keyboard controller, ACPI
 * registers, debug exit, mark. Accesses of every size at every port, typing, a reader of the
 * UART's output that is fast, slow or not there.
 */
#include "devices/acpi_pm.h"
#include "devices/debug_exit.h"
#include "devices/i8042.h"
#include "devices/mark.h"
#include "devices/rtc.h"
#include "devices/serial.h"
#include "tests/fuzz/machine.h"
#include "vmm/layout.h"

#include <fcntl.h>
#include <linux/serial_reg.h>
#include <unistd.h>

const char fuzz_name[] = "chips";

struct chips {
	struct fuzz_machine *m;
	struct serial *com[2];
	struct rtc *rtc;
	struct i8042 *i8042;
	struct acpi_pm *pm;
	struct debug_exit *debug_exit;
	struct mark *mark;
	unsigned rooms;
};

/* What the second UART writes to: small, and read only when the input says so. */
static int chips_pipe[2];

static void chips_pipe_drain(void)
{
	char buf[4096];

	while (read(chips_pipe[0], buf, sizeof(buf)) > 0)
		;
}

static void chips_room(void *arg)
{
	((struct chips *)arg)->rooms++;
}

static void chips_mark(void *ctx, uint32_t label)
{
	(void)ctx, (void)label;
}

static void chips_new(struct chips *c)
{
	static const struct serial_config com1 = {
		.name = "com1", .port = PORT_COM1, .gsi = GSI_COM1, .out_fd = -1
	};
	struct machine *m = &c->m->f->m;

	if (!chips_pipe[1]) {
		BUG_ON(pipe2(chips_pipe, O_NONBLOCK | O_CLOEXEC) < 0);
		fcntl(chips_pipe[1], F_SETPIPE_SZ, 4096);
	}
	c->com[0] = serial_new(m, &com1);
	c->com[1] = serial_new(m, &(struct serial_config){ .name = "com2",
							   .port = PORT_COM2,
							   .gsi = GSI_COM2,
							   .out_fd = chips_pipe[1] });
	c->rtc = rtc_new(m);
	c->i8042 = i8042_new(m);
	c->pm = acpi_pm_new(m);
	c->debug_exit = debug_exit_new(m);
	c->mark = mark_new(m, chips_mark, c);
	BUG_ON(!c->com[0] || !c->com[1] || !c->rtc || !c->i8042 || !c->pm || !c->debug_exit ||
	       !c->mark);
	serial_on_room(c->com[0], chips_room, c);
}

static void chips_free(struct chips *c)
{
	serial_free(c->com[0], 0);
	serial_free(c->com[1], 0);
	rtc_free(c->rtc);
	i8042_free(c->i8042);
	acpi_pm_free(c->pm);
	debug_exit_free(c->debug_exit);
	mark_free(c->mark);
	chips_pipe_drain();
}

/* --- operations ------------------------------------------------------------------------ */

static void port_out(struct chips *c, uint64_t port, unsigned size, uint64_t val)
{
	bus_write(&c->m->f->m.pio, port, size, val & bus_ones(size));
}

static uint64_t port_in(struct chips *c, uint64_t port, unsigned size)
{
	return bus_read(&c->m->f->m.pio, port, size);
}

static void op_port(struct chips *c, struct fuzz_in *in)
{
	static const uint16_t base[] = { PORT_COM1,    PORT_COM2, PORT_RTC,       PORT_I8042,
					 PORT_ACPI_PM, PORT_MARK, PORT_DEBUG_EXIT };
	uint8_t how = fuzz_u8(in);
	uint64_t port = base[fuzz_below(in, ARRAY_SIZE(base))] + (how & 15u);
	unsigned size = 1u << ((how >> 4) & 3);

	if (how & 64)
		port_in(c, port, size);
	else
		port_out(c, port, size, how & 128 ? fuzz_u64(in) : fuzz_u8(in));
}

static void op_serial(struct chips *c, struct fuzz_in *in)
{
	uint8_t how = fuzz_u8(in);
	uint64_t port = (how & 1 ? PORT_COM2 : PORT_COM1) + ((how >> 1) & 7u);

	if (how & 16)
		port_in(c, port, 1);
	else
		port_out(c, port, 1, fuzz_u8(in));
}

/* More output than a pipe takes, and sometimes than anybody keeps. */
static void op_print(struct chips *c, struct fuzz_in *in)
{
	uint8_t how = fuzz_u8(in);
	unsigned n = 1u << (how & 15) % 13;

	port_out(c, PORT_COM2 + UART_LCR, 1, UART_LCR_WLEN8);
	for (unsigned i = 0; i < n; i++)
		port_out(c, (how & 16 ? PORT_COM1 : PORT_COM2) + UART_TX, 1, 'a' + i % 26);
	if (how & 32)
		chips_pipe_drain();
}

static void op_type(struct chips *c, struct fuzz_in *in)
{
	uint8_t buf[64], how = fuzz_u8(in);
	size_t n = how % sizeof(buf);

	fuzz_bytes(in, buf, n);
	FUZZ_CHECK(serial_input(c->com[how >> 7], buf, n) <= n, "more was typed than was there");
}

/* As a driver empties the FIFO, and a little more. */
static void op_read(struct chips *c, struct fuzz_in *in)
{
	uint8_t how = fuzz_u8(in);

	if (how & 128)
		port_out(c, PORT_COM1 + UART_MCR, 1, UART_MCR_RTS);
	for (unsigned n = how & 63; n; n--) {
		port_in(c, PORT_COM1 + UART_LSR, 1);
		port_in(c, PORT_COM1 + UART_RX, 1);
		if (how & 64)
			serial_input(c->com[0], "0123456789", n % 10);
	}
}

static void op_rtc(struct chips *c, struct fuzz_in *in)
{
	uint8_t how = fuzz_u8(in);

	port_out(c, PORT_RTC, 1, how & 64 ? fuzz_u8(in) : how & 15);
	if (how & 128)
		port_in(c, PORT_RTC + 1, 1);
	else
		port_out(c, PORT_RTC + 1, 1, fuzz_u8(in));
}

static void op_pm(struct chips *c, struct fuzz_in *in)
{
	uint8_t how = fuzz_u8(in);
	unsigned at = PORT_ACPI_PM + (how & 15), size = 1u << ((how >> 4) & 3);

	if (how & 64)
		port_in(c, at, size);
	else
		port_out(c, at, size, fuzz_u16(in));
}

static void op_time(struct chips *c, struct fuzz_in *in)
{
	fuzz_op_time(c->m, in);
}

static void (*const ops[])(struct chips *, struct fuzz_in *) = {
	op_port, op_serial, op_serial, op_serial, op_print, op_type,
	op_read, op_rtc,    op_rtc,    op_pm,     op_time,
};

/* The UART still works: a byte typed, with everything reset, comes out of RBR. */
static void recover(struct chips *c)
{
	uint64_t lsr;

	port_out(c, PORT_COM1 + UART_LCR, 1, UART_LCR_WLEN8);
	port_out(c, PORT_COM1 + UART_MCR, 1, UART_MCR_RTS);
	port_out(c, PORT_COM1 + UART_FCR, 1, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
	fuzz_run(c->m);
	FUZZ_CHECK(serial_input(c->com[0], "x", 1) == 1, "the UART takes no input");
	lsr = port_in(c, PORT_COM1 + UART_LSR, 1);
	FUZZ_CHECK((lsr & UART_LSR_DR) && port_in(c, PORT_COM1 + UART_RX, 1) == 'x',
		   "what was typed has not come: LSR %#x", (unsigned)lsr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	struct chips c = { .m = fuzz_machine_begin() };

	chips_new(&c);
	for (unsigned i = 0; i < 256 && in.left; i++)
		ops[fuzz_below(&in, ARRAY_SIZE(ops))](&c, &in);
	fuzz_run(c.m);
	recover(&c);
	chips_free(&c);
	fuzz_machine_end(c.m);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * serial.c: a 16550A. Registers by offset (DLAB is bit 7 of LCR):
 *
 *   0 RBR/THR (DLAB: DLL)   1 IER (DLAB: DLM)   2 IIR/FCR   3 LCR   4 MCR
 *   5 LSR                   6 MSR               7 SCR
 *
 * There is no bit clock: a byte is sent as soon as it is written, so the transmitter is
 * empty again at once, except while the host's reader is so slow that char_out.h has no
 * room; then THRE stays 0 as on a slow line. The receiver's FIFO is filled by
 * serial_input() and held back (nothing is ever overrun) until the guest wants input:
 * it has raised RTS or enabled the received-data interrupt. So what is typed or piped in
 * early waits for the guest's driver instead of being cleared away by its probing.
 *
 * Left out: parity and framing errors (a descriptor has none; a break comes by
 * serial_break()), break as output (it goes nowhere), the receiver's
 * time-out delay (CTI is immediate), and OUT2 as the gate of the interrupt line, which
 * boards that do without it have always tolerated.
 */
#include "devices/serial.h"

#include "devices/char_out.h"

#include <errno.h>
#include <linux/serial_reg.h>
#include <string.h>

#define SERIAL_PORTS    8
#define SERIAL_FIFO     16
#define SERIAL_IER_W    (UART_IER_RDI | UART_IER_THRI | UART_IER_RLSI | UART_IER_MSI)
#define SERIAL_MCR_W    (UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT1 | UART_MCR_OUT2 | UART_MCR_LOOP)
#define SERIAL_FIFOS_ON 0xc0 /* IIR: FIFOs enabled, and working (a 16550 sets one bit) */
/* The other end of the line is always there and ready. */
#define SERIAL_MSR_LINE (UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS)

struct serial {
	/* fixed: */
	struct machine *m;
	struct region region;
	struct irq_line *irq;
	void (*room)(void *arg);
	void *room_arg;
	struct char_out out;        /* has its own lock, inside ours */
	struct loop_event has_room; /* calls room() */
	pthread_mutex_t lock;
	/* lock: */
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	uint8_t msr;    /* lines and their deltas */
	bool overrun;   /* LSR.OE, of a loopback test only */
	bool thre_intr; /* the transmitter became empty and nobody was told yet */
	bool tx_full;   /* the last byte found no room: THRE is 0 */
	bool refused;   /* serial_input() was told to come back */
	uint8_t rx[SERIAL_FIFO];
	bool rx_break[SERIAL_FIFO]; /* that byte is a break's, and LSR has not said so */
	unsigned breaks;            /* how many of these are true */
	unsigned rx_head, rx_len;
	bool level;
};

/* --- interrupts (lock held in all below) --------------------------------------------- */

static unsigned serial_capacity(const struct serial *s)
{
	return s->fcr & UART_FCR_ENABLE_FIFO ? SERIAL_FIFO : 1;
}

static unsigned serial_trigger(const struct serial *s)
{
	static const uint8_t level[] = { 1, 4, 8, 14 };

	return s->fcr & UART_FCR_ENABLE_FIFO ? level[s->fcr >> 6] : 1;
}

/* Is the next byte to be read a break's, which LSR has not said yet? */
static bool serial_at_break(const struct serial *s)
{
	return s->rx_len && s->rx_break[s->rx_head];
}

/* The pending interrupt of the highest priority, as IIR shows it. */
static uint8_t serial_iir(const struct serial *s)
{
	if ((s->ier & UART_IER_RLSI) && (s->overrun || serial_at_break(s)))
		return UART_IIR_RLSI;
	if ((s->ier & UART_IER_RDI) && s->rx_len)
		return s->rx_len >= serial_trigger(s) ? UART_IIR_RDI : UART_IIR_RX_TIMEOUT;
	if ((s->ier & UART_IER_THRI) && s->thre_intr)
		return UART_IIR_THRI;
	if ((s->ier & UART_IER_MSI) && (s->msr & UART_MSR_ANY_DELTA))
		return UART_IIR_MSI;
	return UART_IIR_NO_INT;
}

static void serial_irq_update(struct serial *s)
{
	bool level = serial_iir(s) != UART_IIR_NO_INT;

	if (level != s->level)
		irq_set(s->irq, level);
	s->level = level;
}

/* --- receiver ------------------------------------------------------------------------- */

static bool serial_rx_wanted(const struct serial *s)
{
	return !(s->mcr & UART_MCR_LOOP) && ((s->mcr & UART_MCR_RTS) || (s->ier & UART_IER_RDI));
}

static bool serial_rx_push(struct serial *s, uint8_t c, bool is_break)
{
	unsigned at = (s->rx_head + s->rx_len) % SERIAL_FIFO;

	if (s->rx_len >= serial_capacity(s))
		return false;
	s->rx[at] = c;
	s->rx_break[at] = is_break;
	s->breaks += is_break;
	s->rx_len++;
	return true;
}

/* LSR has told of the break at the head, or nobody will ask any more. */
static void serial_break_told(struct serial *s)
{
	if (!serial_at_break(s))
		return;
	s->rx_break[s->rx_head] = false;
	s->breaks--;
}

static void serial_rx_clear(struct serial *s)
{
	s->rx_len = 0;
	s->breaks = 0;
}

/* Something may have made room for input that was refused: have it offered again. Not
 * before the receiver is empty, so that a FIFO's worth comes at a time. */
static void serial_rx_ask(struct serial *s)
{
	if (!s->refused || s->rx_len || !serial_rx_wanted(s))
		return;
	s->refused = false;
	loop_event_signal(&s->has_room);
}

static uint8_t serial_rx_pop(struct serial *s)
{
	uint8_t c = s->rx[s->rx_head];

	if (!s->rx_len)
		return 0;
	serial_break_told(s);
	s->rx_head = (s->rx_head + 1) % SERIAL_FIFO;
	s->rx_len--;
	serial_rx_ask(s);
	return c;
}

size_t serial_input(struct serial *s, const void *buf, size_t len)
{
	const uint8_t *p = buf;
	size_t n = 0;

	pthread_mutex_lock(&s->lock);
	if (serial_rx_wanted(s))
		while (n < len && serial_rx_push(s, p[n], false))
			n++;
	if (n < len)
		s->refused = true;
	serial_irq_update(s);
	pthread_mutex_unlock(&s->lock);
	return n;
}

bool serial_break(struct serial *s)
{
	bool taken;

	pthread_mutex_lock(&s->lock);
	taken = serial_rx_wanted(s) && serial_rx_push(s, 0, true);
	if (!taken)
		s->refused = true;
	serial_irq_update(s);
	pthread_mutex_unlock(&s->lock);
	return taken;
}

static void serial_has_room(struct loop_event *e)
{
	struct serial *s = container_of(e, struct serial, has_room);

	if (s->room)
		s->room(s->room_arg);
}

void serial_on_room(struct serial *s, void (*room)(void *arg), void *arg)
{
	s->room = room;
	s->room_arg = arg;
}

/* --- transmitter ---------------------------------------------------------------------- */

static void serial_tx(struct serial *s, uint8_t c)
{
	if (s->mcr & UART_MCR_LOOP) {
		if (!serial_rx_push(s, c, false))
			s->overrun = true;
	} else {
		char_out_put(&s->out, c);
	}
	s->tx_full = !char_out_room(&s->out);
	s->thre_intr = !s->tx_full;
}

/* Loop thread: the reader has caught up, or was given up. */
static void serial_tx_room(struct char_out *o)
{
	struct serial *s = container_of(o, struct serial, out);

	pthread_mutex_lock(&s->lock);
	if (s->tx_full) {
		s->tx_full = false;
		s->thre_intr = true;
		serial_irq_update(s);
	}
	pthread_mutex_unlock(&s->lock);
}

uint64_t serial_dropped(const struct serial *s)
{
	return counter_get(&s->out.dropped);
}

/* --- registers ------------------------------------------------------------------------ */

static uint8_t serial_read_lsr(struct serial *s)
{
	uint8_t v = s->rx_len ? UART_LSR_DR : 0;

	if (!s->tx_full)
		v |= UART_LSR_THRE | UART_LSR_TEMT;
	if (s->overrun)
		v |= UART_LSR_OE;
	s->overrun = false;
	if (serial_at_break(s))
		v |= UART_LSR_BI;
	if (s->breaks && (s->fcr & UART_FCR_ENABLE_FIFO))
		v |= UART_LSR_FIFOE;
	serial_break_told(s);
	return v;
}

static uint8_t serial_read_iir(struct serial *s)
{
	uint8_t v = serial_iir(s);

	if (v == UART_IIR_THRI)
		s->thre_intr = false; /* told */
	return v | (s->fcr & UART_FCR_ENABLE_FIFO ? SERIAL_FIFOS_ON : 0);
}

static uint8_t serial_read_msr(struct serial *s)
{
	uint8_t v = s->msr;

	s->msr &= (uint8_t)~UART_MSR_ANY_DELTA;
	return v;
}

static uint8_t serial_read_reg(struct serial *s, unsigned reg)
{
	bool dlab = s->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_RX:
		return dlab ? s->dll : serial_rx_pop(s);
	case UART_IER:
		return dlab ? s->dlm : s->ier;
	case UART_IIR:
		return serial_read_iir(s);
	case UART_LCR:
		return s->lcr;
	case UART_MCR:
		return s->mcr;
	case UART_LSR:
		return serial_read_lsr(s);
	case UART_MSR:
		return serial_read_msr(s);
	}
	return s->scr;
}

static void serial_write_ier(struct serial *s, uint8_t val)
{
	/* Enabling it while the transmitter is empty interrupts (data sheet, IER bit 1). */
	if (val & ~s->ier & UART_IER_THRI)
		s->thre_intr = !s->tx_full;
	s->ier = val & SERIAL_IER_W;
	serial_rx_ask(s);
}

static void serial_write_fcr(struct serial *s, uint8_t val)
{
	/* Switching the FIFOs on or off empties them; transmitted bytes are gone already. */
	if ((val & UART_FCR_CLEAR_RCVR) || ((val ^ s->fcr) & UART_FCR_ENABLE_FIFO))
		serial_rx_clear(s);
	s->fcr = val & (UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_MASK);
	serial_rx_ask(s);
}

/* In loopback the outputs of MCR are wired to the inputs that MSR shows. */
static uint8_t serial_lines(uint8_t mcr)
{
	if (!(mcr & UART_MCR_LOOP))
		return SERIAL_MSR_LINE;
	return (mcr & UART_MCR_RTS ? UART_MSR_CTS : 0) | (mcr & UART_MCR_DTR ? UART_MSR_DSR : 0) |
	       (mcr & UART_MCR_OUT1 ? UART_MSR_RI : 0) | (mcr & UART_MCR_OUT2 ? UART_MSR_DCD : 0);
}

static void serial_write_mcr(struct serial *s, uint8_t val)
{
	uint8_t was = s->msr & 0xf0, now, delta;

	s->mcr = val & SERIAL_MCR_W;
	now = serial_lines(s->mcr);
	delta = (uint8_t)((was ^ now) >> 4);
	if (now & UART_MSR_RI)
		delta &= (uint8_t)~UART_MSR_TERI; /* RI's end is told, not its begin */
	s->msr = now | delta | (s->msr & UART_MSR_ANY_DELTA);
	serial_rx_ask(s);
}

static void serial_write_reg(struct serial *s, unsigned reg, uint8_t val)
{
	bool dlab = s->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_TX:
		if (dlab)
			s->dll = val;
		else
			serial_tx(s, val);
		return;
	case UART_IER:
		if (dlab)
			s->dlm = val;
		else
			serial_write_ier(s, val);
		return;
	case UART_FCR:
		serial_write_fcr(s, val);
		return;
	case UART_LCR:
		s->lcr = val;
		return;
	case UART_MCR:
		serial_write_mcr(s, val);
		return;
	case UART_SCR:
		s->scr = val;
		return;
	}
	/* LSR and MSR are read-only (the data sheet keeps their writes for its factory). */
}

static uint64_t serial_read(void *dev, uint64_t off, unsigned size)
{
	struct serial *s = dev;
	uint8_t v;

	(void)size;
	pthread_mutex_lock(&s->lock);
	v = serial_read_reg(s, (unsigned)off);
	serial_irq_update(s);
	pthread_mutex_unlock(&s->lock);
	return v;
}

static void serial_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	struct serial *s = dev;

	(void)size;
	pthread_mutex_lock(&s->lock);
	serial_write_reg(s, (unsigned)off, (uint8_t)val);
	serial_irq_update(s);
	pthread_mutex_unlock(&s->lock);
}

static const struct region_ops serial_ops = {
	.read = serial_read,
	.write = serial_write,
	.sizes = 1,
};

/* --- life ------------------------------------------------------------------------------ */

/* The two halves that need the loop, then the ports. 0 or -errno, nothing left behind. */
static int serial_wire(struct serial *s, const struct serial_config *cfg)
{
	int err = s->irq ? 0 : -ENXIO;

	if (!err)
		err = loop_event_init(s->m->loop, &s->has_room, serial_has_room);
	if (err)
		return err;
	err = char_out_init(&s->out, s->m->loop, cfg->out_fd, cfg->name, serial_tx_room);
	s->out.patient = cfg->patient;
	if (!err) {
		err = bus_map(&s->m->pio, &s->region, cfg->port);
		if (err)
			char_out_destroy(&s->out, 0);
	}
	if (err)
		loop_event_destroy(&s->has_room);
	return err;
}

struct serial *serial_new(struct machine *m, const struct serial_config *cfg)
{
	struct serial *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return NULL;
	s->m = m;
	s->irq = m->irq(m, cfg->gsi);
	s->msr = SERIAL_MSR_LINE;
	pthread_mutex_init(&s->lock, NULL);
	s->region = (struct region){
		.name = cfg->name, .ops = &serial_ops, .dev = s, .size = SERIAL_PORTS
	};
	err = serial_wire(s, cfg);
	if (err) {
		pthread_mutex_destroy(&s->lock);
		free(s);
		errno = -err;
		return NULL;
	}
	return s;
}

void serial_free(struct serial *s, unsigned ms)
{
	if (!s)
		return;
	bus_unmap(&s->m->pio, &s->region);
	char_out_destroy(&s->out, ms);
	loop_event_destroy(&s->has_room);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

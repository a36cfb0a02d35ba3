/* SPDX-License-Identifier: MIT */
/*
 * e1000.c: the 82540EM, as the 8254x manual has it (chapters 3 and 13), and what the manual
 * says not to do with it.
 */
#include "guest/hostile/hostile.h"

#define CTRL      0x0000
#define EECD      0x0010
#define EERD      0x0014
#define MDIC      0x0020
#define ICR       0x00c0
#define ITR       0x00c4
#define ICS       0x00c8
#define IMS       0x00d0
#define IMC       0x00d8
#define RCTL      0x0100
#define TCTL      0x0400
#define RX        0x2800 /* the receive ring's registers; the transmit ring's lie alike */
#define TX        0x3800
#define BAL       0x00
#define BAH       0x04
#define LEN       0x08
#define HEAD      0x10
#define TAIL      0x18
#define REG_END   0x6000
#define CTRL_RST  0x04000000
#define CTRL_PHY  0x80000000
#define RCTL_ON   0x8002 /* EN, BAM: broadcasts are for us */
#define RCTL_LBM  0x0040
#define TCTL_ON   0x0002
#define CMD_EOP   0x01
#define CMD_FRAME 0x0b /* EOP, IFCS, RS */
#define CMD_TSE   0x04
#define CMD_DEXT  0x20
#define DD        0x01
#define RING      8 /* descriptors */
#define RING_LEN  (RING * sizeof(struct desc))
#define ROUNDS    1000 /* of a fight */

/* Legacy and data descriptors, and a context one as bytes [3.3]. */
struct desc {
	uint32_t addr, addr_high;
	uint16_t len;
	uint8_t cso_or_type, cmd;
	uint8_t status, css_or_popts;
	uint16_t special;
};

_Static_assert(sizeof(struct desc) == 16, "16 bytes in a ring");

static volatile struct desc tx[RING], rx[RING] __attribute__((aligned(16)));
static uint8_t rx_buf[RING][2048];
static uint8_t frame[FRAME_LEN] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5
};
static unsigned tail, rx_next;

extern struct card e1000;

static void reg(uint32_t off, uint32_t val)
{
	store32(e1000.bar[0] + off, val);
}

static void ring(uint32_t which, uint64_t base, uint32_t len)
{
	reg(which + BAL, (uint32_t)base);
	reg(which + BAH, (uint32_t)(base >> 32));
	reg(which + LEN, len);
}

static void e1000_start(struct card *c)
{
	(void)c;
	reg(CTRL, CTRL_PHY | CTRL_RST);
	for (unsigned i = 0; i < RING; i++)
		rx[i] = (struct desc){ .addr = (uint32_t)rx_buf[i] };
	tail = rx_next = 0;
	ring(TX, (uint32_t)tx, RING_LEN);
	ring(RX, (uint32_t)rx, RING_LEN);
	reg(RCTL, RCTL_ON);
	reg(TCTL, TCTL_ON);
	reg(RX + TAIL, RING - 1);
}

/* Whatever has come is thrown away. */
static void e1000_reap(void)
{
	while (rx[rx_next].status & DD) {
		e1000.received += frame_is_ours(rx_buf[rx_next]);
		rx[rx_next].status = 0;
		reg(RX + TAIL, rx_next);
		rx_next = (rx_next + 1) % RING;
	}
}

static bool e1000_send(struct card *c)
{
	uint32_t since = ticks();
	unsigned at = tail;

	(void)c;
	tx[at] = (struct desc){ .addr = (uint32_t)frame, .len = FRAME_LEN, .cmd = CMD_FRAME };
	tail = (tail + 1) % RING;
	reg(TX + TAIL, tail);
	e1000_reap();
	while (!(tx[at].status & DD)) {
		e1000_reap();
		if (impatient(since))
			return false;
	}
	return true;
}

/* --- attacks: where the rings are --- */

static void both_rings_at(uint64_t base, uint32_t len)
{
	ring(TX, base, len);
	ring(RX, base, len);
	reg(TX + HEAD, 0);
	reg(RX + HEAD, 0);
	reg(TCTL, TCTL_ON); /* so that the card takes a look at all of it now */
	reg(TX + TAIL, 3);
	reg(RX + TAIL, 5);
	settle();
}

static void rings_in_registers(struct card *c)
{
	const uint64_t where[] = { c->bar[0], c->bar[0] + TX, c->other->bar[0], NOWHERE, IOAPIC,
				   LAPIC,     0x100000000ull, ~15ull,           RAM_END };

	for (unsigned i = 0; i < ARRAY_SIZE(where); i++)
		both_rings_at(where[i], RING_LEN);
}

static void rings_over_the_end(struct card *c)
{
	(void)c;
	clear(RAM_END - RING_LEN, RING_LEN);
	both_rings_at(RAM_END - RING_LEN, RING_LEN); /* just inside */
	both_rings_at(RAM_END - 16, RING_LEN);
	both_rings_at(RAM_END - RING_LEN, 2 * RING_LEN);
	both_rings_at(0xfffffff0u, RING_LEN); /* over the end of 32 bits */
	both_rings_at(-(uint64_t)64, RING_LEN);
}

static void rings_of_odd_lengths(struct card *c)
{
	static const uint32_t len[] = { 0, 1, 15, 16, 127, 0xfff80, 0xffffffff, 0x80000000 };

	(void)c;
	for (unsigned i = 0; i < ARRAY_SIZE(len); i++)
		both_rings_at(ARENA, len[i]);
}

static void indexes_beyond_the_ring(struct card *c)
{
	static const uint16_t at[] = { RING - 1, RING, RING + 1, 0x7fff, 0x8000, 0xffff };

	(void)c;
	clear(ARENA, RING_LEN);
	for (unsigned i = 0; i < ARRAY_SIZE(at); i++) {
		both_rings_at(ARENA, RING_LEN);
		reg(TX + TAIL, at[i]);
		reg(RX + TAIL, at[i]);
		settle();
		reg(TX + HEAD, at[i]);
		reg(RX + HEAD, at[i]);
		reg(TX + TAIL, 1);
		reg(RX + TAIL, 1);
		settle();
	}
}

static void tail_leaps(struct card *c)
{
	(void)c;
	clear(ARENA, RING_LEN);
	both_rings_at(ARENA, RING_LEN);
	for (unsigned i = 0; i < 200; i++) {
		reg(TX + TAIL, random32());
		reg(RX + TAIL, random32());
	}
	settle();
}

/* --- attacks: what the descriptors say --- */

/* `n` descriptors, all like this, in a ring that is new. */
static void send_like(const struct desc *d, unsigned n)
{
	volatile struct desc *at = clear(ARENA, 256 * sizeof(*at));

	for (unsigned i = 0; i < n; i++)
		at[i] = *d;
	reg(TCTL, 0);
	ring(TX, ARENA, 256 * sizeof(*at));
	reg(TX + HEAD, 0);
	reg(TX + TAIL, 0);
	reg(TCTL, TCTL_ON);
	reg(TX + TAIL, n);
	settle();
	e1000_reap();
}

static void descriptors_without_length_or_end(struct card *c)
{
	(void)c;
	send_like(&(struct desc){ .addr = ARENA }, 255);
	send_like(&(struct desc){ .addr = ARENA, .cmd = CMD_FRAME }, 255);
	send_like(&(struct desc){ .addr = ARENA, .len = 1, .cmd = CMD_FRAME }, 255);
	send_like(&(struct desc){ .addr = ARENA, .len = 65535 }, 255);
	send_like(&(struct desc){ .addr = ARENA, .len = 65535, .cmd = CMD_FRAME }, 4);
	send_like(&(struct desc){ .len = 65535, .cmd = 0xff, .cso_or_type = 0x10 }, 255);
}

static void send_from_devices(struct card *c)
{
	const uint32_t where[] = { c->bar[0], c->other->bar[0], IOAPIC,       LAPIC,
				   NOWHERE,   RAM_END,          RAM_END - 30, -30u };

	for (unsigned i = 0; i < ARRAY_SIZE(where); i++)
		send_like(&(struct desc){ .addr = where[i], .len = 60, .cmd = CMD_FRAME }, 2);
	send_like(&(struct desc){ .addr = -30u, .addr_high = ~0u, .len = 60, .cmd = CMD_FRAME }, 2);
	send_like(&(struct desc){ .addr = ROM, .len = 60, .cmd = CMD_FRAME }, 2);
}

static void receive_into_devices(struct card *c)
{
	const uint32_t where[] = { c->bar[0], c->bar[0] + TX, c->other->bar[0], IOAPIC, LAPIC,
				   NOWHERE,   RAM_END - 30,   RAM_END,          -30u,   ROM,
				   0 };
	volatile struct desc *at = clear(ARENA, RING_LEN);

	for (unsigned i = 0; i < ARRAY_SIZE(where); i++) {
		for (unsigned k = 0; k < RING; k++)
			at[k] = (struct desc){ .addr = where[i] };
		ring(RX, ARENA, RING_LEN);
		reg(RX + HEAD, 0);
		reg(RX + TAIL, RING - 1);
		c->send(c); /* our own frames come back, if the host plugs us so */
		c->send(c);
	}
}

/* Offsets behind the packet, headers longer than it, segments of no length. */
static void offloads_that_cannot_be(struct card *c)
{
	volatile struct desc *at = (void *)ARENA;

	for (unsigned i = 0; i < 64; i++) {
		uint32_t word[4] = { random32(), random32(), random32(), random32() };
		unsigned n = 1 + random32() % 8;

		if (i % 3)
			word[0] = word[3] = odd_value(i);
		clear(ARENA, 256 * sizeof(*at));
		copy((void *)at, word, sizeof(word));
		at[0].cmd = (uint8_t)(CMD_DEXT | CMD_TSE | (i & 0x0b));
		at[0].cso_or_type &= 0x0f;
		for (unsigned k = 1; k < n; k++)
			at[k] = (struct desc){ .addr = ARENA + 0x10000,
					       .len = (uint16_t)random32(),
					       .cso_or_type = 0x10,
					       .css_or_popts = (uint8_t)random32(),
					       .cmd = (uint8_t)(CMD_DEXT | CMD_TSE | CMD_EOP) };
		ring(TX, ARENA, 256 * sizeof(*at));
		reg(TX + HEAD, 0);
		reg(TX + TAIL, n);
		settle();
		reg(TX + TAIL, n + 200);
	}
	(void)c;
	settle();
}

static void loopback_without_buffers(struct card *c)
{
	reg(RCTL, RCTL_ON | RCTL_LBM);
	ring(RX, c->bar[0], RING_LEN);
	reg(TCTL, TCTL_ON); /* have it looked at now */
	c->send(c);
	reg(RX + TAIL, 200);
	c->send(c);
	ring(RX, RAM_END - 16, 4096);
	reg(TCTL, TCTL_ON);
	c->send(c);
	ring(RX, (uint32_t)rx, 0);
	reg(TCTL, TCTL_ON);
	c->send(c);
}

/* --- attacks: registers --- */

static void doorbells_during_reset(struct card *c)
{
	(void)c;
	for (unsigned i = 0; i < 300; i++) {
		reg(TX + TAIL, i % RING);
		reg(CTRL, CTRL_RST);
		reg(TX + TAIL, i % RING);
		reg(RX + TAIL, i % RING);
		ring(TX, (uint32_t)tx, RING_LEN);
		reg(TCTL, TCTL_ON);
		reg(RCTL, RCTL_ON);
		reg(TX + TAIL, (i + 3) % RING);
		reg(i % 2 ? TCTL : RCTL, 0);
	}
}

static void rings_that_move(struct card *c)
{
	(void)c;
	clear(ARENA, 4 * RING_LEN);
	for (unsigned i = 0; i < 300; i++) {
		reg(TX + BAL, ARENA + RING_LEN * (i % 4));
		reg(TX + TAIL, i % RING);
		reg(TX + LEN, i % 5 * 128);
		reg(RX + BAL, i % 3 ? ARENA : c->bar[0]);
		reg(RX + TAIL, (i * 3) % (RING + 1));
		reg(TX + HEAD, i % 11);
		if (i % 4 == 0)
			reg(TCTL, TCTL_ON);
	}
	settle();
}

static void interrupts_at_random(struct card *c)
{
	static const uint32_t at[] = { ICS, IMS, IMC, ICR, ITR };

	for (unsigned i = 0; i < 600; i++) {
		reg(at[random32() % ARRAY_SIZE(at)], i % 2 ? odd_value(i) : random32());
		if (i % 8 == 0)
			load32(c->bar[0] + ICR);
	}
}

static void eeprom_and_phy(struct card *c)
{
	for (unsigned i = 0; i < 500; i++) {
		reg(EECD, random32());
		reg(EERD, random32());
		reg(MDIC, random32());
		load32(c->bar[0] + EECD);
	}
}

static void registers_by_io(struct card *c)
{
	uint16_t port = (uint16_t)c->bar[2];

	for (unsigned i = 0; i < 500; i++) {
		out32(port, i % 3 ? random32() % 0x8000 : odd_value(i));
		out32((uint16_t)(port + 4), odd_value(i));
		out8((uint16_t)(port + i % 8), (uint8_t)i);
		out16((uint16_t)(port + i % 8), (uint16_t)i);
		in32((uint16_t)(port + i % 8));
	}
}

static void every_register_every_size(struct card *c)
{
	pci_sweep(c->bar[0], 0, REG_END, sweep_stride);
	pci_sweep(c->bar[0], REG_END, c->bar_size[0], 257);
}

/* --- attacks: two processors --- */

static void second_rings(void)
{
	reg(TX + TAIL, random32() % RING);
	reg(RX + TAIL, random32() % RING);
}

static void fight_moving_ring_against_doorbell(struct card *c)
{
	second_run(second_rings);
	for (unsigned i = 0; i < ROUNDS / 20; i++)
		both_rings_at(i % 3 ? ARENA + 16 * (i % 64) : c->bar[0], i % 4 * 128);
	second_stop();
}

static void second_rewrites(void)
{
	volatile struct desc *d = (void *)(ARENA + random32() % 256 * sizeof(*d));
	uint32_t word[4] = { random32(), 0, random32(), random32() };

	copy((void *)d, word, sizeof(word));
}

static void fight_over_descriptors(struct card *c)
{
	(void)c;
	second_run(second_rewrites);
	for (unsigned i = 0; i < ROUNDS / 40; i++)
		send_like(&(struct desc){ .addr = ARENA, .len = 60, .cmd = CMD_FRAME }, 200);
	second_stop();
}

static void second_writes_anything(void)
{
	reg(random32() % REG_END & ~3u, odd_value(random32()));
}

static void fight_over_every_register(struct card *c)
{
	second_run(second_writes_anything);
	for (unsigned i = 0; i < ROUNDS; i++)
		reg(random32() % REG_END & ~3u, odd_value(random32()));
	(void)c;
	second_stop();
}

static const struct attack attacks[] = {
	{ "rings in registers and where nothing is", rings_in_registers, false, false },
	{ "rings over the end of memory", rings_over_the_end, false, false },
	{ "rings of odd lengths", rings_of_odd_lengths, false, false },
	{ "head and tail beyond the ring", indexes_beyond_the_ring, false, false },
	{ "tails that leap", tail_leaps, false, false },
	{ "descriptors of no length, of 64 KiB, without an end", descriptors_without_length_or_end,
	  false, false },
	{ "transmit buffers in registers and where nothing is", send_from_devices, false, false },
	{ "receive buffers in registers and where nothing is", receive_into_devices, true, false },
	{ "offloads that cannot be", offloads_that_cannot_be, false, false },
	{ "loopback to a ring that is none", loopback_without_buffers, false, false },
	{ "doorbells during reset", doorbells_during_reset, true, false },
	{ "rings that move under the doorbell", rings_that_move, false, false },
	{ "interrupt causes and masks at random", interrupts_at_random, true, false },
	{ "EEPROM and PHY at random", eeprom_and_phy, true, false },
	{ "registers through the I/O BAR", registers_by_io, true, false },
	{ "every size at every offset", every_register_every_size, false, false },
	{ "every size at every offset of the configuration space", pci_attack_config, true, false },
	{ "BARs on RAM, on each other, at both ends", pci_attack_bars, true, false },
	{ "decoding and bus mastering on and off", pci_attack_decoding, true, false },
	{ "two processors: reset against doorbell", pci_fight_reset, true, true },
	{ "two processors: moving ring against doorbell", fight_moving_ring_against_doorbell, false,
	  true },
	{ "two processors: descriptors rewritten while they are read", fight_over_descriptors,
	  false, true },
	{ "two processors: BARs against doorbell", pci_fight_decoding, true, true },
	{ "two processors: any register", fight_over_every_register, true, true },
};

struct card e1000 = {
	.name = "e1000",
	.slot = 1,
	.start = e1000_start,
	.send = e1000_send,
	.ring = second_rings,
	.frame = frame,
	.attack = attacks,
	.n_attacks = ARRAY_SIZE(attacks),
};

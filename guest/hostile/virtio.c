/* SPDX-License-Identifier: MIT */
/*
 * virtio.c: a virtio network card (virtio 1.2, sections 2.7, 4.1 and 5.1), and what the
 * specification says not to do with it.
 */
#include "guest/hostile/hostile.h"

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

/* Where the structures are; a driver would look it up in the capabilities. */
#define COMMON    0x0000
#define NOTIFY    0x3000
#define HDR_LEN   12
#define SIZE      8 /* entries of a queue */
#define BIG       256
#define TABLE     64 /* entries of an indirect one */
#define ROUNDS    1000
#define READY     (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)
#define RUNNING   (READY | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK)
#define PLAIN     0
#define FANCY     (1u << VIRTIO_RING_F_INDIRECT_DESC | 1u << VIRTIO_RING_F_EVENT_IDX)
#define WITH_CTRL (1u << VIRTIO_NET_F_CTRL_VQ)

enum { RX, TX, CTRL, QUEUES };

/* A queue as its driver keeps it; `at` is where all three parts lie, in this order. */
struct queue {
	volatile struct vring_desc *desc;
	volatile uint16_t *avail; /* flags, idx, ring[], used_event */
	volatile uint16_t *used;  /* flags, idx, elements of four, avail_event */
	uint16_t idx;
};

struct memory {
	struct vring_desc desc[BIG] __attribute__((aligned(16)));
	uint16_t avail[BIG + 4];
	uint16_t used[BIG * 4 + 4] __attribute__((aligned(4)));
};

static struct memory memory[QUEUES] __attribute__((aligned(4096)));
static struct queue queue[QUEUES];
static uint8_t frame[HDR_LEN + FRAME_LEN] = {
	[HDR_LEN] = 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2, 0x88, 0xb5
};
static uint8_t rx_buf[SIZE][2048];
static uint16_t rx_seen;

extern struct card virtio;

static void common8(unsigned off, uint8_t val)
{
	store8(virtio.bar[0] + COMMON + off, val);
}

static void common16(unsigned off, uint16_t val)
{
	store16(virtio.bar[0] + COMMON + off, val);
}

static void common32(unsigned off, uint32_t val)
{
	store32(virtio.bar[0] + COMMON + off, val);
}

static void notify(unsigned q)
{
	store16(virtio.bar[0] + NOTIFY + 4 * q, (uint16_t)q);
}

static void place(unsigned q, uint16_t size, uint64_t desc, uint64_t avail, uint64_t used)
{
	common16(VIRTIO_PCI_COMMON_Q_SELECT, (uint16_t)q);
	common16(VIRTIO_PCI_COMMON_Q_SIZE, size);
	common32(VIRTIO_PCI_COMMON_Q_DESCLO, (uint32_t)desc);
	common32(VIRTIO_PCI_COMMON_Q_DESCHI, (uint32_t)(desc >> 32));
	common32(VIRTIO_PCI_COMMON_Q_AVAILLO, (uint32_t)avail);
	common32(VIRTIO_PCI_COMMON_Q_AVAILHI, (uint32_t)(avail >> 32));
	common32(VIRTIO_PCI_COMMON_Q_USEDLO, (uint32_t)used);
	common32(VIRTIO_PCI_COMMON_Q_USEDHI, (uint32_t)(used >> 32));
	common16(VIRTIO_PCI_COMMON_Q_ENABLE, 1);
}

/* Up to FEATURES_OK. */
static void negotiate(uint32_t features)
{
	common8(VIRTIO_PCI_COMMON_STATUS, 0);
	common8(VIRTIO_PCI_COMMON_STATUS, READY);
	common32(VIRTIO_PCI_COMMON_GFSELECT, 0);
	common32(VIRTIO_PCI_COMMON_GF, features);
	common32(VIRTIO_PCI_COMMON_GFSELECT, 1);
	common32(VIRTIO_PCI_COMMON_GF, 1); /* VERSION_1 */
	common8(VIRTIO_PCI_COMMON_STATUS, READY | VIRTIO_CONFIG_S_FEATURES_OK);
}

/* A card that runs, with queues of `size` that are empty. */
static void begin(uint32_t features, uint16_t size)
{
	negotiate(features);
	for (unsigned q = 0; q < QUEUES; q++) {
		struct memory *m = &memory[q];

		clear((uint32_t)m->desc, sizeof(m->desc[0]) * size);
		clear((uint32_t)m->avail, sizeof(m->avail[0]) * (size + 4));
		clear((uint32_t)m->used, sizeof(m->used[0]) * (4 * size + 4));

		queue[q] = (struct queue){ m->desc, m->avail, m->used, 0 };
		if (q == CTRL && !(features & WITH_CTRL))
			continue;
		place(q, q == CTRL && size > 64 ? 64 : size, (uint32_t)m->desc, (uint32_t)m->avail,
		      (uint32_t)m->used);
	}
	rx_seen = 0;
	common8(VIRTIO_PCI_COMMON_STATUS, RUNNING);
}

static void hand_over(unsigned q, unsigned size, uint16_t head)
{
	queue[q].avail[2 + queue[q].idx % size] = head;
	__asm__ volatile("" : : : "memory");
	queue[q].avail[1] = ++queue[q].idx;
	fence();
}

static void desc_set(unsigned q, unsigned i, uint64_t addr, uint32_t len, uint16_t flags,
		     uint16_t next)
{
	queue[q].desc[i] = (struct vring_desc){ addr, len, flags, next };
}

static void virtio_start(struct card *c)
{
	(void)c;
	begin(PLAIN, SIZE);
	for (unsigned i = 0; i < SIZE; i++) {
		desc_set(RX, i, (uint32_t)rx_buf[i], sizeof(rx_buf[i]), VRING_DESC_F_WRITE, 0);
		hand_over(RX, SIZE, (uint16_t)i);
	}
	notify(RX);
}

static void virtio_reap(void)
{
	while (queue[RX].used[1] != rx_seen) {
		uint16_t head = queue[RX].used[2 + rx_seen++ % SIZE * 4] % SIZE;

		virtio.received += frame_is_ours(rx_buf[head] + HDR_LEN);
		hand_over(RX, SIZE, head);
		notify(RX);
	}
}

static bool virtio_send(struct card *c)
{
	uint32_t since = ticks();

	(void)c;
	desc_set(TX, 0, (uint32_t)frame, sizeof(frame), 0, 0);
	hand_over(TX, SIZE, 0);
	notify(TX);
	virtio_reap();
	while (queue[TX].used[1] != queue[TX].idx) {
		virtio_reap();
		if (impatient(since))
			return false;
	}
	return true;
}

/* --- attacks: where the queues are --- */

static void queues_at(uint64_t desc, uint64_t avail, uint64_t used, uint16_t size)
{
	negotiate(PLAIN);
	place(RX, size, desc, avail, used);
	place(TX, size, desc, avail, used);
	common8(VIRTIO_PCI_COMMON_STATUS, RUNNING);
	notify(RX);
	notify(TX);
	settle();
}

static void queues_in_registers(struct card *c)
{
	const uint64_t where[] = {
		c->bar[0], c->bar[0] + NOTIFY, c->bar[1], c->other->bar[0], NOWHERE, IOAPIC, LAPIC,
		RAM_END,   0x100000000ull,     ~0xfffull
	};

	for (unsigned i = 0; i < ARRAY_SIZE(where); i++) {
		queues_at(where[i], ARENA, ARENA + 0x1000, SIZE);
		queues_at(ARENA, where[i], ARENA + 0x1000, SIZE);
		queues_at(ARENA, ARENA + 0x1000, where[i], SIZE);
	}
}

static void queues_over_the_end(struct card *c)
{
	(void)c;
	clear(RAM_END - 4096, 4096);
	queues_at(RAM_END - 16 * SIZE, ARENA, ARENA + 0x1000, SIZE); /* just inside */
	queues_at(RAM_END - 16 * SIZE + 16, ARENA, ARENA + 0x1000, SIZE);
	queues_at(ARENA, RAM_END - 2 * SIZE - 4, ARENA + 0x1000, SIZE);
	queues_at(ARENA, ARENA + 0x1000, RAM_END - 8 * SIZE - 4, SIZE);
	queues_at(-(uint64_t)16, ARENA, ARENA + 0x1000, SIZE);
	queues_at(ARENA, -(uint64_t)4, ARENA + 0x1000, SIZE);
	queues_at(ARENA, ARENA + 0x1000, -(uint64_t)8, SIZE);
}

static void queues_askew_and_of_odd_sizes(struct card *c)
{
	static const uint16_t size[] = { 0, 3, 257, 512, 32768, 65535 };

	(void)c;
	queues_at(ARENA + 1, ARENA + 0x1000, ARENA + 0x2000, SIZE);
	queues_at(ARENA, ARENA + 0x1001, ARENA + 0x2000, SIZE);
	queues_at(ARENA, ARENA + 0x1000, ARENA + 0x2002, SIZE);
	for (unsigned i = 0; i < ARRAY_SIZE(size); i++)
		queues_at(ARENA, ARENA + 0x1000, ARENA + 0x2000, size[i]);
}

/* All three parts in one place: what the card writes is what it reads next. */
static void queues_on_themselves(struct card *c)
{
	volatile uint32_t *at = (void *)ARENA;

	(void)c;
	for (unsigned i = 0; i < 16; i++) {
		for (unsigned k = 0; k < 256; k++)
			at[k] = i % 2 ? random32() & 0x00070007 : ARENA + (random32() & 0xfff);
		queues_at(ARENA, ARENA + 4 * (i % 8), ARENA + 4 * (i % 5), SIZE);
	}
}

/* --- attacks: indexes --- */

static void indexes_that_leap(struct card *c)
{
	static const uint16_t by[] = { 65535, 32768, SIZE + 1, 257, 2 * SIZE };

	for (unsigned i = 0; i < ARRAY_SIZE(by); i++)
		for (unsigned q = RX; q <= TX; q++) {
			c->start(c);
			queue[q].avail[1] = (uint16_t)(queue[q].idx + by[i]);
			notify(q);
			settle();
			queue[q].avail[1] = 0;
			notify(q);
		}
}

static void heads_and_nexts_outside(struct card *c)
{
	static const uint16_t head[] = { SIZE, SIZE + 1, 0x8000, 65535 };

	(void)c;
	for (unsigned i = 0; i < ARRAY_SIZE(head); i++) {
		begin(PLAIN, SIZE);
		hand_over(TX, SIZE, head[i]);
		notify(TX);
		settle();
		begin(PLAIN, SIZE);
		desc_set(TX, 0, (uint32_t)frame, 20, VRING_DESC_F_NEXT, head[i]);
		hand_over(TX, SIZE, 0);
		notify(TX);
		hand_over(RX, SIZE, head[i]);
		notify(RX);
		settle();
	}
}

/* --- attacks: chains --- */

/* One chain that begins at descriptor 0 of both queues, on a card that is new. */
static void chain(uint32_t features, void (*make)(unsigned q, unsigned i), unsigned i)
{
	begin(features, SIZE);
	for (unsigned q = RX; q <= TX; q++) {
		make(q, i);
		hand_over(q, SIZE, 0);
		notify(q);
	}
	settle();
}

static void make_loop(unsigned q, unsigned i)
{
	uint16_t flags = VRING_DESC_F_NEXT | (q == RX ? VRING_DESC_F_WRITE : 0);

	for (unsigned k = 0; k < SIZE;
	     k++) /* of 1, 2, ... SIZE descriptors; of some length, and of none */
		desc_set(q, k, ARENA, i & 8 ? 0 : 64, flags, (uint16_t)((k + 1) % (1 + i % SIZE)));
}

static void chains_that_loop(struct card *c)
{
	(void)c;
	for (unsigned i = 0; i < 16; i++)
		chain(i % 2 ? FANCY : PLAIN, make_loop, i);
}

static void make_indirect(unsigned q, unsigned i)
{
	static const uint32_t len[] = { 0, 1, 15, 17, 16, 0xfffffff0, 0xffffffff, 0x100000 };
	volatile struct vring_desc *table = (void *)ARENA;
	uint16_t flags = VRING_DESC_F_INDIRECT, w = q == RX ? VRING_DESC_F_WRITE : 0;
	uint64_t where = i < 16 ? ARENA : i % 2 ? RAM_END - 16 : virtio.bar[0];

	for (unsigned k = 0; k < TABLE; k++) /* a table in a table, and one that loops */
		table[k] =
			(struct vring_desc){ ARENA, 32,
					     i & 1 ? VRING_DESC_F_INDIRECT : VRING_DESC_F_NEXT | w,
					     (uint16_t)(k + 1) % (i & 2 ? TABLE : 2) };
	if (i & 4)
		flags |= VRING_DESC_F_NEXT | w;
	desc_set(q, 0, where, i < 8 ? 64 : i < 16 ? len[i % 8] : TABLE * 16, flags, 1);
}

static void indirect_chains(struct card *c)
{
	(void)c;
	for (unsigned i = 0; i < 20; i++) {
		chain(FANCY, make_indirect, i);
		chain(PLAIN, make_indirect, i); /* not even negotiated */
	}
}

static void make_length(unsigned q, unsigned i)
{
	static const uint32_t len[] = { 0,     1,     HDR_LEN - 1, HDR_LEN, HDR_LEN + 13,
					65535, 65536, 0x01000000,  ~0u };
	uint16_t w = q == RX ? VRING_DESC_F_WRITE : 0;

	for (unsigned k = 0; k < SIZE; k++)
		desc_set(q, k, ARENA, len[i % ARRAY_SIZE(len)],
			 (i < ARRAY_SIZE(len) || k == SIZE - 1 ? 0 : VRING_DESC_F_NEXT) | w,
			 (uint16_t)(k + 1));
}

static void chains_of_odd_lengths(struct card *c)
{
	(void)c;
	for (unsigned i = 0; i < 18; i++)
		chain(PLAIN, make_length, i);
}

static void make_backwards(unsigned q, unsigned i)
{
	uint16_t w = q == RX ? 0 : VRING_DESC_F_WRITE; /* the wrong way */

	desc_set(q, 0, ARENA, 64, (uint16_t)(w | (i ? VRING_DESC_F_NEXT : 0)), 1);
	desc_set(q, 1, ARENA, 64, i == 2 ? w ^ VRING_DESC_F_WRITE : w, 0);
}

static void chains_of_the_wrong_direction(struct card *c)
{
	(void)c;
	for (unsigned i = 0; i < 3; i++)
		chain(PLAIN, make_backwards, i);
}

static void make_elsewhere(unsigned q, unsigned i)
{
	const uint64_t where[] = { virtio.bar[0], virtio.bar[1], virtio.other->bar[0],
				   IOAPIC,        LAPIC,         NOWHERE,
				   RAM_END,       RAM_END - 30,  -(uint64_t)30,
				   0x100000000ull };

	desc_set(q, 0, where[i], 128, q == RX ? VRING_DESC_F_WRITE : 0, 0);
}

static void buffers_in_devices(struct card *c)
{
	(void)c;
	for (unsigned i = 0; i < 10; i++)
		chain(PLAIN, make_elsewhere, i);
}

static void headers_that_lie(struct card *c)
{
	struct virtio_net_hdr *h = (void *)ARENA;

	(void)c;
	begin(PLAIN, BIG);
	for (unsigned i = 0; i < 200; i++) {
		uint32_t word[3] = { random32(), random32(), random32() };

		copy(h, word, sizeof(*h));
		if (i % 2)
			h->gso_type = (uint8_t)(i / 2 % 6);
		h->flags = i % 4;
		desc_set(TX, i, ARENA, HDR_LEN, VRING_DESC_F_NEXT, BIG - 1);
		desc_set(TX, BIG - 1, ARENA + 64, 1 + random32() % 70000, 0, 0);
		hand_over(TX, BIG, (uint16_t)i);
		notify(TX);
		settle();
	}
}

static void control_commands(struct card *c)
{
	volatile uint32_t *at = (void *)ARENA;

	(void)c;
	for (unsigned i = 0; i < 60; i++) {
		begin(WITH_CTRL | 1u << VIRTIO_NET_F_CTRL_RX | 1u << VIRTIO_NET_F_CTRL_VLAN, SIZE);
		at[0] = (i % 7) | (random32() % 8) << 8 | random32() << 16;
		for (unsigned k = 1; k < 64; k++)
			at[k] = i % 2 ? ~0u : random32(); /* tables of that many entries */
		desc_set(CTRL, 0, ARENA, i % 8 * i, VRING_DESC_F_NEXT, 1);
		desc_set(CTRL, 1, ARENA + 2, i % 5 ? i : 0x10000, i % 3 ? VRING_DESC_F_NEXT : 0, 2);
		desc_set(CTRL, 2, ARENA + 4096, i % 4, VRING_DESC_F_WRITE, 0);
		hand_over(CTRL, SIZE, 0);
		notify(CTRL);
		settle();
	}
}

/* --- attacks: registers --- */

static void status_out_of_order(struct card *c)
{
	for (unsigned i = 0; i < 400; i++) {
		common8(VIRTIO_PCI_COMMON_STATUS, (uint8_t)(i < 256 ? i : random32()));
		if (i % 3 == 0)
			notify(i % 4);
		common16(VIRTIO_PCI_COMMON_Q_SELECT, (uint16_t)odd_value(i));
		common16(VIRTIO_PCI_COMMON_Q_ENABLE, 1);
		common32(VIRTIO_PCI_COMMON_GFSELECT, i % 4);
		common32(VIRTIO_PCI_COMMON_GF, odd_value(i));
		load32(c->bar[0] + COMMON + VIRTIO_PCI_COMMON_Q_SIZE);
	}
}

static void doorbells_during_reset(struct card *c)
{
	for (unsigned i = 0; i < 300; i++) {
		notify(TX);
		common8(VIRTIO_PCI_COMMON_STATUS, 0);
		notify(RX);
		notify(TX);
		store32(c->bar[0] + NOTIFY + i % 64, i);
		store8(c->bar[0] + NOTIFY + i % 64, (uint8_t)i);
		if (i % 4 == 0)
			c->start(c);
	}
}

static void registers_by_window(struct card *c)
{
	unsigned at = pci_read(c, PCI_CAPABILITY_LIST, 1);

	while (at && (pci_read(c, at, 1) != PCI_CAP_ID_VNDR ||
		      pci_read(c, at + VIRTIO_PCI_CAP_CFG_TYPE, 1) != VIRTIO_PCI_CAP_PCI_CFG))
		at = pci_read(c, at + 1, 1);
	for (unsigned i = 0; i < 500; i++) {
		pci_write(c, at + VIRTIO_PCI_CAP_BAR, 1, i % 4 ? 0 : i);
		pci_write(c, at + VIRTIO_PCI_CAP_OFFSET, 4,
			  i % 3 ? random32() % 0x4000 : odd_value(i));
		pci_write(c, at + VIRTIO_PCI_CAP_LENGTH, 4, i % 5 ? 1u << i % 3 : odd_value(i));
		pci_write(c, at + VIRTIO_PCI_CAP_LENGTH + 4 + i % 4, 1u << i % 3, odd_value(i));
		pci_read(c, at + VIRTIO_PCI_CAP_LENGTH + 4, 4);
	}
}

/* Messages at random; as interrupts of a fixed vector, since others would hit ourselves. */
static void message_tables(struct card *c)
{
	unsigned at = pci_read(c, PCI_CAPABILITY_LIST, 1);

	while (at && pci_read(c, at, 1) != PCI_CAP_ID_MSIX)
		at = pci_read(c, at + 1, 1);
	if (!at)
		return;
	for (unsigned i = 0; i < 300; i++) {
		pci_write(c, at + PCI_MSIX_FLAGS, 2, i % 2 ? PCI_MSIX_FLAGS_ENABLE : odd_value(i));
		store32(c->bar[1] + i % 256 * 4, odd_value(i) & ~0x700u);
		store32(c->bar[1] + i % 4 * 16 + PCI_MSIX_ENTRY_VECTOR_CTRL, i & 1);
		store16(c->bar[1] + i, (uint16_t)(i & 0xff));
		common16(VIRTIO_PCI_COMMON_Q_SELECT, i % 3);
		common16(VIRTIO_PCI_COMMON_Q_MSIX, (uint16_t)(i % 6));
		common16(VIRTIO_PCI_COMMON_MSIX, (uint16_t)odd_value(i));
		if (i % 16 == 0)
			c->send(c);
	}
	pci_write(c, at + PCI_MSIX_FLAGS, 2, 0);
}

static void every_register_every_size(struct card *c)
{
	pci_sweep(c->bar[0], 0, c->bar_size[0], sweep_stride);
}

/* --- attacks: two processors --- */

static void second_rings(void)
{
	notify(random32() % QUEUES);
}

static void second_rewrites(void)
{
	volatile struct vring_desc *d = &queue[TX].desc[random32() % SIZE];

	d->addr = random32() % 2 ? ARENA : virtio.bar[0];
	d->len = random32() % 2 ? 64 : random32();
	d->flags = (uint16_t)(random32() & 7);
	d->next = (uint16_t)(random32() % (SIZE + 1));
	queue[TX].avail[2 + random32() % SIZE] = (uint16_t)(random32() % (SIZE + 1));
}

static void fight_over_descriptors(struct card *c)
{
	(void)c;
	second_run(second_rewrites);
	for (unsigned i = 0; i < ROUNDS / 10; i++) {
		if (i % 4 == 0)
			begin(i % 8 ? FANCY : PLAIN, SIZE);
		for (unsigned k = 0; k < SIZE; k++)
			hand_over(TX, SIZE, (uint16_t)k);
		notify(TX);
		settle();
	}
	second_stop();
}

static void second_writes_anything(void)
{
	unsigned off = random32() % (sizeof(struct virtio_pci_common_cfg) + 2);

	if (random32() % 2)
		common16(off, (uint16_t)random32());
	else
		common32(off & ~3u, odd_value(random32()));
}

static void fight_over_every_register(struct card *c)
{
	second_run(second_writes_anything);
	for (unsigned i = 0; i < ROUNDS / 20; i++) {
		c->start(c);
		notify(TX);
		notify(RX);
	}
	second_stop();
}

static const struct attack attacks[] = {
	{ "queues in registers and where nothing is", queues_in_registers, false, false },
	{ "queues over the end of memory", queues_over_the_end, false, false },
	{ "queues askew and of odd sizes", queues_askew_and_of_odd_sizes, false, false },
	{ "queues that lie on themselves", queues_on_themselves, false, false },
	{ "indexes that leap by 65535, by more than the queue", indexes_that_leap, false, false },
	{ "heads and next descriptors outside the table", heads_and_nexts_outside, false, false },
	{ "chains that loop", chains_that_loop, false, false },
	{ "indirect in indirect, tables of odd lengths and places", indirect_chains, false, false },
	{ "buffers of no length, of 64 KiB, of 4 GiB", chains_of_odd_lengths, false, false },
	{ "buffers of the wrong direction", chains_of_the_wrong_direction, false, false },
	{ "buffers in registers and where nothing is", buffers_in_devices, false, false },
	{ "headers that lie", headers_that_lie, false, false },
	{ "control commands at random", control_commands, false, false },
	{ "status and features out of order", status_out_of_order, false, false },
	{ "doorbells during reset, of all sizes", doorbells_during_reset, true, false },
	{ "registers through the configuration space", registers_by_window, false, false },
	{ "message tables at random", message_tables, true, false },
	{ "every size at every offset", every_register_every_size, false, false },
	{ "every size at every offset of the configuration space", pci_attack_config, true, false },
	{ "BARs on RAM, on each other, at both ends", pci_attack_bars, true, false },
	{ "decoding and bus mastering on and off", pci_attack_decoding, true, false },
	{ "two processors: reset against doorbell", pci_fight_reset, true, true },
	{ "two processors: descriptors rewritten while they are read", fight_over_descriptors,
	  false, true },
	{ "two processors: BARs against doorbell", pci_fight_decoding, true, true },
	{ "two processors: any register", fight_over_every_register, false, true },
};

struct card virtio = {
	.name = "virtio",
	.slot = 2,
	.start = virtio_start,
	.send = virtio_send,
	.ring = second_rings,
	.frame = frame + HDR_LEN,
	.attack = attacks,
	.n_attacks = ARRAY_SIZE(attacks),
};

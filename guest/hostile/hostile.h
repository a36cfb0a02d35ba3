/* SPDX-License-Identifier: MIT */
/*
 * hostile.h: a guest that attacks its network cards, bare metal, one attack after the
 * other. What it expects of the hypervisor: the other card works on, and the attacked one
 * does again once it was reset. It has no driver of anybody's; what it knows of the cards
 * it has from the 8254x manual and the virtio specification.
 *
 *   main.c    the order of things, the console, the second processor
 *   pci.c     configuration space, BARs, and attacks on those
 *   e1000.c   the emulated card: how to use it, and how not to
 *   virtio.c  the paravirtual one
 *
 * Memory below 32 MiB is for attacks to write to; the guest itself lies above.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define RAM_END   0x04000000u /* the test gives us 64 MiB */
#define ROM       0x000f0000u /* where a BIOS would be */
#define IOAPIC    0xfec00000u
#define LAPIC     0xfee00000u
#define NOWHERE   0xf0000000u /* neither RAM nor a device */
#define ARENA     0x00800000u /* rings and buffers of attacks */
#define FRAME_LEN 60

struct card;

struct attack {
	const char *name;
	void (*run)(struct card *c);
	/* How the host knows that it was one: a fault of ours was counted. Some is odd, but
	 * breaks no rule that a card could see. */
	bool lawful;
	bool two; /* takes a second processor */
};

struct card {
	const char *name;
	unsigned slot;
	void (*start)(struct card *c); /* from whatever state to one that can send */
	bool (*send)(struct card *c);  /* a frame; false: not done with it after seconds */
	void (*ring)(void);            /* doorbells at random, for a second processor */
	const struct attack *attack;
	unsigned n_attacks;
	struct card *other;
	/* pci_find(): */
	uint32_t bar[6], bar_size[6]; /* 0: none */
	uint16_t command;
	uint8_t *frame; /* what send() sends; fixed */
	unsigned sent, received;
};

#define FRAME_NUMBER 14 /* where its number goes: behind the Ethernet header */
/* Is this a frame of the host's for us, and not the chatter of its protocols? */
static inline bool frame_is_ours(const uint8_t *frame)
{
	return frame[12] == 0x88 && frame[13] == 0xb5;
}

/* --- main.c --- */

extern unsigned sweep_stride; /* of the attacks that write everywhere */

void say(const char *text);
void say_number(unsigned n);
uint32_t random32(void);
/* A value to write where none is expected. Never an address at which we are. */
uint32_t odd_value(unsigned i);
/* Let the card's thread have its turn. */
void settle(void);
/* Microseconds that count up; wraps after some seconds. */
uint32_t ticks(void);
#define TICKS_A_SECOND 3579545
/* Have we waited since then for seconds, and is that too long? */
bool impatient(uint32_t since);
/* Call `fn` again and again on the second processor until second_stop(). */
void second_run(void (*fn)(void));
void second_stop(void);
void copy(void *to, const void *from, size_t len);
void *clear(uint32_t at, size_t len); /* whole words */

/* --- pci.c --- */

void pci_find(struct card *c);
/* Everything back as it was found, and a bus master. */
void pci_restore(struct card *c);
uint32_t pci_read(const struct card *c, unsigned reg, unsigned size);
void pci_write(const struct card *c, unsigned reg, unsigned size, uint32_t val);
void pci_attack_config(struct card *c);
void pci_attack_bars(struct card *c);
void pci_attack_decoding(struct card *c);
void pci_fight_reset(struct card *c);
void pci_fight_decoding(struct card *c);
/* Store values of 1, 2, 4, 8 bytes in [base + from, base + to). */
void pci_sweep(uint32_t base, uint32_t from, uint32_t to, unsigned stride);

/* --- ports and registers --- */

static inline void out8(uint16_t port, uint8_t val)
{
	__asm__ volatile("outb %0, %1" : : "a"(val), "Nd"(port) : "memory");
}

static inline void out16(uint16_t port, uint16_t val)
{
	__asm__ volatile("outw %0, %1" : : "a"(val), "Nd"(port) : "memory");
}

static inline void out32(uint16_t port, uint32_t val)
{
	__asm__ volatile("outl %0, %1" : : "a"(val), "Nd"(port) : "memory");
}

static inline uint8_t in8(uint16_t port)
{
	uint8_t val;

	__asm__ volatile("inb %1, %0" : "=a"(val) : "Nd"(port) : "memory");
	return val;
}

static inline uint16_t in16(uint16_t port)
{
	uint16_t val;

	__asm__ volatile("inw %1, %0" : "=a"(val) : "Nd"(port) : "memory");
	return val;
}

static inline uint32_t in32(uint16_t port)
{
	uint32_t val;

	__asm__ volatile("inl %1, %0" : "=a"(val) : "Nd"(port) : "memory");
	return val;
}

static inline void store8(uint32_t at, uint8_t val)
{
	*(volatile uint8_t *)at = val;
}

static inline void store16(uint32_t at, uint16_t val)
{
	*(volatile uint16_t *)at = val;
}

static inline void store32(uint32_t at, uint32_t val)
{
	*(volatile uint32_t *)at = val;
}

static inline uint32_t load32(uint32_t at)
{
	return *(volatile uint32_t *)at;
}

/* Eight bytes at once. Nothing here uses the x87, so nobody misses the EMMS. */
static inline void store64(uint32_t at, uint64_t val)
{
	__asm__ volatile("movq %1, %%mm0\n\tmovq %%mm0, (%0)" : : "r"(at), "m"(val) : "memory");
}

static inline void fence(void)
{
	__asm__ volatile("lock; addl $0, (%%esp)" : : : "memory");
}

#endif

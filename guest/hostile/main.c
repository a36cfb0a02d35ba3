/* SPDX-License-Identifier: MIT */
/*
 * main.c: attack a card, see whether the other one still sends, reset the attacked one and
 * see whether it sends, too; and so on. The command line says what:
 *
 *   attack=e1000, attack=virtio   whom; the e1000 is in slot 1, the virtio-net in slot 2
 *   peace                         nobody: both cards send numbered frames, until there comes
 *                                 a key; says how many, and how many came from the host
 *   quiet                         at peace, send nothing before the key
 *   two                           there is a second processor; use it
 *   sweep=N                       write to every Nth offset of a card only
 *   only=N                        the Nth attack only
 *   hold                          wait for a key before the first attack and at the end
 *   forget=N                      do not reset the card after attack N: that must be noticed
 *
 * After each attack comes a line on COM1 and, if there is a port for marks, a mark with its
 * number. Status 42: all is well. 100 + N: after attack N something was not.
 */
#include "guest/hostile/hostile.h"

#define COM1       0x3f8
#define COM1_MCR   (COM1 + 4)
#define MCR_RTS    0x02 /* we are listening */
#define COM1_LSR   (COM1 + 5)
#define PM_TIMER   0x608
#define DEBUG_EXIT 0xf4
#define MARK       0xf8
#define LAST       30 /* frames after the key that ends peace */
#define STREAM     40 /* frames in a row before an attack: the card's fast ways are on then */
#define TRAMPOLINE 0x1000
#define LAPIC_SVR  (LAPIC + 0xf0)
#define LAPIC_ICR  (LAPIC + 0x300)

extern struct card e1000, virtio;
extern const char trampoline[], trampoline_end[];

unsigned sweep_stride = 31;

static bool two, hold, quiet, patient;
static unsigned only, forget;
static const char *victim;
static void (*volatile second_fn)(void);
static volatile bool second_on;

/* --- console --- */

static void say_char(char c)
{
	while (!(in8(COM1_LSR) & 0x20))
		;
	out8(COM1, (uint8_t)c);
}

void say(const char *text)
{
	while (*text)
		say_char(*text++);
}

void say_number(unsigned n)
{
	if (n > 9)
		say_number(n / 10);
	say_char((char)('0' + n % 10));
}

static void wait_for_key(const char *word)
{
	out8(COM1_MCR, MCR_RTS);
	say(word);
	while (!(in8(COM1_LSR) & 0x01))
		;
	in8(COM1);
}

/* --- small things --- */

void copy(void *to, const void *from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((volatile char *)to)[i] = ((const char *)from)[i];
}

void *clear(uint32_t at, size_t len)
{
	for (size_t i = 0; i < len; i += 4)
		store32(at + i, 0);
	return (void *)at;
}

uint32_t random32(void)
{
	static uint32_t x = 2463534242u;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x;
}

/* As an address, each is below 32 MiB or no memory: a card that took it for one would not
 * write over us. */
uint32_t odd_value(unsigned i)
{
	switch (i % 4) {
	case 0:
		return ~0u;
	case 1:
		return 1u << i / 4 % 25;
	case 2:
		return 0x5a5a5a5a;
	}
	return 0;
}

uint32_t ticks(void)
{
	return in32(PM_TIMER);
}

void settle(void)
{
	uint32_t since = ticks();

	while (((ticks() - since) & 0xffffff) < TICKS_A_SECOND / 5000)
		;
}

bool impatient(uint32_t since)
{
	return !patient && ((ticks() - since) & 0xffffff) > 3 * TICKS_A_SECOND;
}

/* --- the second processor --- */

void second_main(void)
{
	while (second_on)
		second_fn();
	second_fn = NULL;
}

void second_run(void (*fn)(void))
{
	copy((void *)TRAMPOLINE, trampoline, (size_t)(trampoline_end - trampoline));
	second_fn = fn;
	second_on = true;
	store32(LAPIC_SVR, 0x1ff);
	store32(LAPIC_ICR, 0x000c4500); /* INIT, all but us */
	settle();
	store32(LAPIC_ICR, 0x000c4600 | TRAMPOLINE >> 12);
}

void second_stop(void)
{
	second_on = false;
	while (second_fn)
		;
}

/* --- the order of things --- */

static void end(unsigned status)
{
	if (hold)
		wait_for_key("done\n");
	out8(DEBUG_EXIT, (uint8_t)status);
	for (;;)
		__asm__ volatile("hlt");
}

static void must_send(struct card *c, unsigned step, const char *when)
{
	if (c->send(c)) {
		c->sent++;
		return;
	}
	say(c->name);
	say(" does not send ");
	say(when);
	say("\n");
	end(100 + step);
}

static void attack(struct card *c, const struct attack *a, unsigned step)
{
	say_number(step);
	say(" ");
	say(c->name);
	say(a->lawful ? " lawful: " : " unlawful: ");
	say(a->name);
	c->start(c);
	for (unsigned i = 0; i < STREAM; i++)
		must_send(c, step, "before");
	a->run(c);
	must_send(c->other, step, "beside");
	if (step != forget) {
		pci_restore(c);
		c->start(c);
	}
	must_send(c, step, "after its reset");
	out32(MARK, step);
	say("\n");
}

static void attack_all(struct card *c)
{
	unsigned made = 0;

	c->other->start(c->other);
	for (unsigned i = 0; i < c->n_attacks; i++) {
		if ((only && only != i + 1) || (c->attack[i].two && !two))
			continue;
		attack(c, &c->attack[i], i + 1);
		made++;
	}
	say(c->other->name);
	say(" sent ");
	say_number(c->other->sent);
	say(" frames beside ");
	say_number(made);
	say(" attacks\n");
}

/* --- no attack at all: traffic, for tests of what the host does meanwhile --- */

static bool key_pressed(void)
{
	return in8(COM1_LSR) & 0x01;
}

static void number_and_send(struct card *c)
{
	c->sent++;
	copy(c->frame + FRAME_NUMBER, &c->sent, sizeof(c->sent));
	c->send(c);
}

static void tell(const struct card *c)
{
	say(c->name);
	say(" sent ");
	say_number(c->sent);
	say(" received ");
	say_number(c->received);
	say("\n");
}

static void peace(void)
{
	patient = true; /* the host may stop us for long */
	out8(COM1_MCR, MCR_RTS);
	e1000.start(&e1000);
	virtio.start(&virtio);
	say("peace\n");
	while (!key_pressed()) {
		if (quiet)
			continue;
		number_and_send(&e1000);
		number_and_send(&virtio);
	}
	in8(COM1);
	for (unsigned i = 0; i < LAST; i++) { /* what came meanwhile is taken in, too */
		number_and_send(&e1000);
		number_and_send(&virtio);
	}
	tell(&e1000);
	tell(&virtio);
}

/* --- the command line --- */

/* The word after `name` on the command line `at`, or NULL. */
static const char *option(const char *at, const char *name)
{
	for (; *at; at++) {
		const char *a = at, *n = name;

		while (*n && *a == *n)
			a++, n++;
		if (!*n)
			return a;
	}
	return NULL;
}

/* The number after `name`, or `otherwise`. */
static unsigned option_number(const char *line, const char *name, unsigned otherwise)
{
	const char *at = option(line, name);
	unsigned n = 0;

	for (; at && *at >= '0' && *at <= '9'; at++)
		n = n * 10 + (unsigned)(*at - '0');
	return at ? n : otherwise;
}

static void options(const char *line)
{
	sweep_stride = option_number(line, "sweep=", sweep_stride);
	only = option_number(line, "only=", 0);
	forget = option_number(line, "forget=", 0);
	victim = option(line, "attack=");
	quiet = option(line, "quiet");
	two = option(line, "two");
	hold = option(line, "hold");
}

/* `info` is what PVH's start info is: magic, version, flags, number of modules, address of
 * the modules, of the command line. */
void hostile_main(const uint32_t *info)
{
	options((const char *)info[6]);
	e1000.other = &virtio;
	virtio.other = &e1000;
	pci_find(&e1000);
	pci_find(&virtio);
	if (hold)
		wait_for_key("ready\n");
	if (option((const char *)info[6], "peace"))
		peace();
	else if (victim && *victim == 'e')
		attack_all(&e1000);
	else if (victim && *victim == 'v')
		attack_all(&virtio);
	else
		end(99);
	end(42);
}

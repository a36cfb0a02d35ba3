/* SPDX-License-Identifier: MIT */
/* fake_accel.c: see fake_accel.h. */
#include "tests/rig/fake_accel.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static struct fake_accel *fake_accel_of(struct bus_accel *a)
{
	return container_of(a, struct fake_accel, accel);
}

static bool fake_bell_is(const struct fake_bell *b, uint64_t addr, unsigned size)
{
	return b->addr == addr && b->bell.size == size;
}

static int fake_doorbell(struct bus_accel *a, uint64_t addr, const struct doorbell *d, bool on)
{
	struct fake_accel *f = fake_accel_of(a);

	if (f->fail)
		return f->fail;
	if (on) {
		BUG_ON(f->n_bells == FAKE_BELLS);
		f->bell[f->n_bells++] = (struct fake_bell){ addr, *d };
		return 0;
	}
	for (unsigned i = 0; i < f->n_bells; i++)
		if (fake_bell_is(&f->bell[i], addr, d->size)) {
			f->bell[i] = f->bell[--f->n_bells];
			return 0;
		}
	return -ENOENT;
}

/* The page at `addr`, or one that is unused when there is none. */
static struct fake_page *fake_page_find(struct fake_accel *f, uint64_t addr)
{
	struct fake_page *free = NULL;

	for (unsigned i = 0; i < FAKE_PAGES; i++) {
		if (f->page[i].mem && f->page[i].addr == addr)
			return &f->page[i];
		if (!f->page[i].mem)
			free = &f->page[i];
	}
	return free;
}

static int fake_page(struct bus_accel *a, uint64_t addr, void *mem, enum page_mode mode)
{
	struct fake_accel *f = fake_accel_of(a);
	struct fake_page *p = fake_page_find(f, addr);

	if (f->fail)
		return f->fail;
	/* The bus promises: from PAGE_TRAP, or back to it. */
	BUG_ON(!p || !mem || (p->mem != NULL) != (mode == PAGE_TRAP));
	*p = (struct fake_page){ addr, mode == PAGE_TRAP ? NULL : mem, mode };
	f->turns++;
	return 0;
}

void fake_accel_init(struct fake_accel *a, struct bus *b)
{
	memset(a, 0, sizeof(*a));
	a->accel = (struct bus_accel){ .doorbell = fake_doorbell, .page = fake_page };
	a->bus = b;
	b->accel = &a->accel;
}

/* The bytes at `addr` when the page is memory, or NULL. */
static uint8_t *fake_memory(struct fake_accel *a, uint64_t addr, unsigned size, bool write)
{
	struct fake_page *p = fake_page_find(a, addr & -(uint64_t)BUS_PAGE_SIZE);
	uint64_t off = addr % BUS_PAGE_SIZE;

	if (!p || !p->mem || (write && p->mode == PAGE_ROM))
		return NULL;
	BUG_ON(off + size > BUS_PAGE_SIZE);
	return p->mem + off;
}

static bool fake_ring_bell(struct fake_accel *a, uint64_t addr, unsigned size)
{
	uint64_t one = 1;

	for (unsigned i = 0; i < a->n_bells; i++)
		if (fake_bell_is(&a->bell[i], addr, size) || fake_bell_is(&a->bell[i], addr, 0))
			return write(a->bell[i].bell.fd, &one, sizeof(one)) == sizeof(one);
	return false;
}

/* In one piece, as an aligned store is: a device's thread may be looking. */
static void fake_memory_store(uint8_t *mem, unsigned size, uint64_t val)
{
	switch (size) {
	case 1:
		__atomic_store_n(mem, (uint8_t)val, __ATOMIC_RELEASE);
		break;
	case 2:
		__atomic_store_n((uint16_t *)(void *)mem, (uint16_t)val, __ATOMIC_RELEASE);
		break;
	case 4:
		__atomic_store_n((uint32_t *)(void *)mem, (uint32_t)val, __ATOMIC_RELEASE);
		break;
	default:
		__atomic_store_n((uint64_t *)(void *)mem, val, __ATOMIC_RELEASE);
	}
}

void fake_store(struct fake_accel *a, uint64_t addr, unsigned size, uint64_t val)
{
	uint8_t *mem = fake_memory(a, addr, size, true);

	if (mem) {
		fake_memory_store(mem, size, val);
		return;
	}
	if (fake_ring_bell(a, addr, size))
		return;
	a->exits++;
	bus_write(a->bus, addr, size, val);
}

uint64_t fake_load(struct fake_accel *a, uint64_t addr, unsigned size)
{
	const uint8_t *mem = fake_memory(a, addr, size, false);
	uint64_t val = 0;

	if (mem) {
		for (unsigned i = 0; i < size; i++)
			val |= (uint64_t)__atomic_load_n(&mem[i], __ATOMIC_ACQUIRE) << (8 * i);
		return val;
	}
	a->exits++;
	return bus_read(a->bus, addr, size);
}

enum page_mode fake_page_mode(struct fake_accel *a, uint64_t addr)
{
	struct fake_page *p = fake_page_find(a, addr & -(uint64_t)BUS_PAGE_SIZE);

	return p && p->mem ? p->mode : PAGE_TRAP;
}

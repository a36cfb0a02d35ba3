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

static int fake_bell_set(struct fake_accel *f, uint64_t addr, const struct doorbell *d, bool on)
{
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

static int fake_doorbell(struct bus_accel *a, uint64_t addr, const struct doorbell *d, bool on)
{
	struct fake_accel *f = fake_accel_of(a);
	int err;

	pthread_mutex_lock(&f->lock);
	err = f->fail ? f->fail : fake_bell_set(f, addr, d, on);
	pthread_mutex_unlock(&f->lock);
	return err;
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
	struct fake_page *p;
	int err;

	pthread_mutex_lock(&f->lock);
	err = f->fail;
	p = fake_page_find(f, addr);
	/* The bus promises: from PAGE_TRAP, or back to it. */
	BUG_ON(!p || !mem || (p->mem != NULL) != (mode == PAGE_TRAP));
	if (!err) {
		*p = (struct fake_page){ addr, mode == PAGE_TRAP ? NULL : mem, mode };
		f->turns++;
	}
	pthread_mutex_unlock(&f->lock);
	return err;
}

static int fake_zone_set(struct fake_accel *f, uint64_t addr, unsigned size, bool on)
{
	if (on) {
		BUG_ON(f->n_zones == FAKE_ZONES);
		f->zone[f->n_zones++] = (struct fake_zone){ addr, size };
		return 0;
	}
	for (unsigned i = 0; i < f->n_zones; i++)
		if (f->zone[i].addr == addr && f->zone[i].size == size) {
			f->zone[i] = f->zone[--f->n_zones];
			return 0;
		}
	return -ENOENT;
}

static int fake_coalesce(struct bus_accel *a, uint64_t addr, unsigned size, bool on)
{
	struct fake_accel *f = fake_accel_of(a);
	int err;

	pthread_mutex_lock(&f->lock);
	err = f->fail ? f->fail : fake_zone_set(f, addr, size, on);
	pthread_mutex_unlock(&f->lock);
	return err;
}

static bool fake_queued(struct bus_accel *a, struct bus_queued *w)
{
	struct fake_accel *f = fake_accel_of(a);
	bool any;

	pthread_mutex_lock(&f->lock);
	any = f->first != f->last;
	if (any && w)
		*w = f->queue[f->first];
	pthread_mutex_unlock(&f->lock);
	return any;
}

static void fake_unqueue(struct bus_accel *a)
{
	struct fake_accel *f = fake_accel_of(a);

	pthread_mutex_lock(&f->lock);
	f->first = (f->first + 1) % FAKE_QUEUE;
	pthread_mutex_unlock(&f->lock);
}

void fake_accel_init(struct fake_accel *a, struct bus *b)
{
	memset(a, 0, sizeof(*a));
	a->accel = (struct bus_accel){
		.doorbell = fake_doorbell,
		.page = fake_page,
		.coalesce = fake_coalesce,
		.queued = fake_queued,
		.unqueue = fake_unqueue,
	};
	pthread_mutex_init(&a->lock, NULL);
	a->bus = b;
	b->accel = &a->accel;
}

void fake_accel_fini(struct fake_accel *a)
{
	a->bus->accel = NULL;
	pthread_mutex_destroy(&a->lock);
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

static bool fake_enqueue(struct fake_accel *a, uint64_t addr, unsigned size, uint64_t val)
{
	unsigned next = (a->last + 1) % FAKE_QUEUE;
	bool in = false;

	for (unsigned i = 0; i < a->n_zones; i++)
		in = in ||
		     (addr >= a->zone[i].addr && addr + size <= a->zone[i].addr + a->zone[i].size);
	if (!in || next == a->first)
		return false;
	a->queue[a->last] = (struct bus_queued){ .addr = addr, .len = size };
	memcpy(a->queue[a->last].data, &val, size);
	a->last = next;
	return true;
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

/* Does the store end in the hypervisor? */
static bool fake_absorb(struct fake_accel *a, uint64_t addr, unsigned size, uint64_t val)
{
	uint8_t *mem;
	bool done;

	pthread_mutex_lock(&a->lock);
	mem = fake_memory(a, addr, size, true);
	if (mem)
		fake_memory_store(mem, size, val);
	done = mem || fake_ring_bell(a, addr, size) || fake_enqueue(a, addr, size, val);
	pthread_mutex_unlock(&a->lock);
	return done;
}

/* As a vCPU's thread begins with each exit. */
static void fake_exit(struct fake_accel *a)
{
	a->exits++;
	bus_drain(a->bus);
}

void fake_store(struct fake_accel *a, uint64_t addr, unsigned size, uint64_t val)
{
	if (fake_absorb(a, addr, size, val))
		return;
	fake_exit(a);
	bus_write(a->bus, addr, size, val);
}

static bool fake_memory_load(struct fake_accel *a, uint64_t addr, unsigned size, uint64_t *val)
{
	const uint8_t *mem;

	*val = 0;
	pthread_mutex_lock(&a->lock);
	mem = fake_memory(a, addr, size, false);
	for (unsigned i = 0; mem && i < size; i++)
		*val |= (uint64_t)__atomic_load_n(&mem[i], __ATOMIC_ACQUIRE) << (8 * i);
	pthread_mutex_unlock(&a->lock);
	return mem;
}

uint64_t fake_load(struct fake_accel *a, uint64_t addr, unsigned size)
{
	uint64_t val;

	if (fake_memory_load(a, addr, size, &val))
		return val;
	fake_exit(a);
	return bus_read(a->bus, addr, size);
}

enum page_mode fake_page_mode(struct fake_accel *a, uint64_t addr)
{
	struct fake_page *p;
	enum page_mode mode;

	pthread_mutex_lock(&a->lock);
	p = fake_page_find(a, addr & -(uint64_t)BUS_PAGE_SIZE);
	mode = p && p->mem ? p->mode : PAGE_TRAP;
	pthread_mutex_unlock(&a->lock);
	return mode;
}

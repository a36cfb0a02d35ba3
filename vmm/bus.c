/* SPDX-License-Identifier: MIT */
/*
 * bus.c: a sorted array of regions, a guess at the last hit, binary search; and what the
 * hypervisor does for a region while it is mapped.
 */
#include "vmm/bus.h"

#include "vmm/log.h"
#include "vmm/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

void bus_init(struct bus *b, const char *name, bool pio)
{
	memset(b, 0, sizeof(*b));
	b->name = name;
	b->pio = pio;
	pthread_mutex_init(&b->change, NULL);
	lock_init(&b->drain);
	pthread_rwlock_init(&b->lock, NULL);
}

void bus_destroy(struct bus *b)
{
	pthread_rwlock_destroy(&b->lock);
	lock_destroy(&b->drain);
	pthread_mutex_destroy(&b->change);
}

static bool region_has(const struct region *r, uint64_t addr, unsigned size)
{
	return addr >= r->base && addr - r->base < r->size && size <= r->size - (addr - r->base);
}

/* Index of the first region whose base is above `addr`. Either lock held. */
static unsigned bus_above(const struct bus *b, uint64_t addr)
{
	unsigned lo = 0, hi = b->n;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (b->r[mid]->base > addr)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

/* Hand the region's doorbells to the hypervisor or take them back. bus.change held. */
static void bus_doorbells(struct bus *b, struct region *r, bool on)
{
	for (unsigned i = 0; b->accel && i < r->n_doorbells; i++) {
		int err = b->accel->doorbell(b->accel, r->base + r->doorbell[i].off,
					     &r->doorbell[i], on);

		/* Not fatal: the write then exits to us and works all the same. */
		if (err)
			log_warn("%s: no in-kernel doorbell at +%#" PRIx64 ": %s", r->name,
				 r->doorbell[i].off, strerror(-err));
	}
}

/* bus.change held. */
static int bus_page_change(struct bus *b, struct region *r, struct region_page *p,
			   enum page_mode mode)
{
	uint64_t addr = r->base + p->off;
	int err = 0;

	if (p->mode == mode)
		return 0;
	if (!b->accel || !b->accel->page)
		return -ENOTSUP;
	if (!r->mapped || r->base % BUS_PAGE_SIZE)
		return -ENXIO;
	if (p->mode != PAGE_TRAP) {
		err = b->accel->page(b->accel, addr, p->mem, PAGE_TRAP);
		if (!err)
			p->mode = PAGE_TRAP;
	}
	if (!err && mode != PAGE_TRAP) {
		err = b->accel->page(b->accel, addr, p->mem, mode);
		if (!err)
			p->mode = mode;
	}
	return err;
}

int bus_page_set(struct bus *b, struct region *r, unsigned page, enum page_mode mode)
{
	struct region_page *p = &r->page[page];
	int err;

	BUG_ON(page >= r->n_pages || p->off % BUS_PAGE_SIZE || p->off >= r->size ||
	       (uintptr_t)p->mem % BUS_PAGE_SIZE);
	pthread_mutex_lock(&b->change);
	err = bus_page_change(b, r, p, mode);
	pthread_mutex_unlock(&b->change);
	return err;
}

/* The handlers have the whole region again, as when it was mapped. bus.change held. */
static void bus_pages_back(struct bus *b, struct region *r)
{
	for (unsigned i = 0; i < r->n_pages; i++) {
		int err = bus_page_change(b, r, &r->page[i], PAGE_TRAP);

		/* The device gets no more of this page's writes, which is the guest's loss. */
		if (err)
			log_error("%s: cannot take the page at +%#" PRIx64 " from the guest: %s",
				  r->name, r->page[i].off, strerror(-err));
		r->page[i].mode = PAGE_TRAP;
	}
}

static struct region_zone *bus_zone_find(struct region *r, uint64_t off, unsigned size)
{
	for (unsigned i = 0; i < r->n_zones; i++)
		if (r->zone[i].off == off && r->zone[i].size == size)
			return &r->zone[i];
	return NULL;
}

static int bus_zone_add(struct bus *b, struct region *r, uint64_t off, unsigned size)
{
	int err;

	if (!b->accel || !b->accel->coalesce)
		return -ENOTSUP;
	if (!r->mapped)
		return -ENXIO;
	if (r->n_zones == REGION_ZONES)
		return -ENOSPC;
	atomic_store(&b->coalescing, true); /* pairs with bus_drain() */
	err = b->accel->coalesce(b->accel, r->base + off, size, true);
	if (!err)
		r->zone[r->n_zones++] = (struct region_zone){ off, size };
	return err;
}

/* It is gone even if the hypervisor complains, as KVM's is. */
static int bus_zone_drop(struct bus *b, struct region *r, struct region_zone *z)
{
	struct region_zone was = *z;

	*z = r->zone[--r->n_zones];
	return b->accel->coalesce(b->accel, r->base + was.off, was.size, false);
}

int bus_coalesce(struct bus *b, struct region *r, uint64_t off, unsigned size, bool on)
{
	struct region_zone *z;
	int err = 0;

	BUG_ON(!size || off >= r->size || size > r->size - off);
	pthread_mutex_lock(&b->change);
	z = bus_zone_find(r, off, size);
	if (on && !z)
		err = bus_zone_add(b, r, off, size);
	else if (!on && z)
		err = bus_zone_drop(b, r, z);
	pthread_mutex_unlock(&b->change);
	return err;
}

static void bus_zones_drop(struct bus *b, struct region *r)
{
	while (r->n_zones) {
		int err = bus_zone_drop(b, r, &r->zone[r->n_zones - 1]);

		if (err)
			log_error("%s: cannot stop queueing its writes: %s", r->name,
				  strerror(-err));
	}
}

/* bus.change held. */
static int bus_insert(struct bus *b, struct region *r, uint64_t base)
{
	unsigned at = bus_above(b, base);

	if (!r->size || base + (r->size - 1) < base || r->mapped)
		return -EINVAL;
	if (b->n == BUS_REGIONS)
		return -ENOSPC;
	if (at && base - b->r[at - 1]->base < b->r[at - 1]->size)
		return -EEXIST;
	if (at < b->n && b->r[at]->base - base < r->size)
		return -EEXIST;
	pthread_rwlock_wrlock(&b->lock);
	memmove(&b->r[at + 1], &b->r[at], (b->n - at) * sizeof(b->r[0]));
	b->r[at] = r;
	b->n++;
	r->base = base;
	r->mapped = true;
	pthread_rwlock_unlock(&b->lock);
	return 0;
}

static void bus_remove(struct bus *b, struct region *r)
{
	unsigned at = bus_above(b, r->base) - 1;

	BUG_ON(b->r[at] != r);
	pthread_rwlock_wrlock(&b->lock);
	b->n--;
	memmove(&b->r[at], &b->r[at + 1], (b->n - at) * sizeof(b->r[0]));
	r->mapped = false;
	pthread_rwlock_unlock(&b->lock);
}

int bus_map(struct bus *b, struct region *r, uint64_t base)
{
	int err;

	pthread_mutex_lock(&b->change);
	err = bus_insert(b, r, base);
	if (!err)
		bus_doorbells(b, r, true);
	pthread_mutex_unlock(&b->change);
	return err;
}

void bus_unmap(struct bus *b, struct region *r)
{
	pthread_mutex_lock(&b->change);
	if (r->mapped) {
		bus_pages_back(b, r);
		bus_zones_drop(b, r);
		bus_doorbells(b, r, false);
		bus_remove(b, r);
	}
	pthread_mutex_unlock(&b->change);
}

static struct region *bus_lookup(struct bus *b, uint64_t addr, unsigned size)
{
	unsigned i = atomic_load_explicit(&b->hint, memory_order_relaxed);

	if (i < b->n && region_has(b->r[i], addr, size))
		return b->r[i];
	i = bus_above(b, addr);
	if (!i || !region_has(b->r[i - 1], addr, size))
		return NULL;
	atomic_store_explicit(&b->hint, i - 1, memory_order_relaxed);
	return b->r[i - 1];
}

/* The region that takes this access and the offset in it, or NULL. */
static struct region *bus_find(struct bus *b, uint64_t addr, unsigned size, uint64_t *off)
{
	struct region *r;

	pthread_rwlock_rdlock(&b->lock);
	r = bus_lookup(b, addr, size);
	if (r)
		*off = addr - r->base; /* r->base may move once the lock is gone */
	pthread_rwlock_unlock(&b->lock);
	if (r && (r->ops->sizes & size))
		return r;
	atomic_fetch_add_explicit(&b->unclaimed, 1, memory_order_relaxed);
	return NULL;
}

static void bus_trace(const struct bus *b, const struct region *r, bool write, uint64_t addr,
		      unsigned size, uint64_t val)
{
	const char *name = r ? r->name : "nobody", *arrow = write ? "<-" : "->";
	const char *func = write ? "bus_write" : "bus_read";

	if (b->pio)
		trace_as(PIO, func, "%s %#" PRIx64 "/%u %s %#" PRIx64, name, addr, size, arrow,
			 val);
	else
		trace_as(MMIO, func, "%s %#" PRIx64 "/%u %s %#" PRIx64, name, addr, size, arrow,
			 val);
}

static struct access *bus_account(struct region *r, uint64_t off)
{
	return r->ops->account ? r->ops->account(r->dev, off) : &r->access;
}

void bus_accounts(struct bus *b, access_fn *fn, void *ctx)
{
	pthread_rwlock_rdlock(&b->lock);
	for (unsigned i = 0; i < b->n; i++)
		if (!b->r[i]->ops->account)
			fn(ctx, b->r[i]->name, &b->r[i]->access);
	pthread_rwlock_unlock(&b->lock);
}

/* The account is looked up before the access, which may change what `off` means. */
static uint64_t region_read(struct region *r, uint64_t off, unsigned size)
{
	struct access *a;
	uint64_t start, val;

	if (!acct_on)
		return r->ops->read(r->dev, off, size);
	a = bus_account(r, off);
	start = acct_now();
	val = r->ops->read(r->dev, off, size);
	access_count(a, false, acct_span(start, acct_now()));
	return val;
}

static void region_write(struct region *r, uint64_t off, unsigned size, uint64_t val)
{
	struct access *a;
	uint64_t start;

	if (!acct_on) {
		r->ops->write(r->dev, off, size, val);
		return;
	}
	a = bus_account(r, off);
	start = acct_now();
	r->ops->write(r->dev, off, size, val);
	access_count(a, true, acct_span(start, acct_now()));
}

uint64_t bus_read(struct bus *b, uint64_t addr, unsigned size)
{
	uint64_t off, val = bus_ones(size);
	struct region *r = bus_find(b, addr, size, &off);

	if (r)
		val &= region_read(r, off, size);
	bus_trace(b, r, false, addr, size, val);
	return val;
}

void bus_write(struct bus *b, uint64_t addr, unsigned size, uint64_t val)
{
	uint64_t off;
	struct region *r = bus_find(b, addr, size, &off);

	bus_trace(b, r, true, addr, size, val & bus_ones(size));
	if (r)
		region_write(r, off, size, val & bus_ones(size));
}

static void bus_write_queued(struct bus *b, const struct bus_queued *w)
{
	unsigned size;

	for (unsigned done = 0; done < w->len; done += size) {
		uint64_t val = 0;

		size = bus_piece(w->len - done);
		memcpy(&val, &w->data[done], size);
		bus_write(b, w->addr + done, size, val);
	}
}

/*
 * A write leaves the queue only when its handler is done, so that who finds the queue empty
 * and goes on without waiting overtakes nothing. What is queued meanwhile by a guest that
 * never stops is left for the next time.
 */
void bus_drain_queue(struct bus *b)
{
	static _Thread_local bool draining;
	struct bus_queued w;

	if (draining || !b->accel->queued(b->accel, NULL))
		return;
	lock_take(&b->drain);
	draining = true;
	for (unsigned i = 0; i < BUS_QUEUE_MAX && b->accel->queued(b->accel, &w); i++) {
		bus_write_queued(b, &w);
		counter_inc(&b->coalesced);
		b->accel->unqueue(b->accel);
	}
	draining = false;
	lock_drop(&b->drain);
}

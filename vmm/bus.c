/* SPDX-License-Identifier: MIT */
/* bus.c: a sorted array of regions, a guess at the last hit, binary search. */
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
	pthread_rwlock_init(&b->lock, NULL);
}

void bus_destroy(struct bus *b)
{
	pthread_rwlock_destroy(&b->lock);
}

static bool region_has(const struct region *r, uint64_t addr, unsigned size)
{
	return addr >= r->base && addr - r->base < r->size && size <= r->size - (addr - r->base);
}

/* Index of the first region whose base is above `addr`. Lock held. */
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

/* Hand the region's doorbells to the hypervisor or take them back. Lock held. */
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
	memmove(&b->r[at + 1], &b->r[at], (b->n - at) * sizeof(b->r[0]));
	b->r[at] = r;
	b->n++;
	r->base = base;
	r->mapped = true;
	bus_doorbells(b, r, true);
	return 0;
}

int bus_map(struct bus *b, struct region *r, uint64_t base)
{
	int err;

	pthread_rwlock_wrlock(&b->lock);
	err = bus_insert(b, r, base);
	pthread_rwlock_unlock(&b->lock);
	return err;
}

void bus_unmap(struct bus *b, struct region *r)
{
	pthread_rwlock_wrlock(&b->lock);
	if (r->mapped) {
		unsigned at = bus_above(b, r->base) - 1;

		BUG_ON(b->r[at] != r);
		bus_doorbells(b, r, false);
		b->n--;
		memmove(&b->r[at], &b->r[at + 1], (b->n - at) * sizeof(b->r[0]));
		r->mapped = false;
	}
	pthread_rwlock_unlock(&b->lock);
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

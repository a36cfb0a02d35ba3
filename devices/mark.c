/* SPDX-License-Identifier: MIT */
/* mark.c: a port that labels moments of the guest's life. */
#include "devices/mark.h"

#include "vmm/layout.h"
#include "vmm/trace.h"

#include <errno.h>

struct mark {
	/* fixed: */
	struct machine *m;
	mark_fn *take;
	void *ctx;
	struct region port;
	pthread_mutex_t lock; /* held while a mark is taken */
	/* written under lock, read by any thread: */
	_Atomic unsigned taken;
	counter_t faults;
};

static uint64_t mark_read(void *dev, uint64_t off, unsigned size)
{
	(void)off, (void)size;
	return mark_taken(dev);
}

static void mark_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	struct mark *d = dev;

	(void)off, (void)size;
	pthread_mutex_lock(&d->lock);
	if (d->taken < MARK_MAX) {
		d->take(d->ctx, (uint32_t)val);
		d->taken++;
	} else {
		counter_inc(&d->faults);
		trace(GUEST, "mark %u: more than %u are not taken", (uint32_t)val, MARK_MAX);
	}
	pthread_mutex_unlock(&d->lock);
}

static const struct region_ops mark_ops = {
	.read = mark_read,
	.write = mark_write,
	.sizes = 4,
};

struct mark *mark_new(struct machine *m, mark_fn *take, void *ctx)
{
	struct mark *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		return NULL;
	d->m = m;
	d->take = take;
	d->ctx = ctx;
	pthread_mutex_init(&d->lock, NULL);
	d->port = (struct region){ .name = "mark", .ops = &mark_ops, .dev = d, .size = 4 };
	err = bus_map(&m->pio, &d->port, PORT_MARK);
	if (err) {
		pthread_mutex_destroy(&d->lock);
		free(d);
		errno = -err;
		return NULL;
	}
	return d;
}

void mark_free(struct mark *d)
{
	if (!d)
		return;
	bus_unmap(&d->m->pio, &d->port);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

unsigned mark_taken(const struct mark *d)
{
	return atomic_load(&d->taken);
}

uint64_t mark_faults(const struct mark *d)
{
	return counter_get(&d->faults);
}

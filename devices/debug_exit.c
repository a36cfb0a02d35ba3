/* SPDX-License-Identifier: MIT */
/* debug_exit.c: a port that takes the guest's exit status. Reads as an empty port. */
#include "devices/debug_exit.h"

#include "vmm/layout.h"

#include <errno.h>

struct debug_exit {
	struct machine *m;
	struct region port;
};

static uint64_t debug_exit_read(void *dev, uint64_t off, unsigned size)
{
	(void)dev, (void)off;
	return bus_ones(size);
}

static void debug_exit_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	struct debug_exit *d = dev;

	(void)off, (void)size;
	d->m->stop(d->m, STOP_DEBUG_EXIT, (int)val);
}

static const struct region_ops debug_exit_ops = {
	.read = debug_exit_read,
	.write = debug_exit_write,
	.sizes = 1,
};

struct debug_exit *debug_exit_new(struct machine *m)
{
	struct debug_exit *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		return NULL;
	d->m = m;
	d->port = (struct region){
		.name = "debug-exit", .ops = &debug_exit_ops, .dev = d, .size = 1
	};
	err = bus_map(&m->pio, &d->port, PORT_DEBUG_EXIT);
	if (err) {
		free(d);
		errno = -err;
		return NULL;
	}
	return d;
}

void debug_exit_free(struct debug_exit *d)
{
	if (!d)
		return;
	bus_unmap(&d->m->pio, &d->port);
	free(d);
}

/* SPDX-License-Identifier: MIT */
/* skeleton.c: allocated, but on no bus. devices/debug_exit.c shows how that is done. */
#include "exercise.h"

struct debug_port {
	struct machine *m;
	struct region port;
	/* vCPU threads, one at a time: */
	uint8_t text[DEBUG_PORT_KEPT];
	size_t len;
};

struct debug_port *debug_port_new(struct machine *m)
{
	struct debug_port *d = calloc(1, sizeof(*d));

	if (d)
		d->m = m;
	return d;
}

void debug_port_free(struct debug_port *d)
{
	free(d);
}

const uint8_t *debug_port_text(const struct debug_port *d, size_t *len)
{
	*len = d->len;
	return d->text;
}

/* SPDX-License-Identifier: MIT */
/*
 * i8042.c: a reset line where a PC has its keyboard controller.
 *
 * Drivers that probe ports 0x60/0x64 although the FADT says "no 8042" must find out
 * fast that nobody types here. The status register always reads "output buffer full,
 * input buffer empty": a driver that wants to drain stale bytes first gives up after a
 * few and reports no controller, while one that waits for the input buffer before it
 * sends the reset command never waits. All ones would make that wait time out.
 */
#include "devices/i8042.h"

#include "vmm/layout.h"

#include <errno.h>

#define I8042_STATUS_OBF 0x01 /* output buffer full: there is a byte to read */

struct i8042 {
	struct machine *m;
	struct region data;    /* port 0x60 */
	struct region command; /* port 0x64: status when read */
};

static uint64_t i8042_data_read(void *dev, uint64_t off, unsigned size)
{
	(void)dev, (void)off;
	return bus_ones(size);
}

static void i8042_data_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	(void)dev, (void)off, (void)size, (void)val; /* no keyboard to talk to */
}

static uint64_t i8042_status_read(void *dev, uint64_t off, unsigned size)
{
	(void)dev, (void)off, (void)size;
	return I8042_STATUS_OBF;
}

static void i8042_command_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	struct i8042 *k = dev;

	(void)off, (void)size;
	if (val == RESET_VALUE)
		k->m->stop(k->m, STOP_RESET, 0);
}

static const struct region_ops i8042_data_ops = {
	.read = i8042_data_read,
	.write = i8042_data_write,
	.sizes = 1,
};

static const struct region_ops i8042_command_ops = {
	.read = i8042_status_read,
	.write = i8042_command_write,
	.sizes = 1,
};

struct i8042 *i8042_new(struct machine *m)
{
	struct i8042 *k = calloc(1, sizeof(*k));
	int err;

	if (!k)
		return NULL;
	k->m = m;
	k->data = (struct region){
		.name = "i8042-data", .ops = &i8042_data_ops, .dev = k, .size = 1
	};
	k->command = (struct region){
		.name = "i8042-command", .ops = &i8042_command_ops, .dev = k, .size = 1
	};
	err = bus_map(&m->pio, &k->data, PORT_I8042);
	if (!err)
		err = bus_map(&m->pio, &k->command, PORT_RESET);
	if (err) {
		i8042_free(k);
		errno = -err;
		return NULL;
	}
	return k;
}

void i8042_free(struct i8042 *k)
{
	if (!k)
		return;
	bus_unmap(&k->m->pio, &k->command);
	bus_unmap(&k->m->pio, &k->data);
	free(k);
}

/* SPDX-License-Identifier: MIT */
/*
 * board_disks.c: what a board has behind virtio but NICs: disks and random numbers. Files are
 * opened, and locked, before KVM is: a wrong file is a wrong file on every host. Each disk has a
 * thread, so that none waits for another's file, nor a vCPU or a NIC for any.
 */
#include "vmm/board.h"

#include "devices/virtio_blk.h"
#include "devices/virtio_rng.h"
#include "vmm/log.h"

#include <errno.h>
#include <string.h>

int board_open_disks(struct board *b)
{
	char why[512];

	for (unsigned i = 0; i < OPTS_DISKS_MAX; i++)
		b->disk[i].file.fd = -1;
	for (unsigned i = 0; i < b->o->n_disks; i++) {
		const struct opts_disk *d = &b->o->disk[i];

		if (disk_open(&b->disk[i].file, d->path, d->readonly, why, sizeof(why)) < 0)
			return board_fail(EXIT_USAGE, "%s", why);
	}
	return 0;
}

void board_close_disks(struct board *b)
{
	for (unsigned i = 0; i < OPTS_DISKS_MAX; i++)
		disk_close(&b->disk[i].file);
}

static int make_disk(struct board *b, struct board_disk *d, unsigned i)
{
	static const char *const names[OPTS_DISKS_MAX] = { "disk0", "disk1", "disk2", "disk3",
							   "disk4", "disk5", "disk6", "disk7" };
	int err = worker_init(&d->worker, names[i]);

	if (err)
		return board_fail(EXIT_HOST, "%s: %s", names[i], strerror(-err));
	d->dev = virtio_blk_new(&b->m, d->worker.loop, b->pci, PCI_SLOT_DISKS + i, names[i],
				&d->file);
	return d->dev ? 0 : EXIT_HOST;
}

int board_make_disks(struct board *b)
{
	int status = 0;

	while (!status && b->n_disks < b->o->n_disks) {
		unsigned i = b->n_disks++;

		status = make_disk(b, &b->disk[i], i);
	}
	return status;
}

void board_free_disks(struct board *b)
{
	while (b->n_disks) {
		struct board_disk *d = &b->disk[--b->n_disks];

		virtio_blk_free(d->dev);
		worker_destroy(&d->worker);
	}
}

int board_start_disks(struct board *b)
{
	int err = 0;

	for (unsigned i = 0; i < b->n_disks && !err; i++)
		err = worker_start(&b->disk[i].worker);
	return err;
}

void board_stop_disks(struct board *b)
{
	for (unsigned i = 0; i < b->n_disks; i++)
		worker_stop(&b->disk[i].worker);
}

struct vserver *board_disk_server(struct board *b, unsigned i)
{
	return virtio_blk_server(b->disk[i].dev);
}

int board_make_rng(struct board *b)
{
	if (!b->o->rng)
		return 0;
	b->rng = virtio_rng_new(&b->m, b->pci, PCI_SLOT_RNG);
	return b->rng ? 0 : EXIT_HOST;
}

void board_free_rng(struct board *b)
{
	virtio_rng_free(b->rng);
}

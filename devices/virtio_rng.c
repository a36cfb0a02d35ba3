/* SPDX-License-Identifier: MIT */
/*
 * virtio_rng.c: fills the guest's buffers by getrandom(2). A driver that asks for more than
 * VRNG_MAX gets VRNG_MAX and asks again: no guest keeps the I/O thread busy with one request.
 */
#include "devices/virtio_rng.h"

#include "devices/net/offload.h"
#include "vmm/log.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <string.h>
#include <sys/random.h>

#define VRNG_CLASS 0x00ff00 /* no class fits */

struct virtio_rng {
	struct vserver v;
	/* I/O thread: */
	counter_t bytes;
};

static uint32_t vrng_serve(struct vserver *v, const struct virtq_chain *c)
{
	struct virtio_rng *r = container_of(v, struct virtio_rng, v);
	uint8_t buf[VRNG_MAX];
	ssize_t n;

	if (!c->in_len || c->out_len) {
		vserver_fault(v, "request for no entropy, or with some for us (5.4.6)");
		return 0;
	}
	n = getrandom(buf, MIN(c->in_len, (uint32_t)sizeof(buf)), 0);
	if (n <= 0)
		return 0; /* cannot be, virtio_rng_new() has tried; the driver asks again */
	iov_copy_in(v->iov, c->n_in, 0, buf, (size_t)n);
	counter_add(&r->bytes, (uint64_t)n);
	return (uint32_t)n;
}

static void vrng_stats_json(struct vserver *v, struct json *j)
{
	json_u64(j, "bytes", counter_get(&container_of(v, struct virtio_rng, v)->bytes));
}

static void vrng_stats_print(struct vserver *v, FILE *f)
{
	counter_print("bytes", "of entropy given", &container_of(v, struct virtio_rng, v)->bytes,
		      f);
}

static const struct vserver_ops vrng_ops = {
	.model = "virtio-rng",
	.type = VIRTIO_ID_RNG,
	.class_code = VRNG_CLASS,
	.serve = vrng_serve,
	.stats_json = vrng_stats_json,
	.stats_print = vrng_stats_print,
};

struct virtio_rng *virtio_rng_new(struct machine *m, struct pci_host *pci, unsigned slot)
{
	struct virtio_rng *r = calloc(1, sizeof(*r));
	struct vserver_config cfg = { .name = "rng", .loop = m->loop };
	uint8_t probe;
	int err;

	if (!r) {
		log_error("rng: out of memory");
		return NULL;
	}
	err = vserver_init(&r->v, &vrng_ops, m, pci, slot, &cfg);
	/* Waits until the host has seeded its own; from then on it never blocks again. */
	if (!err && getrandom(&probe, 1, 0) < 0)
		err = -errno;
	if (!err)
		return r;
	log_error("rng: cannot put a virtio-rng in PCI slot %u: %s", slot, strerror(-err));
	virtio_rng_free(r);
	return NULL;
}

void virtio_rng_free(struct virtio_rng *r)
{
	if (!r)
		return;
	vserver_fini(&r->v);
	free(r);
}

struct vserver *virtio_rng_server(struct virtio_rng *r)
{
	return &r->v;
}

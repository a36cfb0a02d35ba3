/* SPDX-License-Identifier: MIT */
/*
 * vhost.c: the requests of /dev/vhost-net. The kernel is told where guest memory is in this
 * process, so that it can follow descriptors by itself; what it then reads there it bounds
 * by that table. The rings' own addresses come from virtq_enable(), which has found all
 * their bytes in RAM.
 */
#include "devices/vhost.h"

#include "vmm/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define VHOST_NET_BACKEND_NONE (-1)

static const char *vhost_remedy(int err)
{
	switch (err) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return "no such device: load the module (modprobe vhost_net), or leave out "
		       "vhost=on";
	case EACCES:
	case EPERM:
		return "permission denied: join the device's group (ls -l " VHOST_DEVICE
		       ") and log in again, or leave out vhost=on";
	default:
		return strerror(err);
	}
}

static int vhost_ioctl(struct vhost *h, const char *what, unsigned long request, void *arg)
{
	int err;

	if (ioctl(h->fd, request, arg) >= 0)
		return 0;
	err = errno;
	if (!atomic_exchange(&h->moaned, true))
		log_error("%s: " VHOST_DEVICE ": %s: %s; leave out vhost=on", h->name, what,
			  strerror(err));
	return -err;
}

#define VHOST(h, request, arg) vhost_ioctl((h), #request, (request), (arg))

static int vhost_file(struct vhost *h, const char *what, unsigned long request, unsigned q, int fd)
{
	struct vhost_vring_file f = { .index = q, .fd = fd };

	return vhost_ioctl(h, what, request, &f);
}

#define VHOST_FILE(h, request, q, fd) vhost_file((h), #request, (request), (q), (fd))

static int vhost_memory(struct vhost *h, const struct gmem *m)
{
	_Alignas(struct vhost_memory)
		uint8_t table[sizeof(struct vhost_memory) +
			      ARRAY_SIZE(m->r) * sizeof(struct vhost_memory_region)] = { 0 };
	struct vhost_memory *mem = (struct vhost_memory *)table;

	mem->nregions = m->n;
	for (unsigned i = 0; i < m->n; i++)
		mem->regions[i] = (struct vhost_memory_region){
			.guest_phys_addr = m->r[i].gpa,
			.memory_size = m->r[i].size,
			.userspace_addr = (uintptr_t)m->r[i].hva,
		};
	return VHOST(h, VHOST_SET_MEM_TABLE, mem);
}

static int vhost_setup(struct vhost *h, const struct gmem *m, int err_fd, unsigned queues)
{
	int err = VHOST(h, VHOST_SET_OWNER, NULL);

	if (!err)
		err = VHOST(h, VHOST_GET_FEATURES, &h->features);
	if (!err)
		err = vhost_memory(h, m);
	for (unsigned q = 0; q < queues && !err; q++)
		err = VHOST_FILE(h, VHOST_SET_VRING_ERR, q, err_fd);
	return err;
}

int vhost_open(struct vhost *h, const char *name, const struct gmem *m, int err_fd, unsigned queues)
{
	int err;

	h->name = name;
	h->fd = open(VHOST_DEVICE, O_RDWR | O_CLOEXEC);
	if (h->fd < 0) {
		err = errno;
		log_error("%s: " VHOST_DEVICE ": %s", name, vhost_remedy(err));
		return -err;
	}
	err = vhost_setup(h, m, err_fd, queues);
	if (err)
		vhost_close(h);
	return err;
}

void vhost_close(struct vhost *h)
{
	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
}

int vhost_negotiated(struct vhost *h, uint64_t features)
{
	features &= h->features;
	return VHOST(h, VHOST_SET_FEATURES, &features);
}

/* Size, place and position, which the kernel takes only while it does not serve the queue. */
static int vhost_place(struct vhost *h, unsigned q, const struct virtq *vq)
{
	struct vhost_vring_state size = { .index = q, .num = vq->size };
	struct vhost_vring_state base = { .index = q, .num = vq->next_avail };
	struct vhost_vring_addr at = {
		.index = q,
		.desc_user_addr = (uintptr_t)vq->desc,
		.avail_user_addr = (uintptr_t)vq->avail,
		.used_user_addr = (uintptr_t)vq->used,
	};
	int err = VHOST(h, VHOST_SET_VRING_NUM, &size);

	if (!err)
		err = VHOST(h, VHOST_SET_VRING_BASE, &base);
	return err ? err : VHOST(h, VHOST_SET_VRING_ADDR, &at);
}

int vhost_start(struct vhost *h, unsigned q, const struct virtq *vq, int kick, int tap)
{
	int err = vhost_place(h, q, vq);

	if (!err)
		err = VHOST_FILE(h, VHOST_SET_VRING_KICK, q, kick);
	/* Last: with it the kernel begins, by a look at the ring, rung or not. */
	return err ? err : VHOST_FILE(h, VHOST_NET_SET_BACKEND, q, tap);
}

int vhost_stop(struct vhost *h, unsigned q, struct virtq *vq)
{
	struct vhost_vring_state base = { .index = q };
	/* First: returns when the last frame under way is done. */
	int err = VHOST_FILE(h, VHOST_NET_SET_BACKEND, q, VHOST_NET_BACKEND_NONE);

	if (!err)
		err = VHOST(h, VHOST_GET_VRING_BASE, &base);
	if (!err)
		vq->next_avail = (uint16_t)base.num;
	return err ? err : VHOST_FILE(h, VHOST_SET_VRING_KICK, q, VHOST_FILE_UNBIND);
}

int vhost_call(struct vhost *h, unsigned q, int fd)
{
	return VHOST_FILE(h, VHOST_SET_VRING_CALL, q, fd);
}

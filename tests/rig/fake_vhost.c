/* SPDX-License-Identifier: MIT */
/* fake_vhost.c: the requests of /dev/vhost-net, kept in a structure. */
#include "tests/rig/fake_vhost.h"

#include <check.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/eventfd.h>

#define KNOWN                                                                                      \
	(BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_RING_F_EVENT_IDX) |                              \
	 BIT64(VIRTIO_RING_F_INDIRECT_DESC) | BIT64(VIRTIO_NET_F_MRG_RXBUF) |                      \
	 BIT64(VHOST_F_LOG_ALL))

struct fake_vhost fake_vhost;

void fake_vhost_boot(void)
{
	free(fake_vhost.mem);
	fake_vhost = (struct fake_vhost){ .fd = -1, .knows = KNOWN };
	for (unsigned q = 0; q < 2; q++)
		fake_vhost.q[q] =
			(struct fake_vhost_queue){ .kick = -1, .call = -1, .err = -1, .tap = -1 };
}

static int fake_vhost_memory(const struct vhost_memory *m)
{
	size_t size = sizeof(*m) + m->nregions * sizeof(m->regions[0]);

	fake_vhost.mem = malloc(size);
	ck_assert_ptr_nonnull(fake_vhost.mem);
	memcpy(fake_vhost.mem, m, size);
	return 0;
}

/* Size and position of a queue that is being served are not to be changed. */
static int fake_vhost_state(unsigned long request, struct vhost_vring_state *s)
{
	struct fake_vhost_queue *q = &fake_vhost.q[s->index];

	if (request == VHOST_GET_VRING_BASE)
		s->num = q->base;
	else if (q->tap >= 0)
		return EBUSY;
	else if (request == VHOST_SET_VRING_BASE)
		q->base = s->num;
	else
		q->size = s->num;
	return 0;
}

static int fake_vhost_backend(struct fake_vhost_queue *q, int tap)
{
	if (tap >= 0 && (!q->size || !q->at.desc_user_addr || q->kick < 0 || q->call < 0))
		return EFAULT;
	fake_vhost.starts += tap >= 0;
	fake_vhost.stops += tap < 0;
	q->tap = tap;
	return 0;
}

static int fake_vhost_file(unsigned long request, const struct vhost_vring_file *f)
{
	struct fake_vhost_queue *q = &fake_vhost.q[f->index];

	switch (request) {
	case VHOST_SET_VRING_KICK:
		q->kick = f->fd;
		return 0;
	case VHOST_SET_VRING_CALL:
		q->call = f->fd;
		return 0;
	case VHOST_SET_VRING_ERR:
		q->err = f->fd;
		return 0;
	case VHOST_NET_SET_BACKEND:
		return fake_vhost_backend(q, f->fd);
	}
	return ENOTTY;
}

static int fake_vhost_request(unsigned long request, void *arg)
{
	if (request == fake_vhost.refused)
		return EPERM;
	if (!fake_vhost.owned && request != VHOST_SET_OWNER)
		return EPERM;
	switch (request) {
	case VHOST_SET_OWNER:
		fake_vhost.owned = true;
		return 0;
	case VHOST_GET_FEATURES:
		*(uint64_t *)arg = fake_vhost.knows;
		return 0;
	case VHOST_SET_FEATURES:
		fake_vhost.features = *(uint64_t *)arg;
		return fake_vhost.features & ~fake_vhost.knows ? EOPNOTSUPP : 0;
	case VHOST_SET_MEM_TABLE:
		return fake_vhost_memory(arg);
	case VHOST_SET_VRING_NUM:
	case VHOST_SET_VRING_BASE:
	case VHOST_GET_VRING_BASE:
		return fake_vhost_state(request, arg);
	case VHOST_SET_VRING_ADDR:
		fake_vhost.q[((struct vhost_vring_addr *)arg)->index].at =
			*(struct vhost_vring_addr *)arg;
		return 0;
	}
	return fake_vhost_file(request, arg);
}

void fake_vhost_use(unsigned q, uint32_t len)
{
	struct fake_vhost_queue *k = &fake_vhost.q[q];
	struct vring_avail *avail = (struct vring_avail *)(uintptr_t)k->at.avail_user_addr;
	struct vring_used *used = (struct vring_used *)(uintptr_t)k->at.used_user_addr;

	ck_assert_int_ge(k->tap, 0);
	ck_assert_uint_ne(avail->idx, (uint16_t)k->base);
	used->ring[used->idx % k->size] =
		(struct vring_used_elem){ .id = avail->ring[k->base++ % k->size], .len = len };
	used->idx++;
}

int fake_vhost_open(void)
{
	if (fake_vhost.open_errno) {
		errno = fake_vhost.open_errno;
		return -1;
	}
	fake_vhost.fd = eventfd(0, EFD_CLOEXEC);
	return fake_vhost.fd;
}

int fake_vhost_ioctl(unsigned long request, void *arg)
{
	errno = fake_vhost_request(request, arg);
	return errno ? -1 : 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * null.c: the backend that swallows every frame and delivers none. It takes the host's
 * network stack out of a measurement: what is left is the NIC's own cost.
 */
#include "devices/net/backend.h"
#include "vmm/log.h"

#include <errno.h>

static int null_send(struct net *n, const struct virtio_net_hdr *h, const struct iovec *iov,
		     int cnt)
{
	(void)h, (void)iov, (void)cnt;
	counter_inc(&n->stat.tx_frames);
	return 0;
}

static ssize_t null_recv(struct net *n, struct virtio_net_hdr *h, const struct iovec *iov, int cnt)
{
	(void)n, (void)h, (void)iov, (void)cnt;
	return 0;
}

static void null_rx_enable(struct net *n, bool on)
{
	(void)n, (void)on;
}

static unsigned null_set_rx_offload(struct net *n, unsigned want)
{
	(void)n;
	return want;
}

static bool null_link_up(struct net *n)
{
	(void)n;
	return true;
}

static void null_destroy(struct net *n)
{
	free(n);
}

static const struct net_ops null_ops = {
	.send = null_send,
	.recv = null_recv,
	.rx_enable = null_rx_enable,
	.set_rx_offload = null_set_rx_offload,
	.link_up = null_link_up,
	.destroy = null_destroy,
};

struct net *net_null_open(struct loop *l, const char *arg, int *err)
{
	struct net *n = calloc(1, sizeof(*n));

	(void)l, (void)arg;
	if (!n) {
		log_error("null network backend: out of memory");
		*err = -ENOMEM;
		return NULL;
	}
	*n = (struct net){ .ops = &null_ops, .name = "null", .tx_offload = NET_OFF_ALL };
	return n;
}

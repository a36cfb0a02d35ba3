/* SPDX-License-Identifier: MIT */
/*
 * tap.c: frames to and from a tap interface of the host, one system call a frame. With
 * the tap's virtio_net_hdr a frame of 64 KiB is one call either way, unsegmented and
 * unchecksummed, as far as both ends of the guest's link can take it.
 */
#include "devices/net/backend.h"
#include "devices/net/offload.h"
#include "vmm/log.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define TAP_MOAN_NS UINT64_C(10000000000) /* one message about a lost frame in 10 s */

struct tap {
	struct net net;
	struct loop_fd f;
	/* fixed after open: */
	int fd;
	const char *ifname; /* within net.name */
	bool vnet_hdr;      /* frames are preceded by a struct virtio_net_hdr */
	/* watch_lock, which f's events are made of; the atomic ones are read without it too: */
	pthread_mutex_t watch_lock;
	_Atomic bool rx_on;
	_Atomic bool gone; /* the interface was deleted */
	bool want_room;    /* a send() got -EAGAIN */
	/* whoever may call net_ops: */
	uint64_t moan_at; /* no message before this time */
};

static struct tap *tap_of(struct net *n)
{
	return container_of(n, struct tap, net);
}

/* Let epoll watch for what is wanted now; watch_lock held. */
static void tap_watch(struct tap *t)
{
	if (!t->gone)
		loop_fd_mod(&t->f, (t->rx_on ? EPOLLIN : 0) | (t->want_room ? EPOLLOUT : 0));
}

static void tap_want_room(struct tap *t, bool want)
{
	pthread_mutex_lock(&t->watch_lock);
	t->want_room = want;
	tap_watch(t);
	pthread_mutex_unlock(&t->watch_lock);
}

static void tap_rx_enable(struct net *n, bool on)
{
	struct tap *t = tap_of(n);

	pthread_mutex_lock(&t->watch_lock);
	if (t->rx_on != on) {
		counter_inc(&n->stat.rx_calls);
		t->rx_on = on;
		tap_watch(t);
	}
	pthread_mutex_unlock(&t->watch_lock);
}

/* The interface was deleted under us. epoll would report that for ever: stop watching. Who
 * waits for room gets it: from now on frames are lost. */
static void tap_lost(struct tap *t)
{
	const struct net_client *c = &t->net.client;
	bool waited;

	log_error("%s was deleted: the guest has no network until duet is restarted", t->ifname);
	pthread_mutex_lock(&t->watch_lock);
	t->gone = true;
	waited = t->want_room;
	loop_fd_del(&t->f);
	pthread_mutex_unlock(&t->watch_lock);
	if (c->link_changed)
		c->link_changed(c->nic);
	if (waited)
		c->writable(c->nic);
}

static void tap_ready(struct loop_fd *f, uint32_t events)
{
	struct tap *t = container_of(f, struct tap, f);
	const struct net_client *c = &t->net.client;

	if (events & (EPOLLERR | EPOLLHUP)) {
		tap_lost(t);
		return;
	}
	if (events & EPOLLOUT) {
		tap_want_room(t, false);
		c->writable(c->nic);
	}
	if (events & EPOLLIN && t->rx_on)
		c->readable(c->nic);
}

/* A frame could not be sent: count it, and say why unless that was said just now. */
static void tap_tx_drop(struct tap *t, int err)
{
	uint64_t now = loop_now();

	counter_inc(&t->net.stat.tx_drops);
	if (now < t->moan_at || err == EBADFD) /* deleted: tap_lost() says so */
		return;
	t->moan_at = now + TAP_MOAN_NS;
	if (err == EIO)
		log_warn("%s is down, frames are lost: ip link set %s up", t->ifname, t->ifname);
	else
		log_warn("%s: frames are lost: %s", t->ifname, strerror(err));
}

static int tap_send(struct net *n, const struct virtio_net_hdr *h, const struct iovec *iov, int cnt)
{
	struct tap *t = tap_of(n);
	struct iovec out[NET_SEND_IOV_MAX + 1];
	int used = 0, err;

	BUG_ON(cnt > NET_SEND_IOV_MAX);
	if (t->gone) {
		counter_inc(&n->stat.tx_drops);
		return 0;
	}
	if (t->vnet_hdr)
		out[used++] = (struct iovec){ (void *)h, sizeof(*h) };
	memcpy(out + used, iov, (size_t)cnt * sizeof(*iov));
	counter_inc(&n->stat.tx_calls);
	if (writev(t->fd, out, used + cnt) >= 0) {
		counter_inc(&n->stat.tx_frames);
		return 0;
	}
	err = errno;
	if (err == EAGAIN) {
		tap_want_room(t, true);
		if (!t->gone) /* else tap_lost() may not have seen that we want it */
			return -EAGAIN;
	}
	if (err == EBADFD) /* deleted; that wakes no epoll that watches for nothing: have it look */
		tap_want_room(t, true);
	tap_tx_drop(t, t->gone ? EBADFD : err);
	return 0;
}

static ssize_t tap_recv(struct net *n, struct virtio_net_hdr *h, const struct iovec *iov, int cnt)
{
	struct tap *t = tap_of(n);
	struct iovec in[NET_IOV_MAX + 2];
	size_t hdr_len = t->vnet_hdr ? sizeof(*h) : 0, room;
	uint8_t spare;
	ssize_t len;

	cnt = MIN(cnt, NET_IOV_MAX);
	room = iov_length(iov, cnt);
	*h = (struct virtio_net_hdr){ 0 };
	in[0] = (struct iovec){ h, hdr_len };
	memcpy(in + 1, iov, (size_t)cnt * sizeof(*iov));
	/* A frame too long is cut silently; only a byte beyond its room shows it. */
	in[cnt + 1] = (struct iovec){ &spare, sizeof(spare) };
	counter_inc(&n->stat.rx_calls);
	len = readv(t->fd, in, cnt + 2);
	if (len < (ssize_t)hdr_len)
		return 0; /* EAGAIN; if the interface is gone, epoll will say so */
	len -= (ssize_t)hdr_len;
	/* The second: queued in the kernel before set_rx_offload() took something back. */
	if ((size_t)len > room || net_needs(h) & ~n->rx_offload) {
		counter_inc(&n->stat.rx_drops);
		return -EMSGSIZE;
	}
	return len;
}

/* Kernels differ in what they know: ask for less until one agrees. */
static unsigned tap_set_rx_offload(struct net *n, unsigned want)
{
	static const unsigned tiers[] = { NET_OFF_ALL, NET_OFF_ALL & ~NET_OFF_ECN, NET_OFF_CSUM };
	struct tap *t = tap_of(n);

	for (size_t i = 0; t->vnet_hdr && i < ARRAY_SIZE(tiers); i++) {
		unsigned can = want & tiers[i];
		unsigned long arg = (can & NET_OFF_CSUM ? TUN_F_CSUM : 0) |
				    (can & NET_OFF_TSO4 ? TUN_F_TSO4 : 0) |
				    (can & NET_OFF_TSO6 ? TUN_F_TSO6 : 0) |
				    (can & NET_OFF_ECN ? TUN_F_TSO_ECN : 0);

		if (!ioctl(t->fd, TUNSETOFFLOAD, arg))
			return can;
	}
	return 0; /* without the header there is no way to say what is undone */
}

static bool tap_link_up(struct net *n)
{
	/* Not IFF_UP: NICs ask often, and nobody would tell the guest when it comes up. */
	return !tap_of(n)->gone;
}

static int tap_lend(struct net *n, int hdr_len)
{
	struct tap *t = tap_of(n);
	int err;

	if (!t->vnet_hdr) {
		log_error("%s: without vnet_hdr the host's kernel cannot serve it: attach it with "
			  "IFF_VNET_HDR, or leave out vhost=on",
			  t->ifname);
		return -EOPNOTSUPP;
	}
	if (!ioctl(t->fd, TUNSETVNETHDRSZ, &hdr_len))
		return t->fd;
	err = errno;
	log_error("%s: TUNSETVNETHDRSZ %d: %s", t->ifname, hdr_len, strerror(err));
	return -err;
}

static void tap_destroy(struct net *n)
{
	struct tap *t = tap_of(n);

	loop_fd_del(&t->f);
	close(t->fd);
	pthread_mutex_destroy(&t->watch_lock);
	free(t);
}

static const struct net_ops tap_ops = {
	.send = tap_send,
	.recv = tap_recv,
	.rx_enable = tap_rx_enable,
	.set_rx_offload = tap_set_rx_offload,
	.link_up = tap_link_up,
	.lend = tap_lend,
	.destroy = tap_destroy,
};

/* Ask the host about its interface: the MTU, and whether it is up. */
static void tap_query(struct tap *t)
{
	int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { 0 };

	memcpy(ifr.ifr_name, t->ifname, strlen(t->ifname));
	if (ioctl(sock, SIOCGIFMTU, &ifr) == 0)
		t->net.mtu = (unsigned)ifr.ifr_mtu;
	if (ioctl(sock, SIOCGIFFLAGS, &ifr) == 0 && !(ifr.ifr_flags & IFF_UP))
		log_warn("%s is down: ip link set %s up", t->ifname, t->ifname);
	close(sock);
}

/* The backend on an attached descriptor, which is its own, even on failure. */
static struct net *tap_new(struct loop *l, int fd, const char *ifname, bool vnet_hdr, int *err)
{
	struct tap *t = calloc(1, sizeof(*t));

	*err = t ? loop_fd_add(l, &t->f, fd, 0, tap_ready) : -ENOMEM;
	if (*err) {
		log_error("%s: cannot be watched: %s", ifname, strerror(-*err));
		close(fd);
		free(t);
		return NULL;
	}
	pthread_mutex_init(&t->watch_lock, NULL);
	snprintf(t->net.name, sizeof(t->net.name), "tap:%s", ifname);
	t->fd = fd;
	t->ifname = t->net.name + strlen("tap:");
	t->vnet_hdr = vnet_hdr;
	t->net.ops = &tap_ops;
	t->net.tx_offload = vnet_hdr ? NET_OFF_ALL : 0;
	tap_query(t);
	return &t->net;
}

struct net *net_tap_open(struct loop *l, const char *arg, int *err)
{
	bool vnet_hdr;
	int fd = tap_attach(arg, &vnet_hdr);

	*err = fd;
	return fd < 0 ? NULL : tap_new(l, fd, arg, vnet_hdr, err);
}

struct net *net_fd_open(struct loop *l, const char *arg, int *err)
{
	char ifname[IFNAMSIZ] = "";
	int fd = atoi(arg);
	bool vnet_hdr;

	*err = tap_adopt(fd, ifname, &vnet_hdr);
	return *err ? NULL : tap_new(l, fd, ifname, vnet_hdr, err);
}

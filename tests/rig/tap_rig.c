/* SPDX-License-Identifier: MIT */
/* tap_rig.c: a tap between two ends. */
#include "tests/rig/tap_rig.h"
#include "tests/rig/netns.h"

#include <check.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

void tap_rig_enter(struct tap_rig *t)
{
	ck_assert_pstr_eq(netns_enter(), NULL);
	*t = (struct tap_rig){ .loop = loop_new(), .host = -1 };
}

void tap_rig_open(struct tap_rig *t, const char *name)
{
	int err = 0;
	struct net *be = net_open(t->loop, "tap", name, &err);

	ck_assert_ptr_nonnull(be);
	probe_attach(&t->guest, be);
	netns_settle(name);
}

void tap_rig_start(struct tap_rig *t, int flags)
{
	tap_rig_enter(t);
	close(netns_tap("tap0", flags, -1));
	netns_up("tap0", true);
	tap_rig_open(t, "tap0");
	t->host = netns_packet("tap0");
}

void tap_rig_stop(struct tap_rig *t)
{
	net_close(t->guest.be);
	if (t->host >= 0)
		close(t->host);
	loop_free(t->loop);
}

static bool tap_rig_ours(const uint8_t *frame)
{
	static const uint8_t src[6] = { 0x02, 0, 0, 0xbe, 0xef, 0x01 };

	return !memcmp(frame + 6, src, 6);
}

ssize_t tap_rig_guest_recv(struct tap_rig *t, size_t room)
{
	ssize_t len;

	do
		len = probe_recv(&t->guest, room);
	while (len > 0 && !tap_rig_ours(t->guest.buf));
	return len;
}

ssize_t tap_rig_host_recv(struct tap_rig *t)
{
	struct iovec iov[2] = { { &t->hdr, sizeof(t->hdr) }, { t->buf, sizeof(t->buf) } };
	struct pollfd p = { .fd = t->host, .events = POLLIN };
	ssize_t len;

	while (poll(&p, 1, 0) == 1) {
		len = readv(t->host, iov, 2) - (ssize_t)sizeof(t->hdr);
		if (len > 0 && tap_rig_ours(t->buf))
			return len;
	}
	return 0;
}

void tap_rig_host_send(struct tap_rig *t, const struct virtio_net_hdr *h, void *frame, size_t len)
{
	struct iovec iov[2] = { { (void *)h, sizeof(*h) }, { frame, len } };

	ck_assert_int_eq(writev(t->host, iov, 2), (ssize_t)(sizeof(*h) + len));
}

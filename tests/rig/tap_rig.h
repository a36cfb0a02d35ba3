/* SPDX-License-Identifier: MIT */
/*
 * tap_rig.h: both ends of a real tap in a network namespace of the test's own: the
 * guest's is the tap backend with a counting NIC, the host's a packet socket on the
 * interface, which sees what the guest sends and sends what it is to receive.
 */
#ifndef DUET_TEST_TAP_RIG_H
#define DUET_TEST_TAP_RIG_H

#include "tests/rig/net_rig.h"
#include "vmm/loop.h"

struct tap_rig {
	struct loop *loop;
	struct probe guest; /* guest.be: the backend */
	int host;           /* packet socket, or -1 */
	/* of the last tap_rig_host_recv(): */
	struct virtio_net_hdr hdr;
	uint8_t buf[FRAME_BUF];
};

/* A new network namespace and an event loop; no tap yet. */
void tap_rig_enter(struct tap_rig *t);
/* Open the backend, which must succeed; the host's end by hand (netns_packet()). */
void tap_rig_open(struct tap_rig *t, const char *name);
/* All at once: tap0, made with these TUNSETIFF flags, up, both ends open. */
void tap_rig_start(struct tap_rig *t, int flags);
void tap_rig_stop(struct tap_rig *t);

/* As net_recv() and read(); 0: none there. Frames of the kernel's own making are passed
 * over: only those with the source address of frames.h count. */
ssize_t tap_rig_guest_recv(struct tap_rig *t, size_t room);
ssize_t tap_rig_host_recv(struct tap_rig *t);
void tap_rig_host_send(struct tap_rig *t, const struct virtio_net_hdr *h, void *frame, size_t len);

#endif

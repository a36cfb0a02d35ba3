/* SPDX-License-Identifier: MIT */
/*
 * server_rig.h: a driver for virtio devices of one queue (devices/virtio_server.h), on the
 * transport and the rings of the NICs' driver: of its struct nic_rig only what those use is
 * filled in. A request is a list of buffers, an answer what came of it.
 */
#ifndef DUET_SERVER_RIG_H
#define DUET_SERVER_RIG_H

#include "devices/virtio_server.h"
#include "tests/rig/ring_virtio.h"

#define SERVER_SLOT 5u
#define SERVER_MEM  RAM_1M /* 1 MiB for the test's buffers */

struct server_rig {
	struct nic_rig r;
	struct vserver *v;
};

/* An empty machine; the test creates the device in SERVER_SLOT of s->r.m->pci. */
void server_rig_up(struct server_rig *s);
/* Find the device; start the driver with all features but opts.features_off. */
void server_rig_plug(struct server_rig *s, struct vserver *v);
/* Reset it and start the driver anew. */
void server_rig_restart(struct server_rig *s);
/* The device is gone. */
void server_rig_down(struct server_rig *s);

#define SERVER_QUEUE(s) (&(s)->r.v.q[0])
/* Serve all that waits on the machine's loop. */
void server_rig_run(struct server_rig *s);
/* Post, ring, serve. Returns the length the device gave back, or -1: it gave nothing back. */
int64_t server_rig_ask(struct server_rig *s, const struct ring_buf *b, unsigned n, bool indirect);

unsigned server_rig_irqs(struct server_rig *s); /* messages sent, or edges of INTA# */
bool server_rig_needs_reset(struct server_rig *s);
#define server_rig_faults(s) counter_get(&(s)->v->stat.guest_faults)

#endif

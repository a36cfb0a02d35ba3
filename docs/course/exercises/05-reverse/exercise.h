/* SPDX-License-Identifier: MIT */
/* exercise.h: a virtio device that gives back what it is given, backwards. */
#ifndef DUET_COURSE_REVERSE_H
#define DUET_COURSE_REVERSE_H

#include "devices/virtio_server.h"

#define REVERSE_TYPE 63u   /* no device of this type exists */
#define REVERSE_MAX  1024u /* bytes of a request that are looked at */

/*
 * Serve a request: the readable buffers hold n bytes, the writable ones get the first
 * min(n, REVERSE_MAX, room) of them in reverse order. Returns how many were written. A request
 * with nothing to read, or no room, is the driver's fault and gets 0 bytes.
 */
uint32_t reverse_serve(struct vserver *v, const struct virtq_chain *c);

#endif

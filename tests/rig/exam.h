/* SPDX-License-Identifier: MIT */
/* exam.h: the questions that every part of the NICs' exam asks. They fail the test. */
#ifndef DUET_EXAM_H
#define DUET_EXAM_H

#include "tests/check_main.h"
#include "tests/rig/nic_rig.h"

/* The i-th frame at the backend is this one (short ones may be padded to 60 bytes). */
void exam_sent(const struct nic_rig *r, unsigned i, const void *frame, size_t len);
/*
 * What is at the backend is this frame, with *h saying what the driver left to do (hdr_len
 * counts for segments only). The NIC passes that on when it has the offload-tx rung and the
 * backend takes it, and otherwise does it: a checksum filled in, or correct segments.
 */
void exam_sent_unfinished(const struct nic_rig *r, const void *frame, size_t len,
			  const struct virtio_net_hdr *h);
/* Does the NIC pass on what *h asks for? */
bool exam_passed_on(const struct nic_rig *r, const struct virtio_net_hdr *h);
/* The end of the i-th frame at the backend came from the guest's memory, or without the
 * zero-copy rung through the NIC's. */
void exam_sent_from(const struct nic_rig *r, unsigned i);
/* The next frame the driver gets is this one. */
void exam_received(struct nic_rig *r, const void *frame, size_t len);
/* Nothing (more) was received. */
void exam_received_none(struct nic_rig *r);
/* A plain frame goes out and another one comes in, both to the last byte. */
void exam_works(struct nic_rig *r);
/* Post, kick, run and forget: `n` frames of 100 bytes, numbered from `seed`. */
void exam_burst(struct nic_rig *r, unsigned n, uint32_t seed);
/* Receive and run: `n` frames of 200 bytes for the station, numbered from 0. */
void exam_receive_burst(struct nic_rig *r, unsigned n);
/* How many frames the driver finds received; it takes them all. */
unsigned exam_drain(struct nic_rig *r);
/* Frames are accounted for: what was posted is sent or dropped, what came is received
 * or dropped or still waits. */
void exam_accounts(struct nic_rig *r, unsigned posted, unsigned received);

/* A row of a test table: once for each model. */
#define EXAM(name) TLOOP(name, 0, RIG_MODELS)

#endif

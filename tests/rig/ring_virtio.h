/* SPDX-License-Identifier: MIT */
/*
 * ring_virtio.h: split virtqueues from the driver's side (virtio 1.2, section 2.7),
 * shared by the virtio driver of the rig and its saboteur.
 */
#ifndef DUET_RING_VIRTIO_H
#define DUET_RING_VIRTIO_H

#include "tests/rig/nic_rig.h"

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#define VNET_HDR_LEN sizeof(struct virtio_net_hdr_mrg_rxbuf) /* with VERSION_1, always */

/* common configuration, by field of struct virtio_pci_common_cfg */
uint64_t ring_virtio_cfg_read(struct nic_rig *r, unsigned off, unsigned size);
void ring_virtio_cfg_write(struct nic_rig *r, unsigned off, unsigned size, uint64_t val);

/* For a device of any type, whose machine, slot and bars are filled in: where its structures
 * are; from any state to FEATURES_OK; on to DRIVER_OK, with the first `n` queues. */
void ring_virtio_find(struct nic_rig *r);
void ring_virtio_accept(struct nic_rig *r);
void ring_virtio_go(struct nic_rig *r, unsigned n);
/* From any state through DRIVER_OK; start() then sets the filters as well. */
void ring_virtio_bring_up(struct nic_rig *r);
/* A command on the control queue. Returns the device's answer (VIRTIO_NET_OK, _ERR). */
uint8_t ring_virtio_command(struct nic_rig *r, uint8_t class, uint8_t cmd, const void *data,
			    uint32_t len);

#define RING_INDIRECT 72 /* entries of an indirect table */

/* A descriptor chain to put in the ring. */
struct ring_buf {
	gpa_t at;
	uint32_t len;
	bool device_writes;
};

/* Empty it, in the memory its addresses name. */
void ring_vq_init(struct nic_rig *r, struct rig_vq *q);
/* Ask for an interrupt at the next used buffer, or for none. */
void ring_vq_interrupts(struct nic_rig *r, struct rig_vq *q, bool on);
void ring_vq_put_desc(struct nic_rig *r, struct rig_vq *q, unsigned i, const struct vring_desc *d);
/* Make head `i` available, whatever it is; the device is not told yet. */
void ring_vq_put_avail(struct nic_rig *r, struct rig_vq *q, uint16_t i);
void ring_vq_set_avail_idx(struct nic_rig *r, struct rig_vq *q, uint16_t idx);
/* Post a chain, by an indirect table or not. False: no room. *head is its id. */
bool ring_vq_post(struct nic_rig *r, struct rig_vq *q, const struct ring_buf *b, unsigned n,
		  bool indirect, uint16_t *head);
/* Next used element. False: none. Its descriptors are free again. */
bool ring_vq_used(struct nic_rig *r, struct rig_vq *q, struct vring_used_elem *e);
/* Notify, if the device wants to hear of it. */
void ring_vq_kick(struct nic_rig *r, unsigned index);
/* Notify, even if not. */
void ring_vq_ring_bell(struct nic_rig *r, unsigned index);

#define RING_VIRTIO_SABOTAGE 30
extern const struct rig_sabotage ring_virtio_sabotage[RING_VIRTIO_SABOTAGE];

#endif

/* SPDX-License-Identifier: MIT */
/* sabotage_virtio.c: what no sane driver does to a virtio-net device. */
#include "tests/rig/ring_virtio.h"

#include <check.h>
#include <string.h>

#define CFG(field) __builtin_offsetof(struct virtio_pci_common_cfg, field)

static struct rig_vq *txq(struct nic_rig *r)
{
	return &r->v.q[RIG_VQ_TX];
}

/* --- indices ---------------------------------------------------------------------- */

/* Header and payload in one buffer: what must not be sent if it is found by mistake. */
static struct vring_desc bait(struct nic_rig *r)
{
	rig_fill(r, r->arena, 0, VNET_HDR_LEN);
	return (struct vring_desc){ .addr = r->arena, .len = VNET_HDR_LEN + 100 };
}

static void avail_idx_runs_away(struct nic_rig *r)
{
	struct vring_desc d = bait(r);

	ring_vq_put_desc(r, txq(r), 0, &d);
	ring_vq_set_avail_idx(r, txq(r), (uint16_t)(txq(r)->avail_idx + txq(r)->size + 1));
	ring_vq_ring_bell(r, RIG_VQ_TX);
}

/* The bait lies in our indirect tables, which come after the queue's. */
static void head_beyond_the_table(struct nic_rig *r)
{
	uint64_t i = (txq(r)->indirect - txq(r)->desc) / sizeof(struct vring_desc);
	struct vring_desc d = bait(r);

	ck_assert_uint_lt(i, UINT16_MAX);
	ring_vq_put_desc(r, txq(r), (unsigned)i, &d);
	ring_vq_put_avail(r, txq(r), (uint16_t)i);
	ring_vq_ring_bell(r, RIG_VQ_TX);
}

/* Make descriptors 0 and 1, as given, one transmit chain. */
static void post_raw(struct nic_rig *r, struct vring_desc d0, struct vring_desc d1)
{
	rig_fill(r, r->v.tx_hdr, 0, VNET_HDR_LEN);
	ring_vq_put_desc(r, txq(r), 0, &d0);
	ring_vq_put_desc(r, txq(r), 1, &d1);
	ring_vq_put_avail(r, txq(r), 0);
	ring_vq_ring_bell(r, RIG_VQ_TX);
}

static struct vring_desc header(const struct nic_rig *r)
{
	return (struct vring_desc){
		.addr = r->v.tx_hdr, .len = VNET_HDR_LEN, .flags = VRING_DESC_F_NEXT, .next = 1
	};
}

static struct vring_desc payload(const struct nic_rig *r)
{
	return (struct vring_desc){ .addr = r->arena, .len = 100 };
}

static void next_beyond_the_table(struct nic_rig *r)
{
	struct vring_desc d = payload(r);

	d.flags = VRING_DESC_F_NEXT;
	d.next = (uint16_t)txq(r)->size;
	post_raw(r, header(r), d);
}

static void chain_bites_its_tail(struct nic_rig *r)
{
	struct vring_desc d = payload(r);

	d.flags = VRING_DESC_F_NEXT;
	d.next = 0;
	post_raw(r, header(r), d);
}

static void empty_chain_bites_its_tail(struct nic_rig *r)
{
	struct vring_desc h = header(r), d = payload(r);

	h.len = d.len = 0;
	d.flags = VRING_DESC_F_NEXT;
	d.next = 0;
	post_raw(r, h, d);
}

/* --- buffers of the wrong kind ------------------------------------------------------ */

static void transmit_buffer_for_the_device_to_write(struct nic_rig *r)
{
	struct vring_desc d = payload(r), h = header(r);

	d.flags |= VRING_DESC_F_WRITE;
	h.flags |= VRING_DESC_F_WRITE;
	post_raw(r, h, d);
}

static void header_cut_short(struct nic_rig *r)
{
	struct vring_desc h = header(r);

	h.len = 5;
	h.flags = 0;
	post_raw(r, h, h);
}

static void header_without_frame(struct nic_rig *r)
{
	struct vring_desc h = header(r);

	h.flags = 0;
	post_raw(r, h, h);
}

static void payload_of_no_bytes(struct nic_rig *r)
{
	rig_sabotage_tx_at(r, r->arena, 0);
}

static void receive_buffer_to_read(struct nic_rig *r)
{
	struct ring_buf b = { .at = rig_rx_buf(r, 0), .len = 2048, .device_writes = false };
	uint8_t frame[64];

	frame_plain(frame, sizeof(frame), r->mac, 1);
	ring_vq_post(r, &r->v.q[RIG_VQ_RX], &b, 1, false, NULL);
	ring_vq_ring_bell(r, RIG_VQ_RX);
	rig_receive(r, frame, sizeof(frame), NULL);
}

static void receive_buffer_too_small_for_a_header(struct nic_rig *r)
{
	rig_sabotage_rx_at(r, rig_rx_buf(r, 0), 4);
}

/* --- indirect tables (2.7.5.3) --------------------------------------------------------- */

static void post_table(struct nic_rig *r, gpa_t table, uint32_t len, uint16_t flags)
{
	struct vring_desc d = {
		.addr = table, .len = len, .flags = VRING_DESC_F_INDIRECT | flags, .next = 1
	};

	post_raw(r, d, payload(r));
}

static void indirect_table_of_odd_size(struct nic_rig *r)
{
	post_table(r, txq(r)->indirect, 17, 0);
}

static void indirect_table_of_no_size(struct nic_rig *r)
{
	post_table(r, txq(r)->indirect, 0, 0);
}

static void indirect_table_of_4_gib(struct nic_rig *r)
{
	post_table(r, txq(r)->indirect, 0xfffffff0, 0);
}

static void indirect_table_outside_ram(struct nic_rig *r)
{
	post_table(r, rig_ram_end(r), 32, 0);
}

static void indirect_table_that_goes_on(struct nic_rig *r)
{
	struct vring_desc t[2] = { header(r), payload(r) };

	rig_poke(r, txq(r)->indirect, t, sizeof(t));
	post_table(r, txq(r)->indirect, 32, VRING_DESC_F_NEXT);
}

static void indirect_table_in_a_table(struct nic_rig *r)
{
	struct vring_desc t = { .addr = txq(r)->indirect,
				.len = 16,
				.flags = VRING_DESC_F_INDIRECT };

	rig_poke(r, txq(r)->indirect, &t, sizeof(t));
	post_table(r, txq(r)->indirect, 16, 0);
}

static void indirect_table_whose_next_leaves_it(struct nic_rig *r)
{
	struct vring_desc t[2] = { header(r), payload(r) };

	t[0].next = 2;
	rig_poke(r, txq(r)->indirect, t, sizeof(t));
	post_table(r, txq(r)->indirect, 32, 0);
}

/* --- headers that lie (5.1.6.2.2) --------------------------------------------------------- */

static void post_header(struct nic_rig *r, struct virtio_net_hdr h)
{
	struct virtio_net_hdr_mrg_rxbuf m = { .hdr = h };
	struct ring_buf b[] = { { r->v.tx_hdr, VNET_HDR_LEN, false }, { r->arena, 2000, false } };

	rig_poke(r, r->v.tx_hdr, &m, sizeof(m));
	ring_vq_post(r, txq(r), b, 2, false, NULL);
	ring_vq_ring_bell(r, RIG_VQ_TX);
}

static void checksum_beyond_the_frame(struct nic_rig *r)
{
	post_header(r, (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
						.csum_start = 0xffff,
						.csum_offset = 0xffff });
}

static void gso_without_size(struct nic_rig *r)
{
	post_header(r, (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
						.csum_start = 34,
						.csum_offset = 16,
						.hdr_len = 54,
						.gso_type = VIRTIO_NET_HDR_GSO_TCPV4 });
}

static void gso_of_no_known_type(struct nic_rig *r)
{
	post_header(r, (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
						.csum_start = 34,
						.csum_offset = 16,
						.hdr_len = 54,
						.gso_size = 1000,
						.gso_type = 0x60 });
}

/* --- queues in the wrong place -----------------------------------------------------------------
 */

/* Start over with one of the transmit queue's parts at `at`. */
static void move_part(struct nic_rig *r, gpa_t *part, gpa_t at)
{
	gpa_t was = *part;

	*part = at;
	r->opts.ring_outside = true;
	ring_virtio_bring_up(r);
	*part = was;
	r->opts.ring_outside = false;
	ring_vq_set_avail_idx(r, txq(r), 1);
	ring_vq_ring_bell(r, RIG_VQ_TX);
}

static void table_outside_ram(struct nic_rig *r)
{
	move_part(r, &txq(r)->desc, rig_ram_end(r) + 4096);
}

static void table_straddles_end_of_ram(struct nic_rig *r)
{
	move_part(r, &txq(r)->desc, rig_ram_end(r) - 32);
}

static void table_at_the_end_of_the_world(struct nic_rig *r)
{
	move_part(r, &txq(r)->desc, ~UINT64_C(0xf));
}

static void table_in_own_bar(struct nic_rig *r)
{
	move_part(r, &txq(r)->desc, r->v.common);
}

static void available_ring_outside_ram(struct nic_rig *r)
{
	move_part(r, &txq(r)->avail, rig_ram_end(r) - 2);
}

static void used_ring_outside_ram(struct nic_rig *r)
{
	move_part(r, &txq(r)->used, rig_ram_end(r) - 4);
}

/* --- odd, but lawful
 * ------------------------------------------------------------------------------ */

static void bell_of_no_queue(struct nic_rig *r)
{
	bus_write(&r->m->f->m.mmio, txq(r)->notify, 2, 99);
	bus_write(&r->m->f->m.mmio, r->v.notify, 2, 0xffff);
}

static void queue_that_does_not_exist(struct nic_rig *r)
{
	ring_virtio_cfg_write(r, CFG(queue_select), 2, 0xfff);
	ck_assert_uint_eq(ring_virtio_cfg_read(r, CFG(queue_size), 2), 0); /* 4.1.4.3.1 */
	ring_virtio_cfg_write(r, CFG(queue_size), 2, 8);
	ring_virtio_cfg_write(r, CFG(queue_enable), 2, 1);
	ring_virtio_cfg_write(r, CFG(queue_msix_vector), 2, 1);
}

static void commands_of_no_meaning(struct nic_rig *r)
{
	uint32_t liar[4] = { 0xffffffff, 0, 0, 0 };

	ck_assert_uint_eq(ring_virtio_command(r, 77, 3, liar, 4), VIRTIO_NET_ERR);
	ck_assert_uint_eq(ring_virtio_command(r, VIRTIO_NET_CTRL_RX, 99, liar, 1), VIRTIO_NET_ERR);
	ck_assert_uint_eq(ring_virtio_command(r, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET,
					      liar, sizeof(liar)),
			  VIRTIO_NET_ERR);
	ck_assert_uint_eq(
		ring_virtio_command(r, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, liar, 3),
		VIRTIO_NET_ERR);
}

const struct rig_sabotage ring_virtio_sabotage[RING_VIRTIO_SABOTAGE] = {
	{ "avail.idx runs away", avail_idx_runs_away, false },
	{ "head beyond the table", head_beyond_the_table, false },
	{ "next beyond the table", next_beyond_the_table, false },
	{ "chain bites its tail", chain_bites_its_tail, false },
	{ "empty chain bites its tail", empty_chain_bites_its_tail, false },
	{ "device-writable transmit buffer", transmit_buffer_for_the_device_to_write, false },
	{ "header cut short", header_cut_short, false },
	{ "header without frame", header_without_frame, false },
	{ "payload of no bytes", payload_of_no_bytes, false },
	{ "device-readable receive buffer", receive_buffer_to_read, false },
	{ "receive buffer of 4 bytes", receive_buffer_too_small_for_a_header, false },
	{ "indirect table of 17 bytes", indirect_table_of_odd_size, false },
	{ "indirect table of 0 bytes", indirect_table_of_no_size, false },
	{ "indirect table of 4 GiB", indirect_table_of_4_gib, false },
	{ "indirect table outside RAM", indirect_table_outside_ram, false },
	{ "indirect table with NEXT", indirect_table_that_goes_on, false },
	{ "indirect table in a table", indirect_table_in_a_table, false },
	{ "next leaves the indirect table", indirect_table_whose_next_leaves_it, false },
	{ "checksum beyond the frame", checksum_beyond_the_frame, false },
	{ "GSO without size", gso_without_size, false },
	{ "GSO of no known type", gso_of_no_known_type, false },
	{ "table outside RAM", table_outside_ram, false },
	{ "table straddles the end of RAM", table_straddles_end_of_ram, false },
	{ "table at 2^64 - 16", table_at_the_end_of_the_world, false },
	{ "table in the own BAR", table_in_own_bar, false },
	{ "available ring outside RAM", available_ring_outside_ram, false },
	{ "used ring outside RAM", used_ring_outside_ram, false },
	{ "doorbell of no queue", bell_of_no_queue, true },
	{ "queue that does not exist", queue_that_does_not_exist, true },
	{ "commands of no meaning", commands_of_no_meaning, true },
};

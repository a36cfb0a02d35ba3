/* SPDX-License-Identifier: MIT */
/*
 * test_e1000_tx.c: what only the 82540EM does to frames on their way out: contexts, tags,
 * descriptors that lie. What it has in common with the other NIC is asked by the
 * scenarios that both take.
 */
#include "devices/e1000.h"
#include "tests/rig/exam.h"
#include "tests/rig/ring_e1000.h"

#include <linux/if_ether.h>
#include <string.h>
#include <unistd.h>

static const uint8_t peer[6] = { 2, 0, 0, 0, 0, 1 };
static uint8_t frame[FRAME_BUF], want[FRAME_BUF];

static struct nic_rig *rig(void)
{
	struct rig_opts o = { .backend_offload = NET_OFF_ALL };

	return nic_rig_new(RIG_E1000, &o);
}

static gpa_t put_bytes(struct nic_rig *r, const void *p, size_t len)
{
	gpa_t at = rig_tx_buf(r, len);

	rig_poke(r, at, p, len);
	return at;
}

static void put_data(struct nic_rig *r, gpa_t at, size_t len, unsigned cmd, unsigned popts)
{
	struct tx_desc d = {
		.addr = at,
		.len = (uint16_t)len,
		.cso = (uint8_t)(DTYP_DATA | (len >> 16)),
		.cmd = (uint8_t)(cmd | TXD_DEXT),
		.css = (uint8_t)popts,
		.special = 0xa123,
	};

	ring_e1000_put_tx(r, &d, cmd & TXD_EOP);
}

static void put_legacy(struct nic_rig *r, gpa_t at, size_t len, unsigned cmd)
{
	struct tx_desc d = {
		.addr = at, .len = (uint16_t)len, .cmd = (uint8_t)cmd, .special = 0xa123
	};

	ring_e1000_put_tx(r, &d, cmd & TXD_EOP);
}

static void send(struct nic_rig *r)
{
	ring_e1000_kick(r);
	rig_run(r);
}

static uint8_t tx_status(struct nic_rig *r, unsigned i)
{
	struct tx_desc d;

	rig_peek(r, r->tx_ring + i * sizeof(d), &d, sizeof(d));
	return d.status;
}

static const struct fake_frame *sent_one(struct nic_rig *r)
{
	ck_assert_uint_eq(r->net->sent_nr, 1);
	ck_assert_uint_eq(rig_stat(r, guest_faults), 0);
	return &r->net->sent[0];
}

/* What was sent is `want`, as far as *h says unfinished. */
static void sent_want(struct nic_rig *r, size_t len, const struct virtio_net_hdr *h)
{
	ck_assert_uint_eq(rig_stat(r, guest_faults), 0);
	exam_sent_unfinished(r, want, len, h);
	exam_sent_from(r, 0);
}

/* --- transmit: offloads ------------------------------------------------------------ */

#define L4     34
#define TCP_AT (L4 + 16) /* the checksum */

/* A TCP/IPv4 packet with everything for the device to fill in; `want` and *h are what has
 * to come out. Returns its length. */
static size_t tso_packet(struct virtio_net_hdr *h, size_t payload, uint8_t flags)
{
	struct frame_ip f = { .partial = true, .payload = payload, .tcp_flags = flags };
	size_t len;

	memcpy(f.dst, peer, 6);
	len = frame_ip(want, &f, h);
	h->gso_type = VIRTIO_NET_HDR_GSO_TCPV4 | (flags & TCP_CWR ? VIRTIO_NET_HDR_GSO_ECN : 0);
	h->gso_size = 1448;
	memcpy(frame, want, len);
	frame_put16(frame + ETH_HLEN + 2, 0);
	frame_put16(frame + ETH_HLEN + 10, 0);
	frame_put16(frame + TCP_AT, frame_pseudo_sum(frame, 0));
	return len;
}

static struct tx_context tso_context(const struct virtio_net_hdr *h, size_t len)
{
	return (struct tx_context){
		.ipcss = ETH_HLEN,
		.ipcso = ETH_HLEN + 10,
		.ipcse = L4 - 1,
		.tucss = L4,
		.tucso = TCP_AT,
		.paylen_cmd = (uint32_t)(len - h->hdr_len) |
			      (uint32_t)(TXD_DEXT | TXD_TSE | TUCMD_TCP | TUCMD_IP) << 24,
		.hdrlen = (uint8_t)h->hdr_len,
		.mss = 1448,
	};
}

START_TEST(tso_context_becomes_a_virtio_net_hdr_field_by_field)
{
	struct nic_rig *r = rig();
	struct virtio_net_hdr h;
	size_t len = tso_packet(&h, 29000, TCP_ACK | (_i ? TCP_CWR : 0));
	struct tx_context c = tso_context(&h, len);
	gpa_t at = put_bytes(r, frame, len);
	const struct fake_frame *s;
	static uint8_t after[FRAME_BUF];

	ring_e1000_put_tx(r, &c, false);
	put_data(r, at, 100, TXD_TSE, POPTS_IXSM | POPTS_TXSM);
	put_data(r, at + 100, len - 100, TXD_TSE | TXD_EOP | TXD_RS, 0);
	send(r);
	sent_want(r, len, &h);
	s = &r->net->sent[0];
	/* Headers corrected in a copy, payload where the guest has it, nothing written. */
	if (rig_has(r, OFFLOAD_TX) && rig_has(r, ZERO_COPY)) {
		ck_assert_int_eq(s->cnt, 3);
		ck_assert_uint_eq(s->iov[0].iov_len, h.hdr_len);
		ck_assert_ptr_eq(s->iov[2].iov_base, gm_span(&r->m->f->m.mem, at + 100, len - 100));
	}
	rig_peek(r, at, after, len);
	ck_assert_mem_eq(after, frame, len);
	ck_assert_uint_eq(tx_status(r, 0), 0);
	ck_assert_uint_eq(tx_status(r, 1), 0);
	ck_assert_uint_eq(tx_status(r, 2), RXD_DD);
	/* In the registers it counts as its 21 segments. */
	ck_assert_uint_eq(er32(r, E1000_TSCTC), 1);
	ck_assert_uint_eq(er32(r, E1000_GPTC), 21);
	ck_assert_uint_eq(er32(r, E1000_PTC1522), 20);
	ck_assert_uint_eq(er32(r, E1000_GOTCL), 29000 + 21 * (h.hdr_len + 4u));
	nic_rig_free(r);
}
END_TEST

/* Take the tag off a frame that must have it. */
static void untag(struct fake_frame *s, uint32_t tag)
{
	ck_assert_uint_gt(s->len, 16);
	ck_assert_uint_eq(frame_get32(s->data + 12), tag);
	s->len -= 4;
	memmove(s->data + 12, s->data + 16, s->len - 12);
}

START_TEST(tso_packet_is_tagged_before_it_is_cut)
{
	struct nic_rig *r = rig();
	struct virtio_net_hdr h;
	size_t len = tso_packet(&h, 5000, TCP_ACK);
	struct tx_context c = tso_context(&h, len);

	ew32(r, E1000_CTRL, CTRL_SLU | CTRL_VME);
	ring_e1000_put_tx(r, &c, false);
	put_data(r, put_bytes(r, frame, len), len, TXD_TSE | TXD_EOP | TXD_VLE,
		 POPTS_IXSM | POPTS_TXSM);
	send(r);
	for (unsigned i = 0; i < r->net->sent_nr; i++)
		untag(&r->net->sent[i], 0x8100a123);
	if (exam_passed_on(r, &h)) {
		ck_assert_uint_eq(r->net->sent[0].hdr.csum_start, L4 + 4);
		ck_assert_uint_eq(r->net->sent[0].hdr.hdr_len, h.hdr_len + 4);
		r->net->sent[0].hdr.csum_start -= 4;
		r->net->sent[0].hdr.hdr_len -= 4;
	}
	sent_want(r, len, &h);
	nic_rig_free(r);
}
END_TEST

/* IP and TCP checksums of a packet that is not segmented: one is done here. */
START_TEST(ip_checksum_is_inserted_beside_the_tcp_checksum)
{
	struct nic_rig *r = rig();
	struct virtio_net_hdr h;
	size_t len = tso_packet(&h, 1000, TCP_ACK);
	struct tx_context c = { .ipcss = ETH_HLEN,
				.ipcso = ETH_HLEN + 10,
				.ipcse = L4 - 1,
				.tucss = L4,
				.tucso = TCP_AT,
				.paylen_cmd = (uint32_t)(TXD_DEXT | TUCMD_TCP | TUCMD_IP) << 24 };

	memcpy(frame, want, len);
	frame_put16(frame + ETH_HLEN + 10, 0);
	ring_e1000_put_tx(r, &c, false);
	put_data(r, put_bytes(r, frame, len), len, TXD_EOP, POPTS_IXSM | POPTS_TXSM);
	send(r);
	h.gso_type = VIRTIO_NET_HDR_GSO_NONE;
	h.gso_size = 0;
	sent_want(r, len, &h);
	ck_assert_uint_eq(er32(r, E1000_GPTC), 1);
	nic_rig_free(r);
}
END_TEST

/* TUCSE before the end, TUCSO before TUCSS: no virtio_net_hdr says that. */
START_TEST(checksum_of_a_part_is_computed_here)
{
	static const struct {
		uint8_t css, cso;
		uint16_t cse;
	} t[] = { { 20, 30, 59 }, { 40, 16, 0 } };
	struct nic_rig *r = rig();
	struct tx_context c = { .tucss = t[_i].css,
				.tucso = t[_i].cso,
				.tucse = t[_i].cse,
				.paylen_cmd = (uint32_t)TXD_DEXT << 24 };
	size_t end = t[_i].cse ? t[_i].cse + 1u : 100;
	const struct fake_frame *s;

	frame_plain(frame, 100, peer, 3);
	memcpy(want, frame, 100);
	frame_put16(want + t[_i].cso, (uint16_t)~frame_sum(frame + t[_i].css, end - t[_i].css, 0));
	ring_e1000_put_tx(r, &c, false);
	put_data(r, put_bytes(r, frame, 100), 100, TXD_EOP, POPTS_TXSM);
	send(r);
	s = sent_one(r);
	ck_assert_uint_eq(s->hdr.flags, 0);
	ck_assert_mem_eq(s->data, want, 100);
	ck_assert_uint_gt(rig_stat(r, bytes_summed), 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(legacy_descriptor_inserts_a_checksum)
{
	struct nic_rig *r = rig();
	struct tx_desc d = { .len = 100, .cmd = TXD_EOP | 0x04 /* IC */, .css = 20, .cso = 30 };
	struct virtio_net_hdr h = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				    .csum_start = 20,
				    .csum_offset = 10 };

	frame_plain(frame, 100, peer, 4);
	memcpy(want, frame, 100);
	d.addr = put_bytes(r, frame, 100);
	ring_e1000_put_tx(r, &d, true);
	send(r);
	sent_want(r, 100, &h);
	nic_rig_free(r);
}
END_TEST

START_TEST(tag_is_inserted_with_vle_and_vme_together)
{
	struct nic_rig *r = rig();
	bool vme = _i & 1, vle = _i & 2, tagged = vme && vle;
	const struct fake_frame *s;

	frame_plain(frame, 200, peer, 5);
	ew32(r, E1000_CTRL, CTRL_SLU | (vme ? CTRL_VME : 0));
	ew32(r, E1000_VET, 0x88a8);
	put_legacy(r, put_bytes(r, frame, 6), 6, 0);
	put_legacy(r, put_bytes(r, frame + 6, 194), 194, TXD_EOP | (vle ? TXD_VLE : 0));
	send(r);
	s = sent_one(r);
	ck_assert_uint_eq(s->len, tagged ? 204 : 200);
	ck_assert_mem_eq(s->data, frame, 12);
	ck_assert_mem_eq(s->data + (tagged ? 16 : 12), frame + 12, 188);
	if (tagged)
		ck_assert_uint_eq(frame_get32(s->data + 12), 0x88a8a123);
	nic_rig_free(r);
}
END_TEST

/* --- transmit: descriptors that lie --------------------------------------------------- */

static void fault_unknown_type(struct nic_rig *r)
{
	struct tx_desc d = { .addr = put_bytes(r, frame, 100),
			     .len = 100,
			     .cso = 0x70,
			     .cmd = TXD_DEXT | TXD_EOP | TXD_RS };

	ring_e1000_put_tx(r, &d, true);
}

static void fault_context_within(struct nic_rig *r)
{
	struct tx_context c = { .paylen_cmd = (uint32_t)(TXD_DEXT | TXD_RS) << 24 };

	put_legacy(r, put_bytes(r, frame, 100), 100, TXD_RS);
	ring_e1000_put_tx(r, &c, false);
	put_legacy(r, put_bytes(r, frame, 100), 100, TXD_EOP | TXD_RS);
}

static void fault_short(struct nic_rig *r)
{
	put_legacy(r, put_bytes(r, frame, 13), 13, TXD_EOP | TXD_RS);
}

static void fault_long(struct nic_rig *r)
{
	gpa_t at = put_bytes(r, frame, 16288);

	put_legacy(r, at, 16288, TXD_RS);
	put_legacy(r, at, 1, TXD_EOP | TXD_RS);
}

static void fault_pieces(struct nic_rig *r)
{
	gpa_t at = put_bytes(r, frame, 1);

	for (unsigned i = 0; i < NET_IOV_MAX; i++)
		put_legacy(r, at, 1, TXD_RS);
	put_legacy(r, at, 1, TXD_EOP | TXD_RS);
}

static void fault_outside(struct nic_rig *r)
{
	put_legacy(r, put_bytes(r, frame, 100), 100, TXD_RS);
	put_legacy(r, rig_ram_end(r) - 10, 100, TXD_EOP | TXD_RS);
}

/* A TSO packet with one field spoilt. */
static void put_tso(struct nic_rig *r, const struct tx_context *c, size_t len, unsigned popts)
{
	ring_e1000_put_tx(r, c, false);
	put_data(r, put_bytes(r, frame, len), len, TXD_TSE | TXD_EOP | TXD_RS, popts);
}

#define TSO_FAULT(name, popts, ...)                                                                \
	static void name(struct nic_rig *r)                                                        \
	{                                                                                          \
		struct virtio_net_hdr h;                                                           \
		size_t len = tso_packet(&h, 5000, TCP_ACK);                                        \
		struct tx_context c = tso_context(&h, len);                                        \
                                                                                                   \
		__VA_ARGS__;                                                                       \
		put_tso(r, &c, len, popts);                                                        \
	}

#define BOTH (POPTS_IXSM | POPTS_TXSM)
TSO_FAULT(fault_tso_udp, BOTH, c.paylen_cmd &= ~((uint32_t)TUCMD_TCP << 24))
TSO_FAULT(fault_tso_no_txsm, POPTS_IXSM, (void)0)
TSO_FAULT(fault_tso_mss, BOTH, c.mss = 0)
TSO_FAULT(fault_tso_paylen, BOTH, c.paylen_cmd++)
TSO_FAULT(fault_tso_hdrlen, BOTH, c.hdrlen = L4 + 19; c.paylen_cmd += h.hdr_len - c.hdrlen)
TSO_FAULT(fault_tso_tucss, BOTH, c.tucss = ETH_HLEN)
TSO_FAULT(fault_tso_tucso, BOTH, c.tucso = 255)
TSO_FAULT(fault_tso_ipcss, BOTH, c.ipcss = 0)
TSO_FAULT(fault_tso_ipcso, BOTH, c.ipcso = 200)
TSO_FAULT(fault_tso_ipcse, BOTH, c.ipcse = 0xffff)

static void fault_csum_start(struct nic_rig *r)
{
	struct tx_context c = { .tucss = 100, .tucso = 50, .paylen_cmd = (uint32_t)TXD_DEXT << 24 };

	ring_e1000_put_tx(r, &c, false);
	put_data(r, put_bytes(r, frame, 100), 100, TXD_EOP | TXD_RS, POPTS_TXSM);
}

static void fault_csum_offset(struct nic_rig *r)
{
	struct tx_context c = { .ipcss = 14, .ipcso = 99, .paylen_cmd = (uint32_t)TXD_DEXT << 24 };

	ring_e1000_put_tx(r, &c, false);
	put_data(r, put_bytes(r, frame, 100), 100, TXD_EOP | TXD_RS, POPTS_IXSM);
}

static void (*const faults[])(struct nic_rig *r) = {
	fault_unknown_type, fault_context_within, fault_short,      fault_long,
	fault_pieces,       fault_outside,        fault_tso_udp,    fault_tso_no_txsm,
	fault_tso_mss,      fault_tso_paylen,     fault_tso_hdrlen, fault_tso_tucss,
	fault_tso_tucso,    fault_tso_ipcss,      fault_tso_ipcso,  fault_tso_ipcse,
	fault_csum_start,   fault_csum_offset,
};

START_TEST(packet_that_lies_is_dropped_and_reported_done)
{
	struct rig_opts o = { .backend_offload = NET_OFF_ALL, .tx_ring = 512 };
	struct nic_rig *r = nic_rig_new(RIG_E1000, &o);
	struct tx_desc d;

	frame_plain(frame, 20000, peer, 6);
	faults[_i](r);
	send(r);
	ck_assert_uint_eq(r->net->sent_nr, 0);
	ck_assert_uint_eq(rig_stat(r, guest_faults), 1);
	ck_assert_uint_eq(rig_stat(r, tx_drops), 1);
	for (unsigned i = 0; i < r->e.tdt; i++) { /* DD wherever it was asked for, RS */
		rig_peek(r, r->tx_ring + i * sizeof(d), &d, sizeof(d));
		ck_assert_uint_eq(d.status, d.cmd & TXD_RS ? RXD_DD : 0);
	}
	ck_assert_uint_eq(er32(r, TDH), r->e.tdt);
	r->tx_done += r->drv->reap_tx(r);
	r->tx_done = 0;
	exam_burst(r, 3, 1);
	ck_assert_uint_eq(r->net->sent_nr, 3);
	nic_rig_free(r);
}
END_TEST

START_TEST(packet_without_end_does_not_block_a_full_ring)
{
	struct rig_opts o = { .tx_ring = 64 };
	struct nic_rig *r = nic_rig_new(RIG_E1000, &o);
	gpa_t at = put_bytes(r, frame, 20);

	for (unsigned i = 0; i < 63; i++)
		put_legacy(r, at, 20, TXD_RS);
	send(r);
	ck_assert_uint_eq(rig_stat(r, guest_faults), 1);
	for (unsigned i = 0; i < 63; i++)
		ck_assert_uint_eq(tx_status(r, i), RXD_DD);
	ck_assert_uint_eq(er32(r, TDH), 63);
	nic_rig_free(r);
}
END_TEST

START_TEST(context_is_not_written_back_beyond_its_status)
{
	struct nic_rig *r = rig();
	struct virtio_net_hdr h;
	size_t len = tso_packet(&h, 2000, TCP_ACK);
	struct tx_context c = tso_context(&h, len), after;

	c.paylen_cmd |= (uint32_t)TXD_RS << 24;
	put_tso(r, &c, len, BOTH);
	send(r);
	sent_want(r, len, &h);
	rig_peek(r, r->tx_ring, &after, sizeof(after));
	ck_assert_uint_eq(after.status, RXD_DD);
	after.status = c.status;
	ck_assert_mem_eq(&after, &c, sizeof(c));
	nic_rig_free(r);
}
END_TEST

/* --- transmit: the flow ------------------------------------------------------------------ */

START_TEST(full_backend_keeps_the_position)
{
	struct nic_rig *r = rig();

	fake_net_set_full(r->net, true);
	exam_burst(r, 5, 1);
	ck_assert_uint_eq(r->net->sent_nr, 0);
	ck_assert_uint_eq(er32(r, TDH), 0);
	ck_assert_uint_eq(tx_status(r, 0), 0);
	ck_assert_uint_eq(rig_stat(r, tx_again), 1);
	fake_net_set_full(r->net, false);
	rig_run(r);
	ck_assert_uint_eq(r->net->sent_nr, 5);
	ck_assert_uint_eq(er32(r, TDH), 5);
	ck_assert_uint_eq(tx_status(r, 4), RXD_DD);
	nic_rig_free(r);
}
END_TEST

START_TEST(reset_in_mid_ring_forgets_what_was_posted)
{
	struct nic_rig *r = rig();

	fake_net_set_full(r->net, true);
	exam_burst(r, 5, 1);
	put_legacy(r, put_bytes(r, frame, 100), 100, TXD_RS); /* half a packet */
	ring_e1000_kick(r);
	ew32(r, E1000_CTRL, CTRL_RST);
	fake_net_set_full(r->net, false);
	rig_run(r);
	ck_assert_uint_eq(r->net->sent_nr, 0);
	ck_assert_uint_eq(er32(r, TDT), 0);
	rig_restart(r);
	ck_assert_uint_eq(r->net->sent_nr, 0);
	exam_works(r);
	ck_assert_uint_eq(rig_stat(r, guest_faults), 0);
	nic_rig_free(r);
}
END_TEST

/* Ten doorbells wake the worker once, or without the kick rung each time; without the
 * worker rung nobody is woken: each has sent its frame by the time it returns. */
START_TEST(doorbells_wake_a_sleeping_worker_only)
{
	struct nic_rig *r = rig();
	struct e1000 *e = container_of(r->nic, struct e1000, nic);
	uint64_t before = rig_stat(r, tx_kicks), signals = 0;
	bool worker = rig_has(r, WORKER);

	frame_plain(frame, 100, peer, 1);
	for (unsigned i = 0; i < 10; i++) {
		rig_post_tx(r, frame, 100);
		rig_kick(r);
	}
	ck_assert_uint_eq(r->net->sent_nr, worker ? 0 : 10);
	ck_assert_int_eq(read(e->tx_kick.f.fd, &signals, sizeof(signals)),
			 worker ? (int)sizeof(signals) : -1);
	ck_assert_uint_eq(signals, !worker ? 0 : rig_has(r, KICK) ? 1 : 10);
	if (worker)
		loop_event_signal(&e->tx_kick); /* as it was */
	rig_run(r);
	ck_assert_uint_eq(rig_stat(r, tx_kicks) - before, 10);
	ck_assert_uint_eq(rig_stat(r, tx_batches), worker ? 1 : 10);
	ck_assert_uint_eq(r->net->sent_nr, 10);
	ck_assert_uint_eq(rig_irqs(r), 1);
	nic_rig_free(r);
}
END_TEST

START_TEST(nothing_is_sent_while_disabled)
{
	struct nic_rig *r = rig();

	ew32(r, TCTL, 0);
	exam_burst(r, 3, 1);
	ck_assert_uint_eq(r->net->sent_nr, 0);
	fake_pci_write(r->m->f, r->slot, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	ew32(r, TCTL, TCTL_LINUX);
	rig_run(r);
	ck_assert_uint_eq(r->net->sent_nr, 0);
	fake_pci_write(r->m->f, r->slot, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	rig_run(r);
	ck_assert_uint_eq(r->net->sent_nr, 3);
	nic_rig_free(r);
}
END_TEST

START_TEST(frames_sent_are_counted_by_size_and_kind)
{
	static const uint8_t all[6] = { 255, 255, 255, 255, 255, 255 }, group[6] = { 1 };
	static const size_t len[] = { 30, 60, 61, 123, 124, 251, 507, 1019, 1514 };
	static const uint32_t bin[] = { 2, 2, 2, 1, 1, 1 };
	struct nic_rig *r = rig();
	uint64_t octets = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(len); i++) {
		frame_plain(frame, len[i], i == 0 ? all : i == 1 ? group : peer, i);
		put_legacy(r, put_bytes(r, frame, len[i]), len[i], TXD_EOP);
		octets += (len[i] < 60 ? 60 : len[i]) + 4;
	}
	send(r);
	for (unsigned i = 0; i < 6; i++)
		ck_assert_msg(er32(r, E1000_PTC64 + 4 * i) == bin[i], "bin %u", i);
	ck_assert_uint_eq(er32(r, E1000_GPTC), ARRAY_SIZE(len));
	ck_assert_uint_eq(er32(r, E1000_TPT), ARRAY_SIZE(len));
	ck_assert_uint_eq(er32(r, E1000_BPTC), 1);
	ck_assert_uint_eq(er32(r, E1000_MPTC), 1);
	ck_assert_uint_eq(er32(r, E1000_GOTCL), octets);
	ck_assert_uint_eq(er32(r, E1000_TOTL), octets);
	nic_rig_free(r);
}
END_TEST

static const struct test_entry tests[] = {
	TLOOP(tso_context_becomes_a_virtio_net_hdr_field_by_field, 0, 2),
	T(tso_packet_is_tagged_before_it_is_cut),
	T(ip_checksum_is_inserted_beside_the_tcp_checksum),
	TLOOP(checksum_of_a_part_is_computed_here, 0, 2),
	T(legacy_descriptor_inserts_a_checksum),
	TLOOP(tag_is_inserted_with_vle_and_vme_together, 0, 4),
	TLOOP(packet_that_lies_is_dropped_and_reported_done, 0, 18),
	T(packet_without_end_does_not_block_a_full_ring),
	T(context_is_not_written_back_beyond_its_status),
	T(full_backend_keeps_the_position),
	T(reset_in_mid_ring_forgets_what_was_posted),
	T(doorbells_wake_a_sleeping_worker_only),
	T(nothing_is_sent_while_disabled),
	T(frames_sent_are_counted_by_size_and_kind),
};

CHECK_MAIN("e1000 transmit", tests)

/* SPDX-License-Identifier: MIT */
/*
 * test_e1000_rx.c: what only the 82540EM does to frames on their way in: filters, tags,
 * checksum verdicts, buffers in chains, padding, loopback.
 */
#include "devices/e1000.h"
#include "tests/rig/exam.h"
#include "tests/rig/ring_e1000.h"

#include <linux/if_ether.h>
#include <linux/mii.h>
#include <string.h>

static uint8_t frame[FRAME_BUF];
static struct rig_rx rx;

static struct nic_rig *rig_with(uint32_t rctl)
{
	struct nic_rig *r = nic_rig_new(RIG_E1000, NULL);

	rig_post_rx(r, 100);
	ew32(r, RCTL, RCTL_EN | RCTL_BAM | rctl);
	rig_run(r);
	return r;
}

static struct rx_desc rx_desc(struct nic_rig *r, unsigned i)
{
	struct rx_desc d;

	rig_peek(r, r->rx_ring + i * sizeof(d), &d, sizeof(d));
	return d;
}

static void receive(struct nic_rig *r, size_t len, const struct virtio_net_hdr *h)
{
	rig_receive(r, frame, len, h);
	rig_run(r);
}

static bool comes_in(struct nic_rig *r, size_t len)
{
	uint64_t before = rig_stat(r, rx_frames), drops = rig_stat(r, rx_drops);

	receive(r, len, NULL);
	ck_assert_uint_eq(rig_stat(r, rx_frames) + rig_stat(r, rx_drops), before + drops + 1);
	return rig_stat(r, rx_frames) != before;
}

static bool comes_in_for(struct nic_rig *r, const uint8_t dst[6])
{
	frame_plain(frame, 100, dst, 1);
	return comes_in(r, 100);
}

static bool comes_in_tagged(struct nic_rig *r, uint16_t tci)
{
	frame_tagged(frame, 100, r->mac, tci, 1);
	return comes_in(r, 100);
}

/* The NIC copied `all` bytes without the zero-copy rung, and `some` with it. */
static void exam_copied(const struct nic_rig *r, size_t some, size_t all)
{
	ck_assert_uint_eq(rig_stat(r, bytes_copied), rig_has(r, ZERO_COPY) ? some : all);
}

/* --- filters -------------------------------------------------------------------- */

START_TEST(all_sixteen_addresses_are_compared)
{
	struct nic_rig *r = rig_with(0);
	uint8_t mac[6] = { 2, 1, 2, 3, 4, 0 };

	for (unsigned i = 1; i < 16; i++) {
		mac[5] = (uint8_t)i;
		ck_assert(!comes_in_for(r, mac));
		ew32(r, RAL + 8 * i, 0x03020102);
		ew32(r, RAH + 8 * i, i << 8 | 4);
		ck_assert(!comes_in_for(r, mac)); /* not valid yet */
		ew32(r, RAH + 8 * i, i << 8 | 4 | BIT(31));
		ck_assert(comes_in_for(r, mac));
	}
	ck_assert(comes_in_for(r, r->mac));
	ew32(r, RAH, 0);
	ck_assert(!comes_in_for(r, r->mac));
	ew32(r, RCTL, RCTL_EN | RCTL_UPE);
	ck_assert(comes_in_for(r, r->mac));
	nic_rig_free(r);
}
END_TEST

/* Address 01:aa:00:12:34:56: bits 47:36, 46:35, 45:34, 43:32. */
START_TEST(multicast_hash_takes_the_bits_that_mo_selects)
{
	static const uint16_t hash[4] = { 0x563, 0xac6, 0x58d, 0x634 };
	static const uint8_t group[6] = { 0x01, 0xaa, 0x00, 0x12, 0x34, 0x56 };
	static const uint8_t single[6] = { 0x02, 0xaa, 0x00, 0x12, 0x34, 0x56 };
	struct nic_rig *r = rig_with((uint32_t)_i << 12);
	unsigned word = hash[_i] >> 5, bit = hash[_i] & 31;

	ck_assert(!comes_in_for(r, group));
	ew32(r, MTA + 4 * word, ~BIT(bit));
	ck_assert(!comes_in_for(r, group));
	ew32(r, MTA + 4 * word, BIT(bit));
	ck_assert(comes_in_for(r, group));
	ck_assert(rx_desc(r, 0).status & E1000_RXD_PIF);
	ck_assert(!comes_in_for(r, single));
	ew32(r, MTA + 4 * word, 0);
	ew32(r, RCTL, RCTL_EN | RCTL_MPE);
	ck_assert(comes_in_for(r, group));
	ck_assert(!comes_in_for(r, single));
	nic_rig_free(r);
}
END_TEST

START_TEST(broadcast_needs_bam)
{
	static const uint8_t all[6] = { 255, 255, 255, 255, 255, 255 };
	struct nic_rig *r = rig_with(0);

	ck_assert(comes_in_for(r, all));
	ew32(r, RCTL, RCTL_EN);
	ck_assert(!comes_in_for(r, all));
	nic_rig_free(r);
}
END_TEST

START_TEST(vlan_filter_looks_at_id_and_cfi)
{
	struct nic_rig *r = rig_with(RCTL_VFE);

	ck_assert(comes_in_for(r, r->mac)); /* untagged frames are not its business */
	ck_assert(!comes_in_tagged(r, 0x234));
	ew32(r, VFTA + 4 * (0x234 >> 5), BIT(0x234 & 31));
	ck_assert(comes_in_tagged(r, 0x234));
	ck_assert(comes_in_tagged(r, 0xf234)); /* priority and CFI do not count */
	ck_assert(!comes_in_tagged(r, 0x235));
	ew32(r, RCTL, RCTL_EN | RCTL_VFE | E1000_RCTL_CFIEN);
	ck_assert(comes_in_tagged(r, 0x234));
	ck_assert(!comes_in_tagged(r, 0x1234));
	ew32(r, RCTL, RCTL_EN | RCTL_VFE | E1000_RCTL_CFIEN | E1000_RCTL_CFI);
	ck_assert(!comes_in_tagged(r, 0x234));
	ck_assert(comes_in_tagged(r, 0x1234));
	ew32(r, RCTL, RCTL_EN);
	ck_assert(comes_in_tagged(r, 0x777));
	nic_rig_free(r);
}
END_TEST

/* --- tags, padding, CRC -------------------------------------------------------------- */

START_TEST(tag_is_stripped_with_vme)
{
	struct nic_rig *r = rig_with(0);

	ew32(r, CTRL, CTRL_SLU | CTRL_VME);
	frame_tagged(frame, 500, r->mac, 0xb007, 2);
	receive(r, 500, NULL);
	ck_assert(rig_rx_next(r, &rx));
	ck_assert(rx.tagged);
	ck_assert_uint_eq(rx.tci, 0xb007);
	ck_assert_uint_eq(rx.len, 496);
	ck_assert_mem_eq(rx.data, frame, 12);
	ck_assert_mem_eq(rx.data + 12, frame + 16, 484);
	frame_plain(frame, 500, r->mac, 3);
	receive(r, 500, NULL);
	ck_assert(rig_rx_next(r, &rx));
	ck_assert(!rx.tagged);
	ck_assert_uint_eq(rx.len, 500);
	ck_assert_mem_eq(rx.data, frame, 500);
	exam_copied(r, 484, 500 + 504); /* 4 of each are the CRC's place */
	nic_rig_free(r);
}
END_TEST

START_TEST(tag_stays_without_vme)
{
	struct nic_rig *r = rig_with(0);

	frame_tagged(frame, 500, r->mac, 0xb007, 2);
	receive(r, 500, NULL);
	ck_assert(rig_rx_next(r, &rx));
	ck_assert(!rx.tagged);
	ck_assert_uint_eq(rx.len, 500);
	ck_assert_mem_eq(rx.data, frame, 500);
	exam_copied(r, 0, 504);
	nic_rig_free(r);
}
END_TEST

START_TEST(short_frame_is_padded_and_secrc_strips_the_crc)
{
	static const uint8_t zeros[64];
	struct nic_rig *r = rig_with(_i ? E1000_RCTL_SECRC : 0);
	struct rx_desc d;

	frame_plain(frame, 20, r->mac, 2);
	receive(r, 20, NULL);
	d = rx_desc(r, 0);
	ck_assert_uint_eq(d.len, _i ? 60 : 64);
	ck_assert_uint_eq(d.status, RXD_DD | RXD_EOP | RXD_IXSM);
	rig_peek(r, d.addr, rx.data, d.len);
	ck_assert_mem_eq(rx.data, frame, 20);
	ck_assert_mem_eq(rx.data + 20, zeros, d.len - 20u);
	nic_rig_free(r);
}
END_TEST

/* --- checksums -------------------------------------------------------------------------- */

#define GOOD_IP (RXD_DD | RXD_EOP | E1000_RXD_IPCS)
#define UNKNOWN (RXD_DD | RXD_EOP | RXD_IXSM)
#define IPOFLD  E1000_RXCSUM_IPOFLD
#define TUOFLD  E1000_RXCSUM_TUOFLD
#define VALID   VIRTIO_NET_HDR_F_DATA_VALID

/* Without the offload-rx rung nothing is ever known. */
START_TEST(checksum_verdict_says_what_is_known)
{
	static const struct {
		bool v6, udp;
		uint32_t rxcsum;
		uint8_t flags, status;
	} t[] = {
		{ false, false, IPOFLD | TUOFLD, VALID, GOOD_IP | RXD_TCPCS },
		{ false, true, IPOFLD | TUOFLD, VALID, GOOD_IP | RXD_TCPCS },
		{ false, false, TUOFLD, VALID, RXD_DD | RXD_EOP | RXD_TCPCS },
		{ false, false, IPOFLD, VALID, GOOD_IP },
		{ true, false, IPOFLD | TUOFLD, VALID, RXD_DD | RXD_EOP | RXD_TCPCS },
		{ true, false, IPOFLD, VALID, UNKNOWN },
		{ false, false, IPOFLD | TUOFLD, 0, UNKNOWN },
		{ false, false, 0, VALID, UNKNOWN },
	};
	struct nic_rig *r = rig_with(0);
	struct frame_ip f = { .v6 = t[_i].v6, .udp = t[_i].udp, .payload = 100 };
	struct virtio_net_hdr h;
	size_t len;

	memcpy(f.dst, r->mac, 6);
	len = frame_ip(frame, &f, &h);
	h.flags = t[_i].flags;
	ew32(r, RXCSUM, t[_i].rxcsum);
	receive(r, len, &h);
	ck_assert_uint_eq(rx_desc(r, 0).status, rig_has(r, OFFLOAD_RX) ? t[_i].status : UNKNOWN);
	ck_assert_uint_eq(rx_desc(r, 0).errors, 0);
	ck_assert_uint_eq(rig_stat(r, bytes_summed), 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(partial_checksum_is_filled_in_whether_asked_for_or_not)
{
	struct nic_rig *r = rig_with(0);
	struct frame_ip f = { .udp = _i & 1, .partial = true, .payload = 101 };
	struct virtio_net_hdr h;
	size_t len;

	memcpy(f.dst, r->mac, 6);
	len = frame_ip(frame, &f, &h);
	ew32(r, RXCSUM, _i & 2 ? TUOFLD : 0);
	receive(r, len, &h);
	ck_assert(rig_rx_next(r, &rx));
	ck_assert_msg(!frame_ip_wrong(rx.data, rx.len), "%s", frame_ip_wrong(rx.data, rx.len));
	ck_assert_uint_eq(rx_desc(r, 0).status & (RXD_TCPCS | RXD_IXSM),
			  _i & 2 && rig_has(r, OFFLOAD_RX) ? RXD_TCPCS : RXD_IXSM);
	exam_copied(r, 0, len + FCS_LEN);
	nic_rig_free(r);
}
END_TEST

START_TEST(bad_ip_header_is_an_error_bit)
{
	struct nic_rig *r = rig_with(0);
	struct frame_ip f = { .payload = 100 };
	struct virtio_net_hdr h;
	size_t len;

	memcpy(f.dst, r->mac, 6);
	len = frame_ip(frame, &f, &h);
	h.flags = VALID;
	frame[ETH_HLEN + 8] ^= 1;
	ew32(r, RXCSUM, IPOFLD);
	receive(r, len, &h);
	ck_assert_uint_eq(rx_desc(r, 0).status, rig_has(r, OFFLOAD_RX) ? GOOD_IP : UNKNOWN);
	ck_assert_uint_eq(rx_desc(r, 0).errors, rig_has(r, OFFLOAD_RX) ? E1000_RXD_IPE : 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(packet_checksum_starts_at_pcss)
{
	struct nic_rig *r = rig_with(E1000_RCTL_SECRC);

	frame_plain(frame, 200, r->mac, 9);
	receive(r, 200, NULL);
	ck_assert_uint_eq(rx_desc(r, 0).csum, 0);
	ew32(r, RXCSUM, 14);
	receive(r, 200, NULL);
	ck_assert_uint_eq(rx_desc(r, 1).csum, __builtin_bswap16(frame_sum(frame + 14, 186, 0)));
	nic_rig_free(r);
}
END_TEST

/* --- buffers -------------------------------------------------------------------------------- */

static struct nic_rig *rig_long(unsigned buf)
{
	struct rig_opts o = { .rx_buf = buf, .long_packets = true };

	return nic_rig_new(RIG_E1000, &o);
}

START_TEST(long_frame_takes_a_chain_of_buffers)
{
	static const unsigned buf[] = { 256, 512, 1024, 2048, 4096 };
	struct nic_rig *r = rig_long(buf[_i]);
	size_t all = 0;

	rig_post_rx(r, 200);
	for (unsigned len = 9000; len > 8990; len--) {
		frame_plain(frame, len, r->mac, len);
		receive(r, len, NULL);
		ck_assert(rig_rx_next(r, &rx));
		ck_assert_uint_eq(rx.len, len);
		ck_assert_mem_eq(rx.data, frame, len);
		ck_assert_uint_eq(rx.buffers, (len + 4 + buf[_i] - 1) / buf[_i]);
		rig_post_rx(r, rx.buffers);
		all += len + FCS_LEN;
	}
	exam_copied(r, 0, all);
	nic_rig_free(r);
}
END_TEST

START_TEST(frame_longer_than_its_buffers_waits_for_more)
{
	struct nic_rig *r = rig_long(2048);

	rig_post_rx(r, 2);
	frame_plain(frame, 5000, r->mac, 1);
	receive(r, 5000, NULL);
	exam_received_none(r);
	frame_plain(frame + 5000, 100, r->mac, 2);
	rig_receive(r, frame + 5000, 100, NULL);
	rig_run(r);
	exam_received_none(r);
	ck_assert_uint_eq(rig_stat(r, rx_ring_full), 1);
	rig_post_rx(r, 2);
	rig_run(r);
	exam_received(r, frame, 5000);
	exam_received(r, frame + 5000, 100);
	ck_assert_uint_eq(rig_stat(r, rx_drops), 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(frame_over_1522_bytes_needs_lpe)
{
	struct nic_rig *r = rig_with(0);

	frame_plain(frame, 3000, r->mac, 1);
	ck_assert(comes_in(r, 1518));
	ck_assert(!comes_in(r, 1519));
	ck_assert(!comes_in(r, 3000));
	ck_assert_uint_eq(er32(r, E1000_ROC), 2);
	ew32(r, RCTL, RCTL_EN | RCTL_LPE);
	ck_assert(comes_in(r, 3000));
	nic_rig_free(r);
}
END_TEST

START_TEST(frames_wait_for_buffers_and_are_counted_once)
{
	struct nic_rig *r = nic_rig_new(RIG_E1000, NULL);

	er32(r, E1000_RNBC);
	frame_plain(frame, 100, r->mac, 1);
	receive(r, 100, NULL);
	receive(r, 100, NULL);
	ck_assert(!r->net->rx_enabled);
	ck_assert_uint_eq(fake_net_waiting(r->net), 2);
	ck_assert_uint_eq(rig_stat(r, rx_ring_full), 1);
	rig_post_rx(r, 8);
	rig_run(r);
	ck_assert_uint_eq(fake_net_waiting(r->net), 0);
	ck_assert_uint_eq(er32(r, E1000_RNBC), 1);
	ck_assert_uint_eq(er32(r, E1000_MPC), 0);
	ck_assert_uint_eq(er32(r, RDH), 2);
	nic_rig_free(r);
}
END_TEST

START_TEST(batch_raises_rxt0_once_and_rxdmt0_below_the_threshold)
{
	struct rig_opts o = { .rx_ring = 64 };
	struct nic_rig *r = nic_rig_new(RIG_E1000, &o);

	rig_post_rx(r, 40);
	frame_plain(frame, 100, r->mac, 1);
	for (unsigned i = 0; i < 7; i++)
		rig_receive(r, frame, 100, NULL);
	rig_run(r);
	ck_assert_uint_eq(rig_irqs(r), 1);
	ck_assert_uint_eq(r->drv->ack(r), E1000_ICR_RXT0); /* 33 left, threshold 32 */
	receive(r, 100, NULL);
	ck_assert_uint_eq(r->drv->ack(r), E1000_ICR_RXT0 | E1000_ICR_RXDMT0);
	ew32(r, RCTL, RCTL_EN | 2 << 8); /* an eighth: 8 */
	receive(r, 100, NULL);
	ck_assert_uint_eq(er32(r, ICR), E1000_ICR_RXT0);
	nic_rig_free(r);
}
END_TEST

START_TEST(buffer_outside_of_memory_swallows_the_frame)
{
	struct nic_rig *r = nic_rig_new(RIG_E1000, NULL);
	gpa_t end = rig_ram_end(r);
	struct rx_desc d[3] = { { .addr = end }, { .addr = end - 1521 }, { .addr = 0 } };

	rig_poke(r, r->rx_ring, d, sizeof(d));
	ew32(r, RDT, 3);
	frame_plain(frame, 100, r->mac, 1);
	for (unsigned i = 0; i < 3; i++) {
		receive(r, 100, NULL);
		ck_assert_uint_eq(rig_stat(r, guest_faults), i + 1);
		ck_assert_uint_eq(rx_desc(r, i).status, UNKNOWN);
	}
	rig_restart(r);
	exam_works(r);
	nic_rig_free(r);
}
END_TEST

START_TEST(frames_received_are_counted_by_size_and_kind)
{
	static const uint8_t all[6] = { 255, 255, 255, 255, 255, 255 };
	static const size_t len[] = { 60, 123, 251, 507, 1019, 1514 };
	struct nic_rig *r = rig_with(0);
	uint64_t octets = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(len); i++) {
		frame_plain(frame, len[i], i ? r->mac : all, i);
		receive(r, len[i], NULL);
		octets += len[i] + 4;
	}
	frame_plain(frame, 60, (const uint8_t[6]){ 2 }, 1); /* for somebody else */
	receive(r, 60, NULL);
	for (unsigned i = 0; i < 6; i++)
		ck_assert_uint_eq(er32(r, E1000_PRC64 + 4 * i), 1);
	ck_assert_uint_eq(er32(r, E1000_GPRC), 6);
	ck_assert_uint_eq(er32(r, E1000_BPRC), 1);
	ck_assert_uint_eq(er32(r, E1000_MPRC), 0);
	ck_assert_uint_eq(er32(r, E1000_TPR), 7);
	ck_assert_uint_eq(er32(r, E1000_GORCL), octets);
	ck_assert_uint_eq(er32(r, E1000_TORL), octets + 64);
	nic_rig_free(r);
}
END_TEST

/* --- loopback --------------------------------------------------------------------------------- */

static void phy_loopback(struct nic_rig *r, bool on)
{
	ew32(r, E1000_MDIC,
	     E1000_MDIC_OP_WRITE | 1 << E1000_MDIC_PHY_SHIFT | MII_BMCR << E1000_MDIC_REG_SHIFT |
		     (on ? BMCR_LOOPBACK | BMCR_FULLDPLX | BMCR_SPEED1000 : 0x1140));
	rig_run(r);
}

static void send_and_forget(struct nic_rig *r, size_t len, const struct virtio_net_hdr *h)
{
	ck_assert(h ? rig_post_tx_offload(r, h, frame, len) : rig_post_tx(r, frame, len));
	rig_kick(r);
	rig_run(r);
	ck_assert_uint_eq(rig_tx_done(r), r->tx_posted);
}

START_TEST(loopback_receives_what_is_sent_and_leaves_the_wire_alone)
{
	struct nic_rig *r = rig_with(0);

	r->looped = true;
	if (_i)
		ew32(r, RCTL, RCTL_EN | E1000_RCTL_LBM_MAC);
	else
		phy_loopback(r, true);
	frame_plain(frame, 1024, r->mac, 1);
	send_and_forget(r, 1024, NULL);
	exam_received(r, frame, 1024);
	frame_plain(frame, 1024, (const uint8_t[6]){ 2 }, 1); /* filters apply */
	send_and_forget(r, 1024, NULL);
	exam_received_none(r);
	frame_plain(frame, 200, r->mac, 2);
	receive(r, 200, NULL); /* from outside: waits */
	exam_received_none(r);
	ck_assert_uint_eq(r->net->sends, 0);
	phy_loopback(r, false);
	ew32(r, RCTL, RCTL_EN);
	rig_run(r);
	exam_received(r, frame, 200);
	exam_works(r);
	nic_rig_free(r);
}
END_TEST

START_TEST(loopback_finishes_checksums_and_segments)
{
	struct nic_rig *r = rig_with(0);
	struct frame_ip f = { .partial = true, .payload = 10000 };
	struct virtio_net_hdr h;
	size_t len;

	memcpy(f.dst, r->mac, 6);
	r->looped = true;
	phy_loopback(r, true);
	len = frame_ip(frame, &f, &h);
	h.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	h.gso_size = 1448;
	send_and_forget(r, len, &h);
	for (unsigned i = 0; i < 7; i++) {
		const char *wrong;

		ck_assert(rig_rx_next(r, &rx));
		wrong = frame_segment_wrong(frame, len, &h, i, rx.data, rx.len);
		ck_assert_msg(!wrong, "segment %u: %s", i, wrong);
	}
	exam_received_none(r);
	f.payload = 500;
	len = frame_ip(frame, &f, &h);
	send_and_forget(r, len, &h);
	ck_assert(rig_rx_next(r, &rx));
	ck_assert_uint_eq(rx.len, len);
	ck_assert_msg(!frame_ip_wrong(rx.data, rx.len), "%s", frame_ip_wrong(rx.data, rx.len));
	nic_rig_free(r);
}
END_TEST

/* As `ethtool -t` does it: RDT never moves, 640 frames, 255 buffers. */
START_TEST(loopback_without_buffers_misses_frames)
{
	struct nic_rig *r = nic_rig_new(RIG_E1000, NULL);

	r->looped = true;
	phy_loopback(r, true);
	rig_post_rx(r, 255);
	frame_plain(frame, 1024, r->mac, 1);
	for (unsigned i = 0; i < 640; i++)
		send_and_forget(r, 1024, NULL);
	for (unsigned i = 0; i < 255; i++)
		exam_received(r, frame, 1024);
	exam_received_none(r);
	ck_assert_uint_eq(er32(r, E1000_MPC), 640 - 255);
	ck_assert(er32(r, ICR) & E1000_ICR_RXO);
	nic_rig_free(r);
}
END_TEST

static const struct test_entry tests[] = {
	T(all_sixteen_addresses_are_compared),
	TLOOP(multicast_hash_takes_the_bits_that_mo_selects, 0, 4),
	T(broadcast_needs_bam),
	T(vlan_filter_looks_at_id_and_cfi),
	T(tag_is_stripped_with_vme),
	T(tag_stays_without_vme),
	TLOOP(short_frame_is_padded_and_secrc_strips_the_crc, 0, 2),
	TLOOP(checksum_verdict_says_what_is_known, 0, 8),
	TLOOP(partial_checksum_is_filled_in_whether_asked_for_or_not, 0, 4),
	T(bad_ip_header_is_an_error_bit),
	T(packet_checksum_starts_at_pcss),
	TLOOP(long_frame_takes_a_chain_of_buffers, 0, 5),
	T(frame_longer_than_its_buffers_waits_for_more),
	T(frame_over_1522_bytes_needs_lpe),
	T(frames_wait_for_buffers_and_are_counted_once),
	T(batch_raises_rxt0_once_and_rxdmt0_below_the_threshold),
	T(buffer_outside_of_memory_swallows_the_frame),
	T(frames_received_are_counted_by_size_and_kind),
	TLOOP(loopback_receives_what_is_sent_and_leaves_the_wire_alone, 0, 2),
	T(loopback_finishes_checksums_and_segments),
	T(loopback_without_buffers_misses_frames),
};

CHECK_MAIN("e1000 receive", tests)

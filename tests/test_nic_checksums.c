/* SPDX-License-Identifier: MIT */
/*
 * test_nic_checksums.c: frames whose checksum is left to somebody: passed on or filled in
 * on the way out, marked or filled in on the way in, and never called right when nobody
 * has looked.
 */
#include "tests/rig/exam.h"

#include <string.h>

static const uint8_t peer[6] = { 2, 0, 0, 0, 0, 1 };
static uint8_t frame[FRAME_BUF];
static struct rig_rx rx;

static const struct frame_ip protocols[] = {
	{ .v6 = false, .udp = false },
	{ .v6 = false, .udp = true },
	{ .v6 = true, .udp = false },
	{ .v6 = true, .udp = true },
};

static size_t partial_frame(const uint8_t dst[6], unsigned proto, size_t payload,
			    struct virtio_net_hdr *h)
{
	struct frame_ip f = protocols[proto];

	memcpy(f.dst, dst, 6);
	f.partial = true;
	f.payload = payload;
	f.seed = (uint32_t)payload;
	f.tcp_flags = TCP_ACK | TCP_PSH;
	return frame_ip(frame, &f, h);
}

START_TEST(partial_checksum_is_passed_to_a_backend_that_takes_it)
{
	struct rig_opts o = { .backend_offload = NET_OFF_ALL };
	struct nic_rig *r = nic_rig_new(_i, &o);

	for (unsigned k = 0; k < 4; k++) {
		struct virtio_net_hdr h;
		size_t len = partial_frame(peer, k, 700 + k, &h);

		fake_net_clear(r->net);
		ck_assert(rig_post_tx_offload(r, &h, frame, len));
		rig_kick(r);
		rig_run(r);
		ck_assert_int_eq(exam_passed_on(r, &h), rig_has(r, OFFLOAD_TX) != 0);
		exam_sent_unfinished(r, frame, len, &h);
	}
	ck_assert_uint_eq(rig_stat(r, bytes_summed), 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(frame_is_sent_from_where_the_guest_has_it_with_zero_copy_only)
{
	struct rig_opts o = { .backend_offload = NET_OFF_ALL };
	struct nic_rig *r = nic_rig_new(_i, &o);
	struct virtio_net_hdr h;
	size_t len = partial_frame(peer, 0, 3000, &h);

	ck_assert(rig_post_tx_offload(r, &h, frame, len));
	rig_kick(r);
	rig_run(r);
	ck_assert_uint_eq(r->net->sent_nr, 1);
	exam_sent_from(r, 0);
	ck_assert_uint_eq(rig_stat(r, bytes_copied), rig_has(r, ZERO_COPY) ? 0 : len);
	nic_rig_free(r);
}
END_TEST

START_TEST(partial_checksum_is_finished_for_a_backend_that_cannot)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	/* Odd and even lengths: the last byte is summed with a zero. */
	for (unsigned k = 0; k < 400; k++) {
		struct virtio_net_hdr h;
		size_t len = partial_frame(peer, k % 4, 18 + k * 3, &h);
		const char *wrong;

		fake_net_clear(r->net);
		ck_assert(rig_post_tx_offload(r, &h, frame, len));
		rig_kick(r);
		rig_run(r);
		rig_tx_done(r);
		ck_assert_uint_eq(r->net->sent_nr, 1);
		ck_assert_uint_eq(r->net->sent[0].hdr.flags, 0);
		wrong = frame_ip_wrong(r->net->sent[0].data, r->net->sent[0].len);
		ck_assert_msg(!wrong, "protocol %u: %s", k % 4, wrong);
	}
	nic_rig_free(r);
}
END_TEST

/* Never an unfinished checksum that is not marked as such. */
static void exam_checksum_honest(const struct virtio_net_hdr *want, size_t len)
{
	const char *wrong = frame_ip_wrong(rx.data, rx.len);

	ck_assert_uint_eq(rx.len, len);
	if (!(rx.hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)) {
		ck_assert_msg(!wrong, "unfinished and unmarked: %s", wrong);
		return;
	}
	ck_assert_uint_eq(rx.hdr.csum_start, want->csum_start);
	ck_assert_uint_eq(rx.hdr.csum_offset, want->csum_offset);
	ck_assert_mem_eq(rx.data, frame, len);
}

static void receive_partial(struct nic_rig *r)
{
	for (unsigned k = 0; k < 40; k++) {
		struct virtio_net_hdr h;
		size_t len = partial_frame(r->mac, k % 4, 100 + k * 31, &h);

		rig_post_rx(r, 1);
		rig_receive(r, frame, len, &h);
		rig_run(r);
		ck_assert(rig_rx_next(r, &rx));
		exam_checksum_honest(&h, len);
	}
}

START_TEST(partial_checksum_received_is_finished_or_marked)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	if (rig_has(r, OFFLOAD_RX)) {
		ck_assert_uint_eq(r->net->net.rx_offload & NET_OFF_CSUM, NET_OFF_CSUM);
		receive_partial(r);
	} else { /* no backend delivers such frames then */
		ck_assert_uint_eq(r->net->net.rx_offload, 0);
	}
	nic_rig_free(r);
}
END_TEST

START_TEST(checksum_verified_by_the_backend_is_told_with_offload_rx_only)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);
	struct frame_ip f = protocols[0];
	struct virtio_net_hdr h;
	size_t len;

	memcpy(f.dst, r->mac, 6);
	f.payload = 300;
	len = frame_ip(frame, &f, &h);
	h = (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_DATA_VALID };
	rig_post_rx(r, 1);
	rig_receive(r, frame, len, &h);
	rig_run(r);
	ck_assert(rig_rx_next(r, &rx));
	ck_assert_mem_eq(rx.data, frame, len);
	ck_assert_uint_eq(rx.hdr.flags, rig_has(r, OFFLOAD_RX) ? VIRTIO_NET_HDR_F_DATA_VALID : 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(wrong_checksum_received_is_not_called_right)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	for (unsigned k = 0; k < 4; k++) {
		struct frame_ip f = protocols[k];
		struct virtio_net_hdr h;
		size_t len;

		memcpy(f.dst, r->mac, 6);
		f.payload = 300;
		len = frame_ip(frame, &f, &h);
		frame[len - 1] ^= 0x40;
		h = (struct virtio_net_hdr){ .flags = 0 };
		rig_post_rx(r, 1);
		rig_receive(r, frame, len, &h);
		rig_run(r);
		ck_assert(rig_rx_next(r, &rx));
		ck_assert_mem_eq(rx.data, frame, len);
		ck_assert_uint_eq(rx.hdr.flags, 0);
	}
	nic_rig_free(r);
}
END_TEST

START_TEST(driver_without_guest_csum_gets_no_partial_checksums)
{
	struct rig_opts o = { .features_off = BIT64(VIRTIO_NET_F_GUEST_CSUM) |
					      BIT64(VIRTIO_NET_F_GUEST_TSO4) |
					      BIT64(VIRTIO_NET_F_GUEST_TSO6) |
					      BIT64(VIRTIO_NET_F_GUEST_ECN) };
	struct nic_rig *r = nic_rig_new(RIG_VIRTIO, &o);

	ck_assert_uint_eq(r->net->net.rx_offload, 0);
	nic_rig_free(r);
}
END_TEST

static const struct test_entry tests[] = {
	EXAM(partial_checksum_is_passed_to_a_backend_that_takes_it),
	EXAM(frame_is_sent_from_where_the_guest_has_it_with_zero_copy_only),
	EXAM(partial_checksum_is_finished_for_a_backend_that_cannot),
	EXAM(partial_checksum_received_is_finished_or_marked),
	EXAM(checksum_verified_by_the_backend_is_told_with_offload_rx_only),
	EXAM(wrong_checksum_received_is_not_called_right),
	T(driver_without_guest_csum_gets_no_partial_checksums),
};

CHECK_MAIN("nic checksums", tests)

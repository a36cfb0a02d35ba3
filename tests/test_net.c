/* SPDX-License-Identifier: MIT */
/*
 * test_net.c: the seam between NIC and backend, above all net_send()'s software fallback,
 * in front of a fake backend that can take little.
 */
#include "devices/net/net.h"
#include "devices/net/offload.h"
#include "tests/check_main.h"
#include "tests/rig/fake_net.h"
#include "tests/rig/grab.h"
#include "tests/rig/net_rig.h"

#include <errno.h>
#include <string.h>

static const struct virtio_net_hdr finished;

static struct probe probe;

#define TSO_FLAGS (TCP_ACK | TCP_PSH | TCP_FIN | TCP_CWR)

static int send_bytes(struct net *be, const struct virtio_net_hdr *h, void *p, size_t len)
{
	struct iovec iov = { p, len };

	return net_send(be, h, &iov, 1);
}

/* --- opening --- */

START_TEST(unknown_kind_is_refused_with_the_known_ones_named)
{
	struct grab g;
	int err = 0;

	grab_start(&g);
	ck_assert_ptr_null(net_open(NULL, "vhost", "x", &err));
	ck_assert_str_eq(grab_stop(&g),
			 "duet: no network backend \"vhost\": use tap, fd, user, stream, "
			 "listen, null or loop\n");
	ck_assert_int_eq(err, -EINVAL);
	net_close(NULL);
}
END_TEST

START_TEST(offload_table_is_one_line)
{
	struct fake_net *f = fake_net_new(NULL, NET_OFF_CSUM | NET_OFF_TSO4);
	struct grab g;

	f->rx_can = NET_OFF_CSUM;
	net_set_rx_offload(&f->net, NET_OFF_ALL);
	grab_start(&g);
	net_log_offloads(&f->net, "net0", NET_OFF_ALL, NET_OFF_ALL);
	ck_assert_str_eq(grab_stop(&g),
			 "duet: net0 on fake: transmit csum+tso4+tso6+ecn (in software: tso6+ecn), "
			 "receive csum+tso4+tso6+ecn (granted: csum)\n");
	grab_start(&g);
	net_log_offloads(&f->net, "net1", 0, 0);
	ck_assert_str_eq(grab_stop(&g), "duet: net1 on fake: transmit none (in software: none), "
					"receive none (granted: none)\n");
	net_close(&f->net);
}
END_TEST

START_TEST(rx_offload_wish_without_checksums_is_no_wish)
{
	struct fake_net *f = fake_net_new(NULL, 0);
	struct net *be = &f->net;

	ck_assert_uint_eq(net_set_rx_offload(be, NET_OFF_ALL), NET_OFF_ALL);
	ck_assert_uint_eq(be->rx_offload, NET_OFF_ALL);
	ck_assert_uint_eq(net_set_rx_offload(be, NET_OFF_TSO4 | NET_OFF_ECN), 0);
	ck_assert_uint_eq(net_set_rx_offload(be, NET_OFF_CSUM | NET_OFF_ECN), NET_OFF_CSUM);
	f->rx_can = NET_OFF_CSUM;
	ck_assert_uint_eq(net_set_rx_offload(be, NET_OFF_ALL), NET_OFF_CSUM);
	ck_assert_uint_eq(be->rx_offload, NET_OFF_CSUM);
	net_close(be);
}
END_TEST

/* --- net_send() in front of a fake backend --- */

START_TEST(frame_within_the_backends_offloads_passes_untouched)
{
	static uint8_t buf[FRAME_BUF];
	struct fake_net *f = fake_net_new(NULL, NET_OFF_ALL);
	struct virtio_net_hdr h;
	size_t len = frame_tso(buf, _i, TSO_FLAGS, 30000, &h);

	ck_assert_int_eq(send_bytes(&f->net, &h, buf, len), 0);
	ck_assert_uint_eq(f->sent_nr, 1);
	ck_assert_mem_eq(&f->sent[0].hdr, &h, sizeof(h));
	ck_assert_int_eq(f->sent[0].cnt, 1);
	ck_assert_ptr_eq(f->sent[0].iov[0].iov_base, buf); /* no copy */
	ck_assert_uint_eq(counter_get(&f->net.stat.sw_csum_bytes), 0);
	net_close(&f->net);
}
END_TEST

START_TEST(checksum_is_finished_without_touching_or_copying_the_frame)
{
	static uint8_t buf[FRAME_BUF], copy[FRAME_BUF];
	struct frame_ip spec = { .v6 = _i & 1, .udp = _i & 2, .partial = true, .payload = 1000 };
	struct fake_net *f = fake_net_new(NULL, 0);
	struct virtio_net_hdr h;
	size_t len = frame_ip(buf, &spec, &h), at = (size_t)h.csum_start + h.csum_offset;

	memcpy(copy, buf, len);
	/* the entry ends before, within and behind the checksum field, and far away */
	for (size_t split = at - 1; split <= at + 3; split++) {
		struct iovec iov[2] = { { buf, split }, { buf + split, len - split } };
		const struct fake_frame *s;

		fake_net_clear(f);
		ck_assert_int_eq(net_send(&f->net, &h, iov, 2), 0);
		ck_assert_uint_eq(f->sent_nr, 1);
		s = &f->sent[0];
		ck_assert_uint_eq(s->len, len);
		ck_assert_mem_eq(&s->hdr, &finished, sizeof(finished));
		ck_assert_pstr_eq(frame_ip_wrong(s->data, len), NULL);
		ck_assert_mem_eq(s->data, copy, at);
		ck_assert_mem_eq(s->data + at + 2, copy + at + 2, len - at - 2);
		ck_assert_ptr_eq(s->iov[0].iov_base, buf);
		ck_assert_mem_eq(buf, copy, len);
	}
	ck_assert_uint_eq(counter_get(&f->net.stat.sw_csum_bytes), 5 * (len - h.csum_start));
	net_close(&f->net);
}
END_TEST

/* What the backend can take beyond nothing matters little: TSO it cannot. */
static const unsigned weak[] = { 0, NET_OFF_CSUM, NET_OFF_CSUM | NET_OFF_TSO4 | NET_OFF_TSO6 };

START_TEST(tso_frame_is_cut_for_a_backend_that_cannot)
{
	static uint8_t buf[FRAME_BUF];
	struct fake_net *f = fake_net_new(NULL, weak[_i / 2]);
	struct virtio_net_hdr h;
	size_t len = frame_tso(buf, _i % 2, TSO_FLAGS, 40001, &h), summed = 0;
	struct iovec iov[3] = { { buf, 20 }, { buf + 20, 7000 }, { buf + 7020, len - 7020 } };
	unsigned nr = frame_segments(len, &h);

	ck_assert_int_eq(net_send(&f->net, &h, iov, 3), 0);
	ck_assert_uint_eq(f->sent_nr, nr);
	for (unsigned i = 0; i < nr; i++) {
		const struct fake_frame *s = &f->sent[i];

		ck_assert_pstr_eq(frame_segment_wrong(buf, len, &h, i, s->data, s->len), NULL);
		ck_assert_mem_eq(&s->hdr, &finished, sizeof(finished));
		summed += s->len - h.csum_start;
	}
	ck_assert_uint_eq(counter_get(&f->net.stat.sw_frames), 1);
	ck_assert_uint_eq(counter_get(&f->net.stat.sw_segments), nr);
	ck_assert_uint_eq(counter_get(&f->net.stat.sw_csum_bytes), summed);
	ck_assert_uint_eq(counter_get(&f->net.stat.tx_drops), 0);
	net_close(&f->net);
}
END_TEST

START_TEST(again_on_the_first_segment_leaves_the_frame_to_the_caller)
{
	static uint8_t buf[FRAME_BUF];
	struct loop *l = loop_new();
	struct fake_net *f = fake_net_new(l, 0);
	struct virtio_net_hdr h;
	size_t len = frame_tso(buf, false, TSO_FLAGS, 20000, &h);

	probe_attach(&probe, &f->net);
	fake_net_set_full(f, true);
	ck_assert_int_eq(send_bytes(&f->net, &h, buf, len), -EAGAIN);
	ck_assert_uint_eq(f->sent_nr, 0);
	ck_assert_uint_eq(counter_get(&f->net.stat.tx_drops), 0);
	ck_assert_uint_eq(counter_get(&f->net.stat.sw_frames), 0);
	ck_assert_uint_eq(counter_get(&f->net.stat.sw_segments), 0);
	h.gso_type = h.gso_size = 0;
	ck_assert_int_eq(send_bytes(&f->net, &h, buf, len), -EAGAIN);
	loop_once(l, 0);
	ck_assert_uint_eq(probe.writable, 0);
	fake_net_set_full(f, false);
	loop_once(l, 0);
	ck_assert_uint_eq(probe.writable, 1);
	net_close(&f->net);
	loop_free(l);
}
END_TEST

START_TEST(again_on_a_later_segment_drops_the_rest_and_counts)
{
	static uint8_t buf[FRAME_BUF];
	struct fake_net *f = fake_net_new(NULL, 0);
	struct virtio_net_hdr h;
	size_t len = frame_tso(buf, false, TSO_FLAGS, 20000, &h);

	f->full_after = (unsigned)_i;
	ck_assert_int_eq(send_bytes(&f->net, &h, buf, len), 0);
	ck_assert_uint_eq(f->sent_nr, (unsigned)_i);
	ck_assert_uint_eq(f->sends, (unsigned)_i + 1); /* and no more tries */
	/* One frame = what went out + what was dropped, as struct net_stat has it. */
	ck_assert_uint_eq(counter_get(&f->net.stat.tx_drops), 1);
	ck_assert_uint_eq(counter_get(&f->net.stat.sw_frames), 1);
	ck_assert_uint_eq(counter_get(&f->net.stat.sw_segments), (unsigned)_i + 1);
	net_close(&f->net);
}
END_TEST

START_TEST(frame_that_cannot_be_is_refused_before_the_backend_sees_it)
{
	static uint8_t buf[FRAME_BUF];
	struct fake_net *f = fake_net_new(NULL, _i ? NET_OFF_ALL : 0);
	struct iovec many[NET_IOV_MAX + 1];
	struct virtio_net_hdr h, lie;
	size_t len = frame_tso(buf, false, TSO_FLAGS, 5000, &h);

	lie = h;
	lie.csum_offset = 0xffff;
	ck_assert_int_eq(send_bytes(&f->net, &lie, buf, len), -EINVAL);
	lie = h;
	lie.gso_size = 0;
	ck_assert_int_eq(send_bytes(&f->net, &lie, buf, len), -EINVAL);
	lie = h;
	lie.flags = 0;
	ck_assert_int_eq(send_bytes(&f->net, &lie, buf, len), -EINVAL);
	lie = h;
	lie.gso_type = VIRTIO_NET_HDR_GSO_UDP;
	ck_assert_int_eq(send_bytes(&f->net, &lie, buf, len), -EINVAL);
	ck_assert_int_eq(send_bytes(&f->net, &finished, buf, NET_FRAME_MIN - 1), -EINVAL);
	ck_assert_int_eq(send_bytes(&f->net, &finished, buf, NET_FRAME_MAX + 1), -EINVAL);
	for (int i = 0; i < NET_IOV_MAX + 1; i++)
		many[i] = (struct iovec){ buf + i, 1 };
	ck_assert_int_eq(net_send(&f->net, &finished, many, NET_IOV_MAX + 1), -EINVAL);
	ck_assert_int_eq(net_send(&f->net, &finished, NULL, 0), -EINVAL);
	ck_assert_uint_eq(f->sends, 0);

	ck_assert_int_eq(send_bytes(&f->net, &finished, buf, NET_FRAME_MIN), 0);
	ck_assert_int_eq(send_bytes(&f->net, &finished, buf, NET_FRAME_MAX), 0);
	ck_assert_uint_eq(f->sent_nr, 2);
	net_close(&f->net);
}
END_TEST

START_TEST(tso_header_over_a_frame_that_is_not_tcp_is_refused_by_software)
{
	static uint8_t buf[FRAME_BUF];
	struct fake_net *f = fake_net_new(NULL, 0);
	struct virtio_net_hdr h;
	size_t len = frame_tso(buf, false, TSO_FLAGS, 5000, &h);

	buf[14 + 9] = 17;
	ck_assert_int_eq(send_bytes(&f->net, &h, buf, len), -EINVAL);
	ck_assert_uint_eq(f->sends, 0);
	net_close(&f->net);
}
END_TEST

START_TEST(frame_of_the_most_entries_is_finished)
{
	static uint8_t buf[FRAME_BUF];
	struct fake_net *f = fake_net_new(NULL, 0);
	struct iovec iov[NET_IOV_MAX];
	struct virtio_net_hdr h;
	size_t len = frame_tso(buf, false, TSO_FLAGS, 60000, &h), off = 0;

	/* Entry 0 has the headers and the first bytes; the others share the rest. */
	for (int i = 0; i < NET_IOV_MAX; i++) {
		size_t n = i == NET_IOV_MAX - 1 ? len - off : 150;

		iov[i] = (struct iovec){ buf + off, n };
		off += n;
	}
	h.gso_size = 60000;
	ck_assert_int_eq(net_send(&f->net, &h, iov, NET_IOV_MAX), 0);
	ck_assert_uint_eq(f->sent_nr, 1);
	ck_assert_int_eq(f->sent[0].cnt, NET_IOV_MAX + 1);
	ck_assert_pstr_eq(frame_segment_wrong(buf, len, &h, 0, f->sent[0].data, f->sent[0].len),
			  NULL);
	h.gso_type = h.gso_size = 0;
	ck_assert_int_eq(net_send(&f->net, &h, iov, NET_IOV_MAX), 0);
	ck_assert_int_eq(f->sent[1].cnt, NET_IOV_MAX + 2);
	ck_assert_pstr_eq(frame_ip_wrong(f->sent[1].data, f->sent[1].len), NULL);
	net_close(&f->net);
}
END_TEST

START_TEST(fake_backend_stops_readable_when_told)
{
	struct loop *l = loop_new();
	struct fake_net *f = fake_net_new(l, 0);
	uint8_t buf[60] = { 0 };

	probe_attach(&probe, &f->net);
	fake_net_queue(f, NULL, buf, sizeof(buf));
	fake_net_queue(f, NULL, buf, sizeof(buf));
	loop_once(l, 0);
	ck_assert_uint_eq(probe.readable, 0);
	net_rx_enable(&f->net, true);
	loop_once(l, 0);
	ck_assert_uint_eq(probe.readable, 1);
	net_rx_enable(&f->net, false);
	while (loop_once(l, 0))
		;
	ck_assert_uint_eq(probe.readable, 1);
	net_rx_enable(&f->net, true);
	probe.take = true;
	while (loop_once(l, 0))
		;
	ck_assert_uint_eq(fake_net_waiting(f), 0);
	ck_assert_uint_eq(probe.readable, 3);
	net_close(&f->net);
	loop_free(l);
}
END_TEST

static const struct test_entry tests[] = {
	T(unknown_kind_is_refused_with_the_known_ones_named),
	T(offload_table_is_one_line),
	T(rx_offload_wish_without_checksums_is_no_wish),
	TLOOP(frame_within_the_backends_offloads_passes_untouched, 0, 2),
	TLOOP(checksum_is_finished_without_touching_or_copying_the_frame, 0, 4),
	TLOOP(tso_frame_is_cut_for_a_backend_that_cannot, 0, 6),
	T(again_on_the_first_segment_leaves_the_frame_to_the_caller),
	TLOOP(again_on_a_later_segment_drops_the_rest_and_counts, 1, 5),
	TLOOP(frame_that_cannot_be_is_refused_before_the_backend_sees_it, 0, 2),
	T(tso_header_over_a_frame_that_is_not_tcp_is_refused_by_software),
	T(frame_of_the_most_entries_is_finished),
	T(fake_backend_stops_readable_when_told),
};

CHECK_MAIN("net", tests)

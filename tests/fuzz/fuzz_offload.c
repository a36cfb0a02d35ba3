/* SPDX-License-Identifier: MIT */
/*
 * fuzz_offload.c: checksums and segmentation, and the seam to a backend: frames of any
 * headers, cut into pieces of any length, with a virtio_net_hdr that may say anything, to
 * backends that can do more or less.
 *
 * A header that lies is refused, and nothing is sent. A TCP frame that is as it should be
 * comes out in the very segments that frames.h, a second opinion, expects. Each piece has
 * memory of its own, so that a byte read too far is seen.
 */
#include "devices/net/backend.h"
#include "devices/net/offload.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/wire.h"
#include "tests/rig/fake_net.h"
#include "tests/rig/frames.h"

#include <errno.h>

#define PIECES 40

const char fuzz_name[] = "offload";

/* A frame in pieces. */
struct cut {
	struct iovec iov[PIECES];
	int n;
};

static void cut_add(struct cut *c, const uint8_t *p, size_t len)
{
	void *mem = malloc(len);

	BUG_ON(!mem && len);
	if (len)
		memcpy(mem, p, len);
	c->iov[c->n++] = (struct iovec){ mem, len };
}

static void cut_make(struct cut *c, struct fuzz_in *in, const uint8_t *frame, size_t len)
{
	unsigned n = fuzz_below(in, PIECES - 1);
	size_t done = 0;

	for (c->n = 0; n; n--) {
		uint8_t how = fuzz_u8(in);
		size_t want = how < 200 ? how : fuzz_u16(in), here = MIN(want, len - done);

		cut_add(c, frame + done, here);
		done += here;
	}
	cut_add(c, frame + done, len - done);
}

static void cut_free(struct cut *c)
{
	for (int i = 0; i < c->n; i++)
		free(c->iov[i].iov_base);
}

/* --- the helpers of offload.h against a plain copy -------------------------------------- */

static void check_slice(struct fuzz_in *in, const struct cut *c, const uint8_t *frame, size_t len)
{
	size_t off = fuzz_u16(in), n = fuzz_u16(in), have;
	struct iovec out[PIECES];
	static uint8_t copy[WIRE_MAX];
	int max = (int)fuzz_below(in, PIECES + 1), got;

	have = off < len ? MIN(n, len - off) : 0;
	FUZZ_CHECK(iov_copy_out(c->iov, c->n, off, copy, n) == have &&
			   !memcmp(copy, frame + MIN(off, len), have),
		   "iov_copy_out() at %zu", off);
	got = iov_slice(c->iov, c->n, off, n, out, max);
	FUZZ_CHECK(got <= max && (got < 0 || iov_length(out, got) == n), "iov_slice() at %zu", off);
	FUZZ_CHECK(got >= 0 || have < n || max < c->n, "iov_slice() at %zu refused", off);
	FUZZ_CHECK(frame_sum(frame + MIN(off, len), have, 0) % 0xffff ==
			   __builtin_bswap16(offload_sum(c->iov, c->n, off, n)) % 0xffff,
		   "offload_sum() at %zu", off);
}

/* --- sending ------------------------------------------------------------------------------ */

/* A TCP frame, whole and true, that asks for segments. */
static bool honest_tso(const struct virtio_net_hdr *h, size_t len)
{
	return h->gso_type != VIRTIO_NET_HDR_GSO_NONE && h->hdr_len && len > h->hdr_len;
}

static void check_honest(const struct fake_net *f, const struct virtio_net_hdr *h,
			 const uint8_t *frame, size_t len)
{
	unsigned want = frame_segments(len, h);

	FUZZ_CHECK(f->sent_nr == want, "%u segments of %u", f->sent_nr, want);
	for (unsigned i = 0; i < want; i++) {
		const char *why =
			frame_segment_wrong(frame, len, h, i, f->sent[i].data, f->sent[i].len);

		FUZZ_CHECK(!why, "segment %u of %u: %s", i, want, why);
	}
}

static void send_frame(struct fuzz_in *in, struct cut *c, const struct virtio_net_hdr *h,
		       const uint8_t *frame, size_t len, bool honest)
{
	uint8_t how = fuzz_u8(in);
	struct fake_net *f = fake_net_new(NULL, how & NET_OFF_ALL);
	bool valid = len >= NET_FRAME_MIN && len <= NET_FRAME_MAX && offload_hdr_valid(h, len);
	int err;

	f->full_after = how & 16 ? 1 + fuzz_u8(in) : 100000;
	f->full = how & 32;
	err = net_send(&f->net, h, c->iov, c->n);
	FUZZ_CHECK(valid || err == -EINVAL, "a header that lies: %d", err);
	FUZZ_CHECK(!err || err == -EINVAL || err == -EAGAIN, "error %d", err);
	FUZZ_CHECK(!err || !f->sent_nr, "refused, but sent");
	if (honest && !(how & 63) && honest_tso(h, len))
		check_honest(f, h, frame, len);
	net_close(&f->net);
}

/* A frame whose IP length is right, and may be looked at twice. */
static size_t honest_frame(struct fuzz_in *in, uint8_t *frame, struct virtio_net_hdr *h)
{
	uint8_t how = fuzz_u8(in), flags = fuzz_u8(in);
	struct frame_ip f = { .v6 = how & 1,
			      .udp = how & 2,
			      .partial = true,
			      .tcp_flags = flags,
			      .payload = 1 + fuzz_u16(in) % (how & 4 ? 60000u : 3000u),
			      .seed = how };
	size_t len;

	memcpy(f.dst, wire_mac, sizeof(f.dst));
	len = frame_ip(frame, &f, h);
	if (f.udp || (how & 8))
		return len;
	h->gso_type = f.v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	h->gso_type |= f.tcp_flags & TCP_CWR ? VIRTIO_NET_HDR_GSO_ECN : 0;
	h->gso_size = (uint16_t)(how & 16 ? 1448 : 100 + fuzz_u8(in) * 4);
	return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t own[FRAME_BUF];
	struct fuzz_in in = { data, size };
	uint8_t how = fuzz_u8(&in);
	const uint8_t *frame = own;
	struct virtio_net_hdr h;
	struct cut c;
	size_t len;

	if (how & 1)
		len = honest_frame(&in, own, &h);
	else
		frame = wire_frame(&in, &h, &len);
	cut_make(&c, &in, frame, len);
	check_slice(&in, &c, frame, len);
	send_frame(&in, &c, &h, frame, len, how & 1);
	cut_free(&c);
	return 0;
}

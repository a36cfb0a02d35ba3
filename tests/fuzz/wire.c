/* SPDX-License-Identifier: MIT */
/* wire.c: see wire.h. */
#include "tests/fuzz/wire.h"

#include "tests/rig/frames.h"

#define WIRE_PAYLOAD (WIRE_MAX - 200)

const uint8_t wire_mac[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };

static struct wire_template {
	uint8_t bytes[WIRE_MAX + 200];
	struct virtio_net_hdr h;
} wire_templates[WIRE_KINDS];

static void wire_make(enum wire_kind kind, struct wire_template *t)
{
	static const uint8_t other[][6] = {
		[WIRE_BROADCAST] = { 255, 255, 255, 255, 255, 255 },
		[WIRE_MULTICAST] = { 0x33, 0x33, 0, 0, 0, 1 },
		[WIRE_FOREIGN] = { 0x52, 0x54, 0x00, 0x99, 0x99, 0x99 },
	};
	struct frame_ip f = { .partial = true, .payload = WIRE_PAYLOAD, .seed = kind };

	memcpy(f.dst, wire_mac, sizeof(f.dst));
	f.v6 = kind == WIRE_TCP6;
	f.udp = kind == WIRE_UDP4;
	f.tcp_flags = TCP_ACK | TCP_PSH | TCP_CWR;
	if (kind == WIRE_TAGGED)
		frame_tagged(t->bytes, WIRE_MAX, wire_mac, 0x2005, kind);
	else if (kind >= WIRE_BROADCAST)
		frame_plain(t->bytes, WIRE_MAX, other[kind], kind);
	else if (kind != WIRE_RAW)
		frame_ip(t->bytes, &f, &t->h);
}

const uint8_t *wire_template(enum wire_kind kind, struct virtio_net_hdr *h)
{
	static bool made;

	for (unsigned k = 0; !made && k < WIRE_KINDS; k++)
		wire_make(k, &wire_templates[k]);
	made = true;
	if (h)
		*h = wire_templates[kind].h;
	return wire_templates[kind].bytes;
}

static void wire_gso(struct fuzz_in *in, enum wire_kind kind, size_t len, struct virtio_net_hdr *h)
{
	uint8_t how = fuzz_u8(in);

	h->gso_size = how & 1 ? 1448 : fuzz_u16(in);
	/* Thousands of segments of a few bytes are lawful, and only slow. */
	if (len / (h->gso_size + 1u) > 40 && (how & 0xf0))
		h->gso_size += 400;
	h->gso_type = kind == WIRE_TCP4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
	if (how & 2)
		h->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
}

void wire_header(struct fuzz_in *in, enum wire_kind kind, size_t len, struct virtio_net_hdr *h)
{
	uint8_t how = fuzz_u8(in);

	wire_template(kind, h);
	if (kind == WIRE_TCP4 || kind == WIRE_TCP6) {
		if (how & 1)
			wire_gso(in, kind, len, h);
	}
	if (how & 2)
		*h = (struct virtio_net_hdr){ .flags = how & 4 ? VIRTIO_NET_HDR_F_DATA_VALID : 0 };
	if (h->hdr_len > len && !(how & 32))
		h->hdr_len = 0;
	if (how & 8)
		fuzz_set_byte(in, h, sizeof(*h));
	if (how & 16)
		fuzz_bytes(in, h, sizeof(*h));
}

static size_t wire_length(struct fuzz_in *in, enum wire_kind kind)
{
	static const uint16_t usual[] = { 60, 64, 1514, 1518, 14, 65535, 9014, 590 };
	const struct virtio_net_hdr *h = &wire_templates[kind].h;
	uint8_t how = fuzz_u8(in);

	if (how < 128)
		return how < 120 ? usual[how % 8] % 9100u : usual[how % 8];
	if (how < 160)
		return fuzz_u8(in);
	if (how < 176) /* up to the checksum, or not quite */
		return h->csum_start + h->csum_offset + how % 4u;
	return how < 250 ? fuzz_u16(in) % 1700 : fuzz_u16(in) + 400u;
}

const uint8_t *wire_frame(struct fuzz_in *in, struct virtio_net_hdr *h, size_t *len)
{
	static uint8_t frame[WIRE_MAX];
	enum wire_kind kind = fuzz_below(in, WIRE_KINDS);
	uint8_t patches;

	wire_template(kind, NULL);
	*len = wire_length(in, kind);
	wire_header(in, kind, *len, h);
	memcpy(frame, wire_template(kind, NULL), *len);
	if (kind == WIRE_RAW)
		fuzz_bytes(in, frame, MIN(*len, (size_t)64));
	patches = fuzz_u8(in);
	for (unsigned i = 0; i < patches / 64u; i++) {
		uint8_t at = fuzz_u8(in);

		frame[at] = fuzz_u8(in);
	}
	return frame;
}

/* SPDX-License-Identifier: MIT */
/* sabotage_e1000.c: what no sane driver does to an 82540EM. */
#include "tests/rig/ring_e1000.h"

static void tail_beyond_ring(struct nic_rig *r)
{
	ew32(r, TDT, r->opts.tx_ring);
}

static void tail_far_beyond_ring(struct nic_rig *r)
{
	ew32(r, TDT, 0xffff);
}

static void head_beyond_ring(struct nic_rig *r)
{
	ew32(r, TCTL, 0);
	ew32(r, TDH, r->opts.tx_ring + 7);
	ew32(r, TCTL, TCTL_LINUX);
	ew32(r, TDT, 3);
}

static void ring_without_length(struct nic_rig *r)
{
	ew32(r, TDLEN, 0);
	ew32(r, TDT, 5);
}

static void move_tx_ring(struct nic_rig *r, gpa_t at)
{
	ew32(r, TCTL, 0);
	ew32(r, TDBAL, (uint32_t)at);
	ew32(r, TDBAH, (uint32_t)(at >> 32));
	ew32(r, TDH, 0);
	ew32(r, TDT, 0);
	ew32(r, TCTL, TCTL_LINUX);
	ew32(r, TDT, 10);
}

static void tx_ring_outside_ram(struct nic_rig *r)
{
	move_tx_ring(r, rig_ram_end(r) + 4096);
}

static void tx_ring_at_the_end_of_the_world(struct nic_rig *r)
{
	move_tx_ring(r, ~UINT64_C(0xff));
}

static void tx_ring_in_own_bar(struct nic_rig *r)
{
	move_tx_ring(r, r->bar[0]);
}

/* Only the first 4 of 10 descriptors are RAM. */
static void tx_ring_straddles_end_of_ram(struct nic_rig *r)
{
	move_tx_ring(r, rig_ram_end(r) - 4 * sizeof(struct tx_desc));
}

static void rx_tail_beyond_ring(struct nic_rig *r)
{
	uint8_t frame[64];

	frame_plain(frame, sizeof(frame), r->mac, 1);
	ew32(r, RDT, r->opts.rx_ring + 1);
	rig_receive(r, frame, sizeof(frame), NULL);
}

static void rx_ring_outside_ram(struct nic_rig *r)
{
	ew32(r, RDBAH, 0x7fff);
	rig_sabotage_rx_at(r, 0, 2048);
}

/* As many descriptors as four rings hold, and not one with EOP. */
static void packet_without_end(struct nic_rig *r)
{
	struct tx_desc d = { .addr = r->arena, .len = 4096, .cmd = TXD_IFCS | TXD_RS };

	for (unsigned i = 0; i < 4 * r->opts.tx_ring; i++) {
		ring_e1000_put_tx(r, &d, false);
		if (i % (r->opts.tx_ring - 1) != r->opts.tx_ring - 2)
			continue;
		ring_e1000_kick(r);
		rig_run(r);
	}
	ring_e1000_kick(r);
	rig_run(r);
	d.cmd |= TXD_EOP;
	ring_e1000_put_tx(r, &d, true);
	ring_e1000_kick(r);
}

static void packet_of_nothing(struct nic_rig *r)
{
	rig_sabotage_tx_at(r, r->arena, 0);
}

/* A frame whose context descriptor is `c` but for its command. */
static void bad_context(struct nic_rig *r, struct tx_context c, uint8_t tucmd, unsigned len)
{
	struct tx_desc d = { .addr = r->arena, .len = (uint16_t)len, .cso = DTYP_DATA };

	rig_fill(r, r->arena, 0x45, len);
	c.paylen_cmd |= (uint32_t)(TXD_DEXT | tucmd) << 24;
	d.css = POPTS_TXSM;
	d.cmd = (uint8_t)(TXD_DEXT | TXD_EOP | TXD_RS | TXD_IFCS | (tucmd & TXD_TSE));
	ring_e1000_put_tx(r, &c, false);
	ring_e1000_put_tx(r, &d, true);
	ring_e1000_kick(r);
}

#define TSO4 (TXD_TSE | TUCMD_TCP | TUCMD_IP)

/* What a sane driver would say of 2000 bytes. */
static const struct tx_context good = { .ipcss = 14,
					.ipcso = 24,
					.ipcse = 33,
					.tucss = 34,
					.tucso = 50,
					.hdrlen = 54,
					.mss = 1000,
					.paylen_cmd = 1946 };

static void tso_with_mss_zero(struct nic_rig *r)
{
	struct tx_context c = good;

	c.mss = 0;
	bad_context(r, c, TSO4, 2000);
}

static void tso_with_no_header(struct nic_rig *r)
{
	struct tx_context c = good;

	c.hdrlen = 0;
	bad_context(r, c, TSO4, 2000);
}

static void tso_with_header_beyond_the_frame(struct nic_rig *r)
{
	struct tx_context c = good;

	c.hdrlen = 240;
	bad_context(r, c, TSO4, 100);
}

static void tso_with_payload_length_that_lies(struct nic_rig *r)
{
	struct tx_context c = good;

	c.paylen_cmd = 0xfffff;
	bad_context(r, c, TSO4, 2000);
}

static void checksum_beyond_the_frame(struct nic_rig *r)
{
	struct tx_context c = good;

	c.tucss = 200;
	c.tucso = 255;
	bad_context(r, c, TUCMD_TCP, 60);
}

const struct rig_sabotage ring_e1000_sabotage[RING_E1000_SABOTAGE] = {
	{ "TDT = ring size", tail_beyond_ring, false },
	{ "TDT = 0xffff", tail_far_beyond_ring, false },
	{ "TDH beyond the ring", head_beyond_ring, false },
	{ "TDLEN 0", ring_without_length, false },
	{ "transmit ring outside RAM", tx_ring_outside_ram, false },
	{ "transmit ring at 2^64 - 256", tx_ring_at_the_end_of_the_world, false },
	{ "transmit ring in the own BAR", tx_ring_in_own_bar, false },
	{ "transmit ring straddles the end of RAM", tx_ring_straddles_end_of_ram, false },
	{ "RDT beyond the ring", rx_tail_beyond_ring, false },
	{ "receive ring outside RAM", rx_ring_outside_ram, false },
	{ "packet without EOP", packet_without_end, false },
	{ "packet of no bytes", packet_of_nothing, true },
	{ "TSO with MSS 0", tso_with_mss_zero, false },
	{ "TSO with HDRLEN 0", tso_with_no_header, false },
	{ "TSO with HDRLEN beyond the frame", tso_with_header_beyond_the_frame, false },
	{ "TSO with PAYLEN that lies", tso_with_payload_length_that_lies, false },
	{ "TUCSS beyond the frame", checksum_beyond_the_frame, false },
};

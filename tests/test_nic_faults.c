/* SPDX-License-Identifier: MIT */
/*
 * test_nic_faults.c: hostile drivers. Whatever a guest does with rings, addresses and
 * registers, it is counted, no frame leaves that it did not lawfully post, the card works
 * again after a reset, and the other card in the machine never notices.
 */
#include "tests/rig/exam.h"
#include "tests/rig/ring_e1000.h"
#include "tests/rig/ring_virtio.h"

#include <linux/virtio_pci.h>
#include <string.h>

static const uint8_t peer[6] = { 2, 0, 0, 0, 0, 1 };
static uint8_t frame[FRAME_BUF];
static struct rig_rx rx;

/* The other card has traffic under way while `r` is mistreated. */
static void exam_survives(struct nic_rig *r, const char *what, bool lawful,
			  void (*commit)(struct nic_rig *), gpa_t at)
{
	struct nic_rig *o = nic_rig_beside(r, r->drv == &rig_driver_e1000, NULL);
	uint64_t faults = rig_stat(r, guest_faults);

	fake_net_clear(r->net);
	if (commit)
		commit(r);
	else
		rig_sabotage_tx_at(r, at, 1000);
	rig_run(r);
	ck_assert_msg(!r->net->sent_nr, "%s: a frame of %zu bytes was sent", what,
		      r->net->sent_nr ? r->net->sent[0].len : 0);
	ck_assert_msg(lawful || rig_stat(r, guest_faults) > faults, "%s: not counted", what);
	ck_assert_msg(!lawful || rig_stat(r, guest_faults) == faults, "%s: no fault", what);
	exam_works(o);
	while (fake_net_waiting(r->net)) { /* what the sabotage wanted received */
		rig_restart(r);
		rig_post_rx(r, 10);
		rig_run(r);
		while (rig_rx_next(r, &rx))
			;
	}
	rig_restart(r);
	exam_works(r);
	ck_assert_uint_eq(rig_stat(o, guest_faults), 0);
	nic_rig_free(o);
}

static void exam_sabotage(int model, unsigned i)
{
	static const unsigned offload[] = { NET_OFF_ALL, 0 };

	for (unsigned k = 0; k < ARRAY_SIZE(offload); k++) {
		struct rig_opts o = { .backend_offload = offload[k] };
		struct nic_rig *r = nic_rig_new(model, &o);
		const struct rig_sabotage *s = &r->drv->sabotage[i];

		exam_survives(r, s->name, s->lawful, s->commit, 0);
		nic_rig_free(r);
	}
}

START_TEST(sabotaged_e1000_is_usable_after_reset)
{
	exam_sabotage(RIG_E1000, (unsigned)_i);
}
END_TEST

START_TEST(sabotaged_virtio_is_usable_after_reset)
{
	exam_sabotage(RIG_VIRTIO, (unsigned)_i);
}
END_TEST

/* --- buffers that are not RAM -------------------------------------------------------- */

#define BIG_RAM (UINT64_C(3) << 30 | UINT64_C(256) << 20) /* both sides of the hole */

/* Addresses at which 1000 bytes are not all RAM; 0: the card's own registers. */
static const gpa_t nowhere[] = {
	RAM_LOW_MAX - 500,                           /* straddles into the hole */
	RAM_LOW_MAX,                                 /* in the hole */
	RAM_HIGH_BASE - 500,                         /* straddles out of it */
	RAM_HIGH_BASE + (UINT64_C(256) << 20) - 500, /* straddles the end */
	RAM_HIGH_BASE + (UINT64_C(256) << 20),       /* beyond it */
	UINT64_C(1) << 52,                           /* beyond any machine */
	UINT64_MAX - 500,                            /* wraps around */
	LAPIC_BASE,
	0,
};

static gpa_t nowhere_of(const struct nic_rig *r, unsigned i)
{
	return nowhere[i] ? nowhere[i] : r->bar[0];
}

START_TEST(transmit_buffer_outside_ram_is_a_fault)
{
	struct rig_opts o = { .ram = BIG_RAM };
	struct nic_rig *r = nic_rig_new(_i, &o);

	for (unsigned i = 0; i < ARRAY_SIZE(nowhere); i++)
		exam_survives(r, "transmit buffer outside RAM", false, NULL, nowhere_of(r, i));
	nic_rig_free(r);
}
END_TEST

START_TEST(transmit_buffer_at_the_very_end_of_ram_is_sent)
{
	struct rig_opts o = { .ram = BIG_RAM };
	struct nic_rig *r = nic_rig_new(_i, &o);
	const gpa_t last[] = { RAM_LOW_MAX - 1000, RAM_HIGH_BASE,
			       RAM_HIGH_BASE + (UINT64_C(256) << 20) - 1000 };

	for (unsigned i = 0; i < ARRAY_SIZE(last); i++) {
		fake_net_clear(r->net);
		frame_plain(frame, 1000, peer, i);
		rig_poke(r, last[i], frame, 1000);
		rig_sabotage_tx_at(r, last[i], 1000);
		rig_run(r);
		exam_sent(r, 0, frame, 1000);
	}
	ck_assert_uint_eq(rig_stat(r, guest_faults), 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(receive_buffer_outside_ram_is_a_fault)
{
	struct rig_opts o = { .ram = BIG_RAM };
	struct nic_rig *r = nic_rig_new(_i, &o);

	for (unsigned i = 0; i < ARRAY_SIZE(nowhere); i++) {
		uint64_t faults = rig_stat(r, guest_faults);

		rig_restart(r); /* no good buffer before it */
		rig_sabotage_rx_at(r, nowhere_of(r, i), 2048);
		rig_run(r);
		ck_assert_msg(rig_stat(r, guest_faults) > faults, "address %u: not counted", i);
		rig_restart(r);
		rig_post_rx(r, 10);
		rig_run(r);
		while (rig_rx_next(r, &rx))
			;
		exam_works(r);
	}
	nic_rig_free(r);
}
END_TEST

/* No less than the longest frame, and not a byte more: the 82540EM's RCTL says 2048, but Linux
 * gives it the end of a page, which may be the last one of RAM. */
START_TEST(receive_buffer_at_the_very_end_of_ram_is_filled)
{
	struct rig_opts o = { .ram = BIG_RAM };
	struct nic_rig *r = nic_rig_new(_i, &o);
	const uint32_t longest = 1514, room = longest + (_i == RIG_E1000 ? 8 : VNET_HDR_LEN);
	const gpa_t end[] = { RAM_LOW_MAX, RAM_HIGH_BASE + (UINT64_C(256) << 20) };

	for (unsigned i = 0; i < 6 * ARRAY_SIZE(end); i++) { /* the zero-copy rung learns */
		r->drv->post_rx_at(r, end[i % ARRAY_SIZE(end)] - room, room);
		r->drv->kick_rx(r);
		frame_plain(frame, longest, r->mac, i);
		rig_receive(r, frame, longest, NULL);
		rig_run(r);
		exam_received(r, frame, longest);
	}
	ck_assert_uint_eq(rig_stat(r, guest_faults), 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(fault_is_counted_but_not_for_ever)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);
	uint64_t faults;

	rig_sabotage_tx_at(r, UINT64_C(1) << 52, 1000);
	rig_run(r);
	faults = rig_stat(r, guest_faults);
	ck_assert_uint_ge(faults, 1);
	for (unsigned i = 0; i < 50; i++)
		rig_run(r);
	ck_assert_uint_eq(rig_stat(r, guest_faults), faults);
	nic_rig_free(r);
}
END_TEST

START_TEST(frames_before_a_fault_are_sent)
{
	struct nic_rig *r = nic_rig_new(_i, NULL);

	for (unsigned i = 0; i < 5; i++) {
		frame_plain(frame, 100, peer, i);
		ck_assert(rig_post_tx(r, frame, 100));
	}
	rig_sabotage_tx_at(r, UINT64_C(1) << 52, 1000);
	rig_run(r);
	ck_assert_uint_eq(r->net->sent_nr, 5);
	for (unsigned i = 0; i < 5; i++) {
		frame_plain(frame, 100, peer, i);
		exam_sent(r, i, frame, 100);
	}
	nic_rig_free(r);
}
END_TEST

START_TEST(frame_after_an_impossible_request_is_sent)
{
	struct rig_opts o = { .backend_offload = NET_OFF_ALL };
	struct nic_rig *r = nic_rig_new(_i, &o);
	struct virtio_net_hdr h = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				    .csum_start = 200,
				    .csum_offset = 16 };

	frame_plain(frame, 100, peer, 1);
	for (unsigned i = 1; i <= 5; i++) {
		ck_assert(rig_post_tx_offload(r, &h, frame, 100));
		ck_assert(rig_post_tx(r, frame, 100));
		rig_kick(r);
		rig_run(r);
		ck_assert_uint_eq(r->net->sent_nr, i);
		exam_sent(r, i - 1, frame, 100);
		ck_assert_uint_eq(rig_stat(r, guest_faults), i);
		ck_assert_uint_eq(rig_stat(r, tx_drops), i);
		ck_assert_uint_eq(rig_tx_done(r), 2 * i);
	}
	exam_accounts(r, 10, 0);
	nic_rig_free(r);
}
END_TEST

/* --- anything at all, from a seed ------------------------------------------------------- */

#define STEPS 100000

static void wild_post(struct nic_rig *r, struct prng *p)
{
	unsigned len = prng_below(p, 20) ? prng_below(p, 2000) : prng_below(p, 66000);
	struct virtio_net_hdr h = { .hdr_len = (uint16_t)prng_below(p, 256) };

	frame_plain(frame, len < 14 ? 14 : len, peer, (uint32_t)prng_next(p));
	if (!prng_below(p, 3)) {
		h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h.csum_start = (uint16_t)prng_below(p, prng_below(p, 4) ? 60 : 65536);
		h.csum_offset = (uint16_t)prng_below(p, prng_below(p, 4) ? 20 : 65536);
		h.gso_type = (uint8_t)prng_below(p, 6);
		h.gso_size = (uint16_t)prng_below(p, prng_below(p, 4) ? 1500 : 65536);
	}
	rig_post_tx_offload(r, &h, frame, len);
}

static void wild_tso(struct nic_rig *r, struct prng *p)
{
	struct frame_ip f = { .v6 = prng_below(p, 2), .partial = true };
	struct virtio_net_hdr h;
	size_t len;

	memcpy(f.dst, peer, 6);
	f.payload = prng_below(p, 65000);
	f.tcp_flags = (uint8_t)prng_next(p);
	len = frame_ip(frame, &f, &h);
	h.gso_type = f.v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	h.gso_size = (uint16_t)(1 + prng_below(p, 3000));
	if (!prng_below(p, 4))
		frame[prng_below(p, 90)] ^= (uint8_t)BIT(prng_below(p, 8));
	rig_post_tx_offload(r, &h, frame, len);
}

static gpa_t wild_address(struct nic_rig *r, struct prng *p)
{
	switch (prng_below(p, 4)) {
	case 0:
		return prng_next(p);
	case 1:
		return r->bar[0] + prng_below(p, 0x20000);
	case 2:
		return rig_ram_end(r) - prng_below(p, 3000);
	default:
		return r->arena + prng_below(p, 1 << 20);
	}
}

/* Somewhere in either ring. */
static void wild_ring(struct nic_rig *r, struct prng *p)
{
	gpa_t at = r->tx_ring;
	uint64_t v = prng_below(p, 2) ? prng_next(p) : prng_below(p, 300);

	if (r->drv == &rig_driver_e1000) {
		at = prng_below(p, 2) ? r->tx_ring : r->rx_ring;
		at += prng_below(p, 512) * 8;
	} else {
		struct rig_vq *q = &r->v.q[prng_below(p, 3)];
		gpa_t part[] = { q->desc, q->avail, q->used, q->indirect };

		at = part[prng_below(p, 4)] + prng_below(p, q->size * 2);
	}
	rig_poke(r, at, &v, 1u << prng_below(p, 4));
}

static void wild_register(struct nic_rig *r, struct prng *p)
{
	static const unsigned bars = 2;
	unsigned bar = prng_below(p, 4) ? 0 : prng_below(p, bars), size = 1u << prng_below(p, 4);
	uint64_t at = r->bar[bar] + (prng_below(p, 0x20000) & ~(size - 1));

	/* Mostly where something is. */
	if (r->drv == &rig_driver_virtio && prng_below(p, 4))
		at = r->v.common + prng_below(p, sizeof(struct virtio_pci_common_cfg));
	else if (prng_below(p, 4))
		at = r->bar[0] + (prng_below(p, 0x6000) & ~3u);
	if (prng_below(p, 2))
		bus_read(&r->m->f->m.mmio, at, size);
	else
		bus_write(&r->m->f->m.mmio, at, size,
			  prng_below(p, 2) ? prng_next(p) : prng_below(p, 300));
}

/* The ports of BAR 1 (e1000: IOADDR, IODATA) and configuration space, BARs aside. */
static void wild_config(struct nic_rig *r, struct prng *p)
{
	unsigned off = prng_below(p, 256), size = 1u << prng_below(p, 3);
	uint32_t v = (uint32_t)prng_next(p);

	if (prng_below(p, 4) == 0) {
		fake_pci_write(r->m->f, r->slot, PCI_COMMAND, 2,
			       PCI_COMMAND_MEMORY | PCI_COMMAND_IO | (v & 0x404));
	} else if (prng_below(p, 2)) {
		fake_pci_read(r->m->f, r->slot, off & ~(size - 1), size);
	} else if (off < PCI_COMMAND || off >= PCI_BASE_ADDRESS_5 + 4) {
		fake_pci_write(r->m->f, r->slot, off & ~(size - 1), size, v);
	} else {
		bus_write(&r->m->f->m.pio, r->bar[1] + (v & 4), 4, v >> 8 & 0x1ffff);
	}
}

static void wild_receive(struct nic_rig *r, struct prng *p)
{
	struct virtio_net_hdr h = { .flags = 0 };
	unsigned len = 14 + prng_below(p, prng_below(p, 30) ? 1501 : 66000);

	/* What a host's kernel could deliver, whatever was granted. */
	frame_plain(frame, len, prng_below(p, 3) ? r->mac : peer, len);
	if (!prng_below(p, 4) && len > 100) {
		h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h.csum_start = 34;
		h.csum_offset = 16;
	}
	if (fake_net_waiting(r->net) < 50)
		rig_receive(r, frame, len, &h);
}

static void wild_sabotage(struct nic_rig *r, struct prng *p)
{
	const struct rig_sabotage *s = &r->drv->sabotage[prng_below(p, r->drv->n_sabotage)];

	/* The lawful ones expect answers, which a wrecked device need not give. */
	if (!s->lawful)
		s->commit(r);
}

/* Posting needs books that still agree with the device's; a wild step voids them. */
struct wild {
	struct nic_rig *r;
	struct prng p;
	bool sane;
};

static void wild_insane(struct wild *w)
{
	struct nic_rig *r = w->r;

	switch (prng_below(&w->p, 8)) {
	case 0:
		wild_ring(r, &w->p);
		break;
	case 1:
		wild_config(r, &w->p);
		break;
	case 2:
		wild_sabotage(r, &w->p);
		break;
	case 3:
		r->drv->post_rx_at(r, wild_address(r, &w->p), prng_below(&w->p, 5000));
		break;
	default:
		wild_register(r, &w->p);
	}
}

static void wild_restart(struct wild *w)
{
	struct nic_rig *r = w->r;

	fake_pci_write(r->m->f, r->slot, PCI_COMMAND, 2,
		       PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	fake_net_set_full(r->net, false);
	rig_restart(r);
	w->sane = true;
}

static void wild_sane(struct wild *w)
{
	struct nic_rig *r = w->r;

	switch (prng_below(&w->p, 8)) {
	case 0:
		wild_post(r, &w->p);
		break;
	case 1:
		wild_tso(r, &w->p);
		break;
	case 2:
		rig_post_rx(r, prng_below(&w->p, 20));
		break;
	case 3:
		rig_tx_done(r);
		break;
	case 4:
		while (rig_rx_next(r, &rx))
			;
		break;
	case 5:
		r->drv->mask(r, prng_below(&w->p, 2));
		break;
	case 6:
		r->drv->ack(r);
		break;
	default:
		rig_kick(r);
	}
}

static void wild_step(struct wild *w)
{
	unsigned dice = prng_below(&w->p, 100);

	if (dice < 10)
		wild_receive(w->r, &w->p);
	else if (dice < 20)
		loop_once(w->r->m->f->m.loop, 0);
	else if (dice < 22)
		fake_net_set_full(w->r->net, prng_below(&w->p, 2));
	else if (dice < (w->sane ? 22u : 24u))
		wild_restart(w);
	else if (w->sane && dice < 95)
		wild_sane(w);
	else {
		w->sane = false;
		wild_insane(w);
	}
	if (w->r->net->sent_nr > 500)
		fake_net_clear(w->r->net);
}

START_TEST(hundred_thousand_random_steps_do_no_harm)
{
	struct rig_opts o = { .backend_offload = _i & 2 ? NET_OFF_ALL : 0 };
	struct wild w = { .r = nic_rig_new(_i & 1, &o), .sane = true };
	struct nic_rig *other = nic_rig_beside(w.r, !(_i & 1), NULL);

	w.p.s = UINT64_C(0x2545f4914f6cdd1d) + (uint64_t)_i;
	for (unsigned i = 0; i < STEPS; i++)
		wild_step(&w);
	ck_assert_uint_gt(rig_stat(w.r, guest_faults), 100);
	ck_assert_uint_gt(rig_stat(w.r, tx_frames), 100);
	ck_assert_uint_gt(rig_stat(w.r, rx_frames), 100);
	wild_restart(&w);
	rig_post_rx(w.r, 255);
	rig_run(w.r);
	while (rig_rx_next(w.r, &rx))
		;
	exam_works(w.r);
	exam_works(other);
	ck_assert_uint_eq(rig_stat(other, guest_faults), 0);
	nic_rig_free(w.r);
	nic_rig_free(other);
}
END_TEST

static const struct test_entry tests[] = {
	TLOOP(sabotaged_e1000_is_usable_after_reset, 0, RING_E1000_SABOTAGE),
	TLOOP(sabotaged_virtio_is_usable_after_reset, 0, RING_VIRTIO_SABOTAGE),
	EXAM(transmit_buffer_outside_ram_is_a_fault),
	EXAM(transmit_buffer_at_the_very_end_of_ram_is_sent),
	EXAM(receive_buffer_outside_ram_is_a_fault),
	EXAM(receive_buffer_at_the_very_end_of_ram_is_filled),
	EXAM(fault_is_counted_but_not_for_ever),
	EXAM(frames_before_a_fault_are_sent),
	EXAM(frame_after_an_impossible_request_is_sent),
	TLOOP(hundred_thousand_random_steps_do_no_harm, 0, 4),
};

CHECK_MAIN("nic faults", tests)

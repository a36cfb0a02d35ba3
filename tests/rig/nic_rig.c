/* SPDX-License-Identifier: MIT */
/* nic_rig.c: what the drivers of both NICs share: the card's slot, guest memory, books. */
#include "tests/rig/nic_rig.h"

#include "tests/rig/nic_clock.h"
#include "vmm/log.h"

#include <string.h>

#define RIG_ARENA (UINT64_C(24) << 20) /* more than a full ring of 64 KiB frames */
#define RIG_GUARD 64                   /* bytes around a receive buffer */
#define RIG_FILL  0xa5

static const struct rig_driver *const rig_drivers[RIG_MODELS] = {
	[RIG_E1000] = &rig_driver_e1000,
	[RIG_VIRTIO] = &rig_driver_virtio,
};

/* --- guest memory ------------------------------------------------------------ */

gpa_t rig_alloc(struct nic_rig *r, size_t len, size_t align)
{
	gpa_t at = (r->m->next + align - 1) & ~(gpa_t)(align - 1);

	r->m->next = at + len;
	RIG_CHECK(gm_span(&r->m->f->m.mem, at, len) != NULL, "test machine is too small");
	return at;
}

gpa_t rig_ram_end(const struct nic_rig *r)
{
	const struct gmem *m = &r->m->f->m.mem;

	return m->r[m->n - 1].gpa + m->r[m->n - 1].size;
}

gpa_t rig_tx_buf(struct nic_rig *r, size_t len)
{
	size_t pad = prng_below(&r->rng, 64);

	if (r->arena_pos + pad + len > RIG_ARENA)
		r->arena_pos = 0;
	r->arena_pos += pad + len;
	return r->arena + r->arena_pos - len;
}

/*
 * Guests are x86: loads stay in order and so do stores, as long as the compiler agrees.
 * (The thread sanitizer knows no fences.)
 */
#define rig_compiler_barrier() __asm__ volatile("" ::: "memory")

void rig_full_barrier(void)
{
	__asm__ volatile("mfence" ::: "memory");
}

/*
 * A guest and a card share RAM without C's memory model between them; the thread
 * sanitizer is to judge the device's own state, not this.
 */
#define RIG_GUEST_ACCESS __attribute__((no_sanitize("thread")))

RIG_GUEST_ACCESS static void rig_copy(volatile uint8_t *dst, const volatile uint8_t *src,
				      size_t len)
{
	size_t i = 0;

	/* Index fields must not tear, so copy naturally aligned words as words. */
	for (; i + 8 <= len && !(((uintptr_t)(dst + i) | (uintptr_t)(src + i)) & 7); i += 8)
		*(volatile uint64_t *)(dst + i) = *(const volatile uint64_t *)(src + i);
	for (; i + 4 <= len && !(((uintptr_t)(dst + i) | (uintptr_t)(src + i)) & 3); i += 4)
		*(volatile uint32_t *)(dst + i) = *(const volatile uint32_t *)(src + i);
	for (; i + 2 <= len && !(((uintptr_t)(dst + i) | (uintptr_t)(src + i)) & 1); i += 2)
		*(volatile uint16_t *)(dst + i) = *(const volatile uint16_t *)(src + i);
	for (; i < len; i++)
		dst[i] = src[i];
}

static uint8_t *rig_hva(const struct nic_rig *r, gpa_t at, size_t len)
{
	uint8_t *p = gm_span(&r->m->f->m.mem, at, len);

	RIG_CHECK(p != NULL, "the rig itself left RAM at %#llx", (unsigned long long)at);
	return p;
}

void rig_peek(const struct nic_rig *r, gpa_t at, void *dst, size_t len)
{
	rig_copy(dst, rig_hva(r, at, len), len);
	rig_compiler_barrier();
}

void rig_poke(const struct nic_rig *r, gpa_t at, const void *src, size_t len)
{
	/* Whatever was written before is there first: descriptors before indices. */
	rig_compiler_barrier();
	rig_copy(rig_hva(r, at, len), src, len);
}

RIG_GUEST_ACCESS void rig_fill(const struct nic_rig *r, gpa_t at, uint8_t byte, size_t len)
{
	volatile uint8_t *p = rig_hva(r, at, len);

	for (size_t i = 0; i < len; i++)
		p[i] = byte;
}

uint32_t rig_read32(struct nic_rig *r, uint64_t addr)
{
	return (uint32_t)fake_load(&r->m->accel, addr, 4);
}

void rig_write32(struct nic_rig *r, uint64_t addr, uint32_t val)
{
	fake_store(&r->m->accel, addr, 4, val);
}

/* --- receive buffers ----------------------------------------------------------- */

gpa_t rig_rx_buf(const struct nic_rig *r, unsigned i)
{
	return r->rx_bufs + (gpa_t)i * (r->opts.rx_buf + 2 * RIG_GUARD) + RIG_GUARD;
}

void rig_rx_guard(const struct nic_rig *r, unsigned i)
{
	rig_fill(r, rig_rx_buf(r, i) - RIG_GUARD, RIG_FILL, r->opts.rx_buf + 2 * RIG_GUARD);
}

void rig_rx_unhurt(const struct nic_rig *r, unsigned i, size_t most)
{
	const size_t behind = RIG_GUARD + MIN(most, r->opts.rx_buf);
	uint8_t *buf = malloc(r->opts.rx_buf + 2 * RIG_GUARD);

	ck_assert_ptr_nonnull(buf);
	rig_peek(r, rig_rx_buf(r, i) - RIG_GUARD, buf, r->opts.rx_buf + 2 * RIG_GUARD);
	for (size_t k = 0; k < r->opts.rx_buf + 2 * RIG_GUARD; k++)
		RIG_CHECK((k >= RIG_GUARD && k < behind) || buf[k] == RIG_FILL,
			  "the device wrote outside receive buffer %u, to its byte %zd", i,
			  (ssize_t)k - RIG_GUARD);
	free(buf);
}

/* --- PCI ----------------------------------------------------------------------- */

uint8_t rig_pci_cap(struct nic_rig *r, uint8_t id, uint8_t after)
{
	struct fake_machine *f = r->m->f;
	uint8_t at = after ? after + PCI_CAP_LIST_NEXT : PCI_CAPABILITY_LIST;

	if (!(fake_pci_read(f, r->slot, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return 0;
	for (unsigned i = 0; i < 48; i++) {
		at = (uint8_t)(fake_pci_read(f, r->slot, at, 1) & ~3u);
		if (!at || fake_pci_read(f, r->slot, at, 1) == id)
			return at;
		at += PCI_CAP_LIST_NEXT;
	}
	ck_abort_msg("the capability list has a loop");
}

/* Local Bus 3.0, 6.2.5.1: all ones in, the size's complement out. */
static void rig_pci_size_bar(struct nic_rig *r, unsigned n)
{
	unsigned off = PCI_BASE_ADDRESS_0 + 4 * n;
	struct fake_machine *f = r->m->f;
	uint32_t was = fake_pci_read(f, r->slot, off, 4), mask, size;

	fake_pci_write(f, r->slot, off, 4, ~UINT32_C(0));
	mask = fake_pci_read(f, r->slot, off, 4);
	fake_pci_write(f, r->slot, off, 4, was);
	if (!mask)
		return;
	mask &= mask & PCI_BASE_ADDRESS_SPACE_IO ? ~UINT32_C(3) : ~UINT32_C(15);
	size = ~mask + 1;
	if (was & PCI_BASE_ADDRESS_SPACE_IO)
		size &= 0xffff;
	RIG_CHECK(size && !(size & (size - 1)), "BAR %u: size %#x", n, size);
	r->bar[n] = fake_pci_bar(f, r->slot, n);
	RIG_CHECK(r->bar[n] && !(r->bar[n] & (size - 1)), "BAR %u unaligned", n);
}

static void rig_pci_enable(struct nic_rig *r)
{
	struct fake_machine *f = r->m->f;

	ck_assert_uint_eq(fake_pci_read(f, r->slot, PCI_VENDOR_ID, 2), r->drv->vendor);
	ck_assert_uint_eq(fake_pci_read(f, r->slot, PCI_DEVICE_ID, 2), r->drv->device);
	ck_assert_uint_eq(fake_pci_read(f, r->slot, PCI_CLASS_DEVICE, 2), 0x0200);
	for (unsigned n = 0; n < 6; n++)
		rig_pci_size_bar(r, n);
	fake_pci_write(f, r->slot, PCI_COMMAND, 2,
		       PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

/* --- the rig's life ------------------------------------------------------------- */

struct rig_machine *rig_machine_new(uint64_t ram)
{
	struct rig_machine *m = calloc(1, sizeof(*m));

	ck_assert_ptr_nonnull(m);
	log_set_level(LOG_LEVEL_WARNING);
	m->f = fake_machine_new(ram ? ram : UINT64_C(128) << 20);
	fake_accel_init(&m->accel, &m->f->m.mmio);
	m->pci = pci_host_new(&m->f->m);
	ck_assert_ptr_nonnull(m->pci);
	m->next = RAM_1M;
	return m;
}

void rig_machine_free(struct rig_machine *m)
{
	pci_host_free(m->pci);
	fake_accel_fini(&m->accel);
	fake_machine_free(m->f);
	free(m);
}

static void rig_defaults(struct rig_opts *o)
{
	o->tx_ring = o->tx_ring ? o->tx_ring : 256;
	o->rx_ring = o->rx_ring ? o->rx_ring : 256;
	o->rx_buf = o->rx_buf ? o->rx_buf : 2048;
}

unsigned rig_rungs(int model)
{
	const char *mask = getenv("DUET_RUNGS");
	unsigned long rungs = LADDER_BEST;
	char *end;

	if (mask && *mask) {
		rungs = strtoul(mask, &end, 0);
		RIG_CHECK(!*end && rungs <= LADDER_ALL, "DUET_RUNGS=%s is no mask of rungs", mask);
	}
	return (unsigned)(model == RIG_VIRTIO ? rungs & LADDER_VIRTIO : rungs);
}

static struct nic_rig *rig_plug(struct rig_machine *m, int model, const struct rig_opts *o)
{
	static const uint8_t mac[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x50 };
	struct nic_rig *r = calloc(1, sizeof(*r));
	struct nic_config cfg = { .name = model ? "virtio0" : "e1000",
				  .rungs = rig_rungs(model),
				  .poll_us = 1000000 };

	ck_assert_ptr_nonnull(r);
	r->drv = rig_drivers[model];
	if (o)
		r->opts = *o;
	rig_defaults(&r->opts);
	r->m = m;
	r->slot = 3 + m->users++;
	r->rng.s = 88172645463325252u + r->slot;
	memcpy(r->mac, mac, 6);
	r->mac[5] += (uint8_t)r->slot;
	memcpy(cfg.mac, r->mac, 6);
	cfg.mtu = r->opts.mtu;
	cfg.vhost = r->opts.vhost;
	r->net = fake_net_new(m->f->m.loop, r->opts.backend_offload);
	r->nic = r->drv->create(&m->f->m, m->pci, r->slot, &cfg, &r->net->net);
	ck_assert_ptr_nonnull(r->nic);
	nic_clock_stop(r);
	rig_pci_enable(r);
	r->arena = rig_alloc(r, RIG_ARENA, 4096);
	r->rx_bufs = rig_alloc(r, r->opts.rx_ring * (size_t)(r->opts.rx_buf + 2 * RIG_GUARD), 64);
	r->drv->probe(r);
	rig_restart(r);
	return r;
}

struct nic_rig *nic_rig_new(int model, const struct rig_opts *o)
{
	return rig_plug(rig_machine_new(o ? o->ram : 0), model, o);
}

struct nic_rig *nic_rig_beside(struct nic_rig *other, int model, const struct rig_opts *o)
{
	return rig_plug(other->m, model, o);
}

/* Every frame the backend gave is accounted for, whatever the test did to the NIC. */
static void rig_sum(const struct nic_rig *r)
{
	const struct nic_stat *s = &r->nic->stat;
	const struct net_stat *b = &r->nic->be->stat;

	ck_assert_uint_eq(counter_get(&s->rx_frames) + counter_get(&s->rx_drops) -
				  counter_get(&s->rx_segments) + counter_get(&s->rx_cut),
			  counter_get(&b->rx_frames) + counter_get(&b->rx_drops));
}

void nic_rig_free(struct nic_rig *r)
{
	struct rig_machine *m = r->m;

	if (!r->looped)
		rig_sum(r);
	fake_eoi_forget(m->f, &r->nic->pci);
	nic_destroy(r->nic);
	free(r);
	if (!--m->users)
		rig_machine_free(m);
}

void rig_restart(struct nic_rig *r)
{
	r->tx_posted = r->tx_done = 0;
	r->drv->start(r);
	rig_run(r);
	r->drv->ack(r); /* link change and the like: what follows starts quiet */
	rig_irq_clear(r);
}

/* --- transmit ------------------------------------------------------------------- */

static bool rig_post(struct nic_rig *r, const struct rig_tx *t)
{
	bool ok = r->drv->post_tx(r, t);

	r->tx_posted += ok;
	return ok;
}

bool rig_post_tx(struct nic_rig *r, const void *frame, size_t len)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)frame, .iov_len = len };

	return rig_post_tx_pieces(r, &iov, 1);
}

bool rig_post_tx_pieces(struct nic_rig *r, const struct iovec *iov, int n)
{
	struct rig_tx t = { .iov = iov, .n = n };

	return rig_post(r, &t);
}

bool rig_post_tx_offload(struct nic_rig *r, const struct virtio_net_hdr *h, const void *frame,
			 size_t len)
{
	uint8_t *p = (uint8_t *)(uintptr_t)frame;
	size_t head = MIN(len, (size_t)h->hdr_len);
	/* As Linux hands it over: the headers in one piece, payload in others. */
	struct iovec iov[] = { { p, head }, { p + head, len - head } };
	struct rig_tx t = { .hdr = *h, .iov = iov, .n = len > head ? 2 : 1 };

	return rig_post(r, &t);
}

void rig_kick(struct nic_rig *r)
{
	r->drv->kick(r);
}

void rig_run(struct nic_rig *r)
{
	if (r->m->wait) {
		r->m->wait(r->m->wait_arg);
		return;
	}
	nic_clock_pass(r, NIC_CLOCK_RUN);
	fake_machine_run(r->m->f);
}

unsigned rig_tx_done(struct nic_rig *r)
{
	return r->tx_done += r->drv->reap_tx(r);
}

/* --- receive -------------------------------------------------------------------- */

unsigned rig_post_rx(struct nic_rig *r, unsigned n)
{
	unsigned i = 0;

	while (i < n && r->drv->post_rx_at(r, 0, r->opts.rx_buf))
		i++;
	r->drv->kick_rx(r);
	return i;
}

void rig_receive(struct nic_rig *r, const void *frame, size_t len, const struct virtio_net_hdr *h)
{
	fake_net_queue(r->net, h, frame, len);
}

bool rig_rx_next(struct nic_rig *r, struct rig_rx *x)
{
	*x = (struct rig_rx){ .len = 0 };
	return r->drv->rx_next(r, x);
}

void rig_sabotage_tx_at(struct nic_rig *r, gpa_t at, uint32_t len)
{
	r->drv->post_tx_at(r, at, len);
	r->drv->kick(r);
}

void rig_sabotage_rx_at(struct nic_rig *r, gpa_t at, uint32_t len)
{
	uint8_t frame[1000];

	frame_plain(frame, sizeof(frame), r->mac, 1);
	r->drv->post_rx_at(r, at, len);
	r->drv->kick_rx(r);
	rig_receive(r, frame, sizeof(frame), NULL);
}

/* --- interrupts ------------------------------------------------------------------- */

unsigned rig_irqs(struct nic_rig *r)
{
	return r->drv->irqs(r) - r->irq_base;
}

void rig_irq_clear(struct nic_rig *r)
{
	r->irq_base = r->drv->irqs(r);
}

unsigned rig_gsi(const struct nic_rig *r)
{
	return GSI_PCI_BASE + r->slot % GSI_PCI_NR;
}

void rig_eoi(struct nic_rig *r)
{
	fake_guest_eoi(r->m->f, rig_gsi(r));
	if (!r->m->wait && rig_has(r, IRQ))
		fake_machine_run(r->m->f);
}

bool rig_irq_level(struct nic_rig *r)
{
	return fake_gsi_level(r->m->f, rig_gsi(r));
}

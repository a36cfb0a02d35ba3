/* SPDX-License-Identifier: MIT */
/*
 * msix.c: the MSI-X table and pending bits in a 4 KiB BAR:
 *
 *   0x000  table: 16 bytes per entry: address low, address high, data, vector control
 *   0x800  PBA: one bit per entry
 *
 * An entry delivers when the function is enabled, the function mask is clear and its
 * own mask is clear. The router is told of an address or data no earlier than that: a
 * driver rewrites an entry in three stores while it is masked, and a route costs a system
 * call.
 */
#include "devices/msix.h"

#include "vmm/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define MSIX_BAR_SIZE   4096
#define MSIX_PBA        0x800
#define MSIX_WORDS      4 /* dwords per entry */
#define MSIX_CTRL       3 /* of which this is the vector control */
#define MSIX_FLAGS_W    (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL)
#define MSIX_ADDR_ALIGN UINT32_C(3)

/* May entry `i` deliver, as far as the guest's masks go? Lock held, as in all below. */
static bool msix_unmasked(const struct msix *x, unsigned i)
{
	return x->enabled && !x->all_masked && !(x->entry[i].ctrl & PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

static bool msix_routed(struct msix *x, unsigned i)
{
	const struct msix_entry *e = &x->entry[i];
	int err;

	if (!(x->stale & BIT(i)))
		return true;
	err = msi_route(x->vec[i], (uint64_t)e->addr_hi << 32 | e->addr_lo, e->data);
	trace(IRQ, "slot %u: msix %u is address %#x%08x data %#x%s", x->pci->slot, i, e->addr_hi,
	      e->addr_lo, e->data, err ? ": the host refused the route" : "");
	if (!err)
		x->stale &= ~BIT(i);
	return !err;
}

static void msix_sender_tell(struct msix_sender *s, int fd)
{
	if (s->fd != fd)
		s->use(s, fd);
	s->fd = fd;
}

/* Something changed for entry `i`: bring its route up to date, send what waited. Others send
 * after that, so that they do not overtake it. */
static void msix_settle(struct msix *x, unsigned i)
{
	bool on = msix_unmasked(x, i) && msix_routed(x, i);

	if (on && (x->pending & BIT(i))) {
		x->pending &= ~BIT(i);
		msi_fire(x->vec[i]);
	}
	for (struct msix_sender *s = x->senders; s; s = s->next)
		if (s->entry == i)
			msix_sender_tell(s, on ? msi_fd(x->vec[i]) : -1);
}

static uint32_t *msix_word(struct msix_entry *e, unsigned word)
{
	uint32_t *const w[MSIX_WORDS] = { &e->addr_lo, &e->addr_hi, &e->data, &e->ctrl };

	return w[word];
}

static uint32_t msix_read_dword(struct msix *x, uint64_t off)
{
	unsigned i = (unsigned)off / PCI_MSIX_ENTRY_SIZE;

	if (i < x->n)
		return *msix_word(&x->entry[i], off / 4 % MSIX_WORDS);
	return off == MSIX_PBA ? x->pending : 0;
}

/* The PBA is read-only; reserved bits stay 0. */
static void msix_write_dword(struct msix *x, uint64_t off, uint32_t val)
{
	unsigned i = (unsigned)off / PCI_MSIX_ENTRY_SIZE, word = off / 4 % MSIX_WORDS;
	uint32_t *w;

	if (i >= x->n)
		return;
	w = msix_word(&x->entry[i], word);
	if (word == 0)
		val &= ~MSIX_ADDR_ALIGN;
	if (word == MSIX_CTRL)
		val &= PCI_MSIX_ENTRY_CTRL_MASKBIT;
	else if (*w != val)
		x->stale |= BIT(i);
	*w = val;
	msix_settle(x, i);
}

static uint64_t msix_read(void *dev, uint64_t off, unsigned size)
{
	struct msix *x = dev;
	uint64_t v;

	if (off % size)
		return bus_ones(size);
	pthread_mutex_lock(&x->lock);
	v = msix_read_dword(x, off);
	if (size == 8)
		v |= (uint64_t)msix_read_dword(x, off + 4) << 32;
	pthread_mutex_unlock(&x->lock);
	return v;
}

static void msix_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	struct msix *x = dev;

	if (off % size)
		return;
	pthread_mutex_lock(&x->lock);
	msix_write_dword(x, off, (uint32_t)val);
	if (size == 8)
		msix_write_dword(x, off + 4, (uint32_t)(val >> 32));
	pthread_mutex_unlock(&x->lock);
}

static struct access *msix_account(void *dev, uint64_t off)
{
	(void)off;
	return &((struct msix *)dev)->access;
}

static const struct region_ops msix_ops = {
	.read = msix_read,
	.write = msix_write,
	.sizes = 4 | 8,
	.account = msix_account,
};

static void msix_add_capability(struct msix *x, unsigned bar)
{
	struct __attribute__((packed)) {
		uint16_t flags;
		uint32_t table, pba;
	} body = {
		.flags = (uint16_t)(x->n - 1),
		.table = bar,
		.pba = MSIX_PBA | bar,
	};
	uint16_t writable = MSIX_FLAGS_W;

	x->cap = pci_cap_add(x->pci, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF, &body);
	x->pci->wmask[x->cap + PCI_MSIX_FLAGS + 1] = (uint8_t)(writable >> 8);
}

int msix_init(struct msix *x, struct pci_dev *d, unsigned bar, unsigned n, struct machine *m)
{
	BUG_ON(!n || n > MSIX_MAX);
	memset(x, 0, sizeof(*x));
	x->pci = d;
	x->n = n;
	for (unsigned i = 0; i < n; i++) {
		x->entry[i].ctrl = PCI_MSIX_ENTRY_CTRL_MASKBIT;
		x->vec[i] = m->msi ? m->msi->alloc(m->msi) : NULL;
		if (!x->vec[i])
			return -ENOSPC;
	}
	x->stale = (uint32_t)(BIT64(n) - 1);
	pthread_mutex_init(&x->lock, NULL);
	pci_bar_init(d, bar, false, MSIX_BAR_SIZE, "msix", &msix_ops, x);
	msix_add_capability(x, bar);
	return 0;
}

void msix_destroy(struct msix *x)
{
	pthread_mutex_destroy(&x->lock);
}

void msix_config_written(struct msix *x, unsigned off, unsigned size)
{
	unsigned reg = x->cap + PCI_MSIX_FLAGS, flags;

	if (off >= reg + 2 || reg >= off + size)
		return;
	flags = x->pci->config[reg] | (unsigned)x->pci->config[reg + 1] << 8;
	pthread_mutex_lock(&x->lock);
	x->enabled = flags & PCI_MSIX_FLAGS_ENABLE;
	x->all_masked = flags & PCI_MSIX_FLAGS_MASKALL;
	trace(IRQ, "slot %u: msix %s%s", x->pci->slot, x->enabled ? "on" : "off",
	      x->all_masked ? ", masked" : "");
	/* What waited for the last driver must not surprise the next one. */
	if (!x->enabled)
		x->pending = 0;
	for (unsigned i = 0; i < x->n; i++)
		msix_settle(x, i);
	pthread_mutex_unlock(&x->lock);
}

void msix_fire(struct msix *x, unsigned i)
{
	if (i >= x->n)
		return;
	pthread_mutex_lock(&x->lock);
	if (x->enabled) {
		x->pending |= BIT(i);
		msix_settle(x, i);
	}
	pthread_mutex_unlock(&x->lock);
}

void msix_sender_add(struct msix *x, struct msix_sender *s)
{
	s->fd = -1;
	s->entry = x->n;
	s->next = x->senders;
	x->senders = s;
}

void msix_sender_move(struct msix *x, struct msix_sender *s, unsigned entry)
{
	pthread_mutex_lock(&x->lock);
	s->entry = entry;
	if (entry < x->n)
		msix_settle(x, entry);
	else
		msix_sender_tell(s, -1);
	pthread_mutex_unlock(&x->lock);
}

bool msix_enabled(struct msix *x)
{
	bool on;

	pthread_mutex_lock(&x->lock);
	on = x->enabled;
	pthread_mutex_unlock(&x->lock);
	return on;
}

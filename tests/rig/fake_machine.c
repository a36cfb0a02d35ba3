/* SPDX-License-Identifier: MIT */
/* fake_machine.c: records what devices do to the machine. */
#include "tests/rig/fake_machine.h"

#include <linux/pci_regs.h>

static void fake_irq_set(struct irq_line *l, bool level)
{
	struct fake_irq *q = container_of(l, struct fake_irq, line);

	q->sets++;
	q->edges += level && !q->level;
	q->level = level;
}

static struct irq_line *fake_irq(struct machine *m, unsigned gsi)
{
	struct fake_machine *f = container_of(m, struct fake_machine, m);

	return gsi < IOAPIC_PINS ? &f->irq[gsi].line : NULL;
}

static struct fake_eoi *fake_eoi_of(struct irq_eoi *e)
{
	return container_of(e, struct fake_eoi, line);
}

static void fake_eoi_raise(struct irq_eoi *line)
{
	struct fake_eoi *e = fake_eoi_of(line);

	e->raises++;
	e->eois = 0;
	e->up = true;
	e->level = true;
}

static bool fake_eoi_acked(struct irq_eoi *line)
{
	struct fake_eoi *e = fake_eoi_of(line);

	if (atomic_exchange(&e->eois, 0))
		e->up = false;
	return !e->up;
}

/* As with KVM's: an EOI that acked() took meanwhile is no longer there to be reported. */
static void fake_eoi_came(struct loop_event *event)
{
	struct fake_eoi *e = container_of(event, struct fake_eoi, event);

	if (e->eois && atomic_exchange(&e->watched, false))
		e->line.came(&e->line);
}

static int fake_eoi_watch(struct irq_eoi *line, struct loop *l)
{
	struct fake_eoi *e = fake_eoi_of(line);

	if (!e->in_loop)
		BUG_ON(loop_event_init(l, &e->event, fake_eoi_came));
	e->in_loop = true;
	e->watched = true;
	if (e->eois)
		loop_event_signal(&e->event);
	return 0;
}

static const struct irq_eoi_ops fake_eoi_ops = {
	.raise = fake_eoi_raise,
	.acked = fake_eoi_acked,
	.watch = fake_eoi_watch,
};

static struct irq_eoi *fake_irq_eoi(struct machine *m, unsigned gsi)
{
	struct fake_machine *f = container_of(m, struct fake_machine, m);
	struct fake_eoi *e;

	if (gsi >= IOAPIC_PINS || f->n_eois == FAKE_EOI_MAX)
		return NULL;
	e = &f->eoi[f->n_eois++];
	e->line.ops = &fake_eoi_ops;
	e->gsi = gsi;
	return &e->line;
}

bool fake_gsi_level(struct fake_machine *f, unsigned gsi)
{
	bool level = f->irq[gsi].level;

	for (unsigned i = 0; i < f->n_eois; i++)
		level = level || (f->eoi[i].gsi == gsi && f->eoi[i].level);
	return level;
}

unsigned fake_gsi_raised(struct fake_machine *f, unsigned gsi)
{
	unsigned n = f->irq[gsi].edges;

	for (unsigned i = 0; i < f->n_eois; i++)
		n += f->eoi[i].gsi == gsi ? f->eoi[i].raises : 0;
	return n;
}

void fake_guest_eoi(struct fake_machine *f, unsigned gsi)
{
	for (unsigned i = 0; i < f->n_eois; i++) {
		if (f->eoi[i].gsi != gsi)
			continue;
		f->eoi[i].level = false;
		f->eoi[i].eois++;
		if (f->eoi[i].watched)
			loop_event_signal(&f->eoi[i].event);
	}
}

void fake_eoi_forget(struct fake_machine *f, const void *user)
{
	for (unsigned i = 0; i < f->n_eois; i++) {
		if (f->eoi[i].line.user != user)
			continue;
		f->eoi[i].gsi = IOAPIC_PINS;
		f->eoi[i].watched = false;
	}
}

struct fake_msi *fake_msi_of(struct msi_vec *v)
{
	return container_of(v, struct fake_msi, vec);
}

static int fake_msi_route(struct msi_vec *v, uint64_t addr, uint32_t data)
{
	struct fake_msi *k = fake_msi_of(v);

	k->addr = addr;
	k->data = data;
	k->routes++;
	return 0;
}

static void fake_msi_fire(struct msi_vec *v)
{
	struct fake_msi *k = fake_msi_of(v);

	k->fires += k->routes > 0;
}

static int fake_msi_fd(struct msi_vec *v)
{
	return fake_msi_of(v)->fd;
}

static const struct msi_ops fake_msi_ops = {
	.route = fake_msi_route,
	.fire = fake_msi_fire,
	.fd = fake_msi_fd,
};

static struct msi_vec *fake_msi_alloc(struct msi_router *r)
{
	struct fake_machine *f = container_of(r, struct fake_machine, router);

	return f->n_msi < f->max_msi ? &f->msi[f->n_msi++].vec : NULL;
}

static void fake_stop(struct machine *m, enum stop_reason why, int code)
{
	struct fake_machine *f = container_of(m, struct fake_machine, m);

	if (f->stops++)
		return;
	f->why = why;
	f->code = code;
}

struct fake_machine *fake_machine_new(uint64_t ram)
{
	struct fake_machine *f = calloc(1, sizeof(*f));

	BUG_ON(!f || gm_init(&f->m.mem, ram));
	bus_init(&f->m.pio, "pio", true);
	bus_init(&f->m.mmio, "mmio", false);
	f->m.loop = loop_new();
	f->m.watcher = watcher_new();
	BUG_ON(!f->m.loop);
	for (unsigned i = 0; i < IOAPIC_PINS; i++)
		f->irq[i].line.set = fake_irq_set;
	for (unsigned i = 0; i < FAKE_MSI_MAX; i++) {
		f->msi[i].vec.ops = &fake_msi_ops;
		f->msi[i].fd = FAKE_MSI_FD + (int)i;
	}
	f->max_msi = FAKE_MSI_MAX;
	f->router.alloc = fake_msi_alloc;
	f->m.msi = &f->router;
	f->m.irq = fake_irq;
	f->m.irq_eoi = fake_irq_eoi;
	f->m.stop = fake_stop;
	return f;
}

void fake_machine_free(struct fake_machine *f)
{
	watcher_free(f->m.watcher);
	for (unsigned i = 0; i < f->n_eois; i++)
		if (f->eoi[i].in_loop)
			loop_event_destroy(&f->eoi[i].event);
	loop_free(f->m.loop);
	bus_destroy(&f->m.pio);
	bus_destroy(&f->m.mmio);
	gm_destroy(&f->m.mem);
	free(f);
}

unsigned fake_machine_run(struct fake_machine *f)
{
	unsigned done = 0, n;

	while (watcher_look(f->m.watcher), (n = (unsigned)loop_once(f->m.loop, 0)) > 0) {
		done += n;
		BUG_ON(done > 100000);
	}
	return done;
}

static void fake_pci_select(struct fake_machine *f, unsigned slot, unsigned off)
{
	bus_write(&f->m.pio, PORT_PCI_CONFIG, 4, 0x80000000u | slot << 11 | (off & 0xfc));
}

uint32_t fake_pci_read(struct fake_machine *f, unsigned slot, unsigned off, unsigned size)
{
	fake_pci_select(f, slot, off);
	return (uint32_t)bus_read(&f->m.pio, PORT_PCI_CONFIG + 4 + (off & 3), size);
}

void fake_pci_write(struct fake_machine *f, unsigned slot, unsigned off, unsigned size,
		    uint32_t val)
{
	fake_pci_select(f, slot, off);
	bus_write(&f->m.pio, PORT_PCI_CONFIG + 4 + (off & 3), size, val);
}

uint32_t fake_pci_bar(struct fake_machine *f, unsigned slot, unsigned n)
{
	uint32_t v = fake_pci_read(f, slot, PCI_BASE_ADDRESS_0 + 4 * n, 4);

	return v & PCI_BASE_ADDRESS_SPACE_IO ? v & ~UINT32_C(3) : v & ~UINT32_C(15);
}

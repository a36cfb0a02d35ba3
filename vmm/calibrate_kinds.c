/* SPDX-License-Identifier: MIT */
/*
 * calibrate_kinds.c: the kinds of events, one row each, and what must be set up for
 * them. Where an event has a part that is a kind of its own (the port write by which the
 * guest asks for an interrupt), that part is the base that is subtracted.
 */
#include "guest/payload/calibrate.h"
#include "vmm/calibrate.h"
#include "vmm/layout.h"
#include "vmm/log.h"
#include "vmm/sidecar.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CAL_PAGE 4096
#define CAL_SLOT 2 /* 0 and 1 are RAM's */

/* --- eventfds ----------------------------------------------------------------------- */

static int set_fd(struct cal *c)
{
	c->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return c->fd < 0 ? -errno : 0;
}

static int fd_signal(int fd)
{
	uint64_t one = 1;

	return write(fd, &one, sizeof(one)) < 0 ? -errno : 0;
}

/* Signals since the last look. */
static uint64_t fd_count(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static uint64_t fd_proof(struct cal *c)
{
	return fd_count(c->fd);
}

static int set_doorbell(struct cal *c, struct region *r, unsigned size)
{
	int err = set_fd(c);

	r->doorbell[0] = (struct doorbell){ .size = size, .fd = c->fd };
	r->n_doorbells = 1;
	return err;
}

static int set_doorbell_pio(struct cal *c)
{
	return set_doorbell(c, &c->port, 4);
}

static int set_doorbell_mmio(struct cal *c)
{
	return set_doorbell(c, &c->mmio, 4);
}

static int set_doorbell_any(struct cal *c)
{
	return set_doorbell(c, &c->mmio, 0);
}

static int host_fd_write(struct cal *c, unsigned n)
{
	int err = 0;

	for (unsigned i = 0; i < n && !err; i++)
		err = fd_signal(c->fd);
	return err;
}

/* --- memory ------------------------------------------------------------------------- */

static int page_alloc(struct cal *c)
{
	c->page = aligned_alloc(CAL_PAGE, CAL_PAGE);
	if (!c->page)
		return -ENOMEM;
	c->page[0] = 1; /* the host has it, whatever the guest does first */
	return 0;
}

static int page_map(struct cal *c, bool readonly)
{
	int err = page_alloc(c);

	return err ? err : kvm_set_slot(&c->kvm, CAL_SLOT, CAL_MMIO, CAL_PAGE, c->page, readonly);
}

static int set_ram(struct cal *c)
{
	return page_map(c, false);
}

static int set_rom(struct cal *c)
{
	return page_map(c, true);
}

static int set_rom_doorbell(struct cal *c)
{
	int err = set_rom(c);

	return err ? err : set_doorbell_mmio(c);
}

static int host_flip(struct cal *c, unsigned n)
{
	int err = 0;

	for (unsigned i = 0; i < n && !err; i++)
		err = kvm_set_slot(&c->kvm, CAL_SLOT, CAL_MMIO, i % 2 ? 0 : CAL_PAGE, c->page,
				   false);
	return err;
}

/* --- coalesced MMIO -------------------------------------------------------------------- */

static int set_coalesced(struct cal *c)
{
	struct bus_accel *a = &c->kvm.mmio.accel;

	return a->coalesce(a, CAL_MMIO, CAL_PAGE, true);
}

static int set_rom_coalesced(struct cal *c)
{
	int err = set_rom(c);

	return err ? err : set_coalesced(c);
}

/* Empty the ring, which has room for more than a batch. */
static uint64_t ring_drain(struct cal *c)
{
	struct bus_accel *a = &c->kvm.mmio.accel;
	uint64_t n = 0;

	for (; a->queued(a, NULL); n++)
		a->unqueue(a);
	return n;
}

/* --- interrupts -------------------------------------------------------------------------- */

static void raise_line(struct cal *c)
{
	struct irq_line *l = irq_kvm_line(c->irq, CAL_GSI);

	irq_set(l, true);
	irq_set(l, false);
}

static int set_irqfd(struct cal *c)
{
	int err = set_fd(c);

	return err ? err : irq_kvm_irqfd(&c->kvm, CAL_GSI, c->fd, -1);
}

static int set_irqfd_resample(struct cal *c)
{
	int err = set_fd(c);

	if (err)
		return err;
	c->resample_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->resample_fd < 0)
		return -errno;
	return irq_kvm_irqfd(&c->kvm, CAL_GSI, c->fd, c->resample_fd);
}

static void raise_irqfd(struct cal *c)
{
	int err = fd_signal(c->fd);

	c->err = c->err ? c->err : err;
}

static uint64_t resample_proof(struct cal *c)
{
	return fd_count(c->resample_fd);
}

static int set_msi(struct cal *c)
{
	struct msi_router *r = irq_kvm_router(c->irq);

	c->msi = r->alloc(r);
	return c->msi ? msi_route(c->msi, LAPIC_BASE, CAL_VECTOR) : -ENOSPC;
}

static void raise_msi(struct cal *c)
{
	msi_fire(c->msi);
}

static void raise_signal_msi(struct cal *c)
{
	struct kvm_msi msi = { .address_lo = (uint32_t)LAPIC_BASE, .data = CAL_VECTOR };
	int ret = kvm_ioctl(c->kvm.vm, KVM_SIGNAL_MSI, &msi); /* > 0: somebody took it */

	c->err = c->err ? c->err : MIN(ret, 0);
}

/* --- a second thread ----------------------------------------------------------------------- */

static int set_wake_hlt(struct cal *c)
{
	c->worker.answer = raise_msi;
	return set_msi(c);
}

static void raise_by_worker(struct cal *c)
{
	loop_event_signal(&c->worker.kick);
}

static void answer_fd(struct cal *c)
{
	if (fd_signal(c->fd) < 0)
		log_error("calibrate: a wake-up was lost");
}

static int set_wake(struct cal *c)
{
	c->worker.answer = answer_fd;
	c->fd = eventfd(0, EFD_CLOEXEC); /* blocking; vcpu_stop()'s signal ends a wait */
	return c->fd < 0 ? -errno : 0;
}

/* There and back, so that neither has anything to do while the other is woken. */
static int host_wake(struct cal *c, unsigned n)
{
	for (unsigned i = 0; i < n; i += 2) {
		loop_event_signal(&c->worker.kick);
		if (!fd_count(c->fd))
			return -EINTR;
	}
	return 0;
}

/* --- the sidecar -------------------------------------------------------------------------- */

static int set_sidecar(struct cal *c)
{
	char why[256];

	c->sidecar = sidecar_new(why, sizeof(why));
	if (!c->sidecar)
		log_error("%s", why);
	return c->sidecar ? 0 : -EIO;
}

static int host_sidecar(struct cal *c, unsigned n)
{
	return sidecar_exits(c->sidecar, n) == n ? 0 : -EIO;
}

/* What takes no exit needs many to show. Batches of coalesced writes must fit the ring. */
#define MANY 4096
#define SOME 64
#define FEW  16

#define CAP(name) .cap = KVM_CAP_##name, .cap_name = "KVM_CAP_" #name

/* clang-format off */
const struct cal_kind cal_kinds[CAL_KINDS] = {
	{ "pio_read", "port read, to userspace",
	  CAL_OP_IN, .batch = SOME, .seen = true },
	{ "pio_write", "port write, to userspace",
	  CAL_OP_OUT, .batch = SOME, .seen = true },
	{ "mmio_read", "MMIO read, to userspace",
	  CAL_OP_LOAD, .where = CAL_MMIO, .batch = SOME, .seen = true },
	{ "mmio_write", "MMIO write, to userspace",
	  CAL_OP_STORE, .where = CAL_MMIO, .batch = SOME, .seen = true },
	{ "ioeventfd_pio", "port write, to an eventfd",
	  CAL_OP_OUT, .batch = SOME, .setup = set_doorbell_pio, .proof = fd_proof },
	{ "ioeventfd_mmio", "MMIO write, to an eventfd (4 bytes)",
	  CAL_OP_STORE, .where = CAL_MMIO, .batch = SOME, .setup = set_doorbell_mmio,
	  .proof = fd_proof },
	{ "ioeventfd_any", "MMIO write, to an eventfd (any length)",
	  CAL_OP_STORE, .where = CAL_MMIO, .batch = SOME, .setup = set_doorbell_any,
	  .proof = fd_proof, CAP(IOEVENTFD_ANY_LENGTH) },
	{ "coalesced", "MMIO write, to the coalesced ring",
	  CAL_OP_STORE, .where = CAL_MMIO, .batch = SOME, .setup = set_coalesced,
	  .proof = ring_drain, CAP(COALESCED_MMIO) },
	{ "rom_read", "read of a read-only slot",
	  CAL_OP_LOAD, .where = CAL_MMIO, .batch = MANY, .setup = set_rom, CAP(READONLY_MEM) },
	{ "rom_write", "write to a read-only slot, to userspace",
	  CAL_OP_STORE, .where = CAL_MMIO, .batch = SOME, .seen = true, .setup = set_rom,
	  CAP(READONLY_MEM) },
	{ "rom_ioeventfd", "write to a read-only slot, to an eventfd",
	  CAL_OP_STORE, .where = CAL_MMIO, .batch = SOME, .setup = set_rom_doorbell,
	  .proof = fd_proof, CAP(READONLY_MEM) },
	{ "rom_coalesced", "write to a read-only slot, to the coalesced ring",
	  CAL_OP_STORE, .where = CAL_MMIO, .batch = SOME, .setup = set_rom_coalesced,
	  .proof = ring_drain, CAP(READONLY_MEM) },
	{ "ram_read", "read of RAM",
	  CAL_OP_LOAD, .where = CAL_MMIO, .batch = MANY, .setup = set_ram },
	{ "ram_write", "write to RAM (a doorbell that is polled)",
	  CAL_OP_STORE, .where = CAL_MMIO, .batch = MANY, .setup = set_ram },
	{ "irq_line", "interrupt by KVM_IRQ_LINE, up and down, with EOI",
	  CAL_OP_IRQ, CAL_OP_OUT, .batch = SOME, .seen = true, .raise = raise_line },
	{ "irq_irqfd", "interrupt by irqfd on a level line, with EOI",
	  CAL_OP_IRQ, CAL_OP_OUT, .batch = SOME, .seen = true, .setup = set_irqfd,
	  .raise = raise_irqfd },
	{ "irq_resample", "interrupt by irqfd with resample, with EOI",
	  CAL_OP_IRQ, CAL_OP_OUT, .batch = SOME, .seen = true, .setup = set_irqfd_resample,
	  .raise = raise_irqfd, .proof = resample_proof, CAP(IRQFD_RESAMPLE) },
	{ "msi_irqfd", "message by irqfd, with EOI",
	  CAL_OP_IRQ, CAL_OP_OUT, .batch = SOME, .seen = true, .setup = set_msi,
	  .raise = raise_msi },
	{ "msi_signal", "message by KVM_SIGNAL_MSI, with EOI",
	  CAL_OP_IRQ, CAL_OP_OUT, .batch = SOME, .seen = true, .raise = raise_signal_msi,
	  CAP(SIGNAL_MSI) },
	{ "eoi", "EOI with nothing in service",
	  CAL_OP_STORE, .where = LAPIC_EOI, .batch = SOME },
	{ "hlt_wake", "HLT, woken by a worker thread's message",
	  CAL_OP_HLT, CAL_OP_OUT, .batch = FEW, .seen = true, .setup = set_wake_hlt,
	  .raise = raise_by_worker },
	{ "slot_flip", "memory slot set or removed (host)",
	  CAL_OP_LOOP, .batch = FEW, .setup = page_alloc, .host = host_flip },
	{ "eventfd_write", "write to an eventfd, nobody waits (host)",
	  CAL_OP_LOOP, .batch = SOME, .setup = set_fd, .host = host_fd_write,
	  .proof = fd_proof },
	{ "thread_wake", "wake-up of a thread, by eventfd and epoll (host)",
	  CAL_OP_LOOP, .batch = FEW, .setup = set_wake, .host = host_wake },
	{ "sidecar_exit", "artificial exit (host)",
	  CAL_OP_LOOP, .batch = SOME, .setup = set_sidecar, .host = host_sidecar },
};
/* clang-format on */

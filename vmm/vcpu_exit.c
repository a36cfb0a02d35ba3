/* SPDX-License-Identifier: MIT */
/*
 * vcpu_exit.c: why the guest left, and what we do about it: a table of small
 * functions, indexed by KVM's exit reason (Documentation/virt/kvm/api.rst, section 5).
 */
#include "vmm/trace.h"
#include "vmm/vcpu.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

/* Instruction pointer, or 0 when nobody knows. */
static uint64_t vcpu_rip(const struct vcpu *c)
{
	struct kvm_regs regs;

	return c->fd >= 0 && !kvm_ioctl(c->fd, KVM_GET_REGS, &regs) ? regs.rip : 0;
}

enum verdict vcpu_explain(struct vcpu *c, enum verdict v, const char *fmt, ...)
{
	char text[224];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(c->why, sizeof(c->why), "vcpu%u at RIP %#" PRIx64 ": %s", c->id, vcpu_rip(c),
		 text);
	return v;
}

/* Little-endian, as both the guest and we are. */
static uint64_t vcpu_load(const uint8_t *p, unsigned size)
{
	uint64_t val = 0;

	memcpy(&val, p, size);
	return val;
}

static void vcpu_access(struct bus *b, bool write, uint64_t addr, unsigned size, uint8_t *p)
{
	uint64_t val;

	if (write) {
		bus_write(b, addr, size, vcpu_load(p, size));
	} else {
		val = bus_read(b, addr, size);
		memcpy(p, &val, size);
	}
}

static enum verdict exit_io(struct vcpu *c, struct kvm_run *r)
{
	uint8_t *p = (uint8_t *)r + r->io.data_offset;

	/* REP INS/OUTS: the port stays, the data moves. */
	for (uint32_t i = 0; i < r->io.count; i++, p += r->io.size)
		vcpu_access(&c->m->pio, r->io.direction == KVM_EXIT_IO_OUT, r->io.port, r->io.size,
			    p);
	return VERDICT_RUN;
}

static enum verdict exit_mmio(struct vcpu *c, struct kvm_run *r)
{
	uint64_t addr = r->mmio.phys_addr;
	unsigned len = MIN(r->mmio.len, (unsigned)sizeof(r->mmio.data)), size;
	uint8_t *p = r->mmio.data;

	if (!r->mmio.is_write)
		memset(p, 0, sizeof(r->mmio.data));
	for (; len; len -= size, addr += size, p += size) {
		size = bus_piece(len);
		vcpu_access(&c->m->mmio, r->mmio.is_write, addr, size, p);
	}
	return VERDICT_RUN;
}

static enum verdict exit_again(struct vcpu *c, struct kvm_run *r)
{
	(void)c;
	(void)r;
	return VERDICT_RUN;
}

static enum verdict exit_shutdown(struct vcpu *c, struct kvm_run *r)
{
	(void)r;
	return vcpu_explain(c, VERDICT_CRASH, "triple fault");
}

static const char *exit_suberror(uint32_t suberror)
{
	switch (suberror) {
	case KVM_INTERNAL_ERROR_EMULATION:
		return "KVM cannot emulate this instruction";
	case KVM_INTERNAL_ERROR_SIMUL_EX:
		return "exceptions at the same time";
	case KVM_INTERNAL_ERROR_DELIVERY_EV:
		return "failed to deliver an event";
	case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
		return "unexpected exit of the processor";
	default:
		return "unknown";
	}
}

/* The instruction's bytes as KVM saw them, in hex, or "unknown". */
static void exit_insn_bytes(const struct kvm_run *r, char *s, size_t len)
{
	const uint8_t *p = r->emulation_failure.insn_bytes;
	unsigned n = MIN(r->emulation_failure.insn_size,
			 (uint8_t)sizeof(r->emulation_failure.insn_bytes));
	bool given =
		r->internal.suberror == KVM_INTERNAL_ERROR_EMULATION &&
		r->emulation_failure.ndata >= 3 &&
		(r->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES);

	if (!given || !n) {
		snprintf(s, len, "unknown");
		return;
	}
	for (unsigned i = 0; i < n; i++)
		snprintf(s + 3 * i, len - 3 * i, i + 1 < n ? "%02x " : "%02x", p[i]);
}

static enum verdict exit_internal_error(struct vcpu *c, struct kvm_run *r)
{
	char insn[3 * sizeof(r->emulation_failure.insn_bytes) + 1];

	exit_insn_bytes(r, insn, sizeof(insn));
	return vcpu_explain(c, VERDICT_CRASH, "KVM internal error %u (%s), instruction bytes %s",
			    r->internal.suberror, exit_suberror(r->internal.suberror), insn);
}

static enum verdict exit_fail_entry(struct vcpu *c, struct kvm_run *r)
{
	return vcpu_explain(c, VERDICT_CRASH,
			    "the processor refused to enter the guest, hardware reason %#" PRIx64,
			    (uint64_t)r->fail_entry.hardware_entry_failure_reason);
}

static enum verdict exit_system_event(struct vcpu *c, struct kvm_run *r)
{
	switch (r->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		c->m->stop(c->m, STOP_POWEROFF, 0);
		return VERDICT_STOP;
	case KVM_SYSTEM_EVENT_RESET:
		c->m->stop(c->m, STOP_RESET, 0);
		return VERDICT_STOP;
	default:
		return vcpu_explain(c, VERDICT_CRASH, "system event %u", r->system_event.type);
	}
}

static const struct {
	const char *name;
	enum verdict (*handle)(struct vcpu *c, struct kvm_run *r);
} vcpu_exits[] = {
	[KVM_EXIT_UNKNOWN] = { "unknown", NULL },
	[KVM_EXIT_IO] = { "io", exit_io },
	[KVM_EXIT_MMIO] = { "mmio", exit_mmio },
	[KVM_EXIT_HLT] = { "hlt", exit_again },
	[KVM_EXIT_INTR] = { "intr", exit_again },
	[KVM_EXIT_IRQ_WINDOW_OPEN] = { "irq_window_open", exit_again },
	[KVM_EXIT_SHUTDOWN] = { "shutdown", exit_shutdown },
	[KVM_EXIT_FAIL_ENTRY] = { "fail_entry", exit_fail_entry },
	[KVM_EXIT_INTERNAL_ERROR] = { "internal_error", exit_internal_error },
	[KVM_EXIT_SYSTEM_EVENT] = { "system_event", exit_system_event },
};

const char *vcpu_exit_name(unsigned reason)
{
	return reason < ARRAY_SIZE(vcpu_exits) ? vcpu_exits[reason].name : NULL;
}

enum verdict vcpu_exit(struct vcpu *c, struct kvm_run *r)
{
	uint32_t reason = r->exit_reason;
	const char *name = vcpu_exit_name(reason);

	counter_inc(&c->exits[reason < VCPU_EXITS ? reason : KVM_EXIT_UNKNOWN]);
	trace(EXIT, "%s (%u)", name ? name : "?", reason);
	bus_drain(&c->m->mmio); /* what the guest wrote before this */
	if (reason < ARRAY_SIZE(vcpu_exits) && vcpu_exits[reason].handle)
		return vcpu_exits[reason].handle(c, r);
	return vcpu_explain(c, VERDICT_CRASH, "KVM exit %u, which duet does not know", reason);
}

/* SPDX-License-Identifier: MIT */
/*
 * vcpu_x86.c: what a vCPU looks like before its first instruction: CPUID (what KVM
 * offers, with a topology of our own: one package, one thread per core), MSRs, local
 * APIC and registers. Numbers: Intel SDM vol. 2 CPUID and vol. 3 chapter 11 (APIC);
 * AMD APM vol. 3 appendix E.
 */
#include "vmm/layout.h"
#include "vmm/vcpu.h"

#include <errno.h>
#include <string.h>

#define CPUID_ENTRIES_MAX 256
#define CPUID_OURS        8 /* entries we may add */

#define CPUID_1_ECX_TSC_DEADLINE BIT(24)
#define CPUID_1_ECX_OSXSAVE      BIT(27)
#define CPUID_1_ECX_HYPERVISOR   BIT(31)
#define CPUID_1_EDX_HTT          BIT(28)
#define CPUID_AMD1_ECX_CMPLEGACY BIT(1)

#define MSR_IA32_MISC_ENABLE             0x1a0
#define MSR_IA32_MISC_ENABLE_FAST_STRING BIT(0)
#define MSR_MTRR_DEF_TYPE                0x2ff
#define MTRR_ENABLED_WRITE_BACK          (BIT(11) | 6)

#define APIC_LVT_LINT0   0x350
#define APIC_LVT_LINT1   0x360
#define APIC_MODE_NMI    (4 << 8)
#define APIC_MODE_EXTINT (7 << 8)

#define X86_CR0_PE   BIT64(0)
#define X86_CR0_ET   BIT64(4)
#define X86_CR0_PG   BIT64(31)
#define X86_CR4_PAE  BIT64(5)
#define EFER_LME     BIT64(8)
#define EFER_LMA     BIT64(10)
#define X86_RFLAGS_1 BIT64(1) /* always set */

struct cpuid {
	struct kvm_cpuid2 *table;
	unsigned id, count, bits; /* bits: of an APIC ID */
	bool amd;                 /* or Hygon: leaves that mean nothing elsewhere */
};

/* How many bits number `count` things. */
static unsigned cpuid_bits(unsigned count)
{
	unsigned bits = 0;

	while (1U << bits < count)
		bits++;
	return bits;
}

static void cpuid_leaf1(const struct cpuid *x, struct kvm_cpuid_entry2 *e, bool tsc_deadline)
{
	e->ebx = (e->ebx & 0xffff) | (x->id << 24) | ((1U << x->bits) << 16);
	e->ecx &= ~(CPUID_1_ECX_OSXSAVE | CPUID_1_ECX_TSC_DEADLINE);
	e->ecx |= CPUID_1_ECX_HYPERVISOR | (tsc_deadline ? CPUID_1_ECX_TSC_DEADLINE : 0);
	e->edx = x->count > 1 ? e->edx | CPUID_1_EDX_HTT : e->edx & ~CPUID_1_EDX_HTT;
}

/* Leaves 4 and 0x8000001d, one subleaf per cache: levels 1 and 2 a core's own, 3 shared. */
static void cpuid_cache(const struct cpuid *x, struct kvm_cpuid_entry2 *e)
{
	unsigned level = (e->eax >> 5) & 7, cores = (1U << x->bits) - 1;

	if (!(e->eax & 0x1f)) /* no such cache */
		return;
	e->eax = (e->eax & 0x3fff) | (level >= 3 ? cores << 14 : 0);
	if (e->function == 4)
		e->eax |= cores << 26;
}

static void cpuid_fix_amd(const struct cpuid *x, struct kvm_cpuid_entry2 *e)
{
	switch (e->function) {
	case 0x80000001:
		e->ecx &= ~CPUID_AMD1_ECX_CMPLEGACY;
		if (x->count > 1)
			e->ecx |= CPUID_AMD1_ECX_CMPLEGACY;
		break;
	case 0x80000008: /* number of cores - 1, and the bits that number them */
		e->ecx = (e->ecx & ~0xf0ffU) | (x->bits << 12) | (x->count - 1);
		break;
	case 0x8000001e: /* APIC ID; core ID, one thread each; node 0 of 1 */
		e->eax = x->id;
		e->ebx = x->id;
		e->ecx = 0;
		break;
	}
}

static void cpuid_fix(const struct cpuid *x, struct kvm_cpuid_entry2 *e, bool tsc_deadline)
{
	switch (e->function) {
	case 1:
		cpuid_leaf1(x, e, tsc_deadline);
		break;
	case 4:
	case 0x8000001d:
		cpuid_cache(x, e);
		break;
	}
	if (x->amd)
		cpuid_fix_amd(x, e);
}

static void cpuid_drop(struct kvm_cpuid2 *t, uint32_t function)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < t->nent; i++)
		if (t->entries[i].function != function)
			t->entries[kept++] = t->entries[i];
	t->nent = kept;
}

/* Extended topology: subleaf 0 the thread level, 1 the core level, 2 the end. */
static void cpuid_add_topology(const struct cpuid *x, uint32_t function)
{
	struct kvm_cpuid2 *t = x->table;

	cpuid_drop(t, function);
	for (unsigned level = 0; level < 3; level++)
		t->entries[t->nent++] = (struct kvm_cpuid_entry2){
			.function = function,
			.index = level,
			.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
			.eax = level == 1 ? x->bits : 0,
			.ebx = level == 0   ? 1
			       : level == 1 ? x->count
					    : 0,
			.ecx = level < 2 ? (level + 1) << 8 | level : level,
			.edx = x->id,
		};
}

static void cpuid_build(struct cpuid *x, bool tsc_deadline)
{
	struct kvm_cpuid2 *t = x->table;
	uint32_t max = 0;

	for (unsigned i = 0; i < t->nent; i++)
		if (!t->entries[i].function) {
			max = t->entries[i].eax;
			x->amd = !memcmp(&t->entries[i].ebx, "Auth", 4) ||
				 !memcmp(&t->entries[i].ebx, "Hygo", 4);
		}
	for (unsigned i = 0; i < t->nent; i++)
		cpuid_fix(x, &t->entries[i], tsc_deadline);
	if (max >= 0xb)
		cpuid_add_topology(x, 0xb);
	if (max >= 0x1f)
		cpuid_add_topology(x, 0x1f);
}

int vcpu_set_cpuid(struct vcpu *c, int dev, unsigned count)
{
	struct cpuid x = { .id = c->id, .count = count, .bits = cpuid_bits(count) };
	int err;

	x.table = calloc(1, sizeof(*x.table) + CPUID_ENTRIES_MAX * sizeof(x.table->entries[0]));
	if (!x.table)
		return -ENOMEM;
	x.table->nent = CPUID_ENTRIES_MAX - CPUID_OURS;
	err = kvm_ioctl(dev, KVM_GET_SUPPORTED_CPUID, x.table);
	if (!err) {
		cpuid_build(&x, kvm_dev_cap(dev, KVM_CAP_TSC_DEADLINE_TIMER));
		err = kvm_ioctl(c->fd, KVM_SET_CPUID2, x.table);
	}
	free(x.table);
	return err;
}

/* Fast string operations on, memory write-back unless said otherwise: a BIOS's work. */
int vcpu_set_msrs(struct vcpu *c)
{
	_Alignas(struct kvm_msrs)
		uint8_t buf[sizeof(struct kvm_msrs) + 2 * sizeof(struct kvm_msr_entry)] = { 0 };
	struct kvm_msrs *l = (struct kvm_msrs *)buf;
	int n;

	l->nmsrs = 1;
	l->entries[0].index = MSR_IA32_MISC_ENABLE;
	n = kvm_ioctl(c->fd, KVM_GET_MSRS, l);
	if (n < 0)
		return n;
	l->entries[0].data |= MSR_IA32_MISC_ENABLE_FAST_STRING;
	l->entries[1].index = MSR_MTRR_DEF_TYPE;
	l->entries[1].data = MTRR_ENABLED_WRITE_BACK;
	l->nmsrs = 2;
	n = kvm_ioctl(c->fd, KVM_SET_MSRS, l);
	return n < 0 ? n : 0;
}

/* As a BIOS leaves the first local APIC: the PICs on LINT0, NMI on LINT1. */
int vcpu_set_lapic(struct vcpu *c)
{
	struct kvm_lapic_state s;
	uint32_t lint0 = APIC_MODE_EXTINT, lint1 = APIC_MODE_NMI;
	int err = kvm_ioctl(c->fd, KVM_GET_LAPIC, &s);

	if (err)
		return err;
	memcpy(s.regs + APIC_LVT_LINT0, &lint0, sizeof(lint0));
	memcpy(s.regs + APIC_LVT_LINT1, &lint1, sizeof(lint1));
	return kvm_ioctl(c->fd, KVM_SET_LAPIC, &s);
}

/* A flat segment as boot_gdt (boot.c) describes it. */
static struct kvm_segment vcpu_segment(uint16_t selector, uint8_t type, bool code, bool mode64)
{
	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.s = 1,
		.db = !(code && mode64),
		.l = code && mode64,
		.g = 1,
	};
}

static void vcpu_set_segments(struct kvm_sregs *s, bool mode64)
{
	struct kvm_segment data = vcpu_segment(BOOT_SEL_DS, 3, false, mode64);

	s->cs = vcpu_segment(mode64 ? BOOT_SEL_CS : BOOT_SEL_CS32, 11, true, mode64);
	s->ds = s->es = s->fs = s->gs = s->ss = data;
	s->tr = (struct kvm_segment){
		.limit = 0x67, .selector = BOOT_SEL_TR, .type = 11, .present = 1
	};
	s->gdt.base = BOOT_GDT;
	s->gdt.limit = BOOT_SEL_END - 1;
	s->idt.limit = 0;
}

static int vcpu_set_sregs(struct vcpu *c, enum boot_mode mode)
{
	bool long_mode = mode == BOOT_LONG64;
	struct kvm_sregs s;
	int err = kvm_ioctl(c->fd, KVM_GET_SREGS, &s);

	if (err)
		return err;
	vcpu_set_segments(&s, long_mode);
	s.cr0 = X86_CR0_PE | X86_CR0_ET | (long_mode ? X86_CR0_PG : 0);
	s.cr3 = long_mode ? BOOT_PAGE_TABLES : 0;
	s.cr4 = long_mode ? X86_CR4_PAE : 0;
	s.efer = long_mode ? EFER_LME | EFER_LMA : 0;
	return kvm_ioctl(c->fd, KVM_SET_SREGS, &s);
}

int vcpu_set_entry(struct vcpu *c, const struct boot_entry *e)
{
	struct kvm_regs regs = {
		.rip = e->ip,
		.rflags = X86_RFLAGS_1,
		.rsi = e->mode == BOOT_LONG64 ? e->arg : 0,
		.rbx = e->mode == BOOT_FLAT32 ? e->arg : 0,
	};
	int err = vcpu_set_sregs(c, e->mode);

	return err ? err : kvm_ioctl(c->fd, KVM_SET_REGS, &regs);
}

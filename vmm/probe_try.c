/* SPDX-License-Identifier: MIT */
/*
 * probe_try.c: three guests of a few instructions each. A KVM without hardware behind
 * it may serve small guests well and yet give up on an instruction that its
 * interpreter lacks; these are the first ones that a stock kernel meets on its way.
 * Each guest reports by a port write; silence, a crash or a time-out is a no.
 */
#include "vmm/probe_try.h"

#include "vmm/boot.h"
#include "vmm/layout.h"
#include "vmm/log.h"
#include "vmm/vcpu.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TRY_RAM        (UINT64_C(2) << 20)
#define TRY_CODE       RAM_1M /* data and stack follow; see below */
#define TRY_TIMEOUT_MS 5000

/*
 * The guests: 64-bit code, entered with the low 4 GiB mapped 1:1, linked nowhere and
 * copied to TRY_CODE. 0x101000 and up is zeroed RAM, the stack ends at 0x110000.
 */
extern const char probe_code_cmpxchg16b[], probe_code_xrstor[], probe_code_int3[], probe_code_end[];

asm(".pushsection .rodata\n"
    ".code64\n"
    "probe_code_cmpxchg16b:\n"
    "	mov	$0x101000, %edi\n"
    "	cmpxchg16b (%rdi)\n"
    "	jmp	probe_code_report\n"

    "probe_code_xrstor:\n"
    "	mov	$1, %eax\n"
    "	cpuid\n"
    "	bt	$26, %ecx\n" /* no XSAVE: a kernel will not use it either */
    "	jnc	probe_code_report\n"
    "	mov	%cr4, %rax\n"
    "	or	$0x40600, %eax\n" /* OSXSAVE, OSXMMEXCPT, OSFXSR */
    "	mov	%rax, %cr4\n"
    "	xor	%ecx, %ecx\n"
    "	xor	%edx, %edx\n"
    "	mov	$3, %eax\n" /* x87 and SSE state */
    "	xsetbv\n"
    "	mov	$0x101000, %edi\n"
    "	xrstor	(%rdi)\n"
    "	jmp	probe_code_report\n"

    "probe_code_int3:\n"
    "	mov	$0x110000, %esp\n"
    "	lea	1f(%rip), %rax\n"
    "	mov	$0x101030, %edi\n" /* gate 3 of an IDT at 0x101000 */
    "	mov	%ax, (%rdi)\n"
    "	movw	$0x10, 2(%rdi)\n"   /* BOOT_SEL_CS */
    "	movw	$0x8e00, 4(%rdi)\n" /* present interrupt gate */
    "	shr	$16, %eax\n"
    "	mov	%ax, 6(%rdi)\n"
    "	mov	$0x102000, %edi\n"
    "	movw	$0xfff, (%rdi)\n"
    "	movl	$0x101000, 2(%rdi)\n"
    "	lidt	(%rdi)\n"
    "	int3\n"
    "	jmp	probe_code_report\n"
    "1:	iretq\n"

    "probe_code_report:\n"
    "	out	%al, $0xf4\n" /* PORT_DEBUG_EXIT */
    "2:	hlt\n"
    "	jmp	2b\n"
    "probe_code_end:\n"
    ".popsection\n");

static const struct {
	const char *name, *use, *code;
} try_guests[PROBE_TRIES] = {
	{ "cmpxchg16b", "the memory allocator", probe_code_cmpxchg16b },
	{ "xrstor", "floating-point state", probe_code_xrstor },
	{ "int3", "code patching", probe_code_int3 },
};

/* A machine with one port. */
struct trial {
	struct machine m;
	struct kvm kvm;
	struct vcpu vcpu;
	struct region report;
	int done_fd; /* eventfd: the guest ended, one way or another */
	_Atomic bool success;
};

static uint64_t try_read(void *dev, uint64_t off, unsigned size)
{
	(void)dev;
	(void)off;
	return bus_ones(size);
}

static void try_done(struct trial *t, bool success)
{
	uint64_t one = 1;

	if (success)
		t->success = true;
	if (write(t->done_fd, &one, sizeof(one)) < 0)
		log_error("probe: %s", strerror(errno));
}

static void try_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	(void)off;
	(void)size;
	(void)val;
	try_done(dev, true);
}

static const struct region_ops try_ops = { .read = try_read, .write = try_write, .sizes = 1 };

static void try_stop(struct machine *m, enum stop_reason why, int code)
{
	(void)why;
	(void)code;
	try_done(container_of(m, struct trial, m), false);
}

/* 0, -errno, or with the reason in `why`. */
static int try_build(struct trial *t, const char *code, char *why, size_t why_size)
{
	struct boot_entry entry = { .mode = BOOT_LONG64, .ip = TRY_CODE };
	const char *base = probe_code_cmpxchg16b; /* the first */
	/* Labels of one piece of code, though separate objects to C. */
	size_t size = (uintptr_t)probe_code_end - (uintptr_t)base;
	int err = kvm_open(&t->kvm, why, why_size);

	if (err)
		return err;
	entry.ip += (uintptr_t)code - (uintptr_t)base;
	err = gm_init(&t->m.mem, TRY_RAM);
	if (!err)
		err = gm_write(&t->m.mem, TRY_CODE, base, size);
	if (!err)
		err = boot_tables_write(&t->m.mem);
	if (!err)
		err = kvm_map_memory(&t->kvm, &t->m.mem);
	if (!err)
		err = bus_map(&t->m.pio, &t->report, PORT_DEBUG_EXIT);
	if (!err)
		err = vcpu_init(&t->vcpu, &t->kvm, &t->m, 0, 1);
	if (!err)
		err = vcpu_set_entry(&t->vcpu, &entry);
	if (!err)
		err = vcpu_start(&t->vcpu);
	if (err)
		snprintf(why, why_size, "cannot set up a VM: %s", strerror(-err));
	return err;
}

static void try_run(struct trial *t, struct probe_try *result)
{
	struct pollfd p = { .fd = t->done_fd, .events = POLLIN };
	int n;

	do
		n = poll(&p, 1, TRY_TIMEOUT_MS);
	while (n < 0 && errno == EINTR);
	vcpu_stop(&t->vcpu);
	result->ok = t->success;
	if (!result->ok)
		snprintf(result->why, sizeof(result->why), "%s",
			 n ? t->vcpu.why : "no answer within 5 s");
}

static void try_destroy(struct trial *t)
{
	vcpu_destroy(&t->vcpu);
	kvm_close(&t->kvm);
	gm_destroy(&t->m.mem);
	bus_destroy(&t->m.mmio);
	bus_destroy(&t->m.pio);
	close(t->done_fd);
}

static void try_one(struct probe_try *result, const char *code)
{
	struct trial t = {
		.m.stop = try_stop,
		.vcpu.fd = -1,
		.report = { .name = "probe", .ops = &try_ops, .size = 1 },
		.done_fd = eventfd(0, EFD_CLOEXEC),
	};

	t.report.dev = &t;
	bus_init(&t.m.pio, "pio", true);
	bus_init(&t.m.mmio, "mmio", false);
	if (!try_build(&t, code, result->why, sizeof(result->why)))
		try_run(&t, result);
	try_destroy(&t);
}

void probe_try_all(struct probe_try t[PROBE_TRIES])
{
	for (unsigned i = 0; i < PROBE_TRIES; i++) {
		t[i] = (struct probe_try){ .name = try_guests[i].name, .use = try_guests[i].use };
		try_one(&t[i], try_guests[i].code);
	}
}

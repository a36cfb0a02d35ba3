/* SPDX-License-Identifier: MIT */
/*
 * lab-leave: makes nested interrupts safe under QEMU's TCG. Runs in the lab, where kvm_amd is
 * loaded, and stays; prints a line when it is in force.
 *
 * QEMU (7.2 to 10 at least) delivers the interrupt that a VMRUN injects by EVENTINJ and forgets to
 * say that it has: the processor's exception_index keeps the vector. If the emulator's loop is left
 * for any reason before the next exception or exit (a timer of an instruction-counted machine is
 * due, another processor asks for a flush), it finds the vector there and delivers it once more,
 * even if the guest has interrupts disabled. The guest then runs a handler inside itself: it spins
 * on a lock that it holds, or crashes.
 *
 * The cure from inside: whenever KVM enters a guest with an interrupt to inject, let an interrupt
 * of the lab's own be pending. The processor then leaves the guest again after the injection and
 * before the guest's first instruction, which resets what QEMU forgot. Two eBPF programs do it, on
 *
 *   kvm:kvm_inj_virq   an interrupt goes into EVENTINJ: note the thread
 *   kvm:kvm_entry      interrupts are off, VMRUN is next: is the thread noted? Then return 1, which
 *                      makes the perf event on this tracepoint take a sample, and that sends its
 *                      wake-up by an interrupt to this processor itself
 *
 * It costs each injected interrupt one more exit.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EVENTS  "/sys/kernel/tracing/events/kvm/"
#define THREADS 4096 /* slots for marks, a power of two; a thread's is its number modulo this */

/* The instructions used, as the kernel's documentation names them. */
#define INSN(c, d, s, o, i)                                                                        \
	((struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) })
#define MOV_IMM(d, i)      INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define MOV_REG(d, s)      INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define ADD_IMM(d, i)      INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define AND_IMM(d, i)      INSN(BPF_ALU64 | BPF_AND | BPF_K, d, 0, 0, i)
#define STORE_32(d, o, s)  INSN(BPF_STX | BPF_MEM | BPF_W, d, s, o, 0)
#define STORE_IMM(d, o, i) INSN(BPF_ST | BPF_MEM | BPF_DW, d, 0, o, i)
#define LOAD_64(d, s, o)   INSN(BPF_LDX | BPF_MEM | BPF_DW, d, s, o, 0)
#define JUMP_ZERO(d, o)    INSN(BPF_JMP | BPF_JEQ | BPF_K, d, 0, o, 0)
#define CALL(f)            INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define EXIT()             INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define LOAD_MAP(d, fd)                                                                            \
	INSN(BPF_LD | BPF_DW | BPF_IMM, d, BPF_PSEUDO_MAP_FD, 0, fd), INSN(0, 0, 0, 0, 0)

/* R0: this thread's slot of map `fd`, never NULL, but the verifier wants to see it checked. */
#define FIND_SLOT(fd)                                                                              \
	CALL(BPF_FUNC_get_current_pid_tgid), AND_IMM(BPF_REG_0, THREADS - 1),                      \
		STORE_32(BPF_REG_10, -4, BPF_REG_0), LOAD_MAP(BPF_REG_1, fd),                      \
		MOV_REG(BPF_REG_2, BPF_REG_10), ADD_IMM(BPF_REG_2, -4),                            \
		CALL(BPF_FUNC_map_lookup_elem)

static void leave_fail(const char *what)
{
	fprintf(stderr, "lab-leave: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int leave_bpf(int command, union bpf_attr *attr, const char *what)
{
	int fd = (int)syscall(SYS_bpf, command, attr, sizeof(*attr));

	if (fd < 0)
		leave_fail(what);
	return fd;
}

static int leave_map(void)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY,
				.key_size = 4,
				.value_size = 8,
				.max_entries = THREADS };

	return leave_bpf(BPF_MAP_CREATE, &attr, "eBPF map");
}

static int leave_program(const struct bpf_insn *insns, unsigned n)
{
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_TRACEPOINT, .insn_cnt = n };

	attr.insns = (uintptr_t)insns;
	attr.license = (uintptr_t) "Dual MIT/GPL";
	return leave_bpf(BPF_PROG_LOAD, &attr, "eBPF program");
}

static unsigned leave_tracepoint(const char *name)
{
	char path[128];
	unsigned id;
	FILE *f;

	snprintf(path, sizeof(path), EVENTS "%s/id", name);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%u", &id) != 1)
		leave_fail(path);
	fclose(f);
	return id;
}

/* A perf event of tracepoint `name` on processor `cpu`, that wakes up at each sample. */
static int leave_event(const char *name, int cpu)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT,
					.size = sizeof(attr),
					.config = leave_tracepoint(name),
					.sample_period = 1,
					.watermark = 1,
					.wakeup_watermark = 1 };
	int fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		leave_fail(name);
	return fd;
}

static void leave_attach(int event, int program)
{
	if (ioctl(event, PERF_EVENT_IOC_SET_BPF, program))
		leave_fail("attaching an eBPF program");
}

/* Only an event with a buffer has anybody to wake up. Read-only: it is overwritten for ever. */
static void leave_buffer(int event)
{
	size_t size = 2 * (size_t)sysconf(_SC_PAGESIZE);

	if (mmap(NULL, size, PROT_READ, MAP_SHARED, event, 0) == MAP_FAILED)
		leave_fail("perf buffer");
}

int main(void)
{
	int map = leave_map();
	const struct bpf_insn note[] = { FIND_SLOT(map), JUMP_ZERO(BPF_REG_0, 1),
					 STORE_IMM(BPF_REG_0, 0, 1), MOV_IMM(BPF_REG_0, 0),
					 EXIT() };
	const struct bpf_insn act[] = { FIND_SLOT(map),
					JUMP_ZERO(BPF_REG_0, 5),
					LOAD_64(BPF_REG_1, BPF_REG_0, 0),
					JUMP_ZERO(BPF_REG_1, 3),
					STORE_IMM(BPF_REG_0, 0, 0),
					MOV_IMM(BPF_REG_0, 1),
					EXIT(),
					MOV_IMM(BPF_REG_0, 0),
					EXIT() };
	int noting = leave_program(note, sizeof(note) / sizeof(note[0]));
	int acting = leave_program(act, sizeof(act) / sizeof(act[0]));
	int cpus = (int)sysconf(_SC_NPROCESSORS_CONF);

	/* A program hangs on the tracepoint as a whole: attach each once. */
	leave_attach(leave_event("kvm_inj_virq", 0), noting);
	for (int cpu = 0; cpu < cpus; cpu++) {
		int event = leave_event("kvm_entry", cpu);

		leave_buffer(event);
		if (!cpu)
			leave_attach(event, acting);
	}
	puts("lab-leave: in force");
	fflush(stdout);
	for (;;)
		pause();
}

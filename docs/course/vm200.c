/* SPDX-License-Identifier: MIT */
/*
 * vm200.c: a virtual machine in less than 200 lines, and nothing of duet in it. One page of
 * code, one vCPU, one port and one memory-mapped register. Read it from main() upwards.
 *
 * usage: vm200
 *
 * Exit status: 0 the guest halted, 1 it did something unforeseen, 3 there is no KVM here.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define RAM_SIZE  0x10000u /* guest-physical 0 to 64 KiB; nothing behind it */
#define CODE_AT   0x1000u
#define PORT_OUT  0xe9u    /* a byte written here is printed */
#define REGISTER  0x20000u /* a byte written here is reported; no RAM there, so it exits */
#define MAX_EXITS 1000u    /* a guest that is lost does not keep us */

struct vm {
	int kvm, vm, vcpu;
	uint8_t *ram;
	struct kvm_run *run; /* shared with KVM: why the guest left */
	size_t run_size;
};

/* Real mode, 16 bits, as a processor wakes up: print the string, store 42, halt. */
static const uint8_t guest[] = { 0xbe,
				 0x17,
				 0x10, /* 1000      mov si, 0x1017   the string        */
				 0xac, /* 1003 next lodsb                              */
				 0x84,
				 0xc0, /* 1004      test al, al                        */
				 0x74,
				 0x04, /* 1006      jz done                            */
				 0xe6,
				 PORT_OUT, /* 1008      out PORT_OUT, al   KVM_EXIT_IO     */
				 0xeb,
				 0xf7, /* 100a      jmp next                           */
				 0xb8,
				 0x00,
				 0x20, /* 100c done mov ax, 0x2000   REGISTER / 16     */
				 0x8e,
				 0xd8, /* 100f      mov ds, ax                         */
				 0xb0,
				 42, /* 1011      mov al, 42                         */
				 0xa2,
				 0x00,
				 0x00, /* 1013      mov [0], al        KVM_EXIT_MMIO   */
				 0xf4, /* 1016      hlt                KVM_EXIT_HLT    */
				 /* 1017 */ 'H',
				 'e',
				 'l',
				 'l',
				 'o',
				 ' ',
				 'f',
				 'r',
				 'o',
				 'm',
				 ' ',
				 'a',
				 ' ',
				 'g',
				 'u',
				 'e',
				 's',
				 't',
				 '\n',
				 0 };

static void die(int status, const char *what)
{
	fprintf(stderr, "vm200: %s: %s\n", what, strerror(errno));
	exit(status);
}

/* The machine: RAM is memory of ours that the guest sees at another address. */
static void vm_make(struct vm *v)
{
	struct kvm_userspace_memory_region slot = { .memory_size = RAM_SIZE };

	v->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (v->kvm < 0)
		die(3, "/dev/kvm");
	v->vm = ioctl(v->kvm, KVM_CREATE_VM, 0);
	if (v->vm < 0)
		die(3, "KVM_CREATE_VM");
	v->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (v->ram == MAP_FAILED)
		die(3, "RAM");
	memcpy(v->ram + CODE_AT, guest, sizeof(guest));
	slot.userspace_addr = (uintptr_t)v->ram;
	if (ioctl(v->vm, KVM_SET_USER_MEMORY_REGION, &slot))
		die(3, "KVM_SET_USER_MEMORY_REGION");
}

/* The processor: all registers as after reset, but that it starts at CODE_AT, segment 0. */
static void vcpu_make(struct vm *v)
{
	struct kvm_regs regs = { .rip = CODE_AT, .rflags = 2 };
	struct kvm_sregs sregs;
	int size = ioctl(v->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

	v->vcpu = ioctl(v->vm, KVM_CREATE_VCPU, 0);
	if (v->vcpu < 0 || size < (int)sizeof(*v->run))
		die(3, "KVM_CREATE_VCPU");
	v->run_size = (size_t)size;
	v->run = mmap(NULL, v->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->vcpu, 0);
	if (v->run == MAP_FAILED)
		die(3, "struct kvm_run");
	if (ioctl(v->vcpu, KVM_GET_SREGS, &sregs))
		die(3, "KVM_GET_SREGS");
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(v->vcpu, KVM_SET_SREGS, &sregs) || ioctl(v->vcpu, KVM_SET_REGS, &regs))
		die(3, "KVM_SET_REGS");
}

/* The guest is at a port: `count` items of `size` bytes, behind struct kvm_run. */
static int exit_io(struct vm *v)
{
	const uint8_t *data = (const uint8_t *)v->run + v->run->io.data_offset;

	if (v->run->io.direction != KVM_EXIT_IO_OUT || v->run->io.port != PORT_OUT)
		return 1;
	fwrite(data, v->run->io.size, v->run->io.count, stdout);
	return 0;
}

/* It reached for memory where there is none: a register of some device's. */
static int exit_mmio(struct vm *v)
{
	if (!v->run->mmio.is_write || v->run->mmio.phys_addr != REGISTER || v->run->mmio.len != 1)
		return 1;
	printf("register <- %u\n", v->run->mmio.data[0]);
	return 0;
}

/* One turn: into the guest, out again, why? Negative: go on. Otherwise the exit status. */
static int vcpu_turn(struct vm *v)
{
	if (ioctl(v->vcpu, KVM_RUN, 0)) {
		if (errno == EINTR)
			return -1;
		die(1, "KVM_RUN");
	}
	switch (v->run->exit_reason) {
	case KVM_EXIT_IO:
		return exit_io(v) ? 1 : -1;
	case KVM_EXIT_MMIO:
		return exit_mmio(v) ? 1 : -1;
	case KVM_EXIT_HLT:
		return 0;
	}
	fprintf(stderr, "vm200: exit reason %u\n", v->run->exit_reason);
	return 1;
}

static void vm_free(struct vm *v)
{
	munmap(v->run, v->run_size);
	munmap(v->ram, RAM_SIZE);
	close(v->vcpu);
	close(v->vm);
	close(v->kvm);
}

int main(void)
{
	struct vm v;
	unsigned exits = 0;
	int status = -1;

	vm_make(&v);
	vcpu_make(&v);
	while (status < 0 && exits++ < MAX_EXITS)
		status = vcpu_turn(&v);
	printf("%u exits\n", exits);
	vm_free(&v);
	return status ? 1 : 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * sandbox_roles.c: the table of who may call what once the guest runs. Devices' code runs in
 * vCPUs' threads and in the I/O thread, and main takes devices apart, so those three differ by
 * little; a disk's thread moves data and interrupts. What is not here is not allowed: open, socket,
 * connect, clone, execve, ptrace, kill, mount, and whatever the kernel will invent.
 *
 * Calls whose numbers alone decide cost next to nothing, since the kernel (5.11 and later)
 * looks those up in a bitmap. For those with an argument it runs the filter, the more so the
 * later the call comes in it: ioctl, which KVM_RUN is, has to come first.
 */
#include "vmm/sandbox.h"
#include "vmm/util.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <linux/vhost.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define M    BIT(SANDBOX_MAIN)
#define I    BIT(SANDBOX_IO)
#define D    BIT(SANDBOX_DISK)
#define W    BIT(SANDBOX_WATCHER)
#define V    BIT(SANDBOX_VCPU)
#define DEVS (M | I | V) /* wherever devices' code runs */
#define ALL  (M | I | D | W | V)

#define FIRST    255 /* priority */
#define LOW_HALF UINT64_C(0xffffffff)

/* Of an argument, only the bits that the kernel looks at: the C library decides about others. */
#define NO_BITS(n, bits) SCMP_CMP64(n, SCMP_CMP_MASKED_EQ, (bits), 0)
#define INT_IS(n, val)   SCMP_CMP64(n, SCMP_CMP_MASKED_EQ, LOW_HALF, (val)&LOW_HALF)
#define IS_ALL(n, val)   SCMP_CMP64(n, SCMP_CMP_EQ, (val), 0) /* libseccomp puts these first */
#define IS_NULL(n)       NO_BITS(n, UINT64_MAX)

static const struct {
	int call;
	unsigned roles;
} roles_calls[] = {
	/* memory */
	{ SCMP_SYS(brk), DEVS },
	{ SCMP_SYS(munmap), ALL }, /* a thread that ends, of its stack */
	{ SCMP_SYS(mremap), DEVS },
	{ SCMP_SYS(madvise), ALL }, /* the same */
	/* threads, clocks */
	{ SCMP_SYS(futex), ALL },
	{ SCMP_SYS(sched_yield), W },
	{ SCMP_SYS(exit), ALL },
	{ SCMP_SYS(exit_group), M },
	{ SCMP_SYS(clock_gettime), ALL }, /* where the vDSO cannot read the clock */
	{ SCMP_SYS(getrusage), ALL },     /* of a thread that ends */
	/* signals; the terminal's handlers run in any thread */
	{ SCMP_SYS(getpid), ALL },
	{ SCMP_SYS(gettid), ALL },
	{ SCMP_SYS(getpgrp), ALL },
	{ SCMP_SYS(rt_sigprocmask), ALL },
	{ SCMP_SYS(rt_sigreturn), ALL },
	{ SCMP_SYS(restart_syscall), ALL }, /* SIGSTOP, SIGCONT */
	/* descriptors that are open */
	{ SCMP_SYS(read), DEVS | D },
	{ SCMP_SYS(readv), DEVS },
	{ SCMP_SYS(pread64), DEVS },
	{ SCMP_SYS(write), ALL },
	{ SCMP_SYS(writev), ALL },
	{ SCMP_SYS(pwritev), DEVS | D }, /* captures; disks */
	{ SCMP_SYS(lseek), DEVS },
	{ SCMP_SYS(ftruncate), DEVS },
	{ SCMP_SYS(close), DEVS },
	{ SCMP_SYS(poll), M | I },
	{ SCMP_SYS(epoll_ctl), DEVS },
	{ SCMP_SYS(epoll_wait), I | D },
	{ SCMP_SYS(timerfd_settime), DEVS },
	/* a disk's file */
	{ SCMP_SYS(preadv), D },
	{ SCMP_SYS(fdatasync), D },
	{ SCMP_SYS(fallocate), D },
	/* virtio-rng */
	{ SCMP_SYS(getrandom), I },
#ifndef __GLIBC__ /* musl has other ways to say the same */
	{ SCMP_SYS(epoll_pwait), I | D },
	{ SCMP_SYS(getpgid), ALL },
	{ SCMP_SYS(tkill), ALL },
#endif
};

/* Only with one argument as it says. */
static const struct {
	int call;
	unsigned roles;
	struct scmp_arg_cmp arg;
} roles_checked[] = {
	{ SCMP_SYS(mmap), DEVS, NO_BITS(2, PROT_EXEC) },
	{ SCMP_SYS(mprotect), DEVS, NO_BITS(2, PROT_EXEC) },
	{ SCMP_SYS(prctl), ALL, INT_IS(0, PR_GET_NAME) },
	{ SCMP_SYS(rt_sigaction), M, IS_NULL(1) }, /* ask, but not change */
	/* to and from the peer of a connected socket, and the next peer of one that listens */
	{ SCMP_SYS(sendto), DEVS, IS_NULL(4) },
	{ SCMP_SYS(recvfrom), DEVS, IS_NULL(4) },
	{ SCMP_SYS(accept4), I, IS_NULL(1) },
	/* a vCPU's thread, and the sidecars of whoever sends a frame */
	{ SCMP_SYS(ioctl), I | V, IS_ALL(1, KVM_RUN) },
	{ SCMP_SYS(ioctl), I | V, INT_IS(1, KVM_GET_REGS) },
	{ SCMP_SYS(ioctl), V, INT_IS(1, KVM_KVMCLOCK_CTRL) }, /* it was paused */
	/* interrupts */
	{ SCMP_SYS(ioctl), DEVS | D, INT_IS(1, KVM_IRQ_LINE) },
	{ SCMP_SYS(ioctl), DEVS | D, INT_IS(1, KVM_SET_GSI_ROUTING) },
	/* a BAR that moves, a page that is memory, doorbells that are queued */
	{ SCMP_SYS(ioctl), DEVS, INT_IS(1, KVM_IOEVENTFD) },
	{ SCMP_SYS(ioctl), DEVS, INT_IS(1, KVM_SET_USER_MEMORY_REGION) },
	{ SCMP_SYS(ioctl), DEVS, INT_IS(1, KVM_REGISTER_COALESCED_MMIO) },
	{ SCMP_SYS(ioctl), DEVS, INT_IS(1, KVM_UNREGISTER_COALESCED_MMIO) },
	/* offloads that a driver turns on and off */
	{ SCMP_SYS(ioctl), DEVS, INT_IS(1, TUNSETOFFLOAD) },
	/* vhost: queues that a driver's start gives to the kernel, and a reset or a fault takes
	 * back; a vector that is masked */
	{ SCMP_SYS(ioctl), I | V, INT_IS(1, VHOST_SET_FEATURES) },
	{ SCMP_SYS(ioctl), I | V, INT_IS(1, VHOST_SET_VRING_NUM) },
	{ SCMP_SYS(ioctl), I | V, INT_IS(1, VHOST_SET_VRING_BASE) },
	{ SCMP_SYS(ioctl), I | V, INT_IS(1, VHOST_GET_VRING_BASE) },
	{ SCMP_SYS(ioctl), I | V, INT_IS(1, VHOST_SET_VRING_ADDR) },
	{ SCMP_SYS(ioctl), I | V, INT_IS(1, VHOST_SET_VRING_KICK) },
	{ SCMP_SYS(ioctl), I | V, INT_IS(1, VHOST_SET_VRING_CALL) },
	{ SCMP_SYS(ioctl), I | V, INT_IS(1, VHOST_NET_SET_BACKEND) },
	/* the terminal */
	{ SCMP_SYS(ioctl), I, INT_IS(1, TIOCGWINSZ) },
	{ SCMP_SYS(ioctl), ALL, INT_IS(1, TIOCGPGRP) },
	{ SCMP_SYS(ioctl), ALL, INT_IS(1, TCGETS) },
	{ SCMP_SYS(ioctl), ALL, INT_IS(1, TCSETS) },
};

/* Signals to ourselves: a vCPU's kick, raise(). */
static int roles_allow_own_signals(scmp_filter_ctx ctx)
{
	struct scmp_arg_cmp own = INT_IS(0, (uint64_t)getpid());

	return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &own);
}

int sandbox_allow(void *ctx, enum sandbox_role role)
{
	int err = seccomp_syscall_priority(ctx, SCMP_SYS(ioctl), FIRST);

	for (unsigned i = 0; i < ARRAY_SIZE(roles_calls) && !err; i++)
		if (roles_calls[i].roles & BIT(role))
			err = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, roles_calls[i].call, 0,
						     NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(roles_checked) && !err; i++)
		if (roles_checked[i].roles & BIT(role))
			err = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, roles_checked[i].call, 1,
						     &roles_checked[i].arg);
	return err ? err : roles_allow_own_signals(ctx);
}

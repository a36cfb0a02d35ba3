/* SPDX-License-Identifier: MIT */
/*
 * vcpu.c: a vCPU's life: created, started, kicked, joined, destroyed.
 *
 * Leaving KVM_RUN without a race: vcpu_kick() first sets run->immediate_exit, then
 * sends a signal. If the thread is in the guest, the signal brings it out; if it is
 * just before the ioctl, immediate_exit makes KVM_RUN return at once. A vCPU that was told
 * to stop never runs again. One that was told to pause comes out in the same way, waits
 * at its gate, and clears immediate_exit itself, holding the gate's lock: whoever says stop
 * or pause does so with that lock, too, and sets immediate_exit only then, so either the
 * vCPU sees what was said, or it finds immediate_exit set.
 */
#include "vmm/vcpu.h"

#include "vmm/sandbox.h"
#include "vmm/trace.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define VCPU_SIGNAL    SIGUSR2 /* SIGUSR1 is the user's: vmm/board.c */
#define VCPU_REKICK_MS 100     /* a handler may be in a system call that restarts */

static void vcpu_on_signal(int sig)
{
	(void)sig; /* to interrupt KVM_RUN is all it is for */
}

static void vcpu_catch_signal(void)
{
	struct sigaction sa = { .sa_handler = vcpu_on_signal };

	sigaction(VCPU_SIGNAL, &sa, NULL);
}

static int vcpu_create(struct vcpu *c, struct kvm *k)
{
	int fd = kvm_ioctl(k->vm, KVM_CREATE_VCPU, (void *)(uintptr_t)c->id);
	void *run;

	if (fd < 0)
		return fd;
	c->fd = fd;
	run = mmap(NULL, k->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (run == MAP_FAILED)
		return -errno;
	c->run = run;
	c->run_size = k->run_size;
	kvm_accel_ring(k, fd);
	return 0;
}

int vcpu_init(struct vcpu *c, struct kvm *k, struct machine *m, unsigned id, unsigned count)
{
	int err;

	memset(c, 0, sizeof(*c));
	c->fd = -1;
	c->id = id;
	c->m = m;
	c->mark = acct_now(); /* for whoever runs it without a thread */
	vcpu_catch_signal();
	pthread_mutex_init(&c->gate, NULL);
	pthread_cond_init(&c->gate_opens, NULL);
	err = vcpu_create(c, k);
	if (!err)
		err = vcpu_set_cpuid(c, k->dev, count);
	if (!err)
		err = vcpu_set_msrs(c);
	if (!err && !id)
		err = vcpu_set_lapic(c);
	return err;
}

void vcpu_destroy(struct vcpu *c)
{
	cputime_forget(&c->cpu);
	pthread_cond_destroy(&c->gate_opens);
	pthread_mutex_destroy(&c->gate);
	if (c->run)
		munmap(c->run, c->run_size);
	if (c->fd >= 0)
		close(c->fd);
	c->run = NULL;
	c->fd = -1;
}

/* Out of the guest by a signal: wait while we are paused. */
static enum verdict vcpu_at_gate(struct vcpu *c)
{
	uint64_t since = acct_now();
	bool waited = false;

	pthread_mutex_lock(&c->gate);
	while (c->paused && !c->stop) {
		waited = true;
		pthread_cond_wait(&c->gate_opens, &c->gate);
	}
	__atomic_store_n(&c->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&c->gate);
	acct_waited += acct_span(since, acct_now());
	if (waited) /* so that the guest's watchdog does not wonder; EINVAL: no such clock */
		ioctl(c->fd, KVM_KVMCLOCK_CTRL, 0);
	return c->stop ? VERDICT_STOP : VERDICT_RUN;
}

/* KVM_RUN has returned, with `err`: what now? */
static enum verdict vcpu_returned(struct vcpu *c, int err)
{
	if (atomic_load_explicit(&c->stop, memory_order_relaxed))
		return VERDICT_STOP;
	if (err == EINTR || err == EAGAIN) {
		counter_inc(&c->exits[KVM_EXIT_INTR]);
		return vcpu_at_gate(c);
	}
	if (err)
		return vcpu_explain(c, VERDICT_HOST, "KVM_RUN failed: %s", strerror(err));
	return vcpu_exit(c, c->run);
}

enum verdict vcpu_run_once(struct vcpu *c)
{
	uint64_t exited, waited;
	unsigned reason;
	enum verdict v;
	int err;

	trace(EXIT, "enter");
	err = ioctl(c->fd, KVM_RUN, NULL) < 0 ? errno : 0;
	exited = acct_now();
	waited = acct_waited;
	reason = err ? KVM_EXIT_INTR : c->run->exit_reason;
	vcpu_time_exit(c, reason, exited); /* before the handler: it may be one that reports */
	v = vcpu_returned(c, err);
	vcpu_time_handled(c, reason, acct_waited - waited);
	return v;
}

/* Whoever launched us may have had it blocked, and masks are inherited. */
static void vcpu_unblock_signal(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, VCPU_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *c = arg;
	uint64_t one = 1;
	char name[16];
	enum verdict v = VERDICT_RUN;

	vcpu_unblock_signal();
	snprintf(name, sizeof(name), "vcpu%u", c->id);
	pthread_setname_np(pthread_self(), name);
	vcpu_time_start(c);
	if (sandbox_enter(SANDBOX_VCPU) < 0)
		v = VERDICT_HOST;
	while (v == VERDICT_RUN)
		v = vcpu_run_once(c);
	vcpu_time_end(c);
	if (v == VERDICT_CRASH)
		c->m->stop(c->m, STOP_CRASH, 0);
	else if (v == VERDICT_HOST)
		c->m->stop(c->m, STOP_HOST, 0);
	BUG_ON(write(c->ended, &one, sizeof(one)) != sizeof(one));
	return NULL;
}

int vcpu_start(struct vcpu *c)
{
	int err;

	c->ended = eventfd(0, EFD_CLOEXEC);
	if (c->ended < 0)
		return -errno;
	err = pthread_create(&c->thread, NULL, vcpu_thread, c);
	if (err)
		close(c->ended);
	c->started = !err;
	return -err;
}

static void vcpu_come_out(struct vcpu *c)
{
	__atomic_store_n(&c->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	if (c->started)
		pthread_kill(c->thread, VCPU_SIGNAL);
}

void vcpu_kick(struct vcpu *c)
{
	pthread_mutex_lock(&c->gate);
	atomic_store(&c->stop, true);
	pthread_cond_signal(&c->gate_opens);
	pthread_mutex_unlock(&c->gate);
	vcpu_come_out(c);
}

void vcpu_pause(struct vcpu *c, bool paused)
{
	pthread_mutex_lock(&c->gate);
	c->paused = paused;
	if (!paused)
		pthread_cond_signal(&c->gate_opens);
	pthread_mutex_unlock(&c->gate);
	if (paused)
		vcpu_come_out(c);
}

/* The wait is poll()'s, whose clock nobody sets; pthread_timedjoin_np()'s is the time of day. */
void vcpu_stop(struct vcpu *c)
{
	struct pollfd p = { .fd = c->ended, .events = POLLIN };

	if (!c->started)
		return;
	do
		vcpu_kick(c);
	while (poll(&p, 1, VCPU_REKICK_MS) <= 0);
	pthread_join(c->thread, NULL);
	close(c->ended);
	c->started = false;
}

/* SPDX-License-Identifier: MIT */
/*
 * sandbox.c: seccomp filters, one for each role of a thread. libseccomp compiles them before
 * there is a second thread; a thread then puts its own on with a single system call, and can
 * never take it off again.
 *
 * A call outside the role does not take place. The kernel sends SIGSYS instead of it
 * (SECCOMP_RET_TRAP), and the handler says which call it was and lets the process die of that
 * signal. Where the handler cannot run (its stack is gone, a second thread is at fault too) the
 * process dies all the same, only silently.
 */
#include "vmm/sandbox.h"

#include "vmm/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf_common.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SANDBOX_CALLS 512 /* x86-64 numbers them below that */
#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1 /* <asm-generic/siginfo.h>, which does not go with <signal.h> */
#endif

static struct {
	/* fixed by sandbox_prepare(): */
	bool on;
	struct sock_fprog filter[SANDBOX_ROLES];
	char *call[SANDBOX_CALLS]; /* names, for the handler: it could not look them up */
	struct sigaction before;
	/* lock: */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned missing; /* threads that have not entered */
	bool cancelled;
} sandbox = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static _Thread_local char sandbox_thread[16] = "?";

const char *sandbox_lacking(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return "a sanitizer makes system calls of its own";
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
	return "a sanitizer makes system calls of its own";
#endif
#endif
	return NULL;
}

/* --- the end: all of this is async-signal-safe ------------------------------------------- */

struct sandbox_line {
	char text[256];
	size_t n;
};

static void sandbox_say(struct sandbox_line *l, const char *s)
{
	size_t len = MIN(strlen(s), sizeof(l->text) - l->n);

	memcpy(l->text + l->n, s, len);
	l->n += len;
}

static void sandbox_say_number(struct sandbox_line *l, unsigned n)
{
	char digits[12], *p = &digits[sizeof(digits) - 1];

	*p = '\0';
	do
		*--p = (char)('0' + n % 10);
	while (n /= 10);
	sandbox_say(l, p);
}

static void sandbox_say_violation(unsigned call)
{
	const char *name = call < SANDBOX_CALLS ? sandbox.call[call] : NULL;
	struct sandbox_line l = { .n = 0 };

	sandbox_say(&l, "duet: sandbox: thread ");
	sandbox_say(&l, sandbox_thread);
	sandbox_say(&l, " called ");
	sandbox_say(&l, name ? name : "system call");
	sandbox_say(&l, " (");
	sandbox_say_number(&l, call);
	sandbox_say(&l, "), which its role may not; please report; "
			"--sandbox off runs without\n");
	if (write(STDERR_FILENO, l.text, l.n) < 0)
		return; /* then the signal must be enough */
}

/* SA_RESETHAND has put the default action back: raise() is the end. */
static void sandbox_on_sigsys(int sig, siginfo_t *info, void *context)
{
	void (*before)(int) = sandbox.before.sa_handler;

	(void)context;
	if (info->si_code == SYS_SECCOMP)
		sandbox_say_violation((unsigned)info->si_syscall);
	if (!(sandbox.before.sa_flags & SA_SIGINFO) && before != SIG_DFL && before != SIG_IGN)
		before(sig); /* restores the terminal */
	raise(sig);
}

static void sandbox_catch(void)
{
	struct sigaction sa = { .sa_sigaction = sandbox_on_sigsys,
				.sa_flags = SA_SIGINFO | SA_RESETHAND | SA_NODEFER };
	sigset_t set;

	sigaction(SIGSYS, &sa, &sandbox.before);
	/* Whoever launched us may have had it blocked, and masks are inherited. */
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* --- filters ----------------------------------------------------------------------------- */

/* The program that libseccomp has made of `ctx`. It only writes it to a descriptor: a pipe,
 * which holds 64 KiB at least, as a file is subject to the user's limit on file sizes. */
static int sandbox_export(scmp_filter_ctx ctx, struct sock_fprog *prog)
{
	size_t most = BPF_MAXINSNS * sizeof(*prog->filter);
	int fd[2], err;
	ssize_t got;

	prog->filter = malloc(most);
	if (!prog->filter)
		return -ENOMEM;
	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	err = seccomp_export_bpf(ctx, fd[1]);
	got = err ? 0 : read(fd[0], prog->filter, most);
	if (got < 0)
		err = -errno;
	prog->len = (unsigned short)((size_t)MAX(got, 0) / sizeof(*prog->filter));
	close(fd[0]);
	close(fd[1]);
	return err;
}

static int sandbox_compile(enum sandbox_role role)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);
	int err;

	if (!ctx)
		return -ENOMEM;
	/* The i386 and x32 ways into the kernel: nothing of ours uses them. */
	err = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (!err)
		err = sandbox_allow(ctx, role);
	if (!err)
		err = sandbox_export(ctx, &sandbox.filter[role]);
	seccomp_release(ctx);
	return err;
}

int sandbox_prepare(unsigned threads, char *why, size_t size)
{
	if (prctl(PR_GET_SECCOMP) < 0) {
		snprintf(why, size, "this kernel has no seccomp; --sandbox off runs without");
		return -1;
	}
	for (unsigned role = 0; role < SANDBOX_ROLES; role++) {
		int err = sandbox_compile((enum sandbox_role)role);

		if (err) {
			snprintf(why, size, "cannot make a filter: %s; --sandbox off runs without",
				 strerror(-err));
			return -1;
		}
	}
	for (int i = 0; i < SANDBOX_CALLS; i++)
		sandbox.call[i] = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, i);
	sandbox_catch();
	sandbox.missing = threads;
	sandbox.on = true;
	return 0;
}

/* --- threads ----------------------------------------------------------------------------- */

static int sandbox_put_on(enum sandbox_role role)
{
	void *volatile first;
	int err = 0;

	if (role == SANDBOX_MAIN)
		strcpy(sandbox_thread, "main");
	else
		pthread_getname_np(pthread_self(), sandbox_thread, sizeof(sandbox_thread));
	/* glibc gives a thread its heap with its first piece of memory, and may open files to
	 * find out how many processors share it. */
	first = malloc(1);
	free(first);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &sandbox.filter[role]) < 0) {
		err = -errno;
		log_error("sandbox: cannot confine thread %s: %s; --sandbox off runs without",
			  sandbox_thread, strerror(-err));
	}
	return err;
}

/* A vCPU's thread stays here until the guest may run. */
static int sandbox_gate(enum sandbox_role role, int err)
{
	pthread_mutex_lock(&sandbox.lock);
	if (err)
		sandbox.cancelled = true;
	else
		sandbox.missing--;
	pthread_cond_broadcast(&sandbox.changed);
	while (role == SANDBOX_VCPU && !sandbox.cancelled && sandbox.missing)
		pthread_cond_wait(&sandbox.changed, &sandbox.lock);
	if (!err && role == SANDBOX_VCPU && sandbox.cancelled)
		err = -ECANCELED;
	pthread_mutex_unlock(&sandbox.lock);
	return err;
}

int sandbox_enter(enum sandbox_role role)
{
	return sandbox.on ? sandbox_gate(role, sandbox_put_on(role)) : 0;
}

void sandbox_cancel(void)
{
	pthread_mutex_lock(&sandbox.lock);
	sandbox.cancelled = true;
	pthread_cond_broadcast(&sandbox.changed);
	pthread_mutex_unlock(&sandbox.lock);
}

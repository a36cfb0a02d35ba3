/* SPDX-License-Identifier: MIT */
/*
 * test_sandbox.c: for each try a child process, in which threads take all roles and one of them
 * makes one system call. What its role needs goes through, whatever comes of it; anything else
 * is the end, and one line says of what.
 */
#include "devices/rtc.h"
#include "tests/check_main.h"
#include "tests/rig/fake_machine.h"
#include "vmm/layout.h"
#include "vmm/sandbox.h"
#include "vmm/util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <linux/vhost.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define GONE_ON 42 /* exit status of a child whose calls all went through */

static const char *const roles[SANDBOX_ROLES] = {
	[SANDBOX_MAIN] = "main",       [SANDBOX_IO] = "io",      [SANDBOX_DISK] = "disk0",
	[SANDBOX_WATCHER] = "watcher", [SANDBOX_VCPU] = "vcpu0",
};

/* --- a child process --- */

static sem_t never;
static enum sandbox_role actor;
static void (*act)(void);

static void *take(void *arg)
{
	enum sandbox_role role = (enum sandbox_role)(uintptr_t)arg;

	pthread_setname_np(pthread_self(), roles[role]);
	if (sandbox_enter(role) < 0)
		_exit(1);
	if (role == actor)
		act();
	else
		sem_wait(&never);
	return NULL;
}

/* All roles are taken, `actor` acts. This thread has no filter, and ends the process then. */
static void child(void)
{
	pthread_t t[SANDBOX_ROLES];
	char why[256];

	sem_init(&never, 0, 0);
	if (sandbox_drop(NULL, NULL, why, sizeof(why)) < 0 ||
	    sandbox_prepare(SANDBOX_ROLES, why, sizeof(why)) < 0) {
		fprintf(stderr, "%s\n", why);
		_exit(1);
	}
	for (uintptr_t r = 0; r < SANDBOX_ROLES; r++)
		pthread_create(&t[r], NULL, take, (void *)r);
	pthread_join(t[actor], NULL);
	_exit(GONE_ON);
}

/* What a child says on stderr; its wait status. */
static int in_child(void (*run)(void), char *said, size_t size)
{
	size_t n = 0;
	int p[2], status;
	ssize_t got;
	pid_t pid;

	ck_assert_int_eq(pipe(p), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid) {
		dup2(p[1], STDERR_FILENO);
		close(p[0]);
		run();
		_exit(GONE_ON);
	}
	close(p[1]);
	while ((got = read(p[0], said + n, size - 1 - n)) > 0)
		n += (size_t)got;
	said[n] = '\0';
	close(p[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

/* --- the calls --- */

#define M    BIT(SANDBOX_MAIN)
#define I    BIT(SANDBOX_IO)
#define D    BIT(SANDBOX_DISK)
#define W    BIT(SANDBOX_WATCHER)
#define V    BIT(SANDBOX_VCPU)
#define DEVS (M | I | V)
#define ALL  (M | I | D | W | V)
#define NONE 0

#define NOWHERE ((long)"/nonexistent/path") /* should one ever get through */

static const struct call {
	const char *name;
	long nr;
	unsigned roles; /* that may */
	long arg[6];
} calls[] = {
	{ "open", SYS_open, NONE, { NOWHERE, O_RDONLY } },
	{ "openat", SYS_openat, NONE, { AT_FDCWD, NOWHERE, O_RDONLY } },
	{ "unlink", SYS_unlink, NONE, { NOWHERE } },
	{ "newfstatat", SYS_newfstatat, NONE, { AT_FDCWD, NOWHERE } },
	{ "chroot", SYS_chroot, NONE, { NOWHERE } },
	{ "execve", SYS_execve, NONE, { NOWHERE } },
	{ "socket", SYS_socket, NONE, { AF_UNIX, SOCK_STREAM } },
	{ "connect", SYS_connect, NONE, { -1 } },
	{ "sendmsg", SYS_sendmsg, NONE, { -1 } },
	{ "fork", SYS_fork, NONE, { 0 } },
	{ "clone", SYS_clone, NONE, { SIGCHLD } },
	{ "ptrace", SYS_ptrace, NONE, { PTRACE_TRACEME } },
	{ "kill", SYS_kill, NONE, { 1, 0 } },
	{ "tgkill", SYS_tgkill, NONE, { 1, 1, 0 } }, /* not our own process */
	{ "setuid", SYS_setuid, NONE, { 0 } },
	{ "seccomp", SYS_seccomp, NONE, { 0 } },
	{ "dup", SYS_dup, NONE, { -1 } },
	{ "eventfd2", SYS_eventfd2, NONE, { 0 } },
	{ "io_uring_setup", SYS_io_uring_setup, NONE, { 1 } },
	{ "mmap", SYS_mmap, NONE, { 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, -1 } },
	{ "mprotect", SYS_mprotect, NONE, { 4096, 4096, PROT_READ | PROT_WRITE | PROT_EXEC } },
	{ "ioctl", SYS_ioctl, NONE, { -1, TIOCSTI } },
	{ "ioctl", SYS_ioctl, NONE, { -1, KVM_CREATE_VM } },
	{ "ioctl", SYS_ioctl, NONE, { -1, TUNSETIFF } },
	{ "ioctl", SYS_ioctl, NONE, { -1, VHOST_SET_OWNER } },
	{ "ioctl", SYS_ioctl, NONE, { -1, VHOST_SET_MEM_TABLE } },
	{ "prctl", SYS_prctl, NONE, { PR_SET_DUMPABLE, 1 } },
	{ "rt_sigaction", SYS_rt_sigaction, NONE, { SIGSYS, 1 } },
	{ "sendto", SYS_sendto, NONE, { -1, 0, 0, 0, 4096, 16 } }, /* an address */
	{ "recvfrom", SYS_recvfrom, NONE, { -1, 0, 0, 0, 4096, 0 } },
	{ "accept4", SYS_accept4, NONE, { -1, 4096, 4096, 0 } },

	{ "sendto", SYS_sendto, DEVS, { -1, 0, 0, 0, 0, 0 } },
	{ "recvfrom", SYS_recvfrom, DEVS, { -1, 0, 0, 0, 0, 0 } },
	{ "accept4", SYS_accept4, I, { -1, 0, 0, 0 } },
	{ "rt_sigaction", SYS_rt_sigaction, M, { SIGSYS, 0, 0, 8 } },
	{ "prctl", SYS_prctl, ALL, { PR_GET_NAME, 4096 } },
	{ "mmap", SYS_mmap, DEVS, { 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, -1 } },
	{ "mprotect", SYS_mprotect, DEVS, { 4096, 4096, PROT_READ | PROT_WRITE } },
	{ "ioctl", SYS_ioctl, I | V, { -1, KVM_RUN } },
	{ "ioctl", SYS_ioctl, DEVS | D, { -1, KVM_IRQ_LINE } },
	{ "ioctl", SYS_ioctl, DEVS, { -1, KVM_SET_USER_MEMORY_REGION } },
	{ "ioctl", SYS_ioctl, DEVS, { -1, TUNSETOFFLOAD } },
	{ "ioctl", SYS_ioctl, I | V, { -1, VHOST_SET_FEATURES } },
	{ "ioctl", SYS_ioctl, I | V, { -1, VHOST_SET_VRING_NUM } },
	{ "ioctl", SYS_ioctl, I | V, { -1, VHOST_SET_VRING_BASE } },
	{ "ioctl", SYS_ioctl, I | V, { -1, (long)VHOST_GET_VRING_BASE } },
	{ "ioctl", SYS_ioctl, I | V, { -1, VHOST_SET_VRING_ADDR } },
	{ "ioctl", SYS_ioctl, I | V, { -1, VHOST_SET_VRING_KICK } },
	{ "ioctl", SYS_ioctl, I | V, { -1, VHOST_SET_VRING_CALL } },
	{ "ioctl", SYS_ioctl, I | V, { -1, VHOST_NET_SET_BACKEND } },
	{ "ioctl", SYS_ioctl, ALL, { -1, TCSETS } },
	/* musl's ioctl() takes an int, whose sign fills the upper half; the kernel drops it. */
	{ "ioctl", SYS_ioctl, DEVS | D, { -1, (int)KVM_SET_GSI_ROUTING | ~0xffffffffl } },
	{ "read", SYS_read, DEVS | D, { -1 } },
	{ "readv", SYS_readv, DEVS, { -1 } },
	{ "pread64", SYS_pread64, DEVS, { -1 } },
	{ "write", SYS_write, ALL, { -1 } },
	{ "writev", SYS_writev, ALL, { -1 } },
	{ "pwritev", SYS_pwritev, DEVS | D, { -1 } },
	{ "ftruncate", SYS_ftruncate, DEVS, { -1 } },
	{ "lseek", SYS_lseek, DEVS, { -1 } },
	{ "close", SYS_close, DEVS, { -1 } },
	{ "poll", SYS_poll, M | I, { 0, 0, 0 } },
	{ "epoll_wait", SYS_epoll_wait, I | D, { -1 } },
	{ "epoll_ctl", SYS_epoll_ctl, DEVS, { -1 } },
	{ "timerfd_settime", SYS_timerfd_settime, DEVS, { -1 } },
	{ "preadv", SYS_preadv, D, { -1 } },
	{ "fdatasync", SYS_fdatasync, D, { -1 } },
	{ "fallocate", SYS_fallocate, D, { -1 } },
	{ "getrandom", SYS_getrandom, I, { 0 } },
	{ "futex", SYS_futex, ALL, { 0, FUTEX_WAKE } },
	{ "sched_yield", SYS_sched_yield, W, { 0 } },
	{ "brk", SYS_brk, DEVS, { 0 } },
	{ "mremap", SYS_mremap, DEVS, { 0 } },
	{ "munmap", SYS_munmap, ALL, { 0 } },
	{ "madvise", SYS_madvise, ALL, { 0 } },
	{ "gettid", SYS_gettid, ALL, { 0 } },
	{ "getrusage", SYS_getrusage, ALL, { 1, 4096 } },
	{ "clock_gettime", SYS_clock_gettime, ALL, { 0, 4096 } },
	{ "exit_group", SYS_exit_group, M, { GONE_ON } },
};

static const struct call *call;

static void act_call(void)
{
	const long *a = call->arg;

	syscall(call->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void try_call(void)
{
	char said[1024], want[256] = "";
	int status;

	act = act_call;
	status = in_child(child, said, sizeof(said));
	if (call->roles & BIT(actor)) {
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == GONE_ON,
			      "%s in role %s: status %#x: %s", call->name, roles[actor], status,
			      said);
	} else {
		snprintf(want, sizeof(want),
			 "duet: sandbox: thread %s called %s (%ld), which its role may not; "
			 "please report; --sandbox off runs without\n",
			 roles[actor], call->name, call->nr);
		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS,
			      "%s in role %s: status %#x: %s", call->name, roles[actor], status,
			      said);
	}
	ck_assert_str_eq(said, want);
}

START_TEST(a_call_goes_through_only_if_the_role_needs_it)
{
	call = &calls[_i];
	for (unsigned r = 0; r < SANDBOX_ROLES; r++) {
		actor = (enum sandbox_role)r;
		try_call();
	}
}
END_TEST

/* --- what the C library makes of it --- */

static void on_signal(int sig)
{
	(void)sig;
}

static void act_as_a_device(void)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	void *volatile p = malloc(1 << 24);

	p = realloc(p, 1 << 26);
	free(p);
	for (int i = 0; i < 100000; i++)
		fprintf(f, "%d %.3f\n", i, (double)i);
	fclose(f);
	free(text);
	signal(SIGSYS, on_signal); /* not set by this: only main may even ask */
}

static void act_as_a_thread(void)
{
	char name[16];

	pthread_getname_np(pthread_self(), name, sizeof(name));
	raise(SIGUSR2);
	fprintf(stderr, "%s", name);
}

static void child_with_handler(void)
{
	signal(SIGUSR2, on_signal);
	child();
}

START_TEST(signals_names_and_messages_work_in_every_role)
{
	char said[1024];
	int status;

	actor = (enum sandbox_role)_i;
	act = act_as_a_thread;
	status = in_child(child_with_handler, said, sizeof(said));
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == GONE_ON, "%#x: %s", status, said);
	ck_assert_str_eq(said, roles[_i]);
}
END_TEST

START_TEST(memory_and_streams_work_and_handlers_stay)
{
	char said[1024];
	int status;

	actor = SANDBOX_VCPU;
	act = act_as_a_device;
	status = in_child(child, said, sizeof(said));
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "%#x: %s", status, said);
	ck_assert_msg(strstr(said, "vcpu0 called rt_sigaction ("), "%s", said);
}
END_TEST

static struct fake_machine *machine;

static void act_as_a_clock(void)
{
	struct bus *b = &machine->m.pio;

	for (unsigned i = 0; i < 10; i++) {
		bus_write(b, PORT_RTC, 1, i);
		bus_write(b, PORT_RTC + 1, 1, bus_read(b, PORT_RTC + 1, 1));
	}
}

START_TEST(the_time_of_day_is_told_to_a_confined_guest)
{
	char said[1024];
	struct rtc *rtc;
	int status;

	machine = fake_machine_new(1 << 20);
	rtc = rtc_new(&machine->m);
	actor = SANDBOX_VCPU;
	act = act_as_a_clock;
	status = in_child(child, said, sizeof(said));
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == GONE_ON, "%#x: %s", status, said);
	rtc_free(rtc);
	fake_machine_free(machine);
}
END_TEST

static void on_sigsys_before(int sig)
{
	(void)sig;
	if (write(STDERR_FILENO, "restored\n", 9) < 0)
		_exit(1);
}

static void child_with_terminal(void)
{
	sigset_t set;

	signal(SIGSYS, on_sigsys_before);
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	child();
}

START_TEST(an_earlier_handler_runs_and_a_blocked_signal_comes)
{
	char said[1024];

	actor = SANDBOX_IO;
	call = &calls[0];
	act = act_call;
	ck_assert_int_eq(WTERMSIG(in_child(child_with_terminal, said, sizeof(said))), SIGSYS);
	ck_assert_msg(strstr(said, "called open (2)") && strstr(said, "\nrestored\n"), "%s", said);
}
END_TEST

/* --- the gate --- */

static _Atomic bool entered;

static void *vcpu(void *arg)
{
	int *err = arg;

	*err = sandbox_enter(SANDBOX_VCPU);
	entered = true;
	return NULL;
}

static void *other(void *arg)
{
	sandbox_enter((enum sandbox_role)(uintptr_t)arg);
	sem_wait(&never);
	return NULL;
}

/* A vCPU, and the first `n` of the others, one for each role; its error. */
static int gate(unsigned n)
{
	pthread_t t, o;
	char why[256];
	int err = 1;

	if (sandbox_drop(NULL, NULL, why, sizeof(why)) < 0 ||
	    sandbox_prepare(1 + SANDBOX_ROLES, why, sizeof(why)) < 0)
		_exit(1);
	sem_init(&never, 0, 0);
	pthread_create(&t, NULL, vcpu, &err);
	for (uintptr_t r = 0; r < n; r++)
		pthread_create(&o, NULL, other, (void *)r);
	if (n < SANDBOX_ROLES) {
		usleep(20000); /* it would have had the time */
		if (entered)
			_exit(2);
		sandbox_cancel();
	}
	pthread_join(t, NULL);
	return err;
}

static void child_gate_shut(void)
{
	_exit(gate(SANDBOX_ROLES - 1) == -ECANCELED ? GONE_ON : 3);
}

static void child_gate_open(void)
{
	_exit(gate(SANDBOX_ROLES) ? 3 : GONE_ON);
}

START_TEST(a_vcpu_waits_for_all_others)
{
	char said[1024];

	ck_assert_int_eq(WEXITSTATUS(in_child(child_gate_shut, said, sizeof(said))), GONE_ON);
	ck_assert_int_eq(WEXITSTATUS(in_child(child_gate_open, said, sizeof(said))), GONE_ON);
}
END_TEST

START_TEST(nothing_is_confined_without_preparation)
{
	for (unsigned r = 0; r < SANDBOX_ROLES; r++)
		ck_assert_int_eq(sandbox_enter((enum sandbox_role)r), 0);
	ck_assert_int_eq(prctl(PR_GET_SECCOMP), 0);
}
END_TEST

/* --- user, root directory, capabilities --- */

START_TEST(users_are_found)
{
	static const struct {
		const char *spec;
		uid_t uid;
		gid_t gid;
		const char *why; /* NULL: it is found */
	} t[] = {
		{ "root", 0, 0, NULL },
		{ "0", 0, 0, NULL },
		{ "root:5", 0, 5, NULL },
		{ "4000000000:77", 4000000000u, 77, NULL },
		{ "4000000000", 0, 0, "say 4000000000:GID" },
		{ "4294967295:1", 0, 0, "no such user" }, /* -1: unchanged */
		{ "1:4294967295", 0, 0, "4294967295 is not a group's number" },
		{ "nobody-of-that-name", 0, 0, "no such user" },
		{ "", 0, 0, "no such user" },
		{ ":5", 0, 0, "no such user" },
		{ "root:", 0, 0, " is not a group's number" },
		{ "root:wheel", 0, 0, "wheel is not a group's number" },
		{ "12x:5", 0, 0, "no such user" },
		{ "-1:5", 0, 0, "no such user" },
	};
	struct sandbox_user u;
	char why[256];

	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		int err = sandbox_find_user(t[i].spec, &u, why, sizeof(why));

		ck_assert_msg(!err == !t[i].why, "'%s': %s", t[i].spec, err ? why : "found");
		if (err)
			ck_assert_msg(strstr(why, t[i].why), "'%s': %s", t[i].spec, why);
		else
			ck_assert(u.uid == t[i].uid && u.gid == t[i].gid);
	}
}
END_TEST

static bool status_says(const char *line)
{
	char text[4096] = "\n";
	int fd = open("/proc/self/status", O_RDONLY);

	if (read(fd, text + 1, sizeof(text) - 2) < 0)
		return false;
	return strstr(text, line);
}

static void child_drops_all(void)
{
	char why[256];
	bool ok = !sandbox_drop(NULL, NULL, why, sizeof(why)) &&
		  status_says("\nCapInh:\t0000000000000000\n") &&
		  status_says("\nCapPrm:\t0000000000000000\n") &&
		  status_says("\nCapEff:\t0000000000000000\n") && status_says("\nNoNewPrivs:\t1\n");

	_exit(ok ? GONE_ON : 1);
}

static void child_becomes_another(void)
{
	struct sandbox_user u = { 65534, 65533 };
	char why[256];
	bool ok = !sandbox_drop(&u, "/proc", why, sizeof(why)) && !access("/self/status", F_OK) &&
		  access("/proc", F_OK) && getuid() == 65534 && getegid() == 65533 &&
		  !getgroups(0, NULL) && setuid(0) < 0 && setgid(0) < 0;

	_exit(ok ? GONE_ON : 1);
}

/* ThreadSanitizer has a thread of its own from the start, which keeps its capabilities: there
 * glibc's setgroups(), which is to do the same in all threads, aborts. */
#if defined(__SANITIZE_THREAD__)
#define ALONE false
#else
#define ALONE true
#endif

/* Whoever has no privileges cannot do either, and is told so. */
static void child_is_refused(void)
{
	struct sandbox_user u = { 65534, 65534 };
	char why[256];
	bool ok = !sandbox_drop(NULL, NULL, why, sizeof(why)) &&
		  sandbox_drop(NULL, "/proc", why, sizeof(why)) < 0 &&
		  strstr(why, "--chroot /proc: only root may") &&
		  sandbox_drop(&u, NULL, why, sizeof(why)) < 0 &&
		  strstr(why, "--user: only root may");

	_exit(ok ? GONE_ON : 1);
}

START_TEST(privileges_are_given_up)
{
	char said[1024];

	ck_assert_int_eq(WEXITSTATUS(in_child(child_drops_all, said, sizeof(said))), GONE_ON);
	if (ALONE)
		ck_assert_int_eq(WEXITSTATUS(in_child(child_is_refused, said, sizeof(said))),
				 GONE_ON);
	if (!geteuid())
		ck_assert_int_eq(WEXITSTATUS(in_child(child_becomes_another, said, sizeof(said))),
				 GONE_ON);
}
END_TEST

static const struct test_entry tests[] = {
	T(nothing_is_confined_without_preparation),
	T(users_are_found),
	T(privileges_are_given_up),
	/* Only where there is nothing in the process but us: sandbox_lacking(). */
	TLOOP(a_call_goes_through_only_if_the_role_needs_it, 0, ARRAY_SIZE(calls)),
	TLOOP(signals_names_and_messages_work_in_every_role, 0, SANDBOX_ROLES),
	T(memory_and_streams_work_and_handlers_stay),
	T(the_time_of_day_is_told_to_a_confined_guest),
	T(an_earlier_handler_runs_and_a_blocked_signal_comes),
	T(a_vcpu_waits_for_all_others),
};

int main(void)
{
	return check_main("sandbox", tests, sandbox_lacking() ? 3 : ARRAY_SIZE(tests));
}

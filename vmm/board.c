/* SPDX-License-Identifier: MIT */
/*
 * board.c: the one table that says what is on the board. Parts are built from top to
 * bottom and taken apart from bottom to top; nothing else registers anything.
 *
 * Threads: main (waits for a stop or a signal), "io" (runs the loop: NICs, console,
 * timers), "disk0".. (one for each), "vcpu0".. (the guest). They end in the order vCPUs,
 * disks, loop; only then are devices destroyed, so no device needs to guard against a late
 * caller.
 */
#include "vmm/board.h"

#include "devices/acpi_pm.h"
#include "devices/debug_exit.h"
#include "devices/i8042.h"
#include "devices/mark.h"
#include "devices/nic.h"
#include "devices/rtc.h"
#include "vmm/log.h"
#include "vmm/probe.h"
#include "vmm/sandbox.h"
#include "vmm/sidecar.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/sysinfo.h>
#include <unistd.h>

static struct irq_line *board_irq(struct machine *m, unsigned gsi)
{
	return irq_kvm_line(container_of(m, struct board, m)->irq, gsi);
}

static struct irq_eoi *board_irq_eoi(struct machine *m, unsigned gsi)
{
	return irq_kvm_eoi(container_of(m, struct board, m)->irq, gsi);
}

static void board_stop(struct machine *m, enum stop_reason why, int code)
{
	struct board *b = container_of(m, struct board, m);
	uint64_t one = 1;

	if (atomic_exchange(&b->stopping, true))
		return;
	b->why = why;
	b->code = code;
	if (write(b->stop_fd, &one, sizeof(one)) < 0)
		log_error("cannot stop: %s", strerror(errno));
}

int board_fail(int status, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_error("%s", text);
	return status;
}

/* --- the parts: make returns 0 or an exit status, having said why ----------------- */

static int make_memory(struct board *b)
{
	struct sysinfo si;
	uint64_t have;
	int err;

	sysinfo(&si);
	have = ((uint64_t)si.totalram + si.totalswap) * si.mem_unit;
	if (b->o->memory > have)
		return board_fail(EXIT_HOST,
				  "--memory: %" PRIu64 " MiB, but this host has only %" PRIu64,
				  b->o->memory >> 20, have >> 20);
	err = gm_init(&b->m.mem, b->o->memory);
	if (err)
		return board_fail(EXIT_HOST, "cannot reserve %" PRIu64 " MiB for the guest: %s",
				  b->o->memory >> 20, strerror(-err));
	return 0;
}

static void free_memory(struct board *b)
{
	gm_destroy(&b->m.mem);
}

static int make_kvm(struct board *b)
{
	char why[256];
	int err;

	if (kvm_open(&b->kvm, why, sizeof(why)) < 0)
		return board_fail(EXIT_HOST, "%s", why);
	err = kvm_map_memory(&b->kvm, &b->m.mem);
	if (err)
		return board_fail(EXIT_HOST, KVM_DEVICE ": cannot map the guest's memory: %s",
				  strerror(-err));
	b->m.pio.accel = &b->kvm.pio.accel;
	b->m.mmio.accel = &b->kvm.mmio.accel;
	return 0;
}

static void free_kvm(struct board *b)
{
	kvm_close(&b->kvm);
}

int board_made(const void *part, const char *name)
{
	return part ? 0 : board_fail(EXIT_HOST, "%s: %s", name, strerror(errno));
}

static int make_loop(struct board *b)
{
	b->m.loop = loop_new();
	b->m.watcher = watcher_new();
	return board_made(b->m.watcher ? b->m.loop : NULL, "event loop");
}

static void free_loop(struct board *b)
{
	watcher_free(b->m.watcher);
	loop_free(b->m.loop);
}

static int make_irq(struct board *b)
{
	b->irq = irq_kvm_new(&b->kvm);
	b->m.msi = b->irq ? irq_kvm_router(b->irq) : NULL;
	return board_made(b->irq, "interrupts");
}

static void free_irq(struct board *b)
{
	irq_kvm_free(b->irq);
}

static int make_rtc(struct board *b)
{
	b->rtc = rtc_new(&b->m);
	return board_made(b->rtc, "rtc");
}

static void free_rtc(struct board *b)
{
	rtc_free(b->rtc);
}

static int make_i8042(struct board *b)
{
	b->i8042 = i8042_new(&b->m);
	return board_made(b->i8042, "i8042");
}

static void free_i8042(struct board *b)
{
	i8042_free(b->i8042);
}

static int make_pm(struct board *b)
{
	b->pm = acpi_pm_new(&b->m);
	return board_made(b->pm, "acpi pm");
}

static void free_pm(struct board *b)
{
	acpi_pm_free(b->pm);
}

static int make_debug_exit(struct board *b)
{
	b->debug_exit = debug_exit_new(&b->m);
	return board_made(b->debug_exit, "debug exit");
}

static void free_debug_exit(struct board *b)
{
	debug_exit_free(b->debug_exit);
}

static int make_mark(struct board *b)
{
	if (!b->o->marks)
		return 0;
	b->mark = mark_new(&b->m, board_mark, b);
	return board_made(b->mark, "marks");
}

static void free_mark(struct board *b)
{
	mark_free(b->mark);
}

static int make_pci(struct board *b)
{
	b->pci = pci_host_new(&b->m);
	return board_made(b->pci, "pci");
}

static void free_pci(struct board *b)
{
	pci_host_free(b->pci);
}

/* What makes the artificial exits of NIC `i`, if it was asked for. */
static int make_sidecar(struct board *b, unsigned i, struct nic_config *cfg)
{
	char why[256];

	cfg->exits = b->o->nic[i].exits;
	if (!cfg->exits || b->o->dry_run)
		return 0;
	b->sidecar[i] = sidecar_new(why, sizeof(why));
	cfg->extra = sidecar_exits;
	cfg->extra_ctx = b->sidecar[i];
	return b->sidecar[i] ? 0 : board_fail(EXIT_HOST, "--net exits=%u: %s", cfg->exits, why);
}

/* What a NIC sends to, or NULL and why. A dry run's goes nowhere, so that nothing is opened. */
static struct net *make_net(struct board *b, const struct opts_nic *on, int *status)
{
	int err;
	struct net *be = net_open(b->m.loop, b->o->dry_run ? "null" : on->backend, on->arg, &err);

	*status = EXIT_HOST;
	if (!be || !on->pcap[0] || b->o->dry_run || !net_capture(be, on->pcap))
		return be;
	net_close(be);
	*status = EXIT_USAGE;
	return NULL;
}

/* Slot 1 is the first NIC's, 2 the second's: names in the guest stay put. */
static int make_nic(struct board *b, unsigned i)
{
	static const char *const names[OPTS_NICS_MAX] = { "net0", "net1", "net2", "net3",
							  "net4", "net5", "net6", "net7" };
	const struct opts_nic *on = &b->o->nic[i];
	struct nic_config cfg = { .name = names[i],
				  .mtu = on->mtu,
				  .rungs = on->rungs,
				  .poll_us = on->poll_us,
				  .vhost = on->vhost && !b->o->dry_run };
	int status = make_sidecar(b, i, &cfg);
	struct net *be;

	if (status)
		return status;
	be = make_net(b, on, &status);
	if (!be)
		return status;
	memcpy(cfg.mac, on->mac, sizeof(cfg.mac));
	b->nic[i] = on->model == OPTS_E1000
			    ? e1000_new(&b->m, b->pci, PCI_SLOT_NICS + i, &cfg, be)
			    : virtio_net_new(&b->m, b->pci, PCI_SLOT_NICS + i, &cfg, be);
	return b->nic[i] ? 0 : EXIT_HOST;
}

static int make_nics(struct board *b)
{
	for (; b->n_nics < b->o->n_nics; b->n_nics++) {
		int status = make_nic(b, b->n_nics);

		if (status)
			return status;
	}
	return 0;
}

static void free_nics(struct board *b)
{
	while (b->n_nics)
		nic_destroy(b->nic[--b->n_nics]);
	for (unsigned i = 0; i < OPTS_NICS_MAX; i++)
		sidecar_free(b->sidecar[i]);
}

static int make_vcpus(struct board *b)
{
	int err = 0;

	while (!err && b->n_vcpus < b->o->cpus) {
		unsigned id = b->n_vcpus++;

		err = vcpu_init(&b->vcpu[id], &b->kvm, &b->m, id, b->o->cpus);
	}
	if (!err)
		err = vcpu_set_entry(&b->vcpu[0], &b->entry);
	return err ? board_fail(EXIT_HOST, KVM_DEVICE ": cannot set up vcpu%u: %s", b->n_vcpus - 1,
				strerror(-err))
		   : 0;
}

static void free_vcpus(struct board *b)
{
	while (b->n_vcpus)
		vcpu_destroy(&b->vcpu[--b->n_vcpus]);
}

/*
 * THE board. Addresses and GSIs are vmm/layout.h's; a card in slot s has INTA# on
 * GSI_PCI_BASE + s % GSI_PCI_NR and, if it can, messages.
 */
static const struct board_part {
	enum { RUN, DRY } when; /* DRY: by --dry-run, too, for it changes nothing on the host */
	int (*make)(struct board *b);
	void (*unmake)(struct board *b); /* also of a part half made; may be NULL */
} board_parts[] = {
	/*                                             where                     interrupt */
	{ RUN, board_open_outputs, board_close_outputs }, /* files of the host                   */
	{ DRY, board_open_disks, board_close_disks },     /* files of the host, locked           */
	{ DRY, make_memory, free_memory },                /* 0.., RAM_HIGH_BASE..                */
	{ DRY, board_make_kernel, NULL },                 /* ACPI, kernel, initrd in RAM         */
	{ RUN, make_kvm, free_kvm },                      /* PICs, IOAPIC, LAPICs, PIT    GSI 0  */
	{ DRY, make_loop, free_loop },                    /* threads "io", "watcher"             */
	{ RUN, make_irq, free_irq },                      /* lines, messages                     */
	{ RUN, board_make_uarts, board_free_uarts },      /* PORT_COM1..           GSI_COM1..    */
	{ RUN, make_rtc, free_rtc },                      /* PORT_RTC              GSI_RTC       */
	{ RUN, make_i8042, free_i8042 },                  /* PORT_I8042                          */
	{ RUN, make_pm, free_pm },                        /* PORT_ACPI_PM          GSI_SCI       */
	{ RUN, make_debug_exit, free_debug_exit },        /* PORT_DEBUG_EXIT                     */
	{ RUN, make_mark, free_mark },                    /* PORT_MARK, if --marks               */
	{ DRY, make_pci, free_pci },                      /* PORT_PCI_CONFIG                     */
	{ DRY, make_nics, free_nics },                    /* PCI slots 1..  GSI_PCI_BASE.., MSI-X */
	{ DRY, board_make_disks, board_free_disks },      /* PCI_SLOT_DISKS.., threads "disk0".. */
	{ DRY, board_make_rng, board_free_rng },          /* PCI_SLOT_RNG, if --rng              */
	{ RUN, make_vcpus, free_vcpus },                  /* threads "vcpu0"..                   */
	{ RUN, board_make_console, board_free_console },  /* stdin to ttyS0                      */
};

/* --- signals --------------------------------------------------------------------- */

static const int board_signals[] = { SIGINT, SIGTERM, SIGHUP };

/* Those that nobody asked us to ignore (nohup, a shell's background job). */
static void board_signal_set(sigset_t *set)
{
	struct sigaction sa;

	sigemptyset(set);
	for (unsigned i = 0; i < ARRAY_SIZE(board_signals); i++)
		if (!sigaction(board_signals[i], NULL, &sa) && sa.sa_handler != SIG_IGN)
			sigaddset(set, board_signals[i]);
}

/* From now on they arrive through a descriptor; threads started later inherit that. */
static int board_take_signals(struct board *b)
{
	sigset_t set;

	board_signal_set(&set);
	sigaddset(&set, SIGUSR1); /* statistics; also during the shutdown no reason to die */
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	b->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	return b->signal_fd < 0 ? board_fail(EXIT_HOST, "signalfd: %s", strerror(errno)) : 0;
}

/* A second signal during the shutdown may kill us as it always would. */
static void board_give_signals(void)
{
	sigset_t set;

	board_signal_set(&set);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* --- life --------------------------------------------------------------------------- */

int board_build(struct board *b, const struct opts *o)
{
	int status = 0;

	memset(b, 0, sizeof(*b));
	b->o = o;
	b->kvm.dev = b->kvm.vm = -1;
	b->serial2_fd = b->signal_fd = b->marks_fd = -1;
	b->flavour = probe_flavour();
	b->m.irq = board_irq;
	b->m.irq_eoi = board_irq_eoi;
	b->m.stop = board_stop;
	bus_init(&b->m.pio, "pio", true);
	bus_init(&b->m.mmio, "mmio", false);
	b->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (b->stop_fd < 0)
		return board_fail(EXIT_HOST, "eventfd: %s", strerror(errno));
	if (o->dry_run)
		board_dry_irqs(&b->m);
	while (!status && b->n_parts < ARRAY_SIZE(board_parts)) {
		const struct board_part *p = &board_parts[b->n_parts++];

		if (p->when == DRY || !o->dry_run)
			status = p->make(b);
	}
	return status;
}

void board_destroy(struct board *b)
{
	while (b->n_parts) {
		const struct board_part *p = &board_parts[--b->n_parts];

		if (p->unmake && (p->when == DRY || !b->o->dry_run))
			p->unmake(b);
	}
	if (b->signal_fd >= 0)
		close(b->signal_fd);
	if (b->stop_fd >= 0)
		close(b->stop_fd);
	bus_destroy(&b->m.mmio);
	bus_destroy(&b->m.pio);
	cputime_forget(&b->main_cpu);
	cputime_forget(&b->io_cpu);
}

static void *board_io_thread(void *arg)
{
	struct board *b = arg;

	pthread_setname_np(pthread_self(), "io");
	cputime_begin(&b->io_cpu);
	if (sandbox_enter(SANDBOX_IO) < 0)
		board_stop(&b->m, STOP_HOST, 0);
	else
		loop_run(b->m.loop);
	cputime_end(&b->io_cpu);
	return NULL;
}

static void board_stop_threads(struct board *b)
{
	for (unsigned i = 0; i < b->n_vcpus; i++)
		if (b->vcpu[i].started)
			vcpu_kick(&b->vcpu[i]); /* all first, so that they leave in parallel */
	for (unsigned i = 0; i < b->n_vcpus; i++)
		vcpu_stop(&b->vcpu[i]);
	board_stop_disks(b);
	watcher_stop(b->m.watcher);
	loop_stop(b->m.loop);
	pthread_join(b->io, NULL);
}

int board_start(struct board *b)
{
	int err, status = board_take_signals(b);

	if (status)
		return status;
	b->main = pthread_self();
	err = -pthread_create(&b->io, NULL, board_io_thread, b);
	if (err)
		return board_fail(EXIT_HOST, "cannot start a thread: %s", strerror(-err));
	cputime_begin(&b->main_cpu);
	b->start = loop_now();
	err = watcher_start(b->m.watcher);
	if (!err)
		err = board_start_disks(b);
	for (unsigned i = 0; i < b->n_vcpus && !err; i++)
		err = vcpu_start(&b->vcpu[i]);
	if (!err)
		err = sandbox_enter(SANDBOX_MAIN);
	if (!err)
		return 0;
	sandbox_cancel();
	board_stop_threads(b);
	return board_fail(EXIT_HOST, "cannot start all threads: %s", strerror(-err));
}

void board_wait(struct board *b)
{
	struct pollfd p[] = { { .fd = b->stop_fd, .events = POLLIN },
			      { .fd = b->signal_fd, .events = POLLIN } };
	struct signalfd_siginfo si;

	while (!(p[0].revents & POLLIN)) {
		if (poll(p, ARRAY_SIZE(p), -1) < 0)
			continue;
		if (!(p[1].revents & POLLIN) || read(b->signal_fd, &si, sizeof(si)) != sizeof(si))
			continue;
		if (si.ssi_signo == SIGUSR1)
			board_stats_now(b);
		else
			board_stop(&b->m, STOP_USER, 128 + (int)si.ssi_signo);
	}
	board_give_signals();
	board_stop_threads(b);
	b->end = loop_now();
}

int board_exit_status(const struct board *b)
{
	switch (b->why) {
	case STOP_DEBUG_EXIT:
	case STOP_USER:
		return b->code;
	case STOP_CRASH:
		return EXIT_CRASH;
	case STOP_HOST:
		return EXIT_HOST;
	case STOP_POWEROFF:
		break;
	case STOP_RESET:
		return board_panicked(b) ? EXIT_CRASH : EXIT_OK;
	}
	return EXIT_OK;
}

/* After the terminal is itself again. */
static void board_report(const struct board *b)
{
	for (unsigned i = 0; i < b->o->cpus; i++)
		if (b->vcpu[i].why[0])
			log_error("%s", b->vcpu[i].why);
	if (board_panicked(b))
		log_error("the guest's kernel panicked");
	if (b->why == STOP_CRASH && !strcmp(b->flavour, "software"))
		log_error("this host's KVM is software: duet probe says what it can run");
}

/* A guest that was not ended by guest/exec-init, or by our user, has no status to give. */
static int board_exec_status(const struct board *b, int status)
{
	if (b->end && b->why != STOP_DEBUG_EXIT && b->why != STOP_USER)
		log_error("exec: the guest ended (%s) before the command did; --log-level debug "
			  "shows the kernel's messages",
			  board_stop_name(b));
	if (b->end && (b->why == STOP_DEBUG_EXIT || (b->why == STOP_USER && b->code)))
		return status;
	return EXIT_EXEC;
}

int board_run(const struct opts *o)
{
	static struct board b; /* too large for a stack */
	int status = board_build(&b, o);

	if (!status) {
		log_info("booting %s: %u vCPU%s, %" PRIu64 " MiB, KVM on %s", b.files.kernel,
			 o->cpus, o->cpus > 1 ? "s" : "", o->memory >> 20, b.flavour);
		status = board_confine(o);
	}
	if (!status)
		status = board_start(&b);
	if (!status) {
		board_wait(&b);
		status = board_exit_status(&b);
		log_debug("the guest ended by %s after %" PRIu64 " ms", board_stop_name(&b),
			  (b.end - b.start) / 1000000);
		board_stats_end(&b);
	}
	board_destroy(&b);
	board_report(&b);
	return o->command == OPTS_EXEC ? board_exec_status(&b, status) : status;
}

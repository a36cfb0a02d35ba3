/* SPDX-License-Identifier: MIT */
/*
 * board.h: the machine as a whole: what is on the board, in which order it is built,
 * started, stopped and taken apart.
 */
#ifndef DUET_BOARD_H
#define DUET_BOARD_H

#include "devices/disk.h"
#include "vmm/device.h"
#include "vmm/irq_kvm.h"
#include "vmm/kernel_find.h"
#include "vmm/kvm.h"
#include "vmm/layout.h"
#include "vmm/opts.h"
#include "vmm/vcpu.h"
#include "vmm/worker.h"

/* What the process tells its parent. A guest's own code and 128 + signal come besides. */
enum exit_status {
	EXIT_OK = 0,
	EXIT_USAGE = 2, /* a wrong option, or a file that is not what it should be */
	EXIT_HOST = 3,  /* this host cannot */
	EXIT_CRASH = 4, /* the guest crashed */
	EXIT_TIMEOUT = 124,
	EXIT_EXEC = 125, /* exec: all that is not COMMAND's own status */
};

struct board_disk {
	struct disk file;
	struct worker worker;   /* serves dev's requests */
	struct virtio_blk *dev; /* NULL: not made yet */
};

struct board {
	struct machine m;
	/* main thread; what m's users reach has locks of its own: */
	const struct opts *o;
	struct kvm kvm;
	struct irq_kvm *irq;
	struct kernel_files files;
	struct boot boot; /* how they were loaded; its `want` is gone */
	struct boot_entry entry;
	struct vcpu vcpu[MAX_CPUS];
	unsigned n_vcpus;
	struct serial *com1, *com2;
	struct console *console, *console2;
	struct rtc *rtc;
	struct i8042 *i8042;
	struct acpi_pm *pm;
	struct debug_exit *debug_exit;
	struct mark *mark; /* NULL unless --marks */
	struct pci_host *pci;
	struct nic *nic[OPTS_NICS_MAX];
	unsigned n_nics;
	struct sidecar *sidecar[OPTS_NICS_MAX]; /* NULL: that NIC wants no artificial exits */
	struct board_disk disk[OPTS_DISKS_MAX];
	unsigned n_disks;       /* of them that have a device */
	struct virtio_rng *rng; /* NULL unless --rng */
	FILE *stats;            /* NULL: none wanted */
	int marks_fd;           /* -1: none wanted */
	const char *flavour;    /* of the host's KVM */
	int serial2_fd;         /* ours to close; -1: none or inherited */
	int signal_fd;          /* SIGINT, SIGTERM, SIGHUP; SIGUSR1 */
	pthread_t main, io;     /* main: whose board_wait() hears signals; io: runs m.loop */
	struct cputime main_cpu, io_cpu;
	bool has_timeout;    /* `timeout` is to be destroyed */
	unsigned n_parts;    /* of the table that are built */
	uint64_t start, end; /* loop_now() */
	/* within mark's lock; any thread may read: */
	counter_t marks_lost; /* for want of room in the file */
	/* loop thread: */
	bool paused;               /* by the user: Ctrl-a p */
	struct loop_timer timeout; /* if has_timeout */
	/* any thread: */
	_Atomic bool stopping; /* the first to set it writes why and code... */
	int stop_fd;           /* ...before this eventfd, which the main thread waits for */
	enum stop_reason why;
	int code;
};

/* Build the machine that `o` describes, run it to its end. Returns an exit status. */
int board_run(const struct opts *o);

/* In pieces, for tests: 0 or an exit status, with the reason logged; board_destroy()
 * also after failure. Without o->kernel RAM stays empty: the caller fills it and says
 * where to begin (vcpu_set_entry()) before board_start(). */
int board_build(struct board *b, const struct opts *o);
int board_start(struct board *b);
/* Wait for machine.stop() or a signal, then bring all threads to a stop. */
void board_wait(struct board *b);
void board_destroy(struct board *b);
/* The exit status that the stop reason means. */
int board_exit_status(const struct board *b);

/* Log it and return `status`, which is EXIT_*. */
int board_fail(int status, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Of a part that may lack descriptors or memory, as errno says. 0 or an exit status. */
int board_made(const void *part, const char *name);

/* --- board_console.c: two parts of the board --- */

int board_make_uarts(struct board *b);
void board_free_uarts(struct board *b);
int board_make_console(struct board *b); /* last, since it makes the terminal raw */
void board_free_console(struct board *b);

/* --- board_outputs.c: a part of the board, see board_parts --- */

/* The files that the user named: 0 or an exit status, with the reason logged. */
int board_open_outputs(struct board *b);
/* Could they be opened? Nothing is made or changed. The same answers. */
int board_check_outputs(const struct opts *o);
void board_close_outputs(struct board *b);

/* --- board_kernel.c --- */

/* A part of the board: what the guest begins with, in its RAM. As board_open_outputs(). */
int board_make_kernel(struct board *b);
/* After the end: was the guest's reset its way to say that its kernel panicked? */
bool board_panicked(const struct board *b);

/* --- board_confine.c --- */

/* Between board_build() and board_start(), for good: give up what is no longer needed; with
 * --dry-run only see whether that could be asked. 0 or an exit status, with the reason logged. */
int board_confine(const struct opts *o);

/* --- board_dry.c --- */

/* Build as much of the machine as touches nothing of the host, print it to stdout. As
 * board_run(). */
int board_dry_run(const struct opts *o);
/* Interrupts that go nowhere, for devices to be made without KVM. */
void board_dry_irqs(struct machine *m);

/* --- board_disks.c: three parts of the board, and the disks' threads --- */

int board_open_disks(struct board *b); /* the files; as board_open_outputs() */
void board_close_disks(struct board *b);
int board_make_disks(struct board *b); /* the devices */
void board_free_disks(struct board *b);
int board_start_disks(struct board *b); /* 0 or -errno */
void board_stop_disks(struct board *b); /* also those not started */
struct vserver *board_disk_server(struct board *b, unsigned i);
int board_make_rng(struct board *b);
void board_free_rng(struct board *b);

/* --- board_stats.c, board_table.c: docs/stats.md --- */

/* Write what the user asked for: JSON to the --stats file, in place of what was there,
 * and the table to stderr. At the end, or (main thread) while the guest runs. */
void board_stats_end(struct board *b);
void board_stats_now(struct board *b);

/* A mark_fn: one line in the --marks file. What the file cannot take is lost, and said. */
void board_mark(void *board, uint32_t label);

/* The machine's counters as one JSON object; as a table of those that are not 0. */
void board_stats_json(struct board *b, FILE *f);
void board_stats_table(struct board *b, FILE *f);
/* "poweroff", or "running". */
const char *board_stop_name(const struct board *b);
/* Since the guest began, up to `now` or its end, ns. */
uint64_t board_lifetime(const struct board *b, const struct acct_moment *now);

#endif

/* SPDX-License-Identifier: MIT */
/* opts_help.c: what `duet help` and `duet version` print, at most 80 columns wide. */
#include "devices/ladder.h"
#include "vmm/boot.h"
#include "vmm/boot_unpack.h"
#include "vmm/opts.h"
#include "vmm/sandbox.h"
#include "vmm/trace.h"

#include <string.h>

#ifndef DUET_VERSION
#define DUET_VERSION "unknown"
#endif

static const char help_top[] =
	"duet: boots a stock Linux kernel on /dev/kvm, with an emulated e1000 and a\n"
	"virtio-net side by side over the same backends.\n"
	"\n"
	"usage: duet run KERNEL [options]          boot a guest\n"
	"       duet exec [options] -- COMMAND     run it in a guest, return its status\n"
	"       duet probe [--json]                can this host run a stock kernel?\n"
	"       duet calibrate [--json]            what does each kind of exit cost here?\n"
	"       duet help [run|exec|probe|calibrate]  this text, or a command's options\n"
	"       duet version                       version and what was built in\n"
	"\n"
	"example:\n"
	"  duet run auto -m 1G -c 2 -n e1000,tap=tap0 -n virtio,tap=tap1\n";

static const char help_run[] =
	"usage: duet run KERNEL [options]\n"
	"\n"
	"Boots KERNEL and ends when the guest powers off, reboots or crashes. The guest's\n"
	"first serial port (console=ttyS0) is this terminal: Ctrl-a x quits, Ctrl-a p\n"
	"pauses, Ctrl-a h lists the other keys.\n"
	"\n"
	"  @FILE                  the words in FILE in its place: options and their\n"
	"                         values, quoted as in a shell, # comments\n"
	"  -k, --kernel FILE      the same as KERNEL: a bzImage, or an ELF vmlinux with a\n"
	"                         PVH note, as the distribution ships it. auto: the\n"
	"                         one this host runs, else the newest in /boot, and the\n"
	"                         initrd for it\n"
	"  -i, --initrd FILE      initial RAM file system (default: none)\n"
	"  -a, --append STR       kernel command line (default: console=ttyS0, and that a\n"
	"                         panic ends the guest, with exit status 4)\n"
	"      --unpack WHO       who unpacks the kernel in a bzImage: guest, host, or\n"
	"                         auto (default): the host, if it can. What it unpacked\n"
	"                         is kept in ~/.cache/duet\n"
	"  -m, --memory SIZE      RAM: 512M, 4G... (default 512M, 16M to 1T)\n"
	"  -c, --cpus N           virtual CPUs, 1 to 16 (default 1)\n"
	"  -n, --net MODEL,BACKEND[,KEY[=VALUE]]...\n"
	"                         a network card in the next PCI slot; repeatable, up to\n"
	"                         8. MODEL is e1000 (Intel 82540EM) or virtio\n"
	"                         (virtio-net). BACKEND is one of\n"
	"                           tap=IFNAME  a tap of this host\n"
	"                           user        passt: no privilege, DHCP, DNS; with\n"
	"                                       hostfwd=tcp:2222:22 the host's port 2222\n"
	"                                       is the guest's 22; also udp:; repeatable\n"
	"                           fd=N        a tap that descriptor N is attached to\n"
	"                           stream=PATH a socket to connect to: another duet's,\n"
	"                                       QEMU's or passt's\n"
	"                           listen=PATH a socket where one of those connects\n"
	"                           null        takes all frames, sends none\n"
	"                           loop        sends each frame back\n"
	"                         mac: default 52:54:00:12:34:56 for the first, :57 for\n"
	"                         the second... mtu: 68 to 65535, what the guest is told\n"
	"                         ladder: how the card works inside: best (default),\n"
	"                         qemu (no rung), or a rung's name: that one and those\n"
	"                         above it in the list below. RUNG=on, =off: one of them,\n"
	"                         after ladder=. poll-us=N: how long a worker with the\n"
	"                         poll rung looks out in vain, 1 to 100000 (default 4000)\n"
	"                         pcap=FILE: every frame, both ways, for Wireshark\n"
	"                         vhost=on: for virtio on a tap, the host's kernel moves\n"
	"                         the frames (/dev/vhost-net); nothing that is about how\n"
	"                         duet moves them goes with it\n"
	"                         exits: artificial exits for each frame the guest sends,\n"
	"                         0 to 1000, to see what one more exit costs (default 0)\n"
	"  -d, --disk FILE[,ro]   a disk (virtio-blk): a raw image or a block device. ro:\n"
	"                         the guest cannot write it. Repeatable, up to 8, which\n"
	"                         the guest calls vda, vdb...\n"
	"      --rng              random numbers of this host for the guest (virtio-rng)\n"
	"      --serial2 FILE     second serial port (ttyS1): its output goes to FILE;\n"
	"                         fd:N: both ways over the inherited descriptor N\n"
	"      --stats FILE       write counters and times as JSON at the end: exits,\n"
	"                         registers, interrupts, frames, locks, threads\n"
	"      --stats-table      print them as a table on stderr; so does --stats -.\n"
	"                         At SIGUSR1 either is written while the guest runs on\n"
	"      --marks FILE       add a line of the same JSON to FILE whenever the guest\n"
	"                         writes a number to I/O port 0xf8 (32 bits)\n"
	"      --accounting off   count no single accesses and take no times (default on)\n"
	"      --trace CLASS,...  show the data path, one line per event; classes below\n"
	"      --trace-file FILE  trace to FILE instead of stderr\n"
	"      --user USER        become USER (NAME or UID, or either with :GID) when all\n"
	"                         files are open; needs root\n"
	"      --chroot DIR       see no files but those in DIR from then on; needs root\n"
	"      --sandbox off      let threads make any system call (default on: a call\n"
	"                         that a thread's role does not need ends duet by SIGSYS)\n"
	"      --log-level LEVEL  what duet says of itself on stderr: error, warning,\n"
	"                         info (default) or debug; each shows those before it\n"
	"      --timeout SECONDS  end the guest after so long, with status 124\n"
	"  -q, --quiet            --log-level warning\n"
	"      --dry-run          load the files, print the machine, start nothing;\n"
	"                         needs no KVM, opens no tap or socket, writes no file\n"
	"  -h, --help             this text\n"
	"  -V, --version          version and what was built in\n";

static const char help_run_status[] = "\n"
				      "exit status:\n"
				      "  0    the guest powered off or rebooted, or Ctrl-a x\n"
				      "  N    the guest wrote N to I/O port 0xf4\n"
				      "  2    bad usage, or a file that is not what it should be\n"
				      "  3    this host cannot: no KVM, no such tap...\n"
				      "  4    the guest crashed\n"
				      "  128+N  stopped by signal N (31, SIGSYS: see --sandbox)\n";

static const char help_exec[] =
	"usage: duet exec [options] -- COMMAND [ARG...]\n"
	"\n"
	"Boots a guest made of busybox, runs COMMAND there in /work, which is a copy of\n"
	"the current directory, and ends with its exit status. What it writes to stdout\n"
	"and stderr comes out of duet's, byte for byte. Nothing is written back.\n"
	"At a terminal stdin, too, is COMMAND's; otherwise it is empty without --stdin.\n"
	"\n"
	"  -k, --kernel FILE      as for duet run (default: auto)\n"
	"  -i, --initrd FILE      unpacked first; modules it names in\n"
	"                         /etc/modules-to-load are loaded\n"
	"  -a, --append STR       more words for the kernel's command line\n"
	"      --dir DIR          this directory instead of the current one\n"
	"      --no-dir           none: /work is empty\n"
	"      --file HOST[:GUEST]\n"
	"                         the file HOST, too, as GUEST (default: its name), which\n"
	"                         is below /work unless it begins with /; repeatable\n"
	"      --root DIR         the tree in DIR is the guest's /, libraries and all\n"
	"      --stdin            read stdin to its end first; it is COMMAND's\n"
	"      --limit SIZE       of all that together (default 64M, at most 2G); the\n"
	"                         guest's --memory must hold it twice\n"
	"      --timeout SECONDS  end the guest after so long, with status 124\n"
	"      --log-level debug  shows the kernel's messages on stderr, too\n"
	"\n"
	"and what else duet run takes but --serial2 and --dry-run.\n"
	"\n"
	"exit status: COMMAND's; 126 not executable, 127 not found, 128+N killed by\n"
	"signal N; 124 timeout; 125 duet or the guest failed, or bad usage\n";

static const char help_probe[] =
	"usage: duet probe [--json]\n"
	"\n"
	"Finds out by experiment what /dev/kvm is on this host (absent, not permitted,\n"
	"hardware: VMX or SVM, or software) and whether a stock kernel can run on it;\n"
	"says what is missing and what to do.\n"
	"\n"
	"      --json     the same for programs\n"
	"  -h, --help     this text\n"
	"\n"
	"exit status: 0 a stock kernel can run here, 3 it cannot, 2 bad usage\n";

static const char help_calibrate[] =
	"usage: duet calibrate [--json] [-n SAMPLES]\n"
	"\n"
	"Measures on this host, with a small bare-metal guest of its own, what each kind\n"
	"of exit costs: port and memory access to userspace, ioeventfd, coalesced, a\n"
	"read-only slot, interrupts, EOI, HLT, wake-ups. What this KVM cannot do is\n"
	"reported with the reason. docs/calibrate.md says how to read the figures.\n"
	"\n"
	"  -n, --samples N  samples of each kind, 1 to 10000 (default 51)\n"
	"      --json       the same for programs\n"
	"  -h, --help       this text\n"
	"\n"
	"exit status: 0 measured, 3 there is no KVM, 2 bad usage\n";

static void help_trace_classes(FILE *f)
{
	fputs("\ntrace classes:\n", f);
	for (unsigned c = 0; c < TRACE_NR; c++)
		fprintf(f, "  %-8s %s\n", trace_class_name((enum trace_class)c),
			trace_class_help((enum trace_class)c));
	fputs("  all      all of them\n", f);
}

static void help_rungs(FILE *f)
{
	fputs("\nrungs of the ladder, and the cards that have them:\n", f);
	for (unsigned r = 0; r < RUNG_NR; r++)
		fprintf(f, "  %-10s  %-5s  %s\n", ladder_name((enum ladder_rung)r),
			ladder_on_virtio((enum ladder_rung)r) ? "both" : "e1000",
			ladder_help((enum ladder_rung)r));
}

void opts_help(FILE *f, const char *topic)
{
	if (topic && !strcmp(topic, "probe")) {
		fputs(help_probe, f);
		return;
	}
	if (topic && !strcmp(topic, "exec")) {
		fputs(help_exec, f);
		return;
	}
	if (topic && !strcmp(topic, "calibrate")) {
		fputs(help_calibrate, f);
		return;
	}
	if (!topic) {
		fputs(help_top, f);
		fputs("\n", f);
	}
	fputs(help_run, f);
	help_rungs(f);
	help_trace_classes(f);
	fputs(help_run_status, f);
	if (!topic) {
		fputs("\n", f);
		fputs(help_exec, f);
		fputs("\n", f);
		fputs(help_probe, f);
		fputs("\n", f);
		fputs(help_calibrate, f);
	}
}

void opts_version(FILE *f)
{
	fprintf(f, "duet %s\n", DUET_VERSION);
	fprintf(f, "kernels: bzImage%s\n",
		HAVE_LIBELF ? ", ELF vmlinux (PVH)"
			    : "; ELF vmlinux is left out of this build, which has no libelf");
	fputs("unpacks:", f);
	for (unsigned i = 0; unpack_built_in(i); i++)
		fprintf(f, " %s", unpack_built_in(i));
	fputs(unpack_built_in(0) ? "; the guest the rest\n" : " nothing, the guest does\n", f);
	fprintf(f, "sandbox: %s%s\n", sandbox_lacking() ? "not in this build: " : "seccomp",
		sandbox_lacking() ? sandbox_lacking() : "");
}

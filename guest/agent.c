/* SPDX-License-Identifier: MIT */
/*
 * The traffic agent, one static program with two halves. In the guest "agent run" and "agent
 * integrity" drive: they connect to the host half ("agent serve") over the NIC to be examined,
 * ask for a job, both sides do it, and what was measured is buffered. Results leave the guest
 * only between runs, on the second serial port, so that reporting costs no exits during one.
 *
 * Output is JSON, one object a line, told apart by "kind":
 *
 * guest    release, machine, cpus, memory_kb, clocksource, cmdline
 * nic      nic (interface), slot (PCI address), driver, version, mac, mtu, link, on (active
 *          offload flags), virtio_features (128 characters, bit 0 first; null if not virtio)
 * plan     runs, seconds (expected, all runs together)
 * run      nic (name given by --nic), interface, driver, round (from 1), workload, unit, value,
 *          bytes, count (transactions, datagrams; bytes for streams), seconds: all inside the
 *          measured window, which opens after warmup_ms and ends with the last arrival;
 *          sent, received, drops (datagrams of the whole run; null for TCP);
 *          median_us, p99_us (tcp_rr, else null); retransmits (of the sending half);
 *          cpu: shares of the guest's CPUs from /proc/stat over the whole run, warm-up included:
 *          busy, user, system, irq, softirq, steal (in no other, not in busy);
 *          total: bytes, transactions or datagrams of the whole run, warm-up included;
 *          marks: [begin, end], labels of the VMM's marks around the job (null without --marks);
 *          quiet_ns: of the time between them, after the last arrival, nothing came
 * idle     marks, seconds: before the runs, all NICs up, nobody sends
 * test     nic, driver, test, bytes, seconds, sent, received, lost, duplicate, reordered,
 *          bad_bytes, first_bad, bad_frames, frame_sizes (different ones seen, UDP only),
 *          checksum_errors (of guest's and host's kernel together), retransmits, ok
 * verdict  nic, driver, ok
 * error    nic, round, workload or test, error (text): this run is dead, the next one went on
 * end      errors (number of failed runs or tests), ok
 *
 * Value and unit: tcp_out, tcp_in Mbit/s of payload; tcp_rr transactions/s; udp_out, udp_in
 * datagrams/s *received*. "out" is guest to host.
 */
#include "guest/agent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <unistd.h>

#define DEBUG_EXIT_PORT 0xf4

static int exit_main(int argc, char **argv)
{
	char *end;
	long status = argc == 2 ? strtol(argv[1], &end, 0) : -1;

	if (argc != 2 || *end || end == argv[1] || status < 0 || status > 255) {
		fprintf(stderr, "usage: agent exit N    (0 to 255: the VMM's exit status)\n");
		return 2;
	}
	if (ioperm(DEBUG_EXIT_PORT, 1, 1)) {
		fprintf(stderr, "agent: port 0x%x: %s\n", DEBUG_EXIT_PORT, strerror(errno));
		return 1;
	}
	outb(status, DEBUG_EXIT_PORT);
	usleep(100000); /* a VMM that ends does it within this; one without the port reads on */
	fprintf(stderr, "agent: no debug-exit device at port 0x%x\n", DEBUG_EXIT_PORT);
	return 1;
}

static const char help[] =
	"usage: agent COMMAND [options]\n"
	"\n"
	"in the guest:\n"
	"  run         measure workloads over each NIC in turn\n"
	"  integrity   check every byte of patterned TCP and UDP traffic\n"
	"  features    print driver, offloads and virtio feature bits of each NIC\n"
	"  mark N      have the VMM take its counters (duet run --marks), labelled N\n"
	"  exit N      end the VMM with status N by the debug-exit port 0xf4\n"
	"on the host:\n"
	"  serve --bind ADDR [--bind ADDR ...] [--port P]\n"
	"              answer guests on these addresses\n"
	"\n"
	"options of run and integrity:\n"
	"  --nic NAME=IF,ADDR  guest interface IF reaches the host half at ADDR; repeatable\n"
	"  --out FILE          where the JSON lines go (a tty is set to raw); default stdout\n"
	"  --port P            the host half's control port (5577)\n"
	"  --stall MS          no progress for so long is a failure (10000)\n"
	"  --limit SEC         give a run up after this (15 s more than its time; 900 by count)\n"
	"options of run:\n"
	"  --workloads LIST    of tcp_out,tcp_in,tcp_rr,udp_out,udp_in (all five)\n"
	"  --rounds R          how often; the order of the NICs swaps each time (3)\n"
	"  --time MS           measured time of a run (2500)\n"
	"  --warmup MS         time before it, not measured (300)\n"
	"  --count N           instead: a fixed amount of bytes, transactions or datagrams,\n"
	"                      without warm-up; --workloads tcp_out:4M,tcp_rr:500 has\n"
	"                      one for each\n"
	"  --size BYTES        datagram payload (18)\n"
	"  --marks 1           mark each run's begin and end for duet run --marks (0)\n"
	"  --idle MS           before the runs: mark this much idle time (0: none)\n"
	"options of integrity:\n"
	"  --bytes N[k|M|G]    of TCP each way (100M)\n"
	"  --datagrams N       each way, of all frame sizes from 60 to 1514 (100000)\n";

static int help_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	fputs(help, stdout);
	return 0;
}

static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
} commands[] = {
	{ "run", run_main },     { "integrity", integrity_main },
	{ "serve", serve_main }, { "features", features_main },
	{ "mark", mark_main },   { "exit", exit_main },
	{ "help", help_main },   { "-h", help_main },
	{ "--help", help_main },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].main(argc - 1, argv + 1);
	}
	if (argc > 1)
		fprintf(stderr, "agent: unknown command \"%s\"\n", argv[1]);
	fputs(help, stderr);
	return 2;
}

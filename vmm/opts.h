/* SPDX-License-Identifier: MIT */
/*
 * opts.h: the command line. Parsing looks at nothing but its arguments, so that a
 * test can ask for every answer.
 */
#ifndef DUET_OPTS_H
#define DUET_OPTS_H

#include "vmm/boot.h"
#include "vmm/log.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define OPTS_NICS_MAX   8
#define OPTS_DISKS_MAX  8
#define OPTS_FILES_MAX  32
#define OPTS_MEMORY_MIN (UINT64_C(16) << 20)
#define OPTS_MEMORY_MAX (UINT64_C(1) << 40)

enum opts_command { OPTS_RUN, OPTS_EXEC, OPTS_PROBE, OPTS_CALIBRATE, OPTS_HELP, OPTS_VERSION };

enum opts_model { OPTS_E1000, OPTS_VIRTIO };

struct opts_nic {
	enum opts_model model;
	const char *backend; /* net_open()'s kind: "tap", "null", "loop"... */
	char arg[256];       /* and its argument: the tap's name... */
	char pcap[256];      /* capture file; "": none */
	uint8_t mac[6];
	bool mac_given;
	unsigned mtu;   /* 0: not given */
	unsigned rungs; /* BIT(RUNG_*) */
	unsigned poll_us;
	unsigned exits;    /* artificial ones per frame sent */
	bool vhost;        /* the host's kernel moves the frames */
	const char *tuned; /* the last key given that is about how duet moves them; NULL: none */
};

enum opts_sandbox { OPTS_SANDBOX_IF_BUILT_IN, OPTS_SANDBOX_ON, OPTS_SANDBOX_OFF };

struct opts_disk {
	char path[PATH_MAX];
	bool readonly;
};

/* One --file of `duet exec`. */
struct opts_file {
	const char *host; /* of which the first host_len bytes are the name here */
	int host_len;
	const char *guest; /* the name there; below /work, if it begins with no slash */
};

/* `duet exec`. */
struct opts_exec {
	char *const *argv; /* COMMAND and its arguments, NULL behind the last */
	const char *dir;   /* packed as /work, unless no_dir */
	const char *root;  /* NULL: none */
	struct opts_file file[OPTS_FILES_MAX];
	unsigned n_files;
	bool no_dir;
	bool input;     /* our stdin is COMMAND's */
	uint64_t limit; /* of all that, bytes */
};

/* Strings point into argv. */
struct opts {
	enum opts_command command;
	const char *topic; /* of help: "run", "probe", "calibrate" or NULL */
	bool json;
	enum log_level log_level;
	struct opts_exec exec;
	unsigned timeout; /* s; 0: none */
	unsigned samples; /* calibrate: of each kind */
	const char *kernel, *initrd, *append;
	enum boot_unpack unpack;
	uint64_t memory; /* bytes, a multiple of 4096 */
	unsigned cpus;
	struct opts_nic nic[OPTS_NICS_MAX];
	unsigned n_nics;
	struct opts_disk disk[OPTS_DISKS_MAX];
	unsigned n_disks;
	bool rng;
	bool dry_run;
	const char *stats, *trace, *trace_file, *marks;
	bool stats_table;
	bool no_accounting;
	enum opts_sandbox sandbox;
	const char *user, *chroot;
	const char *serial2; /* file name, when serial2_fd is -1 */
	int serial2_fd;
	char why[256]; /* after a failure: one line that names option, value and remedy */
};

/* 0, or -1 with o->why filled in. */
int opts_parse(struct opts *o, int argc, char **argv);

/* Help on "run", "exec", "probe", "calibrate" or (NULL) everything; lines of at most 80 columns. */
void opts_help(FILE *f, const char *topic);
void opts_version(FILE *f);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * opts.c: from argv to struct opts, with an answer to each mistake that names the
 * option, the value and what would have been accepted. The help texts are opts_help.c.
 */
#include "vmm/opts.h"

#include "devices/nic.h"
#include "vmm/layout.h"
#include "vmm/trace.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <string.h>

#define OPTS_MEMORY_DEFAULT (UINT64_C(512) << 20)
#define OPTS_MTU_MIN        68
#define OPTS_MTU_MAX        65535
#define OPTS_POLL_MAX       100000
#define OPTS_POLL_DEFAULT   4000
#define OPTS_EXITS_MAX      1000
#define OPTS_SAMPLES        51 /* odd: the median is one of them */
#define OPTS_SAMPLES_MAX    10000

static const uint8_t opts_mac_base[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };

static int opts_fail(struct opts *o, const char *fmt, ...) PRINTF_LIKE(2, 3);

static int opts_fail(struct opts *o, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(o->why, sizeof(o->why), fmt, ap);
	va_end(ap);
	return -1;
}

/* A plain decimal number up to `max`. */
static int opts_number(const char *s, uint64_t max, uint64_t *val)
{
	char *end;

	errno = 0;
	if (*s < '0' || *s > '9')
		return -1;
	*val = strtoull(s, &end, 10);
	return *end || errno || *val > max ? -1 : 0;
}

/* "512M", "4G"; M when there is no unit, as in other hypervisors. */
static int opts_size(const char *s, uint64_t *bytes)
{
	static const struct {
		const char *suffix;
		unsigned shift;
	} units[] = { { "", 20 },    { "K", 10 },   { "M", 20 },   { "G", 30 },  { "T", 40 },
		      { "KiB", 10 }, { "MiB", 20 }, { "GiB", 30 }, { "TiB", 40 } };
	char *end;
	uint64_t n;

	errno = 0;
	if (*s < '0' || *s > '9')
		return -1;
	n = strtoull(s, &end, 10);
	for (unsigned i = 0; i < ARRAY_SIZE(units); i++) {
		if (strcasecmp(end, units[i].suffix) != 0)
			continue;
		if (errno || n > UINT64_MAX >> units[i].shift)
			n = UINT64_MAX >> units[i].shift;
		*bytes = n << units[i].shift;
		return 0;
	}
	return -1;
}

static int opts_memory(struct opts *o, const char *s)
{
	if (opts_size(s, &o->memory) < 0)
		return opts_fail(o, "--memory %s: not a size; say 512M or 4G", s);
	if (o->memory < OPTS_MEMORY_MIN)
		return opts_fail(o, "--memory %s: too little, at least 16M", s);
	if (o->memory > OPTS_MEMORY_MAX)
		return opts_fail(o, "--memory %s: too much, at most 1T", s);
	if (o->memory % 4096)
		return opts_fail(o, "--memory %s: not a multiple of 4K", s);
	return 0;
}

static int opts_cpus(struct opts *o, const char *s)
{
	uint64_t n;

	if (opts_number(s, MAX_CPUS, &n) < 0 || !n)
		return opts_fail(o, "--cpus %s: a number from 1 to %d", s, MAX_CPUS);
	o->cpus = (unsigned)n;
	return 0;
}

static int opts_samples(struct opts *o, const char *s)
{
	uint64_t n;

	if (opts_number(s, OPTS_SAMPLES_MAX, &n) < 0 || !n)
		return opts_fail(o, "--samples %s: a number from 1 to %d", s, OPTS_SAMPLES_MAX);
	o->samples = (unsigned)n;
	return 0;
}

static int opts_serial2(struct opts *o, const char *s)
{
	uint64_t fd;

	o->serial2 = s;
	o->serial2_fd = -1;
	if (!*s)
		return opts_fail(o, "--serial2: a file name or fd:N is needed");
	if (strncmp(s, "fd:", 3) != 0)
		return 0;
	if (opts_number(s + 3, INT32_MAX, &fd) < 0)
		return opts_fail(o, "--serial2 %s: fd:N takes the number of an open descriptor", s);
	o->serial2_fd = (int)fd;
	return 0;
}

/* --- --net MODEL[,key[=value]...] ---------------------------------------------- */

static int net_backend(struct opts *o, struct opts_nic *n, const char *kind)
{
	if (n->backend)
		return opts_fail(o, "--net: both %s and %s; one backend is needed", n->backend,
				 kind);
	n->backend = kind;
	return 0;
}

static int net_tap(struct opts *o, struct opts_nic *n, const char *val)
{
	if (!*val || strlen(val) >= sizeof(n->ifname) || strpbrk(val, "/ \t"))
		return opts_fail(o, "--net tap=%s: an interface's name has 1 to %d characters", val,
				 IFNAMSIZ - 1);
	snprintf(n->ifname, sizeof(n->ifname), "%s", val);
	return net_backend(o, n, "tap");
}

static int net_null(struct opts *o, struct opts_nic *n, const char *val)
{
	(void)val;
	return net_backend(o, n, "null");
}

static int net_loop(struct opts *o, struct opts_nic *n, const char *val)
{
	(void)val;
	return net_backend(o, n, "loop");
}

static int net_mac(struct opts *o, struct opts_nic *n, const char *val)
{
	if (nic_parse_mac(val, n->mac) < 0)
		return opts_fail(o, "--net mac=%s: a unicast address such as 52:54:00:12:34:56",
				 val);
	n->mac_given = true;
	return 0;
}

static int net_mtu(struct opts *o, struct opts_nic *n, const char *val)
{
	uint64_t mtu;

	if (opts_number(val, OPTS_MTU_MAX, &mtu) < 0 || mtu < OPTS_MTU_MIN)
		return opts_fail(o, "--net mtu=%s: a number from %d to %d", val, OPTS_MTU_MIN,
				 OPTS_MTU_MAX);
	n->mtu = (unsigned)mtu;
	return 0;
}

static int net_poll(struct opts *o, struct opts_nic *n, const char *val)
{
	uint64_t us;

	if (opts_number(val, OPTS_POLL_MAX, &us) < 0 || !us)
		return opts_fail(o, "--net poll-us=%s: microseconds, 1 to %d", val, OPTS_POLL_MAX);
	n->poll_us = (unsigned)us;
	return 0;
}

static int net_ladder(struct opts *o, struct opts_nic *n, const char *val)
{
	if (!ladder_preset(val, &n->rungs))
		return opts_fail(o, "--net ladder=%s: say qemu, best, or a rung's name", val);
	if (n->model == OPTS_VIRTIO)
		n->rungs &= LADDER_VIRTIO;
	return 0;
}

static int net_exits(struct opts *o, struct opts_nic *n, const char *val)
{
	uint64_t exits;

	if (opts_number(val, OPTS_EXITS_MAX, &exits) < 0)
		return opts_fail(o, "--net exits=%s: a number from 0 to %d", val, OPTS_EXITS_MAX);
	n->exits = (unsigned)exits;
	return 0;
}

static const struct {
	const char *name;
	bool value;
	int (*set)(struct opts *o, struct opts_nic *n, const char *val);
} net_keys[] = {
	{ "tap", true, net_tap },      { "null", false, net_null },  { "loop", false, net_loop },
	{ "mac", true, net_mac },      { "mtu", true, net_mtu },     { "ladder", true, net_ladder },
	{ "poll-us", true, net_poll }, { "exits", true, net_exits },
};

static int net_rung(struct opts *o, struct opts_nic *n, enum ladder_rung r, const char *val)
{
	if (n->model == OPTS_VIRTIO && !ladder_on_virtio(r))
		return opts_fail(o, "--net virtio,%s: a rung of e1000 only", ladder_name(r));
	if (val && !strcmp(val, "on"))
		n->rungs |= BIT(r);
	else if (val && !strcmp(val, "off"))
		n->rungs &= ~BIT(r);
	else
		return opts_fail(o, "--net %s%s%s: say %s=on or %s=off", ladder_name(r),
				 val ? "=" : "", val ? val : "", ladder_name(r), ladder_name(r));
	return 0;
}

static int net_key(struct opts *o, struct opts_nic *n, char *word)
{
	char *val = strchr(word, '=');

	if (val)
		*val++ = '\0';
	for (unsigned i = 0; i < ARRAY_SIZE(net_keys); i++) {
		if (strcmp(word, net_keys[i].name) != 0)
			continue;
		if (net_keys[i].value && !val)
			return opts_fail(o, "--net %s: needs a value, %s=...", word, word);
		if (!net_keys[i].value && val)
			return opts_fail(o, "--net %s=%s: takes no value", word, val);
		return net_keys[i].set(o, n, val);
	}
	if (ladder_find(word) != RUNG_NR)
		return net_rung(o, n, ladder_find(word), val);
	return opts_fail(
		o,
		"--net: unknown key '%s'; known: tap=IFNAME, null, loop, mac=, mtu=, exits=, "
		"ladder=, poll-us=, and the rungs of the ladder (duet run --help)",
		word);
}

static int net_model(struct opts *o, struct opts_nic *n, const char *word)
{
	if (!strcmp(word, "e1000"))
		n->model = OPTS_E1000;
	else if (!strcmp(word, "virtio"))
		n->model = OPTS_VIRTIO;
	else
		return opts_fail(o, "--net %s: unknown model; known: e1000, virtio", word);
	return 0;
}

static int opts_net(struct opts *o, const char *s)
{
	struct opts_nic *n = &o->nic[o->n_nics];
	char text[256], *save, *word;

	if (o->n_nics == OPTS_NICS_MAX)
		return opts_fail(o, "--net %s: too many NICs, at most %d", s, OPTS_NICS_MAX);
	if ((size_t)snprintf(text, sizeof(text), "%s", s) >= sizeof(text))
		return opts_fail(o, "--net %.40s...: too long", s);
	word = strtok_r(text, ",", &save);
	if (net_model(o, n, word ? word : "") < 0)
		return -1;
	n->poll_us = OPTS_POLL_DEFAULT;
	n->rungs = n->model == OPTS_VIRTIO ? LADDER_BEST & LADDER_VIRTIO : LADDER_BEST;
	while ((word = strtok_r(NULL, ",", &save)))
		if (net_key(o, n, word) < 0)
			return -1;
	if (ladder_conflict(n->rungs))
		return opts_fail(o, "--net %s: %s", s, ladder_conflict(n->rungs));
	if (!n->backend)
		return opts_fail(o, "--net %s: no backend; add ,tap=IFNAME or ,null or ,loop", s);
	if (!n->mac_given) {
		memcpy(n->mac, opts_mac_base, 6);
		n->mac[5] = (uint8_t)(n->mac[5] + o->n_nics);
	}
	o->n_nics++;
	return 0;
}

static int opts_check_nics(struct opts *o)
{
	for (unsigned i = 0; i < o->n_nics; i++)
		for (unsigned j = 0; j < i; j++) {
			const struct opts_nic *a = &o->nic[j], *b = &o->nic[i];

			if (!memcmp(a->mac, b->mac, 6))
				return opts_fail(o,
						 "--net: NICs %u and %u have the same MAC address "
						 "%02x:%02x:%02x:%02x:%02x:%02x",
						 j, i, b->mac[0], b->mac[1], b->mac[2], b->mac[3],
						 b->mac[4], b->mac[5]);
			if (a->ifname[0] && !strcmp(a->ifname, b->ifname))
				return opts_fail(o, "--net: NICs %u and %u both want tap=%s", j, i,
						 b->ifname);
		}
	return 0;
}

/* --- the commands ------------------------------------------------------------------- */

enum {
	OPT_STATS = 256,
	OPT_STATS_TABLE,
	OPT_MARKS,
	OPT_ACCOUNTING,
	OPT_TRACE,
	OPT_TRACE_FILE,
	OPT_SERIAL2,
	OPT_SANDBOX,
	OPT_USER,
	OPT_CHROOT,
	OPT_JSON,
	OPT_SAMPLES
};

static const struct option opts_run[] = {
	{ "kernel", required_argument, NULL, 'k' },
	{ "initrd", required_argument, NULL, 'i' },
	{ "append", required_argument, NULL, 'a' },
	{ "memory", required_argument, NULL, 'm' },
	{ "cpus", required_argument, NULL, 'c' },
	{ "net", required_argument, NULL, 'n' },
	{ "stats", required_argument, NULL, OPT_STATS },
	{ "stats-table", no_argument, NULL, OPT_STATS_TABLE },
	{ "marks", required_argument, NULL, OPT_MARKS },
	{ "accounting", required_argument, NULL, OPT_ACCOUNTING },
	{ "trace", required_argument, NULL, OPT_TRACE },
	{ "trace-file", required_argument, NULL, OPT_TRACE_FILE },
	{ "serial2", required_argument, NULL, OPT_SERIAL2 },
	{ "sandbox", required_argument, NULL, OPT_SANDBOX },
	{ "user", required_argument, NULL, OPT_USER },
	{ "chroot", required_argument, NULL, OPT_CHROOT },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ 0 },
};

static const struct option opts_calibrate[] = {
	{ "json", no_argument, NULL, OPT_JSON },
	{ "samples", required_argument, NULL, OPT_SAMPLES },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ 0 },
};

static const struct option opts_probe[] = {
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ 0 },
};

/* The first word of the list that names no trace class, or NULL. */
static const char *opts_bad_trace_class(const char *list)
{
	for (const char *p = list;; p++) {
		size_t len = strcspn(p, ",");
		bool known = len == 3 && !memcmp(p, "all", 3);

		for (unsigned c = 0; c < TRACE_NR && !known; c++) {
			const char *name = trace_class_name((enum trace_class)c);

			known = strlen(name) == len && !memcmp(name, p, len);
		}
		if (!known)
			return p;
		p += len;
		if (!*p)
			return NULL;
	}
}

static int opts_trace(struct opts *o, const char *s)
{
	const char *bad;
	char names[128] = "all";
	size_t n = strlen(names);

	o->trace = s;
	bad = opts_bad_trace_class(s);
	if (!bad)
		return 0;
	for (unsigned c = 0; c < TRACE_NR; c++)
		n += (size_t)snprintf(names + n, sizeof(names) - n, ", %s",
				      trace_class_name((enum trace_class)c));
	return opts_fail(o, "--trace: unknown class '%.*s'; known: %s", (int)strcspn(bad, ","), bad,
			 names);
}

static int opts_accounting(struct opts *o, const char *s)
{
	o->no_accounting = !strcmp(s, "off");
	if (!o->no_accounting && strcmp(s, "on") != 0)
		return opts_fail(o, "--accounting %s: on or off", s);
	return 0;
}

static int opts_sandbox(struct opts *o, const char *s)
{
	o->sandbox = !strcmp(s, "off") ? OPTS_SANDBOX_OFF : OPTS_SANDBOX_ON;
	if (o->sandbox == OPTS_SANDBOX_ON && strcmp(s, "on") != 0)
		return opts_fail(o, "--sandbox %s: on or off", s);
	return 0;
}

static int opts_set(struct opts *o, int opt, const char *arg)
{
	switch (opt) {
	case 'k':
		o->kernel = arg;
		return 0;
	case 'i':
		o->initrd = arg;
		return 0;
	case 'a':
		o->append = arg;
		return 0;
	case 'm':
		return opts_memory(o, arg);
	case 'c':
		return opts_cpus(o, arg);
	case 'n':
		if (o->command == OPTS_CALIBRATE)
			return opts_samples(o, arg);
		return opts_net(o, arg);
	case OPT_SAMPLES:
		return opts_samples(o, arg);
	case OPT_STATS:
		if (!strcmp(arg, "-"))
			o->stats_table = true;
		else
			o->stats = arg;
		return 0;
	case OPT_STATS_TABLE:
		o->stats_table = true;
		return 0;
	case OPT_MARKS:
		o->marks = arg;
		return 0;
	case OPT_ACCOUNTING:
		return opts_accounting(o, arg);
	case OPT_TRACE:
		return opts_trace(o, arg);
	case OPT_TRACE_FILE:
		o->trace_file = arg;
		return 0;
	case OPT_SERIAL2:
		return opts_serial2(o, arg);
	case OPT_SANDBOX:
		return opts_sandbox(o, arg);
	case OPT_USER:
		o->user = arg;
		return 0;
	case OPT_CHROOT:
		o->chroot = arg;
		return 0;
	case 'q':
		o->quiet = true;
		return 0;
	case OPT_JSON:
		o->json = true;
		return 0;
	default:
		return -1;
	}
}

/* An option getopt did not understand, the last word it took. (When a value is missing,
 * musl counts that, too.) */
static int opts_bad_option(struct opts *o, int ret, int argc, char **argv)
{
	const char *word = argv[MIN(optind, argc) - 1];
	bool is_long = !strncmp(word, "--", 2);
	char brief[3] = { '-', (char)optopt, '\0' };

	if (ret == ':')
		return opts_fail(o, "%s: needs a value; see duet %s --help", is_long ? word : brief,
				 o->topic);
	return opts_fail(o, "unknown option %s; see duet %s --help",
			 optopt && optopt < OPT_STATS && !is_long ? brief : word, o->topic);
}

static int opts_check_run(struct opts *o)
{
	if (!o->kernel)
		return opts_fail(o, "no kernel; give one with --kernel FILE");
	if (o->trace_file && !o->trace)
		return opts_fail(o, "--trace-file %s: nothing to write there without --trace",
				 o->trace_file);
	return opts_check_nics(o);
}

static int opts_options(struct opts *o, int argc, char **argv, const char *brief,
			const struct option *options)
{
	int opt;

	optind = 0; /* start anew, whatever was parsed before */
	opterr = 0;
	while ((opt = getopt_long(argc, argv, brief, options, NULL)) != -1) {
		if (opt == 'h' || opt == 'V') {
			o->command = opt == 'h' ? OPTS_HELP : OPTS_VERSION;
			return 0;
		}
		if (opt == '?' || opt == ':')
			return opts_bad_option(o, opt, argc, argv);
		if (opts_set(o, opt, optarg) < 0)
			return -1;
	}
	if (optind < argc)
		return opts_fail(o, "unexpected argument '%s'; see duet %s --help", argv[optind],
				 o->topic);
	return o->command == OPTS_RUN ? opts_check_run(o) : 0;
}

static int opts_help_topic(struct opts *o, int argc, char **argv)
{
	o->command = OPTS_HELP;
	o->topic = argc > 1 ? argv[1] : NULL;
	if (o->topic && strcmp(o->topic, "run") != 0 && strcmp(o->topic, "probe") != 0 &&
	    strcmp(o->topic, "calibrate") != 0)
		return opts_fail(o, "no help on '%s'; there is: run, probe, calibrate", o->topic);
	return 0;
}

int opts_parse(struct opts *o, int argc, char **argv)
{
	const char *cmd = argc > 1 ? argv[1] : "";

	*o = (struct opts){
		.memory = OPTS_MEMORY_DEFAULT, .cpus = 1, .serial2_fd = -1, .samples = OPTS_SAMPLES
	};
	argc--;
	argv++;
	if (!strcmp(cmd, "help") || !strcmp(cmd, "-h") || !strcmp(cmd, "--help"))
		return opts_help_topic(o, argc, argv);
	if (!strcmp(cmd, "version") || !strcmp(cmd, "-V") || !strcmp(cmd, "--version")) {
		o->command = OPTS_VERSION;
		return 0;
	}
	o->topic = cmd;
	if (!strcmp(cmd, "run")) {
		o->command = OPTS_RUN;
		return opts_options(o, argc, argv, "+:k:i:a:m:c:n:qhV", opts_run);
	}
	if (!strcmp(cmd, "probe")) {
		o->command = OPTS_PROBE;
		return opts_options(o, argc, argv, "+:hV", opts_probe);
	}
	if (!strcmp(cmd, "calibrate")) {
		o->command = OPTS_CALIBRATE;
		return opts_options(o, argc, argv, "+:n:hV", opts_calibrate);
	}
	if (!*cmd)
		return opts_fail(o, "no command; usage: duet run|probe|calibrate|help|version, "
				    "see duet help");
	return opts_fail(o, "unknown command '%s'; known: run, probe, calibrate, help, version",
			 cmd);
}

/* SPDX-License-Identifier: MIT */
/*
 * opts.c: from argv to struct opts, with an answer to each mistake that names the
 * option, the value and what would have been accepted. --net is opts_net.c, --disk
 * opts_disk.c, --file opts_exec.c, the help texts are opts_help.c.
 */
#include "vmm/layout.h"
#include "vmm/opts_parse.h"
#include "vmm/trace.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <string.h>

#define OPTS_MEMORY_DEFAULT (UINT64_C(512) << 20)
#define OPTS_SAMPLES        51 /* odd: the median is one of them */
#define OPTS_SAMPLES_MAX    10000
#define OPTS_TIMEOUT_MAX    1000000
#define OPTS_LIMIT_DEFAULT  (UINT64_C(64) << 20)
#define OPTS_LIMIT_MAX      (UINT64_C(2) << 30)

int opts_fail(struct opts *o, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(o->why, sizeof(o->why), fmt, ap);
	va_end(ap);
	return -1;
}

int opts_number(const char *s, uint64_t max, uint64_t *val)
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
	OPT_SAMPLES,
	OPT_RNG,
	OPT_LOG_LEVEL,
	OPT_TIMEOUT,
	OPT_DIR,
	OPT_FILE,
	OPT_NO_DIR,
	OPT_ROOT,
	OPT_LIMIT,
	OPT_STDIN,
	OPT_UNPACK,
	OPT_DRY_RUN
};

/* What `run` and `exec` share. */
#define OPTS_MACHINE                                                                               \
	{ "kernel", required_argument, NULL, 'k' }, { "initrd", required_argument, NULL, 'i' },    \
		{ "append", required_argument, NULL, 'a' },                                        \
		{ "unpack", required_argument, NULL, OPT_UNPACK },                                 \
		{ "memory", required_argument, NULL, 'm' },                                        \
		{ "cpus", required_argument, NULL, 'c' }, { "net", required_argument, NULL, 'n' }, \
		{ "disk", required_argument, NULL, 'd' }, { "rng", no_argument, NULL, OPT_RNG },   \
		{ "stats", required_argument, NULL, OPT_STATS },                                   \
		{ "stats-table", no_argument, NULL, OPT_STATS_TABLE },                             \
		{ "marks", required_argument, NULL, OPT_MARKS },                                   \
		{ "accounting", required_argument, NULL, OPT_ACCOUNTING },                         \
		{ "trace", required_argument, NULL, OPT_TRACE },                                   \
		{ "trace-file", required_argument, NULL, OPT_TRACE_FILE },                         \
		{ "sandbox", required_argument, NULL, OPT_SANDBOX },                               \
		{ "user", required_argument, NULL, OPT_USER },                                     \
		{ "chroot", required_argument, NULL, OPT_CHROOT },                                 \
		{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },                           \
		{ "timeout", required_argument, NULL, OPT_TIMEOUT },                               \
		{ "dry-run", no_argument, NULL, OPT_DRY_RUN },                                     \
		{ "quiet", no_argument, NULL, 'q' }, { "help", no_argument, NULL, 'h' },           \
	{                                                                                          \
		"version", no_argument, NULL, 'V'                                                  \
	}

static const struct option opts_run[] = {
	OPTS_MACHINE,
	{ "serial2", required_argument, NULL, OPT_SERIAL2 },
	{ 0 },
};

static const struct option opts_exec[] = {
	OPTS_MACHINE,
	{ "dir", required_argument, NULL, OPT_DIR },
	{ "file", required_argument, NULL, OPT_FILE },
	{ "no-dir", no_argument, NULL, OPT_NO_DIR },
	{ "root", required_argument, NULL, OPT_ROOT },
	{ "limit", required_argument, NULL, OPT_LIMIT },
	{ "stdin", no_argument, NULL, OPT_STDIN },
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

/* Which of the `n` words that is, or -1. */
static int opts_one_of(const char *s, const char *const *words, int n)
{
	while (n-- && strcmp(s, words[n]) != 0)
		;
	return n;
}

static int opts_unpack(struct opts *o, const char *s)
{
	static const char *const words[] = { [BOOT_UNPACK_AUTO] = "auto",
					     [BOOT_UNPACK_GUEST] = "guest",
					     [BOOT_UNPACK_HOST] = "host" };
	int i = opts_one_of(s, words, ARRAY_SIZE(words));

	if (i >= 0) {
		o->unpack = (enum boot_unpack)i;
		return 0;
	}
	return opts_fail(o, "--unpack %s: auto, guest or host", s);
}

static int opts_sandbox(struct opts *o, const char *s)
{
	o->sandbox = !strcmp(s, "off") ? OPTS_SANDBOX_OFF : OPTS_SANDBOX_ON;
	if (o->sandbox == OPTS_SANDBOX_ON && strcmp(s, "on") != 0)
		return opts_fail(o, "--sandbox %s: on or off", s);
	return 0;
}

/* A word that is no option: KERNEL, unless it was given. */
static int opts_word(struct opts *o, const char *s)
{
	if (o->command != OPTS_RUN || o->kernel)
		return opts_fail(o, "unexpected argument '%s'; see duet %s --help", s, o->topic);
	o->kernel = s;
	return 0;
}

static int opts_timeout(struct opts *o, const char *s)
{
	uint64_t n;

	if (opts_number(s, OPTS_TIMEOUT_MAX, &n) < 0 || !n)
		return opts_fail(o, "--timeout %s: seconds, 1 to %d", s, OPTS_TIMEOUT_MAX);
	o->timeout = (unsigned)n;
	return 0;
}

static int opts_limit(struct opts *o, const char *s)
{
	if (opts_size(s, &o->exec.limit) < 0 || o->exec.limit > OPTS_LIMIT_MAX)
		return opts_fail(o, "--limit %s: a size of at most 2G, say 200M", s);
	return 0;
}

static int opts_log_level(struct opts *o, const char *s)
{
	static const char *const names[] = {
		[LOG_LEVEL_ERROR] = "error",
		[LOG_LEVEL_WARNING] = "warning",
		[LOG_LEVEL_INFO] = "info",
		[LOG_LEVEL_DEBUG] = "debug",
	};
	int i = opts_one_of(s, names, ARRAY_SIZE(names));

	if (i >= 0) {
		o->log_level = (enum log_level)i;
		return 0;
	}
	return opts_fail(o, "--log-level %s: error, warning, info or debug", s);
}

/* What only `exec` takes. */
static int opts_set_exec(struct opts *o, int opt, const char *arg)
{
	switch (opt) {
	case OPT_DIR:
		o->exec.dir = arg;
		return 0;
	case OPT_FILE:
		return opts_exec_file(o, arg);
	case OPT_NO_DIR:
		o->exec.no_dir = true;
		return 0;
	case OPT_ROOT:
		o->exec.root = arg;
		return 0;
	case OPT_LIMIT:
		return opts_limit(o, arg);
	case OPT_STDIN:
		o->exec.input = true;
		return 0;
	default:
		return -1;
	}
}

static int opts_set(struct opts *o, int opt, const char *arg)
{
	switch (opt) {
	case 1: /* that is no option */
		return opts_word(o, arg);
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
	case 'd':
		return opts_disk(o, arg);
	case OPT_RNG:
		o->rng = true;
		return 0;
	case OPT_DRY_RUN:
		o->dry_run = true;
		return 0;
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
	case OPT_UNPACK:
		return opts_unpack(o, arg);
	case OPT_SANDBOX:
		return opts_sandbox(o, arg);
	case OPT_USER:
		o->user = arg;
		return 0;
	case OPT_CHROOT:
		o->chroot = arg;
		return 0;
	case 'q':
		o->log_level = LOG_LEVEL_WARNING;
		return 0;
	case OPT_TIMEOUT:
		return opts_timeout(o, arg);
	case OPT_LOG_LEVEL:
		return opts_log_level(o, arg);
	case OPT_JSON:
		o->json = true;
		return 0;
	default:
		return opts_set_exec(o, opt, arg);
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

/* What holds for `run` and `exec`. */
static int opts_check_machine(struct opts *o)
{
	if (o->trace_file && !o->trace)
		return opts_fail(o, "--trace-file %s: nothing to write there without --trace",
				 o->trace_file);
	return opts_check_nics(o);
}

static int opts_check_run(struct opts *o)
{
	if (!o->kernel)
		return opts_fail(o,
				 "no kernel; say duet run FILE, or duet run auto for this host's");
	return opts_check_machine(o);
}

static int opts_check_exec(struct opts *o, char *const *argv)
{
	o->exec.argv = argv;
	if (!*argv)
		return opts_fail(o, "no command; usage: duet exec [options] -- COMMAND [ARG...]");
	if (o->dry_run)
		return opts_fail(o,
				 "--dry-run: not for exec, whose initrd is in no file; give duet "
				 "run the other options");
	return opts_check_machine(o);
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
	if (o->command == OPTS_EXEC)
		return opts_check_exec(o, argv + optind);
	for (; optind < argc; optind++)
		if (opts_word(o, argv[optind]) < 0)
			return -1;
	return o->command == OPTS_RUN ? opts_check_run(o) : 0;
}

static int opts_help_topic(struct opts *o, int argc, char **argv)
{
	o->command = OPTS_HELP;
	o->topic = argc > 1 ? argv[1] : NULL;
	if (o->topic && strcmp(o->topic, "run") != 0 && strcmp(o->topic, "exec") != 0 &&
	    strcmp(o->topic, "probe") != 0 && strcmp(o->topic, "calibrate") != 0)
		return opts_fail(o, "no help on '%s'; there is: run, exec, probe, calibrate",
				 o->topic);
	return 0;
}

int opts_parse(struct opts *o, int argc, char **argv)
{
	const char *cmd = argc > 1 ? argv[1] : "";

	*o = (struct opts){ .memory = OPTS_MEMORY_DEFAULT,
			    .cpus = 1,
			    .serial2_fd = -1,
			    .samples = OPTS_SAMPLES,
			    .exec = { .dir = ".", .limit = OPTS_LIMIT_DEFAULT },
			    .log_level = LOG_LEVEL_INFO };
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
		return opts_options(o, argc, argv, "-:k:i:a:m:c:n:d:qhV", opts_run);
	}
	if (!strcmp(cmd, "exec")) {
		o->command = OPTS_EXEC;
		return opts_options(o, argc, argv, "+:k:i:a:m:c:n:d:qhV", opts_exec);
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
		return opts_fail(o,
				 "no command; usage: duet run|exec|probe|calibrate|help|version, "
				 "see duet help");
	return opts_fail(
		o, "unknown command '%s'; known: run, exec, probe, calibrate, help, version", cmd);
}

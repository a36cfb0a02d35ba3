/* SPDX-License-Identifier: MIT */
/*
 * fuzz_opts.c: command lines: the input's lines are words, whole ones, or those behind
 * `duet run -k K`, or values of --net. What is accepted is within its bounds; what is
 * refused has a reason. And files of options: the same words, quoted, come out of a file as
 * they went in; the input itself as a file is words, or refused with its line.
 */
#include "devices/ladder.h"
#include "tests/fuzz/fuzz.h"
#include "vmm/layout.h"
#include "vmm/opts.h"
#include "vmm/opts_file.h"

#include <sys/mman.h>
#include <unistd.h>

#define WORDS 40
#define TEXT  2048

const char fuzz_name[] = "opts";

struct line {
	char text[TEXT], *argv[2 * WORDS + 8];
	int argc;
	unsigned words; /* of the input */
};

static void add(struct line *l, const char *word)
{
	l->argv[l->argc++] = (char *)(uintptr_t)word;
}

static void make_line(struct line *l, uint8_t how, const uint8_t *data, size_t size)
{
	size_t n = MIN(size, sizeof(l->text) - 1);
	char *next = l->text;

	memcpy(l->text, data, n);
	l->text[n] = '\0';
	add(l, "duet");
	if (how & 1) {
		add(l, "run");
		add(l, "-k");
		add(l, "K");
	}
	for (l->words = 0; next && l->words < WORDS; l->words++) {
		if (how & 2)
			add(l, "--net");
		add(l, strsep(&next, "\n"));
	}
	l->argv[l->argc] = NULL;
}

static void check_nic(const struct opts_nic *n)
{
	FUZZ_CHECK(n->backend, "a NIC without a backend");
	FUZZ_CHECK(!ladder_conflict(n->rungs) && !(n->rungs & ~LADDER_ALL), "rungs in conflict");
	FUZZ_CHECK(n->model == OPTS_E1000 || !(n->rungs & ~(unsigned)LADDER_VIRTIO),
		   "rungs that the model has not");
	FUZZ_CHECK(!n->mtu || (n->mtu >= 68 && n->mtu <= 65535), "mtu %u", n->mtu);
	FUZZ_CHECK(n->poll_us, "polling for no time");
	FUZZ_CHECK(memchr(n->arg, '\0', sizeof(n->arg)) && memchr(n->pcap, '\0', sizeof(n->pcap)),
		   "an endless name");
}

static void check_run(const struct opts *o)
{
	FUZZ_CHECK(o->memory >= OPTS_MEMORY_MIN && o->memory <= OPTS_MEMORY_MAX &&
			   !(o->memory % 4096),
		   "memory");
	FUZZ_CHECK(o->cpus >= 1 && o->cpus <= MAX_CPUS, "cpus %u", o->cpus);
	FUZZ_CHECK(o->n_nics <= OPTS_NICS_MAX, "%u NICs", o->n_nics);
	for (unsigned i = 0; i < o->n_nics; i++)
		check_nic(&o->nic[i]);
}

/* --- @FILE --- */

/* `text` is in the file; the words of `duet run @FILE`, or < 0. The file is a memfd. */
static int read_file(struct opts_words *w, const char *text, size_t size, char *why, size_t len)
{
	static char duet[] = "duet", run[] = "run", at[40];
	static char *argv[] = { duet, run, at, NULL };
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("fuzz", MFD_CLOEXEC);
		snprintf(at, sizeof(at), "@/proc/self/fd/%d", fd);
	}
	FUZZ_CHECK(!ftruncate(fd, 0) && pwrite(fd, text, size, 0) == (ssize_t)size, "the file");
	return opts_words(w, 3, argv, why, len);
}

/* One word as it must be quoted; the end of it. */
static char *quote(char *to, const char *word)
{
	*to++ = '\'';
	for (; *word; word++) {
		if (*word == '\'')
			to = stpcpy(to, "'\\'");
		*to++ = *word;
	}
	return stpcpy(to, "'\n");
}

/* The line's words from the third on, each quoted, are the same out of a file. */
static void check_quoted(const struct line *l)
{
	static struct opts_words w;
	static char text[4 * TEXT + 16 * WORDS];
	char *end = text, why[256];

	for (int i = 2; i < l->argc; i++)
		end = quote(end, l->argv[i]);
	FUZZ_CHECK(!read_file(&w, text, (size_t)(end - text), why, sizeof(why)), "%s", why);
	FUZZ_CHECK(w.argc == MAX(l->argc, 2), "%d words of %d", w.argc, l->argc);
	for (int i = 2; i < l->argc; i++)
		FUZZ_CHECK(!strcmp(w.argv[i], l->argv[i]), "%s is not %s", w.argv[i], l->argv[i]);
}

static void check_file(const uint8_t *data, size_t size)
{
	static struct opts_words w;
	char why[256] = "";

	if (read_file(&w, (const char *)data, size, why, sizeof(why)) < 0) {
		FUZZ_CHECK(strstr(why, ": "), "no line is given: %s", why);
		return;
	}
	FUZZ_CHECK(w.argc <= OPTS_WORDS_MAX && !w.argv[w.argc], "%d words", w.argc);
	for (int i = 2; i < w.argc; i++)
		FUZZ_CHECK(w.argv[i] >= w.text && w.argv[i] + strlen(w.argv[i]) < w.text + w.used,
			   "word %d lies outside", i);
}

static void check_line(struct line *l, uint8_t how)
{
	struct opts o;

	if (opts_parse(&o, l->argc, l->argv) < 0) {
		FUZZ_CHECK(o.why[0] && memchr(o.why, '\0', sizeof(o.why)), "no reason is given");
	} else if (o.command == OPTS_RUN) {
		check_run(&o);
		FUZZ_CHECK(how % 4 != 3 || o.n_nics == l->words, "%u NICs of %u", o.n_nics,
			   l->words);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct line l;

	if (!size)
		return 0;
	if (data[0] & 4) {
		check_file(data + 1, size - 1);
		return 0;
	}
	l.argc = 0;
	make_line(&l, data[0], data + 1, size - 1);
	if (data[0] & 8)
		check_quoted(&l);
	else
		check_line(&l, data[0]);
	return 0;
}

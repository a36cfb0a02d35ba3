/* SPDX-License-Identifier: MIT */
/*
 * fuzz_opts.c: command lines: the input's lines are words, whole ones, or those behind
 * `duet run -k K`, or values of --net. What is accepted is within its bounds; what is
 * refused has a reason.
 */
#include "devices/ladder.h"
#include "tests/fuzz/fuzz.h"
#include "vmm/layout.h"
#include "vmm/opts.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct line l;
	struct opts o;

	if (!size)
		return 0;
	l.argc = 0;
	make_line(&l, data[0], data + 1, size - 1);
	if (opts_parse(&o, l.argc, l.argv) < 0) {
		FUZZ_CHECK(o.why[0] && memchr(o.why, '\0', sizeof(o.why)), "no reason is given");
	} else if (o.command == OPTS_RUN) {
		check_run(&o);
		FUZZ_CHECK(data[0] % 4 != 3 || o.n_nics == l.words, "%u NICs of %u", o.n_nics,
			   l.words);
	}
	return 0;
}

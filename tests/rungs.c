/* SPDX-License-Identifier: MIT */
/*
 * rungs.c: prints combinations of the ladder's rungs for both NICs to be tested with, one
 * a line: mask (DUET_RUNGS), why it is here, what it is, what of it virtio-net has. '#' begins a
 * remark. For rungs.sh and tools/stress.
 *
 *   usage: rungs [N [SEED]]      N random ones (30) of SEED
 *
 *   cumulative   QEMU's way, then each rung on top of those before it, then the best
 *   alone, off   each rung alone on QEMU's way; each left out of the best
 *   random       of those that are legal, the same on every run
 *
 * A rung that cannot be alone (or left out) takes along as few others as possible.
 */
#include "devices/ladder.h"
#include "tests/rig/frames.h"

#include <stdio.h>
#include <stdlib.h>

#define RUNGS_RANDOM 30
#define RUNGS_SEED   20261124
#define RUNGS_MOST   500 /* there are some 1100 */

static bool rungs_seen[LADDER_ALL + 1];

static void rungs_print(const char *why, const char *name, unsigned mask)
{
	char text[160], virtio[160];

	BUG_ON(ladder_conflict(mask));
	if (rungs_seen[mask])
		return;
	rungs_seen[mask] = true;
	printf("%#x\t%s%s\t%s\t%s\n", mask, why, name, ladder_string(mask, text, sizeof(text)),
	       ladder_string(mask & LADDER_VIRTIO, virtio, sizeof(virtio)));
}

/* The legal combination that differs least from `want`, and not at all in bit `r`. */
static unsigned rungs_nearest(unsigned want, unsigned r)
{
	unsigned best = LADDER_ALL + 1;
	int least = RUNG_NR + 1;

	for (unsigned mask = 0; mask <= LADDER_ALL; mask++) {
		int differs = __builtin_popcount(mask ^ want);

		if ((mask ^ want) & BIT(r) || ladder_conflict(mask) || differs >= least)
			continue;
		best = mask;
		least = differs;
	}
	BUG_ON(best > LADDER_ALL);
	return best;
}

static void rungs_cumulative(const char *word)
{
	unsigned mask;

	BUG_ON(!ladder_preset(word, &mask));
	rungs_print("up to ", word, mask);
}

static void rungs_random(unsigned want, unsigned seed)
{
	struct prng p = { .s = seed };
	unsigned n = 0;

	printf("# %u of all that are legal, seed %u\n", want, seed);
	while (n < want) {
		unsigned mask = prng_below(&p, LADDER_ALL + 1);

		if (ladder_conflict(mask) || rungs_seen[mask])
			continue;
		rungs_print("random", "", mask);
		n++;
	}
}

int main(int argc, char **argv)
{
	int want = argc > 1 ? atoi(argv[1]) : RUNGS_RANDOM;
	int seed = argc > 2 ? atoi(argv[2]) : RUNGS_SEED;

	if (argc > 3 || want < 0 || want > RUNGS_MOST) {
		fprintf(stderr, "usage: rungs [N [SEED]]    (N up to %d)\n", RUNGS_MOST);
		return 2;
	}
	rungs_cumulative("qemu");
	for (unsigned r = 0; r < RUNG_NR; r++)
		rungs_cumulative(ladder_name((enum ladder_rung)r));
	rungs_cumulative("best");
	for (unsigned r = 0; r < RUNG_NR; r++)
		rungs_print("alone: ", ladder_name((enum ladder_rung)r),
			    rungs_nearest(LADDER_QEMU | BIT(r), r));
	for (unsigned r = 0; r < RUNG_NR; r++)
		rungs_print("without ", ladder_name((enum ladder_rung)r),
			    rungs_nearest(LADDER_BEST & ~BIT(r), r));
	rungs_random((unsigned)want, (unsigned)seed);
	return 0;
}

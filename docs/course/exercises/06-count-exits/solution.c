/* SPDX-License-Identifier: MIT */
/* solution.c: what costs is the bell, not the frame. */
#include "exercise.h"

#define PER_INTERRUPT 5 /* ICR, IMC, STATUS; IMS, STATUS */

unsigned predict_accesses(unsigned frames, unsigned per_bell)
{
	unsigned bells = frames / per_bell + (frames % per_bell != 0);

	return bells * (1 + PER_INTERRUPT);
}

double predict_ns(double base_ns, double extra, double exit_ns)
{
	return base_ns + extra * exit_ns;
}

double explained(double base_ns, double extra, double exit_ns, double measured_ns)
{
	double gap = measured_ns - base_ns;

	return gap > 0 ? extra * exit_ns / gap : 0;
}

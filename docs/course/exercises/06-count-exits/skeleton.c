/* SPDX-License-Identifier: MIT */
/* skeleton.c: folklore: a frame is an exit, and exits are all there is. */
#include "exercise.h"

unsigned predict_accesses(unsigned frames, unsigned per_bell)
{
	(void)per_bell;
	return frames;
}

double predict_ns(double base_ns, double extra, double exit_ns)
{
	return base_ns + extra * exit_ns;
}

double explained(double base_ns, double extra, double exit_ns, double measured_ns)
{
	(void)base_ns, (void)extra, (void)exit_ns, (void)measured_ns;
	return 1;
}

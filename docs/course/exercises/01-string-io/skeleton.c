/* SPDX-License-Identifier: MIT */
/* skeleton.c: right for OUT, wrong for REP OUTS. */
#include "exercise.h"

size_t exit_io_bytes(const struct kvm_run *run, uint8_t *out, size_t room)
{
	const uint8_t *data = (const uint8_t *)run + run->io.data_offset;

	if (room == 0)
		return 0;
	out[0] = data[0];
	return 1;
}

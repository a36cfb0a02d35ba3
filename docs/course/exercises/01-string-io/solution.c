/* SPDX-License-Identifier: MIT */
/* solution.c: an exit carries `count` items of `size` bytes, one behind the other. */
#include "exercise.h"

#include <string.h>

size_t exit_io_bytes(const struct kvm_run *run, uint8_t *out, size_t room)
{
	const uint8_t *data = (const uint8_t *)run + run->io.data_offset;
	size_t n = (size_t)run->io.size * run->io.count;

	if (run->io.direction != KVM_EXIT_IO_OUT)
		return 0;
	if (n > room)
		n = room;
	memcpy(out, data, n);
	return n;
}

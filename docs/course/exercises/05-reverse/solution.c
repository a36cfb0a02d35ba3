/* SPDX-License-Identifier: MIT */
/* solution.c: out of the guest in one copy, turned here, back in another. */
#include "exercise.h"

#include "devices/net/offload.h"

uint32_t reverse_serve(struct vserver *v, const struct virtq_chain *c)
{
	uint32_t room = MIN(c->in_len, REVERSE_MAX), n = MIN(c->out_len, room);
	uint8_t buf[REVERSE_MAX];

	if (!n) {
		vserver_fault(v, "nothing to reverse, or no room for it");
		return 0;
	}
	iov_copy_out(v->iov, c->n_out, 0, buf, n);
	for (uint32_t i = 0, j = n - 1; i < j; i++, j--) {
		uint8_t byte = buf[i];

		buf[i] = buf[j];
		buf[j] = byte;
	}
	/* The readable buffers come first. */
	iov_copy_in(v->iov + c->n_out, c->n_in, 0, buf, n);
	return n;
}

/* SPDX-License-Identifier: MIT */
/* exercise.h: messages that a hostile guest leaves in its memory. */
#ifndef DUET_COURSE_MAILBOX_H
#define DUET_COURSE_MAILBOX_H

#include "vmm/gmem.h"

/* A message: this, and `len` bytes behind it. `next` 0: the last one. */
struct mail {
	uint64_t next;
	uint32_t len;
	uint32_t kind; /* 0 to MAIL_KINDS - 1 */
};

#define MAIL_KINDS 4u
#define MAIL_MAX   16u /* messages of a list, at most */

/*
 * Copy the bodies of the list at `head`, one behind the other, into `out`, and count messages by
 * kind in `kinds`. Returns the bytes copied, or -EINVAL for a list of more than MAIL_MAX, more
 * bytes than `room`, an unknown kind, or anything that is not in RAM. Never writes outside of
 * `out` and `kinds`, never reads outside of guest RAM, always ends.
 */
long mail_collect(const struct gmem *m, gpa_t head, uint8_t *out, uint32_t room,
		  unsigned kinds[MAIL_KINDS]);

#endif

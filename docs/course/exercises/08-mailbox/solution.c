/* SPDX-License-Identifier: MIT */
/*
 * solution.c: the header is copied once and judged on the copy, so that it cannot change between
 * check and use; the room is compared by a subtraction, which cannot wrap; the kind is bounded;
 * the list is counted; and the body comes by gm_read(), which knows where RAM ends.
 */
#include "exercise.h"

#include <errno.h>

long mail_collect(const struct gmem *m, gpa_t head, uint8_t *out, uint32_t room,
		  unsigned kinds[MAIL_KINDS])
{
	uint32_t used = 0;
	struct mail mail;

	for (unsigned n = 0; head; n++, head = mail.next) {
		if (n == MAIL_MAX || gm_read(m, head, &mail, sizeof(mail)))
			return -EINVAL;
		if (mail.len > room - used || mail.kind >= MAIL_KINDS)
			return -EINVAL;
		if (gm_read(m, head + sizeof(mail), out + used, mail.len))
			return -EINVAL;
		used += mail.len;
		kinds[mail.kind]++;
	}
	return used;
}

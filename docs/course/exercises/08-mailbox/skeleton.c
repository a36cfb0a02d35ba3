/* SPDX-License-Identifier: MIT */
/* skeleton.c: serves every decent guest. It has four holes; find them before the test does. */
#include "exercise.h"

#include <errno.h>
#include <string.h>

long mail_collect(const struct gmem *m, gpa_t head, uint8_t *out, uint32_t room,
		  unsigned kinds[MAIL_KINDS])
{
	uint32_t used = 0;

	while (head) {
		const struct mail *mail = gm_span(m, head, sizeof(*mail));

		if (!mail || used + mail->len > room)
			return -EINVAL;
		memcpy(out + used, mail + 1, mail->len);
		used += mail->len;
		kinds[mail->kind]++;
		head = mail->next;
	}
	return used;
}

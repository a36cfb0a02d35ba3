/* SPDX-License-Identifier: MIT */
/* opts_disk.c: --disk FILE[,ro]. Whether there is such a file is the board's to find out. */
#include "vmm/opts_parse.h"

#include <string.h>

/* A name may hold commas: only ",ro" at its very end is an option. */
int opts_disk(struct opts *o, const char *s)
{
	struct opts_disk *d = &o->disk[o->n_disks];
	size_t len = strlen(s);

	if (o->n_disks == OPTS_DISKS_MAX)
		return opts_fail(o, "--disk %.40s: too many disks, at most %d", s, OPTS_DISKS_MAX);
	d->readonly = len >= 3 && !strcmp(s + len - 3, ",ro");
	len -= d->readonly ? 3 : 0;
	if (!len)
		return opts_fail(o, "--disk: a file name is needed, FILE or FILE,ro");
	if (len >= sizeof(d->path))
		return opts_fail(o, "--disk %.40s...: too long for a file name", s);
	snprintf(d->path, sizeof(d->path), "%.*s", (int)len, s);
	o->n_disks++;
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * opts_exec.c: --file HOST[:GUEST] of `duet exec`. Whether there is such a file is exec.c's to
 * find out; what it is to be called in the guest is settled here.
 */
#include "vmm/opts_parse.h"

#include <string.h>

/* Each part of a path names something: none is empty, "." or "..". */
static bool file_name_ok(const char *name)
{
	const char *p = name + (*name == '/');

	for (;; p++) {
		size_t len = strcspn(p, "/");

		if (!len || (p[0] == '.' && (len == 1 || (len == 2 && p[1] == '.'))))
			return false;
		p += len;
		if (!*p)
			return true;
	}
}

static const char *file_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int opts_exec_file(struct opts *o, const char *s)
{
	struct opts_file *f = &o->exec.file[o->exec.n_files];
	const char *colon = strrchr(s, ':'); /* the last: a name of the host may hold some */

	if (o->exec.n_files == OPTS_FILES_MAX)
		return opts_fail(o, "--file %.40s: too many files, at most %d", s, OPTS_FILES_MAX);
	f->host = s;
	f->host_len = colon ? (int)(colon - s) : (int)strlen(s);
	f->guest = colon ? colon + 1 : file_base(s);
	if (!f->host_len)
		return opts_fail(o, "--file %.40s: a file name is needed, HOST or HOST:GUEST", s);
	if (f->host_len >= PATH_MAX)
		return opts_fail(o, "--file %.40s...: too long for a file name", s);
	if (!file_name_ok(f->guest))
		return opts_fail(o,
				 "--file %.80s: '%.40s' cannot be its name in the guest: a path "
				 "without '..', '.' and empty parts",
				 s, f->guest);
	for (unsigned i = 0; i < o->exec.n_files; i++)
		if (!strcmp(f->guest, o->exec.file[i].guest))
			return opts_fail(o, "--file %.80s: another --file is '%.40s' in the guest",
					 s, f->guest);
	o->exec.n_files++;
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * folder.c: the files in a directory of a test's own.
 */
#include "tests/rig/folder.h"

#include <glob.h>
#include <stdio.h>
#include <unistd.h>

unsigned folder_files(const char *dir, char name[FOLDER_NAME], bool remove)
{
	char pattern[FOLDER_NAME];
	glob_t g;
	unsigned n;

	snprintf(pattern, sizeof(pattern), "%s/*", dir);
	if (glob(pattern, 0, NULL, &g))
		return 0;
	n = (unsigned)g.gl_pathc;
	snprintf(name, FOLDER_NAME, "%s", g.gl_pathv[0]);
	for (unsigned i = 0; remove && i < n; i++)
		unlink(g.gl_pathv[i]);
	globfree(&g);
	return n;
}

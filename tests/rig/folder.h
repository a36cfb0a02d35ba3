/* SPDX-License-Identifier: MIT */
/*
 * folder.h: the files in a directory of a test's own.
 */
#ifndef DUET_TESTS_RIG_FOLDER_H
#define DUET_TESTS_RIG_FOLDER_H

#include <stdbool.h>

#define FOLDER_NAME 128

/* How many `dir` has, 0 if it is not there; the first by name is left in `name`, all are removed
 * if `remove`. */
unsigned folder_files(const char *dir, char name[FOLDER_NAME], bool remove);

#endif

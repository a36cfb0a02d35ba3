/* SPDX-License-Identifier: MIT */
/*
 * kernel_find.h: which files a guest is booted from when nobody named them all: the
 * kernel that this distribution runs, with the initrd made for it.
 */
#ifndef DUET_KERNEL_FIND_H
#define DUET_KERNEL_FIND_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* As --kernel: look for one. A file of that name is "./auto". */
#define KERNEL_AUTO "auto"
#define KERNEL_DIR  "/boot"

/* Not to be copied: what was found, kernel and initrd point to. */
struct kernel_files {
	const char *kernel;
	const char *initrd; /* NULL: none */
	char found_kernel[PATH_MAX], found_initrd[PATH_MAX];
};

/*
 * Look in `dir` (KERNEL_DIR) for vmlinuz-`release`, else for the newest vmlinuz-* that can be
 * read, and for the initrd of the same version (initrd.img-*, initramfs-*.img), which may be
 * missing. 0, or -1 with `why` (one line: what was looked for, and what to do).
 */
int kernel_find(struct kernel_files *k, const char *dir, const char *release, char *why,
		size_t len);

/*
 * The files to boot for --kernel `kernel` and --initrd `initrd` (NULL: not given): these, and for
 * KERNEL_AUTO what kernel_find() finds for the running kernel's release, which is logged. What
 * was named is not looked at. 0, or -1 with `why`.
 */
int kernel_choose(struct kernel_files *k, const char *kernel, const char *initrd, char *why,
		  size_t len);

/* Where this user's caches are (XDG Base Directory Specification), "duet" in there: its parent is
 * made if need be. False: nowhere. */
bool kernel_cache(char *path, size_t len);

#endif

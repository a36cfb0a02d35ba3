/* SPDX-License-Identifier: MIT */
/*
 * kernel_find.c: --kernel auto. The running kernel comes first, since its modules are what
 * the host has; then the newest by version, as a boot loader would choose. An initrd is only
 * taken for a kernel that was not named: to whoever names a kernel, one that nobody named
 * would be a surprise.
 */
#include "vmm/kernel_find.h"

#include "vmm/log.h"
#include "vmm/util.h"

#include <errno.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define VMLINUZ "vmlinuz-"

static bool kernel_of_release(struct kernel_files *k, const char *dir, const char *release)
{
	snprintf(k->found_kernel, sizeof(k->found_kernel), "%s/" VMLINUZ "%s", dir, release);
	return !access(k->found_kernel, R_OK);
}

static const char *kernel_version(const char *path)
{
	return strrchr(path, '/') + 1 + strlen(VMLINUZ);
}

/* The newest one that can be read. False: none; *refused is then one that cannot, if any. */
static bool kernel_newest(struct kernel_files *k, const char *dir, char *refused, size_t len)
{
	char pattern[PATH_MAX];
	const char *best = NULL;
	glob_t g = { 0 };

	snprintf(pattern, sizeof(pattern), "%s/" VMLINUZ "*", dir);
	if (glob(pattern, 0, NULL, &g))
		g.gl_pathc = 0;
	for (size_t i = 0; i < g.gl_pathc; i++) {
		const char *path = g.gl_pathv[i];

		if (access(path, R_OK) < 0)
			snprintf(refused, len, "%.200s: %s", path, strerror(errno));
		else if (!best || strverscmp(kernel_version(path), kernel_version(best)) > 0)
			best = path;
	}
	if (best)
		snprintf(k->found_kernel, sizeof(k->found_kernel), "%s", best);
	globfree(&g);
	return best;
}

static void kernel_find_initrd(struct kernel_files *k, const char *dir)
{
	static const char *const forms[][2] = { { "initrd.img-", "" }, { "initramfs-", ".img" } };
	const char *version = kernel_version(k->found_kernel);

	for (unsigned i = 0; i < ARRAY_SIZE(forms); i++) {
		snprintf(k->found_initrd, sizeof(k->found_initrd), "%s/%s%s%s", dir, forms[i][0],
			 version, forms[i][1]);
		if (!access(k->found_initrd, R_OK)) {
			k->initrd = k->found_initrd;
			return;
		}
		if (errno != ENOENT)
			log_warn("%s: %s; booting without an initrd", k->found_initrd,
				 strerror(errno));
	}
}

int kernel_find(struct kernel_files *k, const char *dir, const char *release, char *why, size_t len)
{
	char refused[300] = "";

	*k = (struct kernel_files){ 0 };
	if (!kernel_of_release(k, dir, release) &&
	    !kernel_newest(k, dir, refused, sizeof(refused))) {
		snprintf(why, len,
			 "--kernel auto: no kernel to be read: looked for %.100s/" VMLINUZ
			 "%.64s and %.100s/" VMLINUZ "*%s%s; name one with --kernel FILE%s",
			 dir, release, dir, *refused ? " (" : "", refused,
			 *refused ? "), or make it readable" : ", or install one");
		return -1;
	}
	k->kernel = k->found_kernel;
	kernel_find_initrd(k, dir);
	return 0;
}

static int kernel_choose_auto(struct kernel_files *k, const char *initrd, char *why, size_t len)
{
	struct utsname host;

	uname(&host);
	if (kernel_find(k, KERNEL_DIR, host.release, why, len) < 0)
		return -1;
	if (!initrd && k->initrd)
		log_info("--kernel auto: %s with %s", k->kernel, k->initrd);
	else
		log_info("--kernel auto: %s%s", k->kernel,
			 initrd ? "" : "; no initrd for it in " KERNEL_DIR);
	return 0;
}

int kernel_choose(struct kernel_files *k, const char *kernel, const char *initrd, char *why,
		  size_t len)
{
	*k = (struct kernel_files){ .kernel = kernel };
	if (!strcmp(kernel, KERNEL_AUTO) && kernel_choose_auto(k, initrd, why, len) < 0)
		return -1;
	if (initrd)
		k->initrd = initrd;
	return 0;
}

bool kernel_cache(char *path, size_t len)
{
	const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	bool usual = !xdg || *xdg != '/';
	int n = snprintf(path, len, "%s%s", usual ? home ? home : "" : xdg, usual ? "/.cache" : "");

	if (*path != '/' || (usual && !home) || n < 0 || (size_t)n + sizeof("/duet") > len)
		return false;
	mkdir(path, 0700); /* if it fails, so will what is made in it */
	snprintf(path + n, len - (size_t)n, "/duet");
	return true;
}

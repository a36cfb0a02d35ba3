/* SPDX-License-Identifier: MIT */
/*
 * board_confine.c: the step from the process that builds a machine to the one that runs a
 * guest. Every file that the machine reads or writes is open by now (kernel, initrd, --stats,
 * --marks, --trace-file, --serial2, disks, taps, the console), so root directory and user may
 * change.
 */
#include "vmm/board.h"
#include "vmm/log.h"
#include "vmm/sandbox.h"

#define CONFINE_OTHERS 3 /* threads besides disks' and vCPUs': main, "io", "watcher" */

int board_confine(const struct opts *o)
{
	const char *lacking = sandbox_lacking();
	struct sandbox_user user;
	char why[600];

	if (o->user && sandbox_find_user(o->user, &user, why, sizeof(why)) < 0)
		return board_fail(EXIT_USAGE, "--user %s: %s", o->user, why);
	if (o->sandbox == OPTS_SANDBOX_ON && lacking)
		return board_fail(EXIT_USAGE, "--sandbox on: not in this build: %s", lacking);
	if (o->dry_run)
		return 0;
	if (sandbox_drop(o->user ? &user : NULL, o->chroot, why, sizeof(why)) < 0)
		return board_fail(EXIT_HOST, "%s", why);
	if (o->sandbox == OPTS_SANDBOX_OFF)
		return 0;
	if (lacking) {
		log_info("sandbox: not in this build: %s", lacking);
		return 0;
	}
	if (sandbox_prepare(CONFINE_OTHERS + o->n_disks + o->cpus, why, sizeof(why)) < 0)
		return board_fail(EXIT_HOST, "sandbox: %s", why);
	return 0;
}

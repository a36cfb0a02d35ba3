/* SPDX-License-Identifier: MIT */
/*
 * sandbox.h: what is left to this process once a guest runs. A guest that has broken into a
 * device's code finds a process without capabilities that gets none (sandbox_drop()), and a
 * thread whose system calls are those of its role (sandbox_enter()): it opens, connects to and
 * executes nothing, and makes no memory executable. docs/threat-model.md says what that is for.
 *
 *     build the machine: all is open, all is made
 *     sandbox_drop()          root directory, user, capabilities
 *     sandbox_prepare()       a filter for each role
 *     each thread: sandbox_enter(its role)
 *     vCPUs go on only when all have
 */
#ifndef DUET_SANDBOX_H
#define DUET_SANDBOX_H

#include <stddef.h>
#include <sys/types.h>

enum sandbox_role {
	SANDBOX_MAIN,    /* waits for the end, writes statistics, takes the machine apart */
	SANDBOX_IO,      /* the loop: NICs, console, timers */
	SANDBOX_DISK,    /* a disk's requests: blocks where the others must not */
	SANDBOX_WATCHER, /* looks at memory, wakes others */
	SANDBOX_VCPU,    /* the guest, and devices' code on its behalf */
	SANDBOX_ROLES,
};

/* Why there are no filters in this build, or NULL when there are. */
const char *sandbox_lacking(void);

/* Make the filters and catch SIGSYS (whoever had caught it is called after us). Before any
 * thread is started; there will be `threads` in all. 0, or -1 with the reason in `why`. */
int sandbox_prepare(unsigned threads, char *why, size_t size);

/*
 * The calling thread takes its role for good: a system call beyond it kills the process by
 * SIGSYS, with one line that names thread and call. A vCPU's waits until all threads have done
 * so: no guest ever runs beside one without a filter. Does nothing unless
 * sandbox_prepare() was called. 0, or -errno, logged: then do nothing for the guest.
 */
int sandbox_enter(enum sandbox_role role);

/* There will be no guest: let vCPUs' threads out of sandbox_enter(), with -ECANCELED. */
void sandbox_cancel(void);

/* --- sandbox_drop.c: what belongs to the process as a whole --- */

struct sandbox_user {
	uid_t uid;
	gid_t gid;
};

/* `spec` is NAME or UID, with :GID if that is not to be the one of /etc/passwd (no other
 * directory of users is asked). 0, or -1 with the reason in `why`. */
int sandbox_find_user(const char *spec, struct sandbox_user *u, char *why, size_t size);

/*
 * Change the root directory to `root` and become `u`, with no other groups (NULL: stay where
 * and who we are); give up all capabilities, root's too, and never get any again. Before any
 * thread is started: Linux keeps these for each of them. 0, or -1 with the reason in `why`.
 */
int sandbox_drop(const struct sandbox_user *u, const char *root, char *why, size_t size);

/* --- sandbox_roles.c: who may call what --- */

/* Allow `role`'s calls in the libseccomp filter `ctx` (a scmp_filter_ctx). 0 or -errno. */
int sandbox_allow(void *ctx, enum sandbox_role role);

#endif

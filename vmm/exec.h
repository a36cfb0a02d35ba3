/* SPDX-License-Identifier: MIT */
/*
 * exec.h: `duet exec`: one command in a guest made for it. Its stdout is ours, its stderr is
 * ours, its exit status is ours; docs/exec.md.
 */
#ifndef DUET_EXEC_H
#define DUET_EXEC_H

#include "vmm/opts.h"

#include <stddef.h>

/*
 * The initramfs that opts.exec describes, with busybox and guest/exec-init, behind what
 * --initrd names. Returns a descriptor at the file's begin, or -1 with one line in `why`.
 */
int exec_image(const struct opts *o, char *why, size_t len);

/* Is there a person before it, rather than files and pipes? */
bool exec_at_terminal(const struct opts *o);

/* Run the command. Returns its status, or EXIT_EXEC, having said why. */
int exec_run(const struct opts *o);

#endif

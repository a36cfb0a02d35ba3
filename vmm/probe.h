/* SPDX-License-Identifier: MIT */
/*
 * probe.h: what this host's /dev/kvm is, and whether a stock kernel can run on it.
 * The second is not guessed from the first but tried.
 */
#ifndef DUET_PROBE_H
#define DUET_PROBE_H

#include <stdbool.h>

/* "VMX", "SVM", "software" or "unknown": what drives KVM here, from the processor's
 * flags and the loaded modules. Cheap: no VM is made. */
const char *probe_flavour(void);

/* `duet probe`: print the verdict (as JSON), return the exit status (0 or 3). */
int probe_run(bool json);

#endif

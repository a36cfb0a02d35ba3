/* SPDX-License-Identifier: MIT */
/*
 * log.h: messages for the person who launched duet, on stderr, one line each,
 * prefixed "duet: ". Host errors name what failed, the object, and the fix.
 * Guest misbehaviour is not logged but counted and traced: a guest must not be
 * able to fill a log.
 */
#ifndef DUET_LOG_H
#define DUET_LOG_H

#include "vmm/util.h"

/* All three may be called from any thread; a call writes one whole line. */
void log_error(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_info(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Silence log_info() (for tests and `--quiet`); errors and warnings stay. */
void log_set_quiet(int quiet);

#endif

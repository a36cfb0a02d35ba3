/* SPDX-License-Identifier: MIT */
/*
 * log.h: messages for the person who launched duet, on stderr, one line each,
 * prefixed "duet: ". Host errors name what failed, the object, and the fix.
 * Guest misbehaviour is not logged but counted and traced: a guest must not be
 * able to fill a log.
 *
 * On a terminal the prefix of errors and warnings has a colour, unless NO_COLOR is set
 * to anything (no-color.org) or TERM is "dumb".
 */
#ifndef DUET_LOG_H
#define DUET_LOG_H

#include "vmm/util.h"

/* A level shows itself and those before it. */
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* All may be called from any thread; a call writes one whole line. */
void log_error(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_info(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_debug(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* What is shown from now on; LOG_LEVEL_INFO unless it was called. */
void log_set_level(enum log_level level);

#endif

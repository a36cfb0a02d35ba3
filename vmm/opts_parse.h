/* SPDX-License-Identifier: MIT */
/* opts_parse.h: what the parsers of single options share; for vmm/opts*.c only. */
#ifndef DUET_OPTS_PARSE_H
#define DUET_OPTS_PARSE_H

#include "vmm/opts.h"
#include "vmm/util.h"

/* Put the line into o->why; returns -1. */
int opts_fail(struct opts *o, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A plain decimal number up to `max`. 0, or -1 when it is none. */
int opts_number(const char *s, uint64_t max, uint64_t *val);

/* --- opts_net.c: 0, or -1 as opts_fail() --- */

/* One --net MODEL,BACKEND[,KEY[=VALUE]]... */
int opts_net(struct opts *o, const char *s);
/* All of them together: what two NICs cannot share. */
int opts_check_nics(struct opts *o);

/* --- opts_disk.c: the same --- */

/* One --disk FILE[,ro] */
int opts_disk(struct opts *o, const char *s);

/* --- opts_exec.c: the same --- */

/* One --file HOST[:GUEST] */
int opts_exec_file(struct opts *o, const char *s);

#endif

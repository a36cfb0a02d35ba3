/* SPDX-License-Identifier: MIT */
/* exercise.h: one exit, several bytes. */
#ifndef DUET_COURSE_STRING_IO_H
#define DUET_COURSE_STRING_IO_H

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

/*
 * KVM_EXIT_IO of a guest that writes to a port. Put the bytes that it wrote into `out`, in
 * their order, `room` at most. Returns how many; 0 when the guest read.
 */
size_t exit_io_bytes(const struct kvm_run *run, uint8_t *out, size_t room);

#endif

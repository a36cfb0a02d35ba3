/* SPDX-License-Identifier: MIT */
/*
 * boot_packed.h: the ELF kernel inside a bzImage, unpacked by the host: where it is, and what
 * the code in front of it would have done besides. For vmm/boot*.c only.
 */
#ifndef DUET_BOOT_PACKED_H
#define DUET_BOOT_PACKED_H

#include "vmm/boot.h"

/*
 * Load the kernel that is packed at [off, off + len) of b->kernel: its segments into RAM, at
 * another virtual address than it was linked for if it can be and `cmdline` does not forbid
 * (nokaslr). `align`: what such an address is a multiple of, bytes, a power of 2.
 * 1: done, *ip is its 64-bit entry, b->moved whether it is elsewhere. 0: the guest has to unpack
 * it, RAM is as it was. -1: boot_fail().
 */
int packed_load(struct boot *b, uint64_t off, uint64_t len, uint32_t align, gpa_t *ip);

/* --- boot_cache.c: unpacked kernels, kept in a directory --- */

/* A descriptor that reads the `size` bytes that `packed` unpacks to, or -1: not there. */
int cache_find(const char *dir, const uint8_t *packed, size_t len, uint64_t size);
/* Keep them: `fd` holds them. What cannot be kept is not. */
void cache_keep(const char *dir, const uint8_t *packed, size_t len, int fd, uint64_t size);

/* --- boot_kaslr.c --- */

/*
 * b->kernel, an ELF kernel whose segments are in RAM from b->kernel_base on: give it another
 * virtual address by the relocations behind it. 1: done, 0: it has none, -1: boot_fail().
 */
int kaslr_move(struct boot *b, uint32_t align);
/* Whether the kernel is told not to be moved. */
bool kaslr_forbidden(const char *cmdline);

#endif

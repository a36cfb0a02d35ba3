/* SPDX-License-Identifier: MIT */
/*
 * firmware.h: the bytes a guest finds in RAM where a BIOS would have put them.
 * Everything is written through gmem at the addresses of vmm/layout.h before the
 * first guest instruction. May include L0-L1 only; knows no KVM.
 */
#ifndef DUET_FIRMWARE_H
#define DUET_FIRMWARE_H

#include "vmm/gmem.h"

#define E820_MAX 8

struct e820_map {
	struct {
		gpa_t addr;
		uint64_t size;
		uint32_t type; /* E820_TYPE_*: 1 RAM, 2 reserved, 3 ACPI */
	} e[E820_MAX];
	unsigned n;
};

/* What a loader knows once kernel, initrd and command line are in RAM. */
struct boot_info {
	gpa_t initrd;
	uint64_t initrd_size; /* 0: none */
	gpa_t cmdline;        /* NUL-terminated, at BOOT_CMDLINE */
	uint32_t cmdline_size;
	gpa_t rsdp; /* from acpi_write() */
};

/* The memory map of this machine: conventional RAM, the reserved pieces below
 * 1 MiB, low RAM, high RAM. Sorted, not overlapping. */
void e820_build(const struct gmem *m, struct e820_map *map);

/*
 * ACPI 6.x tables: RSDP, XSDT, FADT, FACS, MADT for `cpus` (1..MAX_CPUS) local APICs
 * and one IOAPIC, DSDT (firmware/dsdt.asl). Returns the RSDP's address, or 0 when
 * guest RAM is too small to hold ACPI_BASE.
 */
gpa_t acpi_write(const struct gmem *m, unsigned cpus);

/*
 * Linux x86 boot protocol: the zero page at BOOT_PARAMS, from the `hdr_len` bytes of
 * a bzImage's setup header (starting at file offset 0x1f1). 0 or -EFAULT.
 */
int boot_params_write(const struct gmem *m, const void *setup_header, size_t hdr_len,
		      const struct boot_info *b);

/* PVH: hvm_start_info, module list and memory map at BOOT_PARAMS. 0 or -EFAULT. */
int pvh_start_info_write(const struct gmem *m, const struct boot_info *b);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * boot_params.c: the "zero page" that a Linux kernel entered by the 32- or 64-bit boot
 * protocol finds in %rsi (Linux, Documentation/arch/x86/{boot,zero-page}.rst): its own
 * setup header handed back, with the fields a boot loader owes it filled in.
 */
#include "firmware/firmware.h"

#include "vmm/layout.h"

#include <asm/bootparam.h>
#include <string.h>

#define BOOT_LOADER_UNDEFINED 0xff /* type_of_loader without an assigned number */

static void boot_params_e820(struct boot_params *p, const struct gmem *m)
{
	struct e820_map map;

	e820_build(m, &map);
	for (unsigned i = 0; i < map.n; i++)
		p->e820_table[i] = (struct boot_e820_entry){
			.addr = map.e[i].addr,
			.size = map.e[i].size,
			.type = map.e[i].type,
		};
	p->e820_entries = (uint8_t)map.n;
}

int boot_params_write(const struct gmem *m, const void *setup_header, size_t hdr_len,
		      const struct boot_info *b)
{
	struct boot_params p = { 0 };

	memcpy(&p.hdr, setup_header, MIN(hdr_len, sizeof(p.hdr)));
	p.hdr.type_of_loader = BOOT_LOADER_UNDEFINED;
	p.hdr.ramdisk_image = (uint32_t)b->initrd;
	p.hdr.ramdisk_size = (uint32_t)b->initrd_size;
	p.ext_ramdisk_image = (uint32_t)(b->initrd >> 32);
	p.ext_ramdisk_size = (uint32_t)(b->initrd_size >> 32);
	p.hdr.cmd_line_ptr = (uint32_t)b->cmdline;
	p.ext_cmd_line_ptr = (uint32_t)(b->cmdline >> 32);
	p.acpi_rsdp_addr = b->rsdp;
	boot_params_e820(&p, m);
	return gm_write(m, BOOT_PARAMS, &p, sizeof(p));
}

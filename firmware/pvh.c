/* SPDX-License-Identifier: MIT */
/*
 * pvh.c: what an ELF kernel entered by its PVH note finds in %ebx (Xen's x86/HVM direct
 * boot ABI, start info version 1). All pieces lie in the one page at BOOT_PARAMS.
 */
#include "firmware/firmware.h"

#include "vmm/layout.h"

#define HVM_START_MAGIC_VALUE 0x336ec578

struct hvm_start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t nr_modules;
	uint64_t modlist_paddr;
	uint64_t cmdline_paddr;
	uint64_t rsdp_paddr;
	uint64_t memmap_paddr;
	uint32_t memmap_entries;
	uint32_t reserved;
};

struct hvm_modlist_entry {
	uint64_t paddr;
	uint64_t size;
	uint64_t cmdline_paddr;
	uint64_t reserved;
};

struct hvm_memmap_table_entry {
	uint64_t addr;
	uint64_t size;
	uint32_t type; /* the same numbers as e820's */
	uint32_t reserved;
};

struct pvh_page {
	struct hvm_start_info info;
	struct hvm_modlist_entry initrd;
	struct hvm_memmap_table_entry memmap[E820_MAX];
};

_Static_assert(sizeof(struct hvm_start_info) == 56, "start info version 1");
_Static_assert(sizeof(struct pvh_page) <= 4096, "one page");

static uint32_t pvh_memmap(struct pvh_page *p, const struct gmem *m)
{
	struct e820_map map;

	e820_build(m, &map);
	for (unsigned i = 0; i < map.n; i++)
		p->memmap[i] = (struct hvm_memmap_table_entry){
			.addr = map.e[i].addr,
			.size = map.e[i].size,
			.type = map.e[i].type,
		};
	return map.n;
}

int pvh_start_info_write(const struct gmem *m, const struct boot_info *b)
{
	struct pvh_page p = {
		.info = {
			.magic = HVM_START_MAGIC_VALUE,
			.version = 1,
			.nr_modules = b->initrd_size ? 1 : 0,
			.modlist_paddr = BOOT_PARAMS + offsetof(struct pvh_page, initrd),
			.cmdline_paddr = b->cmdline,
			.rsdp_paddr = b->rsdp,
			.memmap_paddr = BOOT_PARAMS + offsetof(struct pvh_page, memmap),
		},
		.initrd = { .paddr = b->initrd, .size = b->initrd_size },
	};

	p.info.memmap_entries = pvh_memmap(&p, m);
	return gm_write(m, BOOT_PARAMS, &p, sizeof(p));
}

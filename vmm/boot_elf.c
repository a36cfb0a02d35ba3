/* SPDX-License-Identifier: MIT */
/*
 * boot_elf.c: an uncompressed ELF kernel (vmlinux) by its PVH note: segments go to
 * their physical addresses, and the vCPU starts in 32-bit mode at the address in the
 * note (Xen's x86 "direct boot ABI", XEN_ELFNOTE_PHYS32_ENTRY), which spares the
 * guest the unpacking of a bzImage. Out of a bzImage (boot_packed.c) it starts in 64-bit
 * mode at the ELF file's own entry. libelf does the parsing.
 */
#include "vmm/boot.h"

#include "vmm/layout.h"

#if HAVE_LIBELF

#include <gelf.h>
#include <inttypes.h>
#include <string.h>

#define PVH_NOTE_NAME    "Xen"
#define PVH_NOTE_ENTRY   18 /* XEN_ELFNOTE_PHYS32_ENTRY */
#define PVH_CMDLINE_MAX  2047
#define PVH_INITRD_MAX   UINT32_MAX
#define ELF_SEGMENTS_MAX 64
#define ELF_NOTES_MAX    (1 << 20) /* bytes of notes we are willing to look through */

static int elf_check_header(struct boot *b, Elf *e)
{
	GElf_Ehdr h;

	if (elf_kind(e) != ELF_K_ELF || !gelf_getehdr(e, &h))
		return boot_fail(b, &b->kernel, "is a damaged ELF file: %s", elf_errmsg(-1));
	if (h.e_ident[EI_CLASS] != ELFCLASS64)
		return boot_fail(b, &b->kernel, "is a 32-bit ELF file; an x86-64 kernel is needed");
	if (h.e_machine != EM_X86_64)
		return boot_fail(b, &b->kernel,
				 "is an ELF file for another machine (e_machine %u); x86-64 is %u",
				 h.e_machine, EM_X86_64);
	if (h.e_type != ET_EXEC && h.e_type != ET_DYN)
		return boot_fail(b, &b->kernel,
				 "is an ELF object or module (e_type %u), not a kernel", h.e_type);
	return 0;
}

/* Where the kernel ends once all of it is loaded. */
static int elf_measure_segment(struct boot *b, Elf *e, const GElf_Phdr *p, uint64_t *entry)
{
	(void)e;
	(void)entry;
	if (p->p_type != PT_LOAD || !p->p_memsz)
		return 0;
	if (p->p_filesz > p->p_memsz)
		return boot_fail(b, &b->kernel,
				 "is damaged: a segment larger in the file than in memory");
	if (boot_range(b, p->p_paddr, p->p_memsz) < 0)
		return -1;
	if (!b->kernel_base || p->p_paddr < b->kernel_base)
		b->kernel_base = p->p_paddr;
	if (p->p_paddr + p->p_memsz > b->kernel_end)
		b->kernel_end = p->p_paddr + p->p_memsz;
	return 0;
}

static int elf_load_segment(struct boot *b, Elf *e, const GElf_Phdr *p, uint64_t *entry)
{
	(void)e;
	(void)entry;
	if (p->p_type != PT_LOAD || !p->p_memsz)
		return 0;
	/* What the file does not fill is zero already: RAM is fresh. */
	return boot_read(b, &b->kernel, p->p_offset, gm_span(b->mem, p->p_paddr, p->p_memsz),
			 p->p_filesz);
}

/* Look through one segment of notes. Sets *entry when the PVH note is there. */
static int elf_scan_notes(struct boot *b, Elf *e, const GElf_Phdr *p, uint64_t *entry)
{
	size_t off = 0, next, name, desc;
	Elf_Data *d = NULL;
	GElf_Nhdr n;

	(void)b;
	if (p->p_type == PT_NOTE && p->p_filesz <= ELF_NOTES_MAX)
		d = elf_getdata_rawchunk(e, (int64_t)p->p_offset, p->p_filesz,
					 p->p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
	for (; d && (next = gelf_getnote(d, off, &n, &name, &desc)) > 0; off = next) {
		const char *base = d->d_buf;
		uint32_t addr;

		if (n.n_type != PVH_NOTE_ENTRY || n.n_namesz != sizeof(PVH_NOTE_NAME) ||
		    memcmp(base + name, PVH_NOTE_NAME, sizeof(PVH_NOTE_NAME)) != 0 ||
		    n.n_descsz < sizeof(addr))
			continue;
		memcpy(&addr, base + desc, sizeof(addr));
		*entry = addr;
	}
	return 0;
}

/* Call `visit` for each program header, once its extent in the file is known to exist. */
static int elf_each_segment(struct boot *b, Elf *e, uint64_t *entry,
			    int (*visit)(struct boot *b, Elf *e, const GElf_Phdr *p,
					 uint64_t *entry))
{
	size_t n;

	if (elf_getphdrnum(e, &n) < 0 || n > ELF_SEGMENTS_MAX)
		return boot_fail(b, &b->kernel, "is a damaged ELF file: its program headers");
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr p;

		if (!gelf_getphdr(e, (int)i, &p) || p.p_offset > b->kernel.size ||
		    p.p_filesz > b->kernel.size - p.p_offset)
			return boot_fail(b, &b->kernel,
					 "is truncated: segment %zu lies beyond its %" PRIu64
					 " bytes",
					 i, b->kernel.size);
		if (visit(b, e, &p, entry) < 0)
			return -1;
	}
	return 0;
}

/* The address in the PVH note, which is looked for before anything is loaded. */
static int elf_find_pvh(struct boot *b, Elf *e, uint64_t *entry)
{
	if (elf_each_segment(b, e, entry, elf_scan_notes) < 0)
		return -1;
	if (*entry)
		return 0;
	return boot_fail(b, &b->kernel,
			 "is an ELF file without a PVH entry note: not a kernel, or one built "
			 "without CONFIG_PVH (then use its bzImage)");
}

static int elf_find_entry(struct boot *b, Elf *e, enum elf_entry how, uint64_t *entry)
{
	GElf_Ehdr h;

	*entry = 0;
	if (elf_check_header(b, e) < 0)
		return -1;
	if (how == ELF_ENTRY_PVH)
		return elf_find_pvh(b, e, entry);
	gelf_getehdr(e, &h);
	*entry = h.e_entry;
	return 0;
}

static int elf_place_open(struct boot *b, Elf *e, enum elf_entry how, uint64_t *entry)
{
	if (elf_find_entry(b, e, how, entry) < 0 ||
	    elf_each_segment(b, e, entry, elf_measure_segment) < 0)
		return -1;
	if (*entry < RAM_1M || *entry >= b->kernel_end)
		return boot_fail(b, &b->kernel,
				 "is damaged: %sentry %#" PRIx64 " outside its segments",
				 how == ELF_ENTRY_PVH ? "PVH " : "", *entry);
	if (boot_room(b, b->kernel_end) < 0)
		return -1;
	return elf_each_segment(b, e, entry, elf_load_segment);
}

int elf_place(struct boot *b, enum elf_entry how, gpa_t *ip)
{
	Elf *e;
	int err;

	elf_version(EV_CURRENT);
	e = elf_begin(b->kernel.fd, ELF_C_READ, NULL);
	err = e ? elf_place_open(b, e, how, ip)
		: boot_fail(b, &b->kernel, "is a damaged ELF file: %s", elf_errmsg(-1));
	elf_end(e);
	return err;
}

int elf_load(struct boot *b, struct boot_entry *entry)
{
	gpa_t ip;

	b->initrd_max = PVH_INITRD_MAX;
	if (elf_place(b, ELF_ENTRY_PVH, &ip) < 0 || boot_load_initrd(b) < 0 ||
	    boot_load_cmdline(b, PVH_CMDLINE_MAX) < 0)
		return -1;
	if (pvh_start_info_write(b->mem, &b->info) < 0)
		return boot_fail(b, &b->kernel, "the guest has no RAM for PVH start info");
	*entry = (struct boot_entry){ .mode = BOOT_FLAT32, .ip = ip, .arg = BOOT_PARAMS };
	return 0;
}

#else

int elf_place(struct boot *b, enum elf_entry how, gpa_t *ip)
{
	(void)how;
	(void)ip;
	return boot_fail(b, &b->kernel,
			 "is an ELF file, and this duet was built without libelf: use a bzImage");
}

int elf_load(struct boot *b, struct boot_entry *entry)
{
	return elf_place(b, ELF_ENTRY_PVH, &entry->ip);
}

#endif

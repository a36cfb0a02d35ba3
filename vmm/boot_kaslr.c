/* SPDX-License-Identifier: MIT */
/*
 * boot_kaslr.c: kernel address space layout randomization, which is otherwise the work of the
 * code that unpacks a bzImage. It finds behind the ELF kernel the places that hold an address
 * (Linux: arch/x86/tools/relocs.c writes them, arch/x86/boot/compressed/misc.c reads them), from
 * the file's end backwards:
 *
 *   | ELF | 0 | 64-bit places | 0 | inverse 32-bit places | 0 | 32-bit places |
 *
 * A place is the low half of the virtual address where it is linked. Kernels from 6.15 on have
 * no inverse ones, nor the 0 in front of them. Only the virtual address is changed; the physical
 * one stays, which the kernel finds out by itself.
 */
#include "vmm/boot_packed.h"

#include <elf.h>
#include <string.h>
#include <sys/random.h>

#define KASLR_MAP    UINT64_C(0xffffffff80000000) /* __START_KERNEL_map */
#define KASLR_END    (UINT64_C(1) << 30)          /* KERNEL_IMAGE_SIZE */
#define KASLR_MAX    (UINT64_C(64) << 20)         /* bytes of relocations */
#define KASLR_ALIGN  (UINT32_C(2) << 20)          /* what __startup_64() insists on */
#define KASLR_TABLES 3

bool kaslr_forbidden(const char *cmdline)
{
	static const char word[] = "nokaslr";
	const char *p = cmdline ? cmdline : "";

	for (size_t len; *(p += strspn(p, " \t\n")); p += len) {
		len = strcspn(p, " \t\n");
		if (len == sizeof(word) - 1 && !memcmp(p, word, len))
			return true;
	}
	return false;
}

/* Bytes of the ELF file proper, whose section headers come last. 0: no idea. */
static uint64_t kaslr_elf_end(struct boot *b)
{
	Elf64_Ehdr h;

	if (boot_read(b, &b->kernel, 0, &h, sizeof(h)) < 0 || h.e_shentsize != sizeof(Elf64_Shdr) ||
	    h.e_shoff < sizeof(h) || h.e_shoff > b->kernel.size ||
	    (uint64_t)h.e_shnum * h.e_shentsize > b->kernel.size - h.e_shoff)
		return 0;
	return h.e_shoff + (uint64_t)h.e_shnum * h.e_shentsize;
}

/* A random distance from where the kernel is linked; 0: there is no room. */
static uint64_t kaslr_distance(const struct boot *b, uint32_t align)
{
	uint64_t slots, random;

	if (align < KASLR_ALIGN || align & (align - 1) || b->kernel_end >= KASLR_END ||
	    getrandom(&random, sizeof(random), 0) != sizeof(random))
		return 0;
	slots = (KASLR_END - b->kernel_end) / align;
	return random % (slots + 1) * align;
}

/* Add `distance` to the address at `place`, `width` bytes. */
static int kaslr_fix(struct boot *b, uint32_t place, unsigned width, uint64_t distance)
{
	gpa_t at = (uint64_t)(int64_t)(int32_t)place - KASLR_MAP;
	uint64_t value = 0;
	uint8_t *p;

	if (at < b->kernel_base || at >= b->kernel_end || b->kernel_end - at < width)
		return boot_fail(b, &b->kernel,
				 "is damaged: a relocation outside of the kernel, at %#llx",
				 (unsigned long long)at);
	p = gm_span(b->mem, at, width);
	memcpy(&value, p, width);
	value += distance;
	memcpy(p, &value, width);
	return 0;
}

/* The tables from the last one backwards; `r` is n words that begin with a 0. */
static int kaslr_apply(struct boot *b, const uint32_t *r, size_t n, unsigned tables,
		       uint64_t distance)
{
	static const struct {
		unsigned width;
		int sign;
	} kinds[KASLR_TABLES] = { { 4, 1 }, { 4, -1 }, { 8, 1 } };
	unsigned kind = 0;

	while (n--) {
		if (!r[n]) /* two tables: the inverse one is missing */
			kind += kind == 0 && tables < KASLR_TABLES ? 2 : 1;
		else if (kaslr_fix(b, r[n], kinds[kind].width,
				   kinds[kind].sign < 0 ? -distance : distance) < 0)
			return -1;
	}
	return 1;
}

static unsigned kaslr_tables(const uint32_t *r, size_t n)
{
	unsigned zeros = 0;

	for (size_t i = 0; i < n; i++)
		zeros += !r[i];
	return zeros;
}

static int kaslr_with(struct boot *b, uint32_t *r, uint64_t at, uint64_t len, uint64_t distance)
{
	unsigned tables;

	if (boot_read(b, &b->kernel, at, r, len) < 0)
		return -1;
	tables = kaslr_tables(r, len / sizeof(*r));
	if (r[0] || tables < KASLR_TABLES - 1 || tables > KASLR_TABLES)
		return 0;
	return kaslr_apply(b, r, len / sizeof(*r), tables, distance);
}

int kaslr_move(struct boot *b, uint32_t align)
{
	uint64_t end = kaslr_elf_end(b), len = end ? b->kernel.size - end : 0, distance;
	uint32_t *r;
	int done;

	if (len < sizeof(*r) || len % sizeof(*r) || len > KASLR_MAX)
		return 0;
	distance = kaslr_distance(b, align);
	r = malloc(len);
	if (!r)
		return boot_fail(b, &b->kernel, "no memory for its relocations");
	done = kaslr_with(b, r, end, len, distance);
	free(r);
	return done;
}

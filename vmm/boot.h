/* SPDX-License-Identifier: MIT */
/*
 * boot.h: from files on the host to a guest that can be started. A loader puts
 * kernel, initrd and command line into guest RAM, has firmware/ write what a BIOS
 * would have left, and says how the first vCPU begins.
 *
 * Files are as untrusted as guests: every number in them is checked, and a file
 * that is something else is called by its name.
 */
#ifndef DUET_BOOT_H
#define DUET_BOOT_H

#include "firmware/firmware.h"
#include "vmm/gmem.h"

#include <stdbool.h>
#include <stddef.h>

/* 1: ELF kernels can be loaded. 0: built without libelf, bzImage only. */
#ifndef HAVE_LIBELF
#define HAVE_LIBELF 1
#endif

#define BOOT_SEL_CS   0x10 /* 64-bit code: __BOOT_CS of the Linux boot protocol, GDT entry 2 */
#define BOOT_SEL_DS   0x18 /* __BOOT_DS */
#define BOOT_SEL_TR   0x20
#define BOOT_SEL_CS32 0x28 /* 32-bit code */
#define BOOT_SEL_END  0x30

enum boot_mode {
	BOOT_LONG64, /* Linux 64-bit protocol: paging on, low 4 GiB mapped 1:1, arg in RSI */
	BOOT_FLAT32, /* PVH: protected mode, paging off, flat segments, arg in EBX */
};

/* How the first vCPU begins. */
struct boot_entry {
	enum boot_mode mode;
	gpa_t ip;
	uint64_t arg; /* boot_params or hvm_start_info */
};

struct boot_file {
	const char *path; /* as the user gave it */
	int fd;
	uint64_t size; /* bytes */
};

/* Who unpacks the kernel in a bzImage. */
enum boot_unpack {
	BOOT_UNPACK_AUTO, /* the host, if it can */
	BOOT_UNPACK_GUEST,
	BOOT_UNPACK_HOST, /* or nobody */
};

/* What is to be booted. */
struct boot_want {
	const char *kernel;           /* bzImage or ELF */
	const char *initrd, *cmdline; /* NULL: none */
	enum boot_unpack unpack;
	const char *cache; /* directory for kernels that the host unpacked; NULL: none */
};

/* One boot in the making. */
struct boot {
	const struct gmem *mem;
	const struct boot_want *want;
	struct boot_file kernel;
	struct boot_info info; /* what the firmware tables will say */
	gpa_t kernel_base;     /* first byte of an ELF kernel */
	gpa_t kernel_end;      /* first byte behind the kernel and its working space */
	const char *format;    /* what the host unpacked; NULL: nothing */
	bool from_cache;       /* or had unpacked before */
	bool moved;            /* to a random virtual address */
	gpa_t initrd_max;      /* last address the kernel accepts for the initrd */
	char why[320];         /* after a failure: one line for the user */
};

/*
 * Load what `w` says into `m`. 0, or -1 with the reason in b->why. `rsdp` comes from
 * acpi_write().
 */
int boot_load(struct boot *b, const struct gmem *m, const struct boot_want *w, gpa_t rsdp,
	      struct boot_entry *entry);

/* GDT and 1:1 page tables at their places of vmm/layout.h. 0 or -EFAULT. */
int boot_tables_write(const struct gmem *m);

/* --- for the loaders --- */

/* Put "FILE: text" into b->why. Returns -1. */
int boot_fail(struct boot *b, const struct boot_file *f, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Copy `len` bytes at `off` of `f`; the file must have them all. 0 or -1 (boot_fail). */
int boot_read(struct boot *b, const struct boot_file *f, uint64_t off, void *dst, uint64_t len);

/* Check that [gpa, gpa + size) is where low RAM may be, above 1 MiB. 0 or -1. */
int boot_range(struct boot *b, gpa_t gpa, uint64_t size);
/* Check that low RAM reaches up to `end`, else say how much it takes. 0 or -1. */
int boot_room(struct boot *b, gpa_t end);

/* Place initrd and command line, `max` bytes of it at most; fills b->info. */
int boot_load_initrd(struct boot *b);
int boot_load_cmdline(struct boot *b, uint32_t max);

/* What `head`, the first `len` bytes of a file that is no kernel, looks like; a phrase
 * that goes on after "FILE: ". NULL: no idea. */
const char *boot_identify(const uint8_t *head, size_t len);

/* The two formats. `head` is the first `len` bytes of the file. */
bool linux_is_bzimage(const uint8_t *head, size_t len);
int linux_load(struct boot *b, struct boot_entry *entry);
int elf_load(struct boot *b, struct boot_entry *entry);

/* Where an ELF kernel is entered: as its PVH note says, or in 64-bit mode by Linux's protocol. */
enum elf_entry { ELF_ENTRY_PVH, ELF_ENTRY_64 };
/* The segments of b->kernel to their places in RAM, and the entry. 0 or -1 (boot_fail). */
int elf_place(struct boot *b, enum elf_entry how, gpa_t *ip);

#endif

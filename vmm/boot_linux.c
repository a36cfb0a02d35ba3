/* SPDX-License-Identifier: MIT */
/*
 * boot_linux.c: bzImage by the 64-bit boot protocol (Documentation/arch/x86/boot.rst):
 *
 *   file:  | boot sector + setup code (unused here) | protected-mode kernel |
 *            header at 0x1f1                          -> pref_address in RAM
 *
 * The kernel's first 512 bytes are its 32-bit entry; the 64-bit one follows. It
 * unpacks itself within [pref_address, pref_address + init_size), unless that was
 * done for it (boot_packed.c): then the kernel proper begins, with the same parameters.
 */
#include "vmm/boot_packed.h"
#include "vmm/layout.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define LINUX_HEADER      0x1f1
#define LINUX_MAGIC       0x202
#define LINUX_SECTOR      512
#define LINUX_ENTRY64     0x200
#define LINUX_SETUP_SECTS 4     /* what 0 in the header means */
#define LINUX_MIN_VERSION 0x20c /* 2.12, Linux 3.8: xloadflags */
#define LINUX_PAGE        4096

bool linux_is_bzimage(const uint8_t *head, size_t len)
{
	return len >= LINUX_MAGIC + 4 && !memcmp(head + LINUX_MAGIC, "HdrS", 4);
}

static int linux_check_header(struct boot *b, const struct setup_header *h)
{
	if (!h->syssize)
		return boot_fail(
			b, &b->kernel,
			"is truncated or damaged: a Linux boot header, but no kernel behind it");
	if (h->version < LINUX_MIN_VERSION)
		return boot_fail(
			b, &b->kernel,
			"is a Linux kernel of boot protocol %u.%02u; 2.12 (Linux 3.8) is needed",
			h->version >> 8, h->version & 0xff);
	if (!(h->loadflags & LOADED_HIGH))
		return boot_fail(b, &b->kernel, "is a zImage for low memory; a bzImage is needed");
	if (!(h->xloadflags & XLF_KERNEL_64))
		return boot_fail(b, &b->kernel,
				 "is a 32-bit Linux kernel; an x86-64 one is needed");
	if (h->pref_address % LINUX_PAGE)
		return boot_fail(b, &b->kernel,
				 "is damaged: load address %#" PRIx64 " in its header",
				 (uint64_t)h->pref_address);
	return 0;
}

/* Where the protected-mode part begins in the file. */
static uint64_t linux_setup_size(const struct setup_header *h)
{
	return (1 + (h->setup_sects ? h->setup_sects : LINUX_SETUP_SECTS)) * LINUX_SECTOR;
}

/* Copy the protected-mode part to its place. */
static int linux_load_packed(struct boot *b, const struct setup_header *h)
{
	uint64_t payload = (uint64_t)h->syssize * 16;
	uint64_t room = h->init_size;

	if (payload > room)
		return boot_fail(b, &b->kernel,
				 "is damaged: %" PRIu64 " bytes of code, room for %" PRIu64,
				 payload, room);
	if (boot_range(b, h->pref_address, room) < 0 || boot_room(b, h->pref_address + room) < 0)
		return -1;
	b->kernel_end = h->pref_address + room;
	return boot_read(b, &b->kernel, linux_setup_size(h),
			 gm_span(b->mem, h->pref_address, payload), payload);
}

/* The kernel into RAM, unpacked if that is ours to do, and its entry. */
static int linux_load_kernel(struct boot *b, struct setup_header *h, gpa_t *ip)
{
	int r = packed_load(b, linux_setup_size(h) + h->payload_offset, h->payload_length,
			    h->kernel_alignment, ip);

	if (r < 0)
		return -1;
	if (b->moved)
		h->loadflags |= KASLR_FLAG; /* it goes on with what else it can randomize */
	if (r > 0)
		return 0;
	*ip = h->pref_address + LINUX_ENTRY64;
	return linux_load_packed(b, h);
}

/* The header ends where the jump at 0x200 goes to; never trust it beyond the struct. */
static size_t linux_header_size(const struct setup_header *h)
{
	size_t end = LINUX_MAGIC + (h->jump >> 8);

	return MIN(end - LINUX_HEADER, sizeof(*h));
}

int linux_load(struct boot *b, struct boot_entry *entry)
{
	struct setup_header h;
	gpa_t ip;

	if (boot_read(b, &b->kernel, LINUX_HEADER, &h, sizeof(h)) < 0 ||
	    linux_check_header(b, &h) < 0 || linux_load_kernel(b, &h, &ip) < 0)
		return -1;
	b->initrd_max = h.initrd_addr_max;
	if (boot_load_initrd(b) < 0 || boot_load_cmdline(b, h.cmdline_size) < 0)
		return -1;
	if (boot_params_write(b->mem, &h, linux_header_size(&h), &b->info) < 0)
		return boot_fail(b, &b->kernel, "the guest has no RAM for boot parameters");
	*entry = (struct boot_entry){ .mode = BOOT_LONG64, .ip = ip, .arg = BOOT_PARAMS };
	return 0;
}

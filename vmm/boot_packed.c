/* SPDX-License-Identifier: MIT */
/*
 * boot_packed.c: a bzImage's kernel without the guest's unpacking it: out of the file or the
 * cache into a memfd, from there by boot_elf.c into RAM.
 *
 *   bzImage:  | setup | unpacker | payload: packed ELF, relocations | size |
 *                                  off                         off + len
 *
 * All memory that this takes is given back before it returns. What the unpacker does besides,
 * KASLR, is boot_kaslr.c's.
 */
#include "vmm/boot_packed.h"

#include "vmm/boot_unpack.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PACKED_SIZE_MAX (UINT64_C(1) << 30) /* of a kernel: what x86-64 Linux has addresses for */
#define PACKED_MIN      16

/* Not for us: with --unpack=host that is an error, else the guest's to do. */
static int packed_pass(struct boot *b, const char *fmt, const char *word)
{
	char text[200];

	snprintf(text, sizeof(text), fmt, word);
	if (b->want->unpack == BOOT_UNPACK_HOST)
		return boot_fail(b, &b->kernel, "%s; --unpack guest boots it", text);
	return 0;
}

static void *packed_map(struct boot *b, size_t len, int flags, int fd)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p != MAP_FAILED)
		return p;
	boot_fail(b, &b->kernel, "no memory to unpack it: %s", strerror(errno));
	return NULL;
}

/* Unpack `packed` into a new memfd of `size` bytes. It, or -1. */
static int packed_unpack(struct boot *b, const struct unpack_format *f, const uint8_t *packed,
			 size_t len, uint64_t size)
{
	int fd = memfd_create("kernel", MFD_CLOEXEC), err = -1;
	uint8_t *p;

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0) {
		boot_fail(b, &b->kernel, "no memory to unpack it: %s", strerror(errno));
		goto out;
	}
	p = packed_map(b, size, MAP_SHARED, fd);
	if (!p)
		goto out;
	err = f->unpack(packed, len - f->trailer, p, size);
	if (err)
		boot_fail(b, &b->kernel,
			  "is damaged: its %s payload does not unpack to %" PRIu64 " bytes",
			  f->name, size);
	munmap(p, size);
out:
	if (!err)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* An ELF kernel in `fd`, `size` bytes, to its place. As packed_load(). */
static int packed_place(struct boot *b, int fd, uint64_t size, uint32_t align, gpa_t *ip)
{
	struct boot_file outer = b->kernel;
	char magic[4];
	int err;

	b->kernel.fd = fd;
	b->kernel.size = size;
	err = boot_read(b, &b->kernel, 0, magic, sizeof(magic));
	if (!err && memcmp(magic, "\177ELF", 4) != 0) {
		b->kernel = outer;
		return packed_pass(b, "its payload is %s kernel", "no ELF");
	}
	if (!err)
		err = elf_place(b, ELF_ENTRY_64, ip);
	if (!err && !kaslr_forbidden(b->want->cmdline)) {
		int r = kaslr_move(b, align);

		b->moved = r > 0;
		err = r < 0 ? -1 : 0;
	}
	b->kernel = outer;
	return err ? -1 : 1;
}

static int packed_get(struct boot *b, const uint8_t *packed, size_t len, uint32_t align, gpa_t *ip)
{
	const struct unpack_format *f = unpack_identify(packed, len);
	const char *cache = b->want->cache;
	uint32_t size;
	int fd, r;

	if (!f || !f->unpack || !HAVE_LIBELF)
		return packed_pass(b, "this duet cannot unpack its payload (%s)",
				   f ? f->name : "unknown format");
	memcpy(&size, packed + len - sizeof(size), sizeof(size));
	if (size < PACKED_MIN || size > MIN(PACKED_SIZE_MAX, b->mem->size))
		return packed_pass(b, "its payload is larger than %s",
				   "1 GiB, or than the guest's RAM");
	fd = cache ? cache_find(cache, packed, len, size) : -1;
	b->from_cache = fd >= 0;
	if (fd < 0) {
		fd = packed_unpack(b, f, packed, len, size);
		if (fd < 0)
			return -1;
		if (cache)
			cache_keep(cache, packed, len, fd, size);
	}
	r = packed_place(b, fd, size, align, ip);
	close(fd);
	b->format = r > 0 ? f->name : NULL;
	return r;
}

int packed_load(struct boot *b, uint64_t off, uint64_t len, uint32_t align, gpa_t *ip)
{
	uint8_t *packed;
	int r;

	b->moved = false;
	if (b->want->unpack == BOOT_UNPACK_GUEST)
		return 0;
	if (len < PACKED_MIN || off > b->kernel.size || len > b->kernel.size - off)
		return packed_pass(b, "its header names no payload%s", "");
	packed = packed_map(b, len, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (!packed)
		return -1;
	r = boot_read(b, &b->kernel, off, packed, len);
	if (!r)
		r = packed_get(b, packed, len, align, ip);
	munmap(packed, len);
	return r;
}

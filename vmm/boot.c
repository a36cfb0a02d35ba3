/* SPDX-License-Identifier: MIT */
/*
 * boot.c: what both kernel formats share: opening files and naming the wrong ones,
 * placing initrd and command line, and the tables a 64-bit entry needs.
 *
 *   1 MiB   kernel_end                          initrd_max or end of low RAM
 *   | kernel + working space |  ...free...  | initrd |
 */
#include "vmm/boot.h"

#include "vmm/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BOOT_PAGE      4096
#define BOOT_HEAD_SIZE 4096 /* enough to recognise any format */

int boot_fail(struct boot *b, const struct boot_file *f, const char *fmt, ...)
{
	int n = snprintf(b->why, sizeof(b->why), "%.160s: ", f->path);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(b->why + n, sizeof(b->why) - (size_t)n, fmt, ap);
	va_end(ap);
	return -1;
}

static int boot_open(struct boot *b, struct boot_file *f, const char *path)
{
	struct stat st;

	*f = (struct boot_file){ .path = path };
	/* Not blocking: a FIFO without a writer would hang us here. */
	f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (f->fd < 0)
		return boot_fail(b, f, "%s", strerror(errno));
	if (fstat(f->fd, &st) < 0)
		return boot_fail(b, f, "%s", strerror(errno));
	if (S_ISDIR(st.st_mode))
		return boot_fail(b, f, "is a directory");
	if (!S_ISREG(st.st_mode))
		return boot_fail(b, f, "is not a regular file");
	if (!st.st_size)
		return boot_fail(b, f, "is empty");
	f->size = (uint64_t)st.st_size;
	return 0;
}

static void boot_close(struct boot_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

int boot_read(struct boot *b, const struct boot_file *f, uint64_t off, void *dst, uint64_t len)
{
	uint8_t *p = dst;

	if (off > f->size || len > f->size - off)
		return boot_fail(
			b, f, "is truncated: it has %" PRIu64 " bytes and should have %s%" PRIu64,
			f->size, off + len < off ? "over " : "",
			off + len < off ? UINT64_MAX : off + len);
	while (len) {
		ssize_t n = pread(f->fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return boot_fail(b, f, "cannot be read: %s", strerror(errno));
		if (!n)
			return boot_fail(b, f, "shrank while it was read");
		p += n;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

static uint64_t boot_low_ram(const struct boot *b)
{
	return b->mem->r[0].size;
}

static uint64_t boot_mib(uint64_t bytes)
{
	return (bytes >> 20) + !!(bytes & 0xfffff);
}

int boot_range(struct boot *b, gpa_t gpa, uint64_t size)
{
	if (gpa >= RAM_1M && gpa < RAM_LOW_MAX && size <= RAM_LOW_MAX - gpa)
		return 0;
	return boot_fail(b, &b->kernel,
			 "wants to be at %#" PRIx64 "-%#" PRIx64
			 ", outside 1 MiB to 3 GiB: damaged, or not for a PC",
			 gpa, gpa + size);
}

int boot_room(struct boot *b, gpa_t end)
{
	if (end <= boot_low_ram(b))
		return 0;
	return boot_fail(b, &b->kernel,
			 "needs %" PRIu64 " MiB of RAM to start, the guest has %" PRIu64
			 ": raise --memory",
			 boot_mib(end), b->mem->size >> 20);
}

/* As high as the kernel allows, page-aligned, above all that it uses to start. */
static int boot_place_initrd(struct boot *b, const struct boot_file *f)
{
	uint64_t top = MIN(boot_low_ram(b), b->initrd_max + 1);

	if (f->size > top || ((top - f->size) & ~(uint64_t)(BOOT_PAGE - 1)) < b->kernel_end)
		return boot_fail(b, f,
				 "the initrd's %" PRIu64 " MiB and the kernel's %" PRIu64
				 " MiB do not fit into the guest's %" PRIu64
				 " MiB of RAM: raise --memory",
				 boot_mib(f->size), boot_mib(b->kernel_end), b->mem->size >> 20);
	b->info.initrd = (top - f->size) & ~(uint64_t)(BOOT_PAGE - 1);
	b->info.initrd_size = f->size;
	return 0;
}

int boot_load_initrd(struct boot *b)
{
	const char *path = b->want->initrd;
	struct boot_file f;
	int err;

	if (!path)
		return 0;
	err = boot_open(b, &f, path);
	if (!err)
		err = boot_place_initrd(b, &f);
	if (!err)
		err = boot_read(b, &f, 0, gm_span(b->mem, b->info.initrd, f.size), f.size);
	boot_close(&f);
	return err;
}

int boot_load_cmdline(struct boot *b, uint32_t max)
{
	const char *cmdline = b->want->cmdline;
	size_t len = cmdline ? strlen(cmdline) : 0;

	if (len > MIN(max, (uint32_t)BOOT_CMDLINE_MAX - 1)) {
		snprintf(b->why, sizeof(b->why),
			 "--append: %zu bytes of command line, the kernel takes %" PRIu32, len,
			 max);
		return -1;
	}
	b->info.cmdline = BOOT_CMDLINE;
	b->info.cmdline_size = (uint32_t)len;
	if (gm_write(b->mem, BOOT_CMDLINE, cmdline ? cmdline : "", len + 1) < 0)
		return boot_fail(b, &b->kernel, "the guest has no RAM for a command line");
	return 0;
}

static const struct {
	const char *magic;
	size_t len;
	const char *what;
} boot_magics[] = {
#define MAGIC(m, what)                                                                             \
	{                                                                                          \
		m, sizeof(m) - 1, what                                                             \
	}
	MAGIC("\x1f\x8b", "is compressed with gzip: an initramfs belongs to --initrd, "
			  "a kernel must be unpacked first (zcat)"),
	MAGIC("\xfd"
	      "7zXZ\0",
	      "is compressed with xz: an initramfs belongs to --initrd, "
	      "a kernel must be unpacked first (xzcat)"),
	MAGIC("\x28\xb5\x2f\xfd", "is compressed with zstd: an initramfs belongs to --initrd, "
				  "a kernel must be unpacked first (zstdcat)"),
	MAGIC("\x02\x21\x4c\x18",
	      "is compressed with lz4: a kernel must be unpacked first (lz4cat)"),
	MAGIC("\x04\x22\x4d\x18",
	      "is compressed with lz4: a kernel must be unpacked first (lz4cat)"),
	MAGIC("BZh", "is compressed with bzip2: a kernel must be unpacked first (bzcat)"),
	MAGIC("070701", "is a cpio archive, so an initramfs: give it to --initrd"),
	MAGIC("070702", "is a cpio archive, so an initramfs: give it to --initrd"),
	MAGIC("!<arch>\n", "is an ar archive: unpack a Debian package with dpkg -x"),
	MAGIC("#!", "is a script, not a kernel"),
	MAGIC("MZ", "is a PE (EFI) program without a Linux boot header: only the firmware "
		    "of a PC could start it"),
	MAGIC("QFI\xfb", "is a qcow2 disk image, not a kernel"),
#undef MAGIC
};

const char *boot_identify(const uint8_t *head, size_t len)
{
	for (unsigned i = 0; i < ARRAY_SIZE(boot_magics); i++)
		if (len >= boot_magics[i].len &&
		    !memcmp(head, boot_magics[i].magic, boot_magics[i].len))
			return boot_magics[i].what;
	return NULL;
}

static int boot_load_kernel(struct boot *b, struct boot_entry *entry)
{
	uint8_t head[BOOT_HEAD_SIZE];
	size_t len = MIN(b->kernel.size, (uint64_t)sizeof(head));
	const char *what;

	if (boot_read(b, &b->kernel, 0, head, len) < 0)
		return -1;
	if (linux_is_bzimage(head, len))
		return linux_load(b, entry);
	if (len >= 4 && !memcmp(head, "\177ELF", 4))
		return elf_load(b, entry);
	what = boot_identify(head, len);
	return boot_fail(b, &b->kernel, "%s",
			 what ? what : "is neither a Linux bzImage nor an ELF kernel");
}

int boot_load(struct boot *b, const struct gmem *m, const struct boot_want *w, gpa_t rsdp,
	      struct boot_entry *entry)
{
	int err;

	*b = (struct boot){ .mem = m, .want = w, .kernel.fd = -1, .info.rsdp = rsdp };
	err = boot_open(b, &b->kernel, w->kernel);
	if (!err)
		err = boot_load_kernel(b, entry);
	if (!err && boot_tables_write(m) < 0)
		err = boot_fail(b, &b->kernel, "the guest has no RAM for page tables");
	boot_close(&b->kernel);
	return err;
}

/* Flat segments where the boot protocol wants them, and a TSS nobody uses. */
static const uint64_t boot_gdt[] = {
	[BOOT_SEL_CS / 8] = UINT64_C(0x00af9b000000ffff),
	[BOOT_SEL_DS / 8] = UINT64_C(0x00cf93000000ffff),
	[BOOT_SEL_TR / 8] = UINT64_C(0x00008b0000000067),
	[BOOT_SEL_CS32 / 8] = UINT64_C(0x00cf9b000000ffff),
};

int boot_tables_write(const struct gmem *m)
{
	enum { PRESENT_RW = 3, LARGE = 0x80, ENTRIES = 512, DIRS = 4 };
	uint64_t *t = gm_span(m, BOOT_PAGE_TABLES, (2 + DIRS) * BOOT_PAGE);

	if (!t || gm_write(m, BOOT_GDT, boot_gdt, sizeof(boot_gdt)) < 0)
		return -EFAULT;
	t[0] = (BOOT_PAGE_TABLES + BOOT_PAGE) | PRESENT_RW;
	for (unsigned i = 0; i < DIRS; i++)
		t[ENTRIES + i] = (BOOT_PAGE_TABLES + (2 + i) * BOOT_PAGE) | PRESENT_RW;
	for (unsigned i = 0; i < DIRS * ENTRIES; i++)
		t[2 * ENTRIES + i] = ((uint64_t)i << 21) | LARGE | PRESENT_RW;
	return 0;
}

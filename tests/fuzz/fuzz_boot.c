/* SPDX-License-Identifier: MIT */
/*
 * fuzz_boot.c: kernel files: the input is one, or says which bytes of a good bzImage or ELF
 * kernel are others, or is what a bzImage has to unpack; with an initrd and a command line of any
 * length, in little RAM or more.
 *
 * What is accepted lies in RAM, one thing beside the other; what is refused has a reason.
 */
#include "tests/fuzz/fuzz.h"
#include "vmm/boot.h"
#include "vmm/layout.h"

#include <asm/bootparam.h>
#include <elf.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#define RAM_MAX   (UINT64_C(64) << 20)
#define GUARD     65536
#define CANARY    4096 /* bytes behind RAM, for what the host's kernel writes there */
#define KERNEL    8192 /* bytes of a file made here */
#define LOAD_AT   UINT64_C(0x1000000)
#define NOTE_AT   512
#define HEADER_AT 0x1f1

const char fuzz_name[] = "boot";

static uint8_t *ram; /* RAM_MAX bytes, and pages that fault on either side */
static int kernel_fd, initrd_fd;

static void boot_once(void)
{
	if (ram)
		return;
	ram = mmap(NULL, RAM_MAX + 2 * GUARD, PROT_NONE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	BUG_ON(ram == MAP_FAILED);
	ram += GUARD;
	BUG_ON(mprotect(ram, RAM_MAX + CANARY, PROT_READ | PROT_WRITE) < 0);
	kernel_fd = memfd_create("kernel", MFD_CLOEXEC);
	initrd_fd = memfd_create("initrd", MFD_CLOEXEC);
	BUG_ON(kernel_fd < 0 || initrd_fd < 0);
}

/* Instead of libc's: the same input moves a kernel to the same address each time. */
ssize_t getrandom(void *buf, size_t len, unsigned flags)
{
	(void)flags;
	memset(buf, 5, len);
	return (ssize_t)len;
}

/* --- files ------------------------------------------------------------------------------ */

static size_t make_bzimage(uint8_t *k)
{
	struct setup_header h = {
		.setup_sects = 1,
		.syssize = (KERNEL - 1024) / 16,
		.boot_flag = 0xaa55,
		.jump = 0x66eb,
		.header = 0x53726448,
		.version = 0x20f,
		.loadflags = LOADED_HIGH,
		.xloadflags = XLF_KERNEL_64,
		.initrd_addr_max = 0x7fffffff,
		.cmdline_size = 2047,
		.kernel_alignment = 2 << 20,
		.pref_address = RAM_1M,
		.init_size = 0x200000,
	};

	memcpy(k + HEADER_AT, &h, sizeof(h));
	return KERNEL;
}

/* A bzImage with the rest of the input as its payload. */
static size_t make_packed(struct fuzz_in *in, uint8_t *k)
{
	struct setup_header *h = (struct setup_header *)(k + HEADER_AT);

	make_bzimage(k);
	h->payload_length = (uint32_t)MIN(in->left, (size_t)(KERNEL - 1024));
	fuzz_bytes(in, k + 1024, h->payload_length);
	return KERNEL;
}

static size_t make_elf(uint8_t *k)
{
	struct {
		Elf64_Ehdr h;
		Elf64_Phdr load, note;
	} e = {
		.h = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
				    EV_CURRENT },
		       .e_type = ET_EXEC,
		       .e_machine = EM_X86_64,
		       .e_version = EV_CURRENT,
		       .e_entry = RAM_1M,
		       .e_phoff = sizeof(Elf64_Ehdr),
		       .e_ehsize = sizeof(Elf64_Ehdr),
		       .e_phentsize = sizeof(Elf64_Phdr),
		       .e_phnum = 2 },
		.load = { .p_type = PT_LOAD,
			  .p_offset = 1024,
			  .p_paddr = RAM_1M,
			  .p_filesz = 1024,
			  .p_memsz = 0x100000 },
		.note = { .p_type = PT_NOTE, .p_offset = NOTE_AT, .p_filesz = 20, .p_align = 4 },
	};
	static const uint32_t note[] = { 4, 4, 18, 0x006e6558 /* "Xen" */, RAM_1M + 64 };

	memset(k + 1024, 0x90, 3072);
	memcpy(k, &e, sizeof(e));
	memcpy(k + NOTE_AT, note, sizeof(note));
	return 4096;
}

/* Other bytes at some places. */
static void patch(struct fuzz_in *in, uint8_t *k, size_t len, uint64_t memory)
{
	while (in->left) {
		size_t at = fuzz_u8(in), n = 1 + fuzz_below(in, 9);
		uint64_t end;

		/* Both headers begin with what matters least. */
		at = at & 128 ? (at & 127) + 0x1f0 : at;
		if (n > 8) { /* an address near the end of RAM */
			end = memory - fuzz_u16(in);
			memcpy(k + (at & ~(size_t)7), &end, sizeof(end));
		} else if (at + n <= len) {
			fuzz_bytes(in, k + at, n);
		}
	}
}

static size_t make_kernel(struct fuzz_in *in, unsigned kind, uint8_t *k, uint64_t memory)
{
	size_t len;

	memset(k, 0, KERNEL);
	switch (kind) {
	case 1:
		len = make_bzimage(k);
		break;
	case 2:
		len = make_elf(k);
		break;
	case 3:
		return make_packed(in, k);
	default:
		len = MIN(in->left, (size_t)KERNEL);
		fuzz_bytes(in, k, len);
		return len;
	}
	patch(in, k, len, memory);
	return len;
}

static void put_file(int fd, const uint8_t *data, size_t len)
{
	BUG_ON(ftruncate(fd, (off_t)len) < 0);
	BUG_ON(data && pwrite(fd, data, len, 0) != (ssize_t)len);
}

/* --- what must hold ----------------------------------------------------------------------- */

static void check_canary(void)
{
	for (unsigned i = 0; i < CANARY; i++)
		FUZZ_CHECK(!ram[RAM_MAX + i], "RAM's end was written over");
}

static void check_loaded(const struct boot *b, const struct gmem *m, const struct boot_entry *e)
{
	uint64_t low = m->r[0].size;

	FUZZ_CHECK(e->ip >= RAM_1M && e->ip < b->kernel_end, "entry outside of the kernel");
	FUZZ_CHECK(b->kernel_end <= low, "the kernel is larger than RAM");
	FUZZ_CHECK(gm_span(m, e->arg, 1), "boot parameters outside of RAM");
	if (!b->info.initrd_size)
		return;
	FUZZ_CHECK(b->info.initrd >= b->kernel_end && b->info.initrd_size <= low - b->info.initrd,
		   "the initrd is on the kernel, or outside of RAM");
	FUZZ_CHECK(b->info.initrd + b->info.initrd_size - 1 <= b->initrd_max,
		   "the initrd is where the kernel cannot reach it");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t sizes[] = { 16 << 20, 64 << 20, (16 << 20) + 4096, 3 << 20 };
	static uint8_t k[KERNEL];
	static char cmdline[4096];
	struct fuzz_in in = { data, size };
	uint8_t how = fuzz_u8(&in);
	size_t n_cmdline = how & 16 ? fuzz_u16(&in) % sizeof(cmdline) : 4;
	size_t n_initrd = how & 32 ? fuzz_u16(&in) * 128u : 4096, len;
	struct gmem m = { .n = 1, .size = sizes[how >> 6] };
	struct boot_entry entry;
	char kernel[32], initrd[32];
	struct boot_want want = { .kernel = kernel,
				  .initrd = how & 4 ? NULL : initrd,
				  .cmdline = how & 8 ? NULL : cmdline };
	struct boot b;

	boot_once();
	/* RAM ends where the pages begin that fault. */
	m.r[0] = (struct gmem_region){ .size = m.size, .hva = ram + RAM_MAX - m.size };
	memset(cmdline, 'c', n_cmdline);
	cmdline[n_cmdline] = '\0';
	len = make_kernel(&in, how & 3, k, m.size);
	put_file(kernel_fd, k, len);
	put_file(initrd_fd, NULL, n_initrd);
	snprintf(kernel, sizeof(kernel), "/proc/self/fd/%d", kernel_fd);
	snprintf(initrd, sizeof(initrd), "/proc/self/fd/%d", initrd_fd);
	if (!boot_load(&b, &m, &want, ACPI_BASE, &entry))
		check_loaded(&b, &m, &entry);
	else
		FUZZ_CHECK(b.why[0] && memchr(b.why, '\0', sizeof(b.why)), "no reason is given");
	check_canary();
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* test_boot.c: both kernel loaders on crafted files: what is loaded, what is refused. */
#include "tests/check_main.h"
#include "vmm/boot.h"
#include "vmm/layout.h"

#include <asm/bootparam.h>
#include <elf.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RAM        (UINT64_C(64) << 20)
#define BZ_SETUP   (5 * 512)
#define BZ_PAYLOAD 8192
#define BZ_PREF    UINT64_C(0x1000000)
#define BZ_INIT    UINT32_C(0x200000)
#define ELF_CODE   UINT64_C(0x1000000)
#define ELF_ENTRY  UINT32_C(0x1000040)
#define ELF_FILESZ 1024
#define ELF_MEMSZ  UINT64_C(0x100000)
#define NOTE_AT    512
#define CODE_AT    4096
#define RSDP       UINT64_C(0xe0000)

static struct gmem mem;
static struct boot b;
static struct boot_want want;
static struct boot_entry entry;
static char dir[] = "/tmp/duet-test-boot-XXXXXX", kernel[64], initrd[64];

static struct bz {
	uint8_t bytes[BZ_SETUP + BZ_PAYLOAD];
} bz;

static struct elf {
	Elf64_Ehdr h;
	Elf64_Phdr code, note;
	uint8_t pad[NOTE_AT - sizeof(Elf64_Ehdr) - 2 * sizeof(Elf64_Phdr)];
	struct {
		Elf64_Nhdr h;
		char name[4];
		uint32_t entry;
	} pvh;
	uint8_t pad2[CODE_AT - NOTE_AT - 20];
	uint8_t text[ELF_FILESZ];
} elf;

/* --- files ---------------------------------------------------------------------------- */

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(kernel, sizeof(kernel), "%s/kernel", dir);
	snprintf(initrd, sizeof(initrd), "%s/initrd", dir);
	ck_assert_int_eq(gm_init(&mem, RAM), 0);
}

static void teardown(void)
{
	unlink(kernel);
	rmdir(kernel);
	unlink(initrd);
	rmdir(dir);
	gm_destroy(&mem);
}

static void put(const char *path, const void *data, size_t len)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(data, 1, len, f), len);
	fclose(f);
}

static int load(const char *with_initrd, const char *cmdline)
{
	want.kernel = kernel;
	want.initrd = with_initrd;
	want.cmdline = cmdline;
	return boot_load(&b, &mem, &want, RSDP, &entry);
}

static struct setup_header *bz_header(void)
{
	return (struct setup_header *)(bz.bytes + 0x1f1);
}

/* A minimal bzImage whose payload is a known pattern. */
static void bz_make(void)
{
	struct setup_header *h = bz_header();

	memset(&bz, 0, sizeof(bz));
	h->setup_sects = 4;
	h->syssize = BZ_PAYLOAD / 16;
	h->boot_flag = 0xaa55;
	h->jump = 0x66eb;
	memcpy(&h->header, "HdrS", 4);
	h->version = 0x20f;
	h->loadflags = LOADED_HIGH;
	h->xloadflags = XLF_KERNEL_64;
	h->initrd_addr_max = 0x7fffffff;
	h->cmdline_size = 2047;
	h->pref_address = BZ_PREF;
	h->init_size = BZ_INIT;
	for (unsigned i = 0; i < BZ_PAYLOAD; i++)
		bz.bytes[BZ_SETUP + i] = (uint8_t)(i * 7 + 1);
}

static void elf_make(void)
{
	memset(&elf, 0, sizeof(elf));
	memcpy(elf.h.e_ident, ELFMAG, SELFMAG);
	elf.h.e_ident[EI_CLASS] = ELFCLASS64;
	elf.h.e_ident[EI_DATA] = ELFDATA2LSB;
	elf.h.e_ident[EI_VERSION] = EV_CURRENT;
	elf.h.e_type = ET_EXEC;
	elf.h.e_machine = EM_X86_64;
	elf.h.e_version = EV_CURRENT;
	elf.h.e_phoff = offsetof(struct elf, code);
	elf.h.e_ehsize = sizeof(Elf64_Ehdr);
	elf.h.e_phentsize = sizeof(Elf64_Phdr);
	elf.h.e_phnum = 2;
	elf.code = (Elf64_Phdr){ .p_type = PT_LOAD,
				 .p_offset = CODE_AT,
				 .p_vaddr = UINT64_C(0xffffffff81000000),
				 .p_paddr = ELF_CODE,
				 .p_filesz = ELF_FILESZ,
				 .p_memsz = ELF_MEMSZ,
				 .p_align = 4096 };
	elf.note = (Elf64_Phdr){
		.p_type = PT_NOTE, .p_offset = NOTE_AT, .p_filesz = 20, .p_memsz = 20, .p_align = 4
	};
	elf.pvh.h = (Elf64_Nhdr){ .n_namesz = 4, .n_descsz = 4, .n_type = 18 };
	memcpy(elf.pvh.name, "Xen", 4);
	elf.pvh.entry = ELF_ENTRY;
	memset(elf.text, 0x90, sizeof(elf.text));
}

/* --- what is loaded ------------------------------------------------------------------- */

START_TEST(bzimage_goes_to_its_preferred_address)
{
	setup();
	bz_make();
	put(kernel, &bz, sizeof(bz));
	ck_assert_msg(!load(NULL, "console=ttyS0"), "%s", b.why);
	ck_assert_int_eq(entry.mode, BOOT_LONG64);
	ck_assert_uint_eq(entry.ip, BZ_PREF + 0x200);
	ck_assert_uint_eq(entry.arg, BOOT_PARAMS);
	ck_assert_mem_eq(gm_span(&mem, BZ_PREF, BZ_PAYLOAD), bz.bytes + BZ_SETUP, BZ_PAYLOAD);
	ck_assert_str_eq(gm_span(&mem, BOOT_CMDLINE, 14), "console=ttyS0");
	ck_assert_uint_eq(b.info.rsdp, RSDP);
	teardown();
}
END_TEST

START_TEST(no_setup_sectors_means_four)
{
	setup();
	bz_make();
	bz_header()->setup_sects = 0;
	put(kernel, &bz, sizeof(bz));
	ck_assert_msg(!load(NULL, NULL), "%s", b.why);
	ck_assert_mem_eq(gm_span(&mem, BZ_PREF, BZ_PAYLOAD), bz.bytes + BZ_SETUP, BZ_PAYLOAD);
	ck_assert_str_eq(gm_span(&mem, BOOT_CMDLINE, 1), "");
	teardown();
}
END_TEST

START_TEST(pvh_kernel_goes_to_its_physical_address)
{
	setup();
	elf_make();
	put(kernel, &elf, sizeof(elf));
	ck_assert_msg(!load(NULL, "quiet"), "%s", b.why);
	ck_assert_int_eq(entry.mode, BOOT_FLAT32);
	ck_assert_uint_eq(entry.ip, ELF_ENTRY);
	ck_assert_uint_eq(entry.arg, BOOT_PARAMS);
	ck_assert_mem_eq(gm_span(&mem, ELF_CODE, ELF_FILESZ), elf.text, ELF_FILESZ);
	ck_assert_uint_eq(*(uint8_t *)gm_span(&mem, ELF_CODE + ELF_FILESZ, 1), 0);
	ck_assert_str_eq(gm_span(&mem, BOOT_CMDLINE, 6), "quiet");
	teardown();
}
END_TEST

START_TEST(initrd_goes_as_high_as_fits)
{
	uint8_t data[5000];

	setup();
	memset(data, 0x5a, sizeof(data));
	put(initrd, data, sizeof(data));
	if (_i) {
		bz_make();
		put(kernel, &bz, sizeof(bz));
	} else {
		elf_make();
		put(kernel, &elf, sizeof(elf));
	}
	ck_assert_msg(!load(initrd, NULL), "%s", b.why);
	ck_assert_uint_eq(b.info.initrd_size, sizeof(data));
	ck_assert_uint_eq(b.info.initrd, RAM - 8192);
	ck_assert_mem_eq(gm_span(&mem, b.info.initrd, sizeof(data)), data, sizeof(data));
	teardown();
}
END_TEST

START_TEST(initrd_stays_below_the_kernels_limit)
{
	setup();
	bz_make();
	bz_header()->initrd_addr_max = 0x1ffffff;
	put(kernel, &bz, sizeof(bz));
	put(initrd, "x", 1);
	ck_assert_msg(!load(initrd, NULL), "%s", b.why);
	ck_assert_uint_eq(b.info.initrd, 0x1fff000);
	teardown();
}
END_TEST

START_TEST(initrd_fills_the_last_free_page_but_not_one_more)
{
	uint64_t room = RAM - BZ_PREF - BZ_INIT;

	setup();
	bz_make();
	put(kernel, &bz, sizeof(bz));
	put(initrd, "x", 1);
	ck_assert_int_eq(truncate(initrd, (off_t)room), 0);
	ck_assert_msg(!load(initrd, NULL), "%s", b.why);
	ck_assert_uint_eq(b.info.initrd, BZ_PREF + BZ_INIT);
	ck_assert_int_eq(truncate(initrd, (off_t)room + 1), 0);
	ck_assert_int_eq(load(initrd, NULL), -1);
	teardown();
}
END_TEST

START_TEST(tables_map_the_low_4_gib)
{
	const uint64_t *t;

	setup();
	ck_assert_int_eq(boot_tables_write(&mem), 0);
	t = gm_span(&mem, BOOT_PAGE_TABLES, 6 * 4096);
	ck_assert_uint_eq(t[0], (BOOT_PAGE_TABLES + 4096) | 3);
	ck_assert_uint_eq(t[512 + 3], (BOOT_PAGE_TABLES + 5 * 4096) | 3);
	ck_assert_uint_eq(t[1024], 0x83);
	ck_assert_uint_eq(t[1024 + 2047], UINT64_C(0xffe00083));
	teardown();
}
END_TEST

/* --- what is refused ------------------------------------------------------------------ */

#define SPOIL(name, change)                                                                        \
	static void name(void)                                                                     \
	{                                                                                          \
		change;                                                                            \
	}

/* clang-format off */
SPOIL(bz_old, bz_header()->version = 0x20b)
SPOIL(bz_low, bz_header()->loadflags = 0)
SPOIL(bz_32bit, bz_header()->xloadflags = 0)
SPOIL(bz_empty, bz_header()->syssize = 0)
SPOIL(bz_short, bz_header()->syssize += 1)
SPOIL(bz_sectors, bz_header()->setup_sects = 255)
SPOIL(bz_huge, bz_header()->syssize = UINT32_MAX)
SPOIL(bz_unaligned, bz_header()->pref_address++)
SPOIL(bz_below_1m, bz_header()->pref_address = 0x90000)
SPOIL(bz_above_3g, bz_header()->pref_address = RAM_LOW_MAX)
SPOIL(bz_wraps, bz_header()->pref_address = UINT64_MAX - 0xfff)
SPOIL(bz_too_big_for_ram, bz_header()->init_size = 100 << 20)
/* clang-format on */

static const struct {
	void (*spoil)(void);
	const char *says;
} bz_bad[] = {
	{ bz_old, "2.11" },         { bz_low, "zImage" },
	{ bz_32bit, "32-bit" },     { bz_empty, "truncated" },
	{ bz_short, "truncated" },  { bz_sectors, "truncated" },
	{ bz_huge, "damaged" },     { bz_unaligned, "damaged" },
	{ bz_below_1m, "0x90000" }, { bz_above_3g, "0xc0000000" },
	{ bz_wraps, "outside" },    { bz_too_big_for_ram, "116 MiB" },
};

static void refused(const char *says)
{
	ck_assert_int_eq(load(NULL, NULL), -1);
	ck_assert_msg(strstr(b.why, says) && strstr(b.why, kernel), "no '%s' in '%s'", says, b.why);
}

START_TEST(bad_bzimage_is_refused)
{
	setup();
	bz_make();
	bz_bad[_i].spoil();
	put(kernel, &bz, sizeof(bz));
	refused(bz_bad[_i].says);
	teardown();
}
END_TEST

/* clang-format off */
SPOIL(elf_class32, elf.h.e_ident[EI_CLASS] = ELFCLASS32)
SPOIL(elf_arm, elf.h.e_machine = EM_AARCH64)
SPOIL(elf_object, elf.h.e_type = ET_REL)
SPOIL(elf_no_note, elf.note.p_type = PT_NULL)
SPOIL(elf_other_note, elf.pvh.h.n_type = 17)
SPOIL(elf_other_name, memcpy(elf.pvh.name, "GNU", 4))
SPOIL(elf_note_overruns, elf.pvh.h.n_descsz = 0x7ffffff0)
SPOIL(elf_note_short, elf.pvh.h.n_descsz = 2)
SPOIL(elf_note_beyond, elf.note.p_offset = 1 << 20)
SPOIL(elf_code_beyond, elf.code.p_offset = UINT64_MAX - 8)
SPOIL(elf_code_long, elf.code.p_filesz = ELF_FILESZ + 1)
SPOIL(elf_file_above_mem, elf.code.p_memsz = 16)
SPOIL(elf_at_0, elf.code.p_paddr = 0)
SPOIL(elf_at_3g, elf.code.p_paddr = RAM_LOW_MAX - 4096)
SPOIL(elf_wraps, elf.code.p_memsz = UINT64_MAX)
SPOIL(elf_above_ram, elf.code.p_memsz = UINT64_C(200) << 20)
SPOIL(elf_entry_outside, elf.pvh.entry = 0x1000)
SPOIL(elf_entry_behind, elf.pvh.entry = (uint32_t)(ELF_CODE + ELF_MEMSZ))
SPOIL(elf_no_segments, elf.h.e_phnum = 0)
SPOIL(elf_many_segments, elf.h.e_phnum = 5000)
/* clang-format on */

static const struct {
	void (*spoil)(void);
	const char *says;
} elf_bad[] = {
	{ elf_class32, "32-bit" },        { elf_arm, "another machine" },
	{ elf_object, "not a kernel" },   { elf_no_note, "PVH" },
	{ elf_other_note, "PVH" },        { elf_other_name, "PVH" },
	{ elf_note_overruns, "PVH" },     { elf_note_short, "PVH" },
	{ elf_note_beyond, "truncated" }, { elf_code_beyond, "truncated" },
	{ elf_code_long, "truncated" },   { elf_file_above_mem, "damaged" },
	{ elf_at_0, "outside" },          { elf_at_3g, "outside" },
	{ elf_wraps, "outside" },         { elf_above_ram, "216 MiB" },
	{ elf_entry_outside, "0x1000" },  { elf_entry_behind, "0x1100000" },
	{ elf_no_segments, "PVH" },       { elf_many_segments, "damaged" },
};

START_TEST(bad_elf_is_refused)
{
	setup();
	elf_make();
	elf_bad[_i].spoil();
	put(kernel, &elf, sizeof(elf));
	refused(elf_bad[_i].says);
	teardown();
}
END_TEST

/* Any prefix of a good file: an error, never more. */
START_TEST(cut_files_are_refused)
{
	size_t full = _i ? sizeof(bz) : sizeof(elf);

	setup();
	elf_make();
	bz_make();
	for (size_t len = 1; len < full; len = len < 700 ? len + 1 : len + 97) {
		put(kernel, _i ? (void *)&bz : (void *)&elf, len);
		ck_assert_msg(load(NULL, NULL) == -1, "%zu of %zu bytes", len, full);
		ck_assert_ptr_nonnull(strstr(b.why, kernel));
	}
	teardown();
}
END_TEST

#define MAGIC(m, says)                                                                             \
	{                                                                                          \
		m, sizeof(m) - 1, says                                                             \
	}

static const struct {
	const char *bytes;
	size_t len;
	const char *says;
} others[] = {
	MAGIC("\x1f\x8b\x08", "gzip"),
	MAGIC("\xfd\x37zXZ\0", "xz"),
	MAGIC("\x28\xb5\x2f\xfd", "zstd"),
	MAGIC("\x02\x21\x4c\x18", "lz4"),
	MAGIC("BZh9", "bzip2"),
	MAGIC("070701", "--initrd"),
	MAGIC("!<arch>\ndebian-binary", "dpkg -x"),
	MAGIC("#!/bin/sh\n", "script"),
	MAGIC("MZ\x90", "EFI"),
	MAGIC("hello", "neither"),
	MAGIC("\177ELF", "ELF"),
	MAGIC("\177", "neither"),
};

START_TEST(other_files_are_called_by_name)
{
	uint8_t data[8192] = { 0 };

	setup();
	memcpy(data, others[_i].bytes, others[_i].len);
	put(kernel, data, sizeof(data));
	refused(others[_i].says);
	put(kernel, data, others[_i].len);
	refused(others[_i].says);
	teardown();
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
	setup();
	refused("No such file");
	put(kernel, "", 0);
	refused("empty");
	unlink(kernel);
	ck_assert_int_eq(mkdir(kernel, 0700), 0);
	refused("directory");
	rmdir(kernel);
	ck_assert_int_eq(mkfifo(kernel, 0600), 0);
	refused("not a regular file");
	teardown();
}
END_TEST

START_TEST(initrd_larger_than_ram_gives_both_sizes)
{
	setup();
	bz_make();
	put(kernel, &bz, sizeof(bz));
	put(initrd, "x", 1);
	ck_assert_int_eq(truncate(initrd, 200 << 20), 0);
	ck_assert_int_eq(load(initrd, NULL), -1);
	ck_assert_ptr_nonnull(strstr(b.why, initrd));
	ck_assert_ptr_nonnull(strstr(b.why, "200 MiB"));
	ck_assert_ptr_nonnull(strstr(b.why, "64 MiB"));
	teardown();
}
END_TEST

START_TEST(initrd_that_is_no_file_is_refused)
{
	setup();
	bz_make();
	put(kernel, &bz, sizeof(bz));
	ck_assert_int_eq(load(initrd, NULL), -1);
	ck_assert_ptr_nonnull(strstr(b.why, "No such file"));
	put(initrd, "", 0);
	ck_assert_int_eq(load(initrd, NULL), -1);
	ck_assert_ptr_nonnull(strstr(b.why, "empty"));
	ck_assert_int_eq(load(dir, NULL), -1);
	ck_assert_ptr_nonnull(strstr(b.why, "directory"));
	teardown();
}
END_TEST

START_TEST(command_line_has_a_limit)
{
	static char line[2049];

	setup();
	bz_make();
	put(kernel, &bz, sizeof(bz));
	memset(line, 'x', 2047);
	ck_assert_msg(!load(NULL, line), "%s", b.why);
	line[2047] = 'x';
	ck_assert_int_eq(load(NULL, line), -1);
	ck_assert_ptr_nonnull(strstr(b.why, "--append"));
	ck_assert_ptr_nonnull(strstr(b.why, "2047"));
	teardown();
}
END_TEST

START_TEST(long_file_name_does_not_overrun_the_message)
{
	static char path[4000];

	setup();
	memset(path, 'y', sizeof(path) - 1);
	want.kernel = path;
	ck_assert_int_eq(boot_load(&b, &mem, &want, RSDP, &entry), -1);
	ck_assert_uint_lt(strlen(b.why), sizeof(b.why));
	teardown();
}
END_TEST

static const struct test_entry tests[] = {
	T(bzimage_goes_to_its_preferred_address),
	T(no_setup_sectors_means_four),
	T(pvh_kernel_goes_to_its_physical_address),
	TLOOP(initrd_goes_as_high_as_fits, 0, 2),
	T(initrd_stays_below_the_kernels_limit),
	T(initrd_fills_the_last_free_page_but_not_one_more),
	T(tables_map_the_low_4_gib),
	TLOOP(bad_bzimage_is_refused, 0, ARRAY_SIZE(bz_bad)),
	TLOOP(bad_elf_is_refused, 0, ARRAY_SIZE(elf_bad)),
	TLOOP(cut_files_are_refused, 0, 2),
	TLOOP(other_files_are_called_by_name, 0, ARRAY_SIZE(others)),
	T(what_is_no_file_is_refused),
	T(initrd_larger_than_ram_gives_both_sizes),
	T(initrd_that_is_no_file_is_refused),
	T(command_line_has_a_limit),
	T(long_file_name_does_not_overrun_the_message),
};

CHECK_MAIN("boot", tests)

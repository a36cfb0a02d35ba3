/* SPDX-License-Identifier: MIT */
/*
 * test_boot_unpack.c: a bzImage whose kernel the host unpacks: each format, whatever is wrong with
 * it, that it is unpacked once, and the kernel's virtual address. What is kept: test_boot_cache.c.
 */
#include "firmware/firmware.h"
#include "tests/check_main.h"
#include "tests/rig/folder.h"
#include "vmm/boot.h"
#include "vmm/boot_unpack.h"
#include "vmm/layout.h"

#include <asm/bootparam.h>
#include <elf.h>
#include <fcntl.h>
#include <lz4.h>
#include <lzma.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define RAM       (UINT64_C(64) << 20)
#define SETUP     1024 /* bytes in front of the protected-mode code */
#define CODE      512  /* bytes of that in front of the payload */
#define LOAD_AT   UINT64_C(0x1000000)
#define MAP       UINT64_C(0xffffffff80000000)
#define MEMSZ     UINT64_C(0x100000)
#define TEXT      4096
#define RELOCS    12
#define FORMATS   4
#define SLOT      (UINT64_C(2) << 20)
#define PACKED_SZ 65536

static struct gmem mem;
static struct boot b;
static struct boot_want want;
static struct boot_entry entry;
static char dir[] = "/tmp/duet-test-unpack-XXXXXX", kernel[64], cache[64];

/* What is packed: an ELF kernel and where in it addresses are. */
static struct image {
	Elf64_Ehdr h;
	Elf64_Phdr load;
	uint8_t pad[512 - sizeof(Elf64_Ehdr) - sizeof(Elf64_Phdr)];
	union {
		uint8_t bytes[TEXT];
		struct {
			uint64_t wide;
			uint32_t narrow, inverse;
		};
	} text;
	Elf64_Shdr section;
	uint32_t reloc[RELOCS];
} image;
static size_t image_len;

static uint8_t file[SETUP + CODE + PACKED_SZ];
static size_t file_len;

static uint8_t *packed(void)
{
	return file + SETUP + CODE;
}

static struct setup_header *header(void)
{
	return (struct setup_header *)(file + 0x1f1);
}

/* `n` words of relocations behind the ELF file. */
static void make_image(const uint32_t *reloc, size_t n)
{
	memset(&image, 0, sizeof(image));
	image.h = (Elf64_Ehdr){ .e_type = ET_EXEC,
				.e_machine = EM_X86_64,
				.e_version = EV_CURRENT,
				.e_entry = LOAD_AT + 64,
				.e_phoff = offsetof(struct image, load),
				.e_shoff = offsetof(struct image, section),
				.e_ehsize = sizeof(Elf64_Ehdr),
				.e_phentsize = sizeof(Elf64_Phdr),
				.e_phnum = 1,
				.e_shentsize = sizeof(Elf64_Shdr),
				.e_shnum = 1 };
	memcpy(image.h.e_ident, ELFMAG, SELFMAG);
	image.h.e_ident[EI_CLASS] = ELFCLASS64;
	image.h.e_ident[EI_DATA] = ELFDATA2LSB;
	image.h.e_ident[EI_VERSION] = EV_CURRENT;
	image.load = (Elf64_Phdr){ .p_type = PT_LOAD,
				   .p_offset = offsetof(struct image, text),
				   .p_paddr = LOAD_AT,
				   .p_filesz = TEXT,
				   .p_memsz = MEMSZ };
	for (unsigned i = 0; i < TEXT; i++)
		image.text.bytes[i] = (uint8_t)(i * 7 + i / 200);
	image.text.wide = MAP + LOAD_AT + 512;
	image.text.narrow = (uint32_t)image.text.wide;
	image.text.inverse = (uint32_t)-image.text.narrow;
	memcpy(image.reloc, reloc, n * sizeof(*reloc));
	image_len = offsetof(struct image, reloc) + n * sizeof(*reloc);
}

/* --- packing: bytes of it, at `dst` ------------------------------------------------------------
 */

static size_t pack_gzip(uint8_t *dst)
{
	z_stream z = { .next_in = (Bytef *)&image, .avail_in = (uInt)image_len };

	ck_assert_int_eq(deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_out = dst;
	z.avail_out = PACKED_SZ;
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return z.total_out;
}

/* As Linux does, for x86 code. */
static size_t pack_xz(uint8_t *dst)
{
	lzma_options_lzma o;
	lzma_filter f[] = { { LZMA_FILTER_X86, NULL },
			    { LZMA_FILTER_LZMA2, &o },
			    { LZMA_VLI_UNKNOWN, NULL } };
	size_t n = 0;

	ck_assert(!lzma_lzma_preset(&o, 6));
	ck_assert_int_eq(lzma_stream_buffer_encode(f, LZMA_CHECK_CRC32, NULL, (uint8_t *)&image,
						   image_len, dst, &n, PACKED_SZ),
			 LZMA_OK);
	return n;
}

static size_t pack_lz4(uint8_t *dst)
{
	size_t n = 4, half = image_len / 2;

	memcpy(dst, "\x02\x21\x4c\x18", 4);
	for (size_t at = 0; at < image_len; at += half) { /* in blocks */
		size_t len = MIN(half, image_len - at);
		int32_t got = LZ4_compress_default((char *)&image + at, (char *)dst + n + 4,
						   (int)len, PACKED_SZ / 4);

		ck_assert_int_gt(got, 0);
		memcpy(dst + n, &got, sizeof(got));
		n += 4 + (size_t)got;
	}
	return n;
}

static size_t pack_zstd(uint8_t *dst)
{
	size_t n = ZSTD_compress(dst, PACKED_SZ, &image, image_len, 19);

	ck_assert(!ZSTD_isError(n));
	return n;
}

static const struct {
	const char *name;
	size_t (*pack)(uint8_t *dst);
} formats[FORMATS] = {
	{ "gzip", pack_gzip }, { "xz", pack_xz }, { "lz4", pack_lz4 }, { "zstd", pack_zstd }
};

static void put(void)
{
	FILE *f = fopen(kernel, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(file, 1, file_len, f), file_len);
	fclose(f);
}

/* A bzImage with `n` bytes of payload at packed(). */
static void make_file(size_t n)
{
	struct setup_header *h = header();

	*h = (struct setup_header){ .setup_sects = 1,
				    .syssize = (uint32_t)(CODE + n + 15) / 16,
				    .boot_flag = 0xaa55,
				    .jump = 0x66eb,
				    .version = 0x20f,
				    .loadflags = LOADED_HIGH,
				    .xloadflags = XLF_KERNEL_64,
				    .initrd_addr_max = 0x7fffffff,
				    .cmdline_size = 2047,
				    .kernel_alignment = SLOT,
				    .pref_address = LOAD_AT,
				    .init_size = 0x200000,
				    .payload_offset = CODE,
				    .payload_length = (uint32_t)n };
	memcpy(&h->header, "HdrS", 4);
	file_len = SETUP + (size_t)h->syssize * 16;
	put();
}

static size_t pack(int format)
{
	uint32_t size = (uint32_t)image_len;
	size_t n = formats[format].pack(packed());

	if (format) { /* gzip has it in its own trailer */
		memcpy(packed() + n, &size, sizeof(size));
		n += sizeof(size);
	}
	make_file(n);
	return n;
}

static const uint32_t relocs[] = { 0, 0x81000000, 0, 0x8100000c, 0, 0x81000008 };
static const uint32_t relocs_of_6_15[] = { 0, 0x81000000, 0, 0x81000008 };

static void setup(void)
{
	memset(file, 0, sizeof(file));
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(kernel, sizeof(kernel), "%s/kernel", dir);
	snprintf(cache, sizeof(cache), "%s/cache", dir);
	ck_assert_int_eq(gm_init(&mem, RAM), 0);
	want = (struct boot_want){ .kernel = kernel, .unpack = BOOT_UNPACK_HOST };
	make_image(relocs, ARRAY_SIZE(relocs));
}

static void teardown(void)
{
	char name[FOLDER_NAME];

	folder_files(cache, name, true);
	rmdir(cache);
	unlink(kernel);
	rmdir(dir);
	gm_destroy(&mem);
}

/* RAM anew, as a guest finds it. */
static int load(void)
{
	gm_destroy(&mem);
	ck_assert_int_eq(gm_init(&mem, RAM), 0);
	return boot_load(&b, &mem, &want, 0xe0000, &entry);
}

static void refused(const char *says)
{
	ck_assert_int_eq(load(), -1);
	ck_assert_msg(strstr(b.why, says) && strstr(b.why, kernel), "no '%s' in '%s'", says, b.why);
}

static void guest_unpacks(void)
{
	ck_assert_msg(!load(), "%s", b.why);
	ck_assert_ptr_null(b.format);
	ck_assert_uint_eq(entry.ip, LOAD_AT + 0x200);
	ck_assert_mem_eq(gm_span(&mem, LOAD_AT, CODE), file + SETUP, CODE);
}

/* --- what is unpacked ------------------------------------------------------------------------ */

START_TEST(kernel_is_unpacked_to_its_place)
{
	const struct boot_params *p;

	setup();
	pack(_i);
	want.cmdline = "nokaslr";
	ck_assert_msg(!load(), "%s", b.why);
	ck_assert_str_eq(b.format, formats[_i].name);
	ck_assert_int_eq(entry.mode, BOOT_LONG64);
	ck_assert_uint_eq(entry.ip, LOAD_AT + 64);
	ck_assert_uint_eq(entry.arg, BOOT_PARAMS);
	ck_assert_mem_eq(gm_span(&mem, LOAD_AT, TEXT), image.text.bytes, TEXT);
	ck_assert_uint_eq(b.kernel_end, LOAD_AT + MEMSZ);
	p = gm_span(&mem, BOOT_PARAMS, sizeof(*p));
	ck_assert_uint_eq(p->hdr.loadflags & KASLR_FLAG, 0);
	want.unpack = BOOT_UNPACK_GUEST;
	guest_unpacks();
	teardown();
}
END_TEST

START_TEST(every_cut_of_a_payload_is_refused)
{
	size_t full;

	setup();
	full = pack(_i);
	memcpy(packed() + PACKED_SZ / 2, packed(), full);
	for (size_t n = 16; n < full; n += 1 + n / 40) {
		uint32_t size = (uint32_t)image_len;

		memset(packed(), 0, full);
		memcpy(packed(), packed() + PACKED_SZ / 2, n);
		memcpy(packed() + n - 4, &size, sizeof(size));
		make_file(n);
		refused("damaged");
	}
	teardown();
}
END_TEST

START_TEST(other_bytes_in_a_payload_are_survived)
{
	size_t full;

	setup();
	full = pack(_i);
	want.unpack = BOOT_UNPACK_AUTO;
	for (size_t at = 0; at < full; at += 3) {
		packed()[at] ^= 0x55;
		put();
		if (load() < 0)
			ck_assert_ptr_nonnull(strstr(b.why, kernel));
		packed()[at] ^= 0x55;
	}
	teardown();
}
END_TEST

START_TEST(size_that_is_not_the_contents_is_refused)
{
	uint32_t size = (uint32_t)image_len;
	size_t n;

	setup();
	n = pack(_i);
	for (int wrong = -1; wrong <= 1; wrong += 2) {
		size = (uint32_t)image_len + (uint32_t)wrong;
		memcpy(packed() + n - 4, &size, sizeof(size));
		put();
		refused("damaged");
	}
	teardown();
}
END_TEST

/* --- what is left to the guest ------------------------------------------------------------------
 */

#define SPOIL(name, change)                                                                        \
	static void name(uint8_t *end)                                                             \
	{                                                                                          \
		(void)end;                                                                         \
		change;                                                                            \
	}

/* clang-format off */
SPOIL(payload_larger_than_ram, end[-1] = 4) /* 64 MiB and some bytes */
SPOIL(payload_of_lzo, memcpy(packed(), "\x89LZO", 4))
SPOIL(payload_of_nothing_known, memset(packed(), 'x', 8))
SPOIL(no_payload, header()->payload_length = 0)
SPOIL(payload_beyond_the_file, header()->payload_offset = UINT32_MAX)
SPOIL(payload_that_is_no_elf, memset(&image, 'x', 64); pack(0))
/* clang-format on */

static const struct {
	void (*spoil)(uint8_t *end);
	const char *says;
} passed_on[] = {
	{ payload_larger_than_ram, "guest's RAM" },     { payload_of_lzo, "lzo" },
	{ payload_of_nothing_known, "unknown format" }, { no_payload, "no payload" },
	{ payload_beyond_the_file, "no payload" },      { payload_that_is_no_elf, "no ELF" },
};

START_TEST(what_the_host_cannot_the_guest_does)
{
	setup();
	passed_on[_i].spoil(packed() + pack(0));
	put();
	want.unpack = BOOT_UNPACK_AUTO;
	guest_unpacks();
	want.unpack = BOOT_UNPACK_HOST;
	refused(passed_on[_i].says);
	teardown();
}
END_TEST

/* --- its virtual address ---------------------------------------------------------------------- */

START_TEST(kernel_is_moved_as_its_relocations_say)
{
	const struct boot_params *p;
	uint64_t moved;

	setup();
	if (_i)
		make_image(relocs_of_6_15, ARRAY_SIZE(relocs_of_6_15));
	pack(0);
	ck_assert_msg(!load(), "%s", b.why);
	ck_assert(b.moved);
	moved = *(uint64_t *)gm_span(&mem, LOAD_AT, 8) - image.text.wide;
	ck_assert_uint_eq(moved % SLOT, 0);
	ck_assert_uint_le(LOAD_AT + MEMSZ + moved, 1 << 30);
	ck_assert_uint_eq(*(uint32_t *)gm_span(&mem, LOAD_AT + 8, 4),
			  (uint32_t)(image.text.narrow + moved));
	ck_assert_uint_eq(*(uint32_t *)gm_span(&mem, LOAD_AT + 12, 4),
			  _i ? image.text.inverse : (uint32_t)(image.text.inverse - moved));
	ck_assert_mem_eq(gm_span(&mem, LOAD_AT + 16, 64), image.text.bytes + 16, 64);
	p = gm_span(&mem, BOOT_PARAMS, sizeof(*p));
	ck_assert_uint_eq(p->hdr.loadflags & KASLR_FLAG, KASLR_FLAG);
	teardown();
}
END_TEST

static const struct {
	const char *cmdline;
	bool moved;
} cmdlines[] = {
	{ "quiet nokaslr", false }, { "nokaslr", false },     { "xnokaslr nokaslr=1", true },
	{ "quiet", true },          { "a nokaslr b", false }, { "", true },
};

START_TEST(nokaslr_is_obeyed)
{
	setup();
	pack(0);
	want.cmdline = cmdlines[_i].cmdline;
	ck_assert_msg(!load(), "%s", b.why);
	ck_assert_int_eq(b.moved, cmdlines[_i].moved);
	teardown();
}
END_TEST

static const struct {
	uint32_t reloc[RELOCS];
	unsigned n;
	bool damaged;
} odd[] = {
	{ { 0 }, 0, false },                            /* none */
	{ { 0, 0x81000000 }, 2, false },                /* too few tables */
	{ { 0, 0, 0, 0, 0x81000000 }, 5, false },       /* too many */
	{ { 0x81000000, 0, 0, 0x81000000 }, 4, false }, /* no end */
	{ { 0, 0, 0, 0x80ffffff }, 4, true },           /* below the kernel */
	{ { 0, 0, 0, 0x810ffffd }, 4, true },           /* over its end */
	{ { 0, 0x810ffff9, 0, 0 }, 4, true },           /* the same for 8 bytes */
	{ { 0, 0, 0, 0x7fffffff }, 4, true },           /* not the kernel's half */
};

START_TEST(odd_relocations_are_left_alone_or_refused)
{
	setup();
	make_image(odd[_i].reloc, odd[_i].n);
	pack(0);
	if (odd[_i].damaged) {
		refused("relocation outside");
	} else {
		ck_assert_msg(!load(), "%s", b.why);
		ck_assert(!b.moved);
		ck_assert_mem_eq(gm_span(&mem, LOAD_AT, TEXT), image.text.bytes, TEXT);
	}
	teardown();
}
END_TEST

/* --- the cache
 * ------------------------------------------------------------------------------------ */

/* Load; was it there? It must be what it should be in any case. */
static bool cached(void)
{
	want.cache = cache;
	want.cmdline = "nokaslr";
	ck_assert_msg(!load(), "%s", b.why);
	ck_assert_mem_eq(gm_span(&mem, LOAD_AT, TEXT), image.text.bytes, TEXT);
	return b.from_cache;
}

START_TEST(kernel_is_unpacked_once)
{
	char name[FOLDER_NAME];

	setup();
	pack(1);
	ck_assert(!cached());
	ck_assert(cached());
	image.text.bytes[99] ^= 1; /* another kernel is another entry */
	pack(1);
	ck_assert(!cached());
	ck_assert(cached());
	ck_assert_uint_eq(folder_files(cache, name, false), 2);
	teardown();
}
END_TEST

START_TEST(damaged_entry_is_made_anew)
{
	char name[FOLDER_NAME];

	setup();
	pack(1);
	cached();
	folder_files(cache, name, false);
	ck_assert_int_eq(truncate(name, 700), 0);
	ck_assert(!cached());
	ck_assert(cached());
	ck_assert_uint_eq(folder_files(cache, name, false), 1);
	teardown();
}
END_TEST

START_TEST(without_a_cache_all_works)
{
	setup();
	pack(0);
	snprintf(cache, sizeof(cache), "%s/not/there", dir);
	ck_assert(!cached() && !cached());
	snprintf(cache, sizeof(cache), "%s/cache", dir);
	teardown();
}
END_TEST

static const struct test_entry tests[] = {
	TLOOP(kernel_is_unpacked_to_its_place, 0, FORMATS),
	TLOOP(every_cut_of_a_payload_is_refused, 0, FORMATS),
	TLOOP(other_bytes_in_a_payload_are_survived, 0, FORMATS),
	TLOOP(size_that_is_not_the_contents_is_refused, 0, FORMATS),
	TLOOP(what_the_host_cannot_the_guest_does, 0, ARRAY_SIZE(passed_on)),
	TLOOP(kernel_is_moved_as_its_relocations_say, 0, 2),
	TLOOP(nokaslr_is_obeyed, 0, ARRAY_SIZE(cmdlines)),
	TLOOP(odd_relocations_are_left_alone_or_refused, 0, ARRAY_SIZE(odd)),
	T(kernel_is_unpacked_once),
	T(damaged_entry_is_made_anew),
	T(without_a_cache_all_works),
};

CHECK_MAIN("boot_unpack", tests)

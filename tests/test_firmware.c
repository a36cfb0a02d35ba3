/* SPDX-License-Identifier: MIT */
/*
 * test_firmware.c: walk the tables as a guest does, from what it is told to look at, and
 * hold them against vmm/layout.h.
 */
#include "firmware/firmware.h"
#include "tests/check_main.h"
#include "vmm/layout.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static struct gmem mem;

static uint32_t rd(gpa_t at, unsigned size)
{
	uint32_t v = 0;

	ck_assert_int_eq(gm_read(&mem, at, &v, size), 0);
	return v;
}

static uint64_t rd64(gpa_t at)
{
	uint64_t v;

	ck_assert_int_eq(gm_read(&mem, at, &v, sizeof(v)), 0);
	return v;
}

static uint8_t sum(gpa_t at, unsigned len)
{
	const uint8_t *p = gm_span(&mem, at, len);
	uint8_t s = 0;

	ck_assert_ptr_nonnull(p);
	while (len--)
		s += *p++;
	return s;
}

static bool signed_as(gpa_t at, const char *signature)
{
	return !memcmp(gm_span(&mem, at, strlen(signature)), signature, strlen(signature));
}

/* A table with the common header: right name, inside the area, sums up to 0. */
static void check_table(gpa_t at, const char *signature)
{
	uint32_t len = rd(at + 4, 4);

	ck_assert(signed_as(at, signature));
	ck_assert_uint_ge(at, ACPI_BASE);
	ck_assert_uint_ge(len, 36);
	ck_assert_uint_le(at + len, ACPI_BASE + ACPI_SIZE);
	ck_assert_uint_eq(sum(at, len), 0);
}

/* RSDP by scanning, then the XSDT's entry with this signature. */
static gpa_t find_table(const char *signature)
{
	gpa_t rsdp = 0xe0000, xsdt;

	while (rsdp < RAM_1M && !signed_as(rsdp, "RSD PTR "))
		rsdp += 16;
	ck_assert_uint_lt(rsdp, RAM_1M);
	ck_assert_uint_eq(sum(rsdp, 20), 0);
	ck_assert_uint_eq(rd(rsdp + 15, 1), 2);
	ck_assert_uint_eq(sum(rsdp, rd(rsdp + 20, 4)), 0);
	xsdt = rd64(rsdp + 24);
	check_table(xsdt, "XSDT");
	for (gpa_t e = xsdt + 36; e < xsdt + rd(xsdt + 4, 4); e += 8)
		if (signed_as(rd64(e), signature))
			return rd64(e);
	return 0;
}

static void acpi_fresh(unsigned cpus)
{
	ck_assert_int_eq(gm_init(&mem, 64 * MIB), 0);
	ck_assert_uint_eq(acpi_write(&mem, cpus), ACPI_BASE);
}

START_TEST(tables_are_found_from_a_scan_and_sum_up)
{
	gpa_t fadt, facs, dsdt;

	acpi_fresh(4);
	fadt = find_table("FACP");
	check_table(fadt, "FACP");
	check_table(find_table("APIC"), "APIC");
	facs = rd(fadt + 36, 4);
	dsdt = rd(fadt + 40, 4);
	check_table(dsdt, "DSDT");
	ck_assert_uint_eq(rd64(fadt + 140), dsdt);
	ck_assert(signed_as(facs, "FACS"));
	ck_assert_uint_eq(rd(facs + 4, 4), 64);
	ck_assert_uint_eq(facs % 64, 0);
	ck_assert_uint_eq(find_table("MCFG"), 0); /* nothing else is promised */
	gm_destroy(&mem);
}
END_TEST

START_TEST(fadt_names_the_fixed_hardware)
{
	gpa_t f;

	acpi_fresh(1);
	f = find_table("FACP");
	ck_assert_uint_eq(rd(f + 46, 2), GSI_SCI);
	ck_assert_uint_eq(rd(f + 48, 4), 0); /* no SMI: ACPI mode is always on */
	ck_assert_uint_eq(rd(f + 56, 4), PORT_ACPI_PM + ACPI_PM1_EVT);
	ck_assert_uint_eq(rd(f + 64, 4), PORT_ACPI_PM + ACPI_PM1_CNT);
	ck_assert_uint_eq(rd(f + 76, 4), PORT_ACPI_PM + ACPI_PM_TMR);
	ck_assert_uint_eq(rd(f + 88, 4), 0x04000204); /* lengths: EVT, CNT, CNT2, TMR */
	ck_assert_uint_eq(rd(f + 108, 1), RTC_CENTURY);
	ck_assert_uint_eq(rd(f + 109, 2), 1 << 2); /* no 8042, no VGA, MSI is fine */
	ck_assert_uint_eq(rd(f + 112, 4) & (1 << 10), 1 << 10);
	ck_assert_uint_eq(rd(f + 116, 4), 0x01000801); /* reset register: a byte of I/O */
	ck_assert_uint_eq(rd64(f + 120), PORT_RESET);
	ck_assert_uint_eq(rd(f + 128, 1), RESET_VALUE);
	ck_assert_uint_eq(rd64(f + 148 + 4), PORT_ACPI_PM + ACPI_PM1_EVT);
	ck_assert_uint_eq(rd64(f + 172 + 4), PORT_ACPI_PM + ACPI_PM1_CNT);
	ck_assert_uint_eq(rd64(f + 208 + 4), PORT_ACPI_PM + ACPI_PM_TMR);
	gm_destroy(&mem);
}
END_TEST

/* _i CPUs */
START_TEST(madt_lists_every_cpu_and_one_ioapic)
{
	unsigned cpus = (unsigned)_i, seen = 0, ioapics = 0, sci = 0, nmi = 0;
	gpa_t t, e;

	acpi_fresh(cpus);
	t = find_table("APIC");
	ck_assert_uint_eq(rd(t + 36, 4), LAPIC_BASE);
	for (e = t + 44; e < t + rd(t + 4, 4); e += rd(e + 1, 1)) {
		switch (rd(e, 1)) {
		case 0: /* local APIC */
			ck_assert_uint_eq(rd(e + 3, 1), seen++);
			ck_assert_uint_eq(rd(e + 4, 4), 1);
			break;
		case 1: /* IOAPIC */
			ioapics++;
			ck_assert_uint_ge(rd(e + 2, 1), cpus); /* no CPU's id */
			ck_assert_uint_eq(rd(e + 4, 4), IOAPIC_BASE);
			ck_assert_uint_eq(rd(e + 8, 4), 0);
			break;
		case 2: /* interrupt source override */
			sci++;
			ck_assert_uint_eq(rd(e + 3, 1), GSI_SCI);
			ck_assert_uint_eq(rd(e + 4, 4), GSI_SCI);
			ck_assert_uint_eq(rd(e + 8, 2), 0xd); /* level, active high */
			break;
		case 4: /* local APIC NMI */
			nmi++;
			ck_assert_uint_eq(rd(e + 2, 1), 0xff);
			ck_assert_uint_eq(rd(e + 5, 1), 1);
			break;
		default:
			ck_abort_msg("entry of type %u", rd(e, 1));
		}
	}
	ck_assert_uint_eq(e, t + rd(t + 4, 4));
	ck_assert_uint_eq(seen, cpus);
	ck_assert_uint_eq(ioapics + sci + nmi, 3);
	gm_destroy(&mem);
}
END_TEST

START_TEST(acpi_does_not_fit_a_machine_below_1_mib)
{
	ck_assert_int_eq(gm_init(&mem, 512 << 10), 0);
	ck_assert_uint_eq(acpi_write(&mem, 1), 0);
	gm_destroy(&mem);
}
END_TEST

/* --- the DSDT against layout.h, through the disassembler ---------------------------------- */

static void dump(const char *path, gpa_t at)
{
	uint32_t len = rd(at + 4, 4);
	FILE *f = fopen(path, "wb");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(gm_span(&mem, at, len), 1, len, f), len);
	ck_assert_int_eq(fclose(f), 0);
}

/* Run `iasl -d` on each table. False: there is no iasl here. */
static bool disassemble(const char *dir)
{
	char cmd[256];
	int rc;

	if (system("command -v iasl >/dev/null"))
		return false;
	snprintf(cmd, sizeof(cmd), "cd %s && iasl -d dsdt.aml facp.aml apic.aml >log 2>&1", dir);
	rc = system(cmd);
	ck_assert_msg(WIFEXITED(rc) && !WEXITSTATUS(rc), "%s failed", cmd);
	return true;
}

static char *slurp(const char *dir, const char *name)
{
	static char text[65536];
	char path[256];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "r");
	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

/* The next number in `*at`: 0x hex digits, or the words of ASL. Moves behind it. */
static unsigned next_number(const char **at)
{
	const char *p = *at + strspn(*at, " \n,{");
	char *end;
	unsigned v;

	if (!strncmp(p, "Zero", 4) || !strncmp(p, "One", 3)) {
		v = *p == 'O';
		*at = p + (v ? 3 : 4);
		return v;
	}
	v = (unsigned)strtoul(p, &end, 16);
	ck_assert_msg(end != p, "no number at: %.20s", p);
	*at = end;
	return v;
}

/* The table called `name`: INTA# of slot s goes to pins[s % GSI_PCI_NR]. */
static void check_prt(const char *dsl, const char *name, const uint8_t pins[GSI_PCI_NR])
{
	const char *p = strstr(dsl, name);

	ck_assert_ptr_nonnull(p);
	for (unsigned slot = 1; slot < PCI_SLOTS; slot++) {
		p = strstr(p, "Package (0x04)");
		ck_assert_ptr_nonnull(p);
		p += strlen("Package (0x04)");
		ck_assert_uint_eq(next_number(&p), slot << 16 | 0xffff);
		ck_assert_uint_eq(next_number(&p), 0); /* INTA# */
		ck_assert_uint_eq(next_number(&p), 0); /* no link device */
		ck_assert_uint_eq(next_number(&p), pins[slot % GSI_PCI_NR]);
	}
}

static void check_has(const char *text, const char *fmt, unsigned number)
{
	char want[64];

	snprintf(want, sizeof(want), fmt, number);
	ck_assert_msg(strstr(text, want) != NULL, "\"%s\" is missing", want);
}

static void check_dsdt(const char *dsl)
{
	const char *s5 = strstr(dsl, "_S5");

	ck_assert_ptr_nonnull(s5);
	s5 = strchr(s5, '{');
	ck_assert_uint_eq(next_number(&s5), ACPI_SLP_TYP_S5);
	check_prt(dsl, "PRTA", (const uint8_t[]){ 16, 17, 18, 19, 20, 21, 22, 23 });
	check_prt(dsl, "PRTP", (const uint8_t[]){ PIC_PCI_PINS });
	check_has(dsl, "0x%08X,         // Range Minimum", (unsigned)PCI_MMIO_BASE);
	check_has(dsl, "0x%08X,         // Range Maximum", (unsigned)PCI_MMIO_END - 1);
	check_has(dsl, "0x%04X,             // Range Minimum", (unsigned)PCI_PORT_BASE);
	check_has(dsl, "0x%04X,             // Range Maximum", (unsigned)PCI_PORT_END - 1);
	check_has(dsl, "0x%04X,             // Range Minimum", PORT_PCI_CONFIG);
	check_has(dsl, "0x%04X,             // Range Minimum", PORT_COM1);
	check_has(dsl, "0x%04X,             // Range Minimum", PORT_COM2);
	check_has(dsl, "0x%04X,             // Range Minimum", PORT_RTC);
	check_has(dsl, "{%u}", GSI_COM1);
	check_has(dsl, "{%u}", GSI_COM2);
	check_has(dsl, "{%u}", GSI_RTC);
}

START_TEST(disassembler_accepts_the_tables_and_finds_the_layout)
{
	char dir[] = "/tmp/duet-acpi-XXXXXX", path[64], cmd[64];
	gpa_t fadt;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	acpi_fresh(MAX_CPUS);
	fadt = find_table("FACP");
	snprintf(path, sizeof(path), "%s/dsdt.aml", dir);
	dump(path, rd(fadt + 40, 4));
	snprintf(path, sizeof(path), "%s/facp.aml", dir);
	dump(path, fadt);
	snprintf(path, sizeof(path), "%s/apic.aml", dir);
	dump(path, find_table("APIC"));
	if (disassemble(dir)) {
		check_dsdt(slurp(dir, "dsdt.dsl"));
		ck_assert_ptr_null(strstr(slurp(dir, "facp.dsl"), "Invalid"));
		ck_assert_ptr_null(strstr(slurp(dir, "apic.dsl"), "Invalid"));
	} else {
		puts("skipped: iasl is not installed, the tables were not disassembled");
	}
	gm_destroy(&mem);
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	ck_assert_int_eq(system(cmd), 0);
}
END_TEST

/* --- e820 --------------------------------------------------------------------------------- */

static const uint64_t sizes[] = { 512 << 10,      MIB,     64 * MIB, 3 * GIB - 4096, 3 * GIB,
				  3 * GIB + 4096, 5 * GIB, 64 * GIB };

static struct e820_map map_of(uint64_t size)
{
	struct e820_map map;

	ck_assert_int_eq(gm_init(&mem, size), 0);
	e820_build(&mem, &map);
	return map;
}

START_TEST(e820_is_sorted_and_every_byte_of_it_is_ram)
{
	struct e820_map map = map_of(sizes[_i]);
	uint64_t usable = 0;

	for (unsigned i = 0; i < map.n; i++) {
		ck_assert_uint_gt(map.e[i].size, 0);
		ck_assert_ptr_nonnull(gm_span(&mem, map.e[i].addr, map.e[i].size));
		if (i)
			ck_assert_uint_ge(map.e[i].addr, map.e[i - 1].addr + map.e[i - 1].size);
		if (map.e[i].type == 1)
			usable += map.e[i].size;
	}
	/* What is not usable is the area from the EBDA to 1 MiB, and nothing else. */
	ck_assert_uint_eq(usable, sizes[_i] <= RAM_1M ? MIN(sizes[_i], RAM_EBDA)
						      : sizes[_i] - (RAM_1M - RAM_EBDA));
	gm_destroy(&mem);
}
END_TEST

START_TEST(e820_reserves_the_acpi_tables)
{
	struct e820_map map = map_of(64 * MIB);
	unsigned holders = 0;

	for (unsigned i = 0; i < map.n; i++)
		if (map.e[i].addr <= ACPI_BASE &&
		    map.e[i].addr + map.e[i].size >= ACPI_BASE + ACPI_SIZE)
			holders += map.e[i].type == 2;
	ck_assert_uint_eq(holders, 1);
	gm_destroy(&mem);
}
END_TEST

START_TEST(e820_tells_of_ram_above_the_hole_only_when_there_is_some)
{
	struct e820_map small = map_of(3 * GIB), large;

	ck_assert_uint_eq(small.e[small.n - 1].addr + small.e[small.n - 1].size, RAM_LOW_MAX);
	gm_destroy(&mem);
	large = map_of(5 * GIB);
	ck_assert_uint_eq(large.e[large.n - 1].addr, RAM_HIGH_BASE);
	ck_assert_uint_eq(large.e[large.n - 1].size, 2 * GIB);
	ck_assert_uint_eq(large.e[large.n - 1].type, 1);
	ck_assert_uint_eq(large.n, small.n + 1);
	gm_destroy(&mem);
}
END_TEST

/* --- boot parameters and PVH ----------------------------------------------------------------- */

static const struct boot_info info = {
	.initrd = UINT64_C(0x123456000),
	.initrd_size = UINT64_C(0x100000042),
	.cmdline = BOOT_CMDLINE,
	.cmdline_size = 17,
	.rsdp = ACPI_BASE,
};

START_TEST(zero_page_holds_what_a_loader_owes)
{
	struct boot_params p;
	struct setup_header h = { .version = 0x20f, .boot_flag = 0xaa55, .kernel_alignment = 7 };

	ck_assert_int_eq(gm_init(&mem, 5 * GIB), 0);
	ck_assert_int_eq(boot_params_write(&mem, &h, sizeof(h), &info), 0);
	ck_assert_int_eq(gm_read(&mem, BOOT_PARAMS, &p, sizeof(p)), 0);
	ck_assert_uint_eq(p.hdr.version, 0x20f);
	ck_assert_uint_eq(p.hdr.kernel_alignment, 7);
	ck_assert_uint_eq(p.hdr.type_of_loader, 0xff);
	ck_assert_uint_eq(p.hdr.ramdisk_image, 0x23456000);
	ck_assert_uint_eq(p.ext_ramdisk_image, 1);
	ck_assert_uint_eq(p.hdr.ramdisk_size, 0x42);
	ck_assert_uint_eq(p.ext_ramdisk_size, 1);
	ck_assert_uint_eq(p.hdr.cmd_line_ptr, BOOT_CMDLINE);
	ck_assert_uint_eq(p.acpi_rsdp_addr, ACPI_BASE);
	ck_assert_uint_eq(p.sentinel, 0);
	ck_assert_uint_eq(p.e820_entries, 5);
	ck_assert_uint_eq(p.e820_table[4].addr, RAM_HIGH_BASE);
	ck_assert_uint_eq(p.e820_table[4].size, 2 * GIB);
	gm_destroy(&mem);
}
END_TEST

START_TEST(setup_header_is_taken_as_far_as_it_goes)
{
	uint8_t header[512];
	struct boot_params p;

	memset(header, 0xee, sizeof(header));
	ck_assert_int_eq(gm_init(&mem, 64 * MIB), 0);
	ck_assert_int_eq(boot_params_write(&mem, header, 0x30, &info), 0);
	ck_assert_int_eq(gm_read(&mem, BOOT_PARAMS, &p, sizeof(p)), 0);
	ck_assert_uint_eq(((uint8_t *)&p.hdr)[0x30], 0);
	/* One that claims to be longer than the structure must not reach the e820 table. */
	ck_assert_int_eq(boot_params_write(&mem, header, sizeof(header), &info), 0);
	ck_assert_int_eq(gm_read(&mem, BOOT_PARAMS, &p, sizeof(p)), 0);
	ck_assert_uint_eq(p.e820_table[0].addr, 0);
	ck_assert_uint_eq(p.e820_table[0].type, 1);
	gm_destroy(&mem);
}
END_TEST

START_TEST(pvh_start_info_leads_to_initrd_and_memory_map)
{
	gpa_t s = BOOT_PARAMS, mod, map;

	ck_assert_int_eq(gm_init(&mem, 5 * GIB), 0);
	ck_assert_int_eq(pvh_start_info_write(&mem, &info), 0);
	ck_assert_uint_eq(rd(s, 4), 0x336ec578);
	ck_assert_uint_eq(rd(s + 4, 4), 1);
	ck_assert_uint_eq(rd(s + 12, 4), 1);
	mod = rd64(s + 16);
	ck_assert_uint_eq(rd64(mod), info.initrd);
	ck_assert_uint_eq(rd64(mod + 8), info.initrd_size);
	ck_assert_uint_eq(rd64(s + 24), BOOT_CMDLINE);
	ck_assert_uint_eq(rd64(s + 32), ACPI_BASE);
	map = rd64(s + 40);
	ck_assert_uint_eq(rd(s + 48, 4), 5);
	ck_assert_uint_eq(rd64(map), 0);
	ck_assert_uint_eq(rd64(map + 8), RAM_EBDA);
	ck_assert_uint_eq(rd(map + 16, 4), 1);
	ck_assert_uint_eq(rd64(map + 4 * 24), RAM_HIGH_BASE);
	gm_destroy(&mem);
}
END_TEST

START_TEST(no_initrd_means_no_module)
{
	struct boot_info none = { .cmdline = BOOT_CMDLINE };

	ck_assert_int_eq(gm_init(&mem, 64 * MIB), 0);
	ck_assert_int_eq(pvh_start_info_write(&mem, &none), 0);
	ck_assert_uint_eq(rd(BOOT_PARAMS + 12, 4), 0);
	gm_destroy(&mem);
}
END_TEST

START_TEST(boot_data_does_not_fit_a_machine_of_one_page)
{
	ck_assert_int_eq(gm_init(&mem, 4096), 0);
	ck_assert_int_eq(boot_params_write(&mem, &info, 0, &info), -EFAULT);
	ck_assert_int_eq(pvh_start_info_write(&mem, &info), -EFAULT);
	gm_destroy(&mem);
}
END_TEST

static const struct test_entry tests[] = {
	T(tables_are_found_from_a_scan_and_sum_up),
	T(fadt_names_the_fixed_hardware),
	TLOOP(madt_lists_every_cpu_and_one_ioapic, 1, MAX_CPUS + 1),
	T(acpi_does_not_fit_a_machine_below_1_mib),
	T(disassembler_accepts_the_tables_and_finds_the_layout),
	TLOOP(e820_is_sorted_and_every_byte_of_it_is_ram, 0, ARRAY_SIZE(sizes)),
	T(e820_reserves_the_acpi_tables),
	T(e820_tells_of_ram_above_the_hole_only_when_there_is_some),
	T(zero_page_holds_what_a_loader_owes),
	T(setup_header_is_taken_as_far_as_it_goes),
	T(pvh_start_info_leads_to_initrd_and_memory_map),
	T(no_initrd_means_no_module),
	T(boot_data_does_not_fit_a_machine_of_one_page),
};

CHECK_MAIN("firmware", tests)

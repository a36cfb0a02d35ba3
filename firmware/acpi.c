/* SPDX-License-Identifier: MIT */
/*
 * acpi.c: the static ACPI tables (ACPI 6.3, chapter 5), one behind the other from
 * ACPI_BASE, where a guest scans for the RSDP:
 *
 *   RSDP -> XSDT -> FADT -> FACS, DSDT (firmware/dsdt.asl, compiled by iasl)
 *                -> MADT (CPUs and IOAPIC)
 *
 * Field names are the specification's. There is no RSDT: all that boot on x86-64 know
 * the XSDT.
 */
#include "firmware/firmware.h"

#include "vmm/layout.h"

#include <string.h>

#include "firmware/dsdt.hex" /* dsdt_aml_code[], made by iasl at build time */

#define ACPI_PACKED __attribute__((packed))

struct acpi_rsdp {
	char signature[8];
	uint8_t checksum; /* of the first ACPI_RSDP_V1_LEN bytes */
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt_address;
	uint32_t length;
	uint64_t xsdt_address;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} ACPI_PACKED;

#define ACPI_RSDP_V1_LEN 20

struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} ACPI_PACKED;

/* Generic Address Structure */
struct acpi_gas {
	uint8_t address_space_id;
	uint8_t register_bit_width;
	uint8_t register_bit_offset;
	uint8_t access_size;
	uint64_t address;
} ACPI_PACKED;

#define ACPI_SPACE_IO 1

struct acpi_fadt {
	struct acpi_header h;
	uint32_t firmware_ctrl;
	uint32_t dsdt;
	uint8_t reserved0;
	uint8_t preferred_pm_profile;
	uint16_t sci_int;
	uint32_t smi_cmd;
	uint8_t acpi_enable, acpi_disable;
	uint8_t s4bios_req;
	uint8_t pstate_cnt;
	uint32_t pm1a_evt_blk, pm1b_evt_blk;
	uint32_t pm1a_cnt_blk, pm1b_cnt_blk;
	uint32_t pm2_cnt_blk;
	uint32_t pm_tmr_blk;
	uint32_t gpe0_blk, gpe1_blk;
	uint8_t pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len;
	uint8_t gpe0_blk_len, gpe1_blk_len, gpe1_base;
	uint8_t cst_cnt;
	uint16_t p_lvl2_lat, p_lvl3_lat;
	uint16_t flush_size, flush_stride;
	uint8_t duty_offset, duty_width;
	uint8_t day_alrm, mon_alrm, century;
	uint16_t iapc_boot_arch;
	uint8_t reserved1;
	uint32_t flags;
	struct acpi_gas reset_reg;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t fadt_minor_version;
	uint64_t x_firmware_ctrl;
	uint64_t x_dsdt;
	struct acpi_gas x_pm1a_evt_blk, x_pm1b_evt_blk;
	struct acpi_gas x_pm1a_cnt_blk, x_pm1b_cnt_blk;
	struct acpi_gas x_pm2_cnt_blk;
	struct acpi_gas x_pm_tmr_blk;
	struct acpi_gas x_gpe0_blk, x_gpe1_blk;
	struct acpi_gas sleep_control_reg, sleep_status_reg;
	char hypervisor_vendor_identity[8];
} ACPI_PACKED;

_Static_assert(sizeof(struct acpi_fadt) == 276, "FADT of revision 6");

/* IAPC_BOOT_ARCH: no bit for an 8042 (only its reset command exists) nor for legacy
 * devices (all are in the DSDT), MSI is supported. */
#define FADT_VGA_NOT_PRESENT BIT(2)

#define FADT_WBINVD      BIT(0)
#define FADT_PROC_C1     BIT(2)
#define FADT_PWR_BUTTON  BIT(4) /* no fixed-hardware power button */
#define FADT_SLP_BUTTON  BIT(5) /* no fixed-hardware sleep button */
#define FADT_FIX_RTC     BIT(6) /* RTC wake status is not in PM1 */
#define FADT_TMR_VAL_EXT BIT(8) /* PM timer has 32 bits */
#define FADT_RESET_REG   BIT(10)
#define FADT_HEADLESS    BIT(12)
#define FADT_NO_C2       101  /* latencies beyond 100 and 1000 us mean: */
#define FADT_NO_C3       1001 /* no such state */
#define FADT_IO_BYTE     1    /* GAS access sizes */
#define FADT_IO_WORD     2
#define FADT_IO_DWORD    3

struct acpi_facs {
	char signature[4];
	uint32_t length;
	uint32_t hardware_signature;
	uint32_t firmware_waking_vector;
	uint32_t global_lock;
	uint32_t flags;
	uint64_t x_firmware_waking_vector;
	uint8_t version;
	uint8_t reserved0[3];
	uint32_t ospm_flags;
	uint8_t reserved1[24];
} ACPI_PACKED;

_Static_assert(sizeof(struct acpi_facs) == 64, "FACS");

#define ACPI_FACS_ALIGN 64

struct acpi_madt_lapic {
	uint8_t type, length;
	uint8_t acpi_processor_uid;
	uint8_t apic_id;
	uint32_t flags;
} ACPI_PACKED;

struct acpi_madt_ioapic {
	uint8_t type, length;
	uint8_t io_apic_id;
	uint8_t reserved;
	uint32_t io_apic_address;
	uint32_t global_system_interrupt_base;
} ACPI_PACKED;

struct acpi_madt_override {
	uint8_t type, length;
	uint8_t bus;
	uint8_t source;
	uint32_t global_system_interrupt;
	uint16_t flags;
} ACPI_PACKED;

struct acpi_madt_lapic_nmi {
	uint8_t type, length;
	uint8_t acpi_processor_uid;
	uint16_t flags;
	uint8_t local_apic_lint;
} ACPI_PACKED;

#define MADT_LAPIC       0
#define MADT_IOAPIC      1
#define MADT_OVERRIDE    2
#define MADT_LAPIC_NMI   4
#define MADT_PCAT_COMPAT BIT(0) /* a pair of 8259s exists as well */
#define MADT_ENABLED     BIT(0)
#define MADT_ACTIVE_HIGH 0x1
#define MADT_LEVEL       0xc
#define MADT_ALL_CPUS    0xff
#define MADT_LINT1       1

/* As large as MAX_CPUS makes it; acpi_header.length says how much of it counts. */
struct acpi_madt {
	struct acpi_header h;
	uint32_t local_interrupt_controller_address;
	uint32_t flags;
	struct acpi_madt_ioapic ioapic;
	struct acpi_madt_override sci;
	struct acpi_madt_lapic_nmi nmi;
	struct acpi_madt_lapic lapic[MAX_CPUS];
} ACPI_PACKED;

struct acpi_xsdt {
	struct acpi_header h;
	uint64_t entry[2];
} ACPI_PACKED;

/* --- checksums and headers ----------------------------------------------------------- */

/* The byte that makes `len` bytes, of which it is one and still 0, sum up to 0. */
static uint8_t acpi_checksum(const void *table, size_t len)
{
	const uint8_t *p = table;
	uint8_t sum = 0;

	while (len--)
		sum += *p++;
	return (uint8_t)-sum;
}

static void acpi_header_init(struct acpi_header *h, const char *signature, size_t length,
			     uint8_t revision)
{
	memcpy(h->signature, signature, 4);
	h->length = (uint32_t)length;
	h->revision = revision;
	memcpy(h->oem_id, "DUET  ", 6);
	memcpy(h->oem_table_id, "DUET    ", 8);
	h->oem_revision = 1;
	memcpy(h->creator_id, "DUET", 4);
	h->creator_revision = 1;
}

/* Where the next table goes: they follow each other inside [ACPI_BASE, +ACPI_SIZE). */
struct acpi_area {
	const struct gmem *m;
	gpa_t next;
};

/* Copy `len` bytes behind what is there. Returns their address, 0 when they do not fit. */
static gpa_t acpi_place(struct acpi_area *a, const void *table, size_t len, unsigned align)
{
	gpa_t at = (a->next + align - 1) & ~(gpa_t)(align - 1);

	if (at + len > ACPI_BASE + ACPI_SIZE || gm_write(a->m, at, table, len) < 0)
		return 0;
	a->next = at + len;
	return at;
}

static gpa_t acpi_place_sdt(struct acpi_area *a, struct acpi_header *h)
{
	h->checksum = acpi_checksum(h, h->length);
	return acpi_place(a, h, h->length, 16);
}

/* --- the tables ---------------------------------------------------------------------- */

static gpa_t acpi_place_facs(struct acpi_area *a)
{
	struct acpi_facs facs = { .signature = "FACS", .length = sizeof(facs), .version = 2 };

	return acpi_place(a, &facs, sizeof(facs), ACPI_FACS_ALIGN);
}

static struct acpi_gas acpi_io(uint64_t port, uint8_t bytes, uint8_t access)
{
	return (struct acpi_gas){
		.address_space_id = ACPI_SPACE_IO,
		.register_bit_width = (uint8_t)(8 * bytes),
		.access_size = access,
		.address = port,
	};
}

static gpa_t acpi_place_fadt(struct acpi_area *a, gpa_t facs, gpa_t dsdt)
{
	struct acpi_fadt f = {
		.firmware_ctrl = (uint32_t)facs,
		.dsdt = (uint32_t)dsdt,
		.x_dsdt = dsdt,
		.sci_int = GSI_SCI,
		.pm1a_evt_blk = PORT_ACPI_PM + ACPI_PM1_EVT,
		.pm1a_cnt_blk = PORT_ACPI_PM + ACPI_PM1_CNT,
		.pm_tmr_blk = PORT_ACPI_PM + ACPI_PM_TMR,
		.pm1_evt_len = ACPI_PM1_EVT_LEN,
		.pm1_cnt_len = ACPI_PM1_CNT_LEN,
		.pm_tmr_len = ACPI_PM_TMR_LEN,
		.x_pm1a_evt_blk =
			acpi_io(PORT_ACPI_PM + ACPI_PM1_EVT, ACPI_PM1_EVT_LEN, FADT_IO_WORD),
		.x_pm1a_cnt_blk =
			acpi_io(PORT_ACPI_PM + ACPI_PM1_CNT, ACPI_PM1_CNT_LEN, FADT_IO_WORD),
		.x_pm_tmr_blk = acpi_io(PORT_ACPI_PM + ACPI_PM_TMR, ACPI_PM_TMR_LEN, FADT_IO_DWORD),
		.p_lvl2_lat = FADT_NO_C2,
		.p_lvl3_lat = FADT_NO_C3,
		.century = RTC_CENTURY,
		.iapc_boot_arch = FADT_VGA_NOT_PRESENT,
		.flags = FADT_WBINVD | FADT_PROC_C1 | FADT_PWR_BUTTON | FADT_SLP_BUTTON |
			 FADT_FIX_RTC | FADT_TMR_VAL_EXT | FADT_RESET_REG | FADT_HEADLESS,
		.reset_reg = acpi_io(PORT_RESET, 1, FADT_IO_BYTE),
		.reset_value = RESET_VALUE,
		.fadt_minor_version = 3,
		.hypervisor_vendor_identity = "DUET",
	};

	acpi_header_init(&f.h, "FACP", sizeof(f), 6);
	return acpi_place_sdt(a, &f.h);
}

/*
 * ISA interrupts are on the IOAPIC pins of their numbers, the timer's too, so that the
 * SCI is the only one which needs an override: level-triggered, active high.
 */
static gpa_t acpi_place_madt(struct acpi_area *a, unsigned cpus)
{
	struct acpi_madt t = {
		.local_interrupt_controller_address = LAPIC_BASE,
		.flags = MADT_PCAT_COMPAT,
		.ioapic = { .type = MADT_IOAPIC,
			    .length = sizeof(t.ioapic),
			    .io_apic_id = (uint8_t)cpus, /* the CPUs have 0..cpus-1 */
			    .io_apic_address = IOAPIC_BASE },
		.sci = { .type = MADT_OVERRIDE,
			 .length = sizeof(t.sci),
			 .source = GSI_SCI,
			 .global_system_interrupt = GSI_SCI,
			 .flags = MADT_ACTIVE_HIGH | MADT_LEVEL },
		.nmi = { .type = MADT_LAPIC_NMI,
			 .length = sizeof(t.nmi),
			 .acpi_processor_uid = MADT_ALL_CPUS,
			 .local_apic_lint = MADT_LINT1 },
	};

	for (unsigned i = 0; i < cpus; i++)
		t.lapic[i] = (struct acpi_madt_lapic){
			.type = MADT_LAPIC,
			.length = sizeof(t.lapic[i]),
			.acpi_processor_uid = (uint8_t)i,
			.apic_id = (uint8_t)i,
			.flags = MADT_ENABLED,
		};
	acpi_header_init(&t.h, "APIC", offsetof(struct acpi_madt, lapic[cpus]), 5);
	return acpi_place_sdt(a, &t.h);
}

static gpa_t acpi_place_xsdt(struct acpi_area *a, gpa_t fadt, gpa_t madt)
{
	struct acpi_xsdt x = { .entry = { fadt, madt } };

	acpi_header_init(&x.h, "XSDT", sizeof(x), 1);
	return acpi_place_sdt(a, &x.h);
}

static int acpi_write_rsdp(const struct gmem *m, gpa_t xsdt)
{
	struct acpi_rsdp r = {
		.revision = 2,
		.length = sizeof(r),
		.xsdt_address = xsdt,
	};

	memcpy(r.signature, "RSD PTR ", sizeof(r.signature));
	memcpy(r.oem_id, "DUET  ", sizeof(r.oem_id));
	r.checksum = acpi_checksum(&r, ACPI_RSDP_V1_LEN);
	r.extended_checksum = acpi_checksum(&r, sizeof(r));
	return gm_write(m, ACPI_BASE, &r, sizeof(r));
}

gpa_t acpi_write(const struct gmem *m, unsigned cpus)
{
	struct acpi_area a = { .m = m, .next = ACPI_BASE + sizeof(struct acpi_rsdp) };
	gpa_t facs, dsdt, fadt, madt, xsdt;

	BUG_ON(!cpus || cpus > MAX_CPUS);
	facs = acpi_place_facs(&a);
	dsdt = acpi_place(&a, dsdt_aml_code, sizeof(dsdt_aml_code), 16);
	fadt = acpi_place_fadt(&a, facs, dsdt);
	madt = acpi_place_madt(&a, cpus);
	xsdt = acpi_place_xsdt(&a, fadt, madt);
	if (!facs || !dsdt || !fadt || !madt || !xsdt || acpi_write_rsdp(m, xsdt) < 0)
		return 0;
	return ACPI_BASE;
}

/* SPDX-License-Identifier: MIT */
/*
 * layout.h: the guest's address map, in one picture. Everything that places or
 * describes an address (loaders, ACPI, e820, the board, PCI) takes it from here.
 *
 *   guest-physical memory
 *   0x0000_0000  RAM, first page unused (a NULL pointer of the guest)
 *   0x0000_6000    GDT                 \
 *   0x0000_7000    boot_params (bzImage) or PVH start info
 *   0x0000_9000    identity page tables  > written before the first instruction
 *   0x0002_0000    kernel command line /
 *   0x0009_fc00  end of conventional memory: reserved up to 1 MiB
 *   0x000e_0000    ACPI: RSDP, XSDT, FADT, FACS, MADT, DSDT (64 KiB)
 *   0x0010_0000  RAM: kernel, then initrd as high as fits
 *   0xc000_0000  end of low RAM; the PCI hole: BARs are placed from here up
 *   0xfec0_0000  IOAPIC (in the kernel)
 *   0xfee0_0000  local APICs (in the kernel)
 *   0xfeff_c000  KVM's own pages: identity map, TSS (Intel hosts want them)
 *   0x1_0000_0000 RAM again, what did not fit below
 *
 *   I/O ports
 *   0x0060/0x0064  i8042: reset line only      0x0070-0x0071  CMOS RTC
 *   0x00f4         debug exit                  0x00f8-0x00fb  mark (--marks only)
 *   0x02f8, 0x03f8 COM2, COM1
 *   0x0600-0x060b  ACPI PM1a event, control, PM timer
 *   0x0cf8-0x0cff  PCI configuration           0x1000-0xffff  PCI I/O BARs
 *
 *   interrupt lines (GSI): 3 COM2, 4 COM1, 8 RTC, 9 SCI, 16-23 PCI slots
 *   the same at the 8259s: 3, 4, 8, 9, and 5 6 7 10 11 12 14 15
 */
#ifndef DUET_LAYOUT_H
#define DUET_LAYOUT_H

#include <stdint.h>

#define BOOT_GDT         UINT64_C(0x6000)
#define BOOT_PARAMS      UINT64_C(0x7000)
#define BOOT_PAGE_TABLES UINT64_C(0x9000) /* PML4, PDPT, 4 PDs: 6 pages */
#define BOOT_CMDLINE     UINT64_C(0x20000)
#define BOOT_CMDLINE_MAX UINT64_C(0x10000)
#define RAM_EBDA         UINT64_C(0x9fc00)
#define ACPI_BASE        UINT64_C(0xe0000)
#define ACPI_SIZE        UINT64_C(0x10000)
#define RAM_1M           UINT64_C(0x100000)

#define RAM_LOW_MAX   UINT64_C(0xc0000000)
#define RAM_HIGH_BASE UINT64_C(0x100000000)

#define PCI_MMIO_BASE UINT64_C(0xc0000000)
#define PCI_MMIO_END  UINT64_C(0xfec00000) /* first byte after */
#define PCI_PORT_BASE UINT64_C(0x1000)
#define PCI_PORT_END  UINT64_C(0x10000)
#define PCI_SLOTS     32

/* NICs are in slots 1 to 8 and disks in 16 to 23, each with an INTA# of its own among its kind. */
#define PCI_SLOT_NICS  1
#define PCI_SLOT_DISKS 16
#define PCI_SLOT_RNG   31

#define IOAPIC_BASE      UINT64_C(0xfec00000)
#define LAPIC_BASE       UINT64_C(0xfee00000)
#define KVM_IDENTITY_MAP UINT64_C(0xfeffc000) /* 1 page */
#define KVM_TSS          UINT64_C(0xfeffd000) /* 3 pages */

#define PORT_I8042      0x60
#define PORT_RTC        0x70
#define PORT_DEBUG_EXIT 0xf4
#define PORT_MARK       0xf8 /* 4 bytes */
#define PORT_COM2       0x2f8
#define PORT_COM1       0x3f8
#define PORT_ACPI_PM    0x600 /* +0 PM1a_EVT (4), +4 PM1a_CNT (2), +8 PM_TMR (4) */
#define PORT_PCI_CONFIG 0xcf8

/* What a register behind a port is called and holds, where the tables of firmware/ and
 * the chip of devices/ must agree: offsets from PORT_ACPI_PM, lengths in bytes. */
#define ACPI_PM1_EVT     0
#define ACPI_PM1_EVT_LEN 4
#define ACPI_PM1_CNT     4
#define ACPI_PM1_CNT_LEN 2
#define ACPI_PM_TMR      8
#define ACPI_PM_TMR_LEN  4
#define ACPI_SLP_TYP_S5  5    /* also in firmware/dsdt.asl: _S5 */
#define PORT_RESET       0x64 /* the i8042's command port; FADT: RESET_REG */
#define RESET_VALUE      0xfe /* its command to pulse the reset line */
#define RTC_CENTURY      0x32 /* index of the century in CMOS RAM */

#define GSI_COM2     3
#define GSI_COM1     4
#define GSI_RTC      8
#define GSI_SCI      9
#define GSI_PCI_BASE 16 /* slot s uses GSI_PCI_BASE + s % GSI_PCI_NR, INTA# only */
#define GSI_PCI_NR   8
#define IOAPIC_PINS  24
/* Where a guest without IOAPIC finds the PCI lines: pins of the 8259s, level-triggered. */
#define PIC_PCI_PINS 5, 6, 7, 10, 11, 12, 14, 15

#define MAX_CPUS 16

#endif

/* SPDX-License-Identifier: MIT */
/*
 * dsdt.asl: what the guest cannot find by probing: the PCI root with its windows and
 * interrupt routing, the ISA devices, and how to power off. The numbers are those of
 * vmm/layout.h; tests/test_firmware.c holds the two together.
 *
 * PCI interrupts go to IOAPIC pins 16-23, and to eight of the 8259s' pins for a guest in PIC
 * mode (Linux: noapic).
 */
DefinitionBlock ("", "DSDT", 2, "DUET", "DUETDSDT", 1)
{
	/* SLP_TYP of soft off: ACPI_SLP_TYP_S5 of vmm/layout.h. */
	Name (\_S5, Package () { 5, 0, 0, 0 })

	/* 0: PICs, 1: IOAPIC, as the guest says at boot. */
	Name (\PICM, 0)
	Method (\_PIC, 1)
	{
		PICM = Arg0
	}

	Scope (\_SB)
	{
		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A03"))
			Name (_UID, 0)
			Name (_BBN, 0)

			Name (_CRS, ResourceTemplate ()
			{
				WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
					0, 0, 0, 0, 1)
				IO (Decode16, 0x0cf8, 0x0cf8, 1, 8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
					0, 0x1000, 0xffff, 0, 0xf000)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
					NonCacheable, ReadWrite,
					0, 0xc0000000, 0xfebfffff, 0, 0x3ec00000)
			})

			/* INTA# of each slot: GSI 16 + slot % 8. */
			Name (PRTA, Package ()
			{
				Package () { 0x0001ffff, 0, 0, 17 }, Package () { 0x0002ffff, 0, 0, 18 },
				Package () { 0x0003ffff, 0, 0, 19 }, Package () { 0x0004ffff, 0, 0, 20 },
				Package () { 0x0005ffff, 0, 0, 21 }, Package () { 0x0006ffff, 0, 0, 22 },
				Package () { 0x0007ffff, 0, 0, 23 }, Package () { 0x0008ffff, 0, 0, 16 },
				Package () { 0x0009ffff, 0, 0, 17 }, Package () { 0x000affff, 0, 0, 18 },
				Package () { 0x000bffff, 0, 0, 19 }, Package () { 0x000cffff, 0, 0, 20 },
				Package () { 0x000dffff, 0, 0, 21 }, Package () { 0x000effff, 0, 0, 22 },
				Package () { 0x000fffff, 0, 0, 23 }, Package () { 0x0010ffff, 0, 0, 16 },
				Package () { 0x0011ffff, 0, 0, 17 }, Package () { 0x0012ffff, 0, 0, 18 },
				Package () { 0x0013ffff, 0, 0, 19 }, Package () { 0x0014ffff, 0, 0, 20 },
				Package () { 0x0015ffff, 0, 0, 21 }, Package () { 0x0016ffff, 0, 0, 22 },
				Package () { 0x0017ffff, 0, 0, 23 }, Package () { 0x0018ffff, 0, 0, 16 },
				Package () { 0x0019ffff, 0, 0, 17 }, Package () { 0x001affff, 0, 0, 18 },
				Package () { 0x001bffff, 0, 0, 19 }, Package () { 0x001cffff, 0, 0, 20 },
				Package () { 0x001dffff, 0, 0, 21 }, Package () { 0x001effff, 0, 0, 22 },
				Package () { 0x001fffff, 0, 0, 23 }
			})

			/* The same in PIC mode: PIC_PCI_PINS of vmm/layout.h. */
			Name (PRTP, Package ()
			{
				Package () { 0x0001ffff, 0, 0, 6 }, Package () { 0x0002ffff, 0, 0, 7 },
				Package () { 0x0003ffff, 0, 0, 10 }, Package () { 0x0004ffff, 0, 0, 11 },
				Package () { 0x0005ffff, 0, 0, 12 }, Package () { 0x0006ffff, 0, 0, 14 },
				Package () { 0x0007ffff, 0, 0, 15 }, Package () { 0x0008ffff, 0, 0, 5 },
				Package () { 0x0009ffff, 0, 0, 6 }, Package () { 0x000affff, 0, 0, 7 },
				Package () { 0x000bffff, 0, 0, 10 }, Package () { 0x000cffff, 0, 0, 11 },
				Package () { 0x000dffff, 0, 0, 12 }, Package () { 0x000effff, 0, 0, 14 },
				Package () { 0x000fffff, 0, 0, 15 }, Package () { 0x0010ffff, 0, 0, 5 },
				Package () { 0x0011ffff, 0, 0, 6 }, Package () { 0x0012ffff, 0, 0, 7 },
				Package () { 0x0013ffff, 0, 0, 10 }, Package () { 0x0014ffff, 0, 0, 11 },
				Package () { 0x0015ffff, 0, 0, 12 }, Package () { 0x0016ffff, 0, 0, 14 },
				Package () { 0x0017ffff, 0, 0, 15 }, Package () { 0x0018ffff, 0, 0, 5 },
				Package () { 0x0019ffff, 0, 0, 6 }, Package () { 0x001affff, 0, 0, 7 },
				Package () { 0x001bffff, 0, 0, 10 }, Package () { 0x001cffff, 0, 0, 11 },
				Package () { 0x001dffff, 0, 0, 12 }, Package () { 0x001effff, 0, 0, 14 },
				Package () { 0x001fffff, 0, 0, 15 }
			})

			Method (_PRT)
			{
				If (PICM)
				{
					Return (PRTA)
				}
				Return (PRTP)
			}
		}

		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 1)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x03f8, 0x03f8, 1, 8)
				IRQNoFlags () { 4 }
			})
		}

		Device (COM2)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 2)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x02f8, 0x02f8, 1, 8)
				IRQNoFlags () { 3 }
			})
		}

		Device (RTC)
		{
			Name (_HID, EisaId ("PNP0B00"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0070, 0x0070, 1, 2)
				IRQNoFlags () { 8 }
			})
		}
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * payload.h: what the bare-metal guests and the programs in tests/kvm agree on.
 * A payload starts at PAYLOAD_BASE in 32-bit protected mode with flat segments (or in
 * 64-bit mode, where its name says so), interrupts off, and ends with a status at the
 * debug-exit port: PASS, or the number of the step that went wrong.
 */
#ifndef DUET_PAYLOAD_H
#define DUET_PAYLOAD_H

#define PAYLOAD_BASE  0x1000
#define PAYLOAD_STACK 0x5f00
#define PASS          42
#define CODE_SELECTOR 0x28 /* BOOT_SEL_CS32 */

/* A device of the test: reads give ECHO shifted right by the offset's bytes, writes
 * are written down. */
#define TEST_PORT  0x500
#define TEST_MMIO  0xd0000000
#define ECHO_LOW   0xb0a09080
#define ECHO_HIGH  0xf0e0d0c0
#define EMPTY_PORT 0x580
#define EMPTY_MMIO 0xd8000000

/* Byte writes that make the device interrupt. */
#define TEST_RAISE (TEST_PORT + 8)  /* the line whose GSI is the value goes up */
#define TEST_LOWER (TEST_PORT + 9)  /* and down */
#define TEST_FIRE  (TEST_PORT + 10) /* the message is sent */

/* A byte that the test acts upon, and one that it answers with. */
#define TEST_COMMAND (TEST_PORT + 11)
#define TEST_ASK     (TEST_PORT + 14)

/* eoi.S: commands, and what TEST_ASK says about the last one. */
#define TEST_EOI_RAISE 1 /* raise the line that falls at EOI */
#define TEST_EOI_UP    2 /* and the level on the same GSI */
#define TEST_EOI_DOWN  3
#define TEST_EOI_ACKED 4 /* has there been an EOI since? */
#define TEST_EOI_WATCH 5 /* tell me of the next */
#define TEST_EOI_CAME  6 /* how often was I told? */

/* Pages of TEST_MMIO. page.S has them turned by TEST_COMMAND: page << 4 | page_mode. */
#define TEST_PAGE0      (TEST_MMIO + 0x1000)
#define TEST_PAGE1      (TEST_MMIO + 0x3000)
#define TEST_PAGES_SIZE 0x4000
#define TEST_TRAP       0
#define TEST_RAM        1
#define TEST_ROM        2
/* ...where there may be a zone of queued writes, made and dropped by TEST_COMMAND, and a
 * doorbell. */
#define TEST_ZONE      0x10
#define TEST_ZONE_SIZE 8
#define TEST_ZONE_OFF  0x40
#define TEST_ZONE_ON   0x41
#define TEST_ZONE_BELL 0x20
#define TEST_FLOOD     400 /* writes of flood.S: more than KVM queues */
/* A dword of RAM that the test sets when the payload shall come to its end. */
#define TEST_ENOUGH 0x5ff0

/* Doorbells in TEST_MMIO and TEST_PORT: offset of one of 2 bytes, 4 bytes, any size. */
#define TEST_BELL2    0x100
#define TEST_BELL4    0x108
#define TEST_BELL_ANY 0x110
#define TEST_BELL_PIO 12

#define TEST_LEVEL_GSI 16
#define TEST_EDGE_GSI  3 /* an ISA line: 5 and others of the 8259s are PCI's */
#define TEST_VECTOR    0x41

#define LAPIC_EOI     0xfee000b0
#define LAPIC_SVR     0xfee000f0
#define LAPIC_ICR_LOW 0xfee00300
#define IOAPIC_SELECT 0xfec00000
#define IOAPIC_WINDOW 0xfec00010

#endif

/* SPDX-License-Identifier: MIT */
/*
 * frames.S: a guest that sends 5 frames on an e1000 in slot 1 and 3 on a virtio-net in
 * slot 2, waits for the NICs to be done with them and does nothing else, for tests/cli.py
 * to compare with what the statistics say. No interrupts, no reception.
 *
 * It ends with status 42 by the debug-exit port. Boots as monitor.S does.
 */
#include "guest/pvh/pci.inc"

#define FRAME_LEN 60

/* 8254x manual, chapter 13. */
#define TCTL    0x0400
#define TDBAL   0x3800
#define TDLEN   0x3808
#define TDT     0x3818
#define TCTL_EN 0x0002
#define CMD     0x0b /* EOP, IFCS, RS */
#define DD      0x01

/* Virtio 1.2, 4.1.4.3; its structures are where devices/virtio_pci.h puts them. */
#define DRIVER_FEATURE_SELECT 8
#define DRIVER_FEATURE        12
#define STATUS                20
#define QUEUE_SELECT          22
#define QUEUE_SIZE            24
#define QUEUE_ENABLE          28
#define QUEUE_DESC            32
#define QUEUE_DRIVER          40
#define QUEUE_DEVICE          48
#define NOTIFY_TX             0x3004
#define NET_HDR_LEN           12

#include "guest/pvh/pvh.inc"
	movl $SLOT(1), %edi
	movw $COMMAND_MEMORY | COMMAND_MASTER, %cx
	call enable
	movl $ring, TDBAL(%ebx)
	movl $128, TDLEN(%ebx)
	movl $TCTL_EN, TCTL(%ebx)
	movl $5, TDT(%ebx)
1:
	testb $DD, ring + 4 * 16 + 12
	jz 1b

	movl $SLOT(2), %edi
	movw $COMMAND_MEMORY | COMMAND_MASTER, %cx
	call enable
	movb $0, STATUS(%ebx)
	movb $1, STATUS(%ebx) /* ACKNOWLEDGE */
	movb $3, STATUS(%ebx) /* DRIVER */
	movl $1, DRIVER_FEATURE_SELECT(%ebx)
	movl $1, DRIVER_FEATURE(%ebx) /* VERSION_1 */
	movb $11, STATUS(%ebx) /* FEATURES_OK */
	movw $1, QUEUE_SELECT(%ebx)
	movw $8, QUEUE_SIZE(%ebx)
	movl $desc, QUEUE_DESC(%ebx)
	movl $avail, QUEUE_DRIVER(%ebx)
	movl $used, QUEUE_DEVICE(%ebx)
	movw $1, QUEUE_ENABLE(%ebx)
	movb $15, STATUS(%ebx) /* DRIVER_OK */
	movw $1, NOTIFY_TX(%ebx)
1:
	cmpw $3, used + 2
	jne 1b

	movb $42, %al
	outb %al, $0xf4
1:
	hlt
	jmp 1b

	.data
	.align 16
ring: /* 8 legacy descriptors: address, length, checksum offset, command, status, ... */
	.rept 8
	.quad frame
	.word FRAME_LEN
	.byte 0, CMD, 0, 0
	.word 0
	.endr
desc: /* one buffer, header and frame in one; every entry of avail names it */
	.quad header
	.long NET_HDR_LEN + FRAME_LEN
	.word 0, 0
	.fill 7 * 16
	.align 2
avail: /* flags: no interrupts; index */
	.word 1, 3
	.fill 8, 2, 0
	.align 4
used:
	.fill 4 + 8 * 8
header:
	.fill NET_HDR_LEN
frame:
	.byte 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5
	.fill FRAME_LEN - 14

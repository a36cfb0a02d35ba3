/* SPDX-License-Identifier: MIT */
/*
 * accesses.S: a guest that does a known number of accesses to both NICs and nothing
 * else, for tests/cli.py to compare with what the statistics say:
 *
 *   slot 1, e1000    1000 writes to TDT, 17 reads of ICR, 5 writes to IMS
 *   slot 2, virtio   40 notifies of queue 1, 3 of queue 0, 7 reads of the ISR status
 *   0xcf8, 0xcfc     for each slot: BAR 0 read, memory decoding switched on
 *
 * It ends with status 42 by the debug-exit port. Boots as monitor.S does.
 */
#include "guest/pvh/pci.inc"

#define ICR 0x00c0
#define IMS 0x00d0
#define TDT 0x3818

#define VIRTIO_ISR    0x1000 /* as in devices/virtio_pci.h; a driver would look it up */
#define VIRTIO_NOTIFY 0x3000

#include "guest/pvh/pvh.inc"
	movl $SLOT(1), %edi
	movw $COMMAND_MEMORY, %cx
	call enable
	movl $1000, %ecx
1:
	movl $0, TDT(%ebx)
	loop 1b
	movl $17, %ecx
1:
	movl ICR(%ebx), %eax
	loop 1b
	movl $5, %ecx
1:
	movl $0, IMS(%ebx)
	loop 1b

	movl $SLOT(2), %edi
	movw $COMMAND_MEMORY, %cx
	call enable
	movl $40, %ecx
1:
	movw $1, VIRTIO_NOTIFY + 4(%ebx)
	loop 1b
	movl $3, %ecx
1:
	movw $0, VIRTIO_NOTIFY(%ebx)
	loop 1b
	movl $7, %ecx
1:
	movb VIRTIO_ISR(%ebx), %al
	loop 1b

	movb $42, %al
	outb %al, $0xf4
1:
	hlt
	jmp 1b

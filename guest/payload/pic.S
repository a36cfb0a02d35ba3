/* SPDX-License-Identifier: MIT */
/*
 * pic.S: an edge-triggered ISA line through the 8259A, which reaches the processor by
 * the local APIC's LINT0 as a BIOS leaves it (or by INTR while that APIC is off).
 */
#include "guest/payload/macros.inc"

#define PIC_COMMAND 0x20
#define PIC_DATA    0x21
#define PIC_VECTOR  0x20

	.code32
	movl $PAYLOAD_STACK, %esp
	movl $handler, %eax
	movl $(PIC_VECTOR + TEST_EDGE_GSI), %ecx
	call set_gate
	call lapic_on
	movb $0x11, %al /* ICW1: edge-triggered, cascade, ICW4 follows */
	outb %al, $PIC_COMMAND
	movb $PIC_VECTOR, %al
	outb %al, $PIC_DATA
	movb $4, %al /* ICW3: the slave is on line 2 */
	outb %al, $PIC_DATA
	movb $1, %al /* ICW4: 8086 mode */
	outb %al, $PIC_DATA
	movb $(0xff & ~(1 << TEST_EDGE_GSI)), %al
	outb %al, $PIC_DATA

	movl $1, %ebx
1:
	movb $TEST_EDGE_GSI, %al
	movw $TEST_RAISE, %dx
	outb %al, %dx
	movl %ebx, %ecx
	movb %bl, %al
	call wait_for_count
	movb $TEST_EDGE_GSI, %al
	movw $TEST_LOWER, %dx
	outb %al, %dx
	incl %ebx
	cmpl $4, %ebx
	jne 1b
	finish_with PASS

handler:
	pushl %eax
	incl count
	movb $0x20, %al /* OCW2: non-specific EOI */
	outb %al, $PIC_COMMAND
	popl %eax
	return_from_interrupt

#include "guest/payload/interrupt.inc"

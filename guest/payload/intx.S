/* SPDX-License-Identifier: MIT */
/*
 * intx.S: a level-triggered line into the IOAPIC, as a PCI device's INTA# is. While it
 * is up the interrupt comes again after each EOI; once it is down, no more.
 */
#include "guest/payload/macros.inc"

	.code32
	movl $PAYLOAD_STACK, %esp
	movl $handler, %eax
	movl $TEST_VECTOR, %ecx
	call set_gate
	call lapic_on
	/* Redirection entry: level-triggered, active high, fixed, to local APIC 0. */
	movl $(0x11 + 2 * TEST_LEVEL_GSI), IOAPIC_SELECT
	movl $0, IOAPIC_WINDOW
	movl $(0x10 + 2 * TEST_LEVEL_GSI), IOAPIC_SELECT
	movl $(0x8000 | TEST_VECTOR), IOAPIC_WINDOW

	movb $TEST_LEVEL_GSI, %al
	movw $TEST_RAISE, %dx
	outb %al, %dx
	movl $3, %ecx
	movb $1, %al
	call wait_for_count
	/* It is down. One that was under way may still come (software KVM has one), but
	 * then there must be silence. */
	call idle
	movl count, %ebx
	call idle
	cmpl %ebx, count
	expect_equal 2
	cmpl $4, %ebx
	setbe %al
	cmpb $1, %al
	expect_equal 3
	finish_with PASS

handler:
	pushl %eax
	pushl %edx
	incl count
	cmpl $3, count
	jne 1f
	movb $TEST_LEVEL_GSI, %al
	movw $TEST_LOWER, %dx
	outb %al, %dx
1:
	movl $0, LAPIC_EOI
	popl %edx
	popl %eax
	return_from_interrupt

#include "guest/payload/interrupt.inc"

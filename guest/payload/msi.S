/* SPDX-License-Identifier: MIT */
/* msi.S: messages by the router; the test has set the route to TEST_VECTOR. */
#include "guest/payload/macros.inc"

	.code32
	movl $PAYLOAD_STACK, %esp
	movl $handler, %eax
	movl $TEST_VECTOR, %ecx
	call set_gate
	call lapic_on
	movl $1, %ebx
1:
	movw $TEST_FIRE, %dx
	movb %bl, %al
	outb %al, %dx
	movl %ebx, %ecx
	call wait_for_count
	incl %ebx
	cmpl $4, %ebx
	jne 1b
	finish_with PASS

handler:
	incl count
	movl $0, LAPIC_EOI
	return_from_interrupt

#include "guest/payload/interrupt.inc"

/* SPDX-License-Identifier: MIT */
/*
 * eoi.S: a level-triggered line into the IOAPIC that KVM lowers at the EOI, and how it
 * goes together with one that somebody must lower.
 */
#include "guest/payload/macros.inc"

.macro tell what
	movb $\what, %al
	movw $TEST_COMMAND, %dx
	outb %al, %dx
.endm

/* Ask until the answer is `want`; it may take another thread's time. */
.macro ask what, want, step
	movl $20000, %ecx
9997:
	tell \what
	movw $TEST_ASK, %dx
	inb %dx, %al
	cmpb $\want, %al
	loopne 9997b
	expect_equal \step
.endm

/* Nothing more than `n` interrupts, in a while. */
.macro silence n, step
	call idle
	cmpl $\n, count
	expect_equal \step
.endm

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

	ask TEST_EOI_ACKED, 1, 1
	/* Once for each time it is raised. */
	tell TEST_EOI_RAISE
	tell TEST_EOI_ACKED
	movw $TEST_ASK, %dx
	inb %dx, %al
	cmpb $0, %al
	expect_equal 2
	movl $1, %ecx
	movb $3, %al
	call wait_for_count
	ask TEST_EOI_ACKED, 1, 4
	silence 1, 5

	tell TEST_EOI_RAISE
	tell TEST_EOI_WATCH
	movl $2, %ecx
	movb $6, %al
	call wait_for_count
	ask TEST_EOI_CAME, 1, 7
	ask TEST_EOI_ACKED, 1, 8

	/* Nobody watches this one. */
	tell TEST_EOI_RAISE
	movl $3, %ecx
	movb $9, %al
	call wait_for_count
	ask TEST_EOI_ACKED, 1, 10
	silence 3, 11
	ask TEST_EOI_CAME, 1, 12

	/* With the level up, EOIs do not lower the pin: the handler has it lowered at 6. */
	tell TEST_EOI_UP
	tell TEST_EOI_RAISE
	movl $6, %ecx
	movb $13, %al
	call wait_for_count
	ask TEST_EOI_ACKED, 1, 14
	call idle
	movl count, %ebx
	call idle
	cmpl count, %ebx
	expect_equal 15
	cmpl $8, %ebx /* one may have been under way, and the raise may have come late */
	setbe %al
	cmpb $1, %al
	expect_equal 16
	finish_with PASS

handler:
	pushl %eax
	pushl %edx
	incl count
	cmpl $6, count
	jne 1f
	tell TEST_EOI_DOWN
1:
	movl $0, LAPIC_EOI
	popl %edx
	popl %eax
	return_from_interrupt

#include "guest/payload/interrupt.inc"

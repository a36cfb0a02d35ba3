/* SPDX-License-Identifier: MIT */
/*
 * zone.S: writes that are queued, among others that are not, with the page trapped and
 * read-only. They are numbered; outside it is checked that they come in that order.
 */
#include "guest/payload/macros.inc"

.macro tell what
	movb $(\what), %al
	movw $TEST_COMMAND, %dx
	outb %al, %dx
.endm

	.code32
	movl $TEST_PAGE0, %ebx
	tell TEST_ZONE_ON
	movl $1, %eax
1:
	movl %eax, TEST_ZONE(%ebx)
	incl %eax
	cmpl $11, %eax
	jne 1b
	movb $11, TEST_ZONE + 4(%ebx)
	movl $12, TEST_ZONE + TEST_ZONE_SIZE(%ebx) /* exits */
	movw $13, TEST_ZONE + 6(%ebx)
	movl $14, TEST_ZONE + 2(%ebx)
	tell TEST_ROM
	movl $15, TEST_ZONE(%ebx)
	cmpl $0, TEST_ZONE(%ebx) /* the memory's */
	expect_equal 1
	movl $0, TEST_ZONE_BELL(%ebx)
	movl $16, TEST_ZONE + TEST_ZONE_SIZE(%ebx) /* exits */
	movl $17, TEST_ZONE(%ebx)
	tell TEST_ZONE_OFF
	movl $18, TEST_ZONE(%ebx) /* exits */
	tell TEST_TRAP
	movl $19, TEST_ZONE(%ebx) /* exits */
	finish_with PASS

/* SPDX-License-Identifier: MIT */
/*
 * page.S: pages of a device that become memory, wholly or for reads, and go back. What
 * the device must see and must not see is checked outside.
 */
#include "guest/payload/macros.inc"

#define LAST (0x1000 - 4)

.macro turn page, mode
	movb $(\page << 4 | \mode), %al
	movw $TEST_COMMAND, %dx
	outb %al, %dx
.endm

	.code32
	movl $TEST_PAGE0, %ebx
	movl $TEST_PAGE1, %esi
	movl $1, (%ebx) /* seen */
	cmpl $0, (%ebx)
	expect_equal 1

	turn 0, TEST_RAM
	cmpl $0, (%ebx)
	expect_equal 2
	movl $0x12345678, (%ebx)
	movb $0x9a, LAST(%ebx)
	cmpl $0x12345678, (%ebx)
	expect_equal 3
	movl $2, (%esi) /* seen: the other page's, */
	movl $3, 0x1000(%ebx) /* and that of no page */

	turn 0, TEST_ROM
	cmpl $0x12345678, (%ebx)
	expect_equal 4
	movl $4, (%ebx) /* seen */
	movw $5, LAST(%ebx) /* seen */
	cmpl $0x12345678, (%ebx)
	expect_equal 5
	cmpb $0x9a, LAST(%ebx)
	expect_equal 6

	turn 1, TEST_RAM
	movl $0x77, (%esi)
	turn 0, TEST_RAM
	incl (%ebx)
	cmpl $0x12345679, (%ebx)
	expect_equal 7

	turn 0, TEST_TRAP
	turn 1, TEST_TRAP
	movl $6, (%ebx) /* seen */
	cmpl $0, (%ebx)
	expect_equal 8
	cmpl $0, (%esi)
	expect_equal 9
	finish_with PASS

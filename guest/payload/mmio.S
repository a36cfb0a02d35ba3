/* SPDX-License-Identifier: MIT */
/* mmio.S: memory-mapped reads and writes of 1, 2 and 4 bytes, and where nobody is. */
#include "guest/payload/macros.inc"

	.code32
	movl $TEST_MMIO, %ebx
	movl $0x44332211, %eax
	movb %al, (%ebx)
	movw %ax, 2(%ebx)
	movl %eax, 4(%ebx)
	movl $0x5a5a5a5a, 8(%ebx)

	movl $0xeeeeeeee, %eax
	movb (%ebx), %al
	cmpl $0xeeeeee80, %eax
	expect_equal 1
	movw (%ebx), %ax
	cmpl $0xeeee9080, %eax
	expect_equal 2
	movl (%ebx), %eax
	cmpl $ECHO_LOW, %eax
	expect_equal 3
	movzbl 1(%ebx), %eax
	cmpl $((ECHO_LOW >> 8) & 0xff), %eax
	expect_equal 4
	movl 4(%ebx), %eax
	cmpl $ECHO_HIGH, %eax
	expect_equal 5

	movl $EMPTY_MMIO, %ebx
	xorl %eax, %eax
	movb (%ebx), %al
	cmpl $0xff, %eax
	expect_equal 6
	movw (%ebx), %ax
	cmpl $0xffff, %eax
	expect_equal 7
	movl (%ebx), %eax
	cmpl $0xffffffff, %eax
	expect_equal 8
	movl $0, (%ebx)
	finish_with PASS

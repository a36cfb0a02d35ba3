/* SPDX-License-Identifier: MIT */
/* pio.S: port reads and writes of each size, at an offset, and where nobody is. */
#include "guest/payload/macros.inc"

	.code32
	movw $TEST_PORT, %dx
	movl $0x44332211, %eax
	outb %al, %dx
	outw %ax, %dx
	outl %eax, %dx
	incw %dx
	outb %al, %dx

	movw $TEST_PORT, %dx
	xorl %eax, %eax
	inb %dx, %al
	cmpl $(ECHO_LOW & 0xff), %eax
	expect_equal 1
	inw %dx, %ax
	cmpl $(ECHO_LOW & 0xffff), %eax
	expect_equal 2
	inl %dx, %eax
	cmpl $ECHO_LOW, %eax
	expect_equal 3
	incw %dx
	xorl %eax, %eax
	inb %dx, %al
	cmpl $((ECHO_LOW >> 8) & 0xff), %eax
	expect_equal 4

	movw $EMPTY_PORT, %dx
	xorl %eax, %eax
	inb %dx, %al
	cmpl $0xff, %eax
	expect_equal 5
	inw %dx, %ax
	cmpl $0xffff, %eax
	expect_equal 6
	xorl %eax, %eax
	inl %dx, %eax
	cmpl $0xffffffff, %eax
	expect_equal 7
	finish_with PASS

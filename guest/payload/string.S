/* SPDX-License-Identifier: MIT */
/* string.S: REP OUTS and REP INS of each size, forwards and backwards. */
#include "guest/payload/macros.inc"

	.code32
	cld
	movw $TEST_PORT, %dx
	movl $bytes, %esi
	movl $5, %ecx
	rep outsb
	cmpl $(bytes + 5), %esi
	expect_equal 1
	movl $words, %esi
	movl $3, %ecx
	rep outsw
	movl $longs, %esi
	movl $2, %ecx
	rep outsl
	std
	movl $(bytes + 1), %esi
	movl $2, %ecx
	rep outsb
	cld

	movl $buffer, %edi
	movl $5, %ecx
	rep insb
	cmpl $(buffer + 5), %edi
	expect_equal 2
	cmpl $0x80808080, buffer
	expect_equal 3
	cmpl $0xeeeeee80, buffer + 4 /* no byte too many */
	expect_equal 4
	movl $buffer, %edi
	movl $3, %ecx
	rep insw
	cmpl $0x90809080, buffer
	expect_equal 5
	cmpl $0xeeee9080, buffer + 4
	expect_equal 6
	movl $buffer, %edi
	movl $2, %ecx
	rep insl
	cmpl $ECHO_LOW, buffer
	expect_equal 7
	cmpl $ECHO_LOW, buffer + 4
	expect_equal 8
	finish_with PASS

	.align 16
bytes:
	.byte 1, 2, 3, 4, 5
	.align 4
words:
	.word 0x1111, 0x2222, 0x3333
	.align 4
longs:
	.long 0x44444444, 0x55555555
buffer:
	.fill 64, 1, 0xee

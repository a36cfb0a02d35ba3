/* SPDX-License-Identifier: MIT */
/* mmio64.S: eight bytes at once, in 64-bit mode. */
#include "guest/payload/macros.inc"

	.code64
	movl $TEST_MMIO, %ebx
	movabsq $0x8877665544332211, %rax
	movq %rax, (%rbx)
	movq (%rbx), %rax
	movabsq $((ECHO_HIGH << 32) | ECHO_LOW), %rcx
	cmpq %rcx, %rax
	expect_equal 1
	movl $EMPTY_MMIO, %ebx
	movq (%rbx), %rax
	cmpq $-1, %rax
	expect_equal 2
	movl $0xeeeeeeee, %eax
	movl $TEST_MMIO, %ebx
	movl (%rbx), %eax /* clears the upper half */
	movl $ECHO_LOW, %ecx
	cmpq %rcx, %rax
	expect_equal 3
	finish_with PASS

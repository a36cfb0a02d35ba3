/* SPDX-License-Identifier: MIT */
/*
 * count.S: stores 1, 2, 3... to the same place of a device until the test has had
 * enough, and then says how many.
 */
#include "guest/payload/macros.inc"

	.code32
	xorl %eax, %eax
1:
	incl %eax
	movl %eax, TEST_PAGE0
	cmpl $0, TEST_ENOUGH
	je 1b
	movw $TEST_PORT, %dx
	outl %eax, %dx
	finish_with PASS

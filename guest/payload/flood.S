/* SPDX-License-Identifier: MIT */
/* flood.S: more writes into a zone than KVM can queue. */
#include "guest/payload/macros.inc"

	.code32
	movb $TEST_ZONE_ON, %al
	movw $TEST_COMMAND, %dx
	outb %al, %dx
	xorl %eax, %eax
1:
	incl %eax
	movl %eax, TEST_PAGE0 + TEST_ZONE
	cmpl $TEST_FLOOD, %eax
	jne 1b
	finish_with PASS

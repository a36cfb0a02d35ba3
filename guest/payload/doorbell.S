/* SPDX-License-Identifier: MIT */
/* doorbell.S: writes that end in eventfds, and one that does not match and arrives. */
#include "guest/payload/macros.inc"

	.code32
	movl $TEST_MMIO, %ebx
	movw $7, TEST_BELL2(%ebx)
	movw $8, TEST_BELL2(%ebx)
	movl $9, TEST_BELL4(%ebx)
	movb $1, TEST_BELL_ANY(%ebx)
	movw $2, TEST_BELL_ANY(%ebx)
	movl $3, TEST_BELL_ANY(%ebx)
	movw $(TEST_PORT + TEST_BELL_PIO), %dx
	movw $5, %ax
	outw %ax, %dx
	movl $0x77, TEST_BELL2(%ebx) /* 4 bytes: not this doorbell's size */
	finish_with PASS

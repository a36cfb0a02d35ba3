/* SPDX-License-Identifier: MIT */
/* halt.S: a guest that sleeps for ever, with interrupts off. */
	.code32
1:
	hlt
	jmp 1b

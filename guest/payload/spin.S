/* SPDX-License-Identifier: MIT */
/* spin.S: a guest that never leaves by itself, with interrupts off. */
	.code32
1:
	jmp 1b

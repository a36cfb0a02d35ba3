/* SPDX-License-Identifier: MIT */
/* triple_fault.S: an exception without a table to look it up in. */
	.code32
	lidt none
	ud2
none:
	.word 0
	.long 0

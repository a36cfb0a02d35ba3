/* SPDX-License-Identifier: MIT */
/*
 * start.S: how the hostile guest begins, on its first processor by the PVH note, and on
 * its second, as often as that is sent INIT and SIPI, by way of real mode. Both go on in
 * C with flat segments, paging and interrupts off.
 */
	.section .note.pvh, "a", @note
	.long 4, 4, 18 /* name size, descriptor size, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long start

	.bss
	.align 16
	.skip 8192
stack:
	.skip 8192
second_stack:

	.text
	.code32
	.globl start
start:
	movl $stack, %esp
	pushl %ebx
	call hostile_main
1:
	hlt
	jmp 1b

second_start:
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl $second_stack, %esp
	call second_main
1:
	hlt
	jmp 1b

/* Copied to the page that SIPI names, and started there with CS = that page, IP = 0. */
	.globl trampoline, trampoline_end
trampoline:
	.code16
	cli
	movw %cs, %ax
	movw %ax, %ds
	lgdtl gdtr - trampoline
	movl %cr0, %eax
	orl $1, %eax
	movl %eax, %cr0
	ljmpl $8, $second_start
	.align 8
gdtr:
	.word 3 * 8 - 1
	.long gdt
trampoline_end:

	.data
	.align 8
gdt:
	.quad 0
	.quad 0x00cf9b000000ffff
	.quad 0x00cf93000000ffff

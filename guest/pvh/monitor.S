/* SPDX-License-Identifier: MIT */
/*
 * monitor.S: the smallest guest a person can talk to. It is an ELF file with a PVH
 * note, so `duet run -k build/pvh/monitor.elf` boots it on any /dev/kvm, software KVM
 * included. It prints "ready" on COM1 and obeys single keys; anything else is echoed.
 *
 *   q  status 42 by the debug-exit port    p  power off (ACPI S5)
 *   r  reset (i8042)                       t  triple fault
 *   b  bad address: jump where no RAM is   o  write 'o' for ever
 */
#define COM1     0x3f8
#define COM1_MCR (COM1 + 4)
#define COM1_LSR (COM1 + 5)
#define MCR_RTS  0x02 /* we are listening */
#define LSR_DR   0x01
#define LSR_THRE 0x20

#include "guest/pvh/pvh.inc"
	movw $COM1_MCR, %dx
	movb $MCR_RTS, %al
	outb %al, %dx
	movl $ready, %esi
1:
	movb (%esi), %al
	testb %al, %al
	jz command
	call put
	incl %esi
	jmp 1b

command:
	movw $COM1_LSR, %dx
1:
	inb %dx, %al
	testb $LSR_DR, %al
	jz 1b
	movw $COM1, %dx
	inb %dx, %al
	cmpb $'q', %al
	je quit
	cmpb $'p', %al
	je poweroff
	cmpb $'r', %al
	je reset
	cmpb $'t', %al
	je triple_fault
	cmpb $'b', %al
	je bad_jump
	cmpb $'o', %al
	je endless
	call put
	jmp command

/* Send %al. */
put:
	movb %al, %ah
	movw $COM1_LSR, %dx
1:
	inb %dx, %al
	testb $LSR_THRE, %al
	jz 1b
	movb %ah, %al
	movw $COM1, %dx
	outb %al, %dx
	ret

quit:
	movb $42, %al
	outb %al, $0xf4
	jmp stop
poweroff:
	movw $0x604, %dx
	movw $0x3400, %ax /* SLP_EN, SLP_TYP 5 of \_S5 in firmware/dsdt.asl */
	outw %ax, %dx
	jmp stop
reset:
	movb $0xfe, %al
	outb %al, $0x64
	jmp stop
triple_fault:
	lidt no_idt
	ud2
bad_jump:
	movl $0xd0000000, %eax
	jmp *%eax
endless:
	movb $'o', %al
	call put
	jmp endless
stop:
	hlt
	jmp stop

ready:
	.asciz "ready\r\n"
	.align 8
no_idt:
	.word 0
	.long 0

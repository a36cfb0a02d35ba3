/* SPDX-License-Identifier: MIT */
/*
 * smp.S: INIT and SIPI to all others; each marks its APIC ID, as CPUID tells it, in a
 * bitmap. The test puts the bitmap to expect into EBX (the PVH argument).
 */
#include "guest/payload/macros.inc"

#define TRAMPOLINE    0x2000

	.code32
	movl $0x1ff, LAPIC_SVR
	movl $0x000c4500, LAPIC_ICR_LOW /* INIT, all excluding self */
	movl $100000, %ecx
1:
	loop 1b
	movl $(0x000c4600 | (TRAMPOLINE >> 12)), LAPIC_ICR_LOW
	movl $1, %eax
	movl %ebx, %esi
	cpuid
	shrl $24, %ebx
	lock btsl %ebx, seen
	movl $20000000, %ecx
2:
	cmpl %esi, seen
	je 3f
	decl %ecx
	jnz 2b
	finish_with 1
3:
	finish_with PASS

/* Where SIPI starts the others: real mode, CS base = TRAMPOLINE, IP 0. */
	.org TRAMPOLINE - PAYLOAD_BASE
	.code16
	xorw %ax, %ax
	movw %ax, %ds
	movl $1, %eax
	cpuid
	shrl $24, %ebx
	lock btsl %ebx, seen
4:
	hlt
	jmp 4b

	.align 4
seen:
	.long 0

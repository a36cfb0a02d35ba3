/* SPDX-License-Identifier: MIT */
/*
 * calibrate.S: the guest of `duet calibrate`, which carries it inside. It does one kind
 * of event over and over, between two reports; calibrate.h has the protocol.
 */
#include "guest/payload/calibrate.h"
#include "guest/payload/macros.inc"

	.code32
	movl $PAYLOAD_STACK, %esp
	movl $handler, %eax
	movl $CAL_VECTOR, %ecx
	call set_gate
	call lapic_on
	/* Redirection entry: level-triggered, active high, fixed, to local APIC 0. */
	movl $(0x11 + 2 * CAL_GSI), IOAPIC_SELECT
	movl $0, IOAPIC_WINDOW
	movl $(0x10 + 2 * CAL_GSI), IOAPIC_SELECT
	movl $(0x8000 | CAL_VECTOR), IOAPIC_WINDOW

next:
	movw $CAL_NEXT, %dx
	inl %dx, %eax
	movl %eax, %ebx
	movw $CAL_COUNT, %dx
	inl %dx, %eax
	movl %eax, %ecx
	movw $CAL_WHERE, %dx
	inl %dx, %eax
	movl %eax, %esi
	movw $CAL_BEGIN, %dx
	outl %eax, %dx
	movl %esi, %edx
	jmp *ops(, %ebx, 4)

end:
	movw $CAL_END, %dx
	outl %eax, %dx
	jmp next

op_stop:
	hlt
	jmp op_stop

op_loop:
	decl %ecx
	jnz op_loop
	jmp end

op_out:
	outl %eax, %dx
	decl %ecx
	jnz op_out
	jmp end

op_in:
	inl %dx, %eax
	decl %ecx
	jnz op_in
	jmp end

op_store:
	movl %eax, (%esi)
	decl %ecx
	jnz op_store
	jmp end

op_load:
	movl (%esi), %eax
	decl %ecx
	jnz op_load
	jmp end

/* An interrupt too many or too few, and `count` never is what it should be. */
op_irq:
	sti
1:
	movl count, %edi
	incl %edi
	outl %eax, %dx
2:
	cmpl %edi, count
	jne 2b
	decl %ecx
	jnz 1b
	cli
	jmp end

/* Interrupts are off until the instruction before HLT, so that none is missed. */
op_hlt:
	movl count, %edi
	incl %edi
	outl %eax, %dx
1:
	sti
	hlt
	cli
	cmpl %edi, count
	jne 1b
	decl %ecx
	jnz op_hlt
	jmp end

handler:
	incl count
	movl $0, LAPIC_EOI
	return_from_interrupt

	.align 4
ops:
	.long op_stop, op_loop, op_out, op_in, op_store, op_load, op_irq, op_hlt

#include "guest/payload/interrupt.inc"

/* SPDX-License-Identifier: MIT */
/*
 * marks.S: a guest that marks its work, for tests/cli.py to compare the difference of two
 * marks with what lay between:
 *
 *   mark 7
 *   slot 1, e1000    100 writes to TDT, 9 reads of ICR
 *   mark 8
 *   the same again
 *
 * It ends with status 42 by the debug-exit port, or with 1 if there is no port for marks
 * or it does not count them. Boots as monitor.S does.
 */
#define MARK           0xf8
#include "guest/pvh/pci.inc"

#define ICR 0x00c0
#define TDT 0x3818

#include "guest/pvh/pvh.inc"
	movl $SLOT(1), %edi
	movw $COMMAND_MEMORY, %cx
	call enable

	movl $7, %eax
	call mark
	call work
	movl $8, %eax
	call mark
	call work

	movw $MARK, %dx
	inl %dx, %eax
	cmpl $2, %eax
	movb $42, %al
	je 1f
	movb $1, %al
1:
	outb %al, $0xf4
2:
	hlt
	jmp 2b

mark:
	movw $MARK, %dx
	outl %eax, %dx
	ret

work:
	movl $100, %ecx
1:
	movl $0, TDT(%ebx)
	loop 1b
	movl $9, %ecx
1:
	movl ICR(%ebx), %eax
	loop 1b
	ret

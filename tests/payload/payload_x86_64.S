/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Code that guests run: copied from between two labels into guest memory, so it names no
 * address of its own but through RIP, and no address of the test program at all. No SSE and
 * no int3, which a KVM that emulates each instruction may not know.
 */
	.section .rodata

	.macro	PAYLOAD name
	.globl	payload_\name
	.hidden	payload_\name
	.p2align 4
payload_\name:
	.endm

	.macro	END name
	.globl	payload_\name\()_end
	.hidden	payload_\name\()_end
payload_\name\()_end:
	.endm

/*
 * A script: operations of three 64-bit words each (what, address, value) at RSI, which is
 * where the 64-bit entry has its argument. What is read replaces the value. The numbers are
 * those of enum script_op in payload.h.
 */
	.code64
PAYLOAD script
	lea	script_ops(%rip), %r8
script_next:
	mov	(%rsi), %rax
	mov	8(%rsi), %rdi
	mov	16(%rsi), %rbx
	add	$24, %rsi
	movslq	(%r8, %rax, 4), %rax
	add	%r8, %rax
	jmp	*%rax

	.p2align 2
script_ops:
	.irp	op, end, w8, w16, w32, w64, r8, r16, r32, r64, o8, o16, o32, i8, i16, i32, \
		outsb, outsl, insw, wrmsr, rdmsr, lidt, wait, spin, fault
	.long	script_\op - script_ops
	.endr

script_end:				/* the value is told at port 0xf4 */
	mov	%ebx, %eax
	out	%al, $0xf4
1:	hlt
	jmp	1b

script_w8:	mov	%bl, (%rdi)
	jmp	script_next
script_w16:	mov	%bx, (%rdi)
	jmp	script_next
script_w32:	mov	%ebx, (%rdi)
	jmp	script_next
script_w64:	mov	%rbx, (%rdi)
	jmp	script_next

script_r8:	movzbl	(%rdi), %eax
	jmp	script_result
script_r16:	movzwl	(%rdi), %eax
	jmp	script_result
script_r32:	mov	(%rdi), %eax
	jmp	script_result
script_r64:	mov	(%rdi), %rax
script_result:
	mov	%rax, -8(%rsi)
	jmp	script_next

script_o8:	mov	%edi, %edx
	mov	%ebx, %eax
	out	%al, %dx
	jmp	script_next
script_o16:	mov	%edi, %edx
	mov	%ebx, %eax
	out	%ax, %dx
	jmp	script_next
script_o32:	mov	%edi, %edx
	mov	%ebx, %eax
	out	%eax, %dx
	jmp	script_next

script_i8:	mov	%edi, %edx
	xor	%eax, %eax
	in	%dx, %al
	jmp	script_result
script_i16:	mov	%edi, %edx
	xor	%eax, %eax
	in	%dx, %ax
	jmp	script_result
script_i32:	mov	%edi, %edx
	in	%dx, %eax
	jmp	script_result

	/* String instructions: memory at the address, the value is the port | count << 16. */
	.macro	STRING index, insn
	mov	%rsi, %r9
	mov	%rdi, \index
	mov	%ebx, %ecx
	mov	%ebx, %edx
	shr	$16, %ecx
	cld
	rep	\insn
	mov	%r9, %rsi
	jmp	script_next
	.endm
script_outsb:	STRING %rsi, outsb
script_outsl:	STRING %rsi, outsl
script_insw:	STRING %rdi, insw

script_wrmsr:	mov	%edi, %ecx
	mov	%ebx, %eax
	mov	%rbx, %rdx
	shr	$32, %rdx
	wrmsr
	jmp	script_next
script_rdmsr:	mov	%edi, %ecx
	rdmsr
	shl	$32, %rdx
	or	%rdx, %rax
	jmp	script_result

script_lidt:				/* the value is the top of a stack */
	lidt	(%rdi)
	mov	%rbx, %rsp
	jmp	script_next

script_wait:				/* until the word at the address is at least the value */
	cli
	cmp	%ebx, (%rdi)
	jae	script_next
	sti
	hlt
	jmp	script_wait

script_spin:				/* with interrupts on */
	sti
1:	dec	%ebx
	jnz	1b
	cli
	jmp	script_next

script_fault:	ud2
END script

/* Interrupt handlers: count at 0x3000 and 0x3004, end of interrupt at the local APIC. */
PAYLOAD irq_a
	push	%rax
	incl	0x3000
	mov	$0xfee000b0, %eax
	movl	$0, (%rax)
	pop	%rax
	iretq
END irq_a

PAYLOAD irq_b
	push	%rax
	incl	0x3004
	mov	$0xfee000b0, %eax
	movl	$0, (%rax)
	pop	%rax
	iretq
END irq_b

/* Another CPU, where a start-up interrupt puts it: says so at port 0xf5 and sleeps. */
	.code16
PAYLOAD ap
	mov	$0x5a, %al
	out	%al, $0xf5
1:	hlt
	jmp	1b
END ap

	.code64
PAYLOAD spin
	jmp	payload_spin
END spin

/* The first uart gives back what it is given, until a q: then power off. */
PAYLOAD echo
1:	mov	$0x3fd, %edx
	in	%dx, %al
	test	$1, %al
	jz	1b
	mov	$0x3f8, %edx
	in	%dx, %al
	cmp	$'q', %al
	je	2f
	out	%al, %dx
	jmp	1b
2:	mov	$0x600, %edx
	mov	$0x34, %al
	out	%al, %dx
	jmp	2b
END echo

	.section .note.GNU-stack, "", @progbits

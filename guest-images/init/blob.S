/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest's first program as bytes in the monitor (vmm/exec_init.h). INIT_PATH is the build's. */
	.section .rodata
	.globl exec_init
exec_init:
	.incbin INIT_PATH
	.globl exec_init_end
exec_init_end:
	.section .note.GNU-stack, "", %progbits

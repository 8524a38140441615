/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The smallest init: writes one line to the console and ends the machine, so
 * that a measured boot is the monitor's and the kernel's time and nothing else.
 *
 * end=reboot among the variables that the kernel hands over restarts the
 * machine; anything else powers it off. There is no C library: an architecture
 * is three system calls and the entry point.
 */

#define TINY_REBOOT_MAGIC1    0xfee1deadUL
#define TINY_REBOOT_MAGIC2    0x28121969UL
#define TINY_REBOOT_RESTART   0x01234567UL
#define TINY_REBOOT_POWER_OFF 0x4321fedcUL

#if defined(__x86_64__)
#define TINY_SYS_WRITE  1
#define TINY_SYS_REBOOT 169
/* The stack holds argc, argv, NULL, envp, NULL when the program starts. */
__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall tiny_main\n");

static long tiny_call(long nr, unsigned long a, unsigned long b, unsigned long c)
{
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return ret;
}
#elif defined(__aarch64__)
#define TINY_SYS_WRITE  64
#define TINY_SYS_REBOOT 142
__asm__(".globl _start\n_start:\n\tmov x0, sp\n\tbl tiny_main\n");

static long tiny_call(long nr, unsigned long a, unsigned long b, unsigned long c)
{
	register long x8 __asm__("x8") = nr;
	register unsigned long x0 __asm__("x0") = a;
	register unsigned long x1 __asm__("x1") = b;
	register unsigned long x2 __asm__("x2") = c;

	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
	return (long)x0;
}
#elif defined(__riscv) && __riscv_xlen == 64
#define TINY_SYS_WRITE  64
#define TINY_SYS_REBOOT 142
/* The linker may address data by gp, which nobody else would set. */
__asm__(".globl _start\n_start:\n\t.option push\n\t.option norelax\n"
	"\tla gp, __global_pointer$\n\t.option pop\n\tmv a0, sp\n\tcall tiny_main\n");

static long tiny_call(long nr, unsigned long a, unsigned long b, unsigned long c)
{
	register long a7 __asm__("a7") = nr;
	register unsigned long a0 __asm__("a0") = a;
	register unsigned long a1 __asm__("a1") = b;
	register unsigned long a2 __asm__("a2") = c;

	__asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2) : "memory");
	return (long)a0;
}
#else
#error "tiny.c: no system calls for this architecture"
#endif

static const char tiny_marker[] = "mayfly guest: tiny init\n";

/* Whether s is "end=r...": no C library, so no strncmp. */
static int tiny_wants_reboot(const char *s)
{
	return s[0] == 'e' && s[1] == 'n' && s[2] == 'd' && s[3] == '=' && s[4] == 'r';
}

__attribute__((noreturn, used)) void tiny_main(const unsigned long *stack);
__attribute__((noreturn, used)) void tiny_main(const unsigned long *stack)
{
	const char *const *env = (const char *const *)(stack + 1 + stack[0] + 1);
	unsigned long what = TINY_REBOOT_POWER_OFF;

	for (; *env; env++)
		if (tiny_wants_reboot(*env))
			what = TINY_REBOOT_RESTART;
	tiny_call(TINY_SYS_WRITE, 1, (unsigned long)tiny_marker, sizeof(tiny_marker) - 1);
	for (;;)
		tiny_call(TINY_SYS_REBOOT, TINY_REBOOT_MAGIC1, TINY_REBOOT_MAGIC2, what);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The smallest init: writes one line to the console and ends the machine, so
 * that a measured boot is the monitor's and the kernel's time and nothing else.
 *
 * end=reboot among the variables that the kernel hands over restarts the
 * machine; anything else powers it off. There is no C library: an architecture
 * is its system calls and the entry point.
 */

#define TINY_REBOOT_MAGIC1    0xfee1deadUL
#define TINY_REBOOT_MAGIC2    0x28121969UL
#define TINY_REBOOT_RESTART   0x01234567UL
#define TINY_REBOOT_POWER_OFF 0x4321fedcUL

/* recipe.sh names the architecture's file; a checker sees one of them. */
#ifndef TINY_ARCH
#define TINY_ARCH "tiny-x86_64.inc"
#endif
#include TINY_ARCH

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

// SPDX-License-Identifier: BSD-3-Clause
/*
 * The program that tells how fast this host runs guest kernels. A /dev/kvm without VMX or SVM
 * under it is software that may emulate an unmodified kernel one instruction at a time: a boot
 * that takes 0.1 s on hardware takes minutes there. A loop of 10,000 instructions tells: 10 us or
 * less on hardware, 10 ms on such a host.
 */
#include <cpuid.h>

#include "arch/x86_64/x86.h"

#define CPUID1_ECX_VMX        BIT(5)
#define CPUID80000001_ECX_SVM BIT(2)

#define PROBE_PORT 0xf4

static const uint8_t probe_code[] = {
	0x66, 0xb9, ARCH_PROBE_LOOPS & 0xff, ARCH_PROBE_LOOPS >> 8, 0, 0, /* mov ecx, LOOPS */
	0x66, 0x49,                                                       /* dec ecx */
	0x75, 0xfc,                                                       /* jnz -4 */
	0xe6, PROBE_PORT,                                                 /* out PORT, al */
	0xf4,                                                             /* hlt */
};
const struct arch_probe arch_probe = { .code = probe_code,
	.len = sizeof(probe_code),
	.ram = 0,
	.entry = 0x1000,
	.slow_ns = 1000000 };

bool arch_probe_suspect(void)
{
	unsigned a, b, c, d;
	bool vmx = __get_cpuid(1, &a, &b, &c, &d) && (c & CPUID1_ECX_VMX);
	bool svm = __get_cpuid(0x80000001, &a, &b, &c, &d) && (c & CPUID80000001_ECX_SVM);

	return !vmx && !svm;
}

/** In real mode, as after a reset, but for where the code lies. */
int arch_probe_enter(struct hv_vm *vm __unused, struct hv_vcpu *cpu, bool first, struct err *err)
{
	struct kvm_regs regs = { .rip = arch_probe.entry, .rflags = 2 };
	struct kvm_sregs s;
	int rc = 0;

	if (first) {
		rc = hv_vcpu_ioctl(cpu, KVM_GET_SREGS, &s);
		s.cs.base = 0;
		s.cs.selector = 0;
		if (!rc)
			rc = hv_vcpu_ioctl(cpu, KVM_SET_SREGS, &s);
	}
	if (!rc)
		rc = hv_vcpu_ioctl(cpu, KVM_SET_REGS, &regs);
	return rc ? err_errno(err, -rc, "KVM: probe registers") : 0;
}

bool arch_probe_ended(const struct hv_exit *exit)
{
	return exit->kind == HV_EXIT_PIO && exit->pio.port == PROBE_PORT;
}

// SPDX-License-Identifier: BSD-3-Clause
/*
 * How fast this host runs guest kernels. A /dev/kvm without VMX or SVM under it is software
 * that may emulate an unmodified kernel one instruction at a time: a boot that takes 0.1 s on
 * hardware takes minutes there. A loop of 10,000 instructions tells: 10 us or less on
 * hardware, 10 ms on such a host.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include <cpuid.h>

#include "arch/x86_64/x86.h"

#define CPUID1_ECX_VMX        BIT(5)
#define CPUID80000001_ECX_SVM BIT(2)

#define PROBE_LOOPS      5000
#define PROBE_RUNS       3
#define PROBE_GPA        0x1000
#define PROBE_RAM        0x10000
#define PROBE_PORT       0xf4
#define PROBE_SLOW_NS    1000000 /* no hardware takes a millisecond for this */
#define PROBE_SLOW_RATIO 50

bool arch_speed_suspect(void)
{
	unsigned a, b, c, d;
	bool vmx = __get_cpuid(1, &a, &b, &c, &d) && (c & CPUID1_ECX_VMX);
	bool svm = __get_cpuid(0x80000001, &a, &b, &c, &d) && (c & CPUID80000001_ECX_SVM);

	return !vmx && !svm;
}

static uint64_t probe_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

static uint64_t probe_host_ns(void)
{
	uint64_t t0 = probe_now_ns();
	uint32_t n = PROBE_LOOPS;

	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(n) : : "cc");
	return probe_now_ns() - t0;
}

/** One run of the loop in real mode: mov ecx, N; dec ecx; jnz; out. */
static int probe_guest_ns(struct hv_vcpu *cpu, uint64_t *ret_ns, struct err *err)
{
	struct kvm_regs regs = { .rip = PROBE_GPA, .rflags = 2 };
	struct hv_exit exit;
	uint64_t t0;
	int rc = hv_vcpu_ioctl(cpu, KVM_SET_REGS, &regs);

	if (rc)
		return err_errno(err, -rc, "KVM: probe registers");
	t0 = probe_now_ns();
	do
		hv_vcpu_run(cpu, &exit);
	while (exit.kind == HV_EXIT_KICKED);
	*ret_ns = probe_now_ns() - t0;
	if (exit.kind != HV_EXIT_PIO || exit.pio.port != PROBE_PORT)
		return err_set(err, EIO, "KVM: the probe guest ended with exit %d%s%s",
			(int)exit.kind, exit.kind == HV_EXIT_FAILED ? ": " : "",
			exit.kind == HV_EXIT_FAILED ? exit.reason : "");
	return 0;
}

static int probe_run(struct hv_vcpu *cpu, struct arch_speed *ret, struct err *err)
{
	struct kvm_sregs s;
	int rc = hv_vcpu_ioctl(cpu, KVM_GET_SREGS, &s);

	if (rc)
		return err_errno(err, -rc, "KVM: probe registers");
	s.cs.base = 0;
	s.cs.selector = 0;
	rc = hv_vcpu_ioctl(cpu, KVM_SET_SREGS, &s);
	if (rc)
		return err_errno(err, -rc, "KVM: probe registers");
	ret->guest_ns = ret->host_ns = UINT64_MAX;
	for (unsigned i = 0; i < PROBE_RUNS; i++) {
		uint64_t ns = 0;

		rc = probe_guest_ns(cpu, &ns, err);
		if (rc)
			return rc;
		ret->guest_ns = MIN(ret->guest_ns, ns);
		ret->host_ns = MIN(ret->host_ns, probe_host_ns());
	}
	ret->emulated = ret->guest_ns > PROBE_SLOW_NS &&
		ret->guest_ns / PROBE_SLOW_RATIO > ret->host_ns;
	return 0;
}

int arch_speed_probe(struct hv *hv, struct arch_speed *ret, struct err *err)
{
	static const uint8_t code[] = {
		0x66, 0xb9, PROBE_LOOPS & 0xff, PROBE_LOOPS >> 8, 0, 0, /* mov ecx, LOOPS */
		0x66, 0x49,                                             /* dec ecx */
		0x75, 0xfc,                                             /* jnz -4 */
		0xe6, PROBE_PORT,                                       /* out PORT, al */
		0xf4,                                                   /* hlt */
	};
	struct guest_memory gm = { 0 };
	struct hv_vcpu *cpu = NULL;
	struct hv_vm *vm = NULL;
	int rc;

	memset(ret, 0, sizeof(*ret));
	ret->likely_emulated = arch_speed_suspect();
	rc = gm_add_ram(&gm, 0, PROBE_RAM, err);
	if (!rc)
		rc = gm_write(&gm, PROBE_GPA, code, sizeof(code));
	if (!rc)
		rc = hv_vm_create(hv, 0, &vm, err);
	if (!rc)
		rc = hv_map_ram(vm, &gm, err);
	if (!rc)
		rc = hv_vcpu_create(vm, 0, &cpu, err);
	if (!rc)
		rc = probe_run(cpu, ret, err);
	hv_vcpu_destroy(cpu);
	hv_vm_destroy(vm);
	gm_fini(&gm);
	return rc;
}

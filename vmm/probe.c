// SPDX-License-Identifier: BSD-3-Clause
#include "vmm/probe.h"

#include <errno.h>

#include "arch/arch.h"
#include "base/clock.h"
#include "hypervisor/hv.h"

#define PROBE_RUNS       3
#define PROBE_RAM        0x10000
#define PROBE_SLOW_RATIO 50

static uint64_t probe_host_ns(void)
{
	uint64_t t0 = clock_now_ns();

	for (unsigned n = ARCH_PROBE_LOOPS; n; n--)
		__asm__ volatile("" : "+r"(n));
	return clock_now_ns() - t0;
}

static int probe_guest_ns(
	struct hv_vm *vm, struct hv_vcpu *cpu, bool first, uint64_t *ret_ns, struct err *err)
{
	struct hv_exit exit;
	uint64_t t0;
	int rc = arch_probe_enter(vm, cpu, first, err);

	if (rc)
		return rc;
	t0 = clock_now_ns();
	do
		hv_vcpu_run(cpu, &exit);
	while (exit.kind == HV_EXIT_KICKED);
	*ret_ns = clock_now_ns() - t0;
	if (!arch_probe_ended(&exit))
		return err_set(err, EIO, "KVM: the probe guest ended with exit %d%s%s",
			(int)exit.kind, exit.kind == HV_EXIT_FAILED ? ": " : "",
			exit.kind == HV_EXIT_FAILED ? exit.reason : "");
	return 0;
}

static int probe_run(
	struct hv_vm *vm, struct hv_vcpu *cpu, struct probe_speed *ret, struct err *err)
{
	ret->guest_ns = ret->host_ns = UINT64_MAX;
	for (unsigned i = 0; i < PROBE_RUNS; i++) {
		uint64_t ns = 0;
		int rc = probe_guest_ns(vm, cpu, !i, &ns, err);

		if (rc)
			return rc;
		ret->guest_ns = MIN(ret->guest_ns, ns);
		ret->host_ns = MIN(ret->host_ns, probe_host_ns());
	}
	ret->emulated = ret->guest_ns > arch_probe.slow_ns &&
		ret->guest_ns / PROBE_SLOW_RATIO > ret->host_ns;
	return 0;
}

int probe_speed(struct hv *hv, struct probe_speed *ret, struct err *err)
{
	struct guest_memory gm = { 0 };
	struct hv_vcpu *cpu = NULL;
	struct hv_vm *vm = NULL;
	unsigned long type;
	int rc;

	*ret = (struct probe_speed){ 0 };
	rc = gm_add_ram(&gm, arch_probe.ram, PROBE_RAM, err);
	if (!rc)
		rc = gm_write(&gm, arch_probe.entry, arch_probe.code, arch_probe.len);
	if (!rc)
		rc = arch_vm_type(hv, &gm, &type, err);
	if (!rc)
		rc = hv_vm_create(hv, type, &vm, err);
	if (!rc)
		rc = hv_map_ram(vm, &gm, err);
	if (!rc)
		rc = hv_vcpu_create(vm, 0, &cpu, err);
	if (!rc)
		rc = probe_run(vm, cpu, ret, err);
	hv_vcpu_destroy(cpu);
	hv_vm_destroy(vm);
	gm_fini(&gm);
	return rc;
}

// SPDX-License-Identifier: BSD-3-Clause
/*
 * What CPUs say of themselves: their identification registers, as far as KVM lets them be
 * changed (some fields from Linux 6.7 on, more with each release; MIDR_EL1 stays the host's).
 *
 * Arm ARM, D19.2; Linux Documentation/virt/kvm/api.rst, KVM_SET_ONE_REG.
 */
#include "arch/aarch64/aarch64.h"

#define CPU_ID(crm, op2) ARM64_SYS_REG(3, 0, 0, crm, op2)

/*
 * Each register, and the fields of it that a machine cannot do without or that say what the host
 * has in common with all: exception levels, floating point, the GIC's system registers; granules
 * and address bits, which decide what is mapped how; and the debug architecture. All others are
 * features beyond Armv8.0, random numbers and cryptography among them.
 */
static const struct {
	uint64_t id, keep;
} cpu_ids[] = {
	{ CPU_ID(0, 0), UINT64_MAX },         /* MIDR_EL1 */
	{ CPU_ID(4, 0), 0x000000000fffffff }, /* ID_AA64PFR0_EL1: EL0 to EL3, FP, AdvSIMD, GIC */
	{ CPU_ID(4, 1), 0 },                  /* ID_AA64PFR1_EL1 */
	{ CPU_ID(5, 0), UINT64_MAX },         /* ID_AA64DFR0_EL1 */
	{ CPU_ID(6, 0), 0 },                  /* ID_AA64ISAR0_EL1: RNDR, atomics, SHA, AES, CRC32 */
	{ CPU_ID(6, 1), 0 },                  /* ID_AA64ISAR1_EL1 */
	{ CPU_ID(6, 2), 0 },                  /* ID_AA64ISAR2_EL1 */
	{ CPU_ID(7, 0), UINT64_MAX },         /* ID_AA64MMFR0_EL1 */
	{ CPU_ID(7, 1), UINT64_MAX },         /* ID_AA64MMFR1_EL1 */
	{ CPU_ID(7, 2), UINT64_MAX },         /* ID_AA64MMFR2_EL1 */
};

int cpu_set(struct hv_vcpu *cpu, uint64_t id, uint64_t value)
{
	struct kvm_one_reg r = { .id = id, .addr = (uintptr_t)&value };

	return hv_vcpu_ioctl(cpu, KVM_SET_ONE_REG, &r);
}

int cpu_get(struct hv_vcpu *cpu, uint64_t id, uint64_t *ret)
{
	struct kvm_one_reg r = { .id = id, .addr = (uintptr_t)ret };

	return hv_vcpu_ioctl(cpu, KVM_GET_ONE_REG, &r);
}

/** A register field by field, since KVM takes it whole or not at all. */
static void cpu_hide_fields(struct hv_vcpu *cpu, uint64_t id, uint64_t keep)
{
	uint64_t now = 0;

	if (cpu_get(cpu, id, &now))
		return;
	if (!cpu_set(cpu, id, now & keep))
		return;
	for (unsigned shift = 0; shift < 64; shift += 4) {
		uint64_t field = 0xfULL << shift;

		if (now & field & ~keep && !cpu_set(cpu, id, now & ~field))
			now &= ~field;
	}
}

void cpu_hide(struct hv_vcpu *cpu)
{
	for (size_t i = 0; i < ARRAY_SIZE(cpu_ids); i++)
		if (cpu_ids[i].keep != UINT64_MAX)
			cpu_hide_fields(cpu, cpu_ids[i].id, cpu_ids[i].keep);
}

int arch_vcpu_measure(struct arch_vm *av __unused, struct hv_vcpu *cpu, arch_measure_fn put,
	void *ctx, struct err *err __unused)
{
	uint64_t value[ARRAY_SIZE(cpu_ids)] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(cpu_ids); i++)
		(void)!cpu_get(cpu, cpu_ids[i].id, &value[i]);
	put(ctx, "ids", value, sizeof(value));
	return 0;
}

// SPDX-License-Identifier: BSD-3-Clause
/*
 * The aarch64 machine: address space, GIC, CPUs that the host's KVM offers as they are, started
 * and stopped by PSCI, which KVM serves.
 *
 * Linux Documentation/arch/arm64/booting.rst; virt/kvm/api.rst.
 */
#include <errno.h>
#include <stdlib.h>

#include "arch/aarch64/aarch64.h"
#include "base/fd.h"
#include "devices/pl031.h"

#define ELF_MACHINE_AARCH64 183
#define MIN_ADDRESS_BITS    32 /* what KVM_VM_TYPE_ARM_IPA_SIZE starts at */
#define DEFAULT_BITS        40 /* of a machine whose type says nothing */

#define REG_CORE(name)                                                                             \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(name))

const char *const arch_name = "aarch64";
const enum dev_kind dt_rtc_kind = DEV_RTC_PL031;
const uint64_t dt_rtc_len = PL031_LEN;

const struct kernel_target dt_kernel_target = {
	.name = "aarch64",
	.elf_machine = ELF_MACHINE_AARCH64,
	.formats = BIT(KERNEL_IMAGE_ARM64) | BIT(KERNEL_ELF_FDT),
	.cmdline_max = 2047, /* COMMAND_LINE_SIZE of asm-generic is for others; arm64's is 2048 */
	.initrd_max = UINT64_MAX,
	.initrd_window = 32 * GIB, /* booting.rst: of 1 GiB alignment, with the kernel in it */
	.page_size = 0x10000,
};

int arch_vm_type(
	const struct hv *hv, const struct guest_memory *gm, unsigned long *ret, struct err *err)
{
	const struct gm_region *last = &gm->region[gm->nr_regions - 1];
	unsigned need = 64 - (unsigned)__builtin_clzll(last->base + last->len - 1);
	int max = hv_cap(hv, KVM_CAP_ARM_VM_IPA_SIZE);

	*ret = 0;
	if ((int)need > (max ? max : DEFAULT_BITS))
		return err_set(err, EINVAL,
			"--mem: %llu MiB need %u address bits, this host's KVM gives machines %d",
			(unsigned long long)(gm_total(gm) / MIB), need, max ? max : DEFAULT_BITS);
	if (max)
		*ret = KVM_VM_TYPE_ARM_IPA_SIZE(MAX(need, (unsigned)MIN_ADDRESS_BITS));
	return 0;
}

int arch_vm_create(const struct arch_parts *parts, struct arch_vm **ret, struct err *err)
{
	struct arch_vm *av = calloc(1, sizeof(*av));
	int rc;

	if (!av)
		return err_errno(err, ENOMEM, "machine");
	BUG_ON(parts->nr_cpus > ARCH_MAX_CPUS);
	av->hv = parts->hv;
	av->vm = parts->vm;
	av->nr_cpus = parts->nr_cpus;
	av->baseline_cpu = parts->baseline_cpu;
	av->pmu = !av->baseline_cpu && hv_cap(av->hv, KVM_CAP_ARM_PMU_V3);
	rc = gic_create(av, parts->nr_lines, err);
	if (rc) {
		arch_vm_destroy(av);
		return rc;
	}
	*ret = av;
	return 0;
}

void arch_vm_destroy(struct arch_vm *av)
{
	if (!av)
		return;
	fd_close(&av->gic_fd);
	free(av);
}

/** All that the host's CPUs have and KVM can give; of the baseline model, what all have. */
static void cpu_features(const struct arch_vm *av, struct kvm_vcpu_init *init)
{
	static const struct {
		unsigned cap, feature;
	} wanted[] = {
		{ KVM_CAP_ARM_PMU_V3, KVM_ARM_VCPU_PMU_V3 },
		{ KVM_CAP_ARM_PTRAUTH_ADDRESS, KVM_ARM_VCPU_PTRAUTH_ADDRESS },
		{ KVM_CAP_ARM_PTRAUTH_GENERIC, KVM_ARM_VCPU_PTRAUTH_GENERIC },
		{ KVM_CAP_ARM_SVE, KVM_ARM_VCPU_SVE },
	};

	for (size_t i = 0; !av->baseline_cpu && i < ARRAY_SIZE(wanted); i++)
		if (hv_cap(av->hv, wanted[i].cap))
			init->features[0] |= 1U << wanted[i].feature;
	init->features[0] |= 1U << KVM_ARM_VCPU_PSCI_0_2;
}

int arch_vcpu_init(struct arch_vm *av, struct hv_vcpu *cpu, unsigned id, struct err *err)
{
	int sve = KVM_ARM_VCPU_SVE;
	struct kvm_vcpu_init init;
	int rc = hv_vm_ioctl(av->vm, KVM_ARM_PREFERRED_TARGET, (uintptr_t)&init);

	if (rc)
		return err_errno(err, -rc, "KVM: cannot say what its CPUs are");
	memset(init.features, 0, sizeof(init.features));
	cpu_features(av, &init);
	if (id)
		init.features[0] |= 1U << KVM_ARM_VCPU_POWER_OFF;
	rc = hv_vcpu_ioctl(cpu, KVM_ARM_VCPU_INIT, &init);
	if (!rc && init.features[0] & 1U << KVM_ARM_VCPU_SVE)
		rc = hv_vcpu_ioctl(cpu, KVM_ARM_VCPU_FINALIZE, &sve);
	if (rc)
		return err_errno(err, -rc, "KVM: cannot set up the CPU");
	if (av->baseline_cpu)
		cpu_hide(cpu);
	av->cpu[id] = cpu;
	return 0;
}

static int cpu_attr(struct hv_vcpu *cpu, uint64_t attr, const void *value)
{
	struct kvm_device_attr a = {
		.group = KVM_ARM_VCPU_PMU_V3_CTRL, .attr = attr, .addr = (uintptr_t)value
	};

	return hv_vcpu_ioctl(cpu, KVM_SET_DEVICE_ATTR, &a);
}

int arch_vm_ready(struct arch_vm *av, struct err *err)
{
	int irq = GIC_PMU_IRQ;
	int rc = gic_ready(av, err);

	for (unsigned i = 0; !rc && av->pmu && i < av->nr_cpus; i++) {
		rc = cpu_attr(av->cpu[i], KVM_ARM_VCPU_PMU_V3_IRQ, &irq);
		if (!rc)
			rc = cpu_attr(av->cpu[i], KVM_ARM_VCPU_PMU_V3_INIT, NULL);
		if (rc)
			return err_errno(err, -rc, "KVM: performance counters of CPU %u", i);
	}
	return rc;
}

int arch_irq_bind(struct arch_vm *av, uint32_t gsi, int fd)
{
	return hv_irqfd(av->vm, gsi, fd); /* KVM's own routes: gsi n is SPI n */
}

/** As KVM makes it: EL1, interrupts masked, MMU off, all registers 0. */
int arch_vcpu_enter(struct arch_vm *av __unused, struct hv_vcpu *cpu,
	const struct arch_entry *entry, struct err *err)
{
	int rc = cpu_set(cpu, REG_CORE(regs.pc), entry->pc);

	if (!rc)
		rc = cpu_set(cpu, REG_CORE(regs.regs[0]), entry->arg);
	return rc ? err_errno(err, -rc, "KVM: cannot set CPU registers") : 0;
}

/* ---- the tree ---- */

struct dt_isa {
	struct fdt_aarch64 fdt;
	uint64_t mpidr[ARCH_MAX_CPUS];
};

int dt_isa_describe(
	const struct arch_vm *av, struct fdt_machine *m, struct dt_isa **ret, struct err *err)
{
	struct dt_isa *isa = *ret = calloc(1, sizeof(*isa));

	if (!isa)
		return err_errno(err, ENOMEM, "device tree");
	for (unsigned i = 0; i < av->nr_cpus; i++) {
		int rc = cpu_get(av->cpu[i], CPU_REG_MPIDR, &isa->mpidr[i]);

		if (rc)
			return err_errno(err, -rc, "KVM: cannot read CPU registers");
	}
	isa->fdt = (struct fdt_aarch64){
		.gic = gic_describe(av),
		.mpidr = isa->mpidr,
		.pmu = av->pmu,
	};
	m->aarch64 = &isa->fdt;
	return 0;
}

void dt_isa_free(struct dt_isa *isa)
{
	free(isa);
}

/* ---- register pages ---- */

bool arch_pages_readable(const struct arch_vm *av __unused)
{
	return true;
}

/**
 * The guest reads the page as device memory, past caches that hold what this process wrote
 * (Arm ARM, B2.7 and D4.4): the lines go to the point of coherency. Linux lets user space.
 */
void arch_page_clean(const void *p, size_t len)
{
	uintptr_t at, line;
	uint64_t ctr;

	__asm__("mrs %0, ctr_el0" : "=r"(ctr));
	line = 4UL << (ctr >> 16 & 0xf); /* DminLine counts words */
	for (at = (uintptr_t)p & ~(line - 1); at < (uintptr_t)p + len; at += line)
		__asm__ volatile("dc cvac, %0" : : "r"(at) : "memory");
	__asm__ volatile("dsb ish" : : : "memory");
}

/* ---- what aarch64 does not have ---- */

void arch_on_sbi(struct arch_vm *av __unused, struct hv_exit *exit __unused,
	const struct guest_memory *gm __unused,
	void (*put)(void *ctx, const void *buf, size_t len) __unused, void *ctx __unused)
{
}

/* ---- doctor ---- */

static const uint32_t probe_code[] = {
	0xd503201f,                              /* nop, see devicetree.h */
	0x52800000 | ARCH_PROBE_LOOPS << 5,      /* mov w0, #LOOPS */
	0x71000400,                              /* subs w0, w0, #1 */
	0x54ffffe1,                              /* b.ne -4 */
	0xd2a00001 | (DT_PROBE_PORT >> 16) << 5, /* movz x1, #PORT, lsl #16 */
	0xb9000020,                              /* str w0, [x1] */
	0x14000000,                              /* b . */
};
const struct arch_probe arch_probe = { .code = probe_code,
	.len = sizeof(probe_code),
	.ram = DT_RAM,
	.entry = DT_RAM,
	.slow_ns = DT_PROBE_SLOW_NS };

int arch_probe_enter(struct hv_vm *vm, struct hv_vcpu *cpu, bool first, struct err *err)
{
	struct kvm_vcpu_init init;
	int rc = 0;

	if (first) {
		rc = hv_vm_ioctl(vm, KVM_ARM_PREFERRED_TARGET, (uintptr_t)&init);
		memset(init.features, 0, sizeof(init.features)); /* some need more calls */
		if (!rc)
			rc = hv_vcpu_ioctl(cpu, KVM_ARM_VCPU_INIT, &init);
	}
	if (!rc)
		rc = cpu_set(cpu, REG_CORE(regs.pc), arch_probe.entry);
	return rc ? err_errno(err, -rc, "KVM: probe registers") : 0;
}

const struct arch_cap arch_caps[] = {
	{ KVM_CAP_IRQFD, "irqfd", "interrupts", true },
	{ KVM_CAP_IOEVENTFD, "ioeventfd", "queue notifications", true },
	{ KVM_CAP_DEVICE_CTRL, "device control", "the interrupt controller", true },
	{ KVM_CAP_ARM_PSCI_0_2, "PSCI", "starting CPUs, power off and reset", true },
	{ KVM_CAP_IMMEDIATE_EXIT, "immediate exit", "stopping a CPU without losing a signal",
		true },
	{ KVM_CAP_READONLY_MEM, "read-only memory", "device registers that read without an exit",
		false },
	{ KVM_CAP_ARM_VM_IPA_SIZE, "address size", "RAM past 1 TiB, hosts of fewer bits", false },
	{ KVM_CAP_ARM_PMU_V3, "PMU", "performance counters in guests", false },
	{ 0 },
};

// SPDX-License-Identifier: BSD-3-Clause
/*
 * The riscv64 machine: CPUs that the host's KVM offers as they are, started and stopped by SBI
 * calls, most of which KVM serves.
 *
 * Linux Documentation/arch/riscv/boot.rst; virt/kvm/api.rst.
 */
#include <errno.h>
#include <stdlib.h>

#include "arch/riscv64/riscv64.h"
#include "devices/goldfish_rtc.h"

#define ELF_MACHINE_RISCV 243

const char *const arch_name = "riscv64";
const enum dev_kind dt_rtc_kind = DEV_RTC_GOLDFISH;
const uint64_t dt_rtc_len = GOLDFISH_RTC_LEN;

const struct kernel_target dt_kernel_target = {
	.name = "riscv64",
	.elf_machine = ELF_MACHINE_RISCV,
	.formats = BIT(KERNEL_IMAGE_RISCV64) | BIT(KERNEL_ELF_FDT),
	.cmdline_max = 1023, /* COMMAND_LINE_SIZE is 1024 since Linux 6.4, 512 before */
	.initrd_max = UINT64_MAX,
	.page_size = 0x1000,
};

int riscv_get(struct hv_vcpu *cpu, uint64_t id, uint64_t *ret)
{
	struct kvm_one_reg r = { .id = id, .addr = (uintptr_t)ret };

	return hv_vcpu_ioctl(cpu, KVM_GET_ONE_REG, &r);
}

int riscv_set(struct hv_vcpu *cpu, uint64_t id, uint64_t value)
{
	struct kvm_one_reg r = { .id = id, .addr = (uintptr_t)&value };

	return hv_vcpu_ioctl(cpu, KVM_SET_ONE_REG, &r);
}

int arch_vm_type(const struct hv *hv __unused, const struct guest_memory *gm __unused,
	unsigned long *ret, struct err *err __unused)
{
	*ret = 0;
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
	av->loop = parts->loop;
	av->nr_cpus = parts->nr_cpus;
	av->baseline_cpu = parts->baseline_cpu;
	av->nr_sources = MAX(parts->nr_lines, 2U) - 1; /* line 0 is none */
	av->aia_fd = -1;
	rc = chip_create(av, parts->mmio, err);
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
	chip_destroy(av);
	free(av);
}

/* What a CPU says of its maker, by firmware calls. */
static const unsigned machine_ids[] = { RISCV_CONFIG_VENDOR, RISCV_CONFIG_ARCH, RISCV_CONFIG_IMP };

/** The baseline model: no maker, and an ISA that all have. */
static void machine_hide(struct hv_vcpu *cpu)
{
	/* Older hosts let nobody set them; the digest has what there is. */
	for (size_t i = 0; i < ARRAY_SIZE(machine_ids); i++)
		(void)!riscv_set(cpu, RISCV_REG_CONFIG(machine_ids[i]), 0);
	riscv_isa_hide(cpu);
}

int arch_vcpu_measure(struct arch_vm *av __unused, struct hv_vcpu *cpu, arch_measure_fn put,
	void *ctx, struct err *err __unused)
{
	uint64_t id[ARRAY_SIZE(machine_ids)] = { 0 };
	struct riscv_isa isa;

	for (size_t i = 0; i < ARRAY_SIZE(machine_ids); i++)
		(void)!riscv_get(cpu, RISCV_REG_CONFIG(machine_ids[i]), &id[i]);
	riscv_isa_read(cpu, &isa);
	put(ctx, "ids", id, sizeof(id));
	put(ctx, "isa", isa.isa, strlen(isa.isa));
	return 0;
}

int arch_vcpu_init(struct arch_vm *av, struct hv_vcpu *cpu, unsigned id, struct err *err __unused)
{
	av->cpu[id] = cpu;
	if (av->baseline_cpu)
		machine_hide(cpu);
	/* Off unless asked for; older hosts do not know it, and their guests do without. */
	(void)!riscv_set(cpu, RISCV_REG_SBI_EXT(RISCV_SBI_DBCN), 1);
	return 0;
}

int arch_vm_ready(struct arch_vm *av, struct err *err)
{
	return chip_ready(av, err);
}

/** KVM has put it into supervisor mode with paging and interrupts off. */
int arch_vcpu_enter(struct arch_vm *av __unused, struct hv_vcpu *cpu,
	const struct arch_entry *entry, struct err *err)
{
	int rc = riscv_set(cpu, RISCV_REG_CORE(RISCV_CORE_PC), entry->pc);

	if (!rc)
		rc = riscv_set(cpu, RISCV_REG_CORE(RISCV_CORE_A0), 0); /* hart id */
	if (!rc)
		rc = riscv_set(cpu, RISCV_REG_CORE(RISCV_CORE_A1), entry->arg);
	return rc ? err_errno(err, -rc, "KVM: cannot set CPU registers") : 0;
}

/* ---- the tree ---- */

struct dt_isa {
	struct fdt_riscv64 fdt;
	struct riscv_isa isa;
};

static const char *machine_mmu_type(struct hv_vcpu *cpu)
{
	static const char *const names[] = { "riscv,sv39", "riscv,sv48", "riscv,sv57" };
	static const uint64_t first = 8; /* satp.MODE of Sv39; the others follow */
	uint64_t mode = 0;

	if (riscv_get(cpu, RISCV_REG_CONFIG(RISCV_CONFIG_SATP), &mode))
		return NULL;
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (mode == first + i)
			return names[i];
	return NULL;
}

/** A size that KVM says only with the extension that has it. */
static uint32_t machine_block(struct hv_vcpu *cpu, unsigned n)
{
	uint64_t v = 0;

	return riscv_get(cpu, RISCV_REG_CONFIG(n), &v) || v > UINT32_MAX ? 0 : (uint32_t)v;
}

int dt_isa_describe(
	const struct arch_vm *av, struct fdt_machine *m, struct dt_isa **ret, struct err *err)
{
	struct dt_isa *isa = *ret = calloc(1, sizeof(*isa));
	uint64_t hz = 0;
	int rc;

	if (!isa)
		return err_errno(err, ENOMEM, "device tree");
	rc = riscv_get(av->cpu[0], RISCV_REG_TIMER(RISCV_TIMER_HZ), &hz);
	if (rc || !hz || hz > UINT32_MAX)
		return err_errno(err, rc ? -rc : ERANGE, "KVM: cannot say how fast its clock is");
	riscv_isa_read(av->cpu[0], &isa->isa);
	isa->fdt.isa = isa->isa.isa;
	isa->fdt.isa_ext = isa->isa.ext;
	isa->fdt.nr_isa_ext = isa->isa.nr_ext;
	isa->fdt.mmu_type = machine_mmu_type(av->cpu[0]);
	isa->fdt.timebase_hz = (uint32_t)hz;
	isa->fdt.cbom_block = machine_block(av->cpu[0], RISCV_CONFIG_CBOM);
	isa->fdt.cboz_block = machine_block(av->cpu[0], RISCV_CONFIG_CBOZ);
	chip_describe(av, &isa->fdt);
	m->riscv64 = &isa->fdt;
	return 0;
}

void dt_isa_free(struct dt_isa *isa)
{
	free(isa);
}

/* ---- register pages ---- */

/**
 * With Svpbmt a guest reads device memory past the caches, and user space has no instruction
 * here that would write them back. Without, all of memory is coherent.
 */
bool arch_pages_readable(const struct arch_vm *av)
{
	return !riscv_isa_has(av->cpu[0], RISCV_ISA_SVPBMT);
}

void arch_page_clean(const void *p __unused, size_t len __unused)
{
	__asm__ volatile("fence w, w" : : : "memory");
}

/* ---- doctor ---- */

static const uint32_t probe_code[] = {
	0x00000013,                                          /* nop, see devicetree.h */
	0x000002b7 | ((ARCH_PROBE_LOOPS + 0x800) & ~0xfffU), /* lui t0, LOOPS >> 12 */
	0x00028293 | (ARCH_PROBE_LOOPS & 0xfffU) << 20,      /* addi t0, t0, LOOPS & 0xfff */
	0xfff28293,                                          /* addi t0, t0, -1 */
	0xfe029ee3,                                          /* bnez t0, -4 */
	0x00000337 | (uint32_t)DT_PROBE_PORT,                /* lui t1, PORT >> 12 */
	0x00532023,                                          /* sw t0, 0(t1) */
	0x0000006f,                                          /* j . */
};
const struct arch_probe arch_probe = { .code = probe_code,
	.len = sizeof(probe_code),
	.ram = DT_RAM,
	.entry = DT_RAM,
	.slow_ns = DT_PROBE_SLOW_NS };

int arch_probe_enter(
	struct hv_vm *vm __unused, struct hv_vcpu *cpu, bool first __unused, struct err *err)
{
	int rc = riscv_set(cpu, RISCV_REG_CORE(RISCV_CORE_PC), arch_probe.entry);

	return rc ? err_errno(err, -rc, "KVM: probe registers") : 0;
}

const struct arch_cap arch_caps[] = {
	{ KVM_CAP_IOEVENTFD, "ioeventfd", "queue notifications", true },
	{ KVM_CAP_ONE_REG, "one reg", "the registers of CPUs", true },
	{ KVM_CAP_MP_STATE, "CPU states", "starting CPUs", true },
	{ KVM_CAP_IMMEDIATE_EXIT, "immediate exit", "stopping a CPU without losing a signal",
		true },
	{ KVM_CAP_READONLY_MEM, "read-only memory", "device registers that read without an exit",
		false },
	{ KVM_CAP_DEVICE_CTRL, "device control", "the interrupt controller in the kernel (AIA)",
		false },
	{ 0 },
};

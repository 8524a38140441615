// SPDX-License-Identifier: BSD-3-Clause
/*
 * The interrupt controller. Where the host has AIA, KVM has it for guests: an APLIC turns lines
 * into messages to a file of the CPU's (IMSIC), and nothing of it is here. Other hosts, and
 * machines of more devices than that file can surely tell apart, know only
 * "external interrupt or not" for each CPU, and a PLIC in this process decides which.
 *
 * RISC-V Advanced Interrupt Architecture 1.0; Linux Documentation/virt/kvm/api.rst, 4.16
 * (KVM_INTERRUPT), and devices of the type KVM_DEV_TYPE_RISCV_AIA in arch/riscv/kvm.
 */
#include <errno.h>

#include "arch/riscv64/riscv64.h"
#include "base/fd.h"

/* ---- AIA ---- */

static int aia_set(const struct arch_vm *av, uint32_t attr, uint32_t value)
{
	return hv_device_set(av->aia_fd, RISCV_AIA_CONFIG, attr, &value);
}

/** Bits that number n CPUs. */
static uint32_t aia_hart_bits(unsigned n)
{
	return n > 1 ? 32 - (uint32_t)__builtin_clz(n - 1) : 0;
}

static int aia_ready(struct arch_vm *av)
{
	uint64_t gpa = RISCV_APLIC;
	int rc = hv_device_get(av->aia_fd, RISCV_AIA_CONFIG, RISCV_AIA_CONFIG_IDS, &av->aia_ids);

	if (!rc && av->aia_ids < av->nr_sources)
		rc = -ENOSPC;
	if (!rc)
		rc = aia_set(av, RISCV_AIA_CONFIG_SRCS, av->nr_sources);
	if (!rc)
		rc = aia_set(av, RISCV_AIA_CONFIG_HART, aia_hart_bits(av->nr_cpus));
	if (!rc)
		rc = hv_device_set(av->aia_fd, RISCV_AIA_ADDR, RISCV_AIA_ADDR_APLIC, &gpa);
	for (unsigned i = 0; !rc && i < av->nr_cpus; i++) {
		gpa = RISCV_IMSIC + i * RISCV_IMSIC_LEN;
		rc = hv_device_set(av->aia_fd, RISCV_AIA_ADDR, RISCV_AIA_ADDR_IMSIC + i, &gpa);
	}
	if (!rc)
		rc = hv_device_set(av->aia_fd, RISCV_AIA_CTRL, RISCV_AIA_CTRL_INIT, NULL);
	return rc;
}

/**
 * An edge on an input of the APLIC. Not by irqfd: where KVM takes the eventfd's signal without a
 * thread of its own (kvm_arch_set_irq_inatomic, Linux 6.12) it raises the input and never lowers
 * it, so that the first edge would be the last.
 */
static void aia_pulse(const struct arch_vm *av, uint32_t source)
{
	struct kvm_irq_level line = { .irq = source, .level = 1 };

	/* Neither can fail for a source that exists. */
	BUG_ON(hv_vm_ioctl(av->vm, KVM_IRQ_LINE, (uintptr_t)&line));
	line.level = 0;
	BUG_ON(hv_vm_ioctl(av->vm, KVM_IRQ_LINE, (uintptr_t)&line));
}

/* ---- PLIC ---- */

static void chip_on_level(void *ctx, unsigned hart, bool level)
{
	struct arch_vm *av = ctx;
	struct kvm_interrupt irq = { .irq = level ? KVM_INTERRUPT_SET : KVM_INTERRUPT_UNSET };

	/* Cannot fail for a CPU that exists, and none is gone while the machine runs. */
	BUG_ON(hv_vcpu_ioctl(av->cpu[hart], KVM_INTERRUPT, &irq));
}

static void chip_on_line(struct watch *w, uint32_t events __unused)
{
	struct riscv_line *l = container_of(w, struct riscv_line, watch);

	fd_event_drain(w->fd);
	if (l->av->plic)
		plic_pulse(l->av->plic, l->source);
	else
		aia_pulse(l->av, l->source);
}

int arch_irq_bind(struct arch_vm *av, uint32_t gsi, int fd)
{
	struct riscv_line *l;

	BUG_ON(!gsi || gsi > av->nr_sources);
	l = &av->line[gsi];
	l->av = av;
	l->source = gsi;
	return loop_add(av->loop, &l->watch, fd, EPOLLIN, chip_on_line);
}

/* ---- both ---- */

int chip_create(struct arch_vm *av, struct bus *mmio, struct err *err)
{
	int rc;

	BUG_ON(av->nr_sources > PLIC_MAX_SOURCES);
	/* Whether its files are software is known only when it is there, and then it stays. */
	if (av->nr_sources <= RISCV_AIA_SOURCES) {
		av->aia_fd = hv_device_create(av->vm, RISCV_DEV_AIA);
		if (av->aia_fd >= 0)
			return 0;
	}
	av->aia_fd = -1;
	rc = plic_create(av->nr_cpus, av->nr_sources, chip_on_level, av, &av->plic, err);
	if (!rc)
		BUG_ON(bus_add(mmio, RISCV_PLIC, PLIC_LEN, &plic_bus_ops, av->plic));
	return rc;
}

int chip_ready(struct arch_vm *av, struct err *err)
{
	int rc = av->plic ? 0 : aia_ready(av);

	return rc ? err_errno(err, -rc, "KVM: interrupt controller (AIA)") : 0;
}

void chip_destroy(struct arch_vm *av)
{
	for (size_t i = 0; i < ARRAY_SIZE(av->line); i++)
		if (av->line[i].av)
			loop_del(av->loop, &av->line[i].watch);
	plic_destroy(av->plic);
	fd_close(&av->aia_fd);
}

void chip_describe(const struct arch_vm *av, struct fdt_riscv64 *ret)
{
	ret->nr_sources = av->nr_sources;
	ret->aia = !av->plic;
	if (av->plic) {
		ret->plic = (struct fdt_range){ RISCV_PLIC, PLIC_LEN };
		return;
	}
	ret->aplic = (struct fdt_range){ RISCV_APLIC, RISCV_APLIC_LEN };
	ret->imsic = (struct fdt_range){ RISCV_IMSIC, RISCV_IMSIC_LEN * av->nr_cpus };
	ret->imsic_nr_ids = av->aia_ids;
}

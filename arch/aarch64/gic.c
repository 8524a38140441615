// SPDX-License-Identifier: BSD-3-Clause
/*
 * The interrupt controller, in the kernel: GICv3, or GICv2 on hosts that have no other. No ITS:
 * virtio-mmio devices have wired lines, and translation services have been a way out of guests.
 *
 * Linux Documentation/virt/kvm/devices/arm-vgic-v3.rst and arm-vgic.rst.
 */
#include <errno.h>

#include "arch/aarch64/aarch64.h"

static int gic_place(const struct arch_vm *av, uint64_t type, uint64_t gpa)
{
	return hv_device_set(av->gic_fd, KVM_DEV_ARM_VGIC_GRP_ADDR, type, &gpa);
}

static int gic_place_all(const struct arch_vm *av)
{
	bool v3 = av->gic_version == 3;
	int rc = gic_place(
		av, v3 ? KVM_VGIC_V3_ADDR_TYPE_DIST : KVM_VGIC_V2_ADDR_TYPE_DIST, GIC_DIST);

	if (rc)
		return rc;
	return v3 ? gic_place(av, KVM_VGIC_V3_ADDR_TYPE_REDIST, GIC_V3_REDIST)
		  : gic_place(av, KVM_VGIC_V2_ADDR_TYPE_CPU, GIC_V2_CPU);
}

int gic_create(struct arch_vm *av, unsigned nr_lines, struct err *err)
{
	/* Multiples of 32 from 64 on. */
	uint32_t nr_irqs = (GIC_PRIVATE_IRQS + MAX(nr_lines, 32U) + 31) & ~31U;
	int rc;

	av->gic_version = 3;
	av->gic_fd = hv_device_create(av->vm, KVM_DEV_TYPE_ARM_VGIC_V3);
	if (av->gic_fd < 0) {
		av->gic_version = 2;
		av->gic_fd = hv_device_create(av->vm, KVM_DEV_TYPE_ARM_VGIC_V2);
	}
	if (av->gic_fd < 0)
		return err_errno(err, -av->gic_fd, "KVM: cannot create an interrupt controller");
	if (av->gic_version == 2 && av->nr_cpus > GIC_V2_MAX_CPUS)
		return err_set(err, EINVAL,
			"--cpus: %u: this host has a GICv2, which serves at most %u", av->nr_cpus,
			GIC_V2_MAX_CPUS);
	rc = gic_place_all(av);
	if (!rc)
		rc = hv_device_set(av->gic_fd, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &nr_irqs);
	return rc ? err_errno(err, -rc, "KVM: GICv%u", av->gic_version) : 0;
}

int gic_ready(struct arch_vm *av, struct err *err)
{
	int rc = hv_device_set(
		av->gic_fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);

	return rc ? err_errno(err, -rc, "KVM: GICv%u", av->gic_version) : 0;
}

struct fdt_gic gic_describe(const struct arch_vm *av)
{
	if (av->gic_version == 3)
		return (struct fdt_gic){
			.version = 3,
			.dist = { GIC_DIST, GIC_V3_DIST_LEN },
			.cpu_or_redist = { GIC_V3_REDIST, GIC_V3_CPU_LEN * av->nr_cpus },
		};
	return (struct fdt_gic){
		.version = 2,
		.dist = { GIC_DIST, GIC_V2_DIST_LEN },
		.cpu_or_redist = { GIC_V2_CPU, GIC_V2_CPU_LEN },
	};
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A machine described by a device tree, on a hypervisor that agrees to everything: its files,
 * RAM and devices, and the tree that comes of them. Knows nothing of either architecture but
 * which Image it boots: a register's value is a small number, another one for each CPU, and
 * that is good for all that is asked.
 */
#pragma once

#include "tests/unit/loader_images.h"

#include <fcntl.h>
#include <libfdt.h>
#include <stdio.h>

#include "arch/devicetree/devicetree.h"
#include "base/fd.h"
#include "base/loop.h"
#include "hypervisor/fake/fake.h"

#define DR_RAM      (16 * MIB)
#define DR_MAX_DEVS (ARCH_MAX_UARTS + ARCH_MAX_FIXED + ARCH_MAX_VIRTIO)

struct dr {
	struct li file; /* the kernel's maker; its machine is not used */
	struct guest_memory gm;
	struct dev_desc dev[DR_MAX_DEVS];
	struct arch_boot boot;
	struct arch_payload payload;
	struct arch_entry entry;
	struct bus mmio;
	struct loop *loop;  /* owned */
	struct arch_vm *av; /* owned; dr_machine makes it */
	struct err err;
};

/* Handles of CPUs: only where they lie counts. */
static char dr_cpu[ARCH_MAX_CPUS];

static inline struct hv_vcpu *dr_vcpu(unsigned n)
{
	return (struct hv_vcpu *)(void *)&dr_cpu[n];
}

/** Which CPU the ioctl is made on; -1: none. */
static inline int dr_asked_cpu(void)
{
	return fake_hv.cpu ? (int)((const char *)fake_hv.cpu - dr_cpu) : -1;
}

static inline int dr_ioctl(unsigned long req, void *arg)
{
	uint64_t reg = (uint64_t)dr_asked_cpu() + 1;
	uint32_t attr = 255; /* interrupt identities, where they are asked for */

	switch (req) {
	case KVM_CREATE_DEVICE:
		((struct kvm_create_device *)arg)->fd = (uint32_t)fd_event();
		return 0;
	case KVM_GET_ONE_REG:
		memcpy((void *)(uintptr_t)((struct kvm_one_reg *)arg)->addr, &reg, sizeof(reg));
		return 0;
	case KVM_GET_DEVICE_ATTR:
		memcpy((void *)(uintptr_t)((struct kvm_device_attr *)arg)->addr, &attr,
			sizeof(attr));
		return 0;
	default:
		return 0;
	}
}

static inline void dr_add(struct dr *t, const struct dev_desc *d)
{
	assert_true(t->boot.nr_devs < DR_MAX_DEVS);
	t->dev[t->boot.nr_devs++] = *d;
}

static inline struct dev_desc dr_virtio(unsigned n)
{
	return (struct dev_desc){
		.kind = DEV_VIRTIO_MMIO,
		.base = arch_virtio_base() + n * ARCH_VIRTIO_STEP,
		.len = ARCH_VIRTIO_STEP,
		.gsi = arch_virtio_gsi(n),
		.has_irq = true,
		.index = n,
	};
}

/** All that a machine with so many uarts and virtio devices has, in the order it is found. */
static inline void dr_devices(struct dr *t, unsigned nr_uarts, unsigned nr_virtio)
{
	struct dev_desc fixed[ARCH_MAX_FIXED], d;
	unsigned nr_fixed = arch_fixed_devs(fixed);

	t->boot.nr_devs = 0;
	for (unsigned i = 0; i < nr_uarts; i++) {
		arch_uart_desc(i, &d);
		dr_add(t, &d);
	}
	for (unsigned i = 0; i < nr_fixed; i++)
		dr_add(t, &fixed[i]);
	for (unsigned i = 0; i < nr_virtio; i++) {
		d = dr_virtio(i);
		dr_add(t, &d);
	}
}

static inline void dr_ram(struct dr *t, uint64_t bytes)
{
	gm_fini(&t->gm);
	memset(&t->gm, 0, sizeof(t->gm));
	assert_int_equal(gm_add_ram(&t->gm, DT_RAM, bytes, &t->err), 0);
}

/** The machine around the payload, complete but for that. */
static inline void dr_machine(struct dr *t, unsigned nr_cpus)
{
	struct arch_parts parts = { .mmio = &t->mmio,
		.loop = t->loop,
		.nr_cpus = nr_cpus,
		.nr_lines = DT_GSI_VIRTIO + ARCH_MAX_VIRTIO };

	arch_vm_destroy(t->av);
	t->av = NULL;
	memset(&t->mmio, 0, sizeof(t->mmio));
	assert_int_equal(arch_vm_create(&parts, &t->av, &t->err), 0);
	for (unsigned i = 0; i < nr_cpus; i++)
		assert_int_equal(arch_vcpu_init(t->av, dr_vcpu(i), i, &t->err), 0);
	assert_int_equal(arch_vm_ready(t->av, &t->err), 0);
	t->boot.nr_cpus = nr_cpus;
	t->boot.av = t->av;
}

/** An Image of the architecture that this is linked with; size is what it says it needs. */
static inline void dr_image(struct dr *t, uint64_t size)
{
	if (dt_kernel_target.formats & BIT(KERNEL_IMAGE_ARM64))
		li_arm64_image(&t->file);
	else
		li_riscv64_image(&t->file);
	le64_put(t->file.file + 0x08, 0);
	le64_put(t->file.file + 0x10, size);
}

static inline int dr_setup(void **state)
{
	struct dr *t = calloc(1, sizeof(*t));

	memset(&fake_hv, 0, sizeof(fake_hv));
	fake_hv.ioctl = dr_ioctl;
	t->boot = (struct arch_boot){ .dev = t->dev,
		.kernel_fd = -1,
		.initrd_fd = -1,
		.kernel_path = "Image",
		.initrd_path = "initrd",
		.cmdline = "panic=-1 quiet" };
	assert_int_equal(loop_create(&t->loop, &t->err), 0);
	dr_devices(t, 1, 2);
	dr_ram(t, DR_RAM);
	dr_machine(t, 2);
	dr_image(t, LI_IMAGE_SIZE);
	*state = t;
	return 0;
}

static inline int dr_teardown(void **state)
{
	struct dr *t = *state;

	arch_vm_destroy(t->av);
	loop_destroy(t->loop);
	gm_fini(&t->gm);
	fd_close(&t->boot.kernel_fd);
	fd_close(&t->boot.initrd_fd);
	free(t);
	return 0;
}

#define DR_TEST(f) cmocka_unit_test_setup_teardown(f, dr_setup, dr_teardown)

static inline int dr_load(struct dr *t)
{
	int rc;

	fd_close(&t->boot.kernel_fd);
	t->boot.kernel_fd = li_memfd(t->file.file, t->file.len);
	memset(&t->err, 0, sizeof(t->err));
	memset(&t->entry, 0x5a, sizeof(t->entry));
	rc = arch_load_payload(&t->gm, &t->boot, &t->payload, &t->err);
	return rc ? rc : arch_load(&t->gm, &t->boot, &t->payload, &t->entry, &t->err);
}

static inline void dr_loads(struct dr *t)
{
	if (dr_load(t))
		fail_msg("%s", t->err.msg);
}

/** Fails with this code, and the line begins so. */
static inline void dr_says(const struct dr *t, int rc, int code, const char *begins)
{
	assert_int_equal(rc, -code);
	if (strncmp(t->err.msg, begins, strlen(begins)) != 0)
		fail_msg("\"%s\" does not begin with \"%s\"", t->err.msg, begins);
}

/* ---- the tree, read with libfdt ---- */

static inline const uint8_t *dr_fdt(const struct dr *t)
{
	const uint8_t *fdt = gm_slice(&t->gm, t->payload.tables, DT_ROOM);

	assert_non_null(fdt);
	assert_int_equal(fdt_check_full(fdt, DT_ROOM), 0);
	return fdt;
}

/** A property's bytes, or NULL; its length is len. */
static inline const void *dr_prop(const struct dr *t, const char *path, const char *name, int *len)
{
	const uint8_t *fdt = dr_fdt(t);
	int node = fdt_path_offset(fdt, path);

	if (node < 0)
		fail_msg("%s: %s", path, fdt_strerror(node));
	return fdt_getprop(fdt, node, name, len);
}

static inline uint64_t dr_u64(const struct dr *t, const char *path, const char *name)
{
	int len;
	const void *p = dr_prop(t, path, name, &len);

	assert_non_null(p);
	assert_int_equal(len, 8);
	return fdt64_ld(p);
}

// SPDX-License-Identifier: BSD-3-Clause
/*
 * The x86_64 machine: RAM around the hole below 4 GiB, split interrupt chips, where devices
 * sit, and how a payload is put into memory.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>

#include "arch/x86_64/cpuid.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/x86.h"
#include "devices/power.h"
#include "devices/uart.h"

const char *const arch_name = "x86_64";
const char *const arch_uart_tty = "ttyS";

const bool arch_has_acpi = true;
const bool arch_has_fdt = false;
/* Up to where CPUID_BASELINE_ADDRESS_BITS reach, without the hole below 4 GiB. */
const uint64_t arch_baseline_mem_mib =
	((1ULL << CPUID_BASELINE_ADDRESS_BITS) - (X86_HIGH_RAM - X86_LOW_RAM_END)) / MIB;

struct arch_vm {
	struct hv *hv;
	struct hv_vm *vm;
	struct ioapic *ioapic; /* owned */
	unsigned nr_cpus;
	bool baseline_cpu, fixed_clock;
	uint32_t clock_s;
};

int arch_add_ram(struct guest_memory *gm, uint64_t bytes, struct err *err)
{
	uint64_t low = MIN(bytes, X86_LOW_RAM_END);
	int rc = gm_add_ram(gm, 0, low, err);

	if (!rc && bytes > low)
		rc = gm_add_ram(gm, X86_HIGH_RAM, bytes - low, err);
	return rc;
}

gpa_t arch_virtio_base(void)
{
	return X86_VIRTIO_BASE;
}

uint32_t arch_virtio_gsi(unsigned n)
{
	BUG_ON(n >= ARCH_MAX_VIRTIO);
	return X86_GSI_VIRTIO + n;
}

void arch_uart_desc(unsigned n, struct dev_desc *ret)
{
	/* Where ISA has them; lines are not shared, unlike ISA's, because they are edges. */
	static const struct {
		uint16_t port;
		uint8_t gsi;
	} com[ARCH_MAX_UARTS] = { { 0x3f8, 4 }, { 0x2f8, 3 }, { 0x3e8, 5 }, { 0x2e8, 6 } };

	BUG_ON(n >= ARCH_MAX_UARTS);
	*ret = (struct dev_desc){
		.kind = DEV_UART,
		.is_port = true,
		.base = com[n].port,
		.len = UART_LEN,
		.gsi = com[n].gsi,
		.has_irq = true,
		.index = n,
	};
}

unsigned arch_fixed_devs(struct dev_desc ret[ARCH_MAX_FIXED])
{
	ret[0] = (struct dev_desc){
		.kind = DEV_SLEEP, .is_port = true, .base = X86_PORT_POWER, .len = POWER_LEN
	};
	ret[1] = (struct dev_desc){
		.kind = DEV_PVPANIC, .is_port = true, .base = X86_PORT_PVPANIC, .len = PVPANIC_LEN
	};
	ret[2] = (struct dev_desc){
		.kind = DEV_I8042, .is_port = true, .base = X86_PORT_I8042, .len = 1
	};
	return 3;
}

int arch_vm_type(const struct hv *hv __unused, const struct guest_memory *gm __unused,
	unsigned long *ret, struct err *err __unused)
{
	*ret = 0;
	return 0;
}

int arch_vm_create(const struct arch_parts *parts, struct arch_vm **ret, struct err *err)
{
	struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { parts->nr_lines } };
	uint64_t identity = X86_IDENTITY_MAP;
	struct arch_vm *av = calloc(1, sizeof(*av));
	int rc;

	if (!av)
		return err_errno(err, ENOMEM, "machine");
	av->hv = parts->hv;
	av->vm = parts->vm;
	av->nr_cpus = parts->nr_cpus;
	av->baseline_cpu = parts->baseline_cpu;
	av->fixed_clock = parts->fixed_clock;
	av->clock_s = parts->clock_s;
	/* Only processors that cannot run real mode in a guest use these pages. */
	rc = hv_vm_ioctl(av->vm, KVM_SET_IDENTITY_MAP_ADDR, (uintptr_t)&identity);
	if (!rc)
		rc = hv_vm_ioctl(av->vm, KVM_SET_TSS_ADDR, X86_TSS);
	if (!rc)
		rc = hv_vm_ioctl(av->vm, KVM_ENABLE_CAP, (uintptr_t)&split);
	if (rc) {
		free(av);
		return err_errno(err, -rc, "KVM: cannot create interrupt chips");
	}
	rc = parts->fixed_clock ? x86_clock_take_over(av->hv, av->vm, err) : 0;
	if (!rc)
		rc = ioapic_create(av->vm, parts->nr_lines, &av->ioapic, err);
	if (rc) {
		free(av);
		return rc;
	}
	BUG_ON(bus_add(parts->mmio, X86_IOAPIC, IOAPIC_LEN, &ioapic_bus_ops, av->ioapic));
	*ret = av;
	return 0;
}

void arch_vm_destroy(struct arch_vm *av)
{
	if (!av)
		return;
	ioapic_destroy(av->ioapic);
	free(av);
}

/*
 * initrd_max is what Linux says in the header of its bzImage (initrd_addr_max), for a vmlinux,
 * which has no such header. More than 4 GiB - 1 would not do, as its PVH code keeps 32 bits.
 */
static const struct kernel_target x86_kernels = {
	.name = "x86_64",
	.elf_machine = EM_X86_64,
	.formats = BIT(KERNEL_BZIMAGE) | BIT(KERNEL_ELF_PVH) | BIT(KERNEL_ELF_LINUX),
	.cmdline_max = 2047, /* COMMAND_LINE_SIZE without the NUL */
	.initrd_max = 0x7fffffff,
	.page_size = PAGE_SIZE_4K,
};

int arch_vm_ready(struct arch_vm *av __unused, struct err *err __unused)
{
	return 0;
}

int arch_irq_bind(struct arch_vm *av, uint32_t gsi, int fd)
{
	return hv_irqfd(av->vm, gsi, fd);
}

int arch_load_payload(struct guest_memory *gm, const struct arch_boot *boot,
	struct arch_payload *ret, struct err *err)
{
	gpa_t low_end = gm->region[0].base + gm->region[0].len;
	int rc = kernel_load(gm, boot->kernel_fd, boot->kernel_path, &x86_kernels, X86_KERNEL_LOW,
		&ret->kernel, err);

	ret->initrd = 0;
	ret->initrd_len = 0;
	if (!rc && boot->initrd_fd >= 0)
		rc = initrd_load(gm, boot->initrd_fd, boot->initrd_path, &ret->kernel, low_end,
			&ret->initrd, &ret->initrd_len, err);
	return rc;
}

int arch_load(struct guest_memory *gm, const struct arch_boot *boot,
	const struct arch_payload *payload, struct arch_entry *ret, struct err *err)
{
	struct x86_payload p = {
		.kernel = payload->kernel,
		.initrd = payload->initrd,
		.initrd_len = payload->initrd_len,
		.cmdline = X86_CMDLINE,
	};
	struct x86_firmware fw;
	int rc = cmdline_load(gm, boot->cmdline, &p.kernel, X86_CMDLINE, ARCH_CMDLINE_ROOM, err);

	if (!rc)
		rc = x86_write_firmware(gm, boot, &fw, err);
	if (rc)
		return rc;
	p.rsdp = fw.rsdp;
	ret->pc = p.kernel.entry;
	if (p.kernel.kind == KERNEL_ELF_PVH) {
		ret->kind = X86_ENTRY_PVH;
		ret->arg = X86_PVH_INFO;
		rc = x86_write_pvh_info(gm, &p, err);
	} else {
		ret->kind = X86_ENTRY_LINUX64;
		ret->arg = X86_ZERO_PAGE;
		rc = x86_write_boot_params(gm, boot, &p, err);
	}
	return rc ? rc : x86_write_tables(gm, p.kernel.end, err);
}

int arch_vcpu_init(struct arch_vm *av, struct hv_vcpu *cpu, unsigned id, struct err *err)
{
	int rc = x86_set_cpuid(av->hv, cpu, id, av->nr_cpus, av->baseline_cpu, err);

	return rc ? rc : x86_set_msrs(cpu, err);
}

int arch_vcpu_enter(struct arch_vm *av __unused, struct hv_vcpu *cpu,
	const struct arch_entry *entry, struct err *err)
{
	return x86_set_entry(cpu, entry, err);
}

bool arch_pages_readable(const struct arch_vm *av __unused)
{
	return true;
}

void arch_page_clean(const void *p __unused, size_t len __unused)
{
}

void arch_on_sbi(struct arch_vm *av __unused, struct hv_exit *exit __unused,
	const struct guest_memory *gm __unused,
	void (*put)(void *ctx, const void *buf, size_t len) __unused, void *ctx __unused)
{
}

void arch_on_wrmsr(struct arch_vm *av, struct hv_exit *exit, const struct guest_memory *gm)
{
	if (av->fixed_clock && x86_clock_answer(exit, gm, av->clock_s))
		*exit->wrmsr.error = 0;
}

void arch_measure(const struct guest_memory *gm, const struct arch_payload *payload __unused,
	arch_measure_fn put, void *ctx)
{
	/* Kernels lie above: below is what arch_load wrote, and zeroes. */
	const void *low = gm_slice(gm, 0, X86_KERNEL_LOW);

	BUG_ON(!low);
	put(ctx, "tables", low, X86_KERNEL_LOW);
}

const struct arch_cap arch_caps[] = {
	{ KVM_CAP_IRQFD, "irqfd", "interrupts", true },
	{ KVM_CAP_IOEVENTFD, "ioeventfd", "queue notifications", true },
	{ KVM_CAP_SPLIT_IRQCHIP, "split irqchip", "interrupt lines for any number of devices",
		true },
	{ KVM_CAP_EXT_CPUID, "CPUID", "the guest's view of its CPU", true },
	{ KVM_CAP_IMMEDIATE_EXIT, "immediate exit", "stopping a CPU without losing a signal",
		true },
	{ KVM_CAP_READONLY_MEM, "read-only memory", "device registers that read without an exit",
		false },
	{ KVM_CAP_TSC_DEADLINE_TIMER, "TSC deadline timer", "guest timers without calibration",
		false },
	{ KVM_CAP_GET_TSC_KHZ, "TSC frequency", "guest clocks without calibration", false },
	{ KVM_CAP_X86_MSR_FILTER, "MSR filter", "--clock, --deterministic", false },
	{ KVM_CAP_TSC_CONTROL, "TSC scaling",
		"one TSC frequency on all hosts (--cpu-model baseline)", false },
	{ 0 },
};

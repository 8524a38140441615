// SPDX-License-Identifier: BSD-3-Clause
/*
 * vCPU threads: run the guest, hand each exit to its handler, stop when the machine ends.
 * No device works here: a handler copies registers or signals an eventfd.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "base/thread.h"
#include "vmm/vm.h"

typedef void (*vcpu_handler)(struct vcpu *cpu, struct hv_exit *exit);

static void vcpu_on_mmio(struct vcpu *cpu, struct hv_exit *exit)
{
	if (exit->mmio.is_write)
		bus_write(&cpu->vm->mmio, exit->mmio.addr, exit->mmio.data, exit->mmio.len);
	else
		bus_read(&cpu->vm->mmio, exit->mmio.addr, exit->mmio.data, exit->mmio.len);
}

static void vcpu_on_pio(struct vcpu *cpu, struct hv_exit *exit)
{
	uint8_t *data = exit->pio.data;

	/* A string instruction's accesses, one after another at the same port. */
	for (unsigned i = 0; i < exit->pio.count; i++, data += exit->pio.size) {
		if (exit->pio.is_write)
			bus_write(&cpu->vm->pio, exit->pio.port, data, exit->pio.size);
		else
			bus_read(&cpu->vm->pio, exit->pio.port, data, exit->pio.size);
	}
}

static void vcpu_on_nothing(struct vcpu *cpu __unused, struct hv_exit *exit __unused)
{
}

static void vcpu_on_shutdown(struct vcpu *cpu, struct hv_exit *exit __unused)
{
	vm_end(cpu->vm, STATUS_CRASH, "the guest crashed: triple fault on CPU %u", cpu->id);
}

static void vcpu_on_system(struct vcpu *cpu, struct hv_exit *exit)
{
	switch (exit->system) {
	case HV_SYSTEM_POWEROFF:
		vm_end(cpu->vm, STATUS_OK, "the guest powered off");
		return;
	case HV_SYSTEM_RESET:
		vm_end(cpu->vm, STATUS_RESET, "the guest asked for a reset");
		return;
	case HV_SYSTEM_CRASH:
		vm_end(cpu->vm, STATUS_PANIC, "the guest's kernel panicked");
		return;
	case HV_SYSTEM_OTHER:
		vm_end(cpu->vm, STATUS_CRASH, "the guest made a system event that is not known");
	}
}

static void vcpu_on_failed(struct vcpu *cpu, struct hv_exit *exit)
{
	vm_end(cpu->vm, STATUS_CRASH, "CPU %u cannot go on: %s", cpu->id, exit->reason);
}

static void vcpu_on_sbi(struct vcpu *cpu, struct hv_exit *exit)
{
	arch_on_sbi(cpu->vm->arch, exit, &cpu->vm->gm, devices_console_put, cpu->vm);
}

static void vcpu_on_wrmsr(struct vcpu *cpu, struct hv_exit *exit)
{
	arch_on_wrmsr(cpu->vm->arch, exit, &cpu->vm->gm);
}

static const vcpu_handler handler[HV_EXIT_NR] = {
	[HV_EXIT_MMIO] = vcpu_on_mmio,
	[HV_EXIT_PIO] = vcpu_on_pio,
	[HV_EXIT_KICKED] = vcpu_on_nothing, /* the loop looks at vm->ending */
	[HV_EXIT_SHUTDOWN] = vcpu_on_shutdown,
	[HV_EXIT_SYSTEM] = vcpu_on_system,
	[HV_EXIT_EOI] = vcpu_on_nothing, /* all lines are edges */
	[HV_EXIT_SBI] = vcpu_on_sbi,
	[HV_EXIT_WRMSR] = vcpu_on_wrmsr,
	[HV_EXIT_FAILED] = vcpu_on_failed,
};

static void *vcpu_thread(void *arg)
{
	struct vcpu *cpu = arg;
	struct hv_exit exit;
	char name[16];

	snprintf(name, sizeof(name), "vcpu%u", cpu->id);
	pthread_setname_np(pthread_self(), name);
	vm_lock_down(cpu->vm, "monitor-vcpu");
	while (!atomic_load(&cpu->vm->ending)) {
		hv_vcpu_run(cpu->hv, &exit);
		handler[exit.kind](cpu, &exit);
	}
	return NULL;
}

int vcpu_start_all(struct vm *vm, struct err *err)
{
	for (unsigned i = 0; i < vm->nr_cpus; i++) {
		int rc = thread_create(&vm->cpu[i].thread, vcpu_thread, &vm->cpu[i]);

		if (rc)
			return err_errno(err, -rc, "--cpus: thread of CPU %u", i);
		vm->cpu[i].started = true;
	}
	return 0;
}

void vcpu_stop_all(struct vm *vm)
{
	for (unsigned i = 0; i < vm->nr_cpus; i++)
		if (vm->cpu[i].started)
			hv_vcpu_kick(vm->cpu[i].hv, (unsigned long)vm->cpu[i].thread);
	for (unsigned i = 0; i < vm->nr_cpus; i++) {
		if (!vm->cpu[i].started)
			continue;
		pthread_join(vm->cpu[i].thread, NULL);
		vm->cpu[i].started = false;
	}
}

// SPDX-License-Identifier: BSD-3-Clause
/*
 * vCPUs of the KVM backend. hv_vcpu_run belongs to the vCPU's thread; hv_vcpu_kick to any.
 *
 * Invariant: a kick is never lost. The kicker sets immediate_exit before it sends the
 * signal, so KVM_RUN either is interrupted by the signal or sees the flag on entry.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "hypervisor/hv.h"
#include "hypervisor/kvm/internal.h"

#define KICK_SIGNAL SIGUSR1

int hv_vcpu_create(struct hv_vm *vm, unsigned id, struct hv_vcpu **ret, struct err *err)
{
	struct hv_vcpu *cpu = calloc(1, sizeof(*cpu));
	int rc;

	if (!cpu)
		return err_errno(err, ENOMEM, "--cpus: CPU %u", id);
	cpu->fd = kvm_ioctl(vm->fd, KVM_CREATE_VCPU, id);
	if (cpu->fd < 0) {
		rc = cpu->fd;
		free(cpu);
		return err_errno(err, -rc, "--cpus: KVM refuses CPU %u", id);
	}
	cpu->run_len = vm->run_len;
	cpu->run = mmap(NULL, cpu->run_len, PROT_READ | PROT_WRITE, MAP_SHARED, cpu->fd, 0);
	if (cpu->run == MAP_FAILED) {
		rc = -errno;
		cpu->run = NULL;
		hv_vcpu_destroy(cpu);
		return err_errno(err, -rc, "--cpus: CPU %u", id);
	}
	*ret = cpu;
	return 0;
}

void hv_vcpu_destroy(struct hv_vcpu *cpu)
{
	if (!cpu)
		return;
	if (cpu->run)
		munmap(cpu->run, cpu->run_len);
	fd_close(&cpu->fd);
	free(cpu);
}

int hv_vcpu_ioctl(struct hv_vcpu *cpu, unsigned long req, void *arg)
{
	return kvm_ioctl(cpu->fd, req, (unsigned long)arg);
}

static void kvm_on_kick(int sig __unused)
{
}

void hv_kick_init(void)
{
	/* No SA_RESTART: KVM_RUN must return. */
	struct sigaction sa = { .sa_handler = kvm_on_kick };

	BUG_ON(sigaction(KICK_SIGNAL, &sa, NULL));
}

void hv_vcpu_kick(struct hv_vcpu *cpu, unsigned long thread)
{
	__atomic_store_n(&cpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill((pthread_t)thread, KICK_SIGNAL);
}

static void kvm_exit_failed(struct hv_exit *exit, const char *what, unsigned long long code)
{
	exit->kind = HV_EXIT_FAILED;
	snprintf(exit->reason, sizeof(exit->reason), "%s (0x%llx)", what, code);
}

static void kvm_exit_internal(struct hv_exit *exit, const struct kvm_run *run)
{
	static const char *const why[] = {
		[KVM_INTERNAL_ERROR_EMULATION] = "KVM cannot emulate a guest instruction",
		[KVM_INTERNAL_ERROR_SIMUL_EX] = "simultaneous guest exceptions",
		[KVM_INTERNAL_ERROR_DELIVERY_EV] = "a guest exception in the middle of an event",
		[KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] = "an exit that KVM does not know",
	};
	unsigned sub = run->internal.suberror;

	kvm_exit_failed(
		exit, sub < ARRAY_SIZE(why) && why[sub] ? why[sub] : "KVM internal error", sub);
}

static void kvm_exit_system(struct hv_exit *exit, const struct kvm_run *run)
{
	exit->kind = HV_EXIT_SYSTEM;
	switch (run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		exit->system = HV_SYSTEM_POWEROFF;
		return;
	case KVM_SYSTEM_EVENT_RESET:
		exit->system = HV_SYSTEM_RESET;
		return;
	case KVM_SYSTEM_EVENT_CRASH:
		exit->system = HV_SYSTEM_CRASH;
		return;
	default:
		exit->system = HV_SYSTEM_OTHER;
	}
}

#define SBI_ERR_NOT_SUPPORTED (-2L)

/** Answered here, so that a call which nobody serves is refused as the document asks. */
static void kvm_exit_sbi(struct kvm_run *run, struct hv_exit *exit)
{
	exit->kind = HV_EXIT_SBI;
	exit->sbi.ext = run->riscv_sbi.extension_id;
	exit->sbi.func = run->riscv_sbi.function_id;
	for (unsigned i = 0; i < ARRAY_SIZE(exit->sbi.arg); i++)
		exit->sbi.arg[i] = run->riscv_sbi.args[i];
	run->riscv_sbi.ret[0] = (unsigned long)SBI_ERR_NOT_SUPPORTED;
	run->riscv_sbi.ret[1] = 0;
	exit->sbi.ret = (uint64_t *)(void *)run->riscv_sbi.ret;
}

static void kvm_exit_value(struct kvm_run *run, struct hv_exit *exit)
{
	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		exit->kind = HV_EXIT_MMIO;
		exit->mmio.addr = run->mmio.phys_addr;
		exit->mmio.data = run->mmio.data;
		exit->mmio.len = run->mmio.len;
		exit->mmio.is_write = run->mmio.is_write;
		return;
	case KVM_EXIT_IO:
		exit->kind = HV_EXIT_PIO;
		exit->pio.port = run->io.port;
		exit->pio.size = run->io.size;
		exit->pio.count = run->io.count;
		exit->pio.data = (uint8_t *)run + run->io.data_offset;
		exit->pio.is_write = run->io.direction == KVM_EXIT_IO_OUT;
		return;
	case KVM_EXIT_INTR:
		exit->kind = HV_EXIT_KICKED;
		return;
	case KVM_EXIT_SHUTDOWN:
		exit->kind = HV_EXIT_SHUTDOWN;
		return;
	case KVM_EXIT_SYSTEM_EVENT:
		kvm_exit_system(exit, run);
		return;
	case KVM_EXIT_RISCV_SBI:
		kvm_exit_sbi(run, exit);
		return;
	case KVM_EXIT_X86_WRMSR:
		exit->kind = HV_EXIT_WRMSR;
		exit->wrmsr.index = run->msr.index;
		exit->wrmsr.value = run->msr.data;
		exit->wrmsr.error = &run->msr.error;
		run->msr.error = 1;
		return;
	case KVM_EXIT_IOAPIC_EOI:
		exit->kind = HV_EXIT_EOI;
		return;
	case KVM_EXIT_FAIL_ENTRY:
		kvm_exit_failed(exit, "the processor refuses to enter the guest",
			run->fail_entry.hardware_entry_failure_reason);
		return;
	case KVM_EXIT_INTERNAL_ERROR:
		kvm_exit_internal(exit, run);
		return;
	default:
		kvm_exit_failed(
			exit, "an exit of a kind that mayfly does not know", run->exit_reason);
	}
}

void hv_vcpu_run(struct hv_vcpu *cpu, struct hv_exit *exit)
{
	if (ioctl(cpu->fd, KVM_RUN, 0) < 0) {
		if (errno == EINTR || errno == EAGAIN) {
			exit->kind = HV_EXIT_KICKED;
			/* Before the caller loads what the next kick is about. */
			__atomic_store_n(&cpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
			return;
		}
		kvm_exit_failed(exit, strerrordesc_np(errno), (unsigned)errno);
		return;
	}
	kvm_exit_value(cpu->run, exit);
}

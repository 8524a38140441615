// SPDX-License-Identifier: BSD-3-Clause
/*
 * The time of day. A guest asks KVM for it: it writes to a register the address of a structure,
 * and KVM fills that in with the host's time at which the guest's system time was 0. Where the
 * machine shall begin at another time, KVM is told to hand the write on, and the structure is
 * filled in here; system time, which is counted from the machine's making, stays KVM's.
 *
 * Linux Documentation/virt/kvm/x86/msr.rst, MSR_KVM_WALL_CLOCK_NEW; virt/kvm/api.rst,
 * KVM_X86_SET_MSR_FILTER. vCPU threads; no state.
 */
#include <errno.h>

#include "arch/x86_64/x86.h"

#define MSR_KVM_WALL_CLOCK     0x11
#define MSR_KVM_WALL_CLOCK_NEW 0x4b564d00

/* struct pvclock_wall_clock */
struct wall_clock {
	uint32_t version; /* odd: being written */
	uint32_t sec, nsec;
};

int x86_clock_take_over(struct hv *hv, struct hv_vm *vm, struct err *err)
{
	static uint8_t none; /* of one register: not allowed */
	struct kvm_enable_cap exits = { .cap = KVM_CAP_X86_USER_SPACE_MSR,
		.args = { KVM_MSR_EXIT_REASON_FILTER } };
	struct kvm_msr_filter filter = {
		.flags = KVM_MSR_FILTER_DEFAULT_ALLOW,
		.ranges = {
			{ KVM_MSR_FILTER_WRITE, 1, MSR_KVM_WALL_CLOCK, &none },
			{ KVM_MSR_FILTER_WRITE, 1, MSR_KVM_WALL_CLOCK_NEW, &none },
		},
	};
	int rc;

	if (!hv_cap(hv, KVM_CAP_X86_MSR_FILTER) || !hv_cap(hv, KVM_CAP_X86_USER_SPACE_MSR))
		return err_set(err, ENOTSUP,
			"--clock: this host's KVM cannot leave its clock to mayfly (Linux 5.10 can)");
	rc = hv_vm_ioctl(vm, KVM_ENABLE_CAP, (uintptr_t)&exits);
	if (!rc)
		rc = hv_vm_ioctl(vm, KVM_X86_SET_MSR_FILTER, (uintptr_t)&filter);
	return rc ? err_errno(err, -rc, "--clock: KVM") : 0;
}

bool x86_clock_answer(const struct hv_exit *exit, const struct guest_memory *gm, uint32_t start_s)
{
	struct wall_clock w = { .sec = start_s };
	gpa_t gpa = exit->wrmsr.value;
	uint32_t version;

	if (exit->wrmsr.index != MSR_KVM_WALL_CLOCK && exit->wrmsr.index != MSR_KVM_WALL_CLOCK_NEW)
		return false;
	/* As KVM does it: an address that is no RAM is not answered, and is no fault. */
	if (gm_read(gm, gpa, &version, sizeof(version)))
		return true;
	w.version = (version | 1) + (version & 1 ? 2 : 0);
	if (gm_write(gm, gpa, &w, sizeof(w)))
		return true;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	w.version++;
	(void)!gm_write(gm, gpa, &w.version, sizeof(w.version));
	return true;
}

// SPDX-License-Identifier: BSD-3-Clause
#include "sandbox/policy.h"
#include "vmm/vm.h"

void vm_lock_down(struct vm *vm, const char *policy)
{
	int rc;

	if (vm->cfg->disable_sandbox)
		return;
	rc = policy_load(policy_find(policy));
	if (rc)
		vm_end(vm, STATUS_FAILED, "%s: the policy for system calls: %s", policy,
			strerrordesc_np(-rc));
}

// SPDX-License-Identifier: BSD-3-Clause
#include "sandbox/policy.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

const struct policy *policy_find(const char *name)
{
	for (const struct policy *p = policies; p->name; p++)
		if (!strcmp(p->name, name))
			return p;
	bug(__FILE__, __LINE__, name);
}

int policy_load(const struct policy *p)
{
	struct sock_fprog prog = { .len = p->len,
		.filter = (struct sock_filter *)(uintptr_t)p->filter };

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) ? -errno : 0;
}

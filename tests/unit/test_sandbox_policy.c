// SPDX-License-Identifier: BSD-3-Clause
/*
 * The compiled policies against what their files say: each rule with arguments that it allows
 * and with each of its conditions broken, each call without a rule, and the other architectures'
 * ways in. The filters are interpreted here, so all of it runs on any machine.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "sandbox/policy.h"

#define MAX_NR 1024 /* more than any architecture has calls */

/** Runs a filter as the kernel does (seccomp(2)): the loads are 32 bits of d. */
static uint32_t verdict(const struct policy *p, const struct seccomp_data *d)
{
	uint32_t a = 0;

	for (unsigned pc = 0; pc < p->len; pc++) {
		const struct sock_filter *f = &p->filter[pc];

		switch (f->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(f->k % 4 == 0 && f->k <= sizeof(*d) - 4);
			a = le32_get((const char *)d + f->k);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= f->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += f->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == f->k ? f->jt : f->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			pc += a > f->k ? f->jt : f->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += a >= f->k ? f->jt : f->jf;
			break;
		case BPF_RET | BPF_K:
			return f->k;
		default:
			fail_msg("%s: instruction 0x%x", p->name, f->code);
		}
	}
	fail_msg("%s: runs off its end", p->name);
	return 0;
}

static bool allowed(const struct policy *p, const struct seccomp_data *d)
{
	uint32_t v = verdict(p, d);

	/* Nothing in between. */
	assert_true(v == SECCOMP_RET_ALLOW || v == SECCOMP_RET_KILL_PROCESS);
	return v == SECCOMP_RET_ALLOW;
}

static bool rule_holds(const struct policy_rule *r, const struct seccomp_data *d)
{
	for (unsigned i = 0; i < r->nr_cmp; i++)
		if ((d->args[r->cmp[i].arg] & r->cmp[i].mask) != r->cmp[i].value)
			return false;
	return d->nr == r->nr;
}

/** What the files say of d. */
static bool should_be_allowed(const struct policy *p, const struct seccomp_data *d)
{
	for (const struct policy_rule *r = policy_rules; r->policy; r++)
		if (!strcmp(r->policy, p->name) && rule_holds(r, d))
			return true;
	return false;
}

static struct seccomp_data fitting(const struct policy_rule *r)
{
	struct seccomp_data d = { .nr = r->nr, .arch = policy_audit_arch };

	for (unsigned i = 0; i < r->nr_cmp; i++)
		d.args[r->cmp[i].arg] |= r->cmp[i].value;
	return d;
}

static void each_rule_allows_what_it_says(void **state __unused)
{
	unsigned n = 0;

	for (const struct policy_rule *r = policy_rules; r->policy; r++, n++) {
		const struct policy *p = policy_find(r->policy);
		struct seccomp_data d = fitting(r);

		assert_true(rule_holds(r, &d));
		if (!allowed(p, &d))
			fail_msg("%s: call %d is not allowed", p->name, r->nr);
		/* What no condition is about may be anything. */
		for (unsigned i = 0; i < 6; i++) {
			uint64_t free = UINT64_MAX;

			for (unsigned k = 0; k < r->nr_cmp; k++)
				if (r->cmp[k].arg == i)
					free &= ~r->cmp[k].mask;
			d.args[i] |= free;
		}
		assert_true(rule_holds(r, &d));
		if (!allowed(p, &d))
			fail_msg("%s: call %d is not allowed with other arguments", p->name, r->nr);
	}
	assert_true(n > 100);
}

static void each_condition_counts_in_every_bit(void **state __unused)
{
	for (const struct policy_rule *r = policy_rules; r->policy; r++) {
		const struct policy *p = policy_find(r->policy);

		for (unsigned i = 0; i < r->nr_cmp; i++) {
			for (unsigned bit = 0; bit < 64; bit++) {
				struct seccomp_data d = fitting(r);

				if (!(r->cmp[i].mask & BIT(bit)))
					continue;
				d.args[r->cmp[i].arg] ^= BIT(bit);
				if (allowed(p, &d) != should_be_allowed(p, &d))
					fail_msg("%s: call %d, argument %u, bit %u", p->name, r->nr,
						r->cmp[i].arg, bit);
			}
		}
	}
}

static void calls_without_a_rule_kill(void **state __unused)
{
	for (const struct policy *p = policies; p->name; p++) {
		for (int nr = -1; nr < MAX_NR; nr++) {
			struct seccomp_data d = { .nr = nr, .arch = policy_audit_arch };

			if (allowed(p, &d) != should_be_allowed(p, &d))
				fail_msg("%s: call %d", p->name, nr);
		}
	}
}

static void other_architectures_and_their_numbers_kill(void **state __unused)
{
	for (const struct policy *p = policies; p->name; p++) {
		for (int nr = 0; nr < MAX_NR; nr++) {
			struct seccomp_data d = { .nr = nr, .arch = policy_audit_arch };

			for (unsigned bit = 0; bit < 32; bit++) {
				d.arch = policy_audit_arch ^ (uint32_t)BIT(bit);
				assert_false(allowed(p, &d));
			}
			d.arch = policy_audit_arch;
			d.nr = nr | 0x40000000; /* x32's numbers */
			assert_false(allowed(p, &d));
		}
	}
}

/** What --vsock takes: clients come to the device, and the monitor connects for it. */
static bool policy_is_for_sockets(const char *name, int nr)
{
	return (!strcmp(name, "vsock") && nr == SYS_accept4) ||
		(!strcmp(name, "monitor-io") && (nr == SYS_socket || nr == SYS_connect));
}

/** What --shared-dir takes: files are opened beneath the directory. */
static bool policy_is_for_files(const char *name, int nr)
{
	return (!strcmp(name, "fs") || !strcmp(name, "p9")) &&
		(nr == SYS_openat || nr == SYS_openat2);
}

/** What no policy may have, whatever its file says. */
static void nothing_opens_runs_or_escapes(void **state __unused)
{
	static const int never[] = { SYS_execve, SYS_execveat, SYS_openat, SYS_openat2, SYS_socket,
		SYS_connect, SYS_bind, SYS_accept4, SYS_ptrace, SYS_process_vm_readv,
		SYS_process_vm_writev, SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot,
		SYS_unshare, SYS_setns, SYS_clone, SYS_clone3, SYS_kill, SYS_capset, SYS_setuid,
		SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_memfd_create, SYS_keyctl,
		SYS_io_uring_setup, SYS_io_uring_register, SYS_seccomp, SYS_init_module,
		SYS_personality, SYS_open_by_handle_at, SYS_pidfd_getfd, SYS_mremap };

	for (const struct policy *p = policies; p->name; p++) {
		for (size_t i = 0; i < ARRAY_SIZE(never); i++)
			for (const struct policy_rule *r = policy_rules; r->policy; r++)
				if (!strcmp(r->policy, p->name) && r->nr == never[i] &&
					!policy_is_for_sockets(p->name, never[i]) &&
					!policy_is_for_files(p->name, never[i]))
					fail_msg("%s: call %d", p->name, never[i]);
		for (unsigned prot = 0; prot < 16; prot++) {
			struct seccomp_data d = { .nr = SYS_mmap, .arch = policy_audit_arch };

			d.args[2] = prot;
			if (prot & PROT_EXEC)
				assert_false(allowed(p, &d));
			d.nr = SYS_mprotect;
			if (prot & PROT_EXEC)
				assert_false(allowed(p, &d));
		}
	}
}

static void there_is_a_policy_for_everything(void **state __unused)
{
	static const char *const names[] = { "block", "console", "fs", "p9", "rng", "vsock",
		"monitor-main", "monitor-io", "monitor-vcpu" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_true(policy_find(names[i])->len > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rule_allows_what_it_says),
		cmocka_unit_test(each_condition_counts_in_every_bit),
		cmocka_unit_test(calls_without_a_rule_kill),
		cmocka_unit_test(other_architectures_and_their_numbers_kill),
		cmocka_unit_test(nothing_opens_runs_or_escapes),
		cmocka_unit_test(there_is_a_policy_for_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

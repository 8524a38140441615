// SPDX-License-Identifier: BSD-3-Clause
/*
 * used [POLICY...]: reads what strace -f -n -Y -e raw=all wrote of mayfly's processes on stdin, and
 * judges the lines of sandbox/policies/: each line must have allowed a call that was made, or say
 * in its reason why none is ("unseen:", and then there is none), or on what that depends
 * ("depends:"). A line of an included file counts once one of the policies that include it used it.
 * With names, only the lines of these policies are judged. Prints a line for each that is at fault
 * and one that counts. Status 0 when there is none, 1 when there is.
 *
 * A thread's calls count from its seccomp(2) on. Which policy that loads is told by its name: a
 * device process has that of its kind and a number, a vCPU and the I/O thread have theirs, and
 * any other thread that loads one is the monitor's main.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "sandbox/policy.h"

#define MAX_TASKS 4096
#define MAX_RULES 1024

static struct {
	unsigned long pid;
	const char *policy;
} tasks[MAX_TASKS];
static unsigned nr_tasks;
static bool used[MAX_RULES];

struct call {
	unsigned long pid;
	char comm[32];
	int nr;
	uint64_t args[6];
};

/** "PID<COMM> [ NR] NAME(ARG, ...": false for the lines that are something else. */
static bool parse(const char *line, struct call *ret)
{
	char *p;
	size_t len;

	ret->pid = strtoul(line, &p, 10);
	if (*p++ != '<')
		return false;
	len = strcspn(p, ">");
	if (p[len] != '>' || len >= sizeof(ret->comm))
		return false;
	memcpy(ret->comm, p, len);
	ret->comm[len] = '\0';
	p += len + 1;
	p += strspn(p, " ");
	if (*p != '[')
		return false;
	ret->nr = (int)strtol(p + 1, &p, 10);
	if (strncmp(p, "] ", 2) || !strncmp(p, "] <... ", 7))
		return false;
	p = strchr(p, '(');
	if (!p)
		return false;
	memset(ret->args, 0, sizeof(ret->args));
	for (unsigned i = 0; i < ARRAY_SIZE(ret->args); i++) {
		ret->args[i] = strtoull(p + 1, &p, 0);
		if (*p != ',')
			break;
	}
	return true;
}

static const char *policy_of(const char *comm)
{
	char kind[32];
	size_t len = strcspn(comm, "0123456789");

	if (!strcmp(comm, "io"))
		return "monitor-io";
	snprintf(kind, sizeof(kind), "%.*s", (int)len, comm);
	if (!strcmp(kind, "vcpu"))
		return "monitor-vcpu";
	for (const struct policy *p = policies; p->name && comm[len]; p++)
		if (!strcmp(p->name, kind))
			return p->name;
	return "monitor-main";
}

static const char **task_of(unsigned long pid)
{
	unsigned i = 0;

	while (i < nr_tasks && tasks[i].pid != pid)
		i++;
	if (i == MAX_TASKS) {
		fprintf(stderr, "used: more than %d threads\n", MAX_TASKS);
		exit(2);
	}
	if (i == nr_tasks)
		tasks[nr_tasks++].pid = pid;
	return &tasks[i].policy;
}

static bool holds(const struct policy_rule *r, const struct call *c)
{
	for (unsigned i = 0; i < r->nr_cmp; i++)
		if ((c->args[r->cmp[i].arg] & r->cmp[i].mask) != r->cmp[i].value)
			return false;
	return c->nr == r->nr;
}

static void count(const struct call *c)
{
	const char **policy = task_of(c->pid);

	if (c->nr == SYS_seccomp)
		*policy = policy_of(c->comm);
	else if (c->nr == SYS_execve || c->nr == SYS_execveat)
		*policy = NULL; /* a process that had the number before */
	else if (*policy)
		for (unsigned i = 0; policy_rules[i].policy; i++)
			if (!strcmp(policy_rules[i].policy, *policy) && holds(&policy_rules[i], c))
				used[i] = true;
}

static bool judged(const struct policy_rule *r, char **names)
{
	bool any = !*names;

	for (; *names; names++)
		any |= !strcmp(r->policy, *names);
	return any;
}

/**
 * Whether the line of rule i was used, by any of the named policies; and whether i is the first
 * of them with that line.
 */
static bool line_used(unsigned i, char **names, bool *ret_first)
{
	const struct policy_rule *r = &policy_rules[i];
	bool any = false;

	*ret_first = true;
	for (unsigned k = 0; policy_rules[k].policy; k++) {
		if (strcmp(policy_rules[k].file, r->file) || policy_rules[k].line != r->line ||
			!judged(&policy_rules[k], names))
			continue;
		any |= used[k];
		if (k < i)
			*ret_first = false;
	}
	return any;
}

/** Returns how many lines are at fault, and prints them. */
static unsigned judge(char **names)
{
	unsigned nr_used = 0, nr_unseen = 0, faults = 0;

	for (unsigned i = 0; policy_rules[i].policy; i++) {
		const struct policy_rule *r = &policy_rules[i];
		bool first, was = line_used(i, names, &first);
		const char *why = NULL;

		if (!first || !judged(r, names))
			continue;
		nr_used += was;
		nr_unseen += !was;
		if (was && r->tests == POLICY_UNSEEN)
			why = "tests make this call, but the reason says that they do not";
		else if (!was && r->tests == POLICY_SEEN)
			why = "no test makes this call, and the reason does not say why";
		if (!why)
			continue;
		printf("sandbox/policies/%s:%u: %s: %s\n", r->file, r->line, r->call, why);
		faults++;
	}
	printf("policies: %u lines were used, %u were not, %u are at fault\n", nr_used, nr_unseen,
		faults);
	return faults;
}

int main(int argc __unused, char **argv)
{
	char line[4096];
	struct call c;
	unsigned nr = 0;

	while (policy_rules[nr].policy)
		nr++;
	BUG_ON(nr > MAX_RULES);
	while (fgets(line, sizeof(line), stdin))
		if (parse(line, &c))
			count(&c);
	return judge(argv + 1) ? 1 : 0;
}

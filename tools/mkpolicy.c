// SPDX-License-Identifier: BSD-3-Clause
/*
 * mkpolicy ARCH FILE.policy...: compiles policies of system calls into a C file on stdout, for
 * the monitor of ARCH. Runs while the monitor is built, on the machine that builds.
 *
 * A policy is lines:
 *	NAME  # reason                           the call, with any arguments
 *	NAME argN == VALUE  # reason             only with that argument
 *	NAME argN & MASK == VALUE  # reason      likewise, of some of its bits
 *	NAME|OTHER ...  # reason                 the first of them that ARCH has
 *	@ARCH NAME ...  # reason                 on that architecture only
 *	@include FILE
 * Several conditions are joined by "and"; several lines of one call allow each what they say. A
 * line without a reason is an error, and so is a call that no architecture has. A call that
 * ARCH has not is left out: its others have a newer name for the same. A reason that holds
 * "unseen:" says why no test makes the call, one with "depends:" on what that depends; all other
 * calls are made in tests (tests/policy/run).
 */
#include <errno.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static FILE *mk_rules;      /* what the rules said, for those who check the arrays */
static char mk_policy[64];  /* whose rules are being read */
static const char *mk_file; /* being read, with its line: for complaints */
static unsigned mk_line;

static void mk_die(const char *what, const char *detail)
{
	fprintf(stderr, "%s:%u: %s: %s\n", mk_file, mk_line, what, detail);
	exit(1);
}

static uint64_t mk_number(const char *s)
{
	char *end;
	uint64_t v;

	errno = 0;
	v = s ? strtoull(s, &end, 0) : 0;
	if (!s || !*s || *end || errno)
		mk_die("not a number", s ? s : "(nothing)");
	return v;
}

/** "argN" of the words that strtok goes through. */
static unsigned mk_arg(const char *word)
{
	if (!word || strncmp(word, "arg", 3) || word[3] < '0' || word[3] > '5' || word[4])
		mk_die("not an argument", word ? word : "(nothing)");
	return (unsigned)(word[3] - '0');
}

/** The conditions of a line. Returns how many. */
static unsigned mk_conditions(struct scmp_arg_cmp *cmp)
{
	unsigned n = 0;
	const char *word = strtok(NULL, " \t");

	while (word) {
		unsigned arg;
		uint64_t mask = UINT64_MAX;

		if (n && strcmp(word, "and"))
			mk_die("not 'and'", word);
		if (n)
			word = strtok(NULL, " \t");
		if (n == 6)
			mk_die("too many conditions", word);
		arg = mk_arg(word);
		word = strtok(NULL, " \t");
		if (word && !strcmp(word, "&")) {
			mask = mk_number(strtok(NULL, " \t"));
			word = strtok(NULL, " \t");
		}
		if (!word || strcmp(word, "=="))
			mk_die("not '=='", word ? word : "(nothing)");
		cmp[n++] =
			SCMP_CMP64(arg, SCMP_CMP_MASKED_EQ, mask, mk_number(strtok(NULL, " \t")));
		word = strtok(NULL, " \t");
	}
	return n;
}

/** The last part of a path. */
static const char *mk_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/**
 * The first of the names "A|B" that arch has: cut off the others, and its number there in *here,
 * which is below 0 when arch has none.
 */
static const char *mk_choose(char *names, uint32_t arch, int *here)
{
	char *rest = names, *name;
	const char *chosen = names;

	*here = -1;
	while ((name = strsep(&rest, "|"))) {
		int nr = seccomp_syscall_resolve_name_arch(arch, name);

		/* Pseudo numbers below 0 stand for calls that this machine has not. */
		if (seccomp_syscall_resolve_name(name) == __NR_SCMP_ERROR)
			mk_die("no such system call", name);
		if (*here >= 0 || nr < 0)
			continue;
		*here = nr;
		chosen = name;
	}
	return chosen;
}

static const char *mk_seen(const char *reason)
{
	if (strstr(reason, "unseen:"))
		return "POLICY_UNSEEN";
	return strstr(reason, "depends:") ? "POLICY_DEPENDS" : "POLICY_SEEN";
}

static void mk_rule(scmp_filter_ctx ctx, uint32_t arch, char *text, const char *reason)
{
	struct scmp_arg_cmp cmp[6];
	char *word = strtok(text, " \t");
	bool elsewhere = false;
	const char *name;
	unsigned n;
	int here, rc;

	if (word[0] == '@') {
		uint32_t only = seccomp_arch_resolve_name(word + 1);

		if (!only)
			mk_die("no such architecture", word + 1);
		elsewhere = only != arch;
		word = strtok(NULL, " \t");
	}
	if (!word)
		mk_die("not a system call", "(nothing)");
	n = mk_conditions(cmp);
	name = mk_choose(word, arch, &here);
	if (elsewhere || here < 0)
		return;
	rc = seccomp_rule_add_array(
		ctx, SCMP_ACT_ALLOW, seccomp_syscall_resolve_name(name), n, cmp);
	if (rc)
		mk_die("refused", strerror(-rc));
	fprintf(mk_rules, "\t{ \"%s\", \"%s\", %u, \"%s\", %s, %d, %u, {", mk_policy,
		mk_base(mk_file), mk_line, name, mk_seen(reason), here, n);
	for (unsigned i = 0; i < n; i++)
		fprintf(mk_rules, " { %u, 0x%llx, 0x%llx },", cmp[i].arg,
			(unsigned long long)cmp[i].datum_a, (unsigned long long)cmp[i].datum_b);
	fprintf(mk_rules, "%s } },\n", n ? "" : " { 0 }");
}

static void mk_read(scmp_filter_ctx ctx, uint32_t arch, const char *path)
{
	const char *outer_file = mk_file;
	unsigned outer_line = mk_line;
	FILE *f = fopen(path, "r");
	char line[512];

	if (!f)
		mk_die(path, strerror(errno));
	mk_file = path;
	mk_line = 0;
	while (fgets(line, sizeof(line), f)) {
		char *reason, *end = line + strcspn(line, "\n");

		mk_line++;
		*end = 0;
		reason = strchr(line, '#');
		if (reason)
			*reason++ = 0;
		if (!line[strspn(line, " \t")])
			continue;
		if (!strncmp(line, "@include ", 9)) {
			char other[512];
			const char *slash = strrchr(path, '/');

			snprintf(other, sizeof(other), "%.*s%s",
				slash ? (int)(slash - path + 1) : 0, path, strtok(line + 9, " \t"));
			mk_read(ctx, arch, other);
			continue;
		}
		if (!reason || !reason[strspn(reason, " \t")])
			mk_die("a rule without a reason", line);
		mk_rule(ctx, arch, line, reason);
	}
	fclose(f);
	mk_file = outer_file;
	mk_line = outer_line;
}

/** The last part of path, without its ending. */
static void mk_name(const char *path, char *ret, size_t len)
{
	snprintf(ret, len, "%s", mk_base(path));
	ret[strcspn(ret, ".")] = 0;
}

/** Prints the array of one policy. Returns its instructions. */
static unsigned mk_print(uint32_t arch, const char *path, unsigned number)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	FILE *tmp = tmpfile();
	struct sock_filter insn;
	unsigned n = 0;

	mk_name(path, mk_policy, sizeof(mk_policy));
	mk_file = path;
	mk_line = 0;
	if (!ctx || !tmp)
		mk_die(path, "out of resources");
	if (arch != seccomp_arch_native() &&
		(seccomp_arch_add(ctx, arch) || seccomp_arch_remove(ctx, SCMP_ARCH_NATIVE)))
		mk_die(path, "this libseccomp does not know the architecture");
	seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	/* A tree, not a list: what is asked for often need not be first. */
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	mk_read(ctx, arch, path);
	if (seccomp_export_bpf(ctx, fileno(tmp)))
		mk_die(path, "cannot be compiled");
	rewind(tmp);
	printf("\nstatic const struct sock_filter policy_%u[] = {\n", number);
	for (; fread(&insn, sizeof(insn), 1, tmp) == 1; n++)
		printf("\t{ 0x%04x, %u, %u, 0x%08x },\n", insn.code, insn.jt, insn.jf, insn.k);
	printf("};\n");
	fclose(tmp);
	seccomp_release(ctx);
	return n;
}

int main(int argc, char **argv)
{
	uint32_t arch = argc > 2 ? seccomp_arch_resolve_name(argv[1]) : 0;

	if (!arch) {
		fprintf(stderr, "usage: mkpolicy ARCH FILE.policy...\n");
		return 2;
	}
	mk_rules = tmpfile();
	if (!mk_rules)
		return 1;
	printf("/* Made by tools/mkpolicy.c for %s. */\n#include \"sandbox/policy.h\"\n", argv[1]);
	for (int i = 2; i < argc; i++)
		mk_print(arch, argv[i], (unsigned)i);
	printf("\nconst struct policy policies[] = {\n");
	for (int i = 2; i < argc; i++) {
		char name[64];

		mk_name(argv[i], name, sizeof(name));
		printf("\t{ \"%s\", policy_%d, sizeof(policy_%d) / sizeof(policy_%d[0]) },\n", name,
			i, i, i);
	}
	printf("\t{ 0 },\n};\n\nconst struct policy_rule policy_rules[] = {\n");
	rewind(mk_rules);
	for (int c; (c = fgetc(mk_rules)) != EOF;)
		putchar(c);
	printf("\t{ 0 },\n};\n\nconst uint32_t policy_audit_arch = 0x%x;\n", arch);
	return ferror(stdout) || fflush(stdout) ? 1 : 0;
}

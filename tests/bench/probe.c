// SPDX-License-Identifier: BSD-3-Clause
/*
 * Counters of the whole host are taken as the monitor's: nothing else runs guests there.
 *
 * KVM's statistics are files in debugfs (Linux Documentation/virt/kvm/api.rst, 4.133, names
 * them too). They do not say which exits went on to user space: io_exits also counts what the
 * kernel's own chips and doorbells answered. The tracepoint kvm_userspace_exit does, and a
 * histogram trigger (Documentation/trace/histogram.rst) counts it by reason.
 */
#include "tests/bench/probe.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROBE_EVENTS "/sys/kernel/debug/tracing/events/"
#define PROBE_EXITS  PROBE_EVENTS "kvm/kvm_userspace_exit/"
#define PROBE_CALLS  PROBE_EVENTS "raw_syscalls/sys_enter/"

/* ---- processes ---- */

/** The parent of a process, or 0. The name in stat may hold anything: look behind its end. */
static pid_t probe_parent(pid_t pid)
{
	char path[64], buf[512], *end;
	long parent = 0;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	n = fread(buf, 1, sizeof(buf) - 1, f);
	fclose(f);
	buf[n] = '\0';
	end = strrchr(buf, ')');
	if (end && strlen(end) > 4)
		parent = strtol(end + 4, NULL, 10);
	return (pid_t)parent;
}

static int probe_has(const struct probe_tree *t, pid_t pid)
{
	for (int i = 0; i < t->nr; i++)
		if (t->pid[i] == pid)
			return 1;
	return 0;
}

void probe_find(pid_t root, struct probe_tree *ret)
{
	int before;

	ret->pid[0] = root;
	ret->nr = 1;
	do { /* a child may stand before its parent in /proc */
		DIR *d = opendir("/proc");
		struct dirent *e;

		before = ret->nr;
		while (d && (e = readdir(d))) {
			pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);

			if (pid > 0 && ret->nr < PROBE_MAX_PIDS && !probe_has(ret, pid) &&
				probe_has(ret, probe_parent(pid)))
				ret->pid[ret->nr++] = pid;
		}
		if (d)
			closedir(d);
	} while (ret->nr != before);
}

/* ---- memory ---- */

struct probe_kib {
	long rss, pss, priv;
};

static void probe_print_map(
	const char *mark, const char *name, const struct probe_kib *m, long size, FILE *out)
{
	if (m->rss)
		fprintf(out, "map %s %s size=%ld rss=%ld pss=%ld private=%ld\n", mark, name, size,
			m->rss, m->pss, m->priv);
}

static void probe_add(struct probe_kib *sum, const struct probe_kib *m)
{
	sum->rss += m->rss;
	sum->pss += m->pss;
	sum->priv += m->priv;
}

/** "55d0-55d4 r-xp 00000000 00:02 17   /bin/x": size in KiB and "x:r-xp", or 0. */
static long probe_header(const char *line, char *name, size_t len)
{
	char perms[8] = "", path[256] = "";
	unsigned long from, to;
	const char *base;

	if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %255s", &from, &to, perms, path) < 3)
		return 0;
	base = strrchr(path, '/');
	snprintf(name, len, "%s:%s", path[0] ? (base ? base + 1 : path) : "anonymous", perms);
	return (long)((to - from) >> 10);
}

static void probe_smaps(pid_t pid, const char *mark, long guest_kib, int maps,
	struct probe_kib *own, struct probe_kib *guest, FILE *out)
{
	char path[64], line[512], name[320] = "", now[320];
	struct probe_kib m = { 0 };
	long size = 0, next, kib;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		next = probe_header(line, now, sizeof(now));
		if (next) {
			if (maps)
				probe_print_map(mark, name, &m, size, out);
			probe_add(size >= guest_kib ? guest : own, &m);
			m = (struct probe_kib){ 0 };
			size = next;
			strcpy(name, now);
		} else if (sscanf(line, "Rss: %ld", &kib) == 1) {
			m.rss = kib;
		} else if (sscanf(line, "Pss: %ld", &kib) == 1) {
			m.pss = kib;
		} else if (sscanf(line, "Private_Clean: %ld", &kib) == 1 ||
			sscanf(line, "Private_Dirty: %ld", &kib) == 1) {
			m.priv += kib;
		}
	}
	if (maps)
		probe_print_map(mark, name, &m, size, out);
	probe_add(size >= guest_kib ? guest : own, &m);
	if (f)
		fclose(f);
}

static long probe_page_tables(pid_t pid)
{
	char path[64], line[256];
	long kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmPTE: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

void probe_memory(const struct probe_tree *t, const char *mark, long guest_mib, int maps, FILE *out)
{
	struct probe_kib own = { 0 }, guest = { 0 };
	long tables = 0;

	for (int i = 0; i < t->nr; i++) {
		probe_smaps(t->pid[i], mark, guest_mib << 10, maps, &own, &guest, out);
		tables += probe_page_tables(t->pid[i]);
	}
	fprintf(out, "memory %s processes %d\n", mark, t->nr);
	fprintf(out, "memory %s private %ld\n", mark, own.priv);
	fprintf(out, "memory %s pss %ld\n", mark, own.pss);
	fprintf(out, "memory %s rss %ld\n", mark, own.rss);
	fprintf(out, "memory %s guest %ld\n", mark, guest.rss);
	fprintf(out, "memory %s tables %ld\n", mark, tables);
}

/* ---- counters ---- */

static int probe_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ok;

	if (fd < 0)
		return -1;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok ? 0 : -1;
}

int probe_trace_start(void)
{
	if (probe_write(PROBE_EXITS "trigger", "hist:keys=reason"))
		return -1;
	return probe_write(PROBE_CALLS "trigger", "hist:keys=id,common_pid:size=4096");
}

void probe_trace_stop(void)
{
	probe_write(PROBE_EXITS "trigger", "!hist:keys=reason");
	probe_write(PROBE_CALLS "trigger", "!hist:keys=id,common_pid:size=4096");
}

/**
 * "{ reason: 6 } hitcount: 12" becomes a line; the sum of all of them one more. Kernels
 * without histograms have no such file: then nothing is known, which is not zero.
 */
static void probe_user_exits(const char *mark, FILE *out)
{
	FILE *f = fopen(PROBE_EXITS "hist", "re");
	char line[256];
	long reason, hits, sum = 0;

	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, " { reason: %ld } hitcount: %ld", &reason, &hits) != 2)
			continue;
		fprintf(out, "count %s user_exits.%ld %ld\n", mark, reason, hits);
		sum += hits;
	}
	fprintf(out, "count %s user_exits %ld\n", mark, sum);
	fclose(f);
}

static int probe_is_thread(const struct probe_tree *t, long tid)
{
	char path[64];

	for (int i = 0; i < t->nr; i++) {
		snprintf(path, sizeof(path), "/proc/%d/task/%ld", t->pid[i], tid);
		if (!access(path, F_OK))
			return 1;
	}
	return 0;
}

/** Of threads that still live; those that came and went built the machine. */
static void probe_calls(const struct probe_tree *t, const char *mark, FILE *out)
{
	FILE *f = fopen(PROBE_CALLS "hist", "re");
	long id, tid, hits, sum = 0;
	char line[256];

	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, " { id: %ld, common_pid: %ld } hitcount: %ld", &id, &tid, &hits) !=
				3 ||
			!probe_is_thread(t, tid))
			continue;
		fprintf(out, "count %s call.%ld.%ld %ld\n", mark, id, tid, hits);
		sum += hits;
	}
	fprintf(out, "count %s calls %ld\n", mark, sum);
	fclose(f);
}

/** How often a thread went to sleep; *vcpu: whether its name is one of a guest's processor. */
static long probe_thread_switches(const char *pid, const char *tid, int *vcpu)
{
	char path[600], line[256];
	long n, sum = 0;
	FILE *f;

	*vcpu = 0;
	snprintf(path, sizeof(path), "/proc/%s/task/%s/status", pid, tid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "Name:", 5))
			*vcpu = strcasestr(line, "cpu") != NULL;
		else if (sscanf(line, "voluntary_ctxt_switches: %ld", &n) == 1)
			sum += n;
	if (f)
		fclose(f);
	return sum;
}

/**
 * Times a thread went to sleep: as often, something woke it. Those of the first process, which
 * is the monitor's own, are also told apart from its processors' threads.
 */
static void probe_switches(const struct probe_tree *t, const char *mark, FILE *out)
{
	long sum = 0, own = 0;
	char path[64], pid[16];

	for (int i = 0; i < t->nr; i++) {
		struct dirent *e;
		DIR *d;

		snprintf(pid, sizeof(pid), "%d", t->pid[i]);
		snprintf(path, sizeof(path), "/proc/%s/task", pid);
		d = opendir(path);
		while (d && (e = readdir(d))) {
			int vcpu;
			long n;

			if (!isdigit((unsigned char)e->d_name[0]))
				continue;
			n = probe_thread_switches(pid, e->d_name, &vcpu);
			sum += n;
			if (!i && !vcpu)
				own += n;
		}
		if (d)
			closedir(d);
	}
	fprintf(out, "count %s sleeps %ld\ncount %s own_sleeps %ld\n", mark, sum, mark, own);
}

static void probe_kvm(const char *mark, FILE *out)
{
	static const char *const names[] = { "exits", "io_exits", "mmio_exits", "halt_exits",
		"irq_exits", "irq_window_exits", "signal_exits", "irq_injections", "halt_wakeup",
		"insn_emulation", "mmio_exit_user", "mmio_exit_kernel", "wfi_exit_stat",
		"hvc_exit_stat", "ecall_exit_stat" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[96], line[64];
		FILE *f;

		snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%s", names[i]);
		f = fopen(path, "re");
		if (f && fgets(line, sizeof(line), f))
			fprintf(out, "count %s kvm.%s %ld\n", mark, names[i],
				strtol(line, NULL, 10));
		if (f)
			fclose(f);
	}
}

void probe_counts(const struct probe_tree *t, const char *mark, FILE *out)
{
	probe_kvm(mark, out);
	probe_user_exits(mark, out);
	probe_calls(t, mark, out);
	probe_switches(t, mark, out);
}

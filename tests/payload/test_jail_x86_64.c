// SPDX-License-Identifier: BSD-3-Clause
/*
 * The jail from outside: what /proc says of every process and thread of a running machine, and
 * what becomes of the machine when one of its processes dies.
 */
#include "tests/payload/runner.h"

#include <dirent.h>
#include <sys/stat.h>

#define FORCE (char *)(uintptr_t) "--force"

#define MAX_TASKS 32

struct tasks {
	pid_t pid[MAX_TASKS];
	unsigned nr;
};

static void read_file(char *buf, size_t len, const char *fmt, ...)
{
	char path[128];
	va_list ap;
	ssize_t n;
	int fd;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, buf, len - 1);
	buf[n > 0 ? n : 0] = '\0';
	if (fd >= 0)
		close(fd);
}

/** The value of a line "NAME:\tvalue" of a status file. */
static void status_of(pid_t pid, const char *name, char *ret, size_t len)
{
	char text[4096], *line;

	read_file(text, sizeof(text), "/proc/%d/status", pid);
	line = strstr(text, name);
	if (!line)
		fail_msg("%s of %d: not there", name, pid);
	snprintf(ret, len, "%.*s", (int)strcspn(line + strlen(name) + 2, "\n"),
		line + strlen(name) + 2);
}

static void expect_status(pid_t pid, const char *name, const char *value)
{
	char have[256];

	status_of(pid, name, have, sizeof(have));
	if (strcmp(have, value))
		fail_msg("%s of %d is %s, not %s", name, pid, have, value);
}

static void comm_of(pid_t pid, char *ret, size_t len)
{
	read_file(ret, len, "/proc/%d/comm", pid);
	ret[strcspn(ret, "\n")] = '\0';
}

/** The numbers in a folder of /proc. */
static struct tasks list(const char *fmt, pid_t pid)
{
	struct tasks t = { .nr = 0 };
	char path[64];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), fmt, pid);
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d)))
		if (e->d_name[0] >= '0' && e->d_name[0] <= '9' && t.nr < MAX_TASKS)
			t.pid[t.nr++] = (pid_t)strtol(e->d_name, NULL, 10);
	closedir(d);
	return t;
}

static struct tasks children(pid_t pid)
{
	struct tasks t = { .nr = 0 };
	char text[1024], *p = text;

	read_file(text, sizeof(text), "/proc/%d/task/%d/children", pid, pid);
	while (*p && t.nr < MAX_TASKS) {
		t.pid[t.nr++] = (pid_t)strtol(p, &p, 10);
		p += strspn(p, " ");
	}
	return t;
}

static pid_t child_named(pid_t pid, const char *name)
{
	struct tasks t = children(pid);

	for (unsigned i = 0; i < t.nr; i++) {
		char comm[32];

		comm_of(t.pid[i], comm, sizeof(comm));
		if (!strcmp(comm, name))
			return t.pid[i];
	}
	fail_msg("no process %s", name);
	return 0;
}

/* ---- what everything must look like ---- */

static void check_namespaces(pid_t pid)
{
	static const char *const kinds[] = { "user", "pid", "mnt", "net", "ipc", "uts" };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		char path[64], mine[64] = "", theirs[64] = "";

		snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[i]);
		assert_true(readlink(path, mine, sizeof(mine) - 1) > 0);
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, kinds[i]);
		assert_true(readlink(path, theirs, sizeof(theirs) - 1) > 0);
		if (!strcmp(mine, theirs))
			fail_msg("%d shares its %s namespace with the host", pid, kinds[i]);
	}
}

static void check_root_is_empty(pid_t pid)
{
	char path[64];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/root/", pid);
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			fail_msg("%d sees /%s", pid, e->d_name);
	closedir(d);
}

/** Each descriptor is of a kind that the documents list, and there are no more than max. */
static void check_fds(pid_t pid, const char *own, unsigned max)
{
	static const char *const kinds[] = { "/null", "socket:", "pipe:", "anon_inode:[eventfd]",
		"anon_inode:[eventpoll]" };
	char path[64];
	struct tasks t = list("/proc/%d/fd", pid);

	assert_in_range(t.nr, 1, max);
	for (unsigned i = 0; i < t.nr; i++) {
		char to[256] = "";
		bool known = false;

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, t.pid[i]);
		assert_true(readlink(path, to, sizeof(to) - 1) > 0);
		for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
			known |= !strncmp(to, kinds[k], strlen(kinds[k]));
		known |= t.pid[i] == STDERR_FILENO || (own && strstr(to, own));
		known |= own && !strcmp(to, "anon_inode:[io_uring]");
		if (!known)
			fail_msg("%d has %s", pid, to);
	}
}

static void check_filtered(pid_t tid)
{
	static const char *const none = "0000000000000000";

	expect_status(tid, "Seccomp", "2");
	expect_status(tid, "NoNewPrivs", "1");
	expect_status(tid, "CapInh", none);
	expect_status(tid, "CapPrm", none);
	expect_status(tid, "CapEff", none);
	expect_status(tid, "CapAmb", none);
}

static void check_device(pid_t pid, const char *own, unsigned max_fds)
{
	char map[64];

	check_filtered(pid);
	expect_status(pid, "Threads", "1");
	expect_status(pid, "CapBnd", "0000000000000000");
	check_namespaces(pid);
	check_root_is_empty(pid);
	check_fds(pid, own, max_fds);
	read_file(map, sizeof(map), "/proc/%d/uid_map", pid);
	assert_string_equal(map, "");
	read_file(map, sizeof(map), "/proc/%d/gid_map", pid);
	assert_string_equal(map, "");
}

static void check_machine(struct run *r __unused, pid_t pid)
{
	struct tasks threads = list("/proc/%d/task", pid), devices = children(pid);

	unsigned nr = 0;
	char have[8] = "";

	/* The guest is faster than the main thread. */
	for (unsigned i = 0; i < 200 && strcmp(have, "2"); i++) {
		status_of(pid, "Seccomp", have, sizeof(have));
		usleep(10000);
	}
	for (unsigned i = 0; i < threads.nr; i++) {
		char comm[32];

		comm_of(threads.pid[i], comm, sizeof(comm));
		/* Threads that newer kernels run for KVM, in the kernel. */
		if (!strncmp(comm, "kvm-", 4))
			continue;
		check_filtered(threads.pid[i]);
		nr++;
	}
	assert_int_equal(nr, 4); /* main, io, two CPUs */
	assert_int_equal(devices.nr, 3);
	check_device(child_named(pid, "block0"), "mayfly-jail", 16);
	check_device(child_named(pid, "console0"), NULL, 16);
	check_device(child_named(pid, "rng0"), NULL, 12);
}

/** A guest that says a word and waits, with a disk, a console and the entropy device. */
static void run_machine(struct run *r, const char *extra)
{
	char path[] = "/tmp/mayfly-jail.XXXXXX", disk[64];
	int fd = mkstemp(path);

	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	snprintf(disk, sizeof(disk), "--block=%s", path);
	if (r->as_nobody)
		assert_int_equal(fchown(fd, RUN_NOBODY, RUN_NOBODY), 0);
	run_say(r, "hello\n");
	run_sleep(r);
	r->signal_after = "hello";
	run_guest(r, RUN_ELF, FORCE, "--timeout=20", "--cpus=2", disk, "--serial=stdout",
		"--serial=sink,hardware=virtio-console", extra, NULL);
	unlink(path);
	close(fd);
}

static void every_process_and_thread_is_in_its_jail(void **state)
{
	struct run *r = *state;

	r->during = check_machine;
	r->signal = SIGTERM;
	run_machine(r, NULL);
	assert_true(WIFSIGNALED(r->st));
	assert_int_equal(WTERMSIG(r->st), SIGTERM);
	run_line_is(r, "stopped by signal 15");
}

static void an_ordinary_user_gets_the_same(void **state)
{
	struct run *r = *state;
	char dir[] = "/tmp/mayfly-kvm.XXXXXX", node[64], hypervisor[96];
	struct stat st;

	if (geteuid())
		skip(); /* this is the test above then */
	/* A node that everybody may open. */
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0755), 0);
	snprintf(node, sizeof(node), "%s/kvm", dir);
	assert_int_equal(stat("/dev/kvm", &st), 0);
	if (mknod(node, S_IFCHR | 0666, st.st_rdev) || chmod(node, 0666)) {
		rmdir(dir);
		skip();
	}
	snprintf(hypervisor, sizeof(hypervisor), "--hypervisor=kvm[device=%s]", node);
	r->as_nobody = true;
	r->during = check_machine;
	r->signal = SIGTERM;
	run_machine(r, hypervisor);
	unlink(node);
	rmdir(dir);
	assert_true(WIFSIGNALED(r->st));
	run_line_is(r, "stopped by signal 15");
}

/** The line that ps shows of a process: all bytes but the zeroes at the end, where ps stops. */
static void check_title(pid_t pid, const char *comm, const char *title)
{
	char text[512] = "", path[64];
	pid_t child = child_named(pid, comm);
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", child);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	assert_true(n > 0);
	while (n > 0 && !text[n - 1])
		n--;
	/* One string: a zero inside of it would be something that was left over. */
	assert_int_equal(strlen(text), n);
	if (strncmp(text, title, strlen(title)))
		fail_msg("ps shows '%s' for %s, not '%s'", text, comm, title);
}

static void check_tree(struct run *r __unused, pid_t pid)
{
	char text[64];

	comm_of(pid, text, sizeof(text));
	assert_string_equal(text, "fly");
	/* Its own arguments stay what they were. */
	read_file(text, sizeof(text), "/proc/%d/cmdline", pid);
	assert_string_equal(text, "mayfly");
	assert_string_equal(text + sizeof("mayfly"), "run");
	check_title(pid, "block0", "mayfly[fly]: --block /tmp/mayfly-jail.");
	check_title(pid, "console0", "mayfly[fly]: --serial hardware=virtio-console,num=1");
	check_title(pid, "rng0", "mayfly[fly]: rng");
}

static void check_tree_without_name(struct run *r __unused, pid_t pid)
{
	check_title(pid, "block0", "mayfly: --block /tmp/mayfly-jail.");
	check_title(pid, "rng0", "mayfly: rng");
}

static void ps_shows_the_machine_as_a_tree(void **state)
{
	struct run *r = *state;

	r->during = check_tree;
	r->signal = SIGTERM;
	run_machine(r, "--name=fly");
	run_code_reset(r);
	r->during = check_tree_without_name;
	run_machine(r, NULL);
}

static void check_one_process(struct run *r __unused, pid_t pid)
{
	char children_of[256];

	read_file(children_of, sizeof(children_of), "/proc/%d/task/%d/children", pid, pid);
	assert_string_equal(children_of, "");
	expect_status(pid, "Seccomp", "0");
}

static void without_the_sandbox_there_is_one_process(void **state)
{
	struct run *r = *state;

	r->during = check_one_process;
	r->signal = SIGTERM;
	run_machine(r, "--disable-sandbox");
	assert_true(WIFSIGNALED(r->st));
}

/* ---- a guest that uses a device ---- */

#define MMIO   0xd0000000 /* arch/x86_64/layout.h: the first virtio device */
#define IOAPIC 0xfec00000

/** Starts the entropy device and resets it, and programs the pin of its interrupt. */
static void a_guest_starts_and_resets_a_device_in_its_process(void **state)
{
	/* VIRTIO 1.2, 4.2.2 and 3.1.1: register, value. Rings lie at 2 MiB, 16 entries. */
	static const uint32_t writes[][2] = {
		{ 0x70, 0 }, { 0x70, 1 }, { 0x70, 3 }, /* Status: ACKNOWLEDGE, DRIVER */
		{ 0x24, 1 }, { 0x20, 1 },              /* VERSION_1 */
		{ 0x70, 0xb },                         /* FEATURES_OK */
		{ 0x30, 0 }, { 0x38, 16 },             /* QueueSel, QueueNum */
		{ 0x80, 0x200000 }, { 0x84, 0 },       /* QueueDesc */
		{ 0x90, 0x201000 }, { 0x94, 0 },       /* QueueDriver */
		{ 0xa0, 0x202000 }, { 0xa4, 0 },       /* QueueDevice */
		{ 0x44, 1 },                           /* QueueReady */
		{ 0x70, 0xf },                         /* DRIVER_OK */
		{ 0x50, 0 },                           /* QueueNotify */
		{ 0x70, 0 },                           /* reset */
	};
	struct run *r = *state;

	run_write(r, IOAPIC, 0x10 + 2 * 7); /* the pin's entry: vector 0x30, edge, not masked */
	run_write(r, IOAPIC + 0x10, 0x30);
	for (size_t i = 0; i < ARRAY_SIZE(writes); i++)
		run_write(r, MMIO + writes[i][0], writes[i][1]);
	run_out(r, 0x600, 0x34);
	run_sleep(r);
	run_guest(r, RUN_PVH, FORCE, "--timeout=20", NULL);
	run_status_is(r, 0);
	run_line_is(r, "the guest powered off");
}

/* ---- deaths ---- */

static void kill_block(struct run *r __unused, pid_t pid)
{
	kill(child_named(pid, "block0"), SIGKILL);
}

static void kill_rng(struct run *r __unused, pid_t pid)
{
	/* What a hole in a model would end with. */
	kill(child_named(pid, "rng0"), SIGSEGV);
	kill(child_named(pid, "rng0"), SIGKILL);
}

static void a_device_that_dies_ends_the_machine_with_its_name(void **state)
{
	struct run *r = *state;

	r->during = kill_block;
	r->signal = 0;
	run_machine(r, NULL);
	run_status_is(r, 33);
	run_line_is(r, "--block /tmp/mayfly-jail.");
	run_line_is(r, "its process was killed by signal 9 (Killed)");
	run_code_reset(r);
	r->during = kill_rng;
	run_machine(r, NULL);
	run_status_is(r, 33);
	run_line_is(r, "rng: its process was killed");
}

static struct tasks orphans;

static void remember_children(struct run *r __unused, pid_t pid)
{
	orphans = children(pid);
}

static void a_monitor_that_is_killed_leaves_nothing_behind(void **state)
{
	struct run *r = *state;

	r->during = remember_children;
	r->signal = SIGKILL;
	run_machine(r, NULL);
	assert_true(WIFSIGNALED(r->st));
	assert_int_equal(WTERMSIG(r->st), SIGKILL);
	assert_int_equal(orphans.nr, 3);
	for (unsigned i = 0; i < orphans.nr; i++) {
		char state_of[64] = "";

		for (unsigned tries = 0; tries < 200; tries++) {
			char path[64];

			snprintf(path, sizeof(path), "/proc/%d/status", orphans.pid[i]);
			if (access(path, F_OK))
				break;
			status_of(orphans.pid[i], "State", state_of, sizeof(state_of));
			if (state_of[0] == 'Z')
				break;
			usleep(10000);
			if (tries == 199)
				fail_msg("%d still lives: %s", orphans.pid[i], state_of);
		}
	}
}

static void stop_devices(struct run *r __unused, pid_t pid)
{
	struct tasks t = children(pid);

	for (unsigned i = 0; i < t.nr; i++)
		kill(t.pid[i], SIGSTOP);
}

static void devices_that_hang_do_not_keep_the_machine(void **state)
{
	struct run *r = *state;
	uint64_t begin = run_now_ms();

	r->during = stop_devices;
	r->signal = SIGTERM;
	run_machine(r, NULL);
	assert_true(run_now_ms() - begin < 20000);
}

/* ---- what is said at the start ---- */

static void a_disk_that_is_not_there_is_refused_in_one_line(void **state)
{
	struct run *r = *state;

	run_sleep(r);
	run_guest(r, RUN_ELF, FORCE, "--block=/nowhere/disk", NULL);
	run_status_is(r, 1);
	run_line_is(r, "--block: /nowhere/disk: No such file or directory");
	/* Found out in the device's process. */
	run_guest(r, RUN_ELF, FORCE, "--block=/dev/null", NULL);
	run_status_is(r, 1);
	run_line_is(r, "--block: /dev/null: is neither a file nor a block device");
}

static void a_foreign_back_end_that_is_not_there_is_refused(void **state)
{
	struct run *r = *state;

	run_sleep(r);
	run_guest(r, RUN_ELF, FORCE, "--vhost-user=block,socket=/nowhere/socket", NULL);
	run_status_is(r, 1);
	run_line_is(r, "--vhost-user: socket: /nowhere/socket: No such file or directory");
}

int main(void)
{
	struct CMUnitTest tests[] = {
		RUN_KVM_TEST(every_process_and_thread_is_in_its_jail),
		RUN_KVM_TEST(an_ordinary_user_gets_the_same),
		RUN_KVM_TEST(ps_shows_the_machine_as_a_tree),
		RUN_KVM_TEST(without_the_sandbox_there_is_one_process),
		RUN_KVM_TEST(a_guest_starts_and_resets_a_device_in_its_process),
		RUN_KVM_TEST(a_device_that_dies_ends_the_machine_with_its_name),
		RUN_KVM_TEST(a_monitor_that_is_killed_leaves_nothing_behind),
		RUN_KVM_TEST(devices_that_hang_do_not_keep_the_machine),
		RUN_KVM_TEST(a_disk_that_is_not_there_is_refused_in_one_line),
		RUN_KVM_TEST(a_foreign_back_end_that_is_not_there_is_refused),
	};

	run_skip_without_kvm(tests, ARRAY_SIZE(tests));
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-3-Clause
/*
 * sandbox/jail.c: a process that was taken over tries what it can think of, in a real jail with a
 * real policy. Skipped under AddressSanitizer, whose own calls no policy has.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "sandbox/jail.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static pid_t monitor;
static int given; /* the one descriptor that the child may keep */

static const struct jail_needs needs = { .nofile = JAIL_NOFILE, .beneath_fd = -1 };

struct deed {
	const char *policy;
	void (*fn)(void);
	struct jail_child c;
};

static void spawn_deed(void *arg, bool namespaces)
{
	struct deed *d = arg;
	struct err err;
	int rc = jail_spawn(&d->c, namespaces, &err);

	if (!rc) {
		if (jail_settle(&given, 1, &err) ||
			jail_lock(namespaces, &needs, policy_find(d->policy), &err))
			_exit(99);
		d->fn();
		_exit(0);
	}
}

/** Runs deed in a jail; returns how its process ended, as waitid says. */
static siginfo_t jailed(const char *policy, void (*deed)(void))
{
	struct deed d = { .policy = policy, .fn = deed };
	siginfo_t si = { 0 };
	struct err err;

	monitor = getpid();
	assert_int_equal(jail_nursery(spawn_deed, &d, false, NULL, &err), 0);
	assert_true(d.c.pid > 0);
	while (waitid(P_PIDFD, (id_t)d.c.pidfd, &si, WEXITED) < 0)
		assert_int_equal(errno, EINTR);
	fd_close(&d.c.pidfd);
	if (si.si_code == CLD_EXITED && si.si_status == 99)
		fail_msg("the jail could not be made");
	return si;
}

static void setup_given(void)
{
	given = fd_event();
	assert_true(given >= 0);
}

static void killed_for(const char *what, void (*deed)(void))
{
	siginfo_t si = jailed("block", deed);

	if (si.si_code == CLD_EXITED || si.si_status != SIGSYS)
		fail_msg("%s: code %d, status %d", what, si.si_code, si.si_status);
}

#define DEED(name, expr)                                                                           \
	static void deed_##name(void)                                                              \
	{                                                                                          \
		(void)!(expr);                                                                     \
	}

DEED(open, open("/etc/passwd", O_RDONLY))
DEED(openat, syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY))
DEED(open_proc, open("/proc/self/maps", O_RDONLY))
DEED(open_sys, open("/sys/kernel", O_RDONLY))
DEED(socket, socket(AF_INET, SOCK_STREAM, 0))
DEED(unix_socket, socket(AF_UNIX, SOCK_STREAM, 0))
DEED(socketpair, socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){ 0 }))
DEED(connect, connect(given, (struct sockaddr *)&(struct sockaddr_un){ .sun_family = AF_UNIX }, 3))
DEED(ptrace, (int)ptrace(PTRACE_ATTACH, monitor, 0, 0))
DEED(traceme, (int)ptrace(PTRACE_TRACEME, 0, 0, 0))
DEED(kill, kill(monitor, SIGKILL))
DEED(kill_all, kill(-1, SIGKILL))
DEED(tgkill, (int)syscall(SYS_tgkill, monitor, monitor, SIGTERM))
DEED(mount, mount("none", "/", "tmpfs", 0, NULL))
DEED(execve, execve("/proc/self/exe", (char *[]){ NULL }, (char *[]){ NULL }))
DEED(exec_memory,
	(int)(intptr_t)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
DEED(exec_file, (int)(intptr_t)mmap(NULL, 4096, PROT_EXEC, MAP_SHARED, given, 0))
DEED(mprotect, mprotect((void *)((uintptr_t)&monitor & ~4095UL), 4096, PROT_READ | PROT_EXEC))
DEED(fork, (int)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0))
DEED(unshare, unshare(CLONE_NEWUSER))
DEED(setns, setns(given, 0))
DEED(chroot, chroot("/"))
DEED(ioctl, ioctl(STDERR_FILENO, 0x5412 /* TIOCSTI */, "x"))
DEED(io_uring, (int)syscall(SYS_io_uring_setup, 8, NULL))
DEED(memfd, memfd_create("x", 0))
DEED(bpf, (int)syscall(SYS_bpf, 0, NULL, 0))
DEED(vm_read, (int)syscall(SYS_process_vm_readv, monitor, NULL, 0, NULL, 0, 0))
DEED(getdents, (int)syscall(SYS_getdents64, given, NULL, 0))
DEED(dumpable, prctl(PR_SET_DUMPABLE, 1))
DEED(path_stat, (int)syscall(SYS_newfstatat, AT_FDCWD, "/", NULL, 0))
DEED(random, (int)getrandom(&(char){ 0 }, 1, 0)) /* rng has it, block has not */
DEED(rlimit, setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 0, 0 }))

static void what_a_process_that_was_taken_over_tries_kills_it(void **state __unused)
{
	static const struct {
		const char *what;
		void (*deed)(void);
	} deeds[] = {
#define ROW(name) { #name, deed_##name }
		ROW(open),
		ROW(openat),
		ROW(open_proc),
		ROW(open_sys),
		ROW(socket),
		ROW(unix_socket),
		ROW(socketpair),
		ROW(connect),
		ROW(ptrace),
		ROW(traceme),
		ROW(kill),
		ROW(kill_all),
		ROW(tgkill),
		ROW(mount),
		ROW(execve),
		ROW(exec_memory),
		ROW(exec_file),
		ROW(mprotect),
		ROW(fork),
		ROW(unshare),
		ROW(setns),
		ROW(chroot),
		ROW(ioctl),
		ROW(io_uring),
		ROW(memfd),
		ROW(bpf),
		ROW(vm_read),
		ROW(getdents),
		ROW(dumpable),
		ROW(path_stat),
		ROW(random),
		ROW(rlimit),
#undef ROW
	};

	if (SANITIZED)
		skip();
	setup_given();
	for (size_t i = 0; i < ARRAY_SIZE(deeds); i++)
		killed_for(deeds[i].what, deeds[i].deed);
	/* Nothing of it reached us. */
	assert_int_equal(fd_event_drain(given), 0);
	fd_close(&given);
}

static void deed_work(void)
{
	fd_event_signal(given);
}

static void its_own_work_goes_on(void **state __unused)
{
	static const char *const policies_of[] = { "block", "console", "rng" };

	if (SANITIZED)
		skip();
	setup_given();
	for (size_t i = 0; i < ARRAY_SIZE(policies_of); i++) {
		siginfo_t si = jailed(policies_of[i], deed_work);

		assert_int_equal(si.si_code, CLD_EXITED);
		assert_int_equal(si.si_status, 0);
		assert_int_equal(fd_event_drain(given), 1);
	}
	fd_close(&given);
}

static void deed_descriptors(void)
{
	char c;

	/* By calls that the policy has: all others but standard error are closed. */
	for (int fd = 0; fd < 200; fd++)
		if (fd != given && fd != STDERR_FILENO && (read(fd, &c, 0) >= 0 || errno != EBADF))
			_exit(fd + 1);
}

static void all_other_descriptors_are_closed(void **state __unused)
{
	siginfo_t si;
	int extra[3];

	if (SANITIZED)
		skip();
	extra[0] = open("/dev/null", O_RDONLY); /* not close-on-exec, on purpose */
	setup_given();
	extra[1] = open("/", O_RDONLY);
	extra[2] = fcntl(extra[1], F_DUPFD, 150);
	si = jailed("block", deed_descriptors);
	assert_int_equal(si.si_code, CLD_EXITED);
	assert_int_equal(si.si_status, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(extra); i++)
		fd_close(&extra[i]);
	fd_close(&given);
}

static void deed_abort(void)
{
	abort();
}

static void a_mistake_of_ours_is_not_taken_for_an_attack(void **state __unused)
{
	siginfo_t si;

	if (SANITIZED)
		skip();
	setup_given();
	si = jailed("rng", deed_abort);
	assert_int_not_equal(si.si_code, CLD_EXITED);
	assert_int_not_equal(si.si_status, SIGSYS);
	fd_close(&given);
}

static void deed_wait(void)
{
	while (write(given, "r", 1) == 1)
		poll(NULL, 0, -1);
}

static void a_child_dies_with_its_parent(void **state __unused)
{
	struct pollfd p = { .events = POLLIN };
	int pipes[2];
	pid_t parent;
	char c;

	if (SANITIZED)
		skip();
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	parent = fork();
	if (!parent) {
		struct deed d = { .policy = "rng", .fn = deed_wait };
		struct err err;

		alarm(60);
		given = pipes[1];
		if (jail_nursery(spawn_deed, &d, false, NULL, &err))
			_exit(1);
		close(pipes[1]);
		for (;;)
			pause();
	}
	close(pipes[1]);
	assert_int_equal(read(pipes[0], &c, 1), 1); /* it is in its jail */
	kill(parent, SIGKILL);
	assert_int_equal(waitpid(parent, NULL, 0), parent);
	p.fd = pipes[0];
	/* The last writer is gone: the end of the file. */
	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_int_equal(read(pipes[0], &c, 1), 0);
	close(pipes[0]);
}

static void the_net_namespace_is_held_when_asked(void **state __unused)
{
	struct deed d = { .policy = "rng", .fn = deed_work };
	struct stat here, there;
	struct err err;
	siginfo_t si;
	int net, ns;

	if (SANITIZED)
		skip();
	setup_given();
	assert_int_equal(jail_nursery(spawn_deed, &d, false, &net, &err), 0);
	while (waitid(P_PIDFD, (id_t)d.c.pidfd, &si, WEXITED) < 0)
		assert_int_equal(errno, EINTR);
	fd_close(&d.c.pidfd);
	assert_true(net >= 0);
	ns = ioctl(net, SIOCGSKNS);
	assert_true(ns >= 0);
	assert_int_equal(fstat(ns, &there), 0);
	assert_int_equal(stat("/proc/self/ns/net", &here), 0);
	assert_true(here.st_ino != there.st_ino);
	close(ns);
	close(net);
}

struct asking {
	uid_t uid;
	gid_t gid;
	struct jail_child c;
};

/** Whom the child takes itself for; 77: it has no namespaces. */
static void spawn_asking(void *arg, bool namespaces)
{
	struct asking *a = arg;
	struct err err;

	if (!jail_spawn(&a->c, namespaces, &err))
		_exit(!namespaces ? 77 : geteuid() != a->uid || getegid() != a->gid);
}

static void asks(bool ids, uid_t uid, gid_t gid)
{
	struct asking a = { .uid = uid, .gid = gid };
	siginfo_t si = { 0 };
	struct err err;

	assert_int_equal(jail_nursery(spawn_asking, &a, ids, NULL, &err), 0);
	while (waitid(P_PIDFD, (id_t)a.c.pidfd, &si, WEXITED) < 0)
		assert_int_equal(errno, EINTR);
	fd_close(&a.c.pidfd);
	assert_int_equal(si.si_code, CLD_EXITED);
	if (si.si_status == 77)
		skip();
	assert_int_equal(si.si_status, 0);
}

static void ids_have_their_numbers_when_asked(void **state __unused)
{
	int status;
	pid_t pid;

	asks(false, 65534, 65534);
	asks(true, geteuid(), getegid());
	if (geteuid())
		return;
	/* One who may not give away other ids. */
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		/* A process that changed has files in /proc that are not its own. */
		if (setresgid(4321, 4321, 4321) || setresuid(1234, 1234, 1234) ||
			prctl(PR_SET_DUMPABLE, 1))
			_exit(1);
		asks(true, 1234, 4321);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void where_namespaces_are_refused_landlock_and_the_policy_remain(void **state __unused)
{
	siginfo_t si = { 0 };
	pid_t pid;

	if (SANITIZED)
		skip();
	setup_given();
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct err err;

		/* As jail_lock without them, but for the policy: what is opened is refused. */
		if (jail_settle(&given, 1, &err) ||
			jail_lock(false, &needs, policy_find("rng"), &err))
			_exit(99);
		deed_open();
		_exit(0);
	}
	assert_int_equal(waitid(P_PID, (id_t)pid, &si, WEXITED), 0);
	assert_int_not_equal(si.si_code, CLD_EXITED);
	assert_int_equal(si.si_status, SIGSYS);
	fd_close(&given);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_process_that_was_taken_over_tries_kills_it),
		cmocka_unit_test(its_own_work_goes_on),
		cmocka_unit_test(all_other_descriptors_are_closed),
		cmocka_unit_test(a_mistake_of_ours_is_not_taken_for_an_attack),
		cmocka_unit_test(a_child_dies_with_its_parent),
		cmocka_unit_test(the_net_namespace_is_held_when_asked),
		cmocka_unit_test(ids_have_their_numbers_when_asked),
		cmocka_unit_test(where_namespaces_are_refused_landlock_and_the_policy_remain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

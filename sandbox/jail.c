// SPDX-License-Identifier: BSD-3-Clause
/*
 * Invariants:
 * 1. No step of a jail is left out silently: what fails is an error, but for namespaces, whose
 *    absence is told to the caller.
 * 2. The user namespace has no ids mapped, so that every file and process of the host belongs to
 *    nobody there; but where a child is to name them, in access control lists. None has
 *    capabilities, mapped or not.
 *
 * Namespaces come with the clones, so that there is no moment at which a child had less.
 *
 * The nursery is a vfork(2) with namespaces: the net namespace costs as much as all the rest of a
 * jail together, and is empty and out of reach of its tasks, so that one serves all.
 */
#include "sandbox/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

#define JAIL_SHARED (CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)
#define JAIL_OWN    (CLONE_NEWPID | CLONE_NEWNS)
#define JAIL_STACK  (256 * KIB) /* of the nursery, and so of its children */

struct jail_call {
	void (*fn)(void *arg, bool namespaces);
	void *arg;
	int *net;
	pid_t parent;
	int gate; /* eventfd: it may begin; -1: at once */
};

/** Until it has its ids. Nobody is left at it whose parent is gone. */
static bool jail_wait_at(int gate, pid_t parent)
{
	struct pollfd pfd = { .fd = gate, .events = POLLIN };

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		return false;
	while (poll(&pfd, 1, -1) < 0)
		if (errno != EINTR)
			return false;
	return true;
}

static int jail_in_nursery(void *arg)
{
	const struct jail_call *call = arg;

	if (call->gate >= 0 && !jail_wait_at(call->gate, call->parent))
		return 1;
	/* Descriptors are shared, and any socket belongs to a net namespace. */
	if (call->net)
		*call->net = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	call->fn(call->arg, true);
	return 0;
}

/** Forbidden, unknown, or more than the administrator allows. */
static bool jail_refused(int code)
{
	return code == EPERM || code == EACCES || code == EINVAL || code == ENOSPC ||
		code == EUSERS;
}

/** Writes a file of the process's in one write, as those of ids want it. */
static bool jail_write(pid_t pid, const char *name, const char *text)
{
	char path[64];
	fd_auto int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/**
 * The same numbers as here: all that there are, or the one that anyone may give. A line of such a
 * file has a first number, what it is outside, and how many follow each other.
 */
static void jail_map(pid_t pid, const char *name, unsigned own)
{
	char here[4 * KIB] = "", map[4 * KIB] = "";
	fd_auto int fd = -1;
	size_t len = 0;
	char *p = here;

	snprintf(map, sizeof(map), "/proc/self/%s", name);
	fd = open(map, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, here, sizeof(here) - 1) < 0)
		return;
	while (len < sizeof(map) - 64) {
		char *end;
		unsigned long first = strtoul(p, &end, 10), nr;

		if (end == p)
			break;
		(void)strtoul(end, &end, 10);
		nr = strtoul(end, &p, 10);
		len += (size_t)snprintf(map + len, 64, "%lu %lu %lu\n", first, first, nr);
	}
	if (len && jail_write(pid, name, map))
		return;
	snprintf(map, sizeof(map), "%u %u 1\n", own, own);
	(void)!jail_write(pid, name, map);
}

/** While it waits at its gate. A host that refuses leaves it without ids, and less to name. */
static void jail_give_ids(pid_t pid, int gate)
{
	uint64_t word = 1;

	jail_write(pid, "setgroups", "deny");
	jail_map(pid, "uid_map", geteuid());
	jail_map(pid, "gid_map", getegid());
	BUG_ON(write(gate, &word, sizeof(word)) != sizeof(word));
}

/** The task; -errno. With a gate the two take turns all the same: one waits while the other works.
 */
static int jail_begin(struct jail_call *call, uint8_t *stack)
{
	int flags = CLONE_VM | CLONE_FILES | JAIL_SHARED | SIGCHLD;
	int pid = clone(jail_in_nursery, stack + JAIL_STACK,
		flags | (call->gate < 0 ? CLONE_VFORK : 0), call);

	if (pid < 0)
		return -errno;
	if (call->gate >= 0)
		jail_give_ids(pid, call->gate);
	return pid;
}

int jail_nursery(
	void (*fn)(void *arg, bool namespaces), void *arg, bool ids, int *net, struct err *err)
{
	struct jail_call call = {
		.fn = fn, .arg = arg, .net = net, .parent = getpid(), .gate = -1
	};
	fd_auto int gate = ids ? fd_event() : -1;
	int pid, status = 0;
	uint8_t *stack;

	if (net)
		*net = -1;
	if (ids && gate < 0)
		return err_errno(err, -gate, "device processes");
	stack = mmap(NULL, JAIL_STACK, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack == MAP_FAILED)
		return err_errno(err, errno, "device processes");
	call.gate = gate;
	pid = jail_begin(&call, stack);
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		BUG_ON(errno != EINTR);
	munmap(stack, JAIL_STACK);
	if (pid < 0 && !jail_refused(-pid))
		return err_errno(err, -pid, "device processes");
	if (status)
		return err_set(err, EIO, "device processes: what begins them ended");
	if (pid < 0)
		fn(arg, false);
	return 0;
}

int jail_spawn(struct jail_child *ret, bool namespaces, struct err *err)
{
	int pidfd = -1;
	struct clone_args a = { .flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
		.pidfd = (uintptr_t)&pidfd };
	pid_t pid;

	if (namespaces)
		a.flags |= CLONE_PARENT | JAIL_OWN;
	else
		a.exit_signal = SIGCHLD;
	pid = (pid_t)syscall(SYS_clone3, &a, sizeof(a));
	if (pid < 0)
		return err_errno(err, errno, "device process");
	if (!pid)
		return 0;
	*ret = (struct jail_child){ .pid = pid, .pidfd = pidfd, .namespaces = namespaces };
	return 1;
}

/* ---- in the child ---- */

static int jail_compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/** Closes all but the nr descriptors of keep, which it sorts, and standard error. */
static int jail_close_others(int *keep, unsigned nr)
{
	unsigned from = 0;

	qsort(keep, nr, sizeof(*keep), jail_compare);
	for (unsigned i = 0; i < nr; i++) {
		unsigned fd = (unsigned)keep[i];

		if (fd > from && close_range(from, fd - 1, 0) < 0)
			return -errno;
		from = fd + 1;
	}
	return close_range(from, UINT32_MAX, 0) < 0 ? -errno : 0;
}

int jail_settle(const int *keep, unsigned nr, struct err *err)
{
	int mine[16] = { STDERR_FILENO };
	sigset_t all;
	int rc;

	BUG_ON(nr + 1 > ARRAY_SIZE(mine));
	memcpy(mine + 1, keep, nr * sizeof(*keep));
	if (prctl(PR_SET_PDEATHSIG, SIGKILL))
		return err_errno(err, errno, "jail: parent's death");
	/*
	 * None of the terminal's or the monitor's signals: the connection tells when to end. Those
	 * of our own mistakes come through all the same.
	 */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	rc = jail_close_others(mine, nr + 1);
	return rc ? err_errno(err, -rc, "jail: descriptors") : 0;
}

/**
 * An empty, read-only file system becomes the root. On a host that runs from its initramfs the
 * old root cannot be taken away; then it stays below, out of reach of a process without
 * capabilities and without the calls to use them.
 */
static int jail_empty_root(struct err *err)
{
	fd_auto int fs = -1;
	fd_auto int root = -1;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return err_errno(err, errno, "jail: mounts");
	fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "size", "4k", 0) ||
		syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "nr_inodes", "1", 0) ||
		syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return err_errno(err, errno, "jail: an empty file system");
	root = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC,
		MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (root < 0)
		return err_errno(err, errno, "jail: an empty file system");
	if (syscall(SYS_move_mount, root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) ||
		fchdir(root))
		return err_errno(err, errno, "jail: root");
	if (!syscall(SYS_pivot_root, ".", "."))
		umount2(".", MNT_DETACH);
	if (chroot(".") || chdir("/"))
		return err_errno(err, errno, "jail: root");
	return 0;
}

/**
 * The fallback for the empty root: nothing of the file system can be opened any more, but for what
 * is beneath a directory.
 */
static int jail_landlock(int beneath_fd, struct err *err)
{
	struct landlock_path_beneath_attr beneath = { .parent_fd = beneath_fd };
	struct landlock_ruleset_attr attr = { 0 };
	int abi =
		(int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	fd_auto int rules = -1;

	/* A host that has neither is left with the policy, which has no call that opens. */
	if (abi < 1)
		return 0;
	/* All rights of the first version, and of what came later those of files. */
	attr.handled_access_fs = (1ULL << 13) - 1;
	if (abi >= 2)
		attr.handled_access_fs |= 1ULL << 13;
	if (abi >= 3)
		attr.handled_access_fs |= 1ULL << 14;
	rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);
	/* All but to run them. */
	beneath.allowed_access = attr.handled_access_fs & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE;
	if (rules < 0 ||
		(beneath_fd >= 0 &&
			syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath,
				0)) ||
		syscall(SYS_landlock_restrict_self, rules, 0))
		return err_errno(err, errno, "jail: Landlock");
	return 0;
}

/** proc(5), with processes and nothing else (Linux 5.8): this pid namespace has one. */
static int jail_own_proc(void)
{
	fd_auto int fs = (int)syscall(SYS_fsopen, "proc", FSOPEN_CLOEXEC);
	fd_auto int root = -1;

	if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "subset", "pid", 0) ||
		syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return -1;
	root = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC,
		MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	return root < 0 ? -1 : openat(root, "self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int jail_self_fds(struct err *err)
{
	int fd = jail_own_proc();

	if (fd < 0)
		fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_errno(err, errno, "/proc/self/fd") : fd;
}

static int jail_drop_capabilities(struct err *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	/* The bounding set: as far as we may; without it no_new_privs says the same. */
	for (int cap = 0; !prctl(PR_CAPBSET_DROP, cap); cap++)
		;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capset, &head, none))
		return err_errno(err, errno, "jail: capabilities");
	return 0;
}

static int jail_limit(int what, rlim_t value)
{
	struct rlimit r = { value, value };

	return setrlimit((__rlimit_resource_t)what, &r) ? -errno : 0;
}

int jail_lower(struct err *err)
{
	int rc = jail_limit(RLIMIT_CORE, 0);

	if (rc)
		return err_errno(err, -rc, "jail: limits");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return err_errno(err, errno, "jail: no_new_privs");
	return jail_drop_capabilities(err);
}

/** As many as wanted, where the host gives as many. */
static rlim_t jail_nofile(unsigned nofile)
{
	struct rlimit r = { nofile, nofile };

	BUG_ON(getrlimit(RLIMIT_NOFILE, &r));
	return MIN((rlim_t)nofile, r.rlim_max);
}

int jail_lock(
	bool namespaces, const struct jail_needs *needs, const struct policy *p, struct err *err)
{
	const struct {
		int what;
		rlim_t value;
	} limits[] = {
		{ RLIMIT_NOFILE, jail_nofile(needs->nofile) },
		{ RLIMIT_NPROC, 0 },
		{ RLIMIT_MSGQUEUE, 0 },
		{ RLIMIT_NICE, 0 },
		{ RLIMIT_RTPRIO, 0 },
	};
	int rc = 0;

	if (namespaces)
		rc = jail_empty_root(err);
	for (size_t i = 0; i < ARRAY_SIZE(limits) && !rc; i++) {
		rc = jail_limit(limits[i].what, limits[i].value);
		if (rc)
			return err_errno(err, -rc, "jail: limits");
	}
	if (!rc)
		rc = jail_lower(err);
	if (!rc && !namespaces)
		rc = jail_landlock(needs->beneath_fd, err);
	if (rc)
		return rc;
	/* Nobody of the same user may look into it; it resets what the parent's death means. */
	if (prctl(PR_SET_DUMPABLE, 0) || prctl(PR_SET_PDEATHSIG, SIGKILL))
		return err_errno(err, errno, "jail: parent's death");
	rc = policy_load(p);
	return rc ? err_errno(err, -rc, "jail: the policy for system calls") : 0;
}

/* ---- what doctor asks ---- */

static void jail_try(void *arg, bool namespaces)
{
	struct jail_child *c = arg;
	struct err err;
	int rc = namespaces ? jail_spawn(c, true, &err) : -EPERM;

	if (!rc)
		_exit(jail_empty_root(&err) ? 1 : 0);
	if (rc < 0)
		c->pid = 0;
}

bool jail_has_namespaces(void)
{
	struct jail_child c = { .pid = 0 };
	struct err err;
	int status;

	if (jail_nursery(jail_try, &c, false, NULL, &err) || !c.pid)
		return false;
	fd_close(&c.pidfd);
	return waitpid(c.pid, &status, 0) == c.pid && status == 0;
}

bool jail_has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 1;
}

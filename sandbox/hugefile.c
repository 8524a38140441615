// SPDX-License-Identifier: BSD-3-Clause
#include "sandbox/hugefile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

#define HUGEFILE_NONE 255 /* a child's status that is no descriptor */

static bool hugefile_wanted(void)
{
	char text[64] = "";
	fd_auto int fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);

	return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && strstr(text, "[always]");
}

/** In a namespace whose owner this is. */
static int hugefile_make(uint64_t len)
{
	fd_auto int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	fd_auto int mount = -1, fd = -1;
	char size[24];

	/* Room for the last page, should it be a huge one. */
	snprintf(size, sizeof(size), "%llu", (unsigned long long)(len + 4 * MIB));
	if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "huge", "always", 0) ||
		syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "size", size, 0) ||
		syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return -errno;
	mount = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC,
		MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (mount < 0)
		return -errno;
	fd = openat(mount, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)len) < 0)
		return -errno;
	return fd_take(&fd);
}

static bool hugefile_write(const char *path, const char *text)
{
	fd_auto int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/** A file needs an owner, so this namespace maps one. Returns the status to end with. */
static int hugefile_child(uint64_t len, uid_t uid, gid_t gid)
{
	char users[32], groups[32];
	int fd;

	snprintf(users, sizeof(users), "0 %u 1", uid);
	snprintf(groups, sizeof(groups), "0 %u 1", gid);
	if (!hugefile_write("/proc/self/uid_map", users) ||
		!hugefile_write("/proc/self/setgroups", "deny") ||
		!hugefile_write("/proc/self/gid_map", groups))
		return HUGEFILE_NONE;
	fd = hugefile_make(len);
	return fd >= 0 && fd < HUGEFILE_NONE ? fd : HUGEFILE_NONE;
}

/** The child shares our descriptors, so what it opens is ours when it has ended. */
static int hugefile_by_child(uint64_t len)
{
	struct clone_args a = { .flags = CLONE_FILES | CLONE_NEWUSER | CLONE_NEWNS,
		.exit_signal = SIGCHLD };
	uid_t uid = geteuid();
	gid_t gid = getegid();
	pid_t pid = (pid_t)syscall(SYS_clone3, &a, sizeof(a));
	int status;

	if (!pid)
		_exit(hugefile_child(len, uid, gid));
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (!WIFEXITED(status) || WEXITSTATUS(status) == HUGEFILE_NONE)
		return -EPERM;
	return WEXITSTATUS(status);
}

int hugefile_open(uint64_t len)
{
	int fd;

	if (!hugefile_wanted())
		return -EOPNOTSUPP;
	fd = hugefile_make(len);
	return fd == -EPERM ? hugefile_by_child(len) : fd;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file systems: what the host shares, or a disk, below a file system in memory that takes all
 * changes and is gone with the machine; and the kernel's own.
 *
 * In an initramfs they are put together in its root. Where this program is in an image, which the
 * kernel has mounted already, nothing can be made there: then it is below a file system in memory,
 * on one of the image's directories, that nobody sees afterwards.
 */
#include "guest-images/init/init.h"

#include <linux/mount.h>

/* Beneath where they are put together, which is the current directory. */
#define LOWER "lower"
#define ABOVE "above"
#define ROOT  "root"

static long mount_at(const char *what, const char *where, const char *type, unsigned long flags,
	const char *data)
{
	return sys5(__NR_mount, what, where, type, flags, data);
}

/** What a kernel lacks that does not know a type of file system. */
static const char *config_of(const char *type)
{
	static const char *const words[][2] = {
		{ "virtiofs", "virtiofs: it needs CONFIG_VIRTIO_FS=y" },
		{ "overlay", "overlay: it needs CONFIG_OVERLAY_FS=y" },
		{ "tmpfs", "tmpfs: it needs CONFIG_TMPFS=y" },
		{ "devtmpfs", "devtmpfs: it needs CONFIG_DEVTMPFS=y" },
		{ "proc", "proc: it needs CONFIG_PROC_FS=y" },
	};

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (text_is(words[i][0], type))
			return words[i][1];
	return type;
}

static void mount_needed(const char *what, const char *where, const char *type, unsigned long flags,
	const char *data)
{
	long err = mount_at(what, where, type, flags, data);

	if (err == -ENODEV && type)
		fail("the guest's kernel does not know ", config_of(type), 0);
	if (err)
		fail("mount of ", where, err);
}

/** Goes where they are put together. Returns whether that is in an image. */
static int mount_base(void)
{
	static const char *const places[] = { "/run", "/tmp", "/mnt" };

	sys1(__NR_chdir, "/");
	if (sys3(__NR_mkdirat, AT_HERE, LOWER, 0755) != -EROFS)
		return 0;
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		long err = mount_at("base", places[i], "tmpfs", 0, "mode=755");

		if (!err)
			err = sys1(__NR_chdir, places[i]);
		if (!err)
			return 1;
	}
	fail("the image has no directory /run, /tmp or /mnt", "", 0);
}

static void mount_lower(const struct job *j, int in_image)
{
	static const char *const types[] = { "erofs", "squashfs", "ext4" };
	long err = -ENODEV;

	make_dirs(LOWER);
	if (in_image) {
		mount_needed("/", LOWER, NULL, MS_BIND, NULL);
		return;
	}
	if (*j->root) {
		mount_needed(j->root, LOWER, "virtiofs", MS_RDONLY, NULL);
		return;
	}
	make_dirs("/dev");
	mount_needed("dev", "/dev", "devtmpfs", 0, NULL);
	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]) && err; i++)
		err = mount_at("/dev/vda", LOWER, types[i], MS_RDONLY, NULL);
	if (err)
		fail("the image is no erofs, squashfs or ext4 that this kernel mounts", "", err);
}

static void mount_root(const struct job *j)
{
	mount_lower(j, mount_base());
	make_dirs(ABOVE);
	make_dirs(ROOT);
	mount_needed("above", ABOVE, "tmpfs", 0, "mode=755");
	make_dirs(ABOVE "/up");
	make_dirs(ABOVE "/work");
	mount_needed("root", ROOT, "overlay", 0,
		"lowerdir=" LOWER ",upperdir=" ABOVE "/up,workdir=" ABOVE "/work");
}

/** Beneath the root to be. Those that are not needed may be missing. */
static void mount_kernel(void)
{
	static const struct {
		const char *what, *where, *type, *data;
		unsigned long flags;
		int needed;
	} all[] = {
		{ "proc", "proc", "proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC, 1 },
		{ "sys", "sys", "sysfs", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC, 0 },
		{ "dev", "dev", "devtmpfs", "mode=755", MS_NOSUID, 1 },
		{ "devpts", "dev/pts", "devpts", "mode=620,ptmxmode=666", MS_NOSUID | MS_NOEXEC,
			0 },
		{ "shm", "dev/shm", "tmpfs", "mode=1777", MS_NOSUID | MS_NODEV, 0 },
		{ "tmp", "tmp", "tmpfs", "mode=1777", MS_NOSUID | MS_NODEV, 1 },
		{ "run", "run", "tmpfs", "mode=755", MS_NOSUID | MS_NODEV, 0 },
		{ "cgroup", "sys/fs/cgroup", "cgroup2", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC, 0 },
	};

	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		make_dirs(all[i].where);
		if (all[i].needed)
			mount_needed(
				all[i].what, all[i].where, all[i].type, all[i].flags, all[i].data);
		else
			mount_at(all[i].what, all[i].where, all[i].type, all[i].flags, all[i].data);
	}
	sys3(__NR_symlinkat, "/proc/self/fd", AT_HERE, "dev/fd");
	sys3(__NR_symlinkat, "/proc/self/fd/0", AT_HERE, "dev/stdin");
	sys3(__NR_symlinkat, "/proc/self/fd/1", AT_HERE, "dev/stdout");
	sys3(__NR_symlinkat, "/proc/self/fd/2", AT_HERE, "dev/stderr");
}

static void mount_share(const char *tag_and_path)
{
	static char tag[64];
	const char *path = text_find(tag_and_path, ' ');
	unsigned long len = (unsigned long)(path - tag_and_path);

	if (!*path || len >= sizeof(tag))
		fail("a shared directory without a path: ", tag_and_path, 0);
	memcpy(tag, tag_and_path, len);
	tag[len] = 0;
	path++;
	make_dirs(path);
	mount_needed(tag, path, "virtiofs", 0, NULL);
}

void mount_all(const struct job *j)
{
	long err;

	mount_root(j);
	err = sys1(__NR_chdir, ROOT);
	if (err)
		fail("the new root", "", err);
	mount_kernel();
	/* The first root cannot be unmounted; it stays below, out of sight. */
	err = mount_at(".", "/", NULL, MS_MOVE, NULL);
	if (!err)
		err = sys1(__NR_chroot, ".");
	if (!err)
		err = sys1(__NR_chdir, "/");
	if (err)
		fail("the new root", "", err);
	for (unsigned i = 0; i < j->nr_mounts; i++)
		mount_share(j->mount[i]);
}

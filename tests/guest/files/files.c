// SPDX-License-Identifier: BSD-3-Clause
/*
 * What a file system must do that a shell cannot ask for, by a guest on a shared directory.
 *
 *   files random PATH SEED COUNT   reads, writes, mappings, truncations, holes and copies of one
 *                                  file in random order, each compared with a copy in memory
 *   files rules DIR                what POSIX says of names, open files that lost theirs, modes,
 *                                  times, locks and offsets, one line for each rule that is broken
 *   files lists DIR                the same of access control lists; and whether they can name
 *                                  somebody else
 *
 * Status 0 when all was as it should be, 1 when not, 2 for wrong use.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

/* ---- random ---- */

#define MAX_SIZE (256 * 1024)
#define MAX_STEP (64 * 1024)

static struct {
	uint8_t good[MAX_SIZE];
	size_t size;
	uint64_t state;
	int fd;
	const char *path;
	unsigned long nr;
} x;

static size_t any(size_t below)
{
	x.state = x.state * 6364136223846793005ULL + 1442695040888963407ULL;
	return below ? (size_t)(x.state >> 33) % below : 0;
}

static void broken(const char *what)
{
	printf("files: step %lu: %s: %s, size %zu\n", x.nr, what, strerror(errno), x.size);
	exit(1);
}

static void grow(size_t end)
{
	if (end <= x.size)
		return;
	memset(x.good + x.size, 0, end - x.size);
	x.size = end;
}

static void step_write(size_t at, size_t len)
{
	grow(at + len);
	for (size_t i = 0; i < len; i++)
		x.good[at + i] = (uint8_t)(any(255) + 1);
	if (pwrite(x.fd, x.good + at, len, (off_t)at) != (ssize_t)len)
		broken("write");
}

static void step_read(size_t at, size_t len)
{
	static uint8_t buf[MAX_STEP];
	ssize_t want = at >= x.size ? 0 : (ssize_t)(len < x.size - at ? len : x.size - at);

	if (pread(x.fd, buf, len, (off_t)at) != want)
		broken("read: length");
	if (memcmp(buf, x.good + at, (size_t)want))
		broken("read: contents");
}

static void step_truncate(size_t to)
{
	if (ftruncate(x.fd, (off_t)to))
		broken("truncate");
	grow(to);
	x.size = to;
}

static void step_map(size_t at, size_t len)
{
	size_t page = at & ~(size_t)4095;
	uint8_t *p;

	grow(at + len);
	if (ftruncate(x.fd, (off_t)x.size))
		broken("truncate before a mapping");
	p = mmap(NULL, at + len - page, PROT_READ | PROT_WRITE, MAP_SHARED, x.fd, (off_t)page);
	if (p == MAP_FAILED)
		broken("mmap");
	if (memcmp(p + (at - page), x.good + at, len))
		broken("mapping: contents");
	for (size_t i = 0; i < len; i += 1 + any(500))
		p[at - page + i] = x.good[at + i] = (uint8_t)any(256);
	if (munmap(p, at + len - page))
		broken("munmap");
}

static void step_punch(size_t at, size_t len)
{
	if (fallocate(x.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)len)) {
		if (errno != EOPNOTSUPP)
			broken("punch");
		return;
	}
	if (at < x.size)
		memset(x.good + at, 0, len < x.size - at ? len : x.size - at);
}

static void step_copy(size_t from, size_t to, size_t len)
{
	loff_t in = (loff_t)from, out = (loff_t)to;

	if (from >= x.size || (to < from + len && from < to + len))
		return;
	len = len < x.size - from ? len : x.size - from;
	for (size_t done = 0; done < len;) {
		ssize_t n = copy_file_range(x.fd, &in, x.fd, &out, len - done, 0);

		if (n <= 0)
			broken("copy");
		done += (size_t)n;
	}
	grow(to + len);
	memmove(x.good + to, x.good + from, len);
}

static void step_reopen(void)
{
	if (close(x.fd))
		broken("close");
	x.fd = open(x.path, O_RDWR);
	if (x.fd < 0)
		broken("open");
}

static int do_random(const char *path, uint64_t seed, unsigned long count)
{
	struct stat st;

	x.path = path;
	x.state = seed;
	x.fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
	if (x.fd < 0)
		broken("open");
	for (x.nr = 0; x.nr < count; x.nr++) {
		size_t at = any(MAX_SIZE - MAX_STEP), len = 1 + any(MAX_STEP - 1);

		switch (any(10)) {
		case 0:
		case 1:
		case 2:
			step_write(at, len);
			break;
		case 3:
		case 4:
		case 5:
			step_read(at, len);
			break;
		case 6:
			step_truncate(any(MAX_SIZE));
			break;
		case 7:
			step_map(at, len);
			break;
		case 8:
			if (any(2))
				step_punch(at, len);
			else
				step_copy(at, any(MAX_SIZE - MAX_STEP), len);
			break;
		case 9:
			step_reopen();
			break;
		}
		if (fstat(x.fd, &st) || (size_t)st.st_size != x.size)
			broken("size");
	}
	for (size_t at = 0; at < x.size; at += MAX_STEP)
		step_read(at, MAX_STEP);
	printf("files: %lu steps, %zu bytes\n", count, x.size);
	return 0;
}

/* ---- rules ---- */

static unsigned nr_rules, nr_broken;

#define RULE(what, ok)                                                                             \
	do {                                                                                       \
		errno = 0;                                                                         \
		nr_rules++;                                                                        \
		if (!(ok)) {                                                                       \
			nr_broken++;                                                               \
			printf("files: broken: %s (%s)\n", what, strerror(errno));                 \
		}                                                                                  \
	} while (0)

#define FAILS(call, code) ((call) == -1 && errno == (code))

static int make(const char *name, const char *text)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);

	if (fd >= 0 && write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		broken(name);
	return fd;
}

static void rules_of_open_files(void)
{
	int fd = make("gone", "text"), tmp;
	struct stat st;
	char buf[8] = "";

	RULE("an open file outlives its name", !unlink("gone") && !fstat(fd, &st));
	RULE("it has no links then", st.st_nlink == 0 && st.st_size == 4);
	RULE("it is read and written still",
		pwrite(fd, "T", 1, 0) == 1 && pread(fd, buf, 8, 0) == 4 && !memcmp(buf, "Text", 4));
	RULE("it is truncated still", !ftruncate(fd, 2) && !fstat(fd, &st) && st.st_size == 2);
	close(fd);
	fd = make("moved", "one");
	RULE("an open file is the same by another name",
		!rename("moved", "elsewhere") && write(fd, "two", 3) == 3 &&
			!stat("elsewhere", &st) && st.st_size == 6);
	close(fd);
	fd = open("elsewhere", O_WRONLY | O_APPEND);
	RULE("appending appends", pwrite(fd, "x", 1, 0) == 1 && !fstat(fd, &st) && st.st_size == 7);
	close(fd);
	tmp = open(".", O_TMPFILE | O_RDWR, 0600);
	RULE("there are files without a name", tmp >= 0 && write(tmp, "abc", 3) == 3);
	if (tmp >= 0) {
		char path[32];

		snprintf(path, sizeof(path), "/proc/self/fd/%d", tmp);
		RULE("which get one by their descriptor",
			!linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW) &&
				!stat("named", &st) && st.st_size == 3 && st.st_nlink == 1);
		close(tmp);
	}
	fd = make("sparse", "");
	RULE("a hole is found",
		!ftruncate(fd, 1 << 20) && pwrite(fd, "x", 1, 1 << 19) == 1 &&
			lseek(fd, 0, SEEK_DATA) <= 1 << 19 && lseek(fd, 0, SEEK_HOLE) >= 0);
	RULE("room is made", !posix_fallocate(fd, 0, 4096) || errno == EOPNOTSUPP);
	close(fd);
}

static void rules_of_names(void)
{
	static char longest[257];
	struct stat a, b;
	char buf[64];

	memset(longest, 'n', 256);
	close(make("file", "text"));
	RULE("a name may have 255 bytes", !mkdir(longest + 1, 0755) && !rmdir(longest + 1));
	RULE("and no more", FAILS(mkdir(longest, 0755), ENAMETOOLONG));
	RULE("a directory is made once", !mkdir("dir", 0755) && FAILS(mkdir("dir", 0755), EEXIST));
	RULE("it is not unlinked", FAILS(unlink("dir"), EISDIR) || errno == EPERM);
	close(make("dir/f", ""));
	RULE("nor removed while it has names", FAILS(rmdir("dir"), ENOTEMPTY));
	RULE("a file is no directory", FAILS(open("file/x", O_RDONLY), ENOTDIR));
	RULE("a file does not replace a directory", FAILS(rename("file", "dir"), EISDIR));
	RULE("nor a directory a file", FAILS(rename("dir", "file"), ENOTDIR));
	RULE("nor goes into itself", FAILS(rename("dir", "dir/sub"), EINVAL));
	RULE("a directory has links to it", !stat("dir", &a) && a.st_nlink >= 1);
	RULE("two names are one file",
		!link("file", "hard") && !stat("file", &a) && !stat("hard", &b) &&
			a.st_ino == b.st_ino && b.st_nlink == 2);
	RULE("a directory has no second name", FAILS(link("dir", "dir2"), EPERM));
	RULE("a symlink says where", !symlink("file", "sym") && readlink("sym", buf, 64) == 4);
	RULE("and leads there", !stat("sym", &b) && a.st_ino == b.st_ino);
	RULE("a loop has no end", !symlink("loop", "loop") && FAILS(open("loop", O_RDONLY), ELOOP));
	RULE("a name that is to be new is new",
		FAILS(open("file", O_CREAT | O_EXCL | O_WRONLY, 0644), EEXIST));
	RULE("nor is a symlink followed then",
		FAILS(open("sym", O_CREAT | O_EXCL | O_WRONLY, 0644), EEXIST));
	RULE("names are exchanged",
		!renameat2(AT_FDCWD, "file", AT_FDCWD, "dir", RENAME_EXCHANGE) &&
			!stat("file", &a) && S_ISDIR(a.st_mode) &&
			!renameat2(AT_FDCWD, "file", AT_FDCWD, "dir", RENAME_EXCHANGE));
	RULE("a name that is there is kept when asked",
		renameat2(AT_FDCWD, "sym", AT_FDCWD, "file", RENAME_NOREPLACE) == -1 &&
			errno == EEXIST);
}

static void rules_of_attributes(void)
{
	const struct timespec times[2] = { { 1000, 1 }, { 2000, 2 } };
	struct statvfs vfs;
	struct stat st;
	mode_t mask = umask(027);

	close(make("plain", "text"));
	RULE("the umask counts", !stat("plain", &st) && (st.st_mode & 07777) == 0640);
	umask(mask);
	RULE("a mode is set",
		!chmod("plain", 0751) && !stat("plain", &st) && (st.st_mode & 07777) == 0751);
	RULE("times are set",
		!utimensat(AT_FDCWD, "plain", times, 0) && !stat("plain", &st) &&
			st.st_mtim.tv_sec == 2000 && st.st_mtim.tv_nsec == 2);
	RULE("a change is later than that",
		!truncate("plain", 1) && !stat("plain", &st) && st.st_mtim.tv_sec > 2000);
	RULE("a directory keeps its group bit",
		!mkdir("set", 0755) && !chmod("set", 02775) && !stat("set", &st) &&
			(st.st_mode & 07777) == 02775);
	RULE("there is room", !statvfs(".", &vfs) && vfs.f_blocks > 0 && vfs.f_namemax == 255);
	RULE("a pipe is made", !mkfifo("pipe", 0600) && !stat("pipe", &st) && S_ISFIFO(st.st_mode));
}

/** Whether another process gets the lock. */
static bool other_gets_lock(const char *name, bool posix)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int status;
	pid_t pid = fork();

	if (!pid) {
		int fd = open(name, O_RDWR);

		_exit(posix ? fcntl(fd, F_SETLK, &l) != 0 : flock(fd, LOCK_EX | LOCK_NB) != 0);
	}
	return waitpid(pid, &status, 0) == pid && status == 0;
}

static void rules_of_locks(void)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = make("lock", "");

	RULE("a record is locked", !fcntl(fd, F_SETLK, &l) && !other_gets_lock("lock", true));
	l.l_type = F_UNLCK;
	RULE("and unlocked", !fcntl(fd, F_SETLK, &l) && other_gets_lock("lock", true));
	RULE("a file is locked", !flock(fd, LOCK_EX) && !other_gets_lock("lock", false));
	RULE("and unlocked, too", !flock(fd, LOCK_UN) && other_gets_lock("lock", false));
	close(fd);
}

static int do_rules(const char *dir)
{
	if (mkdir(dir, 0755) || chdir(dir))
		broken(dir);
	rules_of_open_files();
	rules_of_names();
	rules_of_attributes();
	rules_of_locks();
	printf("files: %u rules, %u broken\n", nr_rules, nr_broken);
	return nr_broken != 0;
}

/* ---- lists ---- */

#define ACCESS   "system.posix_acl_access"
#define DEFAULT  "system.posix_acl_default"
#define STRANGER 1000U

struct list {
	struct posix_acl_xattr_header h;
	struct posix_acl_xattr_entry e[5];
};

/** rw-r-x---, and rwx for that user, whose rights the mask r-x makes r-x. */
static bool set_list(const char *path, const char *name, bool named, uint32_t user)
{
	struct list l = { .h = { POSIX_ACL_XATTR_VERSION } };
	unsigned nr = 0;

	l.e[nr++] = (struct posix_acl_xattr_entry){ ACL_USER_OBJ, 6, (uint32_t)ACL_UNDEFINED_ID };
	if (named)
		l.e[nr++] = (struct posix_acl_xattr_entry){ ACL_USER, 7, user };
	l.e[nr++] = (struct posix_acl_xattr_entry){ ACL_GROUP_OBJ, 5, (uint32_t)ACL_UNDEFINED_ID };
	if (named)
		l.e[nr++] =
			(struct posix_acl_xattr_entry){ ACL_MASK, 5, (uint32_t)ACL_UNDEFINED_ID };
	l.e[nr++] = (struct posix_acl_xattr_entry){ ACL_OTHER, 0, (uint32_t)ACL_UNDEFINED_ID };
	return !setxattr(path, name, &l, sizeof(l.h) + nr * sizeof(l.e[0]), 0);
}

/** Whether that user gets the file open. */
static bool user_opens(uint32_t user, const char *path, int flags)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(setgid(user) || setuid(user) || open(path, flags) < 0);
	return waitpid(pid, &status, 0) == pid && status == 0;
}

static int do_lists(const char *dir)
{
	struct list l = { 0 };
	struct stat st;

	if (mkdir(dir, 0755) || chdir(dir))
		broken(dir);
	RULE("a file has none at first",
		getxattr(".", ACCESS, &l, sizeof(l)) < 0 && errno == ENODATA);
	RULE("a directory has one for what is made in it", set_list(".", DEFAULT, false, 0));
	umask(077);
	close(make("file", "text"));
	RULE("and not the umask", !stat("file", &st) && (st.st_mode & 07777) == 0640);
	RULE("a directory hands it down",
		!mkdir("sub", 0777) && getxattr("sub", DEFAULT, &l, sizeof(l)) == 4 + 3 * 8);
	RULE("the owner can be named",
		set_list("file", ACCESS, true, 0) &&
			getxattr("file", ACCESS, &l, sizeof(l)) == 4 + 5 * 8 && l.e[1].e_id == 0);
	RULE("the mask is the group's mode", !stat("file", &st) && (st.st_mode & 07777) == 0650);
	RULE("and a new mode is the mask",
		!chmod("file", 0600) && getxattr("file", ACCESS, &l, sizeof(l)) == 4 + 5 * 8 &&
			l.e[3].e_perm == 0);
	RULE("nobody else gets in", !user_opens(STRANGER, "file", O_RDONLY));
	if (set_list("file", ACCESS, true, STRANGER)) {
		printf("files: somebody else is named\n");
		RULE("who is named gets in", user_opens(STRANGER, "file", O_RDONLY));
		RULE("as far as the mask says", !user_opens(STRANGER, "file", O_RDWR));
		RULE("who is not does not", !user_opens(STRANGER + 1, "file", O_RDONLY));
	} else {
		printf("files: somebody else is not named: %s\n", strerror(errno));
	}
	RULE("a list is taken away", !removexattr("file", ACCESS));
	RULE("and is gone", getxattr("file", ACCESS, &l, sizeof(l)) < 0 && errno == ENODATA);
	RULE("with who was named", !user_opens(STRANGER, "file", O_RDONLY));
	printf("files: %u rules, %u broken\n", nr_rules, nr_broken);
	return nr_broken != 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "random"))
		return do_random(argv[2], strtoull(argv[3], NULL, 0), strtoul(argv[4], NULL, 0));
	if (argc == 3 && !strcmp(argv[1], "rules"))
		return do_rules(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "lists"))
		return do_lists(argv[2]);
	fprintf(stderr, "files random PATH SEED COUNT | rules DIR | lists DIR\n");
	return 2;
}

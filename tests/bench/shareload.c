// SPDX-License-Identifier: BSD-3-Clause
/*
 * A guest's first program that measures a shared directory: it mounts the tag "tag" as virtio-fs
 * and prints "share NAME NANOSECONDS" for each of what programs do with files. Between them the
 * guest's caches are dropped, so that the host is asked.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LEN       (8U << 20)
#define CHUNK     65536U
#define RANDOM    500U
#define DIRS      10U
#define FILES     30U /* in each */
#define DIRECTORY "/mnt"

static char buf[CHUNK];

__attribute__((noreturn)) static void end(void)
{
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static void check(int ok, const char *what)
{
	if (ok)
		return;
	printf("share: failed: %s: %m\n", what);
	fflush(stdout);
	end();
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void drop(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

	sync();
	check(fd >= 0 && write(fd, "3", 1) == 1, "drop_caches");
	close(fd);
}

static void write_all(void)
{
	int fd = open(DIRECTORY "/big", O_WRONLY | O_CREAT | O_TRUNC, 0644);

	for (unsigned at = 0; at < LEN; at += CHUNK)
		check(write(fd, buf, CHUNK) == CHUNK, "write");
	check(!close(fd), "close");
}

static void read_all(void)
{
	int fd = open(DIRECTORY "/big", O_RDONLY);

	for (unsigned at = 0; at < LEN; at += CHUNK)
		check(read(fd, buf, CHUNK) == CHUNK, "read");
	close(fd);
}

static void read_random(void)
{
	int fd = open(DIRECTORY "/big", O_RDONLY);
	uint32_t x = 1;

	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	for (unsigned i = 0; i < RANDOM; i++) {
		x = x * 1664525 + 1013904223;
		check(pread(fd, buf, 4096, (off_t)((x >> 8) % (LEN / 4096)) * 4096) == 4096,
			"pread");
	}
	close(fd);
}

static void make_files(void)
{
	char name[64];

	for (unsigned d = 0; d < DIRS; d++) {
		snprintf(name, sizeof(name), DIRECTORY "/d%u", d);
		check(!mkdir(name, 0755), "mkdir");
		for (unsigned f = 0; f < FILES; f++) {
			int fd;

			snprintf(name, sizeof(name), DIRECTORY "/d%u/f%u", d, f);
			fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
			check(fd >= 0 && write(fd, name, 20) == 20, "create");
			close(fd);
		}
	}
}

/** As find(1) and git status: every name, and what it is. */
static unsigned walk(const char *path)
{
	DIR *d = opendir(path);
	unsigned nr = 0;
	struct dirent *e;

	check(d != NULL, path);
	while ((e = readdir(d))) {
		char sub[512];
		struct stat st;

		if (e->d_name[0] == '.')
			continue;
		snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name);
		check(!lstat(sub, &st), sub);
		nr += 1 + (S_ISDIR(st.st_mode) ? walk(sub) : 0);
	}
	closedir(d);
	return nr;
}

static void find_files(void)
{
	check(walk(DIRECTORY) == DIRS * (FILES + 1) + 1, "walk");
}

static void remove_files(void)
{
	char name[64];

	for (unsigned d = 0; d < DIRS; d++) {
		for (unsigned f = 0; f < FILES; f++) {
			snprintf(name, sizeof(name), DIRECTORY "/d%u/f%u", d, f);
			check(!unlink(name), "unlink");
		}
		snprintf(name, sizeof(name), DIRECTORY "/d%u", d);
		check(!rmdir(name), "rmdir");
	}
}

int main(void)
{
	static const struct {
		const char *name;
		void (*fn)(void);
	} all[] = {
		{ "write", write_all },
		{ "read", read_all },
		{ "random", read_random },
		{ "create", make_files },
		{ "find", find_files },
		{ "remove", remove_files },
	};

	mkdir("/proc", 0755);
	mkdir(DIRECTORY, 0755);
	check(!mount("proc", "/proc", "proc", 0, NULL), "proc");
	check(!mount("tag", DIRECTORY, "virtiofs", 0, NULL), "virtiofs");
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		uint64_t begin;

		drop();
		begin = now();
		all[i].fn();
		printf("share %s %" PRIu64 "\n", all[i].name, now() - begin);
		fflush(stdout);
	}
	end();
}

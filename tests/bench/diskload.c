// SPDX-License-Identifier: BSD-3-Clause
/*
 * A guest's first program that makes a known number of disk requests, so that what the monitor
 * does for one can be counted.
 *
 * It prints "disk mark K irqs N" three times: requests=COUNT requests of 4 KiB lie between
 * marks 1 and 2, none between 0 and 1. What the mark itself costs is thus known too. N is how
 * many interrupts of virtio devices the guest has had. Requests go one at a time to random
 * places on /dev/vda past the page cache, reads and writes by turns.
 *
 * A kernel that keeps its drivers in modules finds them in /modules, listed in /modules/order.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#define DISK_REQUEST 4096
#define DISK_PAUSE   20000 /* us: the console falls silent, a stopped monitor goes on */

__attribute__((noreturn)) static void disk_end(const char *how)
{
	sync();
	reboot(how && how[0] == 'r' ? RB_AUTOBOOT : RB_POWER_OFF);
	for (;;)
		pause();
}

static void disk_check(int ok, const char *what)
{
	if (ok)
		return;
	printf("disk: failed: %s: %m\n", what);
	fflush(stdout);
	disk_end(getenv("end"));
}

/** Interrupts of all lines of /proc/interrupts that name a virtio device. */
static unsigned long disk_interrupts(void)
{
	FILE *f = fopen("/proc/interrupts", "re");
	unsigned long sum = 0;
	char line[1024];

	while (f && fgets(line, sizeof(line), f)) {
		char *p = strchr(line, ':'), *end;

		if (!p || !strstr(line, "virtio"))
			continue;
		for (p++;; p = end) {
			unsigned long n = strtoul(p, &end, 10);

			if (end == p || (*end && *end != ' '))
				break;
			sum += n;
		}
	}
	if (f)
		fclose(f);
	return sum;
}

static void disk_modules(void)
{
	FILE *f = fopen("/modules/order", "re");
	char line[128], path[160];

	while (f && fgets(line, sizeof(line), f)) {
		int fd;

		line[strcspn(line, "\n")] = '\0';
		snprintf(path, sizeof(path), "/modules/%s", line);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		disk_check(fd >= 0 && !syscall(SYS_finit_module, fd, "", 0), path);
		close(fd);
	}
	if (f)
		fclose(f);
}

/** The disk; drivers look for their devices in the background. */
static int disk_open(void)
{
	int fd = -1;

	for (unsigned i = 0; i < 100 && fd < 0; i++) {
		fd = open("/dev/vda", O_RDWR | O_DIRECT | O_CLOEXEC);
		if (fd < 0)
			usleep(DISK_PAUSE);
	}
	return fd;
}

static void disk_mark(unsigned k)
{
	usleep(DISK_PAUSE);
	printf("disk mark %u irqs %08lu\n", k, disk_interrupts());
	fflush(stdout);
	tcdrain(STDOUT_FILENO);
	usleep(DISK_PAUSE);
}

int main(void)
{
	const char *count = getenv("requests");
	unsigned long n = count ? strtoul(count, NULL, 10) : 1000;
	uint64_t size = 0, x = 88172645463325252;
	char *buf = aligned_alloc(DISK_REQUEST, DISK_REQUEST);
	int fd;

	mkdir("/proc", 0755);
	mkdir("/dev", 0755);
	disk_check(!mount("proc", "/proc", "proc", 0, NULL), "/proc");
	disk_check(!mount("dev", "/dev", "devtmpfs", 0, NULL), "/dev");
	disk_modules();
	fd = disk_open();
	disk_check(fd >= 0 && buf && !ioctl(fd, BLKGETSIZE64, &size) && size >= DISK_REQUEST,
		"/dev/vda");
	memset(buf, 0x5a, DISK_REQUEST);
	disk_mark(0);
	disk_mark(1);
	for (unsigned long i = 0; i < n; i++) {
		off_t at;
		ssize_t done;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		at = (off_t)(x % (size / DISK_REQUEST) * DISK_REQUEST);
		done = i % 2 ? pwrite(fd, buf, DISK_REQUEST, at) : pread(fd, buf, DISK_REQUEST, at);
		disk_check(done == DISK_REQUEST, "a request");
	}
	disk_mark(2);
	disk_end(getenv("end"));
}

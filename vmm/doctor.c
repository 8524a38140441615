// SPDX-License-Identifier: BSD-3-Clause
#include "vmm/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <liburing.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/fd.h"
#include "hypervisor/hv.h"
#include "sandbox/jail.h"
#include "vmm/probe.h"

enum doctor_mark { DOCTOR_OK, DOCTOR_LACKS, DOCTOR_BAD };

__printf(3, 4) static void doctor_line(
	enum doctor_mark mark, const char *what, const char *fmt, ...)
{
	static const char *const marks[] = { "ok  ", "--  ", "BAD " };
	va_list ap;

	printf("%s%-26s", marks[mark], what);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

static bool doctor_speed(struct hv *hv)
{
	struct probe_speed s;
	struct err err;

	if (probe_speed(hv, &s, &err)) {
		doctor_line(DOCTOR_BAD, "guest speed", "the probe failed: %s", err.msg);
		return false;
	}
	if (s.emulated) {
		doctor_line(DOCTOR_BAD, "guest speed",
			"KVM emulates each instruction (a loop took %llu us, %llu us outside): run "
			"refuses; use a host with VMX, SVM or their like, or an emulated host "
			"(tests/host/run)",
			(unsigned long long)s.guest_ns / 1000,
			(unsigned long long)s.host_ns / 1000);
		return false;
	}
	doctor_line(DOCTOR_OK, "guest speed", "hardware (a loop took %llu us, %llu us outside)",
		(unsigned long long)s.guest_ns / 1000, (unsigned long long)s.host_ns / 1000);
	return true;
}

static bool doctor_caps(struct hv *hv)
{
	bool ok = true;

	for (const struct arch_cap *c = arch_caps; c->name; c++) {
		int v = hv_cap(hv, c->cap);

		if (v)
			doctor_line(DOCTOR_OK, c->name, "%s", c->use);
		else if (c->required)
			doctor_line(DOCTOR_BAD, c->name, "missing; needed for %s", c->use);
		else
			doctor_line(DOCTOR_LACKS, c->name, "missing; it would serve %s", c->use);
		ok &= v || !c->required;
	}
	return ok;
}

static void doctor_uring(void)
{
	struct io_uring ring;
	int rc = io_uring_queue_init(2, &ring, 0);

	if (rc) {
		doctor_line(DOCTOR_LACKS, "io_uring", "%s; --block uses plain system calls",
			strerrordesc_np(-rc));
		return;
	}
	io_uring_queue_exit(&ring);
	doctor_line(DOCTOR_OK, "io_uring", "--block");
}

static void doctor_namespaces(void)
{
	if (jail_has_namespaces())
		doctor_line(DOCTOR_OK, "namespaces", "a jail for each device");
	else
		doctor_line(DOCTOR_LACKS, "namespaces",
			"refused; devices are jailed by Landlock and seccomp alone; see "
			"kernel.unprivileged_userns_clone, user.max_user_namespaces and AppArmor");
	if (jail_has_landlock())
		doctor_line(DOCTOR_OK, "Landlock", "for jails without namespaces");
	else
		doctor_line(DOCTOR_LACKS, "Landlock", "for jails without namespaces");
}

static bool doctor_seccomp(void)
{
	uint32_t action = SECCOMP_RET_KILL_PROCESS;

	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action)) {
		doctor_line(DOCTOR_BAD, "seccomp", "%s; run needs --disable-sandbox",
			strerrordesc_np(errno));
		return false;
	}
	doctor_line(DOCTOR_OK, "seccomp", "filters that kill the process");
	return true;
}

static void doctor_device(const char *path, const char *use)
{
	fd_auto int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		doctor_line(DOCTOR_LACKS, path, "%s; %s", strerrordesc_np(errno), use);
	else
		doctor_line(DOCTOR_OK, path, "%s", use);
}

enum status doctor(const char *kvm_device)
{
	struct utsname u;
	struct hv *hv = NULL;
	struct err err;
	bool ok;

	if (!uname(&u))
		doctor_line(DOCTOR_OK, "host", "%s %s on %s", u.sysname, u.release, u.machine);
	if (hv_open(kvm_device, &hv, &err)) {
		doctor_line(DOCTOR_BAD, "hypervisor", "%s", err.msg);
		ok = false;
	} else {
		doctor_line(DOCTOR_OK, "hypervisor", "%s can be opened",
			kvm_device ? kvm_device : "/dev/kvm");
		ok = doctor_speed(hv);
		ok &= doctor_caps(hv);
	}
	hv_close(hv);
	doctor_uring();
	doctor_namespaces();
	ok &= doctor_seccomp();
	doctor_device("/dev/net/tun", "for tap networks, which this version does not have");
	doctor_device("/dev/vhost-vsock", "for vsock, which this version does not have");
	printf("\n%s\n",
		ok ? "mayfly run works on this host."
		   : "mayfly run does not work on this host: see the lines marked BAD.");
	return ok ? STATUS_OK : STATUS_NO_HYPERVISOR;
}

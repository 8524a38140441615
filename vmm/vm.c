// SPDX-License-Identifier: BSD-3-Clause
/*
 * How a machine comes to be and ends: open, build, load, run, end.
 *
 * Invariants:
 * 1. Nothing runs before everything was opened and loaded: an error before that leaves no
 *    trace but its line.
 * 2. The end is decided once (vm_end); only a failure, such as output lost on the way out,
 *    replaces a success. The order of ending is fixed: vCPUs stop, terminal back, output
 *    drained, devices stopped.
 */
#include "vmm/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/thread.h"
#include "sandbox/hugefile.h"
#include "sandbox/jail.h"
#include "vmm/probe.h"

#define DRAIN_SECONDS 5 /* how long a stopped machine waits for the readers of its output */

void vm_end(struct vm *vm, enum status status, const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&vm->end_lock);
	/* A failure takes a success back: output may be lost on the way out. */
	if (!vm->ended || (vm->end_status == STATUS_OK && status == STATUS_FAILED)) {
		vm->ended = true;
		vm->end_status = status;
		va_start(ap, fmt);
		vsnprintf(vm->end_reason.msg, sizeof(vm->end_reason.msg), fmt, ap);
		va_end(ap);
		atomic_store(&vm->ending, true);
		fd_event_signal(vm->end_fd);
	}
	pthread_mutex_unlock(&vm->end_lock);
}

static void vm_on_power(void *ctx, enum power_event ev)
{
	switch (ev) {
	case POWER_OFF:
		vm_end(ctx, STATUS_OK, "the guest powered off");
		return;
	case POWER_RESET:
		vm_end(ctx, STATUS_RESET, "the guest asked for a reset");
		return;
	case POWER_PANIC:
		vm_end(ctx, STATUS_PANIC, "the guest's kernel panicked");
		return;
	case POWER_CRASH_LOADED:
		log_info("the guest's kernel panicked and starts its crash kernel");
	}
}

static void vm_on_lost(void *ctx, const struct err *err)
{
	vm_end(ctx, STATUS_FAILED, "%s", err->msg);
}

static void vm_on_escape(void *ctx)
{
	vm_end(ctx, STATUS_OK, "stopped at the terminal");
}

/* ---- build ---- */

static int vm_open_hypervisor(struct vm *vm, struct err *err)
{
	struct probe_speed speed;
	int rc = hv_open(vm->cfg->kvm_device, &vm->hv, err);

	if (rc)
		return rc;
	for (const struct arch_cap *c = arch_caps; c->name; c++)
		if (c->required && !hv_cap(vm->hv, c->cap))
			return err_set(err, ENOSYS, "KVM: this host has no %s, needed for %s",
				c->name, c->use);
	if (vm->cfg->force || vm->cfg->print_hash || !arch_probe_suspect())
		return 0;
	rc = probe_speed(vm->hv, &speed, err);
	if (!rc && speed.emulated)
		return err_set(err, ENOSYS,
			"KVM: this host emulates each guest instruction (a loop took %llu us, %llu "
			"us "
			"outside): a kernel would crawl or fail; --force runs it all the same",
			(unsigned long long)speed.guest_ns / 1000,
			(unsigned long long)speed.host_ns / 1000);
	return rc;
}

static int vm_create_cpus(struct vm *vm, struct err *err)
{
	unsigned n = (unsigned)vm->cfg->cpus;

	vm->cpu = calloc(n, sizeof(*vm->cpu));
	if (!vm->cpu)
		return err_errno(err, ENOMEM, "--cpus");
	for (unsigned i = 0; i < n; i++) {
		int rc = hv_vcpu_create(vm->hvm, i, &vm->cpu[i].hv, err);

		if (rc)
			return rc;
		vm->cpu[i].vm = vm;
		vm->cpu[i].id = i;
		vm->nr_cpus = i + 1;
		rc = arch_vcpu_init(vm->arch, vm->cpu[i].hv, i, err);
		if (rc)
			return err_prefix(err, rc, "--cpus: CPU %u", i);
	}
	return 0;
}

/**
 * RAM that processes map. Ours have no call that changes a file's length, so theirs may be the
 * kind that comes in huge pages; what is shown to other programs is sealed.
 */
static int vm_share_ram(struct vm *vm, struct err *err)
{
	uint64_t len = vm->cfg->mem_mib * MIB;
	int fd = vm->cfg->nr_foreign ? -1 : hugefile_open(len);

	return gm_share(&vm->gm, len, fd, err);
}

/** KVM takes its time to make a machine: meanwhile a thread loads the kernel. */
static int vm_build(struct vm *vm, struct err *err)
{
	unsigned long type;
	int rc = load_open(vm, err);

	if (!rc && !vm->cfg->print_hash)
		rc = procs_start(vm, err);
	if (rc)
		return rc;
	vm->end_status = STATUS_NO_HYPERVISOR;
	rc = vm_open_hypervisor(vm, err);
	if (rc)
		return rc;
	vm->end_status = STATUS_FAILED;
	rc = 0;
	if (vm->nr_procs || (vm->cfg->nr_foreign && !vm->cfg->print_hash))
		rc = vm_share_ram(vm, err);
	if (!rc)
		rc = arch_add_ram(&vm->gm, vm->cfg->mem_mib * MIB, err);
	if (!rc)
		rc = load_start(vm, err);
	if (!rc)
		rc = arch_vm_type(vm->hv, &vm->gm, &type, err);
	if (!rc)
		rc = hv_vm_create(vm->hv, type, &vm->hvm, err);
	if (!rc)
		rc = hv_map_ram(vm->hvm, &vm->gm, err);
	if (!rc)
		rc = loop_create(&vm->loop, err);
	vm->host.loop = vm->loop;
	if (!rc)
		rc = devices_create(vm, err);
	if (!rc)
		rc = vm_create_cpus(vm, err);
	if (!rc)
		rc = arch_vm_ready(vm->arch, err);
	if (!rc && !vm->cfg->print_hash)
		rc = devices_bind(vm, err);
	if (!rc)
		rc = load_finish(vm, err);
	if (!rc)
		rc = arch_vcpu_enter(vm->arch, vm->cpu[0].hv, &vm->entry, err);
	return rc;
}

enum status vm_create(const struct config *cfg, struct vm **ret, struct err *err)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	enum status status;
	int rc;

	if (!vm) {
		err_errno(err, ENOMEM, "machine");
		return STATUS_FAILED;
	}
	vm->cfg = cfg;
	vm->ack_fd = vm->net_fd = -1;
	vm->load.kernel_fd = vm->load.initrd_fd = -1;
	vm->end_status = STATUS_FAILED;
	vm->host = (struct model_host){
		.cfg = cfg, .gm = &vm->gm, .failed = vm_on_lost, .escaped = vm_on_escape, .ctx = vm
	};
	vm->power = (struct power){ .event = vm_on_power, .ctx = vm };
	for (unsigned i = 0; i < VM_MAX_DEVS; i++)
		vm->line[i].fd = -1;
	pthread_mutex_init(&vm->end_lock, NULL);
	rc = vm->end_fd = fd_event();
	if (rc < 0)
		err_errno(err, -rc, "machine");
	else
		rc = vm_build(vm, err);
	if (rc < 0) {
		status = vm->end_status;
		terminal_restore();
		vm_destroy(vm);
		return status;
	}
	*ret = vm;
	return STATUS_OK;
}

void vm_destroy(struct vm *vm)
{
	if (!vm)
		return;
	load_fini(vm);
	devices_destroy(vm);
	for (unsigned i = 0; i < vm->nr_cpus; i++)
		hv_vcpu_destroy(vm->cpu[i].hv);
	free(vm->cpu);
	arch_vm_destroy(vm->arch);
	loop_destroy(vm->loop);
	hv_vm_destroy(vm->hvm);
	hv_close(vm->hv);
	gm_fini(&vm->gm);
	fd_close(&vm->ack_fd);
	fd_close(&vm->end_fd);
	fd_close(&vm->net_fd);
	pthread_mutex_destroy(&vm->end_lock);
	free(vm);
}

/* ---- run ---- */

static void *vm_io_thread(void *arg)
{
	struct vm *vm = arg;

	pthread_setname_np(pthread_self(), "io");
	vm_lock_down(vm, "monitor-io");
	loop_run(vm->loop);
	return NULL;
}

static int vm_start(struct vm *vm, struct err *err)
{
	sigset_t all, old;
	int rc;

	/* Threads take no signal but the kick, which reaches them by name. */
	sigfillset(&all);
	sigdelset(&all, SIGUSR1);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	hv_kick_init();
	rc = thread_create(&vm->io_thread, vm_io_thread, vm);
	if (rc) {
		rc = err_errno(err, -rc, "I/O thread");
	} else {
		vm->io_started = true;
		loop_wait_running(vm->loop);
		rc = vcpu_start_all(vm, err);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

static int vm_timer(uint64_t seconds)
{
	struct itimerspec t = { .it_value.tv_sec = (time_t)seconds };
	int fd;

	if (!seconds)
		return -1;
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	BUG_ON(fd >= 0 && timerfd_settime(fd, 0, &t, NULL));
	return fd;
}

static void vm_end_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
}

/** The main thread's life: until the guest, the clock or a signal ends the machine. */
static void vm_wait(struct vm *vm)
{
	struct signalfd_siginfo si;
	sigset_t set;

	vm_end_signals(&set);
	fd_auto int sig_fd = signalfd(-1, &set, SFD_CLOEXEC);
	fd_auto int timer_fd = vm_timer(vm->cfg->timeout_s);
	struct pollfd p[] = {
		{ .fd = vm->end_fd, .events = POLLIN },
		{ .fd = sig_fd, .events = POLLIN },
		{ .fd = timer_fd, .events = POLLIN },
	};

	BUG_ON(sig_fd < 0);
	vm_lock_down(vm, "monitor-main");
	while (poll(p, ARRAY_SIZE(p), -1) < 0)
		BUG_ON(errno != EINTR);
	if (p[1].revents && read(sig_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		vm->end_signal = (int)si.ssi_signo;
		vm_end(vm, STATUS_FAILED, "stopped by signal %d (%s)", vm->end_signal,
			sigdescr_np(vm->end_signal));
	}
	if (p[2].revents)
		vm_end(vm, STATUS_TIMEOUT, "--timeout: the guest still ran after %llu s",
			(unsigned long long)vm->cfg->timeout_s);
}

/** A second signal, or a reader that takes nothing, must not keep a stopped machine. */
static enum status vm_stuck_status; /* set before the handler is, as the line */
static struct err vm_stuck_line;

static void vm_on_stuck(int sig __unused)
{
	/* Nothing can be done about a stderr that fails, too. */
	if (write(STDERR_FILENO, vm_stuck_line.msg, strlen(vm_stuck_line.msg)) < 0)
		_exit((int)vm_stuck_status);
	_exit((int)vm_stuck_status);
}

static void vm_guard_drain(struct vm *vm)
{
	struct sigaction sa = { .sa_handler = vm_on_stuck };
	sigset_t set;

	vm_stuck_status = vm->end_status;
	snprintf(vm_stuck_line.msg, sizeof(vm_stuck_line.msg),
		"mayfly: %.400s; output that nobody took, or what a device still had to do, is lost\n",
		vm->end_reason.msg);
	vm_end_signals(&set);
	for (int sig = 1; sig < NSIG; sig++)
		if (sigismember(&set, sig) == 1)
			sigaction(sig, &sa, NULL);
	sigaction(SIGALRM, &sa, NULL);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	if (vm->end_status == STATUS_TIMEOUT || vm->end_signal)
		alarm(DRAIN_SECONDS);
}

static void vm_stop(struct vm *vm)
{
	atomic_store(&vm->ending, true);
	for (unsigned i = 0; i < ARCH_MAX_UARTS; i++)
		if (vm->uart[i])
			uart_release(vm->uart[i]);
	vcpu_stop_all(vm);
	terminal_restore();
	vm_guard_drain(vm);
	devices_drain(vm);
	for (unsigned i = 0; i < vm->nr_virtio; i++)
		virtio_mmio_stop(vm->virtio[i]);
	if (vm->io_started) {
		loop_stop(vm->loop);
		pthread_join(vm->io_thread, NULL);
		vm->io_started = false;
	}
}

enum status vm_run(struct vm *vm, struct err *err)
{
	struct err start_err;
	sigset_t set;

	vm_end_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN); /* errors of the write, not ends of the process */
	signal(SIGXFSZ, SIG_IGN);
	/* What needed privileges is open. */
	if ((!vm->cfg->disable_sandbox && jail_lower(&start_err)) || vm_start(vm, &start_err))
		vm_end(vm, STATUS_FAILED, "%s", start_err.msg);
	vm_wait(vm);
	vm_stop(vm);
	*err = vm->end_reason;
	return vm->end_status;
}

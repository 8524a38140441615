// SPDX-License-Identifier: BSD-3-Clause
/*
 * The machine's device processes: started before anything large is there to be copied, each
 * behind the front end of vhost-user, and the machine's end when one of them ends.
 */
#include <errno.h>

#include "vhost-user/front.h"
#include "vmm/vm.h"

#define PROCS_DRAIN_MS 30000 /* for what is with the host's disk */
#define PROCS_END_MS   5000  /* from the end of its connection to a process's own */

static void procs_on_failed(void *ctx, const struct err *err)
{
	vm_end(ctx, STATUS_FAILED, "%s", err->msg);
}

static void procs_on_escape(void *ctx)
{
	vm_end(ctx, STATUS_OK, "stopped at the terminal");
}

static void procs_on_died(void *ctx, const struct err *err)
{
	vm_end(ctx, STATUS_CRASH, "%s", err->msg);
}

/** The connection failed. That is nearly always because the process did: it is asked first. */
static void procs_on_front_failed(void *ctx, const struct err *err)
{
	struct vm_proc *p = ctx;
	struct err why;

	if (process_died(p->proc, &why))
		err = &why;
	vm_end(p->vm, STATUS_CRASH, "%s", err->msg);
}

int procs_start(struct vm *vm, struct err *err)
{
	struct process *all[ARCH_MAX_VIRTIO];

	if (vm->cfg->disable_sandbox)
		return 0;
	for (const struct model *m = models; m->cls; m++) {
		unsigned count = m->count(vm->cfg);

		for (unsigned i = 0; i < count; i++) {
			struct vm_proc *p = &vm->proc[vm->nr_procs];
			struct model_files files;
			int rc = m->open(vm->cfg, i, &files, err);

			if (!rc)
				rc = process_prepare(vm->cfg, m, i, &files, -1, &p->proc, err);
			if (rc)
				return rc;
			p->vm = vm;
			all[vm->nr_procs++] = p->proc;
		}
	}
	return process_start(all, vm->nr_procs, &vm->net_fd, err);
}

int procs_connect(struct vm *vm, unsigned n, const struct model *m, struct virtio_backend **ret,
	struct err *err)
{
	struct vm_proc *p = &vm->proc[n];
	const struct process_events ev = { .failed = procs_on_failed,
		.escaped = procs_on_escape,
		.died = procs_on_died,
		.ctx = vm };
	struct vu_front_config fc = {
		.name = m->cls->name,
		.device_id = m->cls->device_id,
		.queue_size_max = m->cls->queue_size_max,
		.config_len = m->cls->config_len,
		.gm = &vm->gm,
		.loop = vm->loop,
		.drain_ms = m->streams ? -1 : PROCS_DRAIN_MS,
		.hurry = &vm->ending,
		.failed = procs_on_front_failed,
		.ctx = p,
	};
	int rc = process_ready(p->proc, err);

	if (!rc)
		rc = process_watch(p->proc, vm->loop, &ev, err);
	if (rc)
		return rc;
	rc = devices_attend(vm, process_take_requests(p->proc), err);
	if (rc)
		return rc;
	fc.sock = process_take_socket(p->proc);
	return vu_front_create(&fc, ret, err);
}

void procs_let_go(struct vm *vm)
{
	for (unsigned i = 0; i < vm->nr_procs; i++)
		process_let_go(vm->proc[i].proc);
}

void procs_wait(struct vm *vm)
{
	for (unsigned i = 0; i < vm->nr_procs; i++) {
		struct err err;

		if (process_wait(vm->proc[i].proc, PROCS_END_MS, &err))
			vm_end(vm, STATUS_FAILED, "%s", err.msg);
	}
}

void procs_destroy(struct vm *vm)
{
	while (vm->nr_procs)
		process_destroy(vm->proc[--vm->nr_procs].proc);
}

// SPDX-License-Identifier: BSD-3-Clause
/*
 * The KVM backend: the device, VMs, memory slots, irqfds and ioeventfds.
 * Linux Documentation/virt/kvm/api.rst. The building thread, before vCPUs run; irqfd and
 * routing changes are safe from any thread because KVM locks them.
 */
#include "hypervisor/hv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "base/fd.h"
#include "hypervisor/kvm/internal.h"

int kvm_ioctl(int fd, unsigned long req, unsigned long arg)
{
	int rc;

	do
		rc = ioctl(fd, req, arg);
	while (rc < 0 && errno == EINTR);
	return rc < 0 ? -errno : rc;
}

int hv_open(const char *dev, struct hv **ret, struct err *err)
{
	const char *path = dev ? dev : "/dev/kvm";
	struct hv *hv;
	int version;

	hv = calloc(1, sizeof(*hv));
	if (!hv)
		return err_errno(err, ENOMEM, "%s", path);
	hv->fd = open(path, O_RDWR | O_CLOEXEC);
	if (hv->fd < 0) {
		int code = errno;

		free(hv);
		if (code == ENOENT)
			return err_set(err, code,
				"%s: no such device: KVM is not in this kernel, its module is not "
				"loaded, or virtualization is off in the firmware",
				path);
		if (code == EACCES || code == EPERM)
			return err_set(err, code,
				"%s: permission denied: join the group that owns it (usually kvm)",
				path);
		return err_errno(err, code, "%s", path);
	}
	version = kvm_ioctl(hv->fd, KVM_GET_API_VERSION, 0);
	if (version != KVM_API_VERSION) {
		hv_close(hv);
		return err_set(err, ENODEV, "%s: is not KVM, or has another API (%d, not %d)", path,
			version, KVM_API_VERSION);
	}
	*ret = hv;
	return 0;
}

void hv_close(struct hv *hv)
{
	if (!hv)
		return;
	fd_close(&hv->fd);
	free(hv);
}

int hv_cap(const struct hv *hv, unsigned cap)
{
	int rc = kvm_ioctl(hv->fd, KVM_CHECK_EXTENSION, cap);

	return rc < 0 ? 0 : rc;
}

int hv_ioctl(const struct hv *hv, unsigned long req, void *arg)
{
	return kvm_ioctl(hv->fd, req, (unsigned long)arg);
}

int hv_vm_create(struct hv *hv, unsigned long type, struct hv_vm **ret, struct err *err)
{
	struct hv_vm *vm = calloc(1, sizeof(*vm));
	int rc;

	if (!vm)
		return err_errno(err, ENOMEM, "KVM");
	vm->hv = hv;
	vm->fd = kvm_ioctl(hv->fd, KVM_CREATE_VM, type);
	if (vm->fd < 0) {
		rc = vm->fd;
		free(vm);
		return err_errno(err, -rc, "KVM: cannot create a machine");
	}
	rc = kvm_ioctl(hv->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (rc < (int)sizeof(struct kvm_run)) {
		hv_vm_destroy(vm);
		return err_set(err, EPROTO, "KVM: vCPU page of %d bytes is too small", rc);
	}
	vm->run_len = (size_t)rc;
	*ret = vm;
	return 0;
}

void hv_vm_destroy(struct hv_vm *vm)
{
	if (!vm)
		return;
	fd_close(&vm->fd);
	free(vm);
}

int hv_vm_cap(const struct hv_vm *vm, unsigned cap)
{
	int rc = kvm_ioctl(vm->fd, KVM_CHECK_EXTENSION, cap);

	return rc < 0 ? 0 : rc;
}

int hv_vm_ioctl(struct hv_vm *vm, unsigned long req, unsigned long arg)
{
	return kvm_ioctl(vm->fd, req, arg);
}

int hv_device_create(struct hv_vm *vm, uint32_t type)
{
	struct kvm_create_device cd = { .type = type };
	int rc = kvm_ioctl(vm->fd, KVM_CREATE_DEVICE, (unsigned long)&cd);

	return rc < 0 ? rc : (int)cd.fd;
}

int hv_device_set(int fd, uint32_t group, uint64_t attr, const void *value)
{
	struct kvm_device_attr a = { .group = group, .attr = attr, .addr = (uintptr_t)value };

	return kvm_ioctl(fd, KVM_SET_DEVICE_ATTR, (unsigned long)&a);
}

int hv_device_get(int fd, uint32_t group, uint64_t attr, void *value)
{
	struct kvm_device_attr a = { .group = group, .attr = attr, .addr = (uintptr_t)value };

	return kvm_ioctl(fd, KVM_GET_DEVICE_ATTR, (unsigned long)&a);
}

static int kvm_set_slot(
	struct hv_vm *vm, unsigned slot, uint32_t flags, gpa_t gpa, void *host, uint64_t len)
{
	struct kvm_userspace_memory_region r = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = len,
		.userspace_addr = (uintptr_t)host,
	};

	return kvm_ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, (unsigned long)&r);
}

int hv_map_ram(struct hv_vm *vm, const struct guest_memory *gm, struct err *err)
{
	for (unsigned i = 0; i < gm->nr_regions; i++) {
		const struct gm_region *r = &gm->region[i];
		int rc = kvm_set_slot(vm, vm->nr_slots, 0, r->base, r->host, r->len);

		if (rc)
			return err_errno(err, -rc, "--mem: KVM refuses %llu MiB of RAM at 0x%llx",
				(unsigned long long)(r->len / MIB), (unsigned long long)r->base);
		vm->nr_slots++;
	}
	return 0;
}

int hv_map_readonly(struct hv_vm *vm, gpa_t gpa, void *host, uint64_t len)
{
	int rc;

	if (!hv_vm_cap(vm, KVM_CAP_READONLY_MEM))
		return -ENOTSUP;
	rc = kvm_set_slot(vm, vm->nr_slots, KVM_MEM_READONLY, gpa, host, len);
	if (rc)
		return rc;
	vm->nr_slots++;
	return 0;
}

int hv_irqfd(struct hv_vm *vm, uint32_t gsi, int fd)
{
	struct kvm_irqfd a = { .fd = (uint32_t)fd, .gsi = gsi };

	return kvm_ioctl(vm->fd, KVM_IRQFD, (unsigned long)&a);
}

int hv_ioeventfd(struct hv_vm *vm, gpa_t gpa, uint32_t value, int fd)
{
	struct kvm_ioeventfd a = {
		.datamatch = value,
		.addr = gpa,
		.len = 4,
		.fd = fd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};

	return kvm_ioctl(vm->fd, KVM_IOEVENTFD, (unsigned long)&a);
}

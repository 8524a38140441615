// SPDX-License-Identifier: BSD-3-Clause
#include "hypervisor/fake/fake.h"

#include <errno.h>

struct fake_hv fake_hv;

/* Handles need only be distinct and not NULL. */
static char fake_handle[3];

int hv_open(const char *dev __unused, struct hv **ret, struct err *err __unused)
{
	*ret = (struct hv *)(void *)&fake_handle[0];
	return 0;
}

void hv_close(struct hv *hv __unused)
{
}

static int fake_cap(unsigned cap)
{
	return fake_hv.cap ? fake_hv.cap(cap) : 1;
}

static int fake_ioctl(unsigned long req, void *arg)
{
	return fake_hv.ioctl ? fake_hv.ioctl(req, arg) : 0;
}

int hv_cap(const struct hv *hv __unused, unsigned cap)
{
	return fake_cap(cap);
}

int hv_ioctl(const struct hv *hv __unused, unsigned long req, void *arg)
{
	return fake_ioctl(req, arg);
}

int hv_vm_create(struct hv *hv __unused, unsigned long type __unused, struct hv_vm **ret,
	struct err *err __unused)
{
	*ret = (struct hv_vm *)(void *)&fake_handle[1];
	return 0;
}

void hv_vm_destroy(struct hv_vm *vm __unused)
{
}

int hv_vm_cap(const struct hv_vm *vm __unused, unsigned cap)
{
	return fake_cap(cap);
}

int hv_vm_ioctl(struct hv_vm *vm __unused, unsigned long req, unsigned long arg)
{
	return fake_ioctl(req, (void *)(uintptr_t)arg);
}

int hv_device_create(struct hv_vm *vm __unused, uint32_t type)
{
	struct kvm_create_device cd = { .type = type };
	int rc = fake_ioctl(KVM_CREATE_DEVICE, &cd);

	return rc < 0 ? rc : (int)cd.fd;
}

static int fake_device_ioctl(
	int fd, unsigned long req, uint32_t group, uint64_t attr, const void *value)
{
	struct kvm_device_attr a = { .group = group, .attr = attr, .addr = (uintptr_t)value };
	int rc;

	fake_hv.device_fd = fd;
	rc = fake_ioctl(req, &a);
	fake_hv.device_fd = 0;
	return rc;
}

int hv_device_set(int fd, uint32_t group, uint64_t attr, const void *value)
{
	return fake_device_ioctl(fd, KVM_SET_DEVICE_ATTR, group, attr, value);
}

int hv_device_get(int fd, uint32_t group, uint64_t attr, void *value)
{
	return fake_device_ioctl(fd, KVM_GET_DEVICE_ATTR, group, attr, value);
}

static int fake_slot(gpa_t gpa, void *host, uint64_t len, bool readonly)
{
	if (fake_hv.nr_slots == ARRAY_SIZE(fake_hv.slot))
		return -ENOSPC;
	fake_hv.slot[fake_hv.nr_slots].gpa = gpa;
	fake_hv.slot[fake_hv.nr_slots].host = host;
	fake_hv.slot[fake_hv.nr_slots].len = len;
	fake_hv.slot[fake_hv.nr_slots++].readonly = readonly;
	return 0;
}

int hv_map_ram(struct hv_vm *vm __unused, const struct guest_memory *gm, struct err *err)
{
	for (unsigned i = 0; i < gm->nr_regions; i++)
		if (fake_slot(gm->region[i].base, gm->region[i].host, gm->region[i].len, false))
			return err_errno(err, ENOSPC, "slots");
	return 0;
}

int hv_map_readonly(struct hv_vm *vm __unused, gpa_t gpa, void *host, uint64_t len)
{
	return fake_slot(gpa, host, len, true);
}

int hv_irqfd(struct hv_vm *vm __unused, uint32_t gsi, int fd)
{
	if (fake_hv.nr_irqfds == FAKE_MAX)
		return -ENOSPC;
	fake_hv.irqfd[fake_hv.nr_irqfds].gsi = gsi;
	fake_hv.irqfd[fake_hv.nr_irqfds++].fd = fd;
	return 0;
}

int hv_ioeventfd(struct hv_vm *vm __unused, gpa_t gpa, uint32_t value, int fd)
{
	if (fake_hv.nr_ioeventfds == FAKE_MAX)
		return -ENOSPC;
	fake_hv.ioeventfd[fake_hv.nr_ioeventfds].gpa = gpa;
	fake_hv.ioeventfd[fake_hv.nr_ioeventfds].value = value;
	fake_hv.ioeventfd[fake_hv.nr_ioeventfds++].fd = fd;
	return 0;
}

int hv_vcpu_create(struct hv_vm *vm __unused, unsigned id __unused, struct hv_vcpu **ret,
	struct err *err __unused)
{
	*ret = (struct hv_vcpu *)(void *)&fake_handle[2];
	return 0;
}

void hv_vcpu_destroy(struct hv_vcpu *cpu __unused)
{
}

int hv_vcpu_ioctl(struct hv_vcpu *cpu, unsigned long req, void *arg)
{
	int rc;

	fake_hv.cpu = cpu;
	rc = fake_ioctl(req, arg);
	fake_hv.cpu = NULL;
	return rc;
}

void hv_vcpu_run(struct hv_vcpu *cpu __unused, struct hv_exit *exit)
{
	if (fake_hv.on_run)
		fake_hv.on_run();
	if (fake_hv.next < fake_hv.nr_script)
		*exit = fake_hv.script[fake_hv.next++];
	else
		exit->kind = HV_EXIT_KICKED;
}

void hv_vcpu_kick(struct hv_vcpu *cpu __unused, unsigned long thread __unused)
{
}

void hv_kick_init(void)
{
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A KVM that writes down what it is asked, in order, and refuses one request: for tests of what
 * an architecture asks of it. One a test program.
 */
#pragma once

#include "tests/unit/devicetree_rig.h"

#define KL_MAX  1024
#define KL_NONE UINT_MAX

struct kl_call {
	unsigned long req;
	int cpu;    /* -1: none */
	int device; /* fd, 0: none */
	/* A device's type in group; of an attribute; a register's id in attr. */
	uint64_t group, attr, value;
};

static struct kl {
	struct kl_call call[KL_MAX];
	unsigned nr;
	unsigned refuse_at; /* the call of this number, or KL_NONE */
	int refusal;
	uint64_t lacks[2]; /* types of devices that the host does not have */
	int device_fd;     /* the last that was made */
	/* ---- the architecture's own ---- */
	uint64_t wide_group;           /* attributes of this group have 64 bits, of others 32 */
	int (*get)(struct kl_call *c); /* answers KVM_GET_*: fills in value; NULL: 0 */
	int (*other)(struct kl_call *c, void *arg);
} kl;

static inline uint64_t kl_word(uint64_t addr, size_t len)
{
	uint64_t v = 0;

	if (addr)
		memcpy(&v, (const void *)(uintptr_t)addr, len);
	return v;
}

/** Bytes of the value. */
static inline size_t kl_len(const struct kl_call *c)
{
	bool wide = c->req == KVM_GET_ONE_REG || c->req == KVM_SET_ONE_REG ||
		(c->cpu < 0 && c->group == kl.wide_group);

	return wide ? 8 : 4;
}

/** Fills in c as far as the request says; returns where its value is, or 0. */
static inline uint64_t kl_write_down(struct kl_call *c, const void *arg)
{
	const struct kvm_device_attr *da = arg;
	const struct kvm_one_reg *reg = arg;

	switch (c->req) {
	case KVM_CREATE_DEVICE:
		c->group = ((const struct kvm_create_device *)arg)->type;
		return 0;
	case KVM_SET_DEVICE_ATTR:
	case KVM_GET_DEVICE_ATTR:
		c->group = da->group;
		c->attr = da->attr;
		break;
	case KVM_SET_ONE_REG:
	case KVM_GET_ONE_REG:
		c->attr = reg->id;
		break;
	default:
		return 0;
	}
	return c->req == KVM_SET_ONE_REG || c->req == KVM_GET_ONE_REG ? reg->addr : da->addr;
}

static inline int kl_create_device(const struct kl_call *c, struct kvm_create_device *cd)
{
	for (size_t i = 0; i < ARRAY_SIZE(kl.lacks); i++)
		if (kl.lacks[i] == c->group)
			return -ENODEV;
	kl.device_fd = fd_event();
	cd->fd = (uint32_t)kl.device_fd;
	return 0;
}

static inline int kl_get(struct kl_call *c, uint64_t addr)
{
	int rc = kl.get ? kl.get(c) : 0;

	/* Also where it is refused: what is there then counts for nothing. */
	memcpy((void *)(uintptr_t)addr, &c->value, kl_len(c));
	return rc;
}

static inline int kl_ioctl(unsigned long req, void *arg)
{
	struct kl_call *c = &kl.call[kl.nr];
	uint64_t addr;

	BUG_ON(kl.nr == KL_MAX);
	*c = (struct kl_call){ .req = req, .cpu = dr_asked_cpu(), .device = fake_hv.device_fd };
	addr = kl_write_down(c, arg);
	if (kl.nr++ == kl.refuse_at)
		return kl.refusal;
	switch (req) {
	case KVM_CREATE_DEVICE:
		return kl_create_device(c, arg);
	case KVM_GET_DEVICE_ATTR:
	case KVM_GET_ONE_REG:
		return kl_get(c, addr);
	case KVM_SET_DEVICE_ATTR:
	case KVM_SET_ONE_REG:
		c->value = kl_word(addr, kl_len(c));
		return 0;
	default:
		return kl.other ? kl.other(c, arg) : 0;
	}
}

/** From now on, with nothing written down. */
static inline void kl_start(void)
{
	memset(kl.call, 0, sizeof(kl.call));
	kl.nr = 0;
	kl.refuse_at = KL_NONE;
	kl.refusal = -EINVAL;
}

/** Call number n is this one. */
static inline void kl_was(
	unsigned n, unsigned long req, int cpu, uint64_t group, uint64_t attr, uint64_t value)
{
	const struct kl_call *c = &kl.call[n];

	assert_true(n < kl.nr);
	if (c->req == req && c->cpu == cpu && c->group == group && c->attr == attr &&
		c->value == value)
		return;
	fail_msg("call %u: 0x%lx on CPU %d, group %llu, attribute 0x%llx, value 0x%llx", n, c->req,
		c->cpu, (unsigned long long)c->group, (unsigned long long)c->attr,
		(unsigned long long)c->value);
}

/** The first call for this attribute or register of anything, which there has to be. */
static inline const struct kl_call *kl_find(unsigned long req, uint64_t group, uint64_t attr)
{
	for (unsigned i = 0; i < kl.nr; i++)
		if (kl.call[i].req == req && kl.call[i].group == group && kl.call[i].attr == attr)
			return &kl.call[i];
	fail_msg("nobody asked 0x%lx for group %llu, attribute 0x%llx", req,
		(unsigned long long)group, (unsigned long long)attr);
	return NULL;
}

static inline bool kl_is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

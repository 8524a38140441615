// SPDX-License-Identifier: BSD-3-Clause
/*
 * The IOAPIC, in user space beside KVM's local APICs (KVM_CAP_SPLIT_IRQCHIP), because the one
 * in the kernel has 24 pins and a machine may have more devices than that.
 * Intel 82093AA data sheet, section 3; Linux Documentation/virt/kvm/api.rst, 4.52.
 *
 * Interrupts do not pass through here: an irqfd names a pin, and KVM turns the pin into the
 * message that this file last gave it. Only the guest's writes to redirection entries do,
 * at boot and when it moves an interrupt.
 *
 * Invariants:
 * 1. Every line is edge-triggered. A guest that asks for level is delivered edges; there is
 *    no remote IRR and no end-of-interrupt to wait for.
 * 2. `route` mirrors what KVM was last told; KVM is called only when that changes.
 * 3. All state is guarded by `lock`. vCPU threads.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "arch/x86_64/layout.h"
#include "arch/x86_64/x86.h"
#include "base/log.h"

#define IOAPIC_REGSEL  0x00
#define IOAPIC_WINDOW  0x10
#define IOAPIC_REG_ID  0x00
#define IOAPIC_REG_VER 0x01
#define IOAPIC_REG_ARB 0x02
#define IOAPIC_REG_RTE 0x10
#define IOAPIC_VERSION 0x11

#define RTE_VECTOR    0xffULL
#define RTE_DELIVERY  0x700ULL
#define RTE_DEST_MODE BIT(11)
#define RTE_READONLY  (BIT(12) | BIT(14)) /* delivery status, remote IRR */
#define RTE_MASKED    BIT(16)
#define RTE_WRITABLE  (0xff0000000001ffffULL & ~RTE_READONLY)

struct ioapic {
	pthread_mutex_t lock;
	struct hv_vm *vm; /* set before start */
	unsigned nr_pins; /* set before start */
	uint8_t id;       /* guarded by lock, as all below */
	uint8_t select;
	uint64_t rte[IOAPIC_MAX_PINS];
	struct ratelimit rl;
	struct kvm_irq_routing *route; /* owned; room for nr_pins */
};

int ioapic_create(struct hv_vm *vm, unsigned nr_pins, struct ioapic **ret, struct err *err)
{
	struct ioapic *a = calloc(1, sizeof(*a));

	BUG_ON(!nr_pins || nr_pins > IOAPIC_MAX_PINS);
	if (!a)
		return err_errno(err, ENOMEM, "IOAPIC");
	a->route = calloc(1, sizeof(*a->route) + nr_pins * sizeof(a->route->entries[0]));
	if (!a->route) {
		free(a);
		return err_errno(err, ENOMEM, "IOAPIC");
	}
	pthread_mutex_init(&a->lock, NULL);
	a->vm = vm;
	a->nr_pins = nr_pins;
	for (unsigned i = 0; i < nr_pins; i++)
		a->rte[i] = RTE_MASKED;
	*ret = a;
	return 0;
}

void ioapic_destroy(struct ioapic *a)
{
	if (!a)
		return;
	pthread_mutex_destroy(&a->lock);
	free(a->route);
	free(a);
}

/** The message that an entry stands for (Intel SDM volume 3, section 11.11). */
static void ioapic_message(unsigned pin, uint64_t rte, struct kvm_irq_routing_entry *e)
{
	uint32_t dest = (uint32_t)(rte >> 56);

	memset(e, 0, sizeof(*e));
	e->gsi = pin;
	e->type = KVM_IRQ_ROUTING_MSI;
	e->u.msi.address_lo = (uint32_t)X86_LAPIC | dest << 12 |
		(rte & RTE_DEST_MODE ? 1U << 2 : 0);
	e->u.msi.data = (uint32_t)(rte & (RTE_VECTOR | RTE_DELIVERY));
}

/** Tells KVM what the pins mean now. Lock held. */
static void ioapic_update(struct ioapic *a)
{
	int rc;

	a->route->nr = 0;
	for (unsigned i = 0; i < a->nr_pins; i++)
		if (!(a->rte[i] & RTE_MASKED))
			ioapic_message(i, a->rte[i], &a->route->entries[a->route->nr++]);
	rc = hv_vm_ioctl(a->vm, KVM_SET_GSI_ROUTING, (uintptr_t)a->route);
	if (rc && ratelimit_ok(&a->rl))
		log_warn("IOAPIC: KVM refuses an interrupt route: %s", strerrordesc_np(-rc));
}

static uint32_t ioapic_read_reg(const struct ioapic *a)
{
	unsigned pin;

	switch (a->select) {
	case IOAPIC_REG_ID:
	case IOAPIC_REG_ARB:
		return (uint32_t)a->id << 24;
	case IOAPIC_REG_VER:
		return IOAPIC_VERSION | (a->nr_pins - 1) << 16;
	}
	if (a->select < IOAPIC_REG_RTE)
		return 0;
	pin = (a->select - IOAPIC_REG_RTE) / 2U;
	if (pin >= a->nr_pins)
		return 0;
	return (uint32_t)(a->select & 1 ? a->rte[pin] >> 32 : a->rte[pin]);
}

static void ioapic_write_reg(struct ioapic *a, uint32_t v)
{
	uint64_t old, rte;
	unsigned pin;

	if (a->select == IOAPIC_REG_ID)
		a->id = (v >> 24) & 0xf;
	if (a->select < IOAPIC_REG_RTE)
		return;
	pin = (a->select - IOAPIC_REG_RTE) / 2U;
	if (pin >= a->nr_pins)
		return;
	old = a->rte[pin];
	if (a->select & 1)
		rte = (old & 0xffffffffULL) | (uint64_t)v << 32;
	else
		rte = (old & ~0xffffffffULL) | v;
	a->rte[pin] = rte &= RTE_WRITABLE;
	/* A masked entry has no route: only what is or becomes visible is told to KVM. */
	if (rte != old && !(rte & old & RTE_MASKED))
		ioapic_update(a);
}

static void ioapic_read(void *ctx, uint64_t off, void *data, unsigned len)
{
	struct ioapic *a = ctx;
	uint32_t v = 0;

	pthread_mutex_lock(&a->lock);
	if (off == IOAPIC_REGSEL)
		v = a->select;
	else if (off == IOAPIC_WINDOW)
		v = ioapic_read_reg(a);
	pthread_mutex_unlock(&a->lock);
	memset(data, 0, len);
	memcpy(data, &v, MIN(len, sizeof(v)));
}

static void ioapic_write(void *ctx, uint64_t off, const void *data, unsigned len)
{
	struct ioapic *a = ctx;

	if (len != 4 && !(off == IOAPIC_REGSEL && len == 1))
		return;
	pthread_mutex_lock(&a->lock);
	if (off == IOAPIC_REGSEL)
		a->select = *(const uint8_t *)data;
	else if (off == IOAPIC_WINDOW)
		ioapic_write_reg(a, le32_get(data));
	pthread_mutex_unlock(&a->lock);
}

const struct bus_ops ioapic_bus_ops = { .read = ioapic_read, .write = ioapic_write };

// SPDX-License-Identifier: BSD-3-Clause
/*
 * One digest over all that a guest is given (--print-hash): a text of one line for each part,
 * with a number or the SHA-256 of its bytes, and the SHA-256 of that text. At log level info the
 * lines are shown, so that who compares two machines can see in what they differ.
 *
 * What is not fixed is not in it, but that it is not fixed is: "clock host", "seed host".
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/sha256.h"
#include "vmm/vm.h"

#define MEASURE_FORMAT 1 /* of the text; to be raised when lines change their meaning */
#define MEASURE_CHUNK  (64 * KIB)

struct measure {
	struct sha256 text;
	unsigned cpu; /* whose part comes */
};

static __printf(2, 3) void measure_line(struct measure *m, const char *fmt, ...)
{
	char line[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	BUG_ON(n < 0 || n >= (int)sizeof(line) - 1);
	log_info("hash: %s", line);
	line[n] = '\n';
	sha256_put(&m->text, line, (size_t)n + 1);
}

static void measure_digest(struct measure *m, const char *name, struct sha256 *s)
{
	uint8_t digest[SHA256_LEN];
	char hex[2 * SHA256_LEN + 1];

	sha256_end(s, digest);
	sha256_hex(digest, hex);
	measure_line(m, "%s %s", name, hex);
}

static void measure_bytes(void *ctx, const char *name, const void *bytes, size_t len)
{
	struct sha256 s;

	sha256_init(&s);
	sha256_put(&s, bytes, len);
	measure_digest(ctx, name, &s);
}

static void measure_cpu(void *ctx, const char *name, const void *bytes, size_t len)
{
	struct measure *m = ctx;
	char numbered[64];

	snprintf(numbered, sizeof(numbered), "cpu %u %s", m->cpu, name);
	measure_bytes(m, numbered, bytes, len);
}

static void measure_free(uint8_t **p)
{
	free(*p);
}

static int measure_file(struct measure *m, const char *name, int fd, struct err *err)
{
	__cleanup(measure_free) uint8_t *buf = malloc(MEASURE_CHUNK);
	struct sha256 s;
	uint64_t off = 0;
	ssize_t n;

	if (!buf)
		return err_errno(err, ENOMEM, "--print-hash");
	sha256_init(&s);
	do {
		n = fd_pread_full(fd, buf, MEASURE_CHUNK, off);
		if (n < 0)
			return err_errno(err, (int)-n, "--print-hash: %s", name);
		sha256_put(&s, buf, (size_t)n);
		off += (uint64_t)n;
	} while (n);
	measure_digest(m, name, &s);
	return 0;
}

static void measure_machine(struct measure *m, const struct vm *vm)
{
	const struct config *c = vm->cfg;

	measure_line(m, "mayfly %u", MEASURE_FORMAT);
	measure_line(m, "arch %s", arch_name);
	measure_line(m, "cpus %u", vm->nr_cpus);
	measure_line(m, "cpu-model %s", c->cpu_model == CPU_MODEL_BASELINE ? "baseline" : "host");
	if (c->clock_seen)
		measure_line(m, "clock %llu", (unsigned long long)c->clock_s);
	else
		measure_line(m, "clock host");
	measure_line(m, "seed %s", c->seed ? "fixed" : "host");
	measure_line(m, "entropy device %s", c->no_rng ? "none" : "host");
	if (c->vsock.cid)
		measure_line(m, "socket device %llu", (unsigned long long)c->vsock.cid);
	for (unsigned i = 0; i < vm->gm.nr_regions; i++)
		measure_line(m, "ram 0x%llx 0x%llx", (unsigned long long)vm->gm.region[i].base,
			(unsigned long long)vm->gm.region[i].len);
	for (unsigned i = 0; i < vm->nr_devs; i++) {
		const struct dev_desc *d = &vm->dev[i];

		measure_line(m, "device %u %s 0x%llx 0x%llx line %u", (unsigned)d->kind,
			d->is_port ? "port" : "mmio", (unsigned long long)d->base,
			(unsigned long long)d->len, d->has_irq ? d->gsi : 0);
	}
	for (unsigned i = 0; i < c->nr_disks; i++)
		measure_line(m, "disk %u %s id %s", i, c->disk[i].ro ? "ro" : "rw",
			c->disk[i].id ? c->disk[i].id : "none");
	for (unsigned i = 0; i < c->nr_shares; i++)
		measure_line(m, "shared directory %u %s tag %s", i, c->share[i].ro ? "ro" : "rw",
			c->share[i].tag);
}

int measure(struct vm *vm, const struct arch_boot *boot, struct err *err)
{
	struct measure m = { .cpu = 0 };
	uint8_t digest[SHA256_LEN];
	int rc;

	sha256_init(&m.text);
	measure_machine(&m, vm);
	rc = measure_file(&m, "kernel", boot->kernel_fd, err);
	if (!rc && boot->initrd_fd >= 0)
		rc = measure_file(&m, "initrd", boot->initrd_fd, err);
	if (rc)
		return rc;
	measure_bytes(&m, "cmdline", boot->cmdline, strlen(boot->cmdline));
	measure_line(&m, "entry %u 0x%llx 0x%llx", vm->entry.kind, (unsigned long long)vm->entry.pc,
		(unsigned long long)vm->entry.arg);
	arch_measure(&vm->gm, &vm->load.payload, measure_bytes, &m);
	for (m.cpu = 0; !rc && m.cpu < vm->nr_cpus; m.cpu++)
		rc = arch_vcpu_measure(vm->arch, vm->cpu[m.cpu].hv, measure_cpu, &m, err);
	if (rc)
		return rc;
	sha256_end(&m.text, digest);
	sha256_hex(digest, vm->hash);
	return 0;
}

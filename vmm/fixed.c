// SPDX-License-Identifier: BSD-3-Clause
#include "vmm/fixed.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/sha256.h"

/* 1980-01-01 00:00 UTC: there is no file format that cannot say it. */
#define FIXED_CLOCK_S  315532800
#define FIXED_NAME     "mayfly"
#define FIXED_ID_CHARS 20 /* what VIRTIO has room for (VIRTIO 1.2, section 5.2.6) */

/** SHA-256 of purpose, text and number, with something between them. */
static void fixed_digest(const char *purpose, const char *text, uint32_t n, uint8_t ret[SHA256_LEN])
{
	struct sha256 s;
	uint8_t number[4];

	le32_put(number, n);
	sha256_init(&s);
	sha256_put(&s, purpose, strlen(purpose) + 1);
	sha256_put(&s, text, strlen(text) + 1);
	sha256_put(&s, number, sizeof(number));
	sha256_end(&s, ret);
}

void fixed_seed(const char *text, uint8_t ret[FIXED_SEED_LEN])
{
	for (uint32_t i = 0; i < FIXED_SEED_LEN / SHA256_LEN; i++)
		fixed_digest("seed", text, i, ret + (size_t)i * SHA256_LEN);
}

/** The n-th disk's id: unique in the machine, and the same wherever its image lies. */
static char *fixed_id(const struct config *c, uint32_t n)
{
	uint8_t digest[SHA256_LEN];
	char hex[2 * SHA256_LEN + 1];

	fixed_digest("disk", c->name ? c->name : FIXED_NAME, n, digest);
	sha256_hex(digest, hex);
	return strndup(hex, FIXED_ID_CHARS);
}

static int fixed_fill(struct config *c, struct err *err)
{
	if (!c->clock_seen) {
		c->clock_seen = true;
		c->clock_s = FIXED_CLOCK_S;
	}
	if (!c->cpu_model_seen)
		c->cpu_model = CPU_MODEL_BASELINE;
	if (!c->seed)
		c->seed = strdup(FIXED_NAME);
	if (!c->seed)
		return err_errno(err, ENOMEM, "--seed");
	for (unsigned i = 0; i < c->nr_disks; i++) {
		if (!c->disk[i].id)
			c->disk[i].id = fixed_id(c, i);
		if (!c->disk[i].id)
			return err_errno(err, ENOMEM, "--block: id");
	}
	return 0;
}

int fixed_complete(struct config *c, struct err *err)
{
	int rc = c->deterministic ? fixed_fill(c, err) : 0;

	if (rc)
		return rc;
	if (c->cpu_model == CPU_MODEL_BASELINE && c->mem_mib > arch_baseline_mem_mib)
		return err_set(err, EINVAL,
			"--mem: %llu: CPUs of --cpu-model baseline address at most %llu MiB",
			(unsigned long long)c->mem_mib, (unsigned long long)arch_baseline_mem_mib);
	if (!c->seed)
		return 0;
	for (unsigned i = 0; i < c->nr_foreign; i++)
		if (c->foreign[i].type == FOREIGN_RNG)
			return err_set(err, EINVAL,
				"--seed: excludes --vhost-user type=rng, whose bytes are not fixed");
	c->no_rng = true;
	return 0;
}

/** start_ns is what to add, which wraps. */
static uint64_t fixed_now_ns(void *ctx)
{
	return clock_now_ns() + *(const uint64_t *)ctx;
}

void fixed_clock_start(struct rtc_clock *ret, uint64_t *start_ns, uint64_t clock_s)
{
	*start_ns = clock_s * RTC_NS_PER_S - clock_now_ns();
	*ret = (struct rtc_clock){ .now_ns = fixed_now_ns, .ctx = start_ns };
}

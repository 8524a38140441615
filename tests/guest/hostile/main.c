// SPDX-License-Identifier: BSD-3-Clause
/*
 * Runs the cases, one after another, on each device:
 *
 *   hostile [unaligned] [times]
 *
 * Prints "cases DEVICE N", then N lines "ok DEVICE CASE" or "FAILED DEVICE CASE: why", and at the
 * end "hostile: N cases, N failed". `unaligned` adds the cases that need a processor with
 * unaligned accesses to registers, `times` says how long each case took. Status 0 when none
 * failed, 2 when it could not begin.
 *
 * Last, it leaves each device broken and kicked and rests: a monitor that is awake now spins.
 */
#include "tests/guest/hostile/hostile.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * A proof that all is well takes longer than most cases, so it is made after some. It does not see
 * what the reset with which the next case begins has mended; another device is not reset meanwhile.
 */
#define HOSTILE_PROOF_CASES 4

static bool hostile_unaligned, hostile_times;
static unsigned hostile_nr_cases, hostile_nr_failed, hostile_nr_unproved;

__noreturn void bug(const char *file, int line, const char *cond)
{
	printf("hostile: %s:%d: %s\n", file, line, cond);
	exit(2);
}

/** The device is well, and so is another one. */
static const char *hostile_recovered(struct dev *d)
{
	struct dev *other = memory_other(d);
	const char *why = dev_start(d);

	if (!why)
		why = d->kind->good(d);
	if (!why && other != d)
		why = other->kind->good(other) ? "another device fails" : NULL;
	return why;
}

/** Proves it, where cases ran since the last proof. */
static void hostile_prove(struct dev *d)
{
	const char *why = hostile_nr_unproved ? hostile_recovered(d) : NULL;

	if (why) {
		printf("FAILED %s after the last %u cases: %s\n", d->name, hostile_nr_unproved,
			why);
		hostile_nr_failed++;
	}
	hostile_nr_unproved = 0;
}

static void hostile_run_one(struct dev *d, const struct hostile_case *c, unsigned q, unsigned v)
{
	uint64_t begin = now_ms();
	const char *why = c->run(d, q, v);
	char name[96];

	snprintf(name, sizeof(name), "%s%s%s", c->name, c->variants ? "/" : "",
		c->variants ? c->variants[v] : "");
	if (c->each_queue && d->kind->nr_queues > 1)
		snprintf(name + strlen(name), sizeof(name) - strlen(name), "/q%u", q);
	if (!why)
		printf("ok %s %s\n", d->name, name);
	else
		printf("FAILED %s %s: %s\n", d->name, name, why);
	if (hostile_times)
		printf("took %s %s %llu ms\n", d->name, name,
			(unsigned long long)(now_ms() - begin));
	hostile_nr_cases++;
	hostile_nr_failed += !!why;
	if (++hostile_nr_unproved == HOSTILE_PROOF_CASES)
		hostile_prove(d);
}

static unsigned hostile_variants(const struct hostile_case *c)
{
	unsigned n = 0;

	while (c->variants && c->variants[n])
		n++;
	return MAX(n, 1U);
}

/** Runs the cases of a list, or only counts them. */
static unsigned hostile_list(struct dev *d, const struct hostile_case *list, bool run)
{
	unsigned n = 0;

	for (const struct hostile_case *c = list; c->name; c++) {
		unsigned first = d->kind->first;
		unsigned queues = c->each_queue ? d->kind->nr_queues : first + 1;

		if (c->unaligned && !hostile_unaligned)
			continue;
		for (unsigned v = 0; v < hostile_variants(c); v++)
			for (unsigned q = first; q < queues; q++, n++)
				if (run)
					hostile_run_one(d, c, q, v);
	}
	return n;
}

static unsigned hostile_all(struct dev *d, bool run)
{
	const struct hostile_case *const lists[] = { ring_cases, transport_cases, register_cases,
		chain_cases, d->kind->cases, race_cases };
	unsigned n = 0;

	for (unsigned i = d->kind->brief ? 3 : 0; i < ARRAY_SIZE(lists); i++)
		n += hostile_list(d, lists[i], run);
	return n;
}

static void hostile_leave_broken(struct dev *d)
{
	if (dev_start(d))
		return;
	for (unsigned q = 0; q < d->kind->nr_queues; q++) {
		d->ring[q].avail->idx = 0x8000;
		dev_kick(d, q);
	}
	(void)want_broken(d);
	for (unsigned q = 0; q < d->kind->nr_queues; q++)
		dev_kick(d, q);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc; i++) {
		hostile_unaligned |= !strcmp(argv[i], "unaligned");
		hostile_times |= !strcmp(argv[i], "times");
	}
	memory_open();
	for (unsigned i = 0; i < hostile_nr_devs; i++) {
		const char *why = dev_start(&hostile_dev[i]);

		if (!why)
			why = hostile_dev[i].kind->good(&hostile_dev[i]);
		if (why) {
			printf("hostile: %s does not work at all: %s\n", hostile_dev[i].name, why);
			return 2;
		}
	}
	for (unsigned i = 0; i < hostile_nr_devs; i++) {
		struct dev *d = &hostile_dev[i];
		uint64_t begin = now_ms();

		printf("cases %s %u\n", d->name, hostile_all(d, false));
		hostile_all(d, true);
		hostile_prove(d);
		printf("time %s %llu ms, %u good requests\n", d->name,
			(unsigned long long)(now_ms() - begin), d->nr_good);
	}
	for (unsigned i = 0; i < hostile_nr_devs; i++)
		hostile_leave_broken(&hostile_dev[i]);
	printf("hostile: %u cases, %u failed\n", hostile_nr_cases, hostile_nr_failed);
	printf("hostile: resting\n");
	sleep(5);
	return hostile_nr_failed ? 1 : 0;
}

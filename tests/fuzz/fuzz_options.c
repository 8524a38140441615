// SPDX-License-Identifier: BSD-3-Clause
/*
 * The command line: words, one a line, through optable_parse, config_complete and
 * config_cmdline. Nothing is opened. What is taken keeps the limits that later steps rely on;
 * what is refused says so in one line.
 */
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>

#include "vmm/options.h"

#define MAX_WORDS 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void fuzz_check_line(const struct err *err)
{
	BUG_ON(!err->msg[0]);
	for (const char *p = err->msg; *p; p++)
		BUG_ON((unsigned char)*p < ' ' || *p == 0x7f);
}

static void fuzz_check_text(const char *s, size_t max)
{
	BUG_ON(s && (!*s || strlen(s) > max));
}

static void fuzz_check_parsed(const struct config *c)
{
	BUG_ON(c->cpus < 1 || c->cpus > ARCH_MAX_CPUS);
	BUG_ON(c->mem_mib < CONFIG_MIN_MEM_MIB || c->mem_mib > CONFIG_MAX_MEM_MIB);
	BUG_ON(c->timeout_s > UINT32_MAX);
	BUG_ON(c->nr_serials > CONFIG_MAX_SERIALS || c->nr_disks > CONFIG_MAX_DISKS);
	fuzz_check_text(c->name, 64);
	fuzz_check_text(c->kernel, SIZE_MAX);
	fuzz_check_text(c->initrd, SIZE_MAX);
	fuzz_check_text(c->kvm_device, SIZE_MAX);
	for (unsigned i = 0; i < c->nr_disks; i++) {
		const struct disk_config *d = &c->disk[i];

		BUG_ON(!d->path || !*d->path);
		fuzz_check_text(d->id, 20);
		BUG_ON(!is_power_of_2(d->block_size) || d->block_size < 512 ||
			d->block_size > 4096);
		BUG_ON(d->executor > 1 || d->queues > 16);
	}
}

static void fuzz_check_complete(const struct config *c)
{
	unsigned nr_console = 0, nr_virtio = c->nr_disks + !c->no_rng;

	for (unsigned i = 0; i < c->nr_serials; i++) {
		const struct serial_config *s = &c->serial[i];

		BUG_ON(s->type > SERIAL_SINK || s->hardware > SERIAL_VIRTIO_CONSOLE);
		BUG_ON((s->type == SERIAL_FILE) != !!s->path);
		BUG_ON(!s->num ||
			s->num >
				(s->hardware == SERIAL_UART ? ARCH_MAX_UARTS : CONFIG_MAX_SERIALS));
		nr_console += s->is_console;
		nr_virtio += s->hardware == SERIAL_VIRTIO_CONSOLE;
		for (unsigned k = 0; k < i; k++)
			BUG_ON(c->serial[k].hardware == s->hardware && c->serial[k].num == s->num);
	}
	BUG_ON(!c->kernel || nr_console != 1 || nr_virtio > ARCH_MAX_VIRTIO);
}

static void fuzz_check_cmdline(const struct config *c)
{
	char *text = config_cmdline(c, "word ");

	BUG_ON(!text || strncmp(text, "panic=-1 ", 9) || !strstr(text, " console="));
	for (const char *p = text; *p; p++)
		BUG_ON((unsigned char)*p < ' ' || *p == 0x7f);
	BUG_ON(!strstr(text, " word"));
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = malloc(len + 1), *argv[MAX_WORDS];
	struct config *c = malloc(sizeof(*c));
	struct err err = { .msg = "" };
	int argc = 0, rc;

	memcpy(text, data, len);
	text[len] = '\0';
	for (size_t i = 0, start = 0; i <= len && argc < MAX_WORDS; i++) {
		if (text[i] && text[i] != '\n')
			continue;
		text[i] = '\0';
		/* Words of their own, so that AddressSanitizer sees a read past the end. */
		argv[argc++] = strdup(text + start);
		start = i + 1;
	}
	config_init(c);
	rc = optable_parse(&options_run, argc, argv, c, &err);
	rc = MIN(rc, 0);
	if (rc < 0 && rc != -ECANCELED)
		fuzz_check_line(&err);
	else if (!rc)
		fuzz_check_parsed(c);
	if (!rc && config_complete(c, &err)) {
		fuzz_check_line(&err);
	} else if (!rc) {
		fuzz_check_complete(c);
		fuzz_check_cmdline(c);
	}
	config_fini(c);
	free(c);
	while (argc)
		free(argv[--argc]);
	free(text);
	return 0;
}

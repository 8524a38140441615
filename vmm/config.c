// SPDX-License-Identifier: BSD-3-Clause
#include "vmm/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "vmm/fixed.h"

void config_init(struct config *c)
{
	memset(c, 0, sizeof(*c));
	c->cpus = 1;
	c->mem_mib = 256;
	c->log_level = LOG_WARN;
}

void config_fini(struct config *c)
{
	for (unsigned i = 0; i < c->nr_serials; i++) {
		free(c->serial[i].path);
		free(c->serial[i].input);
	}
	for (unsigned i = 0; i < c->nr_disks; i++) {
		free(c->disk[i].path);
		free(c->disk[i].id);
	}
	for (unsigned i = 0; i < c->nr_foreign; i++) {
		free(c->foreign[i].socket);
		free(c->foreign[i].tag);
	}
	for (unsigned i = 0; i < c->nr_shares; i++) {
		free(c->share[i].path);
		free(c->share[i].tag);
	}
	for (unsigned i = 0; i < c->nr_params; i++)
		free(c->params[i]);
	free(c->params);
	free(c->vsock.socket);
	free(c->vsock.device);
	free(c->kernel);
	free(c->initrd);
	free(c->name);
	free(c->dump_tables);
	free(c->dump_fdt);
	free(c->kvm_device);
	free(c->seed);
}

/** Numbers serials that were not given one, and refuses the same place twice. */
static int config_number_serials(struct config *c, struct err *err)
{
	uint64_t used[2] = { 0, 0 };

	for (unsigned i = 0; i < c->nr_serials; i++) {
		struct serial_config *s = &c->serial[i];
		uint64_t max = s->hardware == SERIAL_UART ? ARCH_MAX_UARTS : CONFIG_MAX_SERIALS;

		if (!s->num_seen)
			s->num = 1;
		if (s->num > max)
			return err_set(err, EINVAL, "--serial: num: %llu is more than %llu",
				(unsigned long long)s->num, (unsigned long long)max);
		if (used[s->hardware] & BIT(s->num))
			return err_set(err, EINVAL, "--serial: num=%llu is used twice",
				(unsigned long long)s->num);
		used[s->hardware] |= BIT(s->num);
	}
	return 0;
}

int config_check_serials(struct config *c, struct err *err)
{
	unsigned nr_console = 0, nr_stdin = 0, nr_earlycon = 0;

	for (unsigned i = 0; i < c->nr_serials; i++) {
		const struct serial_config *s = &c->serial[i];

		nr_console += s->is_console;
		nr_stdin += s->use_stdin;
		nr_earlycon += s->earlycon;
		if (s->use_stdin && s->input)
			return err_set(
				err, EINVAL, "--serial: stdin and input= exclude each other");
		if (s->type == SERIAL_FILE && !s->path)
			return err_set(err, EINVAL, "--serial: type=file needs path=");
		if (s->type != SERIAL_FILE && s->path)
			return err_set(err, EINVAL, "--serial: path= needs type=file");
		if (s->earlycon && s->hardware != SERIAL_UART)
			return err_set(err, EINVAL, "--serial: earlycon needs hardware=serial");
	}
	if (nr_console > 1)
		return err_set(err, EINVAL, "--serial: console is given %u times", nr_console);
	if (nr_stdin > 1)
		return err_set(err, EINVAL, "--serial: stdin is given %u times", nr_stdin);
	if (nr_earlycon > 1)
		return err_set(err, EINVAL, "--serial: earlycon is given %u times", nr_earlycon);
	return config_number_serials(c, err);
}

/** The serial that becomes the console when none is named so: the first uart, else stdout. */
static struct serial_config *config_pick_console(struct config *c)
{
	for (unsigned i = 0; i < c->nr_serials; i++)
		if (c->serial[i].is_console)
			return &c->serial[i];
	for (unsigned i = 0; i < c->nr_serials; i++)
		if (c->serial[i].hardware == SERIAL_UART && c->serial[i].num == 1)
			return &c->serial[i];
	for (unsigned i = 0; i < c->nr_serials; i++)
		if (c->serial[i].type == SERIAL_STDOUT)
			return &c->serial[i];
	return NULL;
}

/** Without a console there would be nothing to see: the first uart on stdout and stdin. */
static int config_default_console(struct config *c, struct err *err)
{
	struct serial_config *s = config_pick_console(c);
	bool use_stdin = true;

	if (s) {
		s->is_console = true;
		return 0;
	}
	if (c->nr_serials == CONFIG_MAX_SERIALS)
		return err_set(
			err, EINVAL, "--serial: %u given, and none is a console", c->nr_serials);
	for (unsigned i = 0; i < c->nr_serials; i++)
		use_stdin &= !c->serial[i].use_stdin;
	c->serial[c->nr_serials++] = (struct serial_config){
		.type = SERIAL_STDOUT,
		.hardware = SERIAL_UART,
		.num = 1,
		.is_console = true,
		.use_stdin = use_stdin,
	};
	return 0;
}

static int config_check_disks(const struct config *c, struct err *err)
{
	unsigned nr_root = 0;

	for (unsigned i = 0; i < c->nr_disks; i++)
		nr_root += c->disk[i].root;
	if (nr_root > 1)
		return err_set(err, EINVAL, "--block: root is given %u times", nr_root);
	return 0;
}

static unsigned config_nr_virtio(const struct config *c)
{
	unsigned n = c->nr_disks + !c->no_rng + c->nr_foreign + c->nr_shares + !!c->vsock.cid;

	for (unsigned i = 0; i < c->nr_serials; i++)
		n += c->serial[i].hardware == SERIAL_VIRTIO_CONSOLE;
	return n;
}

int config_complete(struct config *c, struct err *err)
{
	unsigned n;
	int rc;

	if (!c->kernel)
		return err_set(err, EINVAL, "run: no KERNEL given");
	rc = fixed_complete(c, err);
	if (rc)
		return rc;
	n = config_nr_virtio(c);
	if (c->no_acpi && !arch_has_acpi)
		return err_set(err, EINVAL, "--no-acpi: %s machines have no ACPI", arch_name);
	if (c->dump_fdt && !arch_has_fdt)
		return err_set(err, EINVAL,
			"--dump-device-tree-blob: %s machines have no device tree", arch_name);
	if (n > ARCH_MAX_VIRTIO)
		return err_set(
			err, EINVAL, "--block: %u devices are more than %u", n, ARCH_MAX_VIRTIO);
	rc = config_check_serials(c, err);
	if (!rc)
		rc = config_default_console(c, err);
	if (!rc)
		rc = config_check_disks(c, err);
	return rc;
}

/** /dev/vdX of the n-th disk: vda .. vdz, vdaa ... */
static void config_disk_name(unsigned n, char *buf, size_t len)
{
	if (n < 26)
		snprintf(buf, len, "vd%c", 'a' + n);
	else
		snprintf(buf, len, "vd%c%c", 'a' + n / 26 - 1, 'a' + n % 26);
}

static void config_console_words(const struct config *c, FILE *f)
{
	uint64_t max_uart = 1;

	for (unsigned i = 0; i < c->nr_serials; i++) {
		const struct serial_config *s = &c->serial[i];
		bool uart = s->hardware == SERIAL_UART;
		struct dev_desc d;

		if (uart)
			max_uart = MAX(max_uart, s->num);
		if (s->is_console)
			fprintf(f, "console=%s%llu ", uart ? arch_uart_tty : "hvc",
				(unsigned long long)s->num - 1);
		if (!s->earlycon)
			continue;
		arch_uart_desc((unsigned)s->num - 1, &d);
		fprintf(f, "earlycon=uart8250,%s,0x%llx ", d.is_port ? "io" : "mmio",
			(unsigned long long)d.base);
	}
	if (max_uart > 1)
		fprintf(f, "8250.nr_uarts=%llu ", (unsigned long long)max_uart);
}

char *config_cmdline(const struct config *c, const char *dev_words)
{
	char *text = NULL, name[8];
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	fprintf(f, "panic=-1 ");
	config_console_words(c, f);
	fputs(dev_words, f);
	for (unsigned i = 0; i < c->nr_disks; i++) {
		if (!c->disk[i].root)
			continue;
		config_disk_name(i, name, sizeof(name));
		fprintf(f, "root=/dev/%s %s ", name, c->disk[i].ro ? "ro" : "rw");
	}
	for (unsigned i = 0; i < c->nr_params; i++)
		fprintf(f, "%s ", c->params[i]);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	if (len)
		text[len - 1] = '\0'; /* the last blank */
	return text;
}

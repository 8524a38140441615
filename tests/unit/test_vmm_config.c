// SPDX-License-Identifier: BSD-3-Clause
/* What single options cannot check, and the kernel command line that comes of them. */
#include "vmm/config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct cf {
	struct config c;
	struct err err;
};

static int cf_setup(void **state)
{
	struct cf *t = calloc(1, sizeof(*t));

	config_init(&t->c);
	t->c.kernel = strdup("vmlinux");
	*state = t;
	return 0;
}

static int cf_teardown(void **state)
{
	struct cf *t = *state;

	config_fini(&t->c);
	free(t);
	return 0;
}

#define CF_TEST(f) cmocka_unit_test_setup_teardown(f, cf_setup, cf_teardown)

static struct serial_config *cf_serial(
	struct cf *t, enum serial_type type, enum serial_hardware hardware, uint64_t num)
{
	struct serial_config *s = &t->c.serial[t->c.nr_serials++];

	*s = (struct serial_config){
		.type = type, .hardware = hardware, .num = num, .num_seen = num, .type_seen = true
	};
	return s;
}

static struct disk_config *cf_disk(struct cf *t, bool root)
{
	struct disk_config *d = &t->c.disk[t->c.nr_disks++];

	*d = (struct disk_config){ .path = strdup("d"), .root = root };
	return d;
}

static void cf_param(struct cf *t, const char *text)
{
	t->c.params = realloc(t->c.params, (t->c.nr_params + 1) * sizeof(char *));
	t->c.params[t->c.nr_params++] = strdup(text);
}

static void cf_completes(struct cf *t)
{
	if (config_complete(&t->c, &t->err))
		fail_msg("%s", t->err.msg);
}

static void cf_refuses(struct cf *t, const char *says)
{
	assert_int_equal(config_complete(&t->c, &t->err), -EINVAL);
	if (!strstr(t->err.msg, says))
		fail_msg("\"%s\" does not say \"%s\"", t->err.msg, says);
}

static void cf_cmdline_is(struct cf *t, const char *dev_words, const char *want)
{
	char *text = config_cmdline(&t->c, dev_words);

	assert_string_equal(text, want);
	free(text);
}

/* ---- config_complete ---- */

static void a_kernel_is_needed(void **state)
{
	struct cf *t = *state;

	free(t->c.kernel);
	t->c.kernel = NULL;
	cf_refuses(t, "run: no KERNEL given");
}

static void without_serials_there_is_a_uart_on_stdout_and_stdin(void **state)
{
	struct cf *t = *state;
	const struct serial_config *s = &t->c.serial[0];

	cf_completes(t);
	assert_int_equal(t->c.nr_serials, 1);
	assert_int_equal(s->type, SERIAL_STDOUT);
	assert_int_equal(s->hardware, SERIAL_UART);
	assert_int_equal(s->num, 1);
	assert_true(s->is_console && s->use_stdin);
	cf_cmdline_is(t, "", "panic=-1 console=ttyS0");
}

static void the_default_console_leaves_stdin_to_who_asked_for_it(void **state)
{
	struct cf *t = *state;

	cf_serial(t, SERIAL_SINK, SERIAL_UART, 2)->use_stdin = true;
	cf_completes(t);
	assert_int_equal(t->c.nr_serials, 2);
	assert_true(t->c.serial[1].is_console);
	assert_false(t->c.serial[1].use_stdin);
}

static void the_first_uart_is_the_console_when_none_is_named(void **state)
{
	struct cf *t = *state;

	cf_serial(t, SERIAL_STDOUT, SERIAL_VIRTIO_CONSOLE, 1);
	cf_serial(t, SERIAL_SINK, SERIAL_UART, 2);
	cf_serial(t, SERIAL_SINK, SERIAL_UART, 1);
	cf_completes(t);
	assert_int_equal(t->c.nr_serials, 3);
	assert_false(t->c.serial[0].is_console || t->c.serial[1].is_console);
	assert_true(t->c.serial[2].is_console);
}

static void stdout_is_the_console_when_there_is_no_first_uart(void **state)
{
	struct cf *t = *state;

	cf_serial(t, SERIAL_SINK, SERIAL_UART, 2);
	cf_serial(t, SERIAL_STDOUT, SERIAL_VIRTIO_CONSOLE, 3);
	cf_completes(t);
	assert_int_equal(t->c.nr_serials, 2);
	assert_true(t->c.serial[1].is_console);
	cf_cmdline_is(t, "", "panic=-1 console=hvc2 8250.nr_uarts=2");
}

static void eight_serials_of_which_none_can_be_a_console_are_refused(void **state)
{
	struct cf *t = *state;

	for (unsigned i = 0; i < CONFIG_MAX_SERIALS; i++)
		cf_serial(t, SERIAL_SINK, SERIAL_VIRTIO_CONSOLE, i + 1);
	cf_refuses(t, "--serial: 8 given, and none is a console");
	assert_int_equal(t->c.nr_serials, CONFIG_MAX_SERIALS);
	t->c.nr_serials--;
	cf_completes(t);
	assert_int_equal(t->c.nr_serials, CONFIG_MAX_SERIALS);
}

static void two_consoles_are_refused(void **state)
{
	struct cf *t = *state;

	cf_serial(t, SERIAL_SINK, SERIAL_UART, 1)->is_console = true;
	cf_completes(t);
	cf_serial(t, SERIAL_SINK, SERIAL_UART, 2)->is_console = true;
	cf_refuses(t, "--serial: console is given 2 times");
}

static void two_readers_of_stdin_are_refused(void **state)
{
	struct cf *t = *state;

	cf_serial(t, SERIAL_SINK, SERIAL_UART, 1)->use_stdin = true;
	cf_serial(t, SERIAL_SINK, SERIAL_UART, 2)->use_stdin = true;
	cf_refuses(t, "--serial: stdin is given 2 times");
}

static void two_early_consoles_are_refused(void **state)
{
	struct cf *t = *state;

	cf_serial(t, SERIAL_SINK, SERIAL_UART, 1)->earlycon = true;
	cf_serial(t, SERIAL_SINK, SERIAL_UART, 2)->earlycon = true;
	cf_refuses(t, "--serial: earlycon is given 2 times");
}

static void an_early_console_is_a_uart(void **state)
{
	struct cf *t = *state;

	cf_serial(t, SERIAL_SINK, SERIAL_VIRTIO_CONSOLE, 1)->earlycon = true;
	cf_refuses(t, "--serial: earlycon needs hardware=serial");
}

static void stdin_and_a_file_are_not_both_the_input(void **state)
{
	struct cf *t = *state;
	struct serial_config *s = cf_serial(t, SERIAL_SINK, SERIAL_UART, 1);

	s->use_stdin = true;
	s->input = strdup("i");
	cf_refuses(t, "--serial: stdin and input= exclude each other");
}

static void a_file_needs_a_path_and_only_a_file_has_one(void **state)
{
	struct cf *t = *state;
	struct serial_config *s = cf_serial(t, SERIAL_FILE, SERIAL_UART, 1);

	cf_refuses(t, "--serial: type=file needs path=");
	s->path = strdup("o");
	cf_completes(t);
	s->type = SERIAL_SINK;
	cf_refuses(t, "--serial: path= needs type=file");
	s->type = SERIAL_STDOUT;
	cf_refuses(t, "--serial: path= needs type=file");
}

static void a_serial_number_is_used_once_for_each_hardware(void **state)
{
	struct cf *t = *state;

	cf_serial(t, SERIAL_SINK, SERIAL_UART, 0);
	cf_serial(t, SERIAL_SINK, SERIAL_VIRTIO_CONSOLE, 1);
	cf_completes(t);
	assert_int_equal(t->c.serial[0].num, 1);
	/* A number that was not given is 1. */
	cf_serial(t, SERIAL_SINK, SERIAL_VIRTIO_CONSOLE, 0);
	cf_refuses(t, "--serial: num=1 is used twice");
}

static void there_are_four_uarts_and_eight_consoles(void **state)
{
	struct cf *t = *state;

	cf_serial(t, SERIAL_SINK, SERIAL_UART, 4);
	cf_serial(t, SERIAL_SINK, SERIAL_VIRTIO_CONSOLE, 8);
	cf_completes(t);
	t->c.serial[0].num = 5;
	cf_refuses(t, "--serial: num: 5 is more than 4");
	t->c.serial[0].num = 4;
	t->c.serial[1].num = 9;
	cf_refuses(t, "--serial: num: 9 is more than 8");
}

static void all_virtio_devices_count_towards_the_machines_limit(void **state)
{
	struct cf *t = *state;

	for (unsigned i = 0; i < ARCH_MAX_VIRTIO - 1; i++)
		cf_disk(t, false);
	cf_completes(t); /* and the entropy device */
	cf_disk(t, false);
	cf_refuses(t, "--block: 113 devices are more than 112");
	t->c.no_rng = true;
	cf_completes(t);
	t->c.nr_serials = 0;
	cf_serial(t, SERIAL_SINK, SERIAL_VIRTIO_CONSOLE, 1);
	cf_refuses(t, "--block: 113 devices are more than 112");
	t->c.serial[0].hardware = SERIAL_UART;
	cf_completes(t);
}

static void two_root_disks_are_refused(void **state)
{
	struct cf *t = *state;

	cf_disk(t, true);
	cf_completes(t);
	cf_disk(t, true);
	cf_refuses(t, "--block: root is given 2 times");
}

/* ---- config_cmdline ---- */

static void words_stand_in_order_and_the_users_last(void **state)
{
	struct cf *t = *state;

	cf_disk(t, true)->ro = true;
	cf_param(t, "console=ttyS9");
	cf_param(t, "a b");
	cf_completes(t);
	cf_cmdline_is(t, "virtio_mmio.device=4K@0xd0000000:7 ",
		"panic=-1 console=ttyS0 virtio_mmio.device=4K@0xd0000000:7 root=/dev/vda ro "
		"console=ttyS9 a b");
}

static void the_root_disk_has_the_kernels_name_of_its_place(void **state)
{
	static const struct {
		unsigned n;
		const char *name;
	} names[] = { { 0, "vda" }, { 1, "vdb" }, { 25, "vdz" }, { 26, "vdaa" }, { 27, "vdab" },
		{ 51, "vdaz" }, { 52, "vdba" }, { 111, "vddh" } };
	struct cf *t = *state;

	for (unsigned i = 0; i < CONFIG_MAX_DISKS; i++)
		cf_disk(t, false);
	t->c.no_rng = true;
	cf_completes(t);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char want[80];

		t->c.disk[names[i].n].root = true;
		snprintf(want, sizeof(want), "panic=-1 console=ttyS0 root=/dev/%s rw",
			names[i].name);
		cf_cmdline_is(t, "", want);
		t->c.disk[names[i].n].root = false;
	}
}

static void the_kernel_is_told_of_more_than_one_uart(void **state)
{
	struct cf *t = *state;

	cf_serial(t, SERIAL_SINK, SERIAL_UART, 3);
	cf_completes(t);
	cf_cmdline_is(t, "", "panic=-1 console=ttyS0 8250.nr_uarts=3");
}

static void an_early_console_is_named_by_its_port(void **state)
{
	struct cf *t = *state;
	struct dev_desc d;
	char want[120];

	cf_serial(t, SERIAL_SINK, SERIAL_UART, 2)->earlycon = true;
	t->c.serial[0].is_console = true;
	cf_completes(t);
	arch_uart_desc(1, &d);
	snprintf(want, sizeof(want),
		"panic=-1 console=%s1 earlycon=uart8250,%s,0x%llx 8250.nr_uarts=2", arch_uart_tty,
		d.is_port ? "io" : "mmio", (unsigned long long)d.base);
	cf_cmdline_is(t, "", want);
}

static void a_virtio_console_is_an_hvc(void **state)
{
	struct cf *t = *state;

	cf_serial(t, SERIAL_SINK, SERIAL_VIRTIO_CONSOLE, 2);
	cf_serial(t, SERIAL_SINK, SERIAL_VIRTIO_CONSOLE, 5)->is_console = true;
	cf_completes(t);
	cf_cmdline_is(t, "", "panic=-1 console=hvc4");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CF_TEST(a_kernel_is_needed),
		CF_TEST(without_serials_there_is_a_uart_on_stdout_and_stdin),
		CF_TEST(the_default_console_leaves_stdin_to_who_asked_for_it),
		CF_TEST(the_first_uart_is_the_console_when_none_is_named),
		CF_TEST(stdout_is_the_console_when_there_is_no_first_uart),
		CF_TEST(eight_serials_of_which_none_can_be_a_console_are_refused),
		CF_TEST(two_consoles_are_refused),
		CF_TEST(two_readers_of_stdin_are_refused),
		CF_TEST(two_early_consoles_are_refused),
		CF_TEST(an_early_console_is_a_uart),
		CF_TEST(stdin_and_a_file_are_not_both_the_input),
		CF_TEST(a_file_needs_a_path_and_only_a_file_has_one),
		CF_TEST(a_serial_number_is_used_once_for_each_hardware),
		CF_TEST(there_are_four_uarts_and_eight_consoles),
		CF_TEST(all_virtio_devices_count_towards_the_machines_limit),
		CF_TEST(two_root_disks_are_refused),
		CF_TEST(words_stand_in_order_and_the_users_last),
		CF_TEST(the_root_disk_has_the_kernels_name_of_its_place),
		CF_TEST(the_kernel_is_told_of_more_than_one_uart),
		CF_TEST(an_early_console_is_named_by_its_port),
		CF_TEST(a_virtio_console_is_an_hvc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

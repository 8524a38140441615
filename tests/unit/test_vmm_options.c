// SPDX-License-Identifier: BSD-3-Clause
/* The command line of `mayfly run`: what is taken, what is refused and in which words. */
#include "vmm/options.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/options_rig.h"

/* ---- grammar ---- */

static void a_value_follows_its_option_in_any_form(void **state)
{
	static const char *const forms[] = { "--cpus=2", "--cpus 2", "-c2", "-c 2",
		"--cpus=num-cores=2", "--cpus num-cores=2", "-cnum-cores=2", "-c 0x2" };

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		op_takes(*state, forms[i]);
		assert_int_equal(((struct op *)*state)->c.cpus, 2);
	}
}

static void options_stand_before_and_after_the_kernel(void **state)
{
	struct op *t = *state;

	op_takes(t, "-m 64 vmlinux --cpus=3 -i rd");
	assert_string_equal(t->c.kernel, "vmlinux");
	assert_string_equal(t->c.initrd, "rd");
	assert_int_equal(t->c.mem_mib, 64);
	assert_int_equal(t->c.cpus, 3);
}

static void nothing_at_all_leaves_the_defaults(void **state)
{
	struct op *t = *state;

	assert_int_equal(op_parse_list(t, 0, NULL), 0);
	assert_null(t->c.kernel);
	assert_int_equal(t->c.cpus, 1);
	assert_int_equal(t->c.mem_mib, 256);
	assert_int_equal(t->c.timeout_s, 0);
	assert_int_equal(t->c.log_level, LOG_WARN);
	assert_false(t->c.no_rng || t->c.no_acpi || t->c.force);
}

static void two_dashes_end_the_options(void **state)
{
	struct op *t = *state;

	op_takes(t, "--cpus 2 -- --help");
	assert_string_equal(t->c.kernel, "--help");
	op_takes(t, "-- --");
	assert_string_equal(t->c.kernel, "--");
	op_refuses(t, "-- vmlinux --cpus", "'--cpus': a KERNEL was given already: 'vmlinux'");
}

static void a_lone_dash_is_a_file_name(void **state)
{
	op_takes(*state, "-");
	assert_string_equal(((struct op *)*state)->c.kernel, "-");
}

static void a_second_kernel_is_refused(void **state)
{
	op_refuses(*state, "a b", "'b': a KERNEL was given already: 'a'");
}

static void an_empty_kernel_is_refused(void **state)
{
	char empty[] = "", *argv[] = { empty };
	struct op *t = *state;

	assert_int_equal(op_parse_list(t, 1, argv), -EINVAL);
	assert_string_equal(t->err.msg, "KERNEL: is empty");
}

static void an_unknown_option_is_named(void **state)
{
	op_refuses(*state, "--cpu 2", "--cpu: no such option");
	op_refuses(*state, "--cpuss 2", "--cpuss: no such option");
	op_refuses(*state, "--=2", "--=2: no such option");
	op_refuses(*state, "-x", "-x: no such option");
	op_refuses(*state, "-C2", "-C2: no such option");
	op_refuses(*state, "--Cpus=2", "no such option");
}

static void a_control_character_in_an_argument_does_not_break_the_line(void **state)
{
	struct op *t = *state;
	char arg[] = "--a\nb\033[2J", *argv[] = { arg };

	assert_true(op_parse_list(t, 1, argv) < 0);
	assert_null(strpbrk(t->err.msg, "\n\033"));
}

static void a_flag_takes_no_value(void **state)
{
	op_takes(*state, "--force --no-rng --no-acpi --disable-sandbox");
	assert_true(((struct op *)*state)->c.disable_sandbox);
	assert_true(((struct op *)*state)->c.force);
	assert_true(((struct op *)*state)->c.no_rng);
	assert_true(((struct op *)*state)->c.no_acpi);
	op_refuses(*state, "--force=1", "--force: takes no value");
	op_refuses(*state, "--force=", "--force: takes no value");
	op_refuses(*state, "--no-rng=true", "--no-rng: takes no value");
	/* What follows is the kernel. */
	op_takes(*state, "--force k");
	assert_string_equal(((struct op *)*state)->c.kernel, "k");
}

static void a_missing_value_is_refused(void **state)
{
	static const char *const opts[] = { "--cpus", "-c", "--mem", "-m", "--initrd", "-i",
		"--params", "-p", "--serial", "--block", "-b", "--timeout", "--name",
		"--dump-tables", "--dump-device-tree-blob", "--hypervisor", "--log-level",
		"--vhost-user" };

	for (size_t i = 0; i < ARRAY_SIZE(opts); i++) {
		op_refuses(*state, opts[i], ": needs a value");
		op_refuses_pair(*state, "k", opts[i], ": needs a value");
	}
}

static void an_option_may_be_another_options_value(void **state)
{
	struct op *t = *state;

	op_takes(t, "--initrd --force");
	assert_string_equal(t->c.initrd, "--force");
	assert_false(t->c.force);
}

static void help_wins_over_what_follows(void **state)
{
	assert_int_equal(op_parse(*state, "--help"), -ECANCELED);
	assert_int_equal(op_parse(*state, "-h --nonsense"), -ECANCELED);
	assert_int_equal(op_parse(*state, "vmlinux --cpus 2 --help"), -ECANCELED);
	/* But not when it is a value. */
	op_takes(*state, "--initrd --help");
}

/* ---- single values ---- */

static void an_option_that_stands_once_is_refused_twice(void **state)
{
	op_refuses(*state, "-c 1 --cpus 2", "--cpus: given twice");
	op_refuses(*state, "--mem 64 -m64", "--mem: given twice");
	op_refuses(*state, "--timeout 1 --timeout=2", "--timeout: given twice");
	op_refuses(*state, "--no-rng --no-rng", "--no-rng: given twice");
	op_takes(*state, "-p a -p b --serial sink --serial sink,num=2 --block a --block b");
}

static void wild_numbers_are_refused(void **state)
{
	static const char *const nans[] = { "", "x", "2x", " 2", "2 ", "-1", "+1", "1e3", "0x",
		"2.0", "1_000", "\xc2\xb2" };
	static const char *const out[] = { "0", "65", "4294967297", "18446744073709551615",
		"18446744073709551617", "0x10000000000000001", "99999999999999999999999999999999" };

	for (size_t i = 0; i < ARRAY_SIZE(nans); i++)
		op_refuses_pair(*state, "--cpus", nans[i], "--cpus: ");
	for (size_t i = 0; i < ARRAY_SIZE(out); i++)
		op_refuses_pair(*state, "-c", out[i], "is not in 1..64");
	op_takes(*state, "-c64");
	op_takes(*state, "-c1");
}

static void memory_is_between_its_limits(void **state)
{
	struct op *t = *state;

	op_refuses(t, "-m15", "--mem: size: '15' is not in 16..4194304");
	op_refuses(t, "-m4194305", "is not in 16..4194304");
	op_refuses(t, "--mem=17592186044416", "is not in 16..");
	op_refuses(t, "--mem=64M", "is not a number");
	op_takes(t, "--mem=size=16");
	assert_int_equal(t->c.mem_mib, 16);
	op_takes(t, "-m4194304");
}

static void foreign_devices_have_a_type_and_a_socket(void **state)
{
	struct op *t = *state;

	op_takes(t, "--vhost-user block,socket=/s --vhost-user type=fs,socket=s2,tag=home");
	assert_int_equal(t->c.nr_foreign, 2);
	assert_int_equal(t->c.foreign[0].type, FOREIGN_BLOCK);
	assert_string_equal(t->c.foreign[0].socket, "/s");
	assert_null(t->c.foreign[0].tag);
	assert_int_equal(t->c.foreign[1].type, FOREIGN_FS);
	assert_string_equal(t->c.foreign[1].tag, "home");
	op_refuses(t, "--vhost-user socket=/s", "--vhost-user: type: is needed");
	op_refuses(t, "--vhost-user rng", "--vhost-user: socket: is needed");
	op_refuses(t, "--vhost-user gpu,socket=s", "--vhost-user: type:");
	op_refuses(t, "--vhost-user rng,socket=s,tag=t", "--vhost-user: tag: only with type=fs");
	op_refuses(t, "--vhost-user fs,socket=s,tag=1234567890123456789012345678901234567",
		"has not 1 to 36 bytes");
	op_takes(t, "--vhost-user fs,socket=s,tag=123456789012345678901234567890123456");
}

static void a_timeout_is_a_number_of_seconds(void **state)
{
	struct op *t = *state;

	op_takes(t, "--timeout 4294967295");
	assert_int_equal(t->c.timeout_s, UINT32_MAX);
	op_refuses(t, "--timeout 0", "--timeout: '0' is not a number of seconds");
	op_refuses(t, "--timeout 4294967296", "is not a number of seconds");
	op_refuses(t, "--timeout 5s", "is not a number of seconds");
	op_refuses_pair(t, "--timeout", "", "is not a number of seconds");
}

static void a_name_is_one_printable_word_of_64_bytes(void **state)
{
	struct op *t = *state;
	char text[80] = "--name=";

	op_takes(t, "--name vm-1");
	assert_string_equal(t->c.name, "vm-1");
	op_refuses(t, "--name a --name b", "--name: given twice");
	op_refuses_pair(t, "--name", "", "--name: is empty");
	op_refuses_pair(t, "--name", "a b", "blank or a control character");
	op_refuses_pair(t, "--name", "a\nb", "blank or a control character");
	op_refuses_pair(t, "--name", "\033[31m", "blank or a control character");
	op_refuses_pair(t, "--name", "a\x7f", "blank or a control character");
	memset(text + 7, 'n', 64);
	op_takes(t, text);
	memset(text + 7, 'n', 65);
	op_refuses(t, text, "--name: is longer than 64 bytes");
}

static void params_add_up_and_hold_no_control_character(void **state)
{
	struct op *t = *state;

	op_takes(t, "-p a=1 --params b -pc");
	assert_int_equal(t->c.nr_params, 3);
	assert_string_equal(t->c.params[0], "a=1");
	assert_string_equal(t->c.params[1], "b");
	assert_string_equal(t->c.params[2], "c");
	op_refuses_pair(t, "--params", "a\nb", "--params: holds a control character");
	op_refuses_pair(t, "--params", "a\tb", "--params: holds a control character");
	op_refuses_pair(t, "--params", "\x7f", "--params: holds a control character");
}

static void a_file_is_given_once(void **state)
{
	op_refuses(*state, "-i a --initrd b", "--initrd: given twice");
	op_refuses(*state, "--dump-tables a --dump-tables b", "--dump-tables: given twice");
	op_refuses_pair(*state, "--initrd", "", "--initrd: is empty");
	op_refuses_pair(*state, "--dump-tables", "", "--dump-tables: is empty");
	op_takes(*state, "--dump-tables=d");
	assert_string_equal(((struct op *)*state)->c.dump_tables, "d");
}

static void a_hypervisor_is_kvm_at_a_path(void **state)
{
	static const char *const bad[] = { "xen", "kvm[", "kvm[device=", "kvm[device=]",
		"kvm[device=/dev/kvm", "kvm[dev=/dev/kvm]", "kvm2", "kvm]" };
	struct op *t = *state;

	op_takes(t, "--hypervisor kvm");
	assert_null(t->c.kvm_device);
	op_takes(t, "--hypervisor=kvm[device=/dev/k]");
	assert_string_equal(t->c.kvm_device, "/dev/k");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		op_refuses_pair(t, "--hypervisor", bad[i], "is not kvm or kvm[device=PATH]");
	op_refuses_pair(t, "--hypervisor", "", "is not kvm or kvm[device=PATH]");
	op_refuses(t, "--hypervisor kvm[device=a] --hypervisor kvm[device=b]", "given twice");
}

static void a_log_level_has_a_name(void **state)
{
	struct op *t = *state;

	op_takes(t, "--log-level debug");
	assert_int_equal(t->c.log_level, LOG_DEBUG);
	op_takes(t, "--log-level=error");
	assert_int_equal(t->c.log_level, LOG_ERROR);
	op_refuses(t, "--log-level 3", "is not error, warn, info or debug");
	op_refuses(t, "--log-level INFO", "is not error, warn, info or debug");
}

/* ---- --serial ---- */

static void every_key_of_a_serial_line_is_stored(void **state)
{
	struct op *t = *state;
	const struct serial_config *s = &t->c.serial[0];

	op_takes(t, "--serial type=file,hardware=virtio-console,num=7,path=o,input=i,console");
	assert_int_equal(t->c.nr_serials, 1);
	assert_int_equal(s->type, SERIAL_FILE);
	assert_int_equal(s->hardware, SERIAL_VIRTIO_CONSOLE);
	assert_int_equal(s->num, 7);
	assert_string_equal(s->path, "o");
	assert_string_equal(s->input, "i");
	assert_true(s->is_console && s->num_seen && s->hardware_seen && s->type_seen);
	assert_false(s->earlycon || s->use_stdin);
	op_takes(t, "--serial earlycon,stdin=true,console=off,type=stdout");
	assert_true(s->earlycon && s->use_stdin);
	assert_false(s->is_console || s->num_seen || s->hardware_seen);
	assert_int_equal(s->type, SERIAL_STDOUT);
	op_takes(t, "--serial sink");
	assert_int_equal(s->type, SERIAL_SINK);
	assert_int_equal(s->hardware, SERIAL_UART);
	op_takes(t, "--serial=file,path='a,b'");
	assert_string_equal(s->path, "a,b");
}

static void what_is_wrong_with_a_serial_line_is_named(void **state)
{
	op_refuses(*state, "--serial console", "--serial: type: is needed");
	op_refuses(*state, "--serial tty", "--serial: type: 'tty' is not known");
	op_refuses(*state, "--serial type=unix-stream", "'unix-stream' is not known");
	op_refuses(*state, "--serial sink,hardware=debugcon", "'debugcon' is not known");
	op_refuses(*state, "--serial sink,num=0", "num: '0' is not in 1..8");
	op_refuses(*state, "--serial sink,num=9", "num: '9' is not in 1..8");
	op_refuses(*state, "--serial sink,console=2", "console: '2' is not true or false");
	op_refuses(*state, "--serial sink,colour=red", "'colour' is not a known key");
	op_refuses(*state, "--serial sink,sink", "'sink' is not a known key");
	op_refuses(*state, "--serial type=sink,type=sink", "type: given twice");
	op_refuses(*state, "--serial sink,num", "num: needs a value");
	op_refuses(*state, "--serial file,path=", "path: is empty");
	op_refuses(*state, "--serial file,path=a,path=b", "path: given twice");
	op_refuses(*state, "--serial sink,,console", "empty element");
	op_refuses(*state, "--serial sink,", "empty element");
	op_refuses(*state, "--serial file,path='a", "a quote is not closed");
	op_refuses_pair(*state, "--serial", "", "--serial: needs a value");
}

static void at_most_eight_serial_lines_are_taken(void **state)
{
	char opt[] = "--serial=sink", *argv[CONFIG_MAX_SERIALS + 1];
	struct op *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(argv); i++)
		argv[i] = opt;
	assert_int_equal(op_parse_list(t, CONFIG_MAX_SERIALS, argv), 0);
	assert_int_equal(op_parse_list(t, CONFIG_MAX_SERIALS + 1, argv), -EINVAL);
	assert_string_equal(t->err.msg, "--serial: more than 8");
	assert_int_equal(t->c.nr_serials, CONFIG_MAX_SERIALS);
}

/* ---- --block ---- */

static void every_key_of_a_disk_is_stored(void **state)
{
	struct op *t = *state;
	const struct disk_config *d = &t->c.disk[0];

	op_takes(t, "-b d");
	assert_string_equal(d->path, "d");
	assert_true(d->sparse && d->lock);
	assert_false(d->ro || d->root || d->direct || d->executor_seen || d->id);
	assert_int_equal(d->block_size, 512);
	assert_int_equal(d->queues, 0);
	op_takes(t,
		"--block path=\"x,\\\"y\",ro,root,sparse=false,direct,lock=0,block-size=4096,"
		"id=12345678901234567890,async-executor=epoll,queues=16");
	assert_string_equal(d->path, "x,\"y");
	assert_true(d->ro && d->root && d->direct && d->executor_seen);
	assert_false(d->sparse || d->lock);
	assert_int_equal(d->block_size, 4096);
	assert_string_equal(d->id, "12345678901234567890");
	assert_int_equal(d->executor, 1);
	assert_int_equal(d->queues, 16);
	op_takes(t, "--block ro,path=d,async-executor=uring");
	assert_int_equal(d->executor, 0);
	assert_true(d->executor_seen);
	/* A bare first word is a key when a key has that name: quotes make it a path. */
	op_takes(t, "--block 'ro'");
	assert_string_equal(d->path, "ro");
	assert_false(d->ro);
}

static void what_is_wrong_with_a_disk_is_named(void **state)
{
	op_refuses(*state, "--block ro", "--block: path: is needed");
	op_refuses(*state, "--block d,block-size=511", "'511' is not in 512..4096");
	op_refuses(*state, "--block d,block-size=4097", "'4097' is not in 512..4096");
	op_refuses(*state, "--block d,block-size=1000", "1000 is not a power of two");
	op_refuses(*state, "--block d,id=123456789012345678901", "is longer than 20 bytes");
	op_refuses(*state, "--block d,async-executor=aio", "'aio' is not known");
	op_refuses(*state, "--block d,queues=0", "'0' is not in 1..16");
	op_refuses(*state, "--block d,queues=17", "'17' is not in 1..16");
	op_refuses(*state, "--block d,read-only", "'read-only' is not a known key");
	op_refuses(*state, "--block d,ro,ro", "ro: given twice");
	op_refuses(*state, "--block path=d,path=e", "path: given twice");
	op_refuses(*state, "--block d,sparse=maybe", "is not true or false");
}

static void at_most_112_disks_are_taken(void **state)
{
	char opt[] = "-bd", *argv[CONFIG_MAX_DISKS + 1];
	struct op *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(argv); i++)
		argv[i] = opt;
	assert_int_equal(op_parse_list(t, CONFIG_MAX_DISKS, argv), 0);
	assert_int_equal(op_parse_list(t, CONFIG_MAX_DISKS + 1, argv), -EINVAL);
	assert_string_equal(t->err.msg, "--block: more than 112");
	assert_int_equal(t->c.nr_disks, CONFIG_MAX_DISKS);
}

/* ---- the table in other forms ---- */

static char *op_print(enum optable_format format)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	optable_print(f, &options_run, format);
	fclose(f);
	return text;
}

static void every_option_is_in_every_form_of_the_help(void **state)
{
	static const char *const names[] = { "cpus", "mem", "initrd", "params", "serial", "block",
		"no-rng", "no-acpi", "timeout", "name", "dump-tables", "dump-device-tree-blob",
		"hypervisor", "force", "log-level", "clock", "seed", "cpu-model", "deterministic",
		"print-hash" };
	static const char *const prefix[] = { "  ", "| `", ".B " };

	(void)state;
	for (int format = OPTABLE_HELP; format <= OPTABLE_MAN; format++) {
		char *text = op_print((enum optable_format)format);
		const char *dashes = format == OPTABLE_MAN ? "\\-\\-" : "--";
		size_t rows = 0;

		for (const char *p = text; (p = strstr(p, prefix[format])); p++)
			rows++;
		assert_true(rows >= ARRAY_SIZE(names));
		for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
			char want[64];

			snprintf(want, sizeof(want), "%s%s", dashes, names[i]);
			if (!strstr(text, want))
				fail_msg("form %d lacks %s", format, want);
		}
		free(text);
	}
}

static void terminal_help_fits_100_columns(void **state)
{
	char *text = op_print(OPTABLE_HELP);

	(void)state;
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1)
		assert_true(end - line <= 100);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		OP_TEST(a_value_follows_its_option_in_any_form),
		OP_TEST(options_stand_before_and_after_the_kernel),
		OP_TEST(nothing_at_all_leaves_the_defaults),
		OP_TEST(two_dashes_end_the_options),
		OP_TEST(a_lone_dash_is_a_file_name),
		OP_TEST(a_second_kernel_is_refused),
		OP_TEST(an_empty_kernel_is_refused),
		OP_TEST(an_unknown_option_is_named),
		OP_TEST(a_control_character_in_an_argument_does_not_break_the_line),
		OP_TEST(a_flag_takes_no_value),
		OP_TEST(a_missing_value_is_refused),
		OP_TEST(an_option_may_be_another_options_value),
		OP_TEST(help_wins_over_what_follows),
		OP_TEST(an_option_that_stands_once_is_refused_twice),
		OP_TEST(wild_numbers_are_refused),
		OP_TEST(memory_is_between_its_limits),
		OP_TEST(foreign_devices_have_a_type_and_a_socket),
		OP_TEST(a_timeout_is_a_number_of_seconds),
		OP_TEST(a_name_is_one_printable_word_of_64_bytes),
		OP_TEST(params_add_up_and_hold_no_control_character),
		OP_TEST(a_file_is_given_once),
		OP_TEST(a_hypervisor_is_kvm_at_a_path),
		OP_TEST(a_log_level_has_a_name),
		OP_TEST(every_key_of_a_serial_line_is_stored),
		OP_TEST(what_is_wrong_with_a_serial_line_is_named),
		OP_TEST(at_most_eight_serial_lines_are_taken),
		OP_TEST(every_key_of_a_disk_is_stored),
		OP_TEST(what_is_wrong_with_a_disk_is_named),
		OP_TEST(at_most_112_disks_are_taken),
		OP_TEST(every_option_is_in_every_form_of_the_help),
		OP_TEST(terminal_help_fits_100_columns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

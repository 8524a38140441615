// SPDX-License-Identifier: BSD-3-Clause
/*
 * `mayfly run` as its users meet it: the binary named by MAYFLY, kernels of a few
 * instructions, exit statuses, and what comes out of stdout and stderr. Kernels are handed
 * over as descriptors, so nothing is left behind.
 */
#include "tests/payload/runner.h"

#include <errno.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>

#define FORCE "--force"

/* ---- guests that end ---- */

static void every_kind_of_kernel_says_hello_and_powers_off(void **state)
{
	static const enum run_format formats[] = { RUN_ELF, RUN_PVH, RUN_BZIMAGE };
	struct run *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		run_code_reset(r);
		run_say(r, "hello\n");
		run_out(r, 0x600, 0x34); /* SLP_EN, S5 */
		run_sleep(r);
		run_guest(r, formats[i], FORCE, NULL);
		run_status_is(r, 0);
		assert_string_equal(r->out, "hello\n");
		run_line_is(r, "the guest powered off");
	}
}

static void a_guest_ends_with_the_status_of_how_it_ended(void **state)
{
	static const struct {
		uint16_t port;
		uint8_t value;
		int status;
		const char *line;
	} ends[] = { { 0x602, 6, 32, "the guest asked for a reset" },
		{ 0x64, 0xfe, 32, "the guest asked for a reset" },
		{ 0x505, 1, 34, "the guest's kernel panicked" } };
	struct run *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		run_code_reset(r);
		run_say(r, "x");
		/* What is near the mark is not it. */
		run_out(r, 0x600, 0x14);
		run_out(r, 0x602, 7);
		run_out(r, 0x64, 0xd1);
		run_out(r, 0x505, 0);
		run_say(r, "y");
		run_out(r, ends[i].port, ends[i].value);
		run_sleep(r);
		run_guest(r, RUN_ELF, FORCE, NULL);
		run_status_is(r, ends[i].status);
		assert_string_equal(r->out, "xy");
		run_line_is(r, ends[i].line);
	}
}

static void a_triple_fault_is_a_crash(void **state)
{
	struct run *r = *state;

	run_say(r, "x");
	run_fault(r);
	run_guest(r, RUN_ELF, FORCE, NULL);
	run_status_is(r, 33);
	assert_string_equal(r->out, "x");
	run_line_is(r, "triple fault on CPU 0");
}

static void a_guest_that_does_not_end_runs_into_its_timeout(void **state)
{
	struct run *r = *state;

	run_say(r, "x");
	run_spin(r);
	run_guest(r, RUN_ELF, FORCE, "--timeout=1", NULL);
	run_status_is(r, 37);
	assert_string_equal(r->out, "x");
	run_line_is(r, "--timeout: ");
	/* Asleep, too, and with CPUs that were never started. */
	run_code_reset(r);
	run_sleep(r);
	run_guest(r, RUN_ELF, FORCE, "--timeout=1", "--cpus=2", NULL);
	run_status_is(r, 37);
}

static void a_signal_ends_the_machine_and_is_what_the_parent_sees(void **state)
{
	static const int sigs[] = { SIGTERM, SIGINT, SIGHUP };
	struct run *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++) {
		run_code_reset(r);
		run_say(r, "ready");
		if (i & 1)
			run_spin(r);
		else
			run_sleep(r);
		r->signal_after = "ready";
		r->signal = sigs[i];
		run_guest(r, RUN_ELF, FORCE, NULL);
		if (!WIFSIGNALED(r->st) || WTERMSIG(r->st) != sigs[i])
			fail_msg("signal %d: wait status 0x%x: %s", sigs[i], r->st, r->err);
		assert_string_equal(r->out, "ready");
		run_line_is(r, "stopped by signal");
	}
}

static void what_is_typed_reaches_the_guest(void **state)
{
	struct run *r = *state;

	r->in = "abc \003\001 end q ignored";
	run_code(r, payload_echo, PAYLOAD_LEN(echo));
	run_guest(r, RUN_ELF, FORCE, NULL);
	run_status_is(r, 0);
	assert_string_equal(r->out, "abc \003\001 end ");
}

static void a_socket_may_be_the_serial_line(void **state)
{
	struct run *r = *state;
	char text[64] = "";
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(write(pair[0], "abc q", 5), 5);
	r->both = pair[1];
	run_code(r, payload_echo, PAYLOAD_LEN(echo));
	run_guest(r, RUN_ELF, FORCE, NULL);
	run_status_is(r, 0);
	assert_int_equal(read(pair[0], text, sizeof(text)), 4);
	assert_string_equal(text, "abc ");
	close(pair[0]);
	close(pair[1]);
}

/** A terminal with keys already typed; what it was set to is in *was. */
static int run_tty(struct run *r, const char *keys, struct termios *was)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	assert_true(master >= 0 && !grantpt(master) && !unlockpt(master));
	r->tty = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(r->tty > 0);
	assert_int_equal(tcgetattr(r->tty, was), 0);
	assert_int_equal(write(master, keys, strlen(keys)), strlen(keys));
	return master;
}

static void run_tty_is_back(struct run *r, int master, const struct termios *was)
{
	struct termios now;

	assert_int_equal(tcgetattr(r->tty, &now), 0);
	assert_memory_equal(&now, was, sizeof(now));
	close(r->tty);
	close(master);
}

static void the_escape_key_ends_the_machine_and_the_terminal_is_back(void **state)
{
	struct run *r = *state;
	struct termios was;
	int master = run_tty(r, "ab\001x", &was);

	run_say(r, "hello");
	run_sleep(r);
	run_guest(r, RUN_ELF, FORCE, "--timeout=30", NULL);
	run_status_is(r, 0);
	run_line_is(r, "stopped at the terminal");
	run_tty_is_back(r, master, &was);
}

static void a_signal_leaves_the_terminal_as_it_was(void **state)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV, SIGBUS,
		SIGILL, SIGFPE };
	struct run *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		struct termios was;
		int master = run_tty(r, "", &was);

		run_code_reset(r);
		run_say(r, "hello\n");
		run_sleep(r);
		r->signal_after = "hello";
		r->signal = signals[i];
		run_guest(r, RUN_ELF, FORCE, "--timeout=30", NULL);
		if (!WIFSIGNALED(r->st) || WTERMSIG(r->st) != signals[i])
			fail_msg("signal %d: wait status 0x%x, mayfly said: %s", signals[i],
				(unsigned)r->st, r->err);
		run_tty_is_back(r, master, &was);
	}
}

/* ---- output that goes nowhere ---- */

static void output_that_cannot_be_written_ends_the_machine(void **state)
{
	struct run *r = *state;

	run_say(r, "hello");
	run_sleep(r);
	r->out_path = "/dev/full";
	run_guest(r, RUN_ELF, FORCE, "--timeout=10", NULL);
	run_status_is(r, 1);
	run_line_is(r, "--serial: stdout: No space left");
	/* A guest that is faster than its output: what it said is lost all the same. */
	run_code_reset(r);
	run_say(r, "hello");
	run_out(r, 0x600, 0x34);
	run_sleep(r);
	run_guest(r, RUN_ELF, FORCE, NULL);
	run_status_is(r, 1);
	run_line_is(r, "--serial: stdout: No space left");
}

static void a_reader_that_has_gone_ends_the_machine(void **state)
{
	struct run *r = *state;

	run_say(r, "hello");
	run_sleep(r);
	r->close_reader = true;
	run_guest(r, RUN_ELF, FORCE, "--timeout=10", NULL);
	run_status_is(r, 1);
	run_line_is(r, "--serial: stdout: Broken pipe");
}

static void a_closed_stdout_is_said_at_once(void **state)
{
	struct run *r = *state;

	run_say(r, "hello");
	run_out(r, 0x600, 0x34);
	r->close_out = true;
	run_guest(r, RUN_ELF, FORCE, NULL);
	run_status_is(r, 1);
	run_line_is(r, "--serial: stdout: Bad file descriptor");
}

static void a_file_takes_the_output_and_stdout_stays_empty(void **state)
{
	struct run *r = *state;
	char opt[64], text[64] = "";
	int fd = memfd_create("out", 0);

	assert_true(fd >= 0);
	snprintf(opt, sizeof(opt), "--serial=file,path=/proc/self/fd/%d", fd);
	run_say(r, "hello");
	run_out(r, 0x600, 0x34);
	run_sleep(r);
	run_guest(r, RUN_ELF, FORCE, opt, NULL);
	run_status_is(r, 0);
	assert_string_equal(r->out, "");
	assert_int_equal(pread(fd, text, sizeof(text), 0), 5);
	assert_string_equal(text, "hello");
	close(fd);
}

/* ---- what cannot start ---- */

static void a_kernel_that_is_none_is_refused_with_its_name(void **state)
{
	struct run *r = *state;

	run_args(r, "run", FORCE, "/nonexistent/vmlinux", NULL);
	run_status_is(r, 1);
	run_line_is(r, "KERNEL: /nonexistent/vmlinux: No such file or directory");
	run_args(r, "run", FORCE, "/dev/null", NULL);
	run_status_is(r, 1);
	run_line_is(r, "KERNEL: /dev/null: ");
	run_say(r, "x");
	r->cut = 100;
	run_guest(r, RUN_ELF, FORCE, NULL);
	run_status_is(r, 1);
	run_line_is(r, "KERNEL: /proc/self/fd/");
	run_guest(r, RUN_BZIMAGE, FORCE, NULL);
	run_status_is(r, 1);
	run_line_is(r, "cut short");
	assert_string_equal(r->out, "");
}

static void an_initrd_that_is_not_there_is_refused(void **state)
{
	struct run *r = *state;

	run_say(r, "x");
	run_guest(r, RUN_ELF, FORCE, "--initrd=/nonexistent/rd", NULL);
	run_status_is(r, 1);
	run_line_is(r, "--initrd: /nonexistent/rd: No such file");
}

static void bad_usage_is_35(void **state)
{
	struct run *r = *state;

	run_args(r, NULL, NULL);
	run_status_is(r, 35);
	run_args(r, "fly", NULL);
	run_status_is(r, 35);
	run_args(r, "run", NULL);
	run_status_is(r, 35);
	run_line_is(r, "run: no KERNEL given");
	run_args(r, "run", "--cpus=0", "k", NULL);
	run_status_is(r, 35);
	run_line_is(r, "--cpus: ");
	run_args(r, "doctor", "a", "b", NULL);
	run_status_is(r, 35);
}

static void help_and_version_are_on_stdout(void **state)
{
	struct run *r = *state;

	run_args(r, "run", "--help", NULL);
	run_status_is(r, 0);
	assert_non_null(strstr(r->out, "--cpus"));
	assert_string_equal(r->err, "");
	run_args(r, "version", NULL);
	run_status_is(r, 0);
	assert_ptr_equal(strstr(r->out, "mayfly "), r->out);
	assert_string_equal(r->err, "");
}

static void without_a_hypervisor_it_is_38(void **state)
{
	struct run *r = *state;

	run_say(r, "x");
	run_guest(r, RUN_ELF, FORCE, "--hypervisor=kvm[device=/nonexistent/kvm]", NULL);
	run_status_is(r, 38);
	run_line_is(r, "/nonexistent/kvm: no such device");
	run_guest(r, RUN_ELF, FORCE, "--hypervisor=kvm[device=/dev/null]", NULL);
	run_status_is(r, 38);
	run_line_is(r, "/dev/null: is not KVM");
	run_args(r, "doctor", "/nonexistent/kvm", NULL);
	run_status_is(r, 38);
	assert_non_null(strstr(r->out, "BAD hypervisor"));
	assert_non_null(strstr(r->out, "mayfly run does not work on this host"));
}

static void without_permission_it_is_38_and_says_how_to_get_it(void **state)
{
	struct run *r = *state;
	struct stat st;

	/* Only root can become somebody else; where all may use KVM there is nothing to see. */
	if (geteuid() || stat("/dev/kvm", &st) || (st.st_mode & 06) == 06)
		skip();
	run_say(r, "x");
	r->as_nobody = true;
	run_guest(r, RUN_ELF, FORCE, NULL);
	run_status_is(r, 38);
	run_line_is(r, "/dev/kvm: permission denied: join the group");
	run_args(r, "doctor", NULL);
	run_status_is(r, 38);
	assert_non_null(strstr(r->out, "BAD hypervisor"));
}

/* ---- doctor, tables ---- */

static void doctor_and_run_agree_on_this_host(void **state)
{
	struct run *r = *state;
	bool emulated, works;

	run_args(r, "doctor", NULL);
	emulated = strstr(r->out, "KVM emulates each instruction");
	works = strstr(r->out, "mayfly run works on this host.");
	assert_true(works != !!strstr(r->out, "mayfly run does not work on this host"));
	run_status_is(r, works ? 0 : 38);
	if (emulated)
		assert_false(works);
	run_say(r, "x");
	run_out(r, 0x600, 0x34);
	run_sleep(r);
	run_guest(r, RUN_ELF, NULL);
	run_status_is(r, works ? 0 : 38);
	assert_string_equal(r->out, works ? "x" : "");
	if (emulated)
		run_line_is(r, "--force runs it all the same");
}

static void tables_are_dumped_and_a_missing_folder_is_refused(void **state)
{
	static const char *const names[] = { "rsdp.dat", "xsdt.dat", "facp.dat", "apic.dat",
		"dsdt.dat" };
	char dir[] = "/tmp/mayfly-run-XXXXXX", opt[64], path[64];
	struct run *r = *state;
	struct stat st;

	assert_non_null(mkdtemp(dir));
	snprintf(opt, sizeof(opt), "--dump-tables=%s", dir);
	run_out(r, 0x600, 0x34);
	run_sleep(r);
	run_guest(r, RUN_ELF, FORCE, opt, NULL);
	run_status_is(r, 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_true(st.st_size >= 36);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(rmdir(dir), 0);
	run_guest(r, RUN_ELF, FORCE, opt, NULL);
	run_status_is(r, 1);
	run_line_is(r, "--dump-tables: ");
}

int main(void)
{
	struct CMUnitTest tests[] = {
		RUN_KVM_TEST(every_kind_of_kernel_says_hello_and_powers_off),
		RUN_KVM_TEST(a_guest_ends_with_the_status_of_how_it_ended),
		RUN_KVM_TEST(a_triple_fault_is_a_crash),
		RUN_KVM_TEST(a_guest_that_does_not_end_runs_into_its_timeout),
		RUN_KVM_TEST(a_signal_ends_the_machine_and_is_what_the_parent_sees),
		RUN_KVM_TEST(what_is_typed_reaches_the_guest),
		RUN_KVM_TEST(a_socket_may_be_the_serial_line),
		RUN_KVM_TEST(the_escape_key_ends_the_machine_and_the_terminal_is_back),
		RUN_KVM_TEST(a_signal_leaves_the_terminal_as_it_was),
		RUN_KVM_TEST(output_that_cannot_be_written_ends_the_machine),
		RUN_KVM_TEST(a_reader_that_has_gone_ends_the_machine),
		RUN_KVM_TEST(a_closed_stdout_is_said_at_once),
		RUN_KVM_TEST(a_file_takes_the_output_and_stdout_stays_empty),
		RUN_KVM_TEST(a_kernel_that_is_none_is_refused_with_its_name),
		RUN_TEST(an_initrd_that_is_not_there_is_refused),
		RUN_TEST(bad_usage_is_35),
		RUN_TEST(help_and_version_are_on_stdout),
		RUN_TEST(without_a_hypervisor_it_is_38),
		RUN_TEST(without_permission_it_is_38_and_says_how_to_get_it),
		RUN_KVM_TEST(doctor_and_run_agree_on_this_host),
		RUN_KVM_TEST(tables_are_dumped_and_a_missing_folder_is_refused),
	};

	run_skip_without_kvm(tests, ARRAY_SIZE(tests));
	return cmocka_run_group_tests(tests, NULL, NULL);
}

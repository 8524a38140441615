// SPDX-License-Identifier: BSD-3-Clause
/*
 * mayfly: verbs, and the one place where an error is printed.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/title.h"
#include "version.h"
#include "vmm/config.h"
#include "vmm/doctor.h"
#include "vmm/exec.h"
#include "vmm/options.h"
#include "vmm/serve.h"
#include "vmm/vm.h"

static void main_usage(FILE *f)
{
	fprintf(f,
		"usage: mayfly run [options] KERNEL   boot a kernel in a microVM\n"
		"       mayfly exec [options] [--] COMMAND [ARGS...]\n"
		"                                     run a command in a microVM\n"
		"       mayfly device KIND [KEYS] --socket-path PATH | --fd N\n"
		"                                     serve a device to another program\n"
		"       mayfly doctor [KVM-DEVICE]    say what this host can do\n"
		"       mayfly version\n"
		"       mayfly help [markdown|man [exec]]\n");
}

static int main_usage_error(const char *msg)
{
	log_error("%s", msg);
	return STATUS_USAGE;
}

/**
 * A standard descriptor that the caller closed would be the next file that is opened here,
 * and guest output would land in it. Open for reading only: an end of file to read, an error
 * to write.
 */
static void main_hold_std_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/** Every thread, queue and image costs descriptors: use what the user may have. */
static void main_raise_nofile(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur == r.rlim_max)
		return;
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
}

/** As if the signal had not been caught, so that a shell or a supervisor sees it. */
static void main_die_by(int sig)
{
	sigset_t set;

	signal(sig, SIG_DFL);
	raise(sig);
	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static int main_run_machine(const struct config *cfg)
{
	struct vm *vm;
	struct err err;
	enum status status;
	int sig;

	status = vm_create(cfg, &vm, &err);
	if (status != STATUS_OK) {
		log_error("%s", err.msg);
		return (int)status;
	}
	if (cfg->print_hash) {
		printf("%s\n", vm->hash);
		vm_destroy(vm);
		return STATUS_OK;
	}
	status = vm_run(vm, &err);
	sig = vm->end_signal;
	log_at(LOG_ERROR, "%s", err.msg);
	vm_destroy(vm);
	if (sig)
		main_die_by(sig);
	return (int)status;
}

static int main_run(int argc, char **argv)
{
	struct config cfg;
	struct err err;
	int rc;

	config_init(&cfg);
	rc = optable_parse(&options_run, argc, argv, &cfg, &err);
	if (rc == -ECANCELED) {
		printf("usage: mayfly run [options] KERNEL\n\n");
		optable_print(stdout, &options_run, OPTABLE_HELP);
		rc = STATUS_OK;
	} else if (rc < 0 || config_complete(&cfg, &err)) {
		rc = main_usage_error(err.msg);
	} else {
		log_set_level(cfg.log_level);
		log_set_name(cfg.name);
		if (cfg.name)
			prctl(PR_SET_NAME, cfg.name);
		main_raise_nofile();
		rc = main_run_machine(&cfg);
	}
	config_fini(&cfg);
	return rc;
}

static int main_exec(int argc, char **argv)
{
	main_raise_nofile();
	return exec_main(argc, argv);
}

static int main_device(int argc, char **argv)
{
	main_raise_nofile();
	return (int)serve(argc, argv);
}

static int main_doctor(int argc, char **argv)
{
	if (argc > 1)
		return main_usage_error("doctor: takes at most the path of a KVM device");
	return (int)doctor(argc ? argv[0] : NULL);
}

static int main_version(int argc __unused, char **argv __unused)
{
	printf("mayfly %s (%s)\n", MAYFLY_VERSION, arch_name);
	return STATUS_OK;
}

static int main_help(int argc, char **argv)
{
	const struct optable *verb = &options_run;

	if (argc > 1 && !strcmp(argv[1], "exec"))
		verb = &options_exec;
	if (argc && !strcmp(argv[0], "markdown")) {
		optable_print(stdout, verb, OPTABLE_MARKDOWN);
	} else if (argc && !strcmp(argv[0], "man")) {
		optable_print(stdout, verb, OPTABLE_MAN);
	} else {
		main_usage(stdout);
		printf("\nOptions of run:\n");
		optable_print(stdout, &options_run, OPTABLE_HELP);
		printf("\nOptions of exec:\n");
		optable_print(stdout, &options_exec, OPTABLE_HELP);
	}
	return STATUS_OK;
}

static const struct {
	const char *name;
	int (*fn)(int argc, char **argv);
} verbs[] = {
	{ "run", main_run },
	{ "exec", main_exec },
	{ "device", main_device },
	{ "doctor", main_doctor },
	{ "version", main_version },
	{ "help", main_help },
	{ "--version", main_version },
	{ "--help", main_help },
	{ "-h", main_help },
};

int main(int argc, char **argv)
{
	title_init(argc, argv);
	main_hold_std_fds();
	if (argc >= 2) {
		for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
			if (!strcmp(argv[1], verbs[i].name))
				return verbs[i].fn(argc - 2, argv + 2);
		log_error("'%s': no such verb", argv[1]);
	}
	main_usage(stderr);
	return STATUS_USAGE;
}

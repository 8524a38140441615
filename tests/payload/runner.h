/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs the binary that the environment names MAYFLY, with a kernel made of a few
 * instructions, and keeps its output. The instructions are the same bytes in 32-bit and
 * 64-bit mode, so that one guest serves every kind of kernel.
 */
#pragma once

#include "tests/payload/payload.h"

#include <elf.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#define RUN_ADDR     0x1000000ULL /* where kernels are loaded */
#define RUN_TEXT     0x1000       /* code's place in an ELF file */
#define RUN_NOBODY   65534
#define RUN_LIMIT_MS 60000
#define RUN_MAX_ARGS 16

enum run_format { RUN_ELF, RUN_PVH, RUN_BZIMAGE };

struct run {
	uint8_t code[1024];
	size_t len;
	/* How it is run. */
	const char *in, *out_path, *signal_after;
	int signal;                               /* sent when signal_after has come out */
	void (*during)(struct run *r, pid_t pid); /* called then, before */
	bool close_reader, close_out, as_nobody;
	int tty;    /* becomes stdin; 0: none */
	int both;   /* becomes stdin and stdout; 0: none */
	size_t cut; /* the file's bytes, 0: all */
	/* What came of it. */
	int st; /* as of wait(2) */
	char out[8192], err[8192];
};

/* ---- guests ---- */

static inline void run_code_reset(struct run *r)
{
	r->len = 0;
}

static inline void run_code(struct run *r, const void *code, size_t len)
{
	assert_true(len <= sizeof(r->code) - r->len);
	memcpy(r->code + r->len, code, len);
	r->len += len;
}

static inline void run_out(struct run *r, uint16_t port, uint8_t value)
{
	const uint8_t code[] = {
		0x66, 0xba, (uint8_t)port, (uint8_t)(port >> 8), /* mov $port, %dx */
		0xb0, value,                                     /* mov $value, %al */
		0xee,                                            /* out %al, %dx */
	};

	run_code(r, code, sizeof(code));
}

/** A 32-bit write to memory or a device; only where addresses are 32 bits (RUN_PVH). */
static inline void run_write(struct run *r, uint32_t addr, uint32_t value)
{
	uint8_t code[10] = { 0xc7, 0x05 }; /* movl $value, addr */

	le32_put(code + 2, addr);
	le32_put(code + 6, value);
	run_code(r, code, sizeof(code));
}

static inline void run_say(struct run *r, const char *text)
{
	for (; *text; text++)
		run_out(r, 0x3f8, (uint8_t)*text);
}

static inline void run_sleep(struct run *r)
{
	run_code(r, "\xf4\xeb\xfd", 3); /* 1: hlt; jmp 1b */
}

static inline void run_spin(struct run *r)
{
	run_code(r, "\xeb\xfe", 2); /* jmp . */
}

static inline void run_fault(struct run *r)
{
	run_code(r, "\x0f\x0b", 2); /* ud2, without a handler */
}

/* ---- kernels ---- */

/** One segment; for PVH also the note that says where to enter. */
static inline size_t run_elf(const struct run *r, bool pvh, uint8_t *f)
{
	Elf64_Phdr ph[2] = {
		{ .p_type = PT_LOAD,
			.p_offset = RUN_TEXT,
			.p_paddr = RUN_ADDR,
			.p_filesz = r->len,
			.p_memsz = r->len },
		{ .p_type = PT_NOTE, .p_offset = 0x200, .p_filesz = 20 },
	};
	Elf64_Ehdr eh = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = RUN_ADDR,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = pvh ? 2 : 1,
	};

	memcpy(f, &eh, sizeof(eh));
	memcpy(f + sizeof(eh), ph, sizeof(ph));
	le32_put(f + 0x200, 4);  /* name */
	le32_put(f + 0x204, 4);  /* descriptor */
	le32_put(f + 0x208, 18); /* XEN_ELFNOTE_PHYS32_ENTRY */
	memcpy(f + 0x20c, "Xen", 4);
	le32_put(f + 0x210, (uint32_t)RUN_ADDR);
	memcpy(f + RUN_TEXT, r->code, r->len);
	return RUN_TEXT + r->len;
}

/** Two sectors of setup, then the protected-mode part with its 64-bit entry at 0x200. */
static inline size_t run_bzimage(const struct run *r, uint8_t *f)
{
	size_t len = (0x200 + r->len + 15) / 16 * 16;

	f[0x1f1] = 1;
	le32_put(f + 0x1f4, (uint32_t)(len / 16));
	le16_put(f + 0x1fe, 0xaa55);
	f[0x200] = 0xeb;
	f[0x201] = 0x6a;
	memcpy(f + 0x202, "HdrS", 4);
	le16_put(f + 0x206, 0x20f);
	f[0x211] = 1;
	le32_put(f + 0x22c, 0x7fffffff);
	le32_put(f + 0x230, 0x200000);
	f[0x234] = 1;
	le16_put(f + 0x236, 1);
	le32_put(f + 0x238, 2047);
	le64_put(f + 0x258, RUN_ADDR);
	le32_put(f + 0x260, 0x10000);
	memcpy(f + 0x400 + 0x200, r->code, r->len);
	return 0x400 + len;
}

/** The kernel as a descriptor that the child inherits. */
static inline int run_kernel(const struct run *r, enum run_format format)
{
	uint8_t *f = calloc(1, 2 * RUN_TEXT);
	int fd = memfd_create("kernel", 0);
	size_t len = format == RUN_BZIMAGE ? run_bzimage(r, f) : run_elf(r, format == RUN_PVH, f);

	if (r->cut)
		len = r->cut < len ? r->cut : len;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, f, len), len);
	free(f);
	return fd;
}

/* ---- the binary ---- */

static inline const char *run_binary(void)
{
	const char *path = getenv("MAYFLY");

	return path ? path : "./mayfly";
}

/** In the child: descriptors and identity as asked for, then the binary. */
static inline void run_exec(const struct run *r, char **argv, int in, int out, int err)
{
	/* By descriptor: another user may not be allowed to walk to the file. */
	int bin = open(run_binary(), O_RDONLY | O_CLOEXEC);
	int file = r->out_path ? open(r->out_path, O_WRONLY | O_CLOEXEC) : out;

	if (bin < 0 || file < 0)
		_exit(126);
	dup2(r->tty ? r->tty : in, STDIN_FILENO);
	dup2(file, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	if (r->both && (dup2(r->both, STDIN_FILENO) < 0 || dup2(r->both, STDOUT_FILENO) < 0))
		_exit(126);
	if (r->close_out)
		close(STDOUT_FILENO);
	if (r->as_nobody &&
		(setgroups(0, NULL) || setresgid(RUN_NOBODY, RUN_NOBODY, RUN_NOBODY) ||
			setresuid(RUN_NOBODY, RUN_NOBODY, RUN_NOBODY)))
		_exit(126);
	/* A shell's background job starts with these ignored, and what it starts does, too. */
	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	fexecve(bin, argv, environ);
	_exit(127);
}

static inline uint64_t run_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/** Appends what waits in fd to buf. False at the end. */
static inline bool run_take(int fd, char *buf, size_t size)
{
	size_t len = strlen(buf);
	ssize_t n = read(fd, buf + len, size - 1 - len);

	if (n <= 0)
		return false;
	buf[len + (size_t)n] = '\0';
	return true;
}

/** Reads both outputs until both end, sending the signal on the way. */
static inline void run_collect(struct run *r, pid_t pid, int out, int err)
{
	struct pollfd p[2] = { { .fd = out, .events = POLLIN }, { .fd = err, .events = POLLIN } };
	uint64_t end = run_now_ms() + RUN_LIMIT_MS;

	r->out[0] = r->err[0] = '\0';
	while (p[0].fd >= 0 || p[1].fd >= 0) {
		if (run_now_ms() > end || poll(p, 2, 1000) < 0) {
			kill(pid, SIGKILL);
			break;
		}
		if (p[0].revents && !run_take(out, r->out, sizeof(r->out)))
			p[0].fd = -1;
		if (p[1].revents && !run_take(err, r->err, sizeof(r->err)))
			p[1].fd = -1;
		if (r->signal_after && strstr(r->out, r->signal_after)) {
			if (r->during)
				r->during(r, pid);
			kill(pid, r->signal);
			r->signal_after = NULL;
		}
	}
}

static inline void run_argv(struct run *r, char **argv)
{
	int in[2], out[2], err[2];
	pid_t pid;

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	if (r->in)
		assert_int_equal(write(in[1], r->in, strlen(r->in)), strlen(r->in));
	close(in[1]);
	if (r->close_reader)
		close(out[0]);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		run_exec(r, argv, in[0], out[1], err[1]);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	run_collect(r, pid, r->close_reader ? -1 : out[0], err[0]);
	assert_int_equal(waitpid(pid, &r->st, 0), pid);
	if (!r->close_reader)
		close(out[0]);
	close(err[0]);
	if (WIFEXITED(r->st) && WEXITSTATUS(r->st) >= 126)
		fail_msg("MAYFLY: %s cannot be run", run_binary());
}

/** Runs the binary with these words; the last is NULL. */
static inline void run_args(struct run *r, const char *first, ...)
{
	char *argv[RUN_MAX_ARGS] = { (char *)(uintptr_t) "mayfly" };
	const char *word = first;
	unsigned n = 1;
	va_list ap;

	va_start(ap, first);
	for (; word && n < RUN_MAX_ARGS - 1; word = va_arg(ap, const char *))
		argv[n++] = (char *)(uintptr_t)word;
	va_end(ap);
	run_argv(r, argv);
}

/** `mayfly run` with these words and the guest as a kernel of this format. */
static inline void run_guest(struct run *r, enum run_format format, ...)
{
	char *argv[RUN_MAX_ARGS] = { (char *)(uintptr_t) "mayfly", (char *)(uintptr_t) "run" };
	int fd = run_kernel(r, format);
	unsigned n = 2;
	char path[32];
	char *word;
	va_list ap;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	va_start(ap, format);
	while ((word = va_arg(ap, char *)) && n < RUN_MAX_ARGS - 2)
		argv[n++] = word;
	va_end(ap);
	argv[n] = path;
	run_argv(r, argv);
	close(fd);
}

static inline void run_status_is(const struct run *r, int status)
{
	if (!WIFEXITED(r->st) || WEXITSTATUS(r->st) != status)
		fail_msg("wait status 0x%x, not exit %d: %s", r->st, status, r->err);
}

/** stderr is one line, which holds text. */
static inline void run_line_is(const struct run *r, const char *text)
{
	const char *end = strchr(r->err, '\n');

	if (strncmp(r->err, "mayfly: ", 8) || !end || end[1] || !strstr(r->err, text))
		fail_msg("stderr is not one line that says \"%s\": \"%s\"", text, r->err);
}

/* ---- tests ---- */

static inline int run_setup(void **state)
{
	*state = calloc(1, sizeof(struct run));
	return 0;
}

/* Another function, to know the tests that need KVM by. */
static inline int run_setup_kvm(void **state)
{
	return run_setup(state);
}

static inline int run_teardown(void **state)
{
	free(*state);
	return 0;
}

#define RUN_TEST(f)     cmocka_unit_test_setup_teardown(f, run_setup, run_teardown)
#define RUN_KVM_TEST(f) cmocka_unit_test_setup_teardown(f, run_setup_kvm, run_teardown)

static inline void run_skipped(void **state __unused)
{
	skip();
}

static inline void run_skip_without_kvm(struct CMUnitTest *tests, size_t nr)
{
	for (size_t i = 0; i < nr && !payload_can_run(); i++) {
		if (tests[i].setup_func != run_setup_kvm)
			continue;
		tests[i].test_func = run_skipped;
	}
}

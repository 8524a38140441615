// SPDX-License-Identifier: BSD-3-Clause
/* The machine of `mayfly exec`: a child of the front's, which dies with it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "vmm/exec.h"
#include "vmm/exec_init.h"
#include "vmm/options.h"
#include "vmm/vm.h"

#define CPIO_HEAD  110
#define CPIO_ALIGN 4

/** The machine's ends. */
struct exec_ends {
	int word_fd, console_fd, initrd_fd;
	int sock[EXEC_PORT_STDERR + 1];
};

/* ---- the initramfs: one file ---- */

/** An entry of a "newc" archive (cpio(5)); len bytes of data follow it, and zeroes. */
static int exec_cpio_put(int fd, const char *name, unsigned mode, const void *data, size_t len)
{
	static const char zeroes[CPIO_ALIGN];
	char head[CPIO_HEAD + 32];
	int n = snprintf(head, sizeof(head),
		"070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x%s", 1, mode, 0, 0, 1,
		0, len, 0, 0, 0, 0, strlen(name) + 1, 0, name);
	size_t head_len = (size_t)n + 1;
	int rc = fd_write_full(fd, head, head_len);

	if (!rc)
		rc = fd_write_full(fd, zeroes, -head_len % CPIO_ALIGN);
	if (!rc)
		rc = fd_write_full(fd, data, len);
	return rc ? rc : fd_write_full(fd, zeroes, -len % CPIO_ALIGN);
}

static int exec_make_initrd(int *ret, struct err *err)
{
	size_t len = (size_t)((uintptr_t)exec_init_end - (uintptr_t)exec_init);
	int fd = memfd_create("initramfs", MFD_CLOEXEC), rc;

	if (fd < 0)
		return err_errno(err, errno, "exec: initramfs");
	rc = exec_cpio_put(fd, "init", S_IFREG | 0755, exec_init, len);
	if (!rc)
		rc = exec_cpio_put(fd, "TRAILER!!!", 0, "", 0);
	if (rc) {
		close(fd);
		return err_errno(err, -rc, "exec: initramfs");
	}
	*ret = fd;
	return 0;
}

/* ---- the child ---- */

static char *exec_fd_path(int fd)
{
	char *path = NULL;

	return asprintf(&path, "/proc/self/fd/%d", fd) < 0 ? NULL : path;
}

/** The kernel's words for a root that has init. */
static int exec_add_init(const char *init, struct config *c, struct err *err)
{
	char *word = NULL;
	int rc = asprintf(&word, "root=/dev/vda ro init=%s", init) < 0 ? -ENOMEM : 0;

	if (!rc)
		rc = option_params("--init", word, c, err);
	else
		(void)err_errno(err, ENOMEM, "exec");
	free(word);
	return rc;
}

/** What the front needs of the machine beside what the caller asked for. */
static int exec_fill(const struct exec_config *e, const struct exec_ends *ends, struct config *c,
	struct err *err)
{
	if (!e->init)
		c->initrd = exec_fd_path(ends->initrd_fd);
	c->serial[0] = (struct serial_config){ .type = SERIAL_FILE,
		.type_seen = true,
		.hardware = SERIAL_UART,
		.num = 1,
		.path = exec_fd_path(ends->console_fd),
		.is_console = true };
	c->nr_serials = 1;
	for (unsigned port = EXEC_PORT_CONTROL; port <= EXEC_PORT_STDERR; port++)
		c->vsock.handed[c->vsock.nr_handed++] =
			(struct handed_config){ .port = port, .fd = ends->sock[port] };
	if ((!c->initrd && !e->init) || !c->serial[0].path)
		return err_errno(err, ENOMEM, "exec");
	if (e->init && exec_add_init(e->init, c, err))
		return -ENOMEM;
	/* A line costs an exit for each of its bytes. */
	if (!e->console && option_params("--params", "quiet", c, err))
		return -ENOMEM;
	return config_complete(c, err);
}

static void exec_say(int fd, enum exec_word_kind kind, enum status status, const struct err *why)
{
	struct exec_word w = { .kind = kind, .status = status };

	if (why)
		w.why = *why;
	/* Nobody listens any more when the front is gone. */
	(void)!write(fd, &w, sizeof(w));
}

static enum status exec_run(struct config *c, int word_fd, struct err *err)
{
	enum status status;
	struct vm *vm;

	log_set_level(c->log_level);
	log_set_name(c->name);
	status = vm_create(c, &vm, err);
	if (status != STATUS_OK)
		return status;
	exec_say(word_fd, EXEC_WORD_RUNS, STATUS_OK, NULL);
	status = vm_run(vm, err);
	vm_destroy(vm);
	return status;
}

__noreturn static void exec_child(
	const struct exec_config *e, const struct exec_ends *ends, pid_t parent)
{
	/* The caller's copy is the front's; this process has its own. */
	struct config *c = (struct config *)(uintptr_t)&e->run;
	enum status status = STATUS_FAILED;
	struct err err = { "" };
	sigset_t none;
	int null;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Signals of the terminal are the front's. */
	setsid();
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(1);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		err_errno(&err, errno, "/dev/null");
	else if (!exec_fill(e, ends, c, &err))
		status = exec_run(c, ends->word_fd, &err);
	exec_say(ends->word_fd, EXEC_WORD_ENDED, status, &err);
	_exit(0);
}

/* ---- the parent ---- */

static int exec_make_ends(struct exec_machine *m, struct exec_ends *ends, struct err *err)
{
	int pair[2];

	if (pipe2(pair, O_CLOEXEC))
		return err_errno(err, errno, "exec");
	m->word_fd = pair[0];
	ends->word_fd = pair[1];
	if (pipe2(pair, O_CLOEXEC))
		return err_errno(err, errno, "exec");
	m->console_fd = pair[0];
	ends->console_fd = pair[1];
	for (unsigned i = EXEC_PORT_CONTROL; i <= EXEC_PORT_STDERR; i++) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
			return err_errno(err, errno, "exec");
		m->sock[i] = pair[0];
		ends->sock[i] = pair[1];
	}
	return exec_make_initrd(&ends->initrd_fd, err);
}

static void exec_close_ends(struct exec_ends *ends)
{
	fd_close(&ends->word_fd);
	fd_close(&ends->console_fd);
	fd_close(&ends->initrd_fd);
	for (unsigned i = 0; i < ARRAY_SIZE(ends->sock); i++)
		fd_close(&ends->sock[i]);
}

static void exec_close_machine(struct exec_machine *m)
{
	fd_close(&m->word_fd);
	fd_close(&m->console_fd);
	fd_close(&m->pidfd);
	for (unsigned i = 0; i < ARRAY_SIZE(m->sock); i++)
		fd_close(&m->sock[i]);
}

int exec_machine_start(const struct exec_config *c, struct exec_machine *m, struct err *err)
{
	struct exec_ends ends = { .word_fd = -1, .console_fd = -1, .initrd_fd = -1 };
	pid_t parent = getpid();
	int rc;

	*m = (struct exec_machine){ .pid = -1, .pidfd = -1, .word_fd = -1, .console_fd = -1 };
	for (unsigned i = 0; i < ARRAY_SIZE(m->sock); i++)
		m->sock[i] = ends.sock[i] = -1;
	rc = exec_make_ends(m, &ends, err);
	if (!rc)
		m->pid = fork();
	if (!rc && m->pid < 0)
		rc = err_errno(err, errno, "exec");
	if (!rc && !m->pid) {
		exec_close_machine(m);
		exec_child(c, &ends, parent);
	}
	exec_close_ends(&ends);
	if (!rc) {
		m->pidfd = (int)syscall(SYS_pidfd_open, m->pid, 0);
		if (m->pidfd < 0)
			rc = err_errno(err, errno, "exec");
	}
	if (rc)
		exec_machine_end(m);
	return rc;
}

void exec_machine_end(struct exec_machine *m)
{
	if (m->pid > 0) {
		kill(m->pid, SIGKILL);
		while (waitpid(m->pid, NULL, 0) < 0 && errno == EINTR)
			;
		m->pid = -1;
	}
	exec_close_machine(m);
}

// SPDX-License-Identifier: BSD-3-Clause
/* The command line of `mayfly exec`, and what it leaves open. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/parse.h"
#include "share/fuse.h"
#include "vmm/exec.h"
#include "vmm/options.h"

#define EXEC_MEM_MIB 512
#define EXEC_CID     3
#define EXEC_PATH    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static struct exec_config *exec_of(struct config *c)
{
	return container_of(c, struct exec_config, run);
}

/* ---- options ---- */

static int exec_kernel(const char *opt, const char *value, struct config *c, struct err *err)
{
	return option_string(opt, value, &c->kernel, err);
}

static int exec_root(const char *opt, const char *value, struct config *c, struct err *err)
{
	return option_string(opt, value, &exec_of(c)->root, err);
}

static int exec_init_path(const char *opt, const char *value, struct config *c, struct err *err)
{
	if (*value != '/' || strchr(value, ' '))
		return err_set(err, EINVAL,
			"%s: '%s' is no path from the image's root, without blanks", opt, value);
	return option_string(opt, value, &exec_of(c)->init, err);
}

static int exec_share(const char *opt, const char *value, struct config *c, struct err *err)
{
	struct exec_config *e = exec_of(c);
	struct exec_share *s = &e->share[e->nr_shares];
	char *text, *at, *word;
	int rc = 0;

	if (e->nr_shares == ARRAY_SIZE(e->share))
		return err_set(err, EINVAL, "%s: more than %zu", opt, ARRAY_SIZE(e->share));
	text = at = strdup(value);
	if (!text)
		return err_errno(err, ENOMEM, "%s", opt);
	e->nr_shares++;
	rc = option_string(opt, strsep(&at, ":"), &s->path, err);
	while (!rc && (word = strsep(&at, ":"))) {
		if (!strcmp(word, "ro"))
			s->ro = true;
		else if (!*word || strlen(word) > CONFIG_MAX_TAG || strchr(word, ' '))
			rc = err_set(err, EINVAL,
				"%s: '%s' is neither ro nor a tag of 1 to %u bytes", opt, word,
				CONFIG_MAX_TAG);
		else
			rc = option_string(opt, word, &s->tag, err);
	}
	free(text);
	return rc;
}

/** NAME=VALUE takes the place of another value of that name. Takes text over. */
static int exec_put_env(struct exec_config *e, char *text, const char *opt, struct err *err)
{
	size_t name = text ? strcspn(text, "=") + 1 : 0;

	if (!text)
		return err_errno(err, ENOMEM, "%s", opt);
	for (unsigned i = 0; i < e->nr_envs; i++) {
		if (!strncmp(e->env[i], text, name)) {
			free(e->env[i]);
			e->env[i] = text;
			return 0;
		}
	}
	if (e->nr_envs == ARRAY_SIZE(e->env)) {
		free(text);
		return err_set(err, EINVAL, "%s: more than %zu", opt, ARRAY_SIZE(e->env));
	}
	e->env[e->nr_envs++] = text;
	return 0;
}

/** As exec_put_env, of the caller's environment, where he has it. */
static int exec_inherit(struct exec_config *e, const char *name, const char *opt, struct err *err)
{
	const char *value = getenv(name);
	char *text = NULL;

	if (!value)
		return 0;
	if (asprintf(&text, "%s=%s", name, value) < 0)
		text = NULL;
	return exec_put_env(e, text, opt, err);
}

static int exec_env(const char *opt, const char *value, struct config *c, struct err *err)
{
	if (!*value || *value == '=')
		return err_set(err, EINVAL, "%s: '%s' is not NAME or NAME=VALUE", opt, value);
	if (!strchr(value, '='))
		return exec_inherit(exec_of(c), value, opt, err);
	return exec_put_env(exec_of(c), strdup(value), opt, err);
}

static int exec_cwd(const char *opt, const char *value, struct config *c, struct err *err)
{
	if (*value != '/')
		return err_set(err, EINVAL, "%s: '%s' does not begin with a slash", opt, value);
	return option_string(opt, value, &exec_of(c)->cwd, err);
}

static int exec_user(const char *opt, const char *value, struct config *c, struct err *err)
{
	return option_string(opt, value, &exec_of(c)->user, err);
}

static int exec_timeout(const char *opt, const char *value, struct config *c, struct err *err)
{
	if (parse_u64(value, 1, UINT32_MAX, &exec_of(c)->timeout_s))
		return err_set(err, EINVAL, "%s: '%s' is not a number of seconds", opt, value);
	return 0;
}

static int exec_memory(const char *opt, const char *value, struct config *c, struct err *err)
{
	static const char units[] = "KMGT";
	size_t digits = strspn(value, "0123456789");
	const char *unit = value[digits] ? strchr(units, value[digits]) : NULL;
	unsigned shift = unit ? (unsigned)(unit - units + 1) * 10 : 0;
	char number[24];
	uint64_t v = 0;

	if (digits && digits < sizeof(number)) {
		memcpy(number, value, digits);
		number[digits] = '\0';
		if (parse_u64(number, 1, UINT64_MAX >> shift, &v))
			v = 0;
	}
	if (!v || (value[digits] && (!unit || value[digits + 1])))
		return err_set(err, EINVAL,
			"%s: '%s' is not a number of bytes, or with K, M, G or T", opt, value);
	v = (v << shift) / MIB;
	if (v < CONFIG_MIN_MEM_MIB || v > CONFIG_MAX_MEM_MIB)
		return err_set(err, EINVAL, "%s: %s is not %uM to %lluM", opt, value,
			CONFIG_MIN_MEM_MIB, CONFIG_MAX_MEM_MIB);
	c->mem_mib = v;
	return 0;
}

static int exec_tty(const char *opt __unused, const char *value __unused, struct config *c,
	struct err *err __unused)
{
	exec_of(c)->tty = true;
	return 0;
}

static int exec_console(const char *opt, const char *value, struct config *c, struct err *err)
{
	return option_string(opt, value, &exec_of(c)->console, err);
}

static int exec_result(const char *opt, const char *value, struct config *c, struct err *err)
{
	return option_string(opt, value, &exec_of(c)->result, err);
}

static int exec_timings(const char *opt __unused, const char *value __unused, struct config *c,
	struct err *err __unused)
{
	exec_of(c)->timings = true;
	return 0;
}

static int exec_timeline(const char *opt, const char *value, struct config *c, struct err *err)
{
	return option_string(opt, value, &exec_of(c)->timeline, err);
}

static const struct option options[] = {
	{ "kernel", 'k', "PATH", exec_kernel,
		"The guest's kernel: one with virtio-mmio, virtio-fs, vsock and overlayfs built in. "
		"Default: $MAYFLY_KERNEL; or bzImage or Image in mayfly/ARCH/ below $XDG_DATA_HOME "
		"(~/.local/share), the share/ beside mayfly's bin/, or /usr/share.",
		false },
	{ "root", 0, "PATH", exec_root,
		"The guest's root file system: a directory, or an image (erofs, squashfs or ext4). It "
		"is not changed: what the command changes is in memory, and gone at its end. Default: "
		"the host's own, as far as mayfly's user may read it.",
		false },
	{ "init", 0, "PATH", exec_init_path,
		"The kernel starts mayfly's init (lib/mayfly/init) from there, in the image of --root, "
		"with no initramfs. The image needs a directory /run, /tmp or /mnt.",
		false },
	{ "share", 's', "DIR[:TAG][:ro]", exec_share,
		"A directory of the host at the same path in the guest; changes are the host's at once, "
		"unless ro. TAG is its name as a virtio-fs. Default: the current directory, where "
		"neither --share nor --cwd is given. May be repeated.",
		true },
	{ "env", 'e', "NAME[=VALUE]", exec_env,
		"A variable of the command's; without VALUE it is the caller's. Of the caller's own "
		"there are LANG and, with --tty, TERM; of the host's root also PATH and HOME. May be "
		"repeated.",
		true },
	{ "cwd", 'w', "PATH", exec_cwd,
		"Where the command runs. Default: the current directory's path.", false },
	{ "user", 'u', "USER[:GROUP]", exec_user,
		"Who the command is in the guest, by name or number. Default: root.", false },
	{ "timeout", 't', "SECONDS", exec_timeout,
		"End it all with status 124 when the command still runs after this time.", false },
	{ "memory-limit", 'm', "SIZE", exec_memory,
		"Memory of the guest, in bytes, or with K, M, G or T. Default 512M; the host gives "
		"what is used.",
		false },
	{ "cpus", 'c', "N", option_cpus, "CPUs of the guest, 1 to 64. Default 1.", false },
	{ "tty", 0, NULL, exec_tty,
		"Give the command a terminal, of the size that the caller's has. Its errors come on "
		"standard output then.",
		false },
	{ "console", 0, "FILE", exec_console,
		"Write the kernel's messages to FILE, all of them. Without it the last ones are shown "
		"when the guest comes to a bad end.",
		false },
	{ "result", 0, "FILE", exec_result,
		"Write to FILE, as JSON, how it ended, the time of each phase, the memory that was used "
		"and what the kernel said last.",
		false },
	{ "timings", 0, NULL, exec_timings, "Print the time of each phase on standard error.",
		false },
	{ "timeline", 0, "FILE", exec_timeline, "Draw the phases, as an SVG picture, in FILE.",
		false },
	{ "params", 'p', "TEXT", option_params,
		"Words for the kernel command line. May be repeated.", true },
	{ "name", 0, "NAME", option_name,
		"Name of the machine, in log lines and in ps, and the guest's host name.", false },
	{ "disable-sandbox", 0, NULL, option_disable_sandbox, "As for run.", false },
	{ "hypervisor", 0, "kvm[device=PATH]", option_hypervisor, "As for run.", false },
	{ "force", 0, NULL, option_force, "As for run.", false },
	{ "log-level", 0, "LEVEL", option_log_level, "error, warn (the default), info or debug.",
		false },
};

const struct optable options_exec = { "exec", options, ARRAY_SIZE(options), NULL };

void exec_config_init(struct exec_config *c)
{
	*c = (struct exec_config){ 0 };
	config_init(&c->run);
	c->run.mem_mib = EXEC_MEM_MIB;
}

void exec_config_fini(struct exec_config *c)
{
	char *const strings[] = { c->root, c->init, c->cwd, c->user, c->console, c->result,
		c->timeline };

	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		free(strings[i]);
	for (unsigned i = 0; i < c->nr_shares; i++) {
		free(c->share[i].path);
		free(c->share[i].tag);
	}
	for (unsigned i = 0; i < c->nr_envs; i++)
		free(c->env[i]);
	config_fini(&c->run);
}

int exec_parse(int argc, char **argv, struct exec_config *c, struct err *err)
{
	int rc = optable_parse(&options_exec, argc, argv, &c->run, err);

	if (rc < 0)
		return rc;
	if (rc == argc)
		return err_set(err, EINVAL, "exec: no COMMAND given");
	c->argv = argv + rc;
	return 0;
}

/* ---- what is left open ---- */

/** A kernel in DIR/mayfly/ARCH, DIR being a format with its argument. */
static char *exec_kernel_in(const char *dir, const char *below)
{
	static const char *const names[] = { "bzImage", "Image" };
	char *path = NULL;

	for (size_t i = 0; dir && *dir && i < ARRAY_SIZE(names); i++) {
		if (asprintf(&path, "%s%s/mayfly/%s/%s", dir, below, arch_name, names[i]) < 0)
			return NULL;
		if (!access(path, R_OK))
			return path;
		free(path);
	}
	return NULL;
}

static int exec_find_kernel(struct exec_config *c, struct err *err)
{
	const char *named = getenv("MAYFLY_KERNEL"), *data = getenv("XDG_DATA_HOME");
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (c->run.kernel)
		return 0;
	if (named && *named) {
		c->run.kernel = strdup(named);
		return c->run.kernel ? 0 : err_errno(err, ENOMEM, "exec");
	}
	c->run.kernel = exec_kernel_in(
		data && *data ? data : getenv("HOME"), data && *data ? "" : "/.local/share");
	self[MAX(n, 0)] = '\0';
	slash = strrchr(self, '/');
	if (slash && !c->run.kernel) {
		*slash = '\0';
		c->run.kernel = exec_kernel_in(self, "/../share");
	}
	if (!c->run.kernel)
		c->run.kernel = exec_kernel_in("/usr/share", "");
	if (!c->run.kernel)
		return err_set(err, ENOENT,
			"--kernel: none given, and no mayfly/%s/bzImage or Image in ~/.local/share, the "
			"share/ beside mayfly's bin/, or /usr/share (guest-images/build kernel makes one)",
			arch_name);
	return 0;
}

/** The directory that the command finds itself in, where nothing else is said. */
static int exec_find_cwd(struct exec_config *c, struct err *err)
{
	char path[PATH_MAX];
	bool share = !c->nr_shares && !c->cwd;

	if (!c->cwd) {
		if (!getcwd(path, sizeof(path)))
			return err_errno(err, errno, "--cwd: the current directory");
		c->cwd = strdup(path);
		if (!c->cwd)
			return err_errno(err, ENOMEM, "--cwd");
	}
	/* All of the host is there as it is, and is not given to be changed. */
	if (share && strcmp(c->cwd, "/")) {
		c->share[0].path = strdup(c->cwd);
		c->nr_shares = 1;
		if (!c->share[0].path)
			return err_errno(err, ENOMEM, "--share");
	}
	return 0;
}

static int exec_resolve_shares(struct exec_config *c, struct err *err)
{
	char path[PATH_MAX];

	for (unsigned i = 0; i < c->nr_shares; i++) {
		struct exec_share *s = &c->share[i];

		if (!realpath(s->path, path))
			return err_errno(err, errno, "--share: %s", s->path);
		free(s->path);
		s->path = strdup(path);
		if (!s->path || (!s->tag && asprintf(&s->tag, "share%u", i) < 0))
			return err_errno(err, ENOMEM, "--share");
		if (!strcmp(path, "/"))
			return err_set(err, EINVAL, "--share: /: is --root's to share");
		for (unsigned k = 0; k < i; k++)
			if (!strcmp(c->share[k].path, s->path) || !strcmp(c->share[k].tag, s->tag))
				return err_set(err, EINVAL,
					"--share: %s, or its tag %s, is used twice", s->path,
					s->tag);
		if (!strcmp(s->tag, "root"))
			return err_set(err, EINVAL, "--share: tag: root is --root's");
	}
	return 0;
}

/** What was not said is set first, so that what was said takes its place. */
static int exec_default_env(struct exec_config *c, struct err *err)
{
	char *said[EXEC_MAX_ENVS];
	unsigned nr = c->nr_envs;
	int rc;

	memcpy(said, c->env, sizeof(said));
	c->nr_envs = 0;
	rc = exec_put_env(c, strdup("PATH=" EXEC_PATH), "--env", err);
	if (!rc)
		rc = exec_put_env(c, strdup("HOME=/root"), "--env", err);
	if (!rc && !c->root)
		rc = exec_inherit(c, "PATH", "--env", err);
	if (!rc && !c->root)
		rc = exec_inherit(c, "HOME", "--env", err);
	if (!rc)
		rc = exec_inherit(c, "LANG", "--env", err);
	if (!rc && c->tty)
		rc = exec_inherit(c, "TERM", "--env", err);
	for (unsigned i = 0; i < nr; i++) {
		if (rc)
			free(said[i]);
		else
			rc = exec_put_env(c, said[i], "--env", err);
	}
	return rc;
}

static int exec_add_share(
	struct config *c, const char *path, const char *tag, bool ro, bool still, struct err *err)
{
	struct share_config *s = &c->share[c->nr_shares++];

	*s = (struct share_config){ .path = strdup(path),
		.tag = strdup(tag),
		.type_seen = true,
		.cache = still ? FUSE_CACHE_ALWAYS : FUSE_CACHE_AUTO,
		.ro = ro,
		.posix_acl = true };
	return s->path && s->tag ? 0 : err_errno(err, ENOMEM, "--share");
}

static int exec_find_root(struct exec_config *c, struct err *err)
{
	const char *root = c->root ? c->root : "/";
	struct disk_config *d = &c->run.disk[0];
	struct stat st;

	if (stat(root, &st))
		return err_errno(err, errno, "--root: %s", root);
	if (S_ISDIR(st.st_mode) && c->init)
		return err_set(err, EINVAL, "--init: %s is a directory, not an image", root);
	if (S_ISDIR(st.st_mode))
		return exec_add_share(&c->run, root, "root", true, true, err);
	c->run.nr_disks = 1;
	*d = (struct disk_config){
		.path = strdup(root), .ro = true, .lock = true, .block_size = 512
	};
	return d->path ? 0 : err_errno(err, ENOMEM, "--root");
}

int exec_complete(struct exec_config *c, struct err *err)
{
	int rc = exec_find_kernel(c, err);

	if (!rc)
		rc = exec_find_cwd(c, err);
	if (!rc)
		rc = exec_resolve_shares(c, err);
	if (!rc)
		rc = exec_default_env(c, err);
	if (!rc)
		rc = exec_find_root(c, err);
	for (unsigned i = 0; i < c->nr_shares && !rc; i++)
		rc = exec_add_share(
			&c->run, c->share[i].path, c->share[i].tag, c->share[i].ro, false, err);
	c->run.vsock.cid = EXEC_CID;
	return rc;
}

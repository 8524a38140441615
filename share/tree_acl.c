// SPDX-License-Identifier: BSD-3-Clause
/*
 * POSIX access control lists, in the form that getxattr(2) and the FUSE and 9P protocols pass them
 * on (linux/posix_acl_xattr.h, acl(5)); all numbers are little endian.
 *
 * A list names users and groups by number. To the guest all files belong to one owner, who stands
 * for this process's own user: the two numbers change places, and all others mean what they mean
 * on the host, as far as its kernel knows them here (user_namespaces(7)): a number that it does not
 * know is EINVAL when it is set. One that it does not tell is left out of what the guest sees; such
 * a list cannot be changed, for the guest would take away what it did not see.
 */
#include "share/tree_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <sys/xattr.h>

#include "base/fd.h"

#define TREE_ACL_ENTRY  sizeof(struct posix_acl_xattr_entry)
#define TREE_ACL_HEADER sizeof(struct posix_acl_xattr_header)

bool tree_is_acl(const struct tree *t, const char *name)
{
	return t->acl &&
		(!strcmp(name, "system.posix_acl_access") ||
			!strcmp(name, "system.posix_acl_default"));
}

static bool tree_acl_is_whole(const uint8_t *buf, size_t len)
{
	struct posix_acl_xattr_header h;

	if (len < sizeof(h) || (len - sizeof(h)) % TREE_ACL_ENTRY)
		return false;
	memcpy(&h, buf, sizeof(h));
	return h.a_version == POSIX_ACL_XATTR_VERSION;
}

/** To the guest, and back. */
static uint32_t tree_acl_swap(uint32_t id, uint32_t guests, uint32_t own)
{
	if (id == guests)
		return own;
	return id == own ? guests : id;
}

static bool tree_acl_has_id(const struct posix_acl_xattr_entry *e)
{
	unsigned tag = e->e_tag;

	return tag == ACL_USER || tag == ACL_GROUP;
}

/** The number of each name on the list is made the other side's. */
static void tree_acl_translate(const struct tree *t, uint8_t *buf, size_t len)
{
	for (size_t at = TREE_ACL_HEADER; at < len; at += TREE_ACL_ENTRY) {
		struct posix_acl_xattr_entry e;
		uint32_t id;

		memcpy(&e, buf + at, sizeof(e));
		id = e.e_id;
		if (!tree_acl_has_id(&e))
			continue;
		if (e.e_tag == ACL_USER)
			id = tree_acl_swap(id, t->uid, t->own_uid);
		else
			id = tree_acl_swap(id, t->gid, t->own_gid);
		e.e_id = id;
		memcpy(buf + at, &e, sizeof(e));
	}
}

/** Takes out those whose number the host does not tell. Returns the bytes left. */
static size_t tree_acl_known(uint8_t *buf, size_t len)
{
	size_t kept = TREE_ACL_HEADER;

	for (size_t at = TREE_ACL_HEADER; at < len; at += TREE_ACL_ENTRY) {
		struct posix_acl_xattr_entry e;

		memcpy(&e, buf + at, sizeof(e));
		if (tree_acl_has_id(&e) && e.e_id == (uint32_t)ACL_UNDEFINED_ID)
			continue;
		memmove(buf + kept, buf + at, TREE_ACL_ENTRY);
		kept += TREE_ACL_ENTRY;
	}
	return kept;
}

/** The host's list, in t->names. Its bytes, 0 when there is none, or -errno. */
static ssize_t tree_acl_read(struct tree *t, int fd, const char *name)
{
	ssize_t got = fgetxattr(fd, name, t->names, sizeof(t->names));

	if (got < 0)
		return errno == ENODATA || errno == EOPNOTSUPP ? 0 : -errno;
	return got && !tree_acl_is_whole((uint8_t *)t->names, (size_t)got) ? -EIO : got;
}

ssize_t tree_acl_get(struct tree *t, int fd, const char *name, void *buf, size_t len)
{
	uint8_t *list = (uint8_t *)t->names;
	ssize_t got = tree_acl_read(t, fd, name);
	size_t kept;

	/* A guest that was told of lists asks everywhere beneath, and takes errors for refusals. */
	if (got <= 0)
		return got < 0 ? got : -ENODATA;
	kept = tree_acl_known(list, (size_t)got);
	tree_acl_translate(t, list, kept);
	if (len && kept > len)
		return -ERANGE;
	if (len)
		memcpy(buf, list, kept);
	return (ssize_t)kept;
}

int tree_acl_may_change(struct tree *t, int fd, const char *name)
{
	ssize_t got = tree_acl_read(t, fd, name);

	if (got <= 0)
		return (int)got;
	return tree_acl_known((uint8_t *)t->names, (size_t)got) == (size_t)got ? 0 : -EPERM;
}

int tree_acl_set(struct tree *t, int fd, const char *name, const void *buf, size_t len, int flags)
{
	int rc = tree_acl_may_change(t, fd, name);

	if (rc)
		return rc;
	if (len > sizeof(t->names) || !tree_acl_is_whole(buf, len))
		return -EINVAL;
	memcpy(t->names, buf, len);
	tree_acl_translate(t, (uint8_t *)t->names, len);
	return fsetxattr(fd, name, t->names, len, flags) ? -errno : 0;
}

bool tree_acl_probe(struct tree *t)
{
	fd_auto int fd = tree_open(t, tree_root(t), O_RDONLY | O_DIRECTORY);

	return fd >= 0 &&
		(fgetxattr(fd, "system.posix_acl_default", NULL, 0) >= 0 || errno == ENODATA);
}

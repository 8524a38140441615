// SPDX-License-Identifier: BSD-3-Clause
#include "base/unixsock.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"

static int unixsock_address(const char *path, struct sockaddr_un *ret)
{
	size_t len = strlen(path);

	_Static_assert(sizeof(ret->sun_path) == UNIXSOCK_MAX_PATH + 1, "unix(7)");
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (len > UNIXSOCK_MAX_PATH)
		return -ENAMETOOLONG;
	memcpy(ret->sun_path, path, len);
	return 0;
}

/** Takes a path whose listener is gone over. */
static int unixsock_bind(int sock, const struct sockaddr_un *sa)
{
	const struct sockaddr *addr = (const struct sockaddr *)sa;
	fd_auto int probe = -1;

	if (!bind(sock, addr, sizeof(*sa)))
		return 0;
	if (errno != EADDRINUSE)
		return -errno;
	probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (probe < 0 || !connect(probe, addr, sizeof(*sa)) || errno != ECONNREFUSED ||
		unlink(sa->sun_path))
		return -EADDRINUSE;
	return bind(sock, addr, sizeof(*sa)) ? -errno : 0;
}

int unixsock_listen(const char *opt, const char *path, int backlog, int flags, struct err *err)
{
	struct sockaddr_un sa;
	fd_auto int sock = -1;
	int rc = unixsock_address(path, &sa);

	if (rc)
		return err_set(err, ENAMETOOLONG, "%s: %s: is longer than %d bytes", opt, path,
			UNIXSOCK_MAX_PATH);
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	rc = sock < 0 ? -errno : unixsock_bind(sock, &sa);
	if (!rc && listen(sock, backlog))
		rc = -errno;
	return rc ? err_errno(err, -rc, "%s: %s", opt, path) : fd_take(&sock);
}

int unixsock_connect(const char *path)
{
	struct sockaddr_un sa;
	fd_auto int sock = -1;
	int rc = unixsock_address(path, &sa);

	if (rc)
		return rc;
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0 || connect(sock, (const struct sockaddr *)&sa, sizeof(sa)))
		return -errno;
	return fd_take(&sock);
}

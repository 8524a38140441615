// SPDX-License-Identifier: BSD-3-Clause
/*
 * In place of the codecs, where CONFIG_UNPACK is 0: compressed kernels are told, and refused.
 */
#include "loader/internal.h"

#include <errno.h>

static int unpack_none(const struct unpack *u, struct err *err)
{
	return err_set(err, ENOTSUP,
		"is %s-compressed, and this mayfly was built without CONFIG_UNPACK", u->name);
}

int unpack_gzip(struct unpack *u, struct err *err)
{
	return unpack_none(u, err);
}

int unpack_zstd(struct unpack *u, struct err *err)
{
	return unpack_none(u, err);
}

int unpack_lz4_frame(struct unpack *u, struct err *err)
{
	return unpack_none(u, err);
}

int unpack_lz4_legacy(struct unpack *u, struct err *err)
{
	return unpack_none(u, err);
}

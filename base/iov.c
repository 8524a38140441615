// SPDX-License-Identifier: BSD-3-Clause
/*
 * Invariant: offsets and lengths are compared by subtraction and never run past the last iovec.
 */
#include "base/iov.h"

unsigned iov_slice(
	const struct iovec *iov, unsigned n, uint64_t off, uint64_t len, struct iovec *out)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < n && len; i++) {
		uint64_t part;

		if (off >= iov[i].iov_len) {
			off -= iov[i].iov_len;
			continue;
		}
		part = MIN(len, iov[i].iov_len - off);
		out[nr].iov_base = (uint8_t *)iov[i].iov_base + off;
		out[nr++].iov_len = part;
		len -= part;
		off = 0;
	}
	return nr;
}

size_t iov_read(const struct iovec *iov, unsigned n, uint64_t off, void *buf, size_t len)
{
	size_t done = 0;

	for (unsigned i = 0; i < n && done < len; i++) {
		size_t part;

		if (off >= iov[i].iov_len) {
			off -= iov[i].iov_len;
			continue;
		}
		part = MIN(len - done, iov[i].iov_len - off);
		memcpy((uint8_t *)buf + done, (const uint8_t *)iov[i].iov_base + off, part);
		done += part;
		off = 0;
	}
	/* The caller judges its copy: the compiler must not fetch from the guest again. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return done;
}

size_t iov_write(const struct iovec *iov, unsigned n, uint64_t off, const void *buf, size_t len)
{
	size_t done = 0;

	for (unsigned i = 0; i < n && done < len; i++) {
		size_t part;

		if (off >= iov[i].iov_len) {
			off -= iov[i].iov_len;
			continue;
		}
		part = MIN(len - done, iov[i].iov_len - off);
		memcpy((uint8_t *)iov[i].iov_base + off, (const uint8_t *)buf + done, part);
		done += part;
		off = 0;
	}
	return done;
}

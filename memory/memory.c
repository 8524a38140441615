// SPDX-License-Identifier: BSD-3-Clause
/*
 * Invariant: regions are disjoint, ascending, page-aligned, and base + len does not wrap.
 * Every check subtracts from what is known to be good.
 */
#include "memory/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define GM_HUGE_PAGE (2 * MIB)

static int gm_append(
	struct guest_memory *gm, gpa_t base, uint64_t len, uint8_t *host, bool borrowed)
{
	const struct gm_region *last;

	if (!len || (base | len) & (PAGE_SIZE_4K - 1) || len - 1 > UINT64_MAX - base)
		return -EINVAL;
	if (gm->nr_regions == GM_MAX_REGIONS)
		return -ENOSPC;
	if (gm->nr_regions) {
		last = &gm->region[gm->nr_regions - 1];
		if (base < last->base || base - last->base < last->len)
			return -EEXIST;
	}
	gm->region[gm->nr_regions++] = (struct gm_region){
		.base = base, .len = len, .host = host, .borrowed = borrowed, .fd = -1
	};
	return 0;
}

static int gm_sealed_file(uint64_t len)
{
	int fd = memfd_create("guest-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING), rc;

	if (fd < 0)
		return -errno;
	if (!ftruncate(fd, (off_t)len) &&
		!fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

int gm_share(struct guest_memory *gm, uint64_t len, int fd, struct err *err)
{
	BUG_ON(gm->shared || gm->nr_regions);
	if (fd < 0)
		fd = gm_sealed_file(len);
	if (fd < 0)
		return err_errno(err, -fd, "--mem: %llu MiB to share with device processes",
			(unsigned long long)(len / MIB));
	gm->shared = true;
	gm->share_fd = fd;
	gm->share_len = len;
	return 0;
}

/**
 * Address space that lies within a huge page as base does: only then can a huge page of the
 * host be one of the guest's too, and the boot does not depend on where the host put it.
 */
static void *gm_reserve(gpa_t base, uint64_t len)
{
	uint64_t slack = len >= GM_HUGE_PAGE ? GM_HUGE_PAGE : 0, head;
	uint8_t *host = mmap(NULL, len + slack, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (host == MAP_FAILED || !slack)
		return host;
	head = (base - (uintptr_t)host) & (GM_HUGE_PAGE - 1);
	if (head)
		munmap(host, head);
	if (slack - head)
		munmap(host + head + len, slack - head);
	return host + head;
}

/** Puts the next part of the shared file in the place of what was reserved. */
static int gm_map_shared(struct guest_memory *gm, void *host, uint64_t len)
{
	BUG_ON(len > gm->share_len - gm->share_off);
	if (mmap(host, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED,
		    gm->share_fd, (off_t)gm->share_off) == MAP_FAILED)
		return -errno;
	return 0;
}

int gm_add_ram(struct guest_memory *gm, gpa_t base, uint64_t len, struct err *err)
{
	void *host = gm_reserve(base, len);
	int rc;

	if (host == MAP_FAILED)
		return err_errno(err, errno, "--mem: cannot reserve %llu MiB of address space",
			(unsigned long long)(len / MIB));
	rc = gm->shared ? gm_map_shared(gm, host, len) : 0;
	if (!rc)
		rc = gm_append(gm, base, len, host, false);
	if (rc) {
		munmap(host, len);
		return err_errno(err, -rc, "--mem: RAM at 0x%llx", (unsigned long long)base);
	}
	if (gm->shared) {
		struct gm_region *r = &gm->region[gm->nr_regions - 1];

		r->fd = gm->share_fd;
		r->fd_off = gm->share_off;
		gm->share_off += len;
	}
	/* A crash dump of the monitor must not hold the guest. Refusal loses nothing. */
	madvise(host, len, MADV_DONTDUMP);
	return 0;
}

int gm_add_borrowed(struct guest_memory *gm, gpa_t base, void *host, uint64_t len)
{
	return gm_append(gm, base, len, host, true);
}

void gm_fini(struct guest_memory *gm)
{
	for (unsigned i = 0; i < gm->nr_regions; i++)
		if (!gm->region[i].borrowed)
			munmap(gm->region[i].host, gm->region[i].len);
	gm->nr_regions = 0;
	if (gm->shared)
		close(gm->share_fd);
	gm->shared = false;
	gm->share_off = 0;
}

uint64_t gm_total(const struct guest_memory *gm)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < gm->nr_regions; i++)
		sum += gm->region[i].len;
	return sum;
}

static const struct gm_region *gm_find(const struct guest_memory *gm, gpa_t gpa)
{
	for (unsigned i = 0; i < gm->nr_regions; i++) {
		const struct gm_region *r = &gm->region[i];

		if (gpa >= r->base && gpa - r->base < r->len)
			return r;
	}
	return NULL;
}

void *gm_slice(const struct guest_memory *gm, gpa_t gpa, uint64_t len)
{
	const struct gm_region *r = gm_find(gm, gpa);

	if (!r || !len || len > r->len - (gpa - r->base))
		return NULL;
	return r->host + (gpa - r->base);
}

int gm_iovec(
	const struct guest_memory *gm, gpa_t gpa, uint64_t len, struct iovec *iov, unsigned max)
{
	unsigned n = 0;

	if (!len)
		return -EFAULT;
	while (len) {
		const struct gm_region *r = gm_find(gm, gpa);
		uint64_t part;

		if (!r)
			return -EFAULT;
		if (n == max)
			return -E2BIG;
		part = MIN(len, r->len - (gpa - r->base));
		iov[n].iov_base = r->host + (gpa - r->base);
		iov[n++].iov_len = part;
		gpa += part; /* may wrap to 0, which then is not the rest of any region */
		len -= part;
		if (len && !gpa)
			return -EFAULT;
	}
	return (int)n;
}

int gm_read(const struct guest_memory *gm, gpa_t gpa, void *buf, uint64_t len)
{
	struct iovec iov[GM_MAX_REGIONS];
	int n = gm_iovec(gm, gpa, len, iov, GM_MAX_REGIONS);
	char *to = buf;

	if (n < 0)
		return -EFAULT;
	for (int i = 0; i < n; i++) {
		memcpy(to, iov[i].iov_base, iov[i].iov_len);
		to += iov[i].iov_len;
	}
	return 0;
}

int gm_write(const struct guest_memory *gm, gpa_t gpa, const void *buf, uint64_t len)
{
	struct iovec iov[GM_MAX_REGIONS];
	int n = gm_iovec(gm, gpa, len, iov, GM_MAX_REGIONS);
	const char *from = buf;

	if (n < 0)
		return -EFAULT;
	for (int i = 0; i < n; i++) {
		memcpy(iov[i].iov_base, from, iov[i].iov_len);
		from += iov[i].iov_len;
	}
	return 0;
}

int gm_zero(const struct guest_memory *gm, gpa_t gpa, uint64_t len)
{
	struct iovec iov[GM_MAX_REGIONS];
	int n = gm_iovec(gm, gpa, len, iov, GM_MAX_REGIONS);

	if (n < 0)
		return -EFAULT;
	for (int i = 0; i < n; i++)
		memset(iov[i].iov_base, 0, iov[i].iov_len);
	return 0;
}

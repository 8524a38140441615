// SPDX-License-Identifier: BSD-3-Clause
/*
 * Invariant: regions in the table passed every check and are mapped; neither their guest nor
 * their user addresses overlap or wrap.
 */
#include "vhost-user/memtable.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

_Static_assert(VU_MAX_REGIONS <= GM_MAX_REGIONS, "every table fits in guest memory");

static bool vu_overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a < b ? b - a < a_len : a - b < b_len;
}

static int vu_memtable_judge(
	const struct vu_memtable *t, const struct vu_region *r, int fd, const char **why)
{
	struct stat st;

	*why = "a memory region that is empty or not made of whole pages";
	if (!r->len || (r->gpa | r->len | r->uaddr | r->offset) & (PAGE_SIZE_4K - 1))
		return -EINVAL;
	*why = "a memory region that wraps";
	if (r->len - 1 > UINT64_MAX - r->gpa || r->len - 1 > UINT64_MAX - r->uaddr)
		return -EINVAL;
	*why = "memory regions that overlap";
	for (unsigned i = 0; i < t->nr; i++)
		if (vu_overlap(r->gpa, r->len, t->map[i].r.gpa, t->map[i].r.len) ||
			vu_overlap(r->uaddr, r->len, t->map[i].r.uaddr, t->map[i].r.len))
			return -EEXIST;
	*why = "more memory regions than there is room for";
	if (t->nr == VU_MAX_REGIONS)
		return -ENOSPC;
	*why = "a memory region past the end of its file";
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < 0 || r->offset > (uint64_t)st.st_size ||
		r->len > (uint64_t)st.st_size - r->offset)
		return -EINVAL;
	return 0;
}

int vu_memtable_add(struct vu_memtable *t, const struct vu_region *r, int fd, const char **why)
{
	int rc = vu_memtable_judge(t, r, fd, why);
	unsigned at = t->nr;
	void *host;

	if (rc)
		return rc;
	*why = "a memory region that cannot be mapped";
	host = mmap(NULL, r->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
		(off_t)r->offset);
	if (host == MAP_FAILED)
		return -errno;
	madvise(host, r->len, MADV_DONTDUMP);
	for (; at && t->map[at - 1].r.gpa > r->gpa; at--)
		t->map[at] = t->map[at - 1];
	t->map[at] = (struct vu_mapping){ .r = *r, .host = host };
	t->nr++;
	return 0;
}

int vu_memtable_remove(struct vu_memtable *t, const struct vu_region *r)
{
	for (unsigned i = 0; i < t->nr; i++) {
		const struct vu_mapping *m = &t->map[i];

		if (m->r.gpa != r->gpa || m->r.uaddr != r->uaddr || m->r.len != r->len)
			continue;
		munmap(m->host, m->r.len);
		t->nr--;
		memmove(&t->map[i], &t->map[i + 1], (t->nr - i) * sizeof(t->map[0]));
		return 0;
	}
	return -ENOENT;
}

void vu_memtable_clear(struct vu_memtable *t)
{
	while (t->nr) {
		struct vu_mapping *m = &t->map[--t->nr];

		munmap(m->host, m->r.len);
	}
}

void vu_memtable_show(const struct vu_memtable *t, struct guest_memory *gm)
{
	gm_fini(gm);
	for (unsigned i = 0; i < t->nr; i++) {
		const struct vu_mapping *m = &t->map[i];

		BUG_ON(gm_add_borrowed(gm, m->r.gpa, m->host, m->r.len));
	}
}

bool vu_memtable_translate(const struct vu_memtable *t, uint64_t uaddr, gpa_t *ret)
{
	for (unsigned i = 0; i < t->nr; i++) {
		const struct vu_region *r = &t->map[i].r;

		if (uaddr >= r->uaddr && uaddr - r->uaddr < r->len) {
			*ret = r->gpa + (uaddr - r->uaddr);
			return true;
		}
	}
	return false;
}

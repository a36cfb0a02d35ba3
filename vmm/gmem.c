/* SPDX-License-Identifier: MIT */
/* gmem.c: guest RAM as at most two anonymous mappings around the PCI hole. */
#include "vmm/gmem.h"

#include "vmm/layout.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static int gm_add(struct gmem *m, gpa_t gpa, uint64_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	/* Fewer, larger mappings make nested page tables shorter; only a wish. */
	madvise(p, size, MADV_HUGEPAGE);
	m->r[m->n++] = (struct gmem_region){ .gpa = gpa, .size = size, .hva = p };
	m->size += size;
	return 0;
}

int gm_init(struct gmem *m, uint64_t size)
{
	uint64_t low = MIN(size, RAM_LOW_MAX);
	int err;

	memset(m, 0, sizeof(*m));
	if (!size || size % 4096)
		return -EINVAL;
	err = gm_add(m, 0, low);
	if (!err && size > low)
		err = gm_add(m, RAM_HIGH_BASE, size - low);
	if (err)
		gm_destroy(m);
	return err;
}

void gm_destroy(struct gmem *m)
{
	while (m->n) {
		struct gmem_region *r = &m->r[--m->n];

		munmap(r->hva, r->size);
	}
	m->size = 0;
}

void *gm_span(const struct gmem *m, gpa_t gpa, uint64_t len)
{
	for (unsigned i = 0; i < m->n; i++) {
		const struct gmem_region *r = &m->r[i];
		uint64_t off = gpa - r->gpa;

		/* Subtractions that cannot wrap: no sum of guest numbers is formed. */
		if (gpa >= r->gpa && off < r->size && len <= r->size - off)
			return r->hva + off;
	}
	return NULL;
}

int gm_read(const struct gmem *m, gpa_t gpa, void *dst, size_t len)
{
	const void *p = gm_span(m, gpa, len);

	if (!p)
		return -EFAULT;
	memcpy(dst, p, len);
	return 0;
}

int gm_write(const struct gmem *m, gpa_t gpa, const void *src, size_t len)
{
	void *p = gm_span(m, gpa, len);

	if (!p)
		return -EFAULT;
	memcpy(p, src, len);
	return 0;
}

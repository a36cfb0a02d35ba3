/* SPDX-License-Identifier: MIT */
/*
 * pool.c: calloc() and free() for blocks as large as a NIC, which AddressSanitizer would map
 * and unmap each time: half the time of an input went there. A block that is free waits, out
 * of bounds, for the next request of its size. The linker puts these in place (--wrap).
 */
#include "vmm/util.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define POOL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_ASAN 1
#endif
#endif

#ifdef POOL_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#define POOL_LARGE  65536
#define POOL_BLOCKS 16

static struct {
	void *p;
	size_t size;
	bool used;
} pool[POOL_BLOCKS];

void *__real_calloc(size_t n, size_t size);
void __real_free(void *p);
void *__wrap_calloc(size_t n, size_t size);
void __wrap_free(void *p);

void *__wrap_calloc(size_t n, size_t size)
{
	for (unsigned i = 0; n == 1 && size >= POOL_LARGE && i < POOL_BLOCKS; i++) {
		if (pool[i].used || (pool[i].p && pool[i].size != size))
			continue;
		if (!pool[i].p)
			pool[i].p = __real_calloc(1, size);
		BUG_ON(!pool[i].p);
		pool[i].size = size;
		pool[i].used = true;
		ASAN_UNPOISON_MEMORY_REGION(pool[i].p, size);
		return memset(pool[i].p, 0, size);
	}
	return __real_calloc(n, size);
}

void __wrap_free(void *p)
{
	for (unsigned i = 0; p && i < POOL_BLOCKS; i++) {
		if (pool[i].p != p)
			continue;
		BUG_ON(!pool[i].used); /* freed twice */
		pool[i].used = false;
		ASAN_POISON_MEMORY_REGION(p, pool[i].size);
		return;
	}
	__real_free(p);
}

/* SPDX-License-Identifier: MIT */
/*
 * bus.h: from an address to a device. Port I/O and MMIO are two instances of
 * the same bus; devices see an offset, a size and a value, never an address.
 *
 * Three guarantees:
 *   - regions never overlap;
 *   - a device sees only accesses that lie wholly inside its region and whose
 *     size it accepts;
 *   - where nobody is home, reads return all ones and are counted.
 *
 * A region may have doorbells: places where a write only means "look at the
 * ring" and whose value is not needed. The hypervisor may take those over
 * (struct bus_accel, KVM's ioeventfd) so that no exit reaches us; when it does
 * not, the write arrives at the region's write() as usual, which must do the
 * same as the eventfd would.
 *
 * Nor need every page of a region be served by its handlers all the time: the
 * hypervisor may let the guest reach memory there (struct region_page), wholly
 * or for reads alone. And writes that can wait may be queued (bus_coalesce()),
 * value and order kept, until somebody drains the queue.
 */
#ifndef DUET_BUS_H
#define DUET_BUS_H

#include "vmm/acct.h"
#include "vmm/stats.h"
#include "vmm/util.h"

#include <pthread.h>
#include <stdbool.h>

struct region_ops {
	uint64_t (*read)(void *dev, uint64_t off, unsigned size);
	void (*write)(void *dev, uint64_t off, unsigned size, uint64_t val);
	unsigned sizes; /* OR of the access sizes 1, 2, 4, 8 accepted, naturally aligned or not */
	/* Which of the device's accounts an access at `off` belongs to, where one for the
	 * region is too coarse; the device then reports them itself. NULL: region.access. */
	struct access *(*account)(void *dev, uint64_t off);
};

struct doorbell {
	uint64_t off;
	unsigned size; /* 1, 2, 4, 8; 0: any size */
	int fd;        /* eventfd, owned by the device, signalled by the hypervisor */
};

/* Who answers for a page of a region. */
enum page_mode {
	PAGE_TRAP, /* the handlers: every access exits */
	PAGE_RAM,  /* memory: none does */
	PAGE_ROM,  /* memory for reads; writes exit, or end in a doorbell or zone there */
};

#define BUS_PAGE_SIZE 4096

struct region_page {
	/* fixed: */
	uint64_t off; /* in the region, a multiple of BUS_PAGE_SIZE */
	void *mem;    /* BUS_PAGE_SIZE bytes, aligned to it, the device's */
	/* bus.change: */
	enum page_mode mode;
};

/* Writes that lie in it are queued. */
struct region_zone {
	uint64_t off;
	unsigned size;
};

#define REGION_DOORBELLS 8
#define REGION_PAGES     4
#define REGION_ZONES     4

/*
 * Embedded in the device that owns it; the device outlives the vCPU threads, so
 * a handler may still be running on another vCPU after bus_unmap() has returned.
 */
struct region {
	const char *name;
	const struct region_ops *ops;
	void *dev;
	uint64_t size;
	struct doorbell doorbell[REGION_DOORBELLS];
	unsigned n_doorbells;
	struct region_page page[REGION_PAGES];
	unsigned n_pages;
	/* bus.change: */
	struct region_zone zone[REGION_ZONES];
	unsigned n_zones;
	/* written under both of the bus's locks: */
	uint64_t base;
	bool mapped;
	/* any thread: */
	struct access access;
};

/* A write that the hypervisor has kept for us, 1 to 8 bytes. */
struct bus_queued {
	uint64_t addr;
	unsigned len;
	uint8_t data[8];
};

/* How many may wait at once, at most. */
#define BUS_QUEUE_MAX 256

/* What a hypervisor can do to spare us an exit. 0 or -errno. */
struct bus_accel {
	int (*doorbell)(struct bus_accel *a, uint64_t addr, const struct doorbell *d, bool on);
	/* The page at `addr` goes from PAGE_TRAP to another mode, or back. When it is back,
	 * no vCPU writes `mem` any more. NULL: cannot. */
	int (*page)(struct bus_accel *a, uint64_t addr, void *mem, enum page_mode mode);
	/* Writes in [addr, addr + size) are queued from now on, or exit again. NULL: cannot. */
	int (*coalesce)(struct bus_accel *a, uint64_t addr, unsigned size, bool on);
	/* Is there a queued write? The oldest one goes to `w` (callers serialise then) and
	 * stays in the queue; NULL: just asking, any thread. */
	bool (*queued)(struct bus_accel *a, struct bus_queued *w);
	/* Take it out. */
	void (*unqueue)(struct bus_accel *a);
};

#define BUS_REGIONS 64

struct bus {
	const char *name;
	bool pio;                /* which trace class, and KVM's flag for doorbells */
	struct bus_accel *accel; /* NULL: none. Set before the first bus_map(). */
	pthread_mutex_t change;  /* outer; held while the hypervisor follows, which takes time */
	pthread_rwlock_t lock;   /* inner; for lookups, so that these need not wait for it */
	/* written under both: */
	struct region *r[BUS_REGIONS]; /* sorted by base */
	unsigned n;
	/* any thread: */
	_Atomic unsigned hint;      /* index of the last hit; only a guess */
	_Atomic uint64_t unclaimed; /* accesses nobody was home for */
	_Atomic bool coalescing;    /* there is, or has been, a zone */
	struct lock drain; /* held over the handlers of queued writes: outside their locks */
	/* drain: */
	counter_t coalesced; /* writes that came out of the queue */
};

void bus_init(struct bus *b, const char *name, bool pio);
void bus_destroy(struct bus *b);

/*
 * Put `r` at `base`. 0, -EEXIST when it would overlap another region, -EINVAL
 * when it is empty, wraps or is mapped already, -ENOSPC when the bus is full.
 */
int bus_map(struct bus *b, struct region *r, uint64_t base);
/* Take it away, all its pages back at PAGE_TRAP; harmless when it is not mapped. */
void bus_unmap(struct bus *b, struct region *r);

/*
 * Who shall answer for page `page` of `r`. Any thread, also one in a handler; not from a
 * bus_accel. 0; -ENOTSUP: no hypervisor that can; -ENXIO: `r` is not mapped, or not at the
 * start of a page; -EEXIST: the guest has put it where memory is; another -errno. After an
 * error the mode is the old one, or PAGE_TRAP where that lies between the two.
 *
 * When it has returned from leaving PAGE_RAM, no vCPU writes the page's memory any more.
 * In the other direction the border is not as sharp: a write that exited before may reach
 * write() after bus_page_set() has returned.
 */
int bus_page_set(struct bus *b, struct region *r, unsigned page, enum page_mode mode);

/*
 * Let writes of the guest to [off, off + size) of `r` be queued instead of exiting, or exit
 * again; a full queue exits, too. A queued write reaches write() in the next bus_drain(), and
 * before whatever exits after it on its vCPU; a doorbell is no exit, so whoever serves one
 * drains first where the order matters. Dropped by bus_unmap(). What is in the queue then, or
 * when it is switched off, stays there to be drained. Any thread. 0; -ENOTSUP; -ENXIO: not
 * mapped; -ENOSPC: more than REGION_ZONES; another -errno.
 */
int bus_coalesce(struct bus *b, struct region *r, uint64_t off, unsigned size, bool on);

void bus_drain_queue(struct bus *b);

/* Does a write wait in the queue? Any thread. */
static inline bool bus_queued(struct bus *b)
{
	return atomic_load_explicit(&b->coalescing, memory_order_relaxed) &&
	       b->accel->queued(b->accel, NULL);
}

/*
 * Hand what is queued to the regions, in order. One thread at a time: another one waits, for
 * its own writes may be among those under way. So the caller holds no lock that a write()
 * takes; called from a write() it returns at once.
 */
static inline void bus_drain(struct bus *b)
{
	/* Set before the first zone was registered, which whoever's write is queued has seen. */
	if (atomic_load_explicit(&b->coalescing, memory_order_relaxed))
		bus_drain_queue(b);
}

/* The size of the access, 1, 2, 4 or 8, that `len` (1..8) bytes begin with when they have to
 * be cut up: what crossed a page may have an odd length. */
static inline unsigned bus_piece(unsigned len)
{
	return 1U << (31 - __builtin_clz(len));
}

/* One access of 1, 2, 4 or 8 bytes, from any thread. */
uint64_t bus_read(struct bus *b, uint64_t addr, unsigned size);
void bus_write(struct bus *b, uint64_t addr, unsigned size, uint64_t val);

/* Call `fn` for the account of every region that is mapped and has one. Any thread. */
void bus_accounts(struct bus *b, access_fn *fn, void *ctx);

/* All ones, `size` bytes wide: what an empty bus reads as. */
static inline uint64_t bus_ones(unsigned size)
{
	return UINT64_MAX >> (64 - 8 * size);
}

#endif

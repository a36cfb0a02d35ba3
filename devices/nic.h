/* SPDX-License-Identifier: MIT */
/*
 * nic.h: what the e1000 and the virtio-net have in common.
 *
 * Threads and locks, the same in both NICs:
 *
 *   vCPU threads run register accesses (bus handlers). The I/O thread (loop.h)
 *   moves frames: it is woken by a kick (doorbell) or by the backend, or by the watcher,
 *   which looks at rings while doorbells are off and takes no lock. Without the worker
 *   rung the vCPU that rings does the I/O thread's work.
 *
 *   work   held by the I/O thread while it moves a bounded batch, and by a vCPU
 *          that changes what a batch relies on (reset, enable bits, ring addresses,
 *          filters). Taking it *is* the quiesce: whoever holds it knows that no
 *          frame is in flight. Never taken for hot registers.
 *   lock   interrupt causes and registers; held for a few instructions.
 *
 *   Order: pci host lock -> work -> bus.drain -> lock -> bus.change, msix.lock,
 *   intx_lock. Writes that KVM has queued take `lock` alone, so draining them under work
 *   is safe. Backend and virtqueue state belong to the holder of work.
 */
#ifndef DUET_NIC_H
#define DUET_NIC_H

#include "devices/ladder.h"
#include "devices/net/net.h"
#include "devices/pci.h"
#include "vmm/trace.h"

/* Small frames in a row until neither model expects a large one, for which there is more to
 * prepare: what is read then is read into less. */
#define NIC_DOUBT 32
/* Segments cut in software that end a turn, as a batch of frames does: a turn is a few
 * milliseconds of a thread that is there for all NICs. One frame makes twice as many at most. */
#define NIC_TURN_SEGMENTS 4096

/* name, meaning. Written by the holder of nic.work, but for kicks that exit and irqs
 * (nic.lock) and guest_faults (nic_guest_fault() only). */
#define NIC_STATS(X)                                                                               \
	X(tx_frames, "frames taken from the guest (a TSO packet is one)")                          \
	X(tx_bytes, "their bytes, Ethernet header included")                                       \
	X(rx_frames, "frames put into the guest's buffers")                                        \
	X(rx_bytes, "their bytes")                                                                 \
	X(tx_drops, "frames not sent, all malformed; the backend counts those it refused")         \
	X(rx_drops, "frames not delivered: the sum of the next two")                               \
	X(rx_filtered, "of those: not for this NIC, or a header that lies")                        \
	X(rx_oversize, "of those: too long for the buffers or for the NIC")                        \
	X(rx_cut, "large frames taken in to be cut into frames of the wire (e1000)")               \
	X(rx_segments, "frames of the wire made of them so far")                                   \
	X(rx_missed, "frames looped back (e1000) that met too few buffers; no drops")              \
	X(tx_kicks, "transmit doorbells the guest rang")                                           \
	X(rx_kicks, "receive doorbells the guest rang")                                            \
	X(ctrl_kicks, "doorbells of the control queue (virtio)")                                   \
	X(wakeups, "times the worker was woken: by doorbells, the backend, a timer, itself")       \
	X(poll_spells, "times the worker began to poll")                                           \
	X(ram_spells, "times the doorbells became memory (e1000)")                                 \
	X(irq_page_spells, "times ICR became memory (e1000)")                                      \
	X(tx_batches, "times the worker took transmit frames")                                     \
	X(rx_batches, "times the worker delivered frames")                                         \
	X(tx_again, "times the backend had no room")                                               \
	X(rx_ring_full, "times frames waited because the guest had posted no buffer")              \
	X(irqs, "interrupts raised: line edges or messages")                                       \
	X(irqs_suppressed, "causes that raised none: masked, throttled, suppressed by the driver") \
	X(irqs_coalesced, "of those: joined an interrupt that is pending or throttled")            \
	X(bytes_copied, "payload bytes the NIC copied (zero-copy adds none)")                      \
	X(bytes_summed, "payload bytes the NIC checksummed in software")                           \
	X(extra_exits, "artificial exits, to test the model (--net exits=N)")                      \
	X(guest_faults, "things the driver did that the manual or specification forbids")

struct nic_stat {
#define X(name, what) counter_t name;
	NIC_STATS(X)
#undef X
};

struct nic_config {
	const char *name; /* "net0": in messages, statistics, traces; outlives the NIC */
	uint8_t mac[6];
	unsigned mtu;     /* 68..65535, 0: say nothing (1500) */
	unsigned rungs;   /* BIT(RUNG_*): ladder.h */
	unsigned poll_us; /* rung poll: while work comes at least that often; not 0 */
	bool vhost;       /* virtio: the host's kernel is to move the frames */
	/* Artificial exits for each frame taken from the guest; 0: none. extra() makes `n` of
	 * them on the thread that took the frame, work held, and returns how many it made. */
	unsigned exits;
	unsigned (*extra)(void *ctx, unsigned n);
	void *extra_ctx; /* outlives the NIC */
};

struct nic;

struct nic_ops {
	const char *model; /* "e1000", "virtio" */
	void (*destroy)(struct nic *n);
	/* Add model-specific members to an open JSON object; may be NULL. */
	void (*stats)(struct nic *n, struct json *j);
	/* From begin to end the watcher rings in the driver's place. I/O thread, work held. */
	void (*poll_begin)(struct nic *n);
	void (*poll_end)(struct nic *n);
	/* Does the driver want something that it would have rung for? Then wake the worker.
	 * Watcher's thread. */
	void (*look)(struct nic *n);
	/* Do what waits, rung for or not. I/O thread, work held. */
	void (*catch_up)(struct nic *n);
	/* Bring counters up to date that are kept elsewhere. work held. NULL: there are none. */
	void (*count)(struct nic *n);
	/* Call `fn` for each account of registers and queues that the model keeps. */
	void (*accounts)(struct nic *n, access_fn *fn, void *ctx);
};

struct nic {
	/* fixed at create: */
	const struct nic_ops *ops;
	struct nic_config cfg;
	struct machine *m;
	struct net *be; /* owned */
	struct pci_dev pci;
	/* see above */
	struct lock work;
	struct lock lock;
	struct nic_stat stat;
	struct watch watch;
	/* I/O thread: */
	struct loop_timer poll_timer; /* ends the polling, or has the worker catch up */
	struct nic_pace {             /* what was moved up to when it was looked at last */
		uint64_t at;          /* loop_now() */
		uint64_t wakeups, tx_frames, rx_frames, bytes;
	} pace;
	unsigned ticks; /* of poll_timer since polling began */
	bool polling;   /* changed with work held */
};

/*
 * Create a NIC and put it in `slot`. Takes ownership of `be` whether it succeeds or
 * not. NULL on failure, reason logged. Destroy with nic_destroy() after the loop and
 * the vCPUs have stopped.
 */
struct nic *e1000_new(struct machine *m, struct pci_host *pci, unsigned slot,
		      const struct nic_config *cfg, struct net *be);
struct nic *virtio_net_new(struct machine *m, struct pci_host *pci, unsigned slot,
			   const struct nic_config *cfg, struct net *be);

static inline bool nic_has(const struct nic *n, enum ladder_rung r)
{
	return n->cfg.rungs & BIT(r);
}

/* Segments cut in software so far, for a backend or (e1000) for the ring. */
static inline uint64_t nic_segments(const struct nic *n)
{
	return counter_get(&n->be->stat.sw_segments) + counter_get(&n->stat.rx_segments);
}

/* For the two models: common members, and their release. 0 or -errno; nic_fini() in
 * either case. */
int nic_init(struct nic *n, const struct nic_ops *ops, struct machine *m,
	     const struct nic_config *cfg, struct net *be);
void nic_fini(struct nic *n); /* closes the backend, destroys the locks */
void nic_destroy(struct nic *n);

/* The I/O thread was woken for this NIC: take nic.work, for lock_drop() to give back.
 * When that happens often enough, the worker begins to poll. */
void nic_work_begin(struct nic *n);

/* A frame of `len` bytes was taken from the guest and sent: count it, and make the
 * artificial exits that belong to it. work held. */
void nic_tx_taken(struct nic *n, size_t len);

/* Without zero-copy: the bytes of `iov`, as far as there is room, as one piece at `bounce`,
 * and counted. work held. */
struct iovec nic_bounce(struct nic *n, const struct iovec *iov, int cnt, void *bounce, size_t size);

/* The driver did `why`: count it, trace it. The NIC's own fault handling follows. */
void nic_guest_fault(struct nic *n, const char *why);

/* Every counter of the NIC and its backend, as members of an open JSON object. */
void nic_stats_json(struct nic *n, struct json *j);
/* The same as a readable table. */
void nic_stats_print(struct nic *n, FILE *f);

/* "52:54:00:12:34:56" to bytes. 0, or -EINVAL for anything malformed, multicast or zero. */
int nic_parse_mac(const char *s, uint8_t mac[6]);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * nic_rig.h: a driver for each NIC, written from the 8254x manual and the virtio
 * specification alone, so that a misreading is caught by a second reader. It finds
 * the card through ports 0xcf8/0xcfc, reaches it by bus accesses, keeps its rings in
 * the guest RAM of a fake machine, and speaks one language for both models:
 *
 *   rig_post_tx*() -> rig_kick() -> rig_run() -> rig_tx_done(), frames in fake_net
 *   rig_post_rx() ... rig_receive() -> rig_run() -> rig_rx_next()
 *
 * Everything runs on the calling thread (test_nic_threads.c brings its own).
 *
 * Both cards take every test on every rung of the ladder (tests/rungs.sh): an assertion
 * about how a frame travels asks rig_has() first, and has something to say either way.
 */
#ifndef DUET_NIC_RIG_H
#define DUET_NIC_RIG_H

#include "devices/nic.h"
#include "tests/rig/fake_accel.h"
#include "tests/rig/fake_machine.h"
#include "tests/rig/fake_net.h"
#include "tests/rig/frames.h"

#include <check.h>

/* ck_assert_msg() writes to a file each time it holds; this only when it does not. */
#define RIG_CHECK(cond, ...)                                                                       \
	do {                                                                                       \
		if (!(cond))                                                                       \
			ck_abort_msg(__VA_ARGS__);                                                 \
	} while (0)

enum rig_model { RIG_E1000, RIG_VIRTIO, RIG_MODELS };

#define RIG_RING_MAX 1024 /* entries the rig can keep books of */

struct rig_opts {
	uint64_t ram;                 /* bytes; 0: 128 MiB */
	unsigned backend_offload;     /* NET_OFF_* that the backend's send() takes */
	unsigned tx_ring, rx_ring;    /* entries; 0: 256. e1000: a multiple of 8, virtio: 2^n */
	unsigned rx_buf;              /* bytes per receive buffer; 0: 2048 */
	gpa_t tx_ring_at, rx_ring_at; /* 0: where the rig likes */
	bool vlan_filter;             /* only VLANs that rig_vlan_add() named */
	bool long_packets;            /* e1000: RCTL.LPE */
	bool intx;                    /* virtio: leave MSI-X off */
	bool ring_outside;            /* skip the rig's own checks of what it sets up */
	uint64_t features_off;        /* virtio: feature bits not to accept */
	uint64_t features_on;         /* virtio: bits to accept that the rig would not */
	unsigned mtu;                 /* of the NIC's configuration; 0: none */
	bool vhost;                   /* virtio: the test plays the host's kernel */
};

/* A frame to send: bytes, and what is left to the NIC. */
struct rig_tx {
	struct virtio_net_hdr hdr;
	const struct iovec *iov;
	int n;
	bool tag; /* e1000: insert an 802.1Q tag of `tci` */
	uint16_t tci;
};

/* A frame received, as the driver would hand it up. */
struct rig_rx {
	uint8_t data[FRAME_BUF];
	size_t len;
	unsigned buffers;          /* it was spread over */
	struct virtio_net_hdr hdr; /* e1000: DATA_VALID when the checksum was checked */
	bool tagged;               /* e1000: a tag was stripped, it was `tci` */
	uint16_t tci;
};

struct nic_rig;

/* Something no sane driver does, for the device to survive. */
struct rig_sabotage {
	const char *name;
	void (*commit)(struct nic_rig *r);
	bool lawful; /* odd, but no rule is broken: need not count as a guest fault */
};

struct rig_driver {
	const char *name;
	uint16_t vendor, device;
	struct nic *(*create)(struct machine *m, struct pci_host *pci, unsigned slot,
			      const struct nic_config *cfg, struct net *be);
	void (*probe)(struct nic_rig *r); /* once, BARs enabled: find registers, get memory */
	void (*reset)(struct nic_rig *r);
	void (*start)(struct nic_rig *r); /* from any state, reset included */
	bool (*post_tx)(struct nic_rig *r, const struct rig_tx *t);
	void (*post_tx_at)(struct nic_rig *r, gpa_t at, uint32_t len);
	void (*kick)(struct nic_rig *r);
	unsigned (*reap_tx)(struct nic_rig *r);
	bool (*post_rx_at)(struct nic_rig *r, gpa_t at, uint32_t len); /* 0: a buffer of its own */
	void (*kick_rx)(struct nic_rig *r);
	bool (*rx_next)(struct nic_rig *r, struct rig_rx *x);
	unsigned (*irqs)(struct nic_rig *r);
	uint32_t (*ack)(struct nic_rig *r);
	void (*mask)(struct nic_rig *r, bool on);
	void (*suppress)(struct nic_rig *r, bool on);
	void (*rx_mode)(struct nic_rig *r, bool promisc, bool allmulti);
	void (*multicast)(struct nic_rig *r, const uint8_t mac[6]); /* accept this group only */
	void (*vlan_add)(struct nic_rig *r, unsigned vid);
	const struct rig_sabotage *sabotage;
	unsigned n_sabotage;
};

extern const struct rig_driver rig_driver_e1000, rig_driver_virtio;

struct rig_e1000 {
	_Atomic bool masked; /* by mask(), suppress() */
	unsigned tdt, tx_clean, rdt, rx_clean;
	bool eop[RIG_RING_MAX]; /* this slot ends a frame */
	gpa_t rx_at[RIG_RING_MAX];
};

struct rig_vq {
	unsigned size;
	gpa_t desc, avail, used;
	gpa_t indirect;  /* one table per descriptor */
	uint64_t notify; /* its doorbell's address */
	uint16_t avail_idx, kicked_idx, last_used;
	uint16_t free_head;
	unsigned n_free;
	uint16_t next[RIG_RING_MAX];  /* free, or in a chain: the one after */
	uint16_t chain[RIG_RING_MAX]; /* by head: descriptors in its chain; 0: not posted */
	gpa_t buf[RIG_RING_MAX];      /* by head: where its first byte is */
};

enum { RIG_VQ_RX, RIG_VQ_TX, RIG_VQ_CTRL, RIG_VQS };
#define RIG_VQ_VECTOR(q) ((q) + 1u) /* vector 0 is for configuration changes */

struct rig_virtio {
	uint64_t common, notify, isr, config, msix; /* addresses */
	uint32_t notify_mult;
	uint64_t features;
	gpa_t ctrl, tx_hdr; /* memory for commands; for a frame's header by head */
	bool msix_on;
	struct rig_vq q[RIG_VQS];
	unsigned layout; /* rotates through the ways to lay out a chain */
};

/* A machine, for one NIC or for both. */
struct rig_machine {
	struct fake_machine *f;
	struct fake_accel accel; /* a card's registers are reached as a guest reaches them */
	struct pci_host *pci;
	gpa_t next; /* first guest address not handed out */
	unsigned users;
	/* With a loop thread: wait until it has done what was asked before. NULL: the
	 * calling thread runs the loop. */
	void (*wait)(void *arg);
	void *wait_arg;
};

struct nic_rig {
	const struct rig_driver *drv;
	struct rig_opts opts;
	struct rig_machine *m;
	unsigned slot;
	struct nic *nic;
	struct fake_net *net;
	uint8_t mac[6];
	uint64_t bar[6];
	/* guest memory: */
	gpa_t tx_ring, rx_ring, rx_bufs, arena;
	size_t arena_pos;
	struct prng rng; /* alignments */
	/* books: */
	unsigned tx_posted, tx_done;
	unsigned irq_base;
	bool looped; /* the test looped frames back: no backend saw them */
	union {
		struct rig_e1000 e;
		struct rig_virtio v;
	};
};

/* A machine without a NIC, for whoever brings another card; the other one's are made so, too. */
struct rig_machine *rig_machine_new(uint64_t ram); /* bytes; 0: 128 MiB */
void rig_machine_free(struct rig_machine *m);

/* A machine with one NIC, its driver started, no receive buffers posted. */
struct nic_rig *nic_rig_new(int model, const struct rig_opts *o);
/* One more NIC on the machine of `other`. */
struct nic_rig *nic_rig_beside(struct nic_rig *other, int model, const struct rig_opts *o);
void nic_rig_free(struct nic_rig *r);
/* The rungs that cards get: the best, or DUET_RUNGS of the environment (a bit mask). */
unsigned rig_rungs(int model);
#define rig_gets(model, rung) (rig_rungs(model) & BIT(RUNG_##rung))
#define rig_has(r, rung)      nic_has((r)->nic, RUNG_##rung)

/* False when the ring has no room. */
bool rig_post_tx(struct nic_rig *r, const void *frame, size_t len);
bool rig_post_tx_pieces(struct nic_rig *r, const struct iovec *iov, int n);
bool rig_post_tx_offload(struct nic_rig *r, const struct virtio_net_hdr *h, const void *frame,
			 size_t len);
void rig_kick(struct nic_rig *r);
void rig_run(struct nic_rig *r); /* the loop's turn; time passes (nic_clock.h) */
/* Frames the device has given back since the last start. */
unsigned rig_tx_done(struct nic_rig *r);

/* Post up to `n` buffers and tell the device. Returns how many there was room for. */
unsigned rig_post_rx(struct nic_rig *r, unsigned n);
/* A frame arrives from outside; nothing has run yet. */
void rig_receive(struct nic_rig *r, const void *frame, size_t len, const struct virtio_net_hdr *h);
bool rig_rx_next(struct nic_rig *r, struct rig_rx *x);

/* Interrupts since rig_irq_clear(). */
unsigned rig_irqs(struct nic_rig *r);
void rig_irq_clear(struct nic_rig *r);
bool rig_irq_level(struct nic_rig *r); /* of INTA# */
unsigned rig_gsi(const struct nic_rig *r);
/* The guest is through with its handler: lines of the irq rung fall now, others when the
 * device says so. No time passes. drv->ack() ends with it. */
void rig_eoi(struct nic_rig *r);

/* Reset, and start the driver anew. */
void rig_restart(struct nic_rig *r);
#define rig_stat(r, field) counter_get(&(r)->nic->stat.field)

/* For the two drivers. */
gpa_t rig_alloc(struct nic_rig *r, size_t len, size_t align);
gpa_t rig_tx_buf(struct nic_rig *r, size_t len); /* at an odd place in the arena */
gpa_t rig_ram_end(const struct nic_rig *r);      /* of the last region */
void rig_peek(const struct nic_rig *r, gpa_t at, void *dst, size_t len);
void rig_poke(const struct nic_rig *r, gpa_t at, const void *src, size_t len);
void rig_fill(const struct nic_rig *r, gpa_t at, uint8_t byte, size_t len);
void rig_full_barrier(void); /* a store before it is seen before a load after it is done */
uint32_t rig_read32(struct nic_rig *r, uint64_t addr);
void rig_write32(struct nic_rig *r, uint64_t addr, uint32_t val);
gpa_t rig_rx_buf(const struct nic_rig *r, unsigned i);  /* i-th receive buffer */
void rig_rx_guard(const struct nic_rig *r, unsigned i); /* fill it and its surroundings */
/* Fail if more of those were written than the buffer's first `most` bytes. */
void rig_rx_unhurt(const struct nic_rig *r, unsigned i, size_t most);
uint8_t rig_pci_cap(struct nic_rig *r, uint8_t id, uint8_t after); /* 0: none (more) */
/* Stray buffers both models must refuse. */
void rig_sabotage_tx_at(struct nic_rig *r, gpa_t at, uint32_t len);
void rig_sabotage_rx_at(struct nic_rig *r, gpa_t at, uint32_t len);

#endif

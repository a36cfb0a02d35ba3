/* SPDX-License-Identifier: MIT */
/*
 * e1000.h: what the files of the 82540EM share, and what its test looks at.
 *
 *   e1000.c          the device: registers, rings, transmit, receive, interrupt, reset
 *   e1000_doorbell.c TDT and RDT: who answers them
 *   e1000_irq.c      from causes to INTA#
 *   e1000_irq_page.c ICR as memory
 *   e1000_table.c    the register table, to be laid beside the manual, and the BARs
 *   e1000_ring.c     descriptor rings, receive buffers, loopback
 *   e1000_gso.c      how a frame is read from the backend, and large ones cut
 *   e1000_offload.c  a packet's descriptors to a frame and its virtio_net_hdr
 *   e1000_filter.c   which frames come in, and what is said about their checksums
 *   e1000_count.c    statistics registers
 *   e1000_phy.c      MDIC and the PHY behind it
 *   e1000_eeprom.c   EERD, EECD and the EEPROM behind them
 */
#ifndef DUET_E1000_H
#define DUET_E1000_H

#include "devices/e1000_regs.h"
#include "devices/net/offload.h"
#include "devices/nic.h"

#include <stdbool.h>

struct e1000;

#define E1000_BAR_MEM 0
#define E1000_BAR_IO  2 /* as on the real part; BAR 1 would be the flash */
/* Pages of BAR 0 that can be memory. */
enum { E1000_PAGE_RX, E1000_PAGE_TX, E1000_PAGE_IRQ, E1000_PAGES };

/* --- e1000_table.c --- */

enum e1000_access {
	E1000_RW,
	E1000_RO,  /* writes are ignored */
	E1000_RC,  /* read-only, cleared by a read */
	E1000_WO,  /* reads as 0, stores nothing */
	E1000_W1S, /* a written 1 sets the bit, a 0 leaves it */
};

/* One row: a register, or `count` alike, `stride` bytes apart. */
struct e1000_reg {
	uint32_t off;
	const char *name;
	enum e1000_access access;
	uint32_t mask;          /* bits that a write stores */
	uint32_t reset;         /* value after CTRL.RST */
	uint16_t count, stride; /* 0: one */
	bool quiesce;           /* a write needs nic.work: frames rely on it */
	/* `w` is the offset in words; nic.lock is held. read() replaces the plain load (and
	 * clearing); write() comes after the store and sees what the guest wrote. */
	uint32_t (*read)(struct e1000 *e, unsigned w);
	void (*write)(struct e1000 *e, unsigned w, uint32_t val);
	/* A doorbell: called after the store, without a lock. */
	void (*rang)(struct e1000 *e);
};

extern const struct e1000_reg e1000_table[]; /* sorted by offset */
extern const unsigned e1000_table_rows;

/* Accounts of what is no row of the table. */
enum { E1000_ACCESS_NONE, E1000_ACCESS_IOADDR, E1000_ACCESS_NR };
#define E1000_ROWS_MAX 160 /* of the table, at most */

/* The row that word `w` belongs to, or NULL. */
const struct e1000_reg *e1000_table_row(unsigned w);

extern const struct region_ops e1000_mem_ops, e1000_io_ops;
#define E1000_IOADDR   0 /* offsets in the I/O BAR [13.3] */
#define E1000_IODATA   4
#define E1000_MEM_SIZE 0x20000
#define E1000_IO_SIZE  8

/* An access by a vCPU thread; `off` a multiple of 4. Offsets without a register read as 0. */
uint32_t e1000_reg_read(struct e1000 *e, uint32_t off);
void e1000_reg_write(struct e1000 *e, uint32_t off, uint32_t val);
/* What row `r` lets through of a write to `off`. nic.lock held. */
void e1000_reg_store(struct e1000 *e, const struct e1000_reg *r, uint32_t off, uint32_t val);

/* --- state --- */

#define E1000_REG_WORDS    (E1000_REG_END / 4)
#define E1000_EEPROM_WORDS 64
#define E1000_PHY_REGS     32
#define E1000_BATCH        64  /* descriptors (transmit) or frames (receive) per turn */
#define E1000_RX_DESCS     65  /* most that one frame takes: 16384 / 256, and one */
#define E1000_RX_FETCH     128 /* receive descriptors known at a time */
#define E1000_HDR_MAX      320 /* HDRLEN, or a checksum offset + 2, and a tag */

/* A descriptor as copied out of a ring. */
struct e1000_desc {
	uint64_t addr, rest;
};

/* A ring, checked when a batch begins; head is ours, tail the driver's. */
struct e1000_ring {
	uint8_t *va;
	uint32_t size; /* descriptors */
	uint32_t head, tail;
};

/* A context descriptor's content [3.3.6]; one for TSO, one for checksums alone. */
struct e1000_ctx {
	uint8_t ipcss, ipcso, tucss, tucso, hdrlen;
	uint16_t ipcse, tucse, mss;
	uint32_t paylen;
	bool tcp, ip4;
};

/* A packet under assembly: guest buffers up to the descriptor with EOP. */
struct e1000_pkt {
	struct iovec iov[NET_IOV_MAX - 1]; /* leaves one for a private header */
	int cnt;
	size_t len;
	unsigned descs;
	uint16_t rs[NET_IOV_MAX]; /* ring positions that asked for a status report */
	unsigned n_rs;
	bool open;  /* a descriptor was seen */
	bool ready; /* and the one with EOP */
	bool bad;   /* a guest fault: to be dropped */
	/* of the first descriptor: */
	bool tse, ic;
	uint8_t popts, css, cso;
	/* of the last: */
	bool tag;
	uint16_t tci;
};

/* What e1000_offload() makes of it. */
struct e1000_frame {
	struct virtio_net_hdr h;
	const struct iovec *iov;
	int cnt;
	size_t len;
	uint8_t hdr[E1000_HDR_MAX]; /* private copy of the first bytes, corrected */
	size_t hdr_len;
	size_t taken;  /* bytes of the packet that hdr replaces */
	size_t summed; /* payload bytes checksummed on the way */
	struct iovec out[NET_IOV_MAX];
};

/* Frames counted during a batch, for the statistics registers; octets with CRC. */
struct e1000_tally {
	uint32_t bin[6]; /* 64, -127, -255, -511, -1023, more */
	uint32_t good, bcast, mcast;
	uint32_t total;
	uint64_t good_octets, total_octets;
	uint32_t tso;                      /* transmit */
	uint32_t missed, no_buf, oversize; /* receive */
};

/* What a receive descriptor says about its frame. */
struct e1000_rx_report {
	uint8_t status, errors;
	uint16_t csum, special;
};

/* A frame on its way in. */
struct e1000_in {
	struct virtio_net_hdr h;
	struct iovec *iov; /* room for the frame and more: guest buffers, or private */
	int cnt;
	size_t len;
	bool straight; /* iov is the next buffers of the ring */
	struct e1000_rx_report report;
};

struct e1000_tx {
	struct e1000_ring ring;
	struct e1000_desc desc[E1000_BATCH]; /* fetched: ring.head is desc[next] */
	unsigned next, fetched;
	struct e1000_ctx ctx[2]; /* [1]: TSO */
	struct e1000_pkt pkt;
	struct e1000_frame frame;
	struct e1000_tally tally;
	unsigned reported; /* statuses written back during this batch */
	bool urgent;       /* one of them without IDE */
	/* without the zero-copy rung: */
	struct iovec bounced;
	uint8_t bounce[NET_FRAME_MAX];
};

/* How the next frame is read from the backend: e1000_gso.c has the picture. */
struct e1000_plan {
	struct iovec iov[E1000_RX_FETCH + 1];
	int cnt;
	unsigned slots; /* runs of buffers, each for one frame on the ring */
	unsigned bufs;  /* in each slot */
	size_t first;   /* bytes that slot 0 takes */
	size_t placed;  /* that all slots take; the rest goes to rx.bounce */
	/* The large frame that is expected: its headers' length and payload per segment.
	 * mss 0: a finished one is. */
	size_t hdr_len, mss;
	unsigned finished; /* that many others have come since the last large one */
};

/* A large frame that is being cut. */
struct e1000_gso {
	bool open; /* segments are left, their payload in rx.bounce */
	struct offload_cut cut;
	struct virtio_net_hdr h; /* of each segment */
	/* the segment that goes through private memory: */
	struct iovec iov[3];
	uint8_t hdr[OFFLOAD_HDR_MAX];
	uint8_t pad[E1000_FRAME_MIN];
};

struct e1000_rx {
	struct e1000_ring ring;
	struct e1000_desc desc[E1000_RX_FETCH]; /* fetched likewise, */
	struct iovec buf[E1000_RX_FETCH];       /* and their buffers found */
	unsigned next, fetched;
	unsigned shift; /* log2 of the buffer size, from RCTL */
	unsigned want;  /* buffers for the longest frame */
	struct e1000_tally tally;
	unsigned delivered; /* during this batch */
	struct e1000_plan plan;
	struct e1000_in in;
	bool held; /* `in` is in private memory, accepted, and waits for buffers */
	struct e1000_gso gso;
	struct iovec bounce_iov;
	uint8_t bounce[NET_FRAME_MAX + E1000_FRAME_MIN];
	uint8_t sink[E1000_LONG_MAX]; /* where buffers outside of RAM lead */
};

struct e1000 {
	struct nic nic;
	/* fixed at create: */
	uint16_t eeprom[E1000_EEPROM_WORDS];
	uint64_t (*clock)(void); /* loop_now(); tests turn their own */
	struct loop_event tx_kick, rx_kick;
	struct loop_timer itr_timer;
	/* Written under nic.lock, rows with `quiesce` under nic.work too; loaded by anyone
	 * who holds either. TDT and RDT are loaded without. */
	_Atomic uint32_t reg[E1000_REG_WORDS];
	/* The I/O thread is on its way to the ring (tx), or waits for buffers (rx): see
	 * e1000_tx_idle() and e1000_rx_starve(). */
	_Atomic bool tx_awake, rx_starved;
	_Atomic uint32_t tx_seen, rx_seen; /* the tails then */
	/* E1000_PAGE_RX and _TX are memory: written under nic.work and nic.lock. */
	_Atomic bool ram;
	_Atomic bool queue;      /* TDT and RDT are queued: written under nic.work */
	_Atomic uint32_t *pages; /* of E1000_PAGE_*, one after the other */
	/* A TXDW that may wait is due then; 0: there is none. Written under nic.lock. */
	_Atomic uint64_t late_due;
	_Atomic uint32_t ioaddr; /* of the I/O BAR */
	/* any thread: a row's account, then the one of E1000_ACCESS_* */
	struct access access[E1000_ROWS_MAX + E1000_ACCESS_NR];
	/* nic.work and nic.lock: */
	uint16_t phy[E1000_PHY_REGS];
	/* nic.lock: */
	struct e1000_microwire {
		bool sk;      /* as last written */
		uint8_t bits; /* clocked in since chip select */
		uint16_t in;  /* start bit, opcode, address */
		uint32_t out; /* what is shifted out, bit 16 first (a leading 0) */
	} mw;
	bool link;             /* the backend's; written by the I/O thread */
	bool irq_page;         /* E1000_PAGE_IRQ is memory */
	bool irq_page_refused; /* by the hypervisor; asked again after a reset */
	uint32_t shown;        /* ICR as the guest reads it there; else 0 */
	struct irq_eoi *eoi;   /* fixed; NULL: pci_intx_set() */
	bool line;             /* INTA# is asserted; with eoi: maybe not any more */
	uint64_t line_at;      /* when that happened last; 0: never */
	uint64_t itr_due;      /* itr_timer is set for then; 0: it is not */
	uint64_t late_at;      /* since when TXDW waits */
	unsigned late;         /* descriptors that it is about */
	/* nic.work: */
	struct e1000_tx tx;
	struct e1000_rx rx;
};

/* --- e1000.c --- */

static inline uint32_t e1000_get(const struct e1000 *e, uint32_t off)
{
	return atomic_load_explicit(&e->reg[off / 4], memory_order_relaxed);
}

static inline void e1000_set(struct e1000 *e, uint32_t off, uint32_t val)
{
	atomic_store_explicit(&e->reg[off / 4], val, memory_order_relaxed);
}

/* Longest frame that is received, CRC included. */
static inline size_t e1000_rx_longest(const struct e1000 *e)
{
	return e1000_get(e, E1000_RCTL) & E1000_RCTL_LPE ? E1000_LONG_MAX : E1000_FRAME_MAX;
}

/* Hooks that act on the whole device. */
uint32_t e1000_icr_read(struct e1000 *e, unsigned w);
void e1000_icr_write(struct e1000 *e, unsigned w, uint32_t val);
void e1000_ics_write(struct e1000 *e, unsigned w, uint32_t val);
void e1000_imc_write(struct e1000 *e, unsigned w, uint32_t val);
void e1000_ims_write(struct e1000 *e, unsigned w, uint32_t val);
void e1000_itr_write(struct e1000 *e, unsigned w, uint32_t val);
void e1000_ctrl_write(struct e1000 *e, unsigned w, uint32_t val);
void e1000_rctl_write(struct e1000 *e, unsigned w, uint32_t val);
void e1000_tctl_write(struct e1000 *e, unsigned w, uint32_t val);
void e1000_tx_ring_write(struct e1000 *e, unsigned w, uint32_t val);
void e1000_rx_ring_write(struct e1000 *e, unsigned w, uint32_t val);

/* Enable bits, bus mastering or loopback changed: the I/O thread is to look again. */
void e1000_wake(struct e1000 *e);
bool e1000_tx_on(const struct e1000 *e);
/* Transmission and reception are enabled, whoever may do them. */
bool e1000_both_on(const struct e1000 *e);
/* Transmit what is in the ring, up to a batch, or all of it for a vCPU. nic.work held. */
void e1000_tx_run(struct e1000 *e);
/* Buffers came: have the backend deliver again. nic.work held, I/O thread. */
void e1000_rx_resume(struct e1000 *e);

/* --- e1000_doorbell.c --- */

/* Say in BAR 0's region which pages can be memory, and which memory that is. */
void e1000_pages_describe(struct e1000 *e, struct region *r);
/* The driver wrote TDT or RDT, row `r`, by an exit. */
void e1000_doorbell_write(struct e1000 *e, const struct e1000_reg *r, uint32_t val);
void e1000_tdt_rang(struct e1000 *e);
void e1000_rdt_rang(struct e1000 *e);
/* The driver's tail: TDT or RDT, wherever it writes that now. */
uint32_t e1000_tail(const struct e1000 *e, uint32_t off);
/* Where the register at `off` is while its page is memory; NULL: in e->reg only. */
_Atomic uint32_t *e1000_ram(const struct e1000 *e, uint32_t off);
/* Set a register that the guest may read from memory. nic.lock held. */
void e1000_publish(struct e1000 *e, uint32_t off, uint32_t val);
/* The coalesced rung: does a doorbell wait in the queue? Any thread. */
bool e1000_queued(const struct e1000 *e);
/* Hear those that do, and acknowledges (irq-page). nic.lock not held. */
void e1000_drain(struct e1000 *e);
/* The pages are registers again; harmless when they are. nic.work and nic.lock held. */
void e1000_ram_off(struct e1000 *e);
/* pci_dev's hook, and nic_ops, of these names. */
void e1000_bars_moving(struct pci_dev *d);
void e1000_poll_begin(struct nic *n);
void e1000_poll_end(struct nic *n);
void e1000_look(struct nic *n);
void e1000_catch_up(struct nic *n);

/* --- e1000_irq.c --- */

/* Add causes to ICR and interrupt if that is due. nic.lock held. */
void e1000_irq_raise(struct e1000 *e, uint32_t causes);
/* INTA# follows ICR & IMS; ITR spaces its rising edges. nic.lock held. */
void e1000_irq_update(struct e1000 *e);
/* Nanoseconds until ITR (units of 256 ns) allows an interrupt, the last having been
 * at `last` (0: never); 0: now. */
uint64_t e1000_itr_wait(uint64_t now, uint64_t last, uint32_t itr);
void e1000_itr_expired(struct loop_timer *t);
void e1000_eoi_came(struct irq_eoi *eoi);
/* Transmissions were reported: interrupt now, or when TIDV and TADV say. nic.lock held. */
void e1000_irq_tx_done(struct e1000 *e, uint32_t causes);
/* Nothing to send: interrupt, if one that was put off is due. nic.lock not held. */
void e1000_tx_remind(struct e1000 *e);
/* Is it time for a TXDW that waits? Any thread. */
bool e1000_tx_late(const struct e1000 *e);

/* --- e1000_irq_page.c; nic.lock held --- */

/* Causes that the line is about: those shown, now with what joins them, or ICR. */
uint32_t e1000_irq_causes(struct e1000 *e);
/* The line rises: what ICR holds is what the guest is going to read. */
void e1000_irq_page_raise(struct e1000 *e);
/* The driver wrote `imc` to IMC. */
void e1000_irq_page_ack(struct e1000 *e, uint32_t imc);
/* The driver wrote IMS: the page becomes memory, if that is due and to be had. */
void e1000_irq_page_on(struct e1000 *e);
/* It is registers again; harmless when it is. */
void e1000_irq_page_off(struct e1000 *e);
/* Likewise, unless both units are still on. */
void e1000_irq_page_leave(struct e1000 *e);
/* The driver wrote to `off` of the page, and any of its registers may have changed. */
void e1000_irq_page_wrote(struct e1000 *e, uint32_t off);

/* --- e1000_ring.c --- */

/*
 * Take the driver's tail and check the ring it is in. `base` is TDBAL or RDBAL, the
 * other registers lie at the same distances. An empty ring is fine whatever it says.
 */
bool e1000_ring_load(struct e1000 *e, struct e1000_ring *r, uint32_t base);
/* Descriptors the device owns. */
uint32_t e1000_ring_avail(const struct e1000_ring *r);
/* Copy the next ones, at most `max`; nobody looks at the originals again. */
unsigned e1000_ring_fetch(const struct e1000_ring *r, struct e1000_desc *d, unsigned max);
/* Step over one; returns its position. */
uint32_t e1000_ring_advance(struct e1000_ring *r);

/* Have the next `max` buffers in rx.buf, from rx.next on. Returns how many there are. */
unsigned e1000_rx_gather(struct e1000 *e, unsigned max);
/* Put a frame from private memory into the first `bufs` buffers. False: too few. */
bool e1000_rx_copy(struct e1000 *e, const struct e1000_in *in, unsigned bufs);
/* A frame lies in *in. False when it must wait for more than `bufs` buffers. */
bool e1000_rx_frame(struct e1000 *e, struct e1000_in *in, unsigned bufs);

/* MAC or PHY: what is sent comes in, and nothing reaches the backend. */
bool e1000_loopback(const struct e1000 *e);
/* Receive what was just sent. 0, or -EINVAL when the frame's header lies. */
int e1000_loop(struct e1000 *e, const struct e1000_frame *f);

/* --- e1000_gso.c --- */

/* Make rx.plan for the next frame: where its bytes go. At least one buffer is there. */
void e1000_plan_make(struct e1000 *e);
/* A frame of `len` bytes with the header rx.in.h was read according to rx.plan: to the
 * ring with it, a large one in segments, as far as there are buffers. */
void e1000_plan_done(struct e1000 *e, size_t len);
/* The next segment of the frame in rx.gso, from private memory. */
void e1000_gso_next(struct e1000 *e, unsigned bufs);
/* A frame, or part of one, waits in private memory for buffers or for its turn. */
bool e1000_rx_waits(const struct e1000 *e);
/* It does not any more. */
void e1000_rx_forget(struct e1000 *e);

/* --- e1000_offload.c --- */

bool e1000_desc_is_context(const struct e1000_desc *d);
void e1000_load_context(struct e1000_ctx ctx[2], const struct e1000_desc *d);
/* Add a data or legacy descriptor to the packet. NULL, or what is wrong with it; *p is
 * right about open, ready and tag in either case. */
const char *e1000_pkt_add(struct e1000_pkt *p, const struct gmem *mem, const struct e1000_desc *d);
/* Finish in a private header what virtio_net_hdr cannot say, and say the rest. NULL,
 * or how the packet contradicts itself. `vet`: VLAN EtherType, used when p->tag. */
const char *e1000_offload(struct e1000_frame *f, const struct e1000_pkt *p,
			  const struct e1000_ctx ctx[2], uint16_t vet);

/* --- e1000_filter.c --- */

/*
 * Is a frame from the wire for us? If so, make it what the descriptors shall hold:
 * checksum filled in, padded, CRC's place, tag stripped, in->report. Counts in rx.tally.
 * in->iov is written, and in private memory in->iov[0] moved by a strip.
 */
bool e1000_accept(struct e1000 *e, struct e1000_in *in);

/* --- e1000_count.c --- */

/* Count a frame of `len` bytes without CRC: among all, as good. `dst`: first 6 bytes. */
void e1000_tally_any(struct e1000_tally *t, size_t len);
void e1000_tally_good(struct e1000_tally *t, const uint8_t *dst, size_t len);
/* Count a transmitted frame, TSO or not. */
void e1000_tally_tx(struct e1000_tally *t, const struct e1000_frame *f);
/* Add a batch to the registers and forget it. nic.lock held. */
void e1000_fold_tx(struct e1000 *e);
void e1000_fold_rx(struct e1000 *e);
/* These causes raised no interrupt of their own. nic.lock held. */
void e1000_count_withheld(struct e1000 *e, uint32_t causes);
uint32_t e1000_stat_high_read(struct e1000 *e, unsigned w);

/* --- e1000_access.c --- */

/* The account of the register at `off` of the memory BAR, of the I/O BAR. */
struct access *e1000_mem_account(void *dev, uint64_t off);
struct access *e1000_io_account(void *dev, uint64_t off);
void e1000_accounts(struct nic *n, access_fn *fn, void *ctx);

/* --- e1000_phy.c --- */

void e1000_phy_reset(struct e1000 *e);
bool e1000_phy_loopback(const struct e1000 *e);
/* As net_client.link_changed. */
void e1000_link_changed(void *nic);
uint32_t e1000_status_read(struct e1000 *e, unsigned w);
void e1000_mdic_write(struct e1000 *e, unsigned w, uint32_t val);

/* --- e1000_eeprom.c --- */

void e1000_eeprom_init(struct e1000 *e); /* from the configured MAC */
void e1000_eerd_write(struct e1000 *e, unsigned w, uint32_t val);
uint32_t e1000_eecd_read(struct e1000 *e, unsigned w);
void e1000_eecd_write(struct e1000 *e, unsigned w, uint32_t val);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * virtio_blk.c: what a request asks for, checked and then done by disk.c (virtio 1.2,
 * section 5.2.6).
 *
 *   a chain:  | header: type, sector | data ...       |         | status |
 *             |<------ the device reads (write) ----->|         |<- it  >|
 *             | header |              | data ...                | writes |
 *             |<read ->|              |<----- it writes (read) ---------->|
 *
 * The header is the first 16 bytes and the status the last byte, however the chain is cut
 * into buffers (2.7.4.1). Data goes from the guest's buffers to the host's page cache and back by
 * one preadv() or pwritev(), nothing is copied here.
 *
 * Left out on purpose: several queues, O_DIRECT (the host's cache is what makes small guests
 * fast), image formats, SCSI commands, secure erase, zones.
 */
#include "devices/virtio_blk.h"

#include "devices/net/offload.h"
#include "vmm/log.h"
#include "vmm/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <string.h>

#define VBLK_CLASS 0x018000 /* mass storage controller, other */

struct vblk_stat {
#define X(name, what) counter_t name;
	VBLK_STATS(X)
#undef X
};

struct virtio_blk {
	struct vserver v;
	/* fixed: */
	const struct disk *disk;
	struct virtio_blk_config config;
	/* the loop's thread: */
	struct vblk_stat stat;
	bool complained; /* about the host, once */
	struct iovec data[VSERVER_IOV];
};

/* A request, taken apart; all on private copies. */
struct vblk_req {
	struct virtio_blk_outhdr h;
	const struct virtq_chain *c;
	uint32_t out_len, in_len; /* bytes of data: behind the header, before the status */
	uint32_t written;         /* of in_len */
};

typedef uint8_t vblk_fn(struct virtio_blk *b, struct vblk_req *r); /* VIRTIO_BLK_S_* */

/* --- what can go wrong -------------------------------------------------------------- */

static uint8_t vblk_fault(struct virtio_blk *b, const char *why)
{
	vserver_fault(&b->v, why);
	return VIRTIO_BLK_S_IOERR;
}

/* What disk.c said, as a status. A guest could repeat the failure for ever: logged once. */
static uint8_t vblk_done(struct virtio_blk *b, const char *what, int err)
{
	if (!err)
		return VIRTIO_BLK_S_OK;
	counter_inc(&b->stat.io_errors);
	if (!b->complained)
		log_error("--disk %s: cannot %s: %s; the guest is told of an I/O error, and so it "
			  "will be from now on without a message",
			  b->disk->path, what, strerror(-err));
	b->complained = true;
	return VIRTIO_BLK_S_IOERR;
}

/* Are `n` sectors from `sector` on all there? No sum of guest numbers is formed. */
static bool vblk_inside(const struct virtio_blk *b, uint64_t sector, uint64_t n)
{
	return sector <= b->disk->sectors && n <= b->disk->sectors - sector;
}

/* NULL, or what is wrong with `len` bytes of data at the request's sector. */
static const char *vblk_misfit(const struct virtio_blk *b, const struct vblk_req *r, uint32_t len)
{
	if (!len)
		return "read or write of nothing";
	if (len % DISK_SECTOR)
		return "read or write of less than whole sectors";
	return vblk_inside(b, r->h.sector, len / DISK_SECTOR) ? NULL : "beyond the end of the disk";
}

/* Without VIRTIO_BLK_F_FLUSH the driver takes a write that is done for a safe one (5.2.6.2). */
static int vblk_written(struct virtio_blk *b)
{
	return virtio_pci_has(&b->v.vp, VIRTIO_BLK_F_FLUSH) ? 0 : disk_flush(b->disk);
}

/* --- requests ----------------------------------------------------------------------- */

static uint8_t vblk_read(struct virtio_blk *b, struct vblk_req *r)
{
	const char *misfit = vblk_misfit(b, r, r->in_len);
	int cnt, err;

	if (misfit)
		return vblk_fault(b, misfit);
	cnt = iov_slice(b->v.iov + r->c->n_out, r->c->n_in, 0, r->in_len, b->data, VSERVER_IOV);
	err = disk_read(b->disk, b->data, cnt, r->h.sector * DISK_SECTOR);
	if (err)
		return vblk_done(b, "read", err);
	r->written = r->in_len;
	counter_inc(&b->stat.reads);
	counter_add(&b->stat.read_bytes, r->in_len);
	return VIRTIO_BLK_S_OK;
}

static uint8_t vblk_write(struct virtio_blk *b, struct vblk_req *r)
{
	const char *misfit = vblk_misfit(b, r, r->out_len);
	int cnt, err;

	if (misfit || b->disk->readonly)
		return vblk_fault(b, misfit ? misfit : "write to a read-only disk");
	cnt = iov_slice(b->v.iov, r->c->n_out, sizeof(r->h), r->out_len, b->data, VSERVER_IOV);
	err = disk_write(b->disk, b->data, cnt, r->h.sector * DISK_SECTOR);
	if (!err)
		err = vblk_written(b);
	if (err)
		return vblk_done(b, "write", err);
	counter_inc(&b->stat.writes);
	counter_add(&b->stat.written_bytes, r->out_len);
	return VIRTIO_BLK_S_OK;
}

static uint8_t vblk_flush(struct virtio_blk *b, struct vblk_req *r)
{
	(void)r;
	counter_inc(&b->stat.flushes);
	return vblk_done(b, "flush", disk_flush(b->disk));
}

static uint8_t vblk_get_id(struct virtio_blk *b, struct vblk_req *r)
{
	char id[VIRTIO_BLK_ID_BYTES] = { 0 }; /* padded by zeroes, not ended by one (5.2.6) */

	snprintf(id, sizeof(id), "duet-%s", b->v.name);
	r->written = (uint32_t)MIN((size_t)r->in_len, sizeof(id));
	iov_copy_in(b->v.iov + r->c->n_out, r->c->n_in, 0, id, r->written);
	return VIRTIO_BLK_S_OK;
}

/* --- ranges: discard, write zeroes ---------------------------------------------------- */

/* The device's answer to a range before anything is done; VIRTIO_BLK_S_OK: it is sound. */
static uint8_t vblk_range_check(struct virtio_blk *b, bool zero,
				const struct virtio_blk_discard_write_zeroes *g)
{
	/* 5.2.6.2: only write zeroes knows a flag. */
	if (g->flags & ~(zero ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0u))
		return VIRTIO_BLK_S_UNSUPP;
	if (!g->num_sectors || g->num_sectors > VBLK_RANGE_MAX)
		return vblk_fault(b, "range of no sectors, or of more than the device said");
	if (!vblk_inside(b, g->sector, g->num_sectors))
		return vblk_fault(b, "range beyond the end of the disk");
	return VIRTIO_BLK_S_OK;
}

static int vblk_range(struct virtio_blk *b, bool zero,
		      const struct virtio_blk_discard_write_zeroes *g)
{
	uint64_t off = g->sector * DISK_SECTOR, len = (uint64_t)g->num_sectors * DISK_SECTOR;
	int err = zero ? disk_zero(b->disk, off, len, g->flags) : disk_discard(b->disk, off, len);

	if (err)
		return err;
	counter_inc(zero ? &b->stat.zeroings : &b->stat.discards);
	counter_add(zero ? &b->stat.zeroed_bytes : &b->stat.discarded_bytes, len);
	return 0;
}

static uint8_t vblk_ranges(struct virtio_blk *b, struct vblk_req *r)
{
	struct virtio_blk_discard_write_zeroes range[VBLK_RANGES];
	bool zero = r->h.type == VIRTIO_BLK_T_WRITE_ZEROES;
	unsigned n = r->out_len / sizeof(range[0]);
	uint8_t status = VIRTIO_BLK_S_OK;
	int err = 0;

	if (!n || n > VBLK_RANGES || r->out_len % sizeof(range[0]))
		return vblk_fault(b, "no ranges, too many, or half of one");
	if (b->disk->readonly)
		return vblk_fault(b, "range of a read-only disk");
	iov_copy_out(b->v.iov, r->c->n_out, sizeof(r->h), range, r->out_len);
	for (unsigned i = 0; i < n && status == VIRTIO_BLK_S_OK; i++)
		status = vblk_range_check(b, zero, &range[i]);
	if (status != VIRTIO_BLK_S_OK)
		return status;
	for (unsigned i = 0; i < n && !err; i++)
		err = vblk_range(b, zero, &range[i]);
	if (!err && zero)
		err = vblk_written(b);
	return vblk_done(b, zero ? "write zeroes" : "discard", err);
}

/* --- the server's side ---------------------------------------------------------------- */

static uint8_t vblk_request(struct virtio_blk *b, struct vblk_req *r)
{
	static vblk_fn *const requests[] = {
		[VIRTIO_BLK_T_IN] = vblk_read,        [VIRTIO_BLK_T_OUT] = vblk_write,
		[VIRTIO_BLK_T_FLUSH] = vblk_flush,    [VIRTIO_BLK_T_GET_ID] = vblk_get_id,
		[VIRTIO_BLK_T_DISCARD] = vblk_ranges, [VIRTIO_BLK_T_WRITE_ZEROES] = vblk_ranges,
	};

	if (r->c->out_len < sizeof(r->h))
		return vblk_fault(b, "request shorter than its header");
	iov_copy_out(b->v.iov, r->c->n_out, 0, &r->h, sizeof(r->h));
	r->out_len = r->c->out_len - (uint32_t)sizeof(r->h);
	if (r->h.type >= ARRAY_SIZE(requests) || !requests[r->h.type])
		return VIRTIO_BLK_S_UNSUPP;
	return requests[r->h.type](b, r);
}

static uint32_t vblk_serve(struct vserver *v, const struct virtq_chain *c)
{
	struct virtio_blk *b = container_of(v, struct virtio_blk, v);
	struct vblk_req r = { .c = c, .in_len = c->in_len - 1 };
	uint8_t status;

	if (!c->in_len) {
		vblk_fault(b, "request without room for its status");
		return 0;
	}
	status = vblk_request(b, &r);
	trace(DISK, "%s: type %u, sector %" PRIu64 ", %u bytes out, %u in: status %u", v->name,
	      r.h.type, (uint64_t)r.h.sector, r.out_len, r.in_len, status);
	iov_copy_in(v->iov + c->n_out, c->n_in, r.in_len, &status, 1);
	return r.written + 1;
}

static void vblk_stats_json(struct vserver *v, struct json *j)
{
	struct virtio_blk *b = container_of(v, struct virtio_blk, v);

	json_str(j, "file", b->disk->path);
	json_bool(j, "readonly", b->disk->readonly);
	json_u64(j, "sectors", b->disk->sectors);
#define X(name, what) json_u64(j, #name, counter_get(&b->stat.name));
	VBLK_STATS(X)
#undef X
}

static void vblk_stats_print(struct vserver *v, FILE *f)
{
	struct virtio_blk *b = container_of(v, struct virtio_blk, v);

#define X(name, what) counter_print(#name, what, &b->stat.name, f);
	VBLK_STATS(X)
#undef X
}

static const struct vserver_ops vblk_ops = {
	.model = "virtio-blk",
	.type = VIRTIO_ID_BLOCK,
	.class_code = VBLK_CLASS,
	.serve = vblk_serve,
	.stats_json = vblk_stats_json,
	.stats_print = vblk_stats_print,
};

/* --- set-up ------------------------------------------------------------------------- */

static uint64_t vblk_features(const struct disk *d)
{
	return BIT64(VIRTIO_BLK_F_SEG_MAX) | BIT64(VIRTIO_BLK_F_BLK_SIZE) |
	       BIT64(VIRTIO_BLK_F_TOPOLOGY) | BIT64(VIRTIO_BLK_F_FLUSH) |
	       (d->readonly ? BIT64(VIRTIO_BLK_F_RO)
			    : BIT64(VIRTIO_BLK_F_DISCARD) | BIT64(VIRTIO_BLK_F_WRITE_ZEROES));
}

/* 5.2.4. Pages of 4 KiB are what the host's cache reads and writes at once. */
static void vblk_config_init(struct virtio_blk *b)
{
	b->config = (struct virtio_blk_config){
		.capacity = b->disk->sectors,
		.seg_max = VBLK_SEG_MAX,
		.blk_size = DISK_SECTOR,
		.physical_block_exp = 3,
		.min_io_size = 8,
		.max_discard_sectors = VBLK_RANGE_MAX,
		.max_discard_seg = VBLK_RANGES,
		.discard_sector_alignment = 8,
		.max_write_zeroes_sectors = VBLK_RANGE_MAX,
		.max_write_zeroes_seg = VBLK_RANGES,
		.write_zeroes_may_unmap = 1,
	};
}

struct virtio_blk *virtio_blk_new(struct machine *m, struct loop *loop, struct pci_host *pci,
				  unsigned slot, const char *name, const struct disk *d)
{
	struct virtio_blk *b = calloc(1, sizeof(*b));
	struct vserver_config cfg = { .name = name, .loop = loop, .features = vblk_features(d) };
	int err;

	if (!b) {
		log_error("%s: out of memory", name);
		return NULL;
	}
	b->disk = d;
	vblk_config_init(b);
	cfg.config = &b->config;
	cfg.config_len = offsetof(struct virtio_blk_config, max_secure_erase_sectors);
	err = vserver_init(&b->v, &vblk_ops, m, pci, slot, &cfg);
	if (!err)
		return b;
	log_error("%s: cannot put a virtio-blk in PCI slot %u: %s", name, slot, strerror(-err));
	virtio_blk_free(b);
	return NULL;
}

void virtio_blk_free(struct virtio_blk *b)
{
	if (!b)
		return;
	vserver_fini(&b->v);
	free(b);
}

struct vserver *virtio_blk_server(struct virtio_blk *b)
{
	return &b->v;
}

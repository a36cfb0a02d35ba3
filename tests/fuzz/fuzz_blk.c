/* SPDX-License-Identifier: MIT */
/*
 * fuzz_blk.c: requests to a disk that make sense until a byte of the input says otherwise:
 * types, sectors, ranges, how a chain is cut, descriptors that lie, rings that jump, resets.
 * The transport by itself is fuzz_virtio.c's.
 *
 * Whatever happened, the file has the size it had, a read-only one its contents, too, and after
 * a reset the disk can be read.
 */
#include "devices/virtio_blk.h"
#include "tests/fuzz/machine.h"

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLOT    5u
#define SECTORS 128u
#define QUEUE   64u
#define DESC    0x1000u
#define AVAIL   0x2000u
#define USED    0x3000u
#define TABLE   0x4000u /* indirect */
#define HEADER  0x5000u
#define DATA    0x6000u
#define PIECES  8

const char fuzz_name[] = "blk";

struct drv {
	struct fuzz_machine *m;
	struct vserver *v;
	struct disk disk;
	uint64_t bar, bar_msix; /* as the firmware placed them */
	uint16_t desc, idx;
};

static void drv_write(struct drv *d, unsigned off, unsigned size, uint32_t val)
{
	fuzz_store(d->m, d->bar + VP_COMMON + off, size, val);
}

static void drv_put16(struct drv *d, gpa_t at, uint16_t v)
{
	memcpy(fuzz_ram(d->m, at, sizeof(v)), &v, sizeof(v));
}

static void drv_enable(struct drv *d)
{
	struct fake_machine *f = d->m->f;

	fake_pci_write(f, SLOT, PCI_COMMAND, 2, 0);
	fake_pci_write(f, SLOT, PCI_BASE_ADDRESS_0 + 4 * VP_BAR, 4, (uint32_t)d->bar);
	fake_pci_write(f, SLOT, PCI_BASE_ADDRESS_0 + 4 * VP_BAR_MSIX, 4, (uint32_t)d->bar_msix);
	fake_pci_write(f, SLOT, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void drv_start(struct drv *d, uint32_t off)
{
	static const uint32_t at[] = { DESC, AVAIL, USED };

	drv_write(d, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	drv_write(d, VIRTIO_PCI_COMMON_STATUS, 1, 3);
	for (unsigned i = 0; i < 2; i++) {
		drv_write(d, VIRTIO_PCI_COMMON_GFSELECT, 4, i);
		drv_write(d, VIRTIO_PCI_COMMON_GF, 4,
			  (uint32_t)(d->v->vp.offered >> (32 * i)) & ~(i ? 0 : off));
	}
	drv_write(d, VIRTIO_PCI_COMMON_STATUS, 1, 0xb);
	drv_write(d, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	drv_write(d, VIRTIO_PCI_COMMON_Q_SIZE, 2, QUEUE);
	for (unsigned i = 0; i < 3; i++)
		drv_write(d, VIRTIO_PCI_COMMON_Q_DESCLO + 8 * i, 4, at[i]);
	memset(fuzz_ram(d->m, DESC, 0x3000), 0, 0x3000);
	d->desc = d->idx = 0;
	drv_write(d, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	drv_write(d, VIRTIO_PCI_COMMON_STATUS, 1, 0xf);
}

static void drv_offer(struct drv *d, uint16_t head)
{
	drv_put16(d, AVAIL + 4 + 2 * (d->idx % QUEUE), head);
	drv_put16(d, AVAIL + 2, ++d->idx);
	fuzz_store(d->m, d->bar + VP_NOTIFY, 2, 0);
}

/* Link v[0..n), in the queue's table or an indirect one, and offer it. */
static void drv_chain(struct drv *d, struct vring_desc *v, unsigned n, bool indirect)
{
	gpa_t table = indirect ? TABLE : DESC;
	unsigned first = indirect ? 0 : d->desc;

	for (unsigned i = 0; i < n; i++) {
		v[i].flags ^= i + 1 < n ? VRING_DESC_F_NEXT : 0;
		v[i].next ^= (uint16_t)((first + i + 1) % QUEUE);
		memcpy(fuzz_ram(d->m, table + 16 * ((first + i) % QUEUE), 16), &v[i], 16);
	}
	if (indirect) {
		struct vring_desc to = { TABLE, 16 * n, VRING_DESC_F_INDIRECT, 0 };

		memcpy(fuzz_ram(d->m, DESC + 16 * d->desc, 16), &to, 16);
	}
	drv_offer(d, d->desc);
	d->desc = (uint16_t)((d->desc + (indirect ? 1 : n)) % QUEUE);
}

static void op_request(struct drv *d, struct fuzz_in *in)
{
	static const uint32_t types[] = { 0, 0, 1, 1, 4, 8, 11, 13 };
	static const uint32_t lens[] = { 512, 4096, 1024, 16, 32, 0, 1, 20 };
	uint8_t what = fuzz_u8(in), how = fuzz_u8(in);
	struct virtio_blk_outhdr h = { .type = types[what & 7] };
	struct vring_desc v[PIECES] = { { HEADER, sizeof(h), 0, 0 } };
	unsigned n = 1;

	h.sector = what & 128 ? fuzz_u64(in) : fuzz_u8(in);
	if (what & 64)
		h.type = fuzz_u32(in);
	memcpy(fuzz_ram(d->m, HEADER, sizeof(h)), &h, sizeof(h));
	if (what & 32) /* ranges */
		fuzz_bytes(in, fuzz_ram(d->m, DATA, 32), 32);
	for (unsigned i = what >> 3 & 3; i; i--)
		v[n++] = (struct vring_desc){ DATA, lens[how & 7],
					      h.type & 1 ? 0 : VRING_DESC_F_WRITE, 0 };
	if (!(how & 8))
		v[n++] = (struct vring_desc){ HEADER + 64, 1, VRING_DESC_F_WRITE, 0 };
	if (how & 16)
		fuzz_set_byte(in, v, n * (unsigned)sizeof(v[0]));
	drv_chain(d, v, n, how & 32);
	if (how & 64)
		drv_offer(d, (uint16_t)(d->desc - 1)); /* the same again */
	if (how & 128)
		fuzz_run(d->m);
}

static void op_run(struct drv *d, struct fuzz_in *in)
{
	(void)in;
	fuzz_run(d->m);
}

static void op_ring(struct drv *d, struct fuzz_in *in)
{
	uint8_t how = fuzz_u8(in);

	drv_put16(d, how & 1 ? AVAIL + 2 : AVAIL + 4 + 2 * QUEUE, fuzz_u16(in)); /* used_event */
	fuzz_store(d->m, d->bar + VP_NOTIFY, 2, 0);
}

static void op_poke(struct drv *d, struct fuzz_in *in)
{
	fuzz_op_poke(d->m, in);
}

static void op_start(struct drv *d, struct fuzz_in *in)
{
	drv_start(d, fuzz_u32(in));
}

static void op_common(struct drv *d, struct fuzz_in *in)
{
	unsigned off = fuzz_below(in, sizeof(struct virtio_pci_common_cfg));
	unsigned size = 1u << fuzz_below(in, 3);

	drv_write(d, off, size, fuzz_u32(in));
}

static void op_config(struct drv *d, struct fuzz_in *in)
{
	fuzz_op_config(d->m, in, SLOT);
}

static void (*const ops[])(struct drv *, struct fuzz_in *) = {
	op_request, op_request, op_request, op_request, op_run,
	op_ring,    op_poke,    op_start,   op_common,  op_config,
};

/* --- before and afterwards ---------------------------------------------------------------- */

static uint8_t disk_byte(unsigned i)
{
	return (uint8_t)(i / 512 + i);
}

/* A file in memory, the same each time. */
static int disk_file(void)
{
	static uint8_t bytes[SECTORS * 512];
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("disk", MFD_CLOEXEC);
		for (unsigned i = 0; i < sizeof(bytes); i++)
			bytes[i] = disk_byte(i);
	}
	BUG_ON(fd < 0 || pwrite(fd, bytes, sizeof(bytes), 0) != sizeof(bytes));
	return fd;
}

static void disk_sum(struct drv *d)
{
	uint8_t now[SECTORS * 512];
	struct stat st;

	BUG_ON(fstat(d->disk.fd, &st) < 0 || pread(d->disk.fd, now, sizeof(now), 0) < 0);
	FUZZ_CHECK(st.st_size == sizeof(now), "the disk has %lld bytes", (long long)st.st_size);
	for (unsigned i = 0; d->disk.readonly && i < sizeof(now); i++)
		FUZZ_CHECK(now[i] == disk_byte(i), "byte %u of a read-only disk has changed", i);
}

static void recover(struct drv *d)
{
	struct virtio_blk_outhdr h = { .type = VIRTIO_BLK_T_IN, .sector = SECTORS - 1 };
	struct vring_desc v[] = { { HEADER, sizeof(h), 0, 0 },
				  { DATA, 512, VRING_DESC_F_WRITE, 0 },
				  { HEADER + 64, 1, VRING_DESC_F_WRITE, 0 } };
	uint8_t want[512];

	drv_enable(d);
	drv_start(d, 0);
	memcpy(fuzz_ram(d->m, HEADER, sizeof(h)), &h, sizeof(h));
	*fuzz_ram(d->m, HEADER + 64, 1) = 0xee;
	drv_chain(d, v, 3, false);
	fuzz_run(d->m);
	FUZZ_CHECK(!*fuzz_ram(d->m, HEADER + 64, 1), "after a reset it cannot be read");
	BUG_ON(pread(d->disk.fd, want, 512, (SECTORS - 1) * 512) != 512);
	FUZZ_CHECK(!memcmp(fuzz_ram(d->m, DATA, 512), want, 512), "it reads something else");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	struct drv d = { .m = fuzz_machine_begin() };
	struct virtio_blk *b;

	d.disk = (struct disk){ .path = "disk", .fd = disk_file(), .sectors = SECTORS };
	d.disk.readonly = fuzz_u8(&in) & 1;
	b = virtio_blk_new(&d.m->f->m, d.m->f->m.loop, d.m->pci, SLOT, "disk0", &d.disk);
	BUG_ON(!b);
	d.v = virtio_blk_server(b);
	d.bar = fake_pci_bar(d.m->f, SLOT, VP_BAR);
	d.bar_msix = fake_pci_bar(d.m->f, SLOT, VP_BAR_MSIX);
	drv_enable(&d);
	drv_start(&d, 0);
	for (unsigned i = 0; i < 256 && in.left; i++)
		ops[fuzz_below(&in, ARRAY_SIZE(ops))](&d, &in);
	fuzz_run(d.m);
	disk_sum(&d);
	recover(&d);
	virtio_blk_free(b);
	fuzz_machine_end(d.m);
	return 0;
}

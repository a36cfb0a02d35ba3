/* SPDX-License-Identifier: MIT */
/*
 * test_virtio_blk.c: requests to a disk as a driver lays them out, sound ones and those that
 * no sane driver makes; a host that fails; a disk with a thread of its own.
 */
#include "devices/virtio_blk.h"
#include "tests/check_main.h"
#include "tests/rig/disk_rig.h"
#include "tests/rig/grab.h"
#include "tests/rig/server_rig.h"
#include "vmm/worker.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#define SECTORS    UINT64_C(2048) /* 1 MiB */
#define HDR        SERVER_MEM
#define STATUS     (SERVER_MEM + 4096)
#define DATA       (SERVER_MEM + 65536)
#define NOTHING    0xee /* no device writes this as a status */
#define FEATURE(x) BIT64(VIRTIO_BLK_F_##x)

static struct server_rig s;
static struct disk disk;
static struct virtio_blk *blk;
static struct worker worker;

static struct {
	bool ro, intx, threaded;
	uint64_t features_off;
} how;

static void blk_up(void)
{
	char why[256];
	struct loop *loop;

	ck_assert_int_eq(disk_open(&disk, disk_file_make(SECTORS * 512), how.ro, why, sizeof(why)),
			 0);
	server_rig_up(&s);
	s.r.opts.intx = how.intx;
	s.r.opts.features_off = how.features_off;
	ck_assert_int_eq(worker_init(&worker, "disk0"), 0);
	loop = how.threaded ? worker.loop : s.r.m->f->m.loop;
	blk = virtio_blk_new(&s.r.m->f->m, loop, s.r.m->pci, SERVER_SLOT, "disk0", &disk);
	ck_assert_ptr_nonnull(blk);
	server_rig_plug(&s, virtio_blk_server(blk));
}

static void blk_down(void)
{
	worker_stop(&worker);
	virtio_blk_free(blk);
	worker_destroy(&worker);
	server_rig_down(&s);
	disk_close(&disk);
	disk_file_remove();
}

/* The value of a counter, by the name it has in the statistics. */
static uint64_t stat_of(const char *name)
{
	char *text = NULL, key[64], *at;
	size_t len;
	struct json j = { .f = open_memstream(&text, &len) };
	uint64_t v;

	json_open(&j, NULL, '{');
	vserver_stats_json(s.v, &j);
	json_close(&j, '}');
	fclose(j.f);
	snprintf(key, sizeof(key), "\"%s\": ", name);
	at = strstr(text, key);
	ck_assert_msg(at != NULL, "no counter %s in %s", name, text);
	v = strtoull(at + strlen(key), NULL, 10);
	free(text);
	return v;
}

static uint8_t status_now(void)
{
	uint8_t v;

	rig_peek(&s.r, STATUS, &v, 1);
	return v;
}

static void put_header(uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr h = { .type = type, .sector = sector };
	uint8_t nothing = NOTHING;

	rig_poke(&s.r, HDR, &h, sizeof(h));
	rig_poke(&s.r, STATUS, &nothing, 1);
}

/* One request as Linux lays it out: header, data (if any), status. Returns the status. */
static uint8_t ask(uint32_t type, uint64_t sector, uint32_t len)
{
	bool in = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
	struct ring_buf b[3] = { { HDR, 16, false } };
	unsigned n = 1;
	int64_t got;

	put_header(type, sector);
	if (len)
		b[n++] = (struct ring_buf){ DATA, len, in };
	b[n++] = (struct ring_buf){ STATUS, 1, true };
	got = server_rig_ask(&s, b, n, false);
	ck_assert_int_eq(got,
			 in && status_now() == VIRTIO_BLK_S_OK ? MIN(len, type ? 20 : len) + 1 : 1);
	return status_now();
}

static uint8_t ask_ranges(uint32_t type, const struct virtio_blk_discard_write_zeroes *g,
			  unsigned n)
{
	rig_poke(&s.r, DATA, g, n * sizeof(*g));
	return ask(type, 0, n * (uint32_t)sizeof(*g));
}

static void data_is_of_file(uint64_t off, uint32_t len)
{
	uint8_t byte;

	for (uint32_t i = 0; i < len; i++) {
		rig_peek(&s.r, DATA + i, &byte, 1);
		ck_assert_uint_eq(byte, disk_byte(off + i));
	}
}

START_TEST(identity_and_configuration)
{
	uint64_t want = FEATURE(SEG_MAX) | FEATURE(FLUSH) | FEATURE(BLK_SIZE) | FEATURE(TOPOLOGY);

	how.ro = _i;
	blk_up();
	ck_assert_uint_eq(fake_pci_read(s.r.m->f, SERVER_SLOT, PCI_DEVICE_ID, 2),
			  0x1040 + VIRTIO_ID_BLOCK);
	ck_assert_uint_eq(fake_pci_read(s.r.m->f, SERVER_SLOT, PCI_CLASS_DEVICE, 2), 0x0180);
	ck_assert_uint_eq(s.r.v.features & (BIT64(24) - 1),
			  want | (_i ? FEATURE(RO) : FEATURE(DISCARD) | FEATURE(WRITE_ZEROES)));
	ck_assert_uint_eq(rig_read32(&s.r, s.r.v.config), SECTORS);
	ck_assert_uint_eq(rig_read32(&s.r, s.r.v.config + 4), 0);
	ck_assert_uint_eq(
		rig_read32(&s.r, s.r.v.config + offsetof(struct virtio_blk_config, seg_max)),
		VBLK_SEG_MAX);
	blk_down();
}
END_TEST

START_TEST(read_brings_what_is_in_the_file)
{
	how.intx = _i;
	blk_up();
	ck_assert_uint_eq(ask(VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
	data_is_of_file(0, 512);
	ring_vq_interrupts(&s.r, SERVER_QUEUE(&s), true);
	ck_assert_uint_eq(ask(VIRTIO_BLK_T_IN, SECTORS - 8, 4096), VIRTIO_BLK_S_OK);
	data_is_of_file((SECTORS - 8) * 512, 4096);
	ck_assert_uint_eq(stat_of("reads"), 2);
	ck_assert_uint_eq(stat_of("read_bytes"), 512 + 4096);
	ck_assert_uint_eq(server_rig_irqs(&s), _i ? 1 : 2); /* nobody has read the ISR */
	blk_down();
}
END_TEST

START_TEST(write_lands_in_the_file_and_nowhere_else)
{
	blk_up();
	rig_fill(&s.r, DATA, 0x5a, 1024);
	ck_assert_uint_eq(ask(VIRTIO_BLK_T_OUT, 3, 1024), VIRTIO_BLK_S_OK);
	for (unsigned i = 0; i < 4096; i++)
		ck_assert_uint_eq(disk_file_at(i), i >= 1536 && i < 2560 ? 0x5a : disk_byte(i));
	ck_assert_uint_eq(stat_of("writes"), 1);
	ck_assert_uint_eq(stat_of("written_bytes"), 1024);
	ck_assert_uint_eq(disk_host.flushes, 0); /* that is the driver's to ask for */
	blk_down();
}
END_TEST

/* How a chain may be cut: the device must not care (2.7.4.1). Sizes up to 0: the header
 * and data of a write of two sectors; the data and status of a read. */
static const uint32_t cuts[][6] = {
	{ 1040 }, { 16, 1024 }, { 1, 15, 1024 }, { 10, 500, 530 }, { 16, 1, 1023 }, { 7, 1033 },
};

START_TEST(write_may_be_cut_anywhere)
{
	struct ring_buf b[8];
	unsigned n = 0;
	gpa_t at = DATA;

	blk_up();
	put_header(VIRTIO_BLK_T_OUT, 4);
	rig_fill(&s.r, DATA, 0x5a, 16 + 1024);
	rig_poke(&s.r, DATA, &(struct virtio_blk_outhdr){ .type = VIRTIO_BLK_T_OUT, .sector = 4 },
		 16);
	for (; n < 6 && cuts[_i][n]; at += cuts[_i][n++])
		b[n] = (struct ring_buf){ at, cuts[_i][n], false };
	b[n++] = (struct ring_buf){ STATUS, 1, true };
	ck_assert_int_eq(server_rig_ask(&s, b, n, n & 1), 1);
	ck_assert_uint_eq(status_now(), VIRTIO_BLK_S_OK);
	for (unsigned i = 0; i < 1024; i++)
		ck_assert_uint_eq(disk_file_at(2048 + i), 0x5a);
	blk_down();
}
END_TEST

START_TEST(read_may_be_cut_anywhere)
{
	struct ring_buf b[8] = { { HDR, 16, false } };
	unsigned n = 0;
	uint8_t status = NOTHING;
	gpa_t at = DATA;

	blk_up();
	put_header(VIRTIO_BLK_T_IN, 4);
	/* 1040 bytes less 15: the status is the last, in a buffer with data or alone. */
	for (; n < 6 && cuts[_i][n]; at += cuts[_i][n++])
		b[n + 1] = (struct ring_buf){ at, cuts[_i][n], true };
	b[n].len -= 15;
	ck_assert_int_eq(server_rig_ask(&s, b, n + 1, n & 1), 1025);
	rig_peek(&s.r, DATA + 1024, &status, 1);
	ck_assert_uint_eq(status, VIRTIO_BLK_S_OK);
	data_is_of_file(2048, 1024);
	blk_down();
}
END_TEST

START_TEST(as_many_buffers_as_promised_are_taken)
{
	struct ring_buf b[VBLK_SEG_MAX + 2] = { { HDR, 16, false } };

	blk_up();
	put_header(VIRTIO_BLK_T_IN, 0);
	for (unsigned i = 0; i < VBLK_SEG_MAX; i++)
		b[1 + i] = (struct ring_buf){ DATA + 512 * i, 512, true };
	b[VBLK_SEG_MAX + 1] = (struct ring_buf){ STATUS, 1, true };
	ck_assert_int_eq(server_rig_ask(&s, b, VBLK_SEG_MAX + 2, false), VBLK_SEG_MAX * 512 + 1);
	data_is_of_file(0, VBLK_SEG_MAX * 512);
	ck_assert_uint_eq(disk_host.transfers, 1);
	blk_down();
}
END_TEST

START_TEST(flush_reaches_the_host)
{
	blk_up();
	ck_assert_uint_eq(ask(VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(disk_host.flushes, 1);
	ck_assert_uint_eq(stat_of("flushes"), 1);
	blk_down();
}
END_TEST

START_TEST(driver_that_cannot_flush_gets_safe_writes)
{
	struct virtio_blk_discard_write_zeroes g = { .sector = 0, .num_sectors = 8 };

	how.features_off = FEATURE(FLUSH);
	blk_up();
	ck_assert_uint_eq(ask(VIRTIO_BLK_T_OUT, 0, 512), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(disk_host.flushes, 1);
	ck_assert_uint_eq(ask_ranges(VIRTIO_BLK_T_WRITE_ZEROES, &g, 1), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(disk_host.flushes, 2);
	ck_assert_uint_eq(ask(VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(disk_host.flushes, 2);
	blk_down();
}
END_TEST

START_TEST(id_names_the_disk)
{
	static const uint32_t lens[] = { 20, 4096, 9 };
	char id[21] = { 0 };

	blk_up();
	rig_fill(&s.r, DATA, 0x7f, 64);
	ck_assert_uint_eq(ask(VIRTIO_BLK_T_GET_ID, 0, lens[_i]), VIRTIO_BLK_S_OK);
	rig_peek(&s.r, DATA, id, MIN(lens[_i], 20u));
	ck_assert_int_eq(strncmp(id, "duet-disk0", MIN(lens[_i], 20u)), 0);
	rig_peek(&s.r, DATA + MIN(lens[_i], 20u), id, 1);
	ck_assert_int_eq(id[0], 0x7f); /* not a byte more */
	blk_down();
}
END_TEST

START_TEST(ranges_are_zeroed_or_discarded)
{
	const struct virtio_blk_discard_write_zeroes g[] = {
		{ .sector = 8, .num_sectors = 8 },
		{ .sector = SECTORS - 8,
		  .num_sectors = 8,
		  .flags = _i == 1 ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0 },
	};
	uint32_t type = _i == 2 ? VIRTIO_BLK_T_DISCARD : VIRTIO_BLK_T_WRITE_ZEROES;

	blk_up();
	ck_assert_uint_eq(ask_ranges(type, g, 2), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(stat_of(_i == 2 ? "discards" : "zeroings"), 2);
	ck_assert_uint_eq(stat_of(_i == 2 ? "discarded_bytes" : "zeroed_bytes"), 8192);
	for (unsigned i = 0; i < 4096; i++) {
		ck_assert_uint_eq(disk_file_at(i), disk_byte(i));
		if (_i < 2) /* what is discarded may hold anything */
			ck_assert_uint_eq(disk_file_at(4096 + i), 0);
		ck_assert_uint_eq(disk_file_at(8192 + i), disk_byte(8192 + i));
	}
	blk_down();
}
END_TEST

/* --- what no sane driver asks for -------------------------------------------------------- */

#define T_(x) VIRTIO_BLK_T_##x

static const struct {
	uint32_t type;
	uint64_t sector;
	uint32_t len;
	bool ro, fault;
	uint8_t status;
} bad_requests[] = {
	{ T_(IN), SECTORS, 512, false, true, VIRTIO_BLK_S_IOERR },
	{ T_(IN), SECTORS - 1, 1024, false, true, VIRTIO_BLK_S_IOERR },
	{ T_(IN), UINT64_MAX, 512, false, true, VIRTIO_BLK_S_IOERR },
	{ T_(IN), UINT64_MAX / 512 + 1, 512, false, true,
	  VIRTIO_BLK_S_IOERR }, /* byte 0, mod 2^64 */
	{ T_(OUT), SECTORS, 512, false, true, VIRTIO_BLK_S_IOERR },
	{ T_(OUT), UINT64_MAX - 1, 1024, false, true, VIRTIO_BLK_S_IOERR },
	{ T_(OUT), INT64_MAX / 512, 1024, false, true, VIRTIO_BLK_S_IOERR },
	{ T_(IN), 0, 0, false, true, VIRTIO_BLK_S_IOERR },
	{ T_(OUT), 0, 0, false, true, VIRTIO_BLK_S_IOERR },
	{ T_(IN), 0, 513, false, true, VIRTIO_BLK_S_IOERR },
	{ T_(OUT), 0, 100, false, true, VIRTIO_BLK_S_IOERR },
	{ T_(OUT), 0, 512, true, true, VIRTIO_BLK_S_IOERR },
	{ T_(DISCARD), 0, 16, true, true, VIRTIO_BLK_S_IOERR },
	{ T_(WRITE_ZEROES), 0, 16, true, true, VIRTIO_BLK_S_IOERR },
	{ T_(DISCARD), 0, 0, false, true, VIRTIO_BLK_S_IOERR },
	{ T_(DISCARD), 0, 15, false, true, VIRTIO_BLK_S_IOERR },
	{ T_(DISCARD), 0, 16 * 17, false, true, VIRTIO_BLK_S_IOERR },
	{ T_(WRITE_ZEROES), 0, 65536, false, true, VIRTIO_BLK_S_IOERR },
	{ T_(SCSI_CMD), 0, 512, false, false, VIRTIO_BLK_S_UNSUPP },
	{ T_(SECURE_ERASE), 0, 16, false, false, VIRTIO_BLK_S_UNSUPP },
	{ T_(BARRIER), 0, 512, false, false, VIRTIO_BLK_S_UNSUPP },
	{ UINT32_MAX, 0, 512, false, false, VIRTIO_BLK_S_UNSUPP },
};

static void file_is_untouched(void)
{
	for (size_t i = 0; i < SECTORS * 512; i += 509)
		ck_assert_uint_eq(disk_file_at(i), disk_byte(i));
	ck_assert_uint_eq(ask(VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK); /* and life goes on */
	ck_assert(!server_rig_needs_reset(&s));
}

START_TEST(bad_request_is_answered_and_changes_nothing)
{
	how.ro = bad_requests[_i].ro;
	blk_up();
	ck_assert_uint_eq(ask(bad_requests[_i].type, bad_requests[_i].sector, bad_requests[_i].len),
			  bad_requests[_i].status);
	ck_assert_uint_eq(server_rig_faults(&s), bad_requests[_i].fault);
	ck_assert_uint_eq(disk_host.transfers, 0);
	file_is_untouched();
	blk_down();
}
END_TEST

static const struct {
	struct virtio_blk_discard_write_zeroes g;
	uint32_t type;
	uint8_t status;
	bool fault;
} bad_ranges[] = {
	{ { 0, 0, 0 }, T_(DISCARD), VIRTIO_BLK_S_IOERR, true },
	{ { 0, VBLK_RANGE_MAX + 1, 0 }, T_(DISCARD), VIRTIO_BLK_S_IOERR, true },
	{ { 0, UINT32_MAX, 0 }, T_(WRITE_ZEROES), VIRTIO_BLK_S_IOERR, true },
	{ { SECTORS, 1, 0 }, T_(DISCARD), VIRTIO_BLK_S_IOERR, true },
	{ { SECTORS - 1, 2, 0 }, T_(WRITE_ZEROES), VIRTIO_BLK_S_IOERR, true },
	{ { UINT64_MAX, 2, 0 }, T_(WRITE_ZEROES), VIRTIO_BLK_S_IOERR, true },
	{ { 0, 8, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP }, T_(DISCARD), VIRTIO_BLK_S_UNSUPP, false },
	{ { 0, 8, 2 }, T_(WRITE_ZEROES), VIRTIO_BLK_S_UNSUPP, false },
	{ { 0, 8, UINT32_MAX }, T_(DISCARD), VIRTIO_BLK_S_UNSUPP, false },
};

/* The sound range before the bad one is left alone, too. */
START_TEST(one_bad_range_spoils_the_request)
{
	struct virtio_blk_discard_write_zeroes g[] = { { 16, 8, 0 }, bad_ranges[_i].g };

	blk_up();
	ck_assert_uint_eq(ask_ranges(bad_ranges[_i].type, g, 2), bad_ranges[_i].status);
	ck_assert_uint_eq(server_rig_faults(&s), bad_ranges[_i].fault);
	file_is_untouched();
	blk_down();
}
END_TEST

START_TEST(request_without_a_status_is_given_back_empty)
{
	struct ring_buf b[] = { { HDR, 16, false }, { DATA, 512, false } };

	blk_up();
	put_header(VIRTIO_BLK_T_OUT, 0);
	ck_assert_int_eq(server_rig_ask(&s, b, 2, false), 0);
	ck_assert_uint_eq(server_rig_faults(&s), 1);
	file_is_untouched();
	blk_down();
}
END_TEST

START_TEST(request_without_a_whole_header_fails)
{
	struct ring_buf b[] = { { HDR, 15, false }, { STATUS, 1, true } };

	blk_up();
	put_header(VIRTIO_BLK_T_FLUSH, 0);
	ck_assert_int_eq(server_rig_ask(&s, b + _i, 2 - (unsigned)_i, false), 1);
	ck_assert_uint_eq(status_now(), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(server_rig_faults(&s), 1);
	ck_assert_uint_eq(disk_host.flushes, 0);
	blk_down();
}
END_TEST

START_TEST(status_outside_ram_breaks_the_queue)
{
	struct ring_buf b[] = { { HDR, 16, false }, { DATA, 512, false }, { 0, 1, true } };

	blk_up();
	b[2].at = rig_ram_end(&s.r);
	put_header(VIRTIO_BLK_T_OUT, 0);
	ck_assert_int_eq(server_rig_ask(&s, b, 3, false), -1);
	ck_assert(server_rig_needs_reset(&s));
	ck_assert_uint_eq(server_rig_faults(&s), 1);
	server_rig_restart(&s);
	file_is_untouched(); /* no write without a place to say so */
	blk_down();
}
END_TEST

/* --- the host fails ------------------------------------------------------------------------ */

START_TEST(host_error_is_an_io_error_and_no_fault)
{
	static const uint32_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH };
	uint32_t len = types[_i] == VIRTIO_BLK_T_FLUSH ? 0 : 512;
	struct grab g;

	blk_up();
	disk_host.error = ENOSPC;
	grab_start(&g);
	ck_assert_uint_eq(ask(types[_i], 0, len), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(ask(types[_i], 0, len), VIRTIO_BLK_S_IOERR);
	ck_assert_ptr_nonnull(strstr(grab_stop(&g), "No space left on device"));
	ck_assert_ptr_eq(strstr(g.text, "\n"), strrchr(g.text, '\n')); /* said once */
	ck_assert_uint_eq(stat_of("io_errors"), 2);
	ck_assert_uint_eq(server_rig_faults(&s), 0);
	disk_host.error = 0;
	ck_assert_uint_eq(ask(types[_i], 0, len), VIRTIO_BLK_S_OK);
	blk_down();
}
END_TEST

/* --- a thread of its own -------------------------------------------------------------------- */

START_TEST(worker_serves_while_the_guest_goes_on)
{
	struct vring_used_elem e;
	unsigned asked = 0, answered = 0;

	how.threaded = true;
	blk_up();
	ck_assert_int_eq(worker_start(&worker), 0);
	put_header(VIRTIO_BLK_T_IN, 0);
	while (answered < 2000) {
		struct ring_buf b[] = { { HDR, 16, false },
					{ DATA + asked % 64 * 512, 512, true },
					{ STATUS + asked % 64, 1, true } };

		if (asked < 2000 && ring_vq_post(&s.r, SERVER_QUEUE(&s), b, 3, false, NULL)) {
			asked++;
			ring_vq_kick(&s.r, 0);
		}
		while (ring_vq_used(&s.r, SERVER_QUEUE(&s), &e))
			answered++;
		sched_yield();
	}
	ring_virtio_accept(&s.r); /* a reset, with the thread running */
	worker_stop(&worker);
	ck_assert_uint_eq(stat_of("reads"), 2000);
	ck_assert_uint_eq(server_rig_faults(&s), 0);
	ck_assert(worker.cpu.ended);
	blk_down();
}
END_TEST

static const struct test_entry tests[] = {
	TLOOP(identity_and_configuration, 0, 2),
	TLOOP(read_brings_what_is_in_the_file, 0, 2),
	T(write_lands_in_the_file_and_nowhere_else),
	TLOOP(write_may_be_cut_anywhere, 0, 6),
	TLOOP(read_may_be_cut_anywhere, 0, 6),
	T(as_many_buffers_as_promised_are_taken),
	T(flush_reaches_the_host),
	T(driver_that_cannot_flush_gets_safe_writes),
	TLOOP(id_names_the_disk, 0, 3),
	TLOOP(ranges_are_zeroed_or_discarded, 0, 3),
	TLOOP(bad_request_is_answered_and_changes_nothing, 0, 22),
	TLOOP(one_bad_range_spoils_the_request, 0, 9),
	T(request_without_a_status_is_given_back_empty),
	TLOOP(request_without_a_whole_header_fails, 0, 2),
	T(status_outside_ram_breaks_the_queue),
	TLOOP(host_error_is_an_io_error_and_no_fault, 0, 3),
	T(worker_serves_while_the_guest_goes_on),
};

CHECK_MAIN("virtio-blk", tests)

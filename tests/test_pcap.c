/* SPDX-License-Identifier: MIT */
/* test_pcap.c: capture files, read back by a reader of our own. */
#include "tests/check_main.h"
#include "tests/rig/grab.h"
#include "tests/rig/net_rig.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const uint8_t station[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
static const struct virtio_net_hdr finished;
static struct probe probe;

static struct loop *l;
static struct net *be;
static char dir[] = "/tmp/duet-pcap-XXXXXX", file[64];

static void begin(const char *kind)
{
	int err = 0;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/f.pcap", dir);
	l = loop_new();
	be = net_open(l, kind, NULL, &err);
	ck_assert_ptr_nonnull(be);
	probe_attach(&probe, be);
}

static void end(void)
{
	net_close(be);
	loop_free(l);
	unlink(file);
	ck_assert_int_eq(rmdir(dir), 0);
}

/* The file's header, as the format's description has it; the stream stands behind it. */
static FILE *reader(void)
{
	FILE *f = fopen(file, "r");
	uint32_t head[6];

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fread(head, 4, 6, f), 6);
	ck_assert_uint_eq(head[0], 0xa1b23c4d);
	ck_assert_uint_eq(head[1], 2 | 4 << 16);
	ck_assert_uint_eq(head[2] | head[3], 0);
	ck_assert_uint_ge(head[4], 65535 + 18);
	ck_assert_uint_eq(head[5], 1);
	return f;
}

/* The next record is this frame. */
static void reads(FILE *f, const uint8_t *frame, size_t len)
{
	static uint8_t got[FRAME_BUF];
	uint32_t rec[4];

	ck_assert_uint_eq(fread(rec, 4, 4, f), 4);
	/* time()'s clock may be a tick behind. */
	ck_assert_uint_le((uint32_t)time(NULL) + 1 - rec[0], 60);
	ck_assert_uint_lt(rec[1], 1000000000);
	ck_assert_uint_eq(rec[2], len);
	ck_assert_uint_eq(rec[3], len);
	ck_assert_uint_eq(fread(got, 1, len, f), len);
	ck_assert_mem_eq(got, frame, len);
}

static void at_end(FILE *f)
{
	ck_assert_int_eq(fgetc(f), EOF);
	fclose(f);
}

START_TEST(frames_are_recorded_both_ways_as_the_backend_sees_them)
{
	static uint8_t plain[1000], large[FRAME_BUF];
	struct virtio_net_hdr h;
	size_t len = frame_tso(large, _i, TCP_ACK | TCP_PSH, 60000, &h);
	FILE *f;

	begin("loop");
	ck_assert_int_eq(net_capture(be, file), 0);
	net_set_rx_offload(be, NET_OFF_ALL);
	frame_plain(plain, sizeof(plain), station, 1);
	ck_assert_int_eq(probe_send(&probe, &finished, plain, sizeof(plain)), 0);
	ck_assert_int_eq(probe_send(&probe, &h, large, len), 0);
	ck_assert_int_eq(probe_recv(&probe, FRAME_BUF), sizeof(plain));
	ck_assert_int_eq(probe_recv(&probe, FRAME_BUF), (ssize_t)len);
	ck_assert_int_eq(probe_recv(&probe, FRAME_BUF), 0);
	/* No close: the file is whole at any time. */
	f = reader();
	reads(f, plain, sizeof(plain));
	reads(f, large, len);
	reads(f, plain, sizeof(plain));
	reads(f, large, len);
	at_end(f);
	ck_assert_uint_eq(counter_get(&be->stat.pcap_lost), 0);
	end();
}
END_TEST

START_TEST(segments_made_in_software_are_recorded_one_by_one)
{
	static uint8_t large[FRAME_BUF], seg[FRAME_BUF];
	struct virtio_net_hdr h;
	size_t len = frame_tso(large, false, TCP_ACK | TCP_PSH, 30000, &h);
	FILE *f;

	begin("null");
	be->tx_offload = 0; /* as on the ladder without offload-tx */
	ck_assert_int_eq(net_capture(be, file), 0);
	ck_assert_int_eq(probe_send(&probe, &h, large, len), 0);
	f = reader();
	for (unsigned i = 0; i < frame_segments(len, &h); i++) {
		uint32_t rec[4];

		ck_assert_uint_eq(fread(rec, 4, 4, f), 4);
		ck_assert_uint_eq(fread(seg, 1, rec[2], f), rec[2]);
		ck_assert_pstr_eq(frame_segment_wrong(large, len, &h, i, seg, rec[2]), NULL);
	}
	at_end(f);
	end();
}
END_TEST

START_TEST(frames_that_were_not_taken_are_not_recorded)
{
	static uint8_t buf[60000];
	struct virtio_net_hdr lie = { .gso_type = 77 };
	int sent = 0;
	FILE *f;

	begin("loop");
	ck_assert_int_eq(net_capture(be, file), 0);
	frame_plain(buf, sizeof(buf), station, 1);
	ck_assert_int_eq(probe_send(&probe, &lie, buf, sizeof(buf)), -EINVAL);
	while (!probe_send(&probe, &finished, buf, sizeof(buf)))
		sent++;
	f = reader();
	while (sent--)
		reads(f, buf, sizeof(buf));
	at_end(f);
	end();
}
END_TEST

static void file_limit(rlim_t bytes)
{
	struct rlimit r = { bytes, RLIM_INFINITY };

	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &r), 0);
}

START_TEST(full_file_loses_frames_counts_them_says_it_once_and_goes_on)
{
	uint8_t buf[1000];
	struct grab g;
	char want[256];
	FILE *f;

	signal(SIGXFSZ, SIG_IGN);
	begin("null");
	ck_assert_int_eq(net_capture(be, file), 0);
	grab_start(&g);
	file_limit(24 + 1016 + 500); /* one record and half of the next */
	for (unsigned i = 0; i < 4; i++) {
		frame_plain(buf, sizeof(buf), station, i);
		ck_assert_int_eq(probe_send(&probe, &finished, buf, sizeof(buf)), 0);
	}
	file_limit(RLIM_INFINITY);
	grab_stop(&g);
	snprintf(want, sizeof(want),
		 "duet: warning: pcap=%s: %s: frames are missing from it; the guest runs on\n",
		 file, strerror(ENOSPC));
	ck_assert_str_eq(g.text, want);
	ck_assert_uint_eq(counter_get(&be->stat.pcap_lost), 3);
	ck_assert_uint_eq(counter_get(&be->stat.tx_frames), 4);
	/* There is room again. */
	ck_assert_int_eq(probe_send(&probe, &finished, buf, sizeof(buf)), 0);
	f = reader();
	frame_plain(buf, sizeof(buf), station, 0);
	reads(f, buf, sizeof(buf));
	frame_plain(buf, sizeof(buf), station, 3);
	reads(f, buf, sizeof(buf));
	at_end(f);
	end();
}
END_TEST

/* net_capture() says exactly this of `file`. */
static void refused(int err, const char *what)
{
	char want[256];
	struct grab g;

	grab_start(&g);
	ck_assert_int_eq(net_capture(be, file), err);
	grab_stop(&g);
	snprintf(want, sizeof(want), "duet: pcap=%s: %s\n", file, what);
	ck_assert_str_eq(g.text, want);
	ck_assert_ptr_null(be->pcap);
}

START_TEST(file_that_cannot_be_a_capture_is_refused)
{
	begin("null");
	ck_assert_int_eq(mkfifo(file, 0600), 0);
	refused(-ENXIO, strerror(ENXIO));
	unlink(file);
	ck_assert_int_eq(symlink("/dev/null", file), 0);
	refused(-EINVAL, "not a regular file: name one that may be overwritten");
	unlink(file);
	ck_assert_int_eq(symlink("/nonexistent/x", file), 0);
	refused(-ENOENT, strerror(ENOENT));
	unlink(file);
	ck_assert_int_eq(symlink(".", file), 0);
	refused(-EISDIR, strerror(EISDIR));
	end();
}
END_TEST

START_TEST(file_that_another_nic_writes_is_refused_and_kept)
{
	struct net *other;
	uint8_t buf[60];
	int err;
	FILE *f;

	begin("null");
	other = be;
	ck_assert_int_eq(net_capture(other, file), 0);
	frame_plain(buf, sizeof(buf), station, 1);
	ck_assert_int_eq(probe_send(&probe, &finished, buf, sizeof(buf)), 0);
	be = net_open(l, "null", NULL, &err);
	refused(-EBUSY, "another NIC writes there: each needs a file of its own");
	f = reader();
	reads(f, buf, sizeof(buf));
	at_end(f);
	net_close(other);
	ck_assert_int_eq(net_capture(be, file), 0); /* overwritten */
	at_end(reader());
	end();
}
END_TEST

static const struct test_entry tests[] = {
	TLOOP(frames_are_recorded_both_ways_as_the_backend_sees_them, 0, 2),
	T(segments_made_in_software_are_recorded_one_by_one),
	T(frames_that_were_not_taken_are_not_recorded),
	T(full_file_loses_frames_counts_them_says_it_once_and_goes_on),
	T(file_that_cannot_be_a_capture_is_refused),
	T(file_that_another_nic_writes_is_refused_and_kept),
};

CHECK_MAIN("pcap", tests)

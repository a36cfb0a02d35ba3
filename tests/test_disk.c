/* SPDX-License-Identifier: MIT */
/* test_disk.c: raw files: what may be opened, what a mistake is told, transfers that are whole. */
#include "devices/disk.h"
#include "tests/check_main.h"
#include "tests/rig/disk_rig.h"
#include "tests/rig/grab.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char why[512];

static void expect_refused(const char *path, bool readonly, const char *word, const char *advice)
{
	struct disk d;

	why[0] = '\0';
	ck_assert_int_eq(disk_open(&d, path, readonly, why, sizeof(why)), -1);
	ck_assert_int_eq(d.fd, -1);
	ck_assert_msg(strstr(why, path) && strstr(why, word) && strstr(why, advice),
		      "no '%s' and '%s' in: %s", word, advice, why);
}

START_TEST(file_that_is_no_disk_is_refused_with_a_remedy)
{
	expect_refused("/nonexistent/disk", false, "No such file", "truncate");
	expect_refused("/nonexistent/disk,rw", false, "No such file", "only ro");
	expect_refused("/tmp", true, "directory", "block device");
	expect_refused("/tmp", false, "directory", "block device");
	expect_refused("/dev/null", false, "neither", "block device");
}
END_TEST

START_TEST(pipe_is_refused_not_waited_for)
{
	char path[64];

	snprintf(path, sizeof(path), "/tmp/duet-fifo-%d", (int)getpid());
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	expect_refused(path, true, "neither", "");
	unlink(path);
}
END_TEST

START_TEST(file_of_less_than_a_sector_is_refused)
{
	expect_refused(disk_file_make(0), false, "empty", "truncate");
	disk_file_remove();
	expect_refused(disk_file_make(511), false, "not even a sector", "truncate");
	disk_file_remove();
}
END_TEST

START_TEST(odd_bytes_at_the_end_are_left_out_and_said)
{
	struct grab g;
	struct disk d;

	grab_start(&g);
	ck_assert_int_eq(disk_open(&d, disk_file_make(1024 + 5), false, why, sizeof(why)), 0);
	ck_assert_ptr_nonnull(strstr(grab_stop(&g), "last 5 bytes"));
	ck_assert_uint_eq(d.sectors, 2);
	disk_close(&d);
	disk_file_remove();
}
END_TEST

static const struct {
	const char *magic, *name;
} formats[] = { { "QFI\xfb", "qcow2" }, { "KDMV", "vmdk" }, { "vhdxfile", "vhdx" } };

START_TEST(image_of_another_format_is_refused)
{
	const char *path = disk_file_make(4096);
	int fd = open(path, O_WRONLY);

	ck_assert_int_gt(pwrite(fd, formats[_i].magic, strlen(formats[_i].magic), 0), 0);
	close(fd);
	expect_refused(path, false, formats[_i].name, "qemu-img convert");
	disk_file_remove();
}
END_TEST

START_TEST(file_that_may_not_be_written_can_be_read)
{
	const char *path = disk_file_make(4096);
	struct disk d;

	ck_assert_int_eq(chmod(path, 0444), 0);
	if (!geteuid())
		ck_assert_int_eq(seteuid(65534), 0); /* root may write everything */
	expect_refused(path, false, "Permission denied", ",ro");
	ck_assert_int_eq(disk_open(&d, path, true, why, sizeof(why)), 0);
	disk_close(&d);
	if (!getuid())
		ck_assert_int_eq(seteuid(0), 0);
	disk_file_remove();
}
END_TEST

static const struct {
	bool first_ro, second_ro, ok;
} pairs[] = { { false, false, false },
	      { false, true, false },
	      { true, false, false },
	      { true, true, true } };

START_TEST(writer_excludes_all_others_until_it_closes)
{
	const char *path = disk_file_make(4096);
	struct disk a, b;

	ck_assert_int_eq(disk_open(&a, path, pairs[_i].first_ro, why, sizeof(why)), 0);
	if (pairs[_i].ok) {
		ck_assert_int_eq(disk_open(&b, path, pairs[_i].second_ro, why, sizeof(why)), 0);
		disk_close(&b);
	} else {
		expect_refused(path, pairs[_i].second_ro, "in use", ",ro");
	}
	disk_close(&a);
	ck_assert_int_eq(disk_open(&b, path, pairs[_i].second_ro, why, sizeof(why)), 0);
	disk_close(&b);
	disk_close(&b); /* harmless */
	disk_file_remove();
}
END_TEST

/* --- transfers -------------------------------------------------------------------------- */

static struct disk disk;

static void disk_up(size_t size)
{
	ck_assert_int_eq(disk_open(&disk, disk_file_make(size), false, why, sizeof(why)), 0);
}

static void disk_down(void)
{
	disk_close(&disk);
	disk_file_remove();
}

/* Bytes at a time that the host moves; each a loop of its own. */
static const size_t most[] = { 0, 1, 100, 511, 512, 1000 };

START_TEST(short_reads_are_continued)
{
	uint8_t a[700], b[324];
	struct iovec iov[] = { { a, sizeof(a) }, { b, sizeof(b) } };

	disk_up(4096);
	disk_host.most = most[_i];
	disk_host.interrupt = 3;
	ck_assert_int_eq(disk_read(&disk, iov, 2, 512), 0);
	for (size_t i = 0; i < 1024; i++)
		ck_assert_uint_eq(i < 700 ? a[i] : b[i - 700], disk_byte(512 + i));
	disk_down();
}
END_TEST

START_TEST(short_writes_are_continued)
{
	uint8_t a[700], b[324];
	struct iovec iov[] = { { a, sizeof(a) }, { b, sizeof(b) } };

	disk_up(4096);
	disk_host.most = most[_i];
	disk_host.interrupt = 3;
	memset(a, 0xaa, sizeof(a));
	memset(b, 0xbb, sizeof(b));
	ck_assert_int_eq(disk_write(&disk, iov, 2, 512), 0);
	for (size_t i = 0; i < 4096; i++)
		ck_assert_uint_eq(disk_file_at(i), i < 512 || i >= 1536 ? disk_byte(i)
						   : i < 1212           ? 0xaa
									: 0xbb);
	disk_down();
}
END_TEST

START_TEST(file_that_has_become_shorter_is_an_error)
{
	uint8_t a[1024];
	struct iovec iov = { a, sizeof(a) };

	disk_up(4096);
	ck_assert_int_eq(truncate(disk.path, 3584), 0);
	ck_assert_int_eq(disk_read(&disk, &iov, 1, 3072), -EIO);
	disk_down();
}
END_TEST

START_TEST(host_errors_are_passed_on)
{
	uint8_t a[512];
	struct iovec iov = { a, sizeof(a) };

	disk_up(4096);
	disk_host.error = ENOSPC;
	ck_assert_int_eq(disk_write(&disk, &iov, 1, 0), -ENOSPC);
	ck_assert_int_eq(disk_read(&disk, &iov, 1, 0), -ENOSPC);
	ck_assert_int_eq(disk_flush(&disk), -ENOSPC);
	disk_down();
}
END_TEST

START_TEST(discarded_blocks_are_given_back)
{
	struct stat before, after;

	disk_up(1 << 20);
	ck_assert_int_eq(disk_flush(&disk), 0);
	ck_assert_int_eq(stat(disk.path, &before), 0);
	ck_assert_int_eq(disk_discard(&disk, 65536, 512 << 10), 0);
	ck_assert_int_eq(stat(disk.path, &after), 0);
	ck_assert_int_eq(after.st_size, 1 << 20);
	ck_assert_int_lt(after.st_blocks, before.st_blocks);
	ck_assert_uint_eq(disk_file_at(65535), disk_byte(65535));
	disk_down();
}
END_TEST

START_TEST(zeroes_are_zeroes_whichever_way)
{
	bool unmap = _i & 1;

	disk_up(1 << 20);
	if (_i & 2) { /* memory knows no FALLOC_FL_ZERO_RANGE: zeroes are written */
		int fd = memfd_create("disk", 0);

		ck_assert_int_eq(ftruncate(fd, 1 << 20), 0);
		for (size_t i = 0; i < 1 << 20; i++)
			ck_assert(i % 4096 || pwrite(fd, "x", 1, (off_t)i) == 1);
		close(disk.fd);
		disk.fd = fd;
	}
	ck_assert_int_eq(disk_zero(&disk, 512, 200000, unmap), 0);
	for (size_t i = 512; i < 200512; i += 17) {
		uint8_t byte = 1;

		ck_assert_int_eq(pread(disk.fd, &byte, 1, (off_t)i), 1);
		ck_assert_uint_eq(byte, 0);
	}
	if (!(_i & 2)) {
		ck_assert_uint_eq(disk_file_at(511), disk_byte(511));
		ck_assert_uint_eq(disk_file_at(200512), disk_byte(200512));
	}
	disk_down();
}
END_TEST

static const struct test_entry tests[] = {
	T(file_that_is_no_disk_is_refused_with_a_remedy),
	T(pipe_is_refused_not_waited_for),
	T(file_of_less_than_a_sector_is_refused),
	T(odd_bytes_at_the_end_are_left_out_and_said),
	TLOOP(image_of_another_format_is_refused, 0, 3),
	T(file_that_may_not_be_written_can_be_read),
	TLOOP(writer_excludes_all_others_until_it_closes, 0, 4),
	TLOOP(short_reads_are_continued, 0, 6),
	TLOOP(short_writes_are_continued, 0, 6),
	T(file_that_has_become_shorter_is_an_error),
	T(host_errors_are_passed_on),
	T(discarded_blocks_are_given_back),
	TLOOP(zeroes_are_zeroes_whichever_way, 0, 4),
};

CHECK_MAIN("disk", tests)

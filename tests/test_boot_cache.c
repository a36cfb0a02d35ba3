/* SPDX-License-Identifier: MIT */
/*
 * test_boot_cache.c: unpacked kernels that are kept: which entry is taken, what damage is found
 * and when, how many there are, and whose directory is used.
 */
#include "tests/check_main.h"
#include "tests/rig/folder.h"
#include "vmm/boot_packed.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE      5000   /* of a kernel, */
#define PACKED    100000 /* and packed: more than its name is made of */
#define START_LEN 40     /* the last field of boot_cache.c's struct cache_tail */

static char dir[] = "/tmp/duet-test-cache-XXXXXX", cache[64];
static uint8_t kernel[SIZE], packed[PACKED];

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(cache, sizeof(cache), "%s/cache", dir);
	for (unsigned i = 0; i < PACKED; i++)
		packed[i] = (uint8_t)(i * 7 + i / 200);
	for (unsigned i = 0; i < SIZE; i++)
		kernel[i] = (uint8_t)(i * 3 + i / 100);
}

static void teardown(void)
{
	char name[FOLDER_NAME];

	folder_files(cache, name, true);
	rmdir(cache);
	rmdir(dir);
}

static void keep(void)
{
	int fd = memfd_create("kernel", MFD_CLOEXEC);

	ck_assert_int_eq(write(fd, kernel, SIZE), SIZE);
	cache_keep(cache, packed, PACKED, fd, SIZE);
	close(fd);
}

/* Is there one? Then it is the right one. */
static bool found(void)
{
	int fd = cache_find(cache, packed, PACKED, SIZE);
	uint8_t seen[SIZE];

	if (fd < 0)
		return false;
	ck_assert_int_eq(pread(fd, seen, SIZE, 0), SIZE);
	ck_assert_mem_eq(seen, kernel, SIZE);
	close(fd);
	return true;
}

static int open_entry(void)
{
	char name[FOLDER_NAME];

	ck_assert_uint_eq(folder_files(cache, name, false), 1);
	return open(name, O_RDWR);
}

static void spoil(int fd, off_t at)
{
	uint8_t byte;

	ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
	byte ^= 1;
	ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
}

/* As if the host had been started anew since the entry was last known to be right. */
static void spoil_start(int fd)
{
	spoil(fd, lseek(fd, 0, SEEK_END) - START_LEN);
}

START_TEST(kept_kernel_is_found)
{
	struct stat st;

	setup();
	ck_assert(!found());
	keep();
	ck_assert(found());
	ck_assert_int_eq(stat(cache, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0700);
	teardown();
}
END_TEST

/* The name is made of the packed bytes' end alone. */
START_TEST(another_kernel_of_the_same_name_is_not_taken)
{
	char name[FOLDER_NAME];

	setup();
	keep();
	packed[99] ^= 1;
	ck_assert(!found());
	kernel[99] ^= 1;
	keep();
	ck_assert(found());
	ck_assert_uint_eq(folder_files(cache, name, false), 1);
	packed[PACKED - 1] ^= 1;
	ck_assert(!found());
	keep();
	ck_assert_uint_eq(folder_files(cache, name, false), 2);
	teardown();
}
END_TEST

START_TEST(damaged_entry_is_not_taken)
{
	static const off_t places[] = { 0,
					700,
					SIZE - 1,
					SIZE,
					SIZE + PACKED - 1,
					SIZE + PACKED,
					SIZE + PACKED + 8,
					SIZE + PACKED + 31 };

	setup();
	for (unsigned i = 0; i < 2 * ARRAY_SIZE(places); i++) {
		off_t at = places[i / 2];
		int fd;

		keep();
		ck_assert(found());
		fd = open_entry();
		spoil_start(fd);
		spoil(fd, at);
		ck_assert(i % 2 == 0 || !ftruncate(fd, at));
		close(fd);
		ck_assert_msg(!found(), "byte %ld", (long)at);
	}
	teardown();
}
END_TEST

START_TEST(kernel_is_summed_once_a_start)
{
	char noted[2];
	int fd;

	setup();
	keep();
	fd = open_entry();
	spoil_start(fd);
	ck_assert(found());
	ck_assert_int_eq(pread(fd, &noted[0], 1, SIZE + PACKED + 32), 1);
	ck_assert(found());
	ck_assert_int_eq(pread(fd, &noted[1], 1, SIZE + PACKED + 32), 1);
	ck_assert_int_eq(noted[0], noted[1]);
	spoil(fd, 0); /* nobody looks before the next start */
	kernel[0] ^= 1;
	ck_assert(found());
	spoil_start(fd);
	ck_assert(!found());
	close(fd);
	teardown();
}
END_TEST

START_TEST(entries_are_few)
{
	char name[FOLDER_NAME];

	setup();
	for (unsigned i = 0; i < 7; i++) {
		packed[PACKED - 1] = (uint8_t)i;
		keep();
	}
	ck_assert_uint_eq(folder_files(cache, name, false), 4); /* CACHE_ENTRIES */
	ck_assert(found());                                     /* the last is among them */
	teardown();
}
END_TEST

START_TEST(directory_of_others_is_not_used)
{
	char name[FOLDER_NAME];

	setup();
	ck_assert_int_eq(mkdir(cache, 0700), 0);
	ck_assert_int_eq(chmod(cache, 0777), 0); /* anybody may have put it there */
	keep();
	ck_assert(!found());
	ck_assert_uint_eq(folder_files(cache, name, false), 0);
	teardown();
}
END_TEST

static const struct test_entry tests[] = {
	T(kept_kernel_is_found),
	T(another_kernel_of_the_same_name_is_not_taken),
	T(damaged_entry_is_not_taken),
	T(kernel_is_summed_once_a_start),
	T(entries_are_few),
	T(directory_of_others_is_not_used),
};

CHECK_MAIN("boot_cache", tests)

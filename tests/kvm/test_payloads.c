/* SPDX-License-Identifier: MIT */
/*
 * test_payloads.c: bare-metal guests (guest/payload) on the real board and a real
 * /dev/kvm, software KVM included. What the guest sees it reports as its status; what
 * the host must see is checked here.
 */
#include "guest/payload/payload.h"
#include "tests/check_main.h"
#include "vmm/board.h"
#include "vmm/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LOG_MAX 64

/* The test's own device: see payload.h. */
static struct bench {
	struct board b;
	struct opts o;
	struct region pio, mmio;
	struct msi_vec *msi;
	unsigned fired;
	unsigned n; /* vCPU 0 only */
	struct {
		uint64_t off, val;
		unsigned size;
		bool mmio;
	} log[LOG_MAX];
} bench;

static uint64_t bench_read(void *dev, uint64_t off, unsigned size)
{
	uint64_t echo = (uint64_t)ECHO_HIGH << 32 | ECHO_LOW;

	(void)dev;
	(void)size;
	return off < 8 ? echo >> (8 * off) : 0;
}

static void bench_log(bool mmio, uint64_t off, unsigned size, uint64_t val)
{
	if (bench.n == LOG_MAX)
		return;
	bench.log[bench.n].mmio = mmio;
	bench.log[bench.n].off = off;
	bench.log[bench.n].size = size;
	bench.log[bench.n++].val = val;
}

static void bench_pio_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	struct machine *m = &bench.b.m;

	(void)dev;
	if (off == TEST_RAISE - TEST_PORT)
		irq_set(m->irq(m, (unsigned)val), true);
	else if (off == TEST_LOWER - TEST_PORT)
		irq_set(m->irq(m, (unsigned)val), false);
	else if (off == TEST_FIRE - TEST_PORT)
		msi_fire(bench.msi);
	else
		bench_log(false, off, size, val);
}

static void bench_mmio_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	(void)dev;
	bench_log(true, off, size, val);
}

static const struct region_ops bench_pio_ops = { .read = bench_read,
						 .write = bench_pio_write,
						 .sizes = 1 | 2 | 4 };
static const struct region_ops bench_mmio_ops = { .read = bench_read,
						  .write = bench_mmio_write,
						  .sizes = 1 | 2 | 4 | 8 };

/* Copy build/payload/NAME.bin, which lies beside this program, to PAYLOAD_BASE. */
static void bench_load(const char *name)
{
	char path[PATH_MAX + 64], dir[PATH_MAX] = "";
	uint8_t *ram = gm_span(&bench.b.m.mem, PAYLOAD_BASE, PAYLOAD_STACK - PAYLOAD_BASE);
	ssize_t n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
	int fd;

	ck_assert_int_gt(n, 0);
	for (unsigned up = 0; up < 3; up++)
		*strrchr(dir, '/') = '\0';
	snprintf(path, sizeof(path), "%s/payload/%s.bin", dir, name);
	fd = open(path, O_RDONLY);
	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	ck_assert_int_gt(read(fd, ram, PAYLOAD_STACK - PAYLOAD_BASE), 0);
	close(fd);
}

/* A board of `cpus` vCPUs with the payload in RAM and the device on both buses. */
static void bench_build(const char *name, unsigned cpus, enum boot_mode mode)
{
	struct boot_entry entry = { .mode = mode, .ip = PAYLOAD_BASE, .arg = (1U << cpus) - 1 };

	memset(&bench, 0, sizeof(bench));
	log_set_quiet(1);
	bench.o = (struct opts){ .memory = 16 << 20, .cpus = cpus, .serial2_fd = -1 };
	ck_assert_int_eq(board_build(&bench.b, &bench.o), 0);
	ck_assert_int_eq(boot_tables_write(&bench.b.m.mem), 0);
	ck_assert_int_eq(vcpu_set_entry(&bench.b.vcpu[0], &entry), 0);
	bench_load(name);
	bench.pio = (struct region){ .name = "bench", .ops = &bench_pio_ops, .size = 16 };
	bench.mmio = (struct region){ .name = "bench", .ops = &bench_mmio_ops, .size = 4096 };
}

static void bench_map(void)
{
	ck_assert_int_eq(bus_map(&bench.b.m.pio, &bench.pio, TEST_PORT), 0);
	ck_assert_int_eq(bus_map(&bench.b.m.mmio, &bench.mmio, TEST_MMIO), 0);
}

/* Run to the end; returns the exit status. */
static int bench_run(void)
{
	int status = board_start(&bench.b);

	ck_assert_int_eq(status, 0);
	board_wait(&bench.b);
	return board_exit_status(&bench.b);
}

static void bench_free(void)
{
	bus_unmap(&bench.b.m.pio, &bench.pio);
	bus_unmap(&bench.b.m.mmio, &bench.mmio);
	board_destroy(&bench.b);
}

static void expect_log(unsigned i, uint64_t off, unsigned size, uint64_t val)
{
	ck_assert_uint_lt(i, bench.n);
	ck_assert_msg(bench.log[i].off == off && bench.log[i].size == size &&
			      bench.log[i].val == val,
		      "write %u: +%#" PRIx64 "/%u %#" PRIx64, i, bench.log[i].off,
		      bench.log[i].size, bench.log[i].val);
}

static void bench_pass(void)
{
	int status = bench_run();

	ck_assert_msg(status == PASS, "status %d %s", status, bench.b.vcpu[0].why);
}

static void bench_simple(const char *name, enum boot_mode mode)
{
	bench_build(name, 1, mode);
	bench_map();
	bench_pass();
}

START_TEST(ports_of_each_size)
{
	bench_simple("pio", BOOT_FLAT32);
	ck_assert_uint_eq(bench.n, 4);
	expect_log(0, 0, 1, 0x11);
	expect_log(1, 0, 2, 0x2211);
	expect_log(2, 0, 4, 0x44332211);
	expect_log(3, 1, 1, 0x11);
	ck_assert_uint_eq(bench.b.m.pio.unclaimed, 3);
	bench_free();
}
END_TEST

START_TEST(string_io_of_each_size)
{
	bench_simple("string", BOOT_FLAT32);
	ck_assert_uint_eq(bench.n, 12);
	for (unsigned i = 0; i < 5; i++)
		expect_log(i, 0, 1, i + 1);
	for (unsigned i = 0; i < 3; i++)
		expect_log(5 + i, 0, 2, 0x1111 * (i + 1));
	expect_log(8, 0, 4, 0x44444444);
	expect_log(9, 0, 4, 0x55555555);
	expect_log(10, 0, 1, 2);
	expect_log(11, 0, 1, 1);
	bench_free();
}
END_TEST

START_TEST(memory_of_each_size)
{
	bench_simple("mmio", BOOT_FLAT32);
	ck_assert_uint_eq(bench.n, 4);
	expect_log(0, 0, 1, 0x11);
	expect_log(1, 2, 2, 0x2211);
	expect_log(2, 4, 4, 0x44332211);
	expect_log(3, 8, 4, 0x5a5a5a5a);
	ck_assert_uint_eq(bench.b.m.mmio.unclaimed, 4);
	bench_free();
}
END_TEST

START_TEST(memory_of_eight_bytes)
{
	bench_simple("mmio64", BOOT_LONG64);
	ck_assert_uint_eq(bench.n, 1);
	expect_log(0, 0, 8, UINT64_C(0x8877665544332211));
	bench_free();
}
END_TEST

START_TEST(level_line_interrupts_until_it_is_down)
{
	bench_simple("intx", BOOT_FLAT32);
	bench_free();
}
END_TEST

START_TEST(edge_line_interrupts_through_the_pic)
{
	bench_simple("pic", BOOT_FLAT32);
	bench_free();
}
END_TEST

START_TEST(message_interrupts_once_routed)
{
	bench_build("msi", 1, BOOT_FLAT32);
	bench_map();
	bench.msi = bench.b.m.msi->alloc(bench.b.m.msi);
	ck_assert_ptr_nonnull(bench.msi);
	msi_fire(bench.msi); /* no route yet: nothing, and nothing left over */
	ck_assert_int_eq(msi_route(bench.msi, LAPIC_BASE, TEST_VECTOR + 1), 0);
	ck_assert_int_eq(msi_route(bench.msi, LAPIC_BASE, TEST_VECTOR), 0);
	bench_pass();
	bench_free();
}
END_TEST

START_TEST(others_start_by_init_and_sipi)
{
	static const unsigned cpus[] = { 2, 4, 16 };

	bench_build("smp", cpus[_i], BOOT_FLAT32);
	bench_map();
	bench_pass();
	bench_free();
}
END_TEST

static uint64_t bell_count(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void bell_add(struct region *r, uint64_t off, unsigned size)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ck_assert_int_ge(fd, 0);
	r->doorbell[r->n_doorbells++] = (struct doorbell){ .off = off, .size = size, .fd = fd };
}

START_TEST(doorbells_end_in_eventfds)
{
	bench_build("doorbell", 1, BOOT_FLAT32);
	bell_add(&bench.mmio, TEST_BELL2, 2);
	bell_add(&bench.mmio, TEST_BELL4, 4);
	bell_add(&bench.mmio, TEST_BELL_ANY, 0);
	bell_add(&bench.pio, TEST_BELL_PIO, 2);
	bench_map();
	bench_pass();
	ck_assert_uint_eq(bell_count(bench.mmio.doorbell[0].fd), 2);
	ck_assert_uint_eq(bell_count(bench.mmio.doorbell[1].fd), 1);
	ck_assert_uint_eq(bell_count(bench.mmio.doorbell[2].fd), 3);
	ck_assert_uint_eq(bell_count(bench.pio.doorbell[0].fd), 1);
	ck_assert_uint_eq(bench.n, 1);
	expect_log(0, TEST_BELL2, 4, 0x77);
	bench_free();
}
END_TEST

START_TEST(triple_fault_is_reported)
{
	bench_build("triple_fault", 1, BOOT_FLAT32);
	bench_map();
	ck_assert_int_eq(bench_run(), EXIT_CRASH);
	ck_assert_int_eq(bench.b.why, STOP_CRASH);
	ck_assert_ptr_nonnull(strstr(bench.b.vcpu[0].why, "vcpu0"));
	ck_assert_ptr_nonnull(strstr(bench.b.vcpu[0].why, "triple fault"));
	bench_free();
}
END_TEST

/* Two vCPUs, one in the guest or asleep, one waiting for SIPI. */
START_TEST(stop_reaches_a_guest_that_never_exits)
{
	static const char *const names[] = { "spin", "halt" };

	bench_build(names[_i], 2, BOOT_FLAT32);
	bench_map();
	ck_assert_int_eq(board_start(&bench.b), 0);
	bench.b.m.stop(&bench.b.m, STOP_USER, 7);
	bench.b.m.stop(&bench.b.m, STOP_USER, 8); /* the first wins */
	board_wait(&bench.b);
	ck_assert_int_eq(board_exit_status(&bench.b), 7);
	bench_free();
}
END_TEST

static const struct test_entry tests[] = {
	T(ports_of_each_size),
	T(string_io_of_each_size),
	T(memory_of_each_size),
	T(memory_of_eight_bytes),
	T(level_line_interrupts_until_it_is_down),
	T(edge_line_interrupts_through_the_pic),
	T(message_interrupts_once_routed),
	TLOOP(others_start_by_init_and_sipi, 0, 3),
	T(doorbells_end_in_eventfds),
	T(triple_fault_is_reported),
	TLOOP(stop_reaches_a_guest_that_never_exits, 0, 2),
};

#define EXIT_SKIPPED 77 /* tests/run.sh */

int main(void)
{
	char why[256];
	int fd = kvm_dev_open(KVM_DEVICE, why, sizeof(why));

	if (fd < 0) {
		printf("%s\n", why);
		return EXIT_SKIPPED;
	}
	close(fd);
	/* The board's console must not take the terminal of whoever runs the tests. */
	if (!freopen("/dev/null", "r", stdin))
		return EXIT_FAILURE;
	return check_main("payloads", tests, sizeof(tests) / sizeof(tests[0]));
}

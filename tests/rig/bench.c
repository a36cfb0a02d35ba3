/* SPDX-License-Identifier: MIT */
/*
 * bench.c: the board under test, the device of payload.h on it, and how a payload gets
 * into its memory.
 */
#include "tests/rig/bench.h"

#include "tests/check_main.h"
#include "vmm/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

struct bench bench;

static uint64_t bench_read(void *dev, uint64_t off, unsigned size)
{
	uint64_t echo = (uint64_t)ECHO_HIGH << 32 | ECHO_LOW;

	(void)dev;
	(void)size;
	return off < 8 ? echo >> (8 * off) : 0;
}

static uint64_t bench_pio_read(void *dev, uint64_t off, unsigned size)
{
	if (off == TEST_ASK - TEST_PORT && bench.ask)
		return bench.ask();
	return bench_read(dev, off, size);
}

static void bench_log(bool mmio, uint64_t off, unsigned size, uint64_t val)
{
	if (bench.n == BENCH_LOG_MAX)
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
	else if (off == TEST_COMMAND - TEST_PORT && bench.command)
		bench.command((uint8_t)val);
	else
		bench_log(false, off, size, val);
}

static void bench_mmio_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	(void)dev;
	if (bench.store)
		bench.store(off, size, val);
	else
		bench_log(true, off, size, val);
}

static const struct region_ops bench_pio_ops = { .read = bench_pio_read,
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
void bench_build(const char *name, unsigned cpus, enum boot_mode mode)
{
	struct boot_entry entry = { .mode = mode, .ip = PAYLOAD_BASE, .arg = (1U << cpus) - 1 };

	memset(&bench, 0, sizeof(bench));
	log_set_level(LOG_LEVEL_WARNING);
	bench.o = (struct opts){ .memory = 16 << 20, .cpus = cpus, .serial2_fd = -1 };
	ck_assert_int_eq(board_build(&bench.b, &bench.o), 0);
	ck_assert_int_eq(boot_tables_write(&bench.b.m.mem), 0);
	ck_assert_int_eq(vcpu_set_entry(&bench.b.vcpu[0], &entry), 0);
	bench_load(name);
	bench.pio = (struct region){ .name = "bench", .ops = &bench_pio_ops, .size = 16 };
	bench.mmio = (struct region){ .name = "bench", .ops = &bench_mmio_ops, .size = 4096 };
}

void bench_map(void)
{
	ck_assert_int_eq(bus_map(&bench.b.m.pio, &bench.pio, TEST_PORT), 0);
	ck_assert_int_eq(bus_map(&bench.b.m.mmio, &bench.mmio, TEST_MMIO), 0);
}

/* Run to the end; returns the exit status. */
int bench_run(void)
{
	int status = board_start(&bench.b);

	ck_assert_int_eq(status, 0);
	board_wait(&bench.b);
	return board_exit_status(&bench.b);
}

void bench_free(void)
{
	bus_unmap(&bench.b.m.pio, &bench.pio);
	bus_unmap(&bench.b.m.mmio, &bench.mmio);
	board_destroy(&bench.b);
}

void expect_log(unsigned i, uint64_t off, unsigned size, uint64_t val)
{
	ck_assert_uint_lt(i, bench.n);
	ck_assert_msg(bench.log[i].off == off && bench.log[i].size == size &&
			      bench.log[i].val == val,
		      "write %u: +%#" PRIx64 "/%u %#" PRIx64, i, bench.log[i].off,
		      bench.log[i].size, bench.log[i].val);
}

void bench_pass(void)
{
	int status = bench_run();

	ck_assert_msg(status == PASS, "status %d %s", status, bench.b.vcpu[0].why);
}

void bench_simple(const char *name, enum boot_mode mode)
{
	bench_build(name, 1, mode);
	bench_map();
	bench_pass();
}

#define EXIT_SKIPPED 77 /* tests/run.sh */

int bench_main(const char *suite, const struct test_entry *tests, size_t n)
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
	return check_main(suite, tests, n);
}

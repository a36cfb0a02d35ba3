/* SPDX-License-Identifier: MIT */
/* test_bus.c: the three guarantees of vmm/bus.h, and doorbells. */
#include "tests/check_main.h"
#include "vmm/bus.h"

#include <errno.h>
#include <string.h>

struct probe {
	struct region r;
	uint64_t off, val;
	unsigned size, reads, writes;
};

static uint64_t probe_read(void *dev, uint64_t off, unsigned size)
{
	struct probe *p = dev;

	p->off = off;
	p->size = size;
	p->reads++;
	return UINT64_C(0x1122334455667788);
}

static void probe_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	struct probe *p = dev;

	p->off = off;
	p->size = size;
	p->val = val;
	p->writes++;
}

static const struct region_ops probe_any = { .read = probe_read,
					     .write = probe_write,
					     .sizes = 1 | 2 | 4 | 8 };
static const struct region_ops probe_dword = { .read = probe_read,
					       .write = probe_write,
					       .sizes = 4 };

static struct access split[2];

static struct access *probe_account(void *dev, uint64_t off)
{
	(void)dev;
	return &split[off >= 0x80];
}

static const struct region_ops probe_split = {
	.read = probe_read, .write = probe_write, .sizes = 4, .account = probe_account
};

static void probe_account_seen(void *ctx, const char *name, const struct access *a)
{
	ck_assert_str_eq(name, "probe");
	ck_assert_uint_eq(counter_get(&a->reads), 17);
	++*(unsigned *)ctx;
}

static struct probe probe_new(const struct region_ops *ops, uint64_t size)
{
	return (struct probe){ .r = { .name = "probe", .ops = ops, .size = size } };
}

static int probe_map(struct bus *b, struct probe *p, uint64_t base)
{
	p->r.dev = p;
	return bus_map(b, &p->r, base);
}

static struct bus bus;

static void bus_fresh(void)
{
	bus_init(&bus, "test", false);
}

START_TEST(access_reaches_its_device_as_offset_size_value)
{
	struct probe p = probe_new(&probe_any, 0x100);

	bus_fresh();
	ck_assert_int_eq(probe_map(&bus, &p, 0x1000), 0);
	ck_assert_uint_eq(bus_read(&bus, 0x1010, 2), 0x7788);
	ck_assert_uint_eq(p.off, 0x10);
	ck_assert_uint_eq(p.size, 2);
	bus_write(&bus, 0x10fc, 4, UINT64_C(0xffffffff12345678));
	ck_assert_uint_eq(p.off, 0xfc);
	ck_assert_uint_eq(p.val, 0x12345678);
	ck_assert_uint_eq(atomic_load(&bus.unclaimed), 0);
}
END_TEST

START_TEST(unclaimed_read_is_all_ones_and_counted)
{
	bus_fresh();
	ck_assert_uint_eq(bus_read(&bus, 0x1000, 1), 0xff);
	ck_assert_uint_eq(bus_read(&bus, 0x1000, 2), 0xffff);
	ck_assert_uint_eq(bus_read(&bus, 0x1000, 4), 0xffffffff);
	ck_assert_uint_eq(bus_read(&bus, 0x1000, 8), UINT64_MAX);
	bus_write(&bus, 0x1000, 8, 1);
	ck_assert_uint_eq(atomic_load(&bus.unclaimed), 5);
}
END_TEST

START_TEST(access_across_a_region_end_is_unclaimed)
{
	struct probe p = probe_new(&probe_any, 0x10), q = probe_new(&probe_any, 0x10);

	bus_fresh();
	ck_assert_int_eq(probe_map(&bus, &p, 0x1000), 0);
	ck_assert_int_eq(probe_map(&bus, &q, 0x1010), 0);
	ck_assert_uint_eq(bus_read(&bus, 0x100e, 4), 0xffffffff);
	ck_assert_uint_eq(bus_read(&bus, 0xfff, 2), 0xffff);
	ck_assert_uint_eq(p.reads + q.reads, 0);
	bus_read(&bus, 0x1010, 4);
	ck_assert_uint_eq(q.reads, 1);
}
END_TEST

START_TEST(access_of_an_unaccepted_size_is_unclaimed)
{
	struct probe p = probe_new(&probe_dword, 0x10);

	bus_fresh();
	ck_assert_int_eq(probe_map(&bus, &p, 0), 0);
	ck_assert_uint_eq(bus_read(&bus, 0, 1), 0xff);
	bus_write(&bus, 0, 8, 0);
	ck_assert_uint_eq(p.reads + p.writes, 0);
	ck_assert_uint_eq(atomic_load(&bus.unclaimed), 2);
}
END_TEST

START_TEST(overlap_is_refused_on_either_side)
{
	struct probe p = probe_new(&probe_any, 0x100), q = probe_new(&probe_any, 0x100);

	bus_fresh();
	ck_assert_int_eq(probe_map(&bus, &p, 0x1000), 0);
	ck_assert_int_eq(probe_map(&bus, &q, 0x1000), -EEXIST);
	ck_assert_int_eq(probe_map(&bus, &q, 0x10ff), -EEXIST);
	ck_assert_int_eq(probe_map(&bus, &q, 0xf01), -EEXIST);
	ck_assert_int_eq(probe_map(&bus, &p, 0x2000), -EINVAL);
	ck_assert_int_eq(probe_map(&bus, &q, 0xf00), 0);
}
END_TEST

START_TEST(region_that_is_empty_or_wraps_is_refused)
{
	struct probe p = probe_new(&probe_any, 0), q = probe_new(&probe_any, 0x100);

	bus_fresh();
	ck_assert_int_eq(probe_map(&bus, &p, 0x1000), -EINVAL);
	ck_assert_int_eq(probe_map(&bus, &q, UINT64_MAX - 0xfe), -EINVAL);
	ck_assert_int_eq(probe_map(&bus, &q, UINT64_MAX - 0xff), 0);
}
END_TEST

START_TEST(unmapped_region_is_gone_and_may_return_elsewhere)
{
	struct probe p = probe_new(&probe_any, 0x10);

	bus_fresh();
	ck_assert_int_eq(probe_map(&bus, &p, 0x1000), 0);
	bus_read(&bus, 0x1000, 1);
	bus_unmap(&bus, &p.r);
	bus_unmap(&bus, &p.r);
	ck_assert_uint_eq(bus_read(&bus, 0x1000, 1), 0xff);
	ck_assert_int_eq(probe_map(&bus, &p, 0x2000), 0);
	bus_read(&bus, 0x2004, 1);
	ck_assert_uint_eq(p.off, 4);
	ck_assert_uint_eq(p.reads, 2);
}
END_TEST

START_TEST(full_bus_refuses_and_every_region_answers)
{
	static struct probe p[BUS_REGIONS + 1];

	bus_fresh();
	for (unsigned i = 0; i <= BUS_REGIONS; i++) {
		/* 37 is coprime to the number of regions: an insertion order that is no order */
		unsigned at = i * 37 % (BUS_REGIONS + 1);

		p[at] = probe_new(&probe_any, 8);
		ck_assert_int_eq(probe_map(&bus, &p[at], 0x1000 + 16 * at),
				 i < BUS_REGIONS ? 0 : -ENOSPC);
	}
	for (unsigned i = 0; i <= BUS_REGIONS; i++) {
		bus_read(&bus, 0x1000 + 16 * i, 8);
		ck_assert_uint_eq(p[i].reads, p[i].r.mapped ? 1 : 0);
	}
}
END_TEST

struct accel_log {
	struct bus_accel a;
	uint64_t addr;
	int fd, balance, fail;
};

static int accel_doorbell(struct bus_accel *a, uint64_t addr, const struct doorbell *d, bool on)
{
	struct accel_log *l = container_of(a, struct accel_log, a);

	l->addr = addr;
	l->fd = d->fd;
	l->balance += on ? 1 : -1;
	return l->fail;
}

START_TEST(doorbells_follow_the_region)
{
	struct accel_log l = { .a.doorbell = accel_doorbell };
	struct probe p = probe_new(&probe_any, 0x100);

	bus_fresh();
	bus.accel = &l.a;
	p.r.doorbell[p.r.n_doorbells++] = (struct doorbell){ .off = 8, .size = 2, .fd = 77 };
	ck_assert_int_eq(probe_map(&bus, &p, 0x4000), 0);
	ck_assert_uint_eq(l.addr, 0x4008);
	ck_assert_int_eq(l.fd, 77);
	ck_assert_int_eq(l.balance, 1);
	bus_unmap(&bus, &p.r);
	ck_assert_int_eq(l.balance, 0);
	ck_assert_int_eq(probe_map(&bus, &p, 0x8000), 0);
	ck_assert_uint_eq(l.addr, 0x8008);
}
END_TEST

START_TEST(doorbell_the_hypervisor_refuses_still_reaches_the_device)
{
	struct accel_log l = { .a.doorbell = accel_doorbell, .fail = -ENOSPC };
	struct probe p = probe_new(&probe_any, 0x100);

	bus_fresh();
	bus.accel = &l.a;
	p.r.doorbell[p.r.n_doorbells++] = (struct doorbell){ .off = 8, .size = 2, .fd = 77 };
	ck_assert_int_eq(probe_map(&bus, &p, 0x4000), 0);
	bus_write(&bus, 0x4008, 2, 1);
	ck_assert_uint_eq(p.writes, 1);
}
END_TEST

START_TEST(accesses_are_counted_where_the_device_says)
{
	struct probe p = probe_new(&probe_any, 0x100), q = probe_new(&probe_split, 0x100);
	unsigned seen = 0;

	bus_fresh();
	ck_assert_int_eq(probe_map(&bus, &p, 0x4000), 0);
	ck_assert_int_eq(probe_map(&bus, &q, 0x5000), 0);
	for (unsigned i = 0; i < 17; i++)
		bus_read(&bus, 0x4000 + i, 1);
	bus_write(&bus, 0x4000, 4, 1);
	bus_write(&bus, 0x40ff, 4, 1); /* beyond the end: not the device's */
	bus_read(&bus, 0x5000, 4);
	bus_write(&bus, 0x5080, 4, 1);
	ck_assert_uint_eq(counter_get(&p.r.access.reads), 17);
	ck_assert_uint_eq(counter_get(&p.r.access.writes), 1);
	ck_assert_uint_gt(counter_get(&p.r.access.ticks), 0);
	ck_assert_uint_eq(counter_get(&split[0].reads), 1);
	ck_assert_uint_eq(counter_get(&split[0].writes), 0);
	ck_assert_uint_eq(counter_get(&split[1].writes), 1);
	ck_assert(!access_seen(&q.r.access));
	bus_accounts(&bus, probe_account_seen, &seen); /* p's only */
	ck_assert_uint_eq(seen, 1);
}
END_TEST

static const struct test_entry tests[] = {
	T(access_reaches_its_device_as_offset_size_value),
	T(unclaimed_read_is_all_ones_and_counted),
	T(access_across_a_region_end_is_unclaimed),
	T(access_of_an_unaccepted_size_is_unclaimed),
	T(overlap_is_refused_on_either_side),
	T(region_that_is_empty_or_wraps_is_refused),
	T(unmapped_region_is_gone_and_may_return_elsewhere),
	T(full_bus_refuses_and_every_region_answers),
	T(doorbells_follow_the_region),
	T(doorbell_the_hypervisor_refuses_still_reaches_the_device),
	T(accesses_are_counted_where_the_device_says),
};

CHECK_MAIN("bus", tests)

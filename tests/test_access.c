/* SPDX-License-Identifier: MIT */
/* test_access.c: every access lands in the account of its register, and in no other. */
#include "devices/e1000_regs.h"
#include "tests/check_main.h"
#include "tests/rig/nic_rig.h"
#include "tests/rig/ring_e1000.h"
#include "tests/rig/ring_virtio.h"

#include <string.h>

/* What a NIC's accounts hold. */
struct tally {
	const char *name; /* looked for */
	uint64_t reads, writes, ticks;
	uint64_t all; /* accesses of every account */
	unsigned found;
};

static void tally_add(void *ctx, const char *name, const struct access *a)
{
	struct tally *t = ctx;
	uint64_t reads = counter_get(&a->reads), writes = counter_get(&a->writes);

	t->all += reads + writes;
	if (strcmp(name, t->name) != 0)
		return;
	t->found++;
	t->reads = reads;
	t->writes = writes;
	t->ticks = counter_get(&a->ticks);
}

static struct tally tally_of(struct nic *n, const char *name)
{
	struct tally t = { .name = name };

	n->ops->accounts(n, tally_add, &t);
	ck_assert_msg(t.found == 1, "%u accounts are called %s", t.found, name);
	return t;
}

/* `reads` and `writes` more than `before`, and nothing elsewhere. */
static void tally_check(struct nic *n, struct tally before, uint64_t reads, uint64_t writes)
{
	struct tally now = tally_of(n, before.name);

	ck_assert_uint_eq(now.reads - before.reads, reads);
	ck_assert_uint_eq(now.writes - before.writes, writes);
	ck_assert_uint_eq(now.all - before.all, reads + writes);
	ck_assert_uint_ge(now.ticks, before.ticks);
}

START_TEST(e1000_register_has_its_own_account)
{
	static const struct {
		const char *name;
		unsigned off, reads, writes;
	} want[] = {
		{ "TDT", TDT, 0, 1000 },    { "ICR", ICR, 17, 0 },    { "IMS", IMS, 0, 5 },
		{ "STATUS", STATUS, 3, 2 }, { "MTA", MTA + 4, 1, 1 }, { "RAH", RAH + 8, 1, 0 },
		{ "PTC", 0x40dc, 2, 0 },    { "none", 0x0004, 2, 3 },
	};
	struct nic_rig *r = nic_rig_new(RIG_E1000, NULL);
	struct tally before = tally_of(r->nic, want[_i].name);

	for (unsigned i = 0; i < want[_i].reads; i++)
		er32(r, want[_i].off);
	for (unsigned i = 0; i < want[_i].writes; i++)
		ew32(r, want[_i].off, 0);
	tally_check(r->nic, before, want[_i].reads, want[_i].writes);
	nic_rig_free(r);
}
END_TEST

START_TEST(register_behind_the_io_bar_is_the_same_register)
{
	struct nic_rig *r = nic_rig_new(RIG_E1000, NULL);
	struct bus *pio = &r->m->f->m.pio;
	struct tally status = tally_of(r->nic, "STATUS"), addr = tally_of(r->nic, "IOADDR");

	bus_write(pio, r->bar[2], 4, STATUS);
	tally_check(r->nic, addr, 0, 1);
	status.all++;
	bus_read(pio, r->bar[2] + 4, 4);
	tally_check(r->nic, status, 1, 0);
	nic_rig_free(r);
}
END_TEST

START_TEST(virtio_structure_has_its_own_account)
{
	struct nic_rig *r = nic_rig_new(RIG_VIRTIO, NULL);
	struct bus *mmio = &r->m->f->m.mmio;
	const struct {
		const char *name;
		uint64_t addr;
		unsigned size, reads, writes;
	} want[] = {
		{ "notify0", r->v.notify, 2, 0, 40 },
		{ "notify1", r->v.notify + r->v.notify_mult, 2, 1, 1 },
		{ "isr", r->v.isr, 1, 7, 0 },
		{ "common", r->v.common + 0x14, 1, 2, 0 },
		{ "device", r->v.config, 1, 6, 0 },
		{ "msix", r->v.msix, 4, 3, 0 },
		{ "other", r->v.notify + 1, 1, 1, 2 },
	};
	struct tally before = tally_of(r->nic, want[_i].name);

	for (unsigned i = 0; i < want[_i].reads; i++)
		bus_read(mmio, want[_i].addr, want[_i].size);
	for (unsigned i = 0; i < want[_i].writes; i++)
		bus_write(mmio, want[_i].addr, want[_i].size, 0);
	tally_check(r->nic, before, want[_i].reads, want[_i].writes);
	nic_rig_free(r);
}
END_TEST

START_TEST(json_names_touched_registers_only)
{
	struct nic_rig *r = nic_rig_new(RIG_E1000, NULL);
	static char text[65536];
	struct json j = { .f = fmemopen(text, sizeof(text), "w") };

	er32(r, E1000_RSRPD);
	json_open(&j, NULL, '{');
	nic_stats_json(r->nic, &j);
	json_close(&j, '}');
	fclose(j.f);
	ck_assert_ptr_nonnull(strstr(text, "\"name\": \"RSRPD\",\n      \"reads\": 1,\n"
					   "      \"writes\": 0,\n      \"ns\": "));
	ck_assert_ptr_null(strstr(text, "\"TSPMT\""));
	nic_rig_free(r);
}
END_TEST

START_TEST(ticks_are_nanoseconds)
{
	uint64_t ticks = acct_now(), ns = loop_now(), got;

	while (loop_now() - ns < 20000000)
		;
	ticks = acct_now() - ticks;
	ns = loop_now() - ns;
	got = acct_ns(ticks);
	/* Whoever is preempted between the two clocks is off by that: be generous. */
	ck_assert_uint_gt(got, ns / 2);
	ck_assert_uint_lt(got, ns * 2);
	ck_assert_uint_eq(acct_span(5, 3), 0);
}
END_TEST

/* Merged by the eventfd, on their way with a poke of the NIC's own: each is counted. */
START_TEST(virtio_doorbells_are_counted_one_by_one)
{
	struct nic_rig *r = nic_rig_new(RIG_VIRTIO, NULL);
	struct bus *mmio = &r->m->f->m.mmio;
	uint64_t tx, rx, ctrl, wakeups;

	rig_run(r);
	tx = rig_stat(r, tx_kicks);
	rx = rig_stat(r, rx_kicks);
	ctrl = rig_stat(r, ctrl_kicks);
	wakeups = rig_stat(r, wakeups);
	for (unsigned i = 0; i < 6; i++)
		bus_write(mmio, r->v.notify + i % 3 * r->v.notify_mult, 2, i % 3);
	fake_pci_write(r->m->f, r->slot, PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	for (unsigned i = 0; i < 5; i++)
		bus_write(mmio, r->v.notify + r->v.notify_mult, 2, 1);
	rig_run(r);
	ck_assert_uint_eq(rig_stat(r, rx_kicks) - rx, 2);
	ck_assert_uint_eq(rig_stat(r, tx_kicks) - tx, 7);
	ck_assert_uint_eq(rig_stat(r, ctrl_kicks) - ctrl, 2);
	ck_assert_uint_eq(rig_stat(r, wakeups) - wakeups, 3);
	nic_rig_free(r);
}
END_TEST

/* Two threads and a lock: the second says when it is about to take it. */
struct rivals {
	struct lock lock;
	_Atomic bool coming;
	uint64_t waited; /* the second's acct_waited */
};

static void *rival_take(void *arg)
{
	struct rivals *r = arg;

	atomic_store(&r->coming, true);
	lock_take(&r->lock);
	lock_drop(&r->lock);
	r->waited = acct_waited;
	return NULL;
}

static void rivals_meet(struct rivals *r)
{
	pthread_t t;
	uint64_t end;

	atomic_store(&r->coming, false);
	lock_take(&r->lock);
	pthread_create(&t, NULL, rival_take, r);
	while (!atomic_load(&r->coming))
		;
	for (end = loop_now() + 1000000; loop_now() < end;)
		;
	lock_drop(&r->lock);
	pthread_join(t, NULL);
}

START_TEST(lock_is_timed_only_when_somebody_has_it)
{
	struct rivals r = { .waited = 0 };

	lock_init(&r.lock);
	for (unsigned i = 0; i < 1000; i++) {
		lock_take(&r.lock);
		lock_drop(&r.lock);
	}
	ck_assert_uint_eq(counter_get(&r.lock.contended), 0);
	ck_assert_uint_eq(counter_get(&r.lock.ticks), 0);
	/* A busy host may run the second thread too late: then they meet again. */
	while (!counter_get(&r.lock.contended))
		rivals_meet(&r);
	ck_assert_uint_eq(counter_get(&r.lock.contended), 1);
	ck_assert_uint_gt(counter_get(&r.lock.ticks), 0);
	ck_assert_uint_eq(counter_get(&r.lock.ticks), r.waited);
	ck_assert_uint_eq(acct_waited, 0);
	lock_destroy(&r.lock);
}
END_TEST

START_TEST(without_accounting_there_are_counters_only)
{
	static const char *const bells[RIG_MODELS] = { "TDT", "notify1" };
	static const uint8_t frame[60];
	struct nic_rig *r = nic_rig_new(_i, NULL);
	uint64_t all = tally_of(r->nic, bells[_i]).all, kicks = rig_stat(r, tx_kicks);

	acct_on = false;
	ck_assert(rig_post_tx(r, frame, sizeof(frame)));
	rig_kick(r);
	rig_run(r);
	ck_assert_uint_eq(acct_now(), 0);
	ck_assert_uint_eq(tally_of(r->nic, bells[_i]).all, all);
	ck_assert_uint_eq(rig_stat(r, tx_kicks), kicks + 1);
	ck_assert_uint_eq(rig_stat(r, tx_frames), 1);
	acct_on = true;
	nic_rig_free(r);
}
END_TEST

static const struct test_entry tests[] = {
	TLOOP(e1000_register_has_its_own_account, 0, 8),
	T(register_behind_the_io_bar_is_the_same_register),
	TLOOP(virtio_structure_has_its_own_account, 0, 7),
	T(json_names_touched_registers_only),
	T(virtio_doorbells_are_counted_one_by_one),
	T(ticks_are_nanoseconds),
	TLOOP(without_accounting_there_are_counters_only, 0, RIG_MODELS),
	T(lock_is_timed_only_when_somebody_has_it),
};

CHECK_MAIN("access", tests)

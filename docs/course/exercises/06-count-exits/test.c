/* SPDX-License-Identifier: MIT */
/* test.c: the prediction beside what the e1000's own accounts say. */
#include "devices/e1000.h"
#include "exercise.h"
#include "tests/check_main.h"
#include "tests/rig/nic_rig.h"

static void add(void *ctx, const char *name, const struct access *a)
{
	(void)name;
	*(uint64_t *)ctx += counter_get(&a->reads) + counter_get(&a->writes);
}

static uint64_t accesses(struct nic_rig *r)
{
	uint64_t n = 0;

	e1000_accounts(r->nic, add, &n);
	return n;
}

static void handle_interrupt(struct nic_rig *r)
{
	ck_assert(rig_irq_level(r));
	ck_assert(rig_read32(r, r->bar[0] + E1000_ICR) & E1000_ICR_TXDW);
	rig_write32(r, r->bar[0] + E1000_IMC, 0xffffffff);
	rig_read32(r, r->bar[0] + E1000_STATUS);
	rig_write32(r, r->bar[0] + E1000_IMS, E1000_ICR_TXDW);
	rig_read32(r, r->bar[0] + E1000_STATUS);
}

static void bell(struct nic_rig *r)
{
	rig_kick(r);
	rig_run(r);
	handle_interrupt(r);
}

static uint64_t measure(unsigned frames, unsigned per_bell)
{
	static const uint8_t frame[60];
	struct nic_rig *r;
	uint64_t before;

	setenv("DUET_RUNGS", "0", 1);
	r = nic_rig_new(RIG_E1000, NULL);
	rig_write32(r, r->bar[0] + E1000_IMC, 0xffffffff);
	rig_write32(r, r->bar[0] + E1000_IMS, E1000_ICR_TXDW);
	rig_run(r);
	before = accesses(r);
	for (unsigned i = 1; i <= frames; i++) {
		ck_assert(rig_post_tx(r, frame, sizeof(frame)));
		if (i % per_bell == 0 || i == frames)
			bell(r);
	}
	before = accesses(r) - before;
	nic_rig_free(r);
	return before;
}

START_TEST(prediction_is_what_is_counted)
{
	static const unsigned cases[][2] = { { 1, 1 }, { 8, 1 }, { 8, 4 }, { 10, 4 }, { 64, 64 } };
	unsigned frames = cases[_i][0], per_bell = cases[_i][1];

	ck_assert_uint_eq(predict_accesses(frames, per_bell), measure(frames, per_bell));
}
END_TEST

START_TEST(nothing_sent_costs_nothing)
{
	ck_assert_uint_eq(predict_accesses(0, 4), 0);
}
END_TEST

START_TEST(model_in_the_experiments_words)
{
	/* RR of docs/experiment.md: 86.29 us on virtio-net, 37.88 for extra exits, 125.5 seen. */
	ck_assert_double_eq_tol(predict_ns(86290, 7.5, 5050), 124165, 1);
	ck_assert_double_eq_tol(explained(86290, 1, 37880, 125500), 0.966, 0.001);
	ck_assert_double_eq_tol(explained(8014, 1, 260, 12330), 0.060, 0.001);
	ck_assert_double_eq_tol(explained(100, 3, 10, 100), 0, 1e-9);
}
END_TEST

static const struct test_entry tests[] = {
	TLOOP(prediction_is_what_is_counted, 0, 5),
	T(nothing_sent_costs_nothing),
	T(model_in_the_experiments_words),
};

CHECK_MAIN("count-exits", tests)

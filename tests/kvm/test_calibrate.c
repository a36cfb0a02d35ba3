/* SPDX-License-Identifier: MIT */
/*
 * test_calibrate.c: measurements on a real /dev/kvm, of any flavour. Times are not judged;
 * what is, is that an event which did not take the way its kind claims is never reported
 * as measured. And the sidecar makes exactly the exits it is asked for.
 */
#include "guest/payload/calibrate.h"
#include "tests/check_main.h"
#include "tests/rig/bench.h"
#include "vmm/calibrate.h"
#include "vmm/layout.h"
#include "vmm/log.h"
#include "vmm/sidecar.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <unistd.h>

#define PATIENCE_MS 10000
#define SAMPLES     3

static struct cal_result measure(const struct cal_kind *k, int patience_ms)
{
	struct cal_result r;

	cal_measure(&r, k, SAMPLES, patience_ms);
	return r;
}

/* Not measured, for a reason that holds `word`. */
static void expect_refusal(const struct cal_kind *k, int patience_ms, const char *word)
{
	struct cal_result r = measure(k, patience_ms);

	ck_assert(!r.ok);
	ck_assert_msg(strstr(r.why, word), "'%s' without '%s'", r.why, word);
}

/* What every KVM can do must be measured; what this one cannot has a reason. */
START_TEST(each_kind_is_measured_or_says_why_not)
{
	static const char *const basic[] = { "pio_read", "pio_write", "mmio_read", "mmio_write",
					     "sidecar_exit" };
	const struct cal_kind *k = &cal_kinds[_i];
	struct cal_result r = measure(k, PATIENCE_MS);

	ck_assert(r.ok == !r.why[0]);
	for (size_t i = 0; i < ARRAY_SIZE(basic); i++)
		ck_assert_msg(r.ok || strcmp(k->name, basic[i]) != 0, "%s: %s", k->name, r.why);
	if (!r.ok)
		return;
	ck_assert(r.ns.min <= r.ns.q1 && r.ns.q1 <= r.ns.median);
	ck_assert(r.ns.median <= r.ns.q3 && r.ns.q3 <= r.ns.max);
	if (k->seen)
		ck_assert_double_gt(r.ns.base, 0);
}
END_TEST

START_TEST(exit_that_should_have_been_none_is_refused)
{
	const struct cal_kind k = { .op = CAL_OP_STORE, .where = CAL_MMIO, .batch = 4 };

	expect_refusal(&k, PATIENCE_MS, "20 of 20 came to userspace, not 0");
}
END_TEST

START_TEST(exit_that_did_not_come_is_refused)
{
	const struct cal_kind k = { .op = CAL_OP_LOOP, .batch = 4, .seen = true };

	expect_refusal(&k, PATIENCE_MS, "0 of 20 came to userspace, not 20");
}
END_TEST

static int set_unused_eventfd(struct cal *c)
{
	c->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return c->fd < 0 ? -errno : 0;
}

static uint64_t proof_of_one(struct cal *c)
{
	(void)c;
	return 1;
}

START_TEST(events_that_were_not_delivered_are_refused)
{
	const struct cal_kind k = { .op = CAL_OP_OUT,
				    .batch = 4,
				    .seen = true,
				    .setup = set_unused_eventfd,
				    .proof = proof_of_one };

	expect_refusal(&k, PATIENCE_MS, "5 of 20 were delivered");
}
END_TEST

/* Nobody raises the interrupt, so the guest waits for ever, awake or halted. */
START_TEST(guest_that_hangs_is_given_up)
{
	const struct cal_kind k = { .op = _i ? CAL_OP_HLT : CAL_OP_IRQ, .batch = 4, .seen = true };

	expect_refusal(&k, 100, "no progress for 100 ms, after 0 of 5");
}
END_TEST

START_TEST(missing_capability_is_named)
{
	const struct cal_kind k = {
		.op = CAL_OP_OUT, .batch = 4, .seen = true, .cap = 100000, .cap_name = "KVM_CAP_X"
	};

	expect_refusal(&k, PATIENCE_MS, "lacks KVM_CAP_X");
}
END_TEST

static int fail_setup(struct cal *c)
{
	(void)c;
	return -ENOSPC;
}

static int fail_host(struct cal *c, unsigned n)
{
	(void)c;
	return n == 4 ? -ENOTTY : 0;
}

START_TEST(errors_of_the_host_are_reported)
{
	const struct cal_kind setup = { .op = CAL_OP_OUT, .batch = 4, .setup = fail_setup };
	const struct cal_kind host = { .op = CAL_OP_LOOP, .batch = 4, .host = fail_host };

	expect_refusal(&setup, PATIENCE_MS, strerror(ENOSPC));
	expect_refusal(&host, PATIENCE_MS, strerror(ENOTTY));
}
END_TEST

/* --- the sidecar --------------------------------------------------------------------- */

static struct sidecar *sidecar(void)
{
	char why[256] = "";
	struct sidecar *s = sidecar_new(why, sizeof(why));

	ck_assert_msg(s != NULL, "%s", why);
	return s;
}

START_TEST(sidecar_makes_as_many_exits_as_asked)
{
	static const unsigned n[] = { 0, 1, 2, 1000, 3 };
	struct sidecar *s = sidecar();

	for (size_t i = 0; i < ARRAY_SIZE(n); i++)
		ck_assert_uint_eq(sidecar_exits(s, n[i]), n[i]);
	sidecar_free(s);
}
END_TEST

static void *run_elsewhere(void *s)
{
	return (void *)(uintptr_t)sidecar_exits(s, 100);
}

START_TEST(sidecar_runs_on_any_thread)
{
	struct sidecar *s = sidecar();
	pthread_t t;
	void *made;

	ck_assert_uint_eq(sidecar_exits(s, 10), 10);
	ck_assert_int_eq(pthread_create(&t, NULL, run_elsewhere, s), 0);
	pthread_join(t, &made);
	ck_assert_uint_eq((uintptr_t)made, 100);
	ck_assert_uint_eq(sidecar_exits(s, 10), 10);
	sidecar_free(s);
}
END_TEST

static volatile sig_atomic_t alarms;

static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

START_TEST(sidecar_is_not_disturbed_by_signals)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	struct itimerval often = { { 0, 500 }, { 0, 500 } }, off = { 0 };
	struct sidecar *s = sidecar();

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	while (alarms < 20)
		ck_assert_uint_eq(sidecar_exits(s, 100), 100);
	setitimer(ITIMER_REAL, &off, NULL);
	sidecar_free(s);
}
END_TEST

static const struct test_entry tests[] = {
	TLOOP(each_kind_is_measured_or_says_why_not, 0, CAL_KINDS),
	T(exit_that_should_have_been_none_is_refused),
	T(exit_that_did_not_come_is_refused),
	T(events_that_were_not_delivered_are_refused),
	TLOOP(guest_that_hangs_is_given_up, 0, 2),
	T(missing_capability_is_named),
	T(errors_of_the_host_are_reported),
	T(sidecar_makes_as_many_exits_as_asked),
	T(sidecar_runs_on_any_thread),
	T(sidecar_is_not_disturbed_by_signals),
};

int main(void)
{
	return bench_main("calibrate", tests, sizeof(tests) / sizeof(tests[0]));
}

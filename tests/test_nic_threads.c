/* SPDX-License-Identifier: MIT */
/*
 * test_nic_threads.c: a loop thread and two "vCPUs" on one card, to be run under the
 * thread sanitizer. One vCPU carries traffic, the other bangs on registers, masks, the
 * BAR and the command register, resets the card under the first one's feet and starts
 * it again. Nobody sleeps; everybody's work is bounded.
 *
 *   books   guards the rig's own state, as a driver's lock would; what the device is
 *           asked to do at the same time from both threads is not guarded by anything
 *   backend has a lock of its own (fake_net.h): without the worker rung a vCPU sends
 *
 * The books are handed to the bully when it wants them: a mutex alone would let the other
 * thread have them for all of its rounds, and a card that was reset stays reset meanwhile.
 */
#include "tests/rig/exam.h"
#include "tests/rig/nic_clock.h"

#include <linux/virtio_ring.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>

#define ROUNDS      20000 /* of the traffic */
#define DOORBELLS   400   /* a round of */
#define BELL_ROUNDS 1000
#define STEPS       20000 /* of the bully */
#define RESTARTS    100   /* steps between two of them */
#define PART        4     /* of all that for each single way to ring */

struct crowd {
	struct nic_rig *r;
	struct loop_event pump, fence;
	pthread_mutex_t books;
	_Atomic bool wanted; /* the books, by the bully */
	sem_t passed;
	struct prng p; /* the bully's */
	unsigned part; /* fixed: do 1 / part of it */
	/* loop thread: */
	unsigned sent;
	uint32_t seed;
	/* traffic thread, read after it was joined: */
	unsigned posted, received;
};

/* A frame or two from outside, and whatever was sent is forgotten. */
static void crowd_pump(struct loop_event *e)
{
	struct crowd *c = container_of(e, struct crowd, pump);
	struct fake_net *net = c->r->net;
	uint8_t frame[600];

	c->sent += fake_net_clear(net);
	for (unsigned i = 0; i < 2 && fake_net_waiting(net) < 20; i++) {
		frame_plain(frame, sizeof(frame), c->r->mac, c->seed++);
		fake_net_queue(net, NULL, frame, sizeof(frame));
	}
	fake_net_set_full(net, c->seed % 64 < 4);
}

static void crowd_fence(struct loop_event *e)
{
	sem_post(&container_of(e, struct crowd, fence)->passed);
}

/* Twice: the first may be served ahead of what became ready together with it. */
static void crowd_wait(void *arg)
{
	struct crowd *c = arg;

	for (unsigned i = 0; i < 2; i++) {
		watcher_look(c->r->m->f->m.watcher); /* its thread may get no time */
		loop_event_signal(&c->fence);
		while (sem_wait(&c->passed))
			;
	}
}

static void *crowd_loop(void *arg)
{
	struct crowd *c = arg;

	loop_run(c->r->m->f->m.loop);
	return NULL;
}

static void *crowd_traffic(void *arg)
{
	static struct rig_rx x;
	struct crowd *c = arg;
	struct nic_rig *r = c->r;
	uint8_t frame[900];

	frame_plain(frame, sizeof(frame), r->mac, 1);
	for (unsigned i = 0; i < ROUNDS / c->part; i++) {
		while (c->wanted)
			sched_yield();
		pthread_mutex_lock(&c->books);
		for (unsigned k = 0; k < i % 9; k++)
			c->posted += rig_post_tx(r, frame, sizeof(frame));
		rig_kick(r);
		rig_post_rx(r, 5);
		rig_tx_done(r);
		while (rig_rx_next(r, &x))
			c->received++;
		r->drv->ack(r);
		pthread_mutex_unlock(&c->books);
		loop_event_signal(&c->pump);
	}
	return NULL;
}

static void crowd_move_bar(struct crowd *c)
{
	struct nic_rig *r = c->r;

	fake_pci_write(r->m->f, r->slot, PCI_BASE_ADDRESS_0, 4, 0xe0000000);
	rig_read32(r, 0xe0000000);
	fake_pci_write(r->m->f, r->slot, PCI_BASE_ADDRESS_0, 4, (uint32_t)r->bar[0]);
}

static void crowd_bully_once(struct crowd *c)
{
	struct nic_rig *r = c->r;
	unsigned dice = prng_below(&c->p, 400);

	/* Now and then what stops the traffic until the next restart, mostly not. */
	if (dice == 0)
		r->drv->reset(r);
	else if (dice == 1)
		fake_pci_write(r->m->f, r->slot, PCI_COMMAND, 2,
			       PCI_COMMAND_MEMORY | (unsigned)(prng_next(&c->p) & 0x404));
	else if (dice < 5)
		crowd_move_bar(c);
	else if (dice < 100)
		r->drv->mask(r, dice % 2);
	else
		rig_read32(r, r->bar[0] + (prng_below(&c->p, 0x6000) & ~3u));
}

static void *crowd_bully(void *arg)
{
	struct crowd *c = arg;
	struct nic_rig *r = c->r;

	for (unsigned i = 0; i < STEPS / c->part; i++) {
		crowd_bully_once(c);
		if (i % RESTARTS)
			continue;
		c->wanted = true;
		pthread_mutex_lock(&c->books);
		c->wanted = false;
		fake_pci_write(r->m->f, r->slot, PCI_COMMAND, 2,
			       PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		r->drv->mask(r, false);
		rig_restart(r);
		pthread_mutex_unlock(&c->books);
	}
	return NULL;
}

/*
 * Doorbells with pauses that no two rounds share, so that they find the device awake,
 * asleep, and just about to sleep. Then nothing may be left in the ring.
 */
static void *crowd_doorbells(void *arg)
{
	struct crowd *c = arg;
	struct nic_rig *r = c->r;
	uint8_t frame[100];

	frame_plain(frame, sizeof(frame), r->mac, 1);
	for (unsigned i = 0; i < BELL_ROUNDS / c->part; i++) {
		for (unsigned k = 0; k < DOORBELLS; k++) {
			c->posted += rig_post_tx(r, frame, sizeof(frame));
			rig_kick(r);
			rig_tx_done(r);
			for (volatile unsigned spin = prng_below(&c->p, 1 + i % 600); spin; spin--)
				;
		}
		/* A turn of the loop may take no more than a batch. */
		for (unsigned k = 0; k < 20 && rig_tx_done(r) != c->posted; k++)
			crowd_wait(c);
		if (rig_tx_done(r) != c->posted)
			break;
		crowd_wait(c);
		fake_net_clear(r->net); /* the loop has nothing left to do with it */
	}
	return NULL;
}

/* Run `one` and `two` (may be NULL) as vCPUs beside a loop thread. */
static void crowd_run(struct crowd *c, void *(*one)(void *), void *(*two)(void *))
{
	pthread_t loop, vcpu[2];

	ck_assert_int_eq(watcher_start(c->r->m->f->m.watcher), 0);
	ck_assert_int_eq(pthread_create(&loop, NULL, crowd_loop, c), 0);
	ck_assert_int_eq(pthread_create(&vcpu[0], NULL, one, c), 0);
	if (two)
		ck_assert_int_eq(pthread_create(&vcpu[1], NULL, two, c), 0);
	pthread_join(vcpu[0], NULL);
	if (two)
		pthread_join(vcpu[1], NULL);
	watcher_stop(c->r->m->f->m.watcher);
	loop_stop(c->r->m->f->m.loop);
	pthread_join(loop, NULL);
}

/* The dust settles: the same card, one thread. */
static void crowd_epilogue(struct crowd *c)
{
	static struct rig_rx x;
	struct nic_rig *r = c->r;

	r->m->wait = NULL;
	nic_clock_stop(r);
	fake_net_set_full(r->net, false);
	fake_pci_write(r->m->f, r->slot, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	r->drv->mask(r, false);
	rig_restart(r);
	rig_post_rx(r, 200);
	rig_run(r);
	while (rig_rx_next(r, &x))
		;
	exam_works(r);
}

static void crowd_init(struct crowd *c, int model, const struct rig_opts *o)
{
	*c = (struct crowd){ .r = nic_rig_new(model, o), .p = { .s = 1234567 }, .part = 1 };
	pthread_mutex_init(&c->books, NULL);
	sem_init(&c->passed, 0, 0);
	ck_assert_int_eq(loop_event_init(c->r->m->f->m.loop, &c->pump, crowd_pump), 0);
	ck_assert_int_eq(loop_event_init(c->r->m->f->m.loop, &c->fence, crowd_fence), 0);
	c->r->m->wait = crowd_wait;
	c->r->m->wait_arg = c;
	nic_clock_start(c->r);
}

static void crowd_fini(struct crowd *c)
{
	crowd_epilogue(c);
	loop_event_destroy(&c->pump);
	loop_event_destroy(&c->fence);
	sem_destroy(&c->passed);
	pthread_mutex_destroy(&c->books);
	nic_rig_free(c->r);
}

static void exam_shared(int model, unsigned part)
{
	struct crowd c;

	crowd_init(&c, model, NULL);
	c.part = part;
	crowd_run(&c, crowd_traffic, crowd_bully);
	ck_assert_uint_gt(c.posted, 0);
	if (part == 1) { /* on a busy host a short part may be over before the loop's first turn */
		ck_assert_uint_gt(c.received, 0);
		ck_assert_uint_gt(c.sent, 0);
	}
	ck_assert_uint_le(c.sent, c.posted);
	crowd_fini(&c);
}

START_TEST(card_shared_by_threads_keeps_its_head)
{
	exam_shared(_i, 1);
}
END_TEST

/* Was the way to ring that the rungs promise taken at all? */
static void exam_way_taken(struct nic_rig *r)
{
	if (rig_has(r, POLL))
		ck_assert_uint_gt(rig_stat(r, poll_spells), 0);
	if (rig_has(r, RAM))
		ck_assert_uint_gt(rig_stat(r, ram_spells), 0);
	if (rig_has(r, COALESCED) && !rig_has(r, RAM))
		ck_assert_uint_gt(counter_get(&r->m->f->m.mmio.coalesced), 0);
}

static void exam_doorbells(int model, const struct rig_opts *o, unsigned part)
{
	struct crowd c;

	crowd_init(&c, model, o);
	c.part = part;
	crowd_run(&c, crowd_doorbells, NULL);
	ck_assert_uint_gt(c.posted, DOORBELLS);
	ck_assert_uint_eq(rig_tx_done(c.r), c.posted);
	exam_way_taken(c.r);
	crowd_fini(&c);
}

START_TEST(doorbell_is_never_lost)
{
	exam_doorbells(_i, NULL, 1);
}
END_TEST

START_TEST(doorbell_is_never_lost_without_event_idx)
{
	struct rig_opts o = { .features_off = BIT64(VIRTIO_RING_F_EVENT_IDX) };

	exam_doorbells(RIG_VIRTIO, &o, 1);
}
END_TEST

/* Each way to ring, for the sanitizer, which does not go through tests/rungs.sh. */
static const struct {
	int model;
	unsigned rungs;
} ways[] = {
	{ RIG_E1000, LADDER_QEMU },                    /* the vCPU that rings sends */
	{ RIG_E1000, BIT(RUNG_POLL) - 1 },             /* each doorbell exits */
	{ RIG_E1000, LADDER_BEST & ~BIT(RUNG_RAM) },   /* queued by KVM, watched */
	{ RIG_E1000, LADDER_ALL },                     /* in memory, ICR as well */
	{ RIG_VIRTIO, LADDER_QEMU },                   /* as above */
	{ RIG_VIRTIO, LADDER_BEST & ~BIT(RUNG_POLL) }, /* an eventfd */
};

/* False: the rungs are given by who runs us. */
static bool way_choose(int i)
{
	char mask[16];

	snprintf(mask, sizeof(mask), "%#x", ways[i].rungs);
	return !getenv("DUET_RUNGS") && !setenv("DUET_RUNGS", mask, 1);
}

START_TEST(doorbell_is_never_lost_whichever_way_it_takes)
{
	if (!way_choose(_i))
		return;
	exam_doorbells(ways[_i].model, NULL, PART);
	unsetenv("DUET_RUNGS");
}
END_TEST

START_TEST(card_is_reset_and_moved_whichever_way_the_doorbell_takes)
{
	if (!way_choose(_i))
		return;
	exam_shared(ways[_i].model, PART);
	unsetenv("DUET_RUNGS");
}
END_TEST

static const struct test_entry tests[] = {
	EXAM(card_shared_by_threads_keeps_its_head),
	EXAM(doorbell_is_never_lost),
	T(doorbell_is_never_lost_without_event_idx),
	TLOOP(doorbell_is_never_lost_whichever_way_it_takes, 0, (int)ARRAY_SIZE(ways)),
	TLOOP(card_is_reset_and_moved_whichever_way_the_doorbell_takes, 0, (int)ARRAY_SIZE(ways)),
};

CHECK_MAIN("nic threads", tests)

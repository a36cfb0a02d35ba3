/* SPDX-License-Identifier: MIT */
/*
 * test_nic_threads.c: a loop thread and two "vCPUs" on one card, to be run under the
 * thread sanitizer. One vCPU carries traffic, the other bangs on registers, masks, the
 * BAR and the command register, resets the card under the first one's feet and starts
 * it again. Nobody sleeps; everybody's work is bounded.
 *
 *   books   guards the rig's own state, as a driver's lock would; what the device is
 *           asked to do at the same time from both threads is not guarded by anything
 *   the fake backend belongs to the loop thread, which the pump runs on
 */
#include "tests/rig/exam.h"

#include <linux/virtio_pci.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>

#define ROUNDS   20000 /* of the traffic */
#define STEPS    20000 /* of the bully */
#define RESTARTS 100   /* steps between two of them */

struct crowd {
	struct nic_rig *r;
	struct loop_event pump, fence;
	pthread_mutex_t books;
	sem_t passed;
	struct prng p; /* the bully's */
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

	c->sent += net->sent_nr;
	fake_net_clear(net);
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
	for (unsigned i = 0; i < ROUNDS; i++) {
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

	for (unsigned i = 0; i < STEPS; i++) {
		crowd_bully_once(c);
		if (i % RESTARTS)
			continue;
		pthread_mutex_lock(&c->books);
		fake_pci_write(r->m->f, r->slot, PCI_COMMAND, 2,
			       PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		r->drv->mask(r, false);
		rig_restart(r);
		pthread_mutex_unlock(&c->books);
	}
	return NULL;
}

static void crowd_run(struct crowd *c)
{
	pthread_t loop, traffic, bully;

	ck_assert_int_eq(pthread_create(&loop, NULL, crowd_loop, c), 0);
	ck_assert_int_eq(pthread_create(&traffic, NULL, crowd_traffic, c), 0);
	ck_assert_int_eq(pthread_create(&bully, NULL, crowd_bully, c), 0);
	pthread_join(traffic, NULL);
	pthread_join(bully, NULL);
	loop_stop(c->r->m->f->m.loop);
	pthread_join(loop, NULL);
}

/* The dust settles: the same card, one thread. */
static void crowd_epilogue(struct crowd *c)
{
	static struct rig_rx x;
	struct nic_rig *r = c->r;

	r->m->wait = NULL;
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

START_TEST(card_shared_by_threads_keeps_its_head)
{
	struct crowd c = { .r = nic_rig_new(_i, NULL), .p = { .s = 1234567 } };
	struct loop *l = c.r->m->f->m.loop;

	pthread_mutex_init(&c.books, NULL);
	sem_init(&c.passed, 0, 0);
	ck_assert_int_eq(loop_event_init(l, &c.pump, crowd_pump), 0);
	ck_assert_int_eq(loop_event_init(l, &c.fence, crowd_fence), 0);
	c.r->m->wait = crowd_wait;
	c.r->m->wait_arg = &c;
	crowd_run(&c);
	ck_assert_uint_gt(c.posted, 0);
	ck_assert_uint_gt(c.received, 0);
	ck_assert_uint_gt(c.sent, 0);
	ck_assert_uint_le(c.sent, c.posted);
	crowd_epilogue(&c);
	loop_event_destroy(&c.pump);
	loop_event_destroy(&c.fence);
	sem_destroy(&c.passed);
	pthread_mutex_destroy(&c.books);
	nic_rig_free(c.r);
}
END_TEST

static const struct test_entry tests[] = {
	EXAM(card_shared_by_threads_keeps_its_head),
};

CHECK_MAIN("nic threads", tests)

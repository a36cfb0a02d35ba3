/* SPDX-License-Identifier: MIT */
/*
 * test_nic_quiesce.c: a driver that has stopped its card frees the memory that the card knew
 * of. So when the write that stops it has returned, nobody is reading or writing there any
 * more, and nobody begins to: reset, receiver or transmitter off, no bus master.
 *
 * The backend takes its time over a frame, on one thread; the driver stops the card on another
 * one meanwhile. The backend waits for that to return, for a while: the stop has to outlast it.
 */
#include "tests/rig/exam.h"
#include "tests/rig/ring_e1000.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define RAM      (UINT64_C(64) << 20)
#define PATIENCE 50000000 /* ns that a backend waits for a stop that must not return yet */

/* Its BARs stay where they are. */
static void master(struct nic_rig *r, bool on)
{
	unsigned now = fake_pci_read(r->m->f, r->slot, PCI_COMMAND, 2);

	fake_pci_write(r->m->f, r->slot, PCI_COMMAND, 2,
		       (now & ~(unsigned)PCI_COMMAND_MASTER) | (on ? PCI_COMMAND_MASTER : 0));
}

static void stop_by_command(struct nic_rig *r)
{
	master(r, false);
}

static void stop_by_reset(struct nic_rig *r)
{
	r->drv->reset(r);
}

static void stop_by_rctl(struct nic_rig *r)
{
	ew32(r, RCTL, 0);
}

static void stop_by_tctl(struct nic_rig *r)
{
	ew32(r, TCTL, 0);
}

static const struct stop {
	int model;
	bool tx; /* the frame in question goes out */
	void (*stop)(struct nic_rig *r);
} stops[] = {
	{ RIG_E1000, false, stop_by_rctl },     { RIG_E1000, true, stop_by_tctl },
	{ RIG_E1000, false, stop_by_reset },    { RIG_E1000, true, stop_by_reset },
	{ RIG_E1000, false, stop_by_command },  { RIG_E1000, true, stop_by_command },
	{ RIG_VIRTIO, false, stop_by_reset },   { RIG_VIRTIO, true, stop_by_reset },
	{ RIG_VIRTIO, false, stop_by_command }, { RIG_VIRTIO, true, stop_by_command },
};

struct scene {
	/* fixed: */
	struct nic_rig *r;
	const struct stop *how;
	uint8_t *ram; /* as it was when the stop returned */
	/* any thread: */
	sem_t begun, returned;
	_Atomic bool over;
	/* the backend's thread: */
	bool seen;
	/* the driver's thread, read after it was joined: */
	bool outlasted;
};

/* The first frame under way, only. */
static void scene_busy(void *arg)
{
	struct scene *s = arg;
	struct timespec until;

	if (s->seen)
		return;
	s->seen = true;
	sem_post(&s->begun);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += PATIENCE;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	sem_timedwait(&s->returned, &until);
	s->over = true;
}

static void *scene_driver(void *arg)
{
	struct scene *s = arg;

	sem_wait(&s->begun);
	s->how->stop(s->r);
	s->outlasted = s->over;
	gm_read(&s->r->m->f->m.mem, 0, s->ram, RAM);
	sem_post(&s->returned);
	return NULL;
}

static void scene_frames(struct scene *s)
{
	uint8_t frame[1000];

	for (unsigned i = 0; i < 20; i++) {
		frame_plain(frame, sizeof(frame), s->r->mac, i);
		if (s->how->tx)
			rig_post_tx(s->r, frame, sizeof(frame));
		else
			fake_net_queue(s->r->net, NULL, frame, sizeof(frame));
	}
	if (s->how->tx)
		rig_kick(s->r); /* without the worker this is who sends */
	rig_run(s->r);
}

/* What the driver freed belongs to others now, and is as they left it. */
static void scene_unhurt(struct scene *s)
{
	uint8_t *now = malloc(RAM);

	ck_assert_ptr_nonnull(now);
	for (unsigned i = 0; i < 3; i++)
		rig_run(s->r);
	ck_assert_int_eq(gm_read(&s->r->m->f->m.mem, 0, now, RAM), 0);
	ck_assert(!memcmp(now, s->ram, RAM));
	free(now);
}

static void scene_fini(struct scene *s)
{
	s->r->net->busy = NULL;
	master(s->r, true);
	rig_restart(s->r);
	nic_rig_free(s->r);
	sem_destroy(&s->begun);
	sem_destroy(&s->returned);
	free(s->ram);
}

START_TEST(stopped_card_leaves_memory_alone)
{
	struct rig_opts o = { .ram = RAM };
	struct scene s = { .how = &stops[_i], .ram = malloc(RAM) };
	pthread_t driver;

	ck_assert_ptr_nonnull(s.ram);
	s.r = nic_rig_new(s.how->model, &o);
	rig_post_rx(s.r, 100);
	rig_run(s.r);
	sem_init(&s.begun, 0, 0);
	sem_init(&s.returned, 0, 0);
	s.r->net->busy = scene_busy;
	s.r->net->busy_arg = &s;
	ck_assert_int_eq(pthread_create(&driver, NULL, scene_driver, &s), 0);
	scene_frames(&s);
	pthread_join(driver, NULL);
	ck_assert(s.outlasted);
	scene_unhurt(&s);
	scene_fini(&s);
}
END_TEST

static const struct test_entry tests[] = {
	TLOOP(stopped_card_leaves_memory_alone, 0, (int)ARRAY_SIZE(stops)),
};

CHECK_MAIN("nic quiesce", tests)

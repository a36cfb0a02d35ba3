/* SPDX-License-Identifier: MIT */
/*
 * calibrate.c: one virtual machine per kind of event, so that a kind which this host's
 * KVM cannot do takes no other with it. The guest's questions drive it: its thread asks
 * what to do next, and base and event take turns, so that drift hits both alike. The main
 * thread only watches that there is progress.
 */
#include "vmm/calibrate.h"

#include "guest/payload/calibrate.h"
#include "vmm/board.h"
#include "vmm/log.h"
#include "vmm/sidecar.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CAL_RAM         RAM_1M
#define CAL_PATIENCE_MS 10000

static const uint8_t cal_payload[] = {
#include "payload/calibrate.hex"
};

/* --- what the guest reaches; vCPU thread ------------------------------------------ */

static void cal_done(struct cal *c)
{
	uint64_t one = 1;

	if (write(c->done_fd, &one, sizeof(one)) < 0)
		log_error("calibrate: %s", strerror(errno));
}

/* Is the sample under way one of the event, not of the base? */
static bool cal_measuring(const struct cal *c)
{
	return c->turn & 1;
}

static uint32_t cal_next(struct cal *c)
{
	const struct cal_kind *k = c->kind;

	if (c->err || c->turn == 2 * (c->samples + CAL_WARMUP)) {
		cal_done(c);
		return CAL_OP_STOP;
	}
	return cal_measuring(c) ? k->op : k->base ? k->base : CAL_OP_LOOP;
}

static uint64_t cal_control_read(void *dev, uint64_t off, unsigned size)
{
	struct cal *c = dev;

	(void)size;
	switch (CAL_CONTROL + off) {
	case CAL_NEXT:
		return cal_next(c);
	case CAL_COUNT:
		return c->kind->batch;
	case CAL_WHERE:
		return c->kind->where ? c->kind->where : CAL_PORT;
	default:
		return 0;
	}
}

static void cal_end(struct cal *c, uint64_t now)
{
	if (c->turn >= 2 * (c->samples + CAL_WARMUP))
		return;
	if (c->kind->proof && cal_measuring(c))
		c->proved += c->kind->proof(c);
	c->ns[c->turn] = now - c->begin;
	c->turn++;
}

static void cal_control_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	struct cal *c = dev;
	uint64_t now = loop_now();

	(void)size;
	(void)val;
	if (CAL_CONTROL + off == CAL_END)
		cal_end(c, now);
	if (CAL_CONTROL + off != CAL_BEGIN)
		return;
	c->begin = loop_now();
	if (c->kind->host && cal_measuring(c))
		c->err = c->kind->host(c, c->kind->batch);
}

static uint64_t cal_read(void *dev, uint64_t off, unsigned size)
{
	struct cal *c = dev;

	(void)off;
	(void)size;
	c->seen += cal_measuring(c);
	return 0;
}

static void cal_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	struct cal *c = dev;

	(void)off;
	(void)size;
	(void)val;
	c->seen += cal_measuring(c);
	if (c->kind->raise && cal_measuring(c))
		c->kind->raise(c);
}

static const struct region_ops cal_control_ops = { .read = cal_control_read,
						   .write = cal_control_write,
						   .sizes = 4 };
static const struct region_ops cal_ops = { .read = cal_read, .write = cal_write, .sizes = 4 };

static void cal_stop(struct machine *m, enum stop_reason why, int code)
{
	(void)why;
	(void)code;
	cal_done(container_of(m, struct cal, m));
}

/* --- the machine ------------------------------------------------------------------- */

static void cal_worker_kicked(struct loop_event *e)
{
	struct cal *c = container_of(e, struct cal, worker.kick);

	for (uint64_t i = 0; i < e->count; i++)
		c->worker.answer(c);
}

static void *cal_worker_thread(void *arg)
{
	pthread_setname_np(pthread_self(), "worker");
	loop_run(arg);
	return NULL;
}

/* For kinds that set worker.answer. */
static int cal_worker_start(struct cal *c)
{
	struct cal_worker *w = &c->worker;
	int err;

	if (!w->answer)
		return 0;
	w->loop = loop_new();
	if (!w->loop)
		return -errno;
	err = loop_event_init(w->loop, &w->kick, cal_worker_kicked);
	if (!err)
		err = -pthread_create(&w->thread, NULL, cal_worker_thread, w->loop);
	w->started = !err;
	return err;
}

static void cal_worker_stop(struct cal_worker *w)
{
	if (w->started) {
		loop_stop(w->loop);
		pthread_join(w->thread, NULL);
	}
	if (w->loop)
		loop_event_destroy(&w->kick);
	loop_free(w->loop);
}

static int cal_load(struct cal *c)
{
	int err = gm_init(&c->m.mem, CAL_RAM);

	if (!err)
		err = gm_write(&c->m.mem, PAYLOAD_BASE, cal_payload, sizeof(cal_payload));
	if (!err)
		err = boot_tables_write(&c->m.mem);
	return err ? err : kvm_map_memory(&c->kvm, &c->m.mem);
}

static int cal_map(struct cal *c)
{
	int err;

	c->m.pio.accel = &c->kvm.pio.accel;
	c->m.mmio.accel = &c->kvm.mmio.accel;
	err = bus_map(&c->m.pio, &c->control, CAL_CONTROL);
	if (!err)
		err = bus_map(&c->m.pio, &c->port, CAL_PORT);
	return err ? err : bus_map(&c->m.mmio, &c->mmio, CAL_MMIO);
}

static int cal_build(struct cal *c)
{
	struct boot_entry entry = { .mode = BOOT_FLAT32, .ip = PAYLOAD_BASE };
	int err = cal_load(c);

	c->irq = irq_kvm_new(&c->kvm);
	c->ns = calloc(2 * (size_t)(c->samples + CAL_WARMUP), sizeof(*c->ns));
	if (!err && (!c->irq || !c->ns || c->done_fd < 0))
		err = -errno;
	if (!err)
		err = vcpu_init(&c->vcpu, &c->kvm, &c->m, 0, 1);
	if (!err)
		err = vcpu_set_entry(&c->vcpu, &entry);
	if (!err && c->kind->setup)
		err = c->kind->setup(c);
	if (!err)
		err = cal_worker_start(c);
	if (!err)
		err = cal_map(c);
	return err ? err : vcpu_start(&c->vcpu);
}

/* The guest stops using a thing before it goes. */
static void cal_destroy(struct cal *c)
{
	int fds[] = { c->fd, c->resample_fd, c->done_fd };

	vcpu_stop(&c->vcpu);
	cal_worker_stop(&c->worker);
	vcpu_destroy(&c->vcpu);
	bus_unmap(&c->m.mmio, &c->mmio);
	bus_unmap(&c->m.pio, &c->port);
	irq_kvm_free(c->irq);
	kvm_close(&c->kvm);
	sidecar_free(c->sidecar);
	gm_destroy(&c->m.mem);
	bus_destroy(&c->m.mmio);
	bus_destroy(&c->m.pio);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(c->page);
	free(c->ns);
}

/* --- a measurement ------------------------------------------------------------------ */

/* Wait for the end; false when the guest got nowhere. */
static bool cal_wait(struct cal *c, int patience_ms)
{
	struct pollfd p = { .fd = c->done_fd, .events = POLLIN };
	unsigned turn = ~0u;

	for (;;) {
		int n = poll(&p, 1, patience_ms);

		if (n > 0)
			return true;
		if (!n && c->turn == turn)
			return false;
		if (!n)
			turn = c->turn;
	}
}

/* Did each event take the way it should have? If not, say so in `why`. */
static bool cal_judge(const struct cal *c, char *why, size_t size)
{
	uint64_t events = (uint64_t)c->kind->batch * (c->samples + CAL_WARMUP);
	uint64_t seen = c->kind->seen ? events : 0;

	if (c->vcpu.why[0])
		snprintf(why, size, "%s", c->vcpu.why);
	else if (c->err)
		snprintf(why, size, "%s", strerror(-c->err));
	else if (c->seen != seen)
		snprintf(why, size, "%" PRIu64 " of %" PRIu64 " came to userspace, not %" PRIu64,
			 c->seen, events, seen);
	else if (c->kind->proof && c->proved != events)
		snprintf(why, size, "%" PRIu64 " of %" PRIu64 " were delivered", c->proved, events);
	else
		return true;
	return false;
}

static void cal_run(struct cal *c, struct cal_result *r, int patience_ms)
{
	int err = cal_build(c);
	bool done = !err && cal_wait(c, patience_ms);

	vcpu_stop(&c->vcpu);
	if (err)
		snprintf(r->why, sizeof(r->why), "cannot set it up: %s", strerror(-err));
	else if (!done)
		snprintf(r->why, sizeof(r->why), "no progress for %d ms, after %u of %u samples",
			 patience_ms, c->turn / 2, c->samples + CAL_WARMUP);
	else
		r->ok = cal_judge(c, r->why, sizeof(r->why));
	if (r->ok)
		r->ns = cal_figures(c->ns + 2 * CAL_WARMUP, c->samples, c->kind->batch);
}

void cal_measure(struct cal_result *r, const struct cal_kind *k, unsigned samples, int patience_ms)
{
	struct cal c = {
		.m.stop = cal_stop,
		.kind = k,
		.samples = samples,
		.vcpu.fd = -1,
		.done_fd = eventfd(0, EFD_CLOEXEC),
		.fd = -1,
		.resample_fd = -1,
		.worker.kick.f.fd = -1,
	};

	c.control = (struct region){
		.name = "control", .ops = &cal_control_ops, .dev = &c, .size = CAL_CONTROL_NR
	};
	c.port = (struct region){ .name = "port", .ops = &cal_ops, .dev = &c, .size = 4 };
	c.mmio = (struct region){ .name = "mmio", .ops = &cal_ops, .dev = &c, .size = 4096 };
	bus_init(&c.m.pio, "pio", true);
	bus_init(&c.m.mmio, "mmio", false);
	*r = (struct cal_result){ .kind = k };
	if (kvm_open(&c.kvm, r->why, sizeof(r->why)) < 0)
		;
	else if (k->cap && !kvm_dev_cap(c.kvm.dev, k->cap))
		snprintf(r->why, sizeof(r->why), "this KVM lacks %s", k->cap_name);
	else
		cal_run(&c, r, patience_ms);
	cal_destroy(&c);
}

int calibrate_run(bool json, unsigned samples)
{
	struct cal_report report = { .f = stdout, .json = json, .samples = samples };
	char why[256];
	int fd = kvm_dev_open(KVM_DEVICE, why, sizeof(why));

	if (fd < 0) {
		log_error("%s", why);
		return EXIT_HOST;
	}
	close(fd);
	cal_report_begin(&report);
	for (unsigned i = 0; i < CAL_KINDS; i++) {
		struct cal_result r;

		cal_measure(&r, &cal_kinds[i], samples, CAL_PATIENCE_MS);
		cal_report_kind(&report, &r);
	}
	cal_report_end(&report);
	return EXIT_OK;
}

/* SPDX-License-Identifier: MIT */
/*
 * test_virtio_rng.c: random numbers asked for by a driver, lawful and not; and with that
 * device, the simplest of them, what devices/virtio_server.c does for all.
 */
#include "devices/virtio_rng.h"
#include "tests/check_main.h"
#include "tests/rig/server_rig.h"

#include <linux/virtio_ids.h>
#include <string.h>

static struct server_rig s;
static struct virtio_rng *rng;

static void rng_up_with(bool intx, uint64_t features_off)
{
	server_rig_up(&s);
	s.r.opts.intx = intx;
	s.r.opts.features_off = features_off;
	rng = virtio_rng_new(&s.r.m->f->m, s.r.m->pci, SERVER_SLOT);
	ck_assert_ptr_nonnull(rng);
	server_rig_plug(&s, virtio_rng_server(rng));
}

static void rng_up(void)
{
	rng_up_with(false, 0);
}

static void rng_down(void)
{
	virtio_rng_free(rng);
	server_rig_down(&s);
}

static int64_t ask(uint32_t len)
{
	struct ring_buf b = { SERVER_MEM, len, true };

	return server_rig_ask(&s, &b, 1, false);
}

/* How many of the first `n` bytes of the buffer are not what `rig_fill(0)` left. */
static unsigned changed(uint32_t n)
{
	unsigned count = 0;
	uint8_t byte;

	for (uint32_t i = 0; i < n; i++) {
		rig_peek(&s.r, SERVER_MEM + i, &byte, 1);
		count += byte != 0;
	}
	return count;
}

START_TEST(identity_is_an_entropy_source_without_configuration)
{
	rng_up();
	ck_assert_uint_eq(fake_pci_read(s.r.m->f, SERVER_SLOT, PCI_VENDOR_ID, 2), 0x1af4);
	ck_assert_uint_eq(fake_pci_read(s.r.m->f, SERVER_SLOT, PCI_DEVICE_ID, 2),
			  0x1040 + VIRTIO_ID_RNG);
	ck_assert_uint_eq(s.r.v.config, 0); /* no such capability */
	rng_down();
}
END_TEST

START_TEST(request_is_filled_up_to_the_bound)
{
	static const struct {
		uint32_t asked, got;
	} requests[] = { { 1, 1 }, { 64, 64 }, { 256, 256 }, { 257, 256 }, { 65536, 256 } };
	uint32_t asked = requests[_i].asked, got = requests[_i].got;

	rng_up();
	rig_fill(&s.r, SERVER_MEM, 0, 65536);
	ck_assert_int_eq(ask(asked), got);
	if (got >= 64)
		ck_assert_uint_gt(changed(got), got / 2); /* fails once in 2^100 runs */
	ck_assert_uint_eq(changed(65536), changed(got));  /* and nothing behind them */
	ck_assert_uint_eq(server_rig_faults(&s), 0);
	rng_down();
}
END_TEST

START_TEST(two_answers_differ)
{
	uint8_t first[64], second[64];

	rng_up();
	ask(64);
	rig_peek(&s.r, SERVER_MEM, first, 64);
	ask(64);
	rig_peek(&s.r, SERVER_MEM, second, 64);
	ck_assert_mem_ne(first, second, 64);
	rng_down();
}
END_TEST

START_TEST(request_with_nothing_to_fill_is_a_fault)
{
	struct ring_buf b[] = { { SERVER_MEM, 16, false }, { SERVER_MEM, 64, true } };

	rng_up();
	ck_assert_int_eq(server_rig_ask(&s, b, 1, false), 0);
	ck_assert_int_eq(server_rig_ask(&s, b, 2, false), 0);
	ck_assert_int_eq(ask(0), 0);
	ck_assert_uint_eq(server_rig_faults(&s), 3);
	ck_assert_int_eq(ask(64), 64);
	rng_down();
}
END_TEST

/* --- the server ------------------------------------------------------------------------- */

START_TEST(answer_interrupts_by_line_or_message)
{
	rng_up_with(_i, 0);
	ring_vq_interrupts(&s.r, SERVER_QUEUE(&s), true);
	ask(8);
	ck_assert_uint_eq(server_rig_irqs(&s), 1);
	ck_assert_uint_eq(counter_get(&s.v->stat.irqs), 1);
	ring_vq_interrupts(&s.r, SERVER_QUEUE(&s), false);
	ask(8);
	ck_assert_uint_eq(server_rig_irqs(&s), 1);
	ck_assert_uint_eq(counter_get(&s.v->stat.irqs_suppressed), 1);
	rng_down();
}
END_TEST

START_TEST(full_queue_is_served_by_batches)
{
	uint64_t off = _i ? BIT64(VIRTIO_RING_F_EVENT_IDX) | BIT64(VIRTIO_RING_F_INDIRECT_DESC) : 0;
	struct vring_used_elem e;
	unsigned n = 0;

	rng_up_with(false, off);
	for (unsigned i = 0; i < VSERVER_QUEUE; i++) {
		struct ring_buf b = { SERVER_MEM + 16 * i, 16, true };

		ck_assert(ring_vq_post(&s.r, SERVER_QUEUE(&s), &b, 1, false, NULL));
	}
	ring_vq_kick(&s.r, 0);
	server_rig_run(&s);
	while (ring_vq_used(&s.r, SERVER_QUEUE(&s), &e))
		n++;
	ck_assert_uint_eq(n, VSERVER_QUEUE);
	ck_assert_uint_eq(counter_get(&s.v->stat.kicks), 1); /* the others were its own */
	ck_assert_uint_gt(counter_get(&s.v->stat.wakeups), 5);
	ck_assert_int_eq(ask(8), 8); /* and it can be woken again */
	rng_down();
}
END_TEST

START_TEST(device_that_is_no_bus_master_waits)
{
	struct fake_machine *f;
	struct vring_used_elem e;

	rng_up();
	f = s.r.m->f;
	fake_pci_write(f, SERVER_SLOT, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	ck_assert_int_eq(ask(8), -1);
	fake_pci_write(f, SERVER_SLOT, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	server_rig_run(&s);
	ck_assert(ring_vq_used(&s.r, SERVER_QUEUE(&s), &e));
	rng_down();
}
END_TEST

START_TEST(reset_device_serves_nothing_until_started)
{
	struct ring_buf b = { SERVER_MEM, 8, true };

	rng_up();
	rig_fill(&s.r, SERVER_MEM, 0, 8);
	ck_assert(ring_vq_post(&s.r, SERVER_QUEUE(&s), &b, 1, false, NULL));
	ring_vq_ring_bell(&s.r, 0);
	ring_virtio_accept(&s.r); /* resets it before its turn */
	server_rig_run(&s);
	ck_assert_uint_eq(changed(8), 0);
	server_rig_restart(&s);
	ck_assert_int_eq(ask(8), 8);
	rng_down();
}
END_TEST

static void loop_chain(void)
{
	struct vring_desc d = { .addr = SERVER_MEM, .len = 8, .flags = VRING_DESC_F_WRITE };

	d.flags |= VRING_DESC_F_NEXT; /* to itself */
	ring_vq_put_desc(&s.r, SERVER_QUEUE(&s), 0, &d);
	ring_vq_put_avail(&s.r, SERVER_QUEUE(&s), 0);
}

static void buffer_outside_ram(void)
{
	struct vring_desc d = { .addr = rig_ram_end(&s.r) - 4,
				.len = 8,
				.flags = VRING_DESC_F_WRITE };

	ring_vq_put_desc(&s.r, SERVER_QUEUE(&s), 0, &d);
	ring_vq_put_avail(&s.r, SERVER_QUEUE(&s), 0);
}

static void huge_length(void)
{
	struct vring_desc d = { .addr = SERVER_MEM,
				.len = UINT32_MAX,
				.flags = VRING_DESC_F_WRITE };

	ring_vq_put_desc(&s.r, SERVER_QUEUE(&s), 0, &d);
	ring_vq_put_avail(&s.r, SERVER_QUEUE(&s), 0);
}

static void index_too_far(void)
{
	ring_vq_set_avail_idx(&s.r, SERVER_QUEUE(&s), VSERVER_QUEUE + 1);
}

static void head_outside_the_table(void)
{
	ring_vq_put_avail(&s.r, SERVER_QUEUE(&s), VSERVER_QUEUE);
}

/* An indirect table of more buffers than a request may have. */
static void too_many_buffers(void)
{
	gpa_t table = SERVER_MEM + 65536;
	struct vring_desc d = { .addr = table,
				.len = 16 * (VSERVER_IOV + 1),
				.flags = VRING_DESC_F_INDIRECT };

	ring_vq_put_desc(&s.r, SERVER_QUEUE(&s), 0, &d);
	for (unsigned i = 0; i <= VSERVER_IOV; i++) {
		d = (struct vring_desc){ .addr = SERVER_MEM,
					 .len = 1,
					 .flags = VRING_DESC_F_WRITE };
		d.flags |= i < VSERVER_IOV ? VRING_DESC_F_NEXT : 0;
		d.next = (uint16_t)(i + 1);
		rig_poke(&s.r, table + 16 * i, &d, sizeof(d));
	}
	ring_vq_put_avail(&s.r, SERVER_QUEUE(&s), 0);
}

static void (*const sabotages[])(void) = {
	loop_chain,    buffer_outside_ram,     huge_length,
	index_too_far, head_outside_the_table, too_many_buffers
};

START_TEST(broken_queue_asks_for_a_reset_and_works_after_it)
{
	rng_up();
	sabotages[_i]();
	ring_vq_ring_bell(&s.r, 0);
	server_rig_run(&s);
	ck_assert(server_rig_needs_reset(&s));
	ck_assert_uint_eq(server_rig_faults(&s), 1);
	ring_vq_ring_bell(&s.r, 0); /* nobody looks */
	server_rig_run(&s);
	ck_assert_uint_eq(server_rig_faults(&s), 1);
	server_rig_restart(&s);
	ck_assert(!server_rig_needs_reset(&s));
	ck_assert_int_eq(ask(8), 8);
	rng_down();
}
END_TEST

START_TEST(statistics_tell_what_was_done)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	struct json j = { .f = f };

	rng_up();
	ask(64);
	ask(300);
	json_open(&j, NULL, '{');
	vserver_stats_json(s.v, &j);
	json_close(&j, '}');
	vserver_stats_print(s.v, f);
	fclose(f);
	ck_assert_ptr_nonnull(strstr(text, "\"requests\": 2,"));
	ck_assert_ptr_nonnull(strstr(text, "\"bytes\": 320,"));
	ck_assert_ptr_nonnull(strstr(text, "\"model\": \"virtio-rng\""));
	ck_assert_ptr_nonnull(strstr(text, "320  of entropy given"));
	free(text);
	rng_down();
}
END_TEST

static const struct test_entry tests[] = {
	T(identity_is_an_entropy_source_without_configuration),
	TLOOP(request_is_filled_up_to_the_bound, 0, 5),
	T(two_answers_differ),
	T(request_with_nothing_to_fill_is_a_fault),
	TLOOP(answer_interrupts_by_line_or_message, 0, 2),
	TLOOP(full_queue_is_served_by_batches, 0, 2),
	T(device_that_is_no_bus_master_waits),
	T(reset_device_serves_nothing_until_started),
	TLOOP(broken_queue_asks_for_a_reset_and_works_after_it, 0, 6),
	T(statistics_tell_what_was_done),
};

CHECK_MAIN("virtio-rng", tests)

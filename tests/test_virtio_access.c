/* SPDX-License-Identifier: MIT */
/*
 * test_virtio_access.c: the PCI transport used as no driver uses it: accesses of any size
 * at any place, fields that are not to be written, and reset in the middle of anything.
 * How it is meant to be used is in test_virtio_pci.c.
 */
#include "tests/check_main.h"
#include "tests/rig/virtio_toy.h"

#include <string.h>

#define COMMON_LEN sizeof(struct virtio_pci_common_cfg)

/* --- reads ---------------------------------------------------------------------------- */

START_TEST(part_of_a_field_and_parts_of_two_may_be_read)
{
	toy_up();
	toy_set(toy.common + CFG(queue_select), 2, 1);
	toy_set(toy.common + CFG(queue_desc_lo), 4, 0x44332210);
	toy_set(toy.common + CFG(queue_desc_hi), 4, 0x88776655);
	ck_assert_uint_eq(toy_get(toy.common + CFG(queue_desc_lo) + 1, 1), 0x22);
	ck_assert_uint_eq(toy_get(toy.common + CFG(queue_desc_lo) + 1, 2), 0x3322);
	ck_assert_uint_eq(toy_get(toy.common + CFG(queue_desc_lo) + 3, 4), 0x77665544);
	ck_assert_uint_eq(toy_get(toy.common + CFG(device_status), 4), 0x10000); /* queue_select */
	ck_assert_uint_eq(toy_get(toy.config_at + 3, 2), 0x0504);
	toy_down();
}
END_TEST

/* An ISR that is read by another width is not read: the cause would be lost. */
START_TEST(isr_is_cleared_by_a_read_of_it_alone)
{
	static const struct {
		unsigned off, size;
	} other[] = { { 0, 2 }, { 0, 4 }, { 0, 8 }, { 1, 1 }, { 1, 4 } };

	toy_up();
	toy_start();
	toy_interrupt(0);
	for (unsigned i = 0; i < ARRAY_SIZE(other); i++)
		ck_assert_uint_eq(toy_get(toy.isr + other[i].off, other[i].size),
				  bus_ones(other[i].size));
	ck_assert(toy_line());
	ck_assert_uint_eq(toy_get(toy.isr, 1), 1);
	toy_down();
}
END_TEST

static void exam_nothing(uint64_t addr, unsigned size)
{
	ck_assert_uint_eq(toy_get(addr, size), bus_ones(size));
}

START_TEST(there_is_nothing_behind_a_structure)
{
	toy_up();
	for (unsigned size = 1; size <= 8; size *= 2) {
		exam_nothing(toy.common + COMMON_LEN, size);
		exam_nothing(toy.config_at + sizeof(toy.config), size);
		exam_nothing(toy.isr - 1, size); /* the last byte of a page, and beyond */
		exam_nothing(toy.notify, size);
		exam_nothing(toy.notify + 1, size);
	}
	exam_nothing(toy.common + COMMON_LEN - 1, 2);
	exam_nothing(toy.common + COMMON_LEN - 2, 4);
	exam_nothing(toy.config_at + sizeof(toy.config) - 1, 2);
	exam_nothing(toy.common, 8); /* a field of 64 bits is two of 32 */
	ck_assert_uint_eq(toy.faults, 0);
	toy_down();
}
END_TEST

/* --- writes --------------------------------------------------------------------------- */

/* Everything a driver can see. */
struct view {
	uint8_t common[COMMON_LEN], config[sizeof(toy.config)];
};

static void look(struct view *v)
{
	for (unsigned i = 0; i < sizeof(v->common); i++)
		v->common[i] = (uint8_t)toy_get(toy.common + i, 1);
	for (unsigned i = 0; i < sizeof(v->config); i++)
		v->config[i] = (uint8_t)toy_get(toy.config_at + i, 1);
}

static const struct {
	unsigned off, size;
} read_only[] = {
	{ CFG(device_feature), 4 },     { CFG(num_queues), 2 }, { CFG(config_generation), 1 },
	{ CFG(queue_notify_off), 2 },   { COMMON_LEN, 1 },      { COMMON_LEN, 4 },
	{ CFG(device_feature) + 2, 2 },
};

START_TEST(what_is_read_only_is_not_written)
{
	struct view before, after;

	toy_up();
	look(&before);
	toy_set(toy.common + read_only[_i].off, read_only[_i].size, UINT32_MAX);
	look(&after);
	ck_assert_mem_eq(&before, &after, sizeof(before));
	toy_down();
}
END_TEST

/* 4.1.3.1: a field is written whole, by an access of its own width. All others are tried. */
START_TEST(write_that_is_no_field_changes_nothing)
{
	struct view before, after;
	unsigned faults = 0;

	toy_up();
	look(&before);
	for (unsigned off = 0; off < COMMON_LEN + 8; off++) {
		for (unsigned size = 1; size <= 8; size *= 2) {
			bool two = off >= CFG(msix_config) && off < CFG(queue_desc_lo);
			bool one = off == CFG(device_status) || off == CFG(config_generation);

			if (size == (one ? 1 : two ? 2 : 4) && off % size == 0)
				continue; /* a field */
			toy_set(toy.common + off, size, UINT64_MAX);
			faults += size <= 4; /* wider than the bus, it does not arrive */
		}
	}
	look(&after);
	ck_assert_mem_eq(&before, &after, sizeof(before));
	ck_assert_uint_ge(faults, 2 * COMMON_LEN);
	ck_assert_uint_eq(toy.faults, faults);
	ck_assert_uint_eq(toy.resets + toy.driver_oks, 0);
	toy_down();
}
END_TEST

START_TEST(isr_and_device_configuration_are_not_written)
{
	struct view before, after;

	toy_up();
	toy_start();
	toy_interrupt(0);
	look(&before);
	for (unsigned size = 1; size <= 4; size *= 2) {
		toy_set(toy.isr, size, 0);
		toy_set(toy.config_at, size, UINT32_MAX);
	}
	look(&after);
	ck_assert_mem_eq(&before, &after, sizeof(before));
	ck_assert_uint_eq(toy_get(toy.isr, 1), 1);
	toy_down();
}
END_TEST

/* --- queues --------------------------------------------------------------------------- */

START_TEST(queue_that_does_not_exist_takes_nothing)
{
	static const unsigned absent[] = { 2, 3, 255, 0xffff };
	struct view before, after;

	toy_up();
	ck_assert(toy_negotiate(BIT64(VIRTIO_F_VERSION_1)));
	for (unsigned i = 0; i < ARRAY_SIZE(absent); i++) {
		toy_set(toy.common + CFG(queue_select), 2, absent[i]);
		look(&before);
		toy_set(toy.common + CFG(queue_size), 2, 4);
		toy_set(toy.common + CFG(queue_msix_vector), 2, 0);
		toy_place_queue(absent[i], TOY_DESC, TOY_AVAIL, TOY_USED);
		look(&after);
		ck_assert_mem_eq(&before, &after, sizeof(before));
	}
	ck_assert(!toy_queue_enabled(0) && !toy_queue_enabled(1));
	ck_assert(!(toy_status() & VIRTIO_CONFIG_S_NEEDS_RESET));
	toy_down();
}
END_TEST

START_TEST(queue_is_enabled_by_1_and_once)
{
	toy_up();
	ck_assert(toy_negotiate(BIT64(VIRTIO_F_VERSION_1)));
	toy_place_queue(0, TOY_DESC, TOY_AVAIL, TOY_USED);
	toy_set(toy.common + CFG(queue_select), 2, 1);
	toy_set(toy.common + CFG(queue_enable), 2, 0);
	toy_set(toy.common + CFG(queue_enable), 2, 2);
	toy_set(toy.common + CFG(queue_enable), 2, 0xffff);
	ck_assert(!toy_queue_enabled(1));
	ck_assert_uint_eq(toy.faults, 0);
	toy.vp.q[0].vq.next_avail = 7;
	toy_set(toy.common + CFG(queue_select), 2, 0);
	toy_set(toy.common + CFG(queue_enable), 2, 1);
	toy_set(toy.common + CFG(queue_enable), 2, 0);
	ck_assert(toy_queue_enabled(0));
	ck_assert_uint_eq(toy.vp.q[0].vq.next_avail, 7); /* it did not start over */
	ck_assert_uint_eq(toy.faults, 2);
	toy_down();
}
END_TEST

START_TEST(vector_may_change_while_the_queue_runs)
{
	toy_up();
	toy_enable_msix();
	toy_start();
	for (unsigned i = 0; i < 3; i++) {
		toy_set(toy.common + CFG(queue_msix_vector), 2, i);
		ck_assert(toy_interrupt(0));
		ck_assert_uint_eq(toy_fires(i), 1);
	}
	toy_set(toy.common + CFG(queue_msix_vector), 2, VIRTIO_MSI_NO_VECTOR);
	ck_assert(!toy_interrupt(0));
	toy_set(toy.common + CFG(queue_msix_vector), 2, 1);
	toy_set(toy.common + CFG(queue_msix_vector), 2, 3); /* out of range: none, not the old */
	ck_assert(!toy_interrupt(0));
	ck_assert_uint_eq(toy_fires(0) + toy_fires(1) + toy_fires(2), 3);
	ck_assert_uint_eq(toy.faults, 0);
	toy_down();
}
END_TEST

START_TEST(configuration_change_without_a_vector_shows_in_the_isr)
{
	toy_up();
	toy_enable_msix();
	toy_start();
	toy_change_config(0, 9);
	ck_assert_uint_eq(toy_fires(0) + toy_fires(1) + toy_fires(2), 0);
	ck_assert(!toy_line());
	ck_assert_uint_eq(toy_get(toy.isr, 1), VIRTIO_PCI_ISR_CONFIG);
	toy_down();
}
END_TEST

/* --- status --------------------------------------------------------------------------- */

START_TEST(status_bits_are_only_ever_added)
{
	unsigned all;

	toy_up();
	toy_start();
	all = toy_status();
	toy_set(toy.common + CFG(device_status), 1, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	ck_assert_uint_eq(toy_status(), all);
	toy_set(toy.common + CFG(device_status), 1, VIRTIO_CONFIG_S_DRIVER_OK);
	ck_assert_uint_eq(toy_status(), all);
	ck_assert_uint_eq(toy.driver_oks, 1);
	ck_assert_uint_eq(toy.resets, 0);
	toy_down();
}
END_TEST

static void get_acknowledged(void)
{
	toy_add_status(VIRTIO_CONFIG_S_ACKNOWLEDGE);
}

static void get_driver(void)
{
	toy_add_status(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	toy_accept(TOY_OFFERED);
	toy_set(toy.common + CFG(device_feature_select), 4, 1);
}

static void get_refused(void)
{
	ck_assert(!toy_negotiate(TOY_OFFERED | BIT64(1)));
}

static void get_negotiated(void)
{
	ck_assert(toy_negotiate(TOY_OFFERED));
}

static void get_queues(void)
{
	get_negotiated();
	toy_place_queue(0, TOY_DESC, TOY_AVAIL, TOY_USED);
	toy_set(toy.common + CFG(queue_msix_vector), 2, 1);
	toy_place_queue(1, TOY_DESC + 0x8000, TOY_AVAIL + 0x8000, TOY_USED + 0x8000);
}

static void get_misplaced(void)
{
	get_negotiated();
	toy_place_queue(1, TOY_RAM, TOY_AVAIL, TOY_USED);
	ck_assert(toy_status() & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void get_interrupting(void)
{
	toy_start();
	toy_interrupt(0);
	toy_change_config(0, 1);
}

static void get_broken(void)
{
	toy_start();
	toy_break("a test");
}

static void get_failed(void)
{
	toy_start();
	toy_add_status(VIRTIO_CONFIG_S_FAILED);
	ck_assert(toy_status() & VIRTIO_CONFIG_S_FAILED);
}

static void get_reset(void)
{
	toy_set(toy.common + CFG(device_status), 1, 0);
	toy.resets = 0;
}

static void (*const states[])(void) = {
	get_reset,     get_acknowledged, get_driver,       get_refused, get_negotiated, get_queues,
	get_misplaced, toy_start,        get_interrupting, get_broken,  get_failed,
};

START_TEST(reset_leads_to_power_on_from_every_state)
{
	struct view fresh, reset;

	toy_up();
	look(&fresh);
	states[_i]();
	toy.driver_oks = 0;
	toy_set(toy.common + CFG(device_status), 1, 0);
	ck_assert_uint_eq(toy.resets, 1);
	ck_assert(!toy_line());
	ck_assert_uint_eq(toy_get(toy.isr, 1), 0);
	look(&reset);
	/* Not of the transport: the device's own, and the count of its changes. */
	memcpy(reset.config, fresh.config, sizeof(reset.config));
	reset.common[CFG(config_generation)] = fresh.common[CFG(config_generation)];
	ck_assert_mem_eq(&reset, &fresh, sizeof(fresh));
	ck_assert(!toy_queue_enabled(0) && !toy_queue_enabled(1));
	toy_start();
	ck_assert_uint_eq(toy.driver_oks, 1);
	ck_assert(toy_interrupt(0));
	ck_assert(toy_line());
	toy_down();
}
END_TEST

static const struct test_entry tests[] = {
	T(part_of_a_field_and_parts_of_two_may_be_read),
	T(isr_is_cleared_by_a_read_of_it_alone),
	T(there_is_nothing_behind_a_structure),
	TLOOP(what_is_read_only_is_not_written, 0, ARRAY_SIZE(read_only)),
	T(write_that_is_no_field_changes_nothing),
	T(isr_and_device_configuration_are_not_written),
	T(queue_that_does_not_exist_takes_nothing),
	T(queue_is_enabled_by_1_and_once),
	T(vector_may_change_while_the_queue_runs),
	T(configuration_change_without_a_vector_shows_in_the_isr),
	T(status_bits_are_only_ever_added),
	TLOOP(reset_leads_to_power_on_from_every_state, 0, ARRAY_SIZE(states)),
};

CHECK_MAIN("virtio access", tests)

/* SPDX-License-Identifier: MIT */
/*
 * test_virtio_pci.c: the PCI transport with a device behind it that does nothing: finding
 * it, negotiating with it, placing queues, doorbells, interrupts, reset, and the window
 * in configuration space.
 */
#include "tests/check_main.h"
#include "tests/rig/virtio_toy.h"

/* The PCI_CFG capability's data, behind the part that all have. */
#define WINDOW_DATA 16u

/* --- finding the device --------------------------------------------------------------------- */

START_TEST(identity_is_modern)
{
	toy_up();
	ck_assert_uint_eq(toy_pci_get(PCI_VENDOR_ID, 2), 0x1af4);
	ck_assert_uint_eq(toy_pci_get(PCI_DEVICE_ID, 2), 0x1040 + TOY_TYPE);
	ck_assert_uint_ge(toy_pci_get(PCI_REVISION_ID, 1), 1);
	ck_assert_uint_ge(toy_pci_get(PCI_SUBSYSTEM_ID, 2), 0x40);
	toy_down();
}
END_TEST

START_TEST(every_structure_has_a_capability)
{
	toy_up();
	ck_assert(toy.common && toy.notify && toy.isr && toy.config_at && toy.window && toy.msix);
	ck_assert_uint_eq(toy_get(toy.common + CFG(num_queues), 2), 2);
	ck_assert_uint_eq(toy_get(toy.config_at, 4), 0x04030201);
	ck_assert_uint_eq(toy_get(toy.config_at + 4, 2), 0x0605);
	ck_assert_uint_eq(toy_get(toy.config_at + 4, 4), 0xffffffff); /* beyond the structure */
	ck_assert_uint_eq(toy_get(toy.isr, 1), 0);
	ck_assert_uint_eq(toy_pci_get(toy.msix + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE, 2);
	toy_down();
}
END_TEST

START_TEST(power_on_state_is_that_of_reset)
{
	toy_up();
	ck_assert_uint_eq(toy_status(), 0);
	ck_assert_uint_eq(toy_get(toy.common + CFG(msix_config), 2), VIRTIO_MSI_NO_VECTOR);
	toy_set(toy.common + CFG(queue_select), 2, 1);
	ck_assert_uint_eq(toy_get(toy.common + CFG(queue_size), 2), 64);
	ck_assert_uint_eq(toy_get(toy.common + CFG(queue_msix_vector), 2), VIRTIO_MSI_NO_VECTOR);
	ck_assert_uint_eq(toy_get(toy.common + CFG(queue_enable), 2), 0);
	toy_set(toy.common + CFG(queue_select), 2, 2);
	ck_assert_uint_eq(toy_get(toy.common + CFG(queue_size), 2), 0); /* no such queue */
	toy_down();
}
END_TEST

/* --- negotiation ------------------------------------------------------------------------------ */

START_TEST(offered_features_are_shown_64_bits_wide)
{
	toy_up();
	ck_assert_uint_eq(toy_offered(), TOY_OFFERED);
	toy_set(toy.common + CFG(device_feature_select), 4, 2);
	ck_assert_uint_eq(toy_get(toy.common + CFG(device_feature), 4), 0);
	toy_set(toy.common + CFG(device_feature_select), 4, UINT32_MAX);
	ck_assert_uint_eq(toy_get(toy.common + CFG(device_feature), 4), 0);
	toy_down();
}
END_TEST

static const struct {
	uint64_t features;
	bool ok;
} sets[] = {
	{ BIT64(VIRTIO_F_VERSION_1), true },
	{ TOY_OFFERED, true },
	{ BIT64(VIRTIO_F_VERSION_1) | BIT64(TOY_F_NEEDED), true },
	{ BIT64(VIRTIO_F_VERSION_1) | BIT64(TOY_F_NEEDY), false }, /* without what it needs */
	{ BIT64(TOY_F_NEEDED), false },                            /* a legacy driver */
	{ 0, false },
	{ TOY_OFFERED | BIT64(1), false }, /* never offered */
	{ TOY_OFFERED | BIT64(63), false },
};

START_TEST(features_ok_sticks_only_for_a_sound_subset)
{
	toy_up();
	ck_assert_int_eq(toy_negotiate(sets[_i].features), sets[_i].ok);
	ck_assert_uint_eq(toy.faults, !sets[_i].ok);
	toy_set(toy.common + CFG(guest_feature_select), 4, 0);
	ck_assert_uint_eq(toy_get(toy.common + CFG(guest_feature), 4), (uint32_t)sets[_i].features);
	toy_down();
}
END_TEST

START_TEST(refused_driver_may_try_again_with_less)
{
	toy_up();
	ck_assert(!toy_negotiate(TOY_OFFERED | BIT64(1)));
	ck_assert(toy_negotiate(TOY_OFFERED));
	toy_down();
}
END_TEST

START_TEST(features_are_final_after_features_ok)
{
	toy_up();
	ck_assert(toy_negotiate(BIT64(VIRTIO_F_VERSION_1)));
	toy_accept(TOY_OFFERED);
	ck_assert_uint_gt(toy.faults, 0);
	ck_assert_uint_eq(toy.vp.features, BIT64(VIRTIO_F_VERSION_1));
	toy_down();
}
END_TEST

START_TEST(driver_ok_without_features_ok_is_ignored)
{
	toy_up();
	toy_add_status(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
		       VIRTIO_CONFIG_S_DRIVER_OK);
	ck_assert_uint_eq(toy_status(), VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	ck_assert_uint_eq(toy.driver_oks, 0);
	toy_start();
	ck_assert_uint_eq(toy.driver_oks, 1);
	toy_add_status(VIRTIO_CONFIG_S_DRIVER_OK);
	ck_assert_uint_eq(toy.driver_oks, 1); /* it was set already */
	toy_down();
}
END_TEST

START_TEST(driver_cannot_set_needs_reset)
{
	toy_up();
	toy_add_status(VIRTIO_CONFIG_S_NEEDS_RESET);
	ck_assert_uint_eq(toy_status(), 0);
	toy_down();
}
END_TEST

/* --- queues --------------------------------------------------------------------------------------
 */

static const struct {
	unsigned size;
	bool ok;
} queue_sizes[] = {
	{ 8, true },  { 4, true },   { 1, true },       { 0, false },
	{ 3, false }, { 16, false }, { 0x8000, false },
};

START_TEST(queue_size_is_a_power_of_two_up_to_the_maximum)
{
	toy_up();
	toy_set(toy.common + CFG(queue_select), 2, 0);
	toy_set(toy.common + CFG(queue_size), 2, queue_sizes[_i].size);
	ck_assert_uint_eq(toy_get(toy.common + CFG(queue_size), 2),
			  queue_sizes[_i].ok ? queue_sizes[_i].size : 8);
	ck_assert_uint_eq(toy.faults, !queue_sizes[_i].ok);
	toy_down();
}
END_TEST

START_TEST(queue_is_enabled_where_the_driver_put_it)
{
	toy_up();
	ck_assert(toy_negotiate(BIT64(VIRTIO_F_VERSION_1)));
	toy_place_queue(1, TOY_DESC, TOY_AVAIL, TOY_USED);
	ck_assert(toy_queue_enabled(1));
	ck_assert(!toy_queue_enabled(0));
	ck_assert_uint_eq(toy.faults, 0);
	ck_assert_ptr_eq(toy.vp.q[1].vq.desc, gm_span(&toy.f->m.mem, TOY_DESC, 1));
	toy_set(toy.common + CFG(queue_select), 2, 1);
	ck_assert_uint_eq(toy_get(toy.common + CFG(queue_avail_lo), 4), TOY_AVAIL);
	/* From now on it does not move. */
	toy_set(toy.common + CFG(queue_desc_lo), 4, 0x20000);
	toy_set(toy.common + CFG(queue_size), 2, 8);
	ck_assert_uint_eq(toy_get(toy.common + CFG(queue_desc_lo), 4), TOY_DESC);
	ck_assert_uint_eq(toy_get(toy.common + CFG(queue_size), 2), 64);
	ck_assert_uint_eq(toy.faults, 2);
	toy_down();
}
END_TEST

START_TEST(queue_outside_its_time_is_not_enabled)
{
	toy_up();
	toy_place_queue(0, TOY_DESC, TOY_AVAIL, TOY_USED);
	ck_assert(!toy_queue_enabled(0));
	ck_assert_uint_eq(toy.faults, 1);
	toy_start();
	toy_place_queue(1, TOY_DESC + 0x8000, TOY_AVAIL + 0x8000, TOY_USED + 0x8000);
	ck_assert(!toy_queue_enabled(1));
	ck_assert_uint_eq(toy.faults, 2);
	toy_down();
}
END_TEST

static const uint64_t bad_places[][3] = {
	{ TOY_RAM, TOY_AVAIL, TOY_USED },           { TOY_DESC, TOY_RAM - 2, TOY_USED },
	{ TOY_DESC, TOY_AVAIL, TOY_RAM - 4 },       { TOY_DESC + 1, TOY_AVAIL, TOY_USED },
	{ TOY_DESC, TOY_AVAIL + 1, TOY_USED },      { TOY_DESC, TOY_AVAIL, TOY_USED + 2 },
	{ UINT64_C(1) << 40, TOY_AVAIL, TOY_USED }, /* the upper half counts */
	{ UINT64_MAX - 15, TOY_AVAIL, TOY_USED },
};

START_TEST(queue_in_a_bad_place_needs_reset)
{
	toy_up();
	ck_assert(toy_negotiate(BIT64(VIRTIO_F_VERSION_1)));
	toy_place_queue(0, bad_places[_i][0], bad_places[_i][1], bad_places[_i][2]);
	ck_assert(!toy_queue_enabled(0));
	ck_assert_uint_eq(toy.faults, 1);
	ck_assert(toy_status() & VIRTIO_CONFIG_S_NEEDS_RESET);
	ck_assert(!toy_line()); /* the driver has not said DRIVER_OK */
	toy_add_status(VIRTIO_CONFIG_S_DRIVER_OK);
	ck_assert_uint_eq(toy.driver_oks, 0);
	toy_set(toy.common + CFG(device_status), 1, 0);
	toy_start();
	ck_assert(toy_queue_enabled(0));
	ck_assert_uint_eq(toy.driver_oks, 1);
	toy_down();
}
END_TEST

START_TEST(field_written_by_another_width_is_left_alone)
{
	toy_up();
	toy_set(toy.common + CFG(queue_select), 4, 1);
	toy_set(toy.common + CFG(device_status), 2, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	toy_set(toy.common + CFG(guest_feature) + 1, 1, 0xff);
	toy_set(toy.common + CFG(queue_desc_lo) + 2, 4, UINT32_MAX);
	ck_assert_uint_eq(toy.faults, 4);
	ck_assert_uint_eq(toy_get(toy.common + CFG(queue_select), 2), 0);
	ck_assert_uint_eq(toy_status(), 0);
	ck_assert_uint_eq(toy_get(toy.common + CFG(queue_desc_lo), 4), 0);
	ck_assert_uint_eq(toy_get(toy.common + CFG(queue_desc_hi), 4), 0);
	toy_down();
}
END_TEST

/* --- doorbells
 * --------------------------------------------------------------------------------------- */

START_TEST(doorbell_reaches_its_queue)
{
	toy_up();
	toy_set(toy.common + CFG(queue_select), 2, 1);
	toy_set(toy.notify + toy.notify_mult * toy_get(toy.common + CFG(queue_notify_off), 2), 2,
		1);
	ck_assert_uint_eq(toy.kicks[1], 0); /* on the loop's thread, not the vCPU's */
	fake_machine_run(toy.f);
	ck_assert_uint_eq(toy.kicks[1], 1);
	/* A third queue there is not; had it a doorbell, it would be heard as the second's. */
	toy.vp.q[2] = toy.vp.q[1];
	toy_set(toy.notify + toy.notify_mult * 2, 2, 2);
	toy_set(toy.notify + 1, 1, 0);
	fake_machine_run(toy.f);
	ck_assert_uint_eq(toy.kicks[0], 0);
	ck_assert_uint_eq(toy.kicks[1], 1);
	toy_down();
}
END_TEST

START_TEST(doorbells_can_be_taken_over_by_eventfd)
{
	const struct region *r = &toy.pci.bar[0].region;

	toy_up();
	ck_assert_uint_eq(r->n_doorbells, 2);
	for (unsigned i = 0; i < 2; i++) {
		struct loop_event e = { .f.fd = r->doorbell[i].fd };

		ck_assert_uint_eq(r->base + r->doorbell[i].off, toy.notify + i * toy.notify_mult);
		loop_event_signal(&e);
		fake_machine_run(toy.f);
		ck_assert_uint_eq(toy.kicks[i], 1);
	}
	toy_down();
}
END_TEST

/* --- interrupts
 * ---------------------------------------------------------------------------------------- */

START_TEST(isr_raises_the_line_and_reading_it_lowers)
{
	toy_up();
	toy_start();
	ck_assert(toy_interrupt(0));
	ck_assert(toy_line());
	ck_assert(!toy_interrupt(0)); /* it is up already */
	toy_change_config(0, 9);
	ck_assert_uint_eq(toy_get(toy.isr, 1), 3);
	ck_assert(!toy_line());
	ck_assert_uint_eq(toy_get(toy.isr, 1), 0);
	toy_down();
}
END_TEST

START_TEST(config_change_moves_the_generation)
{
	uint64_t generation;

	toy_up();
	generation = toy_get(toy.common + CFG(config_generation), 1);
	toy_change_config(2, 77);
	ck_assert_uint_eq(toy_get(toy.config_at + 2, 1), 77);
	ck_assert_uint_ne(toy_get(toy.common + CFG(config_generation), 1), generation);
	ck_assert(!toy_line()); /* nobody is there to be told */
	toy_start();
	toy_change_config(2, 78);
	ck_assert_uint_eq(toy_get(toy.isr, 1), VIRTIO_PCI_ISR_CONFIG);
	toy_down();
}
END_TEST

START_TEST(msix_sends_each_cause_by_its_vector)
{
	toy_up();
	toy_enable_msix();
	toy_start();
	toy_set(toy.common + CFG(msix_config), 2, 2);
	toy_set(toy.common + CFG(queue_select), 2, 0);
	toy_set(toy.common + CFG(queue_msix_vector), 2, 1);
	ck_assert_uint_eq(toy_get(toy.common + CFG(queue_msix_vector), 2), 1);
	ck_assert(toy_interrupt(0));
	ck_assert_uint_eq(toy_fires(1), 1);
	ck_assert_uint_eq(toy_get(toy.isr, 1), 0); /* queues do not show with MSI-X */
	toy_change_config(0, 1);
	ck_assert_uint_eq(toy_fires(2), 1);
	ck_assert(!toy_interrupt(1)); /* no vector, no message */
	ck_assert_uint_eq(toy_fires(0) + toy_fires(1) + toy_fires(2), 2);
	ck_assert(!toy_line());
	toy_down();
}
END_TEST

START_TEST(vector_that_does_not_exist_reads_back_as_none)
{
	toy_up();
	toy_set(toy.common + CFG(msix_config), 2, 3);
	ck_assert_uint_eq(toy_get(toy.common + CFG(msix_config), 2), VIRTIO_MSI_NO_VECTOR);
	toy_set(toy.common + CFG(queue_select), 2, 0);
	toy_set(toy.common + CFG(queue_msix_vector), 2, 2);
	toy_set(toy.common + CFG(queue_msix_vector), 2, 0x1000);
	ck_assert_uint_eq(toy_get(toy.common + CFG(queue_msix_vector), 2), VIRTIO_MSI_NO_VECTOR);
	toy_down();
}
END_TEST

START_TEST(line_falls_when_msix_takes_over)
{
	toy_up();
	toy_start();
	toy_interrupt(0);
	ck_assert(toy_line());
	toy_enable_msix();
	ck_assert(!toy_line());
	toy_down();
}
END_TEST

START_TEST(machine_without_vectors_has_intx_only)
{
	toy_up();
	toy_swap_without_msix();
	ck_assert_uint_eq(toy.msix, 0);
	toy_set(toy.common + CFG(msix_config), 2, 0);
	ck_assert_uint_eq(toy_get(toy.common + CFG(msix_config), 2), VIRTIO_MSI_NO_VECTOR);
	toy_start();
	ck_assert(toy_interrupt(0));
	ck_assert(toy_line());
	toy_down();
}
END_TEST

/* --- reset
 * --------------------------------------------------------------------------------------------------
 */

START_TEST(fatal_fault_asks_for_a_reset_once)
{
	toy_up();
	toy_start();
	toy_break("a test");
	ck_assert(toy_status() & VIRTIO_CONFIG_S_NEEDS_RESET);
	ck_assert_uint_eq(toy_get(toy.isr, 1), VIRTIO_PCI_ISR_CONFIG);
	toy_break("another");
	ck_assert(!toy_line());
	ck_assert_uint_eq(toy.faults, 2);
	toy_down();
}
END_TEST

START_TEST(reset_forgets_everything)
{
	toy_up();
	toy_start();
	toy_set(toy.common + CFG(msix_config), 2, 1);
	toy_set(toy.common + CFG(queue_msix_vector), 2, 1);
	toy_interrupt(0);
	toy_set(toy.common + CFG(device_status), 1, 0);
	ck_assert_uint_eq(toy.resets, 1);
	ck_assert_uint_eq(toy_status(), 0);
	ck_assert(!toy_line());
	ck_assert_uint_eq(toy_get(toy.isr, 1), 0);
	ck_assert_uint_eq(toy.vp.features, 0);
	ck_assert_uint_eq(toy_get(toy.common + CFG(msix_config), 2), VIRTIO_MSI_NO_VECTOR);
	ck_assert(!toy_queue_enabled(0));
	ck_assert_uint_eq(toy_get(toy.common + CFG(queue_desc_lo), 4), 0);
	ck_assert_uint_eq(toy_get(toy.common + CFG(queue_msix_vector), 2), VIRTIO_MSI_NO_VECTOR);
	ck_assert_ptr_null(toy.vp.q[0].vq.desc); /* and no pointer into TOY_RAM is kept */
	toy_down();
}
END_TEST

/* --- the PCI_CFG window
 * ---------------------------------------------------------------------------------------- */

static void window_at(unsigned bar, uint64_t addr, unsigned len)
{
	toy_pci_set(toy.window + VIRTIO_PCI_CAP_BAR, 1, bar);
	toy_pci_set(toy.window + VIRTIO_PCI_CAP_OFFSET, 4, (uint32_t)addr);
	toy_pci_set(toy.window + VIRTIO_PCI_CAP_LENGTH, 4, len);
}

static uint32_t window_offset(uint64_t addr)
{
	return (uint32_t)(addr - fake_pci_bar(toy.f, TOY_SLOT, 0));
}

START_TEST(window_reads_and_writes_the_bar)
{
	toy_up();
	toy_pci_set(PCI_COMMAND, 2, 0); /* it needs no decoding: that is what it is for */
	window_at(0, window_offset(toy.common) + CFG(num_queues), 2);
	ck_assert_uint_eq(toy_pci_get(toy.window + WINDOW_DATA, 2), 2);
	window_at(0, window_offset(toy.common) + CFG(device_status), 1);
	toy_pci_set(toy.window + WINDOW_DATA, 1, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	ck_assert_uint_eq(toy_pci_get(toy.window + WINDOW_DATA, 1), VIRTIO_CONFIG_S_ACKNOWLEDGE);
	ck_assert_uint_eq(toy.vp.status, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	window_at(0, window_offset(toy.config_at), 4);
	ck_assert_uint_eq(toy_pci_get(toy.window + WINDOW_DATA, 4), 0x04030201);
	window_at(0, window_offset(toy.notify) + toy.notify_mult, 2);
	toy_pci_set(toy.window + WINDOW_DATA, 2, 1);
	fake_machine_run(toy.f);
	ck_assert_uint_eq(toy.kicks[1], 1);
	toy_down();
}
END_TEST

START_TEST(window_sees_what_is_there_when_it_is_read)
{
	toy_up();
	toy_start();
	window_at(0, window_offset(toy.isr), 1);
	toy_interrupt(0);
	ck_assert_uint_eq(toy_pci_get(toy.window + WINDOW_DATA, 1), 1);
	ck_assert(!toy_line());
	ck_assert_uint_eq(toy_pci_get(toy.window + WINDOW_DATA, 1), 0);
	toy_down();
}
END_TEST

START_TEST(moving_the_window_touches_nothing)
{
	toy_up();
	toy_start();
	toy_interrupt(0);
	window_at(0, window_offset(toy.isr), 1);
	toy_pci_get(toy.window + VIRTIO_PCI_CAP_LENGTH, 4);
	toy_pci_get(toy.window + WINDOW_DATA - 4, 2);
	toy_pci_get(toy.window + WINDOW_DATA + 4, 4);
	ck_assert(toy_line());
	toy_down();
}
END_TEST

static const struct {
	unsigned bar;
	uint32_t off, len;
} bad_windows[] = {
	{ 1, 0x14, 1 },       { 5, 0x14, 1 },          { 255, 0x14, 1 }, { 0, 0x14, 0 },
	{ 0, 0x14, 3 },       { 0, 0x14, 8 },          { 0, 0x15, 2 },   { 0, 0x4014, 1 },
	{ 0, 0xfffffffc, 4 }, { 0, 0x14, UINT32_MAX },
};

START_TEST(window_on_nothing_does_nothing)
{
	toy_up();
	window_at(bad_windows[_i].bar, bad_windows[_i].off, bad_windows[_i].len);
	toy_pci_set(toy.window + WINDOW_DATA, 4, 0x01010101);
	ck_assert_uint_eq(toy_pci_get(toy.window + WINDOW_DATA, 4), 0x01010101); /* just memory */
	ck_assert_uint_eq(toy_status(), 0);
	ck_assert_uint_eq(toy.faults, 0);
	toy_down();
}
END_TEST

static const struct test_entry tests[] = {
	T(identity_is_modern),
	T(every_structure_has_a_capability),
	T(power_on_state_is_that_of_reset),
	T(offered_features_are_shown_64_bits_wide),
	TLOOP(features_ok_sticks_only_for_a_sound_subset, 0, 8),
	T(refused_driver_may_try_again_with_less),
	T(features_are_final_after_features_ok),
	T(driver_ok_without_features_ok_is_ignored),
	T(driver_cannot_set_needs_reset),
	TLOOP(queue_size_is_a_power_of_two_up_to_the_maximum, 0, 7),
	T(queue_is_enabled_where_the_driver_put_it),
	T(queue_outside_its_time_is_not_enabled),
	TLOOP(queue_in_a_bad_place_needs_reset, 0, 8),
	T(field_written_by_another_width_is_left_alone),
	T(doorbell_reaches_its_queue),
	T(doorbells_can_be_taken_over_by_eventfd),
	T(isr_raises_the_line_and_reading_it_lowers),
	T(config_change_moves_the_generation),
	T(msix_sends_each_cause_by_its_vector),
	T(vector_that_does_not_exist_reads_back_as_none),
	T(line_falls_when_msix_takes_over),
	T(machine_without_vectors_has_intx_only),
	T(fatal_fault_asks_for_a_reset_once),
	T(reset_forgets_everything),
	T(window_reads_and_writes_the_bar),
	T(window_sees_what_is_there_when_it_is_read),
	T(moving_the_window_touches_nothing),
	TLOOP(window_on_nothing_does_nothing, 0, 10),
};

CHECK_MAIN("virtio-pci", tests)

/* SPDX-License-Identifier: MIT */
/* virtio_toy.c: a device that counts, and a driver that goes by the book. */
#include "tests/rig/virtio_toy.h"

#include <check.h>

struct virtio_toy toy;

/* --- the device --------------------------------------------------------------------------- */

static bool toy_features_ok(void *dev, uint64_t features)
{
	(void)dev;
	return !(features & BIT64(TOY_F_NEEDY)) || (features & BIT64(TOY_F_NEEDED));
}

static void toy_driver_ok(void *dev)
{
	((struct virtio_toy *)dev)->driver_oks++;
}

static void toy_reset(void *dev)
{
	((struct virtio_toy *)dev)->resets++;
}

static void toy_kick(void *dev, unsigned q)
{
	((struct virtio_toy *)dev)->kicks[q]++;
}

static void toy_fault(void *dev, const char *why)
{
	(void)why;
	((struct virtio_toy *)dev)->faults++;
}

static const struct virtio_pci_ops toy_ops = {
	.features_ok = toy_features_ok,
	.driver_ok = toy_driver_ok,
	.reset = toy_reset,
	.kick = toy_kick,
	.fault = toy_fault,
};

static void toy_config_reading(struct pci_dev *d, unsigned off, unsigned size)
{
	virtio_pci_config_reading(&container_of(d, struct virtio_toy, pci)->vp, off, size);
}

static void toy_config_written(struct pci_dev *d, unsigned off, unsigned size)
{
	virtio_pci_config_written(&container_of(d, struct virtio_toy, pci)->vp, off, size);
}

static void toy_plug(void)
{
	toy.vp = (struct virtio_pci){
		.ops = &toy_ops,
		.dev = &toy,
		.m = &toy.f->m,
		.pci = &toy.pci,
		.work = &toy.work,
		.lock = &toy.lock,
		.offered = TOY_OFFERED,
		.n_queues = 2,
		.queue_max = { 8, 64 },
		.config = toy.config,
		.config_len = sizeof(toy.config),
	};
	ck_assert_int_eq(virtio_pci_init(&toy.vp, TOY_TYPE, 0xff0000), 0);
	toy.pci.config_reading = toy_config_reading;
	toy.pci.config_written = toy_config_written;
	ck_assert_int_eq(pci_attach(toy.host, &toy.pci, TOY_SLOT), 0);
}

bool toy_interrupt(unsigned q)
{
	bool raised;

	lock_take(&toy.work);
	raised = virtio_pci_irq(&toy.vp, q);
	lock_drop(&toy.work);
	return raised;
}

void toy_change_config(unsigned off, uint8_t val)
{
	lock_take(&toy.work);
	virtio_pci_config_set(&toy.vp, off, &val, 1, true);
	lock_drop(&toy.work);
}

void toy_break(const char *why)
{
	lock_take(&toy.work);
	virtio_pci_needs_reset(&toy.vp, why);
	lock_drop(&toy.work);
}

/* --- the driver finds it (4.1.4) -------------------------------------------------------------- */

uint32_t toy_pci_get(unsigned off, unsigned size)
{
	return fake_pci_read(toy.f, TOY_SLOT, off, size);
}

void toy_pci_set(unsigned off, unsigned size, uint32_t val)
{
	fake_pci_write(toy.f, TOY_SLOT, off, size, val);
}

uint64_t toy_get(uint64_t addr, unsigned size)
{
	return bus_read(&toy.f->m.mmio, addr, size);
}

void toy_set(uint64_t addr, unsigned size, uint64_t val)
{
	bus_write(&toy.f->m.mmio, addr, size, val);
}

static void toy_walk_vendor_cap(unsigned at)
{
	uint32_t len = toy_pci_get(at + VIRTIO_PCI_CAP_LENGTH, 4);
	uint64_t base = fake_pci_bar(toy.f, TOY_SLOT, toy_pci_get(at + VIRTIO_PCI_CAP_BAR, 1)) +
			toy_pci_get(at + VIRTIO_PCI_CAP_OFFSET, 4);

	switch (toy_pci_get(at + VIRTIO_PCI_CAP_CFG_TYPE, 1)) {
	case VIRTIO_PCI_CAP_COMMON_CFG:
		toy.common = base;
		ck_assert_uint_eq(len, sizeof(struct virtio_pci_common_cfg));
		break;
	case VIRTIO_PCI_CAP_NOTIFY_CFG:
		toy.notify = base;
		toy.notify_mult = toy_pci_get(at + VIRTIO_PCI_NOTIFY_CAP_MULT, 4);
		ck_assert_uint_ge(len, toy.notify_mult + 2);
		break;
	case VIRTIO_PCI_CAP_ISR_CFG:
		toy.isr = base;
		break;
	case VIRTIO_PCI_CAP_DEVICE_CFG:
		toy.config_at = base;
		ck_assert_uint_eq(len, sizeof(toy.config));
		break;
	case VIRTIO_PCI_CAP_PCI_CFG:
		toy.window = at;
		break;
	}
}

static void toy_walk_caps(void)
{
	toy.common = toy.notify = toy.isr = toy.config_at = 0;
	toy.window = toy.msix = 0;
	toy_pci_set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	for (unsigned at = toy_pci_get(PCI_CAPABILITY_LIST, 1); at; at = toy_pci_get(at + 1, 1)) {
		unsigned id = toy_pci_get(at, 1);

		if (id == PCI_CAP_ID_VNDR)
			toy_walk_vendor_cap(at);
		else if (id == PCI_CAP_ID_MSIX)
			toy.msix = at;
	}
}

/* --- and sets it up (3.1, 4.1.5) -----------------------------------------------------------------
 */

unsigned toy_status(void)
{
	return (unsigned)toy_get(toy.common + CFG(device_status), 1);
}

void toy_add_status(unsigned bits)
{
	toy_set(toy.common + CFG(device_status), 1, toy_status() | bits);
}

uint64_t toy_offered(void)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < 2; i++) {
		toy_set(toy.common + CFG(device_feature_select), 4, i);
		v |= toy_get(toy.common + CFG(device_feature), 4) << 32 * i;
	}
	return v;
}

void toy_accept(uint64_t features)
{
	for (unsigned i = 0; i < 2; i++) {
		toy_set(toy.common + CFG(guest_feature_select), 4, i);
		toy_set(toy.common + CFG(guest_feature), 4, (uint32_t)(features >> 32 * i));
	}
}

bool toy_negotiate(uint64_t features)
{
	toy_add_status(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	toy_accept(features);
	toy_add_status(VIRTIO_CONFIG_S_FEATURES_OK);
	return toy_status() & VIRTIO_CONFIG_S_FEATURES_OK;
}

void toy_place_queue(unsigned q, uint64_t desc, uint64_t avail, uint64_t used)
{
	toy_set(toy.common + CFG(queue_select), 2, q);
	toy_set(toy.common + CFG(queue_desc_lo), 4, (uint32_t)desc);
	toy_set(toy.common + CFG(queue_desc_hi), 4, desc >> 32);
	toy_set(toy.common + CFG(queue_avail_lo), 4, (uint32_t)avail);
	toy_set(toy.common + CFG(queue_avail_hi), 4, avail >> 32);
	toy_set(toy.common + CFG(queue_used_lo), 4, (uint32_t)used);
	toy_set(toy.common + CFG(queue_used_hi), 4, used >> 32);
	toy_set(toy.common + CFG(queue_enable), 2, 1);
}

bool toy_queue_enabled(unsigned q)
{
	toy_set(toy.common + CFG(queue_select), 2, q);
	return toy_get(toy.common + CFG(queue_enable), 2);
}

void toy_start(void)
{
	ck_assert(toy_negotiate(BIT64(VIRTIO_F_VERSION_1)));
	toy_place_queue(0, TOY_DESC, TOY_AVAIL, TOY_USED);
	toy_add_status(VIRTIO_CONFIG_S_DRIVER_OK);
}

/* --- interrupts
 * -------------------------------------------------------------------------------------- */

void toy_enable_msix(void)
{
	uint32_t table = toy_pci_get(toy.msix + PCI_MSIX_TABLE, 4);
	uint64_t at = fake_pci_bar(toy.f, TOY_SLOT, table & PCI_MSIX_TABLE_BIR) +
		      (table & PCI_MSIX_TABLE_OFFSET);

	for (unsigned i = 0; i < 3; i++, at += PCI_MSIX_ENTRY_SIZE) {
		toy_set(at + PCI_MSIX_ENTRY_LOWER_ADDR, 4, 0xfee00000);
		toy_set(at + PCI_MSIX_ENTRY_DATA, 4, i + 1);
		toy_set(at + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, 0);
	}
	toy_pci_set(toy.msix + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
}

unsigned toy_fires(unsigned i)
{
	return toy.f->msi[i].fires;
}

bool toy_line(void)
{
	return toy.f->irq[GSI_PCI_BASE + TOY_SLOT % GSI_PCI_NR].level;
}

/* --- up and down
 * ---------------------------------------------------------------------------------------- */

void toy_up(void)
{
	toy = (struct virtio_toy){ .config = { 1, 2, 3, 4, 5, 6 } };
	lock_init(&toy.work);
	lock_init(&toy.lock);
	toy.f = fake_machine_new(TOY_RAM);
	toy.host = pci_host_new(&toy.f->m);
	ck_assert_ptr_nonnull(toy.host);
	toy_plug();
	toy_walk_caps();
}

void toy_swap_without_msix(void)
{
	virtio_pci_destroy(&toy.vp);
	toy.f->m.msi = NULL;
	toy_plug();
	toy_walk_caps();
}

void toy_down(void)
{
	virtio_pci_destroy(&toy.vp);
	pci_host_free(toy.host);
	fake_machine_free(toy.f);
}

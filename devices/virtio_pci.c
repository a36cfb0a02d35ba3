/* SPDX-License-Identifier: MIT */
/*
 * virtio_pci.c: common configuration, notifications, ISR, and the capabilities by which
 * a driver finds them (virtio 1.2, sections 4.1.3 to 4.1.5).
 *
 * Left out on purpose: the legacy and transitional interface, queue reset, notification
 * data, shared memory. An access that is no field of a structure reads as all ones
 * and writes nothing; 4.1.3.1 has drivers use the width of the field.
 */
#include "devices/virtio_pci.h"

#include "vmm/log.h"
#include "vmm/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <string.h>

#define VIRTIO_PCI_VENDOR      0x1af4 /* 4.1.2 */
#define VIRTIO_PCI_DEVICE_BASE 0x1040 /* plus the device type, 4.1.2.1 */
#define VIRTIO_PCI_REVISION    1      /* modern */

#define VIRTIO_PCI_ISR_QUEUE 0x1 /* 4.1.4.5; the header names only the other bit */

/* --- interrupts --------------------------------------------------------------------- */

bool virtio_pci_msix_on(struct virtio_pci *vp)
{
	return vp->has_msix && msix_enabled(&vp->msix);
}

/* INTA# follows the ISR, unless MSI-X has taken its place. lock held. */
static void virtio_pci_intx_update(struct virtio_pci *vp)
{
	pci_intx_set(vp->pci, vp->isr && !virtio_pci_msix_on(vp));
}

/* lock held. True: a message was sent or the line rose. */
static bool virtio_pci_raise(struct virtio_pci *vp, uint16_t vector, uint8_t isr)
{
	bool msix = virtio_pci_msix_on(vp), low = !vp->isr;

	/* With MSI-X the ISR knows configuration changes only (4.1.4.5.1). */
	if (!msix || isr == VIRTIO_PCI_ISR_CONFIG)
		vp->isr |= isr;
	if (!msix) {
		virtio_pci_intx_update(vp);
		return low;
	}
	msix_fire(&vp->msix, vector);
	return vector != VIRTIO_MSI_NO_VECTOR;
}

bool virtio_pci_irq(struct virtio_pci *vp, unsigned q)
{
	bool raised;

	lock_take(vp->lock);
	raised = virtio_pci_raise(vp, vp->q[q].vector, VIRTIO_PCI_ISR_QUEUE);
	lock_drop(vp->lock);
	return raised;
}

static uint8_t virtio_pci_isr_read(struct virtio_pci *vp)
{
	uint8_t isr;

	lock_take(vp->lock);
	isr = vp->isr;
	vp->isr = 0;
	virtio_pci_intx_update(vp);
	lock_drop(vp->lock);
	return isr;
}

/* --- device configuration ----------------------------------------------------------- */

/* Tell a driver, once it has said DRIVER_OK, to look at status and configuration. */
static bool virtio_pci_config_irq(struct virtio_pci *vp)
{
	bool raised;

	if (!(vp->status & VIRTIO_CONFIG_S_DRIVER_OK))
		return false;
	lock_take(vp->lock);
	raised = virtio_pci_raise(vp, vp->config_vector, VIRTIO_PCI_ISR_CONFIG);
	lock_drop(vp->lock);
	return raised;
}

bool virtio_pci_config_set(struct virtio_pci *vp, unsigned off, const void *src, unsigned len,
			   bool notify)
{
	BUG_ON(off + len > vp->config_len);
	lock_take(vp->lock);
	memcpy(vp->config + off, src, len);
	vp->generation++;
	lock_drop(vp->lock);
	return notify && virtio_pci_config_irq(vp);
}

static uint64_t virtio_pci_device_read(struct virtio_pci *vp, unsigned off, unsigned size)
{
	uint64_t v = 0;

	if (off + size > vp->config_len)
		return bus_ones(size);
	lock_take(vp->lock);
	memcpy(&v, vp->config + off, size);
	lock_drop(vp->lock);
	return v;
}

/* --- status ------------------------------------------------------------------------- */

void virtio_pci_needs_reset(struct virtio_pci *vp, const char *why)
{
	if (why)
		vp->ops->fault(vp->dev, why);
	if (vp->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	vp->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	virtio_pci_config_irq(vp); /* 2.1.2 */
}

/* The state at power-on, but for the line. */
static void virtio_pci_clear(struct virtio_pci *vp)
{
	vp->features = 0;
	vp->status = 0;
	vp->dev_select = vp->drv_select = 0;
	vp->queue_select = 0;
	vp->config_vector = VIRTIO_MSI_NO_VECTOR;
	vp->isr = 0;
	for (unsigned i = 0; i < vp->n_queues; i++) {
		virtq_disable(&vp->q[i].vq);
		vp->q[i].layout = (struct virtq_layout){ .size = vp->queue_max[i] };
		vp->q[i].vector = VIRTIO_MSI_NO_VECTOR;
	}
}

/* The caller holds work, so no batch is under way: that is the quiesce. */
static void virtio_pci_reset(struct virtio_pci *vp)
{
	vp->ops->reset(vp->dev);
	lock_take(vp->lock);
	virtio_pci_clear(vp);
	virtio_pci_intx_update(vp);
	lock_drop(vp->lock);
}

static bool virtio_pci_features_ok(struct virtio_pci *vp)
{
	uint64_t f = vp->features;

	return !(f & ~vp->offered) && (f & BIT64(VIRTIO_F_VERSION_1)) &&
	       vp->ops->features_ok(vp->dev, f);
}

/* Bits are only ever added (2.1.1); 0 resets. What the device refuses stays clear, and
 * the driver finds out by reading back (3.1.1, steps 5 and 6). */
static void virtio_pci_set_status(struct virtio_pci *vp, uint8_t val)
{
	uint8_t added = val & ~vp->status & (uint8_t)~VIRTIO_CONFIG_S_NEEDS_RESET;

	if (!val) {
		virtio_pci_reset(vp);
		return;
	}
	if ((added & VIRTIO_CONFIG_S_FEATURES_OK) && !virtio_pci_features_ok(vp)) {
		vp->ops->fault(vp->dev, "FEATURES_OK with features that were not offered or "
					"miss what they depend on");
		added &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
	}
	if ((added & VIRTIO_CONFIG_S_DRIVER_OK) &&
	    !((vp->status | added) & VIRTIO_CONFIG_S_FEATURES_OK)) {
		vp->ops->fault(vp->dev, "DRIVER_OK before FEATURES_OK");
		added &= (uint8_t)~VIRTIO_CONFIG_S_DRIVER_OK;
	}
	vp->status |= added;
	if ((added & VIRTIO_CONFIG_S_DRIVER_OK) && !(vp->status & VIRTIO_CONFIG_S_NEEDS_RESET))
		vp->ops->driver_ok(vp->dev);
}

/* --- common configuration: whole device --------------------------------------------- */

static uint32_t virtio_pci_feature_word(uint64_t features, uint32_t select)
{
	return select < 2 ? (uint32_t)(features >> (32 * select)) : 0;
}

static void virtio_pci_set_features(struct virtio_pci *vp, uint32_t val)
{
	unsigned shift = 32 * vp->drv_select;

	if (vp->drv_select >= 2) {
		/* Features above 63: none are offered, and a driver may write 0. */
		if (val)
			vp->ops->fault(vp->dev, "feature bit above 63 accepted");
		return;
	}
	if (vp->status & VIRTIO_CONFIG_S_FEATURES_OK) {
		vp->ops->fault(vp->dev, "features changed after FEATURES_OK");
		return;
	}
	vp->features = (vp->features & ~(UINT64_C(0xffffffff) << shift)) | (uint64_t)val << shift;
}

/* A vector that does not exist reads back as none: "mapping failed" (4.1.5.1.2). */
static void virtio_pci_set_vector(struct virtio_pci *vp, uint16_t *vector, uint16_t val)
{
	lock_take(vp->lock);
	*vector = vp->has_msix && val < vp->msix.n ? val : VIRTIO_MSI_NO_VECTOR;
	lock_drop(vp->lock);
}

/* --- common configuration: the selected queue --------------------------------------- */

static struct virtio_pci_queue *virtio_pci_selected(struct virtio_pci *vp)
{
	return vp->queue_select < vp->n_queues ? &vp->q[vp->queue_select] : NULL;
}

static void virtio_pci_queue_enable(struct virtio_pci *vp, struct virtio_pci_queue *q)
{
	int err;

	if (!(vp->status & VIRTIO_CONFIG_S_FEATURES_OK) ||
	    (vp->status & VIRTIO_CONFIG_S_DRIVER_OK)) {
		vp->ops->fault(vp->dev, "queue enabled before FEATURES_OK or after DRIVER_OK");
		return;
	}
	err = virtq_enable(&q->vq, &vp->m->mem, &q->layout, vp->features);
	trace(NET,
	      "queue %u, %u entries: desc %#" PRIx64 " avail %#" PRIx64 " used %#" PRIx64 ": %d",
	      vp->queue_select, q->layout.size, q->layout.desc, q->layout.avail, q->layout.used,
	      err);
	if (err)
		virtio_pci_needs_reset(vp, err == -EFAULT
						   ? "queue enabled outside RAM"
						   : "queue enabled at a misaligned address");
}

static void virtio_pci_queue_size(struct virtio_pci *vp, struct virtio_pci_queue *q, uint16_t n)
{
	if (!n || (n & (n - 1)) || n > vp->queue_max[vp->queue_select])
		vp->ops->fault(vp->dev, "queue size not a power of two, or above the maximum");
	else
		q->layout.size = n;
}

/* Half of a 64-bit field, which a driver writes as two 32-bit ones (4.1.3.1). */
static void virtio_pci_half(gpa_t *addr, bool high, uint32_t val)
{
	*addr = high ? (*addr & 0xffffffff) | (uint64_t)val << 32
		     : (*addr & ~UINT64_C(0xffffffff)) | val;
}

static void virtio_pci_queue_write(struct virtio_pci *vp, unsigned off, uint32_t val)
{
	struct virtio_pci_queue *q = virtio_pci_selected(vp);
	bool high = off & 4;

	if (!q)
		return;
	if (off == VIRTIO_PCI_COMMON_Q_MSIX) {
		virtio_pci_set_vector(vp, &q->vector, (uint16_t)val);
		if (vp->ops->vector)
			vp->ops->vector(vp->dev, vp->queue_select);
		return;
	}
	if (virtq_enabled(&q->vq)) {
		vp->ops->fault(vp->dev, "queue changed while enabled");
		return;
	}
	switch (off) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		virtio_pci_queue_size(vp, q, (uint16_t)val);
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		if (val == 1) /* 4.1.4.3.2: a driver must not write 0 */
			virtio_pci_queue_enable(vp, q);
		break;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		virtio_pci_half(&q->layout.desc, high, val);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		virtio_pci_half(&q->layout.avail, high, val);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		virtio_pci_half(&q->layout.used, high, val);
		break;
	}
}

/* --- common configuration: the structure -------------------------------------------- */

static void virtio_pci_common_queue(struct virtio_pci *vp, struct virtio_pci_common_cfg *c)
{
	const struct virtio_pci_queue *q = virtio_pci_selected(vp);

	if (!q)
		return; /* size 0: there is no such queue */
	c->queue_size = q->layout.size;
	c->queue_msix_vector = q->vector;
	c->queue_enable = virtq_enabled(&q->vq);
	c->queue_notify_off = vp->queue_select;
	c->queue_desc_lo = (uint32_t)q->layout.desc;
	c->queue_desc_hi = (uint32_t)(q->layout.desc >> 32);
	c->queue_avail_lo = (uint32_t)q->layout.avail;
	c->queue_avail_hi = (uint32_t)(q->layout.avail >> 32);
	c->queue_used_lo = (uint32_t)q->layout.used;
	c->queue_used_hi = (uint32_t)(q->layout.used >> 32);
}

static uint64_t virtio_pci_common_read(struct virtio_pci *vp, unsigned off, unsigned size)
{
	struct virtio_pci_common_cfg c = { .queue_size = 0 };
	uint64_t v = 0;

	if (off + size > sizeof(c))
		return bus_ones(size);
	lock_take(vp->work);
	c.device_feature_select = vp->dev_select;
	c.device_feature = virtio_pci_feature_word(vp->offered, vp->dev_select);
	c.guest_feature_select = vp->drv_select;
	c.guest_feature = virtio_pci_feature_word(vp->features, vp->drv_select);
	c.msix_config = vp->config_vector;
	c.num_queues = (uint16_t)vp->n_queues;
	c.device_status = vp->status;
	lock_take(vp->lock);
	c.config_generation = vp->generation;
	lock_drop(vp->lock);
	c.queue_select = vp->queue_select;
	virtio_pci_common_queue(vp, &c);
	lock_drop(vp->work);
	memcpy(&v, (const uint8_t *)&c + off, size);
	return v;
}

/* Width of the field that starts at `off`; 0: none does. */
static unsigned virtio_pci_common_width(unsigned off)
{
	if (off < VIRTIO_PCI_COMMON_MSIX ||
	    (off >= VIRTIO_PCI_COMMON_Q_DESCLO && off < sizeof(struct virtio_pci_common_cfg)))
		return off % 4 ? 0 : 4;
	if (off == VIRTIO_PCI_COMMON_STATUS || off == VIRTIO_PCI_COMMON_CFGGENERATION)
		return 1;
	return off > VIRTIO_PCI_COMMON_Q_NOFF || off % 2 ? 0 : 2;
}

static void virtio_pci_common_write(struct virtio_pci *vp, unsigned off, unsigned size,
				    uint32_t val)
{
	if (size != virtio_pci_common_width(off)) {
		vp->ops->fault(vp->dev, "common configuration written by another width");
		return;
	}
	/* Quiesce: no batch is under way while anything here changes. */
	lock_take(vp->work);
	switch (off) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		vp->dev_select = val;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		vp->drv_select = val;
		break;
	case VIRTIO_PCI_COMMON_GF:
		virtio_pci_set_features(vp, val);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		virtio_pci_set_vector(vp, &vp->config_vector, (uint16_t)val);
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		virtio_pci_set_status(vp, (uint8_t)val);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		vp->queue_select = (uint16_t)val;
		break;
	default:
		virtio_pci_queue_write(vp, off, val);
	}
	lock_drop(vp->work);
}

/* --- BAR 0 -------------------------------------------------------------------------- */

static uint64_t virtio_pci_read(void *dev, uint64_t off, unsigned size)
{
	struct virtio_pci *vp = dev;
	unsigned at = off % VP_PAGE;

	switch (off - at) {
	case VP_COMMON:
		return virtio_pci_common_read(vp, at, size);
	case VP_ISR:
		return at || size != 1 ? bus_ones(size) : virtio_pci_isr_read(vp);
	case VP_DEVICE:
		return virtio_pci_device_read(vp, at, size);
	}
	return bus_ones(size); /* doorbells have no value */
}

static void virtio_pci_rung(struct virtio_pci *vp, struct virtio_pci_queue *q)
{
	unsigned i = (unsigned)(q - vp->q);

	if (vp->rung_at & BIT(i))
		vp->ops->rung(vp->dev, i);
	else
		loop_event_signal(&q->kick);
}

static void virtio_pci_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	struct virtio_pci *vp = dev;
	unsigned at = off % VP_PAGE;
	struct virtio_pci_queue *q;

	switch (off - at) {
	case VP_COMMON:
		virtio_pci_common_write(vp, at, size, (uint32_t)val);
		break;
	case VP_NOTIFY:
		/* The same as the hypervisor does for a doorbell it has taken over. */
		q = virtio_pci_doorbell(vp, at);
		if (q)
			virtio_pci_rung(vp, q);
		break;
	}
}

static const struct region_ops virtio_pci_bar_ops = {
	.read = virtio_pci_read,
	.write = virtio_pci_write,
	.sizes = 1 | 2 | 4,
	.account = virtio_pci_account,
};

static void virtio_pci_kicked(struct loop_event *e)
{
	struct virtio_pci_queue *q = container_of(e, struct virtio_pci_queue, kick);

	q->vp->ops->kick(q->vp->dev, (unsigned)(q - q->vp->q));
}

/* --- the PCI_CFG window (4.1.4.9): BAR 0 through configuration space ----------------- */

/* Does an access to [off, off + size) touch the window's data, and do its bar, offset
 * and length make an access to BAR 0? */
static bool virtio_pci_window(struct virtio_pci *vp, unsigned off, unsigned size,
			      struct virtio_pci_cap *cap)
{
	unsigned data = vp->window + (unsigned)sizeof(*cap);

	if (off >= data + 4 || off + size <= data)
		return false;
	memcpy(cap, vp->pci->config + vp->window, sizeof(*cap));
	return cap->bar == VP_BAR && (cap->length == 1 || cap->length == 2 || cap->length == 4) &&
	       cap->offset % cap->length == 0 && cap->offset < VP_BAR_SIZE;
}

void virtio_pci_config_reading(struct virtio_pci *vp, unsigned off, unsigned size)
{
	struct virtio_pci_cap cap;
	uint32_t v;

	if (!virtio_pci_window(vp, off, size, &cap))
		return;
	v = (uint32_t)virtio_pci_read(vp, cap.offset, cap.length);
	memcpy(vp->pci->config + vp->window + sizeof(cap), &v, cap.length);
}

void virtio_pci_config_written(struct virtio_pci *vp, unsigned off, unsigned size)
{
	struct virtio_pci_cap cap;
	uint32_t v = 0;

	if (vp->has_msix) {
		msix_config_written(&vp->msix, off, size);
		lock_take(vp->lock);
		virtio_pci_intx_update(vp);
		lock_drop(vp->lock);
	}
	if (!virtio_pci_window(vp, off, size, &cap))
		return;
	memcpy(&v, vp->pci->config + vp->window + sizeof(cap), cap.length);
	virtio_pci_write(vp, cap.offset, cap.length, v);
}

/* --- set-up ------------------------------------------------------------------------- */

/* One of the capabilities of 4.1.4; `extra` more bytes lie behind the common part. */
static uint8_t virtio_pci_cap_add(struct virtio_pci *vp, uint8_t type, uint32_t offset,
				  uint32_t length, unsigned extra, uint32_t mult)
{
	struct virtio_pci_notify_cap c = {
		.cap.cap_len = (uint8_t)(sizeof(struct virtio_pci_cap) + extra),
		.cap.cfg_type = type,
		.cap.bar = VP_BAR,
		.cap.offset = offset,
		.cap.length = length,
		.notify_off_multiplier = mult,
	};

	return pci_cap_add(vp->pci, PCI_CAP_ID_VNDR, c.cap.cap_len, &c.cap.cap_len);
}

static void virtio_pci_caps_add(struct virtio_pci *vp)
{
	uint8_t *wmask;

	virtio_pci_cap_add(vp, VIRTIO_PCI_CAP_COMMON_CFG, VP_COMMON,
			   sizeof(struct virtio_pci_common_cfg), 0, 0);
	virtio_pci_cap_add(vp, VIRTIO_PCI_CAP_NOTIFY_CFG, VP_NOTIFY, vp->n_queues * VP_NOTIFY_MULT,
			   4, VP_NOTIFY_MULT);
	virtio_pci_cap_add(vp, VIRTIO_PCI_CAP_ISR_CFG, VP_ISR, 1, 0, 0);
	if (vp->config_len)
		virtio_pci_cap_add(vp, VIRTIO_PCI_CAP_DEVICE_CFG, VP_DEVICE, vp->config_len, 0, 0);
	vp->window = virtio_pci_cap_add(vp, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 4, 0);
	wmask = vp->pci->wmask + vp->window;
	wmask[VIRTIO_PCI_CAP_BAR] = 0xff;
	memset(wmask + VIRTIO_PCI_CAP_OFFSET, 0xff, 12); /* offset, length, data */
}

static int virtio_pci_doorbells_add(struct virtio_pci *vp)
{
	struct region *r = &vp->pci->bar[VP_BAR].region;
	struct loop *l = vp->loop ? vp->loop : vp->m->loop;

	for (unsigned i = 0; i < vp->n_queues; i++) {
		int err = loop_event_init(l, &vp->q[i].kick, virtio_pci_kicked);

		if (err)
			return err;
		vp->q[i].vp = vp;
		if (vp->rung_at & BIT(i))
			continue; /* the hypervisor is to leave it to us */
		/* Any size: drivers write 16 bits, and KVM is quickest when it need not care. */
		r->doorbell[r->n_doorbells++] = (struct doorbell){
			.off = VP_NOTIFY + i * VP_NOTIFY_MULT,
			.fd = vp->q[i].kick.f.fd,
		};
	}
	return 0;
}

int virtio_pci_init(struct virtio_pci *vp, unsigned type, uint32_t class_code)
{
	const struct pci_id id = {
		.vendor = VIRTIO_PCI_VENDOR,
		.device = (uint16_t)(VIRTIO_PCI_DEVICE_BASE + type),
		.subsys_vendor = VIRTIO_PCI_VENDOR,
		.subsys = (uint16_t)(VIRTIO_PCI_DEVICE_BASE + type), /* 4.1.2.1: 0x40 or up */
		.class_code = class_code,
		.revision = VIRTIO_PCI_REVISION,
	};

	BUG_ON(vp->n_queues > VIRTIO_PCI_QUEUES);
	for (unsigned i = 0; i < vp->n_queues; i++)
		vp->q[i].kick.f.fd = -1;
	virtio_pci_clear(vp);
	pci_init(vp->pci, &id);
	pci_bar_init(vp->pci, VP_BAR, false, VP_BAR_SIZE, "virtio", &virtio_pci_bar_ops, vp);
	virtio_pci_caps_add(vp);
	vp->has_msix =
		vp->m->msi && !msix_init(&vp->msix, vp->pci, VP_BAR_MSIX, vp->n_queues + 1, vp->m);
	if (!vp->has_msix)
		log_warn("virtio: no interrupt vectors left for MSI-X, using INTx");
	return virtio_pci_doorbells_add(vp);
}

void virtio_pci_destroy(struct virtio_pci *vp)
{
	pci_fini(vp->pci);
	for (unsigned i = 0; i < vp->n_queues; i++)
		loop_event_destroy(&vp->q[i].kick);
	if (vp->has_msix)
		msix_destroy(&vp->msix);
}

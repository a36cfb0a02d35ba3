/* SPDX-License-Identifier: MIT */
/*
 * virtio_pci.h: the PCI transport of a modern virtio device (virtio 1.2, section 4.1),
 * between the registers a driver sees and a device that knows only features, status,
 * queues and its configuration structure.
 *
 *   BAR 0, 16 KiB      0x0000 common configuration   features, status, queue set-up
 *                      0x1000 ISR status             INTx only, cleared by reading
 *                      0x2000 device configuration   e.g. struct virtio_net_config
 *                      0x3000 notification           a doorbell per queue, 4 bytes apart
 *   BAR 1, 4 KiB       MSI-X table and PBA           entry 0 and up, as the driver likes
 *   configuration      a vendor capability for each of the four, and one (PCI_CFG) that
 *   space              reaches BAR 0 for whoever cannot map it
 *
 * Each structure has a page of its own, so that a doorbell's page holds doorbells only.
 *
 * Threads and locks are the NIC's (devices/nic.h): `work` for everything that queues
 * rest on, `lock` for interrupts and the bytes of the device configuration.
 */
#ifndef DUET_VIRTIO_PCI_H
#define DUET_VIRTIO_PCI_H

#include "devices/msix.h"
#include "devices/virtq.h"

#define VIRTIO_PCI_QUEUES REGION_DOORBELLS

#define VP_BAR         0
#define VP_BAR_MSIX    1
#define VP_BAR_SIZE    0x4000
#define VP_PAGE        0x1000 /* the structures are this far apart, in this order: */
#define VP_COMMON      0x0000
#define VP_ISR         0x1000
#define VP_DEVICE      0x2000
#define VP_NOTIFY      0x3000
#define VP_NOTIFY_MULT 4

struct virtio_pci;

/* What the device does about it. */
struct virtio_pci_ops {
	/* May the driver have exactly these? They are a subset of those offered and hold
	 * VERSION_1. work held. */
	bool (*features_ok)(void *dev, uint64_t features);
	/* The driver is ready: queues that are enabled may be used. work held. */
	void (*driver_ok)(void *dev);
	/* Back to the state before the driver came. Queues are disabled when this returns
	 * to the caller. work held, so no frame is in flight. */
	void (*reset)(void *dev);
	/* The doorbell of queue `q` rang. Thread of the device's loop, no lock held. */
	void (*kick)(void *dev, unsigned q);
	/* The same for a queue in rung_at, on the thread of the vCPU that rang. */
	void (*rung)(void *dev, unsigned q);
	/* The vector of queue `q` is another one. work held. NULL: nobody needs to know. */
	void (*vector)(void *dev, unsigned q);
	/* The driver did what the specification forbids: count it. Any thread. */
	void (*fault)(void *dev, const char *why);
};

struct virtio_pci_queue {
	/* fixed: */
	struct virtio_pci *vp;
	struct loop_event kick; /* its descriptor is the doorbell's */
	/* any thread: */
	struct access notify; /* doorbells that userspace saw */
	/* work: */
	struct virtq vq;
	struct virtq_layout layout; /* as the driver wrote it */
	/* work to write, work or lock to read: */
	uint16_t vector; /* MSI-X entry, or VIRTIO_MSI_NO_VECTOR */
};

struct virtio_pci {
	/* filled in by the device before virtio_pci_init(), fixed then: */
	const struct virtio_pci_ops *ops;
	void *dev;
	struct machine *m;
	struct pci_dev *pci;
	struct lock *work, *lock;
	struct loop *loop; /* whose thread hears doorbells; NULL: the machine's */
	uint64_t offered;  /* feature bits; VERSION_1 among them */
	unsigned n_queues;
	uint32_t rung_at; /* BIT(queue): the vCPU that rings it calls ops->rung() */
	uint16_t queue_max[VIRTIO_PCI_QUEUES]; /* largest sizes, powers of two */
	uint8_t *config;                       /* device configuration structure; lock */
	unsigned config_len;                   /* 0: there is none */
	/* fixed by virtio_pci_init(): */
	uint8_t window; /* offset of the PCI_CFG capability */
	bool has_msix;  /* false: the machine has no vectors left */
	struct msix msix;
	/* work: */
	uint64_t features; /* what the driver accepts; final once FEATURES_OK is set */
	uint8_t status;    /* VIRTIO_CONFIG_S_* */
	uint32_t dev_select, drv_select; /* which 32 feature bits are shown */
	uint16_t queue_select;
	struct virtio_pci_queue q[VIRTIO_PCI_QUEUES];
	/* lock: */
	uint8_t isr;
	uint8_t generation; /* of the device configuration */
	/* as for queues' vectors: */
	uint16_t config_vector;
	/* any thread, see virtio_pci_account(): */
	struct access common, isr_status, device, other;
};

/*
 * Make *vp->pci a virtio device of `type` (VIRTIO_ID_*) with this class code: identity,
 * BARs, capabilities, doorbells. pci_attach() is left to the device. 0 or -errno.
 */
int virtio_pci_init(struct virtio_pci *vp, unsigned type, uint32_t class_code);
void virtio_pci_destroy(struct virtio_pci *vp);

/* The device's pci_dev hooks of the same names must pass their calls on to these. */
void virtio_pci_config_reading(struct virtio_pci *vp, unsigned off, unsigned size);
void virtio_pci_config_written(struct virtio_pci *vp, unsigned off, unsigned size);

/* Do messages take the place of INTA#? Any thread. */
bool virtio_pci_msix_on(struct virtio_pci *vp);

/* Interrupt for queue `q`. True: a message was sent or the line rose. work held. */
bool virtio_pci_irq(struct virtio_pci *vp, unsigned q);

/* Change bytes of the device configuration; with `notify`, tell a running driver. True:
 * that took an interrupt. work held. */
bool virtio_pci_config_set(struct virtio_pci *vp, unsigned off, const void *src, unsigned len,
			   bool notify);

/* The driver did `why` (NULL: the host is to blame, which was said) and the device cannot go
 * on: NEEDS_RESET, and tell it. work held. */
void virtio_pci_needs_reset(struct virtio_pci *vp, const char *why);

/* Has the driver accepted feature bit `bit`? work held, or FEATURES_OK seen. */
static inline bool virtio_pci_has(const struct virtio_pci *vp, unsigned bit)
{
	return vp->features & BIT64(bit);
}

/* --- virtio_access.c --- */

/* The queue whose doorbell is `at` bytes into its page, or NULL. */
struct virtio_pci_queue *virtio_pci_doorbell(struct virtio_pci *vp, unsigned at);
/* Region ops' hook for BAR 0. */
struct access *virtio_pci_account(void *dev, uint64_t off);
/* Call `fn` for the account of each structure of BAR 0, each doorbell, and MSI-X. */
void virtio_pci_accounts(struct virtio_pci *vp, access_fn *fn, void *ctx);

#endif

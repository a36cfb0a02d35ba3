/* SPDX-License-Identifier: MIT */
/*
 * kvm.h: /dev/kvm and one VM on it: memory slots, the in-kernel interrupt
 * controllers and timer, and what KVM does to spare us exits. vCPUs are vcpu.h,
 * interrupts irq_kvm.h. Words and numbers: Documentation/virt/kvm/api.rst.
 */
#ifndef DUET_KVM_H
#define DUET_KVM_H

#include "vmm/bus.h"
#include "vmm/gmem.h"

#include <stdbool.h>
#include <stddef.h>

#define KVM_DEVICE "/dev/kvm"

struct kvm;

/* KVM as a bus's helper (bus.h). */
struct kvm_accel {
	struct bus_accel accel; /* give this to struct bus */
	struct kvm *kvm;
	bool pio;
};

#define KVM_PAGES 64

/* A memory slot for a page of a region. */
struct kvm_page {
	bool used;
	uint64_t gpa;
};

struct kvm_coalesced_mmio_ring;

struct kvm {
	/* fixed once kvm_open() has returned; used by all threads: */
	int dev, vm;     /* descriptors of /dev/kvm and of the VM */
	size_t run_size; /* bytes of a vCPU's shared page(s) */
	bool any_length; /* ioeventfds may take writes of any size */
	struct kvm_accel pio, mmio;
	/* Queued writes; shared with KVM, `first` is ours (bus.drain), the rest KVM's. NULL:
	 * KVM cannot, or there is no vCPU yet. Fixed before the first one runs. */
	struct kvm_coalesced_mmio_ring *ring;
	unsigned ram_slots; /* 0.. are RAM; once kvm_map_memory() has returned */
	/* the MMIO bus's `change`: */
	struct kvm_page page[KVM_PAGES]; /* slot ram_slots + i is page[i] */
};

/*
 * Open `path` and make sure that it speaks KVM. Returns a descriptor, or with the
 * reason and the remedy in `why`: -ENOENT (absent), -ENODEV (no driver behind it),
 * -EACCES (no permission), -ENOTTY (not KVM), -EPROTO (another API version), or
 * another -errno.
 */
int kvm_dev_open(const char *path, char *why, size_t why_size);

/* What KVM_CHECK_EXTENSION says: 0 when `cap` is missing, else 1 or a number. */
int kvm_dev_cap(int dev, int cap);

/* The first capability we cannot do without that `dev` lacks, or NULL. */
const char *kvm_dev_lacks(int dev);

/*
 * Create a VM with IOAPIC, PICs, PIT and room for local APICs in the kernel.
 * 0, or -errno with the reason and the remedy in `why`. kvm_close() also after failure.
 */
int kvm_open(struct kvm *k, char *why, size_t why_size);
void kvm_close(struct kvm *k);

/* Make guest RAM visible to the guest, in slots 0 and 1; `m` must outlive the VM.
 * 0 or -errno. */
int kvm_map_memory(struct kvm *k, const struct gmem *m);

/*
 * Let memory slot `slot` show `size` bytes (whole pages) at `hva` to the guest; 0 removes
 * it. What is written to a read-only slot arrives as MMIO. 0 or -errno.
 */
int kvm_set_slot(struct kvm *k, unsigned slot, gpa_t gpa, uint64_t size, void *hva, bool readonly);

/* k->pio, k->mmio: doorbells by ioeventfd, pages by memory slots, queued writes. */
void kvm_accel_init(struct kvm *k);
/* The ring of queued writes, by way of any vCPU of the VM; without one there are none. */
void kvm_accel_ring(struct kvm *k, int vcpu);
void kvm_accel_fini(struct kvm *k);

/* ioctl() that returns -errno and is not disturbed by signals. */
int kvm_ioctl(int fd, unsigned long request, void *arg);

#endif

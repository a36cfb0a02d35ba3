/* SPDX-License-Identifier: MIT */
/*
 * kvm.c: opening /dev/kvm with an answer for each way it can go wrong, and the
 * VM-wide ioctls. Nothing here runs while the guest runs: that is vmm/kvm_accel.c.
 */
#include "vmm/kvm.h"

#include "vmm/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* What we cannot do without; KVM has had all of them since Linux 4.13. */
static const struct {
	int cap;
	const char *name;
} kvm_needs[] = {
	{ KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY" },
	{ KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP" },
	{ KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING" },
	{ KVM_CAP_IRQFD, "KVM_CAP_IRQFD" },
	{ KVM_CAP_PIT2, "KVM_CAP_PIT2" },
	{ KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR" },
	{ KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID" },
	{ KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT" },
};

int kvm_ioctl(int fd, unsigned long request, void *arg)
{
	int ret;

	do
		ret = ioctl(fd, request, arg);
	while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

static const char *kvm_open_remedy(int err)
{
	switch (err) {
	case ENOENT:
		return "no such device: load the module (modprobe kvm_intel or kvm_amd) and see "
		       "that the firmware, or the hypervisor above, allows virtualization; "
		       "tools/lab runs without";
	case ENXIO:
	case ENODEV:
		return "no driver behind it: load the module (modprobe kvm_intel or kvm_amd); "
		       "tools/lab runs without";
	case EACCES:
	case EPERM:
		return "permission denied: join the device's group (sudo usermod -aG kvm $USER) "
		       "and log in again";
	default:
		return strerror(err);
	}
}

/* Callers may tell the cases apart without a list of errno's shades. */
static int kvm_open_errno(int err)
{
	return err == ENXIO ? -ENODEV : err == EPERM ? -EACCES : -err;
}

int kvm_dev_open(const char *path, char *why, size_t why_size)
{
	int fd = open(path, O_RDWR | O_CLOEXEC), version;

	if (fd < 0) {
		int err = errno;

		snprintf(why, why_size, "%s: %s", path, kvm_open_remedy(err));
		return kvm_open_errno(err);
	}
	version = kvm_ioctl(fd, KVM_GET_API_VERSION, NULL);
	if (version == KVM_API_VERSION)
		return fd;
	close(fd);
	if (version < 0) {
		snprintf(why, why_size, "%s: this is not KVM (%s)", path, strerror(-version));
		return -ENOTTY;
	}
	snprintf(why, why_size, "%s: KVM API version %d, but %d is needed", path, version,
		 KVM_API_VERSION);
	return -EPROTO;
}

int kvm_dev_cap(int dev, int cap)
{
	int ret = ioctl(dev, KVM_CHECK_EXTENSION, (unsigned long)cap);

	return ret > 0 ? ret : 0;
}

const char *kvm_dev_lacks(int dev)
{
	for (unsigned i = 0; i < ARRAY_SIZE(kvm_needs); i++)
		if (!kvm_dev_cap(dev, kvm_needs[i].cap))
			return kvm_needs[i].name;
	return NULL;
}

/* TSS and identity map: pages that KVM needs on Intel hosts without unrestricted guest. */
static int kvm_set_addresses(struct kvm *k)
{
	uint64_t identity = KVM_IDENTITY_MAP;
	int err = 0;

	if (kvm_dev_cap(k->dev, KVM_CAP_SET_IDENTITY_MAP_ADDR))
		err = kvm_ioctl(k->vm, KVM_SET_IDENTITY_MAP_ADDR, &identity);
	if (!err)
		err = kvm_ioctl(k->vm, KVM_SET_TSS_ADDR, (void *)(uintptr_t)KVM_TSS);
	return err;
}

/* All pins masked, as firmware leaves a PC: a guest that wants the IOAPIC only need not know that
 * the PCI lines lead to the 8259s, too. */
static int kvm_mask_pics(struct kvm *k)
{
	static const uint32_t pics[] = { KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE };
	int err = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(pics) && !err; i++) {
		struct kvm_irqchip chip = { .chip_id = pics[i] };

		err = kvm_ioctl(k->vm, KVM_GET_IRQCHIP, &chip);
		chip.chip.pic.imr = 0xff;
		if (!err)
			err = kvm_ioctl(k->vm, KVM_SET_IRQCHIP, &chip);
	}
	return err;
}

static int kvm_create_chips(struct kvm *k)
{
	/* Port 0x61 belongs to the kernel's PIT then, which has a gate but no speaker. */
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	int err = kvm_ioctl(k->vm, KVM_CREATE_IRQCHIP, NULL);

	if (!err)
		err = kvm_mask_pics(k);
	return err ? err : kvm_ioctl(k->vm, KVM_CREATE_PIT2, &pit);
}

static int kvm_create_vm(struct kvm *k, char *why, size_t why_size)
{
	int err;

	k->vm = kvm_ioctl(k->dev, KVM_CREATE_VM, NULL);
	if (k->vm < 0) {
		snprintf(why, why_size, KVM_DEVICE ": cannot create a VM: %s%s", strerror(-k->vm),
			 k->vm == -EBUSY ? " (does another hypervisor hold the processor?)" : "");
		return k->vm;
	}
	err = kvm_set_addresses(k);
	if (!err)
		err = kvm_create_chips(k);
	if (err)
		snprintf(why, why_size,
			 KVM_DEVICE ": cannot set up interrupt controllers and timer: %s",
			 strerror(-err));
	return err;
}

int kvm_open(struct kvm *k, char *why, size_t why_size)
{
	const char *lacks;
	int size;

	*k = (struct kvm){ .dev = -1, .vm = -1 };
	kvm_accel_init(k);
	k->dev = kvm_dev_open(KVM_DEVICE, why, why_size);
	if (k->dev < 0)
		return k->dev;
	lacks = kvm_dev_lacks(k->dev);
	if (lacks) {
		snprintf(why, why_size, KVM_DEVICE ": it lacks %s: a newer kernel is needed",
			 lacks);
		return -EOPNOTSUPP;
	}
	size = kvm_ioctl(k->dev, KVM_GET_VCPU_MMAP_SIZE, NULL);
	if (size < (int)sizeof(struct kvm_run)) {
		snprintf(why, why_size, KVM_DEVICE ": vCPU area of %d bytes makes no sense", size);
		return -EPROTO;
	}
	k->run_size = (size_t)size;
	k->any_length = kvm_dev_cap(k->dev, KVM_CAP_IOEVENTFD_ANY_LENGTH);
	return kvm_create_vm(k, why, why_size);
}

void kvm_close(struct kvm *k)
{
	kvm_accel_fini(k);
	if (k->vm >= 0)
		close(k->vm);
	if (k->dev >= 0)
		close(k->dev);
	k->vm = k->dev = -1;
}

int kvm_set_slot(struct kvm *k, unsigned slot, gpa_t gpa, uint64_t size, void *hva, bool readonly)
{
	struct kvm_userspace_memory_region r = {
		.slot = slot,
		.flags = readonly ? KVM_MEM_READONLY : 0,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	return kvm_ioctl(k->vm, KVM_SET_USER_MEMORY_REGION, &r);
}

int kvm_map_memory(struct kvm *k, const struct gmem *m)
{
	int err = 0;

	k->ram_slots = m->n;
	for (unsigned i = 0; i < m->n && !err; i++)
		err = kvm_set_slot(k, i, m->r[i].gpa, m->r[i].size, m->r[i].hva, false);
	return err;
}

/* SPDX-License-Identifier: MIT */
/* sidecar.c: a machine of one page, one port and one vCPU without a thread of its own. */
#include "vmm/sidecar.h"

#include "vmm/log.h"
#include "vmm/vcpu.h"

#include <string.h>

#define SIDECAR_RAM  4096
#define SIDECAR_CODE UINT64_C(0)
#define SIDECAR_PORT 0x80

static const uint8_t sidecar_code[] = {
	0xe6, SIDECAR_PORT, /* out %al, $SIDECAR_PORT */
	0xeb, 0xfc,         /* jmp back to it */
};

/* All of it belongs to whoever runs it. */
struct sidecar {
	struct machine m;
	struct kvm kvm;
	struct vcpu vcpu;
	struct region port;
	bool broken; /* said so already */
};

static uint64_t sidecar_read(void *dev, uint64_t off, unsigned size)
{
	(void)dev;
	(void)off;
	return bus_ones(size);
}

static void sidecar_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	(void)dev;
	(void)off;
	(void)size;
	(void)val;
}

static const struct region_ops sidecar_ops = { .read = sidecar_read,
					       .write = sidecar_write,
					       .sizes = 1 };

/* Its four bytes of code cannot ask for a stop. */
static void sidecar_stop(struct machine *m, enum stop_reason why, int code)
{
	(void)m;
	(void)why;
	(void)code;
}

static int sidecar_build(struct sidecar *s)
{
	struct boot_entry entry = { .mode = BOOT_FLAT32, .ip = SIDECAR_CODE };
	int err = gm_init(&s->m.mem, SIDECAR_RAM);

	if (!err)
		err = gm_write(&s->m.mem, SIDECAR_CODE, sidecar_code, sizeof(sidecar_code));
	if (!err)
		err = kvm_map_memory(&s->kvm, &s->m.mem);
	if (!err)
		err = bus_map(&s->m.pio, &s->port, SIDECAR_PORT);
	if (!err)
		err = vcpu_init(&s->vcpu, &s->kvm, &s->m, 0, 1);
	return err ? err : vcpu_set_entry(&s->vcpu, &entry);
}

struct sidecar *sidecar_new(char *why, size_t why_size)
{
	struct sidecar *s = calloc(1, sizeof(*s));
	int err;

	if (!s) {
		snprintf(why, why_size, "sidecar: out of memory");
		return NULL;
	}
	s->m.stop = sidecar_stop;
	s->vcpu.fd = -1;
	s->port = (struct region){ .name = "sidecar", .ops = &sidecar_ops, .dev = s, .size = 1 };
	bus_init(&s->m.pio, "sidecar pio", true);
	bus_init(&s->m.mmio, "sidecar mmio", false);
	err = kvm_open(&s->kvm, why, why_size);
	if (!err) {
		err = sidecar_build(s);
		if (err)
			snprintf(why, why_size, KVM_DEVICE ": cannot set up a sidecar: %s",
				 strerror(-err));
	}
	if (!err)
		return s;
	sidecar_free(s);
	return NULL;
}

void sidecar_free(struct sidecar *s)
{
	if (!s)
		return;
	vcpu_destroy(&s->vcpu);
	kvm_close(&s->kvm);
	gm_destroy(&s->m.mem);
	bus_destroy(&s->m.mmio);
	bus_destroy(&s->m.pio);
	free(s);
}

unsigned sidecar_exits(void *ctx, unsigned n)
{
	struct sidecar *s = ctx;
	uint64_t start = counter_get(&s->vcpu.exits[KVM_EXIT_IO]), made = 0;

	/* A signal to this thread ends KVM_RUN too, but is no exit of the kind wanted. */
	while (made < n && !s->broken) {
		if (vcpu_run_once(&s->vcpu) == VERDICT_RUN) {
			made = counter_get(&s->vcpu.exits[KVM_EXIT_IO]) - start;
			continue;
		}
		s->broken = true;
		log_error("sidecar: no more artificial exits: %s", s->vcpu.why);
	}
	return (unsigned)made;
}

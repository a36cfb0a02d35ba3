/* SPDX-License-Identifier: MIT */
/*
 * machine.h: the fake machine of tests/rig with a PCI bus and NICs on it, for fuzz targets.
 * RAM and machine are made once; the bus, the devices and RAM's contents are new for each
 * input. Behind RAM, on either side, are pages that nobody may touch.
 */
#ifndef DUET_FUZZ_MACHINE_H
#define DUET_FUZZ_MACHINE_H

#include "devices/nic.h"
#include "tests/fuzz/fuzz.h"
#include "tests/rig/fake_accel.h"
#include "tests/rig/fake_machine.h"
#include "tests/rig/fake_net.h"

#define FUZZ_RAM    UINT64_C(0x40000)
#define FUZZ_FRAMES 0x10000 /* where RAM has finished frames: wire.h */
#define FUZZ_NICS   4

struct fuzz_nic {
	struct nic *nic;
	struct fake_net *net; /* NULL: the loop backend */
	unsigned slot;
	uint32_t bar[6]; /* as the firmware placed them */
};

struct fuzz_machine {
	struct fake_machine *f;
	struct fake_accel accel;
	struct bus_accel granted; /* what the accelerator does when it does not refuse */
	bool refuse;              /* the hypervisor takes nothing over any more */
	struct pci_host *pci;
	struct fuzz_nic nic[FUZZ_NICS];
	unsigned n_nics;
};

/* The machine, as after power-on: always the same one. */
struct fuzz_machine *fuzz_machine_begin(void);
/* Take NICs and bus off it; nothing may be left behind. */
void fuzz_machine_end(struct fuzz_machine *m);

/* A NIC of rungs, offloads and backend that the input chooses, its BARs enabled. */
struct fuzz_nic *fuzz_nic_plug(struct fuzz_machine *m, struct fuzz_in *in, bool virtio);
/* BARs and command register as fuzz_nic_plug() left them. */
void fuzz_nic_enable(struct fuzz_machine *m, struct fuzz_nic *n);

/* Serve what is ready, until nothing is. */
void fuzz_run(struct fuzz_machine *m);
/* As a guest's instruction: never across a page. */
void fuzz_store(struct fuzz_machine *m, uint64_t addr, unsigned size, uint64_t val);
uint64_t fuzz_load(struct fuzz_machine *m, uint64_t addr, unsigned size);

/* A guest-physical address: in RAM mostly, at its end, beyond it, in a BAR. */
gpa_t fuzz_gpa(struct fuzz_in *in, const struct fuzz_nic *n);
/* Guest memory at `at`, modulo its size; always room for `len` (<= 65536) bytes. */
uint8_t *fuzz_ram(struct fuzz_machine *m, gpa_t at, size_t len);

/* --- operations that all targets with NICs have --- */

void fuzz_op_poke(struct fuzz_machine *m, struct fuzz_in *in);
void fuzz_op_time(struct fuzz_machine *m, struct fuzz_in *in);
void fuzz_op_config(struct fuzz_machine *m, struct fuzz_in *in, unsigned slot);
void fuzz_op_backend(struct fuzz_machine *m, struct fuzz_in *in, struct fuzz_nic *n);
void fuzz_op_frame(struct fuzz_machine *m, struct fuzz_in *in, struct fuzz_nic *n);
/* The guest acknowledges, or the hypervisor changes its mind about helping. */
void fuzz_op_host(struct fuzz_machine *m, struct fuzz_in *in, struct fuzz_nic *n);

/* The backend is idle and has room, as if nothing had happened. */
void fuzz_backend_rest(struct fuzz_machine *m, struct fuzz_nic *n);
/* Every frame the backend gave is accounted for; so are all in statistics. */
void fuzz_nic_sum(const struct fuzz_nic *n);

#endif

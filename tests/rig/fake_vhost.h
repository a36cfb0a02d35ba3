/* SPDX-License-Identifier: MIT */
/*
 * fake_vhost.h: the host's kernel behind /dev/vhost-net. It keeps what it was told and refuses
 * what the real one refuses; a test has its open() and ioctl() end here, and looks. There is
 * one, and one thread.
 */
#ifndef DUET_FAKE_VHOST_H
#define DUET_FAKE_VHOST_H

#include "vmm/util.h"

#include <linux/vhost.h>
#include <stdbool.h>
#include <stdint.h>

struct fake_vhost_queue {
	unsigned size, base;
	struct vhost_vring_addr at;
	int kick, call, err;
	int tap; /* -1: not served */
};

struct fake_vhost {
	int fd;                /* of the open device; -1: none */
	int open_errno;        /* what open() says; 0: it works */
	unsigned long refused; /* this request fails */
	bool owned;
	uint64_t knows, features;
	struct vhost_memory *mem;
	struct fake_vhost_queue q[2];
	unsigned starts, stops;
};

extern struct fake_vhost fake_vhost;

/* Of a new machine: the device works, knows what Linux 6.1 does, and nobody has it open. */
void fake_vhost_boot(void);
/* As open() and ioctl() of it. */
int fake_vhost_open(void);
int fake_vhost_ioctl(unsigned long request, void *arg);
/* It does the first chain of queue `q` that it has not done: used, `len` bytes. */
void fake_vhost_use(unsigned q, uint32_t len);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * serial.h: a 16550A UART (TL16C550C data sheet's register names) whose line is a
 * descriptor of the host: output goes to out_fd, input comes by serial_input().
 */
#ifndef DUET_SERIAL_H
#define DUET_SERIAL_H

#include "vmm/device.h"

struct serial;

struct serial_config {
	const char *name; /* "ttyS0": in messages and traces; outlives the UART */
	uint16_t port;    /* PORT_COM1, PORT_COM2 */
	unsigned gsi;     /* GSI_COM1, GSI_COM2 */
	int out_fd;       /* stays the caller's, must outlive the UART; -1: output goes nowhere */
	bool patient;     /* wait for a stalled reader for ever, rather than lose its bytes */
};

/* Map the UART on the port bus. NULL and errno on failure. */
struct serial *serial_new(struct machine *m, const struct serial_config *cfg);

/*
 * Write out what the guest has sent, waiting for a slow reader for at most `ms` in
 * all, then release. The vCPUs and the loop must have stopped.
 */
void serial_free(struct serial *s, unsigned ms);

/* Bytes arriving on the line. Returns how many fitted into the receiver's FIFO (0..len);
 * offer the rest again when room() was called. Any thread. */
size_t serial_input(struct serial *s, const void *buf, size_t len);

/* A break on the line: a NUL byte that LSR.BI marks, behind what is there (Linux takes the byte
 * after it for a SysRq key). False: no room for it; offer it again when room() was called. Any
 * thread. */
bool serial_break(struct serial *s);

/* Call room(arg) on the loop's thread each time the guest has emptied a receiver that
 * had refused a byte. One listener, set before the vCPUs start. */
void serial_on_room(struct serial *s, void (*room)(void *arg), void *arg);

/* Bytes lost: the reader was stalled or gone. Any thread. */
uint64_t serial_dropped(const struct serial *s);

#endif

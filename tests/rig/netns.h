/* SPDX-License-Identifier: MIT */
/*
 * netns.h: a network namespace of the test's own, and what one does in it by hand. The
 * machine's own interfaces are out of reach from there. Failures end the test (BUG_ON).
 */
#ifndef DUET_TEST_NETNS_H
#define DUET_TEST_NETNS_H

#include <stdbool.h>
#include <stddef.h>

/* Move this process into a new network namespace, and mount namespace of no consequence
 * for others. NULL, or why that is not possible here. */
const char *netns_enter(void);
/* Why taps cannot be tried here, found out in a child; NULL if they can. */
const char *netns_tap_unavailable(void);

/* Make a persistent tap with these TUNSETIFF flags on top of IFF_TAP; `owner` -1: nobody's.
 * Returns a descriptor attached to it: close it to set the tap free. -1: this owner is
 * unknown in our user namespace. */
int netns_tap(const char *name, int flags, int owner);
void netns_up(const char *name, bool up);
/* A new carrier opens the interface's send queue only when the kernel gets round to it,
 * and until then frames are dropped; make it so now. */
void netns_settle(const char *name);
void netns_mtu(const char *name, int mtu);
bool netns_exists(const char *name);
void netns_delete(const char *name);

/* A packet socket on the interface, non-blocking, in its virtio_net_hdr mode: each
 * frame either way is preceded by that header. */
int netns_packet(const char *name);

/* Give up or take back effective capabilities (CAP_*). */
void netns_cap(int cap, bool on);

/* An empty directory in place of /dev/net, for this process only. */
void netns_hide_dev(void);
void netns_show_dev(void);

#endif

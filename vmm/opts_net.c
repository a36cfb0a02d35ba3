/* SPDX-License-Identifier: MIT */
/* opts_net.c: --net MODEL,BACKEND[,KEY[=VALUE]]..., word by word. */
#include "devices/nic.h"
#include "vmm/opts_parse.h"

#include <net/if.h>
#include <string.h>

#define OPTS_SOCKET_MAX   107 /* sockaddr_un, less its end */
#define OPTS_MTU_MIN      68
#define OPTS_MTU_MAX      65535
#define OPTS_POLL_MAX     100000
#define OPTS_POLL_DEFAULT 4000
#define OPTS_EXITS_MAX    1000

static const uint8_t opts_mac_base[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };

static int net_backend(struct opts *o, struct opts_nic *n, const char *kind)
{
	if (n->backend)
		return opts_fail(o, "--net: both %s and %s; one backend is needed", n->backend,
				 kind);
	n->backend = kind;
	return 0;
}

static int net_tap(struct opts *o, struct opts_nic *n, const char *val)
{
	if (!*val || strlen(val) >= IFNAMSIZ || strpbrk(val, "/ \t"))
		return opts_fail(o, "--net tap=%s: an interface's name has 1 to %d characters", val,
				 IFNAMSIZ - 1);
	snprintf(n->arg, sizeof(n->arg), "%s", val);
	return net_backend(o, n, "tap");
}

static int net_fd(struct opts *o, struct opts_nic *n, const char *val)
{
	uint64_t fd;

	if (opts_number(val, INT32_MAX, &fd) < 0 || fd < 3)
		return opts_fail(o, "--net fd=%s: the number of an open descriptor, 3 or more",
				 val);
	snprintf(n->arg, sizeof(n->arg), "%d", (int)fd);
	return net_backend(o, n, "fd");
}

/* Backends whose argument is a socket's path. */
static int net_path(struct opts *o, struct opts_nic *n, const char *kind, const char *val)
{
	if (!*val || strlen(val) > OPTS_SOCKET_MAX)
		return opts_fail(o, "--net %s=%s: a socket's path has 1 to %d characters", kind,
				 val, OPTS_SOCKET_MAX);
	snprintf(n->arg, sizeof(n->arg), "%s", val);
	return net_backend(o, n, kind);
}

static int net_stream(struct opts *o, struct opts_nic *n, const char *val)
{
	return net_path(o, n, "stream", val);
}

static int net_listen(struct opts *o, struct opts_nic *n, const char *val)
{
	return net_path(o, n, "listen", val);
}

static int net_user(struct opts *o, struct opts_nic *n, const char *val)
{
	(void)val;
	return net_backend(o, n, "user");
}

/* PROTO:[ADDR:]PORT:PORT, from behind, as an address of IPv6 has colons too. */
static bool net_forward(char *s, char *out, size_t size)
{
	char *guest = strrchr(s, ':'), *host, *addr;
	uint64_t port;

	if ((strncmp(s, "tcp:", 4) && strncmp(s, "udp:", 4)) || guest == s + 3)
		return false;
	*guest++ = '\0';
	host = strrchr(s, ':');
	*host++ = '\0';
	addr = host == s + 4 ? (char *)"127.0.0.1" : s + 4;
	if (!*addr || strpbrk(addr, "/ ") || opts_number(host, 65535, &port) < 0 || !port ||
	    opts_number(guest, 65535, &port) < 0 || !port)
		return false;
	s[3] = '\0';
	return (size_t)snprintf(out, size, "%s:%s/%s:%s", s, addr, host, guest) < size;
}

static int net_hostfwd(struct opts *o, struct opts_nic *n, const char *val)
{
	size_t used = strlen(n->arg);
	char s[128];

	if (!n->backend || strcmp(n->backend, "user") != 0)
		return opts_fail(o, "--net hostfwd=%s: only after user", val);
	if ((size_t)snprintf(s, sizeof(s), "%s", val) >= sizeof(s) || used + 1 >= sizeof(n->arg))
		return opts_fail(o, "--net hostfwd=%.40s...: too long, or too many", val);
	if (used)
		n->arg[used++] = ',';
	if (!net_forward(s, n->arg + used, sizeof(n->arg) - used))
		return opts_fail(o,
				 "--net hostfwd=%s: say tcp:PORT:GUESTPORT, or udp:, or "
				 "tcp:ADDRESS:PORT:GUESTPORT",
				 val);
	return 0;
}

static int net_null(struct opts *o, struct opts_nic *n, const char *val)
{
	(void)val;
	return net_backend(o, n, "null");
}

static int net_loop(struct opts *o, struct opts_nic *n, const char *val)
{
	(void)val;
	return net_backend(o, n, "loop");
}

static int net_pcap(struct opts *o, struct opts_nic *n, const char *val)
{
	if (!*val || (size_t)snprintf(n->pcap, sizeof(n->pcap), "%s", val) >= sizeof(n->pcap))
		return opts_fail(o, "--net pcap=%s: a file name of 1 to %zu characters", val,
				 sizeof(n->pcap) - 1);
	return 0;
}

static int net_mac(struct opts *o, struct opts_nic *n, const char *val)
{
	if (nic_parse_mac(val, n->mac) < 0)
		return opts_fail(o, "--net mac=%s: a unicast address such as 52:54:00:12:34:56",
				 val);
	n->mac_given = true;
	return 0;
}

static int net_mtu(struct opts *o, struct opts_nic *n, const char *val)
{
	uint64_t mtu;

	if (opts_number(val, OPTS_MTU_MAX, &mtu) < 0 || mtu < OPTS_MTU_MIN)
		return opts_fail(o, "--net mtu=%s: a number from %d to %d", val, OPTS_MTU_MIN,
				 OPTS_MTU_MAX);
	n->mtu = (unsigned)mtu;
	return 0;
}

static int net_poll(struct opts *o, struct opts_nic *n, const char *val)
{
	uint64_t us;

	if (opts_number(val, OPTS_POLL_MAX, &us) < 0 || !us)
		return opts_fail(o, "--net poll-us=%s: microseconds, 1 to %d", val, OPTS_POLL_MAX);
	n->poll_us = (unsigned)us;
	n->tuned = "poll-us=";
	return 0;
}

static int net_ladder(struct opts *o, struct opts_nic *n, const char *val)
{
	if (!ladder_preset(val, &n->rungs))
		return opts_fail(o, "--net ladder=%s: say qemu, best, or a rung's name", val);
	if (n->model == OPTS_VIRTIO)
		n->rungs &= LADDER_VIRTIO;
	n->tuned = "ladder=";
	return 0;
}

static int net_exits(struct opts *o, struct opts_nic *n, const char *val)
{
	uint64_t exits;

	if (opts_number(val, OPTS_EXITS_MAX, &exits) < 0)
		return opts_fail(o, "--net exits=%s: a number from 0 to %d", val, OPTS_EXITS_MAX);
	n->exits = (unsigned)exits;
	n->tuned = "exits=";
	return 0;
}

static int net_vhost(struct opts *o, struct opts_nic *n, const char *val)
{
	if (strcmp(val, "on") != 0 && strcmp(val, "off") != 0)
		return opts_fail(o, "--net vhost=%s: say vhost=on or vhost=off", val);
	n->vhost = !strcmp(val, "on");
	return 0;
}

static const struct {
	const char *name;
	bool value;
	int (*set)(struct opts *o, struct opts_nic *n, const char *val);
} net_keys[] = {
	{ "tap", true, net_tap },         { "fd", true, net_fd },
	{ "stream", true, net_stream },   { "user", false, net_user },
	{ "hostfwd", true, net_hostfwd }, { "listen", true, net_listen },
	{ "null", false, net_null },      { "loop", false, net_loop },
	{ "mac", true, net_mac },         { "mtu", true, net_mtu },
	{ "ladder", true, net_ladder },   { "poll-us", true, net_poll },
	{ "exits", true, net_exits },     { "pcap", true, net_pcap },
	{ "vhost", true, net_vhost },
};

static int net_rung(struct opts *o, struct opts_nic *n, enum ladder_rung r, const char *val)
{
	if (n->model == OPTS_VIRTIO && !ladder_on_virtio(r))
		return opts_fail(o, "--net virtio,%s: a rung of e1000 only", ladder_name(r));
	if (val && !strcmp(val, "on"))
		n->rungs |= BIT(r);
	else if (val && !strcmp(val, "off"))
		n->rungs &= ~BIT(r);
	else
		return opts_fail(o, "--net %s%s%s: say %s=on or %s=off", ladder_name(r),
				 val ? "=" : "", val ? val : "", ladder_name(r), ladder_name(r));
	n->tuned = ladder_name(r);
	return 0;
}

static int net_key(struct opts *o, struct opts_nic *n, char *word)
{
	char *val = strchr(word, '=');

	if (val)
		*val++ = '\0';
	for (unsigned i = 0; i < ARRAY_SIZE(net_keys); i++) {
		if (strcmp(word, net_keys[i].name) != 0)
			continue;
		if (net_keys[i].value && !val)
			return opts_fail(o, "--net %s: needs a value, %s=...", word, word);
		if (!net_keys[i].value && val)
			return opts_fail(o, "--net %s=%s: takes no value", word, val);
		return net_keys[i].set(o, n, val);
	}
	if (ladder_find(word) != RUNG_NR)
		return net_rung(o, n, ladder_find(word), val);
	return opts_fail(
		o,
		"--net: unknown key '%s'; known: user, hostfwd=, tap=IFNAME, fd=N, stream=PATH, "
		"listen=PATH, null, loop, mac=, mtu=, "
		"pcap=, exits=, vhost=, "
		"ladder=, poll-us=, and the rungs of the ladder (duet run --help)",
		word);
}

static int net_model(struct opts *o, struct opts_nic *n, const char *word)
{
	if (!strcmp(word, "e1000"))
		n->model = OPTS_E1000;
	else if (!strcmp(word, "virtio"))
		n->model = OPTS_VIRTIO;
	else
		return opts_fail(o, "--net %s: unknown model; known: e1000, virtio", word);
	return 0;
}

/* The host's kernel has virtio's rings and a tap; what duet does with frames it does not do. */
static int net_check_vhost(struct opts *o, const struct opts_nic *n, const char *s)
{
	if (!n->vhost)
		return 0;
	if (n->model != OPTS_VIRTIO)
		return opts_fail(o, "--net %s: vhost=on is for virtio", s);
	if (strcmp(n->backend, "tap") != 0 && strcmp(n->backend, "fd") != 0)
		return opts_fail(o, "--net %s: vhost=on needs a tap, tap=IFNAME or fd=N", s);
	if (n->pcap[0] || n->tuned)
		return opts_fail(o,
				 "--net %s: not %s with vhost=on, where the host's kernel moves "
				 "the frames",
				 s, n->pcap[0] ? "pcap=" : n->tuned);
	return 0;
}

int opts_net(struct opts *o, const char *s)
{
	struct opts_nic *n = &o->nic[o->n_nics];
	char text[1024], *save, *word;

	if (o->n_nics == OPTS_NICS_MAX)
		return opts_fail(o, "--net %s: too many NICs, at most %d", s, OPTS_NICS_MAX);
	if ((size_t)snprintf(text, sizeof(text), "%s", s) >= sizeof(text))
		return opts_fail(o, "--net %.40s...: too long", s);
	word = strtok_r(text, ",", &save);
	if (net_model(o, n, word ? word : "") < 0)
		return -1;
	n->poll_us = OPTS_POLL_DEFAULT;
	n->rungs = n->model == OPTS_VIRTIO ? LADDER_BEST & LADDER_VIRTIO : LADDER_BEST;
	while ((word = strtok_r(NULL, ",", &save)))
		if (net_key(o, n, word) < 0)
			return -1;
	if (ladder_conflict(n->rungs))
		return opts_fail(o, "--net %s: %s", s, ladder_conflict(n->rungs));
	if (!n->backend)
		return opts_fail(
			o,
			"--net %s: no backend; add ,user or ,tap=IFNAME or ,null or ,loop (duet "
			"run --help has more)",
			s);
	if (net_check_vhost(o, n, s) < 0)
		return -1;
	if (!n->mac_given) {
		memcpy(n->mac, opts_mac_base, 6);
		n->mac[5] = (uint8_t)(n->mac[5] + o->n_nics);
	}
	o->n_nics++;
	return 0;
}

int opts_check_nics(struct opts *o)
{
	for (unsigned i = 0; i < o->n_nics; i++)
		for (unsigned j = 0; j < i; j++) {
			const struct opts_nic *a = &o->nic[j], *b = &o->nic[i];

			if (!memcmp(a->mac, b->mac, 6))
				return opts_fail(o,
						 "--net: NICs %u and %u have the same MAC address "
						 "%02x:%02x:%02x:%02x:%02x:%02x",
						 j, i, b->mac[0], b->mac[1], b->mac[2], b->mac[3],
						 b->mac[4], b->mac[5]);
			if (a->arg[0] && !strcmp(a->backend, b->backend) && !strcmp(a->arg, b->arg))
				return opts_fail(o, "--net: NICs %u and %u both want %s=%s", j, i,
						 b->backend, b->arg);
		}
	return 0;
}

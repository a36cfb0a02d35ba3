/* SPDX-License-Identifier: MIT */
/*
 * tap_attach.c: get hold of a tap interface, and when that fails say why and how to
 * mend it. An interface that root prepared for this user ("ip tuntap add mode tap name
 * tap0 user $USER") needs no privilege at all; creating one takes CAP_NET_ADMIN.
 *
 * TUNSETIFF answers many mistakes with one errno, so after a refusal the interface is
 * asked what it is. By ioctl: the flags in /sys/class/net are those of the network
 * namespace that mounted sysfs, which need not be ours.
 */
#include "devices/net/backend.h"
#include "vmm/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define TAP_DEV "/dev/net/tun"

enum tap_kind { TAP_ABSENT, TAP_FOREIGN, TAP_TAP };

/* Does the interface exist, and is it a tap? */
static enum tap_kind tap_kind(const char *name)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq ifr = { .ifr_data = (void *)&info };
	int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;

	memcpy(ifr.ifr_name, name, strlen(name));
	err = ioctl(sock, SIOCETHTOOL, &ifr) < 0 ? errno : 0;
	close(sock);
	if (err == ENODEV)
		return TAP_ABSENT;
	if (err)
		return TAP_FOREIGN;
	return strcmp(info.driver, "tun") || strcmp(info.bus_info, "tap") ? TAP_FOREIGN : TAP_TAP;
}

static bool tap_name_ok(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len < IFNAMSIZ && !strpbrk(name, "/:% \t\n\v\f\r") && strcmp(name, ".") &&
	       strcmp(name, "..");
}

static int tap_open_dev(const char *name)
{
	int fd = open(TAP_DEV, O_RDWR | O_NONBLOCK | O_CLOEXEC), err = errno;

	if (fd >= 0)
		return fd;
	if (err == ENOENT || err == ENODEV || err == ENXIO)
		log_error("%s: " TAP_DEV ": %s: modprobe tun", name, strerror(err));
	else if (err == EACCES || err == EPERM)
		log_error("%s: " TAP_DEV ": %s: chmod 666 " TAP_DEV, name, strerror(err));
	else
		log_error("%s: " TAP_DEV ": %s", name, strerror(err));
	return -err;
}

/* TUNSETIFF said no. */
static void tap_explain(const char *name, int err)
{
	enum tap_kind kind = tap_kind(name);

	if (kind == TAP_ABSENT && err == EPERM)
		log_error("%s: no such interface, and creating it is not permitted: "
			  "ip tuntap add mode tap name %s user $USER",
			  name, name);
	else if (kind == TAP_FOREIGN)
		log_error("%s: exists but is not a tap: choose a free name, "
			  "ip tuntap add mode tap name NAME user $USER",
			  name);
	else if (err == EBUSY || err == E2BIG)
		log_error("%s: another process has it open; each guest needs a tap of its own: "
			  "fuser -v " TAP_DEV,
			  name);
	else if (err == EPERM || err == EACCES)
		log_error("%s: belongs to another user or group: ip tuntap del mode tap name "
			  "%s && ip tuntap add mode tap name %s user $USER",
			  name, name, name);
	else
		log_error("%s: cannot attach: %s", name, strerror(err));
}

/* Attach, with the header if it can be had. A tap made with `multi_queue` insists on the
 * flag, any other refuses it; both answer EINVAL. */
static int tap_set_iff(int fd, const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int err;

	memcpy(ifr.ifr_name, name, strlen(name));
	err = ioctl(fd, TUNSETIFF, &ifr) < 0 ? errno : 0;
	if (err == EINVAL && tap_kind(name) == TAP_TAP) {
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
		err = ioctl(fd, TUNSETIFF, &ifr) < 0 ? errno : 0;
	}
	if (err)
		tap_explain(name, err);
	return -err;
}

/* One of the ioctls that only fail on a kernel too old for us. */
static int tap_ioctl(int fd, const char *name, const char *what, unsigned long request, void *arg)
{
	int err;

	if (ioctl(fd, request, arg) >= 0)
		return 0;
	err = errno;
	log_error("%s: %s: %s: the host's tun driver is too old", name, what, strerror(err));
	return -err;
}

/*
 * The frame format of this descriptor: the ten-byte header, little-endian, no offload
 * yet (a persistent tap keeps what its last user had set). Whoever attaches first
 * decides on the header; only another queue of a multi_queue tap comes second. (That its
 * first user left IFF_NO_PI off cannot be seen: TUNGETIFF has IFF_NOFILTER in that bit.)
 * `whose` and `cure` say whose doing it is when there is none.
 */
static int tap_set_format(int fd, const char *name, bool *vnet_hdr, const char *whose,
			  const char *cure)
{
	struct ifreq ifr = { 0 };
	int size = sizeof(struct virtio_net_hdr), little = 1;
	int err = tap_ioctl(fd, name, "TUNGETIFF", TUNGETIFF, &ifr);

	if (err)
		return err;
	*vnet_hdr = ifr.ifr_flags & IFF_VNET_HDR;
	if (!*vnet_hdr)
		log_warn("%s: %s without vnet_hdr, so checksums and segments are made in software: "
			 "%s",
			 name, whose, cure);
	if (*vnet_hdr)
		err = tap_ioctl(fd, name, "TUNSETVNETHDRSZ", TUNSETVNETHDRSZ, &size);
	if (*vnet_hdr && !err)
		err = tap_ioctl(fd, name, "TUNSETVNETLE", TUNSETVNETLE, &little);
	return err ? err : tap_ioctl(fd, name, "TUNSETOFFLOAD", TUNSETOFFLOAD, NULL);
}

int tap_attach(const char *name, bool *vnet_hdr)
{
	bool fresh;
	int fd, err;

	if (!name || !tap_name_ok(name)) {
		log_error(
			"\"%s\" cannot name a tap: 1 to %d characters, no blank, '/', ':' or '%%'",
			name ? name : "", IFNAMSIZ - 1);
		return -EINVAL;
	}
	fd = tap_open_dev(name);
	if (fd < 0)
		return fd;
	fresh = tap_kind(name) == TAP_ABSENT;
	err = tap_set_iff(fd, name);
	if (!err)
		err = tap_set_format(fd, name, vnet_hdr, "another process has it open",
				     "give the guest a tap of its own");
	if (err) {
		close(fd);
		return err;
	}
	if (fresh)
		log_info("%s: created; it goes when duet exits", name);
	return fd;
}

/* Is it a tap's descriptor? *ifr then says which. Logs what it is instead. */
static int tap_examine(int fd, struct ifreq *ifr)
{
	int flags = fcntl(fd, F_GETFL), err;

	if (flags < 0) {
		log_error("fd=%d: no such descriptor is open: hand over one that is attached to a "
			  "tap",
			  fd);
		return -EBADF;
	}
	if (ioctl(fd, TUNGETIFF, ifr) < 0) {
		err = errno == EBADFD ? -EBADFD : -ENOTTY;
		log_error("fd=%d: %s", fd,
			  err == -EBADFD ? "no interface is attached to it: TUNSETIFF comes first"
					 : "not a tap's: open " TAP_DEV " and attach it");
		return err;
	}
	if (!(ifr->ifr_flags & IFF_TAP)) {
		log_error("fd=%d: %.*s is a tun, which has no Ethernet: hand over a tap", fd,
			  IFNAMSIZ, ifr->ifr_name);
		return -EINVAL;
	}
	if ((flags & O_ACCMODE) != O_RDWR) {
		log_error("fd=%d: open one way only: open " TAP_DEV " for reading and writing", fd);
		return -EACCES;
	}
	return 0;
}

int tap_adopt(int fd, char *name, bool *vnet_hdr)
{
	struct ifreq ifr = { 0 };
	int err = tap_examine(fd, &ifr);

	if (err)
		return err;
	snprintf(name, IFNAMSIZ, "%s", ifr.ifr_name);
	if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
		err = errno;
		log_error("fd=%d: %s", fd, strerror(err));
		return -err;
	}
	return tap_set_format(fd, name, vnet_hdr, "handed over", "attach it with IFF_VNET_HDR");
}

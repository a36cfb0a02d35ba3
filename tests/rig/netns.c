/* SPDX-License-Identifier: MIT */
/* netns.c: ioctls and one netlink message, so that no test depends on ip(8). */
#include "tests/rig/netns.h"
#include "vmm/util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static bool netns_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

/* Without privilege a user namespace comes first, in which we are root. */
static bool netns_become_root(void)
{
	char uid[32], gid[32];

	snprintf(uid, sizeof(uid), "0 %u 1", getuid());
	snprintf(gid, sizeof(gid), "0 %u 1", getgid());
	return !unshare(CLONE_NEWUSER) && netns_write("/proc/self/setgroups", "deny") &&
	       netns_write("/proc/self/uid_map", uid) && netns_write("/proc/self/gid_map", gid);
}

const char *netns_enter(void)
{
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) &&
	    (!netns_become_root() || unshare(CLONE_NEWNET | CLONE_NEWNS)))
		return "no network namespace of one's own is permitted here";
	/* No mount of ours may show outside. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return "no mount namespace of one's own is permitted here";
	/* No router solicitations and the like among the frames. May be read-only. */
	netns_write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
	return NULL;
}

static struct ifreq netns_ifreq(const char *name)
{
	struct ifreq ifr = { 0 };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	return ifr;
}

const char *netns_tap_unavailable(void)
{
	static const char *const why[] = {
		NULL,
		"no network namespace of one's own is permitted here",
		"/dev/net/tun cannot be opened: modprobe tun, or a matter of permissions",
		"no tap can be made in a network namespace of one's own",
	};
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		struct ifreq ifr = netns_ifreq("tap0");
		int fd;

		ifr.ifr_flags = IFF_TAP | IFF_NO_PI;
		if (netns_enter())
			_exit(1);
		fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
		if (fd < 0)
			_exit(2);
		_exit(ioctl(fd, TUNSETIFF, &ifr) ? 3 : 0);
	}
	BUG_ON(pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status));
	return why[WEXITSTATUS(status)];
}

int netns_tap(const char *name, int flags, int owner)
{
	struct ifreq ifr = netns_ifreq(name);
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	ifr.ifr_flags = (short)(IFF_TAP | flags);
	BUG_ON(fd < 0 || ioctl(fd, TUNSETIFF, &ifr) || ioctl(fd, TUNSETPERSIST, 1UL));
	if (owner >= 0 && ioctl(fd, TUNSETOWNER, (unsigned long)owner)) {
		BUG_ON(errno != EINVAL);
		close(fd);
		return -1;
	}
	return fd;
}

/* 0 or an errno. */
static int netns_ioctl(unsigned long request, struct ifreq *ifr)
{
	int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = ioctl(sock, request, ifr) ? errno : 0;

	close(sock);
	return err;
}

void netns_up(const char *name, bool up)
{
	struct ifreq ifr = netns_ifreq(name);

	BUG_ON(netns_ioctl(SIOCGIFFLAGS, &ifr));
	ifr.ifr_flags = (short)(up ? ifr.ifr_flags | IFF_UP : ifr.ifr_flags & ~IFF_UP);
	BUG_ON(netns_ioctl(SIOCSIFFLAGS, &ifr));
}

void netns_settle(const char *name)
{
	struct ethtool_value link = { .cmd = ETHTOOL_GLINK };
	struct ifreq ifr = netns_ifreq(name);

	ifr.ifr_data = (void *)&link;
	BUG_ON(netns_ioctl(SIOCETHTOOL, &ifr));
}

void netns_mtu(const char *name, int mtu)
{
	struct ifreq ifr = netns_ifreq(name);

	ifr.ifr_mtu = mtu;
	BUG_ON(netns_ioctl(SIOCSIFMTU, &ifr));
}

static int netns_index(const char *name)
{
	struct ifreq ifr = netns_ifreq(name);

	return netns_ioctl(SIOCGIFINDEX, &ifr) ? 0 : ifr.ifr_ifindex;
}

bool netns_exists(const char *name)
{
	return netns_index(name) > 0;
}

void netns_delete(const char *name)
{
	struct {
		struct nlmsghdr nh;
		struct ifinfomsg ifi;
	} msg = {
		.nh = { .nlmsg_len = sizeof(msg),
			.nlmsg_type = RTM_DELLINK,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.ifi = { .ifi_index = netns_index(name) },
	};
	int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	BUG_ON(sock < 0 || send(sock, &msg, sizeof(msg), 0) != sizeof(msg));
	BUG_ON(recv(sock, &msg, sizeof(msg), 0) < 0); /* the answer: it is done */
	close(sock);
	BUG_ON(netns_exists(name));
}

int netns_packet(const char *name)
{
	struct sockaddr_ll addr = { .sll_family = AF_PACKET,
				    .sll_protocol = htons(ETH_P_ALL),
				    .sll_ifindex = netns_index(name) };
	int sock = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	BUG_ON(sock < 0 || setsockopt(sock, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)));
	BUG_ON(bind(sock, (void *)&addr, sizeof(addr)));
	return sock;
}

void netns_cap(int cap, bool on)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	BUG_ON(syscall(SYS_capget, &head, data));
	if (on)
		data[CAP_TO_INDEX(cap)].effective |= CAP_TO_MASK(cap);
	else
		data[CAP_TO_INDEX(cap)].effective &= ~CAP_TO_MASK(cap);
	BUG_ON(syscall(SYS_capset, &head, data));
}

void netns_hide_dev(void)
{
	BUG_ON(mount("none", "/dev/net", "tmpfs", 0, NULL));
}

void netns_show_dev(void)
{
	BUG_ON(umount("/dev/net"));
}

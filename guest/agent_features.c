/* SPDX-License-Identifier: MIT */
/*
 * "agent features": what the guest's kernel and drivers made of the NICs. Offload flags come by
 * the ethtool ioctls, the virtio feature bits from sysfs.
 */
#include "guest/agent.h"

#include <getopt.h>
#include <glob.h>
#include <limits.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#define FEATURES_MAX 128 /* offload flags we have room for */

static int features_ioctl(const char *ifname, void *cmd)
{
	struct ifreq ifr = { .ifr_data = cmd };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret;

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	ret = ioctl(fd, SIOCETHTOOL, &ifr);
	close(fd);
	return ret;
}

void features_driver(const char *ifname, char driver[32], char version[32])
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };

	if (features_ioctl(ifname, &info))
		strcpy(info.driver, "unknown");
	snprintf(driver, 32, "%.31s", info.driver);
	snprintf(version, 32, "%.31s", info.version);
}

/* First line of a sysfs file, or "" */
static const char *features_sysfs(const char *ifname, const char *file)
{
	static char text[256];
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/net/%s/%s", ifname, file);
	f = fopen(path, "re");
	text[0] = '\0';
	if (f && fgets(text, sizeof(text), f))
		text[strcspn(text, "\n")] = '\0';
	if (f)
		fclose(f);
	return text;
}

static union {
	struct ethtool_sset_info cmd;
	char room[sizeof(struct ethtool_sset_info) + sizeof(uint32_t)];
} flag_count;
static union {
	struct ethtool_gstrings cmd;
	char room[sizeof(struct ethtool_gstrings) + FEATURES_MAX * ETH_GSTRING_LEN];
} flag_names;
static union {
	struct ethtool_gfeatures cmd;
	char room[sizeof(struct ethtool_gfeatures) +
		  FEATURES_MAX / 32 * sizeof(struct ethtool_get_features_block)];
} flags;

/* Names and state of the offload flags; returns how many there are. */
static unsigned features_read_flags(const char *ifname)
{
	unsigned n;

	flag_count.cmd = (struct ethtool_sset_info){ .cmd = ETHTOOL_GSSET_INFO,
						     .sset_mask = 1 << ETH_SS_FEATURES };
	if (features_ioctl(ifname, &flag_count))
		return 0;
	n = flag_count.cmd.data[0];
	if (n > FEATURES_MAX)
		return 0;
	/* The kernel gives names only to who knows their number. */
	flag_names.cmd = (struct ethtool_gstrings){ .cmd = ETHTOOL_GSTRINGS,
						    .string_set = ETH_SS_FEATURES,
						    .len = n };
	flags.cmd =
		(struct ethtool_gfeatures){ .cmd = ETHTOOL_GFEATURES, .size = FEATURES_MAX / 32 };
	return features_ioctl(ifname, &flag_names) || features_ioctl(ifname, &flags) ? 0 : n;
}

/* The names of the active offload flags, as ethtool -k has them. */
static void features_offloads(const char *ifname)
{
	unsigned n = features_read_flags(ifname);
	bool first = true;

	report("\"on\":[");
	for (unsigned i = 0; i < n && i < flags.cmd.size * 32; i++) {
		const char *name = (char *)flag_names.cmd.data + i * ETH_GSTRING_LEN;

		if (!*name || !(flags.cmd.features[i / 32].active >> i % 32 & 1))
			continue;
		report("%s\"%.*s\"", first ? "" : ",", ETH_GSTRING_LEN - 1, name);
		first = false;
	}
	report("]");
}

/* The PCI address in the device's path: the last part that looks like 0000:00:01.0. */
static void features_slot(const char *ifname)
{
	char path[PATH_MAX], real[PATH_MAX], slot[16] = "";
	unsigned dom, bus, dev, fn;

	snprintf(path, sizeof(path), "/sys/class/net/%s/device", ifname);
	if (!realpath(path, real))
		real[0] = '\0';
	for (char *p = strtok(real, "/"); p; p = strtok(NULL, "/")) {
		if (sscanf(p, "%4x:%2x:%2x.%1x", &dom, &bus, &dev, &fn) == 4)
			snprintf(slot, sizeof(slot), "%.12s", p);
	}
	report("\"slot\":\"%s\",", slot);
}

static void features_nic(const char *ifname)
{
	char driver[32], version[32];
	const char *bits;

	features_driver(ifname, driver, version);
	report("{\"kind\":\"nic\",\"nic\":\"%s\",", ifname);
	features_slot(ifname);
	report("\"driver\":\"%s\",\"version\":\"%s\",", driver, version);
	report("\"mac\":\"%s\",", features_sysfs(ifname, "address"));
	report("\"mtu\":%d,", atoi(features_sysfs(ifname, "mtu")));
	report("\"link\":%s,", atoi(features_sysfs(ifname, "carrier")) ? "true" : "false");
	features_offloads(ifname);
	bits = features_sysfs(ifname, "device/features"); /* PCI NICs have no such file */
	if (*bits)
		report(",\"virtio_features\":\"%s\"}\n", bits);
	else
		report(",\"virtio_features\":null}\n");
}

static void features_line_of(const char *path, char *text, size_t size)
{
	FILE *f = fopen(path, "re");

	text[0] = '\0';
	if (f && fgets(text, size, f))
		text[strcspn(text, "\n")] = '\0';
	if (f)
		fclose(f);
}

static void features_guest(void)
{
	char clock[64], cmdline[2048];
	struct utsname u;

	uname(&u);
	features_line_of("/sys/devices/system/clocksource/clocksource0/current_clocksource", clock,
			 sizeof(clock));
	features_line_of("/proc/cmdline", cmdline, sizeof(cmdline));
	report("{\"kind\":\"guest\",\"release\":\"%s\",\"machine\":\"%s\",\"cpus\":%ld,"
	       "\"memory_kb\":%ld,\"clocksource\":\"%s\",\"cmdline\":",
	       u.release, u.machine, sysconf(_SC_NPROCESSORS_ONLN),
	       sysconf(_SC_PHYS_PAGES) * (sysconf(_SC_PAGESIZE) / 1024), clock);
	report_string(cmdline);
	report("}\n");
}

int features_main(int argc, char **argv)
{
	static const struct option options[] = { { "out", required_argument, NULL, 'o' }, { 0 } };
	glob_t nics;
	int c;

	while ((c = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
		if (c != 'o' || report_open(optarg)) {
			fprintf(stderr, "usage: agent features [--out FILE]\n");
			return 2;
		}
	}
	features_guest();
	if (!glob("/sys/class/net/*/device", 0, NULL, &nics)) {
		for (size_t i = 0; i < nics.gl_pathc; i++) {
			char ifname[IFNAMSIZ];

			if (sscanf(nics.gl_pathv[i], "/sys/class/net/%15[^/]", ifname) == 1)
				features_nic(ifname);
			report_flush();
		}
		globfree(&nics);
	}
	return report_flush() ? 1 : 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * The agent's sockets: IPv4 only, bound to one device and one address, never waiting for ever.
 */
#include "guest/agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define UDP_RCVBUF (4 << 20) /* the sender must not outrun a receiver that merely lost its CPU */

unsigned net_stall_ms = STALL_MS;

int net_stall_timeout(int fd, int ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)))
		return -1;
	return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

static int net_close_failed(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
	return -1;
}

static int net_bind(int fd, struct in_addr addr, unsigned port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_addr = addr,
				   .sin_port = htons(port) };

	return bind(fd, (struct sockaddr *)&sin, sizeof(sin));
}

/*
 * A socket that can only use interface @ifname (NULL: any) and, for UDP, has a local port.
 * SO_BINDTODEVICE is what proves that traffic went through the NIC it is charged to.
 */
int net_socket(int type, const char *ifname, struct in_addr local)
{
	int size = UDP_RCVBUF, one = 1;
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (ifname && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, ifname, strlen(ifname) + 1))
		return net_close_failed(fd);
	if (net_stall_timeout(fd, net_stall_ms))
		return net_close_failed(fd);
	if (type == SOCK_STREAM)
		return fd;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &one, sizeof(one)) == 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	else
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return net_bind(fd, local, 0) ? net_close_failed(fd) : fd;
}

int net_connect(int fd, struct in_addr addr, unsigned port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_addr = addr,
				   .sin_port = htons(port) };

	return connect(fd, (struct sockaddr *)&sin, sizeof(sin));
}

int net_listen(struct in_addr addr, unsigned port)
{
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (net_bind(fd, addr, port) || listen(fd, 8))
		return net_close_failed(fd);
	return fd;
}

int net_accept(int fd, int timeout_ms)
{
	int conn;

	if (!net_readable(fd, timeout_ms)) {
		errno = ETIMEDOUT;
		return -1;
	}
	conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	if (conn >= 0 && net_stall_timeout(conn, net_stall_ms))
		return net_close_failed(conn);
	return conn;
}

int net_name(int fd, bool peer, struct in_addr *addr)
{
	struct sockaddr_in sin = { 0 };
	socklen_t len = sizeof(sin);
	int ret = peer ? getpeername(fd, (struct sockaddr *)&sin, &len)
		       : getsockname(fd, (struct sockaddr *)&sin, &len);

	*addr = sin.sin_addr;
	return ret;
}

unsigned net_port(int fd)
{
	struct sockaddr_in sin = { 0 };
	socklen_t len = sizeof(sin);

	return getsockname(fd, (struct sockaddr *)&sin, &len) ? 0 : ntohs(sin.sin_port);
}

bool net_readable(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, timeout_ms) > 0;
}

int net_send_all(int fd, const void *buf, size_t len)
{
	for (const char *p = buf; len;) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0)
			return -1;
		p += n;
		len -= n;
	}
	return 0;
}

/* Closing with unread bytes would reset the connection and could eat our own last line. */
void net_linger_close(int fd)
{
	char sink[256];

	shutdown(fd, SHUT_WR);
	while (recv(fd, sink, sizeof(sink), 0) > 0)
		;
	close(fd);
}

size_t net_read_line(struct lines *l, char *line, size_t size, int timeout_ms)
{
	char *nl;

	while (!(nl = memchr(l->buf, '\n', l->len))) {
		ssize_t n;

		if (l->len == sizeof(l->buf) || !net_readable(l->fd, timeout_ms)) {
			errno = l->len == sizeof(l->buf) ? EMSGSIZE : ETIMEDOUT;
			return 0;
		}
		n = recv(l->fd, l->buf + l->len, sizeof(l->buf) - l->len, 0);
		if (n <= 0) {
			errno = n ? errno : ECONNRESET;
			return 0;
		}
		l->len += n;
	}
	*nl = '\0';
	snprintf(line, size, "%s", l->buf);
	l->len -= nl + 1 - l->buf;
	memmove(l->buf, nl + 1, l->len);
	return strlen(line);
}

/* One row of /proc/net/snmp comes as two lines: names, then values in the same order. */
static uint64_t net_snmp_value(const char *names, const char *values, const char *want)
{
	char name[64];
	unsigned long long value;
	int skip;

	while (sscanf(names, "%63s%n", name, &skip) == 1) {
		names += skip;
		if (sscanf(values, "%*s%n", &skip) != 0)
			return 0;
		if (!strcmp(name, want))
			return sscanf(values, "%llu", &value) == 1 ? value : 0;
		values += skip;
	}
	return 0;
}

/* Packets dropped for a wrong IP, TCP or UDP checksum since this network namespace began. */
uint64_t net_csum_errors(void)
{
	FILE *f = fopen("/proc/net/snmp", "re");
	char names[1024], values[1024];
	uint64_t sum = 0;

	if (!f)
		return 0;
	while (fgets(names, sizeof(names), f) && fgets(values, sizeof(values), f)) {
		sum += net_snmp_value(names, values, "InCsumErrors");
		sum += net_snmp_value(names, values, "InHdrErrors");
	}
	fclose(f);
	return sum;
}

uint64_t net_retransmits(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) ? 0 : info.tcpi_total_retrans;
}

/* SPDX-License-Identifier: MIT */
/*
 * stream_attach.c: stream=PATH connects to a socket in the file system, listen=PATH makes
 * one and waits there, one peer after the other. What goes wrong is said with the remedy.
 */
#include "devices/net/backend.h"
#include "vmm/log.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* PATH as an address. */
static int stream_address(const char *kind, const char *path, struct sockaddr_un *sa)
{
	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (*path && strlen(path) < sizeof(sa->sun_path)) {
		memcpy(sa->sun_path, path, strlen(path));
		return 0;
	}
	log_error("%s=%s: a socket's path has 1 to %zu characters", kind, path,
		  sizeof(sa->sun_path) - 1);
	return -EINVAL;
}

static int stream_socket(const char *kind, const char *path, int type)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err = errno;

	if (fd >= 0)
		return fd;
	log_error("%s=%s: %s", kind, path, strerror(err));
	return -err;
}

/* connect() said no. */
static void stream_explain(const char *path, int err)
{
	switch (err) {
	case ENOENT:
		log_error("stream=%s: no such socket: start what listens there first, another "
			  "duet with listen=%s or passt --socket %s",
			  path, path, path);
		break;
	case ECONNREFUSED:
		log_error("stream=%s: nobody listens there: start it again", path);
		break;
	case EAGAIN:
		log_error("stream=%s: others wait there already: it takes one peer at a time",
			  path);
		break;
	case EPROTOTYPE:
		log_error("stream=%s: not a stream socket: a datagram or packet protocol is "
			  "spoken there",
			  path);
		break;
	default:
		log_error("stream=%s: %s", path, strerror(err));
	}
}

struct net *net_stream_open(struct loop *l, const char *arg, int *err)
{
	struct stream_config c = { .listen_fd = -1 };
	struct sockaddr_un sa;
	char name[sizeof(((struct net *)0)->name)];

	*err = stream_address("stream", arg, &sa);
	if (*err)
		return NULL;
	c.fd = *err = stream_socket("stream", arg, SOCK_STREAM);
	if (c.fd < 0)
		return NULL;
	if (connect(c.fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		*err = -errno;
		stream_explain(arg, -*err);
		close(c.fd);
		return NULL;
	}
	snprintf(name, sizeof(name), "stream:%s", arg);
	c.name = name;
	c.lost = "the guest has no network until duet is restarted";
	return stream_new(l, &c, err);
}

/* Remove a socket that nobody listens at any more, as a killed process leaves it. Asked
 * with another type, a listener says so and does not notice. */
static bool stream_remove_stale(const char *path, const struct sockaddr_un *sa)
{
	struct stat st;
	int fd, err;

	if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	fd = stream_socket("listen", path, SOCK_DGRAM);
	if (fd < 0)
		return false;
	err = connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0 ? errno : 0;
	close(fd);
	return err == ECONNREFUSED && unlink(path) == 0;
}

static int stream_listen(const char *path)
{
	struct sockaddr_un sa;
	int err = stream_address("listen", path, &sa), fd;

	if (err)
		return err;
	fd = stream_socket("listen", path, SOCK_STREAM);
	if (fd < 0)
		return fd;
	err = bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ? errno : 0;
	if (err == EADDRINUSE && stream_remove_stale(path, &sa))
		err = bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ? errno : 0;
	if (!err && listen(fd, 0) < 0)
		err = errno;
	if (!err)
		return fd;
	if (err == EADDRINUSE)
		log_error("listen=%s: taken: another process listens there, or it is a file: "
			  "choose another path",
			  path);
	else
		log_error("listen=%s: %s", path, strerror(err));
	close(fd);
	return -err;
}

struct net *net_listen_open(struct loop *l, const char *arg, int *err)
{
	struct stream_config c = { .fd = -1 };
	char name[sizeof(((struct net *)0)->name)];

	c.listen_fd = *err = stream_listen(arg);
	if (c.listen_fd < 0)
		return NULL;
	snprintf(name, sizeof(name), "listen:%s", arg);
	c.name = name;
	c.lost = "frames are lost until another one comes";
	log_info("%s: frames are lost until a peer comes (stream=%s)", name, arg);
	return stream_new(l, &c, err);
}

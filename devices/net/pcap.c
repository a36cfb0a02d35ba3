/* SPDX-License-Identifier: MIT */
/*
 * pcap.c: a copy of every frame that a NIC's backend takes or gives, in a file for tcpdump
 * or Wireshark. Frames are recorded as the backend sees them: unsegmented and with their
 * checksums undone where the backend takes them so. One system call a frame and no buffer,
 * so the file is whole whenever and however the VMM ends.
 *
 * The format is libpcap's: a header, then records, in the host's byte order; the magic
 * number says that order, and that times are nanoseconds.
 */
#include "devices/net/backend.h"
#include "devices/net/offload.h"
#include "vmm/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PCAP_MAGIC_NS     0xa1b23c4d
#define PCAP_SNAPLEN      262144 /* nothing is cut: NET_FRAME_MAX is less */
#define PCAP_LINKTYPE_ETH 1
#define PCAP_IOV_MAX      (NET_SEND_IOV_MAX + 1)

struct pcap_file_header {
	uint32_t magic;
	uint16_t major, minor;
	int32_t zone;
	uint32_t sigfigs, snaplen, linktype;
};

struct pcap_record {
	uint32_t sec, nsec, caplen, len;
};

struct pcap {
	/* whoever may call net_ops: */
	int fd;
	off_t end;   /* of the last whole record */
	bool moaned; /* that the file cannot grow has been said */
	char path[];
};

/* Write at the end of the file, or nothing: half a record would spoil what follows. */
static int pcap_append(struct pcap *p, const struct iovec *iov, int cnt)
{
	size_t want = iov_length(iov, cnt);
	ssize_t done = pwritev(p->fd, iov, cnt, p->end);
	int err = done < 0 ? errno : ENOSPC;

	if (done == (ssize_t)want) {
		p->end += done;
		return 0;
	}
	if (done > 0 && ftruncate(p->fd, p->end) < 0)
		err = errno; /* the next record will overwrite it, if one comes */
	return -err;
}

bool pcap_frame(struct pcap *p, const struct iovec *iov, int cnt, size_t len)
{
	struct pcap_record rec = { .caplen = (uint32_t)len, .len = (uint32_t)len };
	struct iovec out[PCAP_IOV_MAX];
	struct timespec now;
	int used, err;

	clock_gettime(CLOCK_REALTIME, &now);
	rec.sec = (uint32_t)now.tv_sec;
	rec.nsec = (uint32_t)now.tv_nsec;
	out[0] = (struct iovec){ &rec, sizeof(rec) };
	used = iov_slice(iov, cnt, 0, len, out + 1, PCAP_IOV_MAX - 1);
	err = used < 0 ? -EINVAL : pcap_append(p, out, used + 1);
	if (err && !p->moaned)
		log_warn("pcap=%s: %s: frames are missing from it; the guest runs on", p->path,
			 strerror(-err));
	p->moaned |= err != 0;
	return !err;
}

/* Begin an empty capture in the open file. 0 or -errno, with the reason logged. */
static int pcap_begin(struct pcap *p)
{
	struct pcap_file_header head = { .magic = PCAP_MAGIC_NS,
					 .major = 2,
					 .minor = 4,
					 .snaplen = PCAP_SNAPLEN,
					 .linktype = PCAP_LINKTYPE_ETH };
	struct iovec iov = { &head, sizeof(head) };
	struct stat st;
	int err;

	if (fstat(p->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		log_error("pcap=%s: not a regular file: name one that may be overwritten", p->path);
		return -EINVAL;
	}
	if (flock(p->fd, LOCK_EX | LOCK_NB) < 0) {
		log_error("pcap=%s: another NIC writes there: each needs a file of its own",
			  p->path);
		return -EBUSY;
	}
	err = ftruncate(p->fd, 0) < 0 ? -errno : pcap_append(p, &iov, 1);
	if (err)
		log_error("pcap=%s: %s", p->path, strerror(-err));
	return err;
}

struct pcap *pcap_open(const char *path, int *err)
{
	struct pcap *p = calloc(1, sizeof(*p) + strlen(path) + 1);

	if (!p) {
		log_error("pcap=%s: out of memory", path);
		*err = -ENOMEM;
		return NULL;
	}
	memcpy(p->path, path, strlen(path));
	/* Not blocking: on a FIFO open() would wait for a reader. Private: so are frames. */
	p->fd = open(path, O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0600);
	*err = p->fd < 0 ? -errno : pcap_begin(p);
	if (p->fd < 0)
		log_error("pcap=%s: %s", path, strerror(-*err));
	if (*err) {
		pcap_close(p);
		return NULL;
	}
	return p;
}

void pcap_close(struct pcap *p)
{
	if (!p)
		return;
	if (p->fd >= 0)
		close(p->fd);
	free(p);
}

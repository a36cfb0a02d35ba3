/* SPDX-License-Identifier: MIT */
/*
 * fake_net.c: struct net_ops over two arrays of frames. Memory errors of the test
 * itself end it (BUG_ON); nothing here is reachable from a guest.
 */
#include "tests/rig/fake_net.h"
#include "devices/net/offload.h"

#include <errno.h>
#include <string.h>

static struct fake_net *fake_net_of(struct net *n)
{
	return container_of(n, struct fake_net, net);
}

static void fake_net_wake(struct fake_net *f)
{
	if (f->loop)
		loop_event_signal(&f->wake);
}

static struct fake_frame *fake_net_append(struct fake_frame **list, unsigned *nr, size_t len)
{
	struct fake_frame *frame;

	if (!(*nr & (*nr - 1))) /* 0 or a power of two: full */
		*list = realloc(*list, (*nr ? 2 * *nr : 1) * sizeof(**list));
	BUG_ON(!*list);
	frame = &(*list)[(*nr)++];
	*frame = (struct fake_frame){ .len = len, .data = malloc(len + 1) };
	BUG_ON(!frame->data);
	return frame;
}

static void fake_net_drop_list(struct fake_frame **list, unsigned *nr)
{
	for (unsigned i = 0; i < *nr; i++)
		free((*list)[i].data);
	free(*list);
	*list = NULL;
	*nr = 0;
}

/* Keep a copy of a frame that was sent; lock held. */
static int fake_net_take(struct fake_net *f, const struct virtio_net_hdr *h,
			 const struct iovec *iov, int cnt)
{
	struct fake_frame *frame;

	f->sends++;
	if (f->full) {
		f->blocked = true;
		return -EAGAIN;
	}
	if (f->refuse) {
		counter_inc(&f->net.stat.tx_drops);
		return 0;
	}
	if (f->full_after && --f->full_after == 0)
		f->full = true;
	frame = fake_net_append(&f->sent, &f->sent_nr, iov_length(iov, cnt));
	frame->hdr = *h;
	frame->cnt = cnt;
	iov_copy_out(iov, cnt, 0, frame->data, frame->len);
	for (int i = 0; i < cnt && i < (int)ARRAY_SIZE(frame->iov); i++)
		frame->iov[i] = iov[i];
	return 0;
}

static int fake_net_send(struct net *n, const struct virtio_net_hdr *h, const struct iovec *iov,
			 int cnt)
{
	struct fake_net *f = fake_net_of(n);
	int err;

	if (f->busy)
		f->busy(f->busy_arg);
	pthread_mutex_lock(&f->lock);
	err = fake_net_take(f, h, iov, cnt);
	pthread_mutex_unlock(&f->lock);
	return err;
}

/* The next frame to receive, if any, is put into iov; lock held. */
static ssize_t fake_net_give(struct fake_net *f, struct virtio_net_hdr *h, const struct iovec *iov,
			     int cnt)
{
	const struct fake_frame *frame;

	if (f->queue_next == f->queue_nr)
		return 0;
	frame = &f->queue[f->queue_next++];
	*h = frame->hdr;
	if (iov_copy_in(iov, cnt, 0, frame->data, frame->len) == frame->len)
		return (ssize_t)frame->len;
	counter_inc(&f->net.stat.rx_drops);
	return -EMSGSIZE;
}

static ssize_t fake_net_recv(struct net *n, struct virtio_net_hdr *h, const struct iovec *iov,
			     int cnt)
{
	struct fake_net *f = fake_net_of(n);
	ssize_t len;

	if (f->busy)
		f->busy(f->busy_arg);
	pthread_mutex_lock(&f->lock);
	len = fake_net_give(f, h, iov, cnt);
	pthread_mutex_unlock(&f->lock);
	return len;
}

/* Does the NIC want to hear of frames that wait? */
static bool fake_net_readable(struct fake_net *f)
{
	bool yes;

	pthread_mutex_lock(&f->lock);
	yes = f->rx_enabled && f->queue_next != f->queue_nr;
	pthread_mutex_unlock(&f->lock);
	return yes;
}

static void fake_net_rx_enable(struct net *n, bool on)
{
	struct fake_net *f = fake_net_of(n);

	pthread_mutex_lock(&f->lock);
	f->rx_enabled = on;
	pthread_mutex_unlock(&f->lock);
	if (fake_net_readable(f))
		fake_net_wake(f);
}

static unsigned fake_net_set_rx_offload(struct net *n, unsigned want)
{
	return want & fake_net_of(n)->rx_can;
}

static bool fake_net_link_up(struct net *n)
{
	return fake_net_of(n)->link;
}

static int fake_net_lend(struct net *n, int hdr_len)
{
	struct fake_net *f = fake_net_of(n);

	f->lent = hdr_len;
	return f->wake.f.fd;
}

static void fake_net_destroy(struct net *n)
{
	struct fake_net *f = fake_net_of(n);

	if (f->loop)
		loop_event_destroy(&f->wake);
	fake_net_drop_list(&f->sent, &f->sent_nr);
	fake_net_drop_list(&f->queue, &f->queue_nr);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static const struct net_ops fake_net_ops = {
	.send = fake_net_send,
	.recv = fake_net_recv,
	.rx_enable = fake_net_rx_enable,
	.set_rx_offload = fake_net_set_rx_offload,
	.link_up = fake_net_link_up,
	.lend = fake_net_lend,
	.destroy = fake_net_destroy,
};

static void fake_net_woken(struct loop_event *e)
{
	fake_net_poll(container_of(e, struct fake_net, wake));
}

struct fake_net *fake_net_new(struct loop *l, unsigned tx_offload)
{
	struct fake_net *f = calloc(1, sizeof(*f));

	BUG_ON(!f);
	f->net = (struct net){ .ops = &fake_net_ops, .name = "fake", .tx_offload = tx_offload };
	f->loop = l;
	f->link = true;
	f->rx_can = NET_OFF_ALL;
	pthread_mutex_init(&f->lock, NULL);
	BUG_ON(l && loop_event_init(l, &f->wake, fake_net_woken));
	return f;
}

void fake_net_queue(struct fake_net *f, const struct virtio_net_hdr *h, const void *data,
		    size_t len)
{
	struct fake_frame *frame;

	pthread_mutex_lock(&f->lock);
	frame = fake_net_append(&f->queue, &f->queue_nr, len);
	if (h)
		frame->hdr = *h;
	memcpy(frame->data, data, len);
	pthread_mutex_unlock(&f->lock);
	fake_net_wake(f);
}

unsigned fake_net_waiting(struct fake_net *f)
{
	unsigned n;

	pthread_mutex_lock(&f->lock);
	n = f->queue_nr - f->queue_next;
	pthread_mutex_unlock(&f->lock);
	return n;
}

void fake_net_set_full(struct fake_net *f, bool full)
{
	pthread_mutex_lock(&f->lock);
	f->full = full;
	pthread_mutex_unlock(&f->lock);
	fake_net_wake(f);
}

/* Is writable() owed, and can it be paid? Then it is. */
static bool fake_net_writable(struct fake_net *f)
{
	bool yes;

	pthread_mutex_lock(&f->lock);
	yes = f->blocked && !f->full;
	if (yes)
		f->blocked = false;
	pthread_mutex_unlock(&f->lock);
	return yes;
}

int fake_net_poll(struct fake_net *f)
{
	int calls = 0;

	if (fake_net_writable(f)) {
		f->writable_calls++;
		calls++;
		f->net.client.writable(f->net.client.nic);
	}
	if (fake_net_readable(f)) {
		f->readable_calls++;
		calls++;
		f->net.client.readable(f->net.client.nic);
		/* Level-triggered: as long as frames wait, ask again. */
		if (fake_net_readable(f))
			fake_net_wake(f);
	}
	return calls;
}

unsigned fake_net_clear(struct fake_net *f)
{
	unsigned n;

	pthread_mutex_lock(&f->lock);
	n = f->sent_nr;
	fake_net_drop_list(&f->sent, &f->sent_nr);
	pthread_mutex_unlock(&f->lock);
	return n;
}

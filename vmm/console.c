/* SPDX-License-Identifier: MIT */
/*
 * console.c: descriptor -> escape filter -> waiting bytes -> serial_input().
 *
 * A UART takes 16 bytes at a time and a guest may take none for long, so bytes wait
 * here. A pipe or file is simply not read on while nothing more fits. A terminal is: the
 * user of a guest that hangs must still be heard when he types Ctrl-a x, so what does
 * not fit is lost, as on any terminal.
 */
#include "vmm/console.h"

#include "vmm/tty.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CONSOLE_ESCAPE   0x01 /* Ctrl-a */
#define CONSOLE_WAITING  4096
#define CONSOLE_CHUNK    256
#define CONSOLE_RETRY_NS 300000000 /* how often a background job looks for the foreground */

struct console {
	/* fixed: */
	struct machine *m;
	struct serial *s;
	int fd;
	bool escape; /* keys are set: look for Ctrl-a */
	bool tty;
	struct console_keys keys;
	/* loop thread: */
	struct loop_fd in;       /* watched while there is room for input */
	struct loop_timer retry; /* back from the background? */
	bool plain;              /* a file: epoll cannot watch it, it never blocks */
	bool ended;
	bool prefix; /* the last byte was Ctrl-a */
	size_t n;
	uint8_t waiting[CONSOLE_WAITING];
	bool brk; /* a break is due when `before_brk` of these have gone */
	size_t before_brk;
};

/* --- escape filter ---------------------------------------------------------------------- */

#define CONSOLE_HELP                                                                               \
	"Ctrl-a x        stop the virtual machine\n"                                               \
	"duet: Ctrl-a p        pause the guest, or let it go on\n"                                 \
	"duet: Ctrl-a s        statistics\n"                                                       \
	"duet: Ctrl-a b        send a break; Linux takes the next key for a SysRq command\n"       \
	"duet: Ctrl-a w        tell the guest's shell this terminal's size, by typing stty\n"      \
	"duet: Ctrl-a h        this help\n"                                                        \
	"duet: Ctrl-a Ctrl-a   send one Ctrl-a to the guest"

/* Lines of their own, for a person: to a terminal or to nobody. Not log_info(): the user has
 * asked, --quiet or not. */
static void console_say(const struct console *c, const char *text)
{
	char line[1024];
	int n = snprintf(line, sizeof(line), "\nduet: %s\n", text);
	int fd = isatty(STDERR_FILENO) ? STDERR_FILENO : c->fd;

	if (n < 0 || (!c->tty && fd == c->fd) || write(fd, line, (size_t)n) < 0)
		return; /* nobody is there to be told */
}

static void console_keep(struct console *c, uint8_t byte)
{
	if (c->n < CONSOLE_WAITING)
		c->waiting[c->n++] = byte;
}

/* Where it was typed: behind what waits. A second one before the first has gone is the same. */
static void console_break(struct console *c)
{
	if (!c->brk)
		c->before_brk = c->n;
	c->brk = true;
}

/* An 8250 has no way to tell a size, so what its user would type is typed. */
static void console_size(struct console *c)
{
	struct winsize w;
	char line[64];

	if (ioctl(c->fd, TIOCGWINSZ, &w) < 0 || !w.ws_row || !w.ws_col) {
		console_say(c, "this terminal does not tell its size");
		return;
	}
	snprintf(line, sizeof(line), "stty rows %u cols %u\r", w.ws_row, w.ws_col);
	for (const char *p = line; *p; p++)
		console_keep(c, (uint8_t)*p);
}

static void console_command(struct console *c, uint8_t key)
{
	switch (key < 0x80 ? tolower(key) : key) {
	case 'x':
		c->m->stop(c->m, STOP_USER, 0);
		break;
	case 'p':
		console_say(c, c->keys.pause(c->keys.board)
				       ? "paused; Ctrl-a p lets the guest go on"
				       : "the guest goes on");
		break;
	case 's':
		c->keys.stats(c->keys.board);
		break;
	case 'b':
		console_break(c);
		break;
	case 'w':
		console_size(c);
		break;
	case 'h':
	case '?':
		console_say(c, CONSOLE_HELP);
		break;
	case CONSOLE_ESCAPE:
		console_keep(c, CONSOLE_ESCAPE);
		break;
	default:
		console_say(c, "that key means nothing here; Ctrl-a h lists those that do");
	}
}

static void console_byte(struct console *c, uint8_t byte)
{
	if (c->prefix) {
		c->prefix = false;
		console_command(c, byte);
	} else if (c->escape && byte == CONSOLE_ESCAPE) {
		c->prefix = true;
	} else {
		console_keep(c, byte);
	}
}

/* --- from the descriptor to the UART ------------------------------------------------------ */

static void console_ready(struct loop_fd *f, uint32_t events);

/* Watch the descriptor, or stop: level-triggered, it would call back for ever. */
static void console_watch(struct console *c, bool on)
{
	if (on == (c->in.fd >= 0) || c->plain)
		return;
	if (!on)
		loop_fd_del(&c->in);
	else if (loop_fd_add(c->m->loop, &c->in, c->fd, EPOLLIN, console_ready) < 0)
		c->plain = true; /* EPERM; or EBADF, and reading will tell */
}

/* Up to `len` of the bytes that wait. Returns false when some of them still do. */
static bool console_offer_bytes(struct console *c, size_t len)
{
	size_t n = serial_input(c->s, c->waiting, len);

	c->n -= n;
	memmove(c->waiting, c->waiting + n, c->n);
	if (c->brk)
		c->before_brk -= n;
	return n == len;
}

static void console_offer(struct console *c)
{
	if (c->brk) {
		if (!console_offer_bytes(c, c->before_brk) || !serial_break(c->s))
			return;
		c->brk = false;
	}
	console_offer_bytes(c, c->n);
}

/* Read once. Returns true when more may be there at once. */
static bool console_read(struct console *c)
{
	uint8_t buf[CONSOLE_CHUNK];
	size_t room = c->tty ? sizeof(buf) : MIN(sizeof(buf), CONSOLE_WAITING - c->n);
	ssize_t n;

	if (c->ended || !room)
		return false;
	n = read(c->fd, buf, room);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return false;
	/* End of file, hang-up, not open for reading: the machine goes on without. */
	c->ended = n <= 0;
	for (ssize_t i = 0; i < n; i++)
		console_byte(c, buf[i]);
	return !c->ended;
}

/* Move what can be moved, then wait for whichever side is the slow one. */
static void console_pump(struct console *c)
{
	console_offer(c);
	while (c->plain && !c->n && console_read(c))
		console_offer(c);
	console_watch(c, !c->ended && (c->tty || c->n < CONSOLE_WAITING));
}

static void console_room(void *arg)
{
	console_pump(arg);
}

static void console_ready(struct loop_fd *f, uint32_t events)
{
	struct console *c = container_of(f, struct console, in);

	(void)events; /* hang-up and errors are found by reading */
	if (c->tty && !tty_foreground()) {
		console_watch(c, false); /* what is typed is for another job */
		loop_timer_set(&c->retry, CONSOLE_RETRY_NS);
		return;
	}
	console_read(c);
	console_pump(c);
}

static void console_retry(struct loop_timer *t)
{
	console_pump(container_of(t, struct console, retry));
}

struct console *console_new(struct machine *m, struct serial *s, int in_fd,
			    const struct console_keys *keys)
{
	struct console *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return NULL;
	*c = (struct console){ .m = m, .s = s, .fd = in_fd, .escape = keys, .in.fd = -1 };
	if (keys)
		c->keys = *keys;
	err = loop_timer_init(m->loop, &c->retry, console_retry);
	if (err) {
		free(c);
		errno = -err;
		return NULL;
	}
	serial_on_room(s, console_room, c);
	if (keys) {
		c->tty = isatty(in_fd);
		tty_init(in_fd);
	}
	/* A watch or, for a file, a first refusal, which makes the UART call console_room(). */
	console_pump(c);
	if (c->plain)
		console_pump(c);
	return c;
}

void console_free(struct console *c)
{
	if (!c)
		return;
	loop_fd_del(&c->in);
	loop_timer_destroy(&c->retry);
	if (c->escape)
		tty_restore();
	free(c);
}

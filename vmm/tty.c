/* SPDX-License-Identifier: MIT */
/*
 * tty.c: termios, job control and signals. All that runs inside a signal handler here
 * (tcgetpgrp, tcgetattr, tcsetattr, raise) is async-signal-safe.
 *
 * "Raw" keeps output processing on: duet's own messages end in plain newlines, and a
 * guest's console sends CR LF anyway. Whoever is in the background leaves the terminal
 * alone: it belongs to the shell or to another job, whose modes it has.
 */
#include "vmm/tty.h"

#include "vmm/util.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

/* Loop thread, signal handlers and exit(); each change is a system call of its own and
 * may be repeated, so no lock is needed (and none could be taken in a handler). */
static struct {
	int fd;                      /* -1: no terminal */
	volatile sig_atomic_t saved; /* `before` is valid */
	volatile sig_atomic_t raw;
	struct termios before;
} tty = { .fd = -1 };

static bool tty_is_ours(void)
{
	pid_t owner = tcgetpgrp(tty.fd);

	/* Not our controlling terminal: then there is no job control on it either. */
	return owner < 0 || owner == getpgrp();
}

static void tty_make_raw(void)
{
	struct termios t;

	if (!tty.saved && tcgetattr(tty.fd, &tty.before) < 0)
		return;
	tty.saved = 1;
	t = tty.before;
	t.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | INPCK | ISTRIP | INLCR | IGNCR | ICRNL |
				 IXON);
	t.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	t.c_cflag &= ~(tcflag_t)(CSIZE | PARENB);
	t.c_cflag |= CS8;
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	tty.raw = !tcsetattr(tty.fd, TCSANOW, &t);
}

bool tty_foreground(void)
{
	if (tty.fd < 0)
		return true;
	if (!tty_is_ours())
		return false;
	if (!tty.raw)
		tty_make_raw();
	return true;
}

void tty_restore(void)
{
	int err = errno;

	if (tty.raw && tty_is_ours())
		tcsetattr(tty.fd, TCSANOW, &tty.before);
	tty.raw = 0;
	errno = err;
}

/* SA_RESETHAND has put the default action back: the second time is the end. */
static void tty_on_fatal(int sig)
{
	tty_restore();
	raise(sig);
}

static void tty_on_stop(int sig)
{
	(void)sig;
	tty_restore();
	raise(SIGSTOP);
}

/* Somebody else, most likely the shell, may have changed the modes meanwhile. */
static void tty_on_continue(int sig)
{
	int err = errno;

	(void)sig;
	tty.raw = 0;
	tty_foreground();
	errno = err;
}

/* Only where nobody has decided otherwise: main()'s, nohup's, a sanitizer's handlers stay. */
static void tty_handle(int sig, void (*handler)(int), int flags)
{
	struct sigaction sa, now;

	if (sigaction(sig, NULL, &now) < 0 || (now.sa_flags & SA_SIGINFO) ||
	    now.sa_handler != SIG_DFL)
		return;
	sa = (struct sigaction){ .sa_handler = handler, .sa_flags = flags };
	sigemptyset(&sa.sa_mask);
	sigaction(sig, &sa, NULL);
}

void tty_init(int fd)
{
	static const int fatal[] = { SIGSEGV, SIGBUS,  SIGILL,  SIGFPE,  SIGABRT,  SIGTRAP,
				     SIGSYS,  SIGQUIT, SIGINT,  SIGTERM, SIGHUP,   SIGALRM,
				     SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ, SIGVTALRM };

	/* With these ignored a background job may print although `stty tostop`, and a read
	 * that comes too late fails instead of stopping the machine. */
	tty_handle(SIGTTOU, SIG_IGN, 0);
	tty_handle(SIGTTIN, SIG_IGN, 0);
	if (tty.fd >= 0 || !isatty(fd))
		return;
	tty.fd = fd;
	atexit(tty_restore);
	for (unsigned i = 0; i < ARRAY_SIZE(fatal); i++)
		tty_handle(fatal[i], tty_on_fatal, SA_RESETHAND | SA_NODEFER);
	tty_handle(SIGTSTP, tty_on_stop, SA_RESTART);
	tty_handle(SIGCONT, tty_on_continue, SA_RESTART);
	tty_foreground();
}

/* SPDX-License-Identifier: MIT */
/*
 * tty.h: the user's terminal in raw mode, and back again on every way out: return,
 * exit(), fatal signals, stop and continue. One terminal per process.
 */
#ifndef DUET_TTY_H
#define DUET_TTY_H

#include <stdbool.h>

/*
 * Make `fd` raw if it is a terminal and we are in its foreground; otherwise remember
 * it and leave it alone. From now on SIGTTIN and SIGTTOU do not stop us, and each
 * fatal or stopping signal that nobody handles yet restores the terminal first.
 */
void tty_init(int fd);

/* Raw again after `fg`, `bg`, or nothing to do. True when it may be read: it is not a
 * terminal, or we are in its foreground. */
bool tty_foreground(void);

/* The modes of before tty_init(). Async-signal-safe, harmless when repeated. */
void tty_restore(void);

#endif

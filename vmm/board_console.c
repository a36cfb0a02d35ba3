/* SPDX-License-Identifier: MIT */
/*
 * board_console.c: the board's serial lines: which descriptors the UARTs are joined to, and
 * what the keys after Ctrl-a do to the machine.
 */
#include "devices/serial.h"
#include "vmm/board.h"
#include "vmm/console.h"
#include "vmm/exec.h"
#include "vmm/log.h"

#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define BOARD_DRAIN_MS 1000 /* how long a stalled reader may delay the end */

int board_make_uarts(struct board *b)
{
	int inherited = b->o->serial2_fd;
	bool exec = b->o->command == OPTS_EXEC;
	struct serial_config first = { .name = "ttyS0",
				       .port = PORT_COM1,
				       .gsi = GSI_COM1,
				       .out_fd = exec ? STDERR_FILENO : STDOUT_FILENO,
				       .patient = exec };
	struct serial_config second = { .name = "ttyS1",
					.port = PORT_COM2,
					.gsi = GSI_COM2,
					.out_fd = exec             ? STDOUT_FILENO
						  : inherited >= 0 ? inherited
								   : b->serial2_fd,
					.patient = exec };

	b->com1 = serial_new(&b->m, &first);
	if (b->com1)
		b->com2 = serial_new(&b->m, &second);
	return board_made(b->com2, b->com1 ? second.name : first.name);
}

void board_free_uarts(struct board *b)
{
	bool wanted = b->o->command == OPTS_EXEC && b->why == STOP_DEBUG_EXIT;

	/* The output of a command that has ended is all wanted; a signal ends the wait. */
	serial_free(b->com2, wanted ? INT_MAX : BOARD_DRAIN_MS);
	serial_free(b->com1, wanted ? INT_MAX : BOARD_DRAIN_MS);
}

/* --- keys: loop thread -------------------------------------------------------------------- */

/* The main thread writes statistics; it also is whom a user's SIGUSR1 wakes. */
static void board_key_stats(void *board)
{
	struct board *b = board;

	pthread_kill(b->main, SIGUSR1);
}

/* Only the processors: devices finish what they were given, and go on receiving. */
static bool board_key_pause(void *board)
{
	struct board *b = board;

	b->paused = !b->paused;
	for (unsigned i = 0; i < b->n_vcpus; i++)
		vcpu_pause(&b->vcpu[i], b->paused);
	return b->paused;
}

/* --- making and unmaking ------------------------------------------------------------------- */

static void board_timed_out(struct loop_timer *t)
{
	struct board *b = container_of(t, struct board, timeout);

	log_error("--timeout %u: time is up", b->o->timeout);
	b->m.stop(&b->m, STOP_USER, EXIT_TIMEOUT);
}

static int board_make_timeout(struct board *b)
{
	int err = loop_timer_init(b->m.loop, &b->timeout, board_timed_out);

	if (err)
		return board_fail(EXIT_HOST, "--timeout: %s", strerror(-err));
	b->has_timeout = true;
	loop_timer_set(&b->timeout, b->o->timeout * UINT64_C(1000000000));
	return 0;
}

int board_make_console(struct board *b)
{
	struct console_keys keys = { .board = b,
				     .stats = board_key_stats,
				     .pause = board_key_pause };
	bool exec = b->o->command == OPTS_EXEC;
	int status = b->o->timeout ? board_make_timeout(b) : 0;

	if (status || (exec && !exec_at_terminal(b->o)))
		return status;
	b->console = console_new(&b->m, exec ? b->com2 : b->com1, STDIN_FILENO, &keys);
	status = board_made(b->console, "console");
	if (status || b->o->serial2_fd < 0)
		return status;
	b->console2 = console_new(&b->m, b->com2, b->o->serial2_fd, NULL);
	return board_made(b->console2, "serial2");
}

void board_free_console(struct board *b)
{
	console_free(b->console2);
	console_free(b->console);
	if (b->has_timeout)
		loop_timer_destroy(&b->timeout);
}

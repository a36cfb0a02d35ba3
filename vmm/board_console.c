/* SPDX-License-Identifier: MIT */
/*
 * board_console.c: the board's serial lines: which descriptors the UARTs are joined to, and
 * what the keys after Ctrl-a do to the machine.
 */
#include "devices/serial.h"
#include "vmm/board.h"
#include "vmm/console.h"

#include <signal.h>
#include <unistd.h>

#define BOARD_DRAIN_MS 1000 /* how long a stalled reader may delay the end */

int board_make_uarts(struct board *b)
{
	int inherited = b->o->serial2_fd;
	struct serial_config first = {
		.name = "ttyS0", .port = PORT_COM1, .gsi = GSI_COM1, .out_fd = STDOUT_FILENO
	};
	struct serial_config second = { .name = "ttyS1",
					.port = PORT_COM2,
					.gsi = GSI_COM2,
					.out_fd = inherited >= 0 ? inherited : b->serial2_fd };

	b->com1 = serial_new(&b->m, &first);
	if (b->com1)
		b->com2 = serial_new(&b->m, &second);
	return board_made(b->com2, b->com1 ? second.name : first.name);
}

void board_free_uarts(struct board *b)
{
	serial_free(b->com2, BOARD_DRAIN_MS);
	serial_free(b->com1, BOARD_DRAIN_MS);
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

int board_make_console(struct board *b)
{
	struct console_keys keys = { .board = b,
				     .stats = board_key_stats,
				     .pause = board_key_pause };
	int status;

	b->console = console_new(&b->m, b->com1, STDIN_FILENO, &keys);
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
}

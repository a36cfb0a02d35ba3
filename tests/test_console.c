/* SPDX-License-Identifier: MIT */
/*
 * test_console.c: from pipes, files and terminals into a UART, and the terminal's modes on
 * every way out. What ends a process or stops it is done by a child in a session of its own,
 * on a pseudo-terminal whose modes the parent looks at from the other end.
 */
#include "tests/check_main.h"
#include "tests/rig/fake_machine.h"
#include "vmm/console.h"
#include "vmm/tty.h"

#include <fcntl.h>
#include <linux/serial_reg.h>
#include <pty.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define TYPED 3000 /* bytes that fit into a terminal's own queue */

static struct fake_machine *f;
static struct serial *s;
static struct console *c;
static unsigned asked_stats;
static bool paused;

static void key_stats(void *board)
{
	ck_assert_ptr_eq(board, f);
	asked_stats++;
}

static bool key_pause(void *board)
{
	ck_assert_ptr_eq(board, f);
	return paused = !paused;
}

static struct console_keys keys = { .stats = key_stats, .pause = key_pause };

/* A machine whose guest wants input, or one whose driver has not come up yet. */
static void machine(bool guest_up)
{
	struct serial_config cfg = {
		.name = "ttyS0", .port = PORT_COM1, .gsi = GSI_COM1, .out_fd = -1
	};

	f = fake_machine_new(1 << 20);
	keys.board = f;
	asked_stats = 0;
	paused = false;
	s = serial_new(&f->m, &cfg);
	ck_assert_ptr_nonnull(s);
	bus_write(&f->m.pio, PORT_COM1 + UART_FCR, 1, UART_FCR_ENABLE_FIFO);
	if (guest_up)
		bus_write(&f->m.pio, PORT_COM1 + UART_IER, 1, UART_IER_RDI);
}

static void console_on(int fd, bool escape)
{
	c = console_new(&f->m, s, fd, escape ? &keys : NULL);
	ck_assert_ptr_nonnull(c);
}

static void teardown(void)
{
	console_free(c);
	serial_free(s, 0);
	fake_machine_free(f);
}

/* What the guest has received by now. */
static const char *received(void)
{
	static char text[8192];
	size_t n = 0;

	do {
		fake_machine_run(f);
		while (bus_read(&f->m.pio, PORT_COM1 + UART_LSR, 1) & UART_LSR_DR) {
			ck_assert_uint_lt(n, sizeof(text) - 1);
			text[n++] = (char)bus_read(&f->m.pio, PORT_COM1 + UART_RX, 1);
		}
	} while (fake_machine_run(f));
	text[n] = '\0';
	return text;
}

static void type(int fd, const char *text)
{
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* --- bytes ------------------------------------------------------------------------------- */

START_TEST(pipe_reaches_the_guest_and_its_end_is_survived)
{
	int p[2];

	machine(true);
	ck_assert_int_eq(pipe(p), 0);
	console_on(p[0], true);
	type(p[1], "hello");
	ck_assert_str_eq(received(), "hello");
	type(p[1], " again, longer than one FIFO");
	close(p[1]);
	ck_assert_str_eq(received(), " again, longer than one FIFO");
	ck_assert_str_eq(received(), ""); /* fake_machine_run() would catch a loop that spins */
	ck_assert_uint_eq(f->stops, 0);
	teardown();
	close(p[0]);
}
END_TEST

START_TEST(escape_keys_are_obeyed)
{
	int p[2];

	machine(true);
	ck_assert_int_eq(pipe(p), 0);
	console_on(p[0], true);
	type(p[1], "a\001\001b\001");
	ck_assert_str_eq(received(), "a\001b");
	type(p[1], "h\001?c\001q\001\377d"); /* help, split between two reads; unknown keys */
	ck_assert_str_eq(received(), "cd");
	type(p[1], "\001se\001S");
	ck_assert_str_eq(received(), "e");
	ck_assert_uint_eq(asked_stats, 2);
	type(p[1], "\001p");
	ck_assert_str_eq(received(), "");
	ck_assert(paused);
	type(p[1], "\001p");
	ck_assert_str_eq(received(), "");
	ck_assert(!paused);
	ck_assert_uint_eq(f->stops, 0);
	type(p[1], "\001x");
	ck_assert_str_eq(received(), "");
	ck_assert_uint_eq(f->stops, 1);
	ck_assert_int_eq(f->why, STOP_USER);
	ck_assert_int_eq(f->code, 0);
	teardown();
	close(p[0]);
	close(p[1]);
}
END_TEST

/* Read what the guest sees next; LSR_BREAK: it is a break. */
#define LSR_BREAK 0x100

static unsigned next_input(void)
{
	unsigned lsr = (unsigned)bus_read(&f->m.pio, PORT_COM1 + UART_LSR, 1);
	unsigned byte;

	ck_assert(lsr & UART_LSR_DR);
	byte = (unsigned)bus_read(&f->m.pio, PORT_COM1 + UART_RX, 1);
	fake_machine_run(f); /* there may be room for more */
	return byte | (lsr & UART_LSR_BI ? LSR_BREAK : 0);
}

START_TEST(break_goes_where_it_was_typed)
{
	int p[2];

	machine(false);
	ck_assert_int_eq(pipe(p), 0);
	console_on(p[0], true);
	type(p[1], "0123456789abcdefg\001b\001bh"); /* more than a FIFO; two breaks are one */
	ck_assert_str_eq(received(), "");
	bus_write(&f->m.pio, PORT_COM1 + UART_IER, 1, UART_IER_RDI);
	fake_machine_run(f);
	for (const char *want = "0123456789abcdefg"; *want; want++)
		ck_assert_uint_eq(next_input(), (unsigned)*want);
	ck_assert_uint_eq(next_input(), LSR_BREAK);
	ck_assert_uint_eq(next_input(), 'h');
	type(p[1], "\001b");
	fake_machine_run(f);
	ck_assert_uint_eq(next_input(), LSR_BREAK);
	ck_assert_str_eq(received(), "");
	teardown();
	close(p[0]);
	close(p[1]);
}
END_TEST

START_TEST(without_escape_every_byte_is_the_guests)
{
	int p[2];

	machine(true);
	ck_assert_int_eq(pipe(p), 0);
	console_on(p[0], false);
	type(p[1], "\001x\001\001\001p");
	ck_assert_str_eq(received(), "\001x\001\001\001p");
	ck_assert(!paused);
	ck_assert_uint_eq(f->stops, 0);
	teardown();
	close(p[0]);
	close(p[1]);
}
END_TEST

static void fill_pattern(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		text[i] = (char)('!' + i % 90);
	text[len] = '\0';
}

START_TEST(file_is_read_to_its_end_once_the_guest_listens)
{
	static char text[5001];
	FILE *file = tmpfile();

	fill_pattern(text, sizeof(text) - 1);
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	rewind(file);
	machine(false);
	console_on(fileno(file), true);
	ck_assert_str_eq(received(), "");
	bus_write(&f->m.pio, PORT_COM1 + UART_IER, 1, UART_IER_RDI);
	ck_assert_str_eq(received(), text);
	ck_assert_str_eq(received(), "");
	teardown();
	fclose(file);
}
END_TEST

/* A reader that has no room must leave the rest to the writer's side, and lose nothing. */
START_TEST(pipe_waits_while_the_guest_is_deaf)
{
	static char text[7001];
	int p[2], left;

	fill_pattern(text, sizeof(text) - 1);
	machine(false);
	ck_assert_int_eq(pipe(p), 0);
	console_on(p[0], true);
	type(p[1], text);
	ck_assert_str_eq(received(), "");
	ck_assert_int_eq(ioctl(p[0], FIONREAD, &left), 0);
	ck_assert_int_gt(left, 0);
	close(p[1]);
	ck_assert_str_eq(received(), ""); /* nor does it spin on the hang-up */
	bus_write(&f->m.pio, PORT_COM1 + UART_IER, 1, UART_IER_RDI);
	ck_assert_str_eq(received(), text);
	teardown();
	close(p[0]);
}
END_TEST

START_TEST(no_input_is_no_trouble)
{
	int null = open("/dev/null", O_RDONLY), out = open("/dev/null", O_WRONLY);
	int fds[] = { null, out, -1, 999 };

	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
		machine(true);
		console_on(fds[i], true);
		ck_assert_str_eq(received(), "");
		ck_assert_uint_eq(f->stops, 0);
		teardown();
	}
	close(null);
	close(out);
	console_free(NULL);
}
END_TEST

/* --- the terminal ------------------------------------------------------------------------- */

static int master, slave;
static int to_parent[2]; /* the child says where it is */
static struct termios before;

static void terminal(void)
{
	ck_assert_int_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
	ck_assert_int_eq(pipe(to_parent), 0);
	ck_assert_int_eq(tcgetattr(slave, &before), 0);
	ck_assert(before.c_lflag & ICANON);
}

static struct termios modes(void)
{
	struct termios t;

	ck_assert_int_eq(tcgetattr(slave, &t), 0);
	return t;
}

static bool is_raw(void)
{
	struct termios t = modes();

	return !(t.c_lflag & (ICANON | ECHO | ISIG)) && !(t.c_iflag & (ICRNL | IXON)) &&
	       (t.c_oflag & OPOST);
}

static bool is_restored(void)
{
	struct termios t = modes();

	return t.c_iflag == before.c_iflag && t.c_oflag == before.c_oflag &&
	       t.c_lflag == before.c_lflag && t.c_cflag == before.c_cflag &&
	       !memcmp(t.c_cc, before.c_cc, sizeof(t.c_cc));
}

static void say(char word)
{
	ck_assert_int_eq(write(to_parent[1], &word, 1), 1);
}

static char hear(void)
{
	char word = 0;

	ck_assert_int_eq(read(to_parent[0], &word, 1), 1);
	return word;
}

/* fork(), but when the test fails nobody stays behind. */
static pid_t child(void)
{
	pid_t pid = fork();

	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

/* In the child: a session whose terminal this is, and a console on it. */
static void child_opens_console(void)
{
	setsid();
	ioctl(slave, TIOCSCTTY, 0);
	machine(true);
	c = console_new(&f->m, s, slave, &keys);
	say('r');
}

enum way_out { BY_RETURN, BY_EXIT, BY_KEYS, BY_SIGNAL };

static const struct {
	enum way_out way;
	int sig;
} ways[] = {
	{ BY_RETURN, 0 },       { BY_EXIT, 0 },        { BY_KEYS, 0 },
	{ BY_SIGNAL, SIGSEGV }, { BY_SIGNAL, SIGBUS }, { BY_SIGNAL, SIGABRT },
	{ BY_SIGNAL, SIGILL },  { BY_SIGNAL, SIGFPE }, { BY_SIGNAL, SIGQUIT },
	{ BY_SIGNAL, SIGTERM }, { BY_SIGNAL, SIGINT }, { BY_SIGNAL, SIGHUP },
};

static void child_leaves(enum way_out way)
{
	if (way == BY_EXIT)
		exit(0);
	if (way == BY_SIGNAL)
		while (true)
			pause();
	while (way == BY_KEYS && !f->stops)
		loop_once(f->m.loop, -1);
	teardown();
	_exit(0); /* not through atexit() */
}

/* _i: the way out */
START_TEST(terminal_is_restored)
{
	pid_t pid;
	int status;

	terminal();
	pid = child();
	if (!pid) {
		for (int sig = 1; sig < 32; sig++)
			signal(sig, SIG_DFL); /* a sanitizer's or Check's own */
		child_opens_console();
		while (ways[_i].way == BY_RETURN && !is_raw())
			;
		if (ways[_i].way != BY_RETURN && read(slave, &status, 1) < 1)
			_exit(1); /* wait until the parent has looked */
		child_leaves(ways[_i].way);
	}
	ck_assert_int_eq(hear(), 'r');
	if (ways[_i].way != BY_RETURN) {
		ck_assert(is_raw());
		type(master, "k");
	}
	if (ways[_i].way == BY_KEYS)
		type(master, "\001x");
	if (ways[_i].way == BY_SIGNAL)
		kill(pid, ways[_i].sig);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (ways[_i].way == BY_SIGNAL)
		ck_assert_int_eq(WTERMSIG(status), ways[_i].sig);
	else
		ck_assert_int_eq(status, 0);
	ck_assert(is_restored());
}
END_TEST

START_TEST(stopped_machine_lends_the_terminal_back)
{
	pid_t pid;
	int status;

	terminal();
	pid = child();
	if (!pid) {
		child_opens_console();
		while (true)
			loop_once(f->m.loop, -1);
	}
	ck_assert_int_eq(hear(), 'r');
	ck_assert(is_raw());
	kill(pid, SIGTSTP);
	ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
	ck_assert(WIFSTOPPED(status));
	ck_assert(is_restored());
	kill(pid, SIGCONT);
	ck_assert_int_eq(waitpid(pid, &status, WCONTINUED), pid);
	while (!is_raw())
		usleep(1000); /* its handler runs when it runs; Check's timeout is the limit */
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
END_TEST

/* A job-control shell in small: leader in the foreground, the machine in a group behind it. */
static void background_job(void)
{
	setpgid(0, 0);
	child_opens_console();
	say(is_raw() ? '!' : 'b');
	while (!f->stops) {
		bool was = is_raw();

		loop_once(f->m.loop, -1);
		if (!was && is_raw())
			say('f');
	}
	teardown();
	_exit(0);
}

/* setsid() fails in a process that leads a group, so the job stays in the shell's session. */
static void shell(void)
{
	pid_t job;
	int status;

	signal(SIGTTOU, SIG_IGN);
	setsid();
	ioctl(slave, TIOCSCTTY, 0);
	job = child();
	if (!job) {
		signal(SIGTTOU, SIG_DFL);
		background_job();
	}
	while (read(slave, &status, 1) != 1) /* the parent: "bring it to the foreground" */
		;
	setpgid(job, job);
	tcsetpgrp(slave, job);
	say('t');
	waitpid(job, &status, WUNTRACED);
	_exit(WIFSTOPPED(status) ? 99 : WEXITSTATUS(status));
}

START_TEST(background_job_leaves_the_terminal_alone_and_takes_it_later)
{
	pid_t pid;
	int status;

	terminal();
	pid = child();
	if (!pid)
		shell();
	ck_assert_int_eq(hear(), 'r');
	ck_assert_int_eq(hear(), 'b');
	ck_assert(is_restored());
	type(master, "fg\n");
	ck_assert_int_eq(hear(), 't');
	type(master, "x\n"); /* still a line: what makes the job look */
	ck_assert_int_eq(hear(), 'f');
	ck_assert(is_raw());
	type(master, "\001x");
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0); /* 99: it was stopped by SIGTTOU or SIGTTIN */
	ck_assert(is_restored());
}
END_TEST

/* The user of a guest that takes no input must still be able to leave. */
START_TEST(deaf_guest_can_be_left_from_a_terminal)
{
	static char text[TYPED + 1];

	terminal();
	machine(false);
	console_on(slave, true);
	ck_assert(is_raw());
	for (unsigned i = 0; i < 3; i++) {
		fill_pattern(text, TYPED);
		type(master, text);
		fake_machine_run(f);
	}
	ck_assert_uint_eq(f->stops, 0);
	type(master, "\001x");
	while (!f->stops) /* the kernel hands typed bytes over in its own time */
		ck_assert_int_gt(loop_once(f->m.loop, 5000), 0);
	teardown();
	ck_assert(is_restored());
}
END_TEST

START_TEST(size_of_the_terminal_is_typed)
{
	struct winsize size = { .ws_row = 31, .ws_col = 127 };

	terminal();
	machine(true);
	console_on(slave, true);
	type(master, "\001w"); /* a new pseudo-terminal has no size */
	while (!loop_once(f->m.loop, 5000))
		;
	ck_assert_str_eq(received(), "");
	ck_assert_int_eq(ioctl(slave, TIOCSWINSZ, &size), 0);
	type(master, "\001w");
	while (!loop_once(f->m.loop, 5000))
		;
	ck_assert_str_eq(received(), "stty rows 31 cols 127\r");
	teardown();
}
END_TEST

static const struct test_entry tests[] = {
	T(pipe_reaches_the_guest_and_its_end_is_survived),
	T(escape_keys_are_obeyed),
	T(break_goes_where_it_was_typed),
	T(without_escape_every_byte_is_the_guests),
	T(file_is_read_to_its_end_once_the_guest_listens),
	T(pipe_waits_while_the_guest_is_deaf),
	T(no_input_is_no_trouble),
	TLOOP(terminal_is_restored, 0, ARRAY_SIZE(ways)),
	T(stopped_machine_lends_the_terminal_back),
	T(background_job_leaves_the_terminal_alone_and_takes_it_later),
	T(deaf_guest_can_be_left_from_a_terminal),
	T(size_of_the_terminal_is_typed),
};

CHECK_MAIN("console", tests)

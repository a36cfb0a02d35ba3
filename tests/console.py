#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The terminal a guest is used from, and what duet says there: keys, modes, levels, colours.

usage: tests/console.py BUILD_DIR [NAME...]

Each case runs a small guest (guest/pvh/monitor.S) on any /dev/kvm, most on a pseudo-terminal.
Without a /dev/kvm they are skipped: tools/lab -- tests/console.py build. Exit status 0: no failure.
"""
import fcntl
import os
import select
import signal
import struct
import sys
import tempfile
import termios
import time

import cli
from cli import MONITOR, Guest, case, expect, finish, refused, run

cli.CASES.clear()   # its own are not ours


# --- the terminal's modes ---------------------------------------------------------------------

@case
def signals():
    """SIGINT, SIGTERM, SIGHUP end the VMM with 128 + number and restore the terminal"""
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        g = Guest(tty=True)
        g.read_until("ready")
        assert not g.restored(), "the terminal never was raw"
        g.p.send_signal(sig)
        finish(g, 128 + sig)
        assert g.restored(), f"terminal left raw after {sig}"


@case
def terminal_after_crashes():
    """the terminal is restored when the VMM itself dies of SIGSEGV, SIGABRT, SIGQUIT"""
    for sig in (signal.SIGSEGV, signal.SIGABRT, signal.SIGQUIT, signal.SIGBUS):
        g = Guest(tty=True)
        g.read_until("ready")
        g.p.send_signal(sig)
        status = g.wait()
        assert status in (-sig, 128 + sig), f"status {status} after {sig}"
        assert g.restored(), f"terminal left raw after {sig}"


@case
def stopped_and_continued():
    """SIGTSTP gives the terminal back, SIGCONT takes it again"""
    g = Guest(tty=True)
    g.read_until("ready")
    g.p.send_signal(signal.SIGTSTP)
    status = os.waitpid(g.p.pid, os.WUNTRACED)[1]
    assert os.WIFSTOPPED(status), status
    assert g.restored(), "terminal left raw while stopped"
    g.p.send_signal(signal.SIGCONT)
    end = time.monotonic() + 30
    while g.restored():
        assert time.monotonic() < end, "terminal not raw again"
        time.sleep(0.01)
    g.send("q")
    finish(g, 42)
    assert g.restored(), "terminal left raw"


# --- keys ----------------------------------------------------------------------------------------

def quiet(g):
    """Read until nothing more comes; how much that was. A guest that prints without end fails."""
    got = 0
    while select.select([g.out], [], [], 0.5)[0]:
        got += len(os.read(g.out, 4096))
        assert got < 4 << 20, "the guest prints on"
    return got


@case
def escape_keys():
    """Ctrl-a h helps, Ctrl-a Ctrl-a reaches the guest, Ctrl-a x quits"""
    g = Guest(tty=True)
    g.read_until("ready")
    g.send("\x01h")
    g.read_until("one Ctrl-a to the guest\r\n")
    for key in "xpsbwh":
        assert f"\r\nduet: Ctrl-a {key} " in g.text, g.text
    g.send("z\x01\x01y")
    g.read_until("z\x01y")
    g.send("\x03w")
    g.read_until("\x03w")
    g.send("\x01k")
    g.read_until("\r\nduet: that key means nothing")
    g.send("\x01x")
    finish(g, 0)
    assert g.restored(), "terminal left raw"


@case
def pause_and_resume():
    """Ctrl-a p stops the guest's processors until the next Ctrl-a p; Ctrl-a x ends a paused one"""
    g = Guest("-c", "2", tty=True)
    g.read_until("ready")
    g.send("o")
    g.read_until("ooooo")
    g.send("\x01p")
    g.read_until("duet: paused")
    quiet(g)
    g.text = ""
    g.send("\x01s")
    g.read_until("--- running")
    quiet(g)
    g.text = ""
    g.send("\x01p")
    g.read_until("duet: the guest goes on")
    g.read_until("ooooo")
    g.send("\x01p")
    g.read_until("duet: paused")
    g.send("\x01x")
    finish(g, 0)
    g = Guest("-c", "2", tty=True)
    g.read_until("ready")
    for _ in range(200):
        g.send("\x01p\x01p")
        g.read_until("goes on")
        g.text = ""
    g.send("q")
    finish(g, 42)


@case
def statistics_key():
    """Ctrl-a s prints the table that SIGUSR1 does, and the guest runs on"""
    g = Guest(tty=True)
    g.read_until("ready")
    for _ in range(2):
        g.text = ""
        g.send("\x01s")
        g.read_until("--- running")
        g.send("z")
        g.read_until("z")
    g.send("q")
    finish(g, 42)


@case
def size_key():
    """Ctrl-a w types the terminal's size for the guest's shell (what: tests/test_console.c)"""
    g = Guest(tty=True)
    g.read_until("ready")
    g.send("\x01w")
    g.read_until("does not tell its size")
    fcntl.ioctl(g.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
    g.send("\x01w")   # "stty...": the monitor echoes the s, and at a t it crashes
    finish(g, 4)
    g.read_until("\ns")
    g.read_until("triple fault")


@case
def keys_without_a_terminal():
    """in a pipe the keys work, but nothing is said of them where no person reads"""
    g = Guest()
    g.read_until("ready")
    g.send("\x01h\x01k\x01p\x01pzq")
    finish(g, 42)
    said = g.p.stderr.read().decode()
    assert "Ctrl-a" not in said and "paused" not in said and "means nothing" not in said, said


# --- what duet says of itself -----------------------------------------------------------------------

@case
def log_levels():
    """--log-level and -q: each level shows its own lines and those before it"""
    refused("log-level", "loud", "error, warning, info or debug")("run", "-k", MONITOR,
                                                                  "--log-level", "loud")
    shown = {"error": 0, "warning": 0, "info": 1, "debug": 2}
    for options, lines in [*((["--log-level", k], n) for k, n in shown.items()), (["-q"], 0), ([], 1),
                           (["-q", "--log-level=debug"], 2), (["--log-level=debug", "-q"], 0)]:
        g = Guest(*options)
        g.read_until("ready")
        g.send("q")
        finish(g, 42)
        said = g.p.stderr.read().decode()
        assert ("booting" in said) == (lines > 0), (options, said)
        assert ("debug: the guest ended by debug_exit" in said) == (lines > 1), (options, said)


def complaint(tty, **env):
    """What a wrong kernel is told on a terminal or in a pipe, in this environment."""
    merged = {**os.environ, "TERM": "xterm", **env}
    argv = ["run", "-k", "/nonexistent/kernel"]
    if not tty:
        return expect(run(*argv, env=merged), 2, "No such file")
    master, slave = os.openpty()
    cli.subprocess.run([cli.DUET, *argv], stdin=slave, stdout=slave, stderr=slave, env=merged,
                       check=False)
    os.close(slave)
    said = os.read(master, 4096).decode()
    os.close(master)
    assert "No such file" in said, said
    return said


@case
def colours():
    """errors are red on a terminal only, and not with NO_COLOR or a dumb one"""
    assert complaint(True).startswith("\x1b[31mduet:\x1b[m "), complaint(True)
    assert complaint(True, NO_COLOR="").startswith("\x1b[31mduet:\x1b[m ")
    for plain in (complaint(False), complaint(True, NO_COLOR="1"), complaint(True, TERM="dumb")):
        assert plain.startswith("duet: ") and "\x1b" not in plain, plain


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        sys.exit(0 if len(sys.argv) > 1 else 2)
    with tempfile.TemporaryDirectory() as cli.SCRATCH:
        sys.exit(cli.main())

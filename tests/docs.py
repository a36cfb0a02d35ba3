#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The pages keep their word: tools/check-docs finds each kind of lie, and commands do as shown.

usage: tests/docs.py [NAME...]

Exit status 0: no failure.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import cases  # noqa: E402
from cases import ROOT, case, tool  # noqa: E402

check_twins, mkregisters = tool("check-twins"), tool("mkregisters")

TABLE = "tests/docs-commands.txt"
GONE = "gone"   # part of names that nothing has, lest this file should have them


class Copy:
    """A copy of the tree, to lie in."""

    def __init__(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.scratch.name, "tree")
        shutil.copytree(ROOT, self.root, ignore=shutil.ignore_patterns(
            "build", ".git", "seeds", "__pycache__"), symlinks=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.scratch.cleanup()

    def check(self):
        """Exit status and what is said of the copy."""
        done = subprocess.run([ROOT / "tools" / "check-docs", self.root], capture_output=True,
                              text=True, check=False, stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout + done.stderr

    def with_lines(self, path, *lines):
        """What is said once LINES end the file, and the first one's number; then they go."""
        file = self.root / path
        whole = file.read_text()
        file.write_text(whole + "\n" + "\n".join(lines) + "\n")
        status, said = self.check()
        file.write_text(whole)
        return status, said, len(whole.splitlines()) + 2

    def lie(self, what, *lines, path="docs/ladder.md", offset=0):
        """LINES are a finding, one only, and it is WHAT at the right line."""
        status, said, number = self.with_lines(path, *lines)
        assert status == 1 and said == f"{path}:{number + offset}: {what}\n", (lines, said)

    def truth(self, *lines, path="docs/ladder.md"):
        """LINES are no finding."""
        status, said, _ = self.with_lines(path, *lines)
        assert status == 0 and not said, (lines, said)


@case
def pages_are_true():
    """nothing is wrong with the pages as they are"""
    done = subprocess.run([ROOT / "tools" / "check-docs"], capture_output=True, text=True,
                          check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0 and not done.stdout, done.stdout + done.stderr


@case
def names_that_lie():
    """a function, file, option, target, link or heading that is not there is found, with its line"""
    with Copy() as copy:
        copy.lie(f"no function {GONE}_bus()", f"A store goes to `{GONE}_bus()`.")
        copy.lie("no file vmm/omnibus.c", "See vmm/omnibus.c.")
        copy.lie("no file devices/e2000*.c", "See `devices/e2000*.c`.")
        copy.lie("no file is called omnibus.c", "See `omnibus.c`.")
        copy.lie(f"nothing here takes --{GONE}-option", f"Give `--{GONE}-option`.")
        copy.lie("nothing here takes --rounds", "Give `duet run --rounds 3`.")
        copy.lie("nothing here takes --sandbox", "Give `tools/fnlen --sandbox`.")
        copy.lie("vmm/bus.c has no 'bus_wrote'", "See `vmm/bus.c:bus_wrote`.")
        copy.lie("no make target chek", "Say `make chek`.")
        copy.lie("link to gone.md: no such file", "", "See [it](gone.md).", offset=1)
        copy.lie("link to model.md#no-such: no such heading", "See [it](model.md#no-such).")


@case
def names_that_hold():
    """what is there is not complained of, nor what only looks like a name"""
    with Copy() as copy:
        copy.truth("A store goes to `bus_write()`, see `vmm/bus.c:bus_write`, `bus.c`, devices/e1000*.c.")
        copy.truth("Give `--sandbox off`, `tools/peers --rounds 3`, `make check N=5 lint`.")
        copy.truth("See [it](model.md#where-the-numbers-come-from), [us](https://duet.invalid).")
        copy.truth("", "    guest: store", "      -> bus_write()", "", "and/or a--b, `x - --`.")
        copy.truth("```c", "make_it(so);", "make nothing", "```")


@case
def commands_that_nobody_runs():
    """a shown command without a line in the table is found, indented, fenced or continued"""
    with Copy() as copy:
        what = f"nothing in {TABLE} runs: "
        copy.lie(what + "build/duet run -k other", "", "    build/duet run -k other", offset=1)
        copy.lie(what + "make lint V=1", "```", "make lint   V=1   # slowly", "```", offset=1)
        copy.lie(what + "frobnicate -x", "```sh", "frobnicate -x", "```", offset=1)
        copy.lie(what + "make lint all", "", "    make check", "    make lint \\", "        all",
                 offset=2)
        copy.truth("", "    make compare        # once more", "", "```text", "make lint V=1", "```")


@case
def table_that_lies():
    """a line that no page shows, that is there twice, or whose runner is not there is found"""
    with Copy() as copy:
        for what, line in (("no page shows: make lint V=1", "Makefile:lint | make lint V=1"),
                           ("no 'WHO | WHAT', or a second one: .ci/run:make | make check",
                            ".ci/run:make | make check"),
                           ("no 'WHO | WHAT', or a second one: make check", "make check")):
            copy.lie(what, line, path=TABLE)
        page = copy.root / "docs" / "ladder.md"
        page.write_text(page.read_text() + "\n    make lint V=1\n")
        for what, who in (("no file tests/gone.py to run it", "tests/gone.py:x"),
                          ("tests/cli.py has no 'no_such_case'", "tests/cli.py:no_such_case"),
                          ("'by hand:' says no more", "by hand:")):
            copy.lie(what, f"{who} | make lint V=1", path=TABLE)


@case
def page_that_nobody_finds():
    """a page that no other links to is found"""
    with Copy() as copy:
        (copy.root / "docs" / "lonely.md").write_text("# Lonely\n\n[Me](lonely.md).\n")
        assert copy.check() == (1, "docs/lonely.md:1: no page links to this one\n"), copy.check()


@case
def no_tree():
    """a root without a table is refused with status 2 and the way to say it"""
    done = subprocess.run([ROOT / "tools" / "check-docs", "/nowhere"], capture_output=True,
                          text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 2 and "usage" in done.stderr, done


@case
def run_as_shown():
    """commands that need no guest and no privilege do what the page says, to the letter"""
    lines = (ROOT / TABLE).read_text().splitlines()
    shown = [line.partition(" | ")[2] for line in lines
             if line.startswith("tests/docs.py:run_as_shown | ")]
    assert shown
    with tempfile.TemporaryDirectory() as scratch:
        pathlib.Path(scratch, "some/directory").mkdir(parents=True)
        for command in shown:
            done = subprocess.run(["bash", "-c", command], cwd=scratch, capture_output=True,
                                  env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"},
                                  text=True, check=False, stdin=subprocess.DEVNULL)
            assert done.returncode == 0, (command, done)


REGS = """
#define E1000_CTRL 0x00000 /* control */
#define E1000_BITS (BIT(1) | 0x5u)
#define E1000_ROWS(x) ((x) + 1)
#define E1000_LOTS 0x00100 /* many */
"""
ROWS = """const struct e1000_reg e1000_table[] = {
    /* --- first [1]; a note --- */
    ROW(CTRL, RW, 0x0000ffff, E1000_BITS, .quiesce = true, .write = ctrl_write),
    { .off = E1000_LOTS, .name = "L", .access = E1000_RC, .count = 4, .stride = 8 },
};
"""


@case
def registers_page():
    """mkregisters: rows, ranges, words and functions of a known table; what is odd is refused"""
    made = mkregisters.page(ROWS, REGS)
    assert "## First [1]\n\nA note.\n" in made, made
    assert "| 0x00000 | CTRL | control | RW | 0x0000ffff | 0x7 | write: `ctrl_write()`; quiesces |" \
        in made, made
    assert "| 0x00100 to 0x00118 by 8 | L[4] | many | RC |  | 0x0 |  |" in made, made
    for odd in (ROWS.replace("ROW(", "WOR("), ROWS.replace("BITS", "GONE"),
                ROWS.replace("0x0000ffff", "mask")):
        try:
            mkregisters.page(odd, REGS)
        except mkregisters.Fail:
            continue
        raise AssertionError(odd)


@case
def registers_page_is_new():
    """the page of registers has every row of the table and is not stale; a stale one is found"""
    tree = (ROOT / "devices/e1000_table.c").read_text()
    rows = len(re.findall(r"^\t(?:ROW|STAT|STAT_LOW|STAT_HIGH)\(|^\t\{ \.off", tree, re.M))
    page = (ROOT / "docs/e1000-registers.md").read_text()
    assert len(re.findall("^\\| 0x", page, re.M)) == rows > 100, rows
    with Copy() as copy:
        for said, status in ((page, 0), (page.replace("TDT", "TDU"), 1)):
            (copy.root / "docs/e1000-registers.md").write_text(said)
            done = subprocess.run([copy.root / "tools/mkregisters", "--check"], check=False,
                                  capture_output=True, text=True, stdin=subprocess.DEVNULL)
            assert done.returncode == status and ("make registers" in done.stdout) == status, done


@case
def twins():
    """check-twins: the two NICs are one lecture; a section or function out of place is found"""
    one, other = (ROOT / "devices/e1000.c").read_text(), (ROOT / "devices/virtio_net.c").read_text()
    assert not check_twins.differences(one, other)
    for text, what in ((other.replace("/* 4. Ring", "/* 4. Queue"), "4. Queue"),
                       (other.replace("/* 7. Interrupt", "/* Interrupt"), "the sections are"),
                       (other.replace("vnet_tx_one(struct", "vnet_tx_two(struct"), "*_tx_one()"),
                       (other.replace("vnet_reset(void", "vnet_rx_on(void"), "*_rx_on(): under"),
                       (other.replace("vnet_rx_run(", "vnet_swap(").replace("vnet_rx_one(",
                        "vnet_rx_run(").replace("vnet_swap(", "vnet_rx_one("), "stands where")):
        said = check_twins.differences(one, text)
        assert any(what in line for line in said), (what, said)


def judge(skeleton, solution):
    """Exit status and words of tests/course.sh about an exercise whose programs say and end so."""
    with tempfile.TemporaryDirectory() as build:
        for name, (said, status) in (("e/skeleton", skeleton), ("e/solution", solution),
                                     ("vm200", ("vm200: no", 3))):
            program = pathlib.Path(build, "course", name)
            program.parent.mkdir(parents=True, exist_ok=True)
            program.write_text(f"#!/bin/sh\necho '{said}'\nexit {status}\n")
            program.chmod(0o755)
        done = subprocess.run([ROOT / "tests" / "course.sh", "e"], capture_output=True, text=True,
                              check=False, stdin=subprocess.DEVNULL,
                              env={**os.environ, "BUILD": build})
    return done.returncode, done.stdout.splitlines()


@case
def exercises_are_judged():
    """an exercise whose skeleton passes, crashes or is not run fails, as does a bad solution"""
    good, bad = ("100%: Checks: 2, Failures: 0", 0), ("50%: Checks: 2, Failures: 1", 1)
    status, said = judge(bad, good)
    assert status == 0 and said[-1] == "1 passed, 0 failed, 1 skipped", said
    for skeleton, solution, why in ((good, good, "the skeleton passes"),
                                    (bad, bad, "the solution does not pass"),
                                    (("no library", 127), good, "did not run"),
                                    (bad, ("no library", 0), "the solution does not pass")):
        status, said = judge(skeleton, solution)
        assert status == 1 and why in said[0] and said[-1].startswith("0 passed, 1 failed"), said


if __name__ == "__main__":
    sys.exit(cases.main(__doc__))

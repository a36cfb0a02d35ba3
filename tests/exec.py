#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""duet exec where it fails before there is a guest: what is said, and status 125.

usage: tests/exec.py BUILD_DIR [NAME...]

No case needs a /dev/kvm. What a command does in a stock guest: tests/in_lab.py, exec_*.
Exit status 0: no failure.
"""
import os
import re
import subprocess
import sys
import tempfile

import cli
from cli import MONITOR, case, expect, need_root, run, scratch

cli.CASES.clear()   # its own are not ours


def failed(*words):
    """A checker: status 125, the words, and no more than a few lines."""
    def check(*args, **kwargs):
        said = expect(run("exec", *args, **kwargs), 125, *words)
        assert said.count("\n") <= 3, f"too many words: {said}"
    return check


@case
def usage():
    """no command, or an option that cannot be, is 125, too: never mistaken for the command's"""
    failed("no command", "COMMAND")()
    failed("no command")("-k", MONITOR, "--")
    failed("unknown option --frob", "exec --help")("--frob", "true")
    failed("serial2")("--serial2", "x", "true")
    failed("timeout", "1 to")("--timeout", "soon", "true")
    failed("limit", "2G")("--limit", "3G", "true")
    failed("/nonexistent/kernel")("-k", "/nonexistent/kernel", "--no-dir", "ls", *["@x"] * 2000)


@case
def helps():
    """help names its options"""
    for args in (["help", "exec"], ["exec", "--help"], ["exec", "-h"]):
        said = expect(run(*args), 0, "--dir", "--no-dir", "--file", "--root", "--stdin", "--limit",
                      "--timeout", "125")
        assert max(len(line) for line in said.splitlines()) <= 80, "a line is over 80 columns"


@case
def directories():
    """a directory that is missing, none, or too large"""
    big = f"{cli.SCRATCH}/big"
    os.mkdir(big)
    with open(f"{big}/file", "wb") as f:
        f.truncate(70 << 20)
    failed("/nonexistent", "No such file")("-k", MONITOR, "--dir", "/nonexistent", "true")
    failed("/nonexistent", "No such file")("-k", MONITOR, "--root", "/nonexistent", "true")
    failed("Not a directory")("-k", MONITOR, "--dir", scratch("file"), "true")
    for where in (["--dir", big], ["--root", big, "--no-dir"]):
        failed(big, "64 MiB", "--limit", "--no-dir")("-k", MONITOR, *where, "true")
    failed("stdin", "64 MiB", "--limit")("-k", MONITOR, "--no-dir", "--stdin", "cat",
                                         stdin=open("/dev/zero", "rb"))


@case
def single_files():
    """--file: missing, a directory, a name it cannot have, one that is taken, too much"""
    with open(f"{cli.SCRATCH}/large", "wb") as f:
        f.truncate(70 << 20)
    small = scratch("small")
    failed("/nonexistent", "No such file")("-k", MONITOR, "--no-dir", "--file", "/nonexistent", "true")
    failed(cli.SCRATCH, "not a file")("-k", MONITOR, "--no-dir", "--file", f"{cli.SCRATCH}:x", "true")
    failed("../x", "'..'")("-k", MONITOR, "--no-dir", "--file", f"{small}:../x", "true")
    failed("another --file")("-k", MONITOR, "--no-dir", "--file", small, "--file", "/dev/null:small", "true")
    failed(f"{cli.SCRATCH}/large", "64 MiB", "--limit")(
        "-k", MONITOR, "--no-dir", "--file", f"{cli.SCRATCH}/large", "true")


@case
def other_files():
    """a kernel or an initrd that is missing"""
    failed("/nonexistent/kernel", "No such file")("-k", "/nonexistent/kernel", "--no-dir", "true")
    failed("/nonexistent/initrd", "No such file")("-k", MONITOR, "-i", "/nonexistent/initrd",
                                                  "--no-dir", "true")


@case
def busybox_missing_or_dynamic():
    """no static busybox: the package to install is named"""
    need_root()
    for busybox in ("/dev/null", "/bin/true"):
        r = subprocess.run(["unshare", "-m", "sh", "-c", "mount --make-rprivate / && "
                            f'mount --bind {busybox} "$(readlink -f "$(command -v busybox)")" && exec "$@"',
                            "sh", cli.DUET, "exec", "-k", MONITOR, "--no-dir", "true"],
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        expect(r, 125, "busybox-static")


@case
def no_kvm():
    """a host without KVM is 125, and the reason is said"""
    need_root()
    r = cli.with_dev_kvm("mount -t tmpfs none /dev", "exec", "-k", MONITOR, "--no-dir", "true")
    expect(r, 125, "/dev/kvm", "modprobe")


# What sets a runner up; tools/deps and make are what `make check` begins with.
SET_UP = {"apt-get update && apt-get install -y make", "tools/deps build guest",
          "tools/deps build lab", "make", "build/duet probe"}


@case
def workflow():
    """each command of docs/ci-example.yml is one that the tests run"""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    with open(f"{root}/docs/ci-example.yml", encoding="utf-8") as f:
        lines = re.findall(r"- run: (.*)", f.read())
    with open(f"{root}/tests/docs-commands.txt", encoding="utf-8") as f:
        known = {line.rstrip("\n").partition(" | ")[2] for line in f}
    assert len(lines) > 5, lines
    assert not set(lines) - known - SET_UP, set(lines) - known - SET_UP


@case
def timeout_of_a_guest():
    """duet run --timeout ends a guest with 124"""
    r = cli.boot("--timeout", "1")
    expect(r, 124, "--timeout 1: time is up")


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        sys.exit(0 if len(sys.argv) > 1 else 2)
    with tempfile.TemporaryDirectory() as cli.SCRATCH:
        sys.exit(cli.main())

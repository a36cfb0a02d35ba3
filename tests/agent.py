#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Does the traffic agent see what a broken NIC would do?

usage: tests/agent.py [AGENT]     (default build/guest/agent)

Two taps stand for the two ends of a NIC, this program is the wire between them, and a bad one: it
loses, repeats, delays, flips or swaps. Swapping two 16-bit words leaves every Internet checksum
right, so only the agent's pattern can tell. Runs in namespaces of its own (unshare), touches
nothing else. Exit status: 0 passed, 1 failed, 77 skipped (no namespaces or no /dev/net/tun here).
"""
import fcntl
import json
import os
import pathlib
import select
import struct
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TUNSETIFF = 0x400454ca      # <linux/if_tun.h>
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
HOST, GUEST = "10.77.1.1", "10.77.1.2"
CONTROL_PORT = 5577         # that connection is not what is examined
HEADERS = 14 + 20 + 20      # the shortest part of a frame that a fault may not touch
EVERY = 97                  # each so-manyth frame with data is treated badly
SKIPPED = 77


def lose(_frame, _wire):
    """The frame is gone."""
    return []


def repeat(frame, _wire):
    """The frame comes twice."""
    return [frame, frame]


def flip(frame, _wire):
    """One bit is wrong; a checksum sees it."""
    return [frame[:-3] + bytes([frame[-3] ^ 0x10]) + frame[-2:]]


def swap(frame, _wire):
    """Two aligned words of the payload change places; no checksum sees it."""
    end = len(frame) & ~1
    return [frame[:end - 4] + frame[end - 2:end] + frame[end - 4:end - 2] + frame[end:]]


def delay(frame, wire):
    """The frame comes after its successor on the same way."""
    wire.held[wire.way].append(frame)
    return []


def cut(_frame, wire):
    """Nothing comes through any more."""
    wire.dead = True
    return []


class Wire(threading.Thread):
    """Carries frames between two taps."""

    def __init__(self, one, other):
        super().__init__(daemon=True)
        self.peer = {one: other, other: one}
        self.way = None                 # the tap the frame in treat() came from: of the wire's thread
        self.lock = threading.Lock()    # a new fault never comes in the middle of a frame
        self.begin(None)

    def begin(self, fault):
        """From now on, treat frames like this."""
        with self.lock:
            self.fault, self.seen, self.dead = fault, 0, False
            self.held = {tap: [] for tap in self.peer}

    def treat(self, frame):
        """What comes out of the wire for this frame."""
        data = (frame[12:14] == b"\x08\x00" and len(frame) > HEADERS + 12 and
                CONTROL_PORT not in struct.unpack(">HH", frame[34:38]))
        if self.dead:
            return []
        if data:
            self.seen += 1
        if data and self.fault and self.seen % EVERY == 0:
            return self.fault(frame, self)
        out, self.held[self.way] = [frame] + self.held[self.way], []
        return out

    def run(self):
        while True:
            for self.way in select.select(list(self.peer), [], [])[0]:
                frame = os.read(self.way, 2048)
                with self.lock:
                    out = self.treat(frame)
                for each in out:
                    os.write(self.peer[self.way], each)


def shell(*words):
    """Runs a command that must work."""
    subprocess.run(words, check=True)


def open_tap(name):
    """A new tap."""
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return tap


class Bench:
    """Host here, guest in one more namespace, the wire between."""

    def __init__(self, agent):
        self.agent = agent
        self.guest = subprocess.Popen(["unshare", "-n", "--", "cat"], stdin=subprocess.PIPE)
        self.wire = Wire(open_tap("host"), open_tap("guest"))
        while os.readlink(f"/proc/{self.guest.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            time.sleep(0.01)    # until unshare has done it
        shell("ip", "link", "set", "guest", "netns", str(self.guest.pid))
        shell("ip", "addr", "add", f"{HOST}/24", "dev", "host")
        shell("ip", "link", "set", "host", "up")
        shell(*self.inside("ip", "addr", "add", f"{GUEST}/24", "dev", "guest"))
        shell(*self.inside("ip", "link", "set", "guest", "up"))
        self.server = subprocess.Popen([agent, "serve", "--bind", HOST], stdout=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL)
        self.server.stdout.readline()
        self.wire.start()

    def inside(self, *words):
        """A command in the guest's namespace."""
        return ("nsenter", "-t", str(self.guest.pid), "-n", "--", *words)

    def integrity(self, fault, *options):
        """Exit status and events of an integrity run over a wire with that fault."""
        self.wire.begin(fault)
        done = subprocess.run(self.inside(
            self.agent, "integrity", "--nic", f"wire=guest,{HOST}", "--bytes", "400k",
            "--datagrams", "3000", *options), stdout=subprocess.PIPE, text=True, check=False)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    def measure(self, *options, wrap=()):
        """Exit status and events of a measuring run."""
        done = subprocess.run(self.inside(*wrap, self.agent, "run", "--nic", f"wire=guest,{HOST}",
                                          *options), stdout=subprocess.PIPE, text=True, check=False)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    def end(self):
        """Stops what was started."""
        for process in (self.server, self.guest):
            process.kill()


def by_name(events):
    """The tests of a run by their name."""
    return {event["test"]: event for event in events if event["kind"] == "test"}


def check_clean(bench):
    """A good wire passes, and every frame size was on it."""
    status, events = bench.integrity(None)
    tests = by_name(events)
    assert status == 0 and len(tests) == 4 and all(test["ok"] for test in tests.values())
    assert all(tests[name]["frame_sizes"] == 1455 for name in ("udp_out", "udp_in"))
    assert events[-1] == {"kind": "end", "errors": 0, "ok": True}


def check_lose(bench):
    """Lost datagrams fail; TCP repairs it, and the repair shows."""
    status, events = bench.integrity(lose)
    tests = by_name(events)
    assert status == 1
    for name in ("udp_out", "udp_in"):
        assert not tests[name]["ok"] and tests[name]["lost"] > 10
    assert tests["tcp_out"]["ok"] and tests["tcp_out"]["retransmits"] > 0


def check_repeat(bench):
    """Datagrams that come twice fail."""
    status, events = bench.integrity(repeat)
    tests = by_name(events)
    assert status == 1 and tests["udp_out"]["duplicate"] > 10 and tests["udp_in"]["duplicate"] > 10
    assert tests["udp_in"]["lost"] == 0 and not tests["udp_in"]["ok"]


def check_delay(bench):
    """A swap of neighbours is reported; IP allows it, so it does not fail."""
    status, events = bench.integrity(delay)
    tests = by_name(events)
    assert status == 0 and tests["udp_out"]["reordered"] > 10 and tests["udp_in"]["reordered"] > 10


def check_flip(bench):
    """What a checksum catches fails, too, even where TCP repairs it."""
    status, events = bench.integrity(flip)
    tests = by_name(events)
    assert status == 1
    for test in tests.values():
        assert not test["ok"] and test["checksum_errors"] > 0 and test["bad_bytes"] == 0


def check_swap(bench):
    """What no checksum catches, the pattern does: count and first place."""
    status, events = bench.integrity(swap)
    tests = by_name(events)
    assert status == 1
    for test in tests.values():
        assert not test["ok"] and test["checksum_errors"] == 0
        assert test["bad_bytes"] >= 2 and test["first_bad"] >= 0
    assert tests["udp_out"]["bad_frames"] > 10 and tests["udp_out"]["first_bad"] < 2 * EVERY


def check_cut(bench):
    """A dead wire is one error line per run, soon, and the run goes on to its end."""
    started = time.monotonic()
    status, events = bench.integrity(cut, "--limit", "2")
    assert status == 1 and time.monotonic() - started < 20
    errors = [event for event in events if event["kind"] == "error"]
    assert len(errors) == 4 and events[-1]["errors"] == 4
    assert "watchdog" in errors[0]["error"], errors[0]


def check_amounts(bench):
    """A workload's own amount is done exactly; nonsense for one is refused."""
    bench.wire.begin(None)

    def agent(workloads):
        return subprocess.run(bench.inside(
            bench.agent, "run", "--nic", f"wire=guest,{HOST}", "--rounds", "1", "--workloads",
            workloads), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)

    done = agent("tcp_out:300k,tcp_rr:70")
    runs = [event for event in map(json.loads, done.stdout.splitlines()) if event["kind"] == "run"]
    assert done.returncode == 0 and [run["count"] for run in runs] == [300000, 70], runs
    for bad in ("tcp_out:", "tcp_out:0", "tcp_out:lots", "tcp_out:-1", "tcp_over:5", ":5"):
        refused = agent(bad)
        assert refused.returncode == 2 and "--workloads" in refused.stderr, (bad, refused)


def check_run_lines(bench):
    """A measuring run says how much it did in all, and how long it was quiet at its end."""
    bench.wire.begin(None)
    status, events = bench.measure("--workloads", "tcp_rr,udp_in", "--time", "200", "--warmup",
                                   "100", "--rounds", "1", "--idle", "150")
    runs = {event["workload"]: event for event in events if event["kind"] == "run"}
    assert status == 0 and set(runs) == {"tcp_rr", "udp_in"}, events
    for line in runs.values():
        assert line["marks"] is None and line["interface"] == "guest", line
        assert line["total"] > line["count"] > 0, line
    assert runs["tcp_rr"]["quiet_ns"] == 0, runs
    assert 240e6 < runs["udp_in"]["quiet_ns"] < 3e9, runs
    idle = [event for event in events if event["kind"] == "idle"]
    assert len(idle) == 1 and idle[0]["marks"] is None and 0.15 <= idle[0]["seconds"] < 5, idle


def check_no_mark_port(bench):
    """Marks that cannot be made are said, and nothing is measured."""
    status, events = bench.measure("--marks", "1", wrap=("setpriv", "--bounding-set=-sys_rawio"))
    assert status == 2 and not events, (status, events)


CHECKS = (check_amounts, check_run_lines, check_no_mark_port, check_clean, check_lose, check_repeat, check_delay,
          check_flip, check_swap, check_cut)


def run(agent):
    """Every check on one bench."""
    bench = Bench(agent)
    failed = 0
    try:
        for check in CHECKS:
            try:
                check(bench)
                print(f"ok    {check.__name__}: {check.__doc__}", flush=True)
            except AssertionError as error:
                failed += 1
                line = error.__traceback__.tb_next.tb_lineno
                print(f"FAIL  {check.__name__}, line {line} {error}: {check.__doc__}", flush=True)
    finally:
        bench.end()
    return 1 if failed else 0


def main():
    """Enters namespaces of its own first."""
    agent = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "build" / "guest" / "agent")
    if agent in ("-h", "--help"):
        print(__doc__)
        return 0
    if os.environ.get("DUET_IN_NAMESPACE"):
        return run(agent)
    unshare = ["unshare", "-n" if os.geteuid() == 0 else "-rn", "--"]
    if not os.path.exists("/dev/net/tun") or subprocess.run([*unshare, "true"], check=False,
                                                           stderr=subprocess.DEVNULL).returncode:
        print("skipped: no network namespaces or no /dev/net/tun here")
        return SKIPPED
    os.environ["DUET_IN_NAMESPACE"] = "1"
    return subprocess.run([*unshare, sys.executable, __file__, agent], check=False).returncode


sys.exit(main())

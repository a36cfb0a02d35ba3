#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What tools/stress makes of a guest's life, with answers known beforehand; tools/crowd's second
chances; guest/stress's sums.

usage: tests/stress.py [NAME...]

Starts no guest. Exit status 0: no failure.
"""
import base64
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import types
import unittest.mock

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
sys.dont_write_bytecode = True
import cases  # noqa: E402
import duetlib  # noqa: E402
import stress_counted  # noqa: E402
import stressing  # noqa: E402
from cases import Skip, case, tool  # noqa: E402

crowd, guests, stress = tool("crowd"), tool("guests"), tool("stress")


def step(**more):
    """A good step, but for MORE."""
    return {"kind": "step", "step": "link", "nic": "e1000", "slot": 1, "marks": [2002, 2003],
            "rounds": 10, "busy": 10, "skipped": "", "seconds": 5, "recover_ms": 20, "timeouts": 0,
            "tests": 8, "failed": 0, "lost": 3, "others": 1, "ok": True, "error": "",
            "window": rung_in_memory(),
            "process": {"fds": 38, "threads": 4, "private_kb": 900, "cpu_ms": 100}, **more}


def rung_in_memory(ladder="best", spells=12, exits=40, kicks=900):
    """A window in which so many doorbells were rung, and so many of them exited."""
    return {"ns": 5e9, "stats": {"nics": [{
        "model": "e1000", "ladder": ladder, "ram_spells": spells, "tx_kicks": kicks,
        "registers": [{"name": "RDT", "writes": 7}, {"name": "TDT", "writes": exits}]}]}}


def nic(name="net0", model="e1000", frames=100, **more):
    """A NIC whose figures fit."""
    backend = {"tx_frames": frames, "rx_frames": frames, "tx_drops": 0, "rx_drops": 0,
               "sw_segments": 0, "sw_frames": 0}
    return {"name": name, "model": model, "tx_frames": frames, "rx_frames": frames, "rx_drops": 0,
            "rx_segments": 0, "rx_cut": 0, "tx_bytes": 6400, "rx_bytes": 6400, "guest_faults": 0,
            "backend_stats": backend, **more}


def stats(stop="poweroff", tap=100, **more):
    """The last line of a life with one NIC."""
    return {"kind": "stats", "stats": {"run": {"stop": stop}, "nics": [nic(**more)]},
            "taps": [{"name": "tap1", "rx_packets": tap, "tx_packets": tap}]}


def counted(model="e1000", driver=100, octets=6400):
    """A "counted" line of a window with 100 frames each way."""
    names = {"e1000": ["tx_packets", "rx_packets", "net_tx_packets", "net_rx_packets"],
             "virtio": ["tx_queue_0_packets", "rx_queue_0_packets", "net_tx_packets",
                        "net_rx_packets"]}[model]
    after = {**dict.fromkeys(names, 7 + driver),
             **dict.fromkeys(["net_tx_bytes", "net_rx_bytes"], octets)}
    return {"kind": "counted", "nic": model, "slot": 1,
            "before": {**dict.fromkeys(names, 7), "net_tx_bytes": 0, "net_rx_bytes": 0},
            "after": after, "window": {"stats": {"nics": [nic(model=model)]}}}


def one(sentences, *words):
    """There is exactly one sentence, and WORDS are in it."""
    sentences = list(sentences)
    assert len(sentences) == 1 and all(word in sentences[0] for word in words), sentences


@case
def clean():
    """a good life has nothing to complain of"""
    life = [step(), step(nic="virtio-net", skipped="not with this driver", busy=0), counted(),
            counted("virtio"), stats()]
    assert not stressing.complaints(life), stressing.complaints(life)


@case
def steps():
    """a step that failed, and one whose traffic did not flow, are told"""
    one(stressing.complaints([step(ok=False, error="no answer"), stats()]), "link", "no answer")
    one(stressing.complaints([step(busy=4), stats()]), "4 of 10")
    one(stressing.complaints([{"kind": "selftest", "nic": "e1000", "mode": "offline", "rounds": 5,
                               "failed": 2, "results": "Register test 40", "ok": False,
                               "error": ""}, stats()]), "2 of 5", "Register test 40")


@case
def fallback():
    """doorbells that a reset did not turn back into registers, or traffic not into memory, are told"""
    def life(ladder="best", **counts):
        return [step(window=rung_in_memory(ladder, **counts)), stats()]

    one(stressing.complaints(life(spells=0, exits=900)), "became memory 0 times")
    one(stressing.complaints(life(exits=0)), "0 exited")
    one(stressing.complaints(life(ladder="worker+poll+ram", exits=900)), "0 did not")
    assert not stressing.complaints(life(ladder="worker+poll", spells=0, exits=900))
    one(stressing.complaints([step(window=None), stats()]), "marks")
    assert not stressing.complaints([step(step="stats", window=None), stats()])


@case
def given_up():
    """a driver that waits for the kernel's watchdog now and then is borne with, an idle card is not"""
    assert not stressing.complaints([step(timeouts=2), stats()])
    one(stressing.complaints([step(timeouts=3), stats()]), "3 of 10")


@case
def leaks():
    """a descriptor, a thread, or memory more than at the begin is a leak; noise is none"""
    def later(**more):
        return [step(), step(process={**step()["process"], **more}), stats()]

    assert not stressing.complaints(later(private_kb=900 + stressing.LEAK_KB))
    one(stressing.complaints(later(private_kb=901 + stressing.LEAK_KB)), "memory")
    one(stressing.complaints(later(fds=39)), "fds", "39")
    one(stressing.complaints(later(threads=5)), "threads")
    watched = [{"kind": "process", **step()["process"], "fds": fds} for fds in (5, 38, 38, 39)]
    assert not stressing.complaints([counted(), stats(), *watched[:3]])   # booting is no leak
    one(stressing.complaints([counted(), stats(), *watched]), "fds", "39")


@case
def looks():
    """what a VMM holds is looked at while its processors run, not while it ends"""
    def named(name, done):
        pathlib.Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text(name)
        named_now.set()
        done.wait()

    assert duetlib.process_holds(os.getpid()) is None and duetlib.process_holds(2**22) is None
    for name, seen in (("worker", False), ("vcpu0", True)):
        named_now, done = threading.Event(), threading.Event()
        thread = threading.Thread(target=named, args=(name, done))
        thread.start()
        named_now.wait()
        holds = duetlib.process_holds(os.getpid())
        done.set()
        thread.join()
        assert bool(holds) == seen, (name, holds)
    assert holds["threads"] == 2 and holds["fds"] >= 3 and holds["private_kb"] > 0, holds


@case
def sums():
    """driver, NIC, backend and tap have to count the same"""
    sentences = list(stressing.counted_complaints([counted(driver=99)]))
    assert len(sentences) == 4 and "99 tx_packets" in sentences[0], sentences
    assert not list(stressing.counted_complaints([counted(octets=1)]))     # e1000's are a wire's
    assert len(list(stressing.counted_complaints([counted("virtio", octets=1)]))) == 2
    one(stressing.counted_complaints([{**counted(), "window": None}]), "marks")
    one(stressing.complaints([stats(guest_faults=1)]), "guest faults")
    assert len(stressing.complaints([stats(tap=99)])) == 2
    one(stressing.complaints([stats(rx_drops=1)]), "received or dropped")


# Two datagrams in a network namespace that just came to be: what duetlib saw of them.
IN_A_NAMESPACE = """ip link set lo up && exec "$2" -c '
import socket, sys
sys.path.insert(0, sys.argv[1])
import duetlib
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
for n in range(2): s.sendto(b"x", s.getsockname())
print(*duetlib.tap_counters("lo").values())
try: duetlib.tap_counters("eth")
except duetlib.Fail as why: print(why)
' "$1" """


@case
def own_namespace():
    """a tap's counters are those of the network namespace that asks, though /sys is another's"""
    unshare = ["unshare", "-rn", "--"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        raise Skip("this host gives no network namespace")
    done = subprocess.run([*unshare, "sh", "-c", IN_A_NAMESPACE, "sh", ROOT / "tools",
                           sys.executable],
                          capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[0] == "lo 2 2 0 0", done
    assert "eth: there is no such interface" in done.stdout, done


@case
def loops():
    """frames of the loopback test reach no backend; they came back, every one, or it is told"""
    test = {"kind": "selftest", "nic": "e1000", "mode": "offline", "rounds": 1, "failed": 0,
            "results": "", "ok": True, "error": ""}
    assert not stressing.complaints([test, stats(tx_frames=740, rx_frames=740)])
    one(stressing.complaints([test, stats(tx_frames=740, rx_frames=739)]), "received or dropped")
    assert len(stressing.complaints([stats(tx_frames=740, rx_frames=740)])) == 2


@case
def ends():
    """a guest that ended another way, left no statistics, or never got far"""
    one(stressing.complaints([stats("reset")]), "reset", "poweroff")
    assert not stressing.complaints([stats("reset")], "reset")
    one(stressing.complaints([step()]), "no statistics")
    one(stressing.complaints([step(), {"kind": "broken", "error": "status 4"}]), "status 4")


@case
def idle():
    """a thread of the VMM that works though nobody sends is told; the guest's own is not"""
    def window(io_ns):
        threads = [{"name": "io", "user_ns": 0, "system_ns": io_ns},
                   {"name": "vcpu0", "user_ns": 10**9, "system_ns": 0}]
        return {"kind": "idle", "window": {"ns": 10**10, "stats": {"threads": threads}}}

    assert not list(stressing.idle_complaints([window(10**7)]))
    one(stressing.idle_complaints([window(2 * 10**8)]), "io", "2.0 %")


@case
def once_more():
    """what a guest said before its second chance counts for nothing"""
    life = [step(ok=False, error="cut"), {"kind": "again", "error": "status 4"}, step(), stats()]
    assert not stressing.complaints(life)


@case
def combinations():
    """what tests/rungs prints becomes --net"""
    text = ("0\tup to qemu\tqemu\tqemu\n# 1 of all\n"
            "0x410\trandom\tkick+irq-page\tkick\n")
    assert stressing.parse_rungs(text) == [("up to qemu", "qemu", "qemu"),
                                           ("random", "kick+irq-page", "kick")]
    assert stressing.net("e1000", "kick+irq-page") == "e1000,ladder=qemu,kick=on,irq-page=on"
    assert stressing.net("virtio", "best") == "virtio,ladder=best"


@case
def crowds():
    """lines carry their guest's name; one that breaks in the lab is begun once more, and said"""
    lines = []
    plan = {"patience": 5, "batches": [{"jobs": 2, "guests": [
        {"name": "a", "arguments": []}, {"name": "b", "arguments": []}]}]}
    with tempfile.TemporaryDirectory() as scratch:
        life = iter(["cut", None, None])

        class Fake(crowd.Crowd):
            """Guests that only say who they are; the first of all lives is cut short."""

            def life(self, guest, number):
                crowd.Relay(guest["name"], self.emit, None).show({"kind": "step"})
                return next(life)

        def run(lab):
            lines.clear()
            out = pathlib.Path(scratch, "out")
            with open(out, "w", encoding="utf-8") as file, \
                    unittest.mock.patch.dict(crowd.os.environ, DUET_LAB=lab):
                broken = Fake(plan, file, pathlib.Path(scratch)).run()
            lines.extend(json.loads(line) for line in out.read_text().splitlines())
            return broken

        assert run("1") == 0
        kinds = sorted((line["kind"], line.get("error")) for line in lines)
        assert kinds == [("again", "cut"), ("booted", None), ("booted", None), ("step", None),
                         ("step", None), ("step", None)], kinds
        assert {line["guest"] for line in lines} == {"a", "b"}
        life = iter(["cut", None])
        assert run("") == 1
        assert [line["error"] for line in lines if line["kind"] == "broken"] == ["cut"]


@case
def turns():
    """one guest of a crowd boots at a time, until it says something or breaks; all run together"""
    with tempfile.TemporaryDirectory() as scratch:
        everybody = crowd.Crowd({"patience": 5, "batches": [{"jobs": 3, "guests": [
            {"name": name, "arguments": []} for name in "abc"]}]}, io.StringIO(), pathlib.Path(scratch))
        together = threading.Barrier(2, timeout=20)
        booting = []

        def follow(command, lines, log, relay, patience):
            booting.append(relay.name)
            relay.show({"kind": "host"})
            assert booting == [relay.name] and everybody.turn.locked(), booting
            booting.remove(relay.name)
            if relay.name == "b":
                raise crowd.Fail("broken")
            relay.show({"kind": "begin"})
            together.wait()

        with unittest.mock.patch.object(crowd.duetlib, "follow", follow), \
                unittest.mock.patch.dict(crowd.os.environ, DUET_LAB=""):
            assert everybody.run() == 1
        assert not everybody.turn.locked()


def stress_args(**more):
    """Options of tools/stress."""
    return types.SimpleNamespace(**{
        "rounds": 8, "traffic": "1k,2,3", "stall": 2000, "rungs": "qemu,best", "sets": ["selftest"],
        "steps": ["link"], "ladders": ["ram"], "guest": "generic", "memory": "512M", "cpus": 1,
        "jobs": 3, **more})


LISTED = [("up to qemu", "qemu", "qemu"), ("up to kick", "kick", "kick"),
          ("up to best", "best", "best"), ("random", "kick", "worker")]


@case
def plans():
    """each set has its guests, and both labs get the same: a script and NICs each"""
    with unittest.mock.patch.object(stress, "rungs", lambda args: LISTED):
        sets = stress.guests_of(stress_args(sets=list(stress.SETS)))
        names = {name: [guest["name"] for guest in guests] for name, guests in sets.items()}
        assert names == {"drivers": ["drivers ram"], "reboot": ["reboot ram"],
                         "selftest": ["selftest qemu", "selftest best"],
                         "random": ["random 1 to 1"]}, names
        best = sets["selftest"][1]
        words = stress.for_counted(best)["words"].split(" ")
        assert words[:2] == ["duet.mode=run", "duet.marks=1"] and base64.b64decode(
            words[2].removeprefix("duet.cmd=")).decode() == \
            "exec stress -n 4 -t 2000 -b 1k -d 2 -p 3 selftest", words
        here = stress.for_crowd(stress_args(), best)["arguments"]
        assert here[0] == "run" and here[here.index("--set") + 1] == best["sets"][0], here
        assert [here[n + 1] for n, word in enumerate(here) if word == "-n"] == best["nets"] == \
            ["e1000,ladder=best", "virtio"], here
        plan = stress.plan(stress_args(sets=["drivers", "selftest"]))
        assert [batch["jobs"] for batch in plan["batches"]] == [1, 3], plan
        try:
            stress.guests_of(stress_args(rungs="kick,none"))
            raise AssertionError("rung none was taken")
        except duetlib.Fail as why:
            assert "none" in str(why) and "qemu,kick,best" in str(why), why


@case
def places():
    """hardware where there is some, else the counted lab for small guests; what was asked for first"""
    for found, asked, small, where in (("kvm", None, True, "kvm"), ("lab", None, True, "counted"),
                                       ("lab", None, False, "lab"), ("kvm", "lab", True, "lab"),
                                       ("kvm", "counted", True, "counted")):
        with unittest.mock.patch.object(duetlib, "choose_place", lambda found=found: found):
            assert stress.place(stress_args(where=asked, small=small)) == where, (found, asked)


@case
def counted_guests():
    """the counted lab's guests: marks become windows; one that ends early is broken, and said"""
    guest = {"name": "selftest qemu", "nets": [], "words": ""}
    line = '{"kind":"rounds","done":5}\n'
    for end, status, kinds in (('{"kind":"end","ok":true}', 0, ["rounds"]),
                               ('{"kind":"end","ok":false}', 1, ["rounds"]),
                               ('{"kind":"end","ok":true}', 4, ["rounds", "broken"]),
                               ("", 0, ["rounds", "broken"])):
        with tempfile.TemporaryDirectory() as scratch, \
                unittest.mock.patch.object(stress_counted.duetlib, "log_dir",
                                           lambda: pathlib.Path(scratch)), \
                unittest.mock.patch.object(
                    stress_counted.counted, "lab_command",
                    lambda *_: ["sh", "-c", f"echo '{line}{end}'; exit {status}"]):
            out = pathlib.Path(scratch, "out")
            events = stress_counted.boot_all([guest], out, stress.Progress(quiet=True), 60)
            assert [event["kind"] for event in events] == kinds, (end, status, events)
            assert all(event["guest"] == "selftest qemu" for event in events), events
            assert [json.loads(text) for text in out.read_text().splitlines()] == events
    crowd_of_two = stress_counted.Guests(io.StringIO(), stress.Progress(quiet=True), 60)
    for name, at in (("a", 1), ("b", 5)):
        crowd_of_two.emit(step(guest=name, marks=[7, 8], window=None))
        for mark in (7, 8):
            crowd_of_two.emit({"kind": "mark", "guest": name, "mark": mark, "ns": at * mark,
                               "stats": {}})
    for name, ns in (("a", 1), ("b", 5)):
        only, = crowd_of_two.windowed({"name": name})
        assert only["window"]["ns"] == ns, only


@case
def shapes():
    """tools/guests: the default first, each shape once, and no e1000 for a kernel without one"""
    wanted = guests.shapes(list(guests.AXES))
    names = [name for name, _ in wanted]
    assert wanted[0][1] == guests.DEFAULT and len(set(names)) == len(names)
    for flavour, nets in (("cloud", ["virtio"]), ("rt", ["e1000", "virtio"])):
        words = guests.arguments({**guests.DEFAULT, "guest": flavour}, 240)
        assert [words[n + 1] for n, word in enumerate(words) if word == "-n"] == nets
    names = [name for name, _ in guests.crowd(16)]
    assert len(set(names)) == 16


@case
def rows():
    """tools/guests: a guest that works says so, one that broke says why"""
    good = [{"kind": "guest", "release": "6.1", "cpus": 1, "memory_kb": 65536},
            {"kind": "test", "ok": True, "nic": "e1000", "test": "tcp_in"},
            {"kind": "booted", "seconds": 9.6}, stats()]
    assert guests.row(guests.DEFAULT, good)[-6:] == ["6.1", 1, 64, "1 of 1", "10", "works"]
    bad = [{"kind": "broken", "error": "status 4\nand its console"}]
    assert guests.row(guests.DEFAULT, bad)[-3:] == ["0 of 0", "-", "status 4"]
    small = {**guests.DEFAULT, "refused": True}
    needs = [{"kind": "broken", "error": "status 2\nduet: k: needs 74 MiB of RAM to start"}]
    assert guests.row(small, needs)[-1] == "refused: needs 74 MiB of RAM to start"
    for events in (good, bad):
        assert guests.row(small, events)[-1] == "was to be refused, and was not"


# guest/stress without its last part, where it begins to work.
LIBRARY = (ROOT / "guest" / "stress").read_text().split("\nwhile getopts")[0]


def sh(script):
    """What guest/stress's functions print, by busybox's shell."""
    done = subprocess.run(["busybox", "sh", "-c", LIBRARY + "\n" + script], capture_output=True,
                          text=True, check=False)
    assert not done.stderr, done.stderr
    return done.stdout.strip()


@case
def guest_sums():
    """guest/stress adds up what the agent said of a step's traffic"""
    passes = [{"kind": "test", "test": "udp_in", "sent": 60, "lost": 2, "bad_bytes": 0, "bad_frames": 0, "duplicate": 0,
               "checksum_errors": 0},
              {"kind": "test", "test": "tcp_in", "lost": 170436, "bad_bytes": 0, "bad_frames": 0},
              {"kind": "test", "test": "udp_out", "sent": 50, "lost": 40, "bad_bytes": 3, "bad_frames": 1, "duplicate": 5,
               "checksum_errors": 7},
              {"kind": "error", "workload": "check_tcp_in", "error": "recv: no progress"},
              {"kind": "error", "workload": "check_udp_in", "error": "socket: Network unreachable"},
              {"kind": "end", "errors": 1}]
    with tempfile.TemporaryDirectory() as scratch:
        path = pathlib.Path(scratch, "lines")
        path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in passes))
        assert sh(f"tally {path}") == "3 3 42 16"
        assert sh(f"tally {path} 'Network unreachable'") == "3 2 42 16"
        assert sh(f"losses {path}") == "udp_in 2 of 60 udp_out 40 of 50"
        assert sh(f"first_error {path}") == "check_tcp_in: recv: no progress"


@case
def guest_excuses():
    """guest/stress forgives only the NIC that was disturbed, and only what the step costs"""
    for words, cost in (("link e1000 e1000", "datagrams"), ("link virtio-net e1000", "nothing"),
                        ("rebind e1000 e1000", "sessions"), ("rebind e1000.3 e1000", "nothing"),
                        ("modules e1000.3 e1000", "sessions"),
                        ("modules virtio-net e1000", "nothing"), ("vlan e1000 e1000", "nothing")):
        assert sh(f"excused {words}") == cost, words


@case
def guest_patience():
    """guest/stress takes a late answer only from a driver whose count of timeouts has grown"""
    stubs = """
        flows() { :; }; emit() { :; }; do_link() { :; }; ROUNDS=2 STALL=5000
        timeouts() { cat $WORK/timeouts; }
        answers() { [ "${2:-}" = 8000 ] || return 1; echo "$after" >$WORK/timeouts; echo 700; }
        """
    with tempfile.TemporaryDirectory() as scratch:
        for after, said in ((1, "no answer within 5000 ms"), (0, "no answer within 5000 ms")):
            pathlib.Path(scratch, "timeouts").write_text("0\n")
            text = sh(f"WORK={scratch}; after={after}\n{stubs}\n"
                      "disturb link e1000; echo $rounds $slowest $error")
            # The second round's count does not grow any more.
            assert text == (f"2 5700 round 1: {said}" if after else f"1 0 round 0: {said}"), text


@case
def guest_selftest():
    """guest/stress believes ethtool -t: a register that does not keep its value is a failure"""
    stubs = """
        start_others() { :; }; stop_traffic() { :; }; answers() { :; }; judge() { failed=0; }
        interface() { echo eth0; }; OUT=/dev/stdout
        ethtool() { echo "The test result is $verdict"; echo "Register test  (offline)\t $value"; }
        """
    with tempfile.TemporaryDirectory() as scratch:
        for verdict, value, rounds in (("PASS", 0, 0), ("FAIL", 40, 3)):
            text = sh(f"WORK={scratch}; verdict={verdict} value={value}\n{stubs}\n"
                      "selftest_mode e1000 offline 3; echo $errors")
            line, errors = text.splitlines()
            line = json.loads(line)
            assert line["failed"] == rounds and line["ok"] == (rounds == 0), line
            assert line["results"] == f"Register test  (offline) {value}", line
            assert int(errors) == (rounds > 0)


if __name__ == "__main__":
    sys.exit(cases.main(__doc__))

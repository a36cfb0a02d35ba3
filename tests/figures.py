#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Medians, ratios and tables with known answers: tools/figures.py, tools/peers, tools/boots,
tools/bench-boot.

usage: tests/figures.py [NAME...]

Starts no guest. Exit status 0: no failure.
"""
import contextlib
import io
import json
import os
import pathlib
import pty
import shutil
import stat
import subprocess
import sys
import tempfile
import types
import unittest.mock

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
sys.dont_write_bytecode = True
import cases  # noqa: E402
import duetlib  # noqa: E402
import figures  # noqa: E402
from cases import case, tool  # noqa: E402

peers, boots, bench_boot = tool("peers"), tool("boots"), tool("bench-boot")
NET = ["e1000", "virtio"]


def runs(**values):
    """Runs of TCP out: contender -> its values in rounds 1, 2... (None: that run failed)."""
    return [{"kind": "run", "nic": name.replace("_", " "), "workload": "tcp_out",
             "unit": "Mbit/s", "round": number, "value": value}
            for name, each in values.items() for number, value in enumerate(each, 1)
            if value is not None]


def result_of(events, **options):
    """What tools/peers makes of them."""
    args = types.SimpleNamespace(**{"rounds": 3, "time": 1000, "warmup": 300, "memory": "512M",
                                    "cpus": 1, "net": NET, "processors": 1, **options})
    return peers.collect(args, "lab", events, options.get("load", 0.0))


def line_of(text, start):
    """The table's line that begins with START."""
    found = [line for line in text.splitlines() if line.startswith(start + "  ")]
    assert len(found) == 1, f"{len(found)} lines begin with {start!r}:\n{text}"
    return found[0][len(start):].split()


@case
def ratio_of_each_round():
    """a ratio is taken round by round, then the median: drift cancels"""
    found = figures.ratio({1: 10, 2: 40, 3: 90}, {1: 20, 2: 40, 3: 30})
    assert found == {"median": 1.0, "min": 0.5, "max": 3.0, "n": 3}, found


@case
def ratio_of_common_rounds():
    """a round that one side lacks, or where it is 0, has no ratio"""
    found = figures.ratio({1: 10, 2: 40, 4: 8}, {1: 20, 3: 40, 4: 0})
    assert found == {"median": 0.5, "min": 0.5, "max": 0.5, "n": 1}, found
    assert figures.ratio({1: 10}, {2: 10}) is None
    assert figures.ratio({}, {}) is None


@case
def summary_known():
    """summarise(): median, bounds, n and ratios of known runs"""
    row, = figures.summarise(runs(A=[1, 2, 4], B=[2, 2, 2]), ["A", "B"], {"A : B": ("A", "B")})
    assert row["nics"]["A"] == {"median": 2, "min": 1, "max": 4}, row
    assert row["n"] == 3 and row["unit"] == "Mbit/s", row
    assert row["ratios"]["A : B"] == {"median": 1.0, "min": 0.5, "max": 2.0, "n": 3}, row


@case
def summary_without():
    """summarise(): a contender without runs has no figures, and its ratios are None"""
    row, = figures.summarise(runs(A=[1, 2, 4]), ["A", "B"], {"A : B": ("A", "B")})
    assert "B" not in row["nics"] and row["ratios"]["A : B"] is None and row["n"] == 0, row
    assert figures.cell(row, "B") == ("failed", "")
    assert figures.ratio_cell(None) == ("-", "-")


@case
def cells():
    """cells: four digits, half the range relative to the median"""
    assert [figures.figure(value) for value in (12345.6, 999.96, 99.994, 1.23456)] == \
        ["12,346", "1,000.0", "99.99", "1.235"]
    assert figures.cell({"nics": {"A": {"median": 100, "min": 90, "max": 120}}}, "A") == \
        ("100.0", "±15%")
    assert figures.cell({"nics": {"A": {"median": 0, "min": 0, "max": 0}}}, "A")[1] == "±0%"


@case
def peers_table():
    """peers: every contender's median and the four ratios, in their lines"""
    text = figures.table(result_of(runs(duet_e1000=[50, 60, 70], duet_virtio=[100, 100, 100],
                                      QEMU_e1000=[10, 10, 10], QEMU_virtio=[40, 50, 50],
                                      QEMU_vhost=[200, 200, 200])))
    assert line_of(text, "duet e1000") == ["60.00", "±17%", "3"], text
    assert line_of(text, "QEMU vhost") == ["200.0", "±0%", "3"], text
    assert line_of(text, "duet e1000 : duet virtio") == ["0.60", "0.50–0.70", "3"], text
    assert line_of(text, "QEMU e1000 : QEMU virtio") == ["0.20", "0.20–0.25", "3"], text
    assert line_of(text, "duet e1000 : QEMU e1000") == ["6.00", "5.00–7.00", "3"], text
    assert line_of(text, "duet virtio : QEMU virtio") == ["2.00", "2.00–2.50", "3"], text


@case
def peers_in_the_counted_lab():
    """peers --counted: fixed amounts in the heading, no word about a busy machine, VMMs by name"""
    guest = {"kind": "guest", "release": "6.1", "cpus": 1, "clocksource": "tsc"}
    args = types.SimpleNamespace(rounds=2, cpus=1, net=NET, processors=1)
    found = peers.collect(args, "counted", [guest, *runs(duet_e1000=[50], duet_virtio=[100])], 99.0)
    assert found["options"]["amounts"] == peers.AMOUNTS and "time_ms" not in found["options"]
    assert "2 rounds of fixed amounts, a boot of each VMM, NICs" in peers.heading(found)
    assert "counted lab" in peers.heading(found)
    assert not peers.remarks(found)


@case
def peers_without_vhost():
    """peers: a contender that is not to be had is skipped in the table, with its reason below"""
    result = result_of(runs(duet_e1000=[50], duet_virtio=[100], QEMU_e1000=[10],
                            QEMU_virtio=[40]) +
                       [{"kind": "skipped", "nic": "QEMU vhost", "reason": "no node"}])
    assert line_of(figures.table(result), "QEMU vhost") == ["skipped", "0"]
    assert "skipped: QEMU vhost: no node" in peers.remarks(result)


@case
def peers_rough():
    """peers: a machine that others kept busy is said to be so, a quiet one is not"""
    some = runs(duet_e1000=[50], duet_virtio=[100])
    assert not peers.remarks(result_of(some, load=0.1))
    assert "rough: others" in peers.remarks(result_of(some, load=1000.0))[0]


@case
def peers_one_failed():
    """peers: a contender whose runs all failed is said so, its ratios are dashes, others stay"""
    result = result_of(runs(duet_e1000=[50, 50], duet_virtio=[100, None], QEMU_e1000=[10, 10],
                            QEMU_vhost=[1, 1]) +
                       [{"kind": "error", "nic": "QEMU virtio", "workload": "tcp_out",
                         "round": 1, "error": "stuck"}])
    text = figures.table(result)
    assert line_of(text, "QEMU virtio") == ["failed", "0"], text
    assert line_of(text, "QEMU e1000 : QEMU virtio") == ["-", "-", "0"], text
    assert line_of(text, "duet e1000 : duet virtio") == ["0.50", "0.50–0.50", "1"], text
    assert line_of(text, "duet e1000 : QEMU e1000")[-1] == "2", text
    assert "failed: QEMU virtio tcp_out round 1: stuck" in peers.remarks(result)


@case
def peers_order():
    """peers: VMMs swap each round, NICs change slots, everyone takes part each round"""
    planned = peers.boots(NET, 1, 3)
    assert [(boot["round"], boot["vmm"]) for boot in planned] == \
        [(1, "duet"), (1, "qemu"), (2, "qemu"), (2, "duet"), (3, "duet"), (3, "qemu")]
    assert [[nic["model"] for nic in boot["nics"]] for boot in planned if boot["vmm"] == "qemu"] \
        == [["e1000", "virtio", "vhost"], ["virtio", "vhost", "e1000"],
            ["vhost", "e1000", "virtio"]]


@case
def peers_variants():
    """peers: a variant of duet's e1000 gets its own line and ratios"""
    with_vhost = peers.pairs(["virtio,vhost=on", "e1000", "virtio"])
    assert list(with_vhost) == [
        "duet e1000 : duet virtio", "duet virtio,vhost=on : duet virtio", "QEMU e1000 : QEMU virtio",
        "duet e1000 : QEMU e1000", "duet virtio : QEMU virtio",
        "duet virtio,vhost=on : QEMU vhost"], with_vhost
    labels = peers.pairs(["e1000", "e1000,x=1", "virtio"])
    assert ("duet e1000,x=1", "duet virtio") in labels.values(), labels
    assert ("duet e1000,x=1", "QEMU e1000") in labels.values(), labels
    assert len(labels) == 6, labels


@case
def peers_void():
    """peers: runs of a boot that was started again do not count, those of the second try do"""
    def boot(vmm, value, end):
        which = {"round": 1, "vmm": vmm}
        return [{"kind": "boot", **which},
                {"kind": "run", "nic": "N", "value": value, **which},
                {"kind": end, "runs": 1, "error": "froze", **which}]

    events = boot("duet", 1, "again") + boot("duet", 2, "booted") + boot("qemu", 3, "broken")
    kept = peers.valid(events)
    assert [event["value"] for event in kept if event["kind"] == "run"] == [2], kept
    bad = [event["kind"] for event in kept if event["kind"] in ("again", "broken")]
    assert bad == ["again", "broken"], kept
    assert peers.complete(events, 1) and not peers.complete(events[:6], 1)


@case
def guest_names():
    """boots: NICs are called what guest/init calls them"""
    assert boots.guest_names(["e1000", "virtio"]) == ["e1000", "virtio-net"]
    assert boots.guest_names(["vhost", "e1000,x=1", "virtio"]) == \
        ["virtio-net", "e1000", "virtio-net.3"]
    assert boots.guest_names(["e1000", "e1000,x=1"]) == ["e1000", "e1000.2"]


@case
def relay():
    """boots: a line gets its boot's round and VMM, a run its contender's name"""
    said = []
    which = {"round": 2, "vmm": "qemu"}
    one = boots.Relay({**which, "nics": [{"model": "virtio", "name": "QEMU virtio"},
                                         {"model": "vhost", "name": "QEMU vhost"}]}, said.append)
    for event in ({"kind": "plan"}, {"kind": "run", "nic": "virtio-net.2", "round": 1},
                  {"kind": "nic", "nic": "eth0"}, {"kind": "end"}):
        one.show(event)
    assert said == [{"kind": "run", "nic": "QEMU vhost", **which},
                    {"kind": "nic", "nic": "eth0", **which}], said
    assert one.runs == 1


@case
def vhost_absent():
    """boots: without vhost its NIC leaves every boot, which is said once"""
    said = []
    planned = boots.usable(peers.boots(NET, 1, 3), "no node", said.append)
    assert said == [{"kind": "skipped", "nic": "QEMU vhost", "reason": "no node"}], said
    assert all(nic["model"] != "vhost" for boot in planned for nic in boot["nics"])
    assert len(boots.usable(peers.boots(NET, 1, 3), None, said.append)) == 6 and len(said) == 1


def boot_all(in_lab, *outcomes):
    """What tools/boots says when its boots end so (None: well), one after another."""
    said, left = [], list(outcomes)
    with unittest.mock.patch.dict(os.environ, {"DUET_LAB": "1"} if in_lab else {}), \
            unittest.mock.patch.object(boots, "boot_once", lambda *_: (left.pop(0), 3)):
        if not in_lab:
            os.environ.pop("DUET_LAB", None)
        broken = boots.boot_all({"boots": peers.boots(NET, 1, 1)}, said.append)
    assert not left, left
    return broken, [event["kind"] for event in said]


@case
def second_try():
    """boots: in the lab a boot that froze is started once more, not twice; elsewhere never"""
    assert boot_all(True, None, None) == (0, ["boot", "booted"] * 2)
    assert boot_all(True, "froze", None, None) == (0, ["boot", "again"] + ["boot", "booted"] * 2)
    assert boot_all(True, "froze", "froze", None) == \
        (1, ["boot", "again", "boot", "broken", "boot", "booted"])
    assert boot_all(False, "died", None) == (1, ["boot", "broken", "boot", "booted"])


def sessions(where, *outcomes):
    """What tools/peers collects when its places end so: (events, why it broke down)."""
    left, firsts = list(outcomes), []

    def session(_args, _where, first, _progress):
        firsts.append(first)
        return left.pop(0)

    with unittest.mock.patch.object(peers, "session", session):
        events = peers.sessions(types.SimpleNamespace(rounds=3), where, duetlib.Progress(True))
    return firsts, events


def rounds(*numbers):
    """Events of these rounds, complete."""
    return [{"kind": kind, "round": number, "vmm": vmm} for number in numbers
            for vmm in ("duet", "qemu") for kind in ("boot", "booted")]


@case
def second_lab():
    """peers: a lab that broke down is started once more, from the round it was in"""
    assert sessions("lab", (rounds(1, 2, 3), None)) == ([1], rounds(1, 2, 3))
    half = rounds(1) + rounds(2)[:2]
    firsts, events = sessions("lab", (half, "the lab froze"), (rounds(2, 3), None))
    assert firsts == [1, 2], firsts
    assert [event for event in events if event["kind"] != "again"] == rounds(1, 2, 3), events
    assert sum(event["kind"] == "again" for event in events) == 1
    assert sessions("lab", (rounds(1, 2, 3), "it did not power off"))[0] == [1]
    for where, outcomes in (("lab", [([], "froze"), ([], "froze")]), ("kvm", [([], "died")])):
        try:
            sessions(where, *outcomes)
        except duetlib.Fail:
            continue
        raise AssertionError(f"{where}: {outcomes} ended well")


def machine(nics, **more):
    """A guest with these NICs."""
    path = pathlib.Path("x")
    return duetlib.Machine(kernel=path, initrd=path, memory="1G", cpus=1, append="", nics=nics,
                           taps=["tap1", "tap2", "tap3"][:len(nics)], serial2=path, stats=path,
                           **more)


@case
def commands():
    """QEMU gets vhost for the NIC that asks for it only; duet a trace only if asked"""
    command = [str(word) for word in duetlib.qemu_command(machine(["e1000", "virtio", "vhost"]))]
    assert [word.rpartition("vhost=")[2] for word in command if "vhost=" in word] == \
        ["off", "off", "on"], command
    assert sum("virtio-net-pci" in word for word in command) == 2, command
    assert "--trace-file" not in duetlib.duet_command(machine(["e1000"]))
    assert "--trace-file" in duetlib.duet_command(machine(["e1000"], trace=pathlib.Path("t")))
    for bad in (machine(["e1000,x=1"]), machine(["e1000"], trace=pathlib.Path("t"))):
        try:
            duetlib.qemu_command(bad)
        except duetlib.Fail:
            continue
        raise AssertionError(f"QEMU took {bad}")


@case
def no_qemu():
    """peers: without QEMU it is skipped, says why, and is no failure"""
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run([sys.executable, ROOT / "tools" / "peers"], capture_output=True,
                              text=True, check=False, stdin=subprocess.DEVNULL,
                              env={**os.environ, "PATH": empty})
    assert done.returncode == 0, done
    assert "skipped: qemu-system-x86_64 is not there" in done.stdout, done


@case
def bad_words():
    """peers: what cannot be is refused with status 2"""
    for words, said in ((["--workloads", "tcp_sideways"], "tcp_sideways"),
                        (["--rounds", "0"], "one round"),
                        (["-n", "e1000", "-n", "e1000"], "once")):
        done = subprocess.run([sys.executable, ROOT / "tools" / "peers", *words], check=False,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 2 and said in done.stderr, done


def followed(script, *args):
    """What follow() makes of a shell script, whose $1 is where its lines go: events, or why not."""
    with tempfile.TemporaryDirectory() as scratch:
        path = pathlib.Path(scratch)
        command = ["sh", "-c", script, "sh", path / "out"]
        try:
            return duetlib.follow(command, path / "out", path / "log", duetlib.Progress(True), *args)
        except duetlib.Fail as why:
            return str(why)


def boot_events(**values):
    """What boot-watch says: contender -> ms until process 1 in rounds 0, 1..., or None: no good."""
    events = [{"kind": "host", "release": "6.1", "cpus": 1, "probe": {"flavour": "SVM"}}]
    for name, each in values.items():
        for number, value in enumerate(each):
            which = {"workload": "init", "nic": name.replace("_", " "), "round": number}
            events.append({"kind": "error", **which, "error": "stuck"} if value is None else
                          {"kind": "run", **which, "unit": "ms", "value": value, "end_ms": 10,
                           "own_kb": 2048, "ram_kb": 9999})
    return events


def boot_result(events, names, skipped):
    """What tools/bench-boot makes of them."""
    args = types.SimpleNamespace(rounds=2, memory="256M", guest="generic", load=0.0)
    return bench_boot.collect(args, "counted", events, names, skipped)


@case
def bench_boot_table():
    """bench-boot: medians, own memory and ratios; the warming round is in none; targets"""
    names = ["duet warm", "QEMU microvm"]
    result = boot_result(boot_events(duet_warm=[9999, 100, 120], QEMU_microvm=[9999, 200, 100]),
                         names, {"kvmtool": "no such program"})
    text = figures.table(result)
    assert line_of(text, "duet warm") == ["110.0", "±9%", "10.00", "±0%", "2.000", "±0%", "2"], text
    assert line_of(text, "duet warm : QEMU microvm")[:2] == ["0.85", "0.50–1.20"], text
    assert line_of(text, "kvmtool")[0] == "skipped", text
    assert bench_boot.verdicts(result) == \
        ["target: duet warm : QEMU microvm at most 1: 0.85, met"], bench_boot.verdicts(result)
    assert bench_boot.remarks(result) == ["skipped: kvmtool: no such program"]
    slow = boot_result(boot_events(duet_warm=[1, 300], QEMU_microvm=[1, 200]), names, {})
    assert bench_boot.verdicts(slow)[0].endswith("1.50, missed")


@case
def bench_boot_failures():
    """bench-boot: a boot whose second try was good is no failure; one without is, and is said"""
    names = ["duet warm", "QEMU microvm"]
    events = boot_events(duet_warm=[1, None], QEMU_microvm=[1, None])
    events += boot_events(duet_warm=[1, 100])
    result = boot_result(events, names, {})
    assert [event["nic"] for event in result["again"]] == ["duet warm"], result["again"]
    assert [event["nic"] for event in result["errors"]] == ["QEMU microvm"], result["errors"]
    assert not bench_boot.verdicts(result)
    assert "failed: QEMU microvm, round 1: stuck" in bench_boot.remarks(result)


@case
def bench_boot_order():
    """bench-boot: everyone once a round, in turns that go round; only caches are warmed"""
    names = ["duet warm", "duet cold", "QEMU microvm"]
    planned = bench_boot.boots("kvm", names, 2)
    assert [name for number, name in planned if number == 0] == names, planned
    assert [name for number, name in planned if number == 2] == names[1:] + names[:1], planned
    assert bench_boot.boots("counted", names, 1)[:2] == [(0, "duet warm"), (1, "duet warm")]


@case
def bench_boot_job():
    """bench-boot: the job, run with a VMM of straw: the caches, a second try in the lab only"""
    with tempfile.TemporaryDirectory() as scratch:
        duet, watch = pathlib.Path(scratch, "duet"), pathlib.Path(scratch, "watch")
        duet.write_text("#!/bin/sh\necho '{\"flavour\":'; echo '\"SVM\"}'\n")
        watch.write_text("#!/bin/sh\n"   # a cache is empty, or has what was left in it
                         "had=$(ls $XDG_CACHE_HOME); touch $XDG_CACHE_HOME/x; [ \"$had\" ] && w=run\n"
                         "echo '{\"kind\":\"'${w:=error}'\",\"nic\":\"'$1'\",\"round\":'$2'}'\n"
                         "[ $w = run ]\n")
        for file in (duet, watch):
            file.chmod(0o755)
        at = {"duet": duet, "watch": watch, "scratch": scratch, "kib": 1 << 18, "initrd": "i",
              "vmlinuz": "z"}
        for where, tries in (("kvm", ["error", "error"]), ("lab", ["error", "error", "error", "run"])):
            text = bench_boot.job(where, at, [], [(1, "duet cold"), (1, "duet warm")])
            done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True)
            events = [json.loads(line) for line in done.stdout.splitlines()]
            assert events[0]["probe"] == {"flavour": "SVM"}, events
            assert [event["kind"] for event in events[1:-1]] == tries, (where, events)
            assert events[-1] == {"kind": "end", "ok": True}, events
            shutil.rmtree(f"{scratch}/warm")


@case
def bench_boot_without():
    """bench-boot: what is not installed is left out, with the reason; what cannot be is refused"""
    with unittest.mock.patch.dict(os.environ, {"PATH": "/nonexistent"}):
        found, why = bench_boot.programs()
    assert list(found) == ["duet"] and "apt-get" in why["qemu"] and "Debian 12" in why["kvmtool"]
    assert bench_boot.pairs(["duet warm"]) == {}
    for words, said in ((["--rounds", "0"], "one round"), (["-m", "4G"], "64M to 2G"),
                        (["-m", "lots"], "lots"), (["--lab", "--kvm"], "not allowed")):
        done = subprocess.run([sys.executable, ROOT / "tools" / "bench-boot", *words], check=False,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 2 and said in done.stderr, done


@case
def silence():
    """follow(): a command that says nothing is ended after its patience, and it is said"""
    said = followed("echo hello; exec sleep 60", 0.2)
    assert "nothing was heard" in said and "hello" in said, said


@case
def progress_of_nothing():
    """a terminal shows each further second without news, behind the bar if there is one; a file none"""
    said = io.StringIO()
    said.isatty = lambda: True
    with unittest.mock.patch.object(sys, "stderr", said), \
            unittest.mock.patch.object(duetlib.time, "monotonic") as clock:
        clock.return_value = 100.0
        progress = duetlib.Progress()
        for now in (101.9, 102.0, 102.5, 103.0):
            clock.return_value = now
            progress.tick()
        assert said.getvalue() == "\r\033[Kwaiting, 2 s\r\033[Kwaiting, 3 s", said.getvalue()
        progress.total = 4
        progress.step("one")
        clock.return_value = 104.0
        progress.tick()
        assert said.getvalue().endswith("  one"), "news make it begin anew"
        clock.return_value = 110.0
        progress.tick()
        assert said.getvalue().endswith("  one, 7 s"), said.getvalue()
        before, said.isatty = said.getvalue(), lambda: False
        silent = duetlib.Progress()
        clock.return_value = 200.0
        silent.tick()
        assert said.getvalue() == before


@case
def progress_of_scripts():
    """lib.sh: on a terminal tick says what takes so long until tock, or the script's end; else nothing"""
    script = f'. {ROOT}/tools/lib.sh; tick working; while [ ! -e "$1" ]; do sleep 0.1; done; '
    with tempfile.TemporaryDirectory() as scratch:
        flag = pathlib.Path(scratch, "flag")
        for end, status in (("tock; exit 0", 0), ("die 7 broken", 7)):
            master, slave = pty.openpty()
            with subprocess.Popen(["bash", "-c", script + end, "bash", flag], stderr=slave,
                                  stdin=subprocess.DEVNULL) as child:
                os.close(slave)
                said = b""
                while b"bash: working, " not in said:
                    said += os.read(master, 4096)
                flag.touch()
                with contextlib.suppress(OSError):   # EIO: nobody has the terminal any more
                    while data := os.read(master, 4096):
                        said += data
            os.close(master)
            assert child.returncode == status, (end, child.returncode)
            assert said.endswith(b"\r\033[K" if not status else b"\r\033[Kbash: broken\r\n"), said
            flag.unlink()
        flag.touch()
        done = subprocess.run(["bash", "-c", script, "bash", flag], capture_output=True, check=True)
        assert not done.stderr, done


@case
def died_late():
    """follow(): a command that dies after its last line did not end well; one that says so itself did"""
    def script(well, status):
        return (f"""echo '{{"kind":"end","errors":0,"ok":{well}}}' >$1; echo boom; exit {status}""")

    assert [event["kind"] for event in followed(script("true", 0))] == ["end"]
    assert [event["kind"] for event in followed(script("false", 1))] == ["end"]
    said = followed(script("true", 1))
    assert "status 1" in said and "boom" in said, said
    assert "status 3" in followed("exit 3")


if __name__ == "__main__":
    sys.exit(cases.main(__doc__))

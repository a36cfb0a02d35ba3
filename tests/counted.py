#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Do determinism and regress notice what they are for? Their judgement alone; no lab is run.

usage: tests/counted.py [NAME...]

Exit status: 0 passed, 1 failed.
"""
import contextlib
import copy
import io
import math
import pathlib
import subprocess
import sys
import tempfile
import types

TOOLS = pathlib.Path(__file__).resolve().parent.parent / "tools"
sys.path.insert(0, str(TOOLS))
import cases  # noqa: E402
import counted  # noqa: E402
from cases import case, tool  # noqa: E402


regress = tool("regress")


def figure(value, better="more"):
    """A figure as a baseline holds it; a cost is a count."""
    return {"value": value, "unit": "things", "better": better, "error": 0,
            **({"grain": 1} if better == "less" else {})}


BASE = {"rate": figure(1000.0), "exits": figure(5000, "less"), "drops": figure(0, "less"),
        "stops": figure(20, "less")}


def judged(**changes):
    """The verdict on BASE with some values changed."""
    now = copy.deepcopy(BASE)
    for name, value in changes.items():
        now[name]["value"] = value
    return regress.judge(BASE, now)[:2]


@case
def check_equal():
    """Nothing changed: nothing to say."""
    assert judged() == ([], [])


@case
def check_worse():
    """More than 1 % worse is named, either way round; 1 % is not."""
    assert judged(rate=980.0) == (["rate"], [])
    assert judged(exits=5100) == (["exits"], [])
    assert judged(rate=979.0, exits=5100) == (["rate", "exits"], [])
    assert judged(rate=990.0, exits=5050) == ([], [])


@case
def check_better():
    """More than 1 % better is named as that."""
    assert judged(rate=1020.0, exits=4900) == ([], ["rate", "exits"])


@case
def check_zero():
    """What was 0 and is not any more is infinitely worse; one of few is no news."""
    assert judged(drops=2) == (["drops"], [])
    assert judged(drops=1, stops=21) == ([], [])
    assert judged(stops=22) == (["stops"], [])
    assert regress.judge({"rate": figure(0)}, {"rate": figure(5)})[:2] == ([], ["rate"])


@case
def check_error():
    """A figure whose mean is not known to 1 % is judged by three of its standard errors."""
    wide = {"rate": {**figure(1000.0), "error": 0.05 / 3}}
    assert regress.judge(wide, {"rate": figure(960.0)})[0] == []
    assert regress.judge(wide, {"rate": figure(940.0)})[0] == ["rate"]
    assert regress.judge(wide, {"rate": figure(1040.0)})[1] == []


@case
def check_missing():
    """A figure that is gone fails; one that is new is said."""
    now = {name: value for name, value in BASE.items() if name != "rate"} | {"new": figure(1)}
    verdict = regress.judge(BASE, now)
    assert verdict == ([], [], ["rate"], ["new"])
    assert quietly(regress.say, verdict, BASE, now)[0] == 1


def quietly(function, *args):
    """(result, what it printed)"""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        return function(*args), said.getvalue()


@case
def check_words():
    """A failure names figure, baseline, now and percent; a gain asks for a new baseline."""
    now = copy.deepcopy(BASE)
    now["rate"]["value"] = 950.0
    status, said = quietly(regress.say, regress.judge(BASE, now), BASE, now)
    assert status == 1
    for word in ("WORSE", "rate", "1,000", "950", "-5.00%", "--renew"):
        assert word in said, said
    now["rate"]["value"] = 1100.0
    status, said = quietly(regress.say, regress.judge(BASE, now), BASE, now)
    assert status == 0 and "renew the baseline" in said and "+10.00%" in said, said


@case
def check_versions():
    """Another version of anything refuses: status 3, which one, and what to do."""
    ours = {"kernel": "6.1.1", "qemu": "7.2"}
    assert regress.other_versions(ours, dict(ours)) == []
    assert regress.other_versions(ours, {**ours, "qemu": "8.0"}) == [("qemu", "7.2", "8.0")]
    assert regress.other_versions(ours, {**ours, "libc": "2"}) == [("libc", "none", "2")]
    status, said = quietly(regress.refuse, [("qemu", "7.2", "8.0")])
    assert status == 3
    for word in ("qemu", "7.2", "8.0", "--renew"):
        assert word in said, said


@case
def check_differences():
    """The walk finds every change, at any depth, of type or of length, and its place."""
    tree = {"a": 1, "b": [{"ns": 5}, {"ns": 6}], "c": None}
    assert counted.differences(tree, copy.deepcopy(tree)) == []
    other = {"a": 1, "b": [{"ns": 5}, {"ns": 7}, 3], "d": "x"}
    assert counted.differences(tree, other) == [
        ("b[1].ns", 6, 7), ("b[2]", "absent", 3), ("c", None, "absent"), ("d", "absent", "x")]
    assert counted.differences(True, 1) == [("", True, 1)]


@case
def check_figures():
    """Rates are means of the rounds, costs come from the statistics by NIC."""
    nic = {"registers": [{"reads": 1, "writes": 2}], "irqs": 3, "tx_kicks": 4, "rx_kicks": 5,
           "ctrl_kicks": 0, "wakeups": 6, "bytes_copied": 7, "bytes_summed": 8, "tx_bytes": 900, "rx_bytes": 100,
           "backend_stats": {"tx_calls": 9, "rx_calls": 10, "sw_segments": 0}}
    stats = {"nics": [nic], "vcpus": [{"exits": {"mmio": 11}}, {"exits": {}}],
             "threads": [{"name": "io", "user_ns": 1500000, "system_ns": 500000}]}
    runs = [{"kind": "run", "nic": "e1000", "workload": "tcp_rr", "unit": "trans/s", "value": rate}
            for rate in (10, 30, 20)]
    result = {"events": [*runs, {"kind": "stats", "stats": stats}]}
    found = counted.figures([result])
    values = {name: entry["value"] for name, entry in found.items()}
    assert values["e1000 tcp_rr rate"] == 20 and values["e1000 register accesses"] == 3, values
    assert values["e1000 doorbells"] == 9 and values["e1000 system calls"] == 19, values
    assert values["exits mmio"] == 11 and values["thread io"] == 2, values
    assert found["e1000 tcp_rr rate"]["better"] == "more"
    other = {"events": [{**runs[0], "value": 40}, {"kind": "stats", "stats": stats}]}
    assert found["exits mmio"]["error"] == 0 and found["exits mmio"]["grain"] == 1
    assert found["e1000 bytes copied"]["grain"] == 10, found
    both = counted.figures([result, other])
    assert both["e1000 tcp_rr rate"]["value"] == 25 and both["exits mmio"]["value"] == 11, both
    # Of 10, 30, 20, 40: the standard deviation is the root of 500 / 3.
    assert math.isclose(both["e1000 tcp_rr rate"]["error"], (500 / 3) ** 0.5 / 2 / 25), both
    assert "grain" not in both["e1000 tcp_rr rate"], both
    assert found["exits mmio"]["better"] == "less"


@case
def check_stages():
    """The watchdog knows which stage comes next: the NICs swap each round."""
    plan = counted.stages(2, ["tcp_rr"], ("e1000", "virtio,x=1"))
    assert plan == ["tcp_rr on e1000, round 1", "tcp_rr on virtio, round 1",
                    "tcp_rr on virtio, round 2", "tcp_rr on e1000, round 2"], plan


def follow(script, plan, patience=5):
    """A watchdog over a shell script instead of the lab: (events, what froze or None, status)."""
    with tempfile.NamedTemporaryFile() as log:
        dog = counted.Watchdog(["sh", "-c", script], plan, log.name, patience)
        seen = types.SimpleNamespace(events=[], frozen=None)
        try:
            for event in dog:
                seen.events.append(event["kind"])
        except counted.Frozen as why:
            seen.frozen = why.stage
        return seen.events, seen.frozen, dog.end()


@case
def check_watchdog():
    """A stage without progress is named and ended; one that goes on is left alone."""
    lines = "echo '{\"kind\":\"plan\"}'; echo '{\"kind\":\"run\"}'; "
    assert follow(lines + "exit 7", ["one", "two"]) == (["plan", "run"], None, 7)
    assert follow("exec sleep 60", ["one"], 0.2)[1] == "boot"
    assert follow(lines + "exec sleep 60", ["one", "two"], 0.5)[:2] == (["plan", "run"], "two")


# A tool with more to do than it does at once; each piece says so and takes a minute.
SLOW = """
import concurrent.futures, subprocess, sys
sys.path.insert(0, sys.argv[1])
import duetlib
def piece(number):
    print(number, flush=True)
    subprocess.run(duetlib.tied(["sleep", "60"]))
def run():
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(piece, range(9)))
duetlib.main(run)
"""


@case
def check_stop():
    """A tool that is told to stop ends what runs side by side, and begins nothing more."""
    with subprocess.Popen([sys.executable, "-c", SLOW, TOOLS], stdout=subprocess.PIPE,
                          text=True) as slow:
        said = [slow.stdout.readline(), slow.stdout.readline()]
        slow.terminate()
        rest = slow.communicate(timeout=30)[0]
    assert sorted(said) == ["0\n", "1\n"] and not rest and slow.returncode == 143, (rest, slow)


@case
def check_lab_usage():
    """tools/lab refuses what the two kinds of lab do not share, and says what."""
    def lab(*words):
        return subprocess.run([TOOLS / "lab", *words], stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, check=False)
    for words, status, said in ((("-p", "/bin/sh", "true"), 2, "--counted"),
                                (("--counted",), 2, "COMMAND"),
                                (("--counted", "-i", "true"), 2, "terminal"),
                                (("--counted", "-w", "/", "true"), 2, "shared"),
                                (("--counted", "-w", "/usr", "true"), 2, "no directory"),
                                (("--counted", "-p", "/no/such", "true"), 1, "/no/such")):
        done = lab(*words)
        assert done.returncode == status and said in done.stderr, (words, done)


@case
def check_packs():
    """What goes into a lab: an ELF file stripped, any other to the last byte as it is."""
    script = (f'. {TOOLS}/lib.sh; strip() {{ echo stripped >>"$2"; }}; '
              'for file; do stage_program "$stage" "$file" "/${file##*/}"; done')
    with tempfile.TemporaryDirectory() as scratch:
        here = pathlib.Path(scratch)
        kinds = {"elf": b"\x7fELF" + b"x" * 99, "image": b"MZ\0\0" + b"x" * 99, "short": b"x"}
        for name, data in kinds.items():
            (here / name).write_bytes(data)
        subprocess.run(["bash", "-euc", script, "bash", *(here / name for name in kinds)],
                       env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "stage": f"{here}/stage"},
                       check=True)
        for name, data in kinds.items():
            after = b"stripped\n" if name == "elf" else b""
            assert (here / "stage" / name).read_bytes() == data + after, name


if __name__ == "__main__":
    sys.exit(cases.main(__doc__))

# SPDX-License-Identifier: MIT
"""The small fixed-work form of the comparison in the counted lab (tools/lab --counted): what
tools/determinism and tools/regress have in common.

One guest boot holds both NICs and does fixed amounts of the five workloads, nothing by the clock.
A result is one object; nothing in it depends on the host or on the time of day:

    schema    1
    versions  what the figures hang on besides the source: kernel, qemu, compiler, libc
    options   rounds, amounts (per workload), net (a NIC each), phase
    events    the guest's JSON lines as they came (guest/agent.c), then duet's "stats"

Figures are made of results by figures(): {"e1000 tcp_out rate": {"value", "spread", "unit",
"better"}, ...}: value is the mean of the samples (a rate's rounds, all results), spread their range
relative to it.
"""
import json
import os
import pathlib
import queue
import statistics
import subprocess
import threading
import time

import duetlib
from duetlib import BUILD, GUEST, ROOT, Fail, of_kind

SCHEMA = 1
SMALL = {"tcp_out": "1M", "tcp_in": "1M", "tcp_rr": "200", "udp_out": "500", "udp_in": "500"}
NETS = ("e1000", "virtio")
STAGE_SECONDS = 300     # of this machine's time, for one run or the boot: the watchdog's patience
LAB_SECONDS = 3600      # for all of it
CPU_EXITS = ("mmio",)
MEMORY = "256M"         # of the guest: tools/counted-job
MARKS = ("--marks", "/tmp/marks")   # of duet's options: then the runs have windows,
IDLE_MS = 4000          # and before them comes this much time without traffic
# How events bunch up hangs on the instants at which they come: these move by some 2 % with any
# change whatever, which two phases need not show.
BUNCHING = {"interrupts", "doorbells", "wake-ups"}
BUNCHING_SPREAD = 0.03


# ---- versions ----

def package_version(name):
    """The installed version of a Debian package, or "unknown"."""
    return duetlib.first_line(["dpkg-query", "-W", "-f", "${Version}\n", name]) or "unknown"


def kernel_version(image):
    """The kernel's own banner: release, compiler, the distribution's revision."""
    done = subprocess.run(["grep", "-aoEm1", "Linux version [0-9][ -~]*", image], text=True,
                          capture_output=True, env={**os.environ, "LC_ALL": "C"}, check=False)
    return done.stdout.split("\n")[0].strip() or "unknown"


def versions():
    """What changes the figures though the source is the same."""
    return {
        "kernel": kernel_version(BUILD / "kernel" / "generic" / "vmlinux"),
        "qemu": package_version("qemu-system-x86"),
        "compiler": duetlib.first_line([os.environ.get("CC", "gcc"), "--version"]),
        "libc": package_version("libc6"), "musl": package_version("musl"),
        "busybox": package_version("busybox-static"),
    }


# ---- one run in the lab, stage by stage ----

def stages(rounds, amounts, nets):
    """The names of a run's stages, in the order in which the agent does them."""
    names = []
    for number in range(1, rounds + 1):
        order = nets if number % 2 else nets[::-1]
        names += [f"{workload} on {net.partition(',')[0]}, round {number}"
                  for workload in amounts for net in order]
    return names


class Watchdog:
    """Follows the lab's lines, and knows the stage it is in."""

    def __init__(self, command, plan, log, patience=STAGE_SECONDS):
        self.plan = list(plan)
        self.patience = patience
        self.stage = "boot"
        self.lines = queue.Queue()
        with open(log, "wb") as file:
            self.child = subprocess.Popen(duetlib.tied(command), stdin=subprocess.DEVNULL,
                                          stdout=subprocess.PIPE, stderr=file)
        threading.Thread(target=self.pump, daemon=True).start()

    def pump(self):
        """Every line as it comes, then None."""
        for line in self.child.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def advance(self, event):
        """What comes after this event?"""
        if event["kind"] in ("plan", "run", "error"):
            self.stage = self.plan.pop(0) if self.plan else "shutdown"

    def __iter__(self):
        while True:
            try:
                line = self.lines.get(timeout=self.patience)
            except queue.Empty:
                raise Frozen(self.stage, self.patience) from None
            if line is None:
                return
            event = duetlib.Events.parse(line.strip())
            if event:
                self.advance(event)
                yield event

    def end(self):
        """The lab's exit status; ends it if it has not ended."""
        duetlib.end_process(self.child, 15)
        return self.child.returncode


class Frozen(Exception):
    """A stage made no progress."""

    def __init__(self, stage, patience):
        super().__init__(f"no progress for {patience} s in this stage: {stage}")
        self.stage = stage


def lab_command(words, nets, more):
    """tools/lab with everything the guest and its VMM are made of."""
    command = [ROOT / "tools" / "lab", "--counted", "-m", "1G", "-t", LAB_SECONDS]
    for pack in (BUILD / "duet", GUEST / "agent", ROOT / "tools" / "counted-job",
                 f"{GUEST}/generic/vmlinux:/guest/vmlinux",
                 f"{GUEST}/generic/initrd.img:/guest/initrd.img"):
        command += ["-p", pack]
    return [*command, "--", "counted-job", words, *nets, "--", *more]


def attempt(rounds, amounts, nets, more, phase, progress):
    """One run: its events. Fail if it ended badly, Frozen if it did not end."""
    words = f"duet.rounds={rounds} duet.workloads=" + ",".join(
        f"{workload}:{amount}" for workload, amount in amounts.items())
    words += " duet.phase=" + "x" * phase
    if MARKS[0] in more:
        words += f" duet.marks=1 duet.idle={IDLE_MS}"
    log = duetlib.log_dir() / "counted.log"
    dog = Watchdog(lab_command(words, nets, more), stages(rounds, amounts, nets), log)
    events = []
    try:
        for event in dog:
            progress.show(event)
            events.append(event)
    finally:
        progress.end()
        status = dog.end()
    if status or not of_kind(events, "stats"):
        raise Fail(f"the counted run ended early (status {status}) in this stage: {dog.stage}\n"
                   + duetlib.tail(log))
    for event in of_kind(events, "error"):
        raise Fail(f"{event.get('workload')} on {event.get('nic')} failed: {event['error']}")
    return events


def run(rounds=1, amounts=None, nets=NETS, more=(), phase=0, progress=None):
    """A result, as the schema above has it. A frozen stage is said, and all is tried once more.

    Another PHASE is the same work at slightly other instants: a longer kernel command line.
    """
    amounts = amounts or SMALL
    progress = progress or duetlib.Progress()
    duetlib.make_guest("generic", progress)
    try:
        events = attempt(rounds, amounts, nets, more, phase, progress)
    except Frozen as why:
        progress.say(f"WATCHDOG: {why}\nThat must not happen in the counted lab. Once more, in a new one.")
        try:
            events = attempt(rounds, amounts, nets, more, phase, progress)
        except Frozen as again:
            raise Fail(f"watchdog: {again}, for the second time") from None
    return {"schema": SCHEMA, "versions": versions(), "events": events,
            "options": {"rounds": rounds, "amounts": dict(amounts), "net": list(nets),
                        "phase": phase}}


# ---- what two trees do not share ----

def differences(one, other, path=""):
    """[(path, one's value, other's)] for everything that differs; "absent" stands for nothing."""
    if isinstance(one, dict) and isinstance(other, dict):
        return [found for key in {**one, **other}
                for found in differences(one.get(key, "absent"), other.get(key, "absent"),
                                         f"{path}.{key}" if path else key)]
    if isinstance(one, list) and isinstance(other, list):
        longer = max(len(one), len(other))
        return [found for at in range(longer)
                for found in differences(one[at] if at < len(one) else "absent",
                                         other[at] if at < len(other) else "absent",
                                         f"{path}[{at}]")]
    return [] if one == other and type(one) is type(other) else [(path, one, other)]


# ---- figures ----

def rates(runs):
    """The rate of each NIC and workload; a sample for each round."""
    found = {}
    for event in runs:
        found.setdefault((event["nic"], event["workload"]), []).append(event)
    return {f"{nic} {workload} rate":
            {"samples": [event["value"] for event in events],
             "unit": events[0]["unit"], "better": "more"}
            for (nic, workload), events in found.items()}


def less_is_better(value, unit, spread=0.0):
    """A cost, which spreads by so much at least."""
    return {"samples": [value], "unit": unit, "better": "less", "spread": spread}


def nic_costs(nic, name):
    """What one NIC made the machine do for the whole of the fixed work."""
    backend = nic["backend_stats"]
    accesses = sum(account["reads"] + account["writes"] for account in nic["registers"])
    counts = {
        "register accesses": accesses, "interrupts": nic["irqs"],
        "doorbells": nic["tx_kicks"] + nic["rx_kicks"] + nic["ctrl_kicks"],
        "wake-ups": nic["wakeups"], "system calls": backend["tx_calls"] + backend["rx_calls"],
        "bytes copied": nic["bytes_copied"], "bytes summed": nic["bytes_summed"],
        "segments in software": backend["sw_segments"],
    }
    return {f"{name} {what}": less_is_better(count, "in all",
                                             BUNCHING_SPREAD if what in BUNCHING else 0)
            for what, count in counts.items()}


def machine_costs(stats):
    """What the guest made the machine do, whichever device it was for."""
    found = {f"exits {reason}": less_is_better(sum(cpu["exits"].get(reason, 0)
                                                   for cpu in stats["vcpus"]), "in all")
             for reason in CPU_EXITS}
    for thread in stats["threads"]:
        used = thread["user_ns"] + thread["system_ns"]
        found[f"thread {thread['name']}"] = less_is_better(used / 1e6, "ms")
    return found


def samples(result):
    """What one result says about each figure."""
    events = result["events"]
    stats = of_kind(events, "stats")[0]["stats"]
    names = list(dict.fromkeys(event["nic"] for event in of_kind(events, "run")))
    found = rates(of_kind(events, "run"))
    for nic, name in zip(stats["nics"], names):
        found.update(nic_costs(nic, name))
    return {**found, **machine_costs(stats)}


def figures(results):
    """Every figure by name, over all results."""
    every = [samples(result) for result in results]
    found = {}
    for name, entry in every[0].items():
        values = [value for one in every for value in one[name]["samples"]]
        mean = statistics.fmean(values)
        spread = (max(values) - min(values)) / mean if mean else 0.0
        found[name] = {"value": mean, "spread": max(spread, entry.get("spread", 0)),
                       "unit": entry["unit"], "better": entry["better"]}
    return found


def save(path, tree):
    """Writes JSON for people and for git."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tree, indent=1) + "\n", encoding="utf-8")


def minutes(start):
    """How long it took."""
    seconds = int(time.monotonic() - start)
    return f"{seconds // 60}:{seconds % 60:02}"

# SPDX-License-Identifier: MIT
"""The small fixed-work form of the comparison in the counted lab (tools/lab --counted): what
tools/determinism and tools/regress have in common.

One guest boot holds both NICs and does fixed amounts of the five workloads, nothing by the clock.
A result is one object; nothing in it depends on the host or on the time of day:

    schema    2
    versions  what the figures hang on besides the source: kernel, qemu, compiler, libc
    options   rounds, amounts (per workload), net (a NIC each), phase, vmm: "duet" or "qemu"
    events    the guest's JSON lines as they came (guest/agent.c), then duet's "stats"

Figures are made of results by figures(): {"e1000 tcp_out rate": {"value", "error", "unit",
"better"}, ...}: value is the mean of the samples (a rate's rounds, all results), error its standard
error relative to it; grain, where there is one, what it may move by, whatever share that is.
"""
import functools
import json
import os
import pathlib
import queue
import shutil
import statistics
import subprocess
import threading
import time

import duetlib
from duetlib import BUILD, GUEST, ROOT, Fail, of_kind

SCHEMA = 2
SMALL = {"tcp_out": "1M", "tcp_in": "1M", "tcp_rr": "200", "udp_out": "500", "udp_in": "500"}
NETS = ("e1000", "virtio")
STAGE_SECONDS = 300     # of this machine's time, for one run or the boot: the watchdog's patience
LAB_SECONDS = 21600     # for all of it; what hangs is noticed sooner, by STAGE_SECONDS
CPU_EXITS = ("mmio",)
MEMORY = "256M"         # of the guest: tools/counted-job
LAB_MEMORY = {"duet": "1G", "qemu": "2G"}   # QEMU and its libraries are 200 MB, held twice
QEMU = "qemu-system-x86_64"
QEMU_FIRMWARE = ("bios-256k.bin", "kvmvapic.bin", "linuxboot_dma.bin", "pvh.bin")
MARKS = ("--marks", "/tmp/marks")   # of duet's options: then the runs have windows,
IDLE_MS = 4000          # and before them comes this much time without traffic
GRAIN = 1               # a count may move by this much, whatever share of it that is
GRAIN_BYTES = 0.01      # bytes copied and summed: by this much of all that went through the NIC


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
    """Follows the lab's lines, and knows the stage it is in. TICK is called while there are none."""

    def __init__(self, command, plan, log, patience=STAGE_SECONDS, tick=lambda: None):
        self.plan = list(plan)
        self.patience = patience
        self.tick = tick
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

    def line(self):
        """The next line, or None at the end."""
        deadline = time.monotonic() + self.patience
        while True:
            try:
                return self.lines.get(timeout=min(1, self.patience))
            except queue.Empty:
                if time.monotonic() >= deadline:
                    raise Frozen(self.stage, self.patience) from None
                self.tick()

    def __iter__(self):
        while True:
            line = self.line()
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


def qemu_packs(firmware=QEMU_FIRMWARE):
    """QEMU and the FIRMWARE it starts a kernel with, from where it looks for it itself."""
    program = shutil.which(QEMU)
    if not program:
        raise Fail(f"{QEMU} is not there: apt-get install qemu-system-x86")
    found = subprocess.run([QEMU, "-L", "help"], capture_output=True, text=True, check=True)
    folders = [pathlib.Path(line) for line in found.stdout.splitlines()]
    packs = [program]
    for name in firmware:
        path = next((folder / name for folder in folders if (folder / name).exists()), None)
        if not path:
            raise Fail(f"QEMU's {name} is in none of " + ", ".join(map(str, folders)))
        packs.append(f"{path.resolve()}:/firmware/{name}")
    return packs


def lab(packs, memory):
    """What to put before a command to run it in this lab, with PACKS."""
    command = [ROOT / "tools" / "lab", "--counted", "-m", memory, "-t", LAB_SECONDS]
    for pack in packs:
        command += ["-p", pack]
    return [*command, "--"]


def lab_command(words, nets, more, vmm, initrd="initrd.img", job=()):
    """tools/lab with everything the guest and its VMM are made of; JOB: options of counted-job."""
    packs = [*([BUILD / "duet"] if vmm == "duet" else qemu_packs()), GUEST / "agent",
             ROOT / "tools" / "counted-job", f"{GUEST}/generic/vmlinux:/guest/vmlinux",
             f"{GUEST}/generic/{initrd}:/guest/initrd.img"]
    return [*lab(packs, LAB_MEMORY[vmm]), "counted-job", *job, vmm, words, *nets, "--", *more]


def attempt(plan, more, progress, number):
    """One run of PLAN (a result's options): its events. Fail if it ended badly, Frozen if it did not end."""
    words = f"duet.rounds={plan['rounds']} duet.workloads=" + ",".join(
        f"{workload}:{amount}" for workload, amount in plan["amounts"].items())
    words += " duet.phase=" + "x" * plan["phase"]
    if MARKS[0] in more:
        words += f" duet.marks=1 duet.idle={IDLE_MS}"
    log = duetlib.log_dir() / f"counted.{plan['vmm']}.{plan['phase']}.{number}.log"
    dog = Watchdog(lab_command(words, plan["net"], more, plan["vmm"]),
                   stages(plan["rounds"], plan["amounts"], plan["net"]), log, tick=progress.tick)
    events = []
    try:
        for event in dog:
            progress.show(event)
            events.append(event)
    finally:
        progress.end()
        status = dog.end()
    if status or not of_kind(events, "end"):
        raise Fail(f"the counted run ended early (status {status}) in this stage: {dog.stage}\n"
                   + duetlib.tail(log))
    for event in of_kind(events, "error"):
        raise Fail(f"{event.get('workload')} on {event.get('nic')} failed: {event['error']}")
    return events


@functools.cache
def make_guest():
    """Once, however many runs there are, side by side or not."""
    duetlib.make_guest("generic", duetlib.Progress())


def run(rounds=1, amounts=None, nets=NETS, more=(), phase=0, progress=None, vmm="duet", number=0):
    """A result, as the schema above has it. A frozen stage is said, and all is tried once more.

    Another PHASE is the same work at slightly other instants: a longer kernel command line.
    NUMBER tells the logs of runs apart that are all the same.
    """
    plan = {"rounds": rounds, "amounts": dict(amounts or SMALL), "net": list(nets), "phase": phase,
            "vmm": vmm}
    progress = progress or duetlib.Progress()
    make_guest()
    try:
        events = attempt(plan, more, progress, number)
    except Frozen as why:
        progress.say(f"WATCHDOG: {why}\nThat must not happen in the counted lab. Once more, in a new one.")
        try:
            events = attempt(plan, more, progress, number)
        except Frozen as again:
            raise Fail(f"watchdog: {again}, for the second time") from None
    return {"schema": SCHEMA, "versions": versions(), "events": events, "options": plan}


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


def less_is_better(value, unit, grain=0):
    """A cost, which may grow by GRAIN."""
    return {"samples": [value], "unit": unit, "better": "less", "grain": grain}


def nic_costs(nic, name):
    """What one NIC made the machine do for the whole of the fixed work."""
    backend = nic["backend_stats"]
    accesses = sum(account["reads"] + account["writes"] for account in nic["registers"])
    some = GRAIN_BYTES * (nic["tx_bytes"] + nic["rx_bytes"])
    counts = {
        "register accesses": (accesses, GRAIN), "interrupts": (nic["irqs"], GRAIN),
        "doorbells": (nic["tx_kicks"] + nic["rx_kicks"] + nic["ctrl_kicks"], GRAIN),
        "wake-ups": (nic["wakeups"], GRAIN),
        "system calls": (backend["tx_calls"] + backend["rx_calls"], GRAIN),
        "bytes copied": (nic["bytes_copied"], some), "bytes summed": (nic["bytes_summed"], some),
        "segments in software": (backend["sw_segments"], GRAIN),
    }
    return {f"{name} {what}": less_is_better(count, "in all", grain)
            for what, (count, grain) in counts.items()}


def machine_costs(stats):
    """What the guest made the machine do, whichever device it was for."""
    found = {f"exits {reason}": less_is_better(sum(cpu["exits"].get(reason, 0)
                                                   for cpu in stats["vcpus"]), "in all", GRAIN)
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


def error(values):
    """The standard error of their mean, relative to it; 0 of a single one."""
    mean = statistics.fmean(values)
    if not mean or len(values) < 2:
        return 0.0
    return statistics.stdev(values) / len(values) ** 0.5 / mean


def figures(results):
    """Every figure by name, over all results."""
    every = [samples(result) for result in results]
    found = {}
    for name, entry in every[0].items():
        values = [value for one in every for value in one[name]["samples"]]
        found[name] = {"value": statistics.fmean(values), "error": error(values),
                       "unit": entry["unit"], "better": entry["better"]}
        if entry.get("grain"):
            found[name]["grain"] = entry["grain"]
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

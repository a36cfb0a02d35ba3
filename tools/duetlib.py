# SPDX-License-Identifier: MIT
"""What tools/traffic, tools/compare and tools/integrity have in common.

Two levels. tools/traffic runs where a stock kernel can run and where taps may be made (in the
lab, or in a network namespace of its own): it boots one guest. tools/compare and tools/integrity
run anywhere: they find out where that place is, start tools/traffic there and follow the JSON
lines (guest/agent.c documents them) in a file both can see.
"""
import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build")).resolve()
GUEST = BUILD / "guest"
WORKLOADS = ("tcp_out", "tcp_in", "tcp_rr", "udp_out", "udp_in")
NET = "10.77"
TIMED_OUT = 124
LARGE_KB = 32 << 10   # a mapping from this size on is guest memory
BOOT_SECONDS = 90   # more than a lab, a guest's boot and its end ever took


class Fail(Exception):
    """An error for the user: a message and the exit status."""

    def __init__(self, message, status=1):
        super().__init__(message)
        self.status = status


def end_children():
    """Asks all that this process has started to end."""
    for thread in pathlib.Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            for child in (thread / "children").read_text(encoding="ascii").split():
                os.kill(int(child), signal.SIGTERM)


def main(function):
    """Runs FUNCTION and turns Fail and signals into messages and exit statuses."""
    name = pathlib.Path(sys.argv[0]).name

    def stop(number, _frame):
        end_children()   # a thread pool waits for its threads, and they for what they have started
        raise SystemExit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        sys.exit(function())
    except Fail as failure:
        print(f"{name}: {failure}", file=sys.stderr)
        sys.exit(failure.status)
    except BrokenPipeError:
        sys.exit(1)


def parser(doc):
    """An argument parser whose help is the tool's docstring."""
    return argparse.ArgumentParser(description=doc,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)


# ---- processes ----

def tied(command):
    """COMMAND, made to die with this process even if that is killed."""
    return ["setpriv", "--pdeathsig", "TERM", "--", *map(str, command)]


def end_process(process, patience=5):
    """Asks, then forces PROCESS to end."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def runs_guest(pid):
    """False before a duet has begun to run its guest, and once it has begun to end: the thread of the
    boot processor, by which Linux powers off, is the first that ends."""
    with contextlib.suppress(OSError):
        return any(thread.read_text() == "vcpu0\n"
                   for thread in pathlib.Path(f"/proc/{pid}/task").glob("*/comm"))
    return False


def process_holds(pid):
    """What a duet has of the host's right now; without its guest's memory, the large mappings. None
    if it has begun to end, for then this is no whole picture."""
    with contextlib.suppress(OSError):
        found = held_by(pathlib.Path(f"/proc/{pid}"))
        return found if runs_guest(pid) else None
    return None


def held_by(folder):
    """The same of any process, by its FOLDER in /proc."""
    sizes = []
    for line in (folder / "smaps").read_text().splitlines():
        if line.startswith("Size:"):
            sizes.append([int(line.split()[1]), 0])
        elif line.startswith(("Private_Dirty:", "Private_Clean:")):
            sizes[-1][1] += int(line.split()[1])
    times = (folder / "stat").read_text().rpartition(")")[2].split()
    return {"fds": len(list((folder / "fd").iterdir())),
            "threads": len(list((folder / "task").iterdir())),
            "private_kb": sum(held for size, held in sizes if size < LARGE_KB),
            "cpu_ms": (int(times[11]) + int(times[12])) * 1000 // os.sysconf("SC_CLK_TCK")}


def first_line(command):
    """The first line COMMAND prints, or ""."""
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                              check=False)
    except OSError:
        return ""
    return (done.stdout.splitlines() or [""])[0].strip()


# ---- JSON lines ----

class Lines:
    """Follows a growing file of JSON lines."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.offset = 0
        self.rest = b""

    def read(self):
        """The objects that were completed since the last call."""
        try:
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                data = file.read()
        except FileNotFoundError:
            return []
        self.offset += len(data)
        lines = (self.rest + data).split(b"\n")
        self.rest = lines.pop()
        return [event for event in map(self.parse, lines) if event]

    @staticmethod
    def parse(line):
        """A line as an object."""
        return json.loads(line) if line.strip() else None


class Events(Lines):
    """The same for what comes over a serial port."""

    @staticmethod
    def parse(line):
        """A line as an object; one that was damaged on its way is said to be so."""
        if not line.strip():
            return None
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if isinstance(event, dict) and "kind" in event:
            return event
        return {"kind": "error", "error": "unreadable line: " + line[:80].decode(errors="replace")}


class Progress:
    """What a person sees on stderr while it runs: a bar on a terminal, else a line per run."""

    WIDTH = 24
    SILENCE = 2   # seconds without news after which a terminal shows for how long there was none

    def __init__(self, quiet=False):
        self.quiet = quiet
        self.bar = sys.stderr.isatty() and not quiet
        self.total = self.done = 0
        self.each = 0.0
        self.started = self.heard = time.monotonic()
        self.line = ""   # the bar, while there is one
        self.waited = 0  # seconds of silence that are shown

    def say(self, text):
        """One line that stays."""
        self.heard, self.line, self.waited = time.monotonic(), "", 0
        if not self.quiet:
            clear = "\r\033[K" if self.bar else ""
            print(f"{clear}{text}", file=sys.stderr, flush=True)

    def show(self, event):
        """Takes note of an event."""
        kind = event["kind"]
        if kind == "guest":
            self.say(f"guest is up: Linux {event['release']}, {event['cpus']} CPU(s)")
        elif kind == "plan":
            self.total, self.done, self.started = event["runs"], 0, time.monotonic()
            self.each = event["seconds"] / max(event["runs"], 1)
        elif kind in ("run", "test", "error"):
            self.step(self.describe(event))
        elif kind in ("again", "broken"):   # tools/boots
            self.done -= event["runs"]
            self.say(f"{event['error']}\nround {event['round']}, {event['vmm']}: " +
                     ("once more" if kind == "again" else "given up"))

    @staticmethod
    def describe(event):
        """One run in a few words."""
        what = event.get("workload") or event.get("test") or ""
        who = f"{event.get('nic', ''):10} {what.removeprefix('check_'):8}"
        if event["kind"] == "error":
            return f"{who} failed: {event['error']}"
        if event["kind"] == "run":
            return f"{who} {event['value']:10.1f} {event['unit']}"
        return f"{who} {'ok' if event['ok'] else 'FAILED'}"

    def left(self):
        """Seconds that the remaining runs will take, or None before anything is known."""
        if self.done:
            self.each = (time.monotonic() - self.started) / self.done
        return (self.total - self.done) * self.each if self.each else None

    def step(self, text):
        """One more run is over."""
        self.done += 1
        left = self.left()
        ahead = "" if left is None else f", {int(left) // 60}:{int(left) % 60:02} left"
        if not self.bar:
            self.say(f"{self.done:3}/{self.total} {text}{ahead}")
            return
        full = self.WIDTH * self.done // max(self.total, self.done)
        self.line = f"[{'#' * full}{'.' * (self.WIDTH - full)}] {self.done}/{self.total}{ahead}  {text}"
        self.heard, self.waited = time.monotonic(), 0
        self.draw(self.line)

    @staticmethod
    def draw(line):
        """Puts LINE in place of the terminal's last."""
        columns = shutil.get_terminal_size().columns
        print(f"\r\033[K{line[:columns - 1]}", end="", file=sys.stderr, flush=True)

    def tick(self):
        """Nothing new: a terminal shows that it is not forgotten."""
        silent = int(time.monotonic() - self.heard)
        if self.bar and silent >= self.SILENCE and silent != self.waited:
            self.waited = silent
            self.draw(f"{self.line or 'waiting'}, {silent} s")

    def end(self):
        """Leaves the terminal as it was."""
        if self.bar:
            self.draw("")


# ---- the guest and its VMMs ----

@dataclasses.dataclass
class Machine:
    """One guest: what every VMM is told in its own words."""
    kernel: pathlib.Path
    initrd: pathlib.Path
    memory: str
    cpus: int
    append: str
    nics: list            # "e1000", "virtio,KEY=VALUE": the one in slot N uses taps[N]
    taps: list
    serial2: pathlib.Path
    stats: pathlib.Path
    trace: pathlib.Path = None   # duet's data path, if wanted
    marks: pathlib.Path = None   # duet's figures of moments that the guest marks, if wanted


def duet_command(machine):
    """duet, as a person would start it."""
    command = [BUILD / "duet", "run", "-k", machine.kernel, "-i", machine.initrd,
               "-m", machine.memory, "-c", machine.cpus, "-a", machine.append,
               "--serial2", machine.serial2, "--stats", machine.stats]
    if machine.trace:
        command += ["--trace", "exits,mmio,net,irq", "--trace-file", machine.trace]
    for nic, tap in zip(machine.nics, machine.taps):
        model, comma, keys = nic.partition(",")
        command += ["-n", f"{model},tap={tap}{comma}{keys}"]
    return command + (["--marks", machine.marks] if machine.marks else [])


# What QEMU's backend and device are told for a NIC; vhost is virtio-net served by the kernel.
QEMU_NICS = {"e1000": ("off", "e1000"), "virtio": ("off", "virtio-net-pci,disable-legacy=on"),
             "vhost": ("on", "virtio-net-pci,disable-legacy=on")}


def qemu_command(machine):
    """QEMU with the same devices in the same slots, and nothing else."""
    if machine.trace:
        raise Fail("QEMU knows no trace of duet's", 2)
    command = ["qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", "-M", "q35",
               "-m", machine.memory, "-smp", machine.cpus, "-nodefaults", "-no-user-config",
               "-no-reboot", "-display", "none", "-vga", "none", "-serial", "stdio",
               "-chardev", f"file,id=results,path={machine.serial2}", "-serial", "chardev:results",
               "-device", "isa-debug-exit,iobase=0xf4,iosize=1",
               "-kernel", machine.kernel, "-initrd", machine.initrd, "-append", machine.append]
    for slot, (nic, tap) in enumerate(zip(machine.nics, machine.taps), 1):
        if nic not in QEMU_NICS:
            raise Fail(f"QEMU has no NIC \"{nic}\": one of {', '.join(QEMU_NICS)}", 2)
        vhost, device = QEMU_NICS[nic]
        command += ["-netdev",
                    f"tap,id=net{slot},ifname={tap},script=no,downscript=no,vhost={vhost}",
                    "-device", f"{device},netdev=net{slot},romfile=,addr={slot},"
                    f"mac=52:54:00:77:00:{slot:02x}"]
    return command


def qemu_status(status):
    """QEMU's debug-exit device leaves (N << 1) | 1; its own errors are 1."""
    return status >> 1 if status > 1 and status & 1 else status


@dataclasses.dataclass
class Vmm:
    """A VMM: how to start it, what its exit status means, how it calls itself."""
    command: object
    status: object
    version: list


VMMS = {
    "duet": Vmm(duet_command, lambda status: status, [BUILD / "duet", "--version"]),
    "qemu": Vmm(qemu_command, qemu_status, ["qemu-system-x86_64", "--version"]),
}


# ---- the host's network ----

def ip(*words):
    """Runs ip(8)."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Fail(f"ip {' '.join(words)}: {done.stderr.strip()}")


@contextlib.contextmanager
def taps(count, mtu=None):
    """Makes tap1, tap2... with that MTU; removes those it made on every way out."""
    made = []
    try:
        for number in range(1, count + 1):
            name = f"tap{number}"
            ip("tuntap", "add", "dev", name, "mode", "tap", "vnet_hdr")
            made.append(name)
            with contextlib.suppress(OSError):   # no IPv6 here, the better
                pathlib.Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")
            ip("addr", "add", f"{NET}.{number}.1/24", "dev", name)
            ip("link", "set", name, "up", *(["mtu", str(mtu)] if mtu else []))
        yield made
    finally:
        for name in made:
            ip("tuntap", "del", "dev", name, "mode", "tap")


# The columns of /proc/PID/net/dev that are compared, behind the interface's name.
TAP_COLUMNS = {"rx_packets": 1, "tx_packets": 9, "rx_dropped": 3, "tx_dropped": 11}


def tap_counters(name, process="self"):
    """What the host's kernel counted of a tap; "rx" is what came out of the VMM. PROCESS is one in
    the tap's network namespace: /sys shows the one that it was mounted in, whoever looks."""
    for line in pathlib.Path(f"/proc/{process}/net/dev").read_text().splitlines():
        interface, colon, counters = line.partition(":")
        if colon and interface.strip() == name:
            columns = counters.split()
            return {"name": name, **{what: int(columns[n]) for what, n in TAP_COLUMNS.items()}}
    raise Fail(f"{name}: there is no such interface in the network namespace of process {process}")


@contextlib.contextmanager
def host_half(count):
    """The agent's host half, listening on the taps' addresses only."""
    command = [GUEST / "agent", "serve"]
    for number in range(1, count + 1):
        command += ["--bind", f"{NET}.{number}.1"]
    with subprocess.Popen(tied(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          text=True) as server:
        try:
            for _ in range(count):
                if not server.stdout.readline():
                    raise Fail("the agent's host half did not start")
            yield
        finally:
            end_process(server)


# ---- where to run ----

def probe():
    """What "duet probe --json" says about this /dev/kvm; {} if there is no duet to ask."""
    try:
        done = subprocess.run([BUILD / "duet", "probe", "--json"], capture_output=True, text=True,
                              check=False)
        return json.loads(done.stdout)
    except (OSError, ValueError):
        return {}


def add_place_options(options, processors=1):
    """Where, and in which guest: what compare, integrity and peers share. The group of places."""
    where = options.add_mutually_exclusive_group()
    where.add_argument("--lab", action="store_const", dest="where", const="lab",
                       help="in the lab, whatever /dev/kvm can do")
    where.add_argument("--kvm", action="store_const", dest="where", const="kvm",
                       help="on this machine's /dev/kvm")
    options.add_argument("--guest", metavar="FLAVOUR", default="generic",
                         help="guest kernel of tools/mkguest (generic)")
    options.add_argument("-m", "--memory", default="512M")
    options.add_argument("-c", "--cpus", type=int, default=1)
    # More than one there meets QEMU's own races (docs/testing.md, "The lab").
    options.add_argument("--processors", type=int, default=processors, metavar="N",
                         help=f"of the lab ({processors}; if several, QEMU may end a guest early)")
    return where


def add_vmm_options(options):
    """Which VMM, with which NICs: for those that run one."""
    options.add_argument("--vmm", choices=VMMS, default="duet")
    options.add_argument("-n", "--net", metavar="MODEL[,KEY=VALUE]", action="append",
                         help="a NIC, in PCI slot 1, 2... (e1000 and virtio)")


def add_run_options(options, milliseconds):
    """How many runs of which length: for those that measure."""
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--time", type=int, default=milliseconds, metavar="MS",
                         help=f"of a run ({milliseconds})")
    options.add_argument("--warmup", type=int, default=300, metavar="MS",
                         help="before it, not measured (300)")
    options.add_argument("--workloads", default=",".join(WORKLOADS), metavar="LIST")


def choose_place():
    """"kvm" if a stock kernel can run on this machine's, else "lab"."""
    return "kvm" if probe().get("stock_kernel") else "lab"


def place_command(where, seconds, processors, memory="2G"):
    """What to put before a command to run it there; PROCESSORS and MEMORY are the lab's."""
    if where == "lab":
        return [ROOT / "tools" / "lab", "-t", int(seconds), "-c", processors, "-m", memory, "--"]
    return ["unshare", "-n" if os.geteuid() == 0 else "-rn", "--"]


def say_place(where, args, progress):
    """Where it runs, and why there."""
    place = {"kvm": "on this machine's /dev/kvm", "lab": "in the lab", "counted": "in the counted lab"}
    why = (", as asked" if args.where else "" if where == "kvm" else
           ": no stock kernel can run on this machine's /dev/kvm")
    progress.say(f"running {place[where]}{why}")


def make_guest(name, progress, *options):
    """Builds the guest image with these OPTIONS of tools/mkguest."""
    progress.say(f"building the guest ({name} kernel)")
    command = [ROOT / "tools" / "mkguest", *options, name]
    with open(log_dir() / "mkguest.log", "wb") as log:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        while child.poll() is None:
            progress.tick()
            time.sleep(0.05)
    finally:
        progress.end()
        end_process(child)
    if child.returncode:
        raise Fail(f"tools/mkguest {' '.join(command[1:])} failed:\n"
                   f"{tail(log_dir() / 'mkguest.log')}")


def log_dir():
    """Where logs go."""
    path = BUILD / "log"
    path.mkdir(parents=True, exist_ok=True)
    return path


def tail(path, lines=15):
    """The end of a text file."""
    try:
        text = pathlib.Path(path).read_text(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def run_traffic(args, mode, words, seconds, progress, options=()):
    """Boots one guest in MODE at the place that suits; returns (where, events).

    WORDS are the duet.NAME=VALUE parameters of guest/init, SECONDS what the work itself takes,
    OPTIONS more of tools/traffic.
    """
    where = args.where or choose_place()
    make_guest(args.guest, progress)
    log = log_dir()
    out = log / f"{mode}.jsonl"
    out.unlink(missing_ok=True)
    limit = seconds + BOOT_SECONDS
    command = [*place_command(where, limit + BOOT_SECONDS, args.processors), ROOT / "tools" / "traffic", mode,
               "--quiet", "--out", out, "--timeout", int(limit), "--vmm", args.vmm,
               "--guest", args.guest, "-m", args.memory, "-c", args.cpus,
               "--console", log / f"{mode}.console", *options]
    for nic in args.net or []:
        command += ["-n", nic]
    for name, value in words.items():
        command += ["--set", f"{name}={value}"]
    say_place(where, args, progress)
    try:
        return where, follow(command, out, log / f"{mode}.log", progress)
    except Fail as why:
        if where != "lab":
            raise
        # docs/testing.md, "The lab": QEMU's own races can end a guest there, whatever the VMM.
        progress.say(f"{why}\nonce more, in a new lab")
    out.unlink(missing_ok=True)
    return where, follow(command, out, log / f"{mode}.log", progress)


def follow(command, out, log, progress, patience=None):
    """Runs COMMAND with its output in LOG, shows and returns the events it leaves in OUT. One that
    is silent for PATIENCE seconds is ended. Its status is its own affair if its end says that not
    all was well."""
    source, events = Events(out), []
    with open(log, "wb") as file:
        child = subprocess.Popen(tied(command), stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        ended, heard = False, time.monotonic()
        while not ended:
            ended = child.poll() is not None
            fresh = source.read()
            heard = time.monotonic() if fresh else heard
            if patience and time.monotonic() - heard > patience:
                raise Fail(f"nothing was heard for {patience:.0f} s:\n{tail(log)}")
            for event in fresh:
                progress.show(event)
            events += fresh
            if not ended and not fresh:
                progress.tick()
                time.sleep(0.1)
    finally:
        progress.end()
        end_process(child, 15)
    check_end(events, child.returncode, log)
    return events


def check_end(events, status, log):
    """Fail if a guest's EVENTS have no end, or it was a good one, and the STATUS of what brought them
    says that something went wrong later."""
    end = of_kind(events, "end")
    if not end or (status and end[-1].get("ok")):
        raise Fail(f"the run did not end well (status {status}):\n{tail(log)}")


def of_kind(events, kind):
    """Those of that kind."""
    return [event for event in events if event["kind"] == kind]

#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Stock kernels in duet: what tests/lab.sh runs inside the lab, or on a /dev/kvm that can.

usage: tests/in_lab.py [NAME...]

Each case is one boot of a distribution's kernel, most through tools/traffic, where what the guest
says comes back as JSON lines. Long cases run only when named. Exit status 0: no failure.
"""
import base64
import fcntl
import hashlib
import json
import os
import pathlib
import pty
import random
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time

import cases
from booting import BUILD, GUEST, ROOT, boot, only, stop_of, traffic
from cases import case, long_case

sys.path.insert(0, str(ROOT / "tools"))
import stressing  # noqa: E402
import windows  # noqa: E402
import in_lab_user  # noqa: E402, F401: its cases are ours
import in_lab_vhost  # noqa: E402, F401: its cases are ours

# Every feature the model offers and Linux 6.1's driver takes, by the virtio specification's
# numbers (5.1.3, 6): the guest must see exactly these.
VIRTIO_FEATURES = {
    0: "CSUM", 1: "GUEST_CSUM", 5: "MAC", 7: "GUEST_TSO4", 8: "GUEST_TSO6", 11: "HOST_TSO4",
    12: "HOST_TSO6", 15: "MRG_RXBUF", 16: "STATUS", 17: "CTRL_VQ", 18: "CTRL_RX",
    19: "CTRL_VLAN", 23: "CTRL_MAC_ADDR", 28: "RING_INDIRECT_DESC", 29: "RING_EVENT_IDX",
    32: "VERSION_1",
}
# May be there as well: 2 CTRL_GUEST_OFFLOADS, 3 MTU (when the interface has one), 9/13 ECN.
VIRTIO_OPTIONAL = {2, 3, 9, 13}


def balloon_interrupts():
    """Of the lab's balloon (tools/lab) so far."""
    device = next(pathlib.Path("/sys/bus/virtio/drivers/virtio_balloon").glob("virtio*")).name
    line, = [line.split() for line in pathlib.Path("/proc/interrupts").read_text().splitlines()
             if line.split()[-1] == device]
    return sum(int(word) for word in line[1:] if word.isdigit())


@case
def heartbeat():
    """in the lab something interrupts once a second, and so makes up for what QEMU lost"""
    if not os.environ.get("DUET_LAB"):
        raise cases.Skip("not in the lab")
    first = balloon_interrupts()
    time.sleep(4)
    assert balloon_interrupts() - first >= 2, (first, balloon_interrupts())


@case
def features():
    """generic kernel, PVH: both drivers up; the virtio feature bits the guest sees"""
    lines = boot("features")
    nics = {line["driver"]: line for line in only(lines, "nic")}
    assert set(nics) == {"e1000", "virtio_net"}, nics
    assert all(nic["link"] for nic in nics.values()), "no link"
    assert nics["e1000"]["mac"] == "52:54:00:12:34:56", nics["e1000"]["mac"]
    assert nics["virtio_net"]["mac"] == "52:54:00:12:34:57", nics["virtio_net"]["mac"]
    assert "tx-tcp-segmentation" in nics["e1000"]["on"], nics["e1000"]["on"]
    bits = {i for i, c in enumerate(nics["virtio_net"]["virtio_features"]) if c == "1"}
    missing = set(VIRTIO_FEATURES) - bits
    assert not missing, f"missing: {[VIRTIO_FEATURES[b] for b in sorted(missing)]}"
    strange = bits - set(VIRTIO_FEATURES) - VIRTIO_OPTIONAL
    assert not strange, f"bits nobody asked for: {sorted(strange)}"
    assert only(lines, "guest")[0]["clocksource"] == "kvm-clock", only(lines, "guest")
    assert stop_of(lines) == "poweroff", stop_of(lines)


@case
def integrity():
    """traffic on both NICs, every byte checked (the small form of make integrity)"""
    lines = boot("integrity", "--set", "bytes=4M", "--set", "datagrams=1500")
    verdicts = only(lines, "verdict")
    assert [v["ok"] for v in verdicts] == [True, True], verdicts
    for stats in only(lines, "stats")[0]["stats"]["nics"]:
        assert stats["guest_faults"] == 0, stats
        assert stats["tx_bytes"] > 4 << 20 and stats["rx_bytes"] > 4 << 20, stats


@case
def without_ioapic():
    """noapic pci=nomsi: both NICs interrupt by INTA# and the 8259s"""
    lines = boot("integrity", "--append", "noapic pci=nomsi", "--set", "bytes=1M", "--set",
                 "datagrams=300")
    verdicts = only(lines, "verdict")
    assert [v["ok"] for v in verdicts] == [True, True], verdicts
    assert all(nic["irqs"] for nic in only(lines, "stats")[0]["stats"]["nics"]), lines[-1]


@case
def diagrams():
    """a traced guest: one frame out and one in on each NIC can be drawn, in the right order"""
    sent = ("tx ", "send ", "sent", "tx given back")
    received = ("recv ", "rx ", "rx given back")
    want = {("net0", "tx"): ("TDT (", *sent), ("net1", "tx"): sent,
            ("net0", "rx"): received, ("net1", "rx"): received}
    with tempfile.TemporaryDirectory() as scratch:
        trace = pathlib.Path(scratch, "trace")
        boot("bench", "--set", "workloads=tcp_rr", "--set", "count=60", "--set", "rounds=1",
             "--trace", trace)
        text = trace.read_text(encoding="utf-8")
        for words in ("net0: INTA# asserted", "net0: ICR (", "net0: IMS (", "net0: woken",
                      "net1: doorbell of queue 1", "net1: interrupt of queue 0", "net1: woken"):
            assert words in text, f"no {words!r} in the trace"
        for (nic, way), labels in want.items():
            r = subprocess.run([ROOT / "tools/trace2svg", "--nic", nic, "--way", way, "--packet",
                                "30", trace], capture_output=True, text=True, check=False)
            assert r.returncode == 0, f"{nic} {way}: {r.stderr}"
            places = [r.stdout.find(f">{label}") for label in labels]
            assert -1 not in places and places == sorted(places), f"{nic} {way}: {r.stdout}"


@case
def marks():
    """each run's counters between its marks: every frame is accounted for, the host agrees"""
    lines = boot("bench", "--marks", "--set", "rounds=1", "--set", "count=600", "--set",
                 "workloads=tcp_rr,udp_out,udp_in", "--set", "idle=500")
    seen = only(lines, "run")
    assert len(seen) == 6 and len(only(lines, "idle")) == 1, lines
    for line in seen + only(lines, "idle"):
        assert not windows.complaints(line["window"]), windows.complaints(line["window"])
    for line in seen:
        nic = line["window"]["stats"]["nics"][0 if line["nic"] == "e1000" else 1]
        if line["workload"] != "udp_in":
            assert nic["tx_frames"] >= 300, nic   # datagrams may wait in the driver at the end
        if line["workload"] != "udp_out":
            assert nic["rx_frames"] >= line["total"], (nic, line)
    stats = only(lines, "stats")[0]
    assert not windows.tap_complaints(stats["stats"], stats["taps"]), stats["taps"]


@case
def self_tests():
    """e1000's driver finds nothing wrong (ethtool -t), on the best way and QEMU's, while others
    carry traffic; what the drivers count is what we count (the small form of make stress)"""
    script = base64.b64encode(b"exec stress -n 1 -t 10000 selftest counted").decode()
    lines = boot("run", "--watch", "--marks", "--timeout", "600", "-i",
                 GUEST / "generic/stress.img", "-n", "e1000", "-n", "e1000,ladder=qemu",
                 "-n", "virtio", "--set", f"cmd={script}")
    tests = only(lines, "selftest")
    assert [(test["nic"], test["mode"]) for test in tests] == [
        ("e1000", "offline"), ("e1000", "online"), ("e1000.2", "offline"), ("e1000.2", "online")]
    assert all(test["results"].count(" 0") == 5 for test in tests), tests
    assert len(only(lines, "counted")) == 3, lines
    wrong = stressing.complaints(lines)
    assert not wrong, wrong


@case
def bzimage_smp():
    """generic kernel, bzImage as shipped: 4 vCPUs, 5 GiB of RAM around the hole"""
    lines = boot("features", "-k", GUEST / "generic/vmlinuz", "-c", "4", "-m", "5G")
    guest = only(lines, "guest")[0]
    assert guest["cpus"] == 4, guest
    assert guest["memory_kb"] > 4600 * 1024, guest


@case
def reboot():
    """the guest's reboot ends the VMM with status 0"""
    assert stop_of(boot("reboot")) == "reset"


@case
def cloud():
    """cloud kernel (no MP table, no e1000), bzImage: virtio-net, 2 vCPUs, power-off"""
    image = GUEST / "cloud/vmlinuz"
    lines = boot("features", "--guest", "cloud", "-k", image, "-n", "virtio", "-c", "2")
    assert [nic["driver"] for nic in only(lines, "nic")] == ["virtio_net"], lines
    assert only(lines, "guest")[0]["cpus"] == 2, lines
    assert stop_of(lines) == "poweroff", stop_of(lines)


@case
def shell():
    """generic and cloud kernels, unpacked by the host with 1 vCPU and by the guest with 4: a shell
    on the console obeys, the kernel's address is random, what the host unpacked is kept"""
    # Blanks first: what is in the UART when the shell opens the terminal is flushed.
    typed = " " * 32 + "\necho shell-$((6 * 7)) on $(nproc)\necho text: $(grep -m1 ' _text$' " \
        "/proc/kallsyms)\npoweroff -f\n"
    addresses, cache = [], tempfile.TemporaryDirectory()
    for flavour in ("generic", "cloud"):
        for cpus, unpacks in (("1", "host"), ("4", "guest")):
            r = subprocess.run([BUILD / "duet", "run", GUEST / flavour / "vmlinuz",
                                "--unpack", unpacks, "-i",
                                GUEST / flavour / "initrd.img", "-c", cpus, "-n", "virtio,null",
                                "-a", "console=ttyS0 quiet mitigations=off"], input=typed,
                               capture_output=True, text=True, errors="replace", timeout=400,
                               check=False, env={**os.environ, "XDG_CACHE_HOME": cache.name})
            said = f"{flavour}, {cpus} vCPUs: status {r.returncode}: {r.stdout[-500:]}{r.stderr}"
            assert r.returncode == 0 and f"shell-42 on {cpus}" in r.stdout, said
            addresses.append(answer(r.stdout, "text"))
    assert len(set(addresses)) > 1, addresses
    assert len(list(pathlib.Path(cache.name, "duet").iterdir())) == 2, "not kept"


@case
def course():
    """the virtual machine of the course's first chapter runs"""
    said = subprocess.run([BUILD / "course/vm200"], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=180, check=False)
    assert said.returncode == 0 and said.stdout.startswith("Hello from a guest\n"), said


@case
def guest_status():
    """a command in the guest gives the VMM its exit status"""
    lines = boot("run", "--set", "cmd=ZXhpdCAzNwo=", status=37)  # exit 37
    assert stop_of(lines) == "debug_exit", stop_of(lines)


# What a guest does with its disks; each answer is a line "NAME: TEXT".
DISK_WORK = """
mkdir /mnt
mount -t ext4 /dev/vda /mnt || exit 1
echo "blob: $(sha256sum </mnt/blob)"
echo "raw: $(sha256sum </dev/vdb)"
cp /mnt/blob /mnt/copy && rm /mnt/blob && echo written by the guest >/mnt/note && sync
umount /mnt || exit 2
dd if=/dev/zero of=/dev/vdb count=1 2>/dev/null && exit 3
echo "serial: $(cat /sys/block/vda/serial)"
echo "entropy: $(dd if=/dev/hwrng bs=32 count=1 2>/dev/null | wc -c)"
"""


def answer(said, name):
    """What the guest said of it."""
    found = re.search(f"^{name}: ([^ \r\n]*)", said, re.M)
    assert found, f"no {name!r} in: {said[-1500:]}"
    return found.group(1)


@case
def disks():
    """a guest reads and writes ext4 on virtio-blk, not what it may only read; virtio-rng"""
    guest = GUEST / "generic-disks"
    blob = random.Random(1).randbytes(4 << 20)
    want = hashlib.sha256(blob).hexdigest()
    with tempfile.TemporaryDirectory() as scratch:
        here = pathlib.Path(scratch)
        (here / "tree").mkdir()
        (here / "tree/blob").write_bytes(blob)
        (here / "raw").write_bytes(blob)

        def fresh():
            (here / "disk").unlink(missing_ok=True)
            subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", here / "tree", here / "disk",
                            "32M"], check=True, capture_output=True)

        work = base64.b64encode(DISK_WORK.encode()).decode()
        r = traffic(["timeout", "400", BUILD / "duet", "run", "-k", guest / "vmlinux", "-i",
                     guest / "initrd.img", "-d", here / "disk", "-d", f"{here}/raw,ro", "--rng",
                     "--stats", here / "stats", "-a",
                     f"console=ttyS0 quiet mitigations=off duet.mode=run duet.cmd={work}"], 0,
                    fresh)
        assert r.returncode == 0, f"status {r.returncode}: {r.stdout[-1500:]}{r.stderr}"
        assert answer(r.stdout, "blob") == want, "what was on the disk is not what was read"
        assert answer(r.stdout, "raw") == want, "what is in the raw file is not what was read"
        assert answer(r.stdout, "serial").startswith("duet-disk0"), r.stdout
        assert answer(r.stdout, "entropy") == "32", r.stdout
        subprocess.run(["e2fsck", "-fn", here / "disk"], check=True, capture_output=True)
        copy = subprocess.run(["debugfs", "-R", "cat /copy", here / "disk"], check=True,
                              capture_output=True).stdout
        assert copy == blob, "what the guest wrote is not what is on the disk"
        assert (here / "raw").read_bytes() == blob, "the read-only disk was written"
        stats = json.loads((here / "stats").read_text())
    first, second = stats["disks"]
    assert first["flushes"] and first["written_bytes"] > len(blob), first
    assert first["guest_faults"] == first["io_errors"] == 0, first
    assert second["read_bytes"] >= len(blob) and not second["writes"], second
    assert stats["rng"]["bytes"] >= 32 and not stats["rng"]["guest_faults"], stats["rng"]


class Console:
    """duet on a pty, and somebody who reads and types."""

    def __init__(self, *args, command="run", rows=0, cols=0):
        self.text, self.seen = "", 0
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
        self.p = subprocess.Popen([BUILD / "duet", command, *args], stdin=slave, stdout=slave,
                                  stderr=slave, start_new_session=True)
        os.close(slave)

    def read(self, seconds):
        """More text; False: none came in time, or it is the end."""
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.master, 4096)
        except OSError:
            return False
        self.text += data.decode(errors="replace")
        return bool(data)

    def wait_for(self, word, seconds):
        """`word` (a regular expression) has come, after what came before."""
        end = time.monotonic() + seconds
        while not (found := re.search(word, self.text[self.seen:])):
            assert self.read(max(0, end - time.monotonic())), \
                f"no {word!r} in: {self.text[-1500:]}"
        self.seen += found.end()
        return found

    def type(self, line):
        """A line, and Enter."""
        os.write(self.master, f"{line}\r".encode())

    def press(self, keys):
        """Keys without Enter."""
        os.write(self.master, keys.encode())

    def end(self, seconds):
        """The exit status."""
        end = time.monotonic() + seconds
        while self.p.poll() is None and time.monotonic() < end:
            self.read(0.2)
        if self.p.poll() is None:
            self.p.kill()
        return self.p.wait()


@case
def console_keys():
    """a shell on a terminal: a break is SysRq, a pause passes, Ctrl-a w tells the window's size"""
    console = Console("-k", GUEST / "generic/vmlinux", "-i", GUEST / "generic/initrd.img", "-n",
                      "virtio,null", "-a", "console=ttyS0 quiet mitigations=off")
    try:
        console.wait_for("# ", 120)
        console.type(" " * 32 + "echo up-$((6 * 7))")   # see shell()
        console.wait_for("up-42", 60)
        console.press("\x01bh")
        console.wait_for(r"sysrq: HELP", 60)
        console.press("\x01p")
        console.wait_for("duet: paused", 60)
        console.press("\x01p")
        console.wait_for("the guest goes on", 60)
        fcntl.ioctl(console.master, termios.TIOCSWINSZ, struct.pack("HHHH", 31, 97, 0, 0))
        console.press("\x01w")
        console.type("stty size")
        console.wait_for("31 97", 60)
        console.press("\x01x")
        status = console.end(60)
        assert status == 0, f"status {status}: {console.text[-1500:]}"
    finally:
        console.p.kill()
        console.p.wait()


def execute(*args, **kwargs):
    """duet exec with this kernel; as in traffic(), the lab may fail a guest, not a command."""
    argv = [BUILD / "duet", "exec", "-k", GUEST / "generic/vmlinux", "-a", "mitigations=off", *args]
    kwargs = {"stdin": subprocess.DEVNULL, "timeout": 600, **kwargs}
    return subprocess.run(argv, capture_output=True, check=False, **kwargs)


@case
def exec_output_and_status():
    """duet exec: a command's stdout, stderr, status, arguments, files and network module"""
    with tempfile.TemporaryDirectory() as scratch:
        here = pathlib.Path(scratch)
        (here / "sub").mkdir()
        (here / "sub/data").write_text("packed\n")
        (here / "script").write_text("#!/bin/sh\ncat sub/data; printf '%s|' \"$@\"; pwd\n"
                                     "ls /sys/class/net | tr '\\n' ' '; stat -c %a /\n"
                                     "echo told >&2; exit 7\n")
        (here / "script").chmod(0o755)
        r = execute("-n", "virtio,null", "-i", GUEST / "generic/initrd.img", "--", "./script",
                    "a b", "it's", "", "$HOME\n", cwd=here)
        assert r.returncode == 7, r
        assert r.stdout == b"packed\na b|it's||$HOME\n|/work\neth0 lo 755\n", r.stdout
        assert r.stderr == b"told\n", r.stderr
        assert [p.name for p in sorted(here.iterdir())] == ["script", "sub"], "the host was written"


@case
def exec_root():
    """duet exec --root: a program and its libraries; --file: where it goes, and cannot go"""
    with tempfile.TemporaryDirectory() as scratch:
        tree = pathlib.Path(scratch, "tree")
        for name in subprocess.run(["ldd", "/bin/bash"], capture_output=True, text=True,
                                   check=True).stdout.split():
            if name.startswith("/"):
                (tree / name[1:]).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(name, tree / name[1:])
        (tree / "usr/bin").mkdir(parents=True)
        shutil.copy("/bin/bash", tree / "usr/bin/bash")
        (tree / "bin").symlink_to("usr/bin")
        tool = pathlib.Path(scratch, "tool")
        tool.write_text("#!/bin/bash\necho ${BASH_VERSION%%.*} $0 $*\n")
        tool.chmod(0o755)
        files = [word for place in ("", ":/bin/there", ":new/deep/tool", ":/tmp/t")
                 for word in ("--file", f"{tool}{place}")]
        r = execute("--root", tree, "--no-dir", *files, "--", "sh", "-c",
                    "./tool a; there b; new/deep/tool c; /tmp/t d; readlink /bin; echo $(ls /work)")
        assert r.returncode == 0 and not r.stderr, r
        lines = r.stdout.decode().splitlines()
        major = lines[0].split()[0]
        assert lines == [f"{major} ./tool a", f"{major} /usr/bin/there b", f"{major} new/deep/tool c",
                         f"{major} /tmp/t d", "usr/bin", "new tool"], lines
        r = execute("--no-dir", "--file", f"{tool}:/proc", "--", "true")
        assert r.returncode == 125 and b"it cannot be /proc in the guest" in r.stderr, r


@case
def exec_bytes():
    """duet exec: 64 KiB of every value, in by --stdin and out, in order"""
    data = bytes(range(256)) * 256
    r = execute("--no-dir", "--stdin", "--", "cat", stdin=None, input=data)
    assert (r.returncode, r.stderr) == (0, b""), r.stderr
    assert r.stdout == data, f"{len(r.stdout)} bytes, and not those"


@case
def exec_failures():
    """duet exec: 127, 126, 128 + signal, a guest that ends or crashes, a timeout"""
    for command, status, words in (
            (["/nonexistent"], 127, b"not found"), (["/etc"], 126, b"denied"),
            (["sh", "-c", "kill -TERM $$"], 143, b""),
            (["poweroff", "-f"], 125, b"ended (poweroff) before the command did"),
            (["sh", "-c", "echo c >/proc/sysrq-trigger"], 125, b"Kernel panic - not syncing")):
        r = execute("--no-dir", "--", "sh", "-c", 'mkdir -p /etc; exec "$@"', "sh", *command)
        assert r.returncode == status and words in r.stderr, (command, r)
    r = execute("--no-dir", "--timeout", "20", "sleep", "1000")
    assert r.returncode == 124 and b"--timeout 20: time is up" in r.stderr, r


@case
def exec_as_in_ci():
    """the command of docs/ci-example.yml, to the letter, on a small project"""
    lines = re.findall(r"- run: (build/duet exec .*)", (ROOT / "docs/ci-example.yml").read_text())
    assert len(lines) == 1, lines
    with tempfile.TemporaryDirectory() as project:
        script = pathlib.Path(project, "tests/run-tests")
        script.parent.mkdir()
        script.write_text("#!/bin/sh\nuname -r\nexit 3\n")
        script.chmod(0o755)
        r = subprocess.run(["sh", "-c", lines[0]], cwd=ROOT, env={**os.environ, "PROJECT": project},
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert r.returncode == 3 and re.fullmatch(r"\d+\.\d+\S+-amd64\n", r.stdout), r


@case
def exec_terminal():
    """duet exec at a terminal: a shell with a prompt, echo, job control, and the window's size"""
    console = Console("-k", GUEST / "generic/vmlinux", "--no-dir", "-a", "mitigations=off", "--", "sh",
                      command="exec", rows=29, cols=91)
    try:
        console.wait_for("# ", 120)
        console.type("stty size; echo $((6 * 7))-up")
        console.wait_for(r"29 91\s+42-up", 60)
        console.type("sleep 1000")
        console.wait_for("sleep 1000", 60)
        time.sleep(1)
        console.press("\x03")
        console.wait_for("# ", 60)
        console.type("exit 9")
        status = console.end(60)
        assert status == 9, f"status {status}: {console.text[-1500:]}"
    finally:
        console.p.kill()
        console.p.wait()


def use_debian(console):
    """From the login to the end."""
    console.type("root")
    console.wait_for("Password: ", 120)
    console.type("duet")
    console.wait_for(r"# ", 240)
    console.type("apt-get --version")
    console.wait_for(r"apt \d+\.\d+\.\d+ \(amd64\)", 240)
    console.type("echo $((6 * 7)) >/root/note; echo noted: $?")
    console.wait_for("noted: 0", 240)
    console.type("poweroff")
    status = console.end(600)
    assert status == 0, f"status {status}: {console.text[-1500:]}"


def boot_debian(image, disk):
    """A fresh copy of the disk, booted to the login. As with traffic(), one more try in the lab."""
    for more in (bool(os.environ.get("DUET_LAB")), False):
        subprocess.run(["cp", "--sparse=always", image / "disk.img", disk], check=True)
        console = Console("-k", image / "vmlinuz", "-i", image / "initrd.img", "-m", "1G",
                          "-d", disk, "--rng", "-a", "root=/dev/vda ro console=ttyS0")
        try:
            console.wait_for("login: ", 1200)
            return console
        except AssertionError as why:
            console.p.kill()
            console.p.wait()
            if not more:
                raise
            print(f"        (no login in the lab: once more; {why})", flush=True)
    return None


@long_case
def debian():
    """Debian with systemd boots from a disk to a login, runs apt-get, powers off; disk clean"""
    image = BUILD / "debian"
    disk = image / "disk-used.img"
    try:
        console = boot_debian(image, disk)
        try:
            use_debian(console)
        finally:
            console.p.kill()
            console.p.wait()
        subprocess.run(["e2fsck", "-fn", disk], check=True, capture_output=True)
        note = subprocess.run(["debugfs", "-R", "cat /root/note", disk], check=True,
                              capture_output=True, text=True).stdout
        assert note == "42\n", f"note {note!r}"
    finally:
        disk.unlink(missing_ok=True)


# Both cards away from the kernel; each port's burst of frames goes round and round.
TESTPMD = r"""
echo 128 >/proc/sys/vm/nr_hugepages
for id in '8086 100e' '1af4 1041'; do echo $id >/sys/bus/pci/drivers/uio_pci_generic/new_id; done
(sleep 12; echo) | dpdk-testpmd --in-memory -l 0-1 -- --tx-first --port-topology=loop \
    --total-num-mbufs=4096 --no-lsc-interrupt
"""


@long_case
def dpdk():
    """drivers that are not Linux's: DPDK's of both cards, by polling, from a program in the guest"""
    with tempfile.TemporaryDirectory() as scratch:
        stats = pathlib.Path(scratch, "stats")
        r = execute("--no-dir", "--root", BUILD / "dpdk/root", "-c", "2", "-m", "1G", "--stats", stats,
                    "-n", "e1000,loop", "-n", "virtio,loop", "--", "sh", "-c", TESTPMD, timeout=900)
        said = r.stdout.decode() + r.stderr.decode()
        nics = json.loads(stats.read_text())["nics"]
    for driver in ("net_e1000_em", "net_virtio"):
        assert f"Probe PCI driver: {driver}" in said, said
    ports = re.findall(r"RX-packets: (\d+) .*\n.*TX-packets: (\d+) ", said)
    assert r.returncode == 0 and len(ports) >= 2, said
    assert all(int(rx) >= 32 and int(tx) >= 64 for rx, tx in ports[:2]), ports
    assert not any(nic["guest_faults"] for nic in nics), nics


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(cases.stage(__doc__))

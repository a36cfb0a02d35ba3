#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Bad input, signals and the terminal: what a person at a shell meets.

usage: tests/cli.py BUILD_DIR [NAME...]

Each case runs the binary and checks its exit status and its message. Cases that need
a running guest use guest/pvh/monitor.S, which runs on any /dev/kvm; cases that need a
network live in a private network namespace. What cannot be tested here is skipped and
says why. Exit status 0: no failure.
"""
import gzip
import json
import os
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
import windows  # noqa: E402

BUILD = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else "build"
DUET = f"{BUILD}/duet"
MONITOR = f"{BUILD}/pvh/monitor.elf"
ACCESSES = f"{BUILD}/pvh/accesses.elf"
FRAMES = f"{BUILD}/pvh/frames.elf"
MARKS = f"{BUILD}/pvh/marks.elf"
CASES = []


class Skip(Exception):
    """This host cannot run the case; the text says why."""


def case(function):
    """Register a test function; its docstring is its title."""
    CASES.append(function)
    return function


def run(*args, timeout=60, wrap=(), **kwargs):
    """Run duet; stdin is empty unless said otherwise."""
    kwargs.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([*wrap, DUET, *args], capture_output=True, text=True,
                          timeout=timeout, errors="replace", check=False, **kwargs)


def expect(result, status, *words):
    """The exit status, and every word (a regular expression) in what was said."""
    said = result.stdout + result.stderr
    assert result.returncode == status, f"status {result.returncode}, not {status}: {said}"
    for word in words:
        assert re.search(word, said), f"no {word!r} in: {said}"
    return said


def refused(*words):
    """A checker for usage errors: status 2, the words, and no more than a few lines."""
    def check(*args):
        said = expect(run(*args), 2, *words)
        assert said.count("\n") <= 3, f"too many words: {said}"
    return check


def have_kvm():
    """Can a guest run here at all?"""
    return os.access("/dev/kvm", os.R_OK | os.W_OK)


def need_kvm():
    """Skip where none can."""
    if not have_kvm():
        raise Skip("no usable /dev/kvm")


def need_root():
    """Skip where name spaces cannot be made."""
    if os.geteuid():
        raise Skip("needs root to make a private namespace")


def scratch(name, data=b""):
    """A file with this content in the test's own directory."""
    path = f"{SCRATCH}/{name}"
    with open(path, "wb") as f:
        f.write(data)
    return path


def boot(*args, **kwargs):
    """Run the monitor guest to its end."""
    need_kvm()
    return run("run", "-k", MONITOR, "-m", "64M", *args, **kwargs)


# --- options ---------------------------------------------------------------------

@case
def no_command():
    """no command: usage, status 2"""
    expect(run(), 2, "usage")


@case
def help_is_complete():
    """help names every option and wraps at 80 columns"""
    for args in (["help"], ["run", "--help"], ["run", "-h"], ["-h"], ["--help"]):
        said = expect(run(*args), 0, "usage")
        assert max(len(line) for line in said.splitlines()) <= 80, "a line is over 80 columns"
    for option in ("kernel", "initrd", "append", "unpack", "memory", "cpus", "net", "disk", "rng",
                   "stats", "marks", "trace", "serial2", "user", "chroot", "sandbox",
                   "log-level", "dry-run", "help", "version"):
        expect(run("run", "--help"), 0, "--" + option)


@case
def version():
    """version names version and licence-relevant facts"""
    for args in (["--version"], ["-V"], ["version"], ["run", "-V"]):
        expect(run(*args), 0, r"duet \d+\.\d+", "ELF", "sandbox: ")


@case
def unknown_words():
    """unknown command, option, or stray argument"""
    refused("walk")("walk")
    refused("frobnicate")("run", "--frobnicate")
    refused("-Z|'Z'")("run", "-Z")
    refused("stray")("run", MONITOR, "stray")
    refused("kernel")("run")


@case
def memory_sizes():
    """memory that is no size, or no amount of it"""
    for size in ("0", "1M", "999999T", "abc", "-5", "", "12X", "18446744073709551616", "1.5G"):
        refused("memory", re.escape(size))("run", "-k", MONITOR, "-m", size)


@case
def cpu_counts():
    """cpus out of range"""
    for n in ("0", "17", "1000", "-1", "two", ""):
        refused("cpus", re.escape(n), "16")("run", "-k", MONITOR, "-c", n)


@case
def net_options():
    """network options: unknown model, key, backend; MAC malformed or twice"""
    def check(arg, *words):
        refused(*words)("run", "-k", MONITOR, *arg)
    check(["-n", "rtl8139,null"], "rtl8139", "e1000", "virtio")
    check(["-n", "e1000"], "tap=", "null", "loop")
    check(["-n", "e1000,colour=red"], "colour")
    check(["-n", "e1000,null,mac=52:54:00:12:34"], "52:54:00:12:34")
    check(["-n", "e1000,null,mac=ff:ff:ff:ff:ff:ff"], "mac")
    check(["-n", "e1000,tap="], "tap")
    check(["-n", "e1000,tap=averyveryverylongname"], "averyveryverylongname", "15")
    check(["-n", "e1000,null,mac=52:54:00:00:00:01", "-n", "virtio,null,mac=52:54:00:00:00:01"],
          "52:54:00:00:00:01")
    check(["-n", "e1000,tap=tap9", "-n", "virtio,tap=tap9"], "tap9")
    check(["-n", "e1000,null,mtu=5"], "mtu")


@case
def disk_files():
    """a disk that is missing, a directory, a pipe, empty, or of another format"""
    fifo = f"{SCRATCH}/fifo"
    os.mkfifo(fifo)
    files = [
        ("/nonexistent/disk", ["No such file", "truncate"]),
        ("/nonexistent/disk,readonly", ["No such file", "only ro"]),
        ("/", ["directory"]),
        ("/,ro", ["directory"]),
        (fifo, ["neither"]),
        (scratch("none"), ["empty"]),
        (scratch("small", b"x" * 511), ["512"]),
        (scratch("image.qcow2", b"QFI\xfb" + b"x" * 999), ["qcow2", "qemu-img convert"]),
    ]
    for path, words in files:
        refused(re.escape(path.removesuffix(",ro")), *words)("run", "-k", MONITOR, "-d", path)
    disk = scratch("disk", b"x" * 4096)
    refused("in use")("run", "-k", MONITOR, "-d", disk, "-d", disk)


@case
def trace_classes():
    """unknown trace class"""
    refused("nett", "mmio")("run", "-k", MONITOR, "--trace", "nett")


@case
def output_files():
    """an output file that cannot be written is said before the guest starts"""
    for option in ("--stats", "--marks", "--trace-file", "--serial2"):
        expect(boot(option, "/nonexistent/dir/file", "--trace", "net"), 2,
               "/nonexistent/dir/file", "No such file")


# --- kernels and initrds -------------------------------------------------------------

@case
def kernel_files():
    """files that are no kernel are told what they are, with KVM and, by a dry run, without"""
    elf = bytearray(open(MONITOR, "rb").read())
    arm = bytearray(elf)
    struct.pack_into("<H", arm, 18, 183)
    bz = bytearray(4096)
    bz[0x1f1] = 4
    bz[0x1fe:0x200] = b"\x55\xaa"
    bz[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", bz, 0x206, 0x20f)
    files = [
        ("/nonexistent/vmlinuz", ["No such file"]),
        ("/", ["directory"]),
        (scratch("empty"), ["empty"]),
        (scratch("gz", gzip.compress(b"x" * 9999)), ["gzip"]),
        (scratch("xz", b"\xfd7zXZ\0" + b"x" * 9999), ["xz"]),
        (scratch("zst", b"\x28\xb5\x2f\xfd" + b"x" * 9999), ["zstd"]),
        (scratch("cpio", b"070701" + b"0" * 9999), ["cpio|initrd"]),
        (scratch("arm.elf", arm), ["AArch64|machine"]),
        (scratch("text", b"#!/bin/sh\necho\n" * 99), ["script"]),
        (scratch("noise", bytes(range(256)) * 99), ["not a kernel|neither"]),
        (scratch("cut.elf", elf[:300]), ["truncated"]),
        (scratch("cut.bz", bz), ["truncated"]),
        ("/bin/true", ["PVH"]),
    ]
    for path, words in files:
        for r in tried("-k", path):
            expect(r, 2, re.escape(path), *words)


@case
def kernel_auto():
    """--kernel auto: the one in /boot with its initrd, and it says so; or what it looked for"""
    need_root()
    need_kvm()
    release = os.uname().release
    for names, status, words in (([], 2, [f"/boot/vmlinuz-{release} and /boot/vmlinuz-\\*"]),
                                 (["vmlinuz-1.2"], 42, ["auto: /boot/vmlinuz-1.2; no initrd"]),
                                 (["vmlinuz-1.2", "initrd.img-1.2"], 42,
                                  ["auto: /boot/vmlinuz-1.2 with /boot/initrd.img-1.2", "booting "
                                   "/boot/vmlinuz-1.2"])):
        there = "".join(f" && cp {MONITOR} /boot/{name}" for name in names)
        script = f'mount --make-rprivate / && mount -t tmpfs none /boot{there} && exec "$@"'
        expect(run("run", "auto", "-m", "64M", wrap=("unshare", "-m", "sh", "-c", script, "sh"),
                   input="q", stdin=None), status, *words)


@case
def initrd_files():
    """an initrd that is missing, or larger than RAM, with KVM and, by a dry run, without"""
    big = scratch("big")
    os.truncate(big, 200 << 20)
    for path, words in (("/nonexistent/initrd", ["/nonexistent/initrd", "No such file"]),
                        (big, ["big", "200", "64"])):
        for r in tried("-k", MONITOR, "-m", "64M", "-i", path):
            expect(r, 2, *words)


# --- what would be started -----------------------------------------------------------------

def dry_run(*args):
    """Run duet --dry-run, where that can be arranged without /dev/kvm."""
    args = ("run", *args, "--dry-run")
    return run(*args) if os.geteuid() else with_dev_kvm("mount -t tmpfs none /dev", *args)


def tried(*args):
    """Results of a dry run, and of a run where there is a KVM."""
    return [dry_run(*args)] + ([run("run", *args)] if have_kvm() else [])


def elf_end(path):
    """The first address behind the segments of a 64-bit ELF file."""
    elf = open(path, "rb").read()
    first, size, count = *struct.unpack_from("<Q", elf, 32), *struct.unpack_from("<HH", elf, 54)
    heads = [struct.unpack_from("<II6Q", elf, first + i * size) for i in range(count)]
    return max(head[4] + head[6] for head in heads if head[0] == 1)


@case
def dry_run_of_all_devices():
    """--dry-run prints the machine, without KVM, and opens, makes and changes nothing"""
    disk, marks = scratch("dry.img", b"x" * 8192), scratch("dry.marks", b"kept")
    r = dry_run(MONITOR, "-m", "64M", "-c", "2", "-n", "e1000,tap=tap0,itr=off,poll=off,"
                "coalesced=off,ram=off", "-n", f"virtio,listen={SCRATCH}/wire,ladder=qemu,mtu=9000,"
                f"pcap={SCRATCH}/dry.pcap", "-n", "virtio,tap=tap2,vhost=on",
                "-d", f"{disk},ro", "--rng", "-a", "quiet",
                "--stats", f"{SCRATCH}/dry.json", "--marks", marks, "--sandbox", "off",
                "--timeout", "5", "--serial2", f"{SCRATCH}/dry.ttyS1")
    expect(r, 0)
    assert r.stdout == f"""\
kernel     {MONITOR}
  file     ELF, {os.path.getsize(MONITOR)} bytes
  entry    0x100000, 32 bits, by its PVH note
  needs    RAM up to {elf_end(MONITOR):#x} to start
initrd     none
cmdline    quiet
cpus       2
memory     65536 KiB
  e820     0x000000000-0x00009fbff RAM
  e820     0x00009fc00-0x00009ffff reserved
  e820     0x0000e0000-0x0000fffff reserved
  e820     0x000100000-0x003ffffff RAM
ttyS0      port 0x3f8, GSI 4, stdin and stdout
ttyS1      port 0x2f8, GSI 3, {SCRATCH}/dry.ttyS1
00:00.0    8086:0d57, host bridge
00:01.0    8086:100e, net0: e1000
  BAR0     memory 0xc0000000-0xc001ffff
  BAR2     ports 0x1000-0x1007
  INTA#    GSI 17
  MAC      52:54:00:12:34:56
  ladder   offload-tx+offload-rx+zero-copy+worker+kick
  backend  tap tap0
00:02.0    1af4:1041, net1: virtio
  BAR0     memory 0xc0020000-0xc0023fff
  BAR1     memory 0xc0024000-0xc0024fff
  INTA#    GSI 18
  MSI-X    4 messages
  MAC      52:54:00:12:34:57
  MTU      9000
  ladder   qemu
  backend  listen {SCRATCH}/wire
  pcap     {SCRATCH}/dry.pcap
00:03.0    1af4:1041, net2: virtio
  BAR0     memory 0xc0028000-0xc002bfff
  BAR1     memory 0xc002c000-0xc002cfff
  INTA#    GSI 19
  MSI-X    4 messages
  MAC      52:54:00:12:34:58
  vhost    on
  backend  tap tap2
00:10.0    1af4:1042, disk0: virtio-blk
  BAR0     memory 0xc0030000-0xc0033fff
  BAR1     memory 0xc0034000-0xc0034fff
  INTA#    GSI 16
  MSI-X    2 messages
  file     {disk}
  size     8192 bytes, read-only
00:1f.0    1af4:1044, virtio-rng
  BAR0     memory 0xc0038000-0xc003bfff
  BAR1     memory 0xc003c000-0xc003cfff
  INTA#    GSI 23
  MSI-X    2 messages
stats      {SCRATCH}/dry.json
marks      {marks}
accounting on
sandbox    off
timeout    5 s
""", r.stdout
    assert not r.stderr, r.stderr
    for name in ("wire", "dry.pcap", "dry.json", "dry.ttyS1"):
        assert not os.path.exists(f"{SCRATCH}/{name}"), name
    assert open(marks, encoding="ascii").read() == "kept"


@case
def dry_run_of_a_bzimage():
    """--dry-run of a bzImage: who unpacks it, where it begins, where the initrd is"""
    bz = bytearray(0x1000)
    bz[0x1f1] = 1
    bz[0x202:0x206] = b"HdrS"
    for form, at, value in (("I", 0x1f4, 0xc0), ("H", 0x1fe, 0xaa55), ("H", 0x200, 0x66eb),
                            ("H", 0x206, 0x20f), ("B", 0x211, 1), ("I", 0x22c, 0x7fffffff),
                            ("H", 0x236, 1), ("I", 0x238, 255), ("Q", 0x258, 0x1000000),
                            ("I", 0x260, 0x200000)):
        struct.pack_into("<" + form, bz, at, value)
    kernel, initrd = scratch("dry.bz", bz), scratch("dry.initrd", b"x" * 5000)
    said = expect(dry_run(kernel, "-i", initrd, "-m", "4G", "--unpack", "guest"), 0)
    assert said.startswith(f"""\
kernel     {kernel}
  file     bzImage, 4096 bytes
  unpacked by the guest
  entry    0x1000200, 64 bits, by Linux's boot protocol
  needs    RAM up to 0x1200000 to start
initrd     {initrd}
  file     5000 bytes at 0x7fffe000
cmdline    console=ttyS0 panic=-1 reboot=panic_warm
"""), said
    expect(dry_run(kernel, "-m", "4G"), 0, "0x100000000-0x13fffffff RAM")


@case
def dry_run_refuses():
    """--dry-run refuses what duet run would; of exec there is none"""
    for args, words in ((["-i", "/nonexistent/initrd"], ["/nonexistent/initrd", "No such file"]),
                        (["-d", scratch("dry.empty")], ["dry.empty", "empty"]),
                        (["--stats", "/nonexistent/dir/file"], ["--stats", "No such file"]),
                        (["--marks", "/"], ["--marks", "directory"]),
                        (["--stats", ""], ["--stats", "No such file"]),
                        (["--serial2", "fd:77"], ["fd:77"]),
                        (["--user", "nobody-of-that-name"], ["--user"]),
                        (["-n", "e1000,null,pcap=/nonexistent/p"], ["pcap=/nonexistent/p"])):
        r = dry_run(MONITOR, *args)
        expect(r, 2, *words)
        assert not r.stdout, r.stdout
    refused("--frob")("run", MONITOR, "--dry-run", "--frob")
    expect(run("exec", "--dry-run", "true"), 125, "--dry-run", "duet run")
    with open("/dev/full", "wb") as full:
        r = subprocess.run([DUET, "run", MONITOR, "--dry-run"], stdout=full,
                           stderr=subprocess.PIPE, text=True, check=False)
        assert r.returncode == 3 and "stdout" in r.stderr, r.stderr


# --- the host -------------------------------------------------------------------------

def with_dev_kvm(shell, *args):
    """Run duet in a mount namespace where `shell` has changed /dev/kvm."""
    need_root()
    script = f'mount --make-rprivate / && {shell} && exec "$@"'
    return run(*args, wrap=("unshare", "-m", "sh", "-c", script, "sh"))


@case
def kvm_absent():
    """/dev/kvm absent: status 3 and what to do"""
    for args in (("run", "-k", MONITOR), ("probe",), ("calibrate",)):
        expect(with_dev_kvm("mount -t tmpfs none /dev", *args), 3, "/dev/kvm", "modprobe")


@case
def kvm_not_permitted():
    """/dev/kvm not permitted: status 3 and what to do"""
    need_root()
    need_kvm()
    with tempfile.TemporaryDirectory(dir="/tmp") as d:
        os.chmod(d, 0o755)
        for f in (DUET, MONITOR):
            subprocess.run(["cp", f, d], check=True)
        os.chmod(f"{d}/duet", 0o755)
        for args in (["run", "-k", f"{d}/monitor.elf"], ["probe"]):
            r = subprocess.run(["unshare", "-m", "sh", "-c",
                                "mount --make-rprivate / && cp -a /dev/kvm /tmp/kvm.$$ &&"
                                "chmod 600 /tmp/kvm.$$ && mount --bind /tmp/kvm.$$ /dev/kvm;"
                                "rm -f /tmp/kvm.$$; exec setpriv --reuid=65534 --regid=65534"
                                ' --clear-groups "$@"', "sh", f"{d}/duet", *args],
                               capture_output=True, text=True, check=False)
            expect(r, 3, "/dev/kvm", "[Pp]ermission", "group|kvm")


@case
def kvm_is_something_else():
    """/dev/kvm that is another device"""
    expect(with_dev_kvm("mount -t tmpfs none /dev && mknod /dev/kvm c 1 3", "run", "-k", MONITOR), 3, "/dev/kvm")


# --- taps --------------------------------------------------------------------------------

def in_netns(setup, *args, by=""):
    """Run duet in a network namespace of its own, after `setup` has run there; BY: words of a
    shell that start the command behind them."""
    need_root()
    need_kvm()
    if not os.path.exists("/dev/net/tun"):
        raise Skip("no /dev/net/tun")
    return run(*args, wrap=("unshare", "-n", "sh", "-c", f'{setup}\nexec {by} "$@"', "sh"))


def tap_run(setup, net="virtio,tap=tap0", **kwargs):
    """The monitor guest with a tap."""
    return in_netns(setup, "run", "-k", MONITOR, "-m", "64M", "-n", net, **kwargs)


@case
def tap_missing():
    """no such tap, and not permitted to make one"""
    expect(tap_run(":", by="setpriv --bounding-set=-net_admin --inh-caps=-all"), 3, "tap0",
           "ip tuntap add")


# Runs the command in its arguments, and has tap0 open as long as that runs.
HOLD = """
import fcntl, struct, subprocess, sys
with open("/dev/net/tun", "r+b", buffering=0) as tun:
    fcntl.ioctl(tun, 0x400454ca, struct.pack("16sH22x", b"tap0", 0x1002))
    sys.exit(subprocess.call(sys.argv[1:]))
"""


@case
def tap_busy():
    """a tap that another process has"""
    expect(tap_run("ip tuntap add tap0 mode tap && ip link set tap0 up",
                   by=shlex.join([sys.executable, "-c", HOLD])),
           3, "tap0", "busy|another process")


@case
def tap_not_a_tap():
    """an interface that is no tap"""
    expect(tap_run("ip link add tap0 type bridge && ip link set tap0 up"), 3, "tap0", "not a tap")


@case
def tap_down():
    """a tap that is down is said, with the cure, and the guest runs"""
    need_root()
    r = guest_in_netns("ip tuntap add tap0 mode tap", "-n", "virtio,tap=tap0", keys="q")
    expect(r, 42, "tap0 is down", "ip link set tap0 up")


@case
def tap_without_vnet_hdr():
    """a tap made without vnet_hdr works, and the table of offloads is shown"""
    need_root()
    r = guest_in_netns("ip tuntap add tap0 mode tap && ip link set tap0 up",
                       "-n", "e1000,tap=tap0", "-n", "e1000,null", keys="q")
    expect(r, 42, "net0 on tap:tap0: transmit .*receive", "net1 on null: transmit .*receive")


# --- a running guest ------------------------------------------------------------------------

class Guest:
    """The monitor guest as a child process, on pipes or on a pty."""

    def __init__(self, *args, tty=False, wrap=(), stdin=subprocess.PIPE, stdout=subprocess.PIPE):
        need_kvm()
        argv = [*wrap, DUET, "run", "-k", MONITOR, "-m", "64M", *args]
        self.text = ""
        self.master = None
        if tty:
            self.master, slave = pty.openpty()
            self.before = termios.tcgetattr(slave)
            self.p = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave,
                                      start_new_session=True)
            self.slave = slave
            self.out = self.master
        else:
            self.p = subprocess.Popen(argv, stdin=stdin, stdout=stdout,
                                      stderr=subprocess.PIPE)
            self.out = self.p.stdout.fileno() if self.p.stdout else None

    def read_until(self, word, seconds=30):
        """Collect output until `word` has come."""
        end = time.monotonic() + seconds
        while word not in self.text:
            left = end - time.monotonic()
            assert left > 0, f"no {word!r} in {self.text!r}"
            if select.select([self.out], [], [], left)[0]:
                data = os.read(self.out, 4096)
                assert data, f"end of output without {word!r}: {self.text!r}"
                self.text += data.decode(errors="replace")

    def send(self, keys):
        """Type."""
        fd = self.master if self.master is not None else self.p.stdin.fileno()
        os.write(fd, keys.encode())

    def wait(self, seconds=30):
        """The exit status; kills the guest when it does not come."""
        try:
            return self.p.wait(seconds)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()
            raise AssertionError("the VMM did not end") from None

    def restored(self):
        """Is the terminal as it was?"""
        return termios.tcgetattr(self.slave) == self.before


def guest_in_netns(setup, *args, keys=""):
    """Boot the monitor in a network namespace, type `keys`, return a result."""
    if not os.path.exists("/dev/net/tun"):
        raise Skip("no /dev/net/tun")
    g = Guest(*args, wrap=("unshare", "-n", "sh", "-c", f'{setup} && exec "$@"', "sh"))
    g.read_until("ready")
    g.send(keys)
    status = g.wait()
    err = g.p.stderr.read().decode(errors="replace")
    return subprocess.CompletedProcess(args, status, g.text, err)


def finish(g, status):
    """Wait for the guest and compare its status."""
    got = g.wait()
    assert got == status, f"status {got}, not {status}: {g.text!r}"


@case
def options_in_a_file():
    """@FILE boots a guest with the options in it; what follows wins; mistakes are told by line"""
    need_kvm()
    stats = f"{SCRATCH}/by file.json"
    options = scratch("options", f"""\
# a comment
--kernel {MONITOR} -m 64M
-n e1000,null\t--net virtio,loop
--stats '{stats}' -c 3
""".encode())
    r = run("run", f"@{options}", "-c", "2", input="q", stdin=None)
    expect(r, 42, "ready")
    with open(stats, encoding="utf-8") as f:
        found = json.load(f)
    assert [nic["model"] for nic in found["nics"]] == ["e1000", "virtio"], found["nics"]
    assert len(found["vcpus"]) == 2, found["vcpus"]
    for text, line, words in (("-m 64M\n\n--stats 'x\n", 3, "quote that does not end"),
                              ("-m\n64M\\", 2, "nothing behind"), ("# x\n@more", 2, "another")):
        bad = scratch("bad options", text.encode())
        refused(f"{re.escape(bad)}:{line}: .*{words}")("run", MONITOR, f"@{bad}")
    refused("@/nonexistent", "No such file")("run", MONITOR, "@/nonexistent")


@case
def disk_in_use():
    """a disk that a running guest writes is refused to others, and free when it has ended"""
    disk = scratch("shared", b"x" * 4096)
    g = Guest("-d", disk)
    g.read_until("ready")
    for other in (disk, f"{disk},ro"):
        refused("in use", "two guests")("run", "-k", MONITOR, "-d", other)
    g.send("p")
    assert g.wait() == 0
    g = Guest("-d", f"{disk},ro")
    g.read_until("ready")
    refused("in use")("run", "-k", MONITOR, "-d", disk)
    other = Guest("-d", f"{disk},ro", "--rng")
    other.read_until("ready")
    for guest in (g, other):
        guest.send("p")
        assert guest.wait() == 0


@case
def debug_exit():
    """the guest's own status by the debug-exit port"""
    g = Guest()
    g.read_until("ready")
    g.send("xq")
    finish(g, 42)


@case
def poweroff_and_reset():
    """poweroff and reset end the VMM with status 0"""
    for key in "pr":
        g = Guest()
        g.read_until("ready")
        g.send(key)
        finish(g, 0)


@case
def crash_report():
    """a triple fault: status 4, reason, vCPU, RIP"""
    g = Guest()
    g.read_until("ready")
    g.send("t")
    finish(g, 4)
    said = g.p.stderr.read().decode()
    assert re.search(r"vcpu ?0", said) and "triple fault" in said and \
        re.search(r"rip", said, re.I), said


@case
def stdin_pipe_and_closed():
    """stdin closed, /dev/null or a pipe that ends: the guest runs on"""
    for stdin in (subprocess.DEVNULL, subprocess.PIPE):
        g = Guest(stdin=stdin)
        g.read_until("ready")
        if g.p.stdin:
            g.p.stdin.close()
        time.sleep(0.2)
        assert g.p.poll() is None, "ended with its input"
        g.p.send_signal(signal.SIGTERM)
        g.wait()
    g = Guest(wrap=("sh", "-c", 'exec "$@" <&-', "sh"), stdin=None)
    g.read_until("ready")
    g.p.terminate()
    g.wait()


@case
def stdout_closed():
    """stdout closed, or a pipe whose reader has gone: the VMM does not die of it"""
    g = Guest(wrap=("sh", "-c", 'exec "$@" >&-', "sh"), stdout=None)
    g.send("q")
    finish(g, 42)
    g = Guest()
    g.read_until("ready")
    g.p.stdout.close()
    g.send("xxxxq")
    finish(g, 42)


@case
def stats_file():
    """--stats leaves JSON with the run's facts"""
    path = f"{SCRATCH}/stats.json"
    g = Guest("--stats", path, "-n", "e1000,null", "-n", "virtio,loop")
    g.read_until("ready")
    g.send("xyz")    # each is read and echoed: three reads at least
    g.read_until("xyz")
    g.send("q")
    finish(g, 42)
    with open(path, encoding="utf-8") as f:
        stats = json.load(f)
    assert [n["model"] for n in stats["nics"]] == ["e1000", "virtio"], stats
    assert stats["run"]["exit_status"] == 42, stats
    cpu = stats["vcpus"][0]
    assert sum(cpu["exits"].values()) > 10, stats
    parts = {"kvm_ns", "handler_ns", "wait_ns"}
    spent = sum(cpu[part] for part in parts)
    assert cpu["pending_ns"] == 0 and abs(spent - cpu["wall_ns"]) < cpu["wall_ns"] / 50, cpu
    assert abs(sum(t[part] for t in cpu["time"].values() for part in parts) - spent) < 999, cpu
    times = {t["name"]: t["user_ns"] + t["system_ns"] for t in stats["threads"]}
    assert list(times) == ["main", "io", "watcher", "vcpu0"], stats
    assert 0 < times["vcpu0"] < cpu["wall_ns"] + 20_000_000, stats
    serial = [r for r in stats["buses"]["pio"]["regions"] if r["name"] == "ttyS0"]
    assert serial[0]["reads"] > 10 and 0 < serial[0]["ns"] <= cpu["handler_ns"], stats


def touched(accounts):
    """{name: (reads, writes)} of a list of accounts."""
    return {a["name"]: (a["reads"], a["writes"]) for a in accounts}


@case
def stats_are_exact():
    """a guest that does known accesses: every count is right, and none is left over"""
    need_kvm()
    path = f"{SCRATCH}/exact.json"
    for cpus in ("1", "2"):
        expect(run("run", "-k", ACCESSES, "-m", "64M", "-c", cpus, "-n", "e1000,null",
                   "-n", "virtio,null", "--stats", path), 42)
        with open(path, encoding="utf-8") as f:
            stats = json.load(f)
        e1000, virtio = stats["nics"]
        assert stats["version"] == 2 and stats["accounting"] is True, stats
        assert touched(e1000["registers"]) == {"TDT": (0, 1000), "ICR": (17, 0), "IMS": (0, 5)}, \
            e1000["registers"]
        assert e1000["tx_kicks"] == 1000 and e1000["rx_kicks"] == 0, e1000
        regs = touched(virtio["registers"])
        assert regs.pop("isr") == (7, 0), regs
        # KVM may have taken the doorbells over; what it has left shows in the registers.
        seen = regs.pop("notify0", (0, 0))[1] + regs.pop("notify1", (0, 0))[1]
        assert seen in (0, 43) and not regs, regs
        kicks = [virtio[k] for k in ("rx_kicks", "tx_kicks", "ctrl_kicks")]
        assert kicks == [3, 40, 0], virtio
        ports = touched(stats["buses"]["pio"]["regions"])
        assert ports == {"pci-config": (2, 6), "debug-exit": (0, 1)}, ports
        assert not touched(stats["buses"]["mmio"]["regions"]), stats["buses"]
        assert stats["buses"]["pio"]["unclaimed"] == stats["buses"]["mmio"]["unclaimed"] == 0
        exits = stats["vcpus"][0]["exits"]
        assert exits["io"] == 9 and exits["mmio"] == 1000 + 17 + 5 + 7 + seen, exits
        for nic in stats["nics"]:
            spent = sum(r["ns"] for r in nic["registers"])
            assert 0 < spent <= stats["vcpus"][0]["time"]["mmio"]["handler_ns"], stats


@case
def artificial_exits():
    """--net exits=N makes N exits for each frame that the guest sends, on either NIC"""
    need_kvm()
    path = f"{SCRATCH}/extra.json"
    for e1000, virtio in ((0, 0), (1, 0), (7, 1000)):
        expect(run("run", "-k", FRAMES, "-m", "64M", "-n", f"e1000,null,exits={e1000}",
                   "-n", f"virtio,null,exits={virtio}", "--stats", path), 42)
        with open(path, encoding="utf-8") as f:
            nics = json.load(f)["nics"]
        assert [n["tx_frames"] for n in nics] == [5, 3], nics
        assert [n["extra_exits"] for n in nics] == [5 * e1000, 3 * virtio], nics
        assert not any(n["guest_faults"] for n in nics), nics


@case
def calibrate():
    """calibrate measures exits, or says why it cannot; bad numbers are refused"""
    refused("samples", "1 to 10000")("calibrate", "-n", "0")
    need_kvm()
    result = run("calibrate", "--json", "-n", "2", timeout=600)
    report = json.loads(expect(result, 0))
    assert report["version"] == 1 and report["samples"] == 2, report
    assert report["host"]["flavour"] in ("SVM", "VMX", "software", "unknown"), report
    kinds = {k["name"]: k for k in report["kinds"]}
    assert kinds["pio_write"]["available"] and kinds["sidecar_exit"]["available"], kinds
    for kind in kinds.values():
        assert "median_ns" in kind if kind["available"] else kind["why"], kind
    table = expect(run("calibrate", "-n", "1", timeout=600), 0, r"(?m)^pio_write +[\d.-]+ ")
    assert all(re.search(rf"(?m)^{name} ", table) for name in kinds), table


def marking(path):
    """Run the guest that marks its work, with marks to PATH (None: nowhere)."""
    need_kvm()
    marks = ["--marks", path] if path else []
    return run("run", "-k", MARKS, "-m", "64M", "-n", "e1000,null", "--stats",
               f"{SCRATCH}/marking.json", *marks)


@case
def marks_make_windows():
    """a guest marks its work: the difference of two marks is what lay between, exactly"""
    path = f"{SCRATCH}/marks.jsonl"
    expect(marking(path), 42)
    marks = windows.read_marks(path)
    assert [mark["mark"] for mark in marks] == [7, 8], marks
    window = windows.window(*marks)
    stats = window["stats"]
    assert touched(stats["nics"][0]["registers"]) == {"TDT": (0, 100), "ICR": (9, 0)}, stats
    assert stats["nics"][0]["tx_kicks"] == 100, stats
    # The begin mark's own exit is in: its handler ends after its figures were taken.
    assert stats["vcpus"][0]["exits"] == {"io": 1, "mmio": 109}, stats["vcpus"]
    assert touched(stats["buses"]["pio"]["regions"]) == {"mark": (0, 1)}, stats["buses"]
    assert stats["marks"] == {"taken": 1, "lost": 0, "guest_faults": 0}, stats
    assert windows.complaints(window) == [], window


@case
def marks_only_on_demand():
    """without --marks the port is not there, and the guest can tell"""
    expect(marking(None), 1)


@case
def marks_file_full():
    """a full disk loses marks, says so once, and the guest runs on"""
    said = expect(marking("/dev/full"), 42, "--marks /dev/full: marks are lost: No space left")
    assert said.count("marks are lost") == 1, said
    with open(f"{SCRATCH}/marking.json", encoding="utf-8") as f:
        assert json.load(f)["marks"] == {"taken": 2, "lost": 2, "guest_faults": 0}


@case
def accounting_off():
    """--accounting off: no times, no accounts; the counters count on"""
    import json
    need_kvm()
    path = f"{SCRATCH}/off.json"
    expect(run("run", "-k", ACCESSES, "-m", "64M", "-n", "e1000,null", "-n", "virtio,null",
               "--stats", path, "--accounting", "off"), 42)
    with open(path, encoding="utf-8") as f:
        stats = json.load(f)
    assert stats["accounting"] is False, stats
    assert not any(nic["registers"] for nic in stats["nics"]), stats["nics"]
    assert stats["nics"][0]["tx_kicks"] == 1000 and stats["nics"][1]["tx_kicks"] == 40, stats["nics"]
    vcpu = stats["vcpus"][0]
    assert vcpu["exits"]["io"] == 9 and vcpu["exits"]["mmio"] >= 1029 and vcpu["wall_ns"], vcpu
    assert vcpu["kvm_ns"] == vcpu["handler_ns"] == vcpu["wait_ns"] == vcpu["pending_ns"] == 0, vcpu


def rows(table):
    """The table's lines as lists of words, by their first word (the last wins)."""
    return {line.split()[0]: line.split() for line in table.splitlines() if line.split()}


@case
def stats_table():
    """--stats-table and --stats - print a table at the end"""
    for option in (["--stats-table"], ["--stats", "-"]):
        g = Guest(*option, "-n", "e1000,null")
        g.read_until("ready")
        g.send("q")
        finish(g, 42)
        table = g.p.stderr.read().decode()
        assert "--- debug_exit after" in table and "net0 (e1000 on null)" in table, table
        # One write to the port that ends the run, and it is what ended it.
        assert rows(table)["debug-exit"][1:3] == ["0", "1"], table


def live_stats(g, path):
    """Ask a running guest for its figures, and wait until they are in the file."""
    os.truncate(path, 0)
    g.p.send_signal(signal.SIGUSR1)
    for _ in range(1000):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        if text.endswith("}\n"):
            return json.loads(text)
        time.sleep(0.01)
    raise AssertionError(f"no statistics: {text!r}")


@case
def stats_while_running():
    """SIGUSR1 writes figures while the guest runs on: JSON to the file, else the table"""
    path = f"{SCRATCH}/live.json"
    g = Guest("--stats", path)
    g.read_until("ready")
    for _ in range(3):
        stats = live_stats(g, path)
        cpu = stats["vcpus"][0]
        spent = sum(cpu[p] for p in ("kvm_ns", "handler_ns", "wait_ns", "pending_ns"))
        assert stats["run"]["stop"] == "running" and "exit_status" not in stats["run"], stats
        # The figures are read one after the other while they grow.
        assert abs(spent - cpu["wall_ns"]) < cpu["wall_ns"] / 50 + 5_000_000, cpu
    g.send("q")
    finish(g, 42)
    with open(path, encoding="utf-8") as f:
        assert '"stop": "debug_exit"' in f.read()
    g = Guest()
    g.read_until("ready")
    g.p.send_signal(signal.SIGUSR1)
    said = b""
    while not said.startswith(b"---"):
        said = g.p.stderr.readline()
        assert said, "no table"
    assert said.startswith(b"--- running"), said
    g.send("q")
    finish(g, 42)


@case
def trace_file():
    """--trace writes one line an event to its file"""
    path = f"{SCRATCH}/trace"
    g = Guest("--trace", "pio,exits", "--trace-file", path)
    g.read_until("ready")
    g.send("q")
    finish(g, 42)
    with open(path, encoding="utf-8") as f:
        text = f.read()
    assert re.search(r"^\d+\.\d+ \[vcpu0\] PIO bus_write: .*0xf4", text, re.M), text[-500:]
    assert re.search(r"^\d+\.\d+ \[vcpu0\] PIO bus_read: .*->", text, re.M), text[-500:]
    times = [re.match(r"\d+\.\d{9} \[\w+\] ", line)[0].split()[0] for line in text.splitlines()]
    assert [float(time) for time in times] == sorted(map(float, times)), "not in order of time"
    assert "EXIT vcpu_run_once: enter" in text, text[-500:]


@case
def second_serial_port():
    """--serial2 accepts a file and an inherited descriptor"""
    path = f"{SCRATCH}/serial2"
    g = Guest("--serial2", path)
    g.read_until("ready")
    g.send("q")
    finish(g, 42)
    assert os.path.exists(path)
    refused("serial2", "99")("run", "-k", MONITOR, "--serial2", "fd:99")


# --- least privilege -----------------------------------------------------------------------

def proc_status(path):
    """The fields of a status file in /proc."""
    with open(f"{path}/status", encoding="utf-8") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def threads(pid):
    """{name: its status fields} of each thread of a process, but for those that KVM adds."""
    found = [proc_status(f"/proc/{pid}/task/{tid}") for tid in os.listdir(f"/proc/{pid}/task")]
    return {thread["Name"]: thread for thread in found if not thread["Name"].startswith("kvm-")}


def sandboxed():
    """Does this build confine its threads?"""
    return "sandbox: seccomp" in run("version").stdout


@case
def no_privileges():
    """every thread of a running machine: a filter, no capabilities, no new ones"""
    for option, seccomp in (([], "2"), (["--sandbox", "off"], "0"), (["--sandbox=off"], "0")):
        g = Guest("-c", "2", "-n", "e1000,null", "-d", scratch("confined", b"x" * 512), *option)
        g.read_until("ready")
        seen = threads(g.p.pid)
        # Without filters no vCPU waits until all are there.
        assert option or set(seen) == {"duet", "io", "watcher", "disk0", "vcpu0", "vcpu1"}, seen
        for name, thread in seen.items():
            assert thread["NoNewPrivs"] == "1", (name, thread)
            assert not int(thread["CapPrm"], 16) and not int(thread["CapEff"], 16), (name, thread)
            assert thread["Seccomp"] == (seccomp if sandboxed() else "0"), (name, thread)
        g.send("q")
        finish(g, 42)


# Goes into the VMM in place of a function of the C library's.
STRAY = """
#include <sys/socket.h>
int timerfd_settime(int fd, int flags, const void *new, void *old)
{
	(void)fd, (void)flags, (void)new, (void)old;
	return socket(AF_UNIX, SOCK_STREAM, 0);
}
"""


@case
def sandbox_violation():
    """a system call outside the list ends the VMM with a message; the terminal is restored"""
    if not sandboxed():
        raise Skip("this build has no sandbox")
    library = f"{SCRATCH}/stray.so"
    r = subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, "-xc",
                        scratch("stray.c", STRAY.encode())], check=False)
    needed = subprocess.run(["ldd", DUET], capture_output=True, text=True, check=False).stdout
    if r.returncode or "libc.so" not in needed:
        raise Skip("no compiler, or a static program")
    preload = ("env", f"LD_PRELOAD={library}")
    g = Guest(tty=True, wrap=preload)
    status = g.wait()
    assert status == -signal.SIGSYS, f"status {status}"
    g.read_until("--sandbox off runs without")
    assert re.search(r"duet: sandbox: thread \w+ called socket \(41\), which its role may not; "
                     "please report; --sandbox off runs without", g.text), g.text
    assert g.restored(), "terminal left raw"
    g = Guest("--sandbox", "off", wrap=preload)
    g.send("q")
    finish(g, 42)


@case
def another_user_and_root():
    """--user and --chroot, when all is open: every output is still written"""
    need_root()
    root = f"{SCRATCH}/root"
    os.mkdir(root)
    files = {name: f"{SCRATCH}/confined.{name}" for name in ("stats", "marks", "trace", "serial2")}
    g = Guest("--user", "65534:65533", "--chroot", root, "--stats", files["stats"], "--marks",
              files["marks"], "--trace", "pio,irq,net", "--trace-file", files["trace"],
              "--serial2", files["serial2"], "-d", scratch("rooted", b"x" * 512), "-n",
              "e1000,loop", "-n", "virtio,null,exits=1")
    g.read_until("ready")
    for thread in threads(g.p.pid).values():
        assert thread["Uid"].split() == ["65534"] * 4 and thread["Gid"].split() == ["65533"] * 4
        assert not thread["Groups"].strip(), thread
    assert os.readlink(f"/proc/{g.p.pid}/root") == root, "the root directory is another one"
    cpu = [t["user_ns"] + t["system_ns"] for t in live_stats(g, files["stats"])["threads"]]
    assert all(cpu), cpu
    g.send("q")
    finish(g, 42)
    with open(files["stats"], encoding="utf-8") as f:
        assert json.load(f)["run"]["exit_status"] == 42
    assert os.path.getsize(files["trace"]) > 1000
    expect(run("run", "-k", MARKS, "-m", "64M", "-n", "e1000,null", "--user", "65534:65533",
               "--chroot", root, "--marks", files["marks"]), 42)
    assert [mark["mark"] for mark in windows.read_marks(files["marks"])] == [7, 8]


@case
def bad_users_and_roots():
    """--user, --chroot, --sandbox that cannot be: status 2 or 3 and what to do"""
    refused("sandbox", "maybe", "on or off")("run", "-k", MONITOR, "--sandbox", "maybe")
    expect(boot("--user", "nobody-of-that-name"), 2, "nobody-of-that-name", "UID:GID")
    expect(boot("--user", "4000000000"), 2, "4000000000:GID")
    expect(boot("--chroot", "/nonexistent"), 3, "/nonexistent", "No such file|only root may")
    need_root()
    drop = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
    for option in (["--user", "65534:65534"], ["--chroot", "/proc"]):
        expect(boot(*option, wrap=drop), 3, option[0], "only root may")


@case
def ordinary_user():
    """a user with no more than the group of /dev/kvm, and a tap prepared for it"""
    need_root()
    need_kvm()
    if not os.path.exists("/dev/net/tun"):
        raise Skip("no /dev/net/tun")
    with tempfile.TemporaryDirectory(dir="/tmp") as d:
        os.chmod(d, 0o755)
        for f in (DUET, MONITOR):
            subprocess.run(["install", "-m", "755", f, d], check=True)
        setup = ("mount --make-rprivate / && cd $1 && cp -a /dev/kvm /dev/net/tun . && "
                 "chown 0:4242 kvm && chmod 660 kvm && chmod 666 tun && "
                 "mount --bind kvm /dev/kvm && mount --bind tun /dev/net/tun && "
                 "ip tuntap add tap0 mode tap user 4343 vnet_hdr && ip link set tap0 up && cd / && "
                 "exec setpriv --reuid=4343 --regid=4343 --groups=4242 --inh-caps=-all "
                 '$1/duet run -k $1/monitor.elf -m 64M -n e1000,tap=tap0 -n virtio,null')
        with subprocess.Popen(["unshare", "-m", "-n", "sh", "-c", setup, "sh", d],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as p:
            said, err = p.communicate(b"q", timeout=60)
        assert p.returncode == 42 and b"ready" in said, (p.returncode, said, err)
        assert b"net0 on tap:tap0: transmit" in err, err


def main():
    """Run the cases, or those named."""
    names = sys.argv[2:]
    tally = {"ok": 0, "FAIL": 0, "skip": 0}
    for test in CASES:
        if names and test.__name__ not in names:
            continue
        word, note = "ok", ""
        try:
            test()
        except Skip as why:
            word, note = "skip", f" ({why})"
        except (AssertionError, subprocess.TimeoutExpired, OSError, ValueError) as why:
            word, note = "FAIL", f"\n        {type(why).__name__}: {why}"
        tally[word] += 1
        print(f"  {word:<5} {test.__doc__}{note}", flush=True)
    print(f"{tally['ok']} passed, {tally['FAIL']} failed, {tally['skip']} skipped")
    return 1 if tally["FAIL"] else 0


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        sys.exit(0 if len(sys.argv) > 1 else 2)
    with tempfile.TemporaryDirectory() as SCRATCH:
        sys.exit(main())

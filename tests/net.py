#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What a NIC can be joined to, and captures of it, by the binary: what is said, what is seen.

usage: tests/net.py BUILD_DIR [NAME...]

Each case runs a small guest on any /dev/kvm (guest/pvh/). What cannot be tested here is
skipped and says why. Exit status 0: no failure.
"""
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

import cli
from cli import FRAMES, Skip, case, expect, need_kvm, need_root, refused, run

cli.CASES.clear()   # its own are not ours


def frames(*args, status=42, wrap=()):
    """Run the guest that sends 5 frames on an e1000 and 3 on a virtio-net; what it said, and
    the statistics of its NICs."""
    need_kvm()
    path = f"{cli.SCRATCH}/frames.json"
    said = expect(run("run", "-k", FRAMES, "-m", "64M", *args, "--stats", path, wrap=wrap), status)
    with open(path, encoding="utf-8") as f:
        return said, json.load(f)["nics"]


def pcap_read(path):
    """The frames of a capture file."""
    with open(path, "rb") as f:
        data = f.read()
    magic, major, minor, _, _, _, link = struct.unpack_from("=IHHiIII", data)
    assert (magic, major, minor, link) == (0xa1b23c4d, 2, 4, 1), data[:24]
    at, found = 24, []
    while at < len(data):
        _, nsec, caplen, length = struct.unpack_from("=IIII", data, at)
        assert nsec < 10**9 and caplen == length and at + 16 + caplen <= len(data), at
        found.append(data[at + 16:at + 16 + caplen])
        at += 16 + caplen
    return found


@case
def pcap():
    """pcap= records what each NIC sends and gets, and none where it is off"""
    a, b = f"{cli.SCRATCH}/a.pcap", f"{cli.SCRATCH}/b.pcap"
    said, nics = frames("-n", f"e1000,null,pcap={a}", "-n", f"virtio,null,pcap={b}")
    assert (len(pcap_read(a)), len(pcap_read(b))) == (5, 3), said
    assert not any(n["backend_stats"]["pcap_lost"] for n in nics), nics
    assert {len(f) for f in pcap_read(a) + pcap_read(b)} == {60}
    os.unlink(a)
    frames("-n", "e1000,null", "-n", f"virtio,null,pcap={b}")
    assert not os.path.exists(a) and len(pcap_read(b)) == 3   # overwritten, not appended to


@case
def pcap_in_tshark():
    """tshark reads a capture and finds nothing wrong with it"""
    if not shutil.which("tshark"):
        raise Skip("tshark is not installed")
    path = f"{cli.SCRATCH}/t.pcap"
    frames("-n", f"e1000,null,pcap={path}", "-n", "virtio,null")
    r = subprocess.run(["tshark", "-r", path, "-T", "fields", "-e", "frame.len", "-e",
                        "frame.time_epoch"], capture_output=True, text=True, check=False)
    lines = [line.split() for line in r.stdout.splitlines()]
    assert r.returncode == 0 and [w[0] for w in lines] == ["60"] * 5, r
    assert lines == sorted(lines, key=lambda w: float(w[1])), lines
    assert "cut short" not in r.stderr, r.stderr


@case
def pcap_disk_full():
    """a file that cannot grow loses frames, which is said once and counted; the guest runs on"""
    need_kvm()
    path = f"{cli.SCRATCH}/short.pcap"
    said = expect(run("run", "-k", FRAMES, "-m", "64M", "-n", f"e1000,null,pcap={path}", "-n",
                      "virtio,null", "--stats-table", wrap=("prlimit", "--fsize=200")),
                  42, r"net pcap_lost +3\b")
    assert said.count("frames are missing") == 1, said
    assert len(pcap_read(path)) == 2   # whole ones
    need_root()
    script = f'mount --make-rprivate / && mount -t tmpfs -o size=4k none {cli.SCRATCH} &&' \
        f' head -c 4096 /dev/zero >{cli.SCRATCH}/ballast && exec "$@"'
    expect(run("run", "-k", FRAMES, "-m", "64M", "-n", f"e1000,null,pcap={path}",
               wrap=("unshare", "-m", "sh", "-c", script, "sh")), 2, "short.pcap", "No space left")


@case
def pcap_options():
    """a capture file that cannot be written is said before the guest starts"""
    refused("pcap")("run", "-k", FRAMES, "-n", "e1000,null,pcap=")
    need_kvm()
    expect(run("run", "-k", FRAMES, "-n", "e1000,null,pcap=/nonexistent/f"), 2, "/nonexistent/f",
           "No such file")
    path = f"{cli.SCRATCH}/one.pcap"
    expect(run("run", "-k", FRAMES, "-n", f"e1000,null,pcap={path}", "-n",
               f"virtio,null,pcap={path}"), 2, "one.pcap", "another NIC")


# --- a tap by descriptor --------------------------------------------------------------------

HAND_OVER = """
import fcntl, os, struct, sys
os.dup2(os.open("/dev/net/tun", os.O_RDWR), 7)   # inheritable
if sys.argv[1] != "-":
    fcntl.ioctl(7, 0x400454ca, struct.pack("16sH22x", sys.argv[1].encode(), 0x5002))
os.execvp(sys.argv[2], sys.argv[2:])
"""


@case
def tap_by_descriptor():
    """fd= takes a tap over, needs no privilege, and refuses what is none"""
    need_root()
    if not os.path.exists("/dev/net/tun"):
        raise Skip("no /dev/net/tun")
    hold = ("unshare", "-n", "python3", "-c", HAND_OVER)
    drop = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-all")
    said, nics = frames("-n", "e1000,fd=7", "-n", "virtio,null", wrap=(*hold, "tap0", *drop))
    assert nics[0]["backend"] == "tap:tap0", said
    need_kvm()
    expect(run("run", "-k", FRAMES, "-n", "e1000,fd=7", wrap=(*hold, "-")), 3, "fd=7", "TUNSETIFF")
    expect(run("run", "-k", FRAMES, "-n", "e1000,fd=99"), 3, "fd=99", "no such descriptor")


# A /dev that has the others.
WITHOUT_VHOST = """mount --make-rprivate / && mount -t tmpfs none "$1" &&
    cp -a /dev/kvm /dev/net /dev/null "$1" && mount --bind "$1" /dev && shift && exec "$@" """


@case
def vhost_absent():
    """vhost=on without /dev/vhost-net is refused with the cure, before the guest starts"""
    need_root()
    need_kvm()
    place = f"{cli.SCRATCH}/dev"
    os.mkdir(place)
    expect(run("run", "-k", FRAMES, "-n", "virtio,tap=tap0,vhost=on",
               wrap=("unshare", "-nm", "sh", "-c", WITHOUT_VHOST, "sh", place)), 3,
           "net0: /dev/vhost-net: no such device", "modprobe vhost_net")


# --- sockets ----------------------------------------------------------------------------------

@case
def stream():
    """stream= sends frames to a socket as QEMU and passt expect them"""
    need_kvm()
    path = f"{cli.SCRATCH}/qemu.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen(1)
        said, nics = frames("-n", f"e1000,stream={path}", "-n", "virtio,null")
        with listener.accept()[0] as peer:
            wire = b"".join(iter(lambda: peer.recv(65536), b""))
    assert wire[:4] == struct.pack("!I", 60) and len(wire) == 5 * 64, wire
    assert "in software: csum" in said, said
    assert nics[0]["backend_stats"]["tx_frames"] == 5, nics
    expect(run("run", "-k", FRAMES, "-n", f"e1000,stream={path}.no"), 3, "no such socket", "listen=")
    expect(run("run", "-k", FRAMES, "-n", f"e1000,stream={path}"), 3, "nobody listens")


@case
def two_guests():
    """one guest's listen= takes another's stream=, which leaves; the first runs on"""
    path = f"{cli.SCRATCH}/joined.sock"
    g = cli.Guest("-n", f"virtio,listen={path}")
    g.read_until("ready")
    expect(run("run", "-k", FRAMES, "-n", f"virtio,listen={path}"), 3, "taken")
    frames("-n", f"e1000,stream={path}", "-n", "virtio,null")
    g.send("q")
    _, said = g.p.communicate(timeout=60)
    assert g.p.returncode == 42, said
    assert re.search(r"a peer is connected\n(?s:.*)the peer closed the connection", said.decode())


@case
def socket_options():
    """a socket's path that is none"""
    for kind in ("stream", "listen"):
        refused(f"{kind}=", "107")("run", "-k", FRAMES, "-n", f"e1000,{kind}=")
        refused(f"{kind}=", "107")("run", "-k", FRAMES, "-n", f"e1000,{kind}=/{'x' * 107}")


# --- passt --------------------------------------------------------------------------------------

ROUTED = ("ip link set lo up && ip tuntap add up0 mode tap && ip addr add 10.9.0.2/24 dev up0 &&"
          " ip link set up0 up && ip route add default via 10.9.0.1 &&")


def passts():
    """The passt processes of this test's scratch directory that are no zombies."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                words = f.read().split(b"\0")
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
                state = f.read().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if words[0] == b"passt" and b"127.0.0.1/%d:22" % PORT in words and state not in "ZX":
            found.append(pid)
    return found


PORT = 20000 + os.getpid() % 10000   # tells ours from other people's


def need_passt():
    """Skip where passt cannot be tried."""
    need_root()
    need_kvm()
    if not shutil.which("passt"):
        raise Skip("passt is not installed")
    if not os.path.exists("/dev/net/tun"):
        raise Skip("no /dev/net/tun")


def gone():
    """passt ends soon after our end of the socket is closed."""
    for _ in range(100):
        if not passts():
            return
        time.sleep(0.1)
    raise AssertionError(f"passt is still there: {passts()}")


@case
def user():
    """user starts passt, which listens at forwarded ports and ends with duet, killed or not"""
    need_passt()
    wrap = ("unshare", "-n", "sh", "-c", ROUTED + ' exec "$@"', "sh")
    net = f"virtio,user,hostfwd=tcp:{PORT}:22"
    for end in ("q", "kill"):
        g = cli.Guest("-n", net, wrap=wrap)
        g.read_until("ready")
        assert len(passts()) == 1
        if end == "kill":
            g.p.kill()
        else:
            g.send("q")
        assert g.p.wait(30) == (42 if end == "q" else -9)
        gone()
    expect(run("run", "-k", FRAMES, "-n", "e1000,user,hostfwd=tcp:9.9.9.9:80:80", wrap=wrap), 3,
           "passt could not start", "9.9.9.9/80:80")
    gone()


@case
def user_without():
    """user without passt, and where there is no network: what to do"""
    need_kvm()
    r = run("run", "-k", FRAMES, "-n", "e1000,user", env={"PATH": "/nonexistent"})
    expect(r, 3, "apt install passt")
    need_passt()
    expect(run("run", "-k", FRAMES, "-n", "e1000,user", wrap=("unshare", "-n")), 3,
           "passt could not start: .*nterface")


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        sys.exit(0 if len(sys.argv) > 1 else 2)
    with tempfile.TemporaryDirectory() as cli.SCRATCH:
        sys.exit(cli.main())

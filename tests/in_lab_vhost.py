# SPDX-License-Identifier: MIT
"""Cases of tests/in_lab.py: vhost=on, where the host's kernel moves the frames. All are long."""
import base64
import os
import subprocess

import stressing
from booting import GUEST, ROOT, boot, only
from cases import Skip, long_case


def need_vhost():
    """Skip where the host's kernel cannot move frames. Opening loads the module."""
    try:
        os.close(os.open("/dev/vhost-net", os.O_RDWR))
    except OSError as why:
        raise Skip(f"/dev/vhost-net: {why.strerror}") from why


def moved_by_kernel(lines, slot):
    """All that was sent and received passed the kernel alone, and the tap lost nothing."""
    stats = only(lines, "stats")[0]
    nic, tap = stats["stats"]["nics"][slot - 1], stats["taps"][slot - 1]
    assert nic["frames_by"] == "vhost" and nic["tx_kicks"] and nic["guest_faults"] == 0, nic
    assert not nic["tx_frames"] and not any(nic["backend_stats"].values()), nic
    assert tap["rx_packets"] > 600 and tap["tx_packets"] > 600, tap
    assert not tap["tx_dropped"] and not tap["rx_dropped"], tap
    return nic


@long_case
def vhost():
    """vhost=on beside an e1000 and a virtio-net of ours: every byte checked, none moved by duet"""
    need_vhost()
    lines = boot("integrity", "--timeout", "600", "-n", "e1000", "-n", "virtio", "-n",
                 "virtio,vhost=on", "--set", "bytes=2M", "--set", "datagrams=600")
    assert [v["ok"] for v in only(lines, "verdict")] == [True] * 3, lines
    nic = moved_by_kernel(lines, 3)
    assert not nic["features"] & sum(1 << bit for bit in (18, 19, 20)), "a filter was offered"


@long_case
def vhost_line():
    """vhost=on without messages (pci=nomsi): INTA# is raised for the kernel, every byte checked"""
    need_vhost()
    lines = boot("integrity", "--timeout", "600", "-n", "virtio,vhost=on", "-a", "pci=nomsi",
                 "--set", "bytes=2M", "--set", "datagrams=600")
    assert [v["ok"] for v in only(lines, "verdict")] == [True], lines
    assert moved_by_kernel(lines, 1)["irqs"] > 0, lines


@long_case
def vhost_drivers():
    """vhost=on: link down and up, rebind, module reload under checked traffic on two NICs"""
    need_vhost()
    script = base64.b64encode(b"exec stress -n 1 -t 20000 link rebind modules").decode()
    lines = boot("run", "--watch", "--marks", "--timeout", "600", "-i",
                 GUEST / "generic/stress.img", "-n", "virtio,vhost=on", "-n", "virtio",
                 "--set", f"cmd={script}")
    assert len(only(lines, "step")) == 6, lines
    wrong = stressing.complaints(lines)
    assert not wrong, wrong


@long_case
def vhost_reboot():
    """vhost=on: the guest reboots in the middle of traffic, and the VMM ends"""
    need_vhost()
    script = base64.b64encode(b"exec stress -n 1 -t 20000 reboot").decode()
    lines = boot("run", "--watch", "--timeout", "600", "-i", GUEST / "generic/stress.img", "-n",
                 "virtio,vhost=on", "-n", "virtio", "--set", f"cmd={script}")
    wrong = stressing.complaints(lines, "reset")
    assert not wrong, wrong


@long_case
def vhost_hostile():
    """vhost=on: all attacks of the hostile guest on rings that the host's kernel serves"""
    need_vhost()
    r = subprocess.run([ROOT / "tests/hostile.py", "the_way_of_vhost"], stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, errors="replace", check=False)
    assert r.returncode == 0 and "1 passed, 0 failed, 0 skipped" in r.stdout, r.stdout + r.stderr

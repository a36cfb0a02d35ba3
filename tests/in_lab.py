#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Stock kernels in duet: what tests/lab.sh runs inside the lab, or on a /dev/kvm that can.

usage: tests/in_lab.py [NAME...]

Each case is one boot of a distribution's kernel through tools/traffic; what the guest says
comes back as JSON lines. Exit status 0: no failure.
"""
import base64
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import stressing  # noqa: E402
import windows  # noqa: E402
BUILD = pathlib.Path(os.environ.get("BUILD") or ROOT / "build").resolve()
GUEST = BUILD / "guest"
CASES = []

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


def case(function):
    """Register a test function; its docstring is its title."""
    CASES.append(function)
    return function


def traffic(argv, status):
    """Run tools/traffic. In the lab QEMU's own races can end or stall a guest, whatever the VMM
    (docs/testing.md): a boot that crashed or stalled there gets one more chance, and it is said."""
    r = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if os.environ.get("DUET_LAB") and r.returncode in {4, 124} - {status}:
        print(f"        (the lab's processor failed the guest, status {r.returncode}: once more)",
              flush=True)
        r = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                           check=False)
    return r


def boot(mode, *args, status=0):
    """One boot. Returns the JSON lines as a list of dicts."""
    with tempfile.TemporaryDirectory() as scratch:
        console = pathlib.Path(scratch, "console")
        r = traffic([ROOT / "tools/traffic", mode, "-q", "--timeout", "120", "--console", console,
                     *args], status)
        tail = console.read_text(errors="replace")[-1500:] if console.exists() else ""
    wrong = [line[:600] for line in r.stdout.splitlines() if '"ok": false' in line]
    assert r.returncode == status, "\n".join([
        f"status {r.returncode}, not {status}", *wrong, r.stderr[-800:], f"console: {tail}"])
    return [json.loads(line) for line in r.stdout.splitlines() if line.startswith("{")]


def only(lines, kind):
    """The lines of one kind."""
    return [line for line in lines if line["kind"] == kind]


def stop_of(lines):
    """Why the VMM ended, by its own statistics."""
    return only(lines, "stats")[0]["stats"]["run"]["stop"]


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
    lines = boot("integrity", "--set", "bytes=20M", "--set", "datagrams=6000")
    verdicts = only(lines, "verdict")
    assert [v["ok"] for v in verdicts] == [True, True], verdicts
    for stats in only(lines, "stats")[0]["stats"]["nics"]:
        assert stats["guest_faults"] == 0, stats
        assert stats["tx_bytes"] > 20 << 20 and stats["rx_bytes"] > 20 << 20, stats


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
    lines = boot("run", "--watch", "--marks", "--timeout", "240", "-i",
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
    """generic and cloud kernels with 1 and 4 vCPUs: a shell on the console obeys"""
    # Blanks first: what is in the UART when the shell opens the terminal is flushed.
    typed = " " * 32 + "\necho shell-$((6 * 7)) on $(nproc)\npoweroff -f\n"
    for flavour in ("generic", "cloud"):
        for cpus in ("1", "4"):
            r = subprocess.run([BUILD / "duet", "run", "-k", GUEST / flavour / "vmlinux", "-i",
                                GUEST / flavour / "initrd.img", "-c", cpus, "-n", "virtio,null",
                                "-a", "console=ttyS0 quiet mitigations=off"], input=typed,
                               capture_output=True, text=True, errors="replace", timeout=120,
                               check=False)
            said = f"{flavour}, {cpus} vCPUs: status {r.returncode}: {r.stdout[-500:]}{r.stderr}"
            assert r.returncode == 0 and f"shell-42 on {cpus}" in r.stdout, said


@case
def guest_status():
    """a command in the guest gives the VMM its exit status"""
    lines = boot("run", "--set", "cmd=ZXhpdCAzNwo=", status=37)  # exit 37
    assert stop_of(lines) == "debug_exit", stop_of(lines)


def main():
    """Run the cases, or those named."""
    tally = {"ok": 0, "FAIL": 0}
    os.chdir(ROOT)
    for test in CASES:
        if sys.argv[1:] and test.__name__ not in sys.argv[1:]:
            continue
        word, note, start = "ok", "", time.monotonic()
        try:
            test()
        except (AssertionError, KeyError, IndexError, ValueError, OSError,
                subprocess.TimeoutExpired) as why:
            word, note = "FAIL", f"\n        {type(why).__name__}: {why}"
        tally[word] += 1
        seconds = time.monotonic() - start
        print(f"  {word:<5} {test.__doc__} ({seconds:.0f} s){note}", flush=True)
    print(f"{tally['ok']} passed, {tally['FAIL']} failed")
    return 1 if tally["FAIL"] else 0


if __name__ == "__main__":
    if sys.argv[1:2] in (["-h"], ["--help"]):
        print(__doc__)
        sys.exit(0)
    sys.exit(main())

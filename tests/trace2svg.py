#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""tools/trace2svg on a small trace with known answers.

usage: tests/trace2svg.py [NAME...]

Exit status 0: no failure.
"""
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

import cases
from cases import case

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Two NICs on one I/O thread; net1's lines stand between net0's. A request and its answer on each.
TRACE = """\
0.000000000 [vcpu0] EXIT vcpu_run_once: enter
0.000001000 [vcpu0] EXIT vcpu_exit: io (2)
0.000002000 [vcpu0] EXIT vcpu_run_once: enter
0.001000000 [vcpu0] EXIT vcpu_exit: mmio (6)
0.001000100 [vcpu0] MMIO bus_write: net0 0xfe003818/4 <- 0x5
0.001000200 [vcpu0] MMIO e1000_reg_write: net0: TDT (0x3818) <- 0x5
0.001000300 [vcpu0] EXIT vcpu_run_once: enter
0.001000400 [io] NET nic_work_begin: net1: woken
0.001000500 [io] NET vnet_count_kicks: net1: doorbell of queue 1
0.001000600 [io] NET vnet_tx_send: net1: tx 60 bytes, 1 pieces
0.001000700 [io] NET net_send: tap2: send 60 bytes, flags 0 gso 0 size 0
0.001000800 [io] NET net_send: tap2: sent, error 0
0.001000900 [io] NET vnet_tx_done: net1: tx given back, used idx 1
0.001001000 [io] NET nic_work_begin: net0: woken
0.001001100 [io] NET e1000_tx_one: net0: tx 67 bytes, 1 pieces
0.001001200 [io] NET net_send: tap1: send 67 bytes, flags 0x1 gso 0 size 0
0.001005000 [io] NET net_send: tap1: sent, error 0
0.001005100 [io] NET e1000_tx_publish: net0: tx given back, TDH 5
0.001005200 [io] IRQ e1000_irq_update: net0: INTA# asserted
0.001005300 [io] IRQ pci_intx_set: slot 1: INTA# asserted
0.001005400 [io] IRQ irq_kvm_set: gsi 10 up
0.001006000 [vcpu0] EXIT vcpu_exit: mmio (6)
0.001006100 [vcpu0] IRQ e1000_irq_update: net0: INTA# released
0.001006200 [vcpu0] MMIO e1000_reg_read: net0: ICR (0xc0) -> 0x1
0.001006300 [vcpu0] EXIT vcpu_run_once: enter
0.001007000 [vcpu0] EXIT vcpu_exit: io (2)
0.001007100 [vcpu0] EXIT vcpu_run_once: enter
0.001008000 [vcpu0] EXIT vcpu_exit: mmio (6)
0.001008100 [vcpu0] MMIO e1000_reg_write: net0: IMS (0xd0) <- 0x9d
0.001008200 [vcpu0] EXIT vcpu_run_once: enter
0.002000000 [io] NET nic_work_begin: net0: woken
0.002000100 [io] NET net_recv: tap1: recv 68 bytes
0.002000200 [io] NET e1000_rx_frame: net0: rx 68 bytes, status 0x7
0.002000300 [io] NET e1000_rx_done: net0: rx given back, RDH 1
0.002000400 [io] IRQ e1000_irq_update: net0: INTA# asserted
0.002001000 [vcpu0] EXIT vcpu_exit: mmio (6)
0.002001100 [vcpu0] MMIO e1000_reg_read: net0: ICR (0xc0) -> 0x80
0.002001200 [vcpu0] EXIT vcpu_run_once: enter
0.002002000 [vcpu0] EXIT vcpu_exit: mmio (6)
0.002002100 [vcpu0] MMIO e1000_reg_write: net0: IMS (0xd0) <- 0x9d
0.002002200 [vcpu0] EXIT vcpu_run_once: enter
0.003000000 [io] NET nic_work_begin: net1: woken
0.003000100 [io] NET net_recv: tap2: recv 61 bytes
0.003000200 [io] NET vnet_rx_deliver: net1: rx 61 bytes
0.003000300 [io] NET vnet_rx_deliver: net1: rx given back, used idx 1
0.003000400 [io] IRQ irq_kvm_msi_fire: gsi 25 fired
0.003000500 [io] IRQ vnet_irq_update: net1: interrupt of queue 0
0.004000000 [vcpu0] EXIT vcpu_exit: io (2)
"""


def tool(trace, *options):
    """Run the tool on this trace."""
    with tempfile.TemporaryDirectory() as scratch:
        path = pathlib.Path(scratch, "trace")
        path.write_text(trace, encoding="utf-8")
        return subprocess.run([sys.executable, ROOT / "tools" / "trace2svg", *options, path],
                              capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL)


def refused(trace, *options, said):
    """It fails, says this, and draws nothing."""
    done = tool(trace, *options)
    assert done.returncode == 1 and said in done.stderr and not done.stdout, done
    assert done.stderr.count("\n") == 1, done.stderr


def labels(trace, *options):
    """What the picture says beside its arrows and notes, from top to bottom."""
    done = tool(trace, *options)
    assert done.returncode == 0 and not done.stderr, done
    root = xml.etree.ElementTree.fromstring(done.stdout)
    return [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")
            if element.get("class") in ("", "mid")]


def without_exits(found):
    """Only what the devices and the I/O thread did."""
    return [label for label in found if label != "entry" and not label.startswith("exit")]


@case
def e1000_out():
    """e1000 out: from the doorbell's exit to the entry after IMS, in order, nothing of net1"""
    found = labels(TRACE, "--nic", "net0", "--way", "tx")
    assert found[0] == "exit: mmio (6)" and found[-1] == "entry", found
    assert without_exits(found) == [
        "TDT (0x3818) <- 0x5", "eventfd: woken", "tx 67 bytes, 1 pieces",
        "send 67 bytes, flags 0x1 gso 0 size 0", "sent, error 0", "tx given back, TDH 5",
        "INTA# asserted", "INTA# released", "ICR (0xc0) -> 0x1", "IMS (0xd0) <- 0x9d"], found
    assert found.count("entry") == 3 and not any("io (2)" in label for label in found), found


@case
def e1000_in():
    """e1000 in: from the tap to the entry after IMS"""
    found = labels(TRACE, "--nic", "net0", "--way", "rx")
    assert without_exits(found) == [
        "readable: woken", "recv 68 bytes", "rx 68 bytes, status 0x7", "rx given back, RDH 1",
        "INTA# asserted", "ICR (0xc0) -> 0x80", "IMS (0xd0) <- 0x9d"], found


@case
def virtio_out():
    """virtio out: the doorbell comes by ioeventfd; no interrupt, so it ends when it is given back"""
    found = labels(TRACE, "--nic", "net1", "--way", "tx")
    assert found == ["store to the notify register (ioeventfd, ends in the kernel)",
                     "doorbell of queue 1", "tx 60 bytes, 1 pieces", "send 60 bytes, flags 0 gso 0 size 0",
                     "sent, error 0", "tx given back, used idx 1"], found


@case
def shared_interrupt():
    """e1000 in, INTA# asserted already: it ends with the interrupt that serves both"""
    lines = [line for line in TRACE.splitlines(keepends=True) if not "0.0010059" < line < "0.0015"]
    pending = "".join(line for line in lines if not line.startswith("0.002000400"))
    found = without_exits(labels(pending, "--way", "rx"))
    assert found == ["readable: woken", "recv 68 bytes", "rx 68 bytes, status 0x7",
                     "rx given back, RDH 1", "ICR (0xc0) -> 0x80", "IMS (0xd0) <- 0x9d"], found
    quiet = TRACE.replace("0.002000400 [io] IRQ e1000_irq_update: net0: INTA# asserted\n", "")
    assert without_exits(labels(quiet, "--way", "rx"))[-1] == "rx given back, RDH 1"


@case
def flush():
    """the read of STATUS that flushes the store to IMS is the last thing drawn, no later one"""
    turn = ("0.00220{0}000 [vcpu0] EXIT vcpu_exit: mmio (6)\n"
            "0.00220{0}100 [vcpu0] MMIO e1000_reg_read: net0: STATUS (0x8) -> 0x{0}\n"
            "0.00220{0}200 [vcpu0] EXIT vcpu_run_once: enter\n")
    found = without_exits(labels(TRACE + turn.format(1) + turn.format(2), "--way", "rx"))
    assert found[-2:] == ["IMS (0xd0) <- 0x9d", "STATUS (0x8) -> 0x1"], found


@case
def virtio_in():
    """virtio in: from the tap to the interrupt, once"""
    found = labels(TRACE, "--nic", "net1", "--way", "rx")
    assert found == ["readable: woken", "recv 61 bytes", "rx 61 bytes",
                     "rx given back, used idx 1", "interrupt of queue 0"], found


@case
def unsorted():
    """lines out of order are drawn in the order of time"""
    lines = TRACE.splitlines(keepends=True)
    assert labels("".join(reversed(lines))) == labels(TRACE)


@case
def answered():
    """--after: the first request that the next frame answers, or that answer"""
    assert "rx 68 bytes, status 0x7" in labels(TRACE, "--way", "rx", "--after", "0.0015")
    assert "tx 67 bytes, 1 pieces" in labels(TRACE, "--after", "0")
    refused(TRACE, "--after", "0.0015", said="no answered request after")


@case
def escapes():
    """markup in a trace is text in the picture"""
    evil = TRACE.replace("rx 68 bytes, status 0x7", "rx 68 bytes, <b>&\"'</b>]]>")
    assert "rx 68 bytes, <b>&\"'</b>]]>" in labels(evil, "--way", "rx")
    assert "<b>" not in tool(evil, "--way", "rx").stdout
    titled = tool(TRACE, "--title", "<&>").stdout
    assert "&lt;&amp;&gt;" in titled


@case
def bad_line():
    """a line that is none of a trace is refused by its number"""
    lines = TRACE.splitlines(keepends=True)
    refused("".join(lines[:3] + ["hello\n"] + lines[3:]), said="trace:4: no line of a trace")
    cut = TRACE.rstrip()[:-len(": io (2)")]    # a VMM that was killed while it wrote
    refused(cut, said=f"trace:{len(lines)}: no line of a trace")
    number = next(n for n, line in enumerate(lines, 1) if line.startswith("0.002000000 "))
    refused(TRACE.replace("0.002000000 ", "0.002000 "), said=f"trace:{number}: no line")   # in µs


@case
def no_such():
    """no such NIC, frame or file: said, nothing drawn"""
    refused(TRACE, "--nic", "net7", said="no frame of net7 in the trace: of net0, net1")
    refused(TRACE, "--packet", "2", said="net0 has 1 tx frames, none of number 2")
    refused(TRACE, "--packet", "0", said="none of number 0")
    refused("", said='was "net" traced?')
    done = subprocess.run([sys.executable, ROOT / "tools" / "trace2svg", "/nonexistent"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "/nonexistent: No such file" in done.stderr, done


@case
def batch():
    """a frame out of a large batch is refused, not drawn by the yard"""
    one = [line + "\n" for line in TRACE.splitlines() if " e1000_tx_one" in line]
    refused(TRACE.replace(one[0], one[0] * 100), said="this frame was one of a batch")


@case
def listing():
    """--list numbers the frames as --packet counts them"""
    done = tool(TRACE, "--list", "--nic", "net1")
    assert [line.split()[1:4] for line in done.stdout.splitlines()] == \
        [["tx", "1", "tx"], ["rx", "1", "rx"]], done


if __name__ == "__main__":
    sys.exit(cases.main(__doc__))

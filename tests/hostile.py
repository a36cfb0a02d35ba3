#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A guest that attacks its cards (guest/hostile): the VMM lives, the other card works on.

usage: BUILD=dir tests/hostile.py [NAME...]

The guest marks the end of each attack, so what happened between two marks is that attack's:
the other card sent the one frame that it was asked for and saw no fault, the attacked card's
faults were counted, and after a reset it sent, too. Each rung that changes who looks at the
guest's memory, and when, gets all attacks. Runs on /dev/kvm of any kind.
"""
import concurrent.futures
import copy
import functools
import os
import re
import subprocess
import sys
import tempfile

import cases
from cases import Skip, case, long_case

sys.path.insert(0, str(cases.ROOT / "tools"))
import duetlib  # noqa: E402
import windows  # noqa: E402

BUILD = os.path.abspath(os.environ.get("BUILD", "build"))
DUET = f"{BUILD}/duet"
GUEST = f"{BUILD}/pvh/hostile.elf"
CARDS = ("e1000", "virtio")
LINE = re.compile(r"^(\d+) (\w+) (unlawful|lawful): (.*)$", re.M)
ATTACKS_MIN = 19  # of each card, without those that take two processors
FRAMES_MIN = 40   # that the attacked card sends for each, before and after


def need_kvm():
    """Skip where no guest can run at all."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise Skip("no usable /dev/kvm")


def argv(marks, words, net=("e1000,null", "virtio,null"), cpus=2):
    """The command that has the hostile guest do WORDS."""
    cards = [word for n in net for word in ("-n", n)]
    return [DUET, "run", "-q", "-k", GUEST, "-m", "64M", "-c", str(cpus), *cards, "--marks", marks,
            "-a", words + (" two" if cpus > 1 else "")]


def hostile(words, wrap=(), **kwargs):
    """Run it to its end: (result, marks)."""
    need_kvm()
    with tempfile.TemporaryDirectory() as scratch:
        marks = f"{scratch}/marks"
        result = subprocess.run([*wrap, *argv(marks, words, **kwargs)], stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, errors="replace", timeout=120,
                                check=False)
        return result, windows.read_marks(marks)


def figures(mark):
    """By card: (frames that left it, faults of the guest's)."""
    return {nic["model"]: (nic["backend_stats"]["tx_frames"], nic["guest_faults"])
            for nic in mark["stats"]["nics"]}


def judge(card, result, marks, least=ATTACKS_MIN, ours=True):
    """What the guest said and what was counted, attack by attack. Returns the last figures.

    Not OURS: the host's kernel serves the attacked card; nobody here counts what passes it.
    """
    said = result.stdout + result.stderr
    assert result.returncode == 42, f"status {result.returncode}: {said[-2000:]}"
    assert result.stderr.count("\n") < 20, f"many words: {result.stderr[:2000]}"
    attacks = LINE.findall(said)
    assert len(attacks) == len(marks) >= least, f"{len(marks)} marks: {said}"
    other = CARDS[card == CARDS[0]]
    before = {name: (0, 0) for name in CARDS}
    for (step, name, law, what), mark in zip(attacks, marks):
        now = figures(mark)
        assert (int(step), name) == (mark["mark"], card), (step, name, mark["mark"])
        frames, faults = (now[other][i] - before[other][i] for i in range(2))
        assert (frames, faults) == (1, 0), f"{what}: {other} sent {frames} frames, {faults} faults"
        assert not ours or law == "lawful" or now[card][1] > before[card][1], \
            f"{what}: no fault was counted"
        assert not ours or now[card][0] > before[card][0], f"{what}: {card} sent nothing"
        before = now
    return before


def nets(card, options, backend="null", other="null"):
    """The cards' options, in the order of their slots."""
    net = {name: f"{name},{other}" for name in CARDS}
    net[card] = ",".join(filter(None, [card, backend, options]))
    return [net[name] for name in CARDS]


def attack(card, options, backend="null", words="", least=ATTACKS_MIN, cpus=2):
    """Attacks on CARD, whose other options are these, on that backend; its last figures."""
    result, marks = hostile(f"attack={card} {words}", net=nets(card, options, backend), cpus=cpus)
    judge(card, result, marks, least)
    return marks[-1]["stats"]["nics"][CARDS.index(card)]


def together(*attacks):
    """Several at once: [figures]. Each is the arguments of attack()."""
    with concurrent.futures.ThreadPoolExecutor(len(attacks)) as pool:
        return [run.result() for run in [pool.submit(attack, *args) for args in attacks]]


@case
def the_way_of_qemu():
    """both cards the way QEMU has them; what they send comes back to them"""
    together(*((card, "ladder=qemu", "loop") for card in CARDS))


@case
def each_way_of_the_doorbell():
    """doorbells queued by KVM, irq-page, a worker that does not poll"""
    _, page = together(("e1000", "ram=off", "loop"), ("e1000", "irq=on,irq-page=on", "loop"))
    assert page["irq_page_spells"] > 0, page
    together(("e1000", "ladder=kick"), ("virtio", "ladder=kick", "loop"))


@case
def every_offset():
    """writes of 1, 2, 4, 8 bytes to every offset of every register"""
    together(("e1000", "", "null", "sweep=1 only=16", 1, 1),
             ("virtio", "", "null", "sweep=1 only=18", 1, 1))


def threads_and_files(pid):
    """What a process has of both."""
    names = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/comm", encoding="utf-8") as f:
            names.append(f.read().strip())
    return sorted(names), len(os.listdir(f"/proc/{pid}/fd"))


def read_until(pipe, word):
    """What comes until WORD has."""
    said = ""
    while word not in said:
        data = os.read(pipe.fileno(), 4096)
        assert data, f"the end before {word}: {said[-500:]}"
        said += data.decode(errors="replace")
    return said


@functools.cache
def best(card, options=None):
    """Attack CARD the best way, the other one on a tap where there can be one; with options,
    which may need one, it is on the tap itself.

    (result, marks, threads and files before and after, packets of the tap or None)
    """
    need_kvm()
    tap = os.geteuid() == 0 and os.path.exists("/dev/net/tun")
    setup = "ip tuntap add tap0 mode tap && ip link set tap0 up"
    wrap = ("unshare", "-n", "sh", "-c", f'{setup} && exec "$@"', "sh") if tap else ()
    with tempfile.TemporaryDirectory() as scratch:
        backends = ("null", "tap=tap0" if tap else "null")
        args = [*wrap, *argv(f"{scratch}/marks", f"attack={card} hold",
                             net=nets(card, options, *backends[::-1 if options else 1]))]
        with subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as vmm:
            said = read_until(vmm.stdout, "ready")
            before = threads_and_files(vmm.pid)
            os.write(vmm.stdin.fileno(), b"x")
            said += read_until(vmm.stdout, "done")
            after = threads_and_files(vmm.pid)
            packets = duetlib.tap_counters("tap0", vmm.pid)["rx_packets"] if tap else None
            rest, err = vmm.communicate(b"x", timeout=60)
        result = subprocess.CompletedProcess(args, vmm.returncode, said + rest.decode(),
                                             err.decode())
        return result, windows.read_marks(f"{scratch}/marks"), before, after, packets


@case
def the_best_way():
    """both cards the best way; doorbells were memory, or nobody's, meanwhile"""
    with concurrent.futures.ThreadPoolExecutor(len(CARDS)) as pool:
        runs = list(pool.map(best, CARDS))
    for card, spells, (result, marks, *_) in zip(CARDS, ("ram_spells", "poll_spells"), runs):
        judge(card, result, marks)
        assert marks[-1]["stats"]["nics"][CARDS.index(card)][spells] > 0, marks[-1]


@long_case
def the_way_of_vhost():
    """the host's kernel serves virtio's rings: it sends after each attack, and lets us go"""
    result, marks, before, after, packets = best("virtio", "vhost=on")
    judge("virtio", result, marks, ours=False)
    assert marks[-1]["stats"]["nics"][1]["frames_by"] == "vhost", marks[-1]
    assert marks[-1]["stats"]["nics"][1]["guest_faults"] > len(marks) // 2, marks[-1]
    assert packets > FRAMES_MIN * len(marks), (packets, len(marks))
    assert before == after, (before, after)


@case
def nothing_leaks():
    """after all attacks the VMM has the threads and descriptors that it had before"""
    for card in CARDS:
        before, after = best(card)[2:4]
        assert before == after and "vcpu1" in before[0], (before, after)


@case
def frames_reach_the_host():
    """the other card is on a tap: the host's interface counts every frame it sent"""
    for card in CARDS:
        _, marks, _, _, packets = best(card)
        if packets is None:
            raise Skip("needs root and /dev/net/tun")
        assert packets == len(marks), (packets, len(marks))


@case
def a_card_left_broken_is_noticed():
    """negative twin: not reset after attack 7, the card stays silent, and the status says so"""
    result, marks = hostile("attack=virtio only=7 forget=7")
    assert result.returncode == 107 and not marks, result
    assert "virtio does not send after its reset" in result.stdout, result


@case
def a_lost_frame_is_noticed():
    """negative twin: figures with one frame less, with a fault of the other card's, fail"""
    result, marks = best("virtio")[:2]
    for falsify in (lambda nic: nic["backend_stats"].update(tx_frames=9),
                    lambda nic: nic.update(guest_faults=1)):
        lies = copy.deepcopy(marks)
        falsify(lies[9]["stats"]["nics"][0])
        try:
            judge("virtio", result, lies)
        except AssertionError:
            continue
        raise AssertionError("it was not noticed")


if __name__ == "__main__":
    sys.exit(cases.stage(__doc__))

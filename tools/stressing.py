# SPDX-License-Identifier: MIT
"""What a guest under stress has to fulfil: pure functions over the lines of guest/stress and
tools/traffic. tools/stress runs the guests.

Each returns sentences, one for each thing that is wrong.
"""
import windows

LEAK_KB = 256      # what the allocator may keep for itself between two moments
TIMEOUTS = 10      # rounds, for one in which the driver waits for the kernel's watchdog
IDLE_PERCENT = 1   # of a processor, for a thread of the VMM that has nothing to do


def of_kind(events, *kinds):
    """Those of these kinds."""
    return [event for event in events if event["kind"] in kinds]


def step_complaints(events):
    """Steps that the guest itself found wanting."""
    for event in of_kind(events, "step"):
        if not event["ok"]:
            yield f"{event['step']} on {event['nic']}: {event['error']}"
        elif event["timeouts"] > 1 + event["rounds"] // TIMEOUTS:
            yield (f"{event['step']} on {event['nic']}: the driver gave the card up in "
                   f"{event['timeouts']} of {event['rounds']} rounds")
        elif not event["skipped"] and 2 * event["busy"] < event["rounds"]:
            yield (f"{event['step']} on {event['nic']}: traffic was under way in {event['busy']} "
                   f"of {event['rounds']} rounds only")
    for event in of_kind(events, "selftest"):
        if not event["ok"]:
            yield (f"ethtool -t {event['mode']} on {event['nic']}: {event['failed']} of "
                   f"{event['rounds']} failed: {event['results']} {event['error']}".rstrip())


def held(events):
    """What the VMM's process held: from its first step's end, or in the counted lab, where
    it is looked at every ten seconds, from the second look on: in the first it may be booting."""
    own = [event["process"] for event in of_kind(events, "step", "selftest") if "process" in event]
    return own or of_kind(events, "process")[1:]


def leak_complaints(events):
    """What the VMM's process has more at the end than at the begin."""
    seen = held(events)
    if len(seen) < 2:
        return
    first, last = seen[0], seen[-1]
    for what in ("fds", "threads"):
        if last[what] != first[what]:
            yield f"{what} of the VMM: {first[what]} at the begin, {last[what]} at the end"
    if last["private_kb"] > first["private_kb"] + LEAK_KB:
        yield (f"memory of the VMM: {first['private_kb']} KB at the begin, "
               f"{last['private_kb']} KB at the end")


# Steps after which the driver begins anew, with rings elsewhere.
RESETS = ("link", "ring", "mtu", "fullring", "rebind", "modules")


def doorbells(event):
    """A step's doorbells of its own NIC's transmit ring: times that they became memory, rung by an
    exit, rung in memory. None where they never become memory."""
    nic = event["window"]["stats"]["nics"][event["slot"] - 1]
    if nic["model"] != "e1000" or not {"best", "ram"} & set(nic["ladder"].split("+")):
        return None
    exits = sum(row["writes"] for row in nic["registers"] if row["name"] == "TDT")
    return nic["ram_spells"], exits, nic["tx_kicks"] - exits


def doorbell_complaints(events):
    """Where doorbells are memory while it is busy (rung ram), a reset has each of them exit again, and
    traffic has them be memory again."""
    for event in of_kind(events, "step"):
        if event["step"] not in RESETS or event["skipped"] or not event["ok"]:
            continue
        if not event.get("window"):
            yield f"{event['step']} on {event['nic']}: its marks were not taken"
            continue
        rung = doorbells(event)
        if rung and min(rung) <= 0:
            yield (f"{event['step']} on {event['nic']}: doorbells became memory {rung[0]} times, "
                   f"{rung[1]} exited, {rung[2]} did not")


def driver_frames(event, names):
    """How much these counters of the driver grew, and their names."""
    return {name: event["after"][name] - event["before"][name] for name in names
            if name in event["after"]}


# The driver's words for what the VMM calls tx_frames...
COUNTERS = {
    "tx_frames": ("tx_packets", "tx_queue_0_packets", "net_tx_packets"),
    "rx_frames": ("rx_packets", "rx_queue_0_packets", "net_rx_packets"),
}
VIRTIO_COUNTERS = {   # e1000's octets are a wire's, CRC and padding included
    "tx_bytes": ("tx_queue_0_bytes", "net_tx_bytes"),
    "rx_bytes": ("rx_queue_0_bytes", "net_rx_bytes"),
}


def counted_complaints(events):
    """The driver's own statistics against the VMM's, over the same time."""
    for event in of_kind(events, "counted"):
        if not event.get("window"):
            yield f"{event['nic']}: its marks were not taken"
            continue
        nic = event["window"]["stats"]["nics"][event["slot"] - 1]
        if windows.by_kernel(nic):
            continue
        counters = {**COUNTERS, **({} if nic["model"] == "e1000" else VIRTIO_COUNTERS)}
        for ours, theirs in counters.items():
            grown = driver_frames(event, theirs)
            if not grown:
                yield f"{event['nic']}: the driver has no {' or '.join(theirs)}"
            for name, growth in grown.items():
                if growth != nic[ours]:
                    yield (f"{event['nic']}: the driver counted {growth} {name}, "
                           f"the VMM {nic[ours]} {ours}")


def without_loops(nic):
    """The NIC's counts without frames that it looped back, as many out as in: the loopback test's
    (ethtool -t). They reach no backend."""
    looped = nic["tx_frames"] - windows.sent_by_nic(nic["backend_stats"])
    return {**nic, "tx_frames": nic["tx_frames"] - looped, "rx_frames": nic["rx_frames"] - looped}


def stats_complaints(events, stop):
    """The VMM's own counters of the guest's whole life, and how that ended."""
    lines = of_kind(events, "stats")
    if not lines:
        yield "the VMM left no statistics"
        return
    stats = lines[-1]["stats"]
    if stats["run"]["stop"] != stop:
        yield f"the guest ended by {stats['run']['stop']}, not by {stop}"
    tested = bool(of_kind(events, "selftest"))
    for nic in stats["nics"]:
        looping = tested and nic["model"] == "e1000"
        yield from windows.nic_complaints(without_loops(nic) if looping else nic)
        if nic["guest_faults"]:
            yield f"{nic['name']}: {nic['guest_faults']} guest faults, by a driver that is right"
    yield from windows.tap_complaints(stats, lines[-1]["taps"])


def idle_threads(event):
    """{thread: percent of a processor} over the idle time."""
    seen = event["window"]
    return {thread["name"]: 100 * (thread["user_ns"] + thread["system_ns"]) / seen["ns"]
            for thread in seen["stats"]["threads"]}


def idle_complaints(events):
    """Threads that work though nobody sends. A vCPU's is the guest's own kernel, too."""
    for event in of_kind(events, "idle"):
        if not event.get("window"):
            yield "idle: its marks were not taken"
            continue
        for name, percent in idle_threads(event).items():
            if not name.startswith("vcpu") and percent > IDLE_PERCENT:
                yield f"idle, yet {name} takes {percent:.1f} % of a processor"


def traffic_complaints(events):
    """The agent's own verdicts, where a guest only carries checked traffic."""
    for event in of_kind(events, "error"):
        yield f"{event.get('nic', '')} {event.get('workload', '')}: {event['error']}".strip()
    for event in of_kind(events, "test"):
        if not event["ok"]:
            yield (f"{event['nic']} {event['test']}: {event['lost']} lost, {event['duplicate']} "
                   f"repeated, {event['bad_frames']} damaged, {event['bad_bytes']} bytes wrong, "
                   f"{event['checksum_errors']} checksums wrong")


def lasting(events):
    """Without what a guest said before it was started once more."""
    starts = [n for n, event in enumerate(events) if event["kind"] == "again"]
    return events[starts[-1] + 1:] if starts else events


def complaints(events, stop="poweroff"):
    """All that is wrong with one guest's life."""
    events = lasting(events)
    broken = [event["error"] for event in of_kind(events, "broken")]
    return broken or [*step_complaints(events), *traffic_complaints(events),
                      *leak_complaints(events), *counted_complaints(events),
                      *doorbell_complaints(events),
                      *idle_complaints(events), *stats_complaints(events, stop)]


# ---- combinations of rungs ----

def parse_rungs(text):
    """[(why, e1000's, virtio's)] out of what tests/rungs prints."""
    found = []
    for line in text.splitlines():
        if not line.startswith("#"):
            _, why, e1000, virtio = line.split("\t")
            found.append((why, e1000, virtio))
    return found


def net(model, rungs):
    """The --net that has these rungs: "qemu", "best", "kick+worker"."""
    if rungs in ("qemu", "best"):
        return f"{model},ladder={rungs}"
    return ",".join([model, "ladder=qemu", *(f"{rung}=on" for rung in rungs.split("+"))])

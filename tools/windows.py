# SPDX-License-Identifier: MIT
"""Windows: what a machine did between two of its guest's marks (docs/stats.md, "Windows").

A mark is a line of duet's --marks file: {"mark": label, "ns": since the start, "stats": all of
docs/stats.md}. A window is {"ns": its length, "stats": the same tree, of differences}. Lists of
things with a name (accounts, threads, NICs) are matched by name, others by position; an account
that was not touched is left out, as it is in the statistics.
"""
import json
import pathlib

# Not counters: what has no difference, or no meaning as one.
CONSTANT = {"version", "duet", "accounting", "host", "stop", "exit_status", "ratios", "features"}
WALL_TOLERANCE = 0.02   # of the window
VCPU_PARTS = ("kvm_ns", "handler_ns", "wait_ns", "pending_ns")


def read_marks(path):
    """The marks in that file, in the order they were made."""
    lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def named(items):
    """{name: item} of a list of objects with names, or {index: item}."""
    return {item.get("name", index) if isinstance(item, dict) else index: item
            for index, item in enumerate(items)}


def touched(item):
    """False for an account without accesses."""
    return not isinstance(item, dict) or "reads" not in item or item["reads"] or item["writes"]


def difference(before, after):
    """after - before, through the whole tree; what is missing in BEFORE was 0 then."""
    if isinstance(after, dict):
        before = before or {}
        return {key: difference(before.get(key), value) for key, value in after.items()
                if key not in CONSTANT}
    if isinstance(after, list):
        old = named(before or [])
        return [item for item in (difference(old.get(key), value)
                                  for key, value in named(after).items()) if touched(item)]
    return after if isinstance(after, str) or after is None else after - (before or 0)


def window(begin, end):
    """What lies between two marks."""
    return {"ns": end["ns"] - begin["ns"], "stats": difference(begin["stats"], end["stats"])}


def scaled(tree, factor):
    """Every number in the tree times FACTOR."""
    if isinstance(tree, dict):
        return {key: scaled(value, factor) for key, value in tree.items()}
    if isinstance(tree, list):
        return [scaled(item, factor) for item in tree]
    return tree if isinstance(tree, str) or tree is None else tree * factor


def less(tree, noise):
    """The tree's numbers less those at the same place of NOISE, which may lack some."""
    if isinstance(tree, dict):
        return {key: less(value, (noise or {}).get(key)) for key, value in tree.items()}
    if isinstance(tree, list):
        old = named(noise or [])
        return [less(value, old.get(key)) for key, value in named(tree).items()]
    return tree if isinstance(tree, str) or tree is None else tree - (noise or 0)


def mark_ns(seen):
    """What the begin mark cost: it was under way when its figures were taken."""
    ports = named(seen["stats"]["buses"]["pio"]["regions"])
    return ports["mark"]["ns"] if "mark" in ports else 0


def without_mark(seen):
    """The window as if the mark at its begin had cost nothing."""
    cost = mark_ns(seen)
    noise = {"vcpus": [{"exits": {"io": 1}, "handler_ns": cost, "wall_ns": cost,
                        "time": {"io": {"handler_ns": cost}}}],
             "buses": {"pio": {"regions": [{"name": "mark", "reads": 0, "writes": 1, "ns": cost}]}}}
    return {"ns": seen["ns"] - cost, "stats": less(seen["stats"], noise)}


def rates(idle):
    """What an idle machine does in a second, from a window without traffic."""
    idle = without_mark(idle)
    return scaled(idle["stats"], 1e9 / idle["ns"])


def without_noise(seen, idle_rates):
    """The window less its mark and the idle machine's counts. They come in bursts, one every two
    seconds: a short window's rest may be below 0, that of several is right on average. Times stay:
    an idle processor's are not noise."""
    seen = without_mark(seen)
    noise = scaled(idle_rates, seen["ns"] / 1e9)
    counts = {"vcpus": [{"exits": cpu["exits"]} for cpu in noise["vcpus"]],
              "nics": [{key: value for key, value in nic.items() if key != "locks"}
                       for nic in noise["nics"]]}
    return {"ns": seen["ns"], "stats": less(seen["stats"], counts)}


# ---- do the figures add up? ----

def vcpu_complaints(seen):
    """Each vCPU's pieces of time against the length of the window."""
    for number, cpu in enumerate(seen["stats"]["vcpus"]):
        spent = sum(cpu[part] for part in VCPU_PARTS)
        if abs(spent - seen["ns"]) > WALL_TOLERANCE * seen["ns"]:
            yield (f"vcpu{number}: {' + '.join(VCPU_PARTS)} = {spent / 1e6:.3f} ms in a window of "
                   f"{seen['ns'] / 1e6:.3f} ms")


def sent_by_nic(net):
    """Frames the NIC handed over, by the backend's own count (NET_STATS in devices/net/net.h)."""
    return net["tx_frames"] + net["tx_drops"] - net["sw_segments"] + net["sw_frames"]


def received_by_nic(nic):
    """Frames the NIC took from the backend, by its own count: those that it cut, as they came."""
    return nic["rx_frames"] + nic["rx_drops"] - nic["rx_segments"] + nic["rx_cut"]


def nic_complaints(nic):
    """A NIC's frames against its backend's."""
    net = nic["backend_stats"]
    if nic["tx_frames"] != sent_by_nic(net):
        yield (f"{nic['name']}: {nic['tx_frames']} frames sent, but the backend has "
               f"{sent_by_nic(net)}: {net}")
    if received_by_nic(nic) != net["rx_frames"] + net["rx_drops"]:
        yield (f"{nic['name']}: {received_by_nic(nic)} frames received or dropped, but the backend "
               f"has {net['rx_frames']} and {net['rx_drops']}")


def by_kernel(nic):
    """True if the host's kernel moved its frames (vhost=on), which the VMM then cannot count."""
    return nic.get("frames_by") == "vhost"


def complaints(seen):
    """What does not add up in a window, as a list of sentences; empty if all does."""
    found = list(vcpu_complaints(seen))
    for nic in seen["stats"]["nics"]:
        found += nic_complaints(nic)
    return found


def tap_complaints(stats, taps):
    """The backends' frames of a whole life against what the host's kernel counted."""
    found = []
    for nic, tap in zip(stats["nics"], taps):
        if by_kernel(nic):
            continue
        net = nic["backend_stats"]
        for ours, theirs in (("tx_frames", "rx_packets"), ("rx_frames", "tx_packets")):
            mine = net[ours] + (net["rx_drops"] if ours == "rx_frames" else 0)
            if mine != tap[theirs]:
                found.append(f"{nic['name']}: {mine} {ours} at the backend, but {tap['name']} "
                             f"counted {tap[theirs]} {theirs}")
    return found


# ---- of a whole session: the events of tools/traffic ----

def slots(events):
    """{interface: index of the NIC in the VMM's statistics}; PCI slots count from 1."""
    return {nic["nic"]: int(nic["slot"].split(":")[2].split(".")[0], 16) - 1
            for nic in events if nic["kind"] == "nic"}


def joined(events):
    """The events with a window in each that has marks, made of the marks among them."""
    marks = {event["mark"]: event for event in events if event["kind"] == "mark"}
    found = []
    for event in events:
        begin, end = event.get("marks") or (0, 0)
        if begin in marks and end in marks:
            event = {**event, "window": window(marks[begin], marks[end])}
        if event["kind"] != "mark":
            found.append(event)
    return found


def inconsistencies(events):
    """Everything that should add up and does not, as sentences."""
    found = []
    for event in events:
        who = " ".join(str(event[key]) for key in ("nic", "workload", "round") if key in event)
        if event["kind"] in ("run", "idle") and event.get("window"):
            found += [f"{who or 'idle'}: {what}" for what in complaints(event["window"])]
        elif event["kind"] in ("run", "idle") and event.get("marks"):
            found.append(f"{who or 'idle'}: its marks are missing")
        elif event["kind"] == "stats":
            found += tap_complaints(event["stats"], event.get("taps", ()))
    return found

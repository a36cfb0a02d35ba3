# SPDX-License-Identifier: MIT
"""The exit model (docs/model.md): is e1000 slower than virtio-net because it exits more often?

    predicted = virtio-net's time per unit + extra exits per unit x what one costs
                                           + extra interrupts per unit x what one costs

Pure functions over what tools/compare measured ("runs" with "window", "idle") and what
"duet calibrate --json" printed. A unit is what a person would count: a packet's worth of a
stream, a transaction, a datagram. Times are ns per unit unless said otherwise.
"""
import statistics

import windows

SEGMENT = 1448   # bytes of payload in a full TCP segment at MTU 1500, with timestamps
UNITS = {"tcp_out": "packet", "tcp_in": "packet", "tcp_rr": "transaction",
         "udp_out": "datagram", "udp_in": "datagram"}   # packet: SEGMENT bytes of payload

# What calibrate calls the events of each NIC that this module counts.
IRQ_KIND = {"e1000": "irq_line", "virtio": "msi_irqfd"}
DOORBELLS = ("TDT", "RDT", "notify")   # accounts whose writes the NIC counts as doorbells
KINDS = ("mmio_read", "mmio_write", "pio_read", "pio_write", "ioeventfd_mmio", "coalesced",
         "ram_write", "irq_line", "msi_irqfd", "sidecar_exit")
# What a doorbell is that no access brought: virtio-net's went to an eventfd, e1000's was a store to
# memory (the ram rung).
SPARED = {"e1000": "ram_write", "virtio": "ioeventfd_mmio"}


# ---- one run ----

def time_per_unit(run):
    """What the agent measured, as ns per unit."""
    if run["workload"] in ("tcp_out", "tcp_in"):
        return SEGMENT * 8 * 1e3 / run["value"]   # value: Mbit/s
    return 1e9 / run["value"]


def units(run, nic):
    """Units within the window of a run over NIC: the window's own count, not the agent's."""
    if run["workload"] in ("tcp_out", "tcp_in"):
        return run["total"] / SEGMENT
    if run["workload"] == "tcp_rr":
        return run["total"]
    return nic["tx_frames" if run["workload"] == "udp_out" else "rx_frames"]


def doorbells_spared(nic):
    """Doorbells the NIC heard that no access brought."""
    rung = sum(nic[kind] for kind in ("tx_kicks", "rx_kicks", "ctrl_kicks"))
    return rung - sum(account["writes"] for account in nic["registers"]
                      if account["name"].startswith(DOORBELLS))


def events(tree, slot):
    """{kind of calibrate: how many} in a window's statistics, of a run over the NIC in SLOT.
    Port accesses are the whole machine's: no NIC is behind a port."""
    nic = tree["nics"][slot]
    ports = tree["buses"]["pio"]["regions"]
    queued = tree["buses"].get("mmio", {}).get("coalesced", 0) if nic["model"] == "e1000" else 0
    return {
        "mmio_read": sum(account["reads"] for account in nic["registers"]),
        "mmio_write": sum(account["writes"] for account in nic["registers"]) - queued,
        "coalesced": queued,
        "pio_read": sum(port["reads"] for port in ports),
        "pio_write": sum(port["writes"] for port in ports),
        **dict.fromkeys(SPARED.values(), 0), SPARED[nic["model"]]: doorbells_spared(nic),
        IRQ_KIND[nic["model"]]: nic["irqs"],
        "sidecar_exit": nic.get("extra_exits", 0),
    }


def time_split(run, seen):
    """Where the vCPUs' time of a window went, ns. What passed after the last arrival of a run is
    no part of it; there the guest was halted."""
    cpus = seen["stats"]["vcpus"]
    return {"guest and KVM": sum(cpu["kvm_ns"] + cpu["pending_ns"] for cpu in cpus)
            - run.get("quiet_ns", 0) * len(cpus),
            "handler": sum(cpu["handler_ns"] for cpu in cpus),
            "lock wait": sum(cpu["wait_ns"] for cpu in cpus)}


def processor_split(seen):
    """Processor time of the threads, ns: the I/O thread's, the watcher's, and of all vCPUs
    together. Sums are exact, user time is in steps of a tick: it may be more than all there was."""
    threads = windows.named(seen["stats"]["threads"])
    both = threads["io"]["user_ns"] + threads["io"]["system_ns"]
    user = min(threads["io"]["user_ns"], both)
    spent = {str(name): thread["user_ns"] + thread["system_ns"] for name, thread in threads.items()}
    return {"user": user, "system": both - user, "watcher": spent.get("watcher", 0),
            "vcpus": sum(ns for name, ns in spent.items() if name.startswith("vcpu"))}


# ---- all runs of a workload over a NIC ----

def added(pairs):
    """The sum of dicts, each divided by the same total: [(dict, weight)] to {key: per weight}."""
    total = sum(weight for _, weight in pairs)
    keys = dict.fromkeys(key for counts, _ in pairs for key in counts)
    return {key: sum(counts.get(key, 0) for counts, _ in pairs) / total for key in keys}


def profile(runs, idle_rates):
    """What a unit takes, over all RUNS of one workload and NIC that have a window; None if none
    has. Times are the rounds' median; counts are totals over totals."""
    seen = []
    for run in runs:
        if run.get("window") and run.get("slot") is not None:
            clean = windows.without_noise(run["window"], idle_rates)
            nic = clean["stats"]["nics"][run["slot"]]
            if units(run, nic) > 0:
                seen.append((run, clean, nic, units(run, nic)))
    if not seen:
        return None
    times = [time_per_unit(run) for run, *_ in seen]
    model = seen[0][2]["model"]
    return {
        "model": model, "n": len(seen), "ns": statistics.median(times), "ns_min": min(times),
        "ns_max": max(times), "units": sum(count for *_, count in seen),
        "events": added([(events(clean["stats"], run["slot"]), count)
                         for run, clean, _, count in seen]),
        "registers": added([({a["name"]: a["reads"] + a["writes"] for a in nic["registers"]},
                             count) for _, _, nic, count in seen]),
        "split": added([(time_split(run, clean), count) for run, clean, _, count in seen]),
        "processor": added([(processor_split(clean), count) for _, clean, _, count in seen]),
        "frames": added([({"tx": nic["tx_frames"], "rx": nic["rx_frames"]}, count)
                         for _, _, nic, count in seen]),
    }


def profiles(runs, idle):
    """{workload: {model: profile}}, in the order they ran."""
    idle_rates = windows.rates(idle["window"])
    table = {}
    for workload in dict.fromkeys(run["workload"] for run in runs):
        table[workload] = {}
        for nic in sorted({run["nic"] for run in runs}):
            found = profile([run for run in runs
                             if (run["workload"], run["nic"]) == (workload, nic)], idle_rates)
            if found:
                table[workload][found["model"]] = found
    return table


# ---- the model ----

def costs(calibration):
    """{kind: median ns} of what duet calibrate could measure."""
    return {kind["name"]: kind["median_ns"] for kind in calibration["kinds"] if kind["available"]}


def predict(slow, fast, cost):
    """The model's row for one workload: profiles of e1000 and virtio-net, costs by kind."""
    terms, missing = [], []
    for kind in KINDS:
        extra = slow["events"].get(kind, 0) - fast["events"].get(kind, 0)
        if not extra:
            continue
        if kind in cost:
            terms.append({"kind": kind, "extra": extra, "cost_ns": cost[kind],
                          "ns": extra * cost[kind]})
        elif abs(extra) > 0.001:
            missing.append(kind)
    explained = sum(term["ns"] for term in terms)
    gap = slow["ns"] - fast["ns"]
    rest = gap - explained
    return {"base_ns": fast["ns"], "measured_ns": slow["ns"], "gap_ns": gap, "terms": terms,
            "missing": missing, "predicted_ns": fast["ns"] + explained, "rest_ns": rest,
            "rest_percent": 100 * rest / slow["ns"],
            "explained_percent": 100 * explained / gap if gap else None}


def predictions(table, cost):
    """{workload: predict()} for those that both NICs ran."""
    return {workload: predict(nics["e1000"], nics["virtio"], cost)
            for workload, nics in table.items() if {"e1000", "virtio"} <= set(nics)}


# ---- its validation: artificial exits ----

def line(points):
    """Least squares through [(x, y)]: slope, intercept and R2; None where there is no line, no R2
    where there are two points only, as it says nothing then."""
    if len({x for x, _ in points}) < 2:
        return None
    mean_x = statistics.fmean(x for x, _ in points)
    mean_y = statistics.fmean(y for _, y in points)
    xx = sum((x - mean_x) ** 2 for x, _ in points)
    xy = sum((x - mean_x) * (y - mean_y) for x, y in points)
    yy = sum((y - mean_y) ** 2 for _, y in points)
    return {"slope": xy / xx, "intercept": mean_y - xy / xx * mean_x,
            "r2": None if len(points) < 3 else xy ** 2 / (xx * yy) if yy else 1.0}


def validation(boots, cost):
    """BOOTS: [(N, profiles)] with N artificial exits per frame. For each workload and model: what
    the model predicts from the boot without any, what was measured, and the line through them. It
    is predict(), with all the exits and interrupts that a boot had more: being slower is enough to
    have some, where two causes do not share an interrupt any more."""
    rows = []
    if "sidecar_exit" not in cost:
        return rows
    base = next((table for number, table in boots if number == 0), {})
    for workload, nics in base.items():
        for model, start in nics.items():
            points = []
            for number, table in boots:
                now = table.get(workload, {}).get(model)
                if now:
                    points.append({"exits": number,
                                   "exits_per_unit": now["events"]["sidecar_exit"],
                                   "predicted_ns": predict(now, start, cost)["predicted_ns"],
                                   "measured_ns": now["ns"]})
            rows.append({"workload": workload, "model": model, "points": points,
                         "line": line([(p["predicted_ns"], p["measured_ns"]) for p in points])})
    return rows

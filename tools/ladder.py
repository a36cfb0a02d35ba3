# SPDX-License-Identifier: MIT
"""The ladder (docs/ladder.md) as an experiment: one guest with a NIC for each step, all over the same
backends and taking turns, so that a step is the only difference. Pure functions over what
sessions.collect() made of such a guest; tools/report runs it.

Two guests: in one each step adds to those before it, in the other each rung stands alone on
QEMU's design. virtio-net, at its best, is in both.
"""
import model
from figures import TITLES, figure

CUMULATIVE = [(step, f"e1000,ladder={step}") for step in
              ("qemu", "offload-tx", "offload-rx", "zero-copy", "worker", "itr", "best")]
ALONE = [("qemu", "e1000,ladder=qemu")] + [
    (name, "e1000,ladder=qemu," + ",".join(f"{rung}=on" for rung in name.split("+")))
    for name in ("offload-tx", "offload-rx", "zero-copy", "worker+kick", "itr",
                 "worker+kick+poll+ram")]
VIRTIO = ("virtio-net", "virtio")
SERIES = {"cumulative": [*CUMULATIVE, VIRTIO], "alone": [*ALONE, VIRTIO]}


def nets(series):
    """What tools/traffic calls the NICs of a guest, in the order of their slots."""
    return tuple(net for _, net in SERIES[series])


def by_step(series, compare):
    """{workload: {step: profile}} of model.profile(), for each step that was measured."""
    idle = model.windows.rates(compare["idle"]["window"])
    found = {}
    for run in compare["runs"]:
        found.setdefault(run["workload"], {}).setdefault(run["slot"], []).append(run)
    return {workload: {name: model.profile(slots[slot], idle)
                       for slot, (name, _) in enumerate(SERIES[series]) if slot in slots}
            for workload, slots in found.items()}


def rate(workload, profile):
    """A profile's time per unit as people quote it: Mbit/s or units a second."""
    if workload in ("tcp_out", "tcp_in"):
        return model.SEGMENT * 8 * 1e3 / profile["ns"]
    return 1e9 / profile["ns"]


def rows(steps, cost):
    """[{workload, step, rate, to_virtio, to_before, predicted, explained}]: predicted is the rate
    that the exits alone would make of virtio-net's, explained their share of the gap (percent)."""
    lines = []
    for workload, profiles in steps.items():
        best = profiles.get(VIRTIO[0])
        before = None
        for step, profile in profiles.items():
            if not profile or not best:
                continue
            line = {"workload": workload, "step": step, "rate": rate(workload, profile),
                    "to_virtio": best["ns"] / profile["ns"],
                    "to_before": before["ns"] / profile["ns"] if before else None,
                    "predicted": None, "explained": None}
            if cost and step != VIRTIO[0]:
                told = model.predict(profile, best, cost)
                line["predicted"] = rate(workload, {"ns": told["predicted_ns"]})
                line["explained"] = told["explained_percent"] \
                    if told["gap_ns"] > 0.05 * best["ns"] else None
            lines.append(line)
            before = profile
    return lines


def table(lines):
    """(head, rows) for a table: a step a row, a workload a column: rate, ratio to virtio-net."""
    workloads = list(dict.fromkeys(line["workload"] for line in lines))
    steps = list(dict.fromkeys(line["step"] for line in lines))
    cells = {(line["step"], line["workload"]): line for line in lines}
    return (["step", *[TITLES[workload] for workload in workloads]],
            [[step, *[f"{figure(cells[step, w]['rate'])} ({cells[step, w]['to_virtio']:.2f})"
                      if (step, w) in cells else "-" for w in workloads]] for step in steps])


def model_table(lines):
    """(head, rows): what the exits predict for each step, and their share of the gap."""
    workloads = list(dict.fromkeys(line["workload"] for line in lines))
    cells = {(line["step"], line["workload"]): line for line in lines}
    steps = [step for step in dict.fromkeys(line["step"] for line in lines) if step != VIRTIO[0]]

    def cell(step, workload):
        line = cells.get((step, workload))
        if not line or not line["predicted"]:
            return "-"
        share = "no gap" if line["explained"] is None else f"{line['explained']:.0f} %"
        return f"{figure(line['predicted'])} ({share})"
    return (["step", *[TITLES[workload] for workload in workloads]],
            [[step, *[cell(step, workload) for workload in workloads]] for step in steps])


def panels(lines):
    """For gnuplot.bars: a panel a workload, a bar a step."""
    found = []
    for workload in dict.fromkeys(line["workload"] for line in lines):
        unit = "Mbit/s" if workload in ("tcp_out", "tcp_in") else f"{model.UNITS[workload]}s/s"
        found.append({"title": TITLES[workload], "unit": unit, "rows": [
            (line["step"], line["rate"], line["rate"], line["rate"])
            for line in lines if line["workload"] == workload]})
    return found

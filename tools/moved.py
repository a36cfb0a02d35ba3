# SPDX-License-Identifier: MIT
"""Which figures of two measurements differ by more than their spread: pure functions of tools/diff.
A figure is what one workload over one NIC showed, once a round."""
import statistics

import model
import windows

FEW = 0.01   # per unit: a count below that in both is noise, whatever its ratio


def of_window(run, idle_rates):
    """{name: value per unit} of what a run's window counted; {} if it has none."""
    if not run.get("window") or run.get("slot") is None or not idle_rates:
        return {}
    clean = windows.without_noise(run["window"], idle_rates)
    nic = clean["stats"]["nics"][run["slot"]]
    units = model.units(run, nic)
    if units <= 0:
        return {}
    counts = {f"{kind}/unit": count for kind, count in
              model.events(clean["stats"], run["slot"]).items()}
    counts.update({f"{account['name']}/unit": account["reads"] + account["writes"]
                   for account in nic["registers"]})
    counts.update({f"{name}/unit": nic[name] for name in ("tx_frames", "rx_frames", "tx_kicks",
                                                          "rx_kicks", "wakeups") if name in nic})
    counts.update({f"{piece}, ns/unit": ns for piece, ns in
                   model.time_split(run, clean).items()})
    return {name: count / units for name, count in counts.items()}


def figures(result):
    """{(workload, nic, figure): [a value for each round]}."""
    idle = result.get("idle") or {}
    idle_rates = windows.rates(idle["window"]) if idle.get("window") else None
    table = {}
    for run in result["runs"]:
        values = {run["unit"]: run["value"], **of_window(run, idle_rates)}
        for name, value in values.items():
            table.setdefault((run["workload"], run["nic"], name), []).append(value)
    return table


def common(before, after):
    """The keys that both have."""
    return [key for key in figures(before) if key in figures(after)]


def beyond(old, new, threshold, few):
    """The relative change of the medians, if it is more than THRESHOLD and the ranges do not
    touch; else None. Values that are all below FEW have not moved."""
    if max(map(abs, old + new)) < few:
        return None
    first, second = statistics.median(old), statistics.median(new)
    if min(old) <= max(new) and min(new) <= max(old):
        return None
    change = (second - first) / abs(first) if first else float("inf")
    return change if abs(change) > threshold else None


def compare(before, after, threshold):
    """A row for each figure that moved: (workload, nic, figure, old values, new values, change)."""
    old, new = figures(before), figures(after)
    rows = []
    for key in old:
        if key in new:
            counted = key[2].endswith("/unit") and not key[2].endswith("ns/unit")
            change = beyond(old[key], new[key], threshold, FEW if counted else 0)
            if change is not None:
                rows.append((*key, old[key], new[key], change))
    return rows


def differences_of_setup(before, after):
    """What else is different, so that nobody takes it for the code's doing."""
    sentences = []
    for name, first, second in (
            ("place", before.get("where"), after.get("where")),
            ("KVM", before.get("flavour"), after.get("flavour")),
            ("guest's kernel", before["guest"].get("release"), after["guest"].get("release")),
            ("host's kernel", before["host"].get("release"), after["host"].get("release")),
            ("options", before["options"], after["options"])):
        if first != second:
            sentences.append(f"{name} differs: {first}; {second}")
    missing = set(figures(before)) ^ set(figures(after))
    if missing:
        sentences.append(f"{len(missing)} figure(s) are in one file only")
    return sentences


def spread(values):
    """Median, and the range if there is one."""
    middle = f"{statistics.median(values):.4g}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.4g}–{max(values):.4g})"


def table(rows):
    """Aligned text."""
    lines = [["workload", "NIC", "figure", "before", "after", "change"]]
    lines += [[workload, nic, name, spread(old), spread(new),
               "new" if change == float("inf") else f"{change:+.1%}"]
              for workload, nic, name, old, new, change in rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join(text.ljust(width) if index < 3 else text.rjust(width)
                               for index, (text, width) in enumerate(zip(line, widths))).rstrip()
                     for line in lines)

# SPDX-License-Identifier: MIT
"""Medians, ratios and tables: what tools/compare and tools/peers make of the agent's runs.

Pure functions: they read no file and start nothing (tests/figures.py examines them).
"""
import statistics

TITLES = {"tcp_out": "TCP out", "tcp_in": "TCP in", "tcp_rr": "TCP 1-byte RR",
          "udp_out": "UDP small out", "udp_in": "UDP small in"}


# ---- figures ----

def extent(values):
    """Median and bounds of a list."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def by_round(runs, workload, nic):
    """A NIC's values of a workload: round -> value."""
    return {run["round"]: run["value"] for run in runs
            if (run["workload"], run["nic"]) == (workload, nic)}


def ratio(first, second):
    """first over second, each round with its own: median, bounds and n; None if no round has both."""
    values = [value / second[number] for number, value in first.items() if second.get(number)]
    return {**extent(values), "n": len(values)} if values else None


def summarise(runs, names, pairs):
    """A row for each workload, in the order they ran: each NIC's extent, and in "ratios" that of
    each of PAIRS (label -> two names). A NIC without a run has no extent, a ratio without one is
    None."""
    rows = []
    for workload in dict.fromkeys(run["workload"] for run in runs):
        of_nic = {name: by_round(runs, workload, name) for name in names}
        rows.append({
            "workload": workload,
            "unit": next(run["unit"] for run in runs if run["workload"] == workload),
            "nics": {name: extent(list(values.values()))
                     for name, values in of_nic.items() if values},
            "n": min(len(values) for values in of_nic.values()),
            "ratios": {label: ratio(of_nic.get(first, {}), of_nic.get(second, {}))
                       for label, (first, second) in pairs.items()}})
    return rows


# ---- as text ----

def figure(value):
    """Four significant digits, as people write them."""
    size = abs(value)
    digits = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 10 else 3
    return f"{value:,.{digits}f}"


def cell(row, name):
    """A NIC's median and half range."""
    found = row["nics"].get(name)
    if not found:
        return "failed", ""
    half = (found["max"] - found["min"]) / 2 / found["median"] if found["median"] else 0
    return figure(found["median"]), f"±{half:.0%}"


def ratio_cell(found):
    """A ratio's median and its bounds."""
    if not found:
        return "-", "-"
    return f"{found['median']:.2f}", f"{found['min']:.2f}–{found['max']:.2f}"


def align(lines, left):
    """Columns: the first LEFT to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join(
        text.ljust(width) if index < left else text.rjust(width)
        for index, (text, width) in enumerate(zip(line, widths))).rstrip() for line in lines)


def heading(result, vmm):
    """What the figures were measured on; VMM says with what."""
    host, guest, options = result["host"], result["guest"], result["options"]
    place = {"lab": "lab (a machine emulated by QEMU TCG)", "kvm": "this machine",
             "counted": "counted lab (QEMU TCG, 1 ns an instruction)"}[result["where"]]
    drivers = ", ".join(dict.fromkeys(f"{nic['driver']} {nic['version']}".strip()
                                      for nic in result["nics"]))
    return "\n".join([
        f"where    {place}; KVM: {result['flavour']}; Linux {host['release']}, {host['cpus']} CPUs",
        f"vmm      {vmm}",
        f"guest    Linux {guest['release']}, {guest['cpus']} vCPU, {options['memory']}, clock "
        f"{guest['clocksource']}; drivers: {drivers}",
    ])

# SPDX-License-Identifier: MIT
"""Medians, ratios and tables: what tools/compare, tools/peers and tools/bench-boot make of runs.

Pure functions: they read no file and start nothing (tests/figures.py examines them).
"""
import statistics

TITLES = {"tcp_out": "TCP out", "tcp_in": "TCP in", "tcp_rr": "TCP 1-byte RR",
          "udp_out": "UDP small out", "udp_in": "UDP small in",
          "init": "process 1", "end": "end", "own": "own memory"}


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


# ---- contenders and their ratios, by workload ----

def spread_of_n(counts):
    """How many rounds the ratios of a line rest on: "3", or "2–3"."""
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low}–{high}"


def together(cells):
    """Pairs of a figure and its spread as one text each, aligned among themselves."""
    width = max(len(spread) for _, spread in cells)
    return [f"{value} {spread:>{width}}" for value, spread in cells]


def column(result, row):
    """A workload's cells: title, unit, each contender's figure, nothing, each ratio."""
    own = [("skipped", "") if name in result["skipped"] else cell(row, name)
           for name in result["contenders"]]
    ratios = [ratio_cell(found) for found in row["ratios"].values()]
    return [TITLES[row["workload"]], row["unit"], *together(own), "", *together(ratios)]


def counts(result):
    """The last column: how many rounds each line's figures rest on."""
    rows = result["summary"]
    of_name = [spread_of_n([sum((run["nic"], run["workload"]) == (name, row["workload"])
                                for run in result["runs"]) for row in rows])
               for name in result["contenders"]]
    of_pair = [spread_of_n([row["ratios"][label]["n"] if row["ratios"][label] else 0
                            for row in rows]) for label in rows[0]["ratios"]]
    return ["", "n", *of_name, "", *of_pair]


def table(result):
    """Contenders, then ratios, by workload."""
    rows = result["summary"]
    names = ["", "", *result["contenders"], "", *rows[0]["ratios"]]
    return align(list(zip(names, *(column(result, row) for row in rows), counts(result))), 1)


# ---- on what ----

def where(result):
    """The line that says on which machine."""
    host = result["host"]
    place = {"lab": "lab (a machine emulated by QEMU TCG)", "kvm": "this machine",
             "counted": "counted lab (QEMU TCG, 1 ns an instruction)"}[result["where"]]
    return (f"where    {place}; KVM: {result['flavour']}; Linux {host['release']}, "
            f"{host['cpus']} CPUs")


def heading(result, vmm):
    """What the figures were measured on; VMM says with what."""
    guest, options = result["guest"], result["options"]
    drivers = ", ".join(dict.fromkeys(f"{nic['driver']} {nic['version']}".strip()
                                      for nic in result["nics"]))
    return "\n".join([
        where(result),
        f"vmm      {vmm}",
        f"guest    Linux {guest['release']}, {guest['cpus']} vCPU, {options['memory']}, clock "
        f"{guest['clocksource']}; drivers: {drivers}",
    ])

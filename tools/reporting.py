# SPDX-License-Identifier: MIT
"""The report itself: text and plots of a results.json (tools/report), for somebody who has not
read the code. write() is the way in; the text is pure functions."""
import gnuplot
import ladder
import model
import windows
from figures import TITLES, figure

NICS = {"e1000": "e1000", "virtio": "virtio-net"}
PLACES = {"lab": "in the lab, a machine emulated by QEMU (TCG)",
          "counted": "in the counted lab, a machine emulated by QEMU (TCG) where a second is 10^9 "
                     "instructions, so that nothing else on the host shows in any figure",
          "kvm": "on this machine's /dev/kvm"}
SPLIT = ("guest and KVM", "handler", "lock wait")
MATTERS = 0.02  # of a workload's accesses: a register with less is among the "other" ones
REGISTERS = 8   # rows and colours of the plot and the table by register; the others are added up


# ---- text ----

def micro(ns):
    """ns as microseconds."""
    return figure(ns / 1000)


def percent(value):
    """A share, or nothing."""
    return "-" if value is None else f"{value:.0f} %"


def table(head, rows):
    """A Markdown table: words to the left, figures to the right."""
    marks = ["---:" if rows and isinstance(cell, str) and cell[:1] in "-0123456789" else "---"
             for cell in (rows[0] if rows else head)]
    lines = [head, marks, *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def where(results):
    """What it was measured on."""
    compare = results["compare"]
    host, guest, options = compare["host"], compare["guest"], compare["options"]
    place = PLACES[results["where"]]
    caution = "" if results["where"] == "kvm" else \
        (" **Times are an emulator's**: compare them with each other and with nothing else. "
         "Counts (exits, interrupts, frames) hold everywhere.")
    each = f"{options['time_ms'] / 1000:g} s per workload" if options.get("time_ms") else \
        "a fixed amount of each workload"
    return (f"Measured {results['made']} {place}; KVM: {results['flavour']}, {host['cpus']} "
            f"processor(s), Linux {host['release']}; {host['version']}. Guest: Linux "
            f"{guest['release']} as the distribution ships it, {guest['cpus']} vCPU, "
            f"{options['memory']}, both NICs in one boot, taking turns: {options['rounds']} "
            f"round(s) of {each}.{caution}\n")


def rates_table(compare):
    """Throughput and rates."""
    rows = []
    for row in compare["summary"]:
        cells = [TITLES[row["workload"]], row["unit"]]
        for nic in sorted({name for r in compare["summary"] for name in r["nics"]}):
            found = row["nics"].get(nic)
            cells.append(f"{figure(found['median'])} ({figure(found['min'])}–"
                         f"{figure(found['max'])})" if found else "failed")
        cells.append(spread(row.get("ratio")))
        rows.append(cells)
    names = sorted({name for r in compare["summary"] for name in r["nics"]})
    return table(["workload", "unit", *names, "ratio"], rows)


def spread(ratio):
    """A ratio and its bounds, or a dash."""
    return f"{ratio['median']:.2f} ({ratio['min']:.2f}–{ratio['max']:.2f})" if ratio else "-"


def time_table(profiles):
    """Where the time of a unit goes."""
    rows = []
    for workload, nics in profiles.items():
        for kind, found in nics.items():
            rows.append([TITLES[workload], NICS[kind], micro(found["ns"]),
                         micro(sum(found["split"].values())),
                         *(micro(found["split"][piece]) for piece in SPLIT),
                         *(micro(found["processor"][piece])
                           for piece in ("vcpus", "user", "system", "watcher"))])
    return table(["workload", "NIC", "measured", "sum", *SPLIT, "vCPU's processor time",
                  "I/O user", "I/O system", "watcher"], rows)


def top_registers(profiles):
    """Names of the registers and queues that matter most, over all workloads."""
    weight = {}
    for nics in profiles.values():
        for found in nics.values():
            most = sum(found["registers"].values()) or 1
            for name, count in found["registers"].items():
                weight[name] = max(weight.get(name, 0), count / most)
    seen = [name for name in weight if weight[name] >= MATTERS]
    return sorted(seen, key=lambda name: (-weight[name], name))[:REGISTERS]


def by_register(found, names):
    """Accesses a unit of those registers, and of all others together."""
    counts = [max(0, found["registers"].get(name, 0)) for name in names]
    rest = sum(count for name, count in found["registers"].items() if name not in names)
    return counts + [max(0, rest)]


def register_table(profiles):
    """Exits by register, and the other events."""
    names = top_registers(profiles)
    rows = []
    for workload, nics in profiles.items():
        for kind, found in nics.items():
            irqs = found["events"].get(model.IRQ_KIND[kind], 0)
            rows.append([TITLES[workload], NICS[kind],
                         *(figure(count) for count in by_register(found, names)),
                         figure(sum(found["events"][kind] for kind in model.SPARED.values())),
                         figure(irqs),
                         figure(found["frames"]["tx"]), figure(found["frames"]["rx"])])
    return table(["workload", "NIC", *names, "other", "doorbells spared", "interrupts", "frames out",
                  "frames in"], rows)


def cost_table(calibration):
    """What an event costs here."""
    rows = []
    for kind in calibration["kinds"]:
        if kind["available"]:
            rows.append([f"`{kind['name']}`", micro(kind["median_ns"]),
                         f"{micro(kind['q1_ns'])}–{micro(kind['q3_ns'])}", kind["what"]])
        else:
            rows.append([f"`{kind['name']}`", "-", "-", f"not available: {kind['why']}"])
    return table(["kind", "median, µs", "middle half", "an event is"], rows)


def model_table(predictions):
    """Predicted against measured."""
    rows = []
    for workload, row in predictions.items():
        interrupts = sum(t["ns"] for t in row["terms"] if t["kind"] in model.IRQ_KIND.values())
        exits = row["predicted_ns"] - row["base_ns"] - interrupts
        rows.append([TITLES[workload], micro(row["base_ns"]), micro(exits), micro(interrupts),
                     micro(row["predicted_ns"]), micro(row["measured_ns"]), micro(row["rest_ns"]),
                     percent(row["rest_percent"]), percent(row["explained_percent"])])
    return table(["workload", "virtio-net", "+ extra exits", "+ extra interrupts", "= predicted",
                  "e1000 measured", "unexplained", "of measured", "of the gap explained"], rows)


def validation_table(rows):
    """Slope and R2 of each line, and its points."""
    lines = []
    for row in rows:
        fit = row["line"]
        lines.append([TITLES[row["workload"]], NICS[row["model"]],
                      f"{fit['slope']:.2f}" if fit else "-",
                      f"{fit['r2']:.3f}" if fit and fit["r2"] is not None else "-",
                      "; ".join(f"{p['exits']}: {micro(p['predicted_ns'])} / "
                                f"{micro(p['measured_ns'])}" for p in row["points"])])
    return table(["workload", "NIC", "slope", "R²", "exits a frame: predicted / measured, µs"], lines)


def ladder_tables(series):
    """What each step brings, what is left, and what the exits say to that."""
    parts = []
    if "cumulative" in series:
        parts += ["Each step with all before it; in brackets its ratio to virtio-net:\n",
                  table(*ladder.table(series["cumulative"])),
                  "The rate that virtio-net would have with this step's exits and interrupts; in "
                  "brackets the share of the gap to virtio-net that they explain:\n",
                  table(*ladder.model_table(series["cumulative"]))]
    if "alone" in series:
        parts += ["Each rung alone, on QEMU's design:\n", table(*ladder.table(series["alone"]))]
    return "\n".join(parts)


def peers_table(peers):
    """QEMU beside duet."""
    names = list(dict.fromkeys(name for row in peers["summary"] for name in row["nics"]))
    rows = [[TITLES[row["workload"]], row["unit"],
             *(figure(row["nics"][name]["median"]) if name in row["nics"] else "failed"
               for name in names)] for row in peers["summary"]]
    ratios = [[label, *(spread(row["ratios"][label]) for row in peers["summary"])]
              for label in peers["summary"][0]["ratios"]]
    return table(["workload", "unit", *names], rows) + "\n\n" + \
        table(["ratio", *(TITLES[row["workload"]] for row in peers["summary"])], ratios)


# ---- what must add up ----

def wrong(results):
    """Every sum that does not hold, in any boot."""
    boots = [("compare", results["compare"])]
    boots += [(f"validation, {boot['exits']} exits", boot["compare"])
              for boot in results["validation"]]
    found = []
    for name, compare in boots:
        found += [f"{name}: {sentence}" for sentence in compare["inconsistent"]]
        for run in compare["runs"]:
            for sentence in windows.complaints(run["window"]) if run.get("window") else []:
                text = f"{name}: {run['nic']} {run['workload']} {run['round']}: {sentence}"
                if text not in found:
                    found.append(text)
    return found


# ---- the whole ----

INTRO = """# duet: e1000 and virtio-net under the same control

An emulated NIC (Intel's e1000) and a paravirtual one (virtio-net) in the same virtual machine
monitor, over the same backend, driven by the guest kernel's own drivers. This report says how fast
each is, where the time goes, and whether the number of *exits* (times the guest's processor had to
stop for the monitor or for KVM to do something) explains the difference.
"""

SECTIONS = {
    "rates": ("How fast", "Each bar is the median of the rounds, the thin line its smallest and "
              "largest value; higher is better. *Out* is from guest to host, RR is one byte to and "
              "fro, *small* datagrams carry 18 bytes. The ratio is e1000 over virtio-net, each "
              "round with its own."),
    "time": ("Where the time goes", "A stack is the time of one unit (a full segment's worth of a "
             "stream, a transaction, a datagram), in µs, split by where the guest's processor "
             "was: in the guest or in KVM (halted, too); in one of the monitor's register "
             "handlers; or waiting there for a lock. Lower is better. *Sum* is the stack's height, "
             "by the monitor's clock, with warm-up; *measured* is 1 / rate by the guest's: they "
             "agree when the run was even. Processor times are not part of the sum: what the "
             "vCPU's thread had of a processor (less than the sum where the guest was halted, or "
             "others had the processor), what the I/O thread, which works beside it, had in user "
             "code and in system calls, and what the watcher had, which polls with time that "
             "nobody else wants."),
    "registers": ("Exits by register", "How often a unit made the guest touch each register (e1000) "
                  "or queue (virtio-net); each touch is an exit to the monitor. Doorbells "
                  "*spared* took no such exit: KVM turned virtio-net's into a wake-up without "
                  "leaving the kernel, e1000's were stores to memory. "
                  "The drivers' idle noise is subtracted, so a small figure may be below zero."),
    "costs": ("What an exit costs here", "Measured on the same machine by a guest that does "
              "nothing else (docs/calibrate.md)."),
    "model": ("Do the exits explain it?", "The folklore's prediction: e1000 takes virtio-net's time "
              "plus, for each exit and interrupt it has more, what one costs (all in µs per unit). "
              "Where *measured* is far above *predicted*, something else than exits makes e1000 "
              "slow; where it is below, exits overlap with other work."),
    "validation": ("Is the model right about exits?", "The same machine with N artificial exits "
                   "added to each frame sent. If an exit costs what the model says, measured time "
                   "follows predicted time one to one: slope 1, R² 1. A slope below 1 means that "
                   "exits partly overlap with other work."),
    "ladder": ("From QEMU's design to parity, step by step", "One guest held an e1000 for each step "
               "and a virtio-net, taking turns over the same backends; the guest's driver is the "
               "same for all. *qemu* is the design of QEMU's e1000, *best* all rungs that win "
               "(docs/ladder.md). Higher is better."),
    "peers": ("Beside QEMU", "The same guest and agent under QEMU's NICs, in the same kind of lab: "
              "medians, then ratios with the rounds' smallest and largest. Rung 0 (*ladder=qemu*) "
              "has to resemble QEMU's e1000, in its ratio to virtio-net most of all."),
    "sums": ("Does it add up?", "Every window's time split is compared with its length (within "
             "2 %), every NIC's frames with its backend's, and those with the host kernel's "
             "counters (to the last frame)."),
}


def section(key, *parts):
    """Title, how to read it, contents."""
    title, how = SECTIONS[key]
    return "\n\n".join([f"## {title}", how, *(part for part in parts if part)]) + "\n"


def image(name, plots):
    """A plot, if it was drawn."""
    return f"![{name}]({name}.svg)" if name in plots else ""


def analyse(results):
    """Profiles, predictions and validation of the results."""
    compare, calibration = results["compare"], results["calibrate"]
    cost = model.costs(calibration) if calibration else {}
    profiles = model.profiles(compare["runs"], compare["idle"])
    boots = [(boot["exits"], model.profiles(boot["compare"]["runs"], boot["compare"]["idle"]))
             for boot in results["validation"]]
    steps = {series: ladder.rows(ladder.by_step(series, found), cost)
             for series, found in (results.get("ladder") or {}).items() if found}
    return {"profiles": profiles, "ladder": steps, "validation": model.validation(boots, cost),
            "predictions": model.predictions(profiles, cost) if cost else {}}


def markdown(results, facts, complaints, plots):
    """The report."""
    skipped = results["skipped"]
    why = {key: f"Left out: {text}" for key, text in skipped.items()}
    parts = [INTRO, where(results),
             section("rates", image("throughput", plots), image("rates", plots),
                     rates_table(results["compare"])),
             section("time", image("time", plots), image("io", plots),
                     time_table(facts["profiles"])),
             section("registers", image("registers", plots), register_table(facts["profiles"])),
             section("costs", cost_table(results["calibrate"]) if results["calibrate"]
                     else why.get("calibrate", "Left out.")),
             section("model", image("model", plots), model_table(facts["predictions"])
                     if facts["predictions"] else "Left out: the costs are not known.",
                     "What the model leaves out is in docs/model.md."),
             section("validation", image("validation", plots),
                     validation_table(facts["validation"]) if facts["validation"]
                     else "Left out: " + "; ".join(text for key, text in skipped.items()
                                                   if key.startswith("validation"))),
             section("ladder", image("ladder", plots), ladder_tables(facts["ladder"])
                     if facts["ladder"] else why.get("ladder", "Left out.")),
             section("peers", peers_table(results["peers"]) if results["peers"]
                     else why.get("peers", "Left out.")),
             section("sums", "All of it holds." if not complaints else
                     "\n".join(f"- **{sentence}**" for sentence in complaints))]
    if not plots:
        parts.append("No plots: gnuplot is not installed (tools/deps report).\n")
    return "\n".join(parts)


# ---- plots ----

def bar_panels(compare, workloads):
    """A panel a workload, a bar a NIC."""
    rows = {row["workload"]: row for row in compare["summary"]}
    return [{"title": TITLES[workload], "unit": rows[workload]["unit"],
             "rows": [(nic, found["median"], found["min"], found["max"])
                      for nic, found in sorted(rows[workload]["nics"].items())]}
            for workload in workloads if workload in rows]


def stack_panels(profiles, values):
    """A panel a workload, a stack a NIC: VALUES(profile) are its pieces."""
    return [{"title": TITLES[workload], "unit": f"per {model.UNITS[workload]}",
             "rows": [(NICS[kind], values(found)) for kind, found in nics.items()]}
            for workload, nics in profiles.items() if nics]


def in_micro(panels):
    """The panels, with their unit said."""
    return [{**panel, "unit": f"µs {panel['unit']}"} for panel in panels]


def model_panels(predictions):
    """Three bars a workload."""
    return [{"title": TITLES[workload], "unit": f"µs per {model.UNITS[workload]}", "rows": [
        ("virtio-net measured", row["base_ns"] / 1e3, row["base_ns"] / 1e3, row["base_ns"] / 1e3),
        ("e1000 predicted", row["predicted_ns"] / 1e3, row["predicted_ns"] / 1e3,
         row["predicted_ns"] / 1e3),
        ("e1000 measured", row["measured_ns"] / 1e3, row["measured_ns"] / 1e3,
         row["measured_ns"] / 1e3)]} for workload, row in predictions.items()]


def validation_panels(rows):
    """A panel a workload, a line a NIC."""
    panels = []
    for workload in dict.fromkeys(row["workload"] for row in rows):
        panels.append({
            "title": TITLES[workload], "x": f"predicted, µs per {model.UNITS[workload]}",
            "y": "measured", "rows": [
                (NICS[row["model"]], [(p["predicted_ns"] / 1e3, p["measured_ns"] / 1e3)
                                      for p in row["points"]],
                 row["line"] and {"slope": row["line"]["slope"],
                                  "intercept": row["line"]["intercept"] / 1e3})
                for row in rows if row["workload"] == workload]})
    return panels


def draw(results, facts, folder):
    """All plots; the names of those drawn."""
    if not gnuplot.available():
        return []
    profiles, registers = facts["profiles"], top_registers(facts["profiles"])
    plots = {
        "throughput": (gnuplot.bars, "Throughput", bar_panels(results["compare"],
                                                              ("tcp_out", "tcp_in"))),
        "rates": (gnuplot.bars, "Rates", bar_panels(results["compare"],
                                                    ("tcp_rr", "udp_out", "udp_in"))),
        "time": (gnuplot.stacks, "Where the guest's processor was", in_micro(stack_panels(
            profiles, lambda p: [p["split"][piece] / 1e3 for piece in SPLIT])), SPLIT),
        "io": (gnuplot.stacks, "Processor time of the I/O thread", in_micro(stack_panels(
            profiles, lambda p: [p["processor"][piece] / 1e3 for piece in ("user", "system")])),
            ("user", "system")),
        "registers": (gnuplot.stacks, "Accesses that exit to the monitor", stack_panels(
            profiles, lambda p: by_register(p, registers)), (*registers, "other")),
        "ladder": (gnuplot.bars, "The ladder: each step with all before it",
                   ladder.panels(facts["ladder"].get("cumulative", []))),
        "model": (gnuplot.bars, "Predicted from exits, and measured",
                  model_panels(facts["predictions"])),
        "validation": (gnuplot.scatter, "With artificial exits: predicted and measured",
                       validation_panels(facts["validation"])),
    }
    drawn = []
    for name, (function, title, panels, *more) in plots.items():
        if panels:
            function(folder / f"{name}.svg", title, panels, *more)
            drawn.append(name)
    return drawn


def write(results, folder):
    """The report in FOLDER; returns what does not add up."""
    facts, complaints = analyse(results), wrong(results)
    plots = draw(results, facts, folder)
    text = markdown(results, facts, complaints, plots)
    (folder / "report.md").write_text(text, encoding="utf-8")
    return complaints

# SPDX-License-Identifier: MIT
"""One object of a session's events, whichever way it was run: the schema of compare.json, which
tools/compare documents. Pure functions."""
import datetime

import figures
import windows
from duetlib import of_kind

SCHEMA = 2


def summarise(runs):
    """A row for each workload; of two NICs also the ratio."""
    names = sorted({run["nic"] for run in runs})   # e1000 before virtio-net
    rows = figures.summarise(runs, names, {"ratio": names} if len(names) == 2 else {})
    for row in rows:
        row.update(row.pop("ratios"))
    return rows


def collect(events, where, options):
    """Everything as one object; the first event says what it ran on ("host")."""
    def first(kind):
        return next(iter(of_kind(events, kind)), {})

    host, slot_of = first("host"), windows.slots(events)
    runs = [{**run, "slot": slot_of.get(run["interface"])} for run in of_kind(events, "run")]
    return {
        "schema": SCHEMA,
        "made": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "where": where, "flavour": host.get("probe", {}).get("flavour", "unknown"),
        "options": options,
        "host": {key: host.get(key) for key in ("release", "cpus", "probe", "vmm", "version",
                                                "command")},
        "guest": first("guest"),
        "nics": sorted(of_kind(events, "nic"), key=lambda nic: nic["slot"]),
        "summary": summarise(runs), "runs": runs, "idle": first("idle"),
        "errors": of_kind(events, "error"), "inconsistent": windows.inconsistencies(events),
        "stats": first("stats").get("stats"),
    }

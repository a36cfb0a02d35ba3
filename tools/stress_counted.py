# SPDX-License-Identifier: MIT
"""Guests of tools/stress in the counted lab (tools/lab --counted), where time is instructions: a
second that a driver sleeps costs nothing, and no load of this machine makes a driver late.

There is no Python there: tools/counted-job looks at the VMM's process, and gives the marks at the
end. The guest has one processor and 256 MB.
"""
import concurrent.futures
import json
import os
import threading

import counted
import duetlib
import windows

MTU = 9000    # of the taps, for the step that changes it


class Guests:
    """All of them, and the file for what they say; lines as tools/crowd writes them."""

    def __init__(self, out, progress, patience):
        self.out = out
        self.progress = progress
        self.patience = patience    # seconds of this machine's time without a line
        self.lock = threading.Lock()
        self.events = []

    def emit(self, event):
        """One line, from any thread."""
        with self.lock:
            print(json.dumps(event), file=self.out, flush=True)
            self.events.append(event)
            self.progress.show(event)

    def life(self, guest, log):
        """One guest's; Frozen or Fail if it was not a good one."""
        command = counted.lab_command(guest["words"], guest["nets"], counted.MARKS, "duet",
                                      "stress.img", ("-m", MTU, "-w"))
        dog = counted.Watchdog(command, [], log, self.patience)
        said = []
        try:
            for event in dog:
                said.append(event)
                if event["kind"] != "end":
                    self.emit({**event, "guest": guest["name"]})
        finally:
            status = dog.end()
        duetlib.check_end(said, status, log)

    def boot(self, number, guest):
        """One guest."""
        try:
            self.life(guest, duetlib.log_dir() / f"stress.{number}.log")
        except (counted.Frozen, duetlib.Fail) as why:
            self.emit({"kind": "broken", "guest": guest["name"], "error": str(why)})

    def windowed(self, guest):
        """What it said, its marks made windows."""
        return windows.joined([event for event in self.events if event["guest"] == guest["name"]])


def boot_all(guests, out, progress, patience):
    """The lines of all GUESTS ({name, nets, words: for the kernel}), as many at once as there are
    processors; they are left in OUT as they came."""
    with open(out, "w", encoding="utf-8") as file, \
            concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        crowd = Guests(file, progress, patience)
        list(pool.map(crowd.boot, range(len(guests)), guests))
    progress.end()
    return [event for guest in guests for event in crowd.windowed(guest)]

#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""tools/windows.py: differences of two marks with known answers, and what does not add up."""
import copy
import json
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
import windows  # noqa: E402

NET = {"tx_calls": 5, "rx_calls": 3, "tx_frames": 12, "rx_frames": 7, "tx_drops": 1, "rx_drops": 2,
       "sw_frames": 1, "sw_segments": 4}


def stats(**changes):
    """Statistics of a machine that has done a little."""
    tree = {
        "version": 2, "duet": "0.1.0", "host": {"flavour": "SVM"},
        "run": {"seconds": 1.0, "stop": "running"},
        "vcpus": [{"exits": {"mmio": 10}, "wall_ns": 1000, "kvm_ns": 700, "handler_ns": 200,
                   "wait_ns": 50, "pending_ns": 50,
                   "time": {"mmio": {"kvm_ns": 700, "handler_ns": 200, "wait_ns": 50}}}],
        "threads": [{"name": "main", "user_ns": 1, "system_ns": 2},
                    {"name": "io", "user_ns": 3, "system_ns": 4}],
        "buses": {"pio": {"unclaimed": 0, "regions": []},
                  "mmio": {"unclaimed": 0, "regions": []}},
        "nics": [{"name": "net0", "model": "e1000", "tx_frames": 10, "rx_frames": 11, "rx_drops": 3,
                  "rx_cut": 1, "rx_segments": 6,
                  "ratios": {"tx_frames_per_call": 2.0}, "backend_stats": dict(NET),
                  "registers": [{"name": "TDT", "reads": 0, "writes": 4, "ns": 40},
                                {"name": "CTRL", "reads": 2, "writes": 0, "ns": 9}]}],
    }
    tree.update(changes)
    return tree


def later():
    """The same machine 1000 ns on."""
    tree = copy.deepcopy(stats())
    cpu, nic = tree["vcpus"][0], tree["nics"][0]
    cpu["exits"] = {"mmio": 16, "io": 2}
    cpu.update(wall_ns=2000, kvm_ns=1300, handler_ns=560, wait_ns=100, pending_ns=40)
    nic.update(tx_frames=110, rx_frames=51, rx_cut=3, rx_segments=28)
    nic["backend_stats"].update(tx_frames=112, rx_frames=27)
    nic["registers"] = [{"name": "CTRL", "reads": 2, "writes": 0, "ns": 9},
                        {"name": "TDT", "reads": 0, "writes": 9, "ns": 100},
                        {"name": "ICR", "reads": 1, "writes": 0, "ns": 5}]
    tree["threads"][1]["system_ns"] = 104
    return tree


def made():
    """A window of these two."""
    return windows.window({"ns": 5000, "stats": stats()}, {"ns": 6000, "stats": later()})


class Difference(unittest.TestCase):
    """What window() makes of two marks."""

    def test_numbers(self):
        """Numbers are subtracted wherever they are; what was missing was 0."""
        seen = made()
        cpu, nic = seen["stats"]["vcpus"][0], seen["stats"]["nics"][0]
        self.assertEqual(seen["ns"], 1000)
        self.assertEqual(cpu["exits"], {"mmio": 6, "io": 2})
        self.assertEqual((nic["name"], nic["tx_frames"], nic["rx_frames"]), ("net0", 100, 40))
        self.assertEqual(nic["backend_stats"]["tx_frames"], 100)

    def test_accounts_by_name(self):
        """Accounts are matched by name; untouched ones are left out, new ones are whole."""
        self.assertEqual(made()["stats"]["nics"][0]["registers"],
                         [{"name": "TDT", "reads": 0, "writes": 5, "ns": 60},
                          {"name": "ICR", "reads": 1, "writes": 0, "ns": 5}])

    def test_constants(self):
        """What is no counter is not there; threads stay, even idle ones."""
        tree = made()["stats"]
        self.assertFalse({"version", "duet", "host"} & set(tree))
        self.assertEqual(tree["run"], {"seconds": 0.0})
        self.assertNotIn("ratios", tree["nics"][0])
        self.assertEqual(tree["threads"], [{"name": "main", "user_ns": 0, "system_ns": 0},
                                           {"name": "io", "user_ns": 0, "system_ns": 100}])

    def test_read(self):
        """A file of marks, as duet writes it."""
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            for label in (7, 8):
                print(json.dumps({"mark": label, "ns": label, "stats": {}}), file=file)
            file.flush()
            self.assertEqual([m["mark"] for m in windows.read_marks(file.name)], [7, 8])


class Noise(unittest.TestCase):
    """Subtracting what belongs to the mark, and to an idle machine."""

    @staticmethod
    def with_mark(seen, cost):
        """The window, begun by a mark that cost so much."""
        seen = copy.deepcopy(seen)
        seen["ns"] += cost
        cpu = seen["stats"]["vcpus"][0]
        cpu["exits"]["io"] += 1
        cpu["handler_ns"] += cost
        seen["stats"]["buses"]["pio"]["regions"] = [
            {"name": "mark", "reads": 0, "writes": 1, "ns": cost}]
        return seen

    def test_mark(self):
        """A window is the same without its mark."""
        seen = windows.without_mark(self.with_mark(made(), 300))
        self.assertEqual(seen["ns"], 1000)
        self.assertEqual(seen["stats"]["vcpus"][0]["exits"], {"mmio": 6, "io": 2})
        self.assertEqual(seen["stats"]["vcpus"][0]["handler_ns"], 360)

    def test_idle(self):
        """Idle counts are subtracted in proportion to the length; times are not."""
        idle = {"ns": 4000, "stats": copy.deepcopy(made()["stats"])}
        seen = windows.without_noise(self.with_mark(made(), 300),
                                     windows.rates(self.with_mark(idle, 300)))
        self.assertEqual(seen["ns"], 1000)
        self.assertAlmostEqual(seen["stats"]["vcpus"][0]["exits"]["mmio"], 6 - 6 / 4)
        self.assertAlmostEqual(seen["stats"]["nics"][0]["tx_frames"], 100 - 100 / 4)
        self.assertAlmostEqual(seen["stats"]["nics"][0]["registers"][0]["writes"], 5 - 5 / 4)
        self.assertEqual(seen["stats"]["vcpus"][0]["kvm_ns"], 600)

    def test_below_zero(self):
        """What came in no burst of noise is below 0, so that an average is right."""
        quiet = made()
        quiet["stats"]["vcpus"][0]["exits"]["mmio"] = 0
        seen = windows.without_noise(self.with_mark(quiet, 1), windows.rates(made()))
        self.assertAlmostEqual(seen["stats"]["vcpus"][0]["exits"]["mmio"], -6)


class Complaints(unittest.TestCase):
    """Sums that are right, and each way in which one is not."""

    def test_right(self):
        """All of it adds up."""
        self.assertEqual(windows.complaints(made()), [])

    def test_time(self):
        """2 % of the window's length are too many; a bit less is not."""
        for missing, count in ((19, 0), (21, 1), (-21, 1)):
            seen = made()
            seen["stats"]["vcpus"][0]["kvm_ns"] -= missing
            self.assertEqual(len(windows.complaints(seen)), count, missing)
        self.assertIn("vcpu0", windows.complaints(seen)[0])

    def test_frames(self):
        """One frame too many at either end, either way, is said."""
        for place, counter in (("nic", "tx_frames"), ("net", "tx_frames"), ("net", "tx_drops"),
                               ("net", "sw_segments"), ("nic", "rx_frames"), ("nic", "rx_drops"),
                               ("nic", "rx_cut"), ("nic", "rx_segments"),
                               ("net", "rx_frames"), ("net", "rx_drops")):
            seen = made()
            nic = seen["stats"]["nics"][0]
            (nic if place == "nic" else nic["backend_stats"])[counter] += 1
            said = windows.complaints(seen)
            self.assertEqual(len(said), 1, (place, counter))
            self.assertIn("net0", said[0])

    def test_taps(self):
        """The whole life against the host's counters: received ones may have been dropped."""
        tap = {"name": "tap1", "rx_packets": 12, "tx_packets": 9}
        self.assertEqual(windows.tap_complaints(stats(), [tap]), [])
        for counter in ("rx_packets", "tx_packets"):
            self.assertEqual(len(windows.tap_complaints(stats(), [{**tap, counter: 13}])), 1)

    def test_taps_of_the_kernel(self):
        """Frames that the host's kernel moved are counted by the tap alone."""
        seen = stats()
        seen["nics"][0]["frames_by"] = "vhost"
        tap = {"name": "tap1", "rx_packets": 99, "tx_packets": 99}
        self.assertEqual(windows.tap_complaints(seen, [tap]), [])
        seen["nics"][0]["frames_by"] = "duet"
        self.assertEqual(len(windows.tap_complaints(seen, [tap])), 2)

    def test_session(self):
        """All events of a session: a window that is wrong, one that is missing, a wrong tap."""
        wrong = made()
        wrong["stats"]["nics"][0]["tx_frames"] += 1
        run = {"kind": "run", "nic": "e1000", "workload": "tcp_rr", "round": 2, "marks": [3, 4]}
        tap = {"name": "tap1", "rx_packets": 12, "tx_packets": 9}
        good = [{**run, "window": made()}, {"kind": "idle", "marks": [1, 2], "window": made()},
                {"kind": "stats", "stats": stats(), "taps": [tap]}, {**run, "marks": None}]
        self.assertEqual(windows.inconsistencies(good), [])
        bad = [{**run, "window": wrong}, {**run, "window": None}, {"kind": "idle", "marks": [1, 2]},
               {"kind": "stats", "stats": stats(), "taps": [{**tap, "rx_packets": 1}]}]
        said = windows.inconsistencies(bad)
        self.assertEqual(len(said), 4)
        self.assertTrue(said[0].startswith("e1000 tcp_rr 2: net0"), said[0])
        self.assertEqual(said[1:3], ["e1000 tcp_rr 2: its marks are missing",
                                     "idle: its marks are missing"])

    def test_joined(self):
        """Marks that come after all runs: windows where both are there, and no marks left."""
        run = {"kind": "run", "marks": [3, 4]}
        events = [run, {"kind": "run", "marks": None}, {"kind": "idle", "marks": [4, 5]},
                  {"kind": "mark", "mark": 3, "ns": 5000, "stats": stats()},
                  {"kind": "mark", "mark": 4, "ns": 6000, "stats": later()}]
        self.assertEqual(windows.joined(events), [{**run, "window": made()}, *events[1:3]])

    def test_slots(self):
        """An interface's place in the statistics, by its PCI slot."""
        self.assertEqual(windows.slots([{"kind": "nic", "nic": "eth1", "slot": "0000:00:0a.0"},
                                        {"kind": "plan"}]), {"eth1": 9})


if __name__ == "__main__":
    unittest.main()

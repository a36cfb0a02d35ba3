#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""tools/diff: what moved, what only scattered, and its exit status."""
import copy
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import moved  # noqa: E402


def result(values, reads=1000, other=()):
    """A comparison with these rates of one NIC, and so many register reads a thousand units."""
    runs = []
    for number, value in enumerate(values, 1):
        nic = {"name": "net0", "model": "e1000", "tx_frames": 1000, "rx_frames": 1000, "irqs": 3,
               "tx_kicks": 0, "rx_kicks": 0, "ctrl_kicks": 0,
               "registers": [{"name": "ICR", "reads": reads, "writes": 0, "ns": 5}]}
        cpu = {"exits": {}, "wall_ns": 1e9, "kvm_ns": 1e9, "handler_ns": 0, "wait_ns": 0,
               "pending_ns": 0, "time": {}}
        runs.append({"nic": "e1000", "workload": "tcp_rr", "unit": "trans/s", "round": number,
                     "value": value, "total": 1000, "slot": 0, "quiet_ns": 0,
                     "window": {"ns": 10 ** 9, "stats": {
                         "vcpus": [cpu], "buses": {"pio": {"regions": []}}, "nics": [nic],
                         "threads": [{"name": "vcpu0", "user_ns": 1e9, "system_ns": 0}]}}})
    idle = {"window": {"ns": 10 ** 9, "stats": {"vcpus": [], "nics": [],
                                                "buses": {"pio": {"regions": []}}}}}
    return {"schema": 2, "where": "lab", "flavour": "SVM", "guest": {"release": "6.1"},
            "host": {"release": "6.1"}, "options": {"net": "default"}, "runs": runs, "idle": idle,
            **dict(other)}


def names(before, after, threshold=0.02):
    """The figures that moved."""
    return [row[2] for row in moved.compare(before, after, threshold)]


class Moved(unittest.TestCase):
    """The rule: medians apart, ranges apart."""

    def test_same(self):
        """Nothing moves against itself."""
        self.assertEqual(names(result([1, 2, 3]), result([1, 2, 3])), [])

    def test_scatter(self):
        """Medians apart, but the ranges touch: not beyond the spread."""
        self.assertEqual(names(result([100, 110, 120]), result([120, 130, 140])), [])

    def test_beyond(self):
        """Ranges apart: it moved, either way."""
        self.assertEqual(names(result([100, 110, 120]), result([121, 130, 140])), ["trans/s"])
        row, = moved.compare(result([200, 200]), result([100, 100]), 0.02)
        self.assertEqual(row[:3] + row[5:], ("tcp_rr", "e1000", "trans/s", -0.5))

    def test_threshold(self):
        """A small difference is none, however sharp."""
        self.assertEqual(names(result([100, 100]), result([101.9, 101.9])), [])
        self.assertEqual(names(result([100, 100]), result([102.1, 102.1])), ["trans/s"])

    def test_counts(self):
        """What the windows counted per unit, from nothing, too."""
        self.assertEqual(names(result([100]), result([100], reads=2000)),
                         ["mmio_read/unit", "ICR/unit"])
        self.assertEqual(names(result([100], reads=0), result([100], reads=500)),
                         ["mmio_read/unit", "ICR/unit"])
        self.assertEqual(names(result([100], reads=2), result([100], reads=8)), [])

    def test_without_windows(self):
        """Another VMM's results have rates only."""
        bare = copy.deepcopy(result([100]))
        for run in bare["runs"]:
            run["window"] = None
        self.assertEqual(names(bare, result([50])), ["trans/s"])
        self.assertEqual(len(moved.common(bare, result([50]))), 1)

    def test_setup(self):
        """Another place or kernel is said."""
        said = moved.differences_of_setup(result([1]), result([1], other={"where": "kvm"}.items()))
        self.assertEqual(said, ["place differs: lab; kvm"])
        self.assertEqual(moved.differences_of_setup(result([1]), result([1])), [])


class Tool(unittest.TestCase):
    """The command."""

    def diff(self, before, after, *options):
        """Its exit status and output."""
        with tempfile.TemporaryDirectory() as folder:
            paths = [pathlib.Path(folder, name) for name in ("a.json", "b.json")]
            for path, content in zip(paths, (before, after)):
                path.write_text(content if isinstance(content, str) else json.dumps(content))
            done = subprocess.run([ROOT / "tools" / "diff", *paths, *options], text=True,
                                  capture_output=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_status(self):
        """0 and 1 as of diff; 2 for files that are none."""
        self.assertEqual(self.diff(result([100]), result([100]))[0], 0)
        status, said = self.diff(result([100]), result([90]))
        self.assertEqual(status, 1)
        self.assertIn("-10.0%", said)
        self.assertEqual(self.diff(result([100]), result([90]), "--threshold", "20")[0], 0)
        self.assertEqual(self.diff("{}", result([1]))[0], 2)
        self.assertEqual(self.diff("not JSON", result([1]))[0], 2)

    def test_report(self):
        """A results.json holds a comparison."""
        self.assertEqual(self.diff({"compare": result([100])}, result([90]))[0], 1)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""tools/report --from: the report of a small results.json, whole and with each part missing."""
import copy
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.dom.minidom

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import gnuplot  # noqa: E402
import reporting  # noqa: E402

SPEC = importlib.util.spec_from_file_location("fixture", ROOT / "tests" / "model.py")
fixture = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(fixture)
PLOTS = {"throughput", "rates", "time", "io", "registers", "model", "validation"}


def backed(run):
    """The run, with a backend that saw the same frames."""
    for nic in run["window"]["stats"]["nics"]:
        nic.update(rx_drops=0, rx_cut=0, rx_segments=0, backend_stats={
            "tx_frames": nic["tx_frames"], "rx_frames": nic["rx_frames"], "tx_drops": 0,
            "rx_drops": 0, "sw_segments": 0, "sw_frames": 0})
    return run


def comparison(exits=0):
    """A compare.json in which e1000 takes 2 ms a transaction and virtio-net 1 ms."""
    runs, summary = [], []
    for workload, unit in (("tcp_out", "Mbit/s"), ("tcp_rr", "trans/s")):
        nics = {}
        for device, name, value in ((fixture.E1000, "e1000", 500), (fixture.VIRTIO, "virtio-net",
                                                                    1000)):
            value = 1e9 / (1e9 / value + exits * 100)
            one = fixture.run(dict(device, extra_exits=1000 * exits), workload, value, 1000)
            runs.append(backed({**one, "nic": name, "unit": unit}))
            nics[name] = {"median": value, "min": value, "max": value}
        summary.append({"workload": workload, "unit": unit, "nics": nics, "n": 1,
                        "ratio": {"median": 0.5, "min": 0.5, "max": 0.5}})
    return {"schema": 2, "where": "lab", "flavour": "SVM", "summary": summary, "runs": runs,
            "options": {"rounds": 1, "time_ms": 1000, "memory": "512M"}, "idle": fixture.IDLE,
            "host": {"release": "6.1", "cpus": 1, "version": "duet 0.1.0"},
            "guest": {"release": "6.1", "cpus": 1}, "inconsistent": [], "errors": []}


def calibration():
    """What calibrate printed, with all that the report shows."""
    found = copy.deepcopy(fixture.CALIBRATION)
    for kind in found["kinds"]:
        kind.update(what="an event", q1_ns=1, q3_ns=2)
    return found


def results():
    """A whole results.json."""
    return {"schema": 1, "made": "2026-01-01T00:00:00+00:00", "where": "lab", "flavour": "SVM",
            "compare": comparison(), "calibrate": calibration(), "peers": None,
            "validation": [{"exits": n, "compare": comparison(n)} for n in (0, 10, 20)],
            "skipped": {"peers": "there is no tools/peers"}}


class Report(unittest.TestCase):
    """Text and plots."""

    def write(self, found):
        """The report's text, what does not add up, and the plots' names."""
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            wrong = reporting.write(found, folder)
            for plot in folder.glob("*.svg"):
                xml.dom.minidom.parse(str(plot))
            return ((folder / "report.md").read_text(), wrong,
                    {plot.stem for plot in folder.glob("*.svg")})

    def test_whole(self):
        """Every section, every plot, and the sums."""
        text, wrong, plots = self.write(results())
        self.assertEqual(wrong, [])
        for title, how in reporting.SECTIONS.values():
            self.assertIn(f"## {title}\n\n{how}", text)
        self.assertIn("All of it holds.", text)
        self.assertIn("Left out: there is no tools/peers", text)
        if gnuplot.available():
            self.assertEqual(plots, PLOTS)
            self.assertTrue(all(f"]({name}.svg)" in text for name in PLOTS))

    def test_figures(self):
        """The model's row, by hand: 1000 µs + exits, against 2000 µs."""
        text = self.write(results())[0]
        self.assertIn("| TCP 1-byte RR | 1,000 | 0.260 | 0.000 | 1,000 | 2,000 | 999.7 | 50 % | "
                      "0 % |", text)
        self.assertIn("| TCP 1-byte RR | e1000 | 1.00 | 1.000 |", text)

    def test_wrong_sum(self):
        """A frame that got lost in the accounts is said in the report, and returned."""
        found = results()
        found["compare"]["runs"][0]["window"]["stats"]["nics"][0]["tx_frames"] += 1
        text, wrong, _ = self.write(found)
        self.assertEqual(len(wrong), 1)
        self.assertIn(wrong[0], text)
        self.assertNotIn("All of it holds.", text)

    def test_without_calibration(self):
        """No costs: no prediction, and the reason."""
        found = dict(results(), calibrate=None)
        found["skipped"]["calibrate"] = "no KVM here"
        text, _, plots = self.write(found)
        self.assertIn("Left out: no KVM here", text)
        self.assertFalse({"model", "validation"} & plots)

    def test_peers(self):
        """Medians of every contender, ratios with their bounds, a dash where there is none."""
        row = {"workload": "tcp_rr", "unit": "trans/s",
               "nics": {"duet e1000": {"median": 20, "min": 19, "max": 21}},
               "ratios": {"a : b": {"median": 0.5, "min": 0.25, "max": 0.75, "n": 3}, "a : c": None}}
        text, *_ = self.write(dict(results(), peers={"summary": [row]}))
        self.assertIn("| a : b | 0.50 (0.25–0.75) |", text)
        self.assertIn("| a : c | - |", text)
        self.assertNotIn("Left out: there is no tools/peers", text)

    def test_without_validation(self):
        """No boot with artificial exits."""
        found = dict(results(), validation=[])
        found["skipped"]["validation-10"] = "the lab is gone"
        self.assertIn("Left out: the lab is gone", self.write(found)[0])

    def test_without_gnuplot(self):
        """Tables only, and how to get plots."""
        available, gnuplot.available = gnuplot.available, lambda: False
        try:
            text, _, plots = self.write(results())
        finally:
            gnuplot.available = available
        self.assertEqual(plots, set())
        self.assertIn("No plots: gnuplot is not installed", text)


class Tool(unittest.TestCase):
    """The command line."""

    def test_from(self):
        """A results.json gives the report; anything else is refused."""
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder, "results.json")
            for content, status in ((results(), 0), ({"schema": 9}, 2), ({}, 2)):
                source.write_text(json.dumps(content))
                done = subprocess.run([ROOT / "tools" / "report", "--from", source, "--out",
                                       folder], capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, status, done.stderr)
            self.assertTrue(pathlib.Path(folder, "report.md").exists())


if __name__ == "__main__":
    unittest.main()

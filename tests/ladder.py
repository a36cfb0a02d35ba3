#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""tools/ladder.py: steps, ratios and predictions with answers known beforehand."""
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import ladder  # noqa: E402


def profile(kind, ns, **events):
    """As model.profile() makes it, as far as it matters here."""
    return {"model": kind, "ns": ns, "events": events}


STEPS = {"tcp_rr": {"qemu": profile("e1000", 200000, mmio_read=4, irq_line=1),
                    "best": profile("e1000", 125000, mmio_read=2, irq_line=1),
                    "virtio-net": profile("virtio", 100000, msi_irqfd=1)}}
COST = {"mmio_read": 5000, "irq_line": 6000, "msi_irqfd": 4000}


class Rows(unittest.TestCase):
    """What a step brings."""

    def test_ratios(self):
        """To the step before, and to virtio-net."""
        qemu, best, virtio = ladder.rows(STEPS, COST)
        self.assertAlmostEqual(qemu["rate"], 5000)
        self.assertIsNone(qemu["to_before"])
        self.assertAlmostEqual(best["to_before"], 1.6)
        self.assertAlmostEqual(best["to_virtio"], 0.8)
        self.assertAlmostEqual(virtio["to_virtio"], 1)

    def test_prediction(self):
        """Exits and interrupts alone: 100 us + 4 x 5 + 6 - 4, a quarter of the gap and less."""
        qemu, best, virtio = ladder.rows(STEPS, COST)
        self.assertAlmostEqual(qemu["predicted"], 1e9 / 122000)
        self.assertAlmostEqual(qemu["explained"], 22)
        self.assertAlmostEqual(best["explained"], 48)
        self.assertIsNone(virtio["predicted"])

    def test_no_gap(self):
        """Where there is none, nothing is explained."""
        steps = {"tcp_rr": {**STEPS["tcp_rr"], "best": profile("e1000", 101000, mmio_read=1)}}
        self.assertIsNone(ladder.rows(steps, COST)[1]["explained"])
        self.assertIn("no gap", ladder.model_table(ladder.rows(steps, COST))[1][1][1])

    def test_missing(self):
        """A step that failed is left out, and so is all without virtio-net."""
        steps = {"tcp_rr": {**STEPS["tcp_rr"], "qemu": None}}
        self.assertEqual([line["step"] for line in ladder.rows(steps, COST)], ["best", "virtio-net"])
        self.assertEqual(ladder.rows({"tcp_rr": {"qemu": STEPS["tcp_rr"]["qemu"]}}, COST), [])

    def test_tables(self):
        """A step a row."""
        head, rows = ladder.table(ladder.rows(STEPS, COST))
        self.assertEqual(head, ["step", "TCP 1-byte RR"])
        self.assertEqual(rows[1], ["best", "8,000 (0.80)"])

    def test_panels(self):
        """A bar a step, with its unit."""
        panel, = ladder.panels(ladder.rows(STEPS, COST))
        self.assertEqual((panel["unit"], len(panel["rows"])), ("transactions/s", 3))


class Nets(unittest.TestCase):
    """Which guests are booted."""

    def test_slots(self):
        """A guest has room for eight, and virtio-net is the last."""
        for series in ladder.SERIES:
            self.assertLessEqual(len(ladder.nets(series)), 8)
            self.assertEqual(ladder.nets(series)[-1], "virtio")


if __name__ == "__main__":
    unittest.main()

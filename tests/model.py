#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""tools/model.py: predictions, shares and lines with known answers."""
import copy
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
import model  # noqa: E402

CALIBRATION = {"kinds": [
    {"name": "mmio_read", "available": True, "median_ns": 50},
    {"name": "mmio_write", "available": True, "median_ns": 40},
    {"name": "ioeventfd_mmio", "available": True, "median_ns": 10},
    {"name": "irq_line", "available": True, "median_ns": 60},
    {"name": "msi_irqfd", "available": True, "median_ns": 30},
    {"name": "sidecar_exit", "available": True, "median_ns": 100},
    {"name": "coalesced", "available": False, "why": "no such capability"},
]}
COST = model.costs(CALIBRATION)


def nic(kind, **changes):
    """A NIC's counters in a window."""
    return {"name": "net0", "model": kind, "tx_frames": 1000, "rx_frames": 1000, "irqs": 0,
            "tx_kicks": 0, "rx_kicks": 0, "ctrl_kicks": 0, "registers": [], **changes}


# A thousand transactions: e1000 with 3 reads, 3 writes (a doorbell among them) and an interrupt
# each, virtio-net with a doorbell that KVM takes over and two messages.
E1000 = nic("e1000", irqs=1000, tx_kicks=1000, registers=[
    {"name": "ICR", "reads": 1000, "writes": 0, "ns": 1},
    {"name": "STATUS", "reads": 2000, "writes": 0, "ns": 1},
    {"name": "IMS", "reads": 0, "writes": 2000, "ns": 1},
    {"name": "TDT", "reads": 0, "writes": 1000, "ns": 1}])
VIRTIO = nic("virtio", irqs=2000, tx_kicks=1000, rx_kicks=10, registers=[
    {"name": "notify0", "reads": 0, "writes": 10, "ns": 1}])


def window(device, **changes):
    """A second in which that NIC worked."""
    cpu = {"exits": {"mmio": 0, "io": 1}, "wall_ns": 10 ** 9, "kvm_ns": 600 * 10 ** 6,
           "handler_ns": 300 * 10 ** 6, "wait_ns": 100 * 10 ** 6, "pending_ns": 0, "time": {}}
    stats = {"vcpus": [cpu],
             "threads": [{"name": "io", "user_ns": 10 ** 8, "system_ns": 2 * 10 ** 8},
                         {"name": "watcher", "user_ns": 10 ** 7, "system_ns": 3 * 10 ** 7},
                         {"name": "vcpu0", "user_ns": 5 * 10 ** 8, "system_ns": 3 * 10 ** 8}],
             "buses": {"pio": {"unclaimed": 0, "regions": []}, "mmio": {"regions": []}},
             "nics": [copy.deepcopy(device)], **changes}
    return {"ns": 10 ** 9, "stats": stats}


IDLE = {"window": {"ns": 10 ** 9, "stats": {"vcpus": [], "nics": [], "buses": {
    "pio": {"regions": []}}}}}


def run(device, workload, value, total, number=1):
    """A run as compare.json has it."""
    return {"nic": device["model"], "workload": workload, "round": number, "value": value,
            "total": total, "slot": 0, "quiet_ns": 0, "window": window(device)}


class Units(unittest.TestCase):
    """What a unit is, and how long it took."""

    def test_times(self):
        """A stream's unit is a full segment; the others are counted."""
        for workload, value, want in (("tcp_out", 1448 * 8 / 1000, 1e6), ("tcp_rr", 500, 2e6),
                                      ("udp_in", 1e6, 1e3)):
            self.assertAlmostEqual(model.time_per_unit(run(E1000, workload, value, 1)), want)

    def test_units(self):
        """Datagrams are those the NIC saw, not those the sockets did."""
        for workload, total, want in (("tcp_in", 1448000, 1000), ("tcp_rr", 77, 77),
                                      ("udp_out", 5, 1000), ("udp_in", 5, 999)):
            device = nic("e1000", rx_frames=999)
            self.assertEqual(model.units(run(device, workload, 1, total), device), want)

    def test_events(self):
        """Each doorbell is counted once, as what it was."""
        seen = model.events(window(E1000)["stats"], 0)
        self.assertEqual((seen["mmio_read"], seen["mmio_write"], seen["ioeventfd_mmio"],
                          seen["irq_line"]), (3000, 3000, 0, 1000))
        seen = model.events(window(VIRTIO)["stats"], 0)
        self.assertEqual((seen["mmio_read"], seen["mmio_write"], seen["ioeventfd_mmio"],
                          seen["msi_irqfd"]), (0, 10, 1000, 2000))

    def test_events_without_exit(self):
        """Doorbells in memory and queued ones are no exits, and cost what such things cost."""
        ram = nic("e1000", irqs=1, tx_kicks=900, registers=[
            {"name": "TDT", "reads": 0, "writes": 100, "ns": 1}])
        seen = model.events(window(ram)["stats"], 0)
        self.assertEqual((seen["mmio_write"], seen["ram_write"], seen["coalesced"],
                          seen["ioeventfd_mmio"]), (100, 800, 0, 0))
        stats = window(ram)["stats"]
        stats["buses"]["mmio"]["coalesced"] = 60
        seen = model.events(stats, 0)
        self.assertEqual((seen["mmio_write"], seen["coalesced"]), (40, 60))


class Profile(unittest.TestCase):
    """Several rounds as one."""

    def test_rounds(self):
        """The median of the times; counts over all units."""
        runs = [run(E1000, "tcp_rr", value, 1000, number)
                for number, value in enumerate((100, 200, 400), 1)]
        got = model.profile(runs, {"vcpus": [], "nics": []})
        self.assertEqual((got["n"], got["ns"], got["ns_min"], got["ns_max"], got["units"]),
                         (3, 5e6, 2.5e6, 1e7, 3000))
        self.assertEqual((got["events"]["mmio_read"], got["registers"]["STATUS"]), (3, 2))

    def test_split_adds_up(self):
        """The pieces are the window's length, less what was quiet at its end."""
        for quiet in (0, 50 * 10 ** 6):
            one = run(E1000, "tcp_rr", 100, 1000)
            one["quiet_ns"] = quiet
            got = model.profile([one], {"vcpus": [], "nics": []})
            self.assertAlmostEqual(sum(got["split"].values()), (10 ** 9 - quiet) / 1000)
            self.assertAlmostEqual(got["split"]["handler"], 300 * 10 ** 6 / 1000)
            self.assertEqual(got["processor"], {"user": 1e5, "system": 2e5, "watcher": 4e4,
                                                "vcpus": 8e5})

    def test_tick(self):
        """A tick of user time that is more than all the thread had."""
        one = run(E1000, "tcp_rr", 100, 1000)
        one["window"]["stats"]["threads"][0].update(user_ns=10 ** 7, system_ns=-4 * 10 ** 6)
        got = model.profile([one], {"vcpus": [], "nics": []})["processor"]
        self.assertEqual((got["user"], got["system"]), (6e3, 0))

    def test_without_windows(self):
        """Another VMM's runs have no profile."""
        one = run(E1000, "tcp_rr", 100, 1000)
        one["window"] = None
        self.assertIsNone(model.profile([one], {}))
        self.assertIsNone(model.profile([], {}))


class Prediction(unittest.TestCase):
    """The sum, and what is left."""

    def table(self, slow, fast):
        """Profiles of one workload at these rates."""
        return model.profiles([run(E1000, "tcp_rr", slow, 1000), run(VIRTIO, "tcp_rr", fast, 1000)],
                              IDLE)

    def test_sum(self):
        """Extra exits and interrupts times their cost, fewer ones negative."""
        row = model.predictions(self.table(1e6, 2e6), COST)["tcp_rr"]
        extra = {term["kind"]: (term["extra"], term["ns"]) for term in row["terms"]}
        self.assertEqual(extra["mmio_read"], (3, 150))
        self.assertAlmostEqual(extra["mmio_write"][1], (3 - 0.01) * 40)
        self.assertEqual(extra["ioeventfd_mmio"], (-1, -10))
        self.assertEqual(extra["irq_line"], (1, 60))
        self.assertEqual(extra["msi_irqfd"], (-2, -60))
        explained = 150 + 2.99 * 40 - 10 + 60 - 60
        self.assertAlmostEqual(row["predicted_ns"], 500 + explained)
        self.assertAlmostEqual(row["rest_ns"], 1000 - 500 - explained)
        self.assertAlmostEqual(row["rest_percent"], (500 - explained) / 10)
        self.assertAlmostEqual(row["explained_percent"], explained / 5)

    def test_missing_cost(self):
        """A kind that could not be measured is named and not counted."""
        cost = {kind: ns for kind, ns in COST.items() if kind != "mmio_read"}
        row = model.predictions(self.table(1e6, 2e6), cost)["tcp_rr"]
        self.assertEqual(row["missing"], ["mmio_read"])
        self.assertAlmostEqual(row["predicted_ns"], 500 + 2.99 * 40 - 10)

    def test_one_nic(self):
        """Nothing to compare with: no row."""
        self.assertEqual(model.predictions(model.profiles([run(E1000, "tcp_rr", 1, 9)], IDLE),
                                           COST), {})

    def test_unavailable(self):
        """What calibrate could not measure costs nothing we know of."""
        self.assertNotIn("coalesced", COST)


class Validation(unittest.TestCase):
    """Artificial exits."""

    def test_line(self):
        """y = 3x + 2 exactly; one that scatters; one that is none."""
        got = model.line([(0, 2), (1, 5), (2, 8)])
        self.assertAlmostEqual(got["slope"], 3)
        self.assertAlmostEqual(got["intercept"], 2)
        self.assertAlmostEqual(got["r2"], 1)
        self.assertAlmostEqual(model.line([(0, 0), (1, 2), (2, 1), (3, 3)])["r2"], 0.64)
        self.assertIsNone(model.line([(1, 1), (1, 2)]))
        self.assertIsNone(model.line([(0, 1), (1, 2)])["r2"])

    @staticmethod
    def boots(real_cost):
        """Boots with N exits per frame that truly cost so much each."""
        return [(number, model.profiles([run(
            dict(E1000, extra_exits=1000 * number), "tcp_rr", 1e9 / (1000 + number * real_cost),
            1000)], IDLE)) for number in (0, 10, 20)]

    def test_right_cost(self):
        """Prediction and measurement move together one to one."""
        row, = model.validation(self.boots(100), COST)
        self.assertEqual([p["exits_per_unit"] for p in row["points"]], [0, 10, 20])
        self.assertAlmostEqual(row["line"]["slope"], 1)
        self.assertAlmostEqual(row["line"]["r2"], 1)

    def test_wrong_cost(self):
        """Exits that cost half of what calibrate says show as a slope of one half."""
        row, = model.validation(self.boots(50), COST)
        self.assertAlmostEqual(row["line"]["slope"], 0.5)

    def test_more_interrupts(self):
        """An interrupt that only the slowed run takes is part of the prediction."""
        cost = 20 * 100 + COST["irq_line"]
        boots = self.boots(100)[:2] + [(20, model.profiles([run(
            dict(E1000, extra_exits=20000, irqs=E1000["irqs"] + 1000), "tcp_rr",
            1e9 / (1000 + cost), 1000)], IDLE))]
        row, = model.validation(boots, COST)
        self.assertAlmostEqual(row["points"][2]["predicted_ns"], row["points"][2]["measured_ns"])

    def test_no_cost(self):
        """Without calibration of the sidecar there is no validation."""
        self.assertEqual(model.validation(self.boots(50), {}), [])


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: MIT
"""How a test boots a distribution's kernel by tools/traffic, and reads what the guest said."""
import json
import os
import pathlib
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("BUILD") or ROOT / "build").resolve()
GUEST = BUILD / "guest"


def traffic(argv, status, prepare=lambda: None):
    """Run tools/traffic. In the lab QEMU's own races can end or stall a guest, whatever the VMM
    (docs/testing.md): a boot that crashed or stalled there gets one more chance, and it is said."""
    prepare()
    r = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if os.environ.get("DUET_LAB") and r.returncode in {4, 124} - {status}:
        print(f"        (the lab's processor failed the guest, status {r.returncode}: once more)",
              flush=True)
        prepare()
        r = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                           check=False)
    return r


def boot(mode, *args, status=0):
    """One boot. Returns the JSON lines as a list of dicts."""
    with tempfile.TemporaryDirectory() as scratch:
        console = pathlib.Path(scratch, "console")
        r = traffic([ROOT / "tools/traffic", mode, "-q", "--timeout", "400", "--console", console,
                     *args], status)
        tail = console.read_text(errors="replace")[-1500:] if console.exists() else ""
    wrong = [line[:600] for line in r.stdout.splitlines() if '"ok": false' in line]
    assert r.returncode == status, "\n".join([
        f"status {r.returncode}, not {status}", *wrong, r.stderr[-800:], f"console: {tail}"])
    return [json.loads(line) for line in r.stdout.splitlines() if line.startswith("{")]


def only(lines, kind):
    """The lines of one kind."""
    return [line for line in lines if line["kind"] == kind]


def stop_of(lines):
    """Why the VMM ended, by its own statistics."""
    return only(lines, "stats")[0]["stats"]["run"]["stop"]

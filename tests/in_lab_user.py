# SPDX-License-Identifier: MIT
"""Cases of tests/in_lab.py: a stock guest on the network without privilege (user: passt)."""
import os
import pathlib
import shutil
import subprocess
import tempfile

from booting import BUILD, GUEST, ROOT
from cases import Skip, case

# In the guest, one card after the other: an address by DHCP, a name, a connection out, by which the
# host is asked for what this guest says at a port that is forwarded to it.
SCRIPT = """#!/bin/sh
for card in e1000.8000 virtio_net.8001; do
    device=$(echo /sys/bus/pci/drivers/e1000/0*/net/* /sys/bus/virtio/drivers/virtio_net/v*/net/* |
        tr ' ' '\\n' | grep "/${card%.*}/")
    eth=${device##*/}
    ip link set "$eth" up
    udhcpc -q -n -f -i "$eth" -s ./leased >/dev/null 2>&1
    . ./lease
    name=$(nslookup duet.test "$dns" | sed -n 's/^Address.*: *\\(198.*\\)/\\1/p')
    nc -l -p 80 -e head -n 1 &
    nc "$router" 7 -e ./ask "${card#*.}"
    echo "${card%.*} $ip $router $dns $name $(cat heard)"
    ip addr flush dev "$eth"
    ip link set "$eth" down
    rm lease heard
done
"""
LEASED = """#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add "$ip/$mask" dev "$interface"
ip route add default via "$router" dev "$interface"
echo "ip=$ip router=$router dns=$dns" >lease
"""
ASK = """#!/bin/sh
echo "$1"
cat >heard
"""
CARDS = ("-n", "e1000,user,hostfwd=tcp:8000:80", "-n", "virtio,user,hostfwd=tcp:8001:80")


@case
def user_network():
    """an ordinary user's guest, no tap: DHCP, a name, TCP out and in through passt, on both NICs"""
    if not shutil.which("passt"):
        raise Skip("passt is not installed")
    with tempfile.TemporaryDirectory() as scratch:
        os.chmod(scratch, 0o755)
        for name, text in (("script", SCRIPT), ("leased", LEASED), ("ask", ASK)):
            (pathlib.Path(scratch) / name).write_text(text, encoding="ascii")
            (pathlib.Path(scratch) / name).chmod(0o755)
        r = subprocess.run(["unshare", "-nm", ROOT / "tests/outside.py", BUILD / "duet", "exec",
                            "-k", GUEST / "generic/vmlinux", "-i", GUEST / "generic/initrd.img",
                            "-a", "mitigations=off", *CARDS, "--", "./script"],
                           cwd=scratch, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                           timeout=300, check=False)
    assert r.returncode == 0 and r.stdout.splitlines() == [
        f"{driver} 192.0.2.2 192.0.2.1 192.0.2.53 198.51.100.7 {port}"
        for driver, port in (("e1000", 8000), ("virtio_net", 8001))], r

#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What is outside for a guest on the network without privilege.

usage: unshare -nm tests/outside.py COMMAND...

In those name spaces of its own: an interface up0 (192.0.2.2/24, router 192.0.2.1), for passt to take
as the way out; a name server at 192.0.2.53, also in /etc/resolv.conf, that has an address for
whatever it is asked; and on loopback, where passt takes what a guest sends to its router, a server
at port 7. That one is told a port, says it there, here, and passes on what it is told: so a guest
that asks for its own forwarded port is reached in both directions.

COMMAND runs as an ordinary user who may use /dev/kvm; if this user is one already, then as this
one. Exit status: COMMAND's.
"""
import os
import pathlib
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROUTER, NAMES, FOUND = "192.0.2.1", "192.0.2.53", "198.51.100.7"
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs")
NETWORK = f"""link set lo up
tuntap add up0 mode tap
addr add 192.0.2.2/24 dev up0
addr add {NAMES}/32 dev up0
link set up0 up
route add default via {ROUTER}
"""
FORWARD_TRIES = 100   # a tenth of a second or more each: the guest may not listen yet


def all_users():
    """False in a user name space that has but one: nobody to become there, and no need."""
    return pathlib.Path("/proc/self/uid_map").read_text(encoding="ascii").split()[2] == str(2**32 - 1)


def bind_over(source, target):
    """SOURCE in the place of TARGET, for us and our children."""
    subprocess.run(["mount", "--bind", source, target], check=True)


def let_in(place):
    """Makes ROOT everybody's to reach, though the way there lead through a folder of somebody's own:
    that one is hidden behind an empty one."""
    shut = [folder for folder in reversed(ROOT.parents) if not folder.stat().st_mode & stat.S_IXOTH]
    if shut:
        (place / "root").mkdir()
        bind_over(ROOT, place / "root")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "outside", shut[0]], check=True)
        ROOT.mkdir(parents=True)
        bind_over(place / "root", ROOT)


def set_up(place):
    """The network, the name server's address, a /dev/kvm for everybody."""
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "outside", place], check=True)   # devices may be here
    subprocess.run(["ip", "-batch", "-"], input=NETWORK, text=True, check=True)
    (place / "resolv.conf").write_text(f"nameserver {NAMES}\n", encoding="ascii")
    bind_over(place / "resolv.conf", os.path.realpath("/etc/resolv.conf"))
    if all_users():
        os.mknod(place / "kvm", 0o020666, os.stat("/dev/kvm").st_rdev)
        os.chmod(place / "kvm", 0o666)
        bind_over(place / "kvm", "/dev/kvm")
        let_in(place)


def answer(query):
    """To a DNS query of one question: FOUND, if IPv4's address is asked for, else nothing."""
    end = query.index(0, 12) + 5
    wanted = query[end - 4:end - 2] == b"\0\1"
    record = b"\xc0\x0c\0\1\0\1\0\0\0<\0\4" + socket.inet_aton(FOUND)
    return (query[:2] + b"\x81\x80\0\1\0" + bytes([wanted]) + bytes(4) + query[12:end]
            + record * wanted)


def serve_names(server):
    """For ever."""
    while True:
        query, who = server.recvfrom(512)
        server.sendto(answer(query), who)


def said_at(port):
    """All that is said at that port of loopback to one who says its number. passt 2023-03 (Debian
    12) does not tell a guest of a connection before its other end has said something."""
    for _ in range(FORWARD_TRIES):
        try:
            with socket.create_connection(("127.0.0.1", port), 2) as s, s.makefile("rb") as f:
                s.sendall(b"%d\n" % port)
                said = f.read()
        except OSError:
            said = b""
        if said:
            return said
        time.sleep(0.1)
    return b"nothing\n"


def serve_ports(server):
    """For ever."""
    while True:
        peer, _ = server.accept()
        with peer, peer.makefile("rb") as f:
            peer.sendall(said_at(int(f.readline(16))))


def serve(kind, address, port, function):
    """FUNCTION at a socket of that kind, in a thread that ends with the process."""
    server = socket.socket(socket.AF_INET, kind)
    server.bind((address, port))
    if kind == socket.SOCK_STREAM:
        server.listen()
    threading.Thread(target=function, args=(server,), daemon=True).start()


def main():
    """See above."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return 0 if len(sys.argv) > 1 else 2
    command = [*(NOBODY if all_users() else ()), *sys.argv[1:]]
    with tempfile.TemporaryDirectory() as scratch:
        set_up(pathlib.Path(scratch))
        serve(socket.SOCK_DGRAM, NAMES, 53, serve_names)
        serve(socket.SOCK_STREAM, "127.0.0.1", 7, serve_ports)
        status = subprocess.run(command, check=False).returncode
        subprocess.run(["umount", "--lazy", scratch], check=True)
    return status


if __name__ == "__main__":
    sys.exit(main())

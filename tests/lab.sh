#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# lab.sh [NAME...]: boot stock kernels (tests/in_lab.py) where they can run: on this
# machine's /dev/kvm in a private network namespace, else in the lab. Says which.
set -euo pipefail
cd "$(dirname "$0")/.."

build=${BUILD:-build}
tools/mkguest --stress generic >/dev/null
tools/mkguest cloud >/dev/null
tools/mkguest --disks generic >/dev/null
if "$build/duet" probe >/dev/null; then
	echo "  on this machine's /dev/kvm"
	exec unshare -rn tests/in_lab.py "$@"
fi
# One processor there: QEMU's races between several are not what is examined here.
echo "  in the lab: this machine's /dev/kvm cannot run a stock kernel"
exec tools/lab -c 1 -m 8G -t 3600 -- tests/in_lab.py "$@"

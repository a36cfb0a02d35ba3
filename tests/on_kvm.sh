#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# on_kvm.sh COMMAND...: run it where guests of a page or two can run: here, on a /dev/kvm of any
# kind, or else in the lab. Says which, if it is the lab.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then
	exec "$@"
fi
echo "  in the lab: there is no /dev/kvm here that can be used"
exec tools/lab -c 1 -m 8G -t 3600 -e DUET_LONG -- "$@"

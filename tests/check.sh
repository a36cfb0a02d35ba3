#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# check.sh: every test, quick ones first, and one sum at the end. Run by `make check`,
# which has built everything.
set -euo pipefail
cd "$(dirname "$0")/.."

build=${BUILD:-build}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
broken=0

# stage TITLE COMMAND...: run it, keep what it says for the sum. A stage that ends
# without a sum of its own has broken down, whatever its status.
stage()
{
	local title=$1 status=0 before
	shift
	printf '%s\n' "$title"
	before=$(grep -cE '^[0-9]+ passed' "$log" || true)
	"$@" </dev/null 2>&1 | tee -a "$log" || status=$?
	if [ "$(grep -cE '^[0-9]+ passed' "$log")" = "$before" ]; then
		printf '  FAIL  %s ended early with status %s\n' "$title" "$status"
		broken=$((broken + 1))
	fi
}

sum()
{
	grep -E '^[0-9]+ passed' "$log" | grep -oE "[0-9]+ $1" | awk '{ n += $1 } END { print n + 0 }'
}

stage 'units' tests/run.sh -j "$(nproc)" "$build"/tests/{test,fuzz}_* tests/agent.py tests/counted.py \
	tests/docs.py tests/figures.py tests/trace2svg.py tests/windows.py tests/model.py tests/moved.py tests/reporting.py \
	tests/ladder.py tests/stress.py
DUET_RUNGS=0 stage 'both NICs the way QEMU has them (every other way: make check-rungs)' \
	tests/run.sh -j "$(nproc)" "$build"/tests/test_{nic_,e1000,virtio_net}*
stage 'command line' tests/cli.py "$build"
stage 'terminal and messages' tests/console.py "$build"
BUILD=$build stage 'installation' tests/install.py
stage 'one command in a guest' tests/exec.py "$build"
stage 'network backends' tests/net.py "$build"
BUILD=$build stage 'a hostile guest' tests/hostile.py
BUILD=$build stage 'a host that misbehaves' tests/hostfaults.py
BUILD=$build stage 'the course' tests/course.sh
stage 'payloads on /dev/kvm' tests/run.sh "$build"/tests/kvm/test_*
stage 'stock kernels' tests/lab.sh
skipped=$(grep -aE '^  skip ' "$log" || true)
[ -z "$skipped" ] || printf 'skipped:\n%s\n' "$skipped"
printf '%s passed, %s failed, %s skipped\n' "$(sum passed)" "$(($(sum failed) + broken))" "$(sum skipped)"
[ "$(sum failed)" -eq 0 ] && [ "$broken" -eq 0 ]

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# check.sh: every test, quick ones first, and one sum at the end. Run by `make check`, which has built
# everything. check.sh on-kvm: only what needs a /dev/kvm of some kind.
set -euo pipefail
cd "$(dirname "$0")/.."

build=${BUILD:-build}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
broken=0

# sums WORD: what the stages so far add up to: passed, failed, skipped
sums()
{
	awk -v word="$1" '/^[0-9]+ passed/ {
		for (i = 2; i <= NF; i++) if (index($i, word) == 1) n += $(i - 1)
	}
	END { print n + 0 }' "$log"
}

# stage TITLE COMMAND...: run it, keep what it says for the sum. A stage without a sum of its own, or
# with a bad status that no failure explains, has broken down.
stage()
{
	local title=$1 status=0 before failed
	shift
	printf '%s\n' "$title"
	before=$(grep -cE '^[0-9]+ passed' "$log" || true)
	failed=$(sums failed)
	"$@" </dev/null 2>&1 | tee -a "$log" || status=$?
	if [ "$(grep -cE '^[0-9]+ passed' "$log")" = "$before" ] ||
		{ [ $status -ne 0 ] && [ "$(sums failed)" = "$failed" ]; }; then
		printf '  FAIL  %s ended early with status %s\n' "$title" "$status"
		broken=$((broken + 1))
	fi
}

good()
{
	[ "$(sums failed)" -eq 0 ] && [ "$broken" -eq 0 ]
}

# Guests of a page or two, on a /dev/kvm of any kind.
on_kvm()
{
	stage 'command line' tests/cli.py "$build"
	stage 'terminal and messages' tests/console.py "$build"
	stage 'one command in a guest' tests/exec.py "$build"
	stage 'network backends' tests/net.py "$build"
	BUILD=$build stage 'a hostile guest' tests/hostile.py
	BUILD=$build stage 'a host that misbehaves' tests/hostfaults.py
	BUILD=$build stage 'the course' tests/course.sh
	stage 'payloads on /dev/kvm' tests/run.sh "$build"/tests/kvm/test_*
}

if [ "${1-}" = on-kvm ]; then
	on_kvm
	good
	exit
fi

stage 'units' tests/run.sh -j "$(nproc)" "$build"/tests/{test,fuzz}_* tests/agent.py tests/counted.py \
	tests/docs.py tests/figures.py tests/trace2svg.py tests/windows.py tests/model.py tests/moved.py tests/reporting.py \
	tests/ladder.py tests/stress.py
DUET_RUNGS=0 stage 'both NICs the way QEMU has them (every other way: make check-rungs)' \
	tests/run.sh -j "$(nproc)" "$build"/tests/test_{nic_,e1000,virtio_net}*
BUILD=$build stage 'installation' tests/install.py
stage 'small guests' tests/on_kvm.sh tests/check.sh on-kvm
stage 'stock kernels' tests/lab.sh
skipped=$(grep -aE '^  skip ' "$log" || true)
[ -z "$skipped" ] || printf 'skipped:\n%s\n' "$skipped"
printf '%s passed, %s failed, %s skipped\n' "$(sums passed)" "$(($(sums failed) + broken))" "$(sums skipped)"
good

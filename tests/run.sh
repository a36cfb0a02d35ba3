#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# run.sh [-j N] PROGRAM...: run Check programs, N at a time (1), one line each; the full output of
# those that fail. Exit status 77 of a program means skipped, its last line says why.
set -euo pipefail

jobs=1
if [ "${1-}" = -j ]; then
	jobs=$2
	shift 2
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# one PROGRAM: run it, and say at once what became of it.
one()
{
	local name status=0 log

	name=$(basename "$1")
	log=$dir/$name
	timeout --foreground 600 "$1" </dev/null >"$log" 2>&1 || status=$?
	case $status in
	0) printf -v said '  ok    %-24s %s' "$name" "$(grep -a '%:' "$log" | tail -n 1)" ;;
	77) printf -v said '  skip  %-24s %s' "$name" "$(tail -n 1 "$log")" ;;
	*) printf -v said '  FAIL  %-24s exit status %s\n%s' "$name" "$status" \
		"$(sed 's/^/        /' "$log")" ;;
	esac
	printf '%s\n' "$said"
	printf '%.6s\n' "$said" >"$log.said"
}

for program; do
	[ "$(jobs -rp | wc -l)" -lt "$jobs" ] || wait -n
	one "$program" &
done
wait
tally()
{
	cat "$dir"/*.said 2>/dev/null | grep -c "$1" || true
}
failed=$(($# - $(tally ok) - $(tally skip)))
printf '%s passed, %s failed, %s skipped\n' "$(tally ok)" "$failed" "$(tally skip)"
[ "$failed" -eq 0 ]

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# rungs.sh LIST PROGRAM...: run the NICs' test programs with every combination of rungs
# that LIST prints (tests/rungs.c), two programs at a time: a rung must not change what
# they see. One line for each combination, and the full output of what fails.
set -euo pipefail
cd "$(dirname "$0")/.."

list=$1
shift
failed=0 passed=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

while IFS=$'\t' read -r mask why what _; do
	case $mask in
	'#'*)
		printf '  %s\n' "$mask"
		continue
		;;
	esac
	start=$SECONDS
	for program; do
		[ "$(jobs -rp | wc -l)" -lt 2 ] || wait -n || true
		DUET_RUNGS=$mask tests/run.sh "$program" >"$dir/$(basename "$program")" &
	done
	wait
	if [ "$(cat "$dir"/* | grep -c '^  ok ')" -eq $# ]; then
		passed=$((passed + 1))
		printf '  ok    %-6s %-24s %s (%d programs, %d s)\n' "$mask" "$why" "$what" $# \
			$((SECONDS - start))
	else
		failed=$((failed + 1))
		printf '  FAIL  %-6s %-24s %s\n' "$mask" "$why" "$what"
		cat "$dir"/* | grep -v '^  ok \|^[0-9]* passed, '
	fi
done < <("$list")
[ $((passed + failed)) -gt 1 ] || {
	echo "$list printed nothing to run" >&2
	exit 1
}
printf '%s passed, %s failed, 0 skipped\n' "$passed" "$failed"
[ "$failed" -eq 0 ]

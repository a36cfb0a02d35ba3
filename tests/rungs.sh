#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# rungs.sh LIST PROGRAM...: run the NICs' test programs with every combination of rungs
# that LIST prints (tests/rungs.c): a rung must not change what they see. One line for each
# combination, and the full output of what fails.
set -euo pipefail
cd "$(dirname "$0")/.."

list=$1
shift
failed=0 passed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

while IFS=$'\t' read -r mask why what _; do
	case $mask in
	'#'*)
		printf '  %s\n' "$mask"
		continue
		;;
	esac
	start=$SECONDS
	DUET_RUNGS=$mask tests/run.sh -j "$(nproc)" "$@" >"$log" || true
	if [ "$(grep -c '^  ok ' "$log")" -eq $# ]; then
		passed=$((passed + 1))
		printf '  ok    %-6s %-24s %s (%d programs, %d s)\n' "$mask" "$why" "$what" $# \
			$((SECONDS - start))
	else
		failed=$((failed + 1))
		printf '  FAIL  %-6s %-24s %s\n' "$mask" "$why" "$what"
		grep -v '^  ok \|^[0-9]* passed, ' "$log"
	fi
done < <("$list")
[ $((passed + failed)) -gt 1 ] || {
	echo "$list printed nothing to run" >&2
	exit 1
}
printf '%s passed, %s failed, 0 skipped\n' "$passed" "$failed"
[ "$failed" -eq 0 ]

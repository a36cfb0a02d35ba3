#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# rungs.sh LIST PROGRAM...: run the NICs' test programs with every combination of rungs
# that LIST prints (tests/rungs.c), two programs at a time: a rung must not change what
# they see. One line for each combination, and the full output of what fails.
set -euo pipefail

list=$1
shift
failed=0 passed=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# one PROGRAM: run it; its output is kept only if it fails.
one()
{
	local log=$dir/${1##*/} status=0

	timeout --foreground 600 "$1" </dev/null >"$log" 2>&1 || status=$?
	if [ "$status" -eq 0 ]; then
		rm "$log"
	else
		printf '%s: exit status %s\n' "${1##*/}" "$status" >>"$log"
	fi
}
export -f one
export dir

while IFS=$'\t' read -r mask why what; do
	case $mask in
	'#'*)
		printf '  %s\n' "$mask"
		continue
		;;
	esac
	start=$SECONDS
	printf '%s\0' "$@" | DUET_RUNGS=$mask xargs -0 -n 1 -P 2 bash -c 'one "$1"' one
	bad=("$dir"/*)
	if [ -e "${bad[0]}" ]; then
		failed=$((failed + 1))
		printf '  FAIL  %-6s %-24s %s\n' "$mask" "$why" "$what"
		sed 's/^/        /' "${bad[@]}"
		rm "${bad[@]}"
	else
		passed=$((passed + 1))
		printf '  ok    %-6s %-24s %s (%d programs, %d s)\n' "$mask" "$why" "$what" $# \
			$((SECONDS - start))
	fi
done < <("$list")
[ $((passed + failed)) -gt 1 ] || {
	echo "$list printed nothing to run" >&2
	exit 1
}
printf '%s passed, %s failed, 0 skipped\n' "$passed" "$failed"
[ "$failed" -eq 0 ]

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# run.sh PROGRAM...: run Check programs, one line each; the full output of those
# that fail. Exit status 77 of a program means skipped, its last line says why.
set -euo pipefail

failed=0 skipped=0 passed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for program; do
	status=0
	timeout --foreground 600 "$program" </dev/null >"$log" 2>&1 || status=$?
	name=$(basename "$program")
	case $status in
	0)
		passed=$((passed + 1))
		printf '  ok    %-24s %s\n' "$name" "$(grep -a '%:' "$log" | tail -n 1)"
		;;
	77)
		skipped=$((skipped + 1))
		printf '  skip  %-24s %s\n' "$name" "$(tail -n 1 "$log")"
		;;
	*)
		failed=$((failed + 1))
		printf '  FAIL  %-24s exit status %s\n' "$name" "$status"
		sed 's/^/        /' "$log"
		;;
	esac
done
printf '%s passed, %s failed, %s skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ]

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# course.sh [EXERCISE...]: the exercises of docs/course, as built by `make course`: the test of each
# must fail with the skeleton, or it tests nothing, and pass with the solution. And the machine of
# its first chapter runs, where there is a /dev/kvm.
set -euo pipefail
cd "$(dirname "$0")/.."

build=${BUILD:-build}
passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# verdict WORD COUNTER NAME TEXT
verdict()
{
	printf '  %-5s %-24s %s\n' "$1" "$3" "$4"
	printf -v "$2" '%s' $((${!2} + 1))
}

# judged PROGRAM: 0 all passed, 1 some of its tests failed, else it did not get so far.
judged()
{
	local status=0

	timeout --foreground 120 "$1" </dev/null >"$log" 2>&1 || status=$?
	grep -qE '^[0-9]+%: Checks' "$log" || return 2
	return $status
}

exercise()
{
	local name=$1 status=0

	judged "$build/course/$name/solution" || status=$?
	if [ $status -ne 0 ]; then
		verdict FAIL failed "$name" "the solution does not pass:"
		sed 's/^/        /' "$log"
		return
	fi
	judged "$build/course/$name/skeleton" || status=$?
	if [ $status -ne 1 ]; then
		verdict FAIL failed "$name" "the skeleton passes as it is, or did not run: status $status"
		return
	fi
	verdict ok passed "$name" "$(grep -E '^[0-9]+%: Checks' "$log") with the skeleton"
}

vm200()
{
	local status=0 want=$'Hello from a guest\nregister <- 42\n21 exits'

	[ "$(wc -l <docs/course/vm200.c)" -lt 200 ] || verdict FAIL failed vm200 'has 200 lines or more'
	timeout --foreground 60 "$build/course/vm200" </dev/null >"$log" 2>&1 || status=$?
	if [ $status -eq 3 ]; then
		verdict skip skipped vm200 "$(tail -n 1 "$log")"
	elif [ $status -eq 0 ] && [ "$(cat "$log")" = "$want" ]; then
		verdict ok passed vm200 'prints, stores, halts'
	else
		verdict FAIL failed vm200 "status $status:"
		sed 's/^/        /' "$log"
	fi
}

if [ "${1:-}" = -h ]; then
	sed -n '4,6s/^# //p' "$0"
	exit 0
fi
exercises=("$@")
if [ $# -eq 0 ]; then
	for dir in docs/course/exercises/*/; do
		exercises+=("$(basename "$dir")")
	done
fi
for name in "${exercises[@]}"; do
	exercise "$name"
done
vm200
printf '%s passed, %s failed, %s skipped\n' $passed $failed $skipped
[ $failed -eq 0 ]

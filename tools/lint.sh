#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# lint.sh: everything about the source that a machine can say without running it.
# shellcheck disable=SC2317 # the steps are called by name
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

failed=0
step()
{
	local name=$1
	shift
	if "$@"; then
		printf '  ok    %s\n' "$name"
	else
		printf '  FAIL  %s\n' "$name"
		failed=1
	fi
}

mapfile -t product < <(git ls-files 'vmm/*.c' 'devices/*.c' 'firmware/*.c')
mapfile -t c_and_h < <(git ls-files '*.c' '*.h')
mapfile -t scripts < <(git ls-files -z | xargs -0 grep -lE '^#!.*\b(ba)?sh$|^#!/bin/busybox sh'
	git ls-files '*.bash-completion')
mapfile -t pythons < <(git ls-files -z | xargs -0 grep -lE '^#!.*python3$'; git ls-files '*.py')

spdx()
{
	local bad
	bad=$(git ls-files '*.[chS]' '*.asl' '*.sh' '*.py' Makefile 'tools/*' guest/{init,stress} |
		xargs grep -L 'SPDX-License-Identifier: MIT')
	[ -z "$bad" ] || { printf 'no SPDX line: %s\n' "$bad"; return 1; }
}

analyse()
{
	cppcheck --quiet --std=c11 --enable=warning,portability,performance --inline-suppr \
		--suppressions-list=tools/cppcheck.suppress --error-exitcode=1 -j2 \
		--max-configs=4 -I. -Ibuild -D_GNU_SOURCE -D__x86_64__ -D__linux__ "${product[@]}"
}

tidy()
{
	# shellcheck disable=SC2016 # the inner shell's words
	printf '%s\n' "${product[@]}" | xargs -P2 -n4 sh -c \
		'clang-tidy --quiet "$@" -- -std=gnu11 -D_GNU_SOURCE -I. -Ibuild \
			-DDUET_VERSION=\"0\" -DDUET_VARIANT=\"\" 2>/dev/null' sh
}

python_files()
{
	[ ${#pythons[@]} -eq 0 ] && return
	python3 -m py_compile "${pythons[@]}"
}

step 'layers and self-contained headers' tools/check-layers
step 'licence lines' spdx
step 'what the pages name and show' tools/check-docs
step 'two NICs, side by side' tools/check-twins
step 'page of registers' tools/mkregisters --check
step 'clang-format' clang-format --dry-run -Werror "${c_and_h[@]}"
step 'lengths' tools/fnlen
step 'cppcheck' analyse
[ ${#scripts[@]} -eq 0 ] || step 'shellcheck' shellcheck -x -P SCRIPTDIR "${scripts[@]}"
step 'python' python_files
[ "${TIDY:-1}" = 0 ] || step 'clang-tidy' tidy
exit $failed

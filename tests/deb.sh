#!/bin/bash
# SPDX-License-Identifier: MIT
#
# deb.sh: the package of `make deb` in a fresh Debian: apt installs it with what it depends on and
# nothing else, the program runs, the manual and the completion are in place, and it goes without
# a trace. lintian finds no error. Needs root and Debian's archive.
set -euo pipefail
cd "$(dirname "$0")/.."

build=${BUILD:-build}
deb=$(tools/mkdeb "${1:-0.0.0-1}")
# No mail host: nobody is there to be written to.
lintian --allow-root --fail-on error --suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog "$deb"
echo "  ok    lintian: no error in $(basename "$deb")"

script=$(mktemp "$build/deb-test.XXXXXX")
trap 'rm -f "$script"' EXIT
cat >"$script" <<'INSIDE'
#!/bin/sh
set -eu
find / -xdev -name '*duet*' ! -name 'duet-test*' | LC_ALL=C sort >/tmp/before
apt-get -qq -y --no-install-recommends install /duet-test.deb >/dev/null
duet version
duet help run | grep -q -e --kernel
status=0
duet probe >/dev/null || status=$?
[ "$status" -eq 0 ] || [ "$status" -eq 3 ]
test -s /usr/share/bash-completion/completions/duet
zcat /usr/share/man/man1/duet.1.gz | grep -q '^.Sh COMMAND RUN$'
dpkg --verify duet
dpkg --purge duet >/dev/null
find / -xdev -name '*duet*' ! -name 'duet-test*' | LC_ALL=C sort >/tmp/after
diff /tmp/before /tmp/after
INSIDE
# shellcheck disable=SC2016 # the hooks' $1
mmdebstrap --quiet --variant=apt \
	--customize-hook="cp '$deb' \"\$1/duet-test.deb\"" \
	--customize-hook="cp '$script' \"\$1/duet-test.sh\"" \
	--customize-hook='chroot "$1" sh /duet-test.sh' bookworm /dev/null </dev/null
echo "  ok    installed, run and purged in a fresh Debian"
echo '2 passed, 0 failed, 0 skipped'

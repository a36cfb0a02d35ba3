# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034 # the scripts that source this use the variables
#
# What the guest builder, the kernel fetcher and the lab have in common: where things are built,
# which kernel modules a list of names stands for, and how an initramfs is packed.
# Sourced, never run.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=$(realpath -m "${BUILD:-$ROOT/build}")
PATH=$PATH:/usr/sbin:/sbin

# "?" marks a module that a kernel may lack: the cloud flavour has no e1000.
GUEST_MODULES=(virtio_pci '?virtio_net' '?e1000')
# What a guest under stress loads besides (tools/mkguest --stress).
STRESS_MODULES=('?8021q')
# With disks (tools/mkguest --disks). ext4 asks for crc32c by that name, which no list of
# dependencies knows.
DISK_MODULES=('?crc32c_generic' '?virtio_blk' '?ext4' '?virtio_rng')
# By these a program in a guest drives a card itself (tools/mkdpdk).
UIO_MODULES=('?uio_pci_generic')
# The lab cannot start without these.
LAB_MODULES=(virtio_pci virtio_balloon virtio_console 9pnet_virtio 9p overlay kvm_amd)
# The counted lab neither; it loads nothing later.
COUNTED_MODULES=(kvm_amd tun vhost_net)
# The lab's kernel loads these by itself once somebody asks for a tap, a bridge...
LAB_LAZY_MODULES=('?tun' '?vhost_net' '?veth' '?bridge' '?dummy' '?sch_netem')

# die STATUS MESSAGE...: the one way out with an error.
die()
{
	local status=$1

	shift
	tock
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit "$status"
}

# usage_error MESSAGE...: the caller used the script wrongly.
usage_error()
{
	die 2 "$* (-h shows how)"
}

# Who shows that something is going on: a process, or nothing.
ticker=

# tick TEXT: from now until tock, on a terminal, a line on stderr says TEXT and for how long, once that
# is 2 s. It ends with this script, however that ends.
tick()
{
	[ -t 2 ] && [ -z "$ticker" ] || return 0
	(
		trap - EXIT
		seconds=2
		sleep 2
		while kill -0 $$ 2>/dev/null; do
			printf '\r\033[K%s: %s, %d s' "${0##*/}" "$1" "$seconds"
			sleep 1
			seconds=$((seconds + 1))
		done
	) >&2 9>&- &
	ticker=$!
}

# tock: that is done.
tock()
{
	[ -n "$ticker" ] || return 0
	kill "$ticker"
	wait "$ticker" 2>/dev/null || true
	ticker=
	printf '\r\033[K' >&2
}

# usage: prints the comment block at the top of the running script, which is its manual.
usage()
{
	awk 'NR > 2 && !/^#/ { exit } NR > 3 { sub(/^# ?/, ""); print }' "$0"
}

# slice FILE OFFSET LENGTH: prints that part of FILE.
slice()
{
	dd if="$1" iflag=skip_bytes,count_bytes skip="$2" count="$3" bs=1M status=none
}

# word FILE OFFSET SIZE: prints the little-endian number there.
word()
{
	od -An -v -j "$(($2))" -N "$3" -t "u$3" --endian=little "$1" | tr -d ' '
}

# need_bzimage FILE: by the magic of its boot header.
need_bzimage()
{
	[ -r "$1" ] || die 1 "$1: cannot read it"
	[ "$(slice "$1" $((0x202)) 4 | tr -d '\0')" = HdrS ] ||
		die 1 "$1: not a bzImage (no HdrS at 0x202)"
}

# need PROGRAM PACKAGE: this host must have PROGRAM.
need()
{
	command -v "$1" >/dev/null || die 3 "$1 is missing: apt-get install $2"
}

# modules_resolve MODDIR NAME...: prints the files (relative to MODDIR) that must be loaded for the
# modules NAME..., each after what it depends on. A built-in module needs no file.
# modules.dep lists the dependencies of a module with the deepest last, so they load right to left.
modules_resolve()
{
	local dir=$1

	shift
	awk -v names="$*" '
	function key(path) {
		sub(/.*\//, "", path); sub(/\.ko.*/, "", path); gsub(/-/, "_", path)
		return path
	}
	function put(path) {
		if (!(path in seen)) { seen[path] = 1; print path }
	}
	FILENAME ~ /modules.builtin$/ { builtin[key($1)] = 1; next }
	{ file = $1; sub(/:$/, "", file); path[key(file)] = file
	  deps = ""; for (i = NF; i > 1; i--) deps = deps " " $i
	  dep[key(file)] = deps }
	END {
		n = split(names, want, " ")
		for (i = 1; i <= n; i++) {
			optional = sub(/^\?/, "", want[i])
			if (want[i] in path) {
				m = split(dep[want[i]], d, " ")
				for (j = 1; j <= m; j++) put(d[j])
				put(path[want[i]])
			} else if (!(want[i] in builtin) && !optional) {
				print "this kernel has no module " want[i] > "/dev/stderr"
				status = 1
			}
		}
		exit status
	}' "$dir/modules.builtin" "$dir/modules.dep"
}

# module_unpack FILE: prints the module itself; busybox insmod knows no compression.
module_unpack()
{
	case $1 in
	*.xz) xz -dc "$1" ;;
	*.zst) zstd -dcq "$1" ;;
	*.gz) gzip -dc "$1" ;;
	*) cat "$1" ;;
	esac
}

# stage_modules STAGE MODDIR NAME...: puts the modules and what they depend on under STAGE, and
# their paths, in the order to load them, into STAGE/etc/modules-to-load.
stage_modules()
{
	local stage=$1 dir=$2 files file to

	shift 2
	files=$(modules_resolve "$dir" "$@") || die 3 "$dir lacks what is needed"
	mkdir -p "$stage/etc"
	: >"$stage/etc/modules-to-load"
	for file in $files; do
		to=/lib/modules/${dir##*/}/${file%.ko*}.ko
		mkdir -p "$stage${to%/*}"
		module_unpack "$dir/$file" >"$stage$to"
		echo "$to" >>"$stage/etc/modules-to-load"
	done
}

# stage_busybox STAGE: the directories of a root file system, busybox and a link for each applet.
stage_busybox()
{
	local stage=$1 busybox applet

	busybox=$(command -v busybox) || die 3 "busybox is missing: apt-get install busybox-static"
	! ldd "$busybox" >/dev/null 2>&1 ||
		die 3 "$busybox is not static: apt-get install busybox-static, which replaces it"
	mkdir -p "$stage"/{bin,dev,etc,lib,proc,root,run,sbin,sys,tmp,usr}
	chmod 755 "$stage"
	install -m 755 "$busybox" "$stage/bin/busybox"
	for applet in $("$busybox" --list); do
		[ "$applet" = busybox ] || ln -s busybox "$stage/bin/$applet"
	done
	ln -s ../bin "$stage/usr/bin"
	ln -s ../bin "$stage/usr/sbin"
}

# stage_program STAGE FILE PATH: FILE as PATH under STAGE, and the libraries it needs. An ELF file goes
# without debug information: the names of the host's directories in there would change what is to be
# the same everywhere. Any other stays as it is: strip would also change the PE file that a bzImage is.
stage_program()
{
	local stage=$1 file=$2 path=$3 library

	install -D -m "$(stat -L -c %a "$file")" "$file" "$stage$path"
	[ "$(slice "$file" 1 3 | tr -d '\0')" != ELF ] || strip -g "$stage$path"
	# "NAME => PATH (address)", or the loader's PATH alone; not for scripts and static programs.
	for library in $(ldd "$file" 2>/dev/null | grep -o '/[^ ]*'); do
		[ -e "$stage$library" ] || install -D -m 755 "$library" "$stage$library"
	done
}

# initramfs_pack STAGE OUT: packs STAGE as files of root, the same bytes for the same input.
# Not compressed: measured in the lab, unpacking costs the guest more than reading.
initramfs_pack()
{
	local stage=$1 out=$2 new

	new=$(mktemp "$out.XXXXXX")
	find "$stage" -exec touch -h -d @0 {} +
	(cd "$stage" && find . | LC_ALL=C sort |
		cpio -o -H newc -R 0:0 --reproducible --quiet) >"$new"
	chmod 644 "$new"
	mv "$new" "$out"
}

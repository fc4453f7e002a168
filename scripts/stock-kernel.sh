#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Boots the stock kernel of a Debian release, with its modules, in qemu's emulator, and runs tests in it: the development machine's own
# kernel is one of many that dsaad must work on. The machine's files are the guest's root, read-only, under a layer in the guest's
# memory; nothing the guest writes reaches them. What the tests print comes out here, their logs lie in build/kernel/VERSION/out.
#
# Emulated, everything runs 10 to 30 times slower than on the machine: the waiting of tests is stretched by DSAA_TEST_SLOW.
#
# usage: stock-kernel.sh 12|13 [--seconds N] [--parts PATTERN] [TEST... | -- COMMAND...]
#   TEST      names of scripts in tests/kernel without their ending; without any: all, in their order
#   COMMAND   run in the guest instead, in the folder of the source
#   --seconds ends the emulator after that time, without a word of the guest (default 3600)
#   --parts   runs only the parts of the tests whose name matches (grep -E)
#   DSAA_KERNEL_ROOT=/var/tmp/dsaa-root13 DSAA_KERNEL_TOP=/srv/dsaad: another Debian's root, and the built source in it

set -eu
. "$(dirname "$(readlink -f "$0")")/common.sh"

LOGS=$BUILD/logs
# shellcheck disable=SC2034 # step() of common.sh reads it
START=$EPOCHREALTIME
# What the guest needs to see its root.
EARLY="virtio_pci 9pnet_virtio 9p overlay"
SLOW=10

usage() {
	sed -n '/^# usage:/,/^$/s/^# \?//p' "$(readlink -f "$0")"
}

# private_apt COMMAND...: apt with that suite's index in a folder of its own; the machine's apt does not learn of it.
private_apt() {
	local tool=$1 verb=$2
	shift 2
	"$tool" -q -o Dir::Etc::SourceList="$here/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::Etc::Preferences=/dev/null \
		-o Dir::Etc::PreferencesParts=/dev/null -o Dir::State="$here/apt/state" -o Dir::Cache="$here/apt/cache" \
		-o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false \
		"$verb" "$@"
}

# fetch: the kernel package that linux-image-amd64 stands for, extracted in $here/image; nothing is installed.
fetch() {
	local package
	rm -rf "$here/apt" "$here/image" "$here/image.new"
	mkdir -p "$here/apt/state/lists/partial" "$here/apt/cache/archives/partial" "$here/image.new"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(mirror) $suite main" >"$here/apt/sources.list"
	private_apt apt-get update
	package=$(private_apt apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: *\(linux-image-[0-9][^ ]*\)$/\1/p' | tail -n 1)
	[ -n "$package" ] || die "$suite has no linux-image-amd64"
	cd "$here/apt"
	private_apt apt-get download "$package"
	dpkg-deb -x "$here"/apt/linux-image-*.deb "$here/image.new"
	# Debian 13 has them under /usr.
	[ -d "$here/image.new/lib/modules" ] || ln -sfn usr/lib "$here/image.new/lib"
	depmod -b "$here/image.new" "$(basename "$here/image.new"/lib/modules/*)"
	rm -rf "$here/apt"
	mv "$here/image.new" "$here/image"
}

# initramfs: busybox, the early modules in the order of loading, and an init that goes over to the real root.
initramfs() {
	local m path n=10
	rm -rf "$here/initramfs"
	mkdir -p "$here/initramfs/bin" "$here/initramfs/modules"
	cp /bin/busybox "$here/initramfs/bin/"
	cp "$TOP/tests/kernel/init" "$here/initramfs/init"
	for m in $EARLY; do
		modprobe -d "$here/image" -S "$release" --show-depends "$m"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$here/early"
	while read -r path; do
		n=$((n + 1))
		m=$(basename "$path")
		case $path in
		*.xz) xz -dc "$path" >"$here/initramfs/modules/$n-${m%.xz}" ;;
		*) cp "$path" "$here/initramfs/modules/$n-$m" ;;
		esac
	done <"$here/early"
	(cd "$here/initramfs" && find . | cpio -o -H newc) >"$here/initramfs.cpio"
}

# boot: prints what the guest's console says; the tests' end is a line of its own, see tests/kernel/inside.sh.
boot() {
	nice -n 5 timeout "$limit" qemu-system-x86_64 -nodefaults -no-user-config -machine q35 -accel tcg,thread=multi -cpu max,-cx16 \
		-m 4G -smp 2 -display none -serial stdio -no-reboot -nic none \
		-kernel "$here/image/boot/vmlinuz-$release" -initrd "$here/initramfs.cpio" \
		-append "console=ttyS0 quiet loglevel=4 panic=-1 rdinit=/init" \
		-virtfs "local,path=$root,mount_tag=root,security_model=none,readonly=on,multidevs=remap" \
		-virtfs "local,path=$here/image/lib/modules,mount_tag=modules,security_model=none,readonly=on" \
		-virtfs "local,path=$here/out,mount_tag=out,security_model=none" </dev/null
}

case ${1:-} in
12) suite=bookworm ;;
13) suite=trixie ;;
-h | --help)
	usage
	exit 0 ;;
*) die "which Debian's kernel? usage: ./quickstart kernel 12|13 [TEST...]" ;;
esac
here=$BUILD/kernel/$1
shift
limit=3600
parts=
while :; do
	case ${1:-} in
	--seconds) limit=${2:?--seconds wants a number} ;;
	--parts) parts=${2:?--parts wants a pattern} ;;
	*) break ;;
	esac
	shift 2
done
root=${DSAA_KERNEL_ROOT:-/}
top=${DSAA_KERNEL_TOP:-$TOP}

need_root "reading every file of the machine"
mkdir -p "$here" "$LOGS"
"$TOP/scripts/packages.sh" --kernel
[ -d "$here/image" ] || step "kernel-$suite" fetch
release=$(basename "$here/image"/lib/modules/*)
step initramfs initramfs
rm -rf "$here/out"
mkdir -p "$here/out"
{
	printf 'top=%q release=%q\n' "$top" "$release"
	printf 'export DSAA_TEST_SLOW=%q PARTS=%q\n' "$SLOW" "$parts"
	printf 'set --'
	# without arguments printf would write one empty word
	[ $# = 0 ] || printf ' %q' "$@"
	echo
} >"$here/out/order"

echo "== Linux $release (Debian's $suite), emulated; log: $here/console.log"
boot | stdbuf -oL tr -d '\r' | tee "$here/console.log" || true
grep -q '^dsaa-kernel: end ' "$here/console.log" || die "the guest came to no end within $limit s; see $here/console.log"
rc=$(sed -n 's/^dsaa-kernel: end //p' "$here/console.log" | tail -n 1)
exit "$rc"

#!/usr/bin/env bash
# Debian packages of the service, of a device's agent, of the receiving end of logs and of the adapter for work orders, from binaries that are
# built: program, unit, user, completions and documents. The same inputs give the same bytes. They are in target/deb.
#
# deb.sh         makes PACKAGE_VERSION_ARCH.deb of wardein, wardein-device, wardein-receive and wardein-workorders, twice, and compares them
# deb.sh --try   besides, as root: installs, serves, upgrades, removes and purges them in a Debian of their own (target/deb/debian)
#
# WARDEIN_BINARY names `wardein`, beside which the other programs and age-plugin-wardein are; else they are target/release's.
set -euo pipefail
umask 022
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
# shellcheck source=deploy/trial.sh
source deploy/trial.sh

try=
case $* in
'') ;;
--try) try=1 ;;
*)
	echo "usage: deb.sh [--try]" >&2
	exit 2
	;;
esac
binary=${WARDEIN_BINARY:-${CARGO_TARGET_DIR:-$PWD/target}/release/wardein}
for program in "$binary" "${binary%/*}"/wardein-{device,receive,workorders}; do
	[[ -x $program ]] || {
		echo "deb.sh: $program: build it first" >&2
		exit 2
	}
done
debian dpkg-dev
house=$(mktemp -d)
pid=
out=$PWD/target/deb
system=$out/debian
trap 'leave' EXIT
leave() {
	if [[ -n $pid ]]; then kill -KILL "$pid" || true; fi
	if mountpoint --quiet "$system/proc"; then umount "$system/proc"; fi
	rm -rf "$house"
}

# The time of the commit stands for all times in a package, and what is not tagged is before what will be.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
if [[ -z $(git tag --points-at HEAD --list "v$version") ]]; then
	version+="~$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M%S).$(git rev-parse --short=8 HEAD)"
fi
arch=$(dpkg --print-architecture)

# program FILE NAME ROOT: stripped, since what debuggers need is four fifths of it.
program() {
	install -D -m 755 "$1" "$3/usr/bin/$2"
	strip --strip-unneeded --remove-section=.comment --remove-section=.note "$3/usr/bin/$2"
}

# documents PACKAGE ROOT FILE...
documents() {
	local at=$2/usr/share/doc/$1
	install -d "$at"
	install -m 644 "${@:3}" "$at/"
	gzip -9 -n -c CHANGELOG.md >"$at/changelog.gz"
	{
		echo 'Wardein is licensed under Apache-2.0 or MIT, at your choice.'
		cat LICENSE-MIT
		echo
		cat LICENSE-APACHE
	} >"$at/copyright"
}

# units ROOT UNIT...: with the path that a package has.
units() {
	local unit
	for unit in "${@:2}"; do
		install -D -m 644 "deploy/systemd/$unit" "$1/usr/lib/systemd/system/$unit"
		sed -i 's|/usr/local/bin/|/usr/bin/|g' "$1/usr/lib/systemd/system/$unit"
	done
}

# package NAME "one line" "more" ROOT VERSION OUT: what it depends on is read from its programs.
package() {
	local name=$1 tree=$4 depends script
	mkdir -p "$house/shlibs/debian"
	printf 'Source: wardein\n\nPackage: %s\nArchitecture: any\n' "$name" >"$house/shlibs/debian/control"
	depends=$(cd "$house/shlibs" && dpkg-shlibdeps -O --ignore-missing-info "$tree"/usr/bin/* 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
	install -d "$tree/DEBIAN"
	for script in postinst prerm postrm; do install -m 755 "deploy/debian/$name.$script" "$tree/DEBIAN/$script"; done
	{
		printf 'Package: %s\nVersion: %s\nArchitecture: %s\nSection: net\nPriority: optional\n' "$name" "$5" "$arch"
		echo 'Maintainer: The operator of this project <security@example.org>'
		printf 'Installed-Size: %s\n' "$(find "$tree/usr" -type f -printf '%s\n' | awk '{ kib += int(($1 + 1023) / 1024) } END { print kib }')"
		printf 'Depends: %s, init-system-helpers, systemd\n' "$depends"
		printf 'Description: %s\n %s\n' "$2" "$3"
	} >"$tree/DEBIAN/control"
	(cd "$tree" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
	find "$tree" -print0 | xargs -0 touch --no-dereference --date "@$SOURCE_DATE_EPOCH"
	dpkg-deb --root-owner-group -Zxz -z3 --threads-max=1 --build "$tree" "$6/${name}_${5}_$arch.deb" >"$house/said"
}

# service VERSION OUT
service() {
	local tree=$house/service shell pages
	rm -rf "$tree"
	mkdir -p "$2"
	program "$binary" wardein "$tree"
	if [[ -x ${binary%/*}/age-plugin-wardein ]]; then program "${binary%/*}/age-plugin-wardein" age-plugin-wardein "$tree"; fi
	units "$tree" wardein.service wardein-backup.service wardein-backup.timer
	install -D -m 644 deploy/systemd/wardein.sysusers "$tree/usr/lib/sysusers.d/wardein.conf"
	install -D -m 644 deploy/systemd/wardein.tmpfiles "$tree/usr/lib/tmpfiles.d/wardein.conf"
	for shell in bash-completion/completions/wardein=bash zsh/vendor-completions/_wardein=zsh fish/vendor_completions.d/wardein.fish=fish; do
		install -d "$tree/usr/share/$(dirname "${shell%=*}")"
		"$binary" completions "${shell#*=}" >"$tree/usr/share/${shell%=*}"
	done
	mapfile -t pages < <(git ls-files 'deploy/[A-Z]*.md' ':!deploy/README.md')
	documents wardein "$tree" README.md SECURITY.md deploy/wardein.example.toml "${pages[@]}"
	package wardein 'key authority for connected medical devices' \
		'Registers devices at the factory, certifies them, and tells platforms whom to trust.' "$tree" "$1" "$2"
}

# agent VERSION OUT
agent() {
	local tree=$house/agent
	rm -rf "$tree"
	mkdir -p "$2"
	program "${binary%/*}/wardein-device" wardein-device "$tree"
	units "$tree" wardein-device.service wardein-device-logs.service
	install -D -m 644 deploy/systemd/wardein-device.sysusers "$tree/usr/lib/sysusers.d/wardein-device.conf"
	documents wardein-device "$tree" crates/device/README.md
	package wardein-device 'agent of a device of a Wardein authority' \
		'Keeps a device certified and its keys new, and proves it to the authority.' "$tree" "$1" "$2"
}

# at_platform NAME DOCUMENT "one line" "more" VERSION OUT: what runs at a platform. Its example is a document: it works for nobody as it is.
at_platform() {
	local tree=$house/$1
	rm -rf "$tree"
	mkdir -p "$6"
	program "${binary%/*}/$1" "$1" "$tree"
	units "$tree" "$1.service"
	install -D -m 644 "deploy/systemd/$1.sysusers" "$tree/usr/lib/sysusers.d/$1.conf"
	install -D -m 644 "deploy/systemd/$1.tmpfiles" "$tree/usr/lib/tmpfiles.d/$1.conf"
	documents "$1" "$tree" "deploy/$2" "deploy/$1.example.toml"
	package "$1" "$3" "$4" "$tree" "$5" "$6"
}

make() {
	local file
	mkdir -p "$out"
	rm -f "$out"/*.deb
	for file in "$out" "$house/again"; do
		service "$version" "$file"
		agent "$version" "$file"
		at_platform wardein-receive LOGS.md 'receiving end of logs that devices of a Wardein authority deliver' \
			'Checks who sealed them and in which order, opens them, and hands them on as lines of JSON.' "$version" "$file"
		at_platform wardein-workorders SERVICE.md 'adapter for work orders of a Wardein authority' \
			'Makes visits of technicians of the work orders of other systems, and writes back what came of them.' "$version" "$file"
	done
	for file in "$out"/*.deb; do
		cmp "$file" "$house/again/${file##*/}"
		printf '%s, %s KiB: ' "${file##*/}" "$(($(stat -c %s "$file") / 1024))"
		dpkg-deb --field "$file" Depends
	done
	echo "made twice, the same to the byte"
}

inside=(chroot "$system" env -i DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin)
by_service=("${inside[@]}" setpriv --reuid wardein --regid wardein --init-groups)
within() { "${inside[@]}" "$@"; }
as_service() { "${by_service[@]}" "$@"; }
installs() { within apt-get install -qq --no-install-recommends --allow-downgrades "$@"; }
mode() { test "$(stat -c '%a' "$system$1") $(within stat -c '%U' "$1")" = "$2"; }

# serves: in the Debian, by the service's user, as its unit does.
serves() {
	local status=0
	# Each of these becomes the next, so that the number is the service's own.
	"${by_service[@]}" wardein serve --config /var/lib/wardein/wardein.toml >"$house/log" 2>&1 &
	pid=$!
	up "$grpc" && as_service wardein tenant list --dir /var/lib/wardein || status=1
	kill -TERM "$pid"
	wait "$pid" || status=1
	pid=
	if ((status != 0)); then cat "$house/log"; fi
	return "$status"
}

# ends: those that run at a platform come with their users and directories, and leave nothing.
ends() {
	local name enabled
	for name in wardein-receive wardein-workorders; do
		enabled=$system/etc/systemd/system/multi-user.target.wants/$name.service
		holds "$name is installed" installs "/tmp/${name}_${version}_$arch.deb"
		holds "its configuration is its user's to read, and root's to write" mode "/etc/$name" '750 root'
		holds "its unit is enabled" test -L "$enabled"
		holds "and starts what is installed" grep -q "^ExecStart=/usr/bin/$name " "$system/usr/lib/systemd/system/$name.service"
		holds "the program runs, and says what it lacks" says "/etc/$name/" within setpriv --reuid "$name" --regid "$name" --init-groups \
			"$name" --config "/etc/$name/missing.toml"
		within install -m 640 -g "$name" /dev/null "/etc/$name/config.toml"
		holds "a purge leaves what is configured, and says so" says "/etc/$name .* and is left" within dpkg --purge "$name"
		holds "the unit is not enabled any more" not test -L "$enabled"
		within rm -r "/etc/$name"
	done
}

trial() {
	local http enabled=/etc/systemd/system/multi-user.target.wants/wardein.service
	if ((EUID != 0)); then
		echo "deb.sh --try: as root, which debootstrap needs" >&2
		exit 2
	fi
	debian debootstrap
	if [[ ! -e $system.complete ]]; then
		echo "making a Debian in $system; this takes a minute, once"
		rm -rf "$system"
		mkdir -p "$system"
		debootstrap --variant=minbase --include=systemd,init-system-helpers,util-linux bookworm "$system" http://deb.debian.org/debian >"$house/said"
		cp /etc/resolv.conf "$system/etc/"
		touch "$system.complete"
	fi
	mount --bind /proc "$system/proc"
	echo '127.0.0.1 localhost' >"$system/etc/hosts"
	within apt-get update -qq
	within dpkg --purge wardein wardein-device wardein-receive wardein-workorders >"$house/said" 2>&1 || true
	within rm -rf /var/lib/wardein /var/lib/wardein-{device,receive,workorders} /etc/wardein-{receive,workorders}
	service "$version+next" "$house/next"
	cp "$out"/*.deb "$house/next"/*.deb "$system/tmp/"

	read -r grpc http < <(ports 2)
	holds "both are installed, with what they depend on" installs "/tmp/wardein_${version}_$arch.deb" "/tmp/wardein-device_${version}_$arch.deb"
	holds "the service's directory is its user's alone" mode /var/lib/wardein '700 wardein'
	holds "its unit is enabled" test -L "$system$enabled"
	holds "and starts what is installed" grep -q '^ExecStart=/usr/bin/wardein ' "$system/usr/lib/systemd/system/wardein.service"
	holds "no file of the package is another's to write" test -z "$(within find /usr/bin/wardein /usr/lib/systemd/system/wardein.service /usr/share/doc/wardein -perm /022)"
	within install -d -m 700 -o wardein /srv/wardein
	holds "an authority is founded" as_service wardein init --dir /var/lib/wardein --trust-domain devices.example.org \
		--key-file /srv/wardein/root.key --listen "127.0.0.1:$grpc" --http "127.0.0.1:$http"
	holds "and serves" serves
	holds "the next release is installed over it" installs "/tmp/wardein_$version+next_$arch.deb"
	holds "and serves the same authority" serves
	holds "the former one is installed again" installs "/tmp/wardein_${version}_$arch.deb"
	holds "it is removed" within dpkg --remove wardein
	holds "without its program" not test -e "$system/usr/bin/wardein"
	holds "and purged, which says that the authority is left" says 'holds an authority and is left' within dpkg --purge wardein
	holds "and leaves it" test -s "$system/var/lib/wardein/store.db"
	holds "the unit is not enabled any more" not test -L "$system$enabled"
	holds "installed again, it serves the authority" installs "/tmp/wardein_${version}_$arch.deb"
	holds "as before" serves
	within rm -r /var/lib/wardein /srv/wardein
	within install -d -m 700 -o wardein /var/lib/wardein
	holds "without an authority a purge leaves no directory" within dpkg --purge wardein
	holds "none at all" not test -e "$system/var/lib/wardein"
	holds "the agent of a device goes likewise" within dpkg --purge wardein-device
	ends
	umount "$system/proc"
}

part "packages" make
if [[ -n $try ]]; then part "in a Debian of their own" trial; fi

#!/usr/bin/env bash
# A Debian machine that serves an authority: deploy/systemd's unit judged by systemd-analyze, the cloud-config judged by cloud-init, and both
# tried in a virtual machine that boots Debian, has cloud-init do its part, founds an authority and serves it. Exit code 0 only if every check held.
#
# cloud-init.sh      as root, which debootstrap needs; Debian and its kernel are kept in target/cloud-init. WARDEIN_BINARY names the `wardein`
#                    that is installed; else it is target/quick/wardein, which is built if it is missing
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
# shellcheck source=deploy/trial.sh
source deploy/trial.sh

if (($# > 0)) || ((EUID != 0)); then
	echo "usage: cloud-init.sh, as root" >&2
	exit 2
fi

readonly system=$PWD/target/cloud-init/debian console=$PWD/target/cloud-init/console
house=
qemu=

at_exit() {
	local result=$?
	if [[ -n $qemu ]]; then
		kill -KILL "$qemu" 2>/dev/null || true
		wait "$qemu" 2>/dev/null || true
	fi
	if mountpoint --quiet "$system/proc"; then umount "$system/proc"; fi
	if ((result != 0)) && [[ -s $console ]]; then tail -n 40 "$console" >&2; fi
	if [[ -n $house ]]; then rm -rf "$house"; fi
}
trap at_exit EXIT

# within command...: in the Debian that is tried.
within() { chroot "$system" env DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }

prepare() {
	debian debootstrap e2fsprogs genisoimage qemu-system-x86 python3 systemd
	if [[ -z ${WARDEIN_BINARY:-} ]]; then
		WARDEIN_BINARY=${CARGO_TARGET_DIR:-$PWD/target}/quick/wardein
		if [[ ! -x $WARDEIN_BINARY ]]; then
			echo "building; this takes some minutes"
			cargo build --locked --profile quick -p wardein
		fi
	fi
	house=$(mktemp -d)
	local libraries packages
	if [[ ! -e $system.complete ]]; then
		echo "making a Debian in $system; this takes some minutes, once"
		rm -rf "$system"
		mkdir -p "$system"
		debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,ca-certificates bookworm "$system" http://deb.debian.org/debian >"$console"
		cp /etc/resolv.conf "$system/etc/"
		mount --bind /proc "$system/proc"
		within apt-get update -qq
		# All that the cloud-config installs, for the machine has no network; and a kernel.
		within apt-get install -qq --no-install-recommends cloud-init curl iproute2 ifupdown postgresql-client systemd-timesyncd initramfs-tools \
			linux-image-cloud-amd64 >"$console" 2>&1
		umount "$system/proc"
		touch "$system.complete"
	fi
	install -m 755 "$WARDEIN_BINARY" "$system/opt/wardein"
	if within ldd /opt/wardein | grep -q 'not found'; then
		# What the program is linked with, as a package of it would say.
		mapfile -t libraries < <(ldd "$WARDEIN_BINARY" | grep -o '/[^ ]*')
		mapfile -t packages < <(dpkg-query -S "${libraries[@]}" "${libraries[@]/#/\/usr}" 2>/dev/null | cut -d : -f 1 | sort -u)
		mount --bind /proc "$system/proc"
		within apt-get install -qq --no-install-recommends "${packages[@]}" >"$console" 2>&1
		umount "$system/proc"
	fi
	: >"$console"
}

user_data() { python3 deploy/cloud-init/user-data.py "$@"; }

judge() {
	local sum
	mkdir -p "$house/root/usr/local/bin"
	local unit
	for unit in wardein wardein-backup wardein-device wardein-receive; do
		holds "$unit.service is exposed by 2.0 of 10 at most" systemd-analyze security --offline=true --threshold=20 --no-pager "deploy/systemd/$unit.service"
		grep -o 'exposure level.*' "$house/said"
	done
	install -D "$WARDEIN_BINARY" "$system/usr/local/bin/wardein"
	install -D -m 644 deploy/systemd/wardein.service deploy/systemd/wardein-backup.* -t "$system/etc/systemd/system"
	for unit in wardein.service wardein-backup.timer wardein-backup.service; do
		holds "$unit says nothing that systemd does not know" test -z "$(within systemd-analyze verify "/etc/systemd/system/$unit" 2>&1)"
	done
	rm "$system/usr/local/bin/wardein" "$system"/etc/systemd/system/wardein*
	sum=$(sha256sum "$WARDEIN_BINARY" | cut -d ' ' -f 1)
	user_data https://artifacts.example.org/wardein-0.2.0 "$sum" >"$system/tmp/user-data"
	holds "cloud-init finds the cloud-config valid" within cloud-init schema --config-file /tmp/user-data
	holds "and it holds no secret" not grep -qi 'passphrase=\|password=\|private key' "$system/tmp/user-data"
	rm "$system/tmp/user-data"
	local wrong
	for wrong in 'http://a/b' 'https://a/"b' 'https://a/ b'; do holds "refused: $wrong" not user_data "$wrong" "$sum"; done
	holds "refused: a sum that is none" not user_data https://a/b 00
}

boot() {
	local begin=$SECONDS sum kernel
	sum=$(sha256sum "$WARDEIN_BINARY" | cut -d ' ' -f 1)
	install -m 755 deploy/cloud-init/trial-inside.sh "$system/opt/trial"
	echo 'datasource_list: [NoCloud, None]' >"$system/etc/cloud/cloud.cfg.d/99-trial.cfg"
	truncate --size 2G "$house/disk"
	mkfs.ext4 -q -d "$system" "$house/disk"
	mkdir "$house/seed"
	{
		user_data file:///opt/wardein "$sum"
		# It has no network to ask for packages, which are there.
		echo '  - [systemd-run, --no-block, --unit=trial, -p, After=cloud-final.service, /opt/trial]'
	} | sed 's/^package_update: true/package_update: false/; s/^packages: .*/packages: []/' >"$house/seed/user-data"
	printf 'instance-id: trial-1\nlocal-hostname: authority\n' >"$house/seed/meta-data"
	genisoimage -quiet -volid cidata -joliet -rock -output "$house/seed.iso" "$house/seed/user-data" "$house/seed/meta-data"
	kernel=$(find "$system/boot" -name 'vmlinuz-*' | sort -V | tail -n 1)
	# Emulated: a machine that is virtual itself may offer KVM in which no kernel comes up.
	qemu-system-x86_64 -accel tcg,thread=multi -cpu max -m 1024 -smp 2 -nographic -no-reboot -nic none -kernel "$kernel" -initrd "${kernel/vmlinuz/initrd.img}" \
		-append 'root=/dev/vda rw console=ttyS0 ds=nocloud' -drive "file=$house/disk,format=raw,if=virtio" \
		-drive "file=$house/seed.iso,format=raw,if=virtio,readonly=on" </dev/null >"$console" 2>&1 &
	qemu=$!
	while kill -0 "$qemu" 2>/dev/null; do
		((SECONDS - begin < 900)) || break
		sleep 1
	done
	kill -KILL "$qemu" 2>/dev/null || true
	wait "$qemu" || true
	qemu=
	grep -ao 'TRIAL ✓.*' "$console" | sed 's/TRIAL/ /' || true
	holds "all that is tried in the machine held" grep -aq 'TRIAL all held' "$console"
}

part "Debian, cloud-init, QEMU, and the program" prepare
part "the unit and the cloud-config" judge
part "a machine" boot
printf '\nEvery check held, in %d s. Nothing was left running.\n' "$SECONDS"

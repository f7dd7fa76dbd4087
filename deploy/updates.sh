#!/usr/bin/env bash
# Updates through the installers of others: Debian's RAUC and SWUpdate, unchanged, install what a device downloaded and judged, into
# slots that are files, signed under a certificate of the profile firmware-signing. Restarts are played: another slot is said to be
# booted. Exit code 0 only if every check held.
#
# updates.sh             needs root (RAUC mounts bundles), and no argument; all that it makes is in a directory that it removes
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
source deploy/trial.sh

if (($# > 0)); then
	echo "usage: updates.sh" >&2
	exit 2
fi
if ((EUID != 0)); then
	echo "updates.sh: RAUC mounts bundles: run it as root, in a container" >&2
	exit 1
fi

house=
authority=
bus=
service=
updater=
client=

at_exit() {
	local result=$? number
	for number in $client $updater $service $bus $authority; do
		kill -TERM "$number" 2>/dev/null || true
		wait "$number" 2>/dev/null || true
	done
	if ((result != 0)) && [[ -n $house ]]; then
		tail -n 25 "$house/log" "$house/rauc.log" "$house/swupdate.log" "$house/hawkbit.log" >&2 2>/dev/null || true
	fi
	if [[ -n $house ]]; then
		umount "$house/mount/bundle" 2>/dev/null || true
		rm -rf "$house"
	fi
}
trap at_exit EXIT

prepare() {
	# Neither is started where Debian would start it.
	if [[ ! -e /usr/sbin/policy-rc.d ]]; then
		printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
		chmod +x /usr/sbin/policy-rc.d
		debian rauc swupdate squashfs-tools libfaketime cpio dbus openssl python3
		rm /usr/sbin/policy-rc.d
	else
		debian rauc swupdate squashfs-tools libfaketime cpio dbus openssl python3
	fi
	local built=${CARGO_TARGET_DIR:-$PWD/target}/quick
	if [[ -n ${WARDEIN_BINARY:-} ]]; then
		built=$(dirname "$WARDEIN_BINARY")
	elif [[ ! -x $built/wardein || ! -x $built/wardein-device ]]; then
		echo "building; this takes some minutes"
		cargo build --locked --profile quick -p wardein -p wardein-device
	fi
	house=$(mktemp -d)
	mkdir "$house/bin" "$house/mount" "$house/share"
	touch "$house/rauc.log" "$house/swupdate.log" "$house/hawkbit.log"
	# Four years later, by the clock of the command that it is given.
	printf '#!/bin/sh\nexec env LD_PRELOAD=%s FAKETIME=+4y FAKETIME_DONT_FAKE_MONOTONIC=1 "$@"\n' \
		"$(dpkg -L libfaketime | grep 'libfaketime.so.1$')" >"$house/bin/in-years"
	chmod +x "$house/bin/in-years"
	PATH=$house/bin:$built:/usr/sbin:$PATH
	read -r grpc http ddi <<<"$(ports 3)"
}

# An authority that certifies signers of firmware, a maker with two lines, and a hospital that consents to both.
found() {
	local line
	wardein init --dir "$house/a" --trust-domain updates.example --devices-serve --key-file "$house/root.key" \
		--listen "127.0.0.1:$grpc" --http "127.0.0.1:$http" >"$house/said"
	wardein serve --config "$house/a/wardein.toml" </dev/null >"$house/log" 2>&1 &
	authority=$!
	export WARDEIN_DIR=$house/a
	up "$grpc"
	wardein tenant create klinik >"$house/said"
	wardein operator issue --role station --tenant klinik --name line-1 --validity 1d --quota 10 --out "$house/station" >"$house/said"
	printf 'id,model\np-1,pump\nm-1,monitor\n' >"$house/batch.csv"
	wardein device enroll --identity "$house/station" --csv "$house/batch.csv" --out "$house/devices" >"$house/said"
	wardein operator issue --role site --tenant klinik --name ada --validity 1d --out "$house/site" >"$house/said"
	wardein update repository create maker >"$house/said"
	for line in pumps monitors; do
		wardein update line create maker "$line" --path "$line/*" >"$house/said"
		wardein update consent --all --repository maker --line "$line" --reason agreed --yes --identity "$house/site" >"$house/said"
	done
	wardein update export maker "$house/metadata" >"$house/said"
	signer firmware klinik
	holds "a certificate for code signing, under the root" \
		openssl verify -x509_strict -CAfile "$house/a/root-ca.pem" -untrusted "$house/firmware.pem" "$house/firmware.pem"
	# The first is the signer's, the second its CA's.
	awk '/BEGIN/ {number++} number == 2' "$house/firmware.pem" >"$house/firmware-ca.pem"
	stranger
	configured p-1 pumps pump "install = [\"$PWD/deploy/integrations/rauc/install\"]"
	configured m-1 monitors monitor ''
}

# signer NAME TENANT: a key that signs firmware, and its certificate.
signer() {
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj / -keyout "$house/$1.key" -out "$house/$1.csr" 2>"$house/said"
	wardein platform-cert issue --tenant "$2" --profile firmware-signing --csr "$house/$1.csr" --name pump-firmware --out "$house/$1.pem" >"$house/said"
}

# A signer under another root.
stranger() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=strangers -keyout "$house/stranger-ca.key" \
		-out "$house/stranger-ca.pem" 2>"$house/said"
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=stranger -keyout "$house/stranger.key" -out "$house/stranger.csr" 2>"$house/said"
	printf 'keyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n' >"$house/stranger.ext"
	openssl x509 -req -in "$house/stranger.csr" -CA "$house/stranger-ca.pem" -CAkey "$house/stranger-ca.key" -CAcreateserial -days 9 \
		-extfile "$house/stranger.ext" -out "$house/stranger.pem" 2>"$house/said"
}

# configured DEVICE LINE MODEL MORE: its section, and the maker's root.
configured() {
	cat >>"$house/devices/$1/device.toml" <<-end

		[update]
		line = "$2"
		model = "$3"
		repository = "http://127.0.0.1:$http/tuf/maker"
		artifacts = "dir:$house/share"
		$4
	end
	device "$1" trust "$house/metadata/1.root.json" >"$house/said"
}

# device ID COMMAND...: a command of its updates.
device() { wardein-device --dir "$house/devices/$1" update "${@:2}"; }

# released LINE MODEL NUMBER FILE: the maker signs and releases it.
released() {
	wardein update add "$4" --repository maker --line "$1" --version "$3" --label "1.$3" --model "$2" --path "$1/$3.bin" --floor "$3" >"$house/said"
	wardein update release "$3" --repository maker --line "$1" --reason tested --yes >"$house/said"
	mkdir -p "$house/share/$1"
	cp "$4" "$house/share/$1/$3.bin"
}

# counted LINE NUMBER FIELD: on how many devices the authority knows a release to run, or to have been rolled back.
counted() {
	wardein update show "$2" --repository maker --line "$1" --json |
		python3 -c 'import json, sys; print(json.load(sys.stdin)["receipts"][sys.argv[1]])' "$3"
}

# of SLOT IMAGE: whether the slot begins with it.
of() { cmp -n "$(stat -c %s "$2")" "$1" "$2"; }

# --- RAUC ---

# What RAUC's makers advise needs the kernel's device-mapper to be mounted.
format=verity
if [[ ! -e /sys/class/misc/device-mapper ]]; then format=plain; fi

# bundle NUMBER SIGNER [MANIFEST'S NUMBER] [FORMAT]: a bundle with an image of its own.
bundle() {
	rm -rf "${house:?}/$1"
	mkdir "$house/$1"
	head -c 300000 /dev/urandom >"$house/$1/rootfs.img"
	cp "$house/$1/rootfs.img" "$house/$1.img"
	cat >"$house/$1/manifest.raucm" <<-end
		[update]
		compatible=pump-3
		version=${3:-$1}
		[bundle]
		format=${4:-$format}
		[image.rootfs]
		filename=rootfs.img
	end
	rm -f "$house/$1.raucb"
	/usr/bin/rauc bundle --cert "$house/$2.pem" --key "$house/$2.key" --intermediate "$house/$2-ca.pem" "$house/$1" "$house/$1.raucb" >"$house/made" 2>&1 || { cat "$house/made"; return 1; }
}

# rauc_starts SLOT [COMMAND...]: the device is restarted, and the boot loader took that slot. RAUC's service runs under the command.
rauc_starts() {
	if [[ -n $service ]]; then
		kill -TERM "$service"
		wait "$service" || true
	fi
	rm -f "$WARDEIN_RESTART_PENDING"
	"${@:2}" /usr/bin/rauc -c "$house/system.conf" service --override-boot-slot="$1" >>"$house/rauc.log" 2>&1 &
	service=$!
	local tries=0
	until rauc status >"$house/said" 2>&1 && grep -q "Booted from: rootfs.* ($1)" "$house/said"; do
		((++tries < 100)) || return 1
		sleep 0.1
	done
}

with_rauc() {
	sed -e "s|@HOUSE@|$house|g; s|@ROOT@|$house/a/root-ca.pem|; s|@COMPATIBLE@|pump-3|" deploy/integrations/rauc/system.conf >"$house/system.conf"
	# What a boot loader keeps: which slot is first, and which are good.
	cat >"$house/boot-loader" <<-end
		#!/bin/sh
		case \$1 in
		get-primary) cat "$house/primary" ;;
		set-primary) echo "\$2" >"$house/primary" ;;
		get-state) cat "$house/state-\$2" ;;
		set-state) echo "\$3" >"$house/state-\$2" ;;
		esac
	end
	printf '#!/bin/sh\nexec /usr/bin/rauc -c "%s/system.conf" "$@"\n' "$house" >"$house/bin/rauc"
	# The scripts of deploy/integrations/rauc name no directory.
	printf '#!/bin/sh\nexec "%s" --dir "%s/devices/p-1" "$@"\n' "$(command -v wardein-device)" "$house" >"$house/pump"
	chmod +x "$house/boot-loader" "$house/bin/rauc" "$house/pump"
	echo A >"$house/primary"
	echo good | tee "$house/state-A" >"$house/state-B"
	truncate -s 1M "$house/slot-a" "$house/slot-b"
	export WARDEIN_RESTART_PENDING=$house/restart-pending DBUS_STARTER_BUS_TYPE=session
	# A bus of its own in the place of the system's, which a container may not have.
	DBUS_SESSION_BUS_ADDRESS=$(dbus-daemon --session --fork --print-address=1 --print-pid=3 3>"$house/bus" 2>"$house/said")
	export DBUS_SESSION_BUS_ADDRESS
	bus=$(cat "$house/bus")
	rauc_starts A

	bundle 2 firmware
	holds "RAUC takes the signature" rauc info "$house/2.raucb"
	bundle verity firmware 2 verity
	holds "and that of a bundle of the format verity" rauc info "$house/verity.raucb"
	signer_is_of_code
	released pumps pump 2 "$house/2.raucb"
	device p-1 download >"$house/said"
	holds "RAUC installs what the device has judged" device p-1 install
	holds "into the other slot" of "$house/slot-b" "$house/2.img"
	holds "which is next" grep -q B "$house/primary"
	holds "nothing is confirmed before the restart" started
	holds "it waits for its first start" says 'waits for its first start' device p-1 status
	rauc_starts B
	holds "after it the device says so" started
	holds "and the authority knows" test "$(counted pumps 2 running)" = 1

	bundle 3 firmware
	released pumps pump 3 "$house/3.raucb"
	device p-1 download >"$house/said"
	device p-1 install >"$house/said" 2>&1
	holds "the next goes to the first slot" of "$house/slot-a" "$house/3.img"
	# It did not start, and the boot loader went back.
	rauc_starts B
	holds "where it did not start, the device says so" started
	holds "and runs what it ran" says '^runs:    version 2 ' device p-1 status
	holds "which the authority knows" test "$(counted pumps 3 rolled_back)" = 1

	bundle 4 stranger
	released pumps pump 4 "$house/4.raucb"
	refused_by_rauc 4 "of another signer, though the maker listed it"
	bundle 5 firmware 6
	released pumps pump 5 "$house/5.raucb"
	refused_by_rauc 5 "with another number in its manifest"

	# The certificate is good for three years. RAUC's clock is four years later, the bundle is the one of today.
	bundle 6 firmware
	released pumps pump 6 "$house/6.raucb"
	rauc_starts B in-years
	device p-1 download >"$house/said"
	holds "RAUC installs a bundle that was signed four years ago, by a certificate that has ended" device p-1 install
	holds "all of it" of "$house/slot-a" "$house/6.img"
	sed '/^use-bundle-signing-time/d' "$house/system.conf" >"$house/strict.conf"
	holds "and not without use-bundle-signing-time" says 'certificate has expired' in-years /usr/bin/rauc -c "$house/strict.conf" info "$house/6.raucb"
	rauc_starts A
	holds "it starts" started
	holds "and counts" test "$(counted pumps 6 running)" = 1
	if [[ $format != verity ]]; then echo "  this kernel has no device-mapper: bundles of the format verity were judged, and those of the format plain installed"; fi
}

# A certificate of a device leads to the same root, and is not for firmware.
signer_is_of_code() {
	wardein-device --dir "$house/devices/p-1" certificate >"$house/said"
	cp "$house/devices/p-1/certificate.pem" "$house/device.pem"
	cp "$house/devices/p-1/device.key" "$house/device.key" 2>/dev/null || return 0
	awk '/BEGIN/ {number++} number == 2' "$house/device.pem" >"$house/device-ca.pem"
	bundle device device
	holds "and not one of a device's certificate" not rauc info "$house/device.raucb"
}

# started: what the device runs at each start.
started() {
	mkdir -p "$house/path"
	cp "$house/pump" "$house/path/wardein-device"
	PATH=$house/path:$PATH deploy/integrations/rauc/started
}

# refused_by_rauc NUMBER "what": the installer refuses it, and all is as it was.
refused_by_rauc() {
	local slot
	slot=$(sha256sum <"$house/slot-a")
	device p-1 download --version "$1" >"$house/said"
	holds "RAUC refuses a bundle $2" says 'update-install-failed\|the device runs what it ran before' device p-1 install --version "$1"
	holds "and nothing is written, nor waits" test "$slot$(device p-1 status | grep -c pending)" = "$(sha256sum <"$house/slot-a")0"
}

# --- SWUpdate ---

# image NUMBER SIGNER: a .swu with an image of its own.
image() {
	mkdir -p "$house/swu"
	head -c 300000 /dev/urandom >"$house/swu/rootfs.img"
	cp "$house/swu/rootfs.img" "$house/swu-$1.img"
	cat >"$house/swu/sw-description" <<-end
		software = {
			version = "$1";
			hardware-compatibility = [ "1.0" ];
			images: ({ filename = "rootfs.img"; device = "$house/slot-c"; type = "raw"; sha256 = "$(sha256sum <"$house/swu/rootfs.img" | cut -d' ' -f1)"; });
		};
	end
	openssl cms -sign -in "$house/swu/sw-description" -out "$house/swu/sw-description.sig" -signer "$house/$2.pem" -inkey "$house/$2.key" \
		-outform DER -nosmimecap -binary
	(cd "$house/swu" && printf '%s\n' sw-description sw-description.sig rootfs.img | cpio -o -H crc --quiet) >"$house/$1.swu"
}

# ddi: the device serves what it downloaded, or awaits how it started.
ddi() {
	wardein-device --dir "$house/devices/m-1" update hawkbit --listen "127.0.0.1:$ddi" --token "$house/token" >"$house/ended" 2>"$house/hawkbit.log" &
	updater=$!
	up "$ddi"
}

# swupdate_starts [OPTION]: SWUpdate's daemon, as its package has it; -c 2 where what was installed works, and -c 3 where it does
# not.
swupdate_starts() {
	(cd "$house" && exec swupdate -v -f "$house/swupdate.cfg" -H monitor:1.0 -u "-p 1 $*") >"$house/swupdate.log" 2>&1 &
	client=$!
}

swupdate_ends() {
	kill -TERM "$client" 2>/dev/null || true
	wait "$client" || true
	client=
}

# ends CODE: the device's command ends with that code.
ends() {
	local code=0
	wait "$updater" || code=$?
	updater=
	cat "$house/ended" "$house/hawkbit.log"
	test "$code" = "$1"
}

with_swupdate() {
	(umask 077 && openssl rand -hex 16 >"$house/token")
	cat "$house/a/root-ca.pem" "$house/firmware-ca.pem" >"$house/signers.pem"
	(umask 077 && printf 's|@HOUSE@|%s|; s|@ROOT@|%s|; s|@TENANT@|klinik|; s|@DEVICE@|m-1|; s|@ADDRESS@|127.0.0.1:%s|; s|@TOKEN@|%s|\n' \
		"$house" "$house/signers.pem" "$ddi" "$(cat "$house/token")" >"$house/script" &&
		sed -f "$house/script" deploy/integrations/swupdate/swupdate.cfg >"$house/swupdate.cfg")
	printf '#!/bin/sh\necho restarted >>"%s/restarts"\n' "$house" >"$house/restart"
	chmod +x "$house/restart"
	truncate -s 1M "$house/slot-c"

	image 2 firmware
	released monitors monitor 2 "$house/2.swu"
	device m-1 download >"$house/said"
	ddi
	swupdate_starts
	holds "SWUpdate polls, installs, and says so" ends 0
	holds "all of it" of "$house/slot-c" "$house/swu-2.img"
	holds "it waits for its first start" says 'waits for its first start' device m-1 status
	holds "SWUpdate restarts the device" soon test -e "$house/restarts"
	swupdate_ends

	# It lost its state. What waits must not be installed again.
	truncate -s 0 "$house/slot-c"
	truncate -s 1M "$house/slot-c"
	ddi
	swupdate_starts
	holds "where it polls again before it said how the start went" soon grep -q 'malformed JSON' "$house/swupdate.log"
	swupdate_ends
	holds "it installs nothing a second time" not of "$house/slot-c" "$house/swu-2.img"
	swupdate_starts -c 2
	holds "once it says that the first start went well, the release runs" ends 0
	holds "and the authority knows" test "$(counted monitors 2 running)" = 1
	swupdate_ends

	image 3 firmware
	released monitors monitor 3 "$house/3.swu"
	device m-1 download >"$house/said"
	ddi
	swupdate_starts
	holds "the next is installed" ends 0
	swupdate_ends
	ddi
	swupdate_starts -c 3
	holds "and where it did not start, SWUpdate says so" ends 0
	holds "which the authority knows" test "$(counted monitors 3 rolled_back)" = 1
	swupdate_ends

	image 4 stranger
	released monitors monitor 4 "$house/4.swu"
	device m-1 download --version 4 >"$house/said"
	ddi
	swupdate_starts
	holds "SWUpdate refuses what another signer signed, though the maker listed it" ends 1
	swupdate_ends
	holds "and nothing waits" not says pending device m-1 status

	image 5 firmware
	holds "SWUpdate takes another one today" swupdate -c -i "$house/5.swu" -f "$house/swupdate.cfg" -H monitor:1.0
	holds "Debian's SWUpdate has no time of signing: a file is good for as long as its signer's certificate" \
		says 'Authentication of all signatures failed' in-years swupdate -v -c -i "$house/5.swu" -f "$house/swupdate.cfg" -H monitor:1.0
	released monitors monitor 5 "$house/5.swu"
	device m-1 download >"$house/said"
	sed -i 's/targettoken = ".*"/targettoken = "another-token-of-it"/' "$house/swupdate.cfg"
	ddi
	swupdate_starts
	holds "without the token it gets nothing" soon grep -q '401' "$house/swupdate.log"
	holds "and nothing is installed" not of "$house/slot-c" "$house/swu-5.img"
	swupdate_ends
	kill -TERM "$updater"
	wait "$updater" || true
	updater=
	holds "the token is in no log" not grep -qF -f "$house/token" "$house/hawkbit.log" "$house/log"
}

# soon command...: within some seconds.
soon() {
	local tries=0
	until "$@"; do
		((++tries < 150)) || return 1
		sleep 0.1
	done
}

part "RAUC, SWUpdate, and binaries" prepare
part "an authority, a maker and two devices" found
part "RAUC" with_rauc
part "SWUpdate, by hawkBit's DDI" with_swupdate
printf '\nEvery check held, in %d s. Nothing was left running.\n' "$SECONDS"

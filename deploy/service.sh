#!/usr/bin/env bash
# Visits of technicians, tried from outside: Debian's sshd with the configuration that SERVICE.md shows, ssh-keygen and ssh-audit as
# judges, devices without network, power cuts and clocks that jump, 1,000 invitations under load, and work orders. Exit code 0 only
# if every check held.
#
# service.sh [load] [orders] [devices]    these parts alone; without an argument all of them
#
# WARDEIN_BINARY names the binary, with wardein-device and wardein-workorders beside it; without it they are built. Power cuts are
# kill -9.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
source deploy/trial.sh

for of in "$@"; do
	case $of in
	load | orders | devices) ;;
	*)
		echo "usage: service.sh [load] [orders] [devices]" >&2
		exit 2
		;;
	esac
done
wanted=" ${*:-load orders devices} "

house=
authority=
daemons=()

at_exit() {
	local result=$? number
	if [[ -n $house ]]; then touch "$house/salesforce/stop" 2>/dev/null || true; fi
	for number in $authority "${daemons[@]}"; do
		kill -TERM "$number" 2>/dev/null || true
		wait "$number" 2>/dev/null || true
	done
	if ((result != 0)) && [[ -n $house ]]; then tail -n 20 "$house"/*log >&2 || true; fi
	if [[ -n $house ]]; then rm -rf "$house"; fi
}
trap at_exit EXIT

figure() {
	printf '  = %s\n' "$*"
}

# refuses CODE command...: whether it fails, and says that code.
refuses() {
	if "${@:2}" >"$house/answer" 2>&1; then
		echo "it was done:"
		cat "$house/answer"
		return 1
	fi
	cat "$house/answer"
	grep -q -- "$1" "$house/answer"
}

# field FILTER command...: what jq makes of what the command prints as JSON.
field() {
	"${@:2}" >"$house/answer" 2>"$house/fault" || {
		cat "$house/fault" >&2
		return 1
	}
	jq -er "$1" "$house/answer"
}

# is FILTER command...: whether jq finds it true.
is() {
	field "$@" >/dev/null || {
		cat "$house/answer"
		return 1
	}
}

prepare() {
	local built=${WARDEIN_BINARY:-${CARGO_TARGET_DIR:-$PWD/target}/quick/wardein}
	debian curl faketime jq openssh-client openssh-server openssl procps python3
	if [[ ! -x $built || ! -x ${built%/*}/wardein-device || ! -x ${built%/*}/wardein-workorders ]]; then
		echo "building; this takes some minutes"
		cargo build --locked --profile quick -p wardein -p wardein-device -p wardein-workorders
	fi
	PATH=${built%/*}:$PATH
	wheel ssh-audit 3.9.0
	if [[ -e /etc/ssh/wardein || -e /var/lib/wardein-visits ]]; then
		echo "this machine is a device itself: /etc/ssh/wardein or /var/lib/wardein-visits is there" >&2
		return 1
	fi
	house=$(mktemp -d)
	# Where sshd runs as root it wants its directory, which a service would make.
	mkdir -p /run/sshd 2>/dev/null || true
}

serve() {
	wardein serve --config "$house/a/wardein.toml" </dev/null >>"$house/log" 2>&1 &
	authority=$!
	up "$grpc"
}

# A power cut: nothing is asked to end.
cut_authority() {
	kill -KILL "$authority"
	wait "$authority" 2>/dev/null || true
}

# by NAME arguments...: the command line as that person.
by() {
	wardein --json "${@:2}" --identity "$house/$1"
}

found() {
	local role name
	read -r grpc http <<<"$(ports 2)"
	wardein init --dir "$house/a" --trust-domain visits.example --key-file "$house/root.key" \
		--listen "127.0.0.1:$grpc" --http "127.0.0.1:$http" >"$house/said"
	serve
	export WARDEIN_DIR=$house/a
	wardein tenant create klinik >"$house/said"
	while read -r role name; do
		wardein operator issue --role "$role" --tenant klinik --name "$name" --validity 30d --out "$house/$name" >"$house/said"
	done <<-'N'
		service-coordinator carla
		service-coordinator orders
		technician eva
		technician max
		tenant-admin anna
		site sina
		auditor otto
	N
	wardein operator issue --role station --tenant klinik --name line-1 --validity 1d --quota 80 --out "$house/line-1" >"$house/said"
	{
		echo id,attr.board
		for ((name = 1; name <= 66; name++)); do printf 'pump-%03d,board-%d\n' "$name" "$name"; done
	} >"$house/list.csv"
	holds "66 devices are enrolled" wardein device enroll --identity "$house/line-1" --csv "$house/list.csv" --out "$house/devices"
	for name in eva max; do ssh-keygen -q -t ed25519 -N '' -C "$name" -f "$house/$name.key"; done
}

# device NAME arguments...: wardein-device there, with a place of its own for visits.
device() {
	WARDEIN_SERVICE_DIR=$house/sshd-$1 WARDEIN_SERVICE_SPOOL=$house/visits-$1 SHELL=/bin/sh \
		wardein-device --dir "$house/devices/$1" "${@:2}"
}

sync() {
	device "$1" service sync --out "$house/sshd-$1" --json
}

at() {
	date -u -d "@$1" +%Y-%m-%dT%H:%M:%SZ
}

# invite DEVICES ORDER FROM UNTIL [option...]: prints the visit's id.
invite() {
	field .id by carla service invite --technician eva --key "$house/eva.key.pub" --device "$1" --work-order "$2" --scope maintenance \
		--from "$(at "$3")" --until "$(at "$4")" --yes "${@:5}"
}

release() {
	by sina service release "$1" --yes
}

certify() {
	by eva service certificate "$1" --device "$2" --out "$house/eva-cert.pub"
}

# sshd NAME [faketime]: an sshd for that device, with the lines that SERVICE.md shows; its clock as faketime has it.
declare -A port
sshd() {
	local name=$1
	port[$name]=$(ports 1)
	install -d -m 755 "$house/sshd-$name"
	install -d -m 1733 "$house/visits-$name"
	[[ -e $house/host-$name ]] || ssh-keygen -q -t ed25519 -N '' -C '' -f "$house/host-$name"
	{
		awk '/^    TrustedUserCAKeys/, /^$/' deploy/SERVICE.md |
			sed "s|/etc/ssh/wardein|$house/sshd-$name|; s|/etc/ssh/ssh_host_ed25519_key|$house/host-$name|"
		# What is of this trial alone.
		cat <<-C
			Port ${port[$name]}
			ListenAddress 127.0.0.1
			PidFile none
			UsePAM no
			StrictModes no
			LogLevel VERBOSE
			SetEnv WARDEIN_SERVICE_DIR=$house/sshd-$name WARDEIN_SERVICE_SPOOL=$house/visits-$name PATH=$PATH
		C
	} >"$house/sshd_config-$name"
	grep -q '^ *TrustedUserCAKeys' "$house/sshd_config-$name"
	${2:+faketime -f "$2"} /usr/sbin/sshd -D -e -f "$house/sshd_config-$name" </dev/null >>"$house/sshd-log" 2>&1 &
	daemons+=($!)
	up "${port[$name]}"
}

# into NAME [command]: Eva's ssh to that device; KEY=… for another key than hers.
into() {
	ssh -F none -n -T -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
		-i "$house/${KEY:-eva}.key" -o CertificateFile="$house/eva-cert.pub" -p "${port[$1]}" "$(id -un)@127.0.0.1" "${2:-echo in}"
}

is_in() {
	[[ $(into "$@" 2>"$house/fault") == in ]]
}

# is_out NAME TEXT: whether Eva is kept out there, and sshd says why.
is_out() {
	local before tries=0
	before=$(stat -c %s "$house/sshd-log")
	if is_in "$1"; then return 1; fi
	until tail -c +$((before + 1)) "$house/sshd-log" | grep -q "$2"; do
		((++tries < 50)) || return 1
		sleep 0.1
	done
}

online() {
	local now visit shown began
	now=$(date +%s)
	sshd pump-001
	sshd pump-002
	visit=$(invite pump-001,pump-002 WO-1 "$now" $((now + 3600)))
	holds "a visit that nobody released gets no certificate" refuses visit-not-released certify "$visit" pump-001
	holds "who asked for it does not release it" refuses role-denied by carla service release "$visit" --yes
	holds "a person of the site does" release "$visit"
	certify "$visit" pump-001 >"$house/said"
	holds "sshd lets nobody in before the device has heard of the CA" not is_in pump-001
	sync pump-001 >"$house/said"
	sync pump-002 >"$house/said"
	holds "the invited technician comes in" is_in pump-001
	holds "to the device of the certificate, and to no other" is_out pump-002 'does not contain an authorized principal'
	KEY=max holds "with the key that was invited, and no other" not is_in pump-001
	holds "another person gets no certificate" refuses visit-unknown by max service certificate "$visit" --device pump-001 --out "$house/max-cert.pub"
	holds "nor does Eva for a device that is not of the visit" refuses malformed certify "$visit" pump-003
	shown=$(ssh-keygen -L -f "$house/eva-cert.pub")
	echo "$shown" >"$house/certificate"
	holds "ssh-keygen reads one principal" grep -A1 'Principals:' "$house/certificate"
	holds "which is the device's" grep -q '^ *dev:klinik/pump-001$' "$house/certificate"
	holds "and no other" not grep -q 'pump-002' "$house/certificate"
	holds "the command that ends with the visit" grep -q 'force-command wardein-device service session --visit=' "$house/certificate"
	holds "a terminal, and no forwarding" not grep -qE 'permit-(port|agent|X11)-forwarding|permit-user-rc' "$house/certificate"
	holds "an hour at most" python3 - "$house/certificate" <<-'P'
		import datetime, re, sys
		begin, end = re.search(r"Valid: from (\S+) to (\S+)", open(sys.argv[1]).read()).groups()
		length = datetime.datetime.fromisoformat(end) - datetime.datetime.fromisoformat(begin)
		sys.exit(length > datetime.timedelta(seconds=3600 + 60))
	P
	# The device's clock is an hour behind, then two hours ahead.
	sshd pump-001 -1h
	holds "an sshd whose clock is before the window lets nobody in" is_out pump-001 'Certificate invalid: not yet valid'
	sshd pump-001 +2h
	holds "nor one whose clock is behind it" is_out pump-001 'Certificate invalid: expired'
	sshd pump-001
	holds "and one with the right time does" is_in pump-001
	into pump-001 "touch $house/open; sleep 300" >/dev/null 2>&1 &
	local shell=$!
	until [[ -e $house/open ]]; do sleep 0.1; done
	by sina service end "$visit" --reason 'the ward is closed' --yes >"$house/said"
	holds "an ended visit gets no certificate" refuses visit-closed certify "$visit" pump-001
	began=$(date +%s%N)
	sync pump-001 >"$house/said"
	wait "$shell" || true
	figure "an open shell ended $((($(date +%s%N) - began) / 1000000)) ms after the device heard that its visit was ended"
	holds "within five seconds" test $(($(date +%s%N) - began)) -lt 5000000000
	holds "its certificate is revoked at the device" is_out pump-001 revoked
	holds "and ssh-keygen finds it in the list" bash -c "ssh-keygen -Q -f '$house/sshd-pump-001/revoked' '$house/eva-cert.pub' | grep -q REVOKED"
	sync pump-001 >"$house/said"
	holds "the device told of each session: when, how it ended, how often what was done" \
		is '.protocols | length == 3 and any(.[]; .end == "ended" and .actions.command == 1)' by otto service show "$visit"
	holds "pump-002 let nobody in, and nothing is awaited of it" is '.awaited_protocols == []' by otto service show "$visit"
}

on_time() {
	local now until visit late
	# The shortest window has five minutes; this one began almost as long ago.
	now=$(date +%s)
	until=$((now - 285 + 300))
	visit=$(invite pump-001 WO-2 $((now - 285)) $until)
	release "$visit" >"$house/said"
	certify "$visit" pump-001 >"$house/said"
	into pump-001 "trap '' HUP TERM; while :; do sleep 0.5; done" >/dev/null 2>"$house/fault" || true
	late=$(($(date +%s%N) / 1000000 - until * 1000))
	figure "a shell that does not end for being asked ended $late ms behind its window"
	holds "not before" test "$late" -ge 0
	holds "and within five seconds" test "$late" -lt 5000
	holds "it was said why" grep -q 'the visit is over' "$house/fault"
	holds "nobody comes in behind the window" is_out pump-001 'Certificate invalid: expired'
	holds "nor gets a certificate" refuses visit-closed certify "$visit" pump-001
	now=$(date +%s)
	visit=$(invite pump-001 WO-3 $((now + 600)) $((now + 1200)))
	release "$visit" >"$house/said"
	holds "nor before it" refuses visit-not-begun certify "$visit" pump-001
	by sina service end "$visit" --reason called-off --yes >"$house/said"
	sync pump-001 >"$house/said"
	holds "a window in the past is refused" refuses visit-window-past invite pump-001 WO-4 $((now - 7200)) $((now - 3600))
	holds "and one that is years long" refuses visit-window-bounds invite pump-001 WO-4 "$now" $((now + 100000000))
	holds "a scope that nobody knows" refuses service-scope-unknown by carla service invite --technician eva --key "$house/eva.key.pub" \
		--device pump-001 --work-order WO-4 --scope dose-library --until "$(at $((now + 3600)))" --yes
	holds "a work order with odd characters" refuses malformed invite pump-001 'WO;reboot' "$now" $((now + 3600))
}

audited() {
	local result=0 audit=$tools/ssh-audit-3.9.0/bin/ssh-audit
	"$audit" --skip-rate-test -j -p "${port[pump-001]}" 127.0.0.1 >"$house/audit.json" || result=$?
	# 0: good, 2: warnings, 3: failures; others: it could not look.
	figure "ssh-audit: exit code $result; $(jq '[.. | .fail? // empty | length] | add // 0' "$house/audit.json") failures," \
		"$(jq '[.. | .warn? // empty | length] | add // 0' "$house/audit.json") warnings"
	jq -r '.. | .fail? // empty | .[]' "$house/audit.json"
	holds "ssh-audit fails nothing of the documented configuration" test "$result" -eq 0 -o "$result" -eq 2
	holds "it looked at algorithms" is '(.kex | length) > 0 and (.enc | length) > 0 and (.mac | length) > 0 and (.key | length) > 0' \
		cat "$house/audit.json"
}

dumped() {
	cp -r "$house/devices/pump-001" "$house/devices/dump"
	sed -i 's/pump-001/pump-002/' "$house/devices/dump/device.toml"
	holds "the dump of one device under the name of another gets nothing" refuses 'it is of klinik/pump-001' \
		wardein-device --dir "$house/devices/dump" service sync --out "$house/sshd-pump-002"
}

challenge() {
	field .challenge device "$1" service challenge --scope "$2" --json
}

code() {
	by eva service code "$1" --device "$2" --challenge "$3"
}

# typed NAME CODE COMMAND [wrapper...]: opens a session there by a code, and has its shell do something.
typed() {
	printf '%s\n%s\n' "$2" "$3" | "${@:4}" device "$1" service open
}

glass() {
	printf '%s\necho in\n' "$2" | device "$1" service break-glass
}

# A power cut while wardein-device does that there.
cut_device() {
	local pid=
	until [[ -n $pid ]]; do
		pid=$(pgrep -f "$house/devices/$1 service $2" | head -n 1) || sleep 0.05
	done
	kill -KILL "$pid"
	while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
}

# faked OFFSET command...: the same with the clock of the machine moved. /proc/uptime, which the device counts by, is the machine's
# own.
faked() {
	local library
	library=$(find /usr/lib -name libfaketime.so.1 -print -quit)
	LD_PRELOAD=$library FAKETIME=$1 FAKETIME_DONT_FAKE_MONOTONIC=1 "${@:2}"
}

# As time passes, or a restart: what the device keeps of the challenge is altered.
alter() {
	jq "$2" "$house/devices/$1/codes.json" >"$house/altered"
	cp "$house/altered" "$house/devices/$1/codes.json"
}

offline() {
	local now visit shown text name
	for name in pump-001 pump-002; do
		sed -i 's/"file"/"file", "service"/' "$house/devices/$name/device.toml"
		device "$name" rekey >"$house/said"
	done
	now=$(date +%s)
	visit=$(invite pump-001,pump-002 WO-5 "$now" $((now + 3600)))
	holds "no code before the release" refuses visit-not-released code "$visit" pump-001 "$(challenge pump-001 maintenance)"
	release "$visit" >"$house/said"
	shown=$(challenge pump-001 maintenance)
	figure "a challenge has ${#shown} characters with hyphens: $shown"
	holds "a challenge is of one device" refuses service-challenge-wrong code "$visit" pump-002 "$shown"
	holds "and one scope" refuses service-challenge-wrong code "$visit" pump-001 "$(challenge pump-001 view)"
	shown=$(challenge pump-001 maintenance)
	text=$(field .code code "$visit" pump-001 "$shown")
	challenge pump-002 maintenance >"$house/said"
	holds "a code opens nothing at another device" refuses service-code-wrong typed pump-002 "$text" 'echo in'
	# The power is cut before anything is typed.
	mkfifo "$house/keypad"
	device pump-001 service open <"$house/keypad" >"$house/opened" 2>&1 &
	exec 9>"$house/keypad"
	cut_device pump-001 open
	exec 9>&-
	holds "after a power cut and with a clock ten years ahead it opens a session" says '^in for maintenance$' \
		faked +3650d typed pump-001 "$text" "echo in for \$WARDEIN_SCOPE"
	holds "once" refuses service-challenge-missing typed pump-001 "$text" 'echo in'
	# Killed while somebody is in.
	shown=$(challenge pump-001 maintenance)
	text=$(field .code code "$visit" pump-001 "$shown")
	typed pump-001 "$text" "touch $house/inside; sleep 60" >/dev/null 2>&1 &
	until [[ -e $house/inside ]]; do sleep 0.1; done
	cut_device pump-001 open
	holds "a session that a power cut ended opens no second one" refuses service-challenge-missing typed pump-001 "$text" 'echo in'
	shown=$(challenge pump-001 maintenance)
	text=$(field .code code "$visit" pump-001 "$shown")
	alter pump-001 '.shown.at.second -= 900'
	holds "a code is late 15 minutes after its challenge" refuses service-challenge-over typed pump-001 "$text" 'echo in'
	shown=$(challenge pump-001 maintenance)
	text=$(field .code code "$visit" pump-001 "$shown")
	alter pump-001 '.shown.at.boot = "another"'
	holds "and after a restart" refuses service-challenge-over typed pump-001 "$text" 'echo in'
	shown=$(challenge pump-001 maintenance)
	for ((name = 0; name < 5; name++)); do
		holds "guess $((name + 1)) is wrong" refuses service-code-wrong typed pump-001 0K000-00000 'echo in'
	done
	holds "then the device waits" refuses service-locked typed pump-001 0K000-00000 'echo in'
	holds "with a clock that is moved as well" refuses service-locked faked +3650d typed pump-001 0K000-00000 'echo in'
	visit_of_codes=$visit
}

carried() {
	local name=$house/protocols
	holds "the device writes protocols into a file" is '.protocols == 2' device pump-001 service protocol --out "$name" --json
	cat "$name" >"$name.first"
	holds "the technician carries it in" is '.protocols | length == 2 and all(.[]; .is_repeated | not)' by eva service protocol import "$name"
	holds "they are of the visit that the codes were for" is '.protocols | map(.end) | sort == ["broke-off", "left"]' by otto service show "$visit_of_codes"
	holds "the same file again changes nothing" is '.protocols | length == 2 and all(.[]; .is_repeated)' by carla service protocol import "$name"
	holds "another technician has no such visit" refuses visit-unknown by max service protocol import "$name"
	head -c -20 "$name" >"$name.cut"
	holds "a file that was cut is refused" refuses malformed by eva service protocol import "$name.cut"
	head -n 2 "$name" >"$name.less"
	holds "and one that lacks a protocol" refuses malformed by eva service protocol import "$name.less"
	python3 - "$name" "$name.forged" "$name.other" <<-'P'
		import base64, sys
		head, *lines = open(sys.argv[1]).read().splitlines()
		def written(path, change):
		    altered = [base64.b64encode(change(bytearray(base64.b64decode(line)))).decode() for line in lines]
		    open(path, "w").write("\n".join([head, *altered]) + "\n")
		def forged(message):
		    message[-1] ^= 1
		    return message
		def other(message):
		    at = message.index(b"pump-001")
		    message[at:at + 8] = b"pump-002"
		    return message
		written(sys.argv[2], forged)
		written(sys.argv[3], other)
	P
	holds "one that was forged" refuses protocol-forged by eva service protocol import "$name.forged"
	holds "one of another device" refuses protocol- by eva service protocol import "$name.other"
	holds "the device's next contact gives them again, and keeps none" is '.protocols == 2' sync pump-001
	holds "which changes nothing" is '.protocols | length == 2' by otto service show "$visit_of_codes"
	holds "a contact ends the wait" test -n "$(challenge pump-001 maintenance)"
}

broken_glass() {
	local text second
	sync pump-001 >"$house/said"
	sync pump-002 >"$house/said"
	show() { field .code by sina service break-glass show --device "$1" --reason 'a nurse is locked out' --yes; }
	holds "a technician is not shown a code" refuses role-denied by eva service break-glass show --device pump-001 --reason x --yes
	text=$(show pump-001)
	figure "a code for emergencies has ${#text} characters with hyphens"
	holds "the code of one device opens no other" refuses service-code-wrong glass pump-002 "$text"
	holds "it opens its own, with a clock ten years behind" says '^in$' faked -3650d glass pump-001 "$text"
	holds "once" refuses emergency-code-missing glass pump-001 "$text"
	holds "the device writes a protocol of it as well" is '.protocols == 1' device pump-001 service protocol --out "$house/emergency" --json
	holds "whose coming in opens the review" by carla service protocol import "$house/emergency"
	holds "with what the device told" is '.devices[0] | .device == "pump-001" and .open == 1 and (.uses[0].protocol.end == "left")' \
		by otto service break-glass list --open
	sync pump-001 >"$house/said"
	holds "the next contact makes no second use of it" is '.devices[0].uses | length == 1' by otto service break-glass list
	second=$(show pump-001)
	holds "and replaces the code" test "$second" != "$text"
	holds "the former one opens nothing" refuses service-code-wrong glass pump-001 "$text"
	# Killed while somebody is in, by the second code.
	printf '%s\ntouch %s; sleep 60\n' "$second" "$house/broken" | device pump-001 service break-glass >/dev/null 2>&1 &
	until [[ -e $house/broken ]]; do sleep 0.1; done
	cut_device pump-001 break-glass
	holds "a power cut makes it good no second time" refuses emergency-code-missing glass pump-001 "$second"
	holds "its use is told at the next contact, and its protocol" is '.protocols == 1' sync pump-001
	holds "the session broke off" is '.devices[0] | .open == 2 and .uses[1].protocol.end == "broke-off"' by otto service break-glass list --open
	holds "somebody looks into it" is '.open == 0' by sina service break-glass close --device pump-001 --reason INC-12 --yes
}

loaded() {
	local began=$SECONDS
	install -d "$house/sshd-pump-003"
	# Beside them: devices that are in contact, and somebody who lists.
	(
		while :; do
			sync pump-003 >/dev/null 2>&1 || true
			by otto service list >/dev/null 2>&1 || true
		done
	) &
	daemons+=($!)
	python3 deploy/service/invitations.py "$house" 1000 >"$house/invited.json" &
	local loop=$!
	# In the middle of them the power is cut.
	sleep 5
	cut_authority
	serve
	wait "$loop"
	kill "${daemons[-1]}" 2>/dev/null || true
	figure "1,000 invitations in $((SECONDS - began)) s, with the authority killed once: $(jq -c . "$house/invited.json")"
	by otto service list >"$house/listed.json"
	holds "none is lost" is '[.visits[] | select(.work_order | startswith("LOAD-")) | .work_order] | unique | length == 1000' cat "$house/listed.json"
	holds "none is double" is '[.visits[] | select(.work_order | startswith("LOAD-"))] | length == 1000' cat "$house/listed.json"
	jq -r '.visits[] | select(.work_order | startswith("LOAD-")) | "\(.work_order) \(.id)"' "$house/listed.json" | sort >"$house/listed"
	sort "$house/acknowledged" >"$house/heard"
	holds "each that was acknowledged is the one on record" test -z "$(comm -23 "$house/heard" "$house/listed")"
}

# The stand-in of Salesforce that the tests of wardein-workorders have.
stand_in() {
	mkdir "$house/salesforce"
	WARDEIN_STAND_IN=$house/salesforce cargo test --locked --quiet -p wardein-workorders --all-features --test workorders \
		the_stand_in_serves_programs_outside -- --nocapture >"$house/stand-in-log" 2>&1 &
	daemons+=($!)
	until [[ -s $house/salesforce/port ]]; do
		kill -0 "${daemons[-1]}"
		sleep 0.2
	done
}

# order FIELDS: as somebody who works with the order at Salesforce.
order() {
	echo "$1" >"$house/salesforce/order.tmp"
	mv "$house/salesforce/order.tmp" "$house/salesforce/order.json"
	until [[ ! -e $house/salesforce/order.json ]]; do sleep 0.05; done
}

adapter_config() {
	cat >"$house/orders.toml" <<-C
		identity = "$house/orders"
		endpoint = "https://localhost:$grpc"
		state = "$house/orders-state"
		poll = 5
		settle = 0
		scope = "maintenance"
		[[technicians]]
		in_orders = "Eva Example"
		name = "eva"
		key = "$(<"$house/eva.key.pub")"
		[salesforce]
		login_url = "https://localhost:$(<"$house/salesforce/port")"
		audience = "https://login.salesforce.com"
		client_id = "3MVG9client"
		username = "wardein@klinik.example.org"
		key_file = "$house/salesforce/salesforce.key"
		roots = "$house/salesforce/ca.pem"
		api_version = "62.0"
		object = "Work__c"
		report_field = "Report__c"
		[salesforce.fields]
		number = "Name"
		status = "Status__c"
		device = "Device__r.Serial__c"
		technician = "Technician__r.Name"
		starts = "Starts__c"
		ends = "Ends__c"
		[salesforce.status]
		dispatched = ["Dispatched"]
		closed = ["Closed"]
		canceled = ["Canceled"]
	C
}

adapter() {
	wardein-workorders --config "$house/orders.toml" "$@" 2>>"$house/orders-log"
}

# The adapter as a service, killed as soon as the command holds.
adapter_until() {
	local pid tries=0
	wardein-workorders --config "$house/orders.toml" 2>>"$house/orders-log" &
	pid=$!
	until "$@" >/dev/null 2>&1; do
		((++tries < 300)) || return 1
		sleep 0.1
	done
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null || true
}

ordered() {
	local now began=$SECONDS visits='[.visits[] | select(.work_order | startswith("WO-00012/"))]' visit
	stand_in
	adapter_config
	sshd pump-003
	sync pump-003 >"$house/said"
	now=$(date +%s)
	order "{\"Name\": \"WO-00012\", \"Status__c\": \"Dispatched\", \"Device__r\": {\"Serial__c\": \"pump-003\"}, \"Technician__r\": {\"Name\": \"Eva Example\"},
		\"Starts__c\": \"$(date -u -d "@$now" +%Y-%m-%dT%H:%M:%S.000+0000)\", \"Ends__c\": \"$(date -u -d "@$((now + 3600))" +%Y-%m-%dT%H:%M:%S.000+0000)\"}"
	holds "the order becomes a visit" adapter_until is "$visits | length == 1" by otto service list
	cut_authority
	serve
	holds "both were killed, and it is still one" adapter --once
	holds "and no second one" is "$visits | length == 1" by otto service list
	visit=$(field "${visits}[0].id" by otto service list)
	release "$visit" >"$house/said"
	certify "$visit" pump-003 >"$house/said"
	sync pump-003 >"$house/said"
	holds "the technician comes in" is_in pump-003
	order '{"Status__c": "Closed"}'
	holds "the order is closed" adapter --once
	holds "which ends the visit" is '.state == "ended" and .end_reason == "the work order is closed"' by otto service show "$visit"
	holds "and nothing is written before the protocol has come" test ! -s "$house/salesforce/report"
	cut_authority
	serve
	sync pump-003 >"$house/said"
	holds "once it has, it is written back, by an adapter that is killed then" adapter_until test -s "$house/salesforce/report"
	holds "with who came" grep -q 'by eva' "$house/salesforce/report"
	holds "how it ended, and how often what was done" grep -q 'left, command 1, login 1' "$house/salesforce/report"
	holds "another round" adapter --once
	holds "writes it no second time" test "$(<"$house/salesforce/written")" = 1
	figure "order in, visit, protocol back out: $((SECONDS - began)) s; the authority and the adapter were killed twice each"
}

part "prerequisites" prepare
part "an authority, its people, 66 devices" found
if [[ $wanted == *" devices "* ]]; then
	part "a real sshd, online" online
	part "shells end on time" on_time
	part "ssh-audit judges the documented configuration" audited
	part "the dump of a device" dumped
	part "a device without network" offline
	part "protocols as files" carried
	part "break-glass" broken_glass
fi
if [[ $wanted == *" load "* ]]; then part "1,000 invitations under load" loaded; fi
if [[ $wanted == *" orders "* ]]; then part "a work order" ordered; fi
printf '\nEvery check held, in %d s.\n' "$SECONDS"

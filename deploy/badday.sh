#!/usr/bin/env bash
# An administrator's bad day, from outside: a stolen device, a stolen station with 600 devices, a clone, an operator who leaves, a lock-out and the
# way back, and a drill with the backup. It prints each command that an administrator types, and how many seconds it took; what must hold after
# each is asserted. The commands are those of deploy/BADDAY.md.
#
# WARDEIN_BINARY names the binary (wardein-device is beside it); without it target/debug/wardein is used.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
# shellcheck source=deploy/trial.sh
source deploy/trial.sh

binary=${WARDEIN_BINARY:-$PWD/target/debug/wardein}
[[ -x $binary && -x ${binary%/*}/wardein-device ]] || {
	echo "badday.sh: $binary and wardein-device beside it: build them first" >&2
	exit 2
}
debian curl jq openssl
PATH=${binary%/*}:$PATH
unset WARDEIN_IDENTITY WARDEIN_TENANT
house=$(mktemp -d)
pid=
leave() {
	if [[ -n $pid ]]; then kill -TERM "$pid" 2>/dev/null && wait "$pid" || true; fi
	rm -rf "$house"
}
trap leave EXIT
export HOME=$house WARDEIN_DIR=$house/authority
read -r grpc http < <(ports 2)

# Of each event: its name, its commands, and their milliseconds.
events=()
commands=0
spent=0

# event "what happened" function
event() {
	commands=0 spent=0
	part "$1" "$2"
	events+=("$(printf '%-58s %3d commands %8d.%03d s' "$1" "$commands" $((spent / 1000)) $((spent % 1000)))")
}

# types CODE command...: what the administrator types, with its exit code, and how long it takes. What it says is in $house/told.
types() {
	local expected=$1 got=0 begin took word line=
	shift
	for word in "${@//$house\//}"; do
		if [[ $word == *[\ \']* ]]; then word="'$word'"; fi
		line+=" $word"
	done
	begin=$(date +%s%3N)
	"$@" >"$house/told" 2>&1 </dev/null || got=$?
	took=$(($(date +%s%3N) - begin))
	commands=$((commands + 1)) spent=$((spent + took))
	printf '$%s\n    %d.%03d s\n' "$line" $((took / 1000)) $((took % 1000))
	if ((got != expected)); then
		cat "$house/told" >&2
		echo "badday.sh: exit code $got, and not $expected, of:$line" >&2
		exit 1
	fi
}

# answers JQ-CONDITION command...: whether its JSON answer is so.
answers() {
	local condition=$1
	shift
	# `trust check` has exit code 5 where the verdict is not trusted.
	wardein --json "$@" >"$house/answer" || (($? == 5))
	jq --exit-status "$condition" "$house/answer"
}

trusts() { answers ".verdict == \"$2\"" trust check --identity "$house/platform" --device "$1"; }

serve() {
	wardein serve --config "$WARDEIN_DIR/wardein.toml" --passphrase-file "$house/passphrase" >>"$house/serve.log" 2>&1 &
	pid=$!
	up "$grpc" || { cat "$house/serve.log" >&2 && return 1; }
}

stop() {
	kill -TERM "$pid"
	wait "$pid"
	pid=
}

issue() { wardein operator issue --validity 30d "$@" >"$house/issued"; }

morning() {
	local number
	(umask 077 && openssl rand -hex 16 >"$house/passphrase")
	wardein init --dir "$WARDEIN_DIR" --trust-domain badday.example --passphrase-file "$house/passphrase" \
		--listen "127.0.0.1:$grpc" --http "127.0.0.1:$http" >"$house/founded"
	serve
	wardein tenant create klinik-nord >"$house/created"
	for number in 1 2; do
		issue --role station --tenant klinik-nord --name "line-$number" --quota 1000 --out "$house/line-$number"
	done
	issue --role platform --tenant klinik-nord --name iot --out "$house/platform"
	for number in anna ben; do issue --role admin --name "$number" --out "$house/$number"; done
	{
		echo id,model
		printf 'pump-%03d,Infusion pump 3\n' {1..600}
	} >"$house/batch-1.csv"
	printf 'id,model\nmonitor-1,Monitor 7\nmonitor-2,Monitor 7\n' >"$house/batch-2.csv"
	for number in 1 2; do
		wardein device enroll --identity "$house/line-$number" --csv "$house/batch-$number.csv" --out "$house/devices" >"$house/enrolled"
	done
	wardein-device --dir "$house/devices/pump-007" certificate >"$house/certified"
	holds "the platform trusts a device of each station" trusts pump-007 trusted
	holds "and the other's" trusts monitor-1 trusted
}

stolen_device() {
	types 0 wardein device suspend pump-007 --tenant klinik-nord --reason 'reported stolen from ward 7' --yes
	holds "the platform does not trust it from now on" trusts pump-007 not-trusted
	types 3 wardein-device --dir "$house/devices/pump-007" certificate
	holds "and it gets no certificate" grep -q suspended "$house/told"
	types 0 wardein device revoke pump-007 --tenant klinik-nord --reason 'not found after a week' --yes
	types 0 wardein device history pump-007 --tenant klinik-nord
	holds "both are on record, with who and why" grep -q 'not found' "$house/told"
}

stolen_station() {
	types 0 wardein operator revoke station/klinik-nord/line-1 --with-issued --reason 'station stolen' --yes
	types 3 wardein device enroll --identity "$house/line-1" --csv "$house/batch-1.csv" --out "$house/devices"
	holds "the thief enrolls nothing" grep -q operator-revoked "$house/told"
	types 0 wardein device suspend --tenant klinik-nord --enrolled-by line-1 --enrolled-since 24h --state active --dry-run
	holds "a dry run counts them" grep -q '599' "$house/told"
	types 0 wardein device suspend --tenant klinik-nord --enrolled-by line-1 --enrolled-since 24h --state active \
		--reason 'station stolen' --yes
	holds "599 devices are suspended, and one is revoked" \
		answers '[.devices[] | select(.state == "suspended")] | length == 599' device list --tenant klinik-nord --state suspended
	holds "those of the other station go on" trusts monitor-1 trusted
	types 0 wardein operator issue --role station --tenant klinik-nord --name line-3 --validity 30d --quota 100 --out "$house/line-3"
	# The list of who made what: all but the last ten came out of the factory before the theft.
	printf 'pump-%03d\n' {1..590} | sed '/pump-007/d' >"$house/made-before"
	types 0 wardein device resume --tenant klinik-nord --from "$house/made-before" --reason 'made before the theft' --yes
	holds "what was made before the theft is trusted again" trusts pump-008 trusted
	holds "and what the thief may have made is not" trusts pump-595 not-trusted
}

clone() {
	local device=$house/devices/pump-100
	wardein-device --dir "$device" authenticate >"$house/proved"
	cp -a "$device" "$house/copy"
	wardein-device --dir "$house/copy" authenticate >"$house/proved"
	# The device does not know of the copy's proof: its next one is the number that was used.
	wardein-device --dir "$device" authenticate >"$house/proved" 2>&1 || true
	types 0 wardein audit list --event device.clone-suspected
	holds "the alarm names the device" grep -q pump-100 "$house/told"
	holds "which is not trusted" trusts pump-100 not-trusted
	types 0 wardein trust explain pump-100 --tenant klinik-nord
	types 0 wardein device readmit pump-100 --tenant klinik-nord --reason 'this one is on ward 3, and genuine' --yes
	# Keys that are agreed in the very second of a rotation count as older.
	sleep 1.1
	types 0 wardein-device --dir "$device" run --once
	holds "the genuine one has new keys, and is trusted" trusts pump-100 trusted
	types 3 wardein-device --dir "$house/copy" authenticate
	holds "the copy is shut out" grep -q 'the authority refuses' "$house/told"
}

leaving_operator() {
	local fingerprint
	issue --role station --tenant klinik-nord --name bens --quota 10 --out "$house/bens" --identity "$house/ben"
	wardein tenant list --identity "$house/ben" >"$house/listed"
	# What a log has of a caller.
	fingerprint=$(openssl x509 -in "$house/ben/operator.pem" -noout -fingerprint -sha256 | cut -d= -f2)
	types 0 wardein operator list
	types 0 wardein operator revoke "$fingerprint" --with-issued --reason 'left the company' --yes
	holds "the fingerprint of a certificate names its holder" grep -q 'revoked admin/ben' "$house/told"
	types 3 wardein tenant list --identity "$house/ben"
	holds "the one who left is refused" grep -q operator-revoked "$house/told"
	types 3 wardein device enroll --identity "$house/bens" --csv "$house/batch-2.csv" --out "$house/again"
	holds "and so is what he issued" grep -q operator-revoked "$house/told"
	types 0 wardein audit list --actor admin/ben --since 24h
	holds "what he did is on record" grep -q operator.issue "$house/told"
}

lock_out() {
	rm -rf "$house/anna" "$WARDEIN_DIR/admin.key"
	types 1 wardein tenant list
	stop
	types 0 wardein operator recover --dir "$WARDEIN_DIR" --out "$house/recovered" --passphrase-file "$house/passphrase"
	serve
	export WARDEIN_IDENTITY=$house/recovered
	types 0 wardein operator list
	types 0 wardein operator revoke admin/anna --reason 'laptop lost' --yes
	types 0 wardein operator revoke admin/admin --reason 'key lost' --yes
	holds "one administrator is left, and it is the new one" \
		answers '[.operators[] | select(.role == "admin" and .state == "valid")] | length == 1' operator list
	types 0 wardein audit list --event operator.recover
	holds "the recovery is on record" grep -q owner "$house/told"
}

metric() { curl -sf "http://127.0.0.1:$http/metrics" | sed -n 's/^wardein_backup_last_success_timestamp_seconds //p'; }

drill() {
	holds "monitoring knows of no backup yet" test "$(metric)" = 0
	types 0 wardein operator issue --role backup --name nas --validity 30d --out "$house/nas"
	types 0 wardein backup --identity "$house/nas" --out "$house/nightly"
	types 0 wardein backup status --identity "$house/nas"
	holds "and of this one at once" test "$(metric)" -gt $(($(date +%s) - 60))
	types 0 wardein backup verify "$house/nightly" --passphrase-file "$house/passphrase"
	# Done after the backup, and so to be done again.
	wardein device suspend monitor-2 --tenant klinik-nord --reason 'reported lost' --yes >"$house/suspended"
	stop
	mv "$WARDEIN_DIR" "$house/burnt"
	types 0 wardein restore --from "$house/nightly" --dir "$WARDEIN_DIR" --passphrase-file "$house/passphrase" \
		--listen "127.0.0.1:$grpc" --http "127.0.0.1:$http"
	serve
	holds "the administrator of before is one still" answers '.tenants | length == 1' tenant list
	holds "what was done after the backup is unknown" trusts monitor-2 trusted
	types 0 wardein device suspend monitor-2 --tenant klinik-nord --reason 'reported lost' --yes
	holds "until it is done again" trusts monitor-2 not-trusted
	holds "what was done before it holds" trusts pump-007 not-trusted
	types 0 wardein-device --dir "$house/devices/pump-008" run --once
	holds "a device rekeys by itself, and is certified" trusts pump-008 trusted
	types 0 wardein doctor --dir "$WARDEIN_DIR"
}

part "the morning: an authority with 602 devices of two stations" morning
event "a device is stolen" stolen_device
event "a station is stolen, with 600 devices made at it" stolen_station
event "a device is copied" clone
event "an operator leaves" leaving_operator
event "the last administrator's key is lost" lock_out
event "the machine burns down: a drill with the backup" drill
printf '\nThe day, in %d s:\n' "$SECONDS"
printf '  %s\n' "${events[@]}"

#!/usr/bin/env bash
# The main use case, for real: an authority is founded, a factory station enrolls a batch of devices, three of them prove themselves
# and get certificates, so does a fourth whose key is in a TPM (in software, where that can be installed), and the platform is told
# whom to trust, before and after a suspension. Real binaries, real TLS, a real store.
#
# quickstart.sh               leaves the authority running, and says what to try next
# quickstart.sh --once        stops it; exit code 0 only if every step held
# quickstart.sh --postgresql  the same, in this order, with the records in a PostgreSQL database of its own, from which a second node serves too
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

once=
postgresql=
for argument in "$@"; do
	case $argument in
	--once) once=1 ;;
	--postgresql) postgresql=1 ;;
	*)
		echo "usage: quickstart.sh [--once] [--postgresql]" >&2
		exit 2
		;;
	esac
done

# The house of this run. The one before is removed; an authority that it left running is stopped first.
here=$PWD/target/quickstart
authority=$here/authority
log=$here/authority.log
pid=
pid2=
database=
database_pid=
url=
doing=
grpc=
http=
tpm=
tpm_pid=

# part "what it does" function: unlike `step`, it lets `set -e` end the script at the first command that fails within.
part() {
	local begin=$SECONDS
	doing=$1
	printf '\n== %s\n' "$1"
	"$2"
	printf '== %d s: %s\n' "$((SECONDS - begin))" "$1"
}

# Shows a command as one would type it.
show() {
	local word line=
	for word in "${@//$PWD\//}"; do
		if [[ $word == *' '* ]]; then word="'$word'"; fi
		line+=" $word"
	done
	printf '\n$%s\n' "$line"
}

# Shows a command, and runs it.
run() {
	show "$@"
	"$@"
}

# holds "what" command...: every step is asserted, not only looked at.
holds() {
	local what=$1
	shift
	if "$@" >/dev/null; then
		printf '  ✓ %s\n' "$what"
	else
		fail "$what"
	fi
}

fail() {
	printf '\nquickstart.sh: this does not hold: %s\n' "$1" >&2
	exit 1
}

# answers [OPTION] JQ-CONDITION FILE: whether a JSON answer is as it must be.
answers() {
	jq --exit-status "$@"
}

# code N command...: shows a command that must end with exit code N, and keeps what it said.
code() {
	local expected=$1 got=0
	shift
	show "$@"
	"$@" >"$here/said" 2>&1 || got=$?
	cat "$here/said"
	((got == expected)) || fail "exit code $expected of: $* (it was $got)"
}

# Ends the authority that this script started, and no other: by its number, if that is still our binary.
stop() {
	local number=$1
	if [[ $(readlink "/proc/$number/exe" 2>/dev/null) != "$PWD/target/quick/wardein"* ]]; then return; fi
	kill -TERM "$number"
	while [[ -e /proc/$number/exe && $(readlink "/proc/$number/exe") == "$PWD/target/quick/wardein"* ]]; do sleep 0.1; done
}

at_exit() {
	local result=$?
	if ((result != 0)); then
		printf '== FAILED: %s\n' "$doing" >&2
		if [[ -s $log ]]; then
			echo "quickstart.sh: the end of the authority's log:" >&2
			tail -n 20 "$log" >&2
		fi
		if [[ -n $pid ]]; then stop "$pid"; fi
		if [[ -n $pid2 ]]; then stop "$pid2"; fi
		if [[ -n $database_pid ]]; then stop_database; fi
	fi
	if [[ -n $tpm_pid ]]; then kill "$tpm_pid"; fi
}
trap at_exit EXIT

# by_postgres command...: the server refuses to run as root.
by_postgres() {
	if ((EUID == 0)); then setpriv --reuid postgres --regid postgres --init-groups "$@"; else "$@"; fi
}

# In memory it would not be a database that survives; outside of this directory, for its user may not be able to reach it.
start_database() {
	local bin tries=0
	debian postgresql util-linux
	bin=$(find /usr/lib/postgresql -path '*/bin/initdb' -printf '%h\n' | sort -V | tail -n 1)
	database=$(mktemp -d /tmp/wardein-quickstart.XXXXXX)
	if ((EUID == 0)); then chown postgres: "$database"; fi
	by_postgres "$bin/initdb" --auth=trust --username=postgres --encoding=UTF8 --locale=C -D "$database/data" >"$here/initdb.log"
	(cd "$database" && by_postgres "$bin/postgres" -D data -k "$database" -c listen_addresses= </dev/null >"$here/postgresql.log" 2>&1 &)
	until by_postgres "$bin/pg_isready" -q -h "$database"; do
		((++tries < 100)) || fail "PostgreSQL answers within 10 seconds"
		sleep 0.1
	done
	database_pid=$(head -n 1 "$database/data/postmaster.pid")
	echo "$database_pid $database" >"$here/database"
	url="postgresql://postgres@${database//\//%2F}/postgres"
	run wardein db init --url "$url"
}

stop_database() {
	kill -INT "$database_pid"
	while [[ -e /proc/$database_pid ]]; do sleep 0.1; done
	rm -rf "$database"
	database_pid=
}

# A port of this machine that nobody listens on.
free_port() {
	local port
	for port in "$@"; do
		if ! (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
			echo "$port"
			return
		fi
	done
	fail "one of the ports $* is free"
}

prepare() {
	# ring, aws-lc-rs and SQLite compile C.
	debian ca-certificates curl gcc libc6-dev openssl jq openssh-client zstd
	if ! command -v cargo >/dev/null; then
		echo "Rust is missing; https://rustup.rs says how to install it, then run this again" >&2
		exit 1
	fi
	local features=()
	# The rest needs none of it.
	if (debian swtpm swtpm-tools libtss2-dev pkg-config); then
		tpm=1 features=(--features wardein-device/tpm)
	else
		echo "no software TPM can be installed here: the fourth device, whose key is in a TPM, is left out"
	fi
	echo "building; this takes some minutes the first time"
	cargo build --locked --quiet --profile quick -p wardein -p wardein-device "${features[@]}"
	PATH=$PWD/target/quick:$PATH
	if [[ -s $here/pid ]]; then stop "$(<"$here/pid")"; fi
	if [[ -s $here/pid2 ]]; then stop "$(<"$here/pid2")"; fi
	if [[ -s $here/database ]]; then
		read -r database_pid database <"$here/database"
		if [[ $(readlink "/proc/$database_pid/cwd" 2>/dev/null) == "$database"* ]]; then stop_database; fi
		database_pid=
	fi
	rm -rf "$here"
	mkdir -p "$here"
}

found() {
	grpc=$(free_port 7443 17443 27443 37443) http=$(free_port 7480 17480 27480 37480)
	(umask 077 && openssl rand -hex 16 >"$here/passphrase")
	local store=()
	if [[ -n $postgresql ]]; then store=(--store postgresql --postgresql-url "$url"); fi
	run wardein init --dir "$authority" --trust-domain quickstart.example --passphrase-file "$here/passphrase" \
		--listen "127.0.0.1:$grpc" --http "127.0.0.1:$http" "${store[@]}"
	holds "only its owner can access the directory" test "$(stat -c %a "$authority")" = 700
	code 1 wardein init --dir "$authority" --trust-domain other.example --passphrase-file "$here/passphrase"
	holds "an existing authority is not overwritten" grep -q 'is an authority already' "$here/said"
}

serve() {
	show wardein serve --config "$authority/wardein.toml" --passphrase-file "$here/passphrase" '&'
	nohup wardein serve --config "$authority/wardein.toml" --passphrase-file "$here/passphrase" </dev/null >"$log" 2>&1 &
	pid=$!
	disown
	echo "$pid" >"$here/pid"
	local tries=0
	until wardein tenant list >/dev/null 2>"$here/said"; do
		if ((++tries == 100)) || [[ ! -e /proc/$pid ]]; then
			cat "$here/said" >&2
			fail "the authority answers within 10 seconds"
		fi
		sleep 0.1
	done
	local tls=(openssl s_client -connect "127.0.0.1:$grpc" -CAfile "$authority/root-ca.pem" -verify_return_error)
	"${tls[@]}" -tls1_3 </dev/null >"$here/said" 2>&1 || fail "openssl accepts the server's certificate"
	holds "it answers, and openssl accepts its certificate in TLS 1.3" grep -q 'TLSv1.3' "$here/said"
	if "${tls[@]}" -tls1_2 </dev/null >"$here/said" 2>&1; then fail "nothing older than TLS 1.3 is spoken"; fi
	holds "nothing older is spoken" grep -q 'protocol version' "$here/said"
}

administer() {
	run wardein tenant create klinik-nord
	run wardein operator issue --role station --tenant klinik-nord --name line-1 --validity 30d --quota 100 --out "$here/station"
	run wardein operator issue --role platform --tenant klinik-nord --name iot --validity 90d --out "$here/platform"
	run wardein operator list
	wardein --json operator list >"$here/said"
	holds "an administrator, a station and a platform are on record" \
		answers '[.operators[].role] | sort == ["admin", "platform", "station"]' "$here/said"
	code 3 wardein tenant create other --identity "$here/station"
	holds "a station enrolls, and can do nothing else" grep -q 'request id' "$here/said"
}

batch() {
	{
		echo 'id,model,udi,profile,attr.firmware,attr.board'
		local number
		for number in $(seq -w 1 25); do
			echo "pump-0$number,Infusion pump 3,(01)09506000134352(21)10$number,,3.1.4,rev-b"
		done
		# A space in the id; a wrong check digit.
		echo 'pump 026,Infusion pump 3,(01)09506000134352(21)1026,,3.1.4,rev-b'
		echo 'pump-027,Infusion pump 3,(01)09506000134353(21)1027,,3.1.4,rev-b'
	} >"$here/batch.csv"
	code 1 wardein device enroll --identity "$here/station" --csv "$here/batch.csv" --out "$here/devices"
	holds "the two bad lines are reported by number and reason" test "$(grep -cE '^line 2[78] was left out: (id|udi): ' "$here/said")" = 2
	wardein --json device list --tenant klinik-nord >"$here/said"
	holds "25 devices are on record" answers '.devices | length == 25' "$here/said"
	holds "all of them are active" answers 'all(.devices[]; .state == "active")' "$here/said"
}

prove() {
	local device
	for device in pump-001 pump-002 pump-003; do
		run wardein-device --dir "$here/devices/$device" authenticate
		run wardein-device --dir "$here/devices/$device" certificate
		holds "openssl accepts its chain for a TLS client" openssl verify -purpose sslclient -CAfile "$authority/root-ca.pem" \
			-untrusted "$here/devices/$device/certificate.pem" "$here/devices/$device/certificate.pem"
	done
	run openssl verify -purpose sslclient -CAfile "$authority/root-ca.pem" \
		-untrusted "$here/devices/pump-001/certificate.pem" "$here/devices/pump-001/certificate.pem"
	run openssl x509 -noout -enddate -ext subjectAltName,extendedKeyUsage -in "$here/devices/pump-001/certificate.pem" |
		tee "$here/said"
	holds "the certificate names the device" grep -q 'URI:spiffe://quickstart.example/klinik-nord/pump-001' "$here/said"
}

# A TPM in software that its vendor certified, and where it is.
manufacture() {
	local at=$here/tpm tries=0 port control
	mkdir -p "$at/state" "$at/ca"
	cat >"$at/localca.conf" <<C
statedir = $at/ca
signingkey = $at/ca/signkey.pem
issuercert = $at/ca/issuercert.pem
certserial = $at/ca/certserial
C
	printf -- '--platform-manufacturer Quickstart\n--platform-version 1\n--platform-model Pump\n' >"$at/localca.options"
	cat >"$at/setup.conf" <<C
create_certs_tool = /usr/bin/swtpm_localca
create_certs_tool_config = $at/localca.conf
create_certs_tool_options = $at/localca.options
active_pcr_banks = sha256
C
	swtpm_setup --tpm2 --create-ek-cert --lock-nvram --tpm-state "dir://$at/state" --config "$at/setup.conf" >"$here/said" ||
		fail "a software TPM is manufactured"
	port=$(free_port 7490 17490 27490 37490) control=$((port + 1))
	swtpm socket --tpm2 --flags not-need-init,startup-clear --tpmstate "dir=$at/state" \
		--server "type=tcp,port=$port,bindaddr=127.0.0.1" --ctrl "type=tcp,port=$control,bindaddr=127.0.0.1" &
	tpm_pid=$!
	tcti=swtpm:host=127.0.0.1,port=$port
	until (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
		((++tries < 100)) || fail "the software TPM answers"
		sleep 0.1
	done
}

attested() {
	local relay device=$here/devices/pump-tpm tcti enroll
	manufacture
	# libtss2 says each error of the TPM on standard error besides.
	export TSS2_LOG=all+none
	run wardein attestation set --tenant klinik-nord --vendor-roots "$here/tpm/ca/issuercert.pem"
	printf 'id,model\npump-tpm,Infusion pump 4\n' >"$here/tpm.csv"
	mkfifo "$here/from-device" "$here/to-device"
	show wardein device relay --identity "$here/station" --csv "$here/tpm.csv" --line "$here/from-device,$here/to-device" '&'
	wardein device relay --identity "$here/station" --csv "$here/tpm.csv" --line "$here/from-device,$here/to-device" >"$here/relayed" &
	relay=$!
	enroll=(wardein-device --dir "$device" enroll --begin --signs-with "$tcti" --tenant klinik-nord --device-id pump-tpm
		--endpoint "https://127.0.0.1:$grpc" --identity-key "$authority/identity.pub" --trust-roots "$authority/root-ca.pem")
	show "${enroll[@]}" '<to-device' '>from-device'
	"${enroll[@]}" <"$here/to-device" >"$here/from-device" 2>"$here/said" || fail "a device is enrolled by its TPM: $(<"$here/said")"
	wait "$relay" || fail "the station enrolls it: $(<"$here/relayed")"
	cat "$here/relayed"
	run wardein-device --dir "$device" certificate
	run wardein-device --dir "$device" run --once
	run wardein-device --dir "$device" status
	holds "none of its keys is in a file" test ! -e "$device/device.key"
	holds "openssl accepts its chain for a TLS client" openssl verify -purpose sslclient -CAfile "$authority/root-ca.pem" \
		-untrusted "$device/certificate.pem" "$device/certificate.pem"
	wardein trust check --identity "$here/platform" --json --device pump-tpm >"$here/said"
	holds "the platform is told that its key is in a TPM that the vendor certified" \
		answers '.verdict == "trusted" and .assurance == "tpm-vendor"' "$here/said"
	kill "$tpm_pid"
	wait "$tpm_pid" 2>/dev/null || true
	tpm_pid=
	code 1 wardein-device --dir "$device" authenticate
	holds "without its TPM it can prove nothing" grep -q 'tpm-unavailable' "$here/said"
}

trust() {
	local ask=(wardein trust check --identity "$here/platform")
	run "${ask[@]}" --device pump-001
	"${ask[@]}" --json --device pump-001 >"$here/said"
	holds "the platform is told to trust it" answers '.verdict == "trusted"' "$here/said"
	"${ask[@]}" --json --certificate "$here/devices/pump-001/certificate.pem" >"$here/said"
	holds "by its certificate as well" answers '.verdict == "trusted" and .device_id == "pump-001"' "$here/said"
	"${ask[@]}" --json --device pump-999 >"$here/said" 2>/dev/null || (($? == 5))
	holds "a device that nobody enrolled is unknown" answers '.verdict == "unknown"' "$here/said"

	code 2 wardein device suspend pump-001 --tenant klinik-nord --reason 'reported lost' </dev/null
	holds "without --yes or a terminal nothing is suspended" grep -q 'nothing was done' "$here/said"
	run wardein device suspend pump-001 --tenant klinik-nord --reason 'reported lost' --yes
	code 5 "${ask[@]}" --device pump-001
	"${ask[@]}" --json --device pump-001 >"$here/said" 2>/dev/null || (($? == 5))
	holds "the platform is told at once not to trust it" answers '.verdict == "not-trusted" and .reasons == ["suspended"]' "$here/said"
	"${ask[@]}" --json --certificate "$here/devices/pump-001/certificate.pem" >"$here/said" 2>/dev/null || (($? == 5))
	holds "nor its certificate" answers '.verdict == "not-trusted"' "$here/said"
	run wardein trust explain pump-001 --tenant klinik-nord
	wardein trust explain pump-001 --tenant klinik-nord --json >"$here/said"
	holds "support is told why, and what to do" \
		answers '.reason == "reported lost" and (.by | startswith("admin/")) and (.command | startswith("wardein device resume"))' "$here/said"
	code 3 wardein-device --dir "$here/devices/pump-001" authenticate
	holds "and the device itself is refused" grep -qi 'suspended' "$here/said"
	"${ask[@]}" --json --device pump-002 >"$here/said"
	holds "its neighbor is trusted as before" answers '.verdict == "trusted"' "$here/said"
}

keys() {
	local ask=(wardein trust verify-token --identity "$here/platform" --token-file "$here/token")
	wardein-device --dir "$here/devices/pump-002" token --audience iot --nonce 00ff >"$here/token"
	code 3 "${ask[@]}" --nonce 00ff
	holds "a platform without a grant verifies no token" grep -q 'grant-missing' "$here/said"
	run wardein grant add iot token --tenant klinik-nord --user-name 'pump:{device}'
	run wardein grant add iot open --tenant klinik-nord
	run "${ask[@]}" --nonce 00ff | tee "$here/said"
	holds "the device logs in under its user name" grep -q 'pump:pump-002' "$here/said"
	code 3 "${ask[@]}" --nonce 00ff
	holds "its token is good once" grep -q 'token-spent' "$here/said"

	printf 'Puls 72/min' | wardein-device --dir "$here/devices/pump-002" seal >"$here/sealed"
	ask=(wardein trust open --identity "$here/platform" --sealed "$here/sealed" --reason 'alarm 7')
	run "${ask[@]}" --out "$here/opened"
	holds "its sealed data is opened" grep -qx 'Puls 72/min' "$here/opened"
	code 3 "${ask[@]}" --out "$here/opened-again"
	holds "once, and nothing is left of a second attempt" test ! -e "$here/opened-again"
}

# A pump's log: technical fields for its maker, all of it for the hospital, and nothing before the hospital has signed that.
logs() {
	local pump=$here/devices/pump-003 logs=(wardein-device --dir "$here/devices/pump-003" logs) audience
	mkdir "$here/to-maker" "$here/to-hospital"
	cat >"$here/pump.log" <<C
2026-11-30T09:00:00Z INFO E000 patient=Erika-Mustermann started
2026-11-30T09:07:12Z ERROR E012 patient=Erika-Mustermann occlusion
2026-11-30T09:07:40Z ERROR E031 patient=Max-Beispiel air in line
C
	cat >"$pump/logs.toml" <<C
[audience.maker]
readers = "authority"
to = "$here/to-maker"

[audience.hospital]
readers = "authority"
to = "$here/to-hospital"
patient-data = true

[spool]
directory = "$pump/logs"

[[source]]
name = "pump"
file = "$here/pump.log"
parse = "regex"
pattern = '^(?<time>\S+) (?<level>\w+) (?<code>E\d+) patient=(?<patient>\S+) (?<text>.*)\$'

[[source.for]]
audience = "maker"
keep = ["time", "code"]
only = { level = "ERROR" }

[[source.for]]
audience = "hospital"
keep = ["time", "level", "code", "patient", "text"]
C
	run "${logs[@]}" test "$here/pump.log"
	ssh-keygen -q -t ed25519 -N '' -C hospital -f "$here/approver"
	cp "$here/approver.pub" "$pump/logs-approver.pub"
	code 1 "${logs[@]}" run --once
	holds "nothing leaves before the hospital has approved it" test -z "$(find "$here/to-maker" "$here/to-hospital" -type f)"
	run ssh-keygen -q -Y sign -n wardein-logs -f "$here/approver" "$pump/logs.toml"
	run "${logs[@]}" run --once
	run "${logs[@]}" status
	run wardein grant add iot file --tenant klinik-nord
	for audience in maker hospital; do
		run wardein file open "$here/to-$audience/$audience-000000000001.age" --out "$here/$audience.batch" --reason 'ticket 8' \
			--identity "$here/platform"
		zstd -dcq <"$here/$audience.batch" >"$here/$audience.ndjson"
		cat "$here/$audience.ndjson"
	done
	holds "the maker is told of two errors" answers --slurp '[.[1:][].fields.code] == ["E012", "E031"]' "$here/maker.ndjson"
	if grep -qE 'Erika|Max' "$here/maker.ndjson"; then fail "of no patient"; fi
	holds "and of no patient" answers --slurp 'all(.[1:][].fields; keys == ["code", "time"])' "$here/maker.ndjson"
	holds "the hospital has all of it" answers --slurp '[.[1:][].fields.patient] == ["Erika-Mustermann", "Erika-Mustermann", "Max-Beispiel"]' \
		"$here/hospital.ndjson"
}

change_keys() {
	local device=(wardein-device --dir "$here/devices/pump-003")
	code 2 wardein key rotate --device pump-003 --tenant klinik-nord --reason drill </dev/null
	holds "without --yes or a terminal no keys are changed" grep -q 'nothing was done' "$here/said"
	run wardein key rotate --device pump-003 --tenant klinik-nord --required --reason 'a drill' --yes
	wardein --json key status --tenant klinik-nord --device pump-003 >"$here/said"
	holds "the device may rekey, and nothing else" answers '.device.rekey == "required" and .device.generation == 1' "$here/said"
	# Keys that are agreed in the very second of a rotation count as older.
	sleep 1
	run "${device[@]}" run --once
	run wardein key status --tenant klinik-nord --device pump-003
	wardein --json key status --tenant klinik-nord --device pump-003 >"$here/said"
	holds "it did with its next request" answers '.device.rekey == "free" and .device.generation == 2' "$here/said"

	# Beside an agent at work, as on a device in service.
	"${device[@]}" run >"$here/agent.log" 2>&1 &
	local agent=$! got=0
	"${device[@]}" token --audience iot --nonce 00ff >"$here/token" || got=$?
	kill -TERM "$agent"
	wait "$agent" || true
	((got == 0)) || fail "a token is made beside the agent"
	run wardein trust verify-token --identity "$here/platform" --token-file "$here/token" --nonce 00ff | tee "$here/said"
	holds "it logs in with its new keys, beside its agent" grep -q 'pump:pump-003' "$here/said"

	run wardein key rotate --root --yes
	show wardein key rotate --tenant klinik-nord --yes
	wardein --json key rotate --tenant klinik-nord --yes >"$here/said"
	holds "the root key is changed, and the tenant's, under which 25 devices are resealed" \
		answers '.version == 2 and .sweep.renewed == 25 and .sweep.dropped == 1' "$here/said"
	wardein --json key sweep --tenant klinik-nord >"$here/said"
	holds "a sweep finds nothing left to do" answers '.devices == 25 and .renewed == 0 and .dropped == 0' "$here/said"
	run "${device[@]}" authenticate
}

# The maker releases, the hospital consents, the device installs and tells. Its attribute changes with the firmware.
update() {
	local pump=$here/devices/pump-002 of=(--repository acme --line infusion)
	local updater=(wardein-device --dir "$pump" update)
	mkdir -p "$here/share/infusion"
	printf 'firmware 3.2.0' >"$here/share/infusion/2.img"
	run wardein update repository create acme
	run wardein update line create acme infusion --path 'infusion/*'
	run wardein update add "$here/share/infusion/2.img" "${of[@]}" --version 2 --label 3.2.0 --model 'Infusion pump 3' \
		--path infusion/2.img --floor 2 --attribute firmware=3.2.0
	run wardein update release 2 "${of[@]}" --reason tested --yes
	run wardein operator issue --role site --tenant klinik-nord --name anna --validity 30d --out "$here/site"
	run wardein update export acme "$here/tuf"
	printf '#!/bin/sh\nsed -i "s/text:3.1.4/text:3.2.0/" "%s/device.toml"\n' "$pump" >"$here/install"
	chmod 700 "$here/install"
	cat >>"$pump/device.toml" <<C

[update]
line = "infusion"
model = "Infusion pump 3"
repository = "http://127.0.0.1:$http/tuf/acme"
artifacts = "dir:$here/share"
install = ["$here/install"]
C
	run "${updater[@]}" trust "$here/tuf/1.root.json"
	code 1 "${updater[@]}" download
	holds "nothing is offered before the hospital consents" grep -q 'has not consented' "$here/said"
	run wardein update consent --identity "$here/site" --all "${of[@]}" --reason agreed --yes
	run "${updater[@]}" download
	run "${updater[@]}" install
	run "${updater[@]}" confirm | tee "$here/said"
	holds "it tells of its first start, with the attribute that the release brought, and nobody had to approve that" \
		grep -q 'the authority has acknowledged that' "$here/said"
	run "${updater[@]}" verify-running
	wardein update show 2 "${of[@]}" --json >"$here/said"
	holds "the maker sees on how many devices it runs" answers '.receipts == {"running": 1, "differing": 0, "rolled_back": 0}' "$here/said"
}

# A technician is in one pump while the hospital lets them in; the pump says what came of it. sshd runs the certificate's command;
# here the script does.
visit() {
	local pump=(wardein-device --dir "$here/devices/pump-003") id command
	run wardein operator issue --role service-coordinator --tenant klinik-nord --name carla --validity 30d --out "$here/coordinator"
	run wardein operator issue --role technician --tenant klinik-nord --name eva --validity 30d --out "$here/technician"
	ssh-keygen -q -t ed25519 -N '' -C eva -f "$here/eva"
	run wardein service invite --identity "$here/coordinator" --technician eva --key "$here/eva.pub" --device pump-003 \
		--work-order WO-00012 --scope maintenance --until "$(date -u -d '+2 hours' +%Y-%m-%dT%H:%M:%SZ)" --yes
	id=$(wardein --json service list --identity "$here/coordinator" | jq -r '.visits[0].id')
	code 3 wardein service certificate "$id" --identity "$here/technician" --device pump-003 --out "$here/eva-cert.pub"
	holds "nobody is in before the hospital has released the visit" grep -q visit-not-released "$here/said"
	run wardein service release "$id" --identity "$here/site" --yes
	run wardein service certificate "$id" --identity "$here/technician" --device pump-003 --out "$here/eva-cert.pub"
	mkdir -m 700 "$here/sshd" "$here/visits"
	export WARDEIN_SERVICE_DIR=$here/sshd WARDEIN_SERVICE_SPOOL=$here/visits
	read -ra command <<<"$(ssh-keygen -L -f "$here/eva-cert.pub" | sed -n 's/^ *force-command //p')"
	SSH_ORIGINAL_COMMAND='wardein-device service note calibration' SHELL=/bin/sh run "${command[@]}"
	run wardein service end "$id" --identity "$here/site" --reason 'the work is done' --yes
	run "${pump[@]}" service sync --out "$here/sshd"
	run wardein service show "$id" --identity "$here/site"
	wardein --json service show "$id" --identity "$here/site" >"$here/said"
	holds "the pump told of the session" answers '.protocols | length == 1 and .[0].actions.calibration == 1 and .[0].end == "left"' "$here/said"
	holds "and nothing is awaited of it" answers '.awaited_protocols == []' "$here/said"
}

# Another machine has the directory too; here it listens on other ports.
second_node() {
	local port port2 tries=0 second=$here/second
	port=$(free_port 7444 17444 27444 37444) port2=$(free_port 7481 17481 27481 37481)
	cp -r "$authority" "$second"
	sed -i "s/:$grpc\"/:$port\"/; s/:$http\"/:$port2\"/" "$second/wardein.toml"
	show wardein serve --config "$second/wardein.toml" --passphrase-file "$here/passphrase" '&'
	nohup wardein serve --config "$second/wardein.toml" --passphrase-file "$here/passphrase" </dev/null >"$here/second.log" 2>&1 &
	pid2=$!
	disown
	echo "$pid2" >"$here/pid2"
	until [[ $(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port2/readyz") == 200 ]]; do
		if ((++tries == 100)) || [[ ! -e /proc/$pid2 ]]; then
			tail -n 20 "$here/second.log" >&2
			fail "the second node is ready within 10 seconds"
		fi
		sleep 0.1
	done
	run wardein node list --url "$url"
	wardein --json node list --url "$url" >"$here/said"
	holds "two nodes serve, one of them with the upkeep" answers '(.nodes | length == 2) and ([.nodes[] | select(.has_upkeep)] | length == 1)' "$here/said"
	run wardein device suspend pump-002 --tenant klinik-nord --reason "reported lost" --yes
	sleep 1
	code 5 wardein trust check --identity "$here/platform" --device pump-002 --endpoint "https://localhost:$port"
	holds "what the first acknowledged, the second knows" grep -q 'suspended' "$here/said"
	run wardein device resume pump-002 --tenant klinik-nord --reason found
	sed -i "s/:$grpc\"/:$port\"/" "$here/devices/pump-002/device.toml"
	run wardein-device --dir "$here/devices/pump-002" authenticate
}

audit() {
	run wardein device history pump-001 --tenant klinik-nord
	wardein --json audit list >"$here/said"
	holds "the numbers of the entries have no gaps" answers '[.entries[].sequence] == [range(1; (.entries | length) + 1)]' "$here/said"
	holds "25 enrollments are in the log" answers '[.entries[] | select(.event == "device.enroll" and .outcome == "ok")] | length == 25' "$here/said"
	holds "so is the suspension, with who did it" \
		answers 'any(.entries[]; .event == "device.set-state" and .actor == "admin/admin" and .target == "device/klinik-nord/pump-001")' "$here/said"
	holds "and the refusal of the station" answers 'any(.entries[]; .event == "call.refuse" and .actor == "station/klinik-nord/line-1")' "$here/said"
	run wardein doctor
}

many() {
	local digest
	printf '%s\n' pump-011 pump-010 pump-999 >"$here/ids"
	wardein --json device suspend --tenant klinik-nord --from "$here/ids" --dry-run >"$here/said" 2>/dev/null || (($? == 1))
	holds "a dry run tells what would be done, and does nothing" answers '.counts.to_do == 2 and .batch == null' "$here/said"
	code 2 wardein device suspend --tenant klinik-nord --from "$here/ids" --reason 'bad batch' </dev/null
	holds "nor is anything done without --yes or a terminal" grep -q 'would suspend 2 devices .*; 1 not found; nothing was done' "$here/said"
	code 1 wardein device suspend --tenant klinik-nord --from "$here/ids" --reason 'bad batch' --yes --failed "$here/left"
	holds "what failed is in a file that can be run again" test "$(<"$here/left")" = pump-999
	wardein --json device suspend --tenant klinik-nord --from "$here/ids" --reason 'bad batch' --yes >"$here/said" 2>/dev/null || (($? == 1))
	holds "a second run does nothing twice" answers '.counts.already == 2 and .counts.done == 0 and .batch == null' "$here/said"
	wardein --json audit list --event device.batch >"$here/said"
	digest=$(printf '%s\n' pump-010 pump-011 | LC_ALL=C sort -u | sha256sum)
	holds "it is one act on record, with the digest of the list" \
		answers ".entries | length == 1 and any(.[].fields[]; .name == \"batch\" and .value == \"${digest%% *}\")" "$here/said"
	wardein --json audit list --event device.set-state >"$here/said"
	holds "and with each device" \
		answers "[.entries[] | select(any(.fields[]; .name == \"batch\" and .value == \"${digest%% *}\")) | .target] | length == 2" "$here/said"
	wardein --json device resume --tenant klinik-nord --enrolled-by line-1 --state suspended --reason 'checked' --yes >"$here/said"
	holds "a selector finds them again" answers '.counts.done >= 2 and .selector == "enrolled by station/klinik-nord/line-1, in state suspended"' "$here/said"
	run wardein device suspend pump-001 --tenant klinik-nord --reason 'reported lost' --yes

	run wardein operator issue --role helpdesk --tenant klinik-nord --name desk --validity 30d --out "$here/desk"
	run wardein device suspend pump-012 --identity "$here/desk" --reason 'reported lost' --yes
	code 3 wardein device resume pump-012 --identity "$here/desk" --reason found
	holds "a helpdesk suspends, and brings nothing back" grep -q role-insufficient "$here/said"
	wardein --json device show --tenant klinik-nord --serial-number 1012 >"$here/said"
	holds "a device is found by the serial number on its label" answers '.device_id == "pump-012" and .state == "suspended"' "$here/said"
	wardein --json operator list --expiring 31d >"$here/said"
	holds "the operators that end next are listed first" answers '.operators[0].name == "line-1" and all(.operators[]; .state == "valid")' "$here/said"
	run wardein operator revoke helpdesk/klinik-nord/desk --reason left --yes
	code 3 wardein device list --identity "$here/desk"
	holds "one that is revoked by its name is refused" grep -q operator-revoked "$here/said"
}

finish() {
	if [[ -n $pid2 ]]; then stop "$pid2"; fi
	pid2=
	stop "$pid"
	holds "it stops when it is asked to" test ! -e "/proc/$pid"
	holds "in order" grep -q 'stopped' "$log"
	# What was acknowledged is there after a restart.
	serve
	wardein --json device show pump-001 --tenant klinik-nord >"$here/said"
	holds "and knows the suspension after a restart" answers '.state == "suspended"' "$here/said"
}

part "prerequisites" prepare
export WARDEIN_DIR=$authority
if [[ -n $postgresql ]]; then part "a PostgreSQL database" start_database; fi
part "an authority is founded" found
part "it is started" serve
part "a tenant, a station, a platform" administer
part "a factory's batch of 25 devices, with two bad lines" batch
part "three devices prove themselves and are certified" prove
if [[ -n $tpm ]]; then part "a fourth, whose key is in a TPM (in software)" attested; fi
part "a device logs in at the platform and seals a value for it" keys
part "a log leaves a device as its hospital allows it" logs
part "keys are changed at every level while it serves" change_keys
part "a release is offered to a device, which installs it and tells so" update
part "a technician is in while invited" visit
part "trust verdicts, before and after a suspension" trust
part "many devices at once, a helpdesk, a label" many
if [[ -n $postgresql ]]; then part "a second node serves from the same database" second_node; fi
part "the audit log" audit
part "it is stopped and started again" finish

if [[ -n $once ]]; then
	stop "$pid"
	pid=
	if [[ -n $database_pid ]]; then stop_database; fi
	printf '\nEvery step held, in %d s. Nothing was left running.\n' "$SECONDS"
	exit 0
fi
pid=
cat <<T

Every step held, in $SECONDS s. The authority is running (process $(<"$here/pid"), log ${log#"$PWD/"}). Try:

  export PATH=$PWD/target/quick:\$PATH WARDEIN_DIR=$authority
  wardein device resume pump-001 --tenant klinik-nord --reason found
  wardein trust check --identity $here/platform --device pump-001
  wardein-device --dir $here/devices/pump-004 run       # stays certified by itself; stop it with Ctrl-C
  wardein audit list --follow
  wardein doctor
  kill $(<"$here/pid")                                             # ends it; everything else is in ${here#"$PWD/"}
T
if [[ -n $database_pid ]]; then echo "  kill -INT $database_pid                                          # ends its database, in $database"; fi

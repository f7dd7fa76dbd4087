#!/usr/bin/env bash
# Logs from devices to their readers, from outside: 20 agents whose logs are rotated in each way, killed at any moment, with
# targets that are away until spools are full, and a disk that is full; wardein-receive for the maker, and S3 (moto's) for the
# hospital. Every line that was written is accounted for, and planted patients are looked for in spools, on the wire, and in the
# maker's copy. Exit code 0 only if every check held.
#
# logs.sh          20 kills, about two minutes
# logs.sh --long   500 kills
#
# WARDEIN_BINARY names `wardein`, beside which wardein-device and wardein-receive are; without it all are built.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
source deploy/trial.sh

kills=20
case $* in
'') ;;
--long) kills=500 ;;
*)
	echo "usage: logs.sh [--long]" >&2
	exit 2
	;;
esac

readonly pumps=20 rate=20
house=
authority=
receiver=
store=
stranger=
writer=
carriers=()
agents=()
mounted=

at_exit() {
	local result=$? number
	for number in $authority $receiver $store $stranger $writer "${carriers[@]}" "${agents[@]}"; do
		kill -KILL "$number" 2>/dev/null || true
		wait "$number" 2>/dev/null || true
	done
	if ((result != 0)) && [[ -n $house ]]; then tail -n 8 "$house"/*.log "$house/agents/pump-00" >&2 || true; fi
	if [[ -n $mounted ]]; then umount "$mounted"; fi
	if [[ -n $house ]]; then rm -rf "$house"; fi
}
trap at_exit EXIT

prepare() {
	local built=${WARDEIN_BINARY:-${CARGO_TARGET_DIR:-$PWD/target}/quick/wardein} venv=$tools/logs-5.2.5
	debian curl jq openssl openssh-client python3 python3-venv
	if [[ ! -x $built ]]; then
		echo "building; this takes some minutes"
		cargo build --locked --profile quick -p wardein -p wardein-device -p wardein-receive
	fi
	PATH=${built%/*}:$PATH
	if [[ ! -e $venv/complete ]]; then
		echo "installing moto 5.2.5 into $venv"
		rm -rf "$venv"
		python3 -m venv "$venv"
		"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: \
			'moto[server]==5.2.5' pyrage==1.4.0 zstandard==0.25.0
		touch "$venv/complete"
	fi
	python=$venv/bin/python
	house=$(mktemp -d)
	mkdir "$house"/{agents,bucket,received,wire,spooled}
	read -r grpc http receive objects strange by_receive by_objects <<<"$(ports 7)"
	export WARDEIN_DIR=$house/a AWS_CA_BUNDLE=$house/objects.pem
}

# A key, and a certificate of its own for localhost.
certified() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
		-keyout "$house/$1.key" -out "$house/$1.pem" 2>"$house/said"
}

found() {
	wardein init --dir "$house/a" --trust-domain logs.example --key-file "$house/root.key" \
		--listen "127.0.0.1:$grpc" --http "127.0.0.1:$http" >"$house/said"
	wardein serve --config "$house/a/wardein.toml" </dev/null >"$house/authority.log" 2>&1 &
	authority=$!
	up "$grpc"
	{
		wardein tenant create klinik
		wardein profile put default --tenant klinik --archive file --file-retention 1000
		wardein operator issue --role station --tenant klinik --name line --validity 1d --quota 100 --out "$house/station"
		wardein operator issue --role platform --tenant klinik --name logs --validity 1d --out "$house/platform"
		wardein grant add logs file --tenant klinik
		for name in receive objects recovery; do certified "$name"; done
		wardein platform-pin set --tenant klinik --current "$house/receive.pem" --next "$house/objects.pem" --recovery "$house/recovery.pem" \
			--confirm-stranding
	} >"$house/said"
	{
		echo id
		seq -f 'pump-%02g' 0 "$pumps"
	} >"$house/pumps.csv"
	wardein device enroll --identity "$house/station" --csv "$house/pumps.csv" --out "$house/devices" >"$house/said"
	ssh-keygen -q -t ed25519 -N '' -C hospital -f "$house/approver"
	cat >"$house/hospital.key" <<-C
		AGE-SECRET-KEY-1XMWWC06LY3EE5RYTXM9MFLAZ2U56JJJ36S0MYPDRWSVLUL66MV4QX3S7F6
	C
}

start_receiver() {
	wardein-receive --config "$house/receive.toml" </dev/null >>"$house/receiver.log" 2>&1 &
	receiver=$!
	up "$receive"
}

carry() {
	"$python" deploy/logs/carry.py "$by_receive" "$receive" "$house/wire/receive" 2>>"$house/carriers.log" &
	carriers=($!)
	"$python" deploy/logs/carry.py "$by_objects" "$objects" "$house/wire/objects" 2>>"$house/carriers.log" &
	carriers+=($!)
	up "$by_receive" && up "$by_objects"
}

end() {
	local number
	for number in "$@"; do
		kill -KILL "$number"
		wait "$number" 2>/dev/null || true
	done
}

targets() {
	cat >"$house/receive.toml" <<-C
		listen = "127.0.0.1:$receive"
		certificate = "$house/receive.pem"
		key = "$house/receive.key"
		roots = "$house/a/root-ca.pem"
		directory = "$house/received"
		tenant = "klinik"
		audiences = ["maker"]
		[authority]
		endpoint = "https://127.0.0.1:$grpc"
		identity = "$house/platform"
		reason = "a trial of logs"
	C
	holds "the receiver's configuration is good" wardein-receive --config "$house/receive.toml" check-config
	start_receiver
	# Once there are a bucket and a user, it verifies signatures and asks what the user may do.
	INITIAL_NO_AUTH_ACTION_COUNT=4 "${python%/*}/moto_server" -H 127.0.0.1 -p "$objects" -c "$house/objects.pem" -k "$house/objects.key" \
		>"$house/objects.log" 2>&1 &
	store=$!
	up "$objects"
	holds "the store has a bucket, and a user" "$python" deploy/logs/bucket.py make "https://localhost:$objects" "$house/s3"
	carry
}

# config DEVICE SPOOL MAKER HOSPITAL
config() {
	local input
	case $((10#${1#pump-} % 4)) in
	3) input="directory = \"$house/$1\""$'\n'"match = \"service-*.log\"" ;;
	*) input="file = \"$house/$1/app.log\"" ;;
	esac
	cat >"$house/devices/$1/logs.toml" <<-C
		[audience.maker]
		readers = "authority"
		to = "$3"
		[audience.hospital]
		readers = ["age1w3tyke4gev25vaxxsvcgqu4484rf6ejpmavs57p6yz6lhy2sfs5swrvwyn"]
		to = "$4"
		s3 = { region = "eu-central-1", credentials = "$house/s3" }
		patient-data = true
		[spool]
		directory = "$2"
		max-bytes = "1MiB"
		batch-bytes = "64KiB"
		batch-age = "3s"
		[[source]]
		name = "pump"
		$input
		parse = "regex"
		pattern = '^(?<time>\S+) (?<level>\w+) (?<code>E\S+) patient=(?<patient>\S+) (?<noise>\S+)\$'
		[[source.for]]
		audience = "maker"
		keep = ["time", "code", "noise"]
		only = { level = "ERROR" }
		[[source.for]]
		audience = "hospital"
		keep = ["time", "code", "patient", "noise"]
	C
	cp "$house/approver.pub" "$house/devices/$1/logs-approver.pub"
	ssh-keygen -q -Y sign -n wardein-logs -f "$house/approver" "$house/devices/$1/logs.toml" 2>"$house/said"
}

start_agent() {
	local name
	printf -v name 'pump-%02d' "$1"
	wardein-device --dir "$house/devices/$name" logs run </dev/null >>"$house/agents/$name" 2>&1 &
	agents[$1]=$!
}

start() {
	local number name spool
	for ((number = 0; number < pumps; number++)); do
		printf -v name 'pump-%02d' "$number"
		spool=$house/devices/$name/logs
		wardein-device --dir "$house/devices/$name" certificate >"$house/said"
		wardein-device --dir "$house/devices/$name" pins >"$house/said"
		if ((number == 0 && EUID == 0)) && mkdir "$spool" && mount -t tmpfs -o size=320k,mode=700 tmpfs "$spool" 2>/dev/null; then mounted=$spool; fi
		config "$name" "$spool" "https://localhost:$by_receive/v1" "https://localhost:$by_objects/logs"
	done
	if [[ -z $mounted ]]; then echo "NOTICE: a tmpfs cannot be mounted here; the disk that is full is left out"; fi
	"$python" deploy/logs/write.py "$house" "$pumps" "$rate" >"$house/written" 2>&1 &
	writer=$!
	for ((number = 0; number < pumps; number++)); do start_agent "$number"; done
	for ((number = 0; number < pumps; number++)); do soon status "$number" '.read > 0'; done
	touch "$house/rotate"
	holds "the maker gets lines" arrives pump-19
}

# arrives DEVICE: whether another batch of it comes to the maker, soon.
arrives() {
	local at=$house/received/records/$1 tries=0 before
	before=$(find "$at" -maxdepth 1 -name 'maker-*' 2>/dev/null | wc -l)
	until (($(find "$at" -maxdepth 1 -name 'maker-*' 2>/dev/null | wc -l) > before)); do
		((++tries < 3000)) || return 1
		sleep 0.1
	done
}

# What a thief of all disks has at this moment. Files come and go while they are copied.
steal() {
	cp -r "$house/devices" "$house/spooled/$1" 2>/dev/null || true
}

killed() {
	local round number
	for ((round = 0; round < kills; round++)); do
		number=$((RANDOM % pumps))
		end "${agents[number]}"
		if ((round % 10 == 0)); then steal "$round"; fi
		if ((round % 10 == 5)); then
			end "$receiver"
			start_receiver
		fi
		start_agent "$number"
		sleep "0.$((RANDOM % 5))"
	done
	echo "$kills agents were killed, and the receiver $(((kills + 4) / 10)) times"
}

# status NUMBER JQ-CONDITION
status() {
	local name
	printf -v name 'pump-%02d' "$1"
	wardein-device --dir "$house/devices/$name" logs status --json >"$house/answer" && jq -e "$2" "$house/answer"
}

# soon command...: whether it succeeds within some minutes.
soon() {
	local tries=0
	until "$@" >"$house/tried" 2>&1; do
		((++tries < 360)) || {
			cat "$house/tried"
			return 1
		}
		sleep 0.5
	done
}

away() {
	local number
	end "${carriers[@]}"
	carriers=()
	kill -USR1 "$writer"
	for number in 1 2 3; do
		holds "the spool of pump $number is full" soon status "$number" '.spool_bytes > 400000 and .audiences.maker.waiting > 0'
	done
	if [[ -n $mounted ]]; then holds "the disk of pump 0 is full" soon grep -q 'No space left' "$house/agents/pump-00"; fi
	if [[ -n $mounted ]]; then
		# In the middle of that it can be started, too.
		end "${agents[0]}"
		start_agent 0
		sleep 2
		holds "an agent can be started there" kill -0 "${agents[0]}"
	fi
	steal away
	carry
	holds "after that lines arrive again" arrives pump-01
}

# A server that anybody would trust: curl does, by the same roots.
unpinned() {
	local dir=$house/devices/pump-20 code=0
	certified stranger
	"$python" deploy/logs/stranger.py "$strange" "$house/stranger.pem" "$house/stranger.key" "$house/came" 2>"$house/stranger.log" &
	stranger=$!
	up "$strange"
	holds "its certificate is good" curl -sS --cacert "$house/stranger.pem" "https://localhost:$strange/"
	: >"$house/came" && : >"$house/came.connected"
	wardein-device --dir "$dir" certificate >"$house/said"
	wardein-device --dir "$dir" pins >"$house/said"
	mkdir -p "$house/pump-20"
	head -n 50 "$house/pump-00/app.log.1" >"$house/pump-20/app.log" 2>/dev/null || head -n 50 "$house/pump-00/app.log" >"$house/pump-20/app.log"
	config pump-20 "$dir/logs" "https://localhost:$strange/v1" "https://localhost:$strange/logs"
	SSL_CERT_FILE=$house/stranger.pem wardein-device --dir "$dir" logs run --once >"$house/said" 2>&1 || code=$?
	holds "nothing is delivered to it" test "$code" = 4
	holds "it was called twice, for two audiences" test "$(grep -c connected "$house/came.connected")" = 2
	holds "and got no byte" test ! -s "$house/came"
	status 20 '.audiences.maker.waiting == 1 and .audiences.hospital.waiting == 1' >"$house/said"
	end "$stranger"
	stranger=
}

accounted() {
	local number name
	kill -TERM "$writer"
	wait "$writer"
	writer=
	cat "$house/written"
	for number in "${agents[@]}"; do kill -TERM "$number"; done
	for number in "${agents[@]}"; do wait "$number" || true; done
	agents=()
	for ((number = 0; number < pumps; number++)); do
		printf -v name 'pump-%02d' "$number"
		soon wardein-device --dir "$house/devices/$name" logs run --once
		status "$number" '.audiences | all(.[]; .waiting == 0 and .quarantined == 0)' >"$house/said" || {
			cat "$house/answer" >&2
			return 1
		}
	done
	"$python" deploy/logs/bucket.py take "https://localhost:$objects" "$house/s3" "$house/bucket"
	"$python" deploy/logs/check.py "$house"
	holds "no log of an agent has a patient" not grep -rq Erika "$house/agents"
	holds "nor the receiver's" not grep -q Erika "$house/receiver.log"
}

part "prerequisites" prepare
part "an authority, and $pumps devices" found
part "wardein-receive, and moto's S3" targets
part "$pumps agents, whose logs are rotated in four ways" start
part "an unpinned target" unpinned
part "agents are killed, $kills times" killed
part "targets are away until spools are full" away
part "every line is accounted for" accounted
printf '\nEvery check held, in %d s.\n' "$SECONDS"

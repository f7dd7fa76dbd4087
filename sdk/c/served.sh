#!/usr/bin/env bash
# The session's example against a served authority: real binaries, real TLS, a device that `wardein device enroll` made, and a
# platform that takes the token and opens what was sealed. It needs wardein and wardein-device, from target/quick unless PATH
# has them.
#
# served.sh SESSION TURNS    which are examples/session.c and test/turns.c, compiled
set -euo pipefail
program=$(realpath "$1") turns=$(realpath "$2")
source "$(dirname "${BASH_SOURCE[0]}")/../../deploy/steps.sh"

house=$(mktemp -d)
pid=
at_exit() {
	local result=$?
	if [[ -n $pid ]]; then
		kill -TERM "$pid" 2>/dev/null || true
		wait "$pid" || true
	fi
	if ((result != 0)); then tail -n 20 "$house/log" >&2 || true; fi
	rm -rf "$house"
}
trap at_exit EXIT

if ! { command -v wardein && command -v wardein-device; } >/dev/null; then
	if [[ ! -x target/quick/wardein || ! -x target/quick/wardein-device ]]; then
		cargo build --locked --quiet --profile quick -p wardein -p wardein-device
	fi
	PATH=$PWD/target/quick:$PATH
fi

# A port of this machine that nobody listens on.
free_port() {
	local port
	for port in "$@"; do
		if ! (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
			echo "$port"
			return
		fi
	done
	return 1
}

authority=$house/authority devices=$house/devices
grpc=$(free_port 7543 17543 27543 37543) http=$(free_port 7580 17580 27580 37580)
(umask 077 && head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$house/passphrase")
wardein init --dir "$authority" --trust-domain c.example --passphrase-file "$house/passphrase" \
	--listen "127.0.0.1:$grpc" --http "127.0.0.1:$http" >/dev/null
serve() {
	local tries=0
	wardein serve --config "$authority/wardein.toml" --passphrase-file "$house/passphrase" >>"$house/log" 2>&1 &
	pid=$!
	until wardein tenant list >/dev/null 2>&1; do
		((++tries < 100)) || return 1
		sleep 0.1
	done
}

export WARDEIN_DIR=$authority
serve
wardein tenant create klinik-nord >/dev/null
wardein operator issue --role station --tenant klinik-nord --name line-1 --validity 30d --quota 10 --out "$house/station" >/dev/null
wardein operator issue --role platform --tenant klinik-nord --name iot --validity 90d --out "$house/platform" >/dev/null
wardein grant add iot token --tenant klinik-nord --user-name 'pump:{device}' >/dev/null
wardein grant add iot open --tenant klinik-nord >/dev/null
printf 'id,model\npump-001,Infusion pump 3\npump-002,Infusion pump 3\n' >"$house/batch.csv"
wardein device enroll --identity "$house/station" --csv "$house/batch.csv" --out "$devices" >/dev/null

run=("$program" "$devices/pump-001" iot "$house/token" "$house/sealed")
"${run[@]}"
base64 -w 0 <"$house/token" >"$house/token.txt"
wardein trust verify-token --identity "$house/platform" --token-file "$house/token.txt" | grep -q 'pump:pump-001'
base64 -w 0 <"$house/sealed" >"$house/sealed.txt"
wardein trust open --identity "$house/platform" --sealed "$house/sealed.txt" --reason 'a test' --out "$house/opened"
[[ $(<"$house/opened") == 37.2 ]]
# Beside the agent, which works in the same directory.
wardein-device --dir "$devices/pump-001" run >"$house/agent" 2>&1 &
agent=$!
"${run[@]}"
kill -TERM "$agent" || { cat "$house/agent"; exit 1; } >&2
wait "$agent" || true
if command -v valgrind >/dev/null; then
	# It takes the tags of rustls's records, which ring's assembly computes, for undefined, in wardein-device too; aws-lc at the
	# other end computes the same ones. What test.sh runs has no TLS, and is judged in full.
	valgrind --quiet --error-exitcode=9 --undef-value-errors=no --leak-check=full --show-leak-kinds=definite,indirect \
		--errors-for-leak-kinds=definite,indirect "${run[@]}"
fi
# One session outlives its connection, and an authority that is away.
coproc "$turns" "$devices/pump-001"
to=${COPROC[1]} from=${COPROC[0]} turns_pid=$COPROC_PID
turn() {
	local said
	echo >&"$to"
	read -r said <&"$from"
	[[ $said == "$1" ]] || { echo "$said where '$1' was to come" >&2; return 1; }
}
turn 'done'
kill -TERM "$pid"
wait "$pid"
turn "the authority cannot be reached"
serve
turn 'done'
kill -TERM "$pid"
wait "$pid"
serve
turn 'done'
exec {to}>&-
wait "$turns_pid"
# Keys that the authority takes no more are changed by the program itself.
wardein key rotate --device pump-001 --tenant klinik-nord --reason drill --yes >/dev/null
# Keys that are agreed in the very second of a rotation count as older.
sleep 1
"${run[@]}" | grep -qx 'generation 2'
wardein device suspend pump-002 --tenant klinik-nord --reason 'reported lost' --yes >/dev/null
status=0
"$program" "$devices/pump-002" 2>"$house/said" || status=$?
((status == 3))
grep -q 'refused with suspended; advice 7' "$house/said"
echo "certified, logged in, opened, rekeyed beside an agent, and refused"

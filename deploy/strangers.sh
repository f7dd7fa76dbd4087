#!/usr/bin/env bash
# Clients that share no line with Wardein against the real authority, from proto/ alone: in Node (@grpc/grpc-js), in Java (grpc-java), and
# grpcurl, which knows no more than what reflection tells it. Mutual TLS, pages, an invitation, a verdict, and refusals whose details
# (google.rpc.Status) are read. Exit code 0 only if every check held. (Python: interop.sh.)
#
# strangers.sh [node] [java] [grpcurl]     without a name, all. What it keeps is in target/strangers. WARDEIN_BINARY names the `wardein` to
#                                          serve; else it is target/quick/wardein, which is built if it is missing
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
# shellcheck source=deploy/trial.sh
source deploy/trial.sh

readonly made=$PWD/target/strangers
readonly grpcurl=v1.9.3
asked=("$@")
if (($# == 0)); then asked=(node java grpcurl); fi
for each in "${asked[@]}"; do
	case $each in
	node | java | grpcurl) ;;
	*)
		echo "usage: strangers.sh [node] [java] [grpcurl]" >&2
		exit 2
		;;
	esac
done
house=
pid=

at_exit() {
	local result=$?
	if [[ -n $pid ]]; then
		kill -TERM "$pid" 2>/dev/null || true
		wait "$pid" || true
	fi
	if ((result != 0)) && [[ -s $house/log ]]; then
		echo "strangers.sh: the end of the authority's log:" >&2
		tail -n 20 "$house/log" >&2
	fi
	if [[ -n $house ]]; then rm -rf "$house"; fi
}
trap at_exit EXIT

authority=
binary() {
	authority=${WARDEIN_BINARY:-$PWD/target/quick/wardein}
	if [[ -z ${WARDEIN_BINARY:-} && ! -x $authority ]]; then
		echo "building; this takes some minutes"
		cargo build --locked --profile quick -p wardein
	fi
	if ! command -v openssl >/dev/null; then debian openssl; fi
	if ! command -v python3 >/dev/null; then debian python3; fi
}

wardein() { "$authority" "$@"; }

at=
found() {
	house=$(mktemp -d)
	local grpc http
	read -r grpc http <<<"$(ports 2)"
	at=127.0.0.1:$grpc
	wardein init --dir "$house/a" --trust-domain strangers.example --key-file "$house/root.key" --listen "$at" \
		--http "127.0.0.1:$http" >"$house/said"
	"$authority" serve --config "$house/a/wardein.toml" </dev/null >"$house/log" 2>&1 &
	pid=$!
	export WARDEIN_DIR=$house/a
	local tries=0
	until wardein tenant list >/dev/null 2>"$house/said"; do
		if ((++tries == 100)) || ! kill -0 "$pid" 2>/dev/null; then
			cat "$house/said" >&2
			echo "strangers.sh: the authority does not answer" >&2
			exit 1
		fi
		sleep 0.1
	done
	wardein tenant create klinik >"$house/said"
	wardein tenant create praxis >"$house/said"
	wardein operator issue --role platform --tenant klinik --name iot --validity 1d --out "$house/platform" >"$house/said"
	identities=("$house/a/infrastructure.pem" "$house/a/admin.pem" "$house/a/admin.key" "$house/platform/operator.pem"
		"$house/platform/operator.key")
}

node() {
	if ! command -v npm >/dev/null; then debian nodejs npm; fi
	mkdir -p "$made/node"
	# Again only when what it stands on changed, or the last installation did not complete.
	if ! cmp --silent tests/strangers/node/package.json "$made/node/installed"; then
		cp tests/strangers/node/package.json "$made/node/package.json"
		# Nothing that is installed is run meanwhile.
		npm install --prefix "$made/node" --ignore-scripts --no-audit --no-fund --silent
		cp "$made/node/package.json" "$made/node/installed"
	fi
	cp tests/strangers/node/client.js "$made/node/client.js"
	command node --version
	command node "$made/node/client.js" "$PWD/proto" "$at" "${identities[@]}"
}

java() {
	if ! command -v mvn >/dev/null; then debian maven default-jdk-headless; fi
	command java -version 2>&1 | head -n 1
	# Its own files and what it makes of proto/ are compiled; grpc-java, protobuf and protoc are from Maven Central.
	mvn --quiet --batch-mode --file tests/strangers/java/pom.xml "-Dmade=$made/java" compile exec:java "-Dexec.args=$at ${identities[*]}"
}

grpcurl() {
	local program=$tools/grpcurl-$grpcurl/grpcurl said
	if [[ ! -x $program ]]; then
		if ! command -v go >/dev/null; then debian golang-go; fi
		GOBIN=${program%/*} go install "github.com/fullstorydev/grpcurl/cmd/grpcurl@$grpcurl"
	fi
	local as=(-cacert "${identities[0]}" -cert "${identities[1]}" -key "${identities[2]}")
	"$program" "${as[@]}" "$at" list | tee "$house/said"
	grep --quiet --line-regexp wardein.v1.InvitationService "$house/said"
	"$program" "${as[@]}" "$at" describe wardein.v1.InvitationService.ListInvitations | grep 'rpc ListInvitations'
	"$program" "${as[@]}" "$at" wardein.v1.AdminService/GetStatus | grep '"trustDomain": "strangers.example"'
	# A refusal's code and words are written out.
	if said=$("$program" -format-error "${as[@]}" -d '{"tenant":"klinik","device_id":"x"}' "$at" wardein.v1.AdminService/GetDevice 2>&1); then
		echo "strangers.sh: it was not refused: $said" >&2
		return 1
	fi
	echo "$said"
	grep --quiet '"code": 5,' <<<"$said"
	# Google's types are described by the authority.
	grep --quiet '"reason": "DEVICE_UNKNOWN"' <<<"$said"
	grep --quiet '"domain": "wardein"' <<<"$said"
}

finish() {
	kill -TERM "$pid"
	local ended=$pid
	pid=
	wait "$ended"
}

part "the binary" binary
part "an authority, two tenants and a platform" found
for each in "${asked[@]}"; do part "$each" "$each"; done
part "the authority ends, in order" finish
printf '\nEvery check held, in %d s. Nothing was left running.\n' "$SECONDS"

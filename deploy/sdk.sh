#!/usr/bin/env bash
# The devices in other languages, sdk/python and sdk/go: their own tests, the vectors of DDKG-1, and an authority that is served to both.
#
# sdk.sh             needs no argument; what it keeps is in target/sdk. WARDEIN_BINARY names the `wardein` to serve; else it is
#                    target/quick/wardein, which is built if it is missing
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
# shellcheck source=deploy/trial.sh
source deploy/trial.sh
# shellcheck source=deploy/sdk-tools.sh
source deploy/sdk-tools.sh

if (($# > 0)); then
	echo "usage: sdk.sh" >&2
	exit 2
fi

house=
pid=

at_exit() {
	local result=$?
	if [[ -n $pid ]]; then
		kill -TERM "$pid" 2>/dev/null || true
		wait "$pid" || true
	fi
	if ((result != 0)) && [[ -s $house/log ]]; then
		echo "sdk.sh: the end of the authority's log:" >&2
		tail -n 20 "$house/log" >&2
	fi
	if [[ -n $house ]]; then rm -rf "$house"; fi
}
trap at_exit EXIT

found() {
	local ports grpc http
	house=$(mktemp -d)
	# Two ports that nobody listens on, held together so that they differ.
	ports=$("$python" -c 'import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(each.getsockname()[1] for each in held))')
	read -r grpc http <<<"$ports"
	"$WARDEIN_BINARY" init --dir "$house/a" --trust-domain sdk.example --key-file "$house/root.key" \
		--listen "127.0.0.1:$grpc" --http "127.0.0.1:$http" >"$house/said"
	# Keys that the authority makes are tried as well.
	sed -i 's|^made_keys = .*|made_keys = 2|' "$house/a/wardein.toml"
	"$WARDEIN_BINARY" serve --config "$house/a/wardein.toml" </dev/null >"$house/log" 2>&1 &
	pid=$!
	export WARDEIN_DIR=$house/a WARDEIN_HOUSE=$house
	local tries=0
	until "$WARDEIN_BINARY" tenant list >/dev/null 2>"$house/said"; do
		if ((++tries == 100)) || ! kill -0 "$pid" 2>/dev/null; then
			cat "$house/said" >&2
			echo "sdk.sh: the authority does not answer" >&2
			exit 1
		fi
		sleep 0.1
	done
	{
		"$WARDEIN_BINARY" tenant create klinik
		"$WARDEIN_BINARY" operator issue --role station --tenant klinik --name line-1 --validity 1d --quota 100 --out "$house/station"
		"$WARDEIN_BINARY" operator issue --role platform --tenant klinik --name iot --validity 1d --out "$house/platform"
		"$WARDEIN_BINARY" grant add iot token --tenant klinik --user-name 'edge:{device}'
		"$WARDEIN_BINARY" grant add iot open --tenant klinik
		# Another authority, of which only the root's certificate is needed.
		"$WARDEIN_BINARY" init --dir "$house/b" --trust-domain other.example --key-file "$house/other.key"
	} >"$house/said"
	cp "$house/b/root-ca.pem" "$house/a/foreign.pem"
}

in_python() {
	cd sdk/python
	"$python" -m mypy
	"$python" -m pytest --quiet -p no:cacheprovider
	cd ../..
}

in_go() {
	local folder
	formatted
	for folder in sdk/go sdk/go/grpc; do
		(cd "$folder" && "$go" vet ./... && "$go" test -count=1 ./...)
	done
	(cd sdk/go/grpc && "$go" run ./example -identity "$house/station" -state "$house/go-example" -device go-example)
}

generated() {
	PATH=${go%/*}:$PATH sdk/generate.sh --check
}

finish() {
	kill -TERM "$pid"
	local ended=$pid
	pid=
	wait "$ended"
}

part "Go" find_go
part "the authority's binary" binary
part "Python packages of sdk/python/requirements-test.txt, in target/sdk" packages
if [[ -n $go ]]; then part "the messages are generated from proto/" generated; fi
part "an authority and its station" found
part "sdk/python" in_python
if [[ -n $go ]]; then part "sdk/go" in_go; fi
part "the authority ends, in order" finish
if [[ -z $go ]]; then printf '\nNOTICE: there is no Go 1.%s: sdk/go and the generated messages were not tested.\n' "$oldest_go"; fi
printf '\nEvery test that ran passed, in %d s. Nothing was left running.\n' "$SECONDS"

#!/usr/bin/env bash
# Another implementation against the real authority: a device in Python, generated from proto/ and written from crates/ddkg/SPEC.md
# alone, is enrolled, proves itself, is certified and is refused where it must be. Exit code 0 only if every check held.
#
# interop.sh             needs no argument; everything that it makes is in target/interop or in a directory that it removes
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
# shellcheck source=deploy/trial.sh
source deploy/trial.sh

if (($# > 0)); then
	echo "usage: interop.sh" >&2
	exit 2
fi

readonly trust_domain=interop.example
readonly made=$PWD/target/interop
readonly python=$made/venv/bin/python
house=
pid=

at_exit() {
	local result=$?
	if [[ -n $pid ]]; then
		kill -TERM "$pid" 2>/dev/null || true
		wait "$pid" || true
	fi
	if ((result != 0)) && [[ -s $house/log ]]; then
		echo "interop.sh: the end of the authority's log:" >&2
		tail -n 20 "$house/log" >&2
	fi
	if [[ -n $house ]]; then rm -rf "$house"; fi
}
trap at_exit EXIT

binaries() {
	if [[ ! -x target/quick/wardein || ! -x target/quick/wardein-device ]]; then
		echo "building; this takes some minutes"
		cargo build --locked --profile quick -p wardein -p wardein-device
	fi
	PATH=$PWD/target/quick:$PATH
}

packages() {
	if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then debian python3 python3-venv; fi
	if ! command -v openssl >/dev/null; then debian openssl; fi
	# Again only when the requirements changed, or the last installation did not complete.
	if ! cmp --silent tests/interop/requirements.txt "$made/installed"; then
		rm -rf "$made"
		mkdir -p "$made"
		python3 -m venv "$made/venv"
		"$python" -m pip install --quiet --disable-pip-version-check --requirement tests/interop/requirements.txt
		cp tests/interop/requirements.txt "$made/installed"
	fi
	"$python" -m pip list --disable-pip-version-check | grep -E '^(cryptography|grpcio|protobuf)'
}

stubs() {
	rm -rf "$made/stubs"
	mkdir -p "$made/stubs"
	"$python" -m grpc_tools.protoc --proto_path=proto --python_out="$made/stubs" --grpc_python_out="$made/stubs" proto/wardein/v1/*.proto
}

found() {
	local ports grpc http
	house=$(mktemp -d)
	# Two ports that nobody listens on, held together so that they differ.
	ports=$("$python" -c 'import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(each.getsockname()[1] for each in held))')
	read -r grpc http <<<"$ports"
	wardein init --dir "$house/a" --trust-domain "$trust_domain" --key-file "$house/root.key" \
		--listen "127.0.0.1:$grpc" --http "127.0.0.1:$http" >"$house/said"
	# All that the authority and its libraries could ever say.
	sed -i 's/^level = .*/level = "trace,h2=trace,hyper=trace,rustls=trace,tonic=trace,tower=trace"/' "$house/a/wardein.toml"
	wardein serve --config "$house/a/wardein.toml" </dev/null >"$house/log" 2>&1 &
	pid=$!
	export WARDEIN_DIR=$house/a
	local tries=0
	until wardein tenant list >/dev/null 2>"$house/said"; do
		if ((++tries == 100)) || ! kill -0 "$pid" 2>/dev/null; then
			cat "$house/said" >&2
			echo "interop.sh: the authority does not answer" >&2
			exit 1
		fi
		sleep 0.1
	done
	wardein tenant create klinik >"$house/said"
	wardein operator issue --role station --tenant klinik --name line-1 --validity 1d --quota 10 --out "$house/station" >"$house/said"
	wardein operator issue --role platform --tenant klinik --name iot --validity 1d --out "$house/platform" >"$house/said"
	wardein grant add iot token --tenant klinik --user-name 'edge:{device}' >"$house/said"
	wardein grant add iot open --tenant klinik >"$house/said"
}

client() {
	PYTHONPATH=$made/stubs "$python" tests/interop/client.py --station "$house/station" --platform "$house/platform" --root-ca "$house/a/root-ca.pem" \
		--trust-domain "$trust_domain"
}

silence() {
	"$python" - "$house/log" "$house/root.key" <<-'end'
		import base64, pathlib, sys

		log, root_key = (pathlib.Path(file).read_bytes() for file in sys.argv[1:])
		assert b"TRACE" in log and b"TrustService/Open" in log, "the log does not say what was done"
		# What client.py has sealed and opened, and the authority's own secret, in the forms in which bytes are printed.
		for secret in (b"Puls 72/min", root_key):
		    for form in (secret, secret.hex().encode(), base64.b64encode(secret)[:-2], ", ".join(map(str, secret)).encode()):
		        assert form.lower() not in log.lower(), f"a secret is in the log: {form}"
	end
}

finish() {
	kill -TERM "$pid"
	local ended=$pid
	pid=
	wait "$ended"
}

part "the binaries" binaries
part "Python packages of tests/interop/requirements.txt, in target/interop" packages
part "stubs from proto/" stubs
part "an authority and its station" found
part "a device written from the specification alone" client
part "the authority ends, in order" finish
part "no secret is in its log, at its most talkative" silence
printf '\nEvery check held, in %d s. Nothing was left running.\n' "$SECONDS"

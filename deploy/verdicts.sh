#!/usr/bin/env bash
# What an authority signs, read by others: a receipt by joserfc and by Veraison's ear, and a Token Status List by a reader of Python's own zlib. Exit code 0 only if
# every check held.
#
# verdicts.sh          needs no argument; all that it makes is in a directory that it removes, but for the tools beside other scripts'
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
source deploy/trial.sh

if (($# > 0)); then
	echo "usage: verdicts.sh" >&2
	exit 2
fi

readonly venv=$tools/joserfc-1.8.0
house=
authority=

at_exit() {
	local result=$?
	if [[ -n $authority ]]; then
		kill -TERM "$authority" 2>/dev/null || true
		wait "$authority" 2>/dev/null || true
	fi
	if ((result != 0)) && [[ -n $house ]]; then tail -n 20 "$house/log" >&2 || true; fi
	if [[ -n $house ]]; then rm -rf "$house"; fi
}
trap at_exit EXIT

prepare() {
	debian curl python3 python3-venv
	local built=${CARGO_TARGET_DIR:-$PWD/target}/quick
	if [[ ! -x $built/wardein ]]; then
		echo "building; this takes some minutes"
		cargo build --locked --profile quick -p wardein
	fi
	PATH=$built:$PATH
	if [[ ! -e $venv/complete ]]; then
		rm -rf "$venv"
		python3 -m venv "$venv"
		"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: joserfc==1.8.0 cryptography==50.0.2
		touch "$venv/complete"
	fi
	echo "building a reader by Veraison's ear"
	cargo build --locked --quiet --manifest-path tests/verdicts/ear/Cargo.toml --target-dir "$tools/ear-0.6.0"
	house=$(mktemp -d)
}

found() {
	read -r grpc http <<<"$(ports 2)"
	at=http://127.0.0.1:$http
	wardein init --dir "$house/a" --trust-domain verdicts.example --key-file "$house/root.key" \
		--listen "127.0.0.1:$grpc" --http "127.0.0.1:$http" >"$house/said"
	sed -i "s|^revocation_url = .*|revocation_url = \"$at\"|" "$house/a/wardein.toml"
	grep -q "^revocation_url = \"$at\"" "$house/a/wardein.toml"
	wardein serve --config "$house/a/wardein.toml" </dev/null >"$house/log" 2>&1 &
	authority=$!
	export WARDEIN_DIR=$house/a
	up "$grpc"
	wardein tenant create klinik >"$house/said"
	wardein operator issue --role station --tenant klinik --name line-1 --validity 1d --quota 9 --out "$house/station" >"$house/said"
	wardein operator issue --role platform --tenant klinik --name iot --validity 1d --out "$house/platform" >"$house/said"
	printf 'id,model\np-1,pump\np-2,pump\n' >"$house/batch.csv"
	wardein device enroll --identity "$house/station" --csv "$house/batch.csv" --out "$house/devices" >"$house/said"
}

# receipt NAME DEVICE: in $house/NAME, for the audience `iot`, with the nonce 00..07.
readonly nonce=0001020304050607
receipt() {
	rm -f "$house/$1"
	wardein trust check --identity "$house/platform" --device "$2" --receipt "$house/$1" --audience iot --nonce "$nonce"
}

# Of verdicts in the form of EAT Attestation Results, by the library of who drafts it.
ear() { "$tools/ear-0.6.0/debug/wardein-verdicts-ear" "$@"; }

reads() { "$venv/bin/python" tests/verdicts/read.py "$@"; }

receipts() {
	holds "a receipt on a trusted device" receipt one p-1
	holds "the keys" curl -sS --fail -o "$house/jwks.json" "$at/jwks.json"
	holds "wardein verifies it offline" wardein trust verify-receipt --receipt "$house/one" --jwks "$house/jwks.json" --audience iot --nonce "$nonce"
	holds "joserfc does" reads receipt "$house/one" "$house/jwks.json" iot affirming trusted
	holds "and refuses it for another audience" not reads receipt "$house/one" "$house/jwks.json" other affirming trusted
	holds "Veraison's ear reads it" ear "$house/one" "$house/jwks.json" iot affirming
	holds "and refuses it for another audience, too" not ear "$house/one" "$house/jwks.json" other affirming
	sed -E 's/\.(.)([^.]*)$/.\1\1\2/' "$house/one" | cut -c "1-$(($(wc -c <"$house/one") - 1))" >"$house/altered"
	holds "and an altered one" not reads receipt "$house/altered" "$house/jwks.json" iot affirming trusted
	wardein device suspend p-1 --tenant klinik --reason "looked at" --yes >"$house/said"
	holds "one on a suspended device" not receipt two p-1
	holds "ear refuses the altered one" not ear "$house/altered" "$house/jwks.json" iot affirming
	holds "and reads that of the suspended device as contraindicated" ear "$house/two" "$house/jwks.json" iot contraindicated
	holds "joserfc does too" reads receipt "$house/two" "$house/jwks.json" iot contraindicated not-trusted
	wardein device resume p-1 --tenant klinik --reason "found well" >"$house/said"
}

lists() {
	holds "a receipt on another device" receipt three p-2
	holds "the list says VALID" reads status "$house/three" "$house/jwks.json" 0
	wardein device suspend p-2 --tenant klinik --reason "looked at" --yes >"$house/said"
	holds "SUSPENDED within a second" reads status "$house/three" "$house/jwks.json" 2 1.0
	wardein device resume p-2 --tenant klinik --reason "found well" >"$house/said"
	holds "VALID again" reads status "$house/three" "$house/jwks.json" 0 1.0
	wardein device revoke p-2 --tenant klinik --reason lost --yes >"$house/said"
	holds "INVALID within a second" reads status "$house/three" "$house/jwks.json" 1 1.0
	holds "the other device is as before" reads status "$house/one" "$house/jwks.json" 0
	holds "curl inflates its gzip" curl -sS --fail --compressed -o "$house/list" -D "$house/head" "$at/status/0"
	holds "which it is" grep -qi '^content-encoding: gzip' "$house/head"
	holds "a CWT is not offered" says '^406' curl -sS -o "$house/body" -w '%{http_code}\n' -H 'Accept: application/statuslist+cwt' "$at/status/0"
}

part "the programs, joserfc and ear" prepare
part "an authority with two devices" found
part "receipts" receipts
part "a status list" lists
printf '\nEvery check held, in %d s. Nothing was left running.\n' "$SECONDS"

#!/usr/bin/env bash
# proto/openapi.json against the authority that it describes: schemathesis makes requests of the document, right ones and wrong ones, and
# judges each answer by it. Exit code 0 only if it finds nothing.
#
# openapi.sh [EXAMPLES]     so many requests a method and kind at most, 200 if nothing is said. What it keeps is in target/openapi.
#                           WARDEIN_BINARY names the `wardein` to serve; else it is target/quick/wardein, which is built if it is missing
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
# shellcheck source=deploy/trial.sh
source deploy/trial.sh

case $* in
'' | *[!0-9]*)
	if (($# > 0)); then
		echo "usage: openapi.sh [EXAMPLES]" >&2
		exit 2
	fi
	;;
esac
readonly examples=${1:-200} made=$PWD/target/openapi strangers=tests/strangers/openapi
readonly requirements=$strangers/requirements.txt
authority=${WARDEIN_BINARY:-$PWD/target/quick/wardein}
house=
pid=

at_exit() {
	local result=$?
	if [[ -n $pid ]]; then
		kill -TERM "$pid" 2>/dev/null || true
		wait "$pid" || true
	fi
	if ((result != 0)) && [[ -s $house/log ]]; then
		echo "openapi.sh: the end of the authority's log:" >&2
		tail -n 5 "$house/log" >&2
	fi
	if [[ -n $house ]]; then rm -rf "$house"; fi
}
trap at_exit EXIT

programs() {
	if [[ ! -x $authority ]]; then
		echo "building; this takes some minutes"
		cargo build --locked --profile quick -p wardein
	fi
	if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then debian python3 python3-venv; fi
	# Again only when the requirements changed, or the last installation did not complete.
	if ! cmp --silent "$requirements" "$made/installed"; then
		rm -rf "$made"
		python3 -m venv "$made"
		"$made/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --requirement "$requirements"
		cp "$requirements" "$made/installed"
	fi
	"$made/bin/schemathesis" --version
}

at=
found() {
	local grpc http tries=0
	house=$(mktemp -d)
	read -r grpc http <<<"$(ports 2)"
	at=https://127.0.0.1:$grpc
	export WARDEIN_DIR=$house/a
	"$authority" init --dir "$house/a" --trust-domain openapi.example --key-file "$house/root.key" --listen "127.0.0.1:$grpc" \
		--http "127.0.0.1:$http" >"$house/said"
	"$authority" serve --config "$house/a/wardein.toml" </dev/null >"$house/log" 2>&1 &
	pid=$!
	until "$authority" tenant list >/dev/null 2>&1; do
		((++tries < 100)) && kill -0 "$pid" || return 1
		sleep 0.1
	done
	{
		"$authority" tenant create klinik
		"$authority" operator issue --role station --tenant klinik --name line-1 --validity 1d --quota 10 --out "$house/station"
		"$authority" operator issue --role platform --tenant klinik --name iot --validity 1d --out "$house/platform"
		"$authority" grant add iot token --tenant klinik --user-name 'edge:{device}'
		printf 'id,model\npump-1,Infusion pump 3\npump-2,Infusion pump 3\n' >"$house/batch.csv"
		"$authority" device enroll --identity "$house/station" --csv "$house/batch.csv" --out "$house/devices"
		"$authority" device suspend pump-2 --tenant klinik --reason test --yes
	} >"$house/said"
}

judged() {
	local as=(--request-cert "$house/platform/operator.pem" --request-cert-key "$house/platform/operator.key"
		--tls-verify "$house/platform/infrastructure.pem")
	# What it keeps beside itself goes with the rest.
	cp "$strangers/judge.py" "$strangers/schemathesis.toml" proto/openapi.json "$house"
	(cd "$house" && SCHEMATHESIS_HOOKS=judge PYTHONPATH=. "$made/bin/schemathesis" --config-file schemathesis.toml run openapi.json --url "$at" \
		"${as[@]}" --max-examples "$examples" --seed 1 --no-color --continue-on-failure)
	holds "the authority lives" "$authority" tenant list
}

part "the authority's binary, and what $requirements names, in target/openapi" programs
part "an authority, a platform and two devices" found
part "schemathesis" judged
printf '\nEvery check held, in %d s. Nothing was left running.\n' "$SECONDS"

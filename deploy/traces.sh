#!/usr/bin/env bash
# Traces, as an OpenTelemetry Collector takes them. It is of its project's own modules, which tests/traces/collector names and the Go module
# proxy has. It goes away, hangs and comes back, and calls are answered meanwhile. Exit code 0 only if every check held.
#
# traces.sh       needs no argument, but Go 1.26; all that it makes is in a directory that it removes
#
# WARDEIN_BINARY names the binary; without it one is built.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
# shellcheck source=deploy/trial.sh
source deploy/trial.sh
# shellcheck source=deploy/sdk-tools.sh
source deploy/sdk-tools.sh

if (($# > 0)); then
	echo "usage: traces.sh" >&2
	exit 2
fi

readonly release=0.161.0
readonly program=$tools/otel-collector-$release/collector
# More than the service keeps waiting (4,096) and the collector has in hand (512).
readonly many=6000
house=
authority=
collector=

at_exit() {
	local result=$? number
	for number in $authority $collector; do
		# A stopped process hears no other signal.
		kill -KILL "$number" 2>/dev/null || true
		wait "$number" 2>/dev/null || true
	done
	if ((result != 0)) && [[ -n $house ]]; then tail -n 20 "$house/log" "$house/collector.log" >&2 || true; fi
	if [[ -n $house ]]; then rm -rf "$house"; fi
}
trap at_exit EXIT

prepare() {
	local built=${WARDEIN_BINARY:-${CARGO_TARGET_DIR:-$PWD/target}/quick/wardein}
	debian curl jq python3
	if [[ ! -x $built ]]; then
		echo "building; this takes some minutes"
		cargo build --locked --profile quick -p wardein
	fi
	PATH=${built%/*}:$PATH
	if [[ ! -x $program ]]; then
		find_go 26 "tracing to a collector"
		if [[ -z $go ]]; then exit; fi
		echo "building the collector $release into ${program%/*}; this takes some minutes, once"
		mkdir -p "${program%/*}"
		"$go" build -C tests/traces/collector -mod=readonly -buildvcs=false -trimpath -ldflags '-s -w' -o "$program.new" .
		mv "$program.new" "$program"
	fi
	house=$(mktemp -d)
	"$program" --version
}

start_collector() {
	"$program" --config "file:$house/collector.yaml" >>"$house/collector.log" 2>&1 &
	collector=$!
	up "$otlp"
}

collects() {
	read -r otlp grpc http <<<"$(ports 3)"
	cat >"$house/collector.yaml" <<-Y
		receivers: {otlp: {protocols: {grpc: {endpoint: "127.0.0.1:$otlp"}}}}
		exporters: {file: {path: "$house/spans.jsonl", append: true, flush_interval: 100ms}}
		service:
		  pipelines: {traces: {receivers: [otlp], exporters: [file]}}
		  telemetry: {metrics: {level: none}}
	Y
	start_collector
}

found() {
	wardein init --dir "$house/a" --trust-domain traces.example --key-file "$house/root.key" --listen "127.0.0.1:$grpc" \
		--http "127.0.0.1:$http" >"$house/said"
	sed -i "s|^collector = \"\"|collector = \"http://127.0.0.1:$otlp\"|" "$house/a/wardein.toml"
	grep -q "^collector = \"http://127.0.0.1:$otlp\"" "$house/a/wardein.toml"
	wardein serve --config "$house/a/wardein.toml" </dev/null >"$house/log" 2>&1 &
	authority=$!
	export WARDEIN_DIR=$house/a
	up "$grpc"
	# Names that are nowhere else, to be looked for.
	wardein tenant create hidden-clinic >"$house/said"
	wardein operator issue --role station --tenant hidden-clinic --name hidden-line --validity 1d --quota 9 --out "$house/station" >"$house/said"
	wardein operator issue --role platform --tenant hidden-clinic --name hidden-cloud --validity 1d --out "$house/platform" >"$house/said"
	printf 'id,model\nhidden-pump,Hidden model\n' >"$house/batch.csv"
	wardein device enroll --identity "$house/station" --csv "$house/batch.csv" --out "$house/devices" >"$house/said"
	# Calls that an operator traces, over one connection: each must be answered within five seconds, half of what the service waits for the
	# collector. The span of the caller is the call's number, from FIRST on.
	cat >"$house/calls.py" <<-'P'
		import http.client, ssl, sys, time
		port, identity, trace, first, count = sys.argv[1:]
		context = ssl.create_default_context(cafile=f"{identity}/infrastructure.pem")
		context.load_cert_chain(f"{identity}/operator.pem", f"{identity}/operator.key")
		line = http.client.HTTPSConnection("localhost", int(port), context=context, timeout=30)
		slowest = 0.0
		for number in range(int(first), int(first) + int(count)):
		    head = {"content-type": "application/json", "traceparent": f"00-{trace}-{number:016x}-01"}
		    begun = time.monotonic()
		    line.request("POST", "/wardein.v1.TrustService/Check", '{"deviceId":"hidden-pump"}', head)
		    answer = line.getresponse()
		    body = answer.read()
		    slowest = max(slowest, time.monotonic() - begun)
		    if answer.status != 200 or b"VERDICT_TRUSTED" not in body:
		        sys.exit(f"call {number}: {answer.status} {body!r}")
		if slowest >= 5:
		    sys.exit(f"a call took {slowest:.1f} s")
		print(f"{count} calls were answered, the slowest in {slowest * 1000:.0f} ms")
	P
}

# call TRACEPARENT PATH OPTION...: a call by HTTP, whose head is in $house/head.
call() {
	curl -sS -o "$house/body" -D "$house/head" --cacert "$house/platform/infrastructure.pem" -H "traceparent: $1" "${@:3}" "https://localhost:$grpc/$2"
}
by_platform() { call "$@" --cert "$house/platform/operator.pem" --key "$house/platform/operator.key"; }
check() { "$1" "$2" wardein.v1.TrustService/Check -H 'content-type: application/json' --data "$3" "${@:4}"; }

# spans JQ-FILTER: of all spans that the collector has, with their attributes as an object.
spans() {
	jq -cs "[.[].resourceSpans[] | .resource.attributes as \$of | .scopeSpans[].spans[] |
		. + {of: (\$of | map({(.key): .value.stringValue}) | add), says: (.attributes | map({(.key): .value.stringValue}) | add)}] | $1" \
		"$house/spans.jsonl"
}

# arrives JQ-CONDITION: whether the collector has such spans, soon; a line that is not whole yet counts for nothing.
arrives() {
	local tries=0
	until [[ $(spans "$1" 2>/dev/null) == true ]]; do
		((++tries < 600)) || return 1
		sleep 0.1
	done
}

# logs TEXT: whether the authority's log has it, soon.
logs() {
	local tries=0
	until grep -q "$1" "$house/log"; do
		((++tries < 300)) || return 1
		sleep 0.1
	done
}

lost() { curl -sS "http://127.0.0.1:$http/metrics" | sed -n 's/^wardein_spans_lost_total //p'; }

id() { sed -n 's/^wardein-request-id: *\([^[:space:]]*\).*/\1/Ip' "$house/head"; }
code() { sed -n 's/^wardein-code: *\([a-z-]*\).*/\1/Ip' "$house/head"; }

readonly ours=4bf92f3577b34da6a3ce929d0e0e4736 calm=5bf92f3577b34da6a3ce929d0e0e4736 strange=6bf92f3577b34da6a3ce929d0e0e4736
arrive() {
	local of_check of_refusal of_token code
	check call "00-$strange-00f067440b4902b1-01" '{"deviceId":"hidden-pump"}'
	check by_platform "00-$calm-00f067440b4902b2-00" '{"deviceId":"hidden-pump"}'
	check by_platform "00-$ours-00f067440b4902b3-01" '{"deviceId":"hidden-pump"}'
	of_check=$(id)
	check by_platform "00-$ours-00f067440b4902b4-01" '{"deviceId":"hidden pump"}'
	of_refusal=$(id)
	code=$(code)
	holds "an id that cannot be one is refused" test "${code:-ok}" != ok
	wardein operator token create "$(wardein --json operator list --tenant hidden-clinic |
		jq -r '.operators[] | select(.role == "platform") | .serial')" --lifetime 1h --out "$house/token" >"$house/said"
	printf 'Authorization: Bearer %s\n' "$(cat "$house/token")" >"$house/bearer"
	check call "00-$ours-00f067440b4902b5-01" '{"deviceId":"hidden-pump"}' -H "@$house/bearer"
	of_token=$(id)
	# An empty message of gRPC.
	printf '\0\0\0\0\0' >"$house/empty"
	by_platform "00-$ours-00f067440b4902b6-01" wardein.v1.AdminService/GetStatus --http2 -H 'content-type: application/grpc' -H 'te: trailers' \
		--data-binary "@$house/empty"
	holds "four spans go on with an operator's trace, in order" arrives \
		"map(select(.traceId == \"$ours\") | .parentSpanId) == [\"00f067440b4902b3\", \"00f067440b4902b4\", \"00f067440b4902b5\", \"00f067440b4902b6\"]"
	holds "none with a stranger's, and none that the operator does not record" arrives 'length == 4'
	holds "they have names and kind" arrives \
		'map(.name[11:]) == ["TrustService/Check", "TrustService/Check", "TrustService/Check", "AdminService/GetStatus"] and all(.kind == 2)'
	holds "the service's name" arrives 'all(.of."service.name" == "wardein" and (.of."service.version" | length) > 0)'
	holds "method, role and code" arrives ".[1].says | .\"rpc.system\" == \"grpc\" and .\"rpc.service\" == \"wardein.v1.TrustService\" and
		.\"rpc.method\" == \"Check\" and .\"wardein.role\" == \"platform\" and .\"wardein.code\" == \"$code\""
	holds "the request ids that the callers have" arrives \
		"map(.says.\"wardein.request_id\")[:3] == [\"$of_check\", \"$of_refusal\", \"$of_token\"] and (\"$of_check\" | length) > 0"
	holds "an id of their own" arrives '(map(.spanId) | unique | length) == 4 and all(.spanId | test("^[0-9a-f]{16}$"))'
	holds "begin and end" arrives 'all((.endTimeUnixNano | tonumber) >= (.startTimeUnixNano | tonumber) and
		((.endTimeUnixNano | tonumber) / 1e9 - now | fabs) < 60)'
}

# What the collector has from the authority names nobody. The words are in what was called, so that they could be there.
names_nobody() {
	holds "no tenant, station, platform, device or model" not grep -i hidden "$house/spans.jsonl"
	holds "no address" not grep -E '127\.0\.0\.1|localhost|::1' "$house/spans.jsonl"
	holds "no token" not grep -Ff "$house/token" "$house/spans.jsonl"
	holds "no key or certificate" not grep -E 'BEGIN|MII[A-Za-z0-9+/]{20}' "$house/spans.jsonl"
	holds "and no more than these attributes" arrives \
		'map(.says | keys) | unique == [["rpc.method", "rpc.service", "rpc.system", "wardein.code", "wardein.request_id", "wardein.role"]]'
}

# calls FIRST COUNT
calls() {
	holds "$2 calls are answered meanwhile, each within 5 s" python3 "$house/calls.py" "$grpc" "$house/platform" "$ours" "$1" "$2"
	sed 's/^/    /' "$house/said"
}

# settled FIRST COUNT LOST: whether each of those calls has its span at the collector, or was counted as lost; LOST were before.
settled() {
	local tries=0 there
	until
		there=$(spans "map(.parentSpanId[8:]) | unique | map(select(. >= \"$(printf %08x "$1")\" and . < \"$(printf %08x $(($1 + $2)))\")) | length" 2>/dev/null)
		((${there:-0} + $(lost) - $3 >= $2))
	do
		((++tries < 120)) || return 1
		sleep 0.5
	done
	echo "$there came to the collector, $(($(lost) - $3)) are counted as lost"
}

away() {
	local before
	before=$(lost)
	holds "nothing is lost while the collector is there" test "$before" = 0
	kill -KILL "$collector"
	wait "$collector" 2>/dev/null || true
	calls 1000 200
	holds "each span is counted as lost, or comes later" settled 1000 200 "$before"
	sed 's/^/    /' "$house/said"
	holds "the log says so" logs 'takes nothing'
	holds "once" test "$(grep -c 'takes nothing' "$house/log")" = 1
	start_collector
	holds "a later call is answered, without a restart of the service" python3 "$house/calls.py" "$grpc" "$house/platform" "$ours" 2000 1
	# The first one after it may be lost: a connection is made again when the last attempt failed.
	holds "spans come again, and the log says so" back
	holds "each with its parent" arrives 'any(.parentSpanId >= "00000000000007d0" and .parentSpanId < "0000000000000bb8")'
}

# back: calls until the collector has one of them.
back() {
	local number
	for number in {2001..2030}; do
		if grep -q 'takes spans again' "$house/log"; then return; fi
		python3 "$house/calls.py" "$grpc" "$house/platform" "$ours" "$number" 1
		sleep 1
	done
	return 1
}

slow() {
	local before
	before=$(lost)
	kill -STOP "$collector"
	calls 10000 "$many"
	holds "what has no room, or waits too long, is counted as lost" more_lost "$before"
	holds "the service is ready meanwhile" curl -sS --fail "http://127.0.0.1:$http/readyz"
	kill -CONT "$collector"
	holds "each span came to the collector, or was counted" settled 10000 "$many" "$before"
	sed 's/^/    /' "$house/said"
	holds "none came twice" arrives '(map(.spanId) | unique | length) == length'
	holds "a later call is answered" python3 "$house/calls.py" "$grpc" "$house/platform" "$ours" 90000 1
	holds "and its span comes, with its parent" arrives 'any(.parentSpanId == "0000000000015f90")'
}

more_lost() {
	local tries=0
	until (($(lost) > $1)); do
		((++tries < 60)) || return 1
		sleep 0.5
	done
}

part "prerequisites" prepare
part "a collector" collects
part "an authority that traces, a platform and a device" found
part "spans arrive" arrive
part "they name nobody" names_nobody
part "the collector is away" away
part "the collector hangs" slow
printf '\nEvery check held, in %d s.\n' "$SECONDS"

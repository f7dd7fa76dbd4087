#!/usr/bin/env bash
# What platforms are given in other languages, against an authority that is founded, killed and started again.
#
# python, go          the packages: a suspended device seen by the cache, a cache that is stale and true again, another CA, deadlines,
#                     refusals. Besides, against a service that answers as a test wants
# java, typescript    the examples, with stubs that are made of proto/: a verdict is asked for, and changes are heard of over a restart
#
# platform-sdk.sh [python] [go] [java] [typescript]    without a name, all. What it keeps is in target/sdk. WARDEIN_BINARY names the
#                                                      `wardein` to serve; else it is target/quick/wardein, which is built if it is missing
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
# shellcheck source=deploy/trial.sh
source deploy/trial.sh
# shellcheck source=deploy/sdk-tools.sh
source deploy/sdk-tools.sh

asked=("$@")
if (($# == 0)); then asked=(python go java typescript); fi
for each in "${asked[@]}"; do
	case $each in
	python | go | java | typescript) ;;
	*)
		echo "usage: platform-sdk.sh [python] [go] [java] [typescript]" >&2
		exit 2
		;;
	esac
done

house=
pid=
example=

at_exit() {
	local result=$? each
	for each in $example $pid; do
		kill -TERM "$each" 2>/dev/null || true
		wait "$each" 2>/dev/null || true
	done
	if ((result != 0)) && [[ -s $house/log ]]; then
		tail -n 20 "$house/log" "$house/heard" >&2 || true
	fi
	if [[ -n $house ]]; then rm -rf "$house"; fi
}
trap at_exit EXIT

# What is published is what is tested: the wheel has the types, both licenses and nothing of the tests, and works by itself.
wheel_of_platforms() {
	local at=$made/wheel
	rm -rf "$at"
	mkdir -p "$at"
	# Building leaves files beside the sources.
	cp -r sdk/python/platform "$at/source"
	"$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$at" "$at/source"
	"$python" -m pip install --quiet --disable-pip-version-check --no-deps --no-index --target "$at/installed" "$at"/wardein-*.whl
	local file
	for file in wardein/py.typed wardein/_pb/trust_pb2.pyi wardein-*.dist-info/licenses/LICENSE-{MIT,APACHE}; do
		compgen -G "$at/installed/$file" >/dev/null || { echo "the wheel has no $file" >&2; return 1; }
	done
	(cd "$at" && PYTHONPATH=$at/installed "$python" -c 'import wardein; print(wardein.__file__, len(wardein.__all__))')
}

in_python() {
	packages
	licenses sdk/python/platform
	(cd sdk/python/platform && "$python" -m mypy && "$python" -m pytest --quiet -p no:cacheprovider)
	wheel_of_platforms
}

in_go() {
	find_go
	if [[ -z $go ]]; then return; fi
	formatted
	licenses sdk/go/platform
	licenses sdk/go/wardeinv1
	(cd sdk/go/wardeinv1 && "$go" vet ./...)
	# The race detector needs a C compiler.
	if ! command -v gcc >/dev/null; then debian gcc libc6-dev; fi
	(cd sdk/go/platform && "$go" vet ./... && CGO_ENABLED=1 "$go" test -race -count=1 ./...)
}

# An authority with a platform and a device, for the examples.
found() {
	if [[ -n $house ]]; then return; fi
	house=$(mktemp -d)
	local grpc http
	read -r grpc http <<<"$(ports 2)"
	export WARDEIN_DIR=$house/a
	{
		"$WARDEIN_BINARY" init --dir "$house/a" --trust-domain examples.example --key-file "$house/root.key" \
			--listen "127.0.0.1:$grpc" --http "127.0.0.1:$http"
		serve
		"$WARDEIN_BINARY" tenant create klinik
		"$WARDEIN_BINARY" operator issue --role station --tenant klinik --name line-1 --validity 1d --quota 10 --out "$house/station"
		"$WARDEIN_BINARY" operator issue --role platform --tenant klinik --name iot --validity 1d --out "$house/platform"
		printf 'id,model\npump-1,Infusion pump 3\n' >"$house/batch.csv"
		"$WARDEIN_BINARY" device enroll --identity "$house/station" --csv "$house/batch.csv" --out "$house/devices"
	} >"$house/said"
}

serve() {
	"$WARDEIN_BINARY" serve --config "$house/a/wardein.toml" </dev/null >>"$house/log" 2>&1 &
	pid=$!
	local tries=0
	until "$WARDEIN_BINARY" tenant list >/dev/null 2>&1; do
		((++tries < 100)) && kill -0 "$pid" || return 1
		sleep 0.1
	done
}

# heard TEXT: whether the example says so, soon. Not all languages write an enum's prefix.
heard() {
	local tries=0
	until grep -Eq -- "$1" "$house/heard"; do
		((++tries < 300)) && kill -0 "$example" || return 1
		sleep 0.1
	done
}

# follows command...: what an example says of a device, which falls and is brought back while the authority is killed and started again.
follows() {
	"$@" "$house/platform" pump-1 </dev/null >"$house/heard" 2>&1 &
	example=$!
	holds "Check is answered" heard '^check: pump-1: (VERDICT_)?TRUSTED$'
	holds "all devices come first" heard '^snapshot: pump-1: (VERDICT_)?TRUSTED$'
	holds "it is known how things are now" heard '^current$'
	"$WARDEIN_BINARY" device suspend pump-1 --tenant klinik --reason test --yes >"$house/said"
	holds "a suspension is heard of" heard '^change: pump-1: (VERDICT_)?NOT_TRUSTED$'
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null || true
	holds "that the authority is gone, too" heard '^interrupted: '
	serve
	"$WARDEIN_BINARY" device resume pump-1 --tenant klinik --reason test >"$house/said"
	holds "after a restart it goes on with what changed" heard '^change: pump-1: (VERDICT_)?TRUSTED$'
	holds "and began with a snapshot only once" test "$(grep -c '^snapshot: ' "$house/heard")" = 1
	kill -TERM "$example"
	wait "$example" 2>/dev/null || true
	example=
}

in_java() {
	if ! command -v mvn >/dev/null; then debian maven default-jdk-headless; fi
	java -version 2>&1 | head -n 1
	# grpc-java, protobuf and protoc are from Maven Central.
	mvn --quiet --batch-mode --file sdk/java/pom.xml "-Dmade=$made/java" compile "org.apache.maven.plugins:maven-dependency-plugin:2.8:build-classpath" \
		"-Dmdep.outputFile=$made/java/classpath"
	found
	follows java -cp "$made/java/classes:$(<"$made/java/classpath")" wardein.example.Follow
}

in_typescript() {
	if ! command -v npm >/dev/null; then debian nodejs npm; fi
	node --version
	local at=$made/typescript
	mkdir -p "$at"
	# Again only when what it needs changed, or the last installation did not complete.
	if ! cmp --silent sdk/typescript/package.json "$at/installed"; then
		cp sdk/typescript/package.json "$at/package.json"
		# Nothing that is installed is run meanwhile.
		npm install --prefix "$at" --ignore-scripts --no-audit --no-fund --silent
		cp "$at/package.json" "$at/installed"
	fi
	rm -rf "$at"/{src,gen,dist}
	cp -r sdk/typescript/{src,tsconfig.json,buf.gen.yaml} "$at"
	(cd "$at" && npm exec --offline -- buf generate "$OLDPWD/proto" && npm exec --offline -- tsc)
	found
	follows node "$at/dist/src/follow.js"
}

# A package has its own copies of the licenses, for what is published is the package alone.
licenses() {
	local file
	for file in LICENSE-MIT LICENSE-APACHE; do cmp "$file" "$1/$file"; done
}

part "the binary" binary
for each in "${asked[@]}"; do part "$each" "in_$each"; done
printf '\nEvery check held, in %d s. Nothing was left running.\n' "$SECONDS"

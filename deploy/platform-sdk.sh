#!/usr/bin/env bash
# The packages for platforms, each against a service that answers as a test wants, and against an authority that is founded, killed and
# started again: a suspended device seen by the cache, a cache that is stale and true again, another CA, deadlines, refusals.
#
# platform-sdk.sh [python] [go]     without a name, all. What it keeps is in target/sdk. WARDEIN_BINARY names the `wardein` to serve; else
#                                   it is target/quick/wardein, which is built if it is missing
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
# shellcheck source=deploy/trial.sh
source deploy/trial.sh
# shellcheck source=deploy/sdk-tools.sh
source deploy/sdk-tools.sh

asked=("$@")
if (($# == 0)); then asked=(python go); fi
for each in "${asked[@]}"; do
	case $each in
	python | go) ;;
	*)
		echo "usage: platform-sdk.sh [python] [go]" >&2
		exit 2
		;;
	esac
done

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

# A package has its own copies of the licenses, for what is published is the package alone.
licenses() {
	local file
	for file in LICENSE-MIT LICENSE-APACHE; do cmp "$file" "$1/$file"; done
}

part "the binary" binary
for each in "${asked[@]}"; do part "$each" "in_$each"; done
printf '\nEvery check held, in %d s. Nothing was left running.\n' "$SECONDS"

#!/usr/bin/env bash
# The messages of proto/ in Python and Go, which are committed beside the code that uses them: once for devices and once for platforms in
# Python, once for both in Go, where a process may not have a message twice.
#
# generate.sh            writes them again; needs Python, and Go 1.24 or newer
# generate.sh --check    only says whether they are as proto/ has them
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case $* in
'' | --check) ;;
*)
	echo "usage: generate.sh [--check]" >&2
	exit 2
	;;
esac

# The compiler comes with grpcio-tools; what it writes needs a protobuf at least as new (sdk/python/pyproject.toml).
readonly compiler=grpcio-tools==1.80.0
# What a device and its station call, and what these files import; what a platform calls besides.
readonly devices=(wardein/v1/device.proto wardein/v1/provisioning.proto wardein/v1/words.proto)
readonly files=("${devices[@]}" wardein/v1/trust.proto)
readonly of_devices=sdk/python/src/wardein_device/_pb of_platforms=sdk/python/platform/src/wardein/_pb in_go=sdk/go/wardeinv1
readonly words=sdk/python/platform/src/wardein/words.py
readonly venv=$PWD/target/sdk/generate
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

if [[ ! -e $venv/complete || $(<"$venv/complete") != "$compiler" ]]; then
	rm -rf "$venv"
	python3 -m venv "$venv"
	"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: "$compiler"
	echo "$compiler" >"$venv/complete"
fi
# The version of the plugin is that of the library, which go.mod pins.
go build -C "$in_go" -o "$out/protoc-gen-go" google.golang.org/protobuf/cmd/protoc-gen-go
mkdir "$out"/{of-devices,of-platforms,go}
compile() {
	"$venv/bin/python" -m grpc_tools.protoc --proto_path=proto "$@"
}
compile --python_out="$out/of-devices" --pyi_out="$out/of-devices" "${devices[@]}"
compile --python_out="$out/of-platforms" --pyi_out="$out/of-platforms" --include_source_info --descriptor_set_out="$out/described" "${files[@]}"
for folder in of-devices of-platforms; do
	# Within the package, and not in a package `wardein` for all.
	sed -i 's/^from wardein\.v1 import /from . import /' "$out/$folder"/wardein/v1/*.py "$out/$folder"/wardein/v1/*.pyi
	touch "$out/$folder/wardein/v1/__init__.py"
done
"$venv/bin/python" sdk/python/platform/words.py "$out/described" >"$out/words.py"
import=wardein.example/wardeinv1
paths=
for file in "${files[@]}"; do paths+=${paths:+,}M$file=$import; done
compile --plugin="$out/protoc-gen-go" --go_out="$out/go" --go_opt=module="$import" --go_opt="$paths" "${files[@]}"

if [[ ${1:-} == --check ]]; then
	same() { diff --recursive --brief --exclude=__pycache__ --exclude='go.*' --exclude='LICENSE-*' --exclude=README.md "$@"; }
	if ! same "$out/of-devices/wardein/v1" "$of_devices" || ! same "$out/of-platforms/wardein/v1" "$of_platforms" ||
		! same "$out/words.py" "$words" || ! same "$out/go" "$in_go"; then
		echo "generate.sh: run sdk/generate.sh: proto/ has changed since" >&2
		exit 1
	fi
else
	rm -rf "$of_devices" "$of_platforms" "$in_go"/*.pb.go
	mkdir -p "$of_devices" "$of_platforms"
	cp "$out"/of-devices/wardein/v1/* "$of_devices"
	cp "$out"/of-platforms/wardein/v1/* "$of_platforms"
	cp "$out/words.py" "$words"
	cp "$out"/go/* "$in_go"
fi

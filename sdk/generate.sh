#!/usr/bin/env bash
# The messages of proto/ in Python and Go, which are committed beside the code that uses them.
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
# What a device and its station call, and what these files import.
readonly files=(wardein/v1/device.proto wardein/v1/provisioning.proto wardein/v1/words.proto)
readonly in_python=sdk/python/src/wardein_device/_pb in_go=sdk/go/grpc/wardeinv1
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
go build -C sdk/go/grpc -o "$out/protoc-gen-go" google.golang.org/protobuf/cmd/protoc-gen-go
mkdir "$out/python" "$out/go"
import=wardein.example/device/grpc/wardeinv1
paths=
for file in "${files[@]}"; do paths+=${paths:+,}M$file=$import; done
"$venv/bin/python" -m grpc_tools.protoc --proto_path=proto --python_out="$out/python" --pyi_out="$out/python" \
	--plugin="$out/protoc-gen-go" --go_out="$out/go" --go_opt=module="$import" \
	--go_opt="$paths" "${files[@]}"
# Within the package, and not in a package `wardein` for all.
sed -i 's/^from wardein\.v1 import /from . import /' "$out"/python/wardein/v1/*.py "$out"/python/wardein/v1/*.pyi
touch "$out/python/wardein/v1/__init__.py"

if [[ ${1:-} == --check ]]; then
	if ! diff --recursive --brief --exclude=__pycache__ "$out/python/wardein/v1" "$in_python" || ! diff --recursive --brief "$out/go" "$in_go"; then
		echo "generate.sh: run sdk/generate.sh: proto/ has changed since" >&2
		exit 1
	fi
else
	rm -rf "$in_python" "$in_go"
	mkdir -p "$in_python" "$in_go"
	cp "$out"/python/wardein/v1/* "$in_python"
	cp "$out"/go/* "$in_go"
fi

#!/usr/bin/env bash
# Every flood that an audit found, one after the other, against the real authority, by a client that shares no line with it: what
# each takes of memory, log and audit log, and how long the operators beside it wait. Before them, what else the audit could do.
# Exit code 0 only if every ceiling was kept and no trial succeeded.
#
# overload.sh [--short] [--json FILE] [--list] [FLOOD...]
#   --short   a second or two a flood, and smaller numbers; waits are shown and not judged
#   FLOOD     these alone, instead of all and the trials (see --list)
#
# WARDEIN=path/to/wardein takes that binary instead of target/quick/wardein, which is built where it is missing.
# What it makes is in target/overload, or in a directory that it removes.
set -euo pipefail
here=$PWD
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

readonly made=$PWD/target/overload
readonly python=$made/venv/bin/python

binary=$PWD/target/quick/wardein
if [[ -n ${WARDEIN:-} ]]; then
	binary=$(cd "$here" && realpath "$WARDEIN")
elif [[ ! -x $binary && " $* " != *" --list "* ]]; then
	echo "building; this takes some minutes"
	cargo build --locked --profile quick -p wardein
fi

if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then debian python3 python3-venv; fi
if ! command -v openssl >/dev/null; then debian openssl; fi
# Again only when the requirements changed, or the last installation did not complete.
if ! cmp --silent tests/overload/requirements.txt "$made/installed"; then
	rm -rf "$made"
	mkdir -p "$made"
	python3 -m venv "$made/venv"
	"$python" -m pip install --quiet --disable-pip-version-check --requirement tests/overload/requirements.txt
	cp tests/overload/requirements.txt "$made/installed"
fi
rm -rf "$made/stubs"
mkdir -p "$made/stubs"
"$python" -m grpc_tools.protoc --proto_path=proto --python_out="$made/stubs" --grpc_python_out="$made/stubs" proto/wardein/v1/*.proto

# A file is named from where the caller is.
cd "$here"
PYTHONPATH=$made/stubs GRPC_VERBOSITY=NONE PYTHONDONTWRITEBYTECODE=1 exec "$python" "$OLDPWD/tests/overload/campaign.py" --binary "$binary" "$@"

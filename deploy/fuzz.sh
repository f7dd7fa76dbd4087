#!/usr/bin/env bash
# Fuzzes every target of every crate (crates/*/fuzz) with AddressSanitizer.
#
# fuzz.sh [SECONDS]       for so many seconds each, 600 by default
# fuzz.sh --hours HOURS   for so many hours in all, shared by risk, but no less than ten minutes each
# fuzz.sh --keep          puts the smallest set that reaches as much into the repository
#
# deploy/fuzz.md says what comes from outside, and which target takes it.
#
# What it finds stands in crates/<crate>/fuzz/artifacts; move it to crates/<crate>/fuzz/regressions/<target> with the fix.
# New inputs stay in target/fuzz-corpus, until they are kept.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

if [[ ! "$*" =~ ^([0-9]*|--keep|--hours\ [1-9][0-9]*)$ ]]; then
	echo "usage: fuzz.sh [SECONDS | --hours HOURS | --keep]" >&2
	exit 2
fi

# As crate/target.
targets=()
for file in crates/*/fuzz/fuzz_targets/*.rs; do
	crate=${file#crates/}
	targets+=("${crate%%/*}/$(basename "$file" .rs)")
done
readonly targets
readonly found=$PWD/target/fuzz-corpus
export PATH=$tools/bin:$PATH

# The share of a target: what anybody on the network sends weighs most, what an administrator's own files hold least.
risk() {
	case $1 in
	server/calls | ddkg/decode | ddkg/record | pki/request | pki/est | pki/certificate | pki/ocsp) echo 4 ;;
	attest/* | ddkg/both_ends | logs/batch | logs/frames) echo 2 ;;
	*) echo 1 ;;
	esac
}

# The seconds of a target where all of them share so many hours.
share() {
	local all=0 target seconds
	for target in "${targets[@]}"; do
		all=$((all + $(risk "$target")))
	done
	seconds=$(($2 * 3600 * $(risk "$1") / all))
	echo $((seconds < 600 ? 600 : seconds))
}

# The sanitizer stands in the way of nothing but speed; it watches the C and assembly of ring and AWS-LC as well.
fuzz() {
	local crate=${1%/*} target=${1#*/} seconds=$2
	mkdir -p "$found/$target"
	(cd "crates/$crate" && cargo +nightly fuzz run "$target" "$found/$target" "fuzz/corpus/$target" -- \
		-max_total_time="$seconds" -max_len=8192 -timeout=20 -print_final_stats=1 2>&1 |
		grep -E '^(Done|stat::|SUMMARY|thread|==.*ERROR)|DONE|panicked|Test unit')
}

# The smallest set found that runs every line that any input does; how often it runs them is left to the next run.
keep() {
	local crate=${1%/*} target=${1#*/}
	local kept=crates/$crate/fuzz/corpus/$target
	mkdir -p "$found/$target" "$kept.new"
	(cd "crates/$crate" && cargo +nightly fuzz run "$target" "fuzz/corpus/$target.new" "$found/$target" "fuzz/corpus/$target" -- \
		-set_cover_merge=1 -use_counters=0 -max_len=8192)
	rm -r "$kept"
	mv "$kept.new" "$kept"
}

rustup toolchain list | grep -q '^nightly' || { echo "fuzzing needs a nightly Rust: rustup toolchain install nightly" >&2; exit 1; }
step "the Debian packages that the build needs" debian gcc g++ libc6-dev
step "cargo-fuzz" tool cargo-fuzz 0.13.2 --debug
for target in "${targets[@]}"; do
	case ${1:-600} in
	--keep) step "the smallest corpus of $target" keep "$target" ;;
	--hours)
		seconds=$(share "$target" "$2")
		step "fuzzing $target for $seconds s" fuzz "$target" "$seconds"
		;;
	*) step "fuzzing $target for ${1:-600} s" fuzz "$target" "${1:-600}" ;;
	esac
done

#!/usr/bin/env bash
# Fuzzes every target of every crate (crates/*/fuzz) with AddressSanitizer.
#
# fuzz.sh [SECONDS]   for so many seconds each, 600 by default
# fuzz.sh --keep      puts the smallest set that reaches as much into the repository
#
# What it finds stands in crates/<crate>/fuzz/artifacts; move it to crates/<crate>/fuzz/regressions/<target> with the fix.
# New inputs stay in target/fuzz-corpus, until they are kept.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

if (($# > 1)) || [[ ! ${1:-600} =~ ^([0-9]+|--keep)$ ]]; then
	echo "usage: fuzz.sh [SECONDS | --keep]" >&2
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
	if [[ ${1:-} == --keep ]]; then
		step "the smallest corpus of $target" keep "$target"
	else
		step "fuzzing $target for ${1:-600} s" fuzz "$target" "${1:-600}"
	fi
done

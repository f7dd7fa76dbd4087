#!/usr/bin/env bash
# Runs the symbolic proof of DDKG-1: every model (*.vp) must hold in every query,
# every mutant (mutants/*.patch, a patch of one model) must fail in exactly the
# queries that its `expect-fail:` lines name, and no query may be without a mutant
# that refutes it.
#
#   run.sh [name ...]        all models and mutants, or those named
#   VERIFPAL=path            the verifpal to use
#   SESSIONS=3               concurrent runs of each party (default 2)
#   JOBS=1                   how many at once (default 2)
set -euo pipefail

readonly version=1.6.7
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../../../deploy/steps.sh"
# Verifpal's verdicts do not depend on its threads; the jobs are the parallelism.
export VERIFPAL_THREADS=1

find_verifpal() {
	if [[ -n ${VERIFPAL:-} ]]; then return; fi
	if VERIFPAL=$(command -v verifpal); then return; fi
	tool verifpal "$version" --ignore-rust-version
	VERIFPAL=$tools/bin/verifpal
}

# The queries of a model, one a line, in order.
queries() {
	sed -n '/^queries\[/,/^\]/{/^queries\[/d;/^\]/d;s/^[[:space:]]*//;/^$/d;p;}' "$1"
}

# Prints the failed queries of a model. Returns 1 where Verifpal gave no verdict
# for each query: a model that does not parse is an error, not a refutation.
failed_queries() {
	local code kinds
	code=$("$VERIFPAL" verify --quiet --result-code --sessions "${SESSIONS:-2}" "$1") || return 1
	# The code is a letter and a digit per query, as `c0a1`; the letter is the
	# first of the query's kind.
	kinds=$(queries "$1" | cut -c1 | tr -d '\n')
	[[ -n $kinds && ${code//[01]/} == "$kinds" && ${#code} -eq $((2 * ${#kinds})) ]] || return 1
	paste -d' ' <(tr -d '[:lower:]' <<<"$code" | fold -w1) <(queries "$1") | sed -n 's/^1 //p'
}

# Writes the mutant of a patch to $2. Returns 1 where the patch does not fit its
# model exactly, or touches the queries.
make_mutant() {
	local base
	base=$here/$(sed -n 's/^--- //p' "$1")
	[[ -f $base ]] || return 1
	patch --quiet --fuzz=0 --output="$2" "$base" "$1" >&2 || return 1
	[[ $(queries "$base") == "$(queries "$2")" ]]
}

# Judges one model or mutant; the first word of the row is ok or BAD.
judge() {
	local file=$1 name model expected='' failed verdict=BAD why start=$SECONDS
	name=$(basename "${file%.*}")
	model=$file
	if [[ $file == *.patch ]]; then
		model=$WORK/$name.vp
		expected=$(sed -n 's/^expect-fail: //p' "$file" | sort)
	fi
	if [[ $file == *.patch && -z $expected ]]; then
		why='names no query that must fail'
	elif [[ $file == *.patch ]] && ! make_mutant "$file" "$model"; then
		why='the patch does not fit its model'
	elif ! failed=$(failed_queries "$model"); then
		why='verifpal gave no verdict'
	elif failed=$(sort <<<"$failed") && [[ $failed == "$expected" ]]; then
		verdict=ok
		why=${expected:+"refuted, as it must be"}
		why=${why:-holds}
	elif [[ -n $expected ]]; then
		why="expected to fail: ${expected//$'\n'/; } -- failed: ${failed//$'\n'/; }"
	else
		why="failed: ${failed//$'\n'/; }"
	fi
	local all=0 bad=0
	[[ -f $model ]] && all=$(queries "$model" | wc -l)
	[[ -n ${failed:-} ]] && bad=$(wc -l <<<"$failed")
	printf '%-3s %-36s %3d %7d %8d  %s\n' \
		"$verdict" "$name" "$all" "$bad" $((SECONDS - start)) "$why"
}

# Prints every query that no mutant of its model is expected to refute. Such a
# query may hold because it cannot fail: it would prove nothing.
untried_queries() {
	local model query
	for model in "$here"/*.vp; do
		while IFS= read -r query; do
			grep -lx -- "--- $(basename "$model")" "$here"/mutants/*.patch |
				xargs grep -qxF "expect-fail: $query" ||
				echo "$(basename "$model"): $query"
		done < <(queries "$model")
	done
}

if [[ ${1:-} == --judge ]]; then
	judge "$2"
	exit
fi

find_verifpal
export VERIFPAL
WORK=$(mktemp -d)
export WORK
trap 'rm -rf "$WORK"' EXIT

files=()
for file in "$here"/*.vp "$here"/mutants/*.patch; do
	name=$(basename "${file%.*}")
	if (($# == 0)) || [[ " $* " == *" $name "* ]]; then files+=("$file"); fi
done
if ((${#files[@]} == 0)); then
	echo "no model or mutant has this name" >&2
	exit 1
fi

echo "$("$VERIFPAL" --version), ${SESSIONS:-2} sessions"
printf '%-3s %-36s %3s %7s %8s  %s\n' '' 'model or mutant' all refuted seconds verdict
# The rows come as they are done; tee keeps them to be counted.
printf '%s\0' "${files[@]}" |
	xargs -0 -n1 -P "${JOBS:-2}" "$here/run.sh" --judge | tee "$WORK/rows" || true

# A job that died left no row: it counts as failed, too.
passed=$(grep -c '^ok ' "$WORK/rows" || true)
failed=$((${#files[@]} - passed))
if (($# == 0)); then
	untried=$(untried_queries)
	if [[ -n $untried ]]; then
		echo "BAD no mutant refutes these queries:"$'\n'"$untried"
		failed=$((failed + 1))
	fi
fi
echo "Verifpal: $passed passed, $failed failed, $SECONDS seconds"
((failed == 0))

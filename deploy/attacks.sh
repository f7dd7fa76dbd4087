#!/usr/bin/env bash
# Every row of SECURITY-ATTACKS.md names tests that exist: a test of a crate, or a flood or trial of tests/overload. Ids are given once.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly table=SECURITY-ATTACKS.md
failures=0

complain() {
	echo "$table: $*" >&2
	failures=$((failures + 1))
}

# is_test crate path::of::test: whether a file of that path has that function, and marks it as a test.
is_test() {
	local root=crates/$1 name=${2##*::} module='' files
	if [[ $1 == wardein ]]; then root=.; fi
	if [[ $2 == *::* ]]; then module=${2%::*}; fi
	module=${module//:://}
	mapfile -t files < <(find "$root/src" "$root/tests" -name '*.rs' \( -path "*/${module:-lib}.rs" -o -path "*/${module:-lib}/mod.rs" \) 2>/dev/null)
	if ((${#files[@]} == 0)); then return 1; fi
	# The attribute is above it, with other attributes or a comment between them at most.
	grep -hB 4 -E "^ *(async )?fn $name\(" "${files[@]}" | grep -qE '^ *#\[(tokio::)?test\b'
}

while IFS='|' read -r _ id _ _ _ shown _; do
	id=${id// /}
	references=$(grep -oE "\`[^\`]+\`" <<<"$shown" || true)
	if [[ -z $references ]]; then complain "$id names no test"; fi
	while read -r kind name; do
		case $kind in
		'') ;;
		overload) if ! grep -qE "^(@flood\(|    )\"$name\"," tests/overload/floods/*.py; then complain "$id: there is no flood $name"; fi ;;
		trial) if ! grep -q "^    def $name(self)" tests/overload/trials.py; then complain "$id: there is no trial $name"; fi ;;
		*) if ! is_test "$kind" "$name"; then complain "$id: there is no test $name in $kind"; fi ;;
		esac
	done <<<"${references//\`/}"
done < <(grep -E '^\| A-[0-9]+ ' "$table")

while read -r id; do complain "$id is given twice"; done < <(grep -oE '^\| A-[0-9]+ ' "$table" | sort | uniq -d)
# What the text names as a row is one.
while read -r id; do
	if ! grep -q "^| $id " "$table"; then complain "$id has no row"; fi
done < <(grep -ohE '\bA-[0-9]+\b' "$table" SECURITY.md | sort -u)

if ((failures > 0)); then exit 1; fi
echo "$(grep -cE '^\| A-[0-9]+ ' "$table") attacks, each with a test"

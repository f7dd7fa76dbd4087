#!/usr/bin/env bash
# libwardein as C sees it: built, installed, found by pkg-config, linked shared and static into strict C99, and run under
# valgrind and the sanitizers, against the authority's end of DDKG-1 at the other end of a pair of pipes.
#
# test.sh           all of that, with the libraries of a debug build
# test.sh --asan    besides, the library itself under AddressSanitizer, which takes a nightly Rust
# test.sh --served  besides, the session's example against a served authority, with the binaries of target/quick
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../deploy/steps.sh"

asan='' served=''
for argument in "$@"; do
	case $argument in
	--asan) asan=1 ;;
	--served) served=1 ;;
	*)
		echo "usage: test.sh [--asan] [--served]" >&2
		exit 2
		;;
	esac
done

readonly c=$PWD/sdk/c target=${CARGO_TARGET_DIR:-$PWD/target}
readonly made=$target/libwardein
readonly strict=(-std=c99 -Wall -Wextra -Werror -pedantic -g -O1)
readonly peer=$target/debug/examples/peer

build() {
	rm -rf "$made"
	mkdir -p "$made"
	cargo build --locked --quiet -p wardein-c --example peer
	# As a maker does it, but for the profile.
	make --silent -C "$c" PROFILE=dev BUILD="$made/build" CARGO_TARGET_DIR="$target" all
	make --silent -C "$c" BUILD="$made/build" PREFIX="$made/shared" install-shared
	make --silent -C "$c" BUILD="$made/build" PREFIX="$made/static" install-static
}

# What a program is linked with: the soname of this interface, and the functions of the header, no more and no fewer.
exports() {
	local library=$made/shared/lib/libwardein.so abi
	abi=$(sed -n 's/^#define WARDEIN_ABI //p' "$c/include/wardein.h")
	readelf -d "$library" | grep -q "soname: \[libwardein.so.$abi\]"
	nm -D --defined-only "$library" | awk '$2 == "T" { print $3 }' | sort >"$made/exported"
	grep -v '^ *//' "$c/include/wardein.h" | grep -oE '\bwardein_[a-z_]+\(' | tr -d '(' | sort >"$made/declared"
	diff "$made/declared" "$made/exported"
	echo "$(wc -l <"$made/exported") functions are exported, all of them declared"
}

# compile NAME SOURCE [option...]: against both libraries.
compile() {
	local name=$1 source=$2
	shift 2
	pkg() { PKG_CONFIG_PATH=$made/$1/lib/pkgconfig pkg-config "${@:2}" wardein; }
	# Options, not one word.
	# shellcheck disable=SC2046
	cc "${strict[@]}" "$@" $(pkg shared --cflags) "$source" -o "$made/$name-shared" $(pkg shared --libs) -Wl,-rpath,"$made/shared/lib"
	# shellcheck disable=SC2046
	cc "${strict[@]}" "$@" $(pkg static --cflags) "$source" -o "$made/$name-static" $(pkg static --static --libs)
	if readelf -d "$made/$name-static" | grep -q libwardein; then
		echo "$name-static needs libwardein.so" >&2
		return 1
	fi
}

programs() {
	compile abi "$c/test/abi.c"
	compile device "$c/examples/device.c"
	compile session "$c/examples/session.c"
	compile turns "$c/test/turns.c"
	compile abi-sanitized "$c/test/abi.c" -fsanitize=address,undefined -fno-sanitize-recover
}

under_valgrind() {
	valgrind --quiet --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite,indirect,possible \
		--child-silent-after-fork=yes "$@"
}

run() {
	local kind
	for kind in shared static; do
		"$made/abi-$kind" "$peer"
		"$made/abi-sanitized-$kind" "$peer"
		under_valgrind "$made/abi-$kind" "$peer"
		under_valgrind "$made/device-$kind" "$peer" "$made/state-$kind"
		# A directory that is not there: the transport's threads and runtime come and go.
		if under_valgrind "$made/session-$kind" "$made/nowhere" 2>"$made/said"; then return 1; fi
		grep -qx 'authenticate: a file of the state directory cannot be used: .*' "$made/said"
	done
}

# Not the same target directory's binaries: everything is compiled again, with calls into the sanitizer.
library_under_asan() {
	local host
	host=$(rustc +nightly -vV | sed -n 's/^host: //p')
	RUSTFLAGS=-Zsanitizer=address CFLAGS=-fsanitize=address \
		cargo +nightly test --locked --quiet -p wardein-c --no-default-features --features suite2,test-panic --target "$host"
}

served() {
	"$c/served.sh" "$made/session-shared" "$made/turns-shared"
}

step "the Debian packages that it needs" debian binutils gcc libc6-dev make pkg-config valgrind
step "the library is built and installed" build
step "its functions and its soname" exports
step "C99 without a warning, against the shared and the static library" programs
step "run, under valgrind and with the sanitizers" run
if [[ -n $asan ]]; then step "the library itself under AddressSanitizer" library_under_asan; fi
if [[ -n $served ]]; then step "a session with a served authority" served; fi

#!/usr/bin/env bash
# Builds DDKG-1 for a microcontroller without an operating system (a Cortex-M4F, thumbv7em-none-eabihf) and runs it in QEMU: the
# vectors, all of them; a changed one, which must be noticed; and a device's life against the authority's end, which is on ring,
# with what each operation takes. No device is needed, and no Rust target (cross-compiler.sh). What this installs on the machine
# itself are Debian's linker and emulator.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
# shellcheck source=deploy/cross-compiler.sh
source "$(dirname "${BASH_SOURCE[0]}")/cross-compiler.sh"

readonly target=thumbv7em-none-eabihf
readonly vectors=$PWD/crates/ddkg/vectors/ddkg-1.vectors.json
readonly images=$cross/mcu
mkdir -p "$images"
work=$(mktemp -d)
readonly work
trap 'rm -rf "$work"' EXIT

packages() {
	# The linker and the emulator; the C compiler and library are for what the build runs on this machine.
	debian binutils-arm-none-eabi gcc libc6-dev qemu-system-arm
	compiler
}

# image name as [cargo option...]: builds an image, and keeps it as $images/as.
image() {
	# An unstable flag builds the standard library; that compiler takes such flags only when asked to.
	RUSTC=$cross/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$cross/target \
		CARGO_TARGET_THUMBV7EM_NONE_EABIHF_LINKER=arm-none-eabi-ld \
		cargo build --quiet --locked --release -Zbuild-std=core,alloc --target "$target" \
		--manifest-path sdk/mcu/Cargo.toml --bin "$1" "${@:3}"
	cp "$cross/target/$target/release/$1" "$images/$2"
}

# board image serial: runs it, an instruction a nanosecond, its first serial port connected to serial. The exit code is the image's, and
# its text goes to standard error.
board() {
	timeout 600 qemu-system-arm -machine mps2-an386 -nographic -monitor none -serial "$2" -icount shift=0 \
		-semihosting-config enable=on,target=native -kernel "$images/$1"
}

all_vectors() {
	image vectors vectors --features suite2,vectors
	board vectors null
}

# The first digit of the first mac becomes another.
changed_vectors() {
	sed -E '0,/"mac": "/{s/("mac": ")[0-9a-e]/\1f/;t;s/("mac": ")f/\10/}' "$vectors" >"$work/changed.json"
	if cmp -s "$vectors" "$work/changed.json"; then
		echo "there is no mac in the vectors" >&2
		return 1
	fi
	WARDEIN_DDKG_VECTORS=$work/changed.json image vectors changed --features suite2,vectors
	if board changed null; then
		echo "a digit was changed, and nothing noticed" >&2
		return 1
	fi
	image vectors without-suite2 --features vectors
	if board without-suite2 null; then
		echo "vectors were skipped, and nothing was said" >&2
		return 1
	fi
}

# life image: two processes, each of which hears what the other one says. The authority ends when the device does.
life() {
	rm -f "$work/to-the-device" "$work/to-the-authority"
	mkfifo "$work/to-the-device" "$work/to-the-authority"
	board "$1" stdio <"$work/to-the-device" >"$work/to-the-authority" &
	local device=$!
	# In the order in which the device opens them: each waits for the other.
	if ! cargo run --quiet --locked -p wardein-ddkg --features suite2 --example line_authority \
		>"$work/to-the-device" <"$work/to-the-authority"; then
		kill "$device"
		return 1
	fi
	wait "$device"
}

lives() {
	cargo build --quiet --locked -p wardein-ddkg --features suite2 --example line_authority
	image device life-suite1 --features figures
	life life-suite1
	image device life-suites --features suite2,figures
	life life-suites
}

flash() {
	image device device-suite1
	image device device-suites --features suite2
	arm-none-eabi-size "$images/device-suite1" "$images/device-suites"
}

step "Debian's linker, emulator and compiler" packages
step "the vectors" all_vectors
step "changed and skipped vectors, which must be noticed" changed_vectors
step "a device's life against the authority's end on ring: with suite 1 alone, with both" lives
step "flash (text and data) and static RAM (bss, of which 32 KiB are the heap), likewise" flash

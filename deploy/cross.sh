#!/usr/bin/env bash
# Builds DDKG-1 for the processors of small devices, 64-bit and 32-bit ARM, and runs its example and tests there under
# emulation. No device is needed, and no Rust target: the standard library is compiled from Debian's sources, with Debian's
# compiler, in a folder of its own (target/cross). What this installs on the machine itself are Debian's cross linkers,
# C libraries and emulator.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
# shellcheck source=deploy/cross-compiler.sh
source "$(dirname "${BASH_SOURCE[0]}")/cross-compiler.sh"

packages() {
	debian gcc libc6-dev gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-arm-linux-gnueabihf libc6-dev-armhf-cross qemu-user
	compiler
}

# on target command...: cargo, with what it builds for target run under emulation.
on() {
	local target=$1
	shift
	# An unstable flag builds the standard library; that compiler takes such flags only when asked to.
	RUSTC=$cross/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$cross/target \
		CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
		CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu" \
		CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_LINKER=arm-linux-gnueabihf-gcc \
		CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_RUNNER="qemu-arm -L /usr/arm-linux-gnueabihf" \
		cargo "$@" --locked -Zbuild-std --target "$target" -p wardein-ddkg --features suite2
}

step "Debian's cross linkers, emulator and compiler" packages
for target in aarch64-unknown-linux-gnu armv7-unknown-linux-gnueabihf; do
	step "the example on $target" on "$target" run --quiet --release --example two_ends
	# The vectors and the unit tests; the model and the properties explore more than an emulator should.
	step "the vectors and unit tests on $target" on "$target" test --quiet --lib
done

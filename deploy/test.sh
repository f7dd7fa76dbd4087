#!/usr/bin/env bash
# All that must hold before a change is taken: one command, from any folder, on a Debian machine that has Rust.
# deploy/fuzz.sh, deploy/cross.sh and the benchmarks take longer or need a quiet machine; they have their own commands.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

lints() {
	cargo clippy --locked --quiet --workspace --all-targets -- -D warnings
	cargo clippy --locked --quiet --workspace --all-targets --all-features -- -D warnings
}

documents() {
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --quiet --workspace --no-deps --all-features
}

# Whose licences we take, and where from.
dependencies() {
	tool cargo-deny 0.20.2
	"$tools/bin/cargo-deny" --locked --offline --all-features check --hide-inclusion-graph licenses bans sources
}

# ring compiles C and assembly; the features that use a TPM link libtss2.
step "the Debian packages that the build needs" debian gcc libc6-dev libtss2-dev pkg-config
# Evidence of TPMs is tested with one in software; without it these tests fail here instead of being left out.
step "the Debian packages that the tests need" debian swtpm swtpm-tools tpm2-tools
export WARDEIN_SWTPM=required
# Power is cut beneath a store on a file system of its own; where no loop device may be mounted, that test says so and is left out.
step "the Debian packages that cutting the power needs" debian e2fsprogs mount perl-base
step "the dependencies, as Cargo.lock names them" cargo fetch --locked
step "formatting" cargo fmt --all --check
step "lints, with default and with all features" lints
step "documentation, without a broken link" documents
step "tests of what a device compiles, with default features" cargo test --locked --quiet -p wardein-ddkg -p wardein-crypto --lib --test ddkg -- --skip model::
step "all tests, with all features" cargo test --locked --quiet --workspace --all-features
step "licences and sources of what we use" dependencies
step "floors: which crate may use which" deploy/floors.sh
step "the symbolic proof of DDKG-1" crates/ddkg/proof/run.sh
printf '\nAll passed, in %d s.\n' "$SECONDS"

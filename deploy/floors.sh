#!/usr/bin/env bash
# The house has floors: a crate uses only crates of lower floors, and a library that one crate stands for is named by no
# other. This reads what cargo makes of the manifests (all features, without dev-dependencies) and fails on a breach.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo tree --locked --offline --workspace --all-features --edges normal,build --depth 1 --prefix depth --format ' {p}' |
	awk '
	BEGIN {
		# Lowest first.
		floor("crypto proto domain durable", 0)
		floor("port ddkg pki client tpm sigv4 tuf", 1)
		floor("attest files kms logs", 2)
		floor("engine receive workorders", 3)
		floor("store custody server device pkcs11 testkit", 4)
		floor("station", 5)
		floor("cli c", 6)

		# What carries cryptography, behind one door: a reviewer looks in one place.
		only("ring aws-lc-rs zeroize subtle ml-kem pkcs8", "crypto")
		only("aes-gcm chacha20poly1305 hkdf hmac sha2", "crypto")
		# What checks vectors, and the TPM in software, need private keys that have been given.
		only("p256", "crypto ddkg testkit")
		only("base16ct", "crypto")
		# Wire formats stay at the edge; the rules never see them.
		only("prost prost-types prost-reflect", "proto")
		only("tonic", "proto server client")
		only("axum opentelemetry-proto", "server")
		only("base64ct", "ddkg client pki kms")
		only("rcgen x509-parser rustls-webpki miniz_oxide", "pki")
		# Only the store knows which database there is.
		only("rusqlite sled tokio-postgres deadpool-postgres tokio-postgres-rustls", "store")
		only("argon2", "custody")
		only("tss-esapi", "tpm")
		only("age age-core age-plugin bech32", "files")
		only("cryptoki", "pkcs11")
		only("regex zstd ssh-key", "logs")
		only("clap", "cli device receive")
		only("csv calamine zip qrcodegen", "station")
		only("humantime", "cli device sigv4")
	}
	function floor(names, at,   list, i) {
		split(names, list, " ")
		for (i in list) floors["wardein-" list[i]] = at
	}
	function only(libraries, doors,   list, i) {
		split(libraries, list, " ")
		for (i in list) owners[list[i]] = " " doors " "
	}
	function breach(text) {
		print "deploy/floors.sh: " text > "/dev/stderr"
		breaches++
	}
	$1 == 0 {
		crate = $2
		crates++
		# The binary at the top composes all of them.
		if (crate == "wardein") floors[crate] = 7
		if (!(crate in floors)) breach(crate " has no floor; give it one here")
		next
	}
	$1 == 1 && $2 in floors && floors[$2] >= floors[crate] {
		breach(crate " (floor " floors[crate] ") uses " $2 " (floor " floors[$2] ")")
	}
	$1 == 1 && $2 in owners {
		short = crate
		sub(/^wardein-/, "", short)
		if (index(owners[$2], " " short " ") == 0) breach(crate " names " $2 ", which only" owners[$2] "may")
	}
	END {
		if (crates == 0) breach("cargo listed no crate")
		if (breaches) exit 1
		print crates " crates, each on its floor"
	}'

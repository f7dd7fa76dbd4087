#!/usr/bin/env bash
# Requests for certificates by openssl, of keys that are taken and of keys that are not; the private halves are thrown away.
# crates/pki/src/tests/vectors/requests/make.sh, with openssl 3
set -euo pipefail
cd "$(dirname "$0")"

request() { # file, hash, then how the key is made
	local file=$1 hash=$2
	shift 2
	openssl genpkey "$@" 2>/dev/null |
		openssl req -new -key /dev/stdin ${hash:+"-$hash"} -subj '/CN=pump/serialNumber=1' -outform DER -out "$file.der" \
			-addext 'subjectAltName=DNS:authority.example,URI:spiffe://a/b' -addext 'basicConstraints=critical,CA:TRUE'
}

rsa() { # file, bits, hash, exponent
	request "$1" "$3" -algorithm RSA -pkeyopt "rsa_keygen_bits:$2" -pkeyopt "rsa_keygen_pubexp:${4:-65537}"
}

curve() { # file, curve, hash
	request "$1" "$3" -algorithm EC -pkeyopt "ec_paramgen_curve:$2"
}

curve p256 P-256 sha256
curve p384 P-384 sha384
curve p384-sha256 P-384 sha256
curve p521 P-521 sha512
rsa rsa-2048 2048 sha256
rsa rsa-3072 3072 sha384
rsa rsa-4096 4096 sha512
rsa rsa-1024 1024 sha256
rsa rsa-2048-sha1 2048 sha1
rsa rsa-2048-exponent-3 2048 sha256 3
request ed25519 '' -algorithm ED25519

# A modulus with the fingerprint of ROCA: 65537^50 + 2^k·M, M being the product of the odd primes up to 167 (crates/crypto/src/signature/weak.rs).
python3 - <<'END'
from math import prod
primes = [p for p in range(3, 168) if all(p % q for q in range(2, p))]
multiple = prod(primes)
multiple <<= 2048 - multiple.bit_length()
open("roca-modulus", "wb").write((65537**50 + multiple).to_bytes(256, "big"))
END

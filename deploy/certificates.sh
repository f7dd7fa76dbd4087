#!/usr/bin/env bash
# A certificate of every certificate profile, of devices and of platforms, and kind of key, by an issuing CA of every algorithm, as others judge it: OpenSSL, GnuTLS, zlint,
# pkilint. Exit code 0 only if all agree.
#
# certificates.sh [DIR]       writes the certificates into DIR, and otherwise into a directory that it removes
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

if (($# > 1)); then
	echo "usage: certificates.sh [DIR]" >&2
	exit 2
fi

readonly zlint_version=3.7.3 pkilint_version=0.13.3
readonly zlint=$tools/zlint-$zlint_version/zlint pkilint=$tools/pkilint-certificates-$pkilint_version
made=${1:-}
if [[ -z $made ]]; then
	made=$(mktemp -d)
	trap 'rm -rf "$made"' EXIT
fi

# What zlint says of these certificates that is no fault of theirs. They are of a private PKI, whose root no browser has: the CA/Browser
# Forum's Baseline Requirements (BR) do not bind it where they serve browsers. The lint, the rule that zlint cites for
# it, and why it is not for us.
readonly not_for_us='
e_ca_country_name_missing                                    BR 7.1.2.10.2: our CAs are named by the trust domain, and belong to no country
e_ca_invalid_eku                                             BR 7.1.2: one CA of a tenant certifies its servers, and what signs its firmware
e_ca_organization_name_missing                               BR 7.1.2.10.2: likewise
e_ext_san_uniform_resource_identifier_present                BR 7.1.4.2.1: a SPIFFE id is a URI (X509-SVID 2)
e_invalid_ca_certificate_policies                            BR 7.1.2.10.5: names a policy of the BR
e_sub_ca_certificate_policies_missing                        BR 7.1.2.2: likewise
e_sub_cert_cert_policy_empty                                 BR 7.1.2.3: likewise
e_sub_cert_certificate_policies_missing                      BR 7.1.2.3: likewise
e_sub_ca_crl_distribution_points_missing                     BR 7.1.2.2: the root revokes no CA by CRL
e_sub_cert_aia_missing                                       BR 7.1.2.3: the chain is sent whole (RFC 8446 4.4.2)
w_sub_cert_aia_does_not_contain_issuing_ca_url               BR 7.1.2.3: likewise
w_sub_ca_aia_missing                                         BR 7.1.2.2: likewise
e_sub_cert_eku_check                                         BR 7.1.2.7.10: SDC has purposes of its own (IEEE 11073-20701)
w_subject_common_name_included                               BR 7.1.2.7.1: brokers know a client by its common name
n_ca_digital_signature_not_set                               BR 7.1.2.10.7: our CAs sign no OCSP answers by themselves
n_ct_sct_policy_count_unsatisfied                            Apple HT205280: certificate transparency is for public roots
w_ext_subject_key_identifier_not_recommended_subscriber      BR 7.1.2.7.6: RFC 5280 4.2.1.2 recommends it
w_root_ca_basic_constraints_path_len_constraint_field_present  BR 7.1.2.1: bounds what a stolen issuing CA can do
'

prepare() {
	debian openssl gnutls-bin python3 python3-venv
	if ! command -v go >/dev/null; then debian golang-go; fi
	if [[ ! -x $zlint ]]; then GOBIN=${zlint%/*} go install "github.com/zmap/zlint/v3/cmd/zlint@v$zlint_version"; fi
	if [[ ! -e $pkilint/complete ]]; then
		rm -rf "$pkilint"
		python3 -m venv "$pkilint"
		"$pkilint/bin/python" -m pip install --quiet --disable-pip-version-check "pkilint==$pkilint_version"
		touch "$pkilint/complete"
	fi
	cargo run --locked --quiet -p wardein-pki --example certificates -- "$made"
}

# all FUNCTION [PATTERN]: calls it with each leaf whose name fits, and says how many there were.
all() {
	local leaf count=0
	for leaf in "$made"/*/*; do
		case ${leaf##*/} in
		root.pem | issuing.pem | chain.pem) continue ;;
		esac
		# shellcheck disable=SC2053  # The pattern is one.
		[[ ${leaf##*/} == ${2:-*} ]] || continue
		"$1" "$leaf" || {
			echo "certificates.sh: ${leaf#"$made"/} does not pass" >&2
			return 1
		}
		count=$((count + 1))
	done
	((count > 0))
	printf '  ✓ %d certificates\n' "$count"
}

not() {
	! "$@"
}

verifies_openssl() {
	local folder=${1%/*} purpose
	for purpose in sslclient sslserver; do
		local check=(openssl verify -x509_strict -purpose "$purpose" -CAfile "$folder/root.pem" -untrusted "$folder/issuing.pem" "$1")
		case $purpose:${1##*/} in
		sslserver:device-tls-* | sslclient:platform-server-* | *:firmware-signing-*) check=(not "${check[@]}") ;;
		esac
		"${check[@]}" >"$made/said" 2>&1 || { cat "$made/said" >&2 && return 1; }
	done
	# What neither end of TLS takes is whole all the same.
	openssl verify -x509_strict -CAfile "$folder/root.pem" -untrusted "$folder/issuing.pem" "$1" >"$made/said" 2>&1 || { cat "$made/said" >&2 && return 1; }
}

# The purposes of each profile, and no other's.
readonly client=1.3.6.1.5.5.7.3.2 server=1.3.6.1.5.5.7.3.1 code=1.3.6.1.5.5.7.3.3
readonly provider=1.2.840.10004.20701.1.1 consumer=1.2.840.10004.20701.1.2
verifies_gnutls() {
	local folder=${1%/*} purpose wanted
	cat "$1" "$folder/issuing.pem" >"$folder/chain.pem"
	case ${1##*/} in
	device-tls-*) wanted=$client ;;
	platform-server-*) wanted=$server ;;
	firmware-signing-*) wanted=$code ;;
	sdc-provider-*) wanted="$client $server $provider" ;;
	sdc-consumer-*) wanted="$client $server $consumer" ;;
	*) wanted="$client $server" ;;
	esac
	for purpose in $client $server $code $provider $consumer; do
		local check=(certtool --verify --verify-purpose "$purpose" --infile "$folder/chain.pem" --load-ca-certificate "$folder/root.pem")
		if [[ " $wanted " != *" $purpose "* ]]; then check=(not "${check[@]}"); fi
		"${check[@]}" >"$made/said" 2>&1 || { cat "$made/said" >&2 && return 1; }
	done
}

# zlint's findings beyond those that are not for us; none are wanted.
passes_zlint() {
	"$zlint" "$1" >"$made/said" 2>&1 || { cat "$made/said" >&2 && return 1; }
	python3 - "$made/said" "$not_for_us" <<-'end'
		import json, sys
		results = json.load(open(sys.argv[1]))
		not_for_us = {line.split()[0] for line in sys.argv[2].splitlines() if line}
		ours = [name for name, found in results.items() if found["result"] not in ("pass", "NA", "NE") and name not in not_for_us]
		if ours or sum(found["result"] == "pass" for found in results.values()) < 20:
		    sys.exit(f"zlint: {ours or 'it looked at next to nothing'}")
	end
}

# Its list of URI schemes lacks `spiffe` and `urn`: what it says of these is counted, and is all it may say.
passes_pkilint() {
	local uris=1
	case ${1##*/} in
	*-bare.pem | root.pem | issuing.pem | platform-server-* | firmware-signing-*) ;;
	*) uris=2 ;;
	esac
	"$pkilint/bin/lint_pkix_cert" lint --severity NOTICE "$1" >"$made/said" || true
	[[ $(grep -cE '\((NOTICE|WARNING|ERROR|FATAL)\)' "$made/said") == "$uris" ]] &&
		[[ $(grep -cE 'Invalid URI syntax: "(spiffe|urn):' "$made/said") == "$uris" ]] || { cat "$made/said" >&2 && return 1; }
}

# A policy that says where a key is has an arc made of a UUID (ITU-T X.667), of 128 bits. Neither zlint's reader nor pkilint's takes an arc of more
# than 32 bits; OpenSSL and GnuTLS do.
readable='*-@(bare|norevavail|p256|p384|rsa-2048|rsa-3072|rsa-4096).pem'
shopt -s extglob

cas() {
	local ca
	for ca in "$made"/*/root.pem "$made"/*/issuing.pem; do
		passes_zlint "$ca"
		passes_pkilint "$ca"
	done
}

step "certificates, and those who judge them" prepare
step "OpenSSL: chain, strict form, and either end of TLS where the profile has it" all verifies_openssl
step "GnuTLS: chain, and the purposes of the profile and no other" all verifies_gnutls
step "zlint $zlint_version: nothing beyond the lints that are not for us" all passes_zlint "$readable"
step "pkilint $pkilint_version: nothing but the schemes that it does not know" all passes_pkilint "$readable"
step "the CAs, by zlint and pkilint" cas
printf '\nLints of zlint that are not for a private PKI, and why:\n%s\nEvery certificate passed, in %d s.\n' "$not_for_us" "$SECONDS"

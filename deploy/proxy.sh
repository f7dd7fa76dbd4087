#!/usr/bin/env bash
# A device behind a hospital's proxy, with a real squid: CONNECT with a login, by gRPC and by POST; what is said where the proxy wants a
# login, takes none, lets nothing through or reaches nobody; and a proxy that opens TLS. At the end: what `authenticate` costs on the
# wire in both forms. Exit code 0 only if every check held.
#
# proxy.sh               needs no argument; everything that it makes is in a directory that it removes
#
# WARDEIN=path/to/wardein and WARDEIN_DEVICE=path/to/wardein-device take those binaries instead of target/quick's, which are built where
# they are missing.
set -euo pipefail
here=$PWD
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
# shellcheck source=deploy/trial.sh
source deploy/trial.sh

if (($# > 0)); then
	echo "usage: proxy.sh" >&2
	exit 2
fi

readonly squid_lib=/usr/lib/squid
house=
pids=()
authority=
device=
port=

at_exit() {
	local result=$? pid
	for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
	wait || true
	if ((result != 0)) && [[ -n $house ]]; then
		for log in said log squid/cache.log; do
			if [[ -s $house/$log ]]; then
				echo "proxy.sh: the end of $log:" >&2
				tail -n 20 "$house/$log" >&2
			fi
		done
	fi
	if [[ -n $house ]]; then rm -rf "$house"; fi
}
trap at_exit EXIT

fail() {
	printf '\nproxy.sh: this does not hold: %s\n' "$1" >&2
	exit 1
}

packages() {
	debian openssl python3
	if [[ ! -x $squid_lib/security_file_certgen ]]; then
		debian squid-openssl
		# Debian starts a proxy for everybody with its package; this needs none but its own.
		if [[ -d /run/systemd/system ]]; then systemctl disable --quiet --now squid; else service squid stop >/dev/null; fi
	fi
	squid --version | head -n 1
}

binaries() {
	authority=$PWD/target/quick/wardein device=$PWD/target/quick/wardein-device
	if [[ -n ${WARDEIN:-} && -n ${WARDEIN_DEVICE:-} ]]; then
		authority=$(cd "$here" && realpath "$WARDEIN") device=$(cd "$here" && realpath "$WARDEIN_DEVICE")
	elif [[ ! -x $authority || ! -x $device ]]; then
		echo "building; this takes some minutes"
		cargo build --locked --profile quick -p wardein -p wardein-device
	fi
}

# Ports that nobody listens on, held together so that they differ.
free_ports() {
	python3 -c 'import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(each.getsockname()[1] for each in held))' "$1"
}

# until_open PORT PID: waits for a service of ours.
until_open() {
	local tries=0
	until (: >"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do
		if ((++tries == 200)) || ! kill -0 "$2" 2>/dev/null; then fail "a service comes up on port $1"; fi
		sleep 0.1
	done
}

found() {
	local http
	house=$(mktemp -d)
	chmod 711 "$house"
	# The port that proxies let through, where this user may have it.
	if python3 -c 'import socket; socket.create_server(("127.0.0.1", 443))' 2>/dev/null; then
		port=443
		http=$(free_ports 1)
	else
		read -r port http <<<"$(free_ports 2)"
		echo "port 443 is not to be had here; $port is in its place"
	fi
	"$authority" init --dir "$house/a" --trust-domain proxy.example --key-file "$house/root.key" \
		--listen "127.0.0.1:$port" --http "127.0.0.1:$http" >"$house/said"
	"$authority" serve --config "$house/a/wardein.toml" </dev/null >"$house/log" 2>&1 &
	pids+=($!)
	until_open "$port" "${pids[-1]}"
	export WARDEIN_DIR=$house/a
	"$authority" tenant create klinik >"$house/said"
	"$authority" operator issue --role station --tenant klinik --name line-1 --validity 1d --quota 10 --out "$house/station" >"$house/said"
	"$device" --dir "$house/d" enroll --station-cert "$house/station/operator.pem" --station-key "$house/station/operator.key" \
		--tenant klinik --device-id pump-1 --endpoint "https://localhost:$port" --identity-key "$house/a/identity.pub" \
		--trust-roots "$house/a/root-ca.pem" --attribute model=text:x
	cp "$house/d/device.toml" "$house/device.toml"
}

# with LINE...: the device's settings, and these.
with() {
	{
		printf '%s\n' "$@"
		cat "$house/device.toml"
	} >"$house/d/device.toml.new"
	mv "$house/d/device.toml.new" "$house/d/device.toml"
}

# says CODE WORDS COMMAND...: what the device says to a command, at its most talkative, and with which exit code it ends.
says() {
	local expected=$1 words=$2 got=0
	shift 2
	"$device" --dir "$house/d" --verbose "$@" >"$house/said" 2>&1 || got=$?
	((got == expected)) || fail "exit code $expected of: $* (it was $got)"
	grep -qF -- "$words" "$house/said" || fail "it says: $words"
	if grep -qE 'open sesame|b3BlbiBzZXNhbWU' "$house/said"; then fail "the login is not in the log"; fi
	if ((expected != 0)); then sed -n 's/^wardein-device: /  /p' "$house/said"; fi
}

# squid_with NAME LINE...: a proxy of its own; its port is in $proxy.
squid_with() {
	local name=$1 directory=$house/squid
	shift
	mkdir -p "$directory"
	proxy=$(free_ports 1)
	{
		cat <<-end
			acl open port $port $dead
			acl CONNECT method CONNECT
			pid_filename $directory/$name.pid
			access_log stdio:$directory/access.log
			cache_log $directory/cache.log
			cache_store_log none
			coredump_dir $directory
			cache deny all
			visible_hostname proxy.hospital
			shutdown_lifetime 0 seconds
			pinger_enable off
		end
		printf '%s\n' "$@"
	} | sed "s/PORT/$proxy/" >"$directory/$name.conf"
	# squid lays its own privileges down.
	if ((EUID == 0)); then chown -R proxy:proxy "$directory"; fi
	squid -N -f "$directory/$name.conf" >"$directory/said" 2>&1 &
	pids+=($!)
	until_open "$proxy" "${pids[-1]}"
}

straight() {
	local transport
	for transport in grpc http; do
		with "transport = \"$transport\""
		says 0 acknowledged authenticate
		echo "  $transport: acknowledged"
	done
}

connected() {
	local transport through
	dead=$(free_ports 1)
	mkdir -p "$house/squid"
	printf 'device:%s\n' "$(openssl passwd -apr1 'open sesame')" >"$house/squid/users"
	squid_with login "http_port 127.0.0.1:PORT" \
		"auth_param basic program $squid_lib/basic_ncsa_auth $house/squid/users" "auth_param basic realm hospital" \
		"acl known proxy_auth REQUIRED" "http_access deny !open" "http_access allow CONNECT known" "http_access deny all"
	through="proxy = \"http://127.0.0.1:$proxy\""
	(umask 077 && echo 'device:open sesame' >"$house/login" && echo 'device:sesame' >"$house/wrong")
	for transport in grpc http; do
		echo "  -- $transport"
		with "transport = \"$transport\"" "$through"
		says 4 'asks for a login (407; it offers Basic)' authenticate
		with "transport = \"$transport\"" "$through" "proxy_login = \"$house/wrong\""
		says 4 "does not take the login of \`proxy_login\` (407; it offers Basic)" authenticate
		with "transport = \"$transport\"" "$through" "proxy_login = \"$house/login\""
		says 0 acknowledged authenticate
		says 0 certificate certificate
		says 0 generation rekey
		echo "  authenticate, certificate and rekey through the proxy: done"
		sed -i "s/localhost:$port/localhost:$dead/" "$house/d/device.toml"
		says 4 "does not reach localhost:$dead (50" authenticate
		sed -i "s/localhost:$dead/localhost:1/" "$house/d/device.toml"
		says 4 'does not let this device through to localhost:1 (403)' authenticate
		chmod 640 "$house/login"
		with "transport = \"$transport\"" "$through" "proxy_login = \"$house/login\""
		says 4 'is open to others (mode 640)' authenticate
		chmod 600 "$house/login"
		with "transport = \"$transport\"" "proxy = \"http://127.0.0.1:$dead\""
		says 4 "the proxy http://127.0.0.1:$dead is not reached" authenticate
		with "transport = \"$transport\"" "proxy = \"http://127.0.0.1:$port\""
		says 4 'is not an HTTP proxy' authenticate
	done
	grep -qE "TCP_TUNNEL/200 [0-9]+ CONNECT localhost:$port device" "$house/squid/access.log" ||
		fail "squid has connected the device under its name"
}

# A CA of the hospital's, under which squid opens TLS.
bumped() {
	local transport said
	mkdir -p "$house/squid"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/O=Hospital/CN=TLS Inspection' \
		-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign \
		-keyout "$house/squid/ca.key" -out "$house/squid/ca.pem" 2>"$house/said"
	"$squid_lib/security_file_certgen" -c -s "$house/squid/certificates" -M 4MB >"$house/said" 2>&1
	squid_with bump \
		"http_port 127.0.0.1:PORT ssl-bump generate-host-certificates=on tls-cert=$house/squid/ca.pem tls-key=$house/squid/ca.key" \
		"sslcrtd_program $squid_lib/security_file_certgen -s $house/squid/certificates -M 4MB" \
		"sslproxy_cert_error allow all" "tls_outgoing_options flags=DONT_VERIFY_PEER" \
		"http_access deny !open" "http_access allow all" "ssl_bump bump all"
	for transport in grpc http; do
		echo "  -- $transport"
		with "transport = \"$transport\"" "proxy = \"http://127.0.0.1:$proxy\""
		says 4 '(tls-intercepted)' authenticate
		said=$(<"$house/said")
		[[ $said == *'CN=TLS Inspection'* ]] || fail "it names the issuer"
		# What works once the endpoint is left out, and the device has asked nothing that it would not have asked.
		says 4 '(tls-intercepted)' run --once
	done
	squid_with splice "http_port 127.0.0.1:PORT ssl-bump generate-host-certificates=on tls-cert=$house/squid/ca.pem tls-key=$house/squid/ca.key" \
		"sslcrtd_program $squid_lib/security_file_certgen -s $house/squid/certificates -M 4MB" \
		"http_access deny !open" "http_access allow all" "acl step1 at_step SslBump1" "ssl_bump peek step1" "ssl_bump splice all"
	for transport in grpc http; do
		with "transport = \"$transport\"" "proxy = \"http://127.0.0.1:$proxy\""
		says 0 acknowledged authenticate
		echo "  $transport: acknowledged, once the endpoint is left out of inspection"
	done
}

# The device's own build: what the authority's adds to TLS is not on its wire.
cost() {
	cp "$house/device.toml" "$house/d/device.toml"
	if [[ -n ${WARDEIN_WIRE:-} ]]; then
		"$WARDEIN_WIRE" "$house/d"
	else
		cargo run --locked --quiet --profile quick -p wardein-device --example wire -- "$house/d"
	fi
}

part "squid, with TLS interception" packages
part "the binaries" binaries
part "an authority, and a device" found
part "straight" straight
part "through a proxy with a login" connected
part "through a proxy that opens TLS" bumped
part "what authenticate costs" cost
printf '\nEvery check held, in %d s. Nothing was left running.\n' "$SECONDS"

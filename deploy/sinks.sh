#!/usr/bin/env bash
# The audit log, as others receive it: rsyslog over TLS, by a socket and by UDP, a server of HTTPS, and a file that is rotated and whose disk
# fills up. Receivers go away and come back meanwhile. Exit code 0 only if every check held.
#
# sinks.sh        needs no argument; all that it makes is in a directory that it removes
#
# WARDEIN_BINARY names the binary; without it one is built.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
source deploy/trial.sh

if (($# > 0)); then
	echo "usage: sinks.sh" >&2
	exit 2
fi

house=
authority=
rsyslog=
web=
mounted=

at_exit() {
	local result=$? number
	for number in $authority $rsyslog $web; do
		kill -TERM "$number" 2>/dev/null || true
		wait "$number" 2>/dev/null || true
	done
	if ((result != 0)) && [[ -n $house ]]; then tail -n 20 "$house/log" "$house/rsyslog.log" >&2 || true; fi
	if [[ -n $mounted ]]; then umount "$mounted"; fi
	if [[ -n $house ]]; then rm -rf "$house"; fi
}
trap at_exit EXIT

prepare() {
	local built=${WARDEIN_BINARY:-${CARGO_TARGET_DIR:-$PWD/target}/quick/wardein} package
	debian curl jq openssl python3
	if [[ ! -x $built ]]; then
		echo "building; this takes some minutes"
		cargo build --locked --profile quick -p wardein
	fi
	PATH=${built%/*}:$PATH
	daemon=$tools/rsyslog
	# Installed, it would take over this machine's own log.
	if [[ ! -e $daemon/complete ]]; then
		echo "taking rsyslog out of Debian's packages, into $tools"
		house=$(mktemp -d)
		rm -rf "$daemon"
		mkdir -p "$daemon"
		for package in rsyslog rsyslog-gnutls libestr0 libfastjson4; do
			# A machine that has never asked for a package does not know where it is.
			if ! (cd "$house" && apt-get download -qq "$package" 2>/dev/null); then
				if ((EUID == 0)); then apt-get update -qq; else sudo apt-get update -qq; fi
				(cd "$house" && apt-get download -qq "$package")
			fi
			dpkg-deb -x "$house/$package"_*.deb "$daemon"
		done
		touch "$daemon/complete"
		rm -rf "$house"
	fi
	libraries=$(find "$daemon" -name '*.so*' -printf '%h\n' | sort -u | paste -sd:)
	modules=$(dirname "$(find "$daemon" -name lmnsd_gtls.so)")
	house=$(mktemp -d)
	mkdir "$house/full"
	touch "$house/rsyslog.log"
}

# Certificates of another PKI than Wardein's.
certificates() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ca -keyout "$house/ca.key" -out "$house/ca.pem" \
		-addext keyUsage=critical,keyCertSign 2>"$house/said"
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout "$house/server.key" \
		-out "$house/server.csr" 2>"$house/said"
	printf 'subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n' >"$house/extensions"
	openssl x509 -req -in "$house/server.csr" -CA "$house/ca.pem" -CAkey "$house/ca.key" -days 2 -extfile "$house/extensions" \
		-out "$house/server.pem" 2>"$house/said"
}

start_rsyslog() {
	LD_LIBRARY_PATH=$libraries "$daemon/usr/sbin/rsyslogd" -n -M "$modules" -f "$house/rsyslog.conf" -i "$house/rsyslog.pid" \
		>>"$house/rsyslog.log" 2>&1 &
	rsyslog=$!
	up "$tls"
}

stop_rsyslog() {
	kill -KILL "$rsyslog"
	wait "$rsyslog" 2>/dev/null || true
	rm -f "$house/rsyslog.pid" "$house/log.socket"
}

receivers() {
	read -r tls udp https <<<"$(ports 3)"
	cat >"$house/rsyslog.conf" <<-C
		global(workDirectory="$house" DefaultNetstreamDriver="gtls" DefaultNetstreamDriverCAFile="$house/ca.pem"
		       DefaultNetstreamDriverCertFile="$house/server.pem" DefaultNetstreamDriverKeyFile="$house/server.key")
		module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
		module(load="imudp")
		module(load="imuxsock" SysSock.Use="off")
		template(name="line" type="string" string="%pri% %hostname% %app-name% %msgid% %msg%\n")
		ruleset(name="tls") { action(type="omfile" file="$house/by-tls" template="line") }
		ruleset(name="udp") { action(type="omfile" file="$house/by-udp" template="line") }
		ruleset(name="unix") { action(type="omfile" file="$house/by-unix" template="line") }
		input(type="imtcp" port="$tls" ruleset="tls")
		input(type="imudp" port="$udp" address="127.0.0.1" ruleset="udp")
		input(type="imuxsock" Socket="$house/log.socket" UseSpecialParser="off" RateLimit.Interval="0" ruleset="unix")
	C
	start_rsyslog
	cat >"$house/web.py" <<-'P'
		import http.server, ssl, sys
		place, port = sys.argv[1], int(sys.argv[2])
		class Receiver(http.server.BaseHTTPRequestHandler):
		    protocol_version = "HTTP/1.1"
		    refused = 0
		    def do_POST(self):
		        body = self.rfile.read(int(self.headers["content-length"]))
		        good = self.headers["authorization"] == "Bearer s3cret" and self.headers["content-type"] == "application/x-ndjson"
		        # The first two are refused.
		        if Receiver.refused < 2 or not good:
		            Receiver.refused += 1
		            self.send_response(503 if good else 401)
		        else:
		            with open(f"{place}/by-https", "ab") as taken:
		                taken.write(body)
		            self.send_response(204)
		        self.send_header("content-length", "0")
		        self.end_headers()
		    def log_message(self, *_):
		        pass
		server = http.server.HTTPServer(("127.0.0.1", port), Receiver)
		context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
		context.load_cert_chain(f"{place}/server.pem", f"{place}/server.key")
		server.socket = context.wrap_socket(server.socket, server_side=True)
		server.serve_forever()
	P
	python3 "$house/web.py" "$house" "$https" 2>>"$house/rsyslog.log" &
	web=$!
	up "$https"
}

sink() {
	printf '[[audit-sink]]\nname = "%s"\nto = "%s"\n' "$1" "$2"
	if [[ $2 == tls:* || $2 == https:* ]]; then printf 'ca_file = "%s"\n' "$house/ca.pem"; fi
	if [[ $2 == https:* ]]; then printf 'authorization_file = "%s"\n' "$house/token"; fi
}

found() {
	read -r grpc http <<<"$(ports 2)"
	(umask 077 && echo 'Bearer s3cret' >"$house/token")
	wardein init --dir "$house/a" --trust-domain sinks.example --key-file "$house/root.key" \
		--listen "127.0.0.1:$grpc" --http "127.0.0.1:$http" >"$house/said"
	{
		sink file "file:$house/audit.jsonl"
		sink full "file:$house/full/audit.jsonl"
		sink tls "tls:localhost:$tls"
		sink udp "udp:127.0.0.1:$udp"
		sink unix "unix:$house/log.socket"
		sink https "https://localhost:$https/audit"
	} >>"$house/a/wardein.toml"
	if ((EUID == 0)) && mount -t tmpfs -o size=256k tmpfs "$house/full" 2>/dev/null; then
		mounted=$house/full
		head -c 256K /dev/zero >"$house/full/other" || true
	else
		echo "NOTICE: a tmpfs cannot be mounted here; the disk that is full is left out"
	fi
	wardein serve --config "$house/a/wardein.toml" </dev/null >"$house/log" 2>&1 &
	authority=$!
	export WARDEIN_DIR=$house/a
	up "$grpc"
}

# reached FILE TEXT: whether that comes there, soon.
reached() {
	local tries=0
	until grep -q "$2" "$1" 2>/dev/null; do
		((++tries < 600)) || return 1
		sleep 0.1
	done
}

# whole FILE: whether it has every entry of the log up to its last, in order but for what came twice.
whole() {
	sed 's/^[^{]*//' "$1" | jq -se '[.[].sequence] | unique == [range(1; max + 1)]' >"$house/answer"
}

# counted METRIC: whether the service has it, soon.
counted() {
	local tries=0
	until curl -sS "http://127.0.0.1:$http/metrics" | grep "^$1" >"$house/answer"; do
		((++tries < 100)) || return 1
		sleep 0.1
	done
}

delivered() {
	local of
	wardein tenant create first >"$house/said"
	for of in audit.jsonl by-tls by-udp by-unix by-https; do
		holds "an entry comes to $of" reached "$house/$of" tenant/first
		holds "and all before it" whole "$house/$of"
	done
	holds "rsyslog reads priority, program and event" grep -q '^85 .* wardein tenant.create *{' "$house/by-tls"
	holds "and by the socket" grep -q '^85 .* wardein tenant.create *{' "$house/by-unix"
	holds "the file is as audit list has it" wardein --json audit list
	jq -c '.entries[] | select(.event == "tenant.create") | [.sequence, .time_ms, .actor, .target, .fields]' "$house/said" >"$house/listed"
	jq -c 'select(.event == "tenant.create") | [.sequence, .time_ms, .actor, .target, .fields]' "$house/audit.jsonl" >"$house/written"
	holds "the creation of a tenant is in both" grep -q tenant/first "$house/listed"
	holds "and they are alike" cmp "$house/listed" "$house/written"
}

away() {
	local of
	stop_rsyslog
	wardein tenant create second >"$house/said"
	holds "calls are answered while receivers are away" reached "$house/audit.jsonl" tenant/second
	holds "and the metrics say so" counted 'wardein_audit_sink_failures_total{reason="unreachable",sink="tls"}'
	start_rsyslog
	for of in by-tls by-unix; do
		holds "once it is back, the entry comes to $of" reached "$house/$of" tenant/second
		holds "and none is missing" whole "$house/$of"
	done
	kill -KILL "$authority"
	wait "$authority" 2>/dev/null || true
	wardein serve --config "$house/a/wardein.toml" </dev/null >>"$house/log" 2>&1 &
	authority=$!
	up "$grpc"
	wardein tenant create third >"$house/said"
	for of in audit.jsonl by-tls by-https; do
		holds "after kill -9 of the authority it comes to $of" reached "$house/$of" tenant/third
		holds "and none is missing" whole "$house/$of"
	done
}

rotated() {
	mv "$house/audit.jsonl" "$house/audit.jsonl.1"
	kill -HUP "$authority"
	holds "SIGHUP has the file opened again" reached "$house/log" SIGHUP
	wardein tenant create fourth >"$house/said"
	holds "entries come to the new one" reached "$house/audit.jsonl" tenant/fourth
	cat "$house/audit.jsonl.1" "$house/audit.jsonl" >"$house/both"
	holds "and none is missing of both" whole "$house/both"
}

full_disk() {
	if [[ -z $mounted ]]; then return; fi
	holds "a full disk is counted" counted 'wardein_audit_sink_failures_total{reason="disk-full",sink="full"}'
	holds "and what waits for it" counted 'wardein_audit_sink_lag_entries{sink="full"}'
	rm "$house/full/other"
	holds "with room, it goes on by itself" reached "$house/full/audit.jsonl" tenant/fourth
	holds "and none is missing" whole "$house/full/audit.jsonl"
}

part "prerequisites" prepare
part "certificates of another PKI" certificates
part "rsyslog, and a server of HTTPS" receivers
part "an authority with six sinks" found
part "entries are delivered" delivered
part "receivers and the authority go away and come back" away
part "a file is rotated" rotated
part "a full disk" full_disk
printf '\nEvery check held, in %d s.\n' "$SECONDS"

# What the trials with other programs share; they source it after steps.sh. Files of theirs are in $house, among them broker.log.
# shellcheck shell=bash disable=SC2154

# part "what it does" function: unlike `step`, it lets `set -e` end the script at the first command that fails within.
part() {
	local begin=$SECONDS
	printf '\n== %s\n' "$1"
	"$2"
	printf '== %d s: %s\n' "$((SECONDS - begin))" "$1"
}

# holds "what" command...
holds() {
	local what=$1
	shift
	if "$@" >"$house/said" 2>&1; then
		printf '  ✓ %s\n' "$what"
	else
		cat "$house/said" >&2
		printf '%s: this does not hold: %s\n' "$(basename "$0")" "$what" >&2
		exit 1
	fi
}

not() {
	! "$@"
}

# says TEXT command...: whether the command says so, whatever its exit code: mosquitto_pub's is 0 also where its message was not taken.
says() {
	"${@:2}" >"$house/answer" 2>&1 || true
	cat "$house/answer"
	grep -q -- "$1" "$house/answer"
}

# So many ports that nobody listens on, held together so that they differ.
ports() {
	python3 -c 'import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(each.getsockname()[1] for each in held))' "$1"
}

# up PORT: waits until somebody listens there.
up() {
	local tries=0
	until (: >"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do
		((++tries < 100)) || return 1
		sleep 0.1
	done
}

# first_process STATUS PID: the number of a container's first process, as bubblewrap, which is PID, writes it to --json-status-fd.
first_process() {
	local number=
	until [[ -n $number ]]; do
		kill -0 "$2" || return 1
		number=$(jq 'select(."child-pid") | ."child-pid"' "$1" 2>/dev/null) || true
		sleep 0.05
	done
	echo "$number"
}

# logged TEXT: whether the broker says so, soon.
logged() {
	local tries=0
	until grep -q "$1" "$house/broker.log"; do
		((++tries < 100)) || return 1
		sleep 0.05
	done
}

# The broker's own certificate is none of Wardein's: clients trust whom they trust.
broker_key() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
		-keyout "$house/broker.key" -out "$house/broker.pem" 2>"$house/said"
}

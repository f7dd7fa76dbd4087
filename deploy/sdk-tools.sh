# What the tests of sdk/python and sdk/go need; sdk.sh and platform-sdk.sh source it after steps.sh.
# shellcheck shell=bash
readonly made=$PWD/target/sdk
readonly python=$made/venv/bin/python
# crypto/mlkem and crypto/hkdf came with it.
readonly oldest_go=24
# A Go that is too old fails, and fetches no other one.
export GOTOOLCHAIN=local

# suffices GO MINOR: whether a `go` is 1.MINOR or newer.
suffices() {
	local minor
	# It is not to fetch another version of itself.
	minor=$(GOTOOLCHAIN=local "$1" version 2>/dev/null | sed -n 's/^go version go1\.\([0-9]*\).*/\1/p')
	[[ -n $minor ]] && ((minor >= $2))
}

# find_go [MINOR WHAT]: a `go` of this machine or of Debian; none where there is none, and then WHAT is not tested.
go=
find_go() {
	local each minor=${1:-$oldest_go} what=${2:-sdk/go}
	for each in "$(command -v go || true)" /usr/local/go/bin/go /usr/lib/go-*/bin/go; do
		if [[ -x $each ]] && suffices "$each" "$minor"; then
			go=$each
			return
		fi
	done
	(debian golang-go) || true
	if [[ -x /usr/bin/go ]] && suffices /usr/bin/go "$minor"; then
		go=/usr/bin/go
		return
	fi
	echo "there is no Go 1.$minor or newer here, nor in Debian: https://go.dev/doc/install" >&2
	echo "NOTICE: $what was not tested"
}

binary() {
	export WARDEIN_BINARY=${WARDEIN_BINARY:-$PWD/target/quick/wardein}
	if [[ ! -x $WARDEIN_BINARY ]]; then
		echo "building; this takes some minutes"
		cargo build --locked --profile quick -p wardein
	fi
}

packages() {
	if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then debian python3 python3-venv; fi
	# Again only when the requirements changed, or the last installation did not complete.
	if ! cmp --silent sdk/python/requirements-test.txt "$made/installed"; then
		rm -rf "$made/venv"
		mkdir -p "$made"
		python3 -m venv "$made/venv"
		"$python" -m pip install --quiet --disable-pip-version-check --only-binary :all: --requirement sdk/python/requirements-test.txt
		cp sdk/python/requirements-test.txt "$made/installed"
	fi
	"$python" -m pip list --disable-pip-version-check | grep -E '^(cryptography|grpcio|protobuf|pytest) '
}

# Whether all of sdk/go is as gofmt has it.
formatted() {
	local unformatted
	unformatted=$("${go%/*}/gofmt" -l sdk/go)
	if [[ -n $unformatted ]]; then
		echo "gofmt: $unformatted" >&2
		return 1
	fi
}

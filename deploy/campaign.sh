#!/usr/bin/env bash
# Campaigns against the real thing: one command each, which prints what it did in numbers. The fast tier runs a short form of each.
#
# campaign.sh crash [KILLS]    kill -9 of the served authority in the middle of every deed, 1000 times on each store
# campaign.sh power [STATES]   power cuts: 1000 states of each store with writes lost, torn and reordered; and 200 of a device in an update
# campaign.sh disk [ROUNDS]    a disk that is full, read-only or cannot sync: 20 rounds of each fault on each store
# campaign.sh fuzz [HOURS]     every byte from outside: 10 processor-hours, shared by risk (deploy/fuzz.md)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

if (($# < 1 || $# > 2)) || [[ ! $1 =~ ^(crash|power|disk|fuzz)$ || ! ${2:-1} =~ ^[1-9][0-9]*$ ]]; then
	echo "usage: campaign.sh crash [KILLS] | power [STATES] | disk [ROUNDS] | fuzz [HOURS]" >&2
	exit 2
fi

# What a test says of its numbers, and how it ended; of a failure all.
numbers() {
	local output
	output=$(mktemp)
	if "$@" -- --nocapture --test-threads=1 >"$output" 2>&1; then
		grep -vE '^$|^  state |^running |^test .*\.\.\. ' "$output" || true
		if grep -q '^SKIPPED' "$output"; then exit 1; fi
	else
		cat "$output" >&2
		exit 1
	fi
	rm "$output"
}

store=(cargo test --locked --quiet --release -p wardein-store --test store)
case $1 in
crash)
	export WARDEIN_KILLS=${2:-1000} WARDEIN_KILL_ROUNDS=${2:-1000}
	step "$WARDEIN_KILLS kills of each store alone" numbers "${store[@]}" kill::
	step "$WARDEIN_KILLS kills of the authority on each store" \
		numbers cargo test --locked --quiet --release -p wardein --test wardein kill::
	;;
power)
	export WARDEIN_POWER_STATES=${2:-1000} WARDEIN_KILL_ROUNDS=100
	step "strace, which sees what is written" debian strace
	step "$WARDEIN_POWER_STATES states of each store" numbers "${store[@]}" power::
	step "$WARDEIN_KILL_ROUNDS cuts beneath a mounted file system" numbers "${store[@]}" cut::
	export WARDEIN_UPDATE_CUTS=200
	step "$WARDEIN_UPDATE_CUTS cuts of a download, an installation and a first start" \
		numbers cargo test --locked --quiet --release -p wardein-device --test device update::cuts
	;;
disk)
	export WARDEIN_DISK_ROUNDS=${2:-20}
	step "strace, which has calls fail" debian strace
	step "$WARDEIN_DISK_ROUNDS rounds of each fault" numbers "${store[@]}" faults::
	step "a disk that is filled to its last byte" numbers "${store[@]}" a_full_disk
	;;
fuzz)
	deploy/fuzz.sh --hours "${2:-10}"
	;;
esac

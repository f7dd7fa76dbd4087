#!/usr/bin/env bash
# What a terminal shows: lists of a trial authority with 30 devices, in tmux at 80×24 and 160×50, compared with deploy/screens/, and the pager.
# Times, serials and digests differ from run to run; they are replaced by others of the same length. With WARDEIN_BLESS=1 the snapshots are
# written.
#
# WARDEIN_BINARY names the binary; without it target/debug/wardein is used.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
# shellcheck source=deploy/trial.sh
source deploy/trial.sh

binary=$(realpath --no-symlinks "${WARDEIN_BINARY:-$PWD/target/debug/wardein}")
[[ -x $binary ]] || {
	echo "screens.sh: $binary: build it first" >&2
	exit 2
}
debian less tmux
house=$(mktemp -d)
pid=
leave() {
	tmux -S "$house/tmux" kill-server 2>/dev/null || true
	if [[ -n $pid ]]; then kill -TERM "$pid" && wait "$pid" || true; fi
	rm -rf "$house"
}
trap leave EXIT
PATH=${binary%/*}:$PATH
# What a person's surroundings would change.
unset NO_COLOR PAGER WARDEIN_PAGER WARDEIN_IDENTITY WARDEIN_TENANT LESS LESSOPEN
export HOME=$house LC_ALL=C.UTF-8 TERM=screen WARDEIN_DIR=$house/trial/authority

furnish() {
	local grpc http number
	read -r grpc http < <(ports 2)
	wardein dev --dir "$house/trial" --port "$grpc" --http-port "$http" >"$house/said" 2>&1 &
	pid=$!
	until grep -q 'In another terminal' "$house/said"; do
		kill -0 "$pid" || { cat "$house/said" >&2 && return 1; }
		sleep 0.05
	done
	{
		echo id,model,profile
		for number in {001..030}; do echo "pump-$number,Infusion pump 3 with a long name,short-lived"; done
	} >"$house/batch.csv"
	# One after the other, so that the audit log is the same each time.
	wardein device enroll --identity "$house/trial/station" --csv "$house/batch.csv" --out "$house/devices" --parallel 1 >"$house/enrolled"
	for number in 007 011; do
		wardein device suspend "pump-$number" --tenant trial --yes \
			--reason 'It was reported stolen from ward 7, and nobody has seen it since that day' >"$house/suspended"
	done
	wardein device revoke pump-011 --tenant trial --reason 'not found' --yes >"$house/revoked"
}

# screen COLUMNSxLINES command...: a terminal of its own that runs it, and stays.
screen() {
	local size=$1
	shift
	tmux -S "$house/tmux" kill-session -t s 2>/dev/null || true
	rm -f "$house/ended"
	tmux -S "$house/tmux" new-session -d -s s -x "${size%x*}" -y "${size#*x}" "$* ; echo \$? >$house/ended; exec sleep 600"
}

keys() { tmux -S "$house/tmux" send-keys -t s "$@"; }

# What is on it, as the test may see it: without what differs from run to run.
shown() {
	tmux -S "$house/tmux" capture-pane -p -t s | sed -E \
		-e 's/ +$//' \
		-e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z/2027-01-15T08:00:00Z/g' \
		-e 's/\b[0-9a-f]{64}\b/2222222222222222222222222222222222222222222222222222222222222222/g' \
		-e 's/\b[0-9a-f]{40}\b/3333333333333333333333333333333333333333/g' \
		-e 's/\b[0-9a-f]{32}\b/11111111111111111111111111111111/g'
}

# Waits until the command has ended, or has a pager at the foot of its screen.
settled() {
	local tries=0
	until [[ -e $house/ended ]] || shown | sed '/^$/d' | tail -n 1 | grep -qE '^(:|\(END\))$'; do
		((++tries < 200)) || { shown >&2 && return 1; }
		sleep 0.05
	done
}

ended() {
	local tries=0
	until [[ -s $house/ended ]]; do
		((++tries < 200)) || { shown >&2 && return 1; }
		sleep 0.05
	done
	[[ $(<"$house/ended") == "$1" ]]
}

readonly lists=(
	'tenant list'
	'profile list --tenant trial'
	'operator list'
	'device list --tenant trial --state suspended'
	'device list --tenant trial'
	'device show pump-007 --tenant trial'
	'device history pump-007 --tenant trial'
	'audit list --event device.set-state'
	'ca list'
)

snapshots() {
	local size list
	for size in 80x24 160x50; do
		for list in "${lists[@]}"; do
			screen "$size" "$binary $list"
			settled
			printf '$ wardein %s\n' "$list"
			# Without the empty lines below.
			printf '%s\n\n' "$(shown)"
		done >"$house/$size.txt"
		if [[ -n ${WARDEIN_BLESS:-} ]]; then
			mkdir -p deploy/screens
			cp "$house/$size.txt" "deploy/screens/$size.txt"
		fi
		if ! diff -u "deploy/screens/$size.txt" "$house/$size.txt"; then
			echo "screens.sh: at $size something else is shown; look at it, and renew the snapshots with WARDEIN_BLESS=1" >&2
			return 1
		fi
		echo "${#lists[@]} screens at $size are as they were"
	done
}

paging() {
	local all="$binary device list --tenant trial" number
	screen 80x24 "$all"
	settled
	holds "a list longer than the screen waits in a pager" test ! -e "$house/ended"
	keys '!'
	sleep 0.2
	holds "which starts no shell" says 'Command not available' shown
	keys Enter C-c
	sleep 0.2
	holds "Ctrl-C in it does not end the command" test ! -e "$house/ended"
	keys q
	holds "and q does, with exit code 0" ended 0
	for number in 'WARDEIN_PAGER=cat' 'WARDEIN_PAGER= PAGER=less' 'TERM=dumb'; do
		screen 80x24 "env $number $all"
		holds "$number turns it off" ended 0
	done
	screen 80x24 "env PAGER='cat >$house/paged' $all"
	holds "PAGER is a command for the shell" ended 0
	holds "that gets the list" grep -q pump-030 "$house/paged"
	screen 80x24 "env WARDEIN_PAGER=/nowhere/pager $all"
	holds "one that cannot be run loses nothing" ended 0
	holds "and is named" says 'cannot be run' tmux -S "$house/tmux" capture-pane -p -S - -t s
	rm "$house/paged"
	screen 80x24 "env PAGER='cat >$house/paged' $all --json >$house/json"
	holds "JSON is not paged" ended 0
	holds "nor is what a file gets" test ! -e "$house/paged"
	screen 160x50 "$all"
	holds "a list that fits is printed" ended 0
}

part "a trial authority with 30 devices" furnish
# The server ends with its last session.
tmux -S "$house/tmux" -f /dev/null new-session -d -s keep 'exec sleep 600' \; set -g status off
part "what is shown at 80×24 and 160×50" snapshots
part "the pager" paging

#!/usr/bin/env bash
# Shows what is there so far: a device's life with both ends of DDKG-1 in one process.
# --once: leave nothing running. There is nothing to leave running yet.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

case ${1:-} in
'' | --once) ;;
*)
	echo "usage: quickstart.sh [--once]" >&2
	exit 2
	;;
esac
debian gcc libc6-dev
cargo run --locked --quiet --release -p wardein-ddkg --features suite2 --example two_ends
cat <<'T'

What this showed, once for each key agreement: a device was enrolled and shares keys with the authority that were never
sent. It proved its requests with keys that moved on by themselves, a request that was sent again was refused, both agreed
on new keys, the device logged in with a token, and what it sealed was opened by the authority, and by a site that was
lent a day's keys. After a restart it was heard again. Nothing was left running, and nothing was stored.
T

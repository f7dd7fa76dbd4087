#!/usr/bin/env bash
# The README is followed: its blocks marked `sh` run in order, in one shell that stops at the first failure, in a folder of their own, with the
# binaries that are built. What each prints is compared with the block marked `text` behind it: those lines, in that order, where … is any text,
# and others may be between them. The authority listens on ports that are free, and is ended with its shell.
#
# WARDEIN_BINARY names the binary (wardein-device is beside it); without it target/debug/wardein is used.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

binary=${WARDEIN_BINARY:-$PWD/target/debug/wardein}
[[ -x $binary && -x ${binary%/*}/wardein-device ]] || {
	echo "readme.sh: $binary and wardein-device beside it: build them first" >&2
	exit 2
}
if ! command -v openssl >/dev/null; then debian openssl; fi
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
PATH=${binary%/*}:$PATH python3 - README.md "$place" <<'END'
import os, re, signal, socket, subprocess, sys, time

lines = open(sys.argv[1], encoding="utf-8").read().split("\n")
blocks, at, fence = [], 0, None
for number, line in enumerate(lines, 1):
    if line.startswith("```"):
        if fence is None:
            fence, begin, body = line[3:], number, []
        else:
            if fence == "sh":
                blocks.append((begin, "\n".join(body), []))
            elif fence == "text":
                assert blocks and not blocks[-1][2], f"README.md:{begin}: prints of no block"
                blocks[-1][2].extend(body)
            fence = None
    elif fence is not None:
        body.append(line)
assert len(blocks) >= 5 and sum(len(said) for _, _, said in blocks) >= 10, "the README shows less than it did"


def free():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


# Only the ports differ from what a reader types. `exec` starts the program and not this function, so that it is the job that a reader ends.
script = f"""
set -euo pipefail
wardein() {{
    if [[ $1 == init ]]; then set -- "$@" --listen 127.0.0.1:{free()} --http 127.0.0.1:{free()}; fi
    if [[ $1 == serve ]]; then exec wardein "$@"; fi
    command wardein "$@"
}}
until_served() {{
    local tries=0
    until grep -q serving authority.log; do
        ((++tries < 200)) || return 1
        sleep 0.05
    done
}}
"""
for index, (number, block, _) in enumerate(blocks):
    script += f"echo '<<{index}'\n{block}\n"
    if "wardein serve" in block:
        script += "until_served\n"
script += f"echo '<<{len(blocks)}'\n"

place = sys.argv[2]
environment = {"PATH": os.environ["PATH"], "HOME": place, "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8"}
began = time.monotonic()
shell = subprocess.Popen(
    ["bash", "-c", script], cwd=place, env=environment, stdin=subprocess.DEVNULL,
    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
)
try:
    printed, _ = shell.communicate(timeout=120)
except subprocess.TimeoutExpired as late:
    printed = (late.stdout or b"").decode(errors="replace")
finally:
    try:
        os.killpg(shell.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass

parts = re.split(r"^<<(\d+)\n", printed, flags=re.M)
by_block = {int(parts[i]): parts[i + 1].split("\n") for i in range(1, len(parts), 2)}
for index, (number, block, said) in enumerate(blocks):
    got = by_block.get(index)
    if got is None or index + 1 not in by_block:
        sys.exit(f"README.md:{number}: the block failed:\n{block}\nit printed:\n" + "\n".join(got or ["nothing"]))
    rest = iter([line.rstrip() for line in got])
    for line in said:
        wanted = re.compile(".*".join(map(re.escape, line.rstrip().split("…"))))
        if not any(wanted.fullmatch(one) for one in rest):
            sys.exit(f"README.md:{number}: it does not print, in this order: {line}\nit printed:\n" + "\n".join(got))
if shell.returncode != 0:
    sys.exit(f"README.md: its shell ended with {shell.returncode}")
print(f"{len(blocks)} blocks, {sum(len(s) for _, _, s in blocks)} lines that they print, in {time.monotonic() - began:.1f} s")
END

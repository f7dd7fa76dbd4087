#!/usr/bin/env bash
# An OCI image of the authority, made without a daemon: the program, the libraries that it loads, the CA certificates of Debian, and nothing
# else. Then it is run as a container would: read-only, as a user without rights, and without a network. Exit code 0 only if every check held.
#
# oci.sh             needs no argument; the image is in target/oci. WARDEIN_BINARY names the `wardein` that is put in; else it is
#                    target/release/wardein, which is built. The time in it is SOURCE_DATE_EPOCH, or else that of the commit
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
# shellcheck source=deploy/trial.sh
source deploy/trial.sh

if (($# > 0)); then
	echo "usage: oci.sh" >&2
	exit 2
fi

# The user of the image, as of other images without a shell; `/etc/passwd` in it has the same.
readonly user=65532
readonly image=$PWD/target/oci/wardein
house=
bwrap=
registry=

at_exit() {
	local result=$? number
	for number in $bwrap $registry; do
		kill -KILL "$number" 2>/dev/null || true
		wait "$number" 2>/dev/null || true
	done
	if ((result != 0)) && [[ -s $house/log ]]; then tail -n 20 "$house/log" >&2; fi
	if [[ -n $house ]]; then rm -rf "$house"; fi
}
trap at_exit EXIT

prepare() {
	debian bubblewrap ca-certificates curl docker-registry jq python3 skopeo umoci util-linux
	if [[ -z ${WARDEIN_BINARY:-} ]]; then
		cargo build --locked --release -p wardein
		WARDEIN_BINARY=${CARGO_TARGET_DIR:-target}/release/wardein
	fi
	house=$(mktemp -d)
	# The user of the container enters it.
	chmod 755 "$house"
	version=$("$WARDEIN_BINARY" --version | cut -d ' ' -f 2)
	SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
	made=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
}

# put FILE...: a file of Debian's goes to its place. Its package's copyright goes along, and what scanners ask for which packages are there.
put() {
	local file package
	for file in "$@"; do
		mkdir -p "$tree$(dirname "$file")"
		cp --dereference --preserve=mode "$file" "$tree$file"
		# The package has it by the path without links: /lib is /usr/lib.
		package=$(dpkg-query -S "$(realpath "$file")" "$file" "${file#/usr}" 2>/dev/null | head -n 1 | cut -d : -f 1) || true
		if [[ -z $package || -e $tree/var/lib/dpkg/status.d/$package ]]; then continue; fi
		mkdir -p "$tree/usr/share/doc/$package" "$tree/var/lib/dpkg/status.d"
		cp --dereference "/usr/share/doc/$package/copyright" "$tree/usr/share/doc/$package/"
		dpkg-query -s "$package" >"$tree/var/lib/dpkg/status.d/$package"
	done
}

# layer FILE: what is in the image, as an archive of the same bytes each time.
layer() {
	local tree=$house/root libraries options
	rm -rf "$tree"
	mkdir -p "$tree"/{etc,proc,sys,dev,run,tmp,usr/bin,var/lib}
	install -m 755 "$WARDEIN_BINARY" "$tree/usr/bin/wardein"
	install -D -m 644 LICENSE-APACHE LICENSE-MIT -t "$tree/usr/share/doc/wardein"
	mapfile -t libraries < <(ldd "$WARDEIN_BINARY" | grep -o '/[^ ]*')
	put "${libraries[@]}"
	install -D -m 644 /etc/ssl/certs/ca-certificates.crt -t "$tree/etc/ssl/certs"
	printf 'root:x:0:0::/nonexistent:/nonexistent\nwardein:x:%s:%s::/var/lib/wardein:/nonexistent\n' $user $user >"$tree/etc/passwd"
	printf 'root:x:0:\nwardein:x:%s:\n' $user >"$tree/etc/group"
	# Without it glibc asks no DNS for a name.
	printf 'hosts: files dns\n' >"$tree/etc/nsswitch.conf"
	options=(--sort=name --format=gnu --numeric-owner "--mtime=@$SOURCE_DATE_EPOCH")
	find "$tree" -type d -exec chmod 755 {} +
	chmod 1777 "$tree/tmp"
	tar --create --file "$1" "${options[@]}" --owner=0 --group=0 --directory "$tree" .
	# A volume that is made from this has its owner and its mode.
	mkdir -m 700 "$tree/var/lib/wardein"
	tar --append --file "$1" "${options[@]}" --owner=$user --group=$user --directory "$tree" ./var/lib/wardein
	rmdir "$tree/var/lib/wardein"
}

# assemble LAYOUT: an image in a new OCI layout.
assemble() {
	local to=$1:$version
	rm -rf "$1"
	layer "$house/layer.tar"
	umoci init --layout "$1"
	umoci new --image "$to"
	umoci raw add-layer --image "$to" --history.created "$made" --history.created_by "deploy/oci.sh" "$house/layer.tar"
	umoci config --image "$to" --no-history --created "$made" --author Wardein --os linux --architecture "$(dpkg --print-architecture)" \
		--config.user "$user:$user" --config.workingdir / --config.stopsignal SIGTERM \
		--config.entrypoint /usr/bin/wardein --config.cmd serve --config.cmd --config --config.cmd /var/lib/wardein/wardein.toml \
		--config.volume /var/lib/wardein --config.exposedports 7443/tcp --config.exposedports 7480/tcp \
		--config.label org.opencontainers.image.title=wardein \
		--config.label "org.opencontainers.image.description=A key authority for connected medical devices" \
		--config.label "org.opencontainers.image.licenses=MIT OR Apache-2.0" \
		--config.label "org.opencontainers.image.version=$version" \
		--config.label "org.opencontainers.image.revision=$(git rev-parse HEAD)" \
		--config.label "org.opencontainers.image.created=$made"
	umoci gc --layout "$1"
}

# of FIELD: what the image's configuration says.
of() {
	local at=$image/blobs/sha256 manifest config
	manifest=$(digest "$image")
	config=$(jq --raw-output .config.digest "$at/${manifest#sha256:}")
	jq --compact-output ".config.$1" "$at/${config#sha256:}"
}

digest() { jq --raw-output '.manifests[0].digest' "$1/index.json"; }

build() {
	mkdir -p target/oci
	assemble "$image"
	echo "$image:$version $(digest "$image"), $(du -sh "$image" | cut -f 1) packed"
	assemble "$house/again"
	holds "the same again is the same image" test "$(digest "$house/again")" = "$(digest "$image")"
}

look() {
	umoci unpack --rootless --image "$image:$version" "$house/bundle" 2>"$house/said"
	tree=$house/bundle/rootfs
	holds "its user is not root" test "$(of User)" = "\"$user:$user\""
	holds "it runs the authority and nothing else" test "$(of Entrypoint)" = '["/usr/bin/wardein"]'
	holds "there is no shell in it, and one program" \
		test "$(find "$tree" -type f -perm /111 ! -name '*.so*')" = "$tree/usr/bin/wardein"
	holds "nothing in it runs as another user" not grep -q . <(find "$tree" -perm /6000)
	holds "nothing in it is its user's, but for the directory of the authority" \
		test "$(tar -t --numeric-owner -vf "$house/layer.tar" | awk '$2 != "0/0" {print $2, $6}')" = "$user/$user ./var/lib/wardein/"
	# Opened by root, who may read everything, the mode says nothing.
	chmod -R u+rwX,go+rX "$house/bundle"
}

# Pushed to a registry of this machine, and pulled again.
publish() {
	local port
	port=$(ports 1)
	printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:%s"}\n' "$house/registry" "$port" >"$house/registry.yml"
	docker-registry serve "$house/registry.yml" </dev/null >"$house/registry.log" 2>&1 &
	registry=$!
	up "$port"
	holds "it is pushed to a registry" skopeo copy --insecure-policy --dest-tls-verify=false "oci:$image:$version" "docker://127.0.0.1:$port/wardein:$version"
	holds "where it has the same digest" test "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' \
		"docker://127.0.0.1:$port/wardein:$version")" = "$(digest "$image")"
	holds "and is pulled by it" skopeo copy --insecure-policy --src-tls-verify=false "docker://127.0.0.1:$port/wardein@$(digest "$image")" \
		"oci:$house/pulled:$version"
	holds "as the same image" test "$(digest "$house/pulled")" = "$(digest "$image")"
	kill -TERM "$registry"
	wait "$registry" || true
	registry=
}

# inside OPTION... -- ARGUMENT...: the image's program in a container of its own.
inside() {
	local options=() unprivileged=()
	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	if ((EUID == 0)); then unprivileged=(setpriv --reuid "$user" --regid "$user" --clear-groups --bounding-set -all --no-new-privs); fi
	"${unprivileged[@]}" bwrap --unshare-all --die-with-parent --as-pid-1 --uid $user --gid $user --clearenv --hostname wardein \
		--ro-bind "$tree" / --proc /proc --dev /dev --tmpfs /run --bind "$house/volume" /var/lib/wardein --bind "$house/keys" /run/keys \
		--remount-ro / "${options[@]}" /usr/bin/wardein "${@:2}"
}

# from_inside PID COMMAND...: with the container's network and nothing else of it.
from_inside() {
	local entering=(--net)
	if ((EUID != 0)); then entering+=(--user --preserve-credentials); fi
	nsenter --target "$1" "${entering[@]}" "${@:2}"
}

ready() {
	local tries=0
	until from_inside "$child" curl -sS --fail "http://127.0.0.1:7480/readyz"; do
		((++tries < 100)) || return 1
		sleep 0.1
	done
}

# serve: starts the container; `child` is the number of its first process.
serve() {
	: >"$house/status"
	inside --json-status-fd 3 -- serve --config /var/lib/wardein/wardein.toml 3>"$house/status" </dev/null >"$house/log" 2>&1 &
	bwrap=$!
	child=$(first_process "$house/status" "$bwrap")
}

run() {
	mkdir -m 700 "$house/volume" "$house/keys"
	if ((EUID == 0)); then chown $user:$user "$house/volume" "$house/keys"; fi
	holds "it founds an authority in an empty volume" inside -- init --dir /var/lib/wardein --trust-domain oci.example \
		--key-file /run/keys/root.key --listen 0.0.0.0:7443 --http 0.0.0.0:7480
	holds "and founds it once" says 'is an authority already' inside -- init --dir /var/lib/wardein --trust-domain oci.example \
		--key-file /run/keys/root.key
	serve
	holds "it serves, and is ready" ready
	holds "its user has no rights" test "$(awk '/^Cap(Eff|Prm|Bnd|Amb)/ {print $2}' "/proc/$child/status" | sort -u)" = 0000000000000000
	holds "and is not root" not grep -q '^Uid:.*\b0\b' "/proc/$child/status"
	holds "it has loopback alone" test "$(from_inside "$child" cat /proc/net/dev | sed 1,2d | cut -d : -f 1 | tr -d ' ')" = lo
	holds "its root is read-only" grep -q ' / ro,' <(awk '{print " " $5 " " $6 ","}' "/proc/$child/mountinfo")
	holds "nobody may dump its memory" test "$(stat -c %u "/proc/$child/maps")" = 0
	holds "metrics are there" says '^wardein_' from_inside "$child" curl -sS "http://127.0.0.1:7480/metrics"
	holds "it invites an administrator" says '^[A-Za-z0-9_-]\{40,\}' from_inside "$child" "$WARDEIN_BINARY" operator invite --dir "$house/volume" \
		--endpoint https://localhost:7443 --role admin --name anna --validity 30d
	kill -TERM "$child"
	local status=0
	wait "$bwrap" || status=$?
	bwrap=
	holds "it ends by SIGTERM, with exit code 0" test "$status" = 0
	holds "and says so" grep -q stopped "$house/log"
	serve
	holds "it starts again on the same volume" ready
	kill -KILL "$child"
	wait "$bwrap" || true
	serve
	holds "also after a kill" ready
	kill -TERM "$child"
	wait "$bwrap" || status=$?
	bwrap=
	holds "and ends in order again" test "$status" = 0
}

part "the program, umoci and bubblewrap" prepare
part "an image, twice" build
part "what is in it" look
part "a registry" publish
part "it runs, read-only and without rights" run
printf '\nEvery check held, in %d s. The image is in %s.\n' "$SECONDS" "$image"

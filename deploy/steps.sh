# What the scripts beside this one share; they source it. It puts them into the repository's root.
# shellcheck shell=bash
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# Where the tools are that are not Debian's: outside the checkout, so that the next clean one has them already.
readonly tools=${XDG_CACHE_HOME:-$HOME/.cache}/wardein-tools

# step "what it does" command...: says so, runs it, and says how long it took.
step() {
	local begin=$SECONDS what=$1 status
	shift
	printf '\n== %s\n' "$what"
	# Not `if ! "$@"`: within a tested function `set -e` is off, and only its last command would count.
	set +e
	(
		set -e
		"$@"
	)
	status=$?
	set -e
	if ((status != 0)); then
		printf '== FAILED after %d s: %s\n' "$((SECONDS - begin))" "$what" >&2
		exit 1
	fi
	printf '== %d s: %s\n' "$((SECONDS - begin))" "$what"
}

# debian package...: installs those that are missing, saying so.
debian() {
	local missing=() package
	for package in "$@"; do
		if [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) != installed ]]; then
			missing+=("$package")
		fi
	done
	if ((${#missing[@]} == 0)); then return; fi
	echo "installing from Debian: ${missing[*]}"
	local root=()
	if ((EUID != 0)); then root=(sudo); fi
	"${root[@]}" apt-get update -qq
	"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# tool name version [option...]: installs a cargo tool, once for each version.
tool() {
	if [[ $("$tools/bin/$1" --version 2>/dev/null) == *"$2"* ]]; then return; fi
	echo "installing $1 $2 into $tools; this takes some minutes, once"
	cargo install "$1" --version "$2" --locked --quiet --root "$tools" "${@:3}"
}

# wheel name version: installs a program that PyPI has ready-made, once for each version. It is in $tools/name-version/bin.
wheel() {
	local venv=$tools/$1-$2
	if [[ -e $venv/complete ]]; then return; fi
	if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then debian python3 python3-venv; fi
	echo "installing $1 $2 into $tools"
	rm -rf "$venv"
	python3 -m venv "$venv"
	"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: "$1==$2"
	touch "$venv/complete"
}

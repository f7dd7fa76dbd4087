# What the scripts beside this one share; they source it. It puts them into the repository's root.
# shellcheck shell=bash
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly tools=$PWD/target/tools

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

# tool name version: installs a cargo tool into target/tools, once for each version.
tool() {
	if [[ $("$tools/bin/$1" --version 2>/dev/null) == *" $2"* ]]; then return; fi
	echo "installing $1 $2 into target/tools; that takes some minutes, once"
	cargo install "$1" --version "$2" --locked --quiet --root "$tools"
}

#!/usr/bin/env bash
# Bills of materials (CycloneDX 1.5) of `wardein`, `wardein-device`, `wardein-receive` and `wardein-workorders`, as they are built with all features: which crates, at which version, under
# which license, with the digests of Cargo.lock. They are in target/sbom, the same for the same commit. Each is judged by CycloneDX's own schema,
# and compared with the crates that cargo links into the program.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

readonly out=$PWD/target/sbom
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
target=$(rustc -vV | sed -n 's/^host: //p')

# In a copy, for a file is written beside each Cargo.toml; the copy's place is in them, and is taken out.
generate() {
	local copy program
	# It tells its version as a subcommand alone.
	if [[ $("$tools/bin/cargo-cyclonedx" cyclonedx --version 2>/dev/null) != *0.5.9* ]]; then tool cargo-cyclonedx 0.5.9 --debug; fi
	copy=$(mktemp -d)
	git archive HEAD | tar -x -C "$copy"
	mkdir -p "$out"
	(
		cd "$copy"
		"$tools/bin/cargo-cyclonedx" cyclonedx --format json --spec-version 1.5 --describe binaries --all-features --target "$target" --quiet
	)
	sed "s|$copy|/wardein|g" "$copy/wardein_bin.cdx.json" >"$out/wardein.cdx.json"
	for program in device receive workorders; do
		sed "s|$copy|/wardein|g" "$copy/crates/$program/wardein-${program}_bin.cdx.json" >"$out/wardein-$program.cdx.json"
	done
	rm -rf "$copy"
}

judge() {
	local venv=$tools/cyclonedx-11.12.0 program
	if [[ ! -e $venv/complete ]]; then
		debian python3 python3-venv
		rm -rf "$venv"
		python3 -m venv "$venv"
		"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: 'cyclonedx-python-lib[json-validation]==11.12.0'
		touch "$venv/complete"
	fi
	for program in wardein wardein-{device,receive,workorders}; do
		cargo tree --locked --offline --package "$program" --all-features --target "$target" --edges normal,build --prefix none --format '{p}' |
			"$venv/bin/python" -c '
import json, re, sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

path, program = sys.argv[1:]
text = open(path, encoding="utf-8").read()
wrong = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
if wrong:
    sys.exit(f"{path}: {wrong}")
bom = json.loads(text)
components = {(c["name"], c["version"]): c for c in bom["components"]}
linked = {m.groups() for m in (re.match(r"(\S+) v(\S+)", line) for line in sys.stdin) if m and m[1] != program}
missing = sorted(linked - set(components))
if missing or len(linked) < 50:
    sys.exit(f"{path}: of {len(linked)} crates that are linked, these are missing: {missing}")
for (name, version), component in components.items():
    if not name.startswith("wardein") and not (component.get("licenses") and component.get("hashes")):
        sys.exit(f"{path}: {name} {version} has no license or no digest")
print(f"{path}: {len(components)} crates, each of the {len(linked)} that are linked among them; the schema of 1.5 is kept")
' "$out/$program.cdx.json" "$program"
	done
}

step "the bills of materials" generate
step "judged by CycloneDX, and by what cargo links" judge

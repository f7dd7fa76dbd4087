#!/usr/bin/env bash
# What is published about vulnerabilities: the sample advisory is judged by the validator of CSAF 2.0 that the BSI has written, by schema and
# all tests of section 6, and as a file by its name (section 5.1); security.txt by RFC 9116.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

validator() {
	local at=$tools/csaf-validator-lib-2.0.10
	if [[ ! -e $at/complete ]]; then
		if ! command -v npm >/dev/null; then debian nodejs npm; fi
		echo "installing csaf-validator-lib 2.0.10 into $at"
		rm -rf "$at"
		npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$at" @secvisogram/csaf-validator-lib@2.0.10
		touch "$at/complete"
	fi
	cat >"$at/judge.mjs" <<'END'
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import validate from '@secvisogram/csaf-validator-lib/validateStrict.js'
import * as schema from '@secvisogram/csaf-validator-lib/schemaTests.js'
import * as mandatory from '@secvisogram/csaf-validator-lib/mandatoryTests.js'
import * as optional from '@secvisogram/csaf-validator-lib/optionalTests.js'
import * as informative from '@secvisogram/csaf-validator-lib/informativeTests.js'

// Left out: a sample has no CVE (6.3.3), and its addresses lead nowhere (6.3.6, 6.3.7); 6.3.8 needs hunspell, and test.sh checks spelling.
const left = ['informativeTest_6_3_3', 'informativeTest_6_3_6', 'informativeTest_6_3_7', 'informativeTest_6_3_8']
const named = Object.entries({ ...mandatory, ...optional, ...informative }).filter(([name]) => !left.includes(name))
const tests = [schema.csaf_2_0_strict, ...named.map(([, test]) => test)]
// A judge that takes everything would find nothing either.
const spoiled = [
  ['an unknown product', (d) => d.vulnerabilities[0].product_status.fixed.push('nobody')],
  ['a score that its vector does not have', (d) => { d.vulnerabilities[0].scores[0].cvss_v3.baseScore = 9.8 }],
  ['a missing publisher', (d) => { delete d.document.publisher }],
  ['a product that is affected and fixed', (d) => d.vulnerabilities[0].product_status.fixed.push('wardein-0.1.0')],
]

for (const file of process.argv.slice(2)) {
  const text = JSON.parse(readFileSync(file, 'utf8'))
  const name = text.document.tracking.id.toLowerCase().replace(/[^+\-a-z0-9]+/g, '_') + '.json'
  if (basename(file) !== name) throw new Error(`${file}: is to be named ${name}`)
  const judged = await validate(tests, text)
  const said = judged.tests.flatMap((t) =>
    ['errors', 'warnings', 'infos'].flatMap((kind) => t[kind].map((i) => `${t.name}: ${kind}: ${i.instancePath}: ${i.message}`)))
  said.forEach((line) => console.error(line))
  if (!judged.isValid || said.length > 0) throw new Error(`${file}: not valid`)
  console.log(`${file}: ${tests.length} tests, nothing found`)

  for (const [what, spoil] of spoiled) {
    const bad = structuredClone(text)
    spoil(bad)
    if ((await validate(tests, bad)).isValid) throw new Error(`${what} is not noticed`)
  }
  console.log(`${spoiled.length} spoiled copies are refused`)
}
END
	node "$at/judge.mjs" "$PWD"/deploy/disclosure/*.json
}

# RFC 9116: Contact at least once, Expires once and less than a year ahead (section 2.5.5 recommends that), each field known, addresses as
# URIs, and those of the web over https.
security_txt() {
	python3 - deploy/disclosure/.well-known/security.txt "$@" <<'END'
import datetime, re, sys

fields = {}
for line in open(sys.argv[1], encoding="utf-8"):
    if line.startswith("#") or not line.strip():
        continue
    name, colon, value = line.rstrip("\n").partition(": ")
    assert colon and value, f"not a field: {line!r}"
    fields.setdefault(name.lower(), []).append(value)
known = "acknowledgments canonical contact csaf encryption expires hiring policy preferred-languages".split()
assert set(fields) <= set(known), f"unknown: {set(fields) - set(known)}"
assert fields.get("contact"), "Contact is missing"
for once in ("expires", "preferred-languages"):
    assert len(fields.get(once, [])) <= 1, f"{once} is there more than once"
for name, values in fields.items():
    if name not in ("expires", "preferred-languages"):
        for value in values:
            assert re.match(r"(https://|mailto:|tel:)\S+$", value), f"{name}: {value}"
assert len(fields["expires"]) == 1, "Expires is missing"
ends = datetime.datetime.fromisoformat(fields["expires"][0].replace("Z", "+00:00"))
print(f"security.txt: {sum(map(len, fields.values()))} fields, until {ends:%Y-%m-%d}")
END
}

step "security.txt" security_txt
step "the advisory, as the BSI's validator judges it" validator

#!/usr/bin/env bash
# Each link of each document leads to a file that is in the tree, and to a heading that is in that file, by GitHub's anchors. Links to the
# web are not followed. Needs nothing but git and Python.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python3 - <<'END'
import os, re, subprocess, sys

def lines(path):
    fence = False
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        if line.lstrip().startswith("```"):
            fence = not fence
        elif not fence:
            yield number, line.rstrip("\n")

def anchors(path):
    found = {}
    for _, line in lines(path):
        if heading := re.match(r"#{1,6} (.*)", line):
            text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading[1])
            slug = re.sub(r"[^\w -]", "", text.strip().lower()).replace(" ", "-")
            found[slug] = found.get(slug, -1) + 1
    return {slug + (f"-{i}" if i else "") for slug, last in found.items() for i in range(last + 1)}

documents = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
counted = wrong = 0
for path in subprocess.run(documents, check=True, capture_output=True, text=True).stdout.split("\n"):
    if not path or not os.path.exists(path):
        continue
    for number, line in lines(path):
        for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", line)):
            if re.match(r"[a-z]+:", target):
                continue
            counted += 1
            file, _, anchor = target.partition("#")
            there = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
            if not os.path.exists(there):
                problem = "there is no such file"
            elif anchor and there.endswith(".md") and anchor not in anchors(there):
                problem = "there is no such heading"
            else:
                continue
            wrong += 1
            print(f"{path}:{number}: {target}: {problem}", file=sys.stderr)
print(f"{counted} links looked at, {wrong} wrong")
sys.exit(wrong > 0 or counted == 0)
END

#!/usr/bin/env bash
# simple-salesforce, from PyPI, makes its own calls of the stand-in of Salesforce that the tests of wardein-workorders have: a login by the
# JWT bearer flow, a query over pages, a record read and written, and what it does when it is refused. Exit code 0 only if every check held.
#
# It says that the stand-in answers a client of others in the form that this client expects. The stand-in is not Salesforce.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

client() {
	local venv=$tools/simple-salesforce-1.12.9
	if [[ -e $venv/complete ]]; then return; fi
	debian python3 python3-venv
	rm -rf "$venv"
	python3 -m venv "$venv"
	"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: simple-salesforce==1.12.9
	touch "$venv/complete"
}

calls() {
	WARDEIN_PYTHON=$tools/simple-salesforce-1.12.9/bin/python WARDEIN_SALESFORCE_CLIENT=$PWD/deploy/workorders/client.py \
		cargo test --locked --quiet -p wardein-workorders --test workorders a_clients_library_of_others_is_answered -- --nocapture
}

step "simple-salesforce, from PyPI" client
step "its calls of the stand-in" calls

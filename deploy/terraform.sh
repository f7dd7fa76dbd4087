#!/usr/bin/env bash
# The modules for AWS and Azure: their format, what can be known of them by the providers' schemas without a provider (deploy/terraform/check.py),
# and the scripts by which they put secrets into files, run with stand-ins for the clouds. No cloud is needed. Exit code 0 only if every check held.
#
# terraform.sh       needs no argument; all that it makes is in a directory that it removes. WARDEIN_BINARY names the `wardein` that reads the
#                    files; else it is target/quick/wardein, which is built if it is missing
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
# shellcheck source=deploy/trial.sh
source deploy/trial.sh

if (($# > 0)); then
	echo "usage: terraform.sh" >&2
	exit 2
fi

readonly hclfmt_version=2.24.0 hcl2_version=8.1.4
readonly hclfmt=$tools/hclfmt-$hclfmt_version/hclfmt hcl2=$tools/python-hcl2-$hcl2_version
# cdktf's packages of the providers, made from the schemas of aws 6 and azurerm 4.
declare -rA wheels=([aws]=cdktf-cdktf-provider-aws==21.22.1 [azure]=cdktf-cdktf-provider-azurerm==14.23.1)
# What a program that has read its files asks for first, and what it says where that is not there; one without the feature aws-kms
# says so.
declare -rA asked=([aws]='KMS: AWS KMS: there are no credentials\|without its feature .aws-kms'
	[azure]='the database: ^error: PostgreSQL database wardein at db.example.internal: ')
house=

at_exit() {
	if [[ -n $house ]]; then rm -rf "$house"; fi
}
trap at_exit EXIT

prepare() {
	debian bubblewrap openssl python3 python3-venv
	if [[ ! -x $hclfmt ]]; then
		echo "building hclfmt $hclfmt_version into $tools"
		GOBIN=$(dirname "$hclfmt") go install -trimpath "github.com/hashicorp/hcl/v2/cmd/hclfmt@v$hclfmt_version"
	fi
	if [[ ! -e $hcl2/complete ]]; then
		echo "getting python-hcl2 and the providers' schemas into $hcl2: 105 MB, once"
		rm -rf "$hcl2"
		python3 -m venv "$hcl2"
		"$hcl2/bin/python" -m pip install --quiet --disable-pip-version-check "python-hcl2==$hcl2_version"
		"$hcl2/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$hcl2/wheels" "${wheels[@]}"
		touch "$hcl2/complete"
	fi
	if [[ -z ${WARDEIN_BINARY:-} ]]; then
		WARDEIN_BINARY=${CARGO_TARGET_DIR:-$PWD/target}/quick/wardein
		if [[ ! -x $WARDEIN_BINARY ]]; then
			echo "building; this takes some minutes"
			cargo build --locked --profile quick -p wardein
		fi
	fi
	house=$(mktemp -d)
}

# wheel CLOUD: the file of that package.
wheel() {
	local name=${wheels[$1]}
	find "$hcl2/wheels" -name "$(tr - _ <<<"${name%==*}")-${name#*==}-*.whl"
}

# check OPTION... FOLDER CLOUD
check() { "$hcl2/bin/python" deploy/terraform/check.py "${@:1:$#-1}" "$(wheel "${!#}")"; }

# broken CLOUD FILE SED: a module in which something was changed, which is to be refused.
broken() {
	rm -rf "${house:?}/$1"
	cp -r "deploy/terraform/$1" "$house/$1"
	sed -i "$3" "$house/$1/$2"
	if cmp --silent "$house/$1/$2" "deploy/terraform/$1/$2"; then
		echo "nothing was changed"
		return 1
	fi
	not check "$house/$1" "$1"
}

modules() {
	local file cloud
	for file in deploy/terraform/*/*.tf; do
		holds "formatted: ${file#deploy/terraform/}" cmp "$file" <("$hclfmt" <"$file")
	done
	for cloud in aws azure; do
		holds "$cloud, by its provider's schema" check "deploy/terraform/$cloud" "$cloud"
		cat "$house/said"
	done
	holds "refused: an argument that the provider has not" broken aws database.tf 's/multi_az  /multi_azs /'
	holds "refused: one that is missing" broken aws database.tf '/instance_class/d'
	holds "refused: a block that the provider has not" broken azure app.tf 's/readiness_probe {/ready_probe {/'
	holds "refused: one that is missing within a block" broken azure app.tf '/target_port /d'
	holds "refused: a reference to nothing" broken aws service.tf 's/aws_lb_listener.grpc/aws_lb_listener.http/'
	holds "refused: an attribute that is not there" broken aws outputs.tf 's/dns_name/dns/'
	holds "refused: a variable that is not used" broken azure app.tf 's/var.replicas/3/g'
	holds "refused: a database that is open" broken aws database.tf 's/publicly_accessible = false/publicly_accessible = true/'
}

# placed CLOUD BIND...: the module's script, in a container of its own, as root of that container; then the program is given what it made.
placed() {
	local cloud=$1
	mkdir "$house/$cloud-files" "$house/$cloud-bin"
	check --script "deploy/terraform/$cloud" "$cloud" >"$house/$cloud.sh"
	# Within a user namespace of one user there is nobody to give the files to.
	cat >"$house/$cloud-bin/chown" <<-'end'
		#!/bin/sh
		[ "$1 $2 $3" = "-R 65532:65532 ." ]
	end
	cat >"$house/$cloud-bin/aws" <<-'end'
		#!/bin/sh
		[ "$1 $2 $3" = "secretsmanager get-secret-value --secret-id" ] && cat "/secrets/${4#wardein/}"
	end
	chmod +x "$house/$cloud-bin"/*
	bwrap --unshare-all --uid 0 --gid 0 --clearenv --setenv PATH /opt/bin:/usr/bin --setenv CONFIG "$(base64 -w 0 "$house/plain-$cloud/wardein.toml")" \
		--setenv CA "$(base64 -w 0 "$house/ca.pem")" --setenv PREFIX wardein --setenv SECRETS "custody.json db.password" \
		--ro-bind /usr /usr --symlink usr/lib /lib --symlink usr/lib64 /lib64 --symlink usr/bin /bin --proc /proc --dev /dev \
		--ro-bind "$house/$cloud-bin" /opt/bin --ro-bind "$house/secrets-$cloud" /secrets --bind "$house/$cloud-files" /run/wardein \
		/bin/sh -c "$(<"$house/$cloud.sh")"
	holds "$cloud: each file is for the service alone" test "$(stat -c %a "$house/$cloud-files"/* | sort -u)" = 600
	holds "$cloud: what was put in came out" test "$(cd "$house/$cloud-files" && sha256sum ./* | sort)" = "$(cd "$house/plain-$cloud" && sha256sum ./* | sort)"
	# Without a network there is neither a role nor a database.
	holds "$cloud: the program reads all of it, and asks for ${asked[$cloud]%%:*}" says "${asked[$cloud]#*: }" \
		bwrap --unshare-all --clearenv --ro-bind /usr /usr --symlink usr/lib /lib --symlink usr/lib64 /lib64 --proc /proc --dev /dev \
		--ro-bind "$WARDEIN_BINARY" /opt/wardein --ro-bind "$house/$cloud-files" /run/wardein --remount-ro / \
		/opt/wardein serve --config /run/wardein/wardein.toml
}

# filled CLOUD CUSTODY: the template, as templatefile() fills it.
filled() {
	# shellcheck disable=SC2016
	sed -e 's/\${grpc}/7443/g; s/\${http}/7480/g; s/\${database}/db.example.internal/; s/\${server_names\[0\]}/authority.example.org/' \
		-e 's/\${jsonencode(.*)}/["authority.example.org","localhost"]/' -e "s|\${custody}|$2|" deploy/terraform/wardein.toml.tftpl >"$house/plain-$1/wardein.toml"
	holds "$1: nothing of the template is left" not grep -qF "\${" "$house/plain-$1/wardein.toml"
}

scripts() {
	local name cloud key=arn:aws:kms:eu-central-1:123456789012:key/1234abcd
	mkdir "$house"/{plain,secrets}-{aws,azure}
	"$WARDEIN_BINARY" init --dir "$house/a" --trust-domain cloud.example --key-file "$house/plain-azure/root.key" >"$house/said"
	cp "$house/a/custody.json" "$house/plain-azure/"
	# In the form of one under KMS, which nothing opens.
	python3 -c 'import json, sys
zeros = lambda count: "00" * count
wrapped = {"kind": "aws-kms", "key": sys.argv[1], "authority": "cloud.example", "salt": zeros(16), "wrapped": zeros(184)}
keys = [{"version": 1, "nonce": zeros(12), "wrapped": zeros(48)}]
print(json.dumps({"version": 1, "protection": wrapped, "check": zeros(16), "keys": keys}))' "$key" >"$house/plain-aws/custody.json"
	openssl rand -base64 24 >"$house/db.password"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ca -keyout "$house/ca.key" -out "$house/ca.pem" 2>"$house/said"
	for cloud in aws azure; do cp "$house/db.password" "$house/plain-$cloud/"; done
	filled aws "aws_kms_key = \"$key\""
	filled azure 'key_file = "root.key"'
	for cloud in aws azure; do cp "$house/ca.pem" "$house/plain-$cloud/db-ca.pem"; done
	for name in custody.json db.password; do base64 "$house/plain-aws/$name" >"$house/secrets-aws/$name"; done
	for name in custody.json=custody root.key=root-key db.password=database-password; do
		base64 "$house/plain-azure/${name%=*}" >"$house/secrets-azure/${name#*=}"
	done
	placed aws
	placed azure
}

part "hclfmt, python-hcl2, the providers' schemas, and the program" prepare
part "the modules" modules
part "the files of a task" scripts
printf '\nEvery check held, in %d s. Nothing was left running.\n' "$SECONDS"

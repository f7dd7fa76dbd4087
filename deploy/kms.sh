#!/usr/bin/env bash
# An authority whose root key is under a key of AWS KMS, beside moto, which judges each call by its signature and its caller's
# rights: founding, starts, credentials from files and roles, KMS that is away, refusals, and changes of the protection and of the
# root key. Exit code 0 only if every check held.
#
# kms.sh      needs no argument; all that it makes is in a directory that it removes. WARDEIN_BINARY names a `wardein` with the
#             feature aws-kms; else it is built
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
# shellcheck source=deploy/trial.sh
source deploy/trial.sh

if (($# > 0)); then
	echo "usage: kms.sh" >&2
	exit 2
fi

readonly moto=$tools/moto-5.2.5
house=
running=()

at_exit() {
	local result=$? number
	for number in "${running[@]}"; do
		kill -TERM "$number" 2>/dev/null || true
		wait "$number" 2>/dev/null || true
	done
	if ((result != 0)) && [[ -n $house ]]; then tail -n 8 "$house"/*.log >&2 || true; fi
	if [[ -n $house ]]; then rm -rf "$house"; fi
}
trap at_exit EXIT

prepare() {
	debian curl openssl python3 python3-venv
	if [[ ! -e $moto/complete ]]; then
		echo "installing moto 5.2.5 into $moto"
		rm -rf "$moto"
		python3 -m venv "$moto"
		"$moto/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: 'moto[server]==5.2.5' boto3==1.44.8
		touch "$moto/complete"
	fi
	if [[ -z ${WARDEIN_BINARY:-} ]]; then
		WARDEIN_BINARY=${CARGO_TARGET_DIR:-$PWD/target}/quick/wardein
		echo "building; this takes some minutes"
		cargo build --locked --profile quick -p wardein --features aws-kms
	fi
	house=$(mktemp -d)
}

# begin LOG command...: starts it. Its number is in `begun`.
begin() {
	"${@:2}" </dev/null >>"$house/$1.log" 2>&1 &
	begun=$!
	running+=("$begun")
}

# finish PID
finish() {
	kill -TERM "$1"
	wait "$1" || true
}

# with VARIABLE=VALUE... command...: with these variables for AWS, and no others.
with() {
	local variables=()
	while [[ $1 == *=* ]]; do
		variables+=("$1")
		shift
	done
	local command=(env --unset=AWS_PROFILE "HOME=$house" AWS_EC2_METADATA_DISABLED=true "${variables[@]}" "$@")
	# In the background it is to be the process that `begin` knows.
	if ((BASHPID != $$)); then exec "${command[@]}"; fi
	"${command[@]}"
}

# as WHO command...: with that user's file of credentials, and KMS where it answers.
as() { with "AWS_SHARED_CREDENTIALS_FILE=$house/aws/$1" "AWS_ENDPOINT_URL_KMS=http://127.0.0.1:$kms" "${@:2}"; }

# within SECONDS command...: whether that holds before they have passed.
within() {
	local end=$((SECONDS + $1))
	until "${@:2}"; do
		((SECONDS < end)) || return 1
		sleep 0.1
	done
}

ready() { curl -s --fail "http://127.0.0.1:$http/readyz"; }

aws() {
	local certificate=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2)
	read -r kms away over_tls roles grpc http <<<"$(ports 6)"
	mkdir "$house/aws"
	begin moto "$moto/bin/python" -B tests/kms/beside.py moto "$kms" "$house/aws"
	holds "moto is up, and judges" within 60 test -e "$house/aws/ready"
	{
		read -r key
		read -r other_key
	} <"$house/aws/keys"
	openssl req -x509 "${certificate[@]}" -subj /CN=kms-ca -addext basicConstraints=critical,CA:TRUE -keyout "$house/ca.key" -out "$house/ca.pem" 2>"$house/said"
	# Of its own request: by -x509, Debian's configuration makes it a CA, which no server is believed to be.
	openssl req "${certificate[@]}" -subj /CN=localhost -keyout "$house/tls.key" -out "$house/tls.csr" 2>"$house/said"
	openssl x509 -req -in "$house/tls.csr" -CA "$house/ca.pem" -CAkey "$house/ca.key" -CAcreateserial -days 2 -out "$house/tls.pem" \
		-extfile <(echo subjectAltName=DNS:localhost) 2>"$house/said"
	begin tls python3 -B tests/kms/beside.py pass "$over_tls" "$kms" "$house/tls.pem" "$house/tls.key"
	begin roles python3 -B tests/kms/beside.py roles "$roles" "$house/aws"
	up "$over_tls"
	up "$roles"
}

init() { "$@" "$WARDEIN_BINARY" init --dir "$house/a" --trust-domain kms.example --aws-kms-key "$key" --listen "127.0.0.1:$grpc" --http "127.0.0.1:$http"; }

status() { "$@" "$WARDEIN_BINARY" custody status --dir "$house/a"; }

founding() {
	holds "nothing is founded under an alias" says 'is not the ARN of a key' as authority "$WARDEIN_BINARY" init --dir "$house/a" \
		--trust-domain kms.example --aws-kms-key alias/wardein
	holds "nor by who may not use the key" says 'KMS denies it.*kms:Encrypt' init as stranger
	holds "nor by a signature that is wrong" says 'does not take the credentials' init as wrong
	holds "nor without credentials" says 'there are no credentials for AWS' init with "AWS_ENDPOINT_URL_KMS=http://127.0.0.1:$kms"
	holds "nor in the clear over a network" says 'it takes https://HOST' init with AWS_ENDPOINT_URL_KMS=http://kms.example
	holds "and nothing is left of that" not test -e "$house/a/wardein.toml"
	holds "an authority is founded under the key" init as authority
	holds "KMS gives the root key" says '^KMS gives it now *yes$' status as authority
	holds "and doctor says so" says 'under a key of AWS KMS, which gives it' as authority "$WARDEIN_BINARY" doctor --dir "$house/a"
	holds "custody.json names the key" grep -qF "$key" "$house/a/custody.json"
	holds "and no file has a credential" not grep -rqFf <(sed -n 's/^aws_secret_access_key = //p' "$house/aws/authority") "$house/a"
}

credentials() {
	local task=(with "AWS_ENDPOINT_URL_KMS=http://127.0.0.1:$kms")
	holds "by another profile there are none" says 'of profile "other"' status as authority env AWS_PROFILE=other
	chmod 644 "$house/aws/authority"
	holds "a file that others read is not used" says 'chmod 600' status as authority
	chmod 600 "$house/aws/authority"
	printf 'of the pod\n' >"$house/aws/token"
	holds "by a container's role" says '^KMS gives it now *yes$' status "${task[@]}" \
		"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:$roles/task" "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=$house/aws/token"
	holds "which asks for the container's token" says '401' status "${task[@]}" "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:$roles/task"
	holds "by an instance's role" says '^KMS gives it now *yes$' status "${task[@]}" AWS_EC2_METADATA_DISABLED=false \
		"AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:$roles"
	holds "by a web identity" says '^KMS gives it now *yes$' status "${task[@]}" "AWS_WEB_IDENTITY_TOKEN_FILE=$house/aws/token" \
		"AWS_ROLE_ARN=$(<"$house/aws/role")" "AWS_ENDPOINT_URL_STS=http://127.0.0.1:$kms"
	holds "over TLS, by a CA that is named" says '^KMS gives it now *yes$' status as authority env "AWS_ENDPOINT_URL_KMS=https://localhost:$over_tls" \
		"AWS_CA_BUNDLE=$house/ca.pem"
	holds "and by no other" says 'cannot be reached by TLS' status as authority env "AWS_ENDPOINT_URL_KMS=https://localhost:$over_tls"
}

serving() {
	local away_from=(with "AWS_SHARED_CREDENTIALS_FILE=$house/aws/authority" "AWS_ENDPOINT_URL_KMS=http://127.0.0.1:$away")
	begin wait "${away_from[@]}" "$WARDEIN_BINARY" serve --config "$house/a/wardein.toml"
	holds "a start without KMS says why" within 10 grep -q 'cannot be reached.*nothing is served until' "$house/wait.log"
	holds "tries again, less and less often" within 20 grep -q 'the next try is in 4 s' "$house/wait.log"
	holds "and is not ready" not ready
	holds "nor listens" not bash -c ": >/dev/tcp/127.0.0.1/$grpc"
	wait=$begun
	begin away python3 -B tests/kms/beside.py pass "$away" "$kms"
	away_server=$begun
	holds "when KMS is there, it serves by itself" within 40 ready
	holds "as the same process" kill -0 "$wait"
	finish "$away_server"
	holds "and goes on without KMS" as authority "$WARDEIN_BINARY" tenant create klinik --dir "$house/a"
	holds "its log has no credential" not grep -qFf <(sed -n 's/^aws_[a-z_]* = //p' "$house/aws/authority") "$house/wait.log"
	holds "the root key is changed without KMS" "${away_from[@]}" "$WARDEIN_BINARY" key rotate --root --yes --dir "$house/a"
	holds "and is another one" within 30 says '^versions *2$' status as authority
	finish "$wait"
	begin again as authority "$WARDEIN_BINARY" serve --config "$house/a/wardein.toml"
	holds "it starts with that one" within 20 ready
	holds "and takes a backup" "$WARDEIN_BINARY" backup --out "$house/backup" --dir "$house/a"
	finish "$begun"
	holds "which KMS opens" says 'kms.example' as authority "$WARDEIN_BINARY" backup verify "$house/backup"
	holds "and restores" as authority "$WARDEIN_BINARY" restore --dir "$house/restored" --from "$house/backup"
	holds "a start by who may not use the key ends" says 'KMS denies it.*kms:Decrypt' as stranger "$WARDEIN_BINARY" serve --config "$house/a/wardein.toml"
	holds "so does one by a wrong signature" says 'does not take the credentials' as wrong "$WARDEIN_BINARY" serve --config "$house/a/wardein.toml"
}

# altered SED: the same directory with another custody.json.
altered() {
	cp "$house/a/custody.json" "$house/custody.json"
	sed -i "$1" "$house/a/custody.json"
	status as authority
	cp "$house/custody.json" "$house/a/custody.json"
}

binding() {
	holds "for another authority KMS does not open it" says 'encryption context' altered 's/kms\.example/kmt.example/'
	holds "nor by another key" says '^KMS gives it now *no' altered "s|$key|$other_key|"
	holds "nor by one that is not there" says 'the key cannot be used' altered "s|${key##*/}|${key##*/}0|"
}

# change TO OPTION...
change() { as authority "$WARDEIN_BINARY" custody change --dir "$house/a" --yes --to "$@"; }

changes() {
	local away_from=(with "AWS_SHARED_CREDENTIALS_FILE=$house/aws/authority" "AWS_ENDPOINT_URL_KMS=http://127.0.0.1:$away")
	(umask 077 && echo 'correct horse' >"$house/words" && echo 'battery staple' >"$house/recovery")
	holds "from KMS to a passphrase" change passphrase --new-passphrase-file "$house/words"
	holds "and back, with a recovery passphrase" change aws-kms --passphrase-file "$house/words" --new-passphrase-file "$house/recovery"
	holds "KMS gives the root key" says '^KMS gives it now *yes$' status as authority
	sed -i "s|^aws_kms_key = .*|aws_kms_key = \"$other_key\"|" "$house/a/wardein.toml"
	holds "to another key of KMS" says "^KMS key *$other_key$" change aws-kms --new-passphrase-file "$house/recovery"
	begin recovery "${away_from[@]}" "$WARDEIN_BINARY" serve --config "$house/a/wardein.toml" --passphrase-file "$house/recovery"
	holds "without KMS it starts by the recovery passphrase" within 20 ready
	holds "with all that was there" says klinik "$WARDEIN_BINARY" tenant list --dir "$house/a"
	finish "$begun"
}

part "moto, and the program" prepare
part "keys, users and roles" aws
part "an authority is founded" founding
part "credentials" credentials
part "starts, with KMS and without" serving
part "what the wrapping is bound to" binding
part "another protection" changes
printf '\nEvery check held, in %d s. Nothing was left running.\n' "$SECONDS"

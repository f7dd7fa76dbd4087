#!/bin/bash
# What is tried in the machine of deploy/cloud-init.sh, once cloud-init has done its part. What it says goes to the console.
# shellcheck disable=SC2016
exec >/dev/ttyS0 2>&1

holds() {
	if "${@:2}" >/run/said 2>&1; then
		echo "TRIAL ✓ $1"
	else
		cat /run/said
		journalctl --no-pager --unit wardein | tail -n 20
		echo "TRIAL does not hold: $1"
		systemctl poweroff
		exit 1
	fi
}
not() { ! "$@"; }
says() { "${@:2}" 2>&1 | tee /dev/stderr | grep -q -- "$1"; }
ready() {
	for _ in $(seq 100); do
		if curl -s --fail http://127.0.0.1:7480/readyz; then return; fi
		sleep 0.1
	done
	return 1
}
# property NAME VALUE
property() { test "$(systemctl show --property "$1" --value wardein)" = "$2"; }
found() {
	systemd-run --pipe --wait --collect --quiet -p User=wardein -p UMask=0077 -p LoadCredentialEncrypted=passphrase:wardein.passphrase \
		sh -c 'exec /usr/local/bin/wardein init --dir /var/lib/wardein --passphrase-file "$CREDENTIALS_DIRECTORY/passphrase" \
			--trust-domain devices.example.org --listen 0.0.0.0:7443'
}
# status_by MODE...: the database's status with the password that is encrypted for the service.
status() {
	systemd-run --pipe --wait --collect --quiet -p User=wardein -p LoadCredentialEncrypted=db.password:wardein.db.password sh -c \
		'exec /usr/local/bin/wardein db status --password-file "$CREDENTIALS_DIRECTORY/db.password" --url postgresql://wardein@%2Frun%2Fpostgresql/wardein'
}
# sandboxed: what the process has, by the kernel's word.
sandboxed() {
	local at
	at=/proc/$(systemctl show --property MainPID --value wardein)
	grep -q '^NoNewPrivs:.*1' "$at/status" && grep -q '^Seccomp:.*2' "$at/status" && grep -q '^CapBnd:.*0000000000000000' "$at/status" &&
		! nsenter --target "${at#/proc/}" --mount -- touch /etc/mine 2>/dev/null &&
		! nsenter --target "${at#/proc/}" --mount -- test -e /dev/vda
}
serving() {
	for _ in $(seq 100); do
		if property ActiveState active && ready; then return; fi
		sleep 0.2
	done
	return 1
}

holds "cloud-init has ended without an error" says '^status: done' cloud-init status --wait --long
holds "the program is there" /usr/local/bin/wardein --version
holds "another program is not put in its place" not /usr/local/sbin/wardein-install file:///etc/passwd "$(printf '%064d' 0)"
holds "nor is the former one gone" /usr/local/bin/wardein --version
holds "the directory is for the service alone" test "$(stat -c '%U %a' /var/lib/wardein)" = "wardein 700"
holds "the service waits for an authority" property ConditionResult no
holds "the passphrase is encrypted" sh -c 'echo "correct horse battery" | systemd-creds encrypt --name=passphrase - /etc/credstore.encrypted/wardein.passphrase'
holds "and nowhere in the clear" not grep -rq 'correct horse battery' /etc /var/lib/cloud /var/lib/wardein
holds "the authority is founded" found
holds "it is started" systemctl start wardein
holds "and serves" ready
holds "its memory is locked" grep -q 'VmLck:.*[1-9]' "/proc/$(systemctl show --property MainPID --value wardein)/status"
holds "it dumps no memory" sh -c 'journalctl --no-pager --unit wardein | grep "no core dumps; locked"'
holds "it is shut in" sandboxed
holds "a tenant is made" /usr/local/bin/wardein tenant create klinik --dir /var/lib/wardein
holds "it is killed" systemctl kill --signal KILL wardein
sleep 1
holds "and started again by itself" serving
holds "with what was acknowledged" says klinik /usr/local/bin/wardein tenant list --dir /var/lib/wardein
holds "it is stopped in order" systemctl stop wardein
holds "with exit code 0" property ExecMainStatus 0
holds "a database's password is encrypted" sh -c 'echo secret | systemd-creds encrypt --name=db.password - /etc/credstore.encrypted/wardein.db.password'
holds "and read as a private file" says 'error: PostgreSQL database wardein at /run/postgresql: ' status
holds "where it is encrypted and not needed, it serves as well" systemctl start wardein
holds "and is ready" ready
echo "TRIAL all held"
systemctl poweroff

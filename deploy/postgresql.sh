#!/usr/bin/env bash
# The roles of deploy/postgresql on Debian's PostgreSQL, over TLS and with passwords: tables by their owner, an authority that serves by a role
# that may change no table and no audit entry, from a directory that is read-only, a second one beside it, a third one behind pgbouncer, and a
# fourth one over a failover of the database. Exit code 0 only if every check held.
#
# postgresql.sh      needs no argument; all that it makes is in a directory that it removes. WARDEIN_BINARY names the `wardein` to serve; else
#                    it is target/quick/wardein, which is built if it is missing
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
# shellcheck source=deploy/trial.sh
source deploy/trial.sh

if (($# > 0)); then
	echo "usage: postgresql.sh" >&2
	exit 2
fi

readonly user=65532
house=
server=
server2=
pgbouncer=
nodes=()
unprivileged=()

at_exit() {
	local result=$? number
	for number in "${nodes[@]}"; do
		kill -TERM "$number" 2>/dev/null || true
		wait "$number" 2>/dev/null || true
	done
	if [[ -n $pgbouncer ]]; then kill -TERM "$pgbouncer" 2>/dev/null || true; fi
	for number in $server $server2; do
		kill -INT "$number" 2>/dev/null || true
		while kill -0 "$number" 2>/dev/null; do sleep 0.1; done
	done
	if ((result != 0)) && [[ -n $house ]]; then tail -n 8 "$house"/*.log >&2 || true; fi
	if [[ -n $house ]]; then
		chmod -R u+w "$house"
		rm -rf "$house"
	fi
}
trap at_exit EXIT

prepare() {
	debian curl jq openssl pgbouncer postgresql procps python3 util-linux
	if [[ -z ${WARDEIN_BINARY:-} ]]; then
		WARDEIN_BINARY=${CARGO_TARGET_DIR:-$PWD/target}/quick/wardein
		if [[ ! -x $WARDEIN_BINARY ]]; then
			echo "building; this takes some minutes"
			cargo build --locked --profile quick -p wardein
		fi
	fi
	bin=$(find /usr/lib/postgresql -path '*/bin/initdb' -printf '%h\n' | sort -V | tail -n 1)
	house=$(mktemp -d)
	chmod 755 "$house"
}

# by_postgres command...: the server refuses to run as root.
by_postgres() {
	if ((EUID == 0)); then setpriv --reuid postgres --regid postgres --init-groups "$@"; else "$@"; fi
}

# The server's certificate, and the CA that certified it.
certify() {
	local key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
	openssl req -x509 "${key[@]}" -days 2 -subj /CN=db-ca -keyout "$house/ca.key" -out "$house/ca.pem"
	openssl req "${key[@]}" -subj /CN=localhost -keyout "$house/db/server.key" -out "$house/server.csr"
	openssl x509 -req -in "$house/server.csr" -CA "$house/ca.pem" -CAkey "$house/ca.key" -CAcreateserial -days 2 \
		-extfile <(echo subjectAltName=DNS:localhost) -out "$house/db/server.pem"
}

# database NAME PORT OPTION...: a server with those files.
database() {
	by_postgres "$bin/postgres" -D "$house/db/$1" -k "$house/db" -c "port=$2" -c listen_addresses=127.0.0.1 -c "hba_file=$house/pg_hba.conf" \
		-c ssl=on -c "ssl_cert_file=$house/db/server.pem" -c "ssl_key_file=$house/db/server.key" -c log_statement=all "${@:3}" \
		</dev/null >>"$house/server.log" 2>&1 &
	up "$2"
}

start() {
	local name
	mkdir "$house/db" "$house/secrets"
	certify 2>"$house/openssl.log"
	chmod 600 "$house/db/server.key"
	if ((EUID == 0)); then chown -R postgres: "$house/db"; fi
	by_postgres "$bin/initdb" --auth=scram-sha-256 --auth-local=peer --encoding=UTF8 --locale=C --no-sync -D "$house/db/data" \
		--username "$(by_postgres id -un)" >"$house/initdb.log"
	cat >"$house/pg_hba.conf" <<-end
		local   all      $(by_postgres id -un)                     peer
		local   replication $(by_postgres id -un)                  peer
		hostssl postgres administrator  127.0.0.1/32  scram-sha-256
		hostssl wardein  administrator  127.0.0.1/32  scram-sha-256
		hostssl wardein  wardein_owner  127.0.0.1/32  scram-sha-256
		hostssl wardein  wardein        127.0.0.1/32  scram-sha-256
	end
	read -r port port2 pool grpc http grpc2 http2 <<<"$(ports 7)"
	database data "$port"
	server=$(head -n 1 "$house/db/data/postmaster.pid")
	for name in administrator owner db; do
		(umask 077 && openssl rand -base64 24 >"$house/secrets/$name.password")
	done
	# An administrator as managed services give one: not a superuser.
	by_postgres "$bin/psql" -q -h "$house/db" -p "$port" -d postgres -v ON_ERROR_STOP=1 \
		-v "verifier=$(python3 deploy/postgresql/scram.py "$house/secrets/administrator.password")" \
		<<<"CREATE ROLE administrator LOGIN CREATEDB CREATEROLE PASSWORD :'verifier'"
}

# sql ROLE DATABASE OPTION...: psql as that role, over TLS, with the password from a file.
sql() {
	local file=$1
	case $1 in
	wardein_owner) file=owner ;;
	wardein) file=db ;;
	esac
	(umask 077 && printf 'localhost:%s:*:%s:%s\n' "$port" "$1" "$(<"$house/secrets/$file.password")" >"$house/pgpass")
	PGPASSFILE=$house/pgpass PGSSLMODE=verify-full PGSSLROOTCERT=$house/ca.pem \
		"$bin/psql" -X -qAt -v ON_ERROR_STOP=1 -h localhost -p "$port" -U "$1" -d "$2" "${@:3}"
}

roles() {
	sql administrator postgres -v database=wardein -v "owner_password=$house/secrets/owner.password" \
		-v "service_password=$house/secrets/db.password" -f deploy/postgresql/roles.sql
}

# refused STATEMENT: whether the role that serves may not do that.
refused() { says 'permission denied\|no privileges were granted\|must be owner\|must be superuser\|only superuser' sql wardein wardein -c "$1"; }

# db COMMAND ROLE PASSWORD-FILE OPTION...
db() {
	"$WARDEIN_BINARY" db "$1" --url "postgresql://$2@localhost:$port/wardein" --password-file "$house/secrets/$3.password" \
		--ca-file "$house/ca.pem" "${@:4}"
}

make() {
	holds "the roles and the database are made, by an administrator who is not a superuser" roles
	holds "and again" roles
	holds "the server's log has what was said" grep -q 'ALTER ROLE wardein_owner.*SCRAM-SHA-256' "$house/server.log"
	holds "and no password" not grep -qF -e "$(<"$house/secrets/owner.password")" -e "$(<"$house/secrets/db.password")" "$house/server.log"
	holds "the role that serves makes no tables" says 'permission denied' db init wardein db
	holds "their owner does" db init wardein_owner owner --role wardein
	holds "another password is refused" says 'password' db status wardein owner
	holds "so is a connection without TLS" says 'no pg_hba.conf entry.*no encryption' env PGSSLMODE=disable "PGPASSFILE=$house/pgpass" \
		"$bin/psql" -X -w -h localhost -p "$port" -U wardein -d wardein -c 'SELECT 1'
	holds "the owner is locked until the next release" sql administrator postgres -c 'ALTER ROLE wardein_owner NOLOGIN'
	holds "and cannot log in" says 'not permitted to log in' db status wardein_owner owner
}

# node NAME GRPC HTTP [HOST:PORT,...]: an authority that serves from a directory of files that root gives to its group, linked as Kubernetes links them, and
# read-only. Its number is added to `nodes`.
node() {
	local folder=$house/$1 name
	mkdir -p "$folder/..data_1"
	ln -s ..data_1 "$folder/..data"
	sed -e "s|127.0.0.1:$grpc|127.0.0.1:$2|; s|127.0.0.1:$http|127.0.0.1:$3|; s|localhost:$grpc|localhost:$2|" \
		-e "s|localhost:$port/|${4:-localhost:$port}/|" -e 's,^\(password_file\|ca_file\|key_file\) = ".*/,\1 = ",' "$house/a/wardein.toml" >"$folder/..data/wardein.toml"
	cp "$house/a/custody.json" "$house/secrets/root.key" "$house/secrets/db.password" "$house/ca.pem" "$folder/..data/"
	for name in wardein.toml custody.json root.key db.password ca.pem; do ln -s "..data/$name" "$folder/$name"; done
	chmod 440 "$folder"/..data/{custody.json,root.key,db.password}
	if ((EUID == 0)); then
		chown -R "root:$user" "$folder"
		unprivileged=(setpriv --reuid "$user" --regid "$user" --clear-groups --bounding-set -all --no-new-privs)
	else
		chmod 400 "$folder"/..data/{custody.json,root.key,db.password}
	fi
	chmod 550 "$folder" "$folder/..data_1"
	"${unprivileged[@]}" "$WARDEIN_BINARY" serve --config "$folder/wardein.toml" </dev/null >"$folder.log" 2>&1 &
	nodes+=("$!")
}

ready() {
	local tries=0
	until curl -s --fail "http://127.0.0.1:$1/readyz"; do
		((++tries < 300)) || return 1
		sleep 0.1
	done
}

serve() {
	holds "the authority is founded by the role that serves" "$WARDEIN_BINARY" init --dir "$house/a" --trust-domain db.example \
		--key-file "$house/secrets/root.key" --store postgresql --postgresql-url "postgresql://wardein@localhost:$port/wardein" \
		--postgresql-password-file "$house/secrets/db.password" --postgresql-ca-file "$house/ca.pem" \
		--listen "127.0.0.1:$grpc" --http "127.0.0.1:$http"
	node first "$grpc" "$http"
	holds "it serves from files that are read-only" ready "$http"
	holds "and makes a tenant" "$WARDEIN_BINARY" tenant create klinik --dir "$house/a"
	node second "$grpc2" "$http2"
	holds "a second one serves beside it" ready "$http2"
	holds "and knows what the first one made" says klinik "$WARDEIN_BINARY" tenant list --dir "$house/a" --endpoint "https://localhost:$grpc2"
}

# within SECONDS command...: whether that holds before they have passed.
within() {
	local end=$((SECONDS + $1))
	until "${@:2}"; do
		((SECONDS < end)) || return 1
		sleep 0.1
	done
}

rights() {
	local table before after
	before=$(sql wardein wardein -c 'SELECT count(*), max(seq) FROM wardein.audit')
	for table in audit audit_index; do
		holds "the role that serves updates no row of wardein.$table" refused "UPDATE wardein.$table SET ${audit_columns[$table]} = ''"
		holds "deletes none" refused "DELETE FROM wardein.$table"
		holds "and locks none" refused "BEGIN; LOCK TABLE wardein.$table IN EXCLUSIVE MODE"
		holds "nor does MERGE go around it" refused "MERGE INTO wardein.$table a USING wardein.head h ON true WHEN MATCHED THEN DELETE"
	done
	while read -r table; do
		holds "it truncates no $table" refused "TRUNCATE $table"
		holds "alters none" refused "ALTER TABLE $table ADD COLUMN more int"
		holds "gives itself no trigger on it" refused "CREATE TRIGGER t AFTER INSERT ON $table EXECUTE FUNCTION suppress_redundant_updates_trigger()"
		holds "and drops none" refused "DROP TABLE $table"
	done < <(sql wardein wardein -c "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'wardein' ORDER BY 1")
	for statement in 'CREATE TABLE wardein.mine ()' 'CREATE TABLE public.mine ()' 'CREATE TEMPORARY TABLE mine ()' 'CREATE SCHEMA mine' \
		'CREATE ROLE mine' 'SET ROLE wardein_owner' 'SET session_replication_role = replica' \
		'ALTER SYSTEM SET fsync = off' 'GRANT UPDATE ON wardein.audit TO wardein' 'DELETE FROM wardein.head' \
		"COPY wardein.audit TO '/tmp/audit'"; do
		holds "nor: $statement" refused "$statement"
	done
	after=$(sql wardein wardein -c 'SELECT count(*), max(seq) FROM wardein.audit')
	holds "the audit log is as it was ($after)" test "$before" = "$after"
}

# node_of COMMAND ARGUMENT...: wardein node.
node_of() {
	"$WARDEIN_BINARY" node "$1" --url "postgresql://wardein@localhost:$port/wardein" --password-file "$house/secrets/db.password" \
		--ca-file "$house/ca.pem" "${@:2}"
}

one_killed() {
	kill -KILL "${nodes[0]}"
	wait "${nodes[0]}" || true
	unset 'nodes[0]'
	holds "the second goes on" curl -s --fail "http://127.0.0.1:$http2/readyz"
	holds "with all that was acknowledged" says klinik "$WARDEIN_BINARY" tenant list --dir "$house/a" --endpoint "https://localhost:$grpc2"
	holds "and its audit log" says tenant.create "$WARDEIN_BINARY" audit list --dir "$house/a" --endpoint "https://localhost:$grpc2"
	holds "and is among the nodes" says ", process ${nodes[1]}" node_of list
}

# pooler: pgbouncer in the mode that keeps nothing of a session from one transaction to the next.
pooler() {
	by_postgres pgbouncer -q "$house/pooler/pgbouncer.ini" </dev/null >>"$house/pooler.log" 2>&1 &
	up "$pool"
	pgbouncer=$(<"$house/pooler/pid")
}

pooled() {
	local number
	kill -TERM "${nodes[1]}"
	wait "${nodes[1]}" || true
	unset 'nodes[1]'
	mkdir "$house/pooler"
	cp "$house/db/server.key" "$house/db/server.pem" "$house/pooler/"
	# With what the server verifies by, it logs in as who logs in to it; no password is needed.
	by_postgres "$bin/psql" -qAt -h "$house/db" -p "$port" -d postgres \
		-c "SELECT format('\"%s\" \"%s\"', rolname, rolpassword) FROM pg_authid WHERE rolname = 'wardein'" >"$house/pooler/users"
	cat >"$house/pooler/pgbouncer.ini" <<-end
		[databases]
		wardein = host=localhost port=$port
		[pgbouncer]
		listen_addr = 127.0.0.1
		listen_port = $pool
		unix_socket_dir =
		pidfile = $house/pooler/pid
		pool_mode = transaction
		default_pool_size = 4
		auth_type = scram-sha-256
		auth_file = $house/pooler/users
		client_tls_sslmode = require
		client_tls_key_file = $house/pooler/server.key
		client_tls_cert_file = $house/pooler/server.pem
		server_tls_sslmode = verify-full
		server_tls_ca_file = $house/ca.pem
	end
	chmod 600 "$house/pooler"/{server.key,users}
	if ((EUID == 0)); then chown -R postgres: "$house/pooler"; fi
	pooler
	node third "$grpc" "$http" "localhost:$pool"
	holds "it serves through a pool of transactions" ready "$http"
	"$WARDEIN_BINARY" operator issue --role station --tenant klinik --name line-1 --validity 1d --quota 500 --out "$house/station" --dir "$house/a" >"$house/said"
	{
		echo id,model
		for number in {1..200}; do echo "pump-$number,pump"; done
	} >"$house/batch.csv"
	holds "it enrolls 200 devices" "$WARDEIN_BINARY" device enroll --identity "$house/station" --csv "$house/batch.csv" --out "$house/devices"
	kill -KILL "$pgbouncer"
	while kill -0 "$pgbouncer" 2>/dev/null; do sleep 0.1; done
	pooler
	holds "it goes on when the pool was killed" within 15 "$WARDEIN_BINARY" tenant create radiologie --dir "$house/a"
	holds "as the same process" kill -0 "${nodes[*]}"
	holds "and has all devices" test "$("$WARDEIN_BINARY" device list --tenant klinik --limit 500 --dir "$house/a" | grep -o 'pump-[0-9]*' | sort -u | wc -l)" = 200
}

# The change of the root key that none of them could keep is on record, and is finished where custody.json can be written.
finished() {
	holds "while the killed one is on the list, the root key is not changed" says nodes-running "$WARDEIN_BINARY" key rotate --root --yes --dir "$house/a"
	node_of list --json | jq --raw-output --arg own ", process ${nodes[*]}" '.nodes[] | select(.name | endswith($own) | not) | .id' >"$house/gone"
	while read -r gone; do holds "it is taken off" node_of remove "$gone"; done <"$house/gone"
	sleep 1
	holds "one that cannot keep another root key does not change it" says 'custody' "$WARDEIN_BINARY" key rotate --root --yes --dir "$house/a"
	holds "and goes on" "$WARDEIN_BINARY" tenant create praxis --dir "$house/a"
	for number in "${nodes[@]}"; do
		kill -TERM "$number"
		wait "$number" || true
	done
	nodes=()
	holds "the root key is the first one" says '^versions *1$' "$WARDEIN_BINARY" custody status --dir "$house/a"
	"$WARDEIN_BINARY" serve --config "$house/a/wardein.toml" </dev/null >"$house/last.log" 2>&1 &
	nodes+=("$!")
	holds "it serves from a directory that it can write to" ready "$http"
	holds "and the root key changes" within 30 says '^versions *2$' "$WARDEIN_BINARY" custody status --dir "$house/a"
	holds "with all that was there" says pump-200 "$WARDEIN_BINARY" device list --tenant klinik --dir "$house/a"
}

# by_socket PORT STATEMENT: as the superuser.
by_socket() { by_postgres "$bin/psql" -X -qAt -v ON_ERROR_STOP=1 -h "$house/db" -p "$1" -d postgres -c "$2"; }

# serving: starts the fourth one, as systemd and Kubernetes do where it has ended.
serving() {
	if ! kill -0 "${nodes[-1]}" 2>/dev/null; then
		"${unprivileged[@]}" "$WARDEIN_BINARY" serve --config "$house/fourth/wardein.toml" </dev/null >>"$house/fourth.log" 2>&1 &
		nodes+=("$!")
		sleep 1
		return 1
	fi
	curl -s --fail "http://127.0.0.1:$http2/readyz"
}

# A primary with a synchronous standby, which takes its place.
failover() {
	local old=$server begin number
	kill -TERM "${nodes[-1]}"
	wait "${nodes[-1]}" || true
	nodes=()
	by_postgres "$bin/pg_basebackup" -R -D "$house/db/standby" -c fast -X stream -d "host=$house/db port=$port application_name=standby"
	# One that was promoted has no standby yet, and would wait for one.
	database standby "$port2" -c synchronous_standby_names=
	server2=$(head -n 1 "$house/db/standby/postmaster.pid")
	by_socket "$port" "ALTER SYSTEM SET synchronous_standby_names = 'standby'"
	by_socket "$port" 'SELECT pg_reload_conf()' >"$house/said"
	holds "the standby is synchronous" within 10 says '^standby sync$' by_socket "$port" "SELECT application_name || ' ' || sync_state FROM pg_stat_replication"
	cp "$house/a/custody.json" "$house/custody.json"
	node fourth "$grpc2" "$http2" "localhost:$port2,localhost:$port"
	holds "of two hosts it takes the one that takes writes" ready "$http2"
	for number in {1..40}; do
		"$WARDEIN_BINARY" tenant create "ward-$number" --dir "$house/a" --endpoint "https://localhost:$grpc2" 2>/dev/null >&2 || break
		echo "ward-$number" >>"$house/acknowledged"
		if ((number == 20)); then kill -KILL "$old" $(pgrep -P "$old"); fi
	done
	begin=$SECONDS
	by_socket "$port2" 'SELECT pg_promote()' >"$house/said"
	server=
	holds "when the primary was killed and the standby promoted, it serves again" within 60 serving
	echo "  $((SECONDS - begin)) s after the promotion, $((${#nodes[@]} - 1)) times started again"
	holds "with all that was acknowledged ($(wc -l <"$house/acknowledged"))" diff "$house/acknowledged" <("$WARDEIN_BINARY" tenant list --dir "$house/a" \
		--endpoint "https://localhost:$grpc2" | grep -oFxf "$house/acknowledged" <(tr ' ' '\n' </dev/stdin) | sort -u -V)
	holds "and takes more" "$WARDEIN_BINARY" tenant create after --dir "$house/a" --endpoint "https://localhost:$grpc2"
}

# confirmed: the database is on another timeline, and no node ran meanwhile.
confirmed() {
	kill -TERM "${nodes[-1]}"
	wait "${nodes[-1]}" || true
	nodes=()
	kill -INT "$server2"
	while kill -0 "$server2" 2>/dev/null; do sleep 0.1; done
	by_postgres touch "$house/db/standby/standby.signal"
	database standby "$port2" -c synchronous_standby_names=
	server2=$(head -n 1 "$house/db/standby/postmaster.pid")
	by_socket "$port2" 'SELECT pg_promote()' >"$house/said"
	"${unprivileged[@]}" "$WARDEIN_BINARY" serve --config "$house/fourth/wardein.toml" </dev/null >"$house/fourth.log" 2>&1 &
	nodes+=("$!")
	holds "a start on a timeline that is not on record waits" within 20 grep -q 'db confirm-failover' "$house/fourth.log"
	holds "and is not ready" not curl -s --fail "http://127.0.0.1:$http2/readyz"
	holds "nothing is confirmed unasked" says 'nothing was done' db_at "$port2" confirm-failover
	holds "it is confirmed" says 'is on record' db_at "$port2" confirm-failover --yes
	holds "and the node goes on by itself" ready "$http2"
	holds "with all that was acknowledged" says 'ward-1\b' "$WARDEIN_BINARY" tenant list --dir "$house/a" --endpoint "https://localhost:$grpc2"
}

# db_at PORT COMMAND OPTION...: as the role that serves.
db_at() {
	"$WARDEIN_BINARY" db "$2" --url "postgresql://wardein@localhost:$1/wardein" --password-file "$house/secrets/db.password" \
		--ca-file "$house/ca.pem" "${@:3}"
}

# A column of bytea in each.
declare -rA audit_columns=([audit]=entry [audit_index]=more)

part "PostgreSQL, and the program" prepare
part "a server, over TLS and with passwords" start
part "roles, database and tables" make
part "two services" serve
part "what the role that serves may not do" rights
part "one is killed" one_killed
part "behind pgbouncer" pooled
part "a change of the root key that waited" finished
part "the standby takes the primary's place" failover
part "another timeline while no node runs" confirmed
printf '\nEvery check held, in %d s. Nothing was left running.\n' "$SECONDS"

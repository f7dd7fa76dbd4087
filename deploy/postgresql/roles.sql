-- The two roles of an authority's database, and the database: `wardein_owner` makes and alters the tables, `wardein` serves. Neither is a
-- superuser, nor may it make roles or databases. The same again changes the passwords, and nothing else. Run it as a superuser, or on a managed
-- service as its administrator, from the repository's root:
--
--   psql -X -d postgres -v database=wardein -v owner_password=owner.password -v service_password=db.password -f deploy/postgresql/roles.sql
--
-- Both passwords are in files. The server gets what it verifies them by, as from `\password`, and so do its logs; neither gets the passwords.
\set ON_ERROR_STOP on
\set owner_verifier `python3 deploy/postgresql/scram.py :'owner_password'`
\set service_verifier `python3 deploy/postgresql/scram.py :'service_password'`

SELECT format('CREATE ROLE %I', role)
FROM unnest(ARRAY['wardein_owner', 'wardein']) AS role
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role)
\gexec
-- An empty verifier is no password, and no login.
ALTER ROLE wardein_owner LOGIN NOINHERIT NOCREATEDB NOCREATEROLE PASSWORD :'owner_verifier';
ALTER ROLE wardein LOGIN NOINHERIT NOCREATEDB NOCREATEROLE PASSWORD :'service_verifier';

-- Who gives a database to a role must be a member of it, unless that is a superuser.
GRANT wardein_owner TO CURRENT_USER;
SELECT format('CREATE DATABASE %I OWNER wardein_owner TEMPLATE template0 ENCODING ''UTF8'' LOCALE ''C''', :'database')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database')
\gexec
\connect :database
SET ROLE wardein_owner;
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO wardein;
RESET ROLE;
REVOKE wardein_owner FROM CURRENT_USER;

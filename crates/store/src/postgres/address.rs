//! Where the database is, and how it is reached: over TLS that is verified, or through a Unix socket.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::words;
use crate::open::OpenError;

/// A database, and how it is reached.
#[derive(Clone)]
pub struct Address {
    config: Config,
    tls: MakeRustlsConnect,
    shown: PathBuf,
}

impl Address {
    /// A database by its URL (libpq's, "Connection URIs"), without a password: that comes apart. `ca` is PEM of the CAs that
    /// certify the server; a Unix socket needs none, nor does a server on this machine with `sslmode=disable`. Several hosts may be
    /// named: the one that takes writes is used.
    pub fn parse(url: &str, password: Option<&[u8]>, ca: Option<&[u8]>) -> Result<Self, OpenError> {
        // Not the URL itself, which may have a password in it.
        let unreadable = |what: &dyn fmt::Display| OpenError::failed(Path::new("postgresql.url"), what);
        let mut config: Config = url.parse().map_err(|error| unreadable(&words(&error)))?;
        if config.get_password().is_some() {
            return Err(unreadable(&"has a password in it; put that into a file, and name the file"));
        }
        if config.get_hosts().is_empty() {
            return Err(unreadable(&"names no host"));
        }
        let shown = shown(&config);
        let failed = |what: &dyn fmt::Display| OpenError::failed(&shown, what);
        let is_remote = config.get_hosts().iter().any(|host| !is_local(host));
        let is_by_socket = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
        let is_plain = is_by_socket || config.get_ssl_mode() == SslMode::Disable;
        if is_plain && is_remote {
            return Err(failed(
                &"sslmode=disable is for this machine alone; leave it out, and name the CA of the server",
            ));
        }
        if !is_plain && ca.is_none() {
            return Err(failed(&"its certificate can be verified with the CA alone; set postgresql.ca_file"));
        }
        config
            .ssl_mode(if is_plain { SslMode::Disable } else { SslMode::Require })
            .application_name("wardein")
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .connect_timeout(CONNECT)
            .tcp_user_timeout(SILENCE)
            .keepalives_idle(SILENCE / 2);
        if let Some(password) = password {
            config.password(password);
        }
        let tls = tls(ca).map_err(|what| failed(&what))?;
        Ok(Self { config, tls, shown })
    }

    /// As errors name it: without secrets.
    pub(crate) fn shown(&self) -> &Path {
        &self.shown
    }

    pub(super) fn config(&self) -> (Config, MakeRustlsConnect) {
        (self.config.clone(), self.tls.clone())
    }

    /// A connection, whose other half is driven by a task of the present runtime.
    pub(super) async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = self.config.connect(self.tls.clone()).await?;
        tokio::spawn(async move {
            // The client's calls say what is wrong with it.
            let _ = connection.await;
        });
        Ok(client)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.shown).finish()
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
    }
}

fn shown(config: &Config) -> PathBuf {
    let host = match config.get_hosts().first() {
        Some(Host::Unix(path)) => path.display().to_string(),
        Some(Host::Tcp(name)) => name.clone(),
        None => String::new(),
    };
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    PathBuf::from(format!("PostgreSQL database {database} at {host}"))
}

fn tls(ca: Option<&[u8]>) -> Result<MakeRustlsConnect, String> {
    let mut roots = RootCertStore::empty();
    for certificate in ca.into_iter().flat_map(CertificateDer::pem_slice_iter) {
        let certificate = certificate.map_err(|error| format!("the CA of the server is not PEM: {error}"))?;
        roots.add(certificate).map_err(|error| format!("the CA of the server cannot be used: {error}"))?;
    }
    if ca.is_some() && roots.is_empty() {
        return Err("the file of its CA has no certificate in it".to_owned());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// How long a connection may take to come to be.
const CONNECT: Duration = Duration::from_secs(5);

/// After which silence of its machine a connection is given up.
const SILENCE: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> String {
        Address::parse(url, None, None).err().unwrap().to_string()
    }

    #[test]
    fn a_password_and_a_server_that_cannot_be_verified_are_refused() {
        let with_password = refused("postgresql://wardein:hunter2@db.example/wardein");
        assert!(with_password.contains("password") && !with_password.contains("hunter2"), "{with_password}");
        assert!(refused("postgresql://wardein@db.example/wardein").contains("ca_file"));
        let plain = refused("postgresql://wardein@db.example/wardein?sslmode=disable");
        assert!(plain.contains("this machine alone") && plain.contains("db.example"), "{plain}");
        let both = refused("postgresql://wardein@localhost,db.example/wardein?sslmode=disable");
        assert!(both.contains("this machine alone"), "{both}");
        assert!(refused("postgresql:///wardein").contains("names no host"));
        assert!(refused("mysql://hunter2").contains("postgresql.url"));
        assert!(!refused("postgresql://u:hunter2@[").contains("hunter2"));
        let no_ca = Address::parse("postgresql://w@db.example/w", None, Some(b"no certificate"));
        assert!(no_ca.err().unwrap().to_string().contains("no certificate in it"));
    }

    #[test]
    fn this_machine_is_reached_in_plain_where_that_is_asked_and_secrets_are_not_shown() {
        for url in [
            "postgresql://wardein@localhost/wardein?sslmode=disable",
            "postgresql://wardein@127.0.0.1/wardein?sslmode=disable",
            "postgresql://wardein@%2Frun%2Fpostgresql/wardein",
        ] {
            let address = Address::parse(url, Some(b"hunter2"), None).unwrap();
            assert!(!format!("{address:?}").contains("hunter2"));
            assert_eq!(address.config.get_ssl_mode(), SslMode::Disable);
        }
    }
}

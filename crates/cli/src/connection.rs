//! Where the authority is, and as whom it is called.

use crate::config::Config;
use crate::files;
use crate::identity::{IdentityFiles, named};
use crate::secret::{KeyPassphraseArgs, Passphrase, PrivateKey};
use crate::{Failure, time};
use clap::Args;
use std::path::PathBuf;
use wardein_client::{ConnectError, Connection, Identity, Operator, Platform, Refusal, Settings, Station};
use wardein_domain::{TenantId, with_causes};

/// Where the authority is, and as whom to call it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectArgs {
    /// The directory of an authority on this machine: its administrator's identity and its endpoint
    #[arg(long, env = "WARDEIN_DIR", hide_env_values = true, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// An identity instead: the directory that `wardein operator issue` made, or a certificate in PEM
    #[arg(long, alias = "station-identity", value_name = "DIR|FILE")]
    pub identity: Option<PathBuf>,
    /// The key of an --identity that is a certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "identity")]
    pub identity_key: Option<PathBuf>,
    /// Where the passphrase of the identity's key comes from
    #[command(flatten)]
    pub key_passphrase: KeyPassphraseArgs,
    /// The certificates that the authority's server must lead to, in PEM, where they are not in the directory
    #[arg(long, value_name = "FILE")]
    pub roots: Option<PathBuf>,
    /// Where the authority answers, where the directory does not say it
    #[arg(long, value_name = "https://HOST:PORT")]
    pub endpoint: Option<String>,
}

/// A connection with what is known of it.
pub struct Session {
    connection: Connection,
    /// Where it leads.
    pub endpoint: String,
    /// What the server's certificate must lead to, PEM.
    pub roots: String,
    /// The caller's own tenant, where its identity's directory says it.
    pub tenant: Option<String>,
    /// What the caller's key is under.
    pub(crate) key_passphrase: Option<Passphrase>,
}

impl ConnectArgs {
    /// Reaches the authority.
    pub async fn open(&self) -> Result<Session, Failure> {
        let IdentityFiles { certificate, key, roots, endpoint, tenant } = self.identity_files()?;
        let certificate = files::read(&certificate)?;
        let roots = files::read(&roots)?;
        let name = named(&certificate, &roots);
        let PrivateKey { pem, passphrase } = PrivateKey::read(&key, &self.key_passphrase)?;
        let identity = Identity { certificates: certificate.into_bytes(), key: pem };
        let mut settings = Settings::new(endpoint.clone(), roots.clone().into_bytes());
        settings.identity = Some(identity);
        let connection = wardein_client::connect(&settings).await.map_err(|error| unreached(&name, error))?;
        Ok(Session { connection, endpoint, roots, tenant, key_passphrase: passphrase })
    }

    fn identity_files(&self) -> Result<IdentityFiles, Failure> {
        let found = match (&self.identity, &self.dir) {
            (Some(identity), _) if identity.is_dir() => IdentityFiles::of_operator(identity)?,
            (Some(certificate), _) => IdentityFiles {
                certificate: certificate.clone(),
                key: self.identity_key.clone().ok_or_else(|| missing("--identity-key"))?,
                roots: self.roots.clone().ok_or_else(|| missing("--roots"))?,
                endpoint: self.endpoint.clone().ok_or_else(|| missing("--endpoint"))?,
                tenant: None,
            },
            (None, Some(dir)) => {
                let config = Config::read(&dir.join(Config::FILE)).map_err(Failure::failed)?;
                IdentityFiles::of_administrator(dir, config.network.endpoint)
            }
            (None, None) => {
                let message =
                    "give --dir (or WARDEIN_DIR) on the authority's machine, or --identity elsewhere";
                return Err(Failure::Usage(message.to_owned()));
            }
        };
        Ok(IdentityFiles {
            roots: self.roots.clone().unwrap_or(found.roots),
            endpoint: self.endpoint.clone().unwrap_or(found.endpoint),
            ..found
        })
    }
}

impl Session {
    /// The authority, called as an administrator or auditor.
    pub fn operator(&self) -> Operator {
        self.connection.operator()
    }

    /// The authority, called as a station.
    pub(crate) fn station(&self) -> Station {
        self.connection.station()
    }

    /// The authority, called as a platform.
    pub(crate) fn platform(&self) -> Platform {
        self.connection.platform()
    }

    /// The tenant that a command is about: the one that was named, or the caller's own.
    pub(crate) fn tenant(&self, named: Option<String>) -> Result<String, Failure> {
        named.or_else(|| self.tenant.clone()).ok_or_else(|| missing("--tenant"))
    }

    /// The caller's own tenant, judged.
    pub(crate) fn own_tenant(&self) -> Result<Option<TenantId>, Failure> {
        self.tenant.as_deref().map(str::parse).transpose().map_err(Failure::failed)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        if refusal.code == Refusal::TRANSPORT {
            return Self::Unreachable(refusal.message);
        }
        let Refusal { code, message: reason, request_id, proposal, .. } = refusal;
        let proposal = proposal.map(|id| wardein_crypto::hex::encode(&id));
        Self::Refused { code, reason, request_id, proposal }
    }
}

impl From<wardein_station::Error> for Failure {
    fn from(error: wardein_station::Error) -> Self {
        match error {
            wardein_station::Error::Call(refusal) => refusal.into(),
            error => Self::Failed(with_causes(&error)),
        }
    }
}

fn missing(option: &str) -> Failure {
    Failure::Usage(format!("missing {option}"))
}

/// `name` is that of the identity.
pub(crate) fn unreached(name: &str, error: ConnectError) -> Failure {
    let words = with_causes(&error);
    match error {
        ConnectError::IdentityEnded { at } => {
            let ended = time::at(at);
            Failure::Identity(format!(
                "the identity {name} ended {ended}; have an administrator issue another (wardein operator issue)"
            ))
        }
        ConnectError::ClockBehind { .. } | ConnectError::AuthorityEnded { .. } => Failure::Clock(words),
        ConnectError::Endpoint(_) => Failure::Usage(words),
        ConnectError::Material(_)
        | ConnectError::OtherRoot { .. }
        | ConnectError::Directory { .. }
        | ConnectError::KeyEncrypted { .. }
        | ConnectError::KeyNotOpened { .. } => Failure::Failed(words),
        _ => Failure::Unreachable(format!("{words}. Is it running? Start it with: wardein serve")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_to_start_an_authority_that_is_not_at_fault() {
        let ended = unreached("station/klinik/line-1", ConnectError::IdentityEnded { at: 1_700_000_000 });
        assert_eq!((ended.code(), ended.to_string().contains("serve")), (1, false));
        assert!(
            ended.to_string().starts_with("the identity station/klinik/line-1 ended 2023-11-14T22:13:20Z;"),
            "{ended}"
        );
        let behind = unreached("x", ConnectError::ClockBehind { now: 1_000, from: 8_200 });
        assert_eq!(
            behind.to_string(),
            "this machine's clock is 2 h behind the authority's certificate; set it"
        );
        assert_eq!(behind.code(), 1);
    }
}

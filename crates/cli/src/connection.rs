//! Where the authority is, and as whom it is called.

use crate::config::Config;
use crate::environment::{self, Caller, Environment};
use crate::files;
use crate::identity::{IdentityFiles, Named};
use crate::secret::{KeyPassphraseArgs, Passphrase, PrivateKey};
use crate::{Failure, output, time};
use clap::Args;
use std::path::PathBuf;
use wardein_client::{
    ConnectError, Connection, Identity, Operator, Platform, Refusal, Settings, Station, unix_now, v1,
};
use wardein_domain::{TenantId, with_causes};

/// Where the authority is, and as whom to call it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectArgs {
    /// The directory of an authority on this machine: its administrator's identity and its endpoint. Without it and --identity
    /// count WARDEIN_IDENTITY, then WARDEIN_DIR, then the context in use (`wardein context`)
    #[arg(long, value_name = "DIR")]
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
    /// The caller's own tenant, where its identity says one.
    pub tenant: Option<String>,
    /// The tenant that commands are about where they name none, by WARDEIN_TENANT or the context in use.
    meant: Option<String>,
    /// What the caller's key is under.
    pub(crate) key_passphrase: Option<Passphrase>,
}

impl ConnectArgs {
    /// The administrator of an authority on this machine.
    pub(crate) fn of_directory(dir: PathBuf) -> Self {
        Self {
            dir: Some(dir),
            identity: None,
            identity_key: None,
            key_passphrase: KeyPassphraseArgs::default(),
            roots: None,
            endpoint: None,
        }
    }

    /// Reaches the authority.
    pub async fn open(&self) -> Result<Session, Failure> {
        let environment = Environment::of_process();
        let (IdentityFiles { certificate, key, roots, endpoint, tenant }, of_context) =
            self.identity_files(&environment)?;
        let certificate = files::read(&certificate)?;
        let roots = files::read(&roots)?;
        let named = Named::of(&certificate, &roots);
        let PrivateKey { pem, passphrase } = PrivateKey::read(&key, &self.key_passphrase)?;
        let identity = Identity { certificates: certificate.into_bytes(), key: pem };
        let mut settings = Settings::new(endpoint.clone(), roots.clone().into_bytes());
        settings.identity = Some(identity);
        if let Some(words) = named.ends_soon(unix_now()) {
            output::warn(&words);
        }
        let connection =
            wardein_client::connect(&settings).await.map_err(|error| unreached(&named.name, error))?;
        let (tenant, meant) = (tenant.or(named.tenant), environment.tenant.or(of_context));
        Ok(Session { connection, endpoint, roots, tenant, meant, key_passphrase: passphrase })
    }

    /// The directory of an authority on this machine, where one is named.
    pub fn directory(&self) -> Option<PathBuf> {
        self.dir.clone().or_else(|| Environment::of_process().dir)
    }

    /// The files to call with, and the tenant of the context that they are of.
    fn identity_files(&self, environment: &Environment) -> Result<(IdentityFiles, Option<String>), Failure> {
        let mut of_context = None;
        let found = match environment.caller(self.identity.clone(), self.dir.clone())? {
            Some(Caller::Identity(identity)) if identity.is_dir() => IdentityFiles::of_operator(&identity)?,
            Some(Caller::Identity(certificate)) => IdentityFiles {
                certificate,
                key: self.identity_key.clone().ok_or_else(|| missing("--identity-key"))?,
                roots: self.roots.clone().ok_or_else(|| missing("--roots"))?,
                endpoint: self.endpoint.clone().ok_or_else(|| missing("--endpoint"))?,
                tenant: None,
            },
            Some(Caller::Administrator(dir)) => {
                let config = Config::read(&dir.join(Config::FILE)).map_err(Failure::failed)?;
                IdentityFiles::of_administrator(&dir, config.network.endpoint)
            }
            Some(Caller::Context(context)) => {
                let files = IdentityFiles::of_operator(&context.identity)?;
                of_context = context.tenant;
                IdentityFiles { endpoint: context.endpoint.unwrap_or(files.endpoint), ..files }
            }
            None => {
                let message = "give --dir (or WARDEIN_DIR) on the authority's machine, or --identity (or WARDEIN_IDENTITY, or \
                               `wardein context add`) elsewhere";
                return Err(Failure::Usage(message.to_owned()));
            }
        };
        let files = IdentityFiles {
            roots: self.roots.clone().unwrap_or(found.roots),
            endpoint: self.endpoint.clone().unwrap_or(found.endpoint),
            ..found
        };
        Ok((files, of_context))
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

    /// The tenant that a command is about: the one that was named, the caller's own, that of WARDEIN_TENANT or the context in use,
    /// or the only one that there is.
    pub(crate) async fn tenant(&self, named: Option<String>) -> Result<String, Failure> {
        if let Some(tenant) = named {
            return Ok(tenant);
        }
        if let Some(tenant) = environment::tenant(self.tenant.clone(), self.meant.clone())? {
            return Ok(tenant);
        }
        // Two say as much as all.
        let request = v1::ListTenantsRequest { page_size: 2, ..Default::default() };
        match &self.operator().list_tenants(request).await?.tenants[..] {
            [only] => Ok(only.tenant.clone()),
            [] => Err(Failure::Usage("there is no tenant yet; make one: wardein tenant create".to_owned())),
            _ => Err(Failure::Usage(
                "missing --tenant: there are several tenants; name one with it, or with WARDEIN_TENANT"
                    .to_owned(),
            )),
        }
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

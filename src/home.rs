//! An authority's directory: its layout, and how it is opened.

use crate::{database, tokens};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use wardein_cli::config::{Config, StoreKind};
use wardein_cli::{Failure, PassphraseArgs};
use wardein_custody::{
    CustodyError, Environment, Kind, KmsTarget, Opened, Passphrase, PassphraseSource, Protection,
};
use wardein_engine::Ports;
use wardein_pki::{CaCertificate, Root, pem};
use wardein_port::{Store, SystemClock};
use wardein_store::moving::Place;
use wardein_store::postgres::{self, PostgresStore, Sharing};
use wardein_store::{OpenError, Options};

/// The file that says that a directory is an authority's, or was to become one.
pub(crate) const MARKER: &str = "wardein-authority";

/// Where a founding makes its files: a directory of this name in the authority's, or one whose name ends so beside it.
pub(crate) const FOUNDING: &str = ".founding";

/// Between two looks whether a database can be had, and the first between two calls of AWS KMS.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest between two calls of AWS KMS.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A directory with its configuration.
pub(crate) struct Home {
    directory: PathBuf,
    pub(crate) config: Config,
}

impl Home {
    /// The directory of the configuration.
    pub(crate) fn of_config(path: &Path) -> Result<Self, Failure> {
        let directory = wardein_durable::directory_of(path);
        if !path.exists() && directory.join(FOUNDING).exists() {
            let words = format!(
                "the founding in {} was cut short; run the same `wardein init` or `wardein restore` again",
                directory.display()
            );
            return Err(Failure::Failed(words));
        }
        let config = Config::read(path).map_err(Failure::failed)?;
        Ok(Self { directory: directory.to_owned(), config })
    }

    /// A directory that `config` belongs to.
    pub(crate) fn new(directory: PathBuf, config: Config) -> Self {
        Self { directory, config }
    }

    /// A file of it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// How the root key is wrapped.
    pub(crate) fn custody(&self) -> PathBuf {
        self.file("custody.json")
    }

    /// The store, created if missing.
    pub(crate) fn open_store(&self) -> Result<Arc<dyn Store>, Failure> {
        let Some(kind) = embedded(&self.config) else {
            return Ok(Arc::new(self.open_database(Sharing::Alone)?.map_err(failed)?));
        };
        let path = self.file(kind.file_name());
        wardein_store::open(kind, &path, &Options::default())
            .map_err(|error| Failure::file("open", &path, error))
    }

    /// The same for a restore in place, wherever a database is and whatever is missing there.
    pub(crate) fn store_to_restore(&self) -> Result<Arc<dyn Store>, Failure> {
        if embedded(&self.config).is_some() {
            return self.open_store();
        }
        Ok(Arc::new(self.open_database(Sharing::Restoring)?.map_err(failed)?))
    }

    /// After it: a database is from now on where it is.
    pub(crate) fn settle_store(&self) -> Result<(), Failure> {
        if embedded(&self.config).is_some() {
            return Ok(());
        }
        postgres::settle(&database::configured(self)?).map_err(failed)
    }

    /// The same for a service, which shares a database with other nodes. While another process must be alone with it, it waits, and says so
    /// by `waiting`, once for each reason; likewise until the timeline of a database is on record.
    pub(crate) fn take_store(&self, waiting: impl Fn(&OpenError)) -> Result<Arc<dyn Store>, Failure> {
        if embedded(&self.config).is_some() {
            return self.open_store();
        }
        let mut said = String::new();
        loop {
            match self.open_database(Sharing::Shared)? {
                Ok(store) => return Ok(Arc::new(store)),
                Err(
                    error @ (OpenError::Locked(_)
                    | OpenError::Unconfirmed { .. }
                    | OpenError::Contested { .. }),
                ) => {
                    let words = error.to_string();
                    if said != words {
                        waiting(&error);
                        said = words;
                    }
                    std::thread::sleep(PAUSE);
                }
                Err(error) => return Err(failed(error)),
            }
        }
    }

    fn open_database(&self, sharing: Sharing) -> Result<Result<PostgresStore, OpenError>, Failure> {
        Ok(PostgresStore::open(&database::configured(self)?, &self.node_name(), sharing))
    }

    /// Where its store of that kind is, or would be.
    pub(crate) fn place(&self, kind: StoreKind) -> Result<Place, Failure> {
        Ok(match kind_of(kind) {
            Some(kind) => Place::Embedded(kind, self.file(kind.file_name())),
            None => {
                Place::Postgresql { address: Box::new(database::configured(self)?), name: self.node_name() }
            }
        })
    }

    /// How this process is shown to other nodes.
    fn node_name(&self) -> String {
        let machine = rustix::system::uname();
        let (host, directory) = (machine.nodename().to_string_lossy(), self.directory.canonicalize());
        let directory = directory.unwrap_or_else(|_| self.directory.clone());
        format!("{host}:{}, process {}", directory.display(), std::process::id())
    }

    /// The ports of commands that work on a store which no service has open.
    pub(crate) fn ports(&self, store: Arc<dyn Store>) -> Result<Ports, Failure> {
        Ok(Ports { signers: tokens::open_for_command(self)?, ..Ports::new(store, SystemClock) })
    }

    /// A path of the configuration: a relative one starts at the directory.
    pub(crate) fn relative(&self, path: &Path) -> PathBuf {
        self.directory.join(path)
    }

    /// The key file that is configured. A relative path starts at the directory.
    pub(crate) fn key_file(&self) -> Result<PathBuf, Failure> {
        let configured = &self.config.custody.key_file;
        if configured.as_os_str().is_empty() {
            let words =
                "first set custody.key_file in wardein.toml, to a file on another disk than the directory";
            return Err(Failure::Usage(words.to_owned()));
        }
        Ok(self.directory.join(configured))
    }

    /// The root key, out of custody. A passphrase comes from where the arguments say, or the configuration, or a person.
    /// Of a root key under a TPM or AWS KMS, a passphrase that the arguments name is the recovery passphrase, and they are not
    /// asked.
    pub(crate) fn open_custody(&self, passphrase: &PassphraseArgs) -> Result<Opened, Failure> {
        let custody = self.custody();
        let protection = match wardein_custody::kind(&custody).map_err(failed)? {
            Kind::KeyFile => Protection::KeyFile(self.key_file()?),
            Kind::Tpm => match recovery(passphrase)? {
                None => return wardein_custody::open_by_tpm(&custody, self.tpm()?).map_err(failed),
                Some(recovery) => Protection::Passphrase(recovery),
            },
            Kind::AwsKms => match recovery(passphrase)? {
                None => return self.open_by_kms().map_err(failed),
                Some(recovery) => Protection::Passphrase(recovery),
            },
            Kind::Passphrase => {
                Protection::Passphrase(self.passphrase_source(passphrase).read().map_err(failed)?)
            }
        };
        wardein_custody::open(&custody, &protection).map_err(failed)
    }

    /// The same for a service. While AWS KMS does not answer, it waits, and tries again: after a second, and each time twice as
    /// long up to half a minute. It says so each time by `waiting`. What does not pass by itself, such as a key that is disabled,
    /// is an error.
    pub(crate) fn take_custody(
        &self,
        passphrase: &PassphraseArgs,
        waiting: impl Fn(&CustodyError, Duration),
    ) -> Result<Opened, Failure> {
        let is_by_kms = wardein_custody::kind(&self.custody()).map_err(failed)? == Kind::AwsKms;
        if !is_by_kms || source(passphrase) != PassphraseSource::Prompt {
            return self.open_custody(passphrase);
        }
        let mut pause = PAUSE;
        loop {
            match self.open_by_kms() {
                Err(error) if error.is_passing() => {
                    waiting(&error, pause);
                    std::thread::sleep(pause);
                    pause = LONGEST_PAUSE.min(pause * 2);
                }
                done => return done.map_err(failed),
            }
        }
    }

    /// The root key, by AWS KMS.
    pub(crate) fn open_by_kms(&self) -> Result<Opened, CustodyError> {
        let replica = self.config.custody.aws_kms_key.as_str();
        let replica = (!replica.is_empty()).then_some(replica);
        wardein_custody::open_by_kms(&self.custody(), replica, &Environment::of_process())
    }

    /// The key of AWS KMS that is configured, for this authority.
    pub(crate) fn kms(&self) -> Result<KmsTarget, Failure> {
        let key = self.config.custody.aws_kms_key.as_str();
        if key.is_empty() {
            let words = "first set custody.aws_kms_key in wardein.toml to the ARN of the key";
            return Err(Failure::Usage(words.to_owned()));
        }
        let known = wardein_custody::status(&self.custody()).map_err(failed)?.authority;
        let authority = known.map_or_else(|| self.trust_domain(), Ok)?;
        KmsTarget::parse(key, &authority, Environment::of_process()).map_err(failed)
    }

    /// The trust domain, as the root's certificate says it.
    fn trust_domain(&self) -> Result<String, Failure> {
        let path = self.file("root-ca.pem");
        let text = std::fs::read(&path).map_err(|error| Failure::file("read", &path, error))?;
        let told = |error: &dyn std::fmt::Display| Failure::Failed(format!("{}: {error}", path.display()));
        let certificates = pem::read_certificates(&text).map_err(|error| told(&error))?;
        let root = certificates.first().ok_or_else(|| told(&"has no certificate"))?;
        let root = CaCertificate::<Root>::parse(root).map_err(|error| told(&error))?;
        Ok(root.trust_domain().to_string())
    }

    /// The TPM that is configured.
    pub(crate) fn tpm(&self) -> Result<&str, Failure> {
        match self.config.custody.tpm.as_str() {
            "" => {
                let words =
                    "first set custody.tpm in wardein.toml to where the TPM is, such as device:/dev/tpmrm0";
                Err(Failure::Usage(words.to_owned()))
            }
            tpm => Ok(tpm),
        }
    }

    fn passphrase_source(&self, args: &PassphraseArgs) -> PassphraseSource {
        let configured = &self.config.custody.passphrase_file;
        match source(args) {
            PassphraseSource::Prompt if !configured.as_os_str().is_empty() => {
                PassphraseSource::File(self.directory.join(configured))
            }
            source => source,
        }
    }
}

/// The embedded store that is configured; none where the records are in a database.
pub(crate) fn embedded(config: &Config) -> Option<wardein_store::Kind> {
    kind_of(config.store)
}

/// The embedded store of that kind; none of a database.
pub(crate) fn kind_of(kind: StoreKind) -> Option<wardein_store::Kind> {
    match kind {
        StoreKind::Sqlite => Some(wardein_store::Kind::Sqlite),
        StoreKind::Sled => Some(wardein_store::Kind::Sled),
        StoreKind::Postgresql => None,
    }
}

/// The name of the store that is configured.
pub(crate) fn store_name(config: &Config) -> &'static str {
    embedded(config).map_or("postgresql", wardein_store::Kind::name)
}

/// Where the arguments say that the passphrase comes from.
pub(crate) fn source(args: &PassphraseArgs) -> PassphraseSource {
    match (&args.passphrase_file, args.passphrase_fd) {
        (Some(path), _) => PassphraseSource::File(path.clone()),
        (None, Some(number)) => PassphraseSource::Descriptor(number),
        (None, None) => PassphraseSource::Prompt,
    }
}

/// The recovery passphrase, if the arguments name one.
pub(crate) fn recovery(args: &PassphraseArgs) -> Result<Option<Passphrase>, Failure> {
    match source(args) {
        PassphraseSource::Prompt => Ok(None),
        named => named.read().map(Some).map_err(failed),
    }
}

/// A failure by an error, with its causes.
pub(crate) fn failed(error: impl std::error::Error) -> Failure {
    Failure::Failed(wardein_domain::with_causes(&error))
}

//! The configuration file of `wardein-receive`, as `deploy/wardein-receive.example.toml` shows it.

use crate::receiver::{Limits, Settings};
use crate::tls::{Identity, read_private};
use crate::{MAX_SEALED, ServeError};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wardein_domain::TenantId;
use wardein_files::ReaderKey;
use wardein_logs::AudienceName;
use wardein_pki::pem;

/// The whole file. An unknown key is refused, so that a mistyped one is not silently without effect.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Where devices deliver, by HTTPS.
    pub listen: SocketAddr,
    /// The receiver's certificate, then those between it and its root, in PEM. It is read again while it runs.
    pub certificate: PathBuf,
    /// Its key, PKCS#8 in PEM, for its owner alone.
    pub key: PathBuf,
    /// The roots that devices' certificates lead to, in PEM: `root-ca.pem` of the authority.
    pub roots: PathBuf,
    /// Where records go, and what waits.
    pub directory: PathBuf,
    /// Whose devices deliver.
    #[serde(deserialize_with = "parsed")]
    pub tenant: TenantId,
    /// For whom the batches are that it takes: 1 to 16.
    pub audiences: Vec<AudienceName>,
    /// The authority that is asked about devices, and for keys.
    pub authority: AuthoritySection,
    /// What opens batches.
    #[serde(default)]
    pub open: OpenSection,
    /// What it may take.
    #[serde(default)]
    pub limits: LimitsSection,
    /// What it logs.
    #[serde(default)]
    pub log: LogSection,
}

/// The authority.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AuthoritySection {
    /// `https://HOST` or `https://HOST:PORT`.
    pub endpoint: String,
    /// The directory of a platform's identity of that tenant, as `wardein operator issue` makes it.
    pub identity: PathBuf,
    /// Why keys are released, for the authority's audit log: 1 to 256 bytes.
    #[serde(default = "default_reason")]
    pub reason: String,
}

/// What opens batches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OpenSection {
    /// A reader's key, as `age-keygen` writes it, for its owner alone. Without it the authority releases a key for each batch.
    pub reader_key: Option<PathBuf>,
}

/// What it may take.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct LimitsSection {
    /// Connections of devices at one time: 1 to 10,000.
    pub connections: usize,
    /// MiB of files that are on their way or wait: 64 to 1,048,576.
    pub incoming_mib: u64,
    /// Seconds that one file may take: 1 to 900.
    pub body_seconds: u64,
}

/// What it logs, to standard error.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct LogSection {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
}

impl Default for LimitsSection {
    fn default() -> Self {
        Self { connections: 256, incoming_mib: 2_048, body_seconds: 900 }
    }
}

impl Default for LogSection {
    fn default() -> Self {
        Self { level: "info".to_owned() }
    }
}

/// Why the configuration is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file, or one that it names, cannot be read.
    #[error("cannot read {}: {why}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// It is not TOML, or a key is unknown, missing or of another form.
    #[error("{}: {why}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        why: String,
    },
    /// A value is out of its bounds.
    #[error("{key}: {why}")]
    Value {
        /// Its key.
        key: &'static str,
        /// The bounds.
        why: &'static str,
    },
    /// The certificate and the key are of no use.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

impl Config {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = read(path)?;
        let malformed = |why: String| ConfigError::Malformed { path: path.to_owned(), why };
        let config: Self = toml::from_str(&text).map_err(|error| malformed(error.to_string()))?;
        config.judge()?;
        Ok(config)
    }

    fn judge(&self) -> Result<(), ConfigError> {
        let bounds = [
            ("audiences", (1..=16).contains(&self.audiences.len()), "are 1 to 16"),
            ("authority.reason", (1..=256).contains(&self.authority.reason.len()), "has 1 to 256 bytes"),
            ("limits.connections", (1..=10_000).contains(&self.limits.connections), "is 1 to 10000"),
            ("limits.incoming-mib", (64..=1_048_576).contains(&self.limits.incoming_mib), "is 64 to 1048576"),
            ("limits.body-seconds", (1..=900).contains(&self.limits.body_seconds), "is 1 to 900"),
            (
                "log.level",
                ["error", "warn", "info", "debug", "trace"].contains(&self.log.level.as_str()),
                "is error, warn, info, debug or trace",
            ),
        ];
        match bounds.into_iter().find(|(_, is_within, _)| !is_within) {
            Some((key, _, why)) => Err(ConfigError::Value { key, why }),
            None => Ok(()),
        }
    }

    /// What the receiver is told: the files that the configuration names are read.
    pub fn settings(&self) -> Result<Settings, ConfigError> {
        let roots = pem::decode_certificates(&read(&self.roots)?);
        let file = |path: &Path, why: &dyn std::fmt::Display| ConfigError::File {
            path: path.to_owned(),
            why: why.to_string(),
        };
        let reader_key = match &self.open.reader_key {
            None => None,
            Some(path) => {
                let key = read_private(path).map_err(|error| file(path, &error))?;
                let text = std::str::from_utf8(key.expose()).map_err(|error| file(path, &error))?;
                Some(ReaderKey::parse(text).map_err(|error| file(path, &error))?)
            }
        };
        Ok(Settings {
            directory: self.directory.clone(),
            tenant: self.tenant.clone(),
            audiences: self.audiences.clone(),
            roots: roots.map_err(|error| file(&self.roots, &error))?,
            reader_key,
            limits: Limits {
                // At least 64 MiB, which is twice the largest file.
                incoming_bytes: (self.limits.incoming_mib << 20).max(2 * MAX_SEALED),
                body_time: Duration::from_secs(self.limits.body_seconds),
                ..Limits::default()
            },
        })
    }

    /// The receiver's certificate and key.
    pub fn identity(&self) -> Identity {
        Identity { certificate: self.certificate.clone(), key: self.key.clone() }
    }

    /// Reads all that it names, and says what is wrong. Nobody is connected to, and nothing is written.
    pub fn check(&self) -> Result<(), ConfigError> {
        let settings = self.settings()?;
        let tls = crate::tls::Shown::read(self.identity());
        let tls = tls.and_then(|shown| crate::tls::configuration(shown, &settings.roots));
        tls.map_err(ServeError::Tls)?;
        for name in [wardein_client::CERTIFICATE, wardein_client::KEY, wardein_client::INFRASTRUCTURE] {
            let path = self.authority.identity.join(name);
            std::fs::File::open(&path).map_err(|error| ConfigError::File { path, why: error.to_string() })?;
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|error| ConfigError::File { path: path.to_owned(), why: error.to_string() })
}

fn parsed<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

fn default_reason() -> String {
    "logs are received".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/wardein-receive.example.toml");

    fn parse(text: &str) -> Result<Config, ConfigError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("receive.toml");
        std::fs::write(&path, text).unwrap();
        Config::read(&path)
    }

    #[test]
    fn the_example_has_every_key_and_the_defaults() {
        let config = Config::read(Path::new(EXAMPLE)).unwrap();
        assert_eq!((&config.limits, &config.log), (&LimitsSection::default(), &LogSection::default()));
        assert_eq!(config.authority.reason, default_reason());
        assert!(config.open.reader_key.is_none());
    }

    #[test]
    fn what_is_unknown_missing_or_out_of_bounds_is_named() {
        let example = std::fs::read_to_string(EXAMPLE).unwrap();
        for (from, to, words) in [
            ("listen =", "lissten =", "unknown field `lissten`"),
            ("tenant = \"klinik-nord\"", "", "missing field `tenant`"),
            ("tenant = \"klinik-nord\"", "tenant = \"../x\"", "line"),
            ("audiences = [\"maker\"]", "audiences = []", "audiences"),
            ("audiences = [\"maker\"]", "audiences = [\"a/b\"]", "a-z"),
            ("connections = 256", "connections = 0", "limits.connections"),
            ("incoming-mib = 2048", "incoming-mib = 63", "limits.incoming-mib"),
            ("body-seconds = 900", "body-seconds = 901", "limits.body-seconds"),
            ("level = \"info\"", "level = \"loud\"", "log.level"),
        ] {
            assert!(example.contains(from), "{from}");
            let error = parse(&example.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(words), "{from}: {error}");
        }
    }
}

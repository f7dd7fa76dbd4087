//! `[update]` of device.toml: which product line the device is of, where its updates are, and how they are installed.

use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use wardein_domain::RepositoryName;
use wardein_pki::pem;
use wardein_tuf::{Release, RoleName};

/// The section as it is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateSettings {
    /// The product line.
    pub line: RoleName,
    /// The model that this device is, as releases name it.
    pub model: String,
    /// Where the metadata is.
    pub repository: Place,
    /// Where the artifacts are.
    pub artifacts: Place,
    /// The repository's name with the authority; the last part of `repository` where none is given.
    pub name: Option<RepositoryName>,
    /// Whether the authority's offer is needed to install; where nothing is said, it is once the device is enrolled.
    pub offers: Option<bool>,
    /// The certificates that the servers of both must lead to, PEM; those of `trust_roots` where none is given.
    pub roots: Option<String>,
    /// The command that installs, with its first arguments; the file and the version are added. None where another program installs
    /// (`wardein-device update hawkbit`).
    pub install: Vec<String>,
    /// The command that ends with 0 where the device is not in use; none where it may be installed at any time.
    pub idle: Vec<String>,
}

/// Where files are. Nothing there is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `dir:/PATH`
    Directory(PathBuf),
    /// `https://HOST/PATH`, or `http://`.
    Web(String),
}

/// The section as it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateFields {
    line: String,
    model: String,
    repository: String,
    artifacts: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offers: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    roots: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    install: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    idle: Vec<String>,
}

impl UpdateSettings {
    pub(crate) fn judge(fields: &UpdateFields) -> Result<Self, Error> {
        let UpdateFields { line, model, repository, artifacts, name, offers, roots, install, idle } = fields;
        let name = name.as_deref().map(str::parse).transpose().map_err(|why| wrong("update.name", why))?;
        if !(1..=Release::MAX_MODEL).contains(&model.len()) {
            let why = format_args!("is not 1 to {} bytes", Release::MAX_MODEL);
            return Err(wrong("update.model", why));
        }
        if let Some(roots) = roots {
            pem::read_certificates(roots.as_bytes()).map_err(|error| wrong("update.roots", error))?;
        }
        let is_command = |command: &[String]| command.first().is_some_and(|program| program.starts_with('/'));
        if !install.is_empty() && !is_command(install) {
            return Err(wrong("update.install", "is not a command with an absolute path"));
        }
        if !idle.is_empty() && !is_command(idle) {
            return Err(wrong("update.idle", "is not a command with an absolute path"));
        }
        Ok(Self {
            line: RoleName::new(line).map_err(|why| wrong("update.line", why))?,
            model: model.clone(),
            repository: repository.parse().map_err(|why| wrong("update.repository", why))?,
            artifacts: artifacts.parse().map_err(|why| wrong("update.artifacts", why))?,
            name,
            offers: *offers,
            roots: roots.clone(),
            install: install.clone(),
            idle: idle.clone(),
        })
    }

    /// The repository's name with the authority, where it is given or `repository` ends with one.
    pub(crate) fn offers_from(&self) -> Option<RepositoryName> {
        let last = |text: &str| text.rsplit('/').find(|part| !part.is_empty()).map(str::to_owned);
        self.name.clone().or_else(|| last(&self.repository.to_string())?.parse().ok())
    }

    pub(crate) fn fields(&self) -> UpdateFields {
        UpdateFields {
            line: self.line.as_str().to_owned(),
            model: self.model.clone(),
            repository: self.repository.to_string(),
            artifacts: self.artifacts.to_string(),
            name: self.name.as_ref().map(ToString::to_string),
            offers: self.offers,
            roots: self.roots.clone(),
            install: self.install.clone(),
            idle: self.idle.clone(),
        }
    }
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("dir", path)) if path.starts_with('/') => Ok(Self::Directory(path.into())),
            Some(("https" | "http", rest)) if rest.starts_with("//") && rest.len() > 2 => {
                Ok(Self::Web(text.into()))
            }
            _ => Err("is none of dir:/PATH, https://HOST/PATH, http://HOST/PATH"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "dir:{}", path.display()),
            Self::Web(base) => f.write_str(base),
        }
    }
}

fn wrong(field: &'static str, why: impl fmt::Display) -> Error {
    Error::Config { field, why: why.to_string() }
}

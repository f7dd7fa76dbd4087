//! Contexts: names for *as whom, where, and about which tenant*, in one file of the user's. There is no secret in it: it names the
//! directory of an identity, whose key stays there.

use crate::environment::Environment;
use crate::identity::DESCRIPTION;
use crate::{Column, Failure, Output, Record, files};
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use wardein_domain::TenantId;
use wardein_durable::directory_of;

/// `wardein context`.
#[derive(Debug, Subcommand)]
pub(crate) enum ContextCommand {
    /// Add a context. The first one is in use from then on
    Add(AddArgs),
    /// Use a context: commands take from it what neither an option nor a variable says
    Use(NameArgs),
    /// List the contexts
    List,
    /// Remove a context. The identity stays where it is
    Remove(NameArgs),
}

/// `wardein context add`.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Its name: 1 to 64 of A-Z, a-z, 0-9 and '.', '_', '-'
    #[arg(value_parser = name)]
    name: String,
    /// The directory of an identity, as `wardein operator issue` makes it
    #[arg(long, value_name = "DIR")]
    identity: PathBuf,
    /// The tenant that commands are about where they name none
    #[arg(long)]
    tenant: Option<TenantId>,
    /// Where the authority answers, if not where the identity says
    #[arg(long, value_name = "https://HOST:PORT")]
    endpoint: Option<String>,
}

/// One context.
#[derive(Debug, Args)]
pub(crate) struct NameArgs {
    /// Its name
    #[arg(value_parser = name)]
    name: String,
}

/// As whom to call, where, and about which tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    /// The directory of an identity.
    pub(crate) identity: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tenant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint: Option<String>,
}

/// The file of them.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Contexts {
    /// The one in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    context: BTreeMap<String, Context>,
}

#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    is_current: bool,
    #[serde(flatten)]
    context: Context,
}

impl Record for Listed {
    const COLUMNS: &'static [Column<Self>] = &[
        ("in use", |listed| if listed.is_current { "yes" } else { "" }.to_owned()),
        ("name", |listed| listed.name.clone()),
        ("identity", |listed| listed.context.identity.display().to_string()),
        ("tenant", |listed| listed.context.tenant.clone().unwrap_or_default()),
        ("endpoint", |listed| listed.context.endpoint.clone().unwrap_or_default()),
    ];
}

impl ContextCommand {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let path = Environment::of_process().contexts.ok_or_else(|| {
            Failure::Usage("set HOME or XDG_CONFIG_HOME: contexts are kept below it".to_owned())
        })?;
        let mut contexts = Contexts::read(&path)?;
        let said = match self {
            Self::List => return out.list("contexts", &contexts.listed()),
            Self::Add(AddArgs { name, identity, tenant, endpoint }) => {
                // The directory from which it is added is not the one from which it is used.
                let identity = std::path::absolute(identity).map_err(Failure::failed)?;
                if !identity.join(DESCRIPTION).is_file() {
                    let identity = identity.display();
                    return Err(Failure::Usage(format!(
                        "--identity: {identity} has no {DESCRIPTION}; name a directory that `wardein operator issue` made"
                    )));
                }
                let tenant = tenant.map(|tenant| tenant.to_string());
                contexts.add(&name, Context { identity, tenant, endpoint })?;
                match contexts.current.as_ref() == Some(&name) {
                    true => format!("added context {name}, which is in use now"),
                    false => format!("added context {name}; use it with: wardein context use {name}"),
                }
            }
            Self::Use(NameArgs { name }) => {
                contexts.find(&name)?;
                contexts.current = Some(name.clone());
                format!("context {name} is in use now")
            }
            Self::Remove(NameArgs { name }) => {
                contexts.remove(&name)?;
                format!("removed context {name}")
            }
        };
        contexts.write(&path)?;
        out.say(&said, &serde_json::json!({ "current": contexts.current }))
    }
}

impl Contexts {
    /// The name of the file, below `wardein/` of the user's configuration.
    pub(crate) const FILE: &'static str = "contexts.toml";

    /// Those in a file; none where it is not there.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let bytes = files::read_bounded(path, MAX_FILE)?;
        let text = String::from_utf8(bytes).map_err(|error| Failure::file("read", path, error))?;
        let read: Self = toml::from_str(&text).map_err(|error| Failure::file("read", path, error))?;
        for named in read.context.keys().chain(&read.current) {
            name(named).map_err(|error| Failure::file("read", path, format_args!("a name {error}")))?;
        }
        for Context { tenant, .. } in read.context.values() {
            let parsed = tenant.as_deref().map(str::parse::<TenantId>).transpose();
            parsed.map_err(|error| Failure::file("read", path, error))?;
        }
        Ok(read)
    }

    /// Writes them, whole or not at all. Two commands at one time leave what one of them wrote.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Failure> {
        let failed = |error| Failure::file("write", path, error);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory_of(path)).map_err(failed)?;
        let text = toml::to_string(self).map_err(Failure::failed)?;
        wardein_durable::replace(path, text.as_bytes(), files::PRIVATE).map_err(failed)
    }

    /// Adds one; the first is in use from then on.
    pub(crate) fn add(&mut self, name: &str, context: Context) -> Result<(), Failure> {
        if self.context.contains_key(name) {
            return Err(Failure::Failed(format!(
                "there is a context {name} already; remove it first, or choose another name"
            )));
        }
        if self.context.len() == MAX_CONTEXTS {
            return Err(Failure::Failed(format!(
                "there are {MAX_CONTEXTS} contexts already; remove one first"
            )));
        }
        if self.context.is_empty() {
            self.current = Some(name.to_owned());
        }
        self.context.insert(name.to_owned(), context);
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), Failure> {
        self.find(name)?;
        self.context.remove(name);
        // No other takes its place by itself: a command would be about something that nobody chose.
        self.current.take_if(|current| current == name);
        Ok(())
    }

    fn find(&self, name: &str) -> Result<&Context, Failure> {
        self.context.get(name).ok_or_else(|| {
            Failure::Failed(format!("there is no context {name}; wardein context list shows those there are"))
        })
    }

    /// The one in use.
    pub(crate) fn into_current(mut self) -> Option<Context> {
        self.current.and_then(|current| self.context.remove(&current))
    }

    fn listed(&self) -> Vec<Listed> {
        let listed = |(name, context): (&String, &Context)| Listed {
            name: name.clone(),
            is_current: self.current.as_ref() == Some(name),
            context: context.clone(),
        };
        self.context.iter().map(listed).collect()
    }
}

fn name(text: &str) -> Result<String, &'static str> {
    let is_one = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_named = (1..=64).contains(&text.len()) && !text.starts_with('-') && text.bytes().all(is_one);
    match is_named {
        true => Ok(text.to_owned()),
        false => Err("takes 1 to 64 of A-Z, a-z, 0-9 and '.', '_', '-', and does not begin with '-'"),
    }
}

/// Bytes of the file.
const MAX_FILE: u64 = 256 * 1024;

const MAX_CONTEXTS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn context(identity: &str) -> Context {
        Context { identity: identity.into(), tenant: Some("klinik".to_owned()), endpoint: None }
    }

    #[test]
    fn contexts_are_read_as_they_were_written_and_the_first_is_in_use() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("config/wardein").join(Contexts::FILE);
        assert_eq!(Contexts::read(&path).unwrap(), Contexts::default());
        let mut contexts = Contexts::default();
        contexts.add("one", context("/a")).unwrap();
        contexts.add("two", context("/b \"c\"")).unwrap();
        contexts.write(&path).unwrap();
        let read = Contexts::read(&path).unwrap();
        assert_eq!(read, contexts);
        assert_eq!(read.into_current(), Some(context("/a")));
        assert!(contexts.add("one", context("/c")).unwrap_err().to_string().contains("already"));
        contexts.remove("one").unwrap();
        assert_eq!(contexts.current, None, "no other comes into use by itself");
        assert!(contexts.remove("one").is_err());
    }

    #[test]
    fn a_file_that_is_not_one_is_refused_by_its_name() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(Contexts::FILE);
        let wrong = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Contexts::read(&path).unwrap_err().to_string()
        };
        for text in [
            "[context.a]\nidentity = \"/a\"\nkey = \"secret\"",
            "[context.\"a\\u001b[31m\"]\nidentity = \"/a\"",
            "[context.a]\nidentity = \"/a\"\ntenant = \"Klinik Nord\"",
            "current = \"../a\"",
            &"#".repeat(MAX_FILE as usize + 1),
        ] {
            let said = wrong(text);
            assert!(said.contains(Contexts::FILE) && !said.contains('\u{1b}'), "{said}");
        }
        for bad in ["", "-a", "a b", "a/b", &"a".repeat(65)] {
            assert!(name(bad).is_err(), "{bad}");
        }
        assert!(name(&"a".repeat(64)).is_ok());
    }
}

//! What the surroundings of a command say where its options do not: as whom to call, where, and about which tenant.
//!
//! An option counts before a variable, and a variable before the context in use: what is nearest to the command is what was meant.

use crate::Failure;
use crate::context::{Context, Contexts};
use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

/// The variables that count, each as it was at the start. An empty one counts as none.
#[derive(Debug, Default, Clone)]
pub(crate) struct Environment {
    /// `WARDEIN_IDENTITY`: the directory of an identity.
    pub(crate) identity: Option<PathBuf>,
    /// `WARDEIN_DIR`: the directory of an authority on this machine.
    pub(crate) dir: Option<PathBuf>,
    /// `WARDEIN_TENANT`.
    pub(crate) tenant: Option<String>,
    /// Where contexts are kept; none without a home.
    pub(crate) contexts: Option<PathBuf>,
}

/// Whose files a connection is made with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Those of an identity: its directory, or its certificate.
    Identity(PathBuf),
    /// The administrator's of an authority on this machine.
    Administrator(PathBuf),
    /// Those of the context in use.
    Context(Context),
}

impl Environment {
    /// That of this process.
    pub(crate) fn of_process() -> Self {
        Self::of(|name| env::var_os(name))
    }

    fn of(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        // A relative path is to be ignored (XDG Base Directory Specification 0.8).
        let config = set("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let config = config.or_else(|| Some(PathBuf::from(set("HOME")?).join(".config")));
        Self {
            identity: set("WARDEIN_IDENTITY").map(PathBuf::from),
            dir: set("WARDEIN_DIR").map(PathBuf::from),
            tenant: set("WARDEIN_TENANT").map(|tenant| tenant.to_string_lossy().into_owned()),
            contexts: config.map(|config| config.join("wardein").join(Contexts::FILE)),
        }
    }

    /// As whom to call, where the options are these.
    pub(crate) fn caller(
        &self,
        identity: Option<PathBuf>,
        dir: Option<PathBuf>,
    ) -> Result<Option<Caller>, Failure> {
        if let Some(identity) = identity {
            return Ok(Some(Caller::Identity(identity)));
        }
        if let Some(dir) = dir {
            return Ok(Some(Caller::Administrator(dir)));
        }
        if let Some(identity) = &self.identity {
            if !identity.is_dir() {
                let identity = identity.display();
                return Err(Failure::Usage(format!(
                    "WARDEIN_IDENTITY: {identity} is not a directory of an identity; a certificate is named with --identity and \
                     --identity-key"
                )));
            }
            return Ok(Some(Caller::Identity(identity.clone())));
        }
        if let Some(dir) = &self.dir {
            return Ok(Some(Caller::Administrator(dir.clone())));
        }
        Ok(self.contexts()?.into_current().map(Caller::Context))
    }

    /// The contexts that there are.
    pub(crate) fn contexts(&self) -> Result<Contexts, Failure> {
        self.contexts.as_deref().map_or_else(|| Ok(Contexts::default()), Contexts::read)
    }
}

/// The tenant that is meant where no option names one: the caller's own, or that of the variable or context. A caller has one
/// tenant, and a variable that names another was set for somebody else.
pub(crate) fn tenant(own: Option<String>, meant: Option<String>) -> Result<Option<String>, Failure> {
    match (own, meant) {
        (Some(own), Some(meant)) if own != meant => Err(Failure::Usage(format!(
            "the identity is of tenant {own}, and WARDEIN_TENANT or the context in use names {meant}; name one with --tenant"
        ))),
        (own, meant) => Ok(own.or(meant)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(set: &[(&str, &str)]) -> Environment {
        Environment::of(|name| {
            set.iter().find_map(|(known, value)| (*known == name).then(|| OsString::from(value)))
        })
    }

    #[test]
    fn an_option_counts_before_a_variable_and_a_variable_before_the_context() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        std::fs::create_dir(path("me")).unwrap();
        let text = |path: &PathBuf| path.to_str().unwrap().to_owned();
        let (me, config) = (text(&path("me")), text(&home.path().to_owned()));
        let mut contexts = Contexts::default();
        contexts.add("here", Context { identity: path("me"), tenant: None, endpoint: None }).unwrap();
        let all =
            [("WARDEIN_IDENTITY", me.as_str()), ("WARDEIN_DIR", "/a"), ("XDG_CONFIG_HOME", config.as_str())];
        contexts.write(&environment(&all).contexts.unwrap()).unwrap();
        let caller = |set: &[(&str, &str)], identity: Option<&str>, dir: Option<&str>| {
            environment(set).caller(identity.map(PathBuf::from), dir.map(PathBuf::from)).unwrap()
        };
        let (one, two) = (PathBuf::from("/one"), PathBuf::from("/two"));
        assert_eq!(caller(&all, Some("/one"), Some("/two")), Some(Caller::Identity(one)));
        assert_eq!(caller(&all, None, Some("/two")), Some(Caller::Administrator(two)));
        assert_eq!(caller(&all, None, None), Some(Caller::Identity(path("me"))));
        assert_eq!(caller(&all[1..], None, None), Some(Caller::Administrator("/a".into())));
        assert!(matches!(caller(&all[2..], None, None), Some(Caller::Context(_))));
        assert_eq!(caller(&[], None, None), None);
        let file = environment(&[("WARDEIN_IDENTITY", "/nowhere/operator.pem")]).caller(None, None);
        assert!(file.unwrap_err().to_string().contains("--identity-key"));
    }

    #[test]
    fn an_empty_variable_counts_as_none_and_a_relative_home_is_ignored() {
        let empty = environment(&[("WARDEIN_IDENTITY", ""), ("WARDEIN_TENANT", ""), ("WARDEIN_DIR", "")]);
        assert_eq!((empty.identity, empty.tenant, empty.dir, empty.contexts), (None, None, None, None));
        let relative = environment(&[("XDG_CONFIG_HOME", "config"), ("HOME", "/home/a")]);
        assert_eq!(relative.contexts, Some("/home/a/.config/wardein/contexts.toml".into()));
    }

    #[test]
    fn a_tenant_that_is_not_the_callers_is_refused_and_not_acted_on() {
        let text = |tenant: &str| Some(tenant.to_owned());
        assert_eq!(tenant(text("a"), None).unwrap(), text("a"));
        assert_eq!(tenant(None, text("b")).unwrap(), text("b"));
        assert_eq!(tenant(text("a"), text("a")).unwrap(), text("a"));
        assert_eq!(tenant(None, None).unwrap(), None);
        assert!(tenant(text("a"), text("b")).unwrap_err().to_string().contains("--tenant"));
    }
}

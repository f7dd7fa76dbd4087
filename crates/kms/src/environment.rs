//! Where AWS's own tools look for credentials and addresses: variables, and the files that they name.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The variables of a process that concern AWS. They may hold credentials: there is no `Debug`.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Those of this process. What is not UTF-8 is left out.
    pub fn of_process() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::of(variables.filter(|(name, _)| name.starts_with("AWS_") || OTHERS.contains(&name.as_str())))
    }

    /// These.
    pub fn of<N: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// The value of a variable; an empty one is as good as none.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether it says `true`.
    pub(crate) fn says(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The bundle of CAs that a server of AWS is believed by.
    pub(crate) fn roots(&self) -> PathBuf {
        let named = self.get("AWS_CA_BUNDLE").or_else(|| self.get("SSL_CERT_FILE"));
        named.unwrap_or("/etc/ssl/certs/ca-certificates.crt").into()
    }
}

/// Beside those that begin with `AWS_`.
const OTHERS: [&str; 2] = ["HOME", "SSL_CERT_FILE"];

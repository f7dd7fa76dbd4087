//! What a tenant decides on updates of its devices, at its name. A row is never deleted: offers rest on its version.

use super::{IssuerRow, column};
use serde::{Deserialize, Serialize};
use wardein_domain::{LineName, RepositoryName, UnixSeconds};

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct SiteRow {
    pub(crate) needs_consent: bool,
    pub(crate) window: Option<WindowColumn>,
    /// By repository, line and release, each once; those of a line before those of its releases.
    pub(crate) choices: Vec<ChoiceColumn>,
}

/// Of a tenant that never said anything: nothing is offered without consent, and with it at any time.
impl Default for SiteRow {
    fn default() -> Self {
        Self { needs_consent: true, window: None, choices: Vec::new() }
    }
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Eq)]
pub(crate) struct WindowColumn {
    #[serde(with = "column::maybe")]
    pub(crate) not_before: Option<UnixSeconds>,
    #[serde(with = "column::maybe")]
    pub(crate) until: Option<UnixSeconds>,
    /// Minutes of the day.
    pub(crate) daily: Option<(u16, u16)>,
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct ChoiceColumn {
    #[serde(with = "column")]
    pub(crate) repository: RepositoryName,
    #[serde(with = "column")]
    pub(crate) line: LineName,
    /// None for all of the line.
    pub(crate) version: Option<u64>,
    /// Consent, or refusal.
    pub(crate) consents: bool,
    #[serde(with = "column")]
    pub(crate) at: UnixSeconds,
    pub(crate) by: IssuerRow,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{decode, encode};
    use wardein_crypto::hex;
    use wardein_domain::Serial;
    use wardein_port::Table;

    #[test]
    fn the_bytes_of_the_row_never_change() {
        let row = SiteRow {
            needs_consent: true,
            window: Some(WindowColumn {
                not_before: Some(UnixSeconds::new(300)),
                until: None,
                daily: Some((60, 300)),
            }),
            choices: vec![ChoiceColumn {
                repository: "maker".parse().unwrap(),
                line: "pumps".parse().unwrap(),
                version: Some(7),
                consents: true,
                at: UnixSeconds::new(300),
                by: IssuerRow { serial: Serial::from_random([7; 16]), name: "klinik/site/ada".into() },
            }],
        };
        assert_eq!(hex::encode(&encode(&row).unwrap()), GOLDEN);
        let read: SiteRow = decode(Table::SiteUpdates, &hex::decode(GOLDEN).unwrap()).unwrap();
        assert_eq!(hex::encode(&encode(&read).unwrap()), GOLDEN);
    }

    const GOLDEN: &str = "02010101ac0200013cac0201056d616b65720570756d7073010701ac02470707070707070707070707070707070f6b6c\
         696e696b2f736974652f616461";
}

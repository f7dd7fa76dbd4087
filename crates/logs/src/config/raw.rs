//! The fields of logs.toml as they are written, with their places.

use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

pub(super) type Text = Spanned<String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) audience: BTreeMap<Text, Spanned<Audience>>,
    pub(super) spool: Spanned<Spool>,
    pub(super) pseudonym: Option<Pseudonym>,
    pub(super) collector: Option<Spanned<Collector>>,
    #[serde(default)]
    pub(super) source: Vec<Spanned<Source>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Audience {
    pub(super) readers: Option<Spanned<Readers>>,
    pub(super) to: Text,
    pub(super) s3: Option<Spanned<S3>>,
    pub(super) unpinned: Option<Text>,
    #[serde(default)]
    pub(super) patient_data: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct S3 {
    pub(super) region: Text,
    pub(super) credentials: Text,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "takes \"authority\" or a list of age1... keys")]
pub(super) enum Readers {
    Word(String),
    Keys(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Spool {
    pub(super) directory: Text,
    pub(super) max_bytes: Option<Spanned<Size>>,
    pub(super) batch_bytes: Option<Spanned<Size>>,
    pub(super) batch_age: Option<Text>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "takes a number of bytes, or a text such as \"256MiB\"")]
pub(super) enum Size {
    Bytes(u64),
    Text(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pseudonym {
    pub(super) key: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Collector {
    pub(super) listen: Text,
    pub(super) certificate: Text,
    pub(super) key: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Source {
    pub(super) name: Text,
    pub(super) device: Option<Text>,
    pub(super) file: Option<Text>,
    pub(super) directory: Option<Text>,
    pub(super) r#match: Option<Text>,
    pub(super) syslog: Option<Text>,
    pub(super) encoding: Option<Text>,
    pub(super) max_line: Option<Spanned<Size>>,
    pub(super) start: Option<Text>,
    pub(super) parse: Option<Text>,
    pub(super) pattern: Option<Text>,
    #[serde(default)]
    pub(super) r#for: Vec<Spanned<Rule>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) audience: Text,
    #[serde(default)]
    pub(super) keep: Vec<Text>,
    #[serde(default)]
    pub(super) mask: Vec<Text>,
    #[serde(default)]
    pub(super) pseudonym: Vec<Text>,
    #[serde(default)]
    pub(super) only: BTreeMap<Text, Text>,
    #[serde(default)]
    pub(super) drop: BTreeMap<Text, Text>,
}

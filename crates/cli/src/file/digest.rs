//! `wardein file digest`: a list of keys as the audit log has it, made from files.

use super::stanza;
use crate::{Failure, Output};
use clap::Args;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use wardein_crypto::{Digest, hex};

/// `wardein file digest`.
#[derive(Debug, Args)]
pub(crate) struct DigestArgs {
    /// The sealed files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// A list of keys, as the audit log has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct List {
    keys: usize,
    /// SHA-256 over their names in byte order, each with a line feed: `LC_ALL=C sort -u | sha256sum`.
    keys_digest: Option<String>,
}

impl List {
    pub(super) fn of(names: &BTreeSet<String>) -> Self {
        let lines: String = names.iter().map(|name| format!("{name}\n")).collect();
        let digest = (!names.is_empty()).then(|| hex::encode(&Digest::of(lines.as_bytes()).0));
        Self { keys: names.len(), keys_digest: digest }
    }

    pub(super) fn words(&self) -> String {
        let Self { keys, keys_digest } = self;
        format!("keys: {keys}\nkeys-digest: {}", keys_digest.as_deref().unwrap_or("none"))
    }
}

impl DigestArgs {
    pub(super) fn run(self, out: Output) -> Result<(), Failure> {
        let mut names = BTreeSet::new();
        for file in &self.files {
            names.insert(stanza(file)?.name().to_string());
        }
        let list = List::of(&names);
        out.say(&list.words(), &list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf 'ddkg1:t/d/1.file.0.10\nddkg1:t/d/1.file.0.9\n' | sha256sum`.
    #[test]
    fn the_digest_is_what_sort_and_sha256sum_say() {
        let names = ["ddkg1:t/d/1.file.0.9", "ddkg1:t/d/1.file.0.10"].map(str::to_owned).into();
        let List { keys, keys_digest } = List::of(&names);
        assert_eq!((keys, keys_digest.as_deref()), (2, Some(DIGEST)));
        assert_eq!(List::of(&BTreeSet::new()), List { keys: 0, keys_digest: None });
    }

    const DIGEST: &str = "d12385fd4f0d46a8da5713caeeb3cd6a12e5023bf4bd9b27d9e1cdb9ca580d93";
}

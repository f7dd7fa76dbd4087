//! `wardein trust verify-receipt`, and what `wardein trust check` takes for a receipt.

use super::TRUSTED;
use crate::{Column, Failure, Output, Record, files, time};
use clap::Args;
use serde::Serialize;
use std::fs::File;
use std::io::{Read, stdin};
use std::path::{Path, PathBuf};
use wardein_client::{Expected, Receipt, ReceiptError, ReceiptKeys, unix_now, v1};
use wardein_crypto::hex;

#[derive(Debug, Args)]
pub(super) struct AskArgs {
    /// Have the answer signed, and write the receipt to this file, which must not exist yet
    #[arg(long, value_name = "FILE", requires = "audience", requires = "nonce")]
    receipt: Option<PathBuf>,
    /// Who is to accept the receipt
    #[arg(long, value_name = "NAME", requires = "receipt")]
    audience: Option<String>,
    /// What the receipt is to be bound to: 8 to 64 random bytes in hex, drawn for it
    #[arg(long, value_name = "HEX", requires = "receipt", value_parser = nonce)]
    nonce: Option<Nonce>,
}

impl AskArgs {
    /// Where the receipt goes, and what to ask for.
    pub(super) fn asked(self) -> Option<(PathBuf, v1::ReceiptRequest)> {
        let (path, audience, nonce) = (self.receipt?, self.audience?, self.nonce?);
        Some((path, v1::ReceiptRequest { audience, nonce: nonce.0 }))
    }
}

/// Offline: it asks nobody.
#[derive(Debug, Args)]
pub(crate) struct VerifyReceiptArgs {
    /// A file with the receipt; standard input where none is given
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    /// The authority's keys, a JWK Set as `/jwks.json` of its HTTP port has it: a file, or its file:// URL
    #[arg(long, value_name = "FILE")]
    jwks: String,
    /// For whom the receipt must be
    #[arg(long, value_name = "NAME")]
    audience: String,
    /// The nonce that it must have, in hex
    #[arg(long, value_name = "HEX", value_parser = nonce)]
    nonce: Nonce,
    /// The moment at which it must be good, such as 2026-11-29T21:00:00Z; now where none is given
    #[arg(long, value_name = "TIME", value_parser = time::moment)]
    at: Option<u64>,
}

#[derive(Debug, Clone)]
pub(super) struct Nonce(Vec<u8>);

fn nonce(text: &str) -> Result<Nonce, &'static str> {
    hex::decode_any_case(text).map(Nonce).ok_or("is no hex")
}

#[derive(Debug, Serialize)]
struct Verified {
    verdict: String,
    reasons: Vec<String>,
    tenant: String,
    device_id: String,
    state: String,
    asked: String,
    issued_at: u64,
    expires_at: u64,
    revision: u64,
    status_list: String,
    status_index: u64,
    issuer: String,
    id: String,
    key: String,
}

impl From<Receipt> for Verified {
    fn from(receipt: Receipt) -> Self {
        let asked: Vec<_> = receipt.asked.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let (status_list, status_index) = receipt.status.unwrap_or_default();
        Self {
            status_list,
            status_index,
            verdict: receipt.verdict,
            reasons: receipt.reasons,
            tenant: receipt.tenant,
            device_id: receipt.device_id.unwrap_or_default(),
            state: receipt.state.unwrap_or_default(),
            asked: asked.join(", "),
            issued_at: receipt.issued_at,
            expires_at: receipt.expires_at,
            revision: receipt.revision,
            issuer: receipt.issuer,
            id: receipt.id,
            key: receipt.kid,
        }
    }
}

impl Record for Verified {
    const COLUMNS: &'static [Column<Self>] = &[
        ("verdict", |of| of.verdict.clone()),
        ("because", |of| of.reasons.join(", ")),
        ("tenant", |of| of.tenant.clone()),
        ("device", |of| of.device_id.clone()),
        ("state", |of| of.state.clone()),
        ("asked about", |of| of.asked.clone()),
        ("given", |of| time::at(of.issued_at)),
        ("good until", |of| time::at(of.expires_at)),
        ("status list", |of| match of.status_list.as_str() {
            "" => String::new(),
            list => format!("{list}, index {}", of.status_index),
        }),
        ("by", |of| of.issuer.clone()),
        ("receipt", |of| of.id.clone()),
        ("key", |of| of.key.clone()),
    ];
}

impl VerifyReceiptArgs {
    pub(super) fn run(self, out: Output) -> Result<(), Failure> {
        let keys = files::read_bounded(&path_of(&self.jwks)?, ReceiptKeys::MAX_SET as u64)?;
        let keys = ReceiptKeys::parse(&keys).map_err(refused)?;
        let receipt = text(self.receipt.as_deref())?;
        let at = self.at.unwrap_or_else(unix_now);
        let expected = Expected { audience: &self.audience, nonce: &self.nonce.0, at };
        let verified = Verified::from(keys.verify(receipt.trim(), &expected).map_err(refused)?);
        out.one(&verified)?;
        if verified.verdict == TRUSTED { Ok(()) } else { Err(Failure::NotTrusted(verified.verdict)) }
    }
}

/// A path, or the URL of one on this machine (RFC 8089).
fn path_of(text: &str) -> Result<PathBuf, Failure> {
    match text.strip_prefix("file://") {
        Some(path) if path.starts_with('/') && !path.contains('%') => Ok(path.into()),
        None if !text.contains("://") => Ok(text.into()),
        _ => Err(Failure::Usage(
            "--jwks: give a file, or a file:///URL of one; nothing is fetched from elsewhere".to_owned(),
        )),
    }
}

/// One byte more than a receipt may have is read, and refused.
fn text(path: Option<&Path>) -> Result<String, Failure> {
    let (mut text, most) = (String::new(), ReceiptKeys::MAX_RECEIPT as u64 + 64);
    let named = path.unwrap_or(Path::new("standard input"));
    match path {
        Some(path) => File::open(path).and_then(|file| file.take(most).read_to_string(&mut text)),
        None => stdin().lock().take(most).read_to_string(&mut text),
    }
    .map_err(|error| Failure::file("read", named, error))?;
    Ok(text)
}

fn refused(error: ReceiptError) -> Failure {
    Failure::NotAccepted { code: error.code(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_a_file_of_this_machine() {
        for (text, path) in [("keys.json", "keys.json"), ("file:///a/keys.json", "/a/keys.json")] {
            assert_eq!(path_of(text).unwrap(), PathBuf::from(path));
        }
        for text in ["http://authority/jwks.json", "file://host/a", "file:///a%20b", "FILE:///a"] {
            assert!(matches!(path_of(text), Err(Failure::Usage(_))), "{text}");
        }
    }
}

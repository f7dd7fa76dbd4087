//! `wardein trust`.

mod explain;
mod keys;
mod login;
mod policy;
mod receipt;
mod replace_key;
mod watch;

use crate::connection::ConnectArgs;
use crate::{Column, Failure, Output, Record, files, time};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::fs::File;
use std::io::{Read, stdin};
use std::path::{Path, PathBuf};
use wardein_client::v1::check_request::Subject;
use wardein_client::{Word, time as wire, v1, word};
use wardein_crypto::{Entropy, SystemEntropy};
use wardein_ddkg::message::from_text;

#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    /// Ask whether a device, or a certificate that it showed, is to be trusted; exit code 5 where the verdict is not `trusted`. As a
    /// platform
    Check(CheckArgs),
    /// Say why a device is trusted or not, since when, who brought that about, and what to do
    Explain(explain::ExplainArgs),
    /// By which rules devices are trusted; as an administrator, `show` as an auditor too
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Print the verdict on each device of the tenant, and each that changes, until it is ended; as a platform
    Watch(watch::WatchArgs),
    /// Verify a receipt, which is a verdict that the authority signed, offline; exit code 5 where the verdict is not `trusted`
    VerifyReceipt(receipt::VerifyReceiptArgs),
    /// Replace the key that signs verdicts and status lists, for one that leaked: what it signed is refused. As an administrator
    ReplaceKey(replace_key::ReplaceKeyArgs),
    /// Verify the token that a device logs in with; it is good once. As a platform with the right `token`
    VerifyToken(login::VerifyArgs),
    /// Have the key of a sealed payload or a file, once. As a platform with the right `data` or `file`
    ReleaseKey(keys::ReleaseArgs),
    /// Have a small payload opened, once, without its key. As a platform with the right `open`
    Open(keys::OpenArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    subject: SubjectArgs,
    #[command(flatten)]
    receipt: receipt::AskArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct SubjectArgs {
    /// The device's id
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// The certificate that a device showed, in PEM or DER; of several in PEM the first counts
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The SPIFFE id in a device's certificate
    #[arg(long, value_name = "ID")]
    spiffe_id: Option<String>,
    /// The serial number of a certificate, in hex
    #[arg(long, value_name = "HEX")]
    serial: Option<String>,
    /// The fingerprint of a certificate: the SHA-256 of its DER in hex, with or without colons
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<String>,
}

#[derive(Debug, Serialize)]
struct Answer {
    verdict: String,
    reasons: Vec<String>,
    keep_until: u64,
    /// From when on time alone makes another verdict; 0 where it does not.
    valid_until: u64,
    /// What it may be used for after that, while the authority cannot be reached, and for how long.
    offline: Vec<String>,
    decided_at: u64,
    tenant: String,
    device_id: String,
    state: String,
    assurance: String,
    pcrs: String,
    quoted_at: u64,
    is_shared: bool,
    revision: u64,
}

impl From<v1::CheckResponse> for Answer {
    fn from(answer: v1::CheckResponse) -> Self {
        let verdict = verdict(answer.verdict);
        let v1::CheckResponse {
            reasons,
            keep_until,
            valid_until,
            offline,
            decided_at,
            tenant,
            device_id,
            state,
            assurance,
            pcrs,
            quoted_at,
            is_shared,
            revision,
            ..
        } = answer;
        Self {
            verdict,
            reasons: reasons.into_iter().map(word::<v1::Reason>).collect(),
            keep_until: wire::seconds(keep_until),
            valid_until: wire::seconds(valid_until),
            offline: policy::offline_texts(offline),
            decided_at: wire::seconds(decided_at),
            tenant,
            device_id,
            state: word::<v1::DeviceState>(state),
            assurance: word::<v1::Assurance>(assurance),
            pcrs: word::<v1::PcrStanding>(pcrs),
            quoted_at: wire::seconds(quoted_at),
            is_shared,
            revision,
        }
    }
}

impl Record for Answer {
    const COLUMNS: &'static [Column<Self>] = &[
        ("verdict", |answer| answer.verdict.clone()),
        ("because", |answer| answer.reasons.join(", ")),
        ("device", |answer| answer.device_id.clone()),
        ("state", |answer| answer.state.clone()),
        ("key held", |answer| answer.assurance.clone()),
        ("key shared", |answer| if answer.is_shared { "with another device" } else { "" }.to_owned()),
        ("registers", |answer| answer.pcrs.clone()),
        ("quoted", |answer| time::at(answer.quoted_at)),
        ("decided", |answer| time::at(answer.decided_at)),
        ("keep until", |answer| time::at(answer.keep_until)),
        ("valid until", |answer| time::at(answer.valid_until)),
        ("offline", |answer| answer.offline.join(" ")),
    ];
}

/// The verdict as a word. An answer that says nothing is no reason to trust.
fn verdict(number: i32) -> String {
    match number {
        0 => v1::Verdict::Unknown.word(),
        number => word::<v1::Verdict>(number),
    }
}

const TRUSTED: &str = "trusted";

impl TrustCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::Check(args) => args.run(out).await,
            Self::Explain(args) => args.run(out).await,
            Self::Policy(command) => command.run(out).await,
            Self::Watch(args) => args.run(out).await,
            Self::VerifyReceipt(args) => args.run(out),
            Self::ReplaceKey(args) => args.run(out).await,
            Self::VerifyToken(args) => args.run(out).await,
            Self::ReleaseKey(args) => args.run(out).await,
            Self::Open(args) => args.run(out).await,
        }
    }
}

impl CheckArgs {
    async fn run(self, out: Output) -> Result<(), Failure> {
        let Self { subject, receipt, connect } = self;
        let subject = match subject {
            SubjectArgs { device: Some(device), .. } => Subject::DeviceId(device),
            SubjectArgs { certificate: Some(path), .. } => {
                let mut chain = files::read_certificates(&path)?;
                Subject::Certificate(chain.swap_remove(0))
            }
            SubjectArgs { spiffe_id: Some(id), .. } => Subject::SpiffeId(id),
            SubjectArgs { serial: Some(serial), .. } => Subject::Serial(serial),
            SubjectArgs { fingerprint: Some(text), .. } => Subject::Fingerprint(text),
            _ => {
                let words = "give --device, --certificate, --spiffe-id, --serial or --fingerprint";
                return Err(Failure::Usage(words.to_owned()));
            }
        };
        let session = connect.open().await?;
        let (path, receipt) = receipt.asked().unzip();
        let request = v1::CheckRequest { subject: Some(subject), receipt };
        let answer = session.platform().check(request).await?;
        if let Some(path) = path {
            files::write_new(&path, format!("{}\n", answer.receipt).as_bytes(), 0o644)?;
        }
        let answer = Answer::from(answer);
        out.one(&answer)?;
        if answer.verdict == TRUSTED { Ok(()) } else { Err(Failure::NotTrusted(answer.verdict)) }
    }
}

/// Asks up to three times for what uses up a key, with the same idempotency key: where only the reply was lost, it is given again.
pub(crate) async fn until_answered<T>(
    mut ask: impl AsyncFnMut() -> Result<T, Failure>,
) -> Result<T, Failure> {
    for _ in 0..2 {
        match ask().await {
            Err(Failure::Unreachable(_)) => {}
            answer => return answer,
        }
    }
    ask().await
}

/// Fresh for each login and each release that begins.
pub(crate) fn idempotency_key() -> Result<Vec<u8>, Failure> {
    let random: [u8; 16] =
        SystemEntropy::default().array().map_err(|_| Failure::failed("the source of randomness failed"))?;
    Ok(random.to_vec())
}

/// A message in base64 from a file, or from standard input.
fn message(path: Option<&Path>, max: usize) -> Result<Vec<u8>, Failure> {
    let mut text = String::new();
    // Base64, and white space around it.
    let limit = 2 * max as u64;
    let named = path.unwrap_or(Path::new("standard input"));
    let failed = |error| Failure::file("read", named, error);
    match path {
        Some(path) => File::open(path).and_then(|file| file.take(limit).read_to_string(&mut text)),
        None => stdin().lock().take(limit).read_to_string(&mut text),
    }
    .map_err(failed)?;
    from_text(text.trim(), max).map_err(|error| Failure::Failed(format!("{}: {error}", named.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often it is asked, and whether it is answered, when so many answers are lost.
    async fn asked(lost: u32, end: fn() -> Result<(), Failure>) -> (bool, u32) {
        let mut count = 0;
        let result = until_answered(async || {
            count += 1;
            if count <= lost { Err(Failure::Unreachable(String::new())) } else { end() }
        });
        (result.await.is_ok(), count)
    }

    #[test]
    fn what_was_not_answered_is_asked_again_and_what_was_refused_is_not() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            assert_eq!(asked(0, || Ok(())).await, (true, 1));
            assert_eq!(asked(2, || Ok(())).await, (true, 3));
            assert_eq!(asked(9, || Ok(())).await, (false, 3));
            assert_eq!(asked(0, || Err(Failure::failed("refused"))).await, (false, 1));
        });
    }
}

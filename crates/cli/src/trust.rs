//! `wardein trust`.

use crate::connection::ConnectArgs;
use crate::{Failure, Output, Record, files, time};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::path::PathBuf;
use wardein_client::v1;
use wardein_pki::pem;

#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    /// Ask whether a device, or a certificate that it showed, is to be trusted; as a platform
    Check(CheckArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    subject: SubjectArgs,
    /// Fail with exit code 1 unless the verdict is `trusted`
    #[arg(long)]
    require_trusted: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct SubjectArgs {
    /// The device's id
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// The certificate that a device showed, in PEM; its first one counts
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Answer {
    verdict: &'static str,
    reasons: Vec<String>,
    keep_until: u64,
    decided_at: u64,
    tenant: String,
    device_id: String,
    state: String,
}

impl From<v1::CheckResponse> for Answer {
    fn from(answer: v1::CheckResponse) -> Self {
        let verdict = match answer.verdict() {
            v1::Verdict::Trusted => TRUSTED,
            v1::Verdict::NotTrusted => "not-trusted",
            // An answer that says nothing is no reason to trust.
            v1::Verdict::Unknown | v1::Verdict::Unspecified => "unknown",
        };
        let v1::CheckResponse { reasons, keep_until, decided_at, tenant, device_id, state, .. } = answer;
        Self { verdict, reasons, keep_until, decided_at, tenant, device_id, state }
    }
}

impl Record for Answer {
    const HEADS: &'static [&'static str] =
        &["verdict", "because", "device", "state", "decided", "keep until"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.verdict.to_owned(),
            self.reasons.join(", "),
            self.device_id.clone(),
            self.state.clone(),
            time::at(self.decided_at),
            time::at(self.keep_until),
        ]
    }
}

const TRUSTED: &str = "trusted";

impl TrustCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        let Self::Check(CheckArgs { subject, require_trusted, connect }) = self;
        let subject = match (subject.device, subject.certificate) {
            (Some(device), _) => v1::check_request::Subject::DeviceId(device),
            (None, Some(path)) => {
                let mut chain = pem::decode_certificates(&files::read(&path)?)
                    .map_err(|error| Failure::file("read", &path, error))?;
                v1::check_request::Subject::Certificate(chain.swap_remove(0))
            }
            (None, None) => return Err(Failure::Usage("give --device or --certificate".to_owned())),
        };
        let session = connect.open().await?;
        let request = v1::CheckRequest { subject: Some(subject) };
        let answer = session.connection.trust().check(request).await.map_err(Failure::of_call)?.into_inner();
        let answer = Answer::from(answer);
        out.one(&answer)?;
        if require_trusted && answer.verdict != TRUSTED {
            return Err(Failure::Failed(format!("the verdict is {}", answer.verdict)));
        }
        Ok(())
    }
}

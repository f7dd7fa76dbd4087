//! `wardein operator sign`: certifies a key that is elsewhere, by the request that was brought from there.

use super::Operator;
use super::issue::OrderArgs;
use crate::bundle::{Bundle, key_digest};
use crate::connection::ConnectArgs;
use crate::{Failure, Output, files, time};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use wardein_client::{unix_now, v1};
use wardein_crypto::SecretBytes;
use wardein_pki::{Csr, pem};

#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// The request: PKCS#10 of a P-256 key, as `wardein operator request`, openssl or step make it; PEM or DER
    request: PathBuf,
    #[command(flatten)]
    order: OrderArgs,
    /// The file to make for the answer, which is no secret; it must not exist
    #[arg(long, value_name = "BUNDLE")]
    out: PathBuf,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Serialize)]
struct Signed<'a> {
    bundle: &'a PathBuf,
    key_sha256: &'a str,
    root_sha256: String,
    #[serde(flatten)]
    operator: &'a Operator,
}

pub(super) async fn run(args: SignArgs, out: Output) -> Result<(), Failure> {
    let path = &args.request;
    let wrong = |error: &dyn std::fmt::Display| Failure::file("take for a request", path, error);
    let csr = pem::read_request(&files::read_bounded(path, MAX_REQUEST)?).map_err(|error| wrong(&error))?;
    let request = Csr::parse(&csr).map_err(|error| wrong(&error))?;
    let session = args.connect.open().await?;
    // It is there before anybody is certified: an answer that has no place would only block the name.
    let place = files::Reserved::new(&args.out)?;
    let order = args.order.request(csr, args.order.tenant(&session).await?);
    let answer = session.operator().issue_operator(order).await?;
    let operator = Operator::from(answer.operator.unwrap_or_default());
    let trust = session.operator().get_trust_bundle(v1::GetTrustBundleRequest::default()).await?;
    let judged = Bundle::of(answer.certificate_pem, trust, &session.endpoint)?.judge(unix_now())?;
    place.fill(&SecretBytes::from_vec(judged.bundle().to_text()?.into_bytes()))?;
    let key_sha256 = &key_digest(request.public_key());
    let words = format!(
        "{role} {name} is certified until {until}, for the key with SHA-256 {key_sha256}.\n\
         \n\
         Next: carry {bundle} to where the key is, and there:\n\
         \x20 wardein operator install DIR BUNDLE --infrastructure {root}",
        role = operator.role,
        name = operator.name,
        until = time::at(operator.not_after),
        bundle = args.out.display(),
        root = judged.root(),
    );
    let root_sha256 = judged.root().to_string();
    out.say(&words, &Signed { bundle: &args.out, key_sha256, root_sha256, operator: &operator })
}

/// A request of the longest form in PEM, with what stands around it.
const MAX_REQUEST: u64 = 16 << 10;

//! `wardein operator issue`: a key that never leaves, certified, in a directory of its own.

use super::Operator;
use crate::connection::{ConnectArgs, Session};
use crate::identity::{self, Contents, Description};
use crate::{Failure, Output, files, time};
use clap::Args;
use std::path::{Path, PathBuf};
use wardein_client::{number, time as wire, v1};
use wardein_crypto::{P256SigningKey, P256VerifyingKey};
use wardein_pki::Csr;

#[derive(Debug, Args)]
pub(crate) struct IssueArgs {
    /// What it may do
    #[arg(long, value_parser = ["admin", "tenant-admin", "station", "platform", "auditor"])]
    role: String,
    /// Its tenant; not for an admin, and not for an auditor of everything
    #[arg(long)]
    tenant: Option<String>,
    /// Its name: 1 to 64 of A-Z, a-z, 0-9 and '.', '_', '-'
    #[arg(long)]
    name: String,
    /// For how long it is valid, such as 30d; at most 366d
    #[arg(long, value_name = "TIME", value_parser = time::seconds)]
    validity: u64,
    /// For a station: how many devices it may enroll
    #[arg(
        long,
        value_name = "N",
        required_if_eq("role", "station"),
        default_value_if("role", "station", None)
    )]
    quota: Option<u64>,
    /// The directory to make for the identity; it must not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: IssueArgs, out: Output) -> Result<(), Failure> {
    let session = args.connect.open().await?;
    files::make_private_directory(&args.out)?;
    let issued = certified(&args.out, &session, async |csr| {
        let request = v1::IssueOperatorRequest {
            role: number::<v1::Role>(&args.role),
            tenant: args.tenant.clone().or_else(|| session.tenant.clone()).unwrap_or_default(),
            name: args.name.clone(),
            csr,
            validity: wire::span(args.validity),
            quota: args.quota.unwrap_or_default(),
        };
        let answer = session.operator().issue_operator(request).await?;
        Ok((answer.certificate_pem, answer.operator.unwrap_or_default()))
    });
    say(&issued.await?, &args.out, out)
}

/// Says who is certified.
pub(super) fn say(operator: &Operator, directory: &Path, out: Output) -> Result<(), Failure> {
    let words = format!(
        "{} {} is certified until {}. Its key and certificate are in {}; use it with --identity.",
        operator.role,
        operator.name,
        time::at(operator.not_after),
        directory.display()
    );
    out.say(&words, operator)
}

/// Makes a key in `directory`, has it certified, and puts the rest of the identity beside it. Nothing is left where that fails.
pub(super) async fn certified(
    directory: &Path,
    session: &Session,
    certify: impl AsyncFnOnce(Vec<u8>) -> Result<(String, v1::Operator), Failure>,
) -> Result<Operator, Failure> {
    let made = fill(directory, session, certify).await;
    if made.is_err() {
        // What is in it was made just now, and certified by nobody.
        let _ = std::fs::remove_dir_all(directory);
    }
    made
}

async fn fill(
    directory: &Path,
    session: &Session,
    certify: impl AsyncFnOnce(Vec<u8>) -> Result<(String, v1::Operator), Failure>,
) -> Result<Operator, Failure> {
    let pkcs8 =
        P256SigningKey::generate_pkcs8().map_err(|_| Failure::failed("the source of randomness failed"))?;
    let key = P256SigningKey::from_pkcs8(&pkcs8).map_err(|_| Failure::failed("the new key is of no use"))?;
    let csr = Csr::create(&key).map_err(Failure::failed)?;
    // The key is durable before anybody certifies it.
    identity::write_key(directory, pkcs8.expose())?;
    let (certificate, operator) = certify(csr).await?;
    let operator = Operator::from(operator);
    let bundle = session.operator().get_trust_bundle(v1::GetTrustBundleRequest {}).await?;
    let point = bundle.identity_key.as_slice().try_into();
    let point = point.map_err(|_| Failure::failed("the authority's identity key is not 65 bytes"))?;
    let identity_key = P256VerifyingKey(point).into();
    let description = Description {
        role: operator.role.clone(),
        tenant: Some(operator.tenant.clone()).filter(|tenant| !tenant.is_empty()),
        name: operator.name.clone(),
        serial: operator.serial.clone(),
        not_after: operator.not_after,
        // The administrator's may be another way to it; one of before said none.
        endpoint: Some(bundle.endpoint)
            .filter(|endpoint| !endpoint.is_empty())
            .unwrap_or_else(|| session.endpoint.clone()),
    };
    let contents = Contents {
        description: &description,
        certificate: &certificate,
        infrastructure: &session.roots,
        trust: &bundle.pem,
        identity_key,
    };
    identity::write_contents(directory, &contents)?;
    Ok(operator)
}

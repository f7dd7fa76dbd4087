//! `wardein operator renew`: another key of the same operator, in a directory of its own.

use super::issue::{certified, say};
use crate::connection::ConnectArgs;
use crate::secret::NewKeyArgs;
use crate::{Failure, Output, time};
use clap::Args;
use std::path::PathBuf;
use wardein_client::{time as wire, v1};

/// `wardein operator renew`.
#[derive(Debug, Args)]
pub(crate) struct RenewArgs {
    /// For how long it is valid, such as 30d, at most as long as the present one; without it, as long
    #[arg(long, value_name = "TIME", value_parser = time::seconds)]
    validity: Option<u64>,
    /// The directory to make for the renewed identity; or one with the key of an unfinished renewal
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Without --encrypt-key the new key is under the present one's passphrase, if that has one
    #[command(flatten)]
    new_key: NewKeyArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: RenewArgs, out: Output) -> Result<(), Failure> {
    let passphrase = args.new_key.passphrase()?;
    let session = args.connect.open().await?;
    // A key that was encrypted is not followed by one that is not.
    let passphrase = passphrase.as_ref().or(session.key_passphrase.as_ref());
    let renewed = certified(&args.out, passphrase, &session, async |csr| {
        let request = v1::RenewOperatorRequest { csr, validity: args.validity.and_then(wire::span) };
        let answer = session.operator().renew_operator(request).await?;
        Ok((answer.certificate_pem, answer.operator.unwrap_or_default()))
    });
    say(&renewed.await?, &args.out, out)
}

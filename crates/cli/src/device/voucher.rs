//! `wardein device voucher`.

use crate::connection::ConnectArgs;
use crate::{Failure, Output, time};
use clap::Args;
use serde::Serialize;
use wardein_client::{time as wire, v1};
use wardein_crypto::hex;
use wardein_domain::VOUCHER_MARK;

/// `wardein device voucher`.
#[derive(Debug, Args)]
pub(crate) struct VoucherArgs {
    /// The device's id
    device: String,
    /// For how long it is good, such as 90d; 60s to 366d
    #[arg(long, value_name = "TIME", value_parser = time::seconds, default_value = "30d")]
    expires: u64,
    /// The profile that a device that is not on record is to follow; `default` without it
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Its model, by the maker's name
    #[arg(long)]
    model: Option<String>,
    /// Its unique device identifier, of GS1, HIBCC or ICCBBA: as the label prints it or a scanner sends it
    #[arg(long)]
    udi: Option<String>,
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Serialize)]
struct Made<'a> {
    user: &'a str,
    password: &'a str,
    expires_at: u64,
}

pub(super) async fn run(args: VoucherArgs, out: Output) -> Result<(), Failure> {
    let session = args.connect.open().await?;
    let request = v1::MakeVoucherRequest {
        tenant: session.tenant(args.tenant).await?,
        device_id: args.device.clone(),
        profile: args.profile.unwrap_or_default(),
        model: args.model.unwrap_or_default(),
        udi: args.udi.unwrap_or_default(),
        lifetime: wire::span(args.expires),
    };
    let made = session.operator().make_voucher(request).await?;
    let (user, password) =
        (format!("{}/{}", made.tenant, args.device), VOUCHER_MARK.to_owned() + &hex::encode(&made.secret));
    let expires_at = wire::seconds(made.expires_at);
    let words = format!(
        "Voucher for device {device}, until {until}. Its password is shown this once, and is a secret:\n\
         \n\
         user      {user}\n\
         password  {password}\n\
         \n\
         Put both into the device. It sends them by HTTP Basic to /.well-known/est/simpleenroll, once.",
        device = args.device,
        until = time::at(expires_at),
    );
    out.say(&words, &Made { user: &user, password: &password, expires_at })
}

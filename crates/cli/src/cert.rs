//! `wardein cert`.

use crate::connection::{ConnectArgs, Session};
use crate::{Column, Confirm, Failure, Output, Record, pages, time};
use clap::{Args, Subcommand};
use serde::Serialize;
use wardein_client::{time as wire, v1};
use wardein_pki::pem;

#[derive(Debug, Subcommand)]
pub(crate) enum CertCommand {
    /// List the certificates of a tenant, newest last
    List(ListArgs),
    /// Print one certificate, in PEM
    Show(ShowArgs),
    /// Revoke one certificate; the device stays, and may get another
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    of: Of,
}

#[derive(Debug, Args)]
struct Of {
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Those of one device
    #[arg(long)]
    device: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Its serial, as `cert list` shows it
    serial: String,
    #[command(flatten)]
    of: Of,
}

#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// Its serial, as `cert list` shows it
    serial: String,
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Serialize)]
struct Certificate {
    serial: String,
    device_id: String,
    not_before: u64,
    not_after: u64,
    revoked_at: u64,
    revoked_for: String,
    pem: String,
}

impl TryFrom<v1::Certificate> for Certificate {
    type Error = Failure;

    fn try_from(certificate: v1::Certificate) -> Result<Self, Failure> {
        let v1::Certificate { serial, device_id, not_before, not_after, revoked_at, revoked_for, der } =
            certificate;
        let pem = pem::encode_certificates([der.as_slice()]).map_err(Failure::failed)?;
        let [not_before, not_after, revoked_at] = [not_before, not_after, revoked_at].map(wire::seconds);
        Ok(Self { serial, device_id, not_before, not_after, revoked_at, revoked_for, pem })
    }
}

impl Record for Certificate {
    const COLUMNS: &'static [Column<Self>] = &[
        ("serial", |certificate| certificate.serial.clone()),
        ("device", |certificate| certificate.device_id.clone()),
        ("valid from", |certificate| time::at(certificate.not_before)),
        ("valid until", |certificate| time::at(certificate.not_after)),
        ("revoked", |certificate| time::at(certificate.revoked_at)),
        ("because", |certificate| certificate.revoked_for.clone()),
    ];
}

impl CertCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::List(args) => out.list("certificates", &certificates(args.of).await?),
            Self::Show(args) => show(args, out).await,
            Self::Revoke(args) => revoke(args, out).await,
        }
    }
}

async fn certificates(of: Of) -> Result<Vec<Certificate>, Failure> {
    let session: Session = of.connect.open().await?;
    let (tenant, device_id) = (session.tenant(of.tenant)?, of.device.unwrap_or_default());
    let operator = session.operator();
    let all = pages::all(async |page_size, page_token| {
        let (tenant, device_id) = (tenant.clone(), device_id.clone());
        let request = v1::ListCertificatesRequest { tenant, device_id, page_size, page_token };
        let page = operator.list_certificates(request).await?;
        Ok((page.certificates, page.next_page_token))
    });
    all.await?.into_iter().map(Certificate::try_from).collect()
}

async fn show(args: ShowArgs, out: Output) -> Result<(), Failure> {
    let found =
        certificates(args.of).await?.into_iter().find(|certificate| certificate.serial == args.serial);
    let found = found
        .ok_or_else(|| Failure::Failed(format!("there is no certificate with serial {}", args.serial)))?;
    if out.is_json() { out.json(&found) } else { out.write(&found.pem) }
}

async fn revoke(args: RevokeArgs, out: Output) -> Result<(), Failure> {
    let RevokeArgs { serial, tenant, reason, confirm, connect } = args;
    confirm.ask(&format!("revoke certificate {serial}"))?;
    let session = connect.open().await?;
    let request =
        v1::RevokeCertificateRequest { tenant: session.tenant(tenant)?, serial: serial.clone(), reason };
    session.operator().revoke_certificate(request).await?;
    out.say(&format!("revoked certificate {serial}"), &serde_json::json!({ "revoked": serial }))
}

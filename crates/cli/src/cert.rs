//! `wardein cert`.

use crate::connection::{ConnectArgs, Session};
use crate::{Column, Confirm, Failure, Output, Record, pages, time};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::path::PathBuf;
use wardein_client::v1::revoke_issued_request::Issued;
use wardein_client::{time as wire, v1};
use wardein_domain::RevocationReason;
use wardein_pki::{CrlOrder, pem};

#[derive(Debug, Subcommand)]
pub(crate) enum CertCommand {
    /// List the certificates of a tenant, newest last
    List(ListArgs),
    /// Print one certificate, in PEM
    Show(ShowArgs),
    /// Revoke one certificate, or those that were issued in a span of time; a device stays, and may get another
    Revoke(RevokeArgs),
    /// Revoke one certificate for now
    Hold(HoldArgs),
    /// Release a certificate that is on hold
    Release(OneArgs),
    /// Look into a revocation list, in DER; with --json also at each certificate on it. Its signature is not verified
    Crl(CrlArgs),
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

/// By serial, or by a rule: one of the first four.
#[derive(Debug, Args)]
#[group(id = "whose", args = ["serial", "device", "all_devices", "by_ca"], required = true, multiple = false)]
pub(crate) struct RevokeArgs {
    /// Its serial, as `cert list` shows it
    serial: Option<String>,
    /// By a rule: what was issued to this device
    #[arg(long, value_name = "ID", requires = "issued_since")]
    device: Option<String>,
    /// By a rule: what was issued to any device of the tenant
    #[arg(long, requires = "issued_since")]
    all_devices: bool,
    /// By a rule: what this CA has issued, in all tenants; its id as `ca list` shows it
    #[arg(long, value_name = "ID", requires = "issued_since")]
    by_ca: Option<String>,
    /// The first second of a rule, such as 2026-11-29T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time::moment, conflicts_with = "serial")]
    issued_since: Option<u64>,
    /// The last second of a rule; now where it is left out
    #[arg(long, value_name = "TIME", value_parser = time::moment, conflicts_with = "serial")]
    issued_until: Option<u64>,
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Why, as revocation lists say it: unspecified, key-compromise, affiliation-changed, superseded, cessation-of-operation or
    /// privilege-withdrawn
    #[arg(long, value_name = "WORD", default_value = "unspecified", value_parser = for_good)]
    code: RevocationReason,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct HoldArgs {
    #[command(flatten)]
    one: OneArgs,
    #[command(flatten)]
    confirm: Confirm,
}

#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// Its serial, as `cert list` shows it
    serial: String,
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CrlArgs {
    /// The file, such as the authority's HTTP port has it at /crl/root.crl
    file: PathBuf,
}

#[derive(Debug, Serialize)]
struct List {
    number: String,
    this_update: u64,
    next_update: u64,
    certificates: usize,
    revoked: Vec<OnList>,
}

#[derive(Debug, Serialize)]
struct OnList {
    serial: String,
    revoked_at: u64,
    revocation_reason: &'static str,
}

impl Record for List {
    const COLUMNS: &'static [Column<Self>] = &[
        ("number", |list| list.number.clone()),
        ("from", |list| time::at(list.this_update)),
        ("until", |list| time::at(list.next_update)),
        ("certificates", |list| list.certificates.to_string()),
    ];
}

/// A reason that is not taken back.
fn for_good(text: &str) -> Result<RevocationReason, String> {
    let reason: RevocationReason =
        text.parse().map_err(|error: wardein_domain::NameError| error.to_string())?;
    match reason.is_hold() {
        true => Err("a hold is of one certificate: wardein cert hold".to_owned()),
        false => Ok(reason),
    }
}

#[derive(Debug, Serialize)]
struct Certificate {
    serial: String,
    device_id: String,
    not_before: u64,
    not_after: u64,
    state: &'static str,
    revoked_at: u64,
    revocation_reason: &'static str,
    revoked_for: String,
    pem: String,
}

impl TryFrom<v1::Certificate> for Certificate {
    type Error = Failure;

    fn try_from(certificate: v1::Certificate) -> Result<Self, Failure> {
        let (state, reason) = (certificate.state(), certificate.revocation_reason);
        let reason = u8::try_from(reason).ok().and_then(RevocationReason::from_number);
        let v1::Certificate {
            serial, device_id, not_before, not_after, revoked_at, revoked_for, der, ..
        } = certificate;
        let pem = pem::encode_certificates([der.as_slice()]).map_err(Failure::failed)?;
        let [not_before, not_after, revoked_at] = [not_before, not_after, revoked_at].map(wire::seconds);
        let (state, revocation_reason) = match state {
            v1::CertificateState::Unspecified | v1::CertificateState::Good => ("good", ""),
            v1::CertificateState::OnHold => ("on-hold", reason.map_or("", RevocationReason::as_str)),
            v1::CertificateState::Revoked => ("revoked", reason.map_or("", RevocationReason::as_str)),
        };
        Ok(Self {
            serial,
            device_id,
            not_before,
            not_after,
            state,
            revoked_at,
            revocation_reason,
            revoked_for,
            pem,
        })
    }
}

impl Record for Certificate {
    const COLUMNS: &'static [Column<Self>] = &[
        ("serial", |certificate| certificate.serial.clone()),
        ("device", |certificate| certificate.device_id.clone()),
        ("valid from", |certificate| time::at(certificate.not_before)),
        ("valid until", |certificate| time::at(certificate.not_after)),
        ("state", |certificate| certificate.state.to_owned()),
        ("revoked", |certificate| time::at(certificate.revoked_at)),
        ("reason", |certificate| certificate.revocation_reason.to_owned()),
        ("because", |certificate| certificate.revoked_for.clone()),
    ];
}

impl CertCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::List(args) => out.list("certificates", &certificates(args.of).await?),
            Self::Show(args) => show(args, out).await,
            Self::Revoke(args) => revoke(args, out).await,
            Self::Hold(HoldArgs { one, confirm }) => hold(one, confirm, out).await,
            Self::Release(args) => release(args, out).await,
            Self::Crl(args) => show_list(&args, out),
        }
    }
}

async fn certificates(of: Of) -> Result<Vec<Certificate>, Failure> {
    let session: Session = of.connect.open().await?;
    let (tenant, device_id) = (session.tenant(of.tenant).await?, of.device.unwrap_or_default());
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
    let RevokeArgs { serial, device, by_ca, reason, code, confirm, .. } = &args;
    let code = code.number().into();
    if let Some(serial) = serial {
        confirm.ask(&format!("revoke certificate {serial}"))?;
        let session = args.connect.open().await?;
        let (tenant, serial, reason) =
            (session.tenant(args.tenant.clone()).await?, serial.clone(), reason.clone());
        let request = v1::RevokeCertificateRequest { tenant, serial: serial.clone(), reason, code };
        session.operator().revoke_certificate(request).await?;
        return out.say(&format!("revoked certificate {serial}"), &serde_json::json!({ "revoked": serial }));
    }
    let since = args.issued_since.ok_or_else(|| Failure::Usage("give --issued-since".to_owned()))?;
    let session = args.connect.open().await?;
    let until = match args.issued_until {
        Some(until) => until,
        // By the clock that dates certificates.
        None => wire::seconds(session.operator().get_status(v1::GetStatusRequest {}).await?.time),
    };
    let span = format!("issued from {} until {}", time::at(since.max(1)), time::at(until));
    let whose = match (by_ca, device) {
        (Some(ca), _) => format!("by CA {ca} in all tenants"),
        (None, Some(device)) => format!("to device {device}"),
        (None, None) => "to all devices of the tenant".to_owned(),
    };
    confirm.ask(&format!("revoke for good the certificates {span} {whose}"))?;
    let issued = match (by_ca, device) {
        (Some(id), _) => Issued::ByCa(v1::IssuedByCa { id: id.clone() }),
        (None, Some(device_id)) => {
            let (tenant, device_id) = (session.tenant(args.tenant.clone()).await?, device_id.clone());
            Issued::ToDevice(v1::IssuedToDevice { tenant, device_id })
        }
        (None, None) => Issued::InTenant(session.tenant(args.tenant.clone()).await?),
    };
    let request = v1::RevokeIssuedRequest {
        issued: Some(issued),
        since: wire::at(since),
        until: wire::at(until),
        code,
        reason: reason.clone(),
    };
    session.operator().revoke_issued(request).await?;
    out.say(
        &format!("revoked the certificates {span} {whose}"),
        &serde_json::json!({ "issued_since": since, "issued_until": until }),
    )
}

async fn hold(args: OneArgs, confirm: Confirm, out: Output) -> Result<(), Failure> {
    let OneArgs { serial, tenant, reason, connect } = args;
    confirm.ask(&format!("put certificate {serial} on hold"))?;
    let session = connect.open().await?;
    let (tenant, code) = (session.tenant(tenant).await?, RevocationReason::CertificateHold.number().into());
    let request = v1::RevokeCertificateRequest { tenant, serial: serial.clone(), reason, code };
    session.operator().revoke_certificate(request).await?;
    out.say(&format!("certificate {serial} is on hold"), &serde_json::json!({ "held": serial }))
}

async fn release(args: OneArgs, out: Output) -> Result<(), Failure> {
    let OneArgs { serial, tenant, reason, connect } = args;
    let session = connect.open().await?;
    let tenant = session.tenant(tenant).await?;
    let request = v1::ReleaseCertificateRequest { tenant, serial: serial.clone(), reason };
    session.operator().release_certificate(request).await?;
    out.say(&format!("released certificate {serial}"), &serde_json::json!({ "released": serial }))
}

fn show_list(args: &CrlArgs, out: Output) -> Result<(), Failure> {
    let file = args.file.display();
    let der = std::fs::read(&args.file).map_err(|error| Failure::Failed(format!("{file}: {error}")))?;
    let CrlOrder { number, this_update, next_update, revoked } = CrlOrder::read(&der).ok_or_else(|| {
        Failure::Failed(format!(
            "{file}: not a revocation list of this authority in DER; PEM becomes DER by: openssl crl -outform DER"
        ))
    })?;
    let revoked = revoked.iter().map(|one| OnList {
        serial: one.serial.to_string(),
        revoked_at: one.at,
        revocation_reason: one.reason.as_str(),
    });
    let revoked: Vec<_> = revoked.collect();
    let number = format!("{:x}", number.0);
    out.one(&List { number, this_update, next_update, certificates: revoked.len(), revoked })
}

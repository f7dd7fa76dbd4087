//! `wardein service`.

mod break_glass;
mod policy;
mod protocol;
mod visit;

use self::break_glass::BreakGlassCommand;
use self::policy::{PolicyCommand, PolicyShowArgs};
use self::protocol::ProtocolCommand;
use self::visit::Visit;
use crate::connection::{ConnectArgs, Session};
use crate::{Confirm, Failure, Output, files, pages, time};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::path::PathBuf;
use wardein_client::{time as wire, v1};

#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// Invite a technician to devices, for one work order and one window. Another person releases it
    Invite(InviteArgs),
    /// List the visits, with those that are over
    List(ListArgs),
    /// Show a visit
    Show(VisitArgs),
    /// Release a visit that another person asked for: its technician is let in during its window
    Release(ReleaseArgs),
    /// End a visit at once, also one that was not released
    End(EndArgs),
    /// Close a visit whose protocol will not come: it is not open any more, and stays marked
    Close(EndArgs),
    /// Get an SSH certificate for a device of one's own visit: for the key that the visit names, for an hour at most
    Certificate(CertificateArgs),
    /// Get the code that lets one in at a device without network, in answer to the challenge that it shows
    Code(CodeArgs),
    /// The codes of devices for emergencies: shown, used, and looked into
    #[command(subcommand)]
    BreakGlass(BreakGlassCommand),
    /// Protocols of sessions at devices without network, which come as files
    #[command(subcommand)]
    Protocol(ProtocolCommand),
    /// Print the SSH CA of the tenant, for TrustedUserCAKeys; a device gets it by `wardein-device service sync`
    Ca(PolicyShowArgs),
    /// Which scopes visits may have, and how long they may be
    #[command(subcommand)]
    Policy(PolicyCommand),
}

#[derive(Debug, Args)]
pub(crate) struct InviteArgs {
    /// The technician: the name of an operator of role `technician`
    #[arg(long, value_name = "NAME")]
    technician: String,
    /// The technician's public key: a .pub file of ssh-keygen
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The device; several with commas, at most 32
    #[arg(long, value_name = "ID,…", value_delimiter = ',', required = true)]
    device: Vec<String>,
    /// The work order
    #[arg(long, value_name = "NUMBER")]
    work_order: String,
    /// What the visit may do, of the tenant's list (wardein service policy show)
    #[arg(long)]
    scope: String,
    /// From when, in UTC, such as 2026-11-29T08:00:00Z; without it from now on
    #[arg(long, value_name = "TIME", value_parser = time::moment)]
    from: Option<u64>,
    /// Until when
    #[arg(long, value_name = "TIME", value_parser = time::moment)]
    until: u64,
    /// Where the technician may come from: an address or network such as 192.0.2.0/24; several with commas
    #[arg(long, value_name = "NETWORK,…", value_delimiter = ',')]
    source: Vec<String>,
    /// Whether the technician's token must ask for its PIN; for keys in a token (ssh-keygen -t ed25519-sk)
    #[arg(long)]
    verify_required: bool,
    /// The tenant; without it the caller's own
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only visits whose window is open, and that were released: who may be in now
    #[arg(long)]
    current: bool,
    /// Only visits that are over and of which a protocol is missing: a device let the technician in, and has not told of it
    #[arg(long, conflicts_with = "current")]
    open: bool,
    /// The tenant; without it all that the caller may see
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct VisitArgs {
    /// The visit's id
    id: String,
    /// The tenant; without it the caller's own
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReleaseArgs {
    #[command(flatten)]
    visit: VisitArgs,
    #[command(flatten)]
    confirm: Confirm,
}

#[derive(Debug, Args)]
pub(crate) struct CertificateArgs {
    #[command(flatten)]
    visit: VisitArgs,
    /// The device
    #[arg(long, value_name = "ID")]
    device: String,
    /// Where to write it: ssh finds it beside the key as KEY-cert.pub
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CodeArgs {
    #[command(flatten)]
    visit: VisitArgs,
    /// The device
    #[arg(long, value_name = "ID")]
    device: String,
    /// The challenge that the device shows (wardein-device service challenge)
    #[arg(long, value_name = "CHALLENGE")]
    challenge: String,
}

#[derive(Debug, Args)]
pub(crate) struct EndArgs {
    #[command(flatten)]
    visit: VisitArgs,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    confirm: Confirm,
}

impl ServiceCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::Invite(args) => invite(args, out).await,
            Self::List(args) => list(args, out).await,
            Self::Show(args) => {
                let session = args.connect.open().await?;
                let visit = found(&session, args.id, args.tenant).await?;
                out.say(&visit.words(), &visit)
            }
            Self::Release(args) => release(args, out).await,
            Self::End(args) => end(args, out).await,
            Self::Close(args) => close(args, out).await,
            Self::Certificate(args) => certificate(args, out).await,
            Self::Code(args) => code(args, out).await,
            Self::BreakGlass(command) => command.run(out).await,
            Self::Protocol(command) => command.run(out).await,
            Self::Ca(args) => ca(args, out).await,
            Self::Policy(command) => command.run(out).await,
        }
    }
}

async fn invite(args: InviteArgs, out: Output) -> Result<(), Failure> {
    let key = String::from_utf8_lossy(&files::read_bounded(&args.key, MAX_KEY)?).into_owned();
    let what = format!(
        "invite {} to {} for work order {}, scope {}, until {}",
        args.technician,
        args.device.join(", "),
        args.work_order,
        args.scope,
        time::at(args.until)
    );
    args.confirm.ask(&what)?;
    let session = args.connect.open().await?;
    let request = v1::InviteTechnicianRequest {
        tenant: scope(&session, args.tenant),
        technician: args.technician,
        ssh_key: key.trim().to_owned(),
        device_ids: args.device,
        work_order: args.work_order,
        scope: args.scope,
        starts_at: args.from.and_then(wire::at),
        ends_at: wire::at(args.until),
        source_addresses: args.source,
        verification_required: args.verify_required,
    };
    let visit = Visit::from(session.operator().invite_technician(request).await?.visit);
    let words =
        format!("{}\nanother person releases it: wardein service release {}", visit.words(), visit.id);
    out.say(&words, &visit)
}

async fn list(args: ListArgs, out: Output) -> Result<(), Failure> {
    let session = args.connect.open().await?;
    let tenant = scope(&session, args.tenant);
    let visits = pages::all(async |page_size, page_token| {
        let request = v1::ListVisitsRequest { tenant: tenant.clone(), page_size, page_token };
        let answer = session.operator().list_visits(request).await?;
        Ok((answer.visits, answer.next_page_token))
    });
    let visits = visits.await?.into_iter().map(|visit| Visit::from(Some(visit)));
    let is_wanted = |visit: &Visit| {
        (!args.current || visit.state == "current") && (!args.open || !visit.awaited_protocols.is_empty())
    };
    out.list("visits", &visits.filter(is_wanted).collect::<Vec<_>>())
}

async fn release(args: ReleaseArgs, out: Output) -> Result<(), Failure> {
    let ReleaseArgs { visit: VisitArgs { id, tenant, connect }, confirm } = args;
    let session = connect.open().await?;
    let shown = found(&session, id.clone(), tenant.clone()).await?;
    if !out.is_json() {
        eprintln!("{}", shown.words());
    }
    confirm.ask("release this visit")?;
    let request = v1::ReleaseVisitRequest { tenant: scope(&session, tenant), id };
    let visit = Visit::from(session.operator().release_visit(request).await?.visit);
    out.say(&format!("released visit {}", visit.id), &visit)
}

async fn end(args: EndArgs, out: Output) -> Result<(), Failure> {
    let EndArgs { visit: VisitArgs { id, tenant, connect }, reason, confirm } = args;
    confirm.ask(&format!("end visit {id}"))?;
    let session = connect.open().await?;
    let request = v1::EndVisitRequest { tenant: scope(&session, tenant), id, reason };
    let visit = Visit::from(session.operator().end_visit(request).await?.visit);
    out.say(&format!("ended visit {}", visit.id), &visit)
}

async fn close(args: EndArgs, out: Output) -> Result<(), Failure> {
    let EndArgs { visit: VisitArgs { id, tenant, connect }, reason, confirm } = args;
    confirm.ask(&format!("close visit {id} without the protocols that are awaited of it"))?;
    let session = connect.open().await?;
    let request = v1::CloseVisitRequest { tenant: scope(&session, tenant), id, reason };
    let visit = Visit::from(session.operator().close_visit(request).await?.visit);
    out.say(&format!("closed visit {} without a protocol", visit.id), &visit)
}

#[derive(Debug, Serialize)]
struct Certificate {
    file: PathBuf,
    serial: u64,
    principal: String,
    valid_after: u64,
    valid_before: u64,
}

async fn certificate(args: CertificateArgs, out: Output) -> Result<(), Failure> {
    let CertificateArgs { visit: VisitArgs { id, tenant, connect }, device, out: file } = args;
    let session = connect.open().await?;
    let request = v1::IssueVisitCertificateRequest { tenant: scope(&session, tenant), id, device_id: device };
    let issued = session.operator().issue_visit_certificate(request).await?;
    // It takes the place of the one before, every hour.
    let line = format!("{}\n", issued.certificate);
    wardein_durable::replace(&file, line.as_bytes(), files::PUBLIC)
        .map_err(|error| Failure::file("write", &file, error))?;
    let certificate = Certificate {
        file,
        serial: issued.serial,
        principal: issued.principal,
        valid_after: wire::seconds(issued.valid_after),
        valid_before: wire::seconds(issued.valid_before),
    };
    let words = format!(
        "certificate for {} until {} in {}",
        certificate.principal,
        time::at(certificate.valid_before),
        certificate.file.display()
    );
    out.say(&words, &certificate)
}

/// The code is for the technician's eyes: it is good once, at one device, for some minutes.
#[derive(Serialize)]
struct Code {
    code: String,
    session_length: u64,
}

async fn code(args: CodeArgs, out: Output) -> Result<(), Failure> {
    let CodeArgs { visit: VisitArgs { id, tenant, connect }, device, challenge } = args;
    let session = connect.open().await?;
    let tenant = scope(&session, tenant);
    let request = v1::AnswerChallengeRequest { tenant, id, device_id: device, challenge };
    let answer = session.operator().answer_challenge(request).await?;
    let code = Code { code: answer.code, session_length: wire::span_seconds(answer.session_length) };
    let length = time::span(code.session_length);
    let words = format!(
        "{}\nit is typed at the device within 15 minutes of the challenge; you are in for {length} from then on",
        code.code
    );
    out.say(&words, &code)
}

#[derive(Debug, Serialize)]
struct Ca {
    ca: String,
}

async fn ca(args: PolicyShowArgs, out: Output) -> Result<(), Failure> {
    let session = args.connect.open().await?;
    let request = v1::GetServiceCaRequest { tenant: scope(&session, args.tenant) };
    let ca = Ca { ca: session.operator().get_service_ca(request).await?.ca };
    if ca.ca.is_empty() && !out.is_json() {
        return Err(Failure::failed(
            "there is none before the tenant's first visit was released, or release at the device was switched on",
        ));
    }
    out.say(&ca.ca, &ca)
}

async fn found(session: &Session, id: String, tenant: Option<String>) -> Result<Visit, Failure> {
    let request = v1::GetVisitRequest { tenant: scope(session, tenant), id };
    Ok(Visit::from(session.operator().get_visit(request).await?.visit))
}

/// The tenant that was named, or that of the identity.
fn scope(session: &Session, tenant: Option<String>) -> String {
    tenant.or_else(|| session.tenant.clone()).unwrap_or_default()
}

/// The largest .pub file that is read.
const MAX_KEY: u64 = 4_096;

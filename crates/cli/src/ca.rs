//! `wardein ca`.

use crate::connection::{ConnectArgs, Session};
use crate::{
    Column, Confirm, DropFormerRootArgs, ExportRootArgs, Failure, ImportRootArgs, Output, Record,
    RotateRootArgs, files, pages, time,
};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use std::path::PathBuf;
use wardein_client::v1::create_ca_request::Scope;
use wardein_client::{time as wire, v1, word};
use wardein_crypto::KeyAlgorithm;
use wardein_pki::pem;

#[derive(Debug, Subcommand)]
pub(crate) enum CaCommand {
    /// List the CAs that certify devices
    List(ListArgs),
    /// Print the certificate of one, in PEM, and after it those by another PKI
    Show(ShowArgs),
    /// Make a tenant a CA of its own, which certifies its devices from then on
    Create(CreateArgs),
    /// Make the CA that follows the active one, and publish it ahead
    Next(CreateArgs),
    /// Have the next CA certify devices; what the active one issued stays good
    Switch(NamedArgs),
    /// End a CA once all that it issued has expired, or the next one; its key is erased, but in an HSM
    Retire(NamedArgs),
    /// For a CA's key that leaked: revoke everything that it signed, and have another CA issue at once
    ///
    /// Devices get certificates of the other CA with their next proof. Where none could be made, as without the root's key, the CA is
    /// distrusted all the same, and the exit code is 1.
    Distrust(DistrustArgs),
    /// Ask another PKI, such as a company's, to certify a CA as well
    ///
    /// The certificate must have the subject, the subject key identifier, basicConstraints and keyUsage of the request; with openssl:
    /// `x509 -req -copy_extensions copyall`.
    Csr(CsrArgs),
    /// Import the chain that came back: what devices show leads to either root from then on
    Import(ImportArgs),
    /// Take the root's key out of an authority that is stopped, to keep it offline; it goes on without
    ExportRoot(ExportRootArgs),
    /// Put the root's key back, for the hour in which a CA is made
    ImportRoot(ImportRootArgs),
    /// Replace the root of an authority that is stopped by another one; each certifies the other
    RotateRoot(RotateRootArgs),
    /// Trust the root before that no more, once everybody has the new one
    DropFormerRoot(DropFormerRootArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Those that certify devices of this tenant
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Its id, as `ca list` shows it
    id: String,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Whose devices it certifies
    #[arg(long, required_unless_present = "shared", conflicts_with = "shared")]
    tenant: Option<String>,
    /// It certifies devices of all tenants that have no CA of their own
    #[arg(long)]
    shared: bool,
    /// The algorithm of its key
    #[arg(long, value_enum, default_value_t = Algorithm::P256)]
    algorithm: Algorithm,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct NamedArgs {
    /// Its id, as `ca list` shows it
    id: String,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// `wardein ca csr`.
#[derive(Debug, Args)]
pub(crate) struct CsrArgs {
    /// Its id, as `ca list` shows it
    id: String,
    /// The file to make, PKCS#10 in PEM
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// `wardein ca import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Its id, as `ca list` shows it
    id: String,
    /// A file with the chain, PEM: the CA's certificate by the other PKI, those that lead to its root, and the root
    #[arg(value_name = "FILE")]
    chain: PathBuf,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// `wardein ca distrust`.
#[derive(Debug, Args)]
pub(crate) struct DistrustArgs {
    /// Its id, as `ca list` shows it
    id: String,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Algorithm {
    P256,
    P384,
    #[value(name = "rsa-3072")]
    Rsa3072,
    #[value(name = "rsa-4096")]
    Rsa4096,
}

impl From<Algorithm> for KeyAlgorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::P256 => Self::P256,
            Algorithm::P384 => Self::P384,
            Algorithm::Rsa3072 => Self::Rsa3072,
            Algorithm::Rsa4096 => Self::Rsa4096,
        }
    }
}

impl From<Algorithm> for v1::CaAlgorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::P256 => Self::P256,
            Algorithm::P384 => Self::P384,
            Algorithm::Rsa3072 => Self::Rsa3072,
            Algorithm::Rsa4096 => Self::Rsa4096,
        }
    }
}

#[derive(Debug, Serialize)]
struct Ca {
    id: String,
    tenant: String,
    state: String,
    algorithm: String,
    not_before: u64,
    not_after: u64,
    made_at: u64,
    since: u64,
    ended_at: u64,
    pem: String,
    /// By another PKI; empty where there is none.
    cross_pem: String,
}

impl TryFrom<v1::Ca> for Ca {
    type Error = Failure;

    fn try_from(ca: v1::Ca) -> Result<Self, Failure> {
        let times = [ca.not_before, ca.not_after, ca.made_at, ca.since, ca.ended_at];
        let [not_before, not_after, made_at, since, ended_at] = times.map(wire::seconds);
        Ok(Self {
            id: ca.id,
            tenant: ca.tenant,
            state: word::<v1::CaState>(ca.state),
            algorithm: word::<v1::CaAlgorithm>(ca.algorithm),
            not_before,
            not_after,
            made_at,
            since,
            ended_at,
            pem: pem::encode_certificates([ca.der.as_slice()]).map_err(Failure::failed)?,
            cross_pem: pem::encode_certificates(ca.cross.iter().map(Vec::as_slice))
                .map_err(Failure::failed)?,
        })
    }
}

impl Record for Ca {
    const COLUMNS: &'static [Column<Self>] = &[
        ("id", |ca| ca.id.clone()),
        ("tenant", |ca| ca.tenant.clone()),
        ("state", |ca| ca.state.clone()),
        ("algorithm", |ca| ca.algorithm.clone()),
        ("since", |ca| time::at(ca.since)),
        ("valid until", |ca| time::at(ca.not_after)),
        ("all it issued has expired", |ca| time::at(ca.ended_at)),
    ];
}

/// What `wardein ca distrust` prints for scripts.
#[derive(Debug, Serialize)]
struct Distrusted {
    ca: Ca,
    successor: Option<Ca>,
}

/// What `wardein ca csr` prints for scripts.
#[derive(Debug, Serialize)]
struct Requested {
    csr: String,
}

impl CaCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::List(args) => {
                let found = list(&args.connect.open().await?, args.tenant).await?;
                out.list("cas", &found)
            }
            Self::Show(args) => show(args, out).await,
            Self::Create(args) => create(args, v1::CaState::Active, out).await,
            Self::Next(args) => create(args, v1::CaState::Next, out).await,
            Self::Switch(NamedArgs { id, confirm, connect }) => {
                confirm.ask(&format!("have CA {id} certify devices from now on"))?;
                let request = v1::SwitchCaRequest { id };
                one(connect.open().await?.operator().switch_ca(request).await?.ca, out)
            }
            Self::Retire(NamedArgs { id, confirm, connect }) => {
                confirm.ask(&format!("retire CA {id}, and erase its key where it is in the store"))?;
                let request = v1::RetireCaRequest { id };
                one(connect.open().await?.operator().retire_ca(request).await?.ca, out)
            }
            Self::Distrust(args) => distrust(args, out).await,
            Self::Csr(args) => csr(args, out).await,
            Self::Import(args) => import(args, out).await,
            // The binary does these: they take the inside of an authority.
            Self::ExportRoot(_) | Self::ImportRoot(_) | Self::RotateRoot(_) | Self::DropFormerRoot(_) => {
                Err(Failure::Usage("this works on a directory, not over a connection".to_owned()))
            }
        }
    }
}

async fn list(session: &Session, tenant: Option<String>) -> Result<Vec<Ca>, Failure> {
    let (operator, tenant) = (session.operator(), tenant.unwrap_or_default());
    let all = pages::all(async |page_size, page_token| {
        let request = v1::ListCasRequest { tenant: tenant.clone(), page_size, page_token };
        let page = operator.list_cas(request).await?;
        Ok((page.cas, page.next_page_token))
    });
    all.await?.into_iter().map(Ca::try_from).collect()
}

async fn show(ShowArgs { id, connect }: ShowArgs, out: Output) -> Result<(), Failure> {
    let found = list(&connect.open().await?, None).await?.into_iter().find(|ca| ca.id == id);
    let found = found.ok_or_else(|| Failure::Failed(format!("there is no CA {id}")))?;
    if out.is_json() { out.json(&found) } else { out.write(&(found.pem + &found.cross_pem)) }
}

async fn create(args: CreateArgs, state: v1::CaState, out: Output) -> Result<(), Failure> {
    let CreateArgs { tenant, shared: _, algorithm, connect } = args;
    let scope = tenant.map_or(Scope::Shared(v1::SharedCa {}), Scope::Tenant);
    let algorithm = v1::CaAlgorithm::from(algorithm).into();
    let request = v1::CreateCaRequest { scope: Some(scope), state: state.into(), algorithm };
    one(connect.open().await?.operator().create_ca(request).await?.ca, out)
}

async fn distrust(args: DistrustArgs, out: Output) -> Result<(), Failure> {
    let DistrustArgs { id, reason, confirm, connect } = args;
    confirm.ask(&format!("revoke everything that CA {id} signed and will ever sign, for good"))?;
    let request = v1::DistrustCaRequest { id, reason };
    let answer = connect.open().await?.operator().distrust_ca(request).await?;
    let ca = Ca::try_from(answer.ca.unwrap_or_default())?;
    let successor = answer.successor.map(Ca::try_from).transpose()?;
    let words = match &successor {
        Some(successor) => format!("distrusted CA {}; CA {} issues", ca.id, successor.id),
        None => format!("distrusted CA {}", ca.id),
    };
    let has_successor = successor.is_some();
    out.say(&words, &Distrusted { ca, successor })?;
    if has_successor {
        return Ok(());
    }
    Err(Failure::failed("no CA certifies its devices now; make one with `wardein ca create`"))
}

async fn csr(CsrArgs { id, out: path, connect }: CsrArgs, out: Output) -> Result<(), Failure> {
    let request = v1::RequestCaCertificateRequest { id };
    let answer = connect.open().await?.operator().request_ca_certificate(request).await?;
    let text = pem::encode_request(&answer.csr).map_err(Failure::failed)?;
    files::write_new(&path, text.as_bytes(), files::PUBLIC)?;
    out.say(&format!("the request is in {}", path.display()), &Requested { csr: text })
}

async fn import(ImportArgs { id, chain, connect }: ImportArgs, out: Output) -> Result<(), Failure> {
    let request = v1::ImportCaChainRequest { id, certificates: files::read_certificates(&chain)? };
    one(connect.open().await?.operator().import_ca_chain(request).await?.ca, out)
}

fn one(ca: Option<v1::Ca>, out: Output) -> Result<(), Failure> {
    out.one(&Ca::try_from(ca.unwrap_or_default())?)
}

//! `wardein operator issue`: a key that never leaves, certified, in a directory of its own.

use super::Operator;
use super::key::{self, NewKey};
use crate::bundle::{Bundle, Judged};
use crate::connection::{ConnectArgs, Session};
use crate::identity::{self, Description};
use crate::secret::{NewKeyArgs, Passphrase};
use crate::{Failure, Output, time};
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};
use wardein_client::{Refusal, number, time as wire, unix_now, v1};
use wardein_domain::Role;
use wardein_pki::Csr;

/// `wardein operator issue`.
#[derive(Debug, Args)]
pub(crate) struct IssueArgs {
    #[command(flatten)]
    order: OrderArgs,
    /// The directory to make for the identity; or one with the key of an unfinished issue
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    new_key: NewKeyArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// What is to be certified.
#[derive(Debug, Args)]
pub(super) struct OrderArgs {
    /// What it may do
    #[arg(long, value_parser = ["admin", "tenant-admin", "station", "platform", "auditor", "release-manager", "site", "service-coordinator", "technician", "helpdesk", "backup"])]
    role: String,
    /// Its tenant; not for an admin, a release manager or backup, and not for an auditor of everything
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
}

impl OrderArgs {
    /// The tenant of whom is certified: the one that was named, or that of the caller; of a role that must have one, that which is
    /// meant.
    pub(super) async fn tenant(&self, session: &Session) -> Result<String, Failure> {
        tenant_of(&self.role, self.tenant.clone(), session).await
    }

    pub(super) fn request(&self, csr: Vec<u8>, tenant: String) -> v1::IssueOperatorRequest {
        v1::IssueOperatorRequest {
            role: number::<v1::Role>(&self.role),
            tenant,
            name: self.name.clone(),
            csr,
            validity: wire::span(self.validity),
            quota: self.quota.unwrap_or_default(),
        }
    }
}

pub(super) async fn run(args: IssueArgs, out: Output) -> Result<(), Failure> {
    let passphrase = args.new_key.passphrase()?;
    let session = args.connect.open().await?;
    let tenant = args.order.tenant(&session).await?;
    let issued = certified(&args.out, passphrase.as_ref(), &session, async |csr| {
        let answer = session.operator().issue_operator(args.order.request(csr, tenant)).await?;
        Ok((answer.certificate_pem, answer.operator.unwrap_or_default()))
    });
    say(&issued.await?, &args.out, out)
}

/// The tenant of an identity of that role, where `named` is the one that was named.
pub(super) async fn tenant_of(
    role: &str,
    named: Option<String>,
    session: &Session,
) -> Result<String, Failure> {
    let is_of_tenant = role.parse::<Role>().is_ok_and(|role| !role.fits_tenant(false));
    match named.or_else(|| session.tenant.clone()) {
        None if is_of_tenant => session.tenant(None).await,
        found => Ok(found.unwrap_or_default()),
    }
}

/// An identity of `wardein dev`.
pub(crate) struct Trial {
    pub(crate) role: &'static str,
    pub(crate) tenant: &'static str,
    pub(crate) name: &'static str,
    /// Seconds.
    pub(crate) validity: u64,
    /// For a station: how many devices it may enroll.
    pub(crate) quota: Option<u64>,
}

/// Issues an identity of `wardein dev` into `directory`, unless a complete one is there. A start that was cut short is completed.
pub(crate) async fn issue_for_trial(
    order: Trial,
    directory: &Path,
    session: &Session,
) -> Result<(), Failure> {
    if directory.join(identity::DESCRIPTION).exists() {
        return Ok(());
    }
    let Trial { role, tenant, name, validity, quota } = order;
    let order = OrderArgs { role: role.to_owned(), tenant: None, name: name.to_owned(), validity, quota };
    let issued = certified(directory, None, session, async |csr| {
        let answer = session.operator().issue_operator(order.request(csr, tenant.to_owned())).await?;
        Ok((answer.certificate_pem, answer.operator.unwrap_or_default()))
    });
    issued.await.map(drop)
}

/// Says who is certified.
pub(super) fn say(operator: &Operator, directory: &Path, out: Output) -> Result<(), Failure> {
    out.say(&words(&operator.role, &operator.name, operator.not_after, directory), operator)
}

/// The same of an identity that came as a bundle.
pub(super) fn say_installed(judged: &Judged, directory: &Path, out: Output) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Installed {
        root_sha256: String,
        #[serde(flatten)]
        description: Description,
    }
    let (description, root_sha256) = (judged.description(), judged.root().to_string());
    let Description { role, name, not_after, .. } = &description;
    let words = words(role, name, *not_after, directory)
        + &format!("\nThe root of its authority has SHA-256 {root_sha256}.");
    out.say(&words, &Installed { root_sha256, description })
}

fn words(role: &str, name: &str, not_after: u64, directory: &Path) -> String {
    format!(
        "{role} {name} is certified until {}. Its key and certificate are in {}; use it with --identity.",
        time::at(not_after),
        directory.display()
    )
}

/// Has a key in `directory` certified, and puts the rest of the identity beside it. The key is made with the directory; or it is there,
/// because the earlier answer was lost.
pub(super) async fn certified(
    directory: &Path,
    passphrase: Option<&Passphrase>,
    session: &Session,
    certify: impl AsyncFnOnce(Vec<u8>) -> Result<(String, v1::Operator), Refusal>,
) -> Result<Operator, Failure> {
    let key = if key::is_there(directory)? {
        NewKey::there(directory, identity::read_key_again(directory, passphrase)?)
    } else {
        NewKey::make(directory, passphrase)?
    };
    let csr = Csr::create(&key.key).map_err(Failure::failed)?;
    let (certificate, operator) = certify(csr).await.map_err(|refusal| key.refused(refusal))?;
    completed(&key, certificate, session).await.map_err(|failure| key.kept(failure))?;
    Ok(Operator::from(operator))
}

async fn completed(key: &NewKey<'_>, certificate: String, session: &Session) -> Result<(), Failure> {
    let trust = session.operator().get_trust_bundle(v1::GetTrustBundleRequest::default()).await?;
    let judged = Bundle::of(certificate, trust, &session.endpoint)?.judge(unix_now())?;
    judged.require_key(&key.key)?;
    judged.install(key.directory())
}

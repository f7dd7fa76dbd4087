//! `wardein platform-cert`.

use crate::connection::ConnectArgs;
use crate::{Failure, Output, files, time};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use std::path::PathBuf;
use wardein_client::{number, time as wire, v1};
use wardein_domain::PlatformProfile;
use wardein_pki::pem;

#[derive(Debug, Subcommand)]
pub(crate) enum PlatformCertCommand {
    /// Have a platform's key certified, by a request that was made where the key is
    ///
    /// The CA of the tenant's devices signs it: one of an authority that was founded with `wardein init --devices-serve`. It is listed,
    /// shown and revoked by `wardein cert`. Where the answer is lost, the same command again within a day gets the same certificate.
    Issue(IssueArgs),
}

/// `wardein platform-cert issue`.
#[derive(Debug, Args)]
pub(crate) struct IssueArgs {
    /// What it is for
    #[arg(long, value_enum, default_value_t = Profile::PlatformServer)]
    profile: Profile,
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    /// The request: PKCS#10, as openssl makes it, in PEM or DER; of a key on P-256 or P-384, or of RSA of 3072 or 4096 bits. Only its
    /// key is taken
    #[arg(long, value_name = "FILE")]
    csr: PathBuf,
    /// For platform-server: a DNS name of the server; may be repeated. A tenant's administrator gives names that end with .TENANT
    #[arg(long = "dns", value_name = "NAME", required_if_eq("profile", "platform-server"))]
    dns_names: Vec<String>,
    /// For firmware-signing: the name of the signer
    #[arg(long, value_name = "NAME", required_if_eq("profile", "firmware-signing"))]
    name: Option<String>,
    /// For how long it is valid, such as 30d; 90d for platform-server and 3y for firmware-signing where it is left out
    #[arg(long, value_name = "TIME", value_parser = time::seconds)]
    validity: Option<u64>,
    /// The file to make for the certificate and its CA's, in PEM; it must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Profile {
    /// The server that devices deliver to
    PlatformServer,
    /// A key that signs firmware
    FirmwareSigning,
}

impl Profile {
    const fn known(self) -> PlatformProfile {
        match self {
            Self::PlatformServer => PlatformProfile::PlatformServer,
            Self::FirmwareSigning => PlatformProfile::FirmwareSigning,
        }
    }

    const fn usual_validity(self) -> u64 {
        match self {
            Self::PlatformServer => 90 * 86_400,
            Self::FirmwareSigning => 3 * 366 * 86_400,
        }
    }
}

#[derive(Serialize)]
struct Issued<'a> {
    serial: &'a str,
    not_after: u64,
    file: &'a PathBuf,
}

impl PlatformCertCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::Issue(args) => issue(args, out).await,
        }
    }
}

async fn issue(args: IssueArgs, out: Output) -> Result<(), Failure> {
    let IssueArgs { profile, tenant, csr, dns_names, name, validity, out: path, connect } = args;
    let request = pem::read_request(&files::read_bounded(&csr, MAX_REQUEST)?)
        .map_err(|error| Failure::file("take for a request", &csr, error))?;
    let session = connect.open().await?;
    let asked = v1::IssuePlatformCertificateRequest {
        tenant: session.tenant(tenant).await?,
        profile: number::<v1::PlatformProfile>(profile.known().as_str()),
        csr: request,
        dns_names,
        common_name: name.unwrap_or_default(),
        validity: wire::span(validity.unwrap_or(profile.usual_validity())),
    };
    if path.exists() {
        return Err(Failure::file("write", &path, "it is there already"));
    }
    let issued = session.operator().issue_platform_certificate(asked).await?;
    files::write_new(&path, issued.certificate_pem.as_bytes(), files::PUBLIC)?;
    let not_after = wire::seconds(issued.not_after);
    let words = format!(
        "certificate {} of {} until {} in {}",
        issued.serial,
        profile.known(),
        time::at(not_after),
        path.display()
    );
    out.say(&words, &Issued { serial: &issued.serial, not_after, file: &path })
}

/// Bytes of a request's file.
const MAX_REQUEST: u64 = 64 * 1024;

//! `wardein attestation` and `wardein endorsement-key`: which keys devices may sign with.

use crate::connection::{ConnectArgs, Session};
use crate::{Column, Failure, Output, Record, files, pages, time};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::path::PathBuf;
use wardein_attest::EkDigest;
use wardein_client::{number, time as wire, v1, word};
use wardein_crypto::{Digest, hex};
use wardein_pki::pem;

#[derive(Debug, Subcommand)]
pub(crate) enum AttestationCommand {
    /// Set a tenant's policy, whole: what is left out is not trusted
    Set(SetArgs),
    /// Show a tenant's policy
    Show(TenantArgs),
    /// Approve the state of a device's registers, after an update of its firmware
    Approve(ApproveArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// The device's id
    device: String,
    /// The digest of its registers, in hex: `wardein audit list --device` names it where a quote was refused. Compare it with what the
    /// update is to give. What was on record is taken no more
    #[arg(long, value_name = "HEX", value_parser = digest)]
    digest: Digest48,
    #[command(flatten)]
    at: TenantArgs,
}

/// The bytes of a digest of registers.
#[derive(Debug, Clone)]
struct Digest48(Vec<u8>);

fn digest(text: &str) -> Result<Digest48, String> {
    let bytes = hex::decode_any_case(text).filter(|bytes| matches!(bytes.len(), 32 | 48));
    bytes.map(Digest48).ok_or_else(|| "it takes 64 or 96 digits in hex".to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// Certificates of TPM vendors whose endorsement keys are trusted, PEM, or the DER of one: roots or intermediates, at
    /// most 512 of 1 MiB together
    #[arg(long, value_name = "FILE")]
    vendor_roots: Option<PathBuf>,
    /// Trust a TPM on first use that shows no certificate and is not listed. Any program can claim to be one
    #[arg(long)]
    first_use: bool,
    /// Let several devices be one TPM, or have one key; the verdict says so. Otherwise the second one is refused
    #[arg(long)]
    shared_tpms: bool,
    /// What else may keep a key, by the station's word
    #[arg(long, value_delimiter = ',', value_parser = ["secure-element", "pkcs11", "software"])]
    keepers: Vec<String>,
    #[command(flatten)]
    at: TenantArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EndorsementKeyCommand {
    /// Trust the TPMs whose endorsement keys a factory lists
    Add(FileArgs),
    /// Trust them no more; devices that were enrolled stay so
    Remove(FileArgs),
    /// List the keys that are trusted so
    List(TenantArgs),
}

#[derive(Debug, Args)]
pub(crate) struct FileArgs {
    /// One key a line: the SHA-256 of its public key (DER), as sha256sum prints it. Behind '#' is a comment
    file: PathBuf,
    #[command(flatten)]
    at: TenantArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TenantArgs {
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Serialize)]
struct Policy {
    tenant: String,
    /// PEM.
    vendor_roots: String,
    first_use: bool,
    keepers: Vec<String>,
    shared_tpms: bool,
}

impl Record for Policy {
    const COLUMNS: &'static [Column<Self>] = &[
        ("tenant", |policy| policy.tenant.clone()),
        ("vendor roots", |policy| policy.vendor_roots.matches("-----BEGIN ").count().to_string()),
        ("first use", |policy| if policy.first_use { "trusted" } else { "not trusted" }.to_owned()),
        ("by the station's word", |policy| policy.keepers.join(", ")),
        ("one TPM, several devices", |policy| {
            if policy.shared_tpms { "allowed" } else { "refused" }.to_owned()
        }),
    ];
}

#[derive(Debug, Serialize)]
struct Listed {
    /// Lower-case hex.
    digest: String,
    added_at: u64,
}

impl Record for Listed {
    const COLUMNS: &'static [Column<Self>] =
        &[("endorsement key", |listed| listed.digest.clone()), ("added", |listed| time::at(listed.added_at))];
}

impl AttestationCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::Set(args) => set(args, out).await,
            Self::Show(args) => {
                let session = args.connect.open().await?;
                let tenant = session.tenant(args.tenant).await?;
                show(&session, tenant, out).await
            }
            Self::Approve(args) => approve(args, out).await,
        }
    }
}

impl EndorsementKeyCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::Add(args) => {
                let (digests, session, tenant) = read_list(args).await?;
                let (operator, mut added) = (session.operator(), 0);
                for digests in digests.chunks(AT_ONCE) {
                    let (tenant, digests) = (tenant.clone(), digests.to_vec());
                    let request = v1::AddEndorsementKeysRequest { tenant, digests };
                    added += operator.add_endorsement_keys(request).await?.added;
                }
                let words = format!("{added} of {} were not on the list before", digests.len());
                out.say(&words, &serde_json::json!({ "given": digests.len(), "added": added }))
            }
            Self::Remove(args) => {
                let (digests, session, tenant) = read_list(args).await?;
                let (operator, mut removed) = (session.operator(), 0);
                for digests in digests.chunks(AT_ONCE) {
                    let (tenant, digests) = (tenant.clone(), digests.to_vec());
                    let request = v1::RemoveEndorsementKeysRequest { tenant, digests };
                    removed += operator.remove_endorsement_keys(request).await?.removed;
                }
                let words = format!("{removed} of {} were on the list", digests.len());
                out.say(&words, &serde_json::json!({ "given": digests.len(), "removed": removed }))
            }
            Self::List(args) => list(args, out).await,
        }
    }
}

async fn set(args: SetArgs, out: Output) -> Result<(), Failure> {
    let vendor_roots = match &args.vendor_roots {
        Some(path) => {
            let found = files::read_certificates(path)?;
            // The certificates alone: what stands around them is the file's own.
            pem::encode_certificates(found.iter().map(Vec::as_slice)).map_err(Failure::failed)?
        }
        None => String::new(),
    };
    let session = args.at.connect.open().await?;
    let tenant = session.tenant(args.at.tenant).await?;
    let SetArgs { first_use, keepers, shared_tpms, .. } = args;
    let keepers = keepers.iter().map(|keeper| number::<v1::KeyKeeper>(keeper)).collect();
    let (tenant_name, etag) = (tenant.clone(), String::new());
    let policy = v1::KeyPolicy { tenant: tenant_name, vendor_roots, first_use, keepers, shared_tpms, etag };
    let request = v1::PutKeyPolicyRequest { policy: Some(policy) };
    session.operator().put_key_policy(request).await?;
    show(&session, tenant, out).await
}

async fn show(session: &Session, tenant: String, out: Output) -> Result<(), Failure> {
    let request = v1::GetKeyPolicyRequest { tenant };
    let answer = session.operator().get_key_policy(request).await?;
    let v1::KeyPolicy { tenant, vendor_roots, first_use, keepers, shared_tpms, etag: _ } =
        answer.policy.unwrap_or_default();
    let keepers = keepers.into_iter().map(word::<v1::KeyKeeper>).collect();
    out.one(&Policy { tenant, vendor_roots, first_use, keepers, shared_tpms })
}

async fn approve(args: ApproveArgs, out: Output) -> Result<(), Failure> {
    let session = args.at.connect.open().await?;
    let (tenant, device_id, Digest48(digest)) =
        (session.tenant(args.at.tenant).await?, args.device, args.digest);
    let words =
        format!("{device_id} is certified with the registers of {} from now on", hex::encode(&digest));
    let value = serde_json::json!({ "device_id": &device_id, "digest": hex::encode(&digest) });
    let request = v1::ApprovePcrsRequest { tenant, device_id, digest };
    session.operator().approve_pcrs(request).await?;
    out.say(&words, &value)
}

async fn list(args: TenantArgs, out: Output) -> Result<(), Failure> {
    let session = args.connect.open().await?;
    let tenant = session.tenant(args.tenant).await?;
    let operator = session.operator();
    let keys = pages::all(async |page_size, page_token| {
        let tenant = tenant.clone();
        let request = v1::ListEndorsementKeysRequest { tenant, page_size, page_token };
        let page = operator.list_endorsement_keys(request).await?;
        Ok((page.keys, page.next_page_token))
    });
    let listed = |key: v1::EndorsementKey| {
        let digest = key.digest.try_into().map_err(|_| Failure::failed("the answer holds no digest"))?;
        Ok(Listed { digest: EkDigest(Digest(digest)).to_string(), added_at: wire::seconds(key.added_at) })
    };
    let keys = keys.await?.into_iter().map(listed).collect::<Result<Vec<_>, Failure>>()?;
    out.list("endorsement keys", &keys)
}

/// All of the file is judged before anything is asked.
async fn read_list(args: FileArgs) -> Result<(Vec<Vec<u8>>, Session, String), Failure> {
    let text = files::read(&args.file)?;
    let digests = parse_list(&text).map_err(|reason| Failure::file("read", &args.file, reason))?;
    let session = args.at.connect.open().await?;
    let tenant = session.tenant(args.at.tenant).await?;
    Ok((digests, session, tenant))
}

/// One digest a line, each once, with what `sha256sum` writes behind it.
fn parse_list(text: &str) -> Result<Vec<Vec<u8>>, String> {
    let mut digests = std::collections::BTreeSet::new();
    for (number, line) in (1..).zip(text.lines()) {
        let entry = line.split('#').next().unwrap_or_default();
        if let Some(word) = entry.split_whitespace().next() {
            let digest: EkDigest = word.parse().map_err(|error| format!("line {number}: {error}"))?;
            digests.insert(digest);
        }
    }
    if digests.is_empty() {
        return Err("it lists no key".to_owned());
    }
    Ok(digests.into_iter().map(|digest| digest.0.0.to_vec()).collect())
}

/// What the authority takes in one call.
const AT_ONCE: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_a_digest_a_line_and_says_where_it_has_none() {
        let digest = |byte: &str| byte.repeat(32);
        let text =
            format!("# lot 7\n{}  ek-1.der\n\n{} # twice\n{}\n", digest("02"), digest("01"), digest("02"));
        assert_eq!(parse_list(&text), Ok(vec![vec![1; 32], vec![2; 32]]));
        let wrong = parse_list(&format!("{}\nek-1.der\n", digest("02"))).unwrap_err();
        assert!(wrong.starts_with("line 2: a digest"), "{wrong}");
        assert_eq!(parse_list("# nothing\n"), Err("it lists no key".to_owned()));
    }
}

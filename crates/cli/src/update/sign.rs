//! `wardein update sign`: what waits is fetched, signed here, and its signature is sent; the key stays.

use super::File;
use crate::connection::ConnectArgs;
use crate::secret::{KeyPassphraseArgs, PrivateKey};
use crate::{Confirm, Failure, Output};
use clap::Args;
use std::path::PathBuf;
use wardein_client::v1;
use wardein_crypto::P256SigningKey;
use wardein_pki::pem;
use wardein_tuf::{Document, Envelope, Root, Targets, Value};

/// `wardein update sign`.
#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// The repository
    repository: String,
    /// What to sign: `root`, `targets`, or the name of a product line
    role: String,
    /// The key, on P-256 in PKCS#8 (PEM), which its owner alone may read; a passphrase is asked for where it has one
    #[arg(long, value_name = "FILE")]
    offline_key: PathBuf,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: SignArgs, out: Output) -> Result<(), Failure> {
    let SignArgs { repository, role, offline_key, confirm, connect } = args;
    let wrong = |why: &dyn std::fmt::Display| Failure::file("take for a key", &offline_key, why);
    let key = PrivateKey::read(&offline_key, &KeyPassphraseArgs::default())?;
    let key = pem::decode_private_key(key.pem.expose()).map_err(|error| wrong(&error))?;
    let key = P256SigningKey::from_pkcs8(&key).map_err(|_| wrong(&"it is no P-256 key in PKCS#8"))?;
    let session = connect.open().await?;
    let request = v1::GetUpdateDraftRequest { repository: repository.clone(), role: role.clone() };
    let draft = session.operator().get_update_draft(request).await?.draft;
    let damaged = |error| Failure::failed(format!("what waits is not metadata of {role}: {error}"));
    let mut envelope = Envelope::parse(&draft, wardein_tuf::MAX_TARGETS_LEN).map_err(damaged)?;
    // What is asked about is what is signed: read here, not told by the authority.
    let what = described(&envelope, &role).map_err(damaged)?;
    confirm.ask(&format!("sign, as {role} of {repository}, {what}"))?;
    envelope.sign(&key).map_err(|_| Failure::failed("the key does not sign"))?;
    let signature = envelope.signatures().last().ok_or_else(|| Failure::failed("the key does not sign"))?;
    let request = v1::SignUpdateDraftRequest {
        repository,
        role,
        key_id: signature.key.to_string(),
        signature: signature.bytes.clone(),
    };
    let answer = session.operator().sign_update_draft(request).await?;
    out.one(&File::from(answer.file.unwrap_or_default()))
}

/// What a document says, for who is to sign it.
fn described(envelope: &Envelope, role: &str) -> Result<String, wardein_tuf::Malformed> {
    if role == "root" {
        let root: Root = envelope.read()?;
        let of = root.root.keys.len();
        return Ok(format!(
            "version {}, by which {} of {of} keys sign root",
            root.version(),
            root.root.threshold
        ));
    }
    let targets: Targets = envelope.read()?;
    let version = targets.version();
    if let Some(delegations) = &targets.delegations {
        let lines: Vec<_> = delegations.roles.iter().map(|line| line.name.as_str()).collect();
        return Ok(format!("version {version} with the lines [{}]", lines.join(", ")));
    }
    let releases: Vec<_> = targets
        .targets
        .iter()
        .map(|(path, file)| {
            let label = match &file.custom {
                Some(Value::Object(fields)) => fields.get("label"),
                _ => None,
            };
            match label {
                Some(Value::Text(label)) => format!("{path} ({label})"),
                _ => path.to_string(),
            }
        })
        .collect();
    Ok(format!("version {version} with the releases [{}]", releases.join(", ")))
}

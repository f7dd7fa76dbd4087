//! `wardein device enroll`: a factory's batch, whose devices this process plays, each with a state directory of its own.

use crate::stream::{Stream, StreamStation};
use futures_util::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::path::{Path, PathBuf};
use wardein_cli::{BadLine, Batch, EnrollArgs, Failure, Line, Output, Record, Session};
use wardein_client::v1;
use wardein_crypto::{P256VerifyingKey, SystemEntropy};
use wardein_ddkg::{DeviceName, Purposes, Suite};
use wardein_device::{Config, Directory, Error, Source};
use wardein_domain::TenantId;

/// What every device of the batch is told.
struct Common {
    tenant: TenantId,
    endpoint: String,
    identity_key: P256VerifyingKey,
    trust_roots: String,
    out: PathBuf,
}

/// How one device fared.
#[derive(Debug, Serialize)]
struct Fate {
    line: u64,
    device_id: String,
    /// `enrolled`, `already-enrolled`, `unconfirmed` or `failed`.
    result: &'static str,
    /// The stable code of a refusal.
    code: String,
    message: String,
    #[serde(skip)]
    is_unreachable: bool,
}

impl Record for Fate {
    const HEADS: &'static [&'static str] = &["line", "device", "result", "why"];

    fn cells(&self) -> Vec<String> {
        vec![self.line.to_string(), self.device_id.clone(), self.result.to_owned(), self.message.clone()]
    }
}

/// The whole, for scripts.
#[derive(Serialize)]
struct Report<'a> {
    enrolled: usize,
    failed: usize,
    devices: &'a [Fate],
    bad_lines: &'a [BadLine],
}

/// Does what the arguments say.
pub fn run(args: EnrollArgs, out: Output) -> Result<(), Failure> {
    let batch = Batch::read(&args.csv)?;
    let mut fates = wardein_cli::block_on(play(&args, &batch))?;
    fates.sort_by_key(|fate| fate.line);
    report(&batch, &fates, &args.out, out)
}

async fn play(args: &EnrollArgs, batch: &Batch) -> Result<Vec<Fate>, Failure> {
    let session = args.connect.open().await?;
    let common = common(&session, &args.out).await?;
    make_directory(&args.out)?;
    let stream = Stream::open(&session).await?;
    let progress = ProgressBar::new(batch.lines.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} devices, {per_sec}, {eta} left") {
        progress.set_style(style);
    }
    let fates = stream::iter(&batch.lines)
        .map(|line| enroll(line, &common, &stream))
        .buffer_unordered(args.parallel.into())
        .inspect(|_| progress.inc(1))
        .collect()
        .await;
    progress.finish_and_clear();
    Ok(fates)
}

async fn common(session: &Session, out: &Path) -> Result<Common, Failure> {
    let tenant = session.tenant.as_deref().ok_or_else(|| {
        Failure::Usage("--identity: give the directory of a station, which says its tenant".to_owned())
    })?;
    let bundle = session.connection.certificates().get_trust_bundle(v1::GetTrustBundleRequest {}).await;
    let bundle = bundle.map_err(Failure::of_call)?.into_inner();
    let point = bundle.identity_key.as_slice().try_into();
    Ok(Common {
        tenant: tenant.parse().map_err(Failure::failed)?,
        endpoint: session.endpoint.clone(),
        identity_key: P256VerifyingKey(
            point.map_err(|_| Failure::failed("the identity key is not 65 bytes"))?,
        ),
        trust_roots: bundle.pem,
        out: out.to_owned(),
    })
}

fn make_directory(path: &Path) -> Result<(), Failure> {
    match wardein_cli::files::make_private_directory(path) {
        Err(_) if path.is_dir() => Ok(()),
        made => made,
    }
}

async fn enroll(line: &Line, common: &Common, stream: &Stream) -> Fate {
    let fate = |result, code, message, is_unreachable| {
        let device_id = line.device.to_string();
        Fate { line: line.number, device_id, result, code, message, is_unreachable }
    };
    match try_enroll(line, common, stream).await {
        Ok(true) => fate("enrolled", String::new(), String::new(), false),
        Ok(false) => {
            let message = "the device sends its confirmation again by itself".to_owned();
            fate("unconfirmed", String::new(), message, false)
        }
        Err(Error::AlreadyEnrolled) => fate("already-enrolled", String::new(), String::new(), false),
        Err(Error::Refused(refused)) => fate("failed", refused.code.clone(), refused.to_string(), false),
        Err(error) => {
            fate("failed", String::new(), error.to_string(), matches!(error, Error::Unreachable(_)))
        }
    }
}

/// Whether the authority is known to have the confirmation.
async fn try_enroll(line: &Line, common: &Common, stream: &Stream) -> Result<bool, Error> {
    let name = line.device.as_str();
    // These are device ids, and no names of a directory within another.
    if matches!(name, "." | "..") {
        return Err(Error::Config {
            field: "device_id",
            why: "cannot be the name of a directory".to_owned(),
        });
    }
    let directory = Directory::create(&common.out.join(name))?;
    let attributes = line.attributes.iter();
    let config = Config {
        device: DeviceName { tenant: common.tenant.clone(), device: line.device.clone() },
        endpoint: common.endpoint.clone(),
        identity_key: common.identity_key,
        trust_roots: common.trust_roots.clone(),
        suite: Suite::P256,
        purposes: Purposes::ALL,
        authenticate_every: 3600,
        rekey_after: 30 * 86_400,
        signs_with: None,
        sealed_by: None,
        attributes: attributes.map(|(name, value)| (name.clone(), Source::Text(value.clone()))).collect(),
    };
    match directory.files().config()?.map(|existing| existing.difference(&config)) {
        None => directory.save_config(&config)?,
        Some(None) => {}
        Some(Some(field)) => return Err(Error::ConfigDiffers(field)),
    }
    let mut station = StreamStation { stream, line };
    let (root, mut entropy) = (Path::new("/"), SystemEntropy::default());
    let enrolled =
        wardein_device::enroll(&directory, &config, root, false, &mut station, &mut entropy).await?;
    Ok(enrolled.is_confirmed)
}

fn report(batch: &Batch, fates: &[Fate], directory: &Path, out: Output) -> Result<(), Failure> {
    let failed = fates.iter().filter(|fate| fate.result == "failed").count();
    let enrolled = fates.len() - failed;
    if out.is_json() {
        out.json(&Report { enrolled, failed, devices: fates, bad_lines: &batch.bad })?;
    } else {
        out.list("devices", fates)?;
        for bad in &batch.bad {
            out.write(&format!("line {} was left out: {}\n", bad.line, bad.reason))?;
        }
        let (bad, directory) = (batch.bad.len(), directory.display());
        out.write(&format!(
            "{enrolled} enrolled, {failed} failed, {bad} bad lines left out. Go on with: \
             wardein-device --dir {directory}/ID certificate\n"
        ))?;
    }
    if let Some(fate) = fates.iter().find(|fate| fate.is_unreachable) {
        return Err(Failure::Unreachable(fate.message.clone()));
    }
    match failed + batch.bad.len() {
        0 => Ok(()),
        left => Err(Failure::Failed(format!(
            "{left} of {} lines were not enrolled",
            fates.len() + batch.bad.len()
        ))),
    }
}

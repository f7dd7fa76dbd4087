//! A factory's batch, whose devices this process plays, each with a state directory of its own.

use crate::stream::{Stream, StreamStation};
use crate::{Batch, Error, Expected, Fate, Line, Origin, Outcome, Report};
use futures_util::{StreamExt, stream};
use std::path::Path;
use wardein_client::{Station, v1};
use wardein_crypto::{P256VerifyingKey, SystemEntropy};
use wardein_ddkg::{DeviceName, Purposes, Suite};
use wardein_device::{Config, Directory, Enrolled, Error as DeviceError, Source, Transport};
use wardein_domain::{ErrorCode, TenantId};
use wardein_pki::roots_of;

/// Devices that this process plays, for trials and tests.
pub struct Play<'a> {
    /// The authority, called as a station.
    pub station: &'a Station,
    /// Where the devices will call.
    pub endpoint: &'a str,
    /// Whose they are.
    pub tenant: TenantId,
    /// Where their states go, a directory each. It must be there.
    pub states: &'a Path,
    /// How many are enrolled at the same time.
    pub parallel: usize,
    /// The devices that may be enrolled; `None` where all of the batch may.
    pub expected: Option<&'a Expected>,
}

/// What every device of the batch is given.
struct Common<'a> {
    play: &'a Play<'a>,
    identity_key: P256VerifyingKey,
    trust_roots: String,
}

impl Play<'_> {
    /// Enrolls the good lines of `batch`, over one stream, and goes on with what an earlier run left unfinished. What `report`
    /// has as enrolled is left out; each outcome is entered there. `each` sees every outcome as it comes; those that are
    /// returned are in the order of the file.
    pub async fn enroll(
        &self,
        batch: &Batch,
        mut report: Option<&mut Report>,
        mut each: impl FnMut(&Outcome),
    ) -> Result<Vec<Outcome>, Error> {
        let enrolled = report.as_ref().map(|report| report.enrolled().clone()).unwrap_or_default();
        let is_left = |line: &&Line| !enrolled.contains(line.device.as_str());
        let common = self.common().await?;
        let stream = Stream::open(self.station).await?;
        let mut ended = stream::iter(batch.lines.iter().filter(is_left))
            .map(|line| enroll(line, &common, &stream))
            .buffer_unordered(self.parallel);
        let mut outcomes = Vec::new();
        while let Some(outcome) = ended.next().await {
            if let Some(report) = &mut report {
                report.enter(&outcome)?;
            }
            each(&outcome);
            outcomes.push(outcome);
        }
        outcomes.sort_by(|one, other| one.line.cmp(&other.line));
        Ok(outcomes)
    }

    async fn common(&self) -> Result<Common<'_>, Error> {
        let bundle = self.station.get_trust_bundle(v1::GetTrustBundleRequest::default()).await?;
        let point = bundle.identity_key.as_slice().try_into();
        let point = point.map_err(|_| Error::Answer("the identity key is not 65 bytes"))?;
        let trust_roots = roots_of(&bundle.pem).map_err(|_| Error::Answer("the trust bundle has no root"))?;
        Ok(Common { play: self, identity_key: P256VerifyingKey(point), trust_roots })
    }
}

async fn enroll(line: &Line, common: &Common<'_>, stream: &Stream) -> Outcome {
    let (row, device) = (Origin::Row(line.number), &line.device);
    let failed = |code, message| Outcome { code, message, ..Outcome::new(row.clone(), device, Fate::Failed) };
    let outcome = if common.play.expected.is_some_and(|expected| !expected.has(device)) {
        failed(ErrorCode::DeviceNotListed.to_string(), format!("{device} is not in the expected list"))
    } else {
        match try_enroll(line, common, stream).await {
            Ok(Enrolled { generation, is_confirmed: true }) => {
                Outcome { generation, ..Outcome::new(row, device, Fate::Enrolled) }
            }
            Ok(Enrolled { generation, is_confirmed: false }) => {
                Outcome { generation, ..Outcome::unconfirmed(row, device) }
            }
            Err(DeviceError::AlreadyEnrolled) => Outcome::new(row, device, Fate::AlreadyEnrolled),
            Err(DeviceError::Refused(refused)) => failed(refused.code.clone(), refused.to_string()),
            Err(error @ DeviceError::Unreachable(_)) => {
                failed(ErrorCode::Unreachable.to_string(), error.to_string())
            }
            Err(error) => failed(String::new(), error.to_string()),
        }
    };
    outcome.of(&line.vouched())
}

async fn try_enroll(line: &Line, common: &Common<'_>, stream: &Stream) -> Result<Enrolled, DeviceError> {
    let name = line.device.as_str();
    // These are device ids, and no names of a directory within another.
    if matches!(name, "." | "..") {
        return Err(DeviceError::Config {
            field: "device_id",
            why: "cannot be the name of a directory".to_owned(),
        });
    }
    let play = common.play;
    let directory = Directory::create(&play.states.join(name))?;
    let attributes = line.attributes.iter();
    let config = Config {
        device: DeviceName { tenant: play.tenant.clone(), device: line.device.clone() },
        endpoint: play.endpoint.to_owned(),
        transport: Transport::default(),
        proxy: None,
        identity_key: common.identity_key,
        trust_roots: common.trust_roots.clone(),
        suite: Suite::P256,
        purposes: Purposes::ENROLLED,
        authenticate_every: 3600,
        rekey_after: 30 * 86_400,
        signs_with: None,
        sealed_by: None,
        made_key: None,
        update: None,
        attributes: attributes.map(|(name, value)| (name.clone(), Source::Text(value.clone()))).collect(),
    };
    match directory.files().config()?.map(|existing| existing.difference(&config)) {
        None => directory.save_config(&config)?,
        Some(None) => {}
        Some(Some(field)) => return Err(DeviceError::ConfigDiffers(field)),
    }
    let mut station = StreamStation { stream, line };
    let (root, mut entropy) = (Path::new("/"), SystemEntropy::default());
    wardein_device::enroll(&directory, &config, root, false, &mut station, &mut entropy).await
}

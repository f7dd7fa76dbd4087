//! Offers: which release a device may install now, decided from what is on record and signed for that device alone.

use super::releases::releases_of;
use super::repositories::repository;
use super::site::consented;
use super::views::Rollout;
use crate::kernel::{Engine, Error, Stop, Tx};
use crate::rows::{ReleaseColumn, ReleaseStateColumn, update_key};
use wardein_crypto::Digest;
use wardein_ddkg::DeviceName;
use wardein_ddkg::authority::Accepted;
use wardein_domain::{
    AttributeName, Event, FieldName, Fields, ProfileName, ReleaseText, Seconds, UnixSeconds,
};
use wardein_port::{Change, Table};
use wardein_tuf::{NotOffered, Offer, OfferAsk, OfferReply};

/// An answer to a device that asked for an offer.
pub(crate) struct Offering {
    pub(crate) event: Event,
    /// For the audit entry.
    pub(crate) fields: Fields,
    /// The reply's body.
    pub(crate) body: Vec<u8>,
    /// What the device will show once it runs what it was offered.
    pub(crate) attributes: Vec<(AttributeName, ReleaseText)>,
}

impl Engine {
    /// The answer to a device that has proved who it is. The change rests on the line as it is, so that no offer is on record after
    /// a pause or a recall that it did not see. The key of a sealed artifact goes with the offer, sealed for the proof that was
    /// `accepted`; there is none of a device that signs, which is offered no such release.
    pub(crate) fn offer(
        &self,
        tx: &Tx<'_>,
        (device, profile): (&DeviceName, &ProfileName),
        ask: &OfferAsk,
        now_ms: u64,
        accepted: Option<&Accepted>,
        change: &mut Change,
    ) -> Result<Offering, Stop> {
        let (name, line) = (&ask.repository, &ask.line);
        let fields = Fields::default().with(FieldName::Repository, name.as_str());
        let fields = fields.with(FieldName::Line, line.as_str());
        let not = |why: NotOffered, fields: Fields| {
            let fields = fields.with(FieldName::Message, why.word());
            let (event, body) = (Event::UpdateNotOffered, OfferReply::Not(why).encode());
            Ok(Offering { event, fields, body, attributes: Vec::new() })
        };
        let row = repository(tx, name)?;
        if !row.is_some_and(|(_, row)| row.lines.iter().any(|of| of.name == *line)) {
            return not(NotOffered::Line, fields);
        }
        let (version, releases) = releases_of(tx, name, line)?;
        change.check(Table::ProductLine, update_key(name, line.as_str()), version);
        let now = UnixSeconds::new(now_ms / 1000);
        // What it says of its floor may be of a state that was put back.
        let ask = &OfferAsk { floor: ask.floor.max(self.floor_of(tx, device, name, line)?), ..ask.clone() };
        let mut judge = |release: &ReleaseColumn| -> Judged {
            match judge(release, ask, device, profile) {
                Err(why) => Ok(Err(why)),
                Ok(()) if accepted.is_none() && releases.sealed(release.version).is_some() => {
                    Ok(Err(NotOffered::Sealed))
                }
                Ok(()) => consented(tx, &device.tenant, (name, line, release.version), now, change),
            }
        };
        let release = match chosen(&releases.releases, ask, &mut judge)? {
            Ok(release) => release,
            Err(why) => return not(why, fields),
        };
        let offer = Offer {
            tenant: device.tenant.clone(),
            device: device.device.clone(),
            repository: name.clone(),
            line: line.clone(),
            version: release.version,
            length: release.length,
            sha256: Digest(release.sha256),
            issued: now_ms,
            expires: now.plus(Seconds::new(Offer::LIFETIME)),
        };
        let signed = offer.sign(&self.authority.identity);
        let signed = signed.map_err(|_| Error::internal("the identity key does not sign"))?;
        let fields = fields
            .with(FieldName::Release, release.version)
            .with(FieldName::Artifact, wardein_crypto::hex::encode(&release.sha256));
        let (reply, fields) = match (releases.sealed(release.version), accepted) {
            (Some(sealed), Some(accepted)) => {
                let key = self.artifact_key((name, line), sealed)?;
                let mut answer = accepted.seal_key(tx.nonce()?, key).map_err(Error::internal)?;
                answer.rest = signed;
                let fields = fields.with(FieldName::Plaintext, wardein_crypto::hex::encode(&sealed.sha256));
                (OfferReply::WithKey(answer.encode()), fields)
            }
            _ => (OfferReply::Offered(signed), fields),
        };
        let (event, body) = (Event::UpdateOffered, reply.encode());
        Ok(Offering { event, fields, body, attributes: release.attributes.clone() })
    }
}

/// Whether a device may have a release, or why not.
type Judged = Result<Result<(), NotOffered>, Stop>;

/// The release that was asked for, or the latest above the one that runs, where the device may have it.
fn chosen<'a>(
    releases: &'a [ReleaseColumn],
    ask: &OfferAsk,
    judge: &mut dyn FnMut(&ReleaseColumn) -> Judged,
) -> Result<Result<&'a ReleaseColumn, NotOffered>, Stop> {
    let is_meant = |release: &&ReleaseColumn| {
        let is_asked = match ask.version {
            0 => release.version > ask.running && release.version >= ask.floor,
            version => release.version == version,
        };
        is_asked && release.models.contains(&ask.model)
    };
    let mut meant: Vec<_> = releases.iter().filter(is_meant).collect();
    meant.sort_by_key(|release| std::cmp::Reverse(release.version));
    // Where there is none, the latest says why.
    let mut why = NotOffered::Release;
    for (place, release) in meant.into_iter().enumerate() {
        match judge(release)? {
            Ok(()) => return Ok(Ok(release)),
            Err(refused) if place == 0 => why = refused,
            Err(_) => {}
        }
    }
    Ok(Err(why))
}

fn judge(
    release: &ReleaseColumn,
    ask: &OfferAsk,
    device: &DeviceName,
    profile: &ProfileName,
) -> Result<(), NotOffered> {
    match release.state {
        ReleaseStateColumn::Released => {}
        ReleaseStateColumn::Proposed => return Err(NotOffered::Proposed),
        ReleaseStateColumn::Paused => return Err(NotOffered::Paused),
        ReleaseStateColumn::Recalled => return Err(NotOffered::Recalled),
    }
    // The device holds to its floor itself; an offer that it would refuse is not made.
    let is_signed_downgrade = release.downgrade_from.is_some_and(|from| ask.floor <= from);
    if release.version < ask.floor && !is_signed_downgrade {
        return Err(NotOffered::Floor);
    }
    let what = (&ask.repository, &ask.line, release.version);
    if !Rollout::from(&release.rollout).has(what, device, profile) {
        return Err(NotOffered::Rollout);
    }
    Ok(())
}

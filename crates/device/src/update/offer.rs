//! The authority's offer: what this device may install now. It is asked for by proof, verified when it comes and at each reading, and kept,
//! so that an installation can be made within the hour without the network.

use super::catalog::Listed;
use super::error::UpdateError;
use super::files::UpdateFiles;
use super::progress::Phase;
use super::sealed;
use super::updater::{Pick, Updater};
use crate::agent::Prover;
use crate::config::Config;
use crate::error::Error;
use wardein_crypto::Secret;
use wardein_ddkg::device::{Acknowledged, MadeKeyOpener};
use wardein_domain::{LineName, RepositoryName, UnixSeconds};
use wardein_tuf::{NotOffered, Offer, OfferAsk, OfferError, OfferReply};

/// What the authority answered to an ask for an offer.
pub struct OfferAnswer {
    /// The offer as it was signed, or why there is none.
    offer: Result<Vec<u8>, NotOffered>,
    /// The key of the release's artifact, where that is sealed.
    key: Option<Secret<16>>,
}

impl OfferAnswer {
    /// That of a reply to a proof.
    pub(crate) fn opened((reply, opener): (Acknowledged, Option<MadeKeyOpener>)) -> Result<Self, Error> {
        Self::read(&reply.body, opener)
    }

    /// That of a reply's body, whose key `opener` opens; a device that signs has none. (DDKG-1 §8.3)
    pub(crate) fn read(body: &[u8], opener: Option<MadeKeyOpener>) -> Result<Self, Error> {
        let malformed = || Error::from(UpdateError::Offer(OfferError::Malformed));
        match (OfferReply::decode(body).ok_or_else(malformed)?, opener) {
            (OfferReply::Offered(offer), _) => Ok(Self { offer: Ok(offer), key: None }),
            (OfferReply::Not(why), _) => Ok(Self { offer: Err(why), key: None }),
            (OfferReply::WithKey(sealed), Some(opener)) => {
                let (key, offer) = opener.open(&sealed)?;
                let key: &[u8; 16] = key.expose().try_into().map_err(|_| malformed())?;
                Ok(Self { offer: Ok(offer), key: Some(Secret::copied_from(key)) })
            }
            (OfferReply::WithKey(_), None) => Err(malformed()),
        }
    }
}

impl Updater {
    /// Whether nothing is installed but by the authority's offer: what `[update]` says, and else whether the device is enrolled.
    pub fn needs_offer(&self) -> bool {
        self.needs_offer
    }

    /// Asks for an offer by proof, and keeps it in the place of the former one; or why there is none.
    pub async fn ask_offer(
        &self,
        prover: &mut impl Prover,
        pick: Pick,
    ) -> Result<Result<Offer, NotOffered>, Error> {
        let (repository, line) = self.names()?;
        let standing = self.standing()?;
        // With an offer the authority awaits what that release shows: another one would take the place of what is about to start.
        let pick = match (&standing.pending, pick) {
            (None, pick) => pick,
            (Some((Phase::Installing, begun)), Pick::Latest) => Pick::Version(begun.version),
            (Some((Phase::Installing, begun)), Pick::Version(version)) if begun.version == version => pick,
            (Some((_, installed)), _) => {
                return Err(UpdateError::Pending { version: installed.version }.into());
            }
        };
        let model = self.settings.model.parse();
        let ask = OfferAsk {
            repository,
            line,
            model: model.map_err(|error| wrong("update.model", error))?,
            floor: standing.floor,
            running: standing.running.as_ref().map_or(0, |running| running.version),
            version: match pick {
                Pick::Latest => 0,
                Pick::Version(version) => version,
            },
        };
        let OfferAnswer { offer, key } = prover.update_offer(&ask.encode()).await?;
        let bytes = match offer {
            Ok(bytes) => bytes,
            Err(why) => {
                // One that was begun may be begun again within the hour of its offer.
                if standing.pending.is_none() {
                    self.files.forget_offer_of_key()?;
                }
                return Ok(Err(why));
            }
        };
        let offer = Offer::open(&bytes, &self.config.identity_key).map_err(UpdateError::Offer)?;
        // The key first: the offer alone would install nothing.
        match &key {
            Some(key) => {
                self.files.keep_artifact_key(&sealed::kept(self.state(), &offer.sha256, key)?)?;
            }
            None => self.files.forget_artifact_key()?,
        }
        self.files.keep_offer(&bytes)?;
        Ok(Ok(offer))
    }

    /// The offer that is kept, whatever it is good for; `None` where there is none.
    pub fn kept_offer(&self) -> Result<Option<Offer>, Error> {
        let Some(bytes) = self.files.offer()? else { return Ok(None) };
        Ok(Some(Offer::open(&bytes, &self.config.identity_key).map_err(UpdateError::Offer)?))
    }

    /// Whether an offer is kept that is good for that. One that is damaged is as good as none: another takes its place.
    pub fn holds_offer(&self, pick: Pick) -> Result<bool, Error> {
        let standing = self.standing()?;
        let Ok(Some(offer)) = self.kept_offer() else { return Ok(false) };
        let is_meant = match pick {
            Pick::Latest => standing.running.is_none_or(|running| offer.version > running.version),
            Pick::Version(version) => offer.version == version,
        };
        let is_own =
            (&offer.tenant, &offer.device) == (&self.config.device.tenant, &self.config.device.device);
        Ok(is_meant && is_own && offer.issued > standing.last_offer && offer.expires > self.now)
    }

    /// When the offer was issued that the device may install `listed` by, in Unix milliseconds; `None` where it needs none.
    pub(super) fn offered(&self, listed: &Listed, used: u64) -> Result<Option<u64>, Error> {
        if !self.needs_offer {
            return Ok(None);
        }
        let version = listed.release.version;
        let offer = self.kept_offer()?.ok_or(UpdateError::NoOffer { version })?;
        let (repository, line) = self.names()?;
        let device = &self.config.device;
        let judged = offer.judge(
            (&device.tenant, &device.device),
            (&repository, &line, version),
            &listed.file,
            self.now,
            used,
        );
        judged.map_err(UpdateError::Offer)?;
        Ok(Some(offer.issued))
    }

    /// Repository and line, as the authority has them.
    pub(super) fn names(&self) -> Result<(RepositoryName, LineName), Error> {
        let repository = self.settings.offers_from().ok_or_else(|| {
            let why = "is missing, and `repository` does not end with a name: it is the repository's with the authority";
            wrong("update.name", why)
        })?;
        let line = self.settings.line.as_str().parse();
        Ok((repository, line.map_err(|error| wrong("update.line", error))?))
    }
}

/// Forgets the key that came with an offer which has ended: the next one brings it again.
pub(super) fn forget_ended_key(files: &UpdateFiles, config: &Config, now: UnixSeconds) -> Result<(), Error> {
    if !files.has_artifact_key() {
        return Ok(());
    }
    let kept = files.offer()?.and_then(|bytes| Offer::open(&bytes, &config.identity_key).ok());
    match kept.is_some_and(|offer| offer.expires <= now) {
        true => files.forget_artifact_key(),
        false => Ok(()),
    }
}

fn wrong(field: &'static str, why: impl std::fmt::Display) -> Error {
    Error::Config { field, why: why.to_string() }
}

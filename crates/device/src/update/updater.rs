//! The steps of an update, each a command that can be run again.

use super::artifact;
use super::catalog::{self, Listed, Offered};
use super::error::UpdateError;
use super::files::UpdateFiles;
use super::offer::forget_ended_key;
use super::progress::{Installed, Phase, Standing};
use super::running::Running;
use super::sealed;
use super::settings::{Place, UpdateSettings};
use super::source::Source;
use crate::config::Config;
use crate::directory::Files;
use crate::error::Error;
use crate::transport;
use std::path::{Path, PathBuf};
use wardein_client::{Settings, unix_now};
use wardein_crypto::hex;
use wardein_domain::UnixSeconds;
use wardein_tuf::ReceiptOutcome;

/// The updates of one device, for this process alone.
pub struct Updater {
    pub(super) files: UpdateFiles,
    /// The state directory, whose key seals what is kept here.
    home: Files,
    pub(super) config: Config,
    pub(super) settings: UpdateSettings,
    pub(super) needs_offer: bool,
    pub(super) is_enrolled: bool,
    /// In the place of both places of device.toml: `metadata` and `targets` in it, such as on a USB stick.
    from: Option<PathBuf>,
    /// `/`, or what a test puts in its place.
    root: PathBuf,
    pub(super) now: UnixSeconds,
}

/// Which release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// The latest that this device may install.
    Latest,
    /// That version.
    Version(u64),
}

impl Updater {
    /// That of the state directory `files`. Metadata and artifacts come from `from`, if it is given.
    pub async fn open(files: &Files, from: Option<PathBuf>, root: PathBuf) -> Result<Self, Error> {
        let config = files.config()?.ok_or_else(|| files.not_configured())?;
        let missing = || Error::Config {
            field: "update",
            why: "the section [update] is missing: it names line, model, repository, artifacts and install"
                .to_owned(),
        };
        let settings = config.update.clone().ok_or_else(missing)?;
        // The device's own clock may be behind: the authority's last word is as good as that.
        let heard = files.contact().map_or(0, |contact| contact.server_time);
        let now = UnixSeconds::new(heard.max(unix_now()));
        let is_enrolled = files.is_enrolled();
        let needs_offer = settings.offers.unwrap_or(is_enrolled);
        let home = Files::open(files.path())?;
        let files = UpdateFiles::open(home.path()).await?;
        forget_ended_key(&files, &config, now)?;
        Ok(Self { files, home, config, settings, needs_offer, is_enrolled, from, root, now })
    }

    /// What seals a secret that is kept, and where that is sealed.
    pub(super) fn state(&self) -> (&Files, &Config) {
        (&self.home, &self.config)
    }

    /// Trusts the maker's first root. Its version.
    pub fn trust(&self, root: &[u8]) -> Result<u64, Error> {
        catalog::trust(&self.files, root, self.now)
    }

    /// What runs, what waits, and the floor.
    pub fn standing(&self) -> Result<Standing, Error> {
        Standing::read(&self.files)
    }

    /// The releases of the device's line, the latest first.
    pub async fn check(&self) -> Result<Vec<Offered>, Error> {
        let source = self.source("metadata", &self.settings.repository)?;
        let listed = catalog::releases(&self.files, Some(&source), &self.settings, self.now).await?;
        self.judged(listed)
    }

    /// Downloads a release, after the metadata was refreshed; where its artifact is.
    pub async fn download(
        &self,
        pick: Pick,
        told: &mut (dyn FnMut(&Listed, u64) + Send),
    ) -> Result<(Listed, PathBuf), Error> {
        let listed = self.picked(self.check().await?, pick)?;
        self.require_other(pick, &listed)?;
        sealed::require_opener(&listed)?;
        let source = self.source("targets", &self.settings.artifacts)?;
        let place = self.place("targets", &self.settings.artifacts);
        let mut tell = |at| told(&listed, at);
        let path = artifact::download(&self.files, &source, &place, &listed, &mut tell).await?;
        Ok((listed, path))
    }

    /// Judges a file as the artifact of a release, by the metadata that was kept.
    pub async fn verify(&self, pick: Pick, file: &Path) -> Result<Listed, Error> {
        let listed = self.picked(self.kept().await?, pick)?;
        artifact::verify(file, &listed, &mut |_| ())?;
        Ok(listed)
    }

    /// Says that what was installed has started well: it runs from now on, and its floor holds. The receipt is kept before that is.
    pub fn confirm(&self) -> Result<Installed, Error> {
        let standing = self.standing()?.confirmed()?;
        let running = standing.running.clone().ok_or(Error::Fault("confirming an installation"))?;
        self.note(ReceiptOutcome::Started, &running, &standing)?;
        standing.keep(&self.files)?;
        self.files.remove_other_artifacts(None)?;
        self.files.forget_artifact_key()?;
        Ok(running)
    }

    /// Says that the device runs what it ran before. Of an installation that had come to its end there is a receipt.
    pub fn rolled_back(&self) -> Result<Standing, Error> {
        let before = self.standing()?;
        let standing = before.clone().rolled_back()?;
        if let Some((Phase::Installed, installed)) = &before.pending {
            self.note(ReceiptOutcome::RolledBack, installed, &before)?;
        }
        standing.keep(&self.files)?;
        // The offer of one that was only begun is not used up, and good with its key.
        if matches!(before.pending, Some((Phase::Installed, _))) {
            self.files.forget_artifact_key()?;
        }
        Ok(standing)
    }

    /// Compares what runs with what was confirmed last. A receipt says what was found, where there was something to compare.
    pub fn running(&self) -> Result<Running, Error> {
        let standing = self.standing()?;
        let running = Running::measured(&standing, &self.config, &self.root)?;
        let outcome = if running.is_approved() { ReceiptOutcome::Verified } else { ReceiptOutcome::Differs };
        if let Some(installed) = standing.running.as_ref().filter(|_| running.compared > 0) {
            self.note(outcome, installed, &standing)?;
        }
        Ok(running)
    }

    pub(super) async fn kept(&self) -> Result<Vec<Offered>, Error> {
        self.judged(catalog::releases(&self.files, None, &self.settings, self.now).await?)
    }

    fn judged(&self, listed: Vec<Listed>) -> Result<Vec<Offered>, Error> {
        let floor = self.standing()?.floor;
        let judge = |listed: Listed| {
            let not_for = listed.release.judge(&self.settings.model, floor).err();
            Offered { listed, not_for }
        };
        Ok(listed.into_iter().map(judge).collect())
    }

    pub(super) fn picked(&self, offered: Vec<Offered>, pick: Pick) -> Result<Listed, Error> {
        let version = match pick {
            Pick::Latest => "that this device may install".to_owned(),
            Pick::Version(version) => version.to_string(),
        };
        let line = self.settings.line.to_string();
        // The latest that the authority offers need not be the latest that the maker has.
        let latest = match (pick, self.needs_offer) {
            (Pick::Latest, true) => self.kept_offer()?.map(|offer| offer.version),
            _ => None,
        };
        let is_meant = |offered: &Offered| match pick {
            Pick::Latest if latest.is_some() => latest == Some(offered.listed.release.version),
            Pick::Latest => offered.not_for.is_none(),
            Pick::Version(version) => offered.listed.release.version == version,
        };
        let found = offered.into_iter().find(is_meant);
        let Offered { listed, not_for } = found.ok_or(UpdateError::NoRelease { line, version })?;
        match not_for {
            None => Ok(listed),
            Some(why) => Err(UpdateError::NotForThis { version: listed.release.version, why }.into()),
        }
    }

    /// Refuses what runs already, where the latest was asked for; who names a version has it again.
    pub(super) fn require_other(&self, pick: Pick, listed: &Listed) -> Result<(), Error> {
        let version = listed.release.version;
        let is_it = |of: Installed| of.version == version && of.sha256 == hex::encode(&listed.file.sha256.0);
        match pick == Pick::Latest && self.standing()?.running.is_some_and(is_it) {
            true => Err(UpdateError::RunsAlready { version }.into()),
            false => Ok(()),
        }
    }

    fn source(&self, folder: &str, place: &Place) -> Result<Source, Error> {
        match &self.from {
            Some(from) => Ok(Source::Directory(from.join(folder))),
            None => Source::of(place, &self.connection()),
        }
    }

    fn place(&self, folder: &str, place: &Place) -> String {
        self.from.as_ref().map_or_else(|| place.to_string(), |from| from.join(folder).display().to_string())
    }

    fn connection(&self) -> Settings {
        let settings = transport::settings(&self.config);
        match &self.settings.roots {
            None => settings,
            Some(roots) => Settings { roots: roots.as_bytes().to_vec(), ..settings },
        }
    }
}

//! The installation: what must hold before it, what is on record around it, and the maker's command.

use super::artifact;
#[cfg(feature = "hawkbit")]
use super::catalog::Listed;
use super::error::UpdateError;
use super::progress::{Installed, Phase, Standing};
use super::sealed::{self, OpenedFile};
use super::updater::{Pick, Updater};
use crate::error::Error;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// An installation that may begin: all that must hold before it was judged, and *installing* is on record.
pub(super) struct Begun {
    pub(super) installed: Installed,
    #[cfg(feature = "hawkbit")]
    pub(super) listed: Listed,
    /// What is installed: the artifact, or the file in it.
    pub(super) path: PathBuf,
    /// Where it is the file in a sealed artifact, that; it is gone with this.
    _opened: Option<OpenedFile>,
    /// What was on record before.
    before: Standing,
    /// When the offer was issued, in Unix milliseconds; `None` where none is needed.
    offered: Option<u64>,
}

#[cfg(feature = "hawkbit")]
impl Begun {
    /// Whether an earlier run began the same, and nobody heard how it went.
    pub(super) fn is_begun_again(&self) -> bool {
        matches!(&self.before.pending, Some((Phase::Installing, begun)) if *begun == self.installed)
    }
}

/// What becomes of an installation that is asked for.
pub(super) enum Start {
    /// It has come to its end already, and waits for its first start.
    Already(Installed),
    Now(Box<Begun>),
}

impl Updater {
    /// Has the maker's command install a release that was downloaded. It is judged once more, by the metadata that was kept and
    /// that must not have expired, and by the authority's offer where one is needed. What is on record is *installing* before the
    /// command runs, and *installed* after it has ended well; where the power is cut in between, it is run again.
    pub async fn install(&self, pick: Pick) -> Result<Installed, Error> {
        if self.settings.install.is_empty() {
            return Err(Error::Config {
                field: "update.install",
                why: "is missing: it is the command".to_owned(),
            });
        }
        let begun = match self.begin(pick, &mut |_| ()).await? {
            Start::Already(installed) => return Ok(installed),
            Start::Now(begun) => begun,
        };
        let version = begun.installed.version.to_string();
        if let Err(how) = run(&self.settings.install, &[begun.path.as_os_str(), version.as_ref()]) {
            self.has_failed(&begun)?;
            return Err(UpdateError::Install { command: self.settings.install.join(" "), how }.into());
        }
        self.has_ended(&begun)?;
        Ok(begun.installed)
    }

    /// Judges a release that was downloaded; *installing* is on record after that. `each` gets every piece of what is to be
    /// installed.
    pub(super) async fn begin(
        &self,
        pick: Pick,
        each: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<Start, Error> {
        let before = self.standing()?;
        let listed = self.picked(self.kept().await?, pick)?;
        let installed = Installed::of(&listed);
        match &before.pending {
            Some((Phase::Installed, other)) if *other == installed => return Ok(Start::Already(installed)),
            Some((Phase::Installed, other)) => {
                return Err(UpdateError::Pending { version: other.version }.into());
            }
            Some((Phase::Installing, _)) | None => {}
        }
        self.require_other(pick, &listed)?;
        let path = self.files.artifact_path(&listed.file.sha256);
        let plaintext = listed.release.plaintext;
        match plaintext {
            None => artifact::verify(&path, &listed, each)?,
            Some(_) => artifact::verify(&path, &listed, &mut |_| ())?,
        }
        let offered = self.offered(&listed, before.last_offer)?;
        let opened = match &plaintext {
            None => None,
            Some(plaintext) => Some(sealed::open(&self.files, self.state(), &listed, plaintext, each)?),
        };
        self.require_idle()?;
        // An installation that was begun may be begun again by the same offer.
        let pending = Some((Phase::Installing, installed.clone()));
        Standing { pending, ..before.clone() }.keep(&self.files)?;
        Ok(Start::Now(Box::new(Begun {
            installed,
            #[cfg(feature = "hawkbit")]
            listed,
            path: opened.as_ref().map_or(path, |opened| opened.path().to_owned()),
            _opened: opened,
            before,
            offered,
        })))
    }

    /// It has come to its end: it waits for its first start, and its offer is used up.
    pub(super) fn has_ended(&self, begun: &Begun) -> Result<(), Error> {
        let last_offer = begun.offered.unwrap_or(begun.before.last_offer);
        let pending = Some((Phase::Installed, begun.installed.clone()));
        Standing { pending, last_offer, ..begun.before.clone() }.keep(&self.files)?;
        // The next installation needs another offer, with which it comes again.
        self.files.forget_artifact_key()
    }

    /// It has failed: what ran before runs on.
    pub(super) fn has_failed(&self, begun: &Begun) -> Result<(), Error> {
        Standing { pending: None, ..begun.before.clone() }.keep(&self.files)
    }

    /// Asks the device's own command whether it may be updated now: one on which a patient depends may not.
    fn require_idle(&self) -> Result<(), Error> {
        if self.settings.idle.is_empty() {
            return Ok(());
        }
        let in_use = |_| UpdateError::InUse { command: self.settings.idle.join(" ") }.into();
        run(&self.settings.idle, &[]).map_err(in_use)
    }
}

/// Runs a command to its end. It prints on standard error, so that what this prints can be read by a program.
fn run(command: &[String], more: &[&OsStr]) -> Result<(), String> {
    let (program, first) = command.split_first().ok_or("there is no command")?;
    let stderr = || Stdio::from(std::io::stderr());
    let mut run = Command::new(program);
    run.args(first).args(more).stdin(Stdio::null()).stdout(stderr()).stderr(stderr());
    match run.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(status.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

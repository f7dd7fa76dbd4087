//! What the maker offers: metadata, refreshed from a source and judged, and the releases of the device's line.

use super::error::UpdateError;
use super::files::UpdateFiles;
use super::settings::UpdateSettings;
use super::source::Source;
use crate::error::Error;
use wardein_domain::UnixSeconds;
use wardein_tuf::{
    Accepted, Kept, MAX_ROOT_LEN, MAX_SNAPSHOT_LEN, MAX_TIMESTAMP_LEN, NotFor, Release, Role, TargetFile,
    TargetPath, TrustedSet, Wanted,
};

/// A release that the maker has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Where its artifact is, below the place of artifacts.
    pub path: TargetPath,
    /// The artifact's length and digest.
    pub file: TargetFile,
    /// What the maker says of it.
    pub release: Release,
}

/// A release, and whether this device may install it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// The release.
    pub listed: Listed,
    /// Why it may not, if it may not.
    pub not_for: Option<NotFor>,
}

/// Trusts the first root, which came with the device.
pub(super) fn trust(files: &UpdateFiles, root: &[u8], now: UnixSeconds) -> Result<u64, Error> {
    if let Some(present) = files.metadata(&Role::Root, MAX_ROOT_LEN)? {
        let trusted = TrustedSet::new(&present, Kept::default(), now).map_err(UpdateError::from)?;
        return Err(UpdateError::RootThere { trusted: trusted.root().version.get() }.into());
    }
    let trusted = TrustedSet::new(root, Kept::default(), now).map_err(UpdateError::from)?;
    files.keep_metadata(&Role::Root, root)?;
    Ok(trusted.root().version.get())
}

/// The releases of the device's line, the latest first, from `source`, or from what was kept of an earlier refresh. All that is accepted
/// is kept durably before the next file is asked for.
pub(super) async fn releases(
    files: &UpdateFiles,
    source: Option<&Source>,
    settings: &UpdateSettings,
    now: UnixSeconds,
) -> Result<Vec<Listed>, Error> {
    let root = files.metadata(&Role::Root, MAX_ROOT_LEN)?;
    let root = root.ok_or_else(|| UpdateError::NoRoot(files.metadata_path(&Role::Root)))?;
    let timestamp = files.metadata(&Role::Timestamp, MAX_TIMESTAMP_LEN)?;
    let snapshot = files.metadata(&Role::Snapshot, MAX_SNAPSHOT_LEN)?;
    let kept = Kept { timestamp: timestamp.as_deref(), snapshot: snapshot.as_deref() };
    let mut set = TrustedSet::new(&root, kept, now).map_err(UpdateError::from)?;
    let listed = loop {
        while let Some(wanted) = set.wanted() {
            take(files, source, &mut set, wanted).await?;
        }
        if let Some(listed) = set.line(&settings.line).map_err(UpdateError::from)? {
            break listed;
        }
    };
    let release = |(path, file): (TargetPath, TargetFile)| match Release::of(&file) {
        Ok(release) => Ok(Listed { path, file, release }),
        Err(what) => Err(UpdateError::Unclear { path: path.to_string(), what }),
    };
    let mut releases = listed.into_iter().map(release).collect::<Result<Vec<_>, _>>()?;
    releases.sort_by_key(|listed| std::cmp::Reverse(listed.release.version));
    Ok(releases)
}

async fn take(
    files: &UpdateFiles,
    source: Option<&Source>,
    set: &mut TrustedSet,
    wanted: Wanted,
) -> Result<(), Error> {
    let bytes = match (source, &wanted.role) {
        (Some(source), _) => source.metadata(&wanted).await?,
        // What was kept has no next root.
        (None, Role::Root) => None,
        (None, role) => files.metadata(role, wanted.limit)?,
    };
    let Some(bytes) = bytes else { return Ok(set.absent().map_err(UpdateError::from)?) };
    match set.take(&bytes).map_err(UpdateError::from)? {
        Accepted::New(role) if source.is_some() => files.keep_metadata(&role, &bytes),
        Accepted::New(_) | Accepted::Same(_) => Ok(()),
    }
}

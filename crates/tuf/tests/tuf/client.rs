//! Our client, as a device has it: it fetches from a directory, and keeps what it trusts in another.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use wardein_domain::UnixSeconds;
use wardein_tuf::{Accepted, Error, Kept, Role, Sought, TargetCheck, TargetPath, TrustedSet};

/// The artifact at `path`, if there is one, from the repository in `share`; `state` has `root.json` at least.
pub(crate) fn update(
    share: &Path,
    state: &Path,
    path: &TargetPath,
    now: UnixSeconds,
) -> Result<Option<Vec<u8>>, Error> {
    let kept = |name: &str| fs::read(state.join(name)).ok();
    let (root, timestamp, snapshot) =
        (kept("root.json").unwrap(), kept("timestamp.json"), kept("snapshot.json"));
    let kept = Kept { timestamp: timestamp.as_deref(), snapshot: snapshot.as_deref() };
    let mut set = TrustedSet::new(&root, kept, now)?;
    loop {
        while let Some(wanted) = set.wanted() {
            let Ok(file) = File::open(share.join("metadata").join(&wanted.file)) else {
                set.absent()?;
                continue;
            };
            let mut bytes = Vec::new();
            file.take(wanted.limit + 1).read_to_end(&mut bytes).unwrap();
            if let Accepted::New(role @ (Role::Root | Role::Timestamp | Role::Snapshot)) = set.take(&bytes)? {
                fs::write(state.join(format!("{}.json", role.stem())), bytes).unwrap();
            }
        }
        let file = match set.seek(path)? {
            Sought::More => continue,
            Sought::None => return Ok(None),
            Sought::Found(file) => file,
        };
        let mut artifact = Vec::new();
        let mut check = TargetCheck::new(path, &file);
        let source = File::open(share.join("targets").join(path.consistent(&file.sha256)));
        let mut source = source.map_err(|_| Error::Missing { role: Role::Artifact(path.clone()) })?;
        let mut piece = [0; 7];
        loop {
            let read = source.read(&mut piece).unwrap();
            if read == 0 {
                check.finish()?;
                return Ok(Some(artifact));
            }
            check.update(&piece[..read])?;
            artifact.extend_from_slice(&piece[..read]);
        }
    }
}

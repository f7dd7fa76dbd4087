//! One table of what is offered to a client that has updated before, for every client alike.

use crate::maker::{INFUSION, MONITORS, Maker, WANTED, holders, key, listed, name, now, path, signed};
mod signatures;
mod versions;

use std::fs;
use std::path::{Path, PathBuf};
use wardein_crypto::Digest;
use wardein_domain::{Seconds, UnixSeconds};
use wardein_tuf::{Error, FileMeta, PathPattern, Role, RoleName, Targets, Version};

/// What becomes of the artifact that a client asks for.
type Outcome = Result<Option<Vec<u8>>, Error>;

/// What is offered, and what our client says of it.
pub(crate) struct Case {
    pub name: &'static str,
    /// Made of a maker whose repository the client has trusted.
    pub make: fn(&mut Maker),
    /// `Ok` for what must be taken. `None`: there is no such artifact.
    pub is_right: fn(&Outcome) -> bool,
    /// Whether the client has updated before.
    pub has_updated: bool,
}

/// A case in a directory: `before`, `after` and `root.json`.
pub(crate) struct Laid {
    pub case: Case,
    pub dir: PathBuf,
}

impl Case {
    pub(crate) fn is_taken(&self) -> bool {
        (self.is_right)(&Ok(Some(b"firmware, the second".to_vec())))
    }
}

/// All cases, each in a directory of its own below `dir`.
pub(crate) fn lay_out(dir: &Path) -> Vec<Laid> {
    cases()
        .into_iter()
        .map(|case| {
            let dir = dir.join(case.name);
            fs::create_dir_all(&dir).unwrap();
            let mut maker = Maker::new(later());
            fs::write(dir.join("root.json"), &maker.files["1.root.json"]).unwrap();
            // Twice, so that there is something older to go back to.
            maker.publish();
            if case.has_updated {
                maker.write(&dir.join("before"));
            }
            (case.make)(&mut maker);
            maker.write(&dir.join("after"));
            Laid { case, dir }
        })
        .collect()
}

fn later() -> UnixSeconds {
    now().plus(Seconds::new(30 * 86_400))
}

fn past() -> UnixSeconds {
    UnixSeconds::new(now().get() - 60)
}

fn version(number: u64) -> Version {
    Version::new(number).unwrap()
}

fn delegated(line: &str) -> Role {
    Role::Delegated(RoleName::new(line).unwrap())
}

fn artifact() -> Role {
    Role::Artifact(path(WANTED))
}

/// Changes a file as it is on the share, and nothing that lists it.
fn alter(maker: &mut Maker, file: &str, change: fn(&mut Vec<u8>)) {
    change(maker.files.get_mut(file).unwrap());
}

fn fails(result: &Result<Option<Vec<u8>>, Error>, is: impl Fn(&Error) -> bool) -> bool {
    result.as_ref().is_err_and(is)
}

macro_rules! refused {
    ($pattern:pat $(if $guard:expr)?) => {
        |result| fails(result, |error| matches!(error, $pattern $(if $guard)?))
    };
}

use refused;

fn cases() -> Vec<Case> {
    versions::cases().into_iter().chain(signatures::cases()).collect()
}

fn case(name: &'static str, make: fn(&mut Maker), is_right: fn(&Outcome) -> bool) -> Case {
    Case { name, make, is_right, has_updated: true }
}

fn change_artifact(maker: &mut Maker, change: fn(&mut Vec<u8>)) {
    let at = path(WANTED).consistent(&Digest::of(b"firmware, the second"));
    change(maker.artifacts.get_mut(&at).unwrap());
}

//! The artifact of a release: as it is, or sealed so that nobody reads it on the share.

use crate::progress::progress;
use crate::{Failure, files};
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use wardein_client::v1;
use wardein_crypto::{Digest, Secret};
use wardein_files::{FileError, SealedArtifact, seal_artifact};

/// What a release says of its artifact.
pub(super) struct Artifact {
    /// Of the file that devices find.
    pub(super) length: u64,
    pub(super) sha256: Digest,
    /// Where it is sealed, the file in it and its key.
    pub(super) opening: Option<(v1::ReleasePlaintext, Secret<16>)>,
}

/// Seals the file at `path` into one at `out`, which must not be there: it is whole and durable before anybody is sent its key,
/// which is nowhere else.
pub(super) fn sealed(path: &Path, out: &Path) -> Result<Artifact, Failure> {
    if out.symlink_metadata().is_ok() {
        return Err(taken(out));
    }
    let fails = |error| Failure::file("read the artifact", path, error);
    let input = File::open(path).map_err(fails)?;
    let total = input.metadata().map_err(fails)?.len();
    let target = files::begin(out, files::PUBLIC)?;
    let bar = progress("{bytes} of {total_bytes} {wide_bar} {bytes_per_sec}", Some(total));
    let done = target.fill_by(|file| seal_artifact(input, file, &mut |read| bar.set_position(read)));
    bar.finish_and_clear();
    let SealedArtifact { sealed, plaintext_sha256, key } = done.map_err(|error| match error {
        FileError::Input(error) => fails(error),
        FileError::Io(error) if error.kind() == ErrorKind::AlreadyExists => taken(out),
        error => Failure::file("write", out, error),
    })?;
    let plaintext = v1::ReleasePlaintext { length: sealed.plaintext, sha256: plaintext_sha256.0.to_vec() };
    Ok(Artifact { length: sealed.length, sha256: sealed.sha256, opening: Some((plaintext, key)) })
}

/// The failure, once the sealed file is removed, of which the authority has no key.
pub(super) fn without(out: &Path, failure: Failure) -> Failure {
    match std::fs::remove_file(out) {
        Ok(()) => failure,
        Err(error) => failure.and(&Failure::file("remove", out, error).to_string()),
    }
}

/// The failure of a release whose sealed file is at `out`; `is_refused` where the authority judged it, and it is not on record.
pub(super) fn not_added(out: &Path, failure: Failure, is_refused: bool) -> Failure {
    // The same command may be run again.
    if is_refused {
        return without(out, failure);
    }
    // It may be on record with its key, and then this is the one file that the key opens.
    let out = out.display();
    failure.and(&format!(
        "{out} is kept: the release may be on record. Look with `wardein update show`; if it is not there, remove {out} and run the \
         same command again"
    ))
}

fn taken(out: &Path) -> Failure {
    let why = "it exists and is not written over. If an earlier `update add` made it and `update show` has no such release, remove \
               it";
    Failure::file("seal into", out, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_sealed_is_whole_and_nothing_is_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("pump.img"), b"the maker's").unwrap();
        let made = sealed(&at("pump.img"), &at("pump.age")).unwrap();
        let file = fs::read(at("pump.age")).unwrap();
        assert_eq!((made.length, made.sha256), (file.len() as u64, Digest::of(&file)));
        let (plaintext, _) = made.opening.unwrap();
        assert_eq!((plaintext.length, &plaintext.sha256[..]), (11, &Digest::of(b"the maker's").0[..]));
        // Others read it, as far as the umask lets them.
        let mode = |name: &str| fs::metadata(at(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("pump.age"), mode("pump.img") & 0o644);
        // Neither the artifact itself, nor what was sealed before, nor what has the temporary name.
        fs::write(at("pump.part"), b"the maker's").unwrap();
        for (input, out, words) in [
            ("pump.img", "pump.img", "it exists and is not written over"),
            ("pump.img", "pump.age", "it exists and is not written over"),
            ("pump.part", "pump", "pump.part is in the way"),
        ] {
            let refused = sealed(&at(input), &at(out)).err().unwrap().to_string();
            assert!(refused.contains(words), "{refused}");
        }
        for kept in ["pump.img", "pump.part"] {
            assert_eq!(fs::read(at(kept)).unwrap(), b"the maker's", "{kept}");
        }
        assert_eq!(fs::read(at("pump.age")).unwrap(), file);
        assert!(!at("pump").exists() && !at("pump.age.part").exists());
    }

    #[test]
    fn an_error_names_the_file_that_it_is_of() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        // A directory opens, and cannot be read.
        fs::create_dir(at("directory")).unwrap();
        let refused = sealed(&at("directory"), &at("out")).err().unwrap().to_string();
        assert!(
            refused.starts_with("cannot read the artifact") && refused.contains("/directory: "),
            "{refused}"
        );
        fs::write(at("pump.img"), b"the maker's").unwrap();
        let refused = sealed(&at("pump.img"), &at("nowhere/out")).err().unwrap().to_string();
        assert!(refused.starts_with("cannot write") && refused.contains("nowhere/out: "), "{refused}");
        assert!(!at("out").exists() && !at("out.part").exists());
    }

    #[test]
    fn the_sealed_file_stays_unless_the_authority_judged_and_refused_the_release() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("pump.age");
        for is_refused in [true, false] {
            fs::write(&out, b"sealed").unwrap();
            let words = not_added(&out, Failure::failed("words"), is_refused).to_string();
            assert_eq!(
                (out.exists(), words.contains("wardein update show")),
                (!is_refused, !is_refused),
                "{words}"
            );
        }
    }

    #[test]
    fn a_file_whose_removal_fails_does_not_hide_the_refusal() {
        let directory = tempfile::tempdir().unwrap();
        let failure = without(&directory.path().join("gone"), Failure::failed("refused")).to_string();
        assert!(failure.starts_with("refused\n") && failure.contains("cannot remove"), "{failure}");
    }
}

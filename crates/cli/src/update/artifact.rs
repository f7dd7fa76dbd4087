//! The artifact of a release: as it is, or sealed so that nobody reads it on the share.

use crate::Failure;
use crate::progress::progress;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use wardein_client::v1;
use wardein_crypto::{Digest, Secret};
use wardein_files::{SealedArtifact, seal_artifact};

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
    if out.exists() {
        return Err(taken(out));
    }
    let fails = |error| Failure::file("read the artifact", path, error);
    let input = File::open(path).map_err(fails)?;
    let total = input.metadata().map_err(fails)?.len();
    let writes = |error| Failure::file("write", out, error);
    let (file, temporary) = wardein_durable::begin(out, 0o644).map_err(writes)?;
    let bar = progress("{bytes} of {total_bytes} {wide_bar} {bytes_per_sec}", Some(total));
    let done = seal_artifact(input, &file, &mut |read| bar.set_position(read));
    bar.finish_and_clear();
    let named = done.map_err(|error| Failure::file("seal", path, error)).and_then(|done| {
        file.sync_all().map_err(writes)?;
        match wardein_durable::give_name(&temporary, out) {
            Ok(()) => Ok(done),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(taken(out)),
            Err(error) => Err(writes(error)),
        }
    });
    match named {
        Ok(SealedArtifact { sealed, plaintext_sha256, key }) => {
            let plaintext =
                v1::ReleasePlaintext { length: sealed.plaintext, sha256: plaintext_sha256.0.to_vec() };
            Ok(Artifact { length: sealed.length, sha256: sealed.sha256, opening: Some((plaintext, key)) })
        }
        Err(failure) => {
            // It may have its name already, and what is to be said is why it is of no use.
            drop(std::fs::remove_file(&temporary));
            Err(failure)
        }
    }
}

/// Removes a sealed file of which the authority has no key.
pub(super) fn remove(out: &Path) -> Result<(), Failure> {
    std::fs::remove_file(out).map_err(|error| Failure::file("remove", out, error))
}

fn taken(out: &Path) -> Failure {
    let why = "it exists; each sealing has a key of its own, so it is not written over. Where `update show` has no such release, \
               remove it";
    Failure::file("seal into", out, why)
}

//! The one step of a rekey that both ends share (specification, section 6).

use crate::derive::derive;
use crate::key::EpochSecret;
use crate::suite::Agreed;
use crate::tree::GenerationRoot;
use wardein_crypto::Digest;

/// root[g+1]: from the epoch secret that the proof was made in, so that only the holder of g can continue, and from a fresh
/// agreement, so that an attacker who has merely read g cannot.
pub(crate) fn next_root(epoch_secret: &EpochSecret, agreed: Agreed, transcript: &Digest) -> GenerationRoot {
    let salt = derive(&epoch_secret.0, "rekey", transcript.as_ref());
    agreed.root(salt.expose(), transcript)
}

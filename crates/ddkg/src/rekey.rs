//! The one step of a rekey, and of a transfer, that both ends share (specification, sections 6 and 6.2).

use crate::derive::derive;
use crate::key::EpochSecret;
use crate::suite::Agreed;
use crate::tree::GenerationRoot;
use wardein_crypto::Digest;
use wardein_domain::Action;

/// root[g+1], or root[g′] of a transfer: from the epoch secret that the proof was made in, so that only the holder of g can
/// continue, and from a fresh agreement, so that an attacker who has merely read g cannot.
pub(crate) fn next_root(
    step: NextStep,
    epoch_secret: &EpochSecret,
    agreed: Agreed,
    transcript: &Digest,
) -> GenerationRoot {
    let label = match step {
        NextStep::Rekey => Action::REKEY,
        NextStep::Transfer => Action::TRANSFER,
    };
    let salt = derive(&epoch_secret.0, label, transcript.as_ref());
    agreed.root(salt.expose(), transcript)
}

/// What the next generation is agreed on for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextStep {
    /// The device stays who it is.
    Rekey,
    /// It goes over to another tenant.
    Transfer,
}

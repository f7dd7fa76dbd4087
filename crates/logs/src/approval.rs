//! The hospital's approval of logs.toml: a signature of OpenSSH over the file, `ssh-keygen -Y sign -n wardein-logs -f KEY
//! logs.toml`.
//!
//! What: the form (PROTOCOL.sshsig) is read by `ssh-key`, and the signature is verified by `wardein-crypto`. Why SSH: hospitals
//! have these keys, in files and in tokens, and the tools to sign with them. The namespace keeps the signature apart from those
//! over commits and letters.

use crate::batch::FilterVersion;
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, EcdsaCurve, LineEnding, PublicKey, SshSig};
use wardein_crypto::{
    Digest, ED25519_KEY_LEN, Ed25519VerifyingKey, P256_FIXED_LEN, P256_POINT_LEN, P256VerifyingKey,
};

/// The keys of those who approve filters: the lines of a `.pub` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approvers(Vec<KeyData>);

/// Why a logs.toml is not approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApprovalError {
    /// The file of approvers is wrong.
    #[error(
        "line {0} of the approvers is not a public key that is taken (ssh-ed25519, ecdsa-sha2-nistp256, and both in a token, sk-...)"
    )]
    Approver(usize),
    /// There is none, or there are too many.
    #[error("there are {0} approvers; it takes 1 to {MAX_APPROVERS}")]
    Approvers(usize),
    /// The signature is none of OpenSSH.
    #[error("the signature is not one of ssh-keygen -Y sign")]
    Form,
    /// It is for something else.
    #[error(
        "the signature is of another namespace; sign with: ssh-keygen -Y sign -n {NAMESPACE} -f KEY logs.toml"
    )]
    Namespace,
    /// Somebody else has signed.
    #[error("the signature is by a key that is not among the approvers")]
    Stranger,
    /// It is of another file, or by another key than it says.
    #[error("the signature is not one of this file; have it approved again")]
    Altered,
    /// The token was not touched.
    #[error("the signature was made without a touch of the token")]
    Untouched,
}

impl Approvers {
    /// The keys in the text of a `.pub` file: one a line, with comments behind them or after `#`.
    pub fn parse(text: &str) -> Result<Self, ApprovalError> {
        let mut keys = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = PublicKey::from_openssh(line).map_err(|_| ApprovalError::Approver(index + 1))?;
            let is_taken = matches!(
                key.algorithm(),
                Algorithm::Ed25519
                    | Algorithm::SkEd25519
                    | Algorithm::SkEcdsaSha2NistP256
                    | Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }
            );
            if !is_taken {
                return Err(ApprovalError::Approver(index + 1));
            }
            keys.push(key.key_data().clone());
        }
        if (1..=MAX_APPROVERS).contains(&keys.len()) {
            Ok(Self(keys))
        } else {
            Err(ApprovalError::Approvers(keys.len()))
        }
    }

    /// Verifies that one of them signed `file`, the bytes of a logs.toml, whose version then comes back. `signature` is the text of
    /// the `.sig` file.
    pub fn verify(&self, file: &[u8], signature: &str) -> Result<FilterVersion, ApprovalError> {
        if signature.len() > MAX_SIGNATURE {
            return Err(ApprovalError::Form);
        }
        // The form allows line ends of both kinds, and one at the end.
        let text = signature.trim();
        let signature = SshSig::from_pem(text).map_err(|_| ApprovalError::Form)?;
        // Lengths are not under the signature, and the library takes wrong ones: only what it would write itself is taken.
        let bare = |text: &str| text.split_ascii_whitespace().collect::<String>();
        let is_canonical = signature.to_pem(LineEnding::LF).is_ok_and(|again| bare(&again) == bare(text));
        if !is_canonical || !signature.reserved().is_empty() {
            return Err(ApprovalError::Form);
        }
        // The library takes lower versions than the one that there is, and the version is not under the signature.
        if signature.version() != SshSig::VERSION {
            return Err(ApprovalError::Form);
        }
        if signature.namespace() != NAMESPACE {
            return Err(ApprovalError::Namespace);
        }
        let key = self.0.iter().find(|key| *key == signature.public_key()).ok_or(ApprovalError::Stranger)?;
        // What the signature says that it was made by is not under it either.
        if signature.algorithm() != key.algorithm() {
            return Err(ApprovalError::Form);
        }
        let signed =
            SshSig::signed_data(NAMESPACE, signature.hash_alg(), file).map_err(|_| ApprovalError::Form)?;
        judge(key, &signed, &signature)?;
        Ok(FilterVersion::of(file))
    }
}

fn judge(key: &KeyData, signed: &[u8], signature: &SshSig) -> Result<(), ApprovalError> {
    let bytes = signature.signature_bytes();
    match key {
        KeyData::Ed25519(key) => ed25519(&key.0, signed, bytes),
        KeyData::Ecdsa(key) => p256(key.as_sec1_bytes(), signed, bytes),
        KeyData::SkEd25519(key) => {
            let (bytes, signed) = in_token(key.application(), signed, bytes)?;
            ed25519(&key.public_key().0, &signed, bytes)
        }
        KeyData::SkEcdsaSha2NistP256(key) => {
            let (bytes, signed) = in_token(key.application(), signed, bytes)?;
            p256(key.ec_point().as_bytes(), &signed, bytes)
        }
        _ => Err(ApprovalError::Stranger),
    }
}

fn ed25519(key: &[u8; ED25519_KEY_LEN], signed: &[u8], signature: &[u8]) -> Result<(), ApprovalError> {
    Ed25519VerifyingKey(*key).verify(signed, signature).map_err(|_| ApprovalError::Altered)
}

/// R and S are each an `mpint` (RFC 5656, section 3.1.2).
fn p256(point: &[u8], signed: &[u8], signature: &[u8]) -> Result<(), ApprovalError> {
    let point: &[u8; P256_POINT_LEN] = point.try_into().map_err(|_| ApprovalError::Altered)?;
    let mut rest = signature;
    let mut fixed = [0; P256_FIXED_LEN];
    for half in fixed.chunks_exact_mut(32) {
        let number;
        (number, rest) = string(rest).ok_or(ApprovalError::Altered)?;
        let number = number.strip_prefix(&[0]).unwrap_or(number);
        let at = half.len().checked_sub(number.len()).ok_or(ApprovalError::Altered)?;
        half.get_mut(at..).ok_or(ApprovalError::Altered)?.copy_from_slice(number);
    }
    if !rest.is_empty() {
        return Err(ApprovalError::Altered);
    }
    P256VerifyingKey(*point).verify_fixed(signed, &fixed).map_err(|_| ApprovalError::Altered)
}

/// What a token signs (PROTOCOL.u2f, section 6): the application's digest, flags, a counter, and the digest of the message. Behind
/// the signature are flags and counter.
fn in_token<'a>(
    application: &str,
    signed: &[u8],
    signature: &'a [u8],
) -> Result<(&'a [u8], Vec<u8>), ApprovalError> {
    let at = signature.len().checked_sub(FLAGS_AND_COUNTER).ok_or(ApprovalError::Altered)?;
    let (signature, behind) = signature.split_at(at);
    // Bit 0 of the flags: somebody touched it (WebAuthn, section 6.1).
    if behind.first().is_none_or(|flags| flags & 1 == 0) {
        return Err(ApprovalError::Untouched);
    }
    let message = [&Digest::of(application.as_bytes()).0, behind, &Digest::of(signed).0].concat();
    Ok((signature, message))
}

/// A string of the SSH protocol (RFC 4251, section 5), and what is behind it.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// What the signature must say that it is for.
pub const NAMESPACE: &str = "wardein-logs";

const MAX_APPROVERS: usize = 8;
/// The most bytes of a signature as text.
pub const MAX_SIGNATURE: usize = 8 << 10;
const FLAGS_AND_COUNTER: usize = 5;

#[cfg(test)]
mod tests;

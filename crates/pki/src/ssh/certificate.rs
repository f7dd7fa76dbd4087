//! Certificates of users (OpenSSH, PROTOCOL.certkeys), by a CA on P-256.

use super::key::{SshKey, p256_blob};
use super::wire::{put_mpint, put_string};
use base64ct::{Base64, Encoding};
use wardein_crypto::{P256VerifyingKey, Signer, SigningError, p256_fixed};

/// A certificate to be signed. It lets in under exactly one principal: one without any would be good for every account, and `ssh-keygen`
/// makes such a thing without a word.
#[derive(Debug, Clone)]
pub struct SshCertificateOrder<'a> {
    /// Whose key it is about.
    pub key: &'a SshKey,
    /// Its serial.
    pub serial: u64,
    /// The name that the log of sshd has, and by which it is revoked.
    pub key_id: &'a str,
    /// The principal.
    pub principal: &'a str,
    /// Unix second from which it is valid.
    pub valid_after: u64,
    /// Unix second from which it is not.
    pub valid_before: u64,
    /// The only command that runs.
    pub force_command: &'a str,
    /// Addresses and networks from which it is taken; none for all.
    pub sources: &'a [String],
    /// Whether the token must have asked for its PIN.
    pub verify_required: bool,
}

/// The public half of a CA of users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshCa(Vec<u8>);

impl SshCa {
    /// The CA of that key.
    pub fn new(key: &P256VerifyingKey) -> Self {
        Self(p256_blob(&key.0))
    }

    /// Its line for `TrustedUserCAKeys`, without a comment.
    pub fn line(&self) -> String {
        format!("ecdsa-sha2-nistp256 {}", Base64::encode_string(&self.0))
    }

    /// Its binary form.
    pub(super) fn blob(&self) -> &[u8] {
        &self.0
    }

    /// Signs a certificate; the line of its `-cert.pub` file. `nonce` is random, as the format asks.
    pub fn certify(
        &self,
        signer: &dyn Signer,
        nonce: &[u8; 32],
        order: &SshCertificateOrder<'_>,
    ) -> Result<String, SigningError> {
        // `sk-ssh-ed25519@openssh.com` becomes `sk-ssh-ed25519-cert-v01@openssh.com`.
        let kind = order.key.algorithm().as_str();
        let kind = format!("{}-cert-v01@openssh.com", kind.trim_end_matches("@openssh.com"));
        let mut out = Vec::with_capacity(1_024);
        put_string(&mut out, kind.as_bytes());
        put_string(&mut out, nonce);
        out.extend(order.key.fields());
        out.extend(order.serial.to_be_bytes());
        out.extend(USER.to_be_bytes());
        put_string(&mut out, order.key_id.as_bytes());
        put_string(&mut out, &packed([order.principal]));
        out.extend(order.valid_after.to_be_bytes());
        out.extend(order.valid_before.to_be_bytes());
        put_string(&mut out, &critical_options(order));
        put_string(&mut out, &option("permit-pty", None));
        put_string(&mut out, b"");
        put_string(&mut out, &self.0);
        let signature = signer.sign(&out)?;
        put_string(&mut out, &wrapped(&p256_fixed(&signature).ok_or(SigningError)?));
        Ok(format!("{kind} {}", Base64::encode_string(&out)))
    }
}

/// In the order of their names, as sshd demands. One that it does not know refuses the certificate.
fn critical_options(order: &SshCertificateOrder<'_>) -> Vec<u8> {
    let mut options = option("force-command", Some(order.force_command));
    if !order.sources.is_empty() {
        options.extend(option("source-address", Some(&order.sources.join(","))));
    }
    if order.verify_required {
        options.extend(option("verify-required", None));
    }
    options
}

/// An option or extension: its name, and a string in a string; a flag has an empty one.
fn option(name: &str, value: Option<&str>) -> Vec<u8> {
    let mut out = Vec::new();
    put_string(&mut out, name.as_bytes());
    put_string(&mut out, &value.map(|value| packed([value])).unwrap_or_default());
    out
}

fn packed<const N: usize>(strings: [&str; N]) -> Vec<u8> {
    let mut out = Vec::new();
    for string in strings {
        put_string(&mut out, string.as_bytes());
    }
    out
}

/// A signature as SSH has it (RFC 5656 §3.1.2).
fn wrapped(fixed: &[u8; 64]) -> Vec<u8> {
    let (r, s) = fixed.split_at(32);
    let mut numbers = Vec::new();
    put_mpint(&mut numbers, r);
    put_mpint(&mut numbers, s);
    let mut out = Vec::new();
    put_string(&mut out, b"ecdsa-sha2-nistp256");
    put_string(&mut out, &numbers);
    out
}

/// `SSH_CERT_TYPE_USER`.
const USER: u32 = 1;

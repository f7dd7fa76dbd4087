//! Standard Webhooks: the symmetric signature (`v1`) of a message, made and verified, as the authority's own webhooks have it.

use crate::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use wardein_crypto::{MacKey, Secret, SecretBytes, Tag};
use wardein_ddkg::message::{from_text, to_text};

/// The secret that two systems share, of 32 bytes.
pub struct WebhookKey(MacKey);

/// Why a message is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A header is missing, or is not what Standard Webhooks says.
    #[error(
        "the headers webhook-id, webhook-timestamp and webhook-signature are needed, as Standard Webhooks has them"
    )]
    Headers,
    /// It was signed too long ago, or in the future.
    #[error("webhook-timestamp is more than {} seconds off; compare the clocks", WebhookKey::TOLERANCE)]
    Stale,
    /// No signature is by this secret.
    #[error("no signature is by the shared secret")]
    Wrong,
}

impl WebhookKey {
    /// Seconds by which a message may be old, or ahead.
    pub const TOLERANCE: u64 = 300;

    /// The most bytes of a message's id.
    pub const MAX_ID: usize = 128;

    /// The key of a secret.
    pub fn new(secret: Secret<32>) -> Self {
        Self(MacKey::new(secret))
    }

    /// The key in a file: `whsec_` and the base64 of 32 bytes, which the file's owner alone may read.
    pub(crate) fn read(field: &'static str, path: &Path) -> Result<Self, Error> {
        let text = read_private(path, MAX_FILE)?;
        let bytes = std::str::from_utf8(text.expose())
            .ok()
            .and_then(|text| text.trim_end().strip_prefix("whsec_"))
            .and_then(|text| from_text(text, 32).ok())
            .map(SecretBytes::from_vec);
        let secret = bytes.as_ref().and_then(|bytes| <&[u8; 32]>::try_from(bytes.expose()).ok());
        let why = || {
            format!(
                "{} is not whsec_ and the base64 of 32 bytes; `openssl rand -base64 32` makes one",
                path.display()
            )
        };
        Ok(Self::new(Secret::copied_from(secret.ok_or_else(|| Error::config(field, why()))?)))
    }

    /// The header `webhook-signature` of a message.
    pub fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        format!("v1,{}", to_text(&self.0.tag(&signed(id, timestamp, body)).0))
    }

    /// Whether one of the signatures in `header` is of this message, at Unix second `now`.
    pub fn verify(
        &self,
        (id, timestamp, header): (&str, &str, &str),
        body: &[u8],
        now: u64,
    ) -> Result<(), SignatureError> {
        // What is signed is ID.TIMESTAMP.BODY: with a full stop in the id, the same signature would be good for another message.
        let is_id = (1..=Self::MAX_ID).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'.');
        let is_timestamp =
            (1..=20).contains(&timestamp.len()) && timestamp.bytes().all(|byte| byte.is_ascii_digit());
        let at: u64 =
            timestamp.parse().ok().filter(|_| is_id && is_timestamp).ok_or(SignatureError::Headers)?;
        if timestamp != at.to_string() {
            return Err(SignatureError::Headers);
        }
        if at.abs_diff(now) > Self::TOLERANCE {
            return Err(SignatureError::Stale);
        }
        let message = signed(id, at, body);
        let is_ours = |one: &str| {
            let tag = one.strip_prefix("v1,").and_then(|text| from_text(text, 32).ok());
            let tag: Option<[u8; 32]> = tag.and_then(|tag| tag.try_into().ok());
            tag.is_some_and(|tag| self.0.verify(&message, &Tag(tag)).is_ok())
        };
        header.split(' ').take(MAX_SIGNATURES).any(is_ours).then_some(()).ok_or(SignatureError::Wrong)
    }
}

fn signed(id: &str, timestamp: u64, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), b".", timestamp.to_string().as_bytes(), b".", body].concat()
}

/// A file of at most `max` bytes with a secret, which nobody else may read.
pub(crate) fn read_private(path: &Path, max: usize) -> Result<SecretBytes, Error> {
    let file = File::open(path).map_err(Error::file("open", path))?;
    let facts = file.metadata().map_err(Error::file("look at", path))?;
    if !wardein_durable::is_private(&facts) {
        let why = std::io::Error::other(format!("it is open to others; run: chmod 600 {}", path.display()));
        return Err(Error::file("use", path)(why));
    }
    // Of its whole size at once: a buffer that grows leaves copies behind.
    let mut bytes = Vec::with_capacity(max + 1);
    let read = file.take(max as u64 + 1).read_to_end(&mut bytes);
    let bytes = SecretBytes::from_vec(bytes);
    match read.map_err(Error::file("read", path))? {
        length if length > max => {
            Err(Error::file("use", path)(std::io::Error::other(format!("it has more than {max} bytes"))))
        }
        _ => Ok(bytes),
    }
}

/// A sender that changes its secret signs by both; more than a few are not looked at.
const MAX_SIGNATURES: usize = 8;

const MAX_FILE: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const BODY: &[u8] = b"{\"test\": 2432232314}";
    const AT: u64 = 1_614_265_330;

    // As standardwebhooks 1.1.0 of PyPI signs it, and the authority (server, webhooks/post.rs).
    const SIGNATURE: &str = "v1,4tb+MnkCTqymlrGQQ6f66PPeMjMas7AHx6XI40qL5MA=";

    fn key() -> WebhookKey {
        WebhookKey::new(Secret::copied_from(&[7; 32]))
    }

    #[test]
    fn a_signature_is_that_of_standard_webhooks() {
        assert_eq!(key().sign("msg_1", AT, BODY), SIGNATURE);
        let text = AT.to_string();
        assert_eq!(key().verify(("msg_1", &text, SIGNATURE), BODY, AT), Ok(()));
        let several = format!("v1a,AAAA v1,AAAA {SIGNATURE}");
        assert_eq!(key().verify(("msg_1", &text, &several), BODY, AT), Ok(()));
    }

    #[test]
    fn another_id_time_body_or_secret_is_refused() {
        let text = AT.to_string();
        let other = WebhookKey::new(Secret::copied_from(&[8; 32]));
        assert_eq!(other.verify(("msg_1", &text, SIGNATURE), BODY, AT), Err(SignatureError::Wrong));
        let later = (AT + 1).to_string();
        for (id, at, body) in [("msg_2", &text, BODY), ("msg_1", &later, BODY), ("msg_1", &text, &b"{}"[..])]
        {
            assert_eq!(key().verify((id, at, SIGNATURE), body, AT), Err(SignatureError::Wrong));
        }
        for header in ["", "v1,", "v2,4tb+MnkCTqymlrGQQ6f66PPeMjMas7AHx6XI40qL5MA=", &SIGNATURE[3..]] {
            assert_eq!(
                key().verify(("msg_1", &text, header), BODY, AT),
                Err(SignatureError::Wrong),
                "{header}"
            );
        }
        let ninth = format!("{}{SIGNATURE}", "v1,AAAA ".repeat(8));
        assert_eq!(key().verify(("msg_1", &text, &ninth), BODY, AT), Err(SignatureError::Wrong));
    }

    #[test]
    fn a_message_is_good_for_five_minutes() {
        let text = AT.to_string();
        for (now, judged) in [
            (AT - 300, Ok(())),
            (AT + 300, Ok(())),
            (AT - 301, Err(SignatureError::Stale)),
            (AT + 301, Err(SignatureError::Stale)),
        ] {
            assert_eq!(key().verify(("msg_1", &text, SIGNATURE), BODY, now), judged);
        }
    }

    #[test]
    fn an_id_or_a_time_that_could_be_read_in_two_ways_is_refused() {
        // The bytes that are signed are the same.
        let (id, body) = ("msg_1.5", [AT.to_string().as_bytes(), b".", BODY].concat());
        let signature = key().sign("msg_1", 5, &body);
        assert_eq!(key().sign(id, AT, BODY), signature);
        let text = AT.to_string();
        assert_eq!(key().verify((id, &text, &signature), BODY, AT), Err(SignatureError::Headers));
        let long = "x".repeat(129);
        for (id, at) in [
            ("", &text[..]),
            (&long[..], &text[..]),
            ("a b", &text[..]),
            ("a", ""),
            ("a", "+5"),
            ("a", "05"),
            ("a", "5.0"),
        ] {
            assert_eq!(
                key().verify((id, at, SIGNATURE), BODY, AT),
                Err(SignatureError::Headers),
                "{id} {at}"
            );
        }
    }

    #[test]
    fn a_secret_is_read_from_a_file_that_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let write = |text: &str, mode| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            WebhookKey::read("secret_file", &path)
        };
        let good = format!("whsec_{}\n", to_text(&[7; 32]));
        assert_eq!(write(&good, 0o600).unwrap().sign("msg_1", AT, BODY), SIGNATURE);
        assert!(write(&good, 0o644).err().unwrap().to_string().contains("chmod 600"));
        for bad in ["", "whsec_", &format!("whsec_{}", to_text(&[7; 31])), &to_text(&[7; 32])] {
            let said = write(bad, 0o600).err().unwrap().to_string();
            assert!(said.contains("is not whsec_") && (bad.len() < 8 || !said.contains(&bad[6..])), "{said}");
        }
    }
}

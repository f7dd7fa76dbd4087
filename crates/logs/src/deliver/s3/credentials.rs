//! Credentials of a store of objects: a file in the form of the AWS tools (`~/.aws/credentials`) with one profile.

use crate::private_file::{self, NotPrivate};
use std::path::Path;
use wardein_crypto::SecretBytes;

/// What signs requests. It has no `Debug`.
pub(super) struct Credentials {
    /// Who signs.
    pub(super) id: String,
    /// Its secret.
    pub(super) secret: SecretBytes,
    /// For credentials that end.
    pub(super) token: Option<String>,
}

/// Why there are none.
#[derive(Debug, thiserror::Error)]
pub(super) enum CredentialsError {
    #[error(transparent)]
    File(#[from] NotPrivate),
    #[error(
        "line {0} is not aws_access_key_id, aws_secret_access_key or aws_session_token with `=` and its value"
    )]
    Line(usize),
    #[error("it takes aws_access_key_id and aws_secret_access_key")]
    Missing,
}

impl Credentials {
    /// Those in a file that its owner alone can read.
    pub(super) fn read(path: &Path) -> Result<Self, CredentialsError> {
        Self::parse(&private_file::read(path, MAX_FILE)?)
    }

    fn parse(text: &SecretBytes) -> Result<Self, CredentialsError> {
        let (mut id, mut secret, mut token) = (None, None, None);
        for (number, line) in (1..).zip(text.expose().split(|byte| *byte == b'\n')) {
            let line = line.trim_ascii();
            if line.is_empty() || line == b"[default]" || matches!(line.first(), Some(b'#' | b';')) {
                continue;
            }
            let wrong = || CredentialsError::Line(number);
            let at = line.iter().position(|byte| *byte == b'=').ok_or_else(wrong)?;
            let (key, value) = line.split_at(at);
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            // It goes into a header, where a comma or a space would end it.
            let is_plain = value.iter().all(|byte| byte.is_ascii_graphic() && *byte != b',');
            if value.is_empty() || value.len() > MAX_VALUE || !is_plain {
                return Err(wrong());
            }
            let as_text = || String::from_utf8_lossy(value).into_owned();
            let is_new = match key.trim_ascii() {
                b"aws_access_key_id" => id.replace(as_text()).is_none(),
                b"aws_session_token" => token.replace(as_text()).is_none(),
                b"aws_secret_access_key" => {
                    let mut copied = SecretBytes::with_capacity(value.len());
                    copied.extend(value);
                    secret.replace(copied).is_none()
                }
                _ => false,
            };
            if !is_new {
                return Err(wrong());
            }
        }
        let (id, secret) = id.zip(secret).ok_or(CredentialsError::Missing)?;
        Ok(Self { id, secret, token })
    }
}

const MAX_FILE: usize = 16 << 10;
const MAX_VALUE: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Credentials, CredentialsError> {
        Credentials::parse(&SecretBytes::from_vec(text.as_bytes().to_vec()))
    }

    #[test]
    fn a_file_of_the_aws_tools_is_taken_and_errors_name_a_line_and_no_secret() {
        let text = "# of the pumps\n[default]\naws_access_key_id = AKID\r\naws_secret_access_key=s3cret/+=\n";
        let Credentials { id, secret, token } = parse(text).unwrap();
        assert_eq!((id.as_str(), secret.expose(), token), ("AKID", &b"s3cret/+="[..], None));
        let token = parse(&format!("{text}aws_session_token = t0ken\n")).unwrap().token;
        assert_eq!(token.as_deref(), Some("t0ken"));
        for (wrong, line) in [
            ("[other]", 5),
            ("region = x", 5),
            ("s3cret", 5),
            ("aws_access_key_id = B", 5),
            ("aws_session_token =", 5),
            ("aws_session_token = a b", 5),
            ("aws_session_token = a,b", 5),
            ("aws_session_token = \u{e4}", 5),
        ] {
            let error = parse(&format!("{text}{wrong}")).err().unwrap();
            assert!(matches!(error, CredentialsError::Line(at) if at == line), "{wrong}: {error}");
            assert!(!error.to_string().contains("s3cret"));
        }
        assert!(matches!(parse("aws_access_key_id = A"), Err(CredentialsError::Missing)));
        let long = format!("{text}aws_session_token = {}", "x".repeat(MAX_VALUE + 1));
        assert!(matches!(parse(&long), Err(CredentialsError::Line(5))));
    }
}

//! What a device says of a file that it sealed: a text of fixed lines, so that outsiders can read it and check its signature with openssl.

use crate::error::FileError;
use wardein_crypto::{Digest, hex};
use wardein_ddkg::{DeviceName, KeyName};
use wardein_domain::Purpose;

/// What a device says of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Who.
    pub device: DeviceName,
    /// It rises by one with each file of the device, from 1: a number that is missing is a file that is missing.
    pub number: u64,
    /// The digest of the device's statement before; [`FIRST`] where there is none.
    pub previous: Digest,
    /// The SHA-256 of the sealed file.
    pub sha256: Digest,
    /// The bytes of the sealed file.
    pub length: u64,
    /// The key by which the authority opens it; none where it cannot.
    pub key: Option<KeyName>,
    /// When it was sealed, by the device's clock, in Unix seconds. Not before `heard_at`.
    pub sealed_at: u64,
    /// The authority's time, in Unix seconds, at the last answer of it that the device had verified.
    pub heard_at: u64,
}

/// What stands in the place of the statement before the first.
pub const FIRST: Digest = Digest([0; 32]);

impl Statement {
    /// The lines that are signed, the last with its line feed. Their SHA-256 is what the next statement has as `previous`.
    pub fn text(&self) -> String {
        let Self { device, number, previous, sha256, length, key, sealed_at, heard_at } = self;
        let (previous, sha256) = (hex::encode(&previous.0), hex::encode(&sha256.0));
        let key = key.as_ref().map_or_else(|| NO_KEY.to_owned(), ToString::to_string);
        format!(
            "{FORM}\ndevice: {}/{}\nnumber: {number}\nprevious: {previous}\nsha256: {sha256}\nlength: {length}\nkey: {key}\n\
             sealed-at: {sealed_at}\nheard-at: {heard_at}\n",
            device.tenant, device.device
        )
    }

    /// The inverse: there is one text of each statement.
    pub fn parse(text: &str) -> Result<Self, FileError> {
        let mut lines = text.lines();
        if lines.next() != Some(FORM) {
            return Err(FileError::Statement("its first line is another"));
        }
        let mut field = |name: &'static str| {
            let value = lines.next().and_then(|line| line.strip_prefix(name)?.strip_prefix(": "));
            value.ok_or(FileError::Statement(name))
        };
        let device = field("device")?;
        let number = field("number")?;
        let previous = field("previous")?;
        let sha256 = field("sha256")?;
        let length = field("length")?;
        let key = field("key")?;
        let sealed_at = field("sealed-at")?;
        let heard_at = field("heard-at")?;
        let statement = Self {
            device: parse_device(device).ok_or(FileError::Statement("device"))?,
            number: parse_number(number)
                .filter(|number| *number > 0)
                .ok_or(FileError::Statement("number"))?,
            previous: parse_digest(previous).ok_or(FileError::Statement("previous"))?,
            sha256: parse_digest(sha256).ok_or(FileError::Statement("sha256"))?,
            length: parse_number(length).ok_or(FileError::Statement("length"))?,
            key: parse_key(key)?,
            sealed_at: parse_number(sealed_at).ok_or(FileError::Statement("sealed-at"))?,
            heard_at: parse_number(heard_at).ok_or(FileError::Statement("heard-at"))?,
        };
        if statement.key.as_ref().is_some_and(|key| key.owner != statement.device) {
            return Err(FileError::Statement("key"));
        }
        // A number with a leading zero, a line more: another text of the same, which nobody has signed as it is here.
        if statement.text() != text {
            return Err(FileError::Statement("it is not as it is written"));
        }
        Ok(statement)
    }

    /// The digest by which the next statement names this one.
    pub fn digest(&self) -> Digest {
        Digest::of(self.text().as_bytes())
    }
}

fn parse_device(text: &str) -> Option<DeviceName> {
    let (tenant, device) = text.split_once('/')?;
    Some(DeviceName { tenant: tenant.parse().ok()?, device: device.parse().ok()? })
}

fn parse_number(text: &str) -> Option<u64> {
    text.parse().ok()
}

fn parse_digest(text: &str) -> Option<Digest> {
    hex::decode_array(text).map(Digest)
}

fn parse_key(text: &str) -> Result<Option<KeyName>, FileError> {
    if text == NO_KEY {
        return Ok(None);
    }
    let key: KeyName = text.parse().map_err(FileError::Stanza)?;
    (key.purpose == Purpose::File).then_some(Some(key)).ok_or(FileError::Statement("key"))
}

const FORM: &str = "wardein-file 1";
const NO_KEY: &str = "none";

#[cfg(test)]
mod tests {
    use super::*;

    fn statement() -> Statement {
        Statement {
            device: parse_device("klinik/pump-1").unwrap(),
            number: 7,
            previous: FIRST,
            sha256: Digest([0xab; 32]),
            length: 12_345,
            key: Some("ddkg1:klinik/pump-1/1.file.0.6".parse().unwrap()),
            sealed_at: 1_764_493_200,
            heard_at: 1_764_493_100,
        }
    }

    #[test]
    fn there_is_one_text_of_a_statement() {
        let (whole, without) = (statement(), Statement { key: None, ..statement() });
        for statement in [&whole, &without] {
            assert_eq!(&Statement::parse(&statement.text()).unwrap(), statement);
        }
        let text = whole.text();
        for (from, to) in [
            ("wardein-file 1", "wardein-file 2"),
            ("number: 7", "number: 07"),
            ("number: 7", "number: 0"),
            ("number: 7", "number: -7"),
            ("number: 7", "nummer: 7"),
            ("length: 12345", "length: +12345"),
            ("abab", "ABAB"),
            ("abab", ""),
            ("klinik/pump-1\n", "klinik\n"),
            ("1.file.0.6", "1.data.0.6"),
            ("ddkg1:klinik/pump-1", "ddkg1:klinik/pump-2"),
            ("heard-at: 1764493100\n", ""),
            ("heard-at: 1764493100\n", "heard-at: 1764493100"),
            ("heard-at: 1764493100\n", "heard-at: 1764493100\nmore: 1\n"),
            ("\n", "\r\n"),
        ] {
            assert!(Statement::parse(&text.replace(from, to)).is_err(), "{from:?} to {to:?}");
        }
    }

    #[test]
    fn every_field_is_in_the_digest() {
        let digest = statement().digest();
        for other in [
            Statement { device: parse_device("klinik/pump-2").unwrap(), ..statement() },
            Statement { number: 8, ..statement() },
            Statement { previous: Digest([1; 32]), ..statement() },
            Statement { sha256: Digest([1; 32]), ..statement() },
            Statement { length: 1, ..statement() },
            Statement { key: None, ..statement() },
            Statement { sealed_at: 1, ..statement() },
            Statement { heard_at: 1, ..statement() },
        ] {
            assert_ne!(other.digest(), digest);
        }
    }
}

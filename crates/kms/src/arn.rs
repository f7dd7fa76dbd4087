//! Names of keys.

use crate::KmsError;
use std::fmt;
use std::str::FromStr;

/// The name of a key of KMS, such as `arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab`. An alias is
/// not one: it can be moved to another key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyArn {
    text: String,
    /// Where the parts end, but for the last: partition, region, account.
    partition: String,
    region: String,
    account: String,
    id: String,
}

impl KeyArn {
    /// The region, such as `eu-central-1`.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The partition, such as `aws`.
    pub(crate) fn partition(&self) -> &str {
        &self.partition
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether both are the same multi-Region key, in two regions: what one wraps the other unwraps.
    pub fn is_replica_of(&self, other: &Self) -> bool {
        self.id.starts_with(MULTI_REGION)
            && self.id == other.id
            && self.account == other.account
            && self.partition == other.partition
    }
}

impl FromStr for KeyArn {
    type Err = KmsError;

    fn from_str(text: &str) -> Result<Self, KmsError> {
        let wrong = || KmsError::KeyName(text.chars().take(MAX_LEN).collect());
        let is_short = |part: &str| (1..=64).contains(&part.len());
        let is_word = |part: &str| {
            is_short(part)
                && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        let parts: Vec<_> = text.split(':').collect();
        let ["arn", partition, "kms", region, account, resource] = parts[..] else { return Err(wrong()) };
        let id = resource.strip_prefix("key/").ok_or_else(wrong)?;
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        // What goes into the name of a host and into a signature's scope has letters, digits and hyphens alone.
        if ![partition, region, id].into_iter().all(is_word) || !is_account {
            return Err(wrong());
        }
        Ok(Self {
            text: text.to_owned(),
            partition: partition.to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
            id: id.to_owned(),
        })
    }
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// How the ids of multi-Region keys begin.
const MULTI_REGION: &str = "mrk-";

/// Characters of a name that are shown in an error.
const MAX_LEN: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    #[test]
    fn a_key_is_named_by_its_arn_alone() {
        let key: KeyArn = KEY.parse().unwrap();
        assert_eq!((key.region(), key.partition(), key.as_str()), ("eu-central-1", "aws", KEY));
        for wrong in [
            "",
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "alias/wardein",
            "arn:aws:kms:eu-central-1:123456789012:alias/wardein",
            "arn:aws:s3:eu-central-1:123456789012:key/1234abcd",
            "arn:aws:kms:eu.evil.example/:123456789012:key/1234abcd",
            "arn:aws:kms:eu-central-1:12345678901:key/1234abcd",
            "arn:aws:kms:eu-central-1:123456789012:key/",
            "arn:aws:kms:eu-central-1:123456789012:key/1234/abcd",
            "arn:aws:kms:eu-central-1:123456789012:key/1234abcd:5",
            "arn:aws:kms::123456789012:key/1234abcd",
        ] {
            assert!(matches!(wrong.parse::<KeyArn>(), Err(KmsError::KeyName(_))), "{wrong}");
        }
    }

    #[test]
    fn only_a_multi_region_key_has_replicas() {
        let at = |region: &str, id: &str| -> KeyArn {
            format!("arn:aws:kms:{region}:123456789012:key/{id}").parse().unwrap()
        };
        assert!(at("eu-west-1", "mrk-1234").is_replica_of(&at("eu-central-1", "mrk-1234")));
        assert!(!at("eu-west-1", "mrk-1234").is_replica_of(&at("eu-central-1", "mrk-1235")));
        assert!(!at("eu-west-1", "1234").is_replica_of(&at("eu-central-1", "1234")));
    }
}

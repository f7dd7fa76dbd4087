//! Versions of firmware, as devices state them in an attribute, and their order.

use crate::name::NameError;
use core::cmp::Ordering;
use core::fmt;
use core::str::FromStr;
use smol_str::SmolStr;

/// A version of firmware, such as `2.10.3` or `v2.11.0-rc.1+build7`: at most [`FirmwareVersion::MAX_LEN`] bytes.
///
/// It is two to eight numbers of at most nine digits with dots between them, behind an optional `v`. What follows `-` marks a version
/// before the release; what follows `+` is a build. Both are identifiers of `A-Z a-z 0-9 -` with dots between them.
///
/// Two are compared as Semantic Versioning 2.0.0 (§11) compares them: the numbers one after the other, where one that is missing counts as
/// 0; then one before a release is lower than the release; then the identifiers one after the other, numbers as numbers and below words,
/// words by their ASCII, and fewer of them below more. A build counts for nothing.
#[derive(Debug, Clone)]
pub struct FirmwareVersion(SmolStr);

impl FirmwareVersion {
    /// The most bytes of one.
    pub const MAX_LEN: usize = 48;

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The numbers, and the identifiers of a version before a release.
    fn parts(&self) -> (&str, Option<&str>) {
        split(&self.0)
    }
}

/// The numbers and what marks a version before the release, of a text without regard to its form.
fn split(text: &str) -> (&str, Option<&str>) {
    let text = text.strip_prefix('v').unwrap_or(text);
    let text = text.split_once('+').map_or(text, |(version, _)| version);
    match text.split_once('-') {
        Some((numbers, before)) => (numbers, Some(before)),
        None => (text, None),
    }
}

impl Ord for FirmwareVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        let ((ours, before), (theirs, theirs_before)) = (self.parts(), other.parts());
        numbers(ours, theirs).then_with(|| match (before, theirs_before) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(ours), Some(theirs)) => identifiers(ours, theirs),
        })
    }
}

impl PartialOrd for FirmwareVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As they are compared: `1.0`, `v1.0.0` and `1.0+7` are one version.
impl PartialEq for FirmwareVersion {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for FirmwareVersion {}

fn numbers(ours: &str, theirs: &str) -> Ordering {
    let (mut ours, mut theirs) = (ours.split('.'), theirs.split('.'));
    loop {
        let (our, their) = (ours.next(), theirs.next());
        if our.is_none() && their.is_none() {
            return Ordering::Equal;
        }
        // Each was parsed when it became a version.
        let number = |text: Option<&str>| text.and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
        match number(our).cmp(&number(their)) {
            Ordering::Equal => {}
            other => return other,
        }
    }
}

fn identifiers(ours: &str, theirs: &str) -> Ordering {
    let (mut ours, mut theirs) = (ours.split('.'), theirs.split('.'));
    loop {
        let order = match (ours.next(), theirs.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(our), Some(their)) => match (is_number(our), is_number(their)) {
                // Without leading zeros the longer number is the larger one, however long it is.
                (true, true) => our.len().cmp(&their.len()).then_with(|| our.cmp(their)),
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => our.cmp(their),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

impl FromStr for FirmwareVersion {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let kind = "firmware version";
        if !(1..=Self::MAX_LEN).contains(&text.len()) {
            return Err(NameError::Length { kind, length: text.len(), min: 3, max: Self::MAX_LEN });
        }
        let wrong = NameError::Unknown {
            kind,
            allowed: "the versions: two to eight numbers with dots between them, such as 2.10.3, then perhaps -rc.1 and +build",
        };
        let build = text.split_once('+').map(|(_, build)| build);
        let (numbers, before) = split(text);
        let is_identifier = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let is_one = |part: &str| (1..=9).contains(&part.len()) && is_number(part);
        // A number among the identifiers has no leading zero (Semantic Versioning §9), so that its length says which is larger.
        let is_ranked =
            |part: &str| is_identifier(part) && !(part.len() > 1 && part.starts_with('0') && is_number(part));
        let is_well_formed = numbers.split('.').all(is_one)
            && (2..=8).contains(&numbers.split('.').count())
            && before.is_none_or(|before| before.split('.').all(is_ranked))
            && build.is_none_or(|build| build.split('.').all(is_identifier));
        if is_well_formed { Ok(Self(text.into())) } else { Err(wrong) }
    }
}

impl fmt::Display for FirmwareVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> FirmwareVersion {
        text.parse().unwrap()
    }

    #[test]
    fn versions_are_ordered_as_semantic_versioning_orders_them() {
        // The example of §11, and numbers that text would order otherwise.
        let rising = [
            "0.9",
            "0.10",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.0.1",
            "1.2",
            "1.10",
            "2.0",
            "10.0",
            "999999999.0",
        ];
        for (at, low) in rising.iter().enumerate() {
            for (to, high) in rising.iter().enumerate() {
                assert_eq!(version(low).cmp(&version(high)), at.cmp(&to), "{low} {high}");
            }
        }
        for (one, other) in
            [("1.0", "1.0.0"), ("v1.0", "1.0"), ("1.0+7", "1.0+8.a"), ("1.0-rc.1+a", "1.0.0-rc.1")]
        {
            assert_eq!(version(one), version(other));
        }
    }

    #[test]
    fn what_is_not_a_version_is_refused() {
        for text in [
            "",
            "1",
            "v",
            "1.",
            ".1",
            "1..2",
            "1.x",
            "1.0-",
            "1.0+",
            "1.0-rc..1",
            "1.0-01",
            "1.0 ",
            "vv1.0",
            "V1.0",
            "1.0.0.0.0.0.0.0.0",
            "1.1234567890",
            "1.0-ä",
            "1.0+a+b",
            "-1.0",
            "1,0",
        ] {
            assert!(text.parse::<FirmwareVersion>().is_err(), "{text}");
        }
        let longest = alloc::format!("1.0+{}", "a".repeat(44));
        assert!(longest.parse::<FirmwareVersion>().is_ok());
        assert!(alloc::format!("{longest}a").parse::<FirmwareVersion>().is_err());
        assert_eq!(version("v1.0-rc.1+7").as_str(), "v1.0-rc.1+7");
    }
}

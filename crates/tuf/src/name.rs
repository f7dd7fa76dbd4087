//! Names of roles, paths of targets and patterns of paths: each a type, so that none climbs out of a directory.

use crate::Malformed;
use std::fmt;

/// Whose metadata a file is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The keys of all others.
    Root,
    /// How recent the repository is.
    Timestamp,
    /// Which versions belong together.
    Snapshot,
    /// What there is, and who may sign for which paths.
    Targets,
    /// One to which paths are delegated: a product line.
    Delegated(RoleName),
    /// Not metadata, but the artifact at a path.
    Artifact(TargetPath),
}

impl Role {
    /// The name in a file's name, without version and extension.
    pub fn stem(&self) -> &str {
        match self {
            Self::Root => "root",
            Self::Timestamp => "timestamp",
            Self::Snapshot => "snapshot",
            Self::Targets => "targets",
            Self::Delegated(name) => name.as_str(),
            Self::Artifact(path) => path.as_str(),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delegated(name) => write!(f, "the metadata of {name}"),
            Self::Artifact(path) => write!(f, "the file {path}"),
            role => write!(f, "{}.json", role.stem()),
        }
    }
}

/// The name of a delegated role: 1 to 64 letters, digits, `-` and `_` of ASCII, and none of the top-level roles' names. Nothing in it is
/// escaped in a file's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleName(String);

impl RoleName {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 64;

    /// The name, if it is one.
    pub fn new(name: &str) -> Result<Self, Malformed> {
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        let is_top_level = matches!(name, "root" | "timestamp" | "snapshot" | "targets" | "mirrors");
        let is_good = is_plain && !is_top_level && (1..=Self::MAX_LEN).contains(&name.len());
        if is_good { Ok(Self(name.to_owned())) } else { Err(Malformed::Name) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The path of a target, relative to where the artifacts are: at most 256 bytes, segments of letters, digits, `.`, `_`, `~`, `+` and `-`
/// between slashes. No segment is empty or begins with a dot, so none is `..` and none is hidden.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetPath(String);

impl TargetPath {
    /// The longest path, in bytes.
    pub const MAX_LEN: usize = 256;

    /// The path, if it is one.
    pub fn new(path: &str) -> Result<Self, Malformed> {
        let is_good =
            path.len() <= Self::MAX_LEN && path.split('/').all(|segment| is_segment(segment, false));
        if is_good { Ok(Self(path.to_owned())) } else { Err(Malformed::Name) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the artifact is in a repository with consistent snapshots: the digest before the last segment (TUF §6.2).
    pub fn consistent(&self, digest: &wardein_crypto::Digest) -> String {
        let (folder, name) =
            self.0.rsplit_once('/').map_or(("", self.0.as_str()), |(folder, name)| (folder, name));
        let slash = if folder.is_empty() { "" } else { "/" };
        format!("{folder}{slash}{}.{name}", wardein_crypto::hex::Hex(&digest.0))
    }
}

impl fmt::Display for TargetPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which paths are delegated: a path whose segments may have `*` for any number of characters and `?` for one. Neither matches a slash, so
/// a pattern has as many segments as the paths that it matches (TUF §4.5).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathPattern(String);

impl PathPattern {
    /// The pattern, if it is one.
    pub fn new(pattern: &str) -> Result<Self, Malformed> {
        let is_good = pattern.len() <= TargetPath::MAX_LEN
            && pattern.split('/').all(|segment| is_segment(segment, true));
        if is_good { Ok(Self(pattern.to_owned())) } else { Err(Malformed::Name) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `path` is delegated by it.
    pub fn matches(&self, path: &TargetPath) -> bool {
        let (mut patterns, mut segments) = (self.0.split('/'), path.0.split('/'));
        loop {
            match (patterns.next(), segments.next()) {
                (None, None) => return true,
                (Some(pattern), Some(segment)) if matches(pattern.as_bytes(), segment.as_bytes()) => {}
                _ => return false,
            }
        }
    }
}

fn is_segment(segment: &str, is_pattern: bool) -> bool {
    let is_taken = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'.' | b'_' | b'~' | b'+' | b'-')
            || (is_pattern && matches!(byte, b'*' | b'?'))
    };
    !segment.is_empty() && !segment.starts_with('.') && segment.bytes().all(is_taken)
}

/// In a time that grows with the product of the lengths, however many stars there are: only the last star is ever gone back to.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star = None;
    while read < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[read] => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some((place, taken)) = star else { return false };
                star = Some((place, taken + 1));
                at = place + 1;
                read = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use wardein_crypto::Digest;

    #[test]
    fn no_path_climbs() {
        for good in ["pump.img", "infusion/pump-3/2.1.0+7~rc1.raucb", "a/b/c/d_e"] {
            assert_eq!(TargetPath::new(good).unwrap().as_str(), good);
        }
        let long = "a".repeat(257);
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../a",
            "a/../b",
            "a/..",
            "a//b",
            "a/",
            ".",
            "./a",
            "a/.b",
            "a\\b",
            "a b",
            "a%2f",
            "a\0",
            "\u{e4}",
            "*",
            "a?",
            long.as_str(),
        ] {
            assert_eq!(TargetPath::new(bad), Err(Malformed::Name), "{bad:?}");
        }
        assert!(TargetPath::new(&long[1..]).is_ok());
    }

    #[test]
    fn no_role_takes_the_name_of_another() {
        assert!(RoleName::new("infusion-pumps_2").is_ok() && RoleName::new(&"a".repeat(64)).is_ok());
        let long = "a".repeat(65);
        for bad in [
            "",
            "root",
            "timestamp",
            "snapshot",
            "targets",
            "mirrors",
            "a.b",
            "a/b",
            "..",
            "1.root",
            "\u{e4}",
            long.as_str(),
        ] {
            assert_eq!(RoleName::new(bad), Err(Malformed::Name), "{bad:?}");
        }
    }

    #[test]
    fn a_pattern_matches_within_segments() {
        let is_match = |pattern: &str, path: &str| {
            PathPattern::new(pattern).unwrap().matches(&TargetPath::new(path).unwrap())
        };
        for (pattern, path) in [
            ("pump/*", "pump/a.img"),
            ("*", "a"),
            ("pump-?/*.img", "pump-3/1.img"),
            ("a*b*c", "a1b2b3c"),
            ("a", "a"),
            ("a**", "a"),
        ] {
            assert!(is_match(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("pump/*", "pump"),
            ("pump/*", "pump/a/b"),
            ("*", "a/b"),
            ("pump-?/*", "pump-/a"),
            ("a*b*c", "a1b2b3"),
            ("a", "b"),
            ("pump/*", "pumps/a"),
        ] {
            assert!(!is_match(pattern, path), "{pattern} {path}");
        }
        for bad in ["", "/*", "../*", "[ab]", "a{b,c}", "a/.*", "!a"] {
            assert_eq!(PathPattern::new(bad), Err(Malformed::Name), "{bad}");
        }
        // Backtracking over every star would take until the end of the world.
        let stars = PathPattern::new(&"*a".repeat(100)).unwrap();
        assert!(!stars.matches(&TargetPath::new(&["a".repeat(250), "b".into()].concat()).unwrap()));
    }

    #[test]
    fn a_consistent_name_has_the_digest_in_its_last_segment() {
        let digest = Digest([0xab; 32]);
        let ab = "ab".repeat(32);
        assert_eq!(TargetPath::new("a/b/c.img").unwrap().consistent(&digest), format!("a/b/{ab}.c.img"));
        assert_eq!(TargetPath::new("c.img").unwrap().consistent(&digest), format!("{ab}.c.img"));
    }
}

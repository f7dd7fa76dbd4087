//! What the device measures of itself, again for every proof.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use wardein_crypto::Sha256;
use wardein_ddkg::Attributes;
use wardein_domain::AttributeName;

/// Where an attribute's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `file:/path`: the SHA-256 of a regular file, at most 1 GiB.
    File(PathBuf),
    /// `text:…`: a constant. It measures nothing, and is for tests.
    Text(String),
    /// `machine-id`: the operating system's id of this installation.
    MachineId,
    /// `mac:eth0`: the hardware address of a network interface.
    Mac(String),
    /// `dmi:product_serial`: a field that the firmware tells.
    Dmi(String),
}

/// Why an attribute has no value.
#[derive(Debug, thiserror::Error)]
#[error("attribute {name}: cannot measure {source_text}: {why}")]
pub struct SourceError {
    name: AttributeName,
    source_text: Source,
    why: String,
}

/// Measures the attributes of `sources` that `wanted` asks for. `root` is `/`, or what a test puts in its place.
pub fn measure(
    sources: &BTreeMap<AttributeName, Source>,
    root: &Path,
    mut wanted: impl FnMut(&AttributeName) -> bool,
) -> Result<Attributes, SourceError> {
    let mut attributes = Attributes::new();
    for (name, source) in sources.iter().filter(|(name, _)| wanted(name)) {
        let wrong = |why: String| SourceError { name: name.clone(), source_text: source.clone(), why };
        let value = source.measure(root).map_err(wrong)?;
        attributes.insert(name.clone(), &value).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(attributes)
}

impl Source {
    fn measure(&self, root: &Path) -> Result<Vec<u8>, String> {
        match self {
            Self::File(path) => digest_of(&below(root, path)),
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::MachineId => telling(line_of(&root.join("etc/machine-id"))?, &["uninitialized"]),
            Self::Mac(interface) => telling(
                line_of(&root.join("sys/class/net").join(interface).join("address"))?,
                &["00:00:00:00:00:00"],
            ),
            Self::Dmi(field) => telling(line_of(&root.join("sys/class/dmi/id").join(field))?, DMI_FILLERS),
        }
    }
}

/// `path`, which is absolute, as it lies below `root`.
fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn digest_of(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| error.to_string();
    // Judged before it is opened: opening a pipe would wait for its other end.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err("is no regular file".into());
    }
    let mut file = File::open(path).map_err(failed)?.take(MAX_FILE + 1);
    let (mut hash, mut buffer, mut total) = (Sha256::new(), vec![0; 64 << 10], 0u64);
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => return Ok(hash.finish().0.to_vec()),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        };
        total += count as u64;
        if total > MAX_FILE {
            return Err(format!("has more than {MAX_FILE} bytes"));
        }
        hash.update(buffer.split_at(count).0);
    }
}

/// A short text file without the white space around it.
fn line_of(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_LINE + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_LINE {
        return Err(format!("has more than {MAX_LINE} bytes"));
    }
    Ok(text.trim().to_owned())
}

/// A value that tells devices apart: not empty, and none of `fillers`.
fn telling(text: String, fillers: &[&str]) -> Result<Vec<u8>, String> {
    if text.is_empty() || fillers.iter().any(|filler| filler.eq_ignore_ascii_case(&text)) {
        return Err(format!("says {text:?}, which many devices say"));
    }
    Ok(text.into_bytes())
}

impl FromStr for Source {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_word = |word: &str| {
            let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            !word.is_empty() && word.len() <= 64 && !word.starts_with('.') && word.chars().all(is_fine)
        };
        match text.split_once(':') {
            Some(("file", path)) if path.starts_with('/') => Ok(Self::File(path.into())),
            Some(("text", constant)) => Ok(Self::Text(constant.into())),
            None if text == "machine-id" => Ok(Self::MachineId),
            Some(("mac", interface)) if is_word(interface) => Ok(Self::Mac(interface.into())),
            Some(("dmi", field)) if is_word(field) => Ok(Self::Dmi(field.into())),
            _ => Err("is none of file:/PATH, text:CONSTANT, machine-id, mac:INTERFACE, dmi:FIELD"),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Text(text) => write!(f, "text:{text}"),
            Self::MachineId => f.write_str("machine-id"),
            Self::Mac(interface) => write!(f, "mac:{interface}"),
            Self::Dmi(field) => write!(f, "dmi:{field}"),
        }
    }
}

const MAX_FILE: u64 = 1 << 30;
const MAX_LINE: u64 = 4096;
/// What boards say whose maker filled nothing in.
const DMI_FILLERS: &[&str] = &[
    "To be filled by O.E.M.",
    "Default string",
    "None",
    "Not Specified",
    "System Serial Number",
    "0",
    "N/A",
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir_all, write};
    use wardein_crypto::Digest;

    fn sources(list: &[(&str, &str)]) -> BTreeMap<AttributeName, Source> {
        list.iter().map(|(name, source)| (name.parse().unwrap(), source.parse().unwrap())).collect()
    }

    fn one(source: &str, root: &Path) -> Result<Vec<u8>, String> {
        source.parse::<Source>().unwrap().measure(root)
    }

    #[test]
    fn each_source_is_read_anew() {
        let root = tempfile::tempdir().unwrap();
        for directory in ["etc", "sys/class/net/eth0", "sys/class/dmi/id", "opt"] {
            create_dir_all(root.path().join(directory)).unwrap();
        }
        let put = |path: &str, text: &str| write(root.path().join(path), text).unwrap();
        put("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        put("sys/class/net/eth0/address", "02:00:00:00:00:01\n");
        put("sys/class/dmi/id/product_serial", "S-1\n");
        put("opt/firmware", "v1");
        assert_eq!(one("machine-id", root.path()).unwrap(), b"0123456789abcdef0123456789abcdef");
        assert_eq!(one("mac:eth0", root.path()).unwrap(), b"02:00:00:00:00:01");
        assert_eq!(one("dmi:product_serial", root.path()).unwrap(), b"S-1");
        assert_eq!(one("text:x y", root.path()).unwrap(), b"x y");
        assert_eq!(one("file:/opt/firmware", root.path()).unwrap(), Digest::of(b"v1").0);
        put("opt/firmware", "v2");
        assert_eq!(one("file:/opt/firmware", root.path()).unwrap(), Digest::of(b"v2").0);
    }

    #[test]
    fn a_missing_one_is_named_with_its_source() {
        let root = tempfile::tempdir().unwrap();
        let list = sources(&[("firmware", "file:/opt/none"), ("tag", "text:a")]);
        let error = measure(&list, root.path(), |_| true).unwrap_err().to_string();
        assert!(error.starts_with("attribute firmware: cannot measure file:/opt/none: "), "{error}");
        // What is not asked for is not measured.
        assert!(measure(&list, root.path(), |name| name.as_str() == "tag").is_ok());
    }

    #[test]
    fn what_many_devices_say_and_what_is_no_file_is_refused() {
        let root = tempfile::tempdir().unwrap();
        create_dir_all(root.path().join("sys/class/dmi/id")).unwrap();
        create_dir_all(root.path().join("etc")).unwrap();
        let put = |path: &str, text: &str| write(root.path().join(path), text).unwrap();
        for filler in ["\n", "default string\n", "None"] {
            put("sys/class/dmi/id/product_serial", filler);
            assert!(one("dmi:product_serial", root.path()).is_err(), "{filler:?}");
        }
        put("etc/machine-id", "uninitialized\n");
        assert!(one("machine-id", root.path()).is_err());
        put("etc/machine-id", &"a".repeat(4097));
        assert!(one("machine-id", root.path()).unwrap_err().contains("4096"));
        assert!(one("file:/etc", root.path()).unwrap_err().contains("regular"));
    }

    #[test]
    fn sources_are_parsed_strictly_and_print_as_they_were_written() {
        for good in ["file:/a/b", "text:", "text:a:b", "machine-id", "mac:eth0", "dmi:product_serial"] {
            assert_eq!(good.parse::<Source>().unwrap().to_string(), good);
        }
        for bad in ["", "file:a", "mac:", "mac:../eth0", "dmi:.", "dmi:a/b", "machine-id:x", "tpm:ek"] {
            assert!(bad.parse::<Source>().is_err(), "{bad:?}");
        }
    }
}

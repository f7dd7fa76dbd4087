//! age's own test vectors (C2SP CCTV, age), which the package of the crate `age` has: every one that is about what is here, that is without
//! armor, passphrases and compression.

use crate::round_trip::opened;
use std::fs;
use std::path::PathBuf;
use wardein_crypto::{Digest, Secret, hex};
use wardein_files::{FileError, Opening, ReaderKey, SealedFile};

struct Vector {
    name: String,
    fields: Vec<(String, String)>,
    file: Vec<u8>,
}

impl Vector {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

#[test]
fn vectors_of_age_are_judged_as_it_says() {
    let Some(folder) = vectors() else {
        // A vendored build has the sources elsewhere.
        assert!(std::env::var_os("WARDEIN_AGE_TESTKIT").is_none(), "the vectors are missing");
        return;
    };
    let (mut judged, mut apart) = (0, 0);
    for entry in fs::read_dir(folder).unwrap() {
        let vector = read(&entry.unwrap().path());
        if vector.field("compressed").is_some() {
            apart += 1;
            continue;
        }
        if vector.field("armored").is_some() {
            assert!(
                matches!(SealedFile::read(vector.file.as_slice()).err(), Some(FileError::NotAge)),
                "{}",
                vector.name
            );
            apart += 1;
            continue;
        }
        if vector.field("passphrase").is_some() {
            let key = Secret::filled(|_| {});
            assert!(opened(&vector.file, &Opening::FileKey(&key)).is_err(), "{}", vector.name);
            apart += 1;
            continue;
        }
        judge(&vector);
        judged += 1;
    }
    assert_eq!((judged, apart), (48, 75));
}

fn judge(vector: &Vector) {
    let (name, expect) = (&vector.name, vector.field("expect").unwrap());
    let Some(identity) = vector.field("identity") else {
        assert_ne!(expect, "success", "{name}");
        return;
    };
    let key = ReaderKey::parse(identity).unwrap();
    let mut plaintext = Vec::new();
    let done = SealedFile::read(vector.file.as_slice())
        .and_then(|file| file.open(&Opening::Reader(&key), &mut plaintext, &mut |_| {}));
    let digest = hex::encode(&Digest::of(&plaintext).0);
    match (expect, done) {
        ("success", Ok(_)) => assert_eq!(Some(digest.as_str()), vector.field("payload"), "{name}"),
        // What was given before the end is what age gives, and no more.
        ("payload failure", Err(FileError::Io(_) | FileError::HeaderCut)) => {
            if let Some(payload) = vector.field("payload") {
                assert_eq!(digest, payload, "{name}");
            }
        }
        ("no match" | "HMAC failure", Err(FileError::WrongKey)) => assert!(plaintext.is_empty(), "{name}"),
        ("header failure", Err(FileError::NotAge | FileError::HeaderCut | FileError::WrongKey)) => {
            assert!(plaintext.is_empty(), "{name}");
        }
        (expect, done) => unreachable!("{name}: expected {expect}, found {done:?}"),
    }
}

fn read(path: &std::path::Path) -> Vector {
    let bytes = fs::read(path).unwrap();
    let end = bytes.windows(2).position(|two| two == b"\n\n").unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let field = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    Vector { name, fields: head.lines().filter_map(field).collect(), file: bytes[end + 2..].to_vec() }
}

/// Beside the sources from which `age` was built.
fn vectors() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))?;
    let sources = fs::read_dir(home.join("registry/src")).ok()?;
    let folder = |entry: fs::DirEntry| entry.path().join("age-0.11.5/tests/testdata/testkit");
    sources.flatten().map(folder).find(|folder| folder.is_dir())
}

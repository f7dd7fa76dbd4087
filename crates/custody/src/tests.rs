//! What is kept is given back, to the right secret only, and no byte of it can be changed.

mod recovery;

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use wardein_crypto::{Entropy, EntropyError, Secret, SecretBytes, SystemEntropy};

struct Bench {
    directory: TempDir,
    path: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("custody.json");
        Self { directory, path }
    }

    fn key_file(&self) -> PathBuf {
        self.directory.path().join("root.key")
    }

    fn create(&self, protection: &Protection) -> Result<(), CustodyError> {
        create(&self.path, protection, &root_key(), &mut SystemEntropy::default())
    }

    /// The root key that is kept, in its versions.
    fn keys(&self, protection: &Protection) -> Result<Vec<(u32, [u8; 32])>, CustodyError> {
        let opened = open(&self.path, protection)?;
        Ok(opened.keys().map(|(version, key)| (version, *key.expose())).collect())
    }

    /// What `open` says with `text` in the file.
    fn open_as(&self, text: &str, protection: &Protection) -> Result<(), CustodyError> {
        fs::write(&self.path, text).unwrap();
        open(&self.path, protection).map(|_| ())
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn root_key() -> Secret<32> {
    Secret::copied_from(&[0xa5; 32])
}

fn passphrase(text: &str) -> Protection {
    Protection::Passphrase(Passphrase::new(SecretBytes::from_vec(text.into())).unwrap())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_passphrase_gives_the_root_key_back_and_another_does_not() {
    let bench = Bench::new();
    bench.create(&passphrase("correct horse")).unwrap();
    assert_eq!(kind(&bench.path).unwrap(), Kind::Passphrase);
    assert_eq!(bench.keys(&passphrase("correct horse")).unwrap(), [(1, *root_key().expose())]);
    let wrong = open(&bench.path, &passphrase("correct horsf")).err().unwrap();
    assert!(matches!(wrong, CustodyError::WrongPassphrase));
    let other = open(&bench.path, &Protection::KeyFile(bench.key_file())).err().unwrap();
    assert!(matches!(other, CustodyError::Kind { expected: Kind::Passphrase, given: Kind::KeyFile }));
    assert_eq!(mode(&bench.path), 0o600);
    assert_eq!(bench.names(), ["custody.json"]);
    let text = fs::read_to_string(&bench.path).unwrap();
    assert!(
        text.contains("\"memory_kib\": 65536")
            && text.contains("\"passes\": 3")
            && text.contains("\"lanes\": 4")
    );
    assert!(!text.contains(&"a5".repeat(8)), "the root key is not in the clear");
}

#[test]
fn a_key_file_is_made_for_its_owner_alone_and_gives_the_root_key_back() {
    let bench = Bench::new();
    let protection = Protection::KeyFile(bench.key_file());
    bench.create(&protection).unwrap();
    assert_eq!((mode(&bench.key_file()), fs::read(bench.key_file()).unwrap().len()), (0o600, 32));
    assert_eq!(bench.keys(&protection).unwrap(), [(1, *root_key().expose())]);
    for bits in [0o640, 0o604, 0o620, 0o601] {
        fs::set_permissions(bench.key_file(), fs::Permissions::from_mode(bits)).unwrap();
        let refused = open(&bench.path, &protection).err().unwrap();
        assert!(matches!(refused, CustodyError::Permissions { mode, .. } if mode == bits));
    }
    fs::set_permissions(bench.key_file(), fs::Permissions::from_mode(0o400)).unwrap();
    assert!(open(&bench.path, &protection).is_ok());
    fs::remove_file(bench.key_file()).unwrap();
    assert!(matches!(open(&bench.path, &protection).err().unwrap(), CustodyError::Io { .. }));
}

#[test]
fn another_key_file_or_one_of_another_length_is_refused() {
    let bench = Bench::new();
    let protection = Protection::KeyFile(bench.key_file());
    bench.create(&protection).unwrap();
    let put = |bytes: &[u8]| {
        fs::write(bench.key_file(), bytes).unwrap();
        open(&bench.path, &protection).err().unwrap()
    };
    assert!(matches!(put(&[7; 32]), CustodyError::WrongKeyFile));
    for length in [0, 31, 33, 1 << 16] {
        assert!(matches!(put(&vec![7; length]), CustodyError::KeyFile(_)), "{length}");
    }
    fs::remove_file(bench.key_file()).unwrap();
    fs::create_dir(bench.key_file()).unwrap();
    assert!(matches!(open(&bench.path, &protection).err().unwrap(), CustodyError::KeyFile(_)));
}

#[test]
fn nothing_is_ever_written_over() {
    let bench = Bench::new();
    let protection = Protection::KeyFile(bench.key_file());
    bench.create(&protection).unwrap();
    let before = (fs::read(&bench.path).unwrap(), fs::read(bench.key_file()).unwrap());
    assert!(matches!(bench.create(&protection), Err(CustodyError::Exists(path)) if path == bench.path));
    let moved = bench.directory.path().join("moved");
    fs::rename(&bench.path, &moved).unwrap();
    // As after a crash between the two files: the key file is used, and what was under it before still is.
    bench.create(&protection).unwrap();
    assert_eq!(bench.names(), ["custody.json", "moved", "root.key"]);
    assert_eq!(fs::read(bench.key_file()).unwrap(), before.1);
    assert!(open(&bench.path, &protection).is_ok() && open(&moved, &protection).is_ok());
    fs::remove_file(&bench.path).unwrap();
    // A dangling link is a name that is taken, too.
    std::os::unix::fs::symlink("nowhere", &bench.path).unwrap();
    assert!(matches!(bench.create(&passphrase("correct horse")), Err(CustodyError::Exists(_))));
}

#[test]
fn a_key_file_that_is_there_is_used_only_if_it_is_one_and_ours() {
    let bench = Bench::new();
    let protection = Protection::KeyFile(bench.key_file());
    let put = |bytes: &[u8], mode| {
        fs::write(bench.key_file(), bytes).unwrap();
        fs::set_permissions(bench.key_file(), fs::Permissions::from_mode(mode)).unwrap();
    };
    put(b"not a key", 0o600);
    assert!(matches!(bench.create(&protection), Err(CustodyError::KeyFile(_))));
    put(&[7; 32], 0o644);
    assert!(matches!(bench.create(&protection), Err(CustodyError::Permissions { .. })));
    assert_eq!(bench.names(), ["root.key"]);
    fs::set_permissions(bench.key_file(), fs::Permissions::from_mode(0o600)).unwrap();
    // Only root can give a file away, and reads what is not its own.
    if std::os::unix::fs::chown(bench.key_file(), Some(65_534), None).is_ok() {
        assert!(matches!(bench.create(&protection), Err(CustodyError::Owner(_))));
        std::os::unix::fs::chown(bench.key_file(), Some(rustix::process::geteuid().as_raw()), None).unwrap();
    }
    // What a write that was cut short left goes, and what only looks like it stays.
    let unfinished = bench.directory.path().join("root.key.00000000deadbeef.tmp");
    let other = bench.directory.path().join("root.key.mine.tmp");
    fs::hard_link(bench.key_file(), &unfinished).unwrap();
    fs::write(&other, "").unwrap();
    bench.create(&protection).unwrap();
    assert_eq!(bench.names(), ["custody.json", "root.key", "root.key.mine.tmp"]);
    assert_eq!(fs::read(bench.key_file()).unwrap(), [7; 32]);
}

#[test]
fn every_changed_byte_of_the_file_is_refused_or_means_the_same() {
    let bench = Bench::new();
    let protection = Protection::KeyFile(bench.key_file());
    bench.create(&protection).unwrap();
    let text = fs::read_to_string(&bench.path).unwrap();
    for (position, byte) in text.bytes().enumerate() {
        for other in [byte ^ 1, b' ', b'0', b'f', b'"'] {
            let mut changed = text.clone().into_bytes();
            changed[position] = other;
            let is_space = byte.is_ascii_whitespace() && other.is_ascii_whitespace();
            if other == byte || is_space {
                continue;
            }
            let changed = String::from_utf8(changed).unwrap();
            assert!(bench.open_as(&changed, &protection).is_err(), "byte {position}: {changed}");
        }
        assert!(
            position == text.len() - 1 || bench.open_as(&text[..position], &protection).is_err(),
            "cut at {position}"
        );
    }
    bench.open_as(&text, &protection).unwrap();
}

#[test]
fn damage_is_told_from_a_wrong_passphrase() {
    let bench = Bench::new();
    let right = passphrase("correct horse");
    bench.create(&right).unwrap();
    let text = fs::read_to_string(&bench.path).unwrap();
    let field = |name: &str| {
        let start = text.find(&format!("\"{name}\": \"")).unwrap() + name.len() + 5;
        let flipped = if text.as_bytes()[start] == b'0' { "1" } else { "0" };
        format!("{}{flipped}{}", &text[..start], &text[start + 1..])
    };
    for name in ["nonce", "wrapped"] {
        assert!(matches!(bench.open_as(&field(name), &right), Err(CustodyError::Wrapped)), "{name}");
    }
    for name in ["salt", "check"] {
        assert!(matches!(bench.open_as(&field(name), &right), Err(CustodyError::WrongPassphrase)), "{name}");
    }
    let passes = text.replace("\"passes\": 3", "\"passes\": 2");
    assert!(matches!(bench.open_as(&passes, &right), Err(CustodyError::WrongPassphrase)));
}

#[test]
fn the_parameters_are_bound_by_the_wrap_itself() {
    // Under a key file no parameter enters the key-encryption key but the salt; the additional data holds all of them.
    let record = |salt| format::ProtectionRecord::KeyFile { salt: format::Hex(salt) };
    let costly = |passes| format::ProtectionRecord::Passphrase {
        memory_kib: 65_536,
        passes,
        lanes: 4,
        salt: format::Hex([1; 16]),
    };
    let rows = [record([1; 16]), record([2; 16]), costly(3), costly(4)]
        .map(|record| record.additional(1))
        .into_iter()
        .chain([record([1; 16]).additional(2)])
        .collect::<Vec<_>>();
    for (i, row) in rows.iter().enumerate() {
        assert!(rows.iter().skip(i + 1).all(|other| row != other));
    }
}

#[test]
fn a_hostile_file_spends_none_of_our_memory() {
    let bench = Bench::new();
    let right = passphrase("correct horse");
    bench.create(&right).unwrap();
    let text = fs::read_to_string(&bench.path).unwrap();
    for (from, to) in [
        ("\"memory_kib\": 65536", "\"memory_kib\": 1048577"),
        ("\"memory_kib\": 65536", "\"memory_kib\": 4294967295"),
        ("\"memory_kib\": 65536", "\"memory_kib\": 19455"),
        ("\"passes\": 3", "\"passes\": 17"),
        ("\"passes\": 3", "\"passes\": 1"),
        ("\"lanes\": 4", "\"lanes\": 17"),
        ("\"lanes\": 4", "\"lanes\": 0"),
    ] {
        let refused = bench.open_as(&text.replace(from, to), &right);
        assert!(matches!(refused, Err(CustodyError::Bounds { .. })), "{to}");
    }
    let long = text.replace("\n}", &format!("{}\n}}", " ".repeat(format::MAX_LEN)));
    assert!(matches!(bench.open_as(&long, &right), Err(CustodyError::Damaged { .. })));
    let extra = text.replacen('{', "{\"hint\": \"horse\",", 1);
    assert!(matches!(bench.open_as(&extra, &right), Err(CustodyError::Damaged { .. })));
    let inner = text.replace("\"kind\":", "\"hint\": 1, \"kind\":");
    assert!(matches!(bench.open_as(&inner, &right), Err(CustodyError::Damaged { .. })));
    let later = text.replace("\"version\": 1", "\"version\": 2");
    assert!(matches!(bench.open_as(&later, &right), Err(CustodyError::Version { found: 2, .. })));
}

/// An entropy that gives out after so many calls: a stand-in for a crash between two steps.
struct Failing(usize);

impl Entropy for Failing {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        self.0 = self.0.checked_sub(1).ok_or(EntropyError)?;
        SystemEntropy::default().fill(bytes)
    }
}

#[test]
fn a_failed_write_leaves_no_file_under_its_name() {
    for calls in 0..3 {
        let bench = Bench::new();
        let protection = Protection::KeyFile(bench.key_file());
        let failed = create(&bench.path, &protection, &root_key(), &mut Failing(calls));
        assert!(matches!(failed, Err(CustodyError::Entropy)), "{calls}");
        assert!(!bench.path.exists() && bench.names().iter().all(|name| name == "root.key"));
    }
    let nowhere = Path::new("/nonexistent/custody.json");
    let failed = create(nowhere, &passphrase("correct horse"), &root_key(), &mut SystemEntropy::default());
    assert!(matches!(failed, Err(CustodyError::Io { .. })));
    // What a process that was killed in the middle leaves behind is in nobody's way.
    let bench = Bench::new();
    fs::write(bench.directory.path().join("custody.json.0000000000000000.tmp"), "{\"vers").unwrap();
    bench.create(&passphrase("correct horse")).unwrap();
    assert!(open(&bench.path, &passphrase("correct horse")).is_ok());
}

#[test]
fn the_root_key_is_kept_in_two_versions_while_it_is_changed() {
    let bench = Bench::new();
    let (protection, entropy) = (Protection::KeyFile(bench.key_file()), &mut SystemEntropy::default());
    bench.create(&protection).unwrap();
    let opened = open(&bench.path, &protection).unwrap();
    let next = Secret::copied_from(&[0xb6; 32]);
    opened.keep(2, &next, entropy).unwrap();
    assert_eq!(bench.keys(&protection).unwrap(), [(1, [0xa5; 32]), (2, [0xb6; 32])]);
    assert_eq!(status(&bench.path).unwrap().versions, [1, 2]);
    opened.keep(2, &next, entropy).unwrap();
    assert_eq!(bench.keys(&protection).unwrap(), [(1, [0xa5; 32]), (2, [0xb6; 32])]);
    let other = Secret::copied_from(&[0xb7; 32]);
    for (version, key) in [(1, &next), (2, &other), (3, &next)] {
        assert!(matches!(opened.keep(version, key, entropy), Err(CustodyError::Versions(_))), "{version}");
    }
    assert!(matches!(opened.keep_only(3), Err(CustodyError::Versions(3))));
    opened.keep_only(2).unwrap();
    opened.keep_only(2).unwrap();
    assert_eq!(bench.keys(&protection).unwrap(), [(2, [0xb6; 32])]);
    // A wrap is good for its number only.
    let text = fs::read_to_string(&bench.path).unwrap();
    let renumbered = text.replace("\"version\": 2", "\"version\": 3");
    assert!(matches!(bench.open_as(&renumbered, &protection), Err(CustodyError::Wrapped)));
    for versions in [&[][..], &[0], &[2, 1], &[1, 1], &[1, 2, 3]] {
        let keys: Vec<_> = versions
            .iter()
            .map(|version| {
                let (nonce, wrapped) = ("00".repeat(12), "00".repeat(48));
                format!("{{\"version\": {version}, \"nonce\": \"{nonce}\", \"wrapped\": \"{wrapped}\"}}")
            })
            .collect();
        let start = text.find("\"keys\"").unwrap();
        let other = format!("{}\"keys\": [{}]\n}}\n", &text[..start], keys.join(", "));
        assert!(
            matches!(bench.open_as(&other, &protection), Err(CustodyError::Damaged { .. })),
            "{versions:?}"
        );
    }
}

#[test]
fn the_protection_is_changed_in_one_step_and_both_ways() {
    let bench = Bench::new();
    let (first, second, entropy) =
        (passphrase("correct horse"), passphrase("battery staple"), &mut SystemEntropy::default());
    bench.create(&first).unwrap();
    let serving = open(&bench.path, &first).unwrap();
    open(&bench.path, &first).unwrap().change(&second, entropy).unwrap();
    assert!(matches!(bench.keys(&first), Err(CustodyError::WrongPassphrase)));
    assert_eq!(bench.keys(&second).unwrap(), [(1, [0xa5; 32])]);
    assert_eq!((mode(&bench.path), bench.names()), (0o600, vec!["custody.json".to_owned()]));
    // A service that opened it before must not bring the old passphrase back.
    let next = Secret::copied_from(&[0xb6; 32]);
    assert!(matches!(serving.keep(2, &next, entropy), Err(CustodyError::Replaced(_))));

    let file = Protection::KeyFile(bench.key_file());
    open(&bench.path, &second).unwrap().change(&file, entropy).unwrap();
    assert_eq!(
        (kind(&bench.path).unwrap(), bench.keys(&file).unwrap()),
        (Kind::KeyFile, vec![(1, [0xa5; 32])])
    );
    open(&bench.path, &file).unwrap().change(&first, entropy).unwrap();
    assert_eq!(bench.keys(&first).unwrap(), [(1, [0xa5; 32])]);
    assert!(bench.key_file().exists(), "another authority may be under it");

    // Not while the root key is changed.
    let serving = open(&bench.path, &first).unwrap();
    let before = open(&bench.path, &first).unwrap();
    serving.keep(2, &next, entropy).unwrap();
    assert!(matches!(before.change(&second, entropy), Err(CustodyError::Changing)));
    assert!(matches!(
        open(&bench.path, &first).unwrap().change(&second, entropy),
        Err(CustodyError::Changing)
    ));
}

#[test]
fn passphrases_come_from_files_and_descriptors() {
    let bench = Bench::new();
    let path = bench.directory.path().join("passphrase");
    fs::write(&path, "correct horse\n").unwrap();
    let read = PassphraseSource::File(path.clone()).read_new().unwrap();
    assert_eq!(read.expose(), b"correct horse");
    let opened = fs::File::open(&path).unwrap();
    let descriptor = u32::try_from(std::os::fd::AsRawFd::as_raw_fd(&opened)).unwrap();
    assert_eq!(PassphraseSource::Descriptor(descriptor).read().unwrap().expose(), b"correct horse");
    let missing = PassphraseSource::File("/nonexistent".into()).read().err().unwrap();
    assert!(matches!(missing, CustodyError::Io { .. }));
}

#[test]
fn no_error_shows_a_secret() {
    let bench = Bench::new();
    let right = passphrase("correct horse");
    bench.create(&right).unwrap();
    let text = fs::read_to_string(&bench.path).unwrap();
    let errors = [
        open(&bench.path, &passphrase("battery staple")).err().unwrap(),
        bench.open_as(&text.replace("\"check\": \"", "\"check\": \"sesame"), &right).err().unwrap(),
        bench.open_as("{\"version\": 1, \"passphrase\": \"sesame\"}", &right).err().unwrap(),
    ];
    for error in errors {
        let shown = format!("{error} {error:?}");
        for secret in ["horse", "staple", "sesame", "a5a5"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

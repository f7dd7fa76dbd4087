//! Sealing and opening, by a file key and by a reader.

use std::fs::{self, File};
use std::io::BufReader;
use wardein_crypto::Secret;
use wardein_ddkg::message::FileStanza;
use wardein_files::{Authority, FileError, Opening, Reader, ReaderKey, SealedFile, Target, seal};

/// Of age-keygen.
pub(crate) const READER_KEY: &str = "# created: 2026-11-30T09:00:00Z\n# public key: age1...\n\
    AGE-SECRET-KEY-1XMWWC06LY3EE5RYTXM9MFLAZ2U56JJJ36S0MYPDRWSVLUL66MV4QX3S7F6\n";

pub(crate) fn reader_key() -> ReaderKey {
    ReaderKey::parse(READER_KEY).unwrap()
}

pub(crate) fn sealed_for_reader(plaintext: &[u8]) -> Vec<u8> {
    let (mut sealed, readers) = (Vec::new(), [reader_key().reader()]);
    let done = seal::<FileError>(plaintext, &mut sealed, &readers, Authority::Excluded, &mut |_| {}).unwrap();
    assert_eq!((done.length, done.plaintext), (sealed.len() as u64, plaintext.len() as u64));
    assert_eq!(done.sha256, wardein_crypto::Digest::of(&sealed));
    sealed
}

/// A device's stanza as it comes from a device, the key beside it: here the key is not derived, and the body is any 32 bytes.
fn sealed_for_authority(plaintext: &[u8]) -> (Vec<u8>, Secret<16>) {
    let (mut sealed, mut kept) = (Vec::new(), None);
    let mut wrap = |file_key: &Secret<16>| {
        kept = Some(file_key.duplicate());
        FileStanza::parse("ddkg1 ddkg1:klinik/pump-1/1.file.0.6", &[7; 32]).map_err(FileError::Stanza)
    };
    seal(plaintext, &mut sealed, &[], Authority::Opens(&mut wrap), &mut |_| {}).unwrap();
    (sealed, kept.unwrap())
}

pub(crate) fn opened(sealed: &[u8], by: &Opening<'_>) -> Result<Vec<u8>, FileError> {
    let mut plaintext = Vec::new();
    SealedFile::read(sealed)?.open(by, &mut plaintext, &mut |_| {})?;
    Ok(plaintext)
}

#[test]
fn what_was_sealed_opens_at_every_length_around_a_chunk() {
    let key = reader_key();
    for length in [0, 1, 65_535, 65_536, 65_537, 200_000] {
        let plaintext: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        assert_eq!(
            opened(&sealed_for_reader(&plaintext), &Opening::Reader(&key)).unwrap(),
            plaintext,
            "{length}"
        );
        let (sealed, file_key) = sealed_for_authority(&plaintext);
        assert_eq!(opened(&sealed, &Opening::FileKey(&file_key)).unwrap(), plaintext, "{length}");
    }
}

#[test]
fn a_device_s_stanza_is_as_the_specification_has_it() {
    let (sealed, file_key) = sealed_for_authority(b"log");
    let file = SealedFile::read(sealed.as_slice()).unwrap();
    let text = String::from_utf8_lossy(&sealed);
    assert!(text.starts_with("age-encryption.org/v1\n-> ddkg1 ddkg1:klinik/pump-1/1.file.0.6\n"), "{text}");
    assert_eq!(file.stanza().unwrap().body(), [7; 32]);
    let seen = file.inspect().unwrap();
    assert_eq!(seen.device.as_deref(), Some("klinik/pump-1"));
    assert_eq!(seen.key_name.as_deref(), Some("ddkg1:klinik/pump-1/1.file.0.6"));
    // Another file's key, and a reader for whom it was not sealed.
    let other = sealed_for_authority(b"log").1;
    assert!(matches!(opened(&sealed, &Opening::FileKey(&other)), Err(FileError::WrongKey)));
    assert!(matches!(opened(&sealed, &Opening::Reader(&reader_key())), Err(FileError::WrongKey)));
    assert!(opened(&sealed, &Opening::FileKey(&file_key)).is_ok());
    let of_reader = sealed_for_reader(b"log");
    let of_reader = SealedFile::read(of_reader.as_slice()).unwrap();
    assert!(matches!(of_reader.stanza(), Err(FileError::NoStanza)));
    assert_eq!(of_reader.inspect().unwrap().device, None);
}

#[test]
fn authority_and_readers_are_not_mixed_and_no_key_is_spent_on_it() {
    let readers = [reader_key().reader()];
    let mut spent = |_: &Secret<16>| -> Result<FileStanza, FileError> { unreachable!("a key was spent") };
    let refused = |readers: &[Reader], authority| {
        seal::<FileError>(&b"log"[..], Vec::new(), readers, authority, &mut |_| {}).unwrap_err()
    };
    assert!(matches!(refused(&readers, Authority::Opens(&mut spent)), FileError::MixedReaders));
    assert!(matches!(refused(&[], Authority::Excluded), FileError::Nobody));
    let many = vec![readers[0].clone(); 63];
    assert!(matches!(refused(&many, Authority::Excluded), FileError::TooManyReaders));
    assert!(
        seal::<FileError>(&b"log"[..], Vec::new(), &many[..62], Authority::Excluded, &mut |_| {}).is_ok()
    );
    // The error of the device is the caller's own.
    let mut failing = |_: &Secret<16>| Err::<FileStanza, _>(FileError::OtherFile);
    assert!(matches!(refused(&[], Authority::Opens(&mut failing)), FileError::OtherFile));
}

#[test]
fn keys_of_readers_are_read_strictly() {
    let key = reader_key();
    let reader: Reader = key.reader().to_string().parse().unwrap();
    assert_eq!(reader, key.reader());
    for bad in [
        "",
        "age1",
        "age1qqqq",
        &reader.to_string().to_uppercase(),
        &format!("{reader} "),
        &"a".repeat(100_000),
    ] {
        assert!(bad.parse::<Reader>().is_err(), "{bad}");
    }
    for bad in ["", "# only a comment\n", &READER_KEY.repeat(2), "AGE-SECRET-KEY-1", &reader.to_string()] {
        assert!(ReaderKey::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn an_opened_file_is_whole_or_not_there() {
    let (directory, key) = (tempfile::tempdir().unwrap(), reader_key());
    let (path, out) = (directory.path().join("log.age"), directory.path().join("log"));
    let plaintext = vec![5; 300_000];
    let whole = sealed_for_reader(&plaintext);
    let open = || {
        let file = BufReader::new(File::open(&path).unwrap());
        Target::begin(&out, 0o600)?.fill(SealedFile::read(file)?, &Opening::Reader(&key), &mut |_| {})
    };
    for cut in [whole.len() - 1, whole.len() - 20_000, whole.len() - 70_000] {
        fs::write(&path, &whole[..cut]).unwrap();
        assert!(matches!(open(), Err(FileError::Io(_))), "{cut}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "{cut}");
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(open().unwrap(), 300_000);
    assert_eq!(fs::read(&out).unwrap(), plaintext);
    let error = open().unwrap_err();
    assert!(matches!(error, FileError::Io(error) if error.kind() == std::io::ErrorKind::AlreadyExists));
}

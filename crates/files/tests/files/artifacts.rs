//! Makers' artifacts, sealed under keys of their own.

use crate::round_trip::opened;
use wardein_crypto::{Digest, Secret};
use wardein_files::{FileError, Opening, SealedArtifact, SealedFile, seal_artifact};

fn sealed(plaintext: &[u8]) -> (Vec<u8>, SealedArtifact) {
    let mut file = Vec::new();
    let done = seal_artifact(plaintext, &mut file, &mut |_| {}).unwrap();
    (file, done)
}

#[test]
fn an_artifact_opens_by_its_own_key_and_the_key_is_not_in_it() {
    for length in [0, 1, 65_536, 65_537, 200_000] {
        let plaintext: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        let (file, done) = sealed(&plaintext);
        assert_eq!((done.sealed.plaintext, done.sealed.length), (plaintext.len() as u64, file.len() as u64));
        assert_eq!((done.plaintext_sha256, done.sealed.sha256), (Digest::of(&plaintext), Digest::of(&file)));
        assert_eq!(opened(&file, &Opening::FileKey(&done.key)).unwrap(), plaintext, "{length}");
        assert!(!file.windows(16).any(|part| part == done.key.expose()), "{length}");
    }
}

#[test]
fn no_other_key_opens_it_and_no_device_s_stanza_is_in_it() {
    let (file, done) = sealed(b"firmware");
    let (again, other) = sealed(b"firmware");
    assert_ne!(file, again, "each has a key of its own");
    for wrong in [&other.key, &Secret::copied_from(&[0; 16])] {
        assert!(matches!(opened(&file, &Opening::FileKey(wrong)), Err(FileError::WrongKey)));
    }
    let read = SealedFile::read(file.as_slice()).unwrap();
    assert!(matches!(read.stanza(), Err(FileError::NoStanza)));
    assert!(read.inspect().unwrap().readers.iter().any(|tag| tag == "wardein-artifact"));
    for at in 0..file.len() {
        let mut altered = file.clone();
        altered[at] ^= 1;
        assert!(opened(&altered, &Opening::FileKey(&done.key)).is_err(), "byte {at}");
        assert!(opened(&file[..at], &Opening::FileKey(&done.key)).is_err(), "{at} bytes");
    }
}

//! Files that are made to cost, to confuse or to mislead: each a clear error within bounded memory.

use crate::round_trip::{opened, reader_key, sealed_for_reader};
use std::io::{BufReader, Read, repeat};
use wardein_files::{FileError, MAX_HEADER, MAX_STANZAS, Opening, SealedFile};

fn refused(bytes: &[u8]) -> FileError {
    SealedFile::read(bytes).and_then(|file| file.inspect()).unwrap_err()
}

fn with_stanzas(count: usize) -> String {
    format!("age-encryption.org/v1\n{}--- {}\n", "-> X a\n\n".repeat(count), "A".repeat(43))
}

#[test]
fn stanzas_and_bytes_of_a_header_are_bounded() {
    assert!(SealedFile::read(with_stanzas(MAX_STANZAS).as_bytes()).is_ok());
    assert!(matches!(refused(with_stanzas(MAX_STANZAS + 1).as_bytes()), FileError::TooManyStanzas));
    assert!(matches!(refused(with_stanzas(10_000).as_bytes()), FileError::TooManyStanzas));
    // One line without an end; a body without an end. Nothing beyond the bound is read.
    for start in ["age-encryption.org/v1\n-> ", "age-encryption.org/", "age-encryption.org/v1\n-> X\n"] {
        let mut endless = BufReader::new(start.as_bytes().chain(repeat(b'A')));
        assert!(matches!(SealedFile::read(&mut endless).err(), Some(FileError::HeaderTooLong)), "{start}");
    }
    let body = format!(
        "age-encryption.org/v1\n-> X\n{}",
        format!("{}\n", "A".repeat(64)).repeat(MAX_HEADER / 65 + 1)
    );
    assert!(matches!(refused(body.as_bytes()), FileError::HeaderTooLong));
    assert!(matches!(refused(&[0; 100_000]), FileError::NotAge));
    assert!(matches!(refused(b""), FileError::NotAge));
    assert!(matches!(refused(b"age-encryption.org/v1\n-> X"), FileError::HeaderCut));
    assert!(matches!(refused(b"age-encryption.org/v2\n--- \n"), FileError::NotAge));
}

#[test]
fn a_stanza_of_a_device_is_one_and_exact() {
    let with = |stanzas: &str| {
        refused(format!("age-encryption.org/v1\n{stanzas}--- {}\n", "A".repeat(43)).as_bytes())
    };
    let name = "ddkg1:klinik/pump-1/1.file.0.6";
    let body = |bytes: usize| format!("{}\n", "A".repeat((bytes * 8).div_ceil(6)));
    let good = format!("-> ddkg1 {name}\n{}", body(32));
    assert!(matches!(with(&good.repeat(2)), FileError::ManyStanzas));
    for bad in [
        format!("-> ddkg1 {name}\n{}", body(31)),
        format!("-> ddkg1 {name}\n{}", body(33)),
        format!("-> ddkg1 {name} more\n{}", body(32)),
        format!("-> ddkg1\n{}", body(32)),
        format!("-> ddkg1 {}\n{}", name.replace("file", "data"), body(32)),
        format!("-> ddkg1 {}\n{}", name.replace("pump-1", "../../etc"), body(32)),
        format!("-> ddkg1 {}\n{}", name.replace("pump-1", &"p".repeat(5_000)), body(32)),
    ] {
        assert!(matches!(with(&bad), FileError::Stanza(_)), "{bad}");
    }
    let whole = format!("age-encryption.org/v1\n{good}--- {}\n", "A".repeat(43));
    assert!(SealedFile::read(whole.as_bytes()).unwrap().stanza().is_ok());
}

#[test]
fn a_changed_cut_or_spliced_file_does_not_open() {
    let key = reader_key();
    let (one, two) = (sealed_for_reader(&[1; 200_000]), sealed_for_reader(&[2; 200_000]));
    let fails = |bytes: &[u8]| opened(bytes, &Opening::Reader(&key)).is_err();
    // At every byte of the header and its nonce, and here and there behind it.
    let payload = one.len() - (200_000 + 4 * 16);
    for at in (0..payload + 1).chain((payload..one.len()).step_by(4_999)) {
        let mut changed = one.clone();
        changed[at] ^= 1;
        assert!(fails(&changed), "byte {at}");
    }
    for cut in (0..payload + 40).chain([one.len() - 1, payload + 65_552, payload + 2 * 65_552]) {
        assert!(fails(&one[..cut]), "cut at {cut}");
    }
    // The chunks of one behind the header of the other; two chunks that changed places; a chunk twice; bytes behind the end.
    let other = two.len() - (200_000 + 4 * 16);
    assert!(fails(&[&one[..payload], &two[other..]].concat()));
    let chunk = |number: usize| &one[payload + number * 65_552..][..65_552];
    let rest = &one[payload + 2 * 65_552..];
    assert!(fails(&[&one[..payload], chunk(1), chunk(0), rest].concat()));
    assert!(fails(&[&one[..payload], chunk(0), chunk(0), chunk(1), rest].concat()));
    assert!(fails(&[&one[..], b"more"].concat()));
}

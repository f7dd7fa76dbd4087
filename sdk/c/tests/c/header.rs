//! The header that is committed is the one that the sources have, and it declares what they export.

use std::collections::BTreeSet;
use std::path::Path;

/// In the order in which a reader wants them.
const SOURCES: [&str; 8] = [
    "status.rs",
    "abi/common.rs",
    "raw.rs",
    "abi/device.rs",
    "abi/enroll.rs",
    "abi/request.rs",
    "abi/keys.rs",
    "abi/session.rs",
];

fn generated() -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(here.join("cbindgen.toml")).unwrap();
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(here.join("src").join(source));
    }
    let mut header = Vec::new();
    builder.generate().unwrap().write(&mut header);
    String::from_utf8(header).unwrap()
}

/// The functions that the header declares.
pub(crate) fn functions() -> BTreeSet<String> {
    let header = generated();
    let code =
        header.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join(" ");
    let words = code.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '(')));
    words
        .filter_map(|word| word.split_once('('))
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.starts_with("wardein_"))
        .collect()
}

#[test]
fn the_header_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/wardein.h");
    let header = generated();
    if std::env::var_os("WARDEIN_BLESS").is_some() {
        std::fs::write(&path, &header).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == header,
        "include/wardein.h is not current; run: WARDEIN_BLESS=1 cargo test -p wardein-c"
    );
}

#[test]
fn every_entry_of_the_sources_is_declared() {
    let mut exported = BTreeSet::new();
    for source in SOURCES {
        let text =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(source)).unwrap();
        for line in text.lines().filter(|line| line.contains("extern \"C\" fn wardein_")) {
            let (_, rest) = line.split_once("fn ").unwrap();
            exported.insert(rest.split_once('(').unwrap().0.to_owned());
        }
    }
    assert_eq!(exported, functions());
    assert!(exported.len() > 25, "{exported:?}");
}

#[test]
fn every_status_has_its_number_and_its_words() {
    use wardein::{Status, wardein_status_text};
    let mut words = BTreeSet::new();
    for (number, status) in Status::ALL.into_iter().enumerate() {
        assert_eq!(status as usize, number);
        let text = unsafe { std::ffi::CStr::from_ptr(wardein_status_text(status as i32)) };
        assert!(words.insert(text.to_str().unwrap()), "{text:?} comes twice");
        let declared = format!("{status:?} = {number},");
        assert!(generated().contains(&declared), "{declared}");
    }
    for unknown in [-1, Status::ALL.len() as i32, i32::MAX, i32::MIN] {
        let text = unsafe { std::ffi::CStr::from_ptr(wardein_status_text(unknown)) };
        assert_eq!(text.to_str(), Ok("a status of a later release"));
    }
}

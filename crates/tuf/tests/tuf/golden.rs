//! A repository that an earlier version of this crate wrote, which every later one must read. `WARDEIN_BLESS=1` writes another.

use crate::client::update;
use crate::maker::{Maker, WANTED, path};
use std::fs;
use std::path::Path;
use wardein_domain::UnixSeconds;

#[test]
fn what_an_earlier_version_wrote_is_read() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tuf/golden");
    if std::env::var_os("WARDEIN_BLESS").is_some() {
        let mut maker = Maker::new(UnixSeconds::new(4_000_000_000));
        (0..3).for_each(|_| maker.rotate_root());
        maker.write(&golden);
    }
    let state = tempfile::tempdir().unwrap();
    fs::copy(golden.join("metadata/1.root.json"), state.path().join("root.json")).unwrap();
    let found = update(&golden, state.path(), &path(WANTED), UnixSeconds::new(1_800_000_000));
    assert_eq!(found, Ok(Some(b"firmware, the second".to_vec())));
    let root = fs::read(state.path().join("root.json")).unwrap();
    assert_eq!(root, fs::read(golden.join("metadata/4.root.json")).unwrap());
}

//! The table, as our client judges it.

use crate::cases::{Laid, lay_out};
use crate::client::update;
use crate::maker::{WANTED, now, path};
use std::fs;

/// Each is refused for its own reason, and refused again: nothing of what was refused is kept.
#[test]
fn our_client_takes_what_is_good_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    for Laid { case, dir } in lay_out(dir.path()) {
        let state = dir.join("state");
        fs::create_dir(&state).unwrap();
        fs::copy(dir.join("root.json"), state.join("root.json")).unwrap();
        if case.has_updated {
            let before = update(&dir.join("before"), &state, &path(WANTED), now());
            assert_eq!(before, Ok(Some(b"firmware, the second".to_vec())), "{}", case.name);
        }
        for _ in 0..2 {
            let after = update(&dir.join("after"), &state, &path(WANTED), now());
            assert!((case.is_right)(&after), "{}: {after:?}", case.name);
        }
    }
}

//! Writes valid inputs into `corpus/`, from a release's fixture and in the form of one under AWS KMS: where fuzzing starts when
//! there is no corpus yet. `cargo run --example seeds` in `crates/custody/fuzz`.

use std::fs;
use std::path::Path;

fn main() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = here.join("corpus/file");
    fs::create_dir_all(&folder).expect("a folder");
    let fixture = here.join("../../../tests/fixtures/0.1.0/sqlite/custody.json");
    let [salt, nonce, wrapped] = [16, 12, 48].map(|count| "00".repeat(count));
    let under = format!(
        r#"{{"kind": "aws-kms", "key": "arn:aws:kms:eu-central-1:123456789012:key/1234", "authority": "a.example", "salt": "{salt}", "wrapped": "{wrapped}"}}"#
    );
    let keys = format!(r#"[{{"version": 1, "nonce": "{nonce}", "wrapped": "{wrapped}"}}]"#);
    let text = format!(r#"{{"version": 1, "protection": {under}, "check": "{salt}", "keys": {keys}}}"#);
    fs::write(folder.join("aws-kms"), text).expect("the folder is there");
    fs::copy(fixture, folder.join("passphrase")).expect("the fixture is committed");
}

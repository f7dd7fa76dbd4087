//! Writes valid inputs into `corpus/`: where fuzzing starts when there is no corpus yet. `cargo run --example seeds` in
//! `crates/device/fuzz`.

use std::fs;
use std::path::Path;
use wardein_crypto::hex;

fn main() {
    let share = hex::encode(&wardein_device_fuzz::GENERATOR);
    let (nonce, tag) = (hex::encode(&[7; 32]), hex::encode(&[9; 32]));
    let names = r#""tenant":"klinik","device_id":"pump-1""#;
    let attribute = format!(r#"{{"name":"firmware","value":"{}"}}"#, hex::encode(b"1.0"));
    for (name, line) in [
        (
            "request",
            format!(
                r#"{{"type":"request","version":1,{names},"suite":1,"device_nonce":"{nonce}","device_share":"{share}","attributes":[{attribute}]}}"#
            ),
        ),
        ("confirmation", format!(r#"{{"type":"confirmation",{names},"device_confirmation":"{tag}"}}"#)),
        ("done", r#"{"type":"done","generation":1,"confirmed":true}"#.to_owned()),
        ("error", r#"{"type":"error","message":"no flash"}"#.to_owned()),
        (
            "reply",
            format!(
                r#"{{"type":"reply","tenant":"klinik","authority_share":"{share}","generation":1,"schedule":{{"period":0,"max_uses":0,"not_before":1800000000}},"signature":"{tag}{tag}","authority_confirmation":"{tag}"}}"#
            ),
        ),
        ("confirmed", r#"{"type":"confirmed"}"#.to_owned()),
        ("refused", r#"{"type":"refused","code":"quota-exhausted","message":"no more"}"#.to_owned()),
    ] {
        write(name, format!("{line}\n").as_bytes());
    }
}

fn write(name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/lines");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(name), bytes).expect("a file");
}

//! Section 13 of the specification is made of the table of codes.

use std::path::Path;
use wardein_domain::{DeviceAction, ErrorCode};

#[test]
fn the_specification_says_what_a_device_does_about_each_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("SPEC.md");
    let present = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = present.split_once(BEGIN).expect("the section begins");
    let (_, tail) = rest.split_once(END).expect("the section ends");
    let current = format!("{head}{BEGIN}{}{END}{tail}", tables());
    if std::env::var_os("WARDEIN_BLESS").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    assert!(std::fs::read_to_string(&path).unwrap() == current, "SPEC.md section 13 is not current; {AGAIN}");
}

fn tables() -> String {
    let mut text = String::from("\n| action | what the device does |\n| --- | --- |\n");
    for action in DeviceAction::ALL {
        text += &format!("| *{}* | {} |\n", action.name(), action.sentence());
    }
    text += "\n| code | action | meaning |\n| --- | --- | --- |\n";
    let mut codes: Vec<_> = ErrorCode::ALL.iter().copied().filter(|code| code.is_for_devices()).collect();
    codes.sort_unstable_by_key(|code| code.as_str());
    for code in codes {
        text += &format!("| `{code}` | *{}* | {} |\n", code.on_device().name(), code.meaning());
    }
    text
}

const AGAIN: &str = "write it again with WARDEIN_BLESS=1 cargo test -p wardein-ddkg";
const BEGIN: &str = "write it again with WARDEIN_BLESS=1 cargo test -p wardein-ddkg -->";
const END: &str = "<!-- end -->";

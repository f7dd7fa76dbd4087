//! The plugin of age (C2SP age-plugin), which `age` and `rage` start by its name.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let state_machine = arguments.next().and_then(|one| one.strip_prefix("--age-plugin=").map(str::to_owned));
    match (state_machine, arguments.next()) {
        (Some(state_machine), None) => wardein_cli::age_plugin(&state_machine),
        _ => {
            eprintln!("age and rage start this; make an identity for them with: wardein file identity");
            ExitCode::from(2)
        }
    }
}

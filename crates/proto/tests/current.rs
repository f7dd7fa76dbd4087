//! The committed code is what `proto/` generates. `WARDEIN_REGENERATE=1 cargo test -p wardein-proto` makes it so.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test states its expectations so")]

use std::path::Path;
use std::{env, fs};

#[test]
fn generated_code_is_current() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let proto = home.join("../../proto");
    let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gen");
    fs::create_dir_all(&fresh).unwrap();

    let descriptors = protox::compile(files(&proto), [&proto]).unwrap();
    let bytes = prost::Message::encode_to_vec(&descriptors);
    fs::write(fresh.join("wardein.v1.bin"), bytes).unwrap();
    tonic_prost_build::configure()
        .out_dir(&fresh)
        // Secrets, which the server holds in memory that it wipes.
        .bytes(".wardein.v1.ReleaseKeyResponse.key")
        .bytes(".wardein.v1.OpenResponse.plaintext")
        .bytes(".wardein.v1.CreateInvitationResponse.token")
        // Client and server bring their own transport.
        .build_transport(false)
        .client_mod_attribute("wardein.v1", "#[cfg(feature = \"client\")]")
        .server_mod_attribute("wardein.v1", "#[cfg(feature = \"server\")]")
        .compile_fds(descriptors)
        .unwrap();

    for file in ["wardein.v1.rs", "wardein.v1.bin"] {
        let committed = home.join("src/gen").join(file);
        let fresh = fs::read(fresh.join(file)).unwrap();
        if env::var_os("WARDEIN_REGENERATE").is_some() {
            fs::write(&committed, fresh).unwrap();
        } else {
            let is_current = fs::read(&committed).is_ok_and(|committed| committed == fresh);
            assert!(
                is_current,
                "src/gen/{file} is not what proto/ generates: WARDEIN_REGENERATE=1 makes it so"
            );
        }
    }
}

/// Every file of the package, in an order that no file system chooses.
fn files(proto: &Path) -> Vec<String> {
    let entries = fs::read_dir(proto.join("wardein/v1")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<_> = names.map(|name| format!("wardein/v1/{name}")).collect();
    files.sort();
    files
}

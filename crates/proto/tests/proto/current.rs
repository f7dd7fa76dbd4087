//! The code.

use crate::{files, is, proto};
use std::fs;
use std::path::Path;

#[test]
fn generated_code_is_current() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gen");
    fs::create_dir_all(&fresh).unwrap();

    let descriptors = protox::compile(files(), [proto()]).unwrap();
    let bytes = prost::Message::encode_to_vec(&descriptors);
    fs::write(fresh.join("wardein.v1.bin"), bytes).unwrap();
    tonic_prost_build::configure()
        .out_dir(&fresh)
        // Secrets, which the server holds in memory that it wipes.
        .bytes(".wardein.v1.ReleaseKeyResponse.key")
        .bytes(".wardein.v1.ReleaseFileKeysResponse.keys")
        .bytes(".wardein.v1.OpenResponse.plaintext")
        .bytes(".wardein.v1.CreateBearerTokenResponse.token")
        .bytes(".wardein.v1.CreateInvitationResponse.token")
        .bytes(".wardein.v1.MakeVoucherResponse.secret")
        .bytes(".wardein.v1.PutWebhookResponse.secret")
        // A request with a secret: nothing prints it.
        .skip_debug([".wardein.v1.AddReleaseRequest"])
        // Client and server bring their own transport.
        .build_transport(false)
        .client_mod_attribute("wardein.v1", "#[cfg(feature = \"client\")]")
        .server_mod_attribute("wardein.v1", "#[cfg(feature = \"server\")]")
        .compile_fds(descriptors)
        .unwrap();

    for file in ["wardein.v1.rs", "wardein.v1.bin"] {
        is(&home.join("src/gen").join(file), &fs::read(fresh.join(file)).unwrap());
    }
}

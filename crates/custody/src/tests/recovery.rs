//! A root key under a TPM that is not there.

use super::{Bench, passphrase, root_key};
use crate::*;
use std::fs;
use wardein_crypto::{Entropy, SecretBytes, SystemEntropy};

/// A custody file under a TPM that nobody can ask; its passphrase is `correct horse`.
fn under_a_tpm_that_is_gone(bench: &Bench) -> String {
    let (entropy, salt) = (&mut SystemEntropy::default(), [7; 16]);
    let key = entropy.secret().unwrap();
    let secret = Passphrase::new(SecretBytes::from_vec(b"correct horse".to_vec())).unwrap();
    let record = format::ProtectionRecord::Tpm {
        registers: "sha256:0,7".to_owned(),
        salt: format::Hex(salt),
        sealed: format::HexText(vec![9; 300]),
        recovery: recovery::wrap(&secret, &key, entropy).unwrap(),
    };
    let custody =
        wrap::under(record, &wardein_crypto::Prk::extract(&salt, key.expose()), [(1, &root_key())], entropy);
    let text = custody.unwrap().to_json().unwrap();
    fs::write(&bench.path, &text).unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn where_the_tpm_is_gone_the_recovery_passphrase_gives_the_root_key_and_nothing_else_does() {
    let bench = Bench::new();
    let text = under_a_tpm_that_is_gone(&bench);
    let right = passphrase("correct horse");
    assert_eq!(bench.keys(&right).unwrap(), [(1, [0xa5; 32])]);
    assert!(matches!(bench.keys(&passphrase("battery staple")), Err(CustodyError::WrongPassphrase)));
    let file = Protection::KeyFile(bench.key_file());
    assert!(matches!(
        bench.keys(&file),
        Err(CustodyError::Kind { expected: Kind::Tpm, given: Kind::KeyFile })
    ));
    let said = status(&bench.path).unwrap();
    assert_eq!((said.kind, said.cost), (Kind::Tpm, Some(Argon2Cost::RECOMMENDED)));
    for (from, to) in [
        ("sha256:0,7", "sha256:0,8"),
        ("\"salt\": \"07", "\"salt\": \"08"),
        ("\"passes\": 3", "\"passes\": 2"),
        ("\"kind\": \"tpm\"", "\"kind\": \"key-file\""),
    ] {
        assert!(text.contains(from), "{from}");
        assert!(bench.open_as(&text.replacen(from, to, 1), &right).is_err(), "{to}");
    }
    let hostile = text.replace("\"memory_kib\": 65536", "\"memory_kib\": 4294967295");
    assert!(matches!(bench.open_as(&hostile, &right), Err(CustodyError::Bounds { .. })));
    // It is put under something else without the TPM.
    bench.open_as(&text, &right).unwrap();
    open(&bench.path, &right).unwrap().change(&file, &mut SystemEntropy::default()).unwrap();
    assert_eq!(bench.keys(&file).unwrap(), [(1, [0xa5; 32])]);
}

#[cfg(not(feature = "tpm"))]
#[test]
fn a_build_without_a_tpm_says_so_and_how_to_go_on() {
    let bench = Bench::new();
    under_a_tpm_that_is_gone(&bench);
    let refused = open_by_tpm(&bench.path, "device:/dev/tpmrm0").err().unwrap();
    assert!(
        refused.code() == wardein_domain::ErrorCode::CustodyNoTpm
            && refused.to_string().contains("recovery passphrase")
    );
    assert_eq!(
        TpmTarget::parse("device:/dev/tpmrm0", "7").err().unwrap().code(),
        wardein_domain::ErrorCode::CustodyNoTpm
    );
}

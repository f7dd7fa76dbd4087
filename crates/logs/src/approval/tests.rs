use super::*;
use ssh_key::public::{Ed25519PublicKey, SkEd25519};
use ssh_key::{HashAlg, Signature};
use wardein_crypto::{Ed25519SigningKey, Secret};

/// What ssh-keygen signed (OpenSSH 9).
const FILE: &[u8] = b"the text of a logs.toml\n";
const ED25519: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAldHbu924K6A6Su7AIlY0xLZGg12hvhlZdLk6HujJhx anna@hospital";
const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBPdYr1avSn+ytdk+WJv7wDdrzlyD0vKj/qpQU1tAfU204rz+fR1AEDatc2tAA7UqRpPiLiodSCR5JtffIhpaDqM= anna@hospital";
const BY_ED25519: &str = "-----BEGIN SSH SIGNATURE-----\n\
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgCV0du73bgroDpK7sAiVjTEtkaD\n\
XaG+GVl0uToe6MmHEAAAAMd2FyZGVpbi1sb2dzAAAAAAAAAAZzaGE1MTIAAABTAAAAC3Nz\n\
aC1lZDI1NTE5AAAAQIPqUMs8nZCb5yHa/MCr6dxQqEM3K+mBa2lfrNQvCDyfS5hX4MQdQx\n\
BFGdQvySGWBKrIp+rdFBxLMUG2MCuBKAY=\n\
-----END SSH SIGNATURE-----\n\
";
const BY_ECDSA: &str = "-----BEGIN SSH SIGNATURE-----\n\
U1NIU0lHAAAAAQAAAGgAAAATZWNkc2Etc2hhMi1uaXN0cDI1NgAAAAhuaXN0cDI1NgAAAE\n\
EE91ivVq9Kf7K12T5Ym/vAN2vOXIPS8qP+qlBTW0B9TbTivP59HUAQNq1za0ADtSpGk+Iu\n\
Kh1IJHkm198iGloOowAAAAx3YXJkZWluLWxvZ3MAAAAAAAAABnNoYTUxMgAAAGQAAAATZW\n\
Nkc2Etc2hhMi1uaXN0cDI1NgAAAEkAAAAhAI2VlYbzE95pNV0MtE+fwkrxAgaMYIXotgl+\n\
2qQXgLE0AAAAIHkBxwAzLDaRjTk9nYOzznneCtgCXySnjw3iC+BQjGLX\n\
-----END SSH SIGNATURE-----\n\
";
/// By the same key, with `-n file`.
const FOR_FILES: &str = "-----BEGIN SSH SIGNATURE-----\n\
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgCV0du73bgroDpK7sAiVjTEtkaD\n\
XaG+GVl0uToe6MmHEAAAAEZmlsZQAAAAAAAAAGc2hhNTEyAAAAUwAAAAtzc2gtZWQyNTUx\n\
OQAAAECvHTyQ1wf5xNplsFOF2DX2OyZmSG13Bqkvq1g2CM86ukO0LDi0xJFmq2rUMlHhTg\n\
B9aNcseIf8LG0BMr6ybSQH\n\
-----END SSH SIGNATURE-----\n\
";

fn approvers(lines: &[&str]) -> Approvers {
    Approvers::parse(&lines.join("\n")).unwrap()
}

#[test]
fn what_ssh_keygen_signs_is_approved() {
    let both = approvers(&["# the hospital", ED25519, "", ECDSA]);
    for (line, signature) in [(ED25519, BY_ED25519), (ECDSA, BY_ECDSA)] {
        assert_eq!(approvers(&[line]).verify(FILE, signature), Ok(FilterVersion::of(FILE)));
        assert_eq!(both.verify(FILE, signature), Ok(FilterVersion::of(FILE)));
        assert_eq!(both.verify(FILE, &signature.replace('\n', "\r\n")), Ok(FilterVersion::of(FILE)));
    }
}

#[test]
fn a_file_that_was_changed_is_not() {
    let both = approvers(&[ED25519, ECDSA]);
    for signature in [BY_ED25519, BY_ECDSA] {
        for at in 0..FILE.len() {
            let mut changed = FILE.to_vec();
            changed[at] ^= 1;
            assert_eq!(both.verify(&changed, signature), Err(ApprovalError::Altered), "{at}");
        }
        assert_eq!(both.verify(&[FILE, b"\n"].concat(), signature), Err(ApprovalError::Altered));
        assert_eq!(both.verify(b"", signature), Err(ApprovalError::Altered));
    }
}

#[test]
fn another_key_and_another_purpose_are_not() {
    assert_eq!(approvers(&[ECDSA]).verify(FILE, BY_ED25519), Err(ApprovalError::Stranger));
    assert_eq!(approvers(&[ED25519]).verify(FILE, BY_ECDSA), Err(ApprovalError::Stranger));
    assert_eq!(approvers(&[ED25519]).verify(FILE, FOR_FILES), Err(ApprovalError::Namespace));
}

#[test]
fn bytes_that_are_changed_are_no_approval() {
    let both = approvers(&[ED25519, ECDSA]);
    for signature in [BY_ED25519, BY_ECDSA] {
        for (at, byte) in signature.bytes().enumerate() {
            let mut changed = signature.as_bytes().to_vec();
            changed[at] = if byte == b'A' { b'B' } else { b'A' };
            let text = String::from_utf8(changed).unwrap();
            assert!(both.verify(FILE, &text).is_err(), "{at}");
        }
        for end in 0..signature.trim_end().len() {
            assert!(both.verify(FILE, &signature[..end]).is_err(), "{end}");
        }
    }
    assert_eq!(both.verify(FILE, ""), Err(ApprovalError::Form));
    assert_eq!(both.verify(FILE, &"x".repeat(MAX_SIGNATURE + 1)), Err(ApprovalError::Form));
}

/// A key in a token, as the token would sign with it.
fn by_token(application: &str, flags: u8, seed: u8) -> (Approvers, String) {
    let key = Ed25519SigningKey::from_seed(&Secret::copied_from(&[seed; 32]));
    let public = KeyData::SkEd25519(SkEd25519::new(Ed25519PublicKey(key.verifying_key()), application));
    let signed = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, FILE).unwrap();
    let behind = [flags, 0, 0, 0, 7];
    let message = [&Digest::of(application.as_bytes()).0[..], &behind, &Digest::of(&signed).0].concat();
    let bytes = [&key.sign(&message)[..], &behind].concat();
    let signature = Signature::new(Algorithm::SkEd25519, bytes).unwrap();
    let signature = SshSig::new(public.clone(), NAMESPACE, HashAlg::Sha512, signature).unwrap();
    (Approvers(vec![public]), signature.to_pem(LineEnding::LF).unwrap())
}

#[test]
fn a_token_approves_where_it_was_touched() {
    let (keys, signature) = by_token("ssh:", 1, 3);
    assert_eq!(keys.verify(FILE, &signature), Ok(FilterVersion::of(FILE)));
    assert_eq!(keys.verify(b"another", &signature), Err(ApprovalError::Altered));
    let (keys, signature) = by_token("ssh:", 0, 3);
    assert_eq!(keys.verify(FILE, &signature), Err(ApprovalError::Untouched));
    // The same key for another application is another key.
    let (others, _) = by_token("ssh:other", 1, 3);
    let (_, signature) = by_token("ssh:", 1, 3);
    assert_eq!(others.verify(FILE, &signature), Err(ApprovalError::Stranger));
}

#[test]
fn only_strong_keys_approve_and_a_wrong_line_is_named() {
    let rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAQQC7nCJxqLkcPgWV";
    assert_eq!(Approvers::parse(&format!("{ED25519}\n{rsa}\n")), Err(ApprovalError::Approver(2)));
    assert_eq!(Approvers::parse("\nnothing\n"), Err(ApprovalError::Approver(2)));
    assert_eq!(Approvers::parse("# nobody\n"), Err(ApprovalError::Approvers(0)));
    assert_eq!(Approvers::parse(&format!("{ED25519}\n").repeat(9)), Err(ApprovalError::Approvers(9)));
}

use crate::{extend_16, left_over, open, tool};
use wardein_crypto::SecretBytes;
use wardein_domain::{Bank, PcrSelection};
use wardein_testkit::Swtpm;
use wardein_tpm::{MAX_SECRET, Sealed, TpmError};

const SECRET: [u8; 32] = *b"a root key that no file may hold";

fn secret() -> SecretBytes {
    SecretBytes::from_vec(SECRET.to_vec())
}

#[test]
fn what_is_sealed_opens_in_the_same_state_alone() {
    let Some(swtpm) = Swtpm::start() else { return };
    let mut tpm = open(&swtpm);
    let selection = PcrSelection::new(Bank::Sha256, &[7, 16]).unwrap();
    let now = tpm.read_pcrs(selection).unwrap();
    let bound = tpm.seal(&secret(), Some(&now)).unwrap();
    let free = tpm.seal(&secret(), None).unwrap();
    assert_eq!((bound.selection(), free.selection()), (Some(selection), None));
    for sealed in [&bound, &free] {
        let bytes = sealed.encode();
        assert!(!bytes.windows(16).any(|window| SECRET.windows(16).any(|part| part == window)));
        assert_eq!(tpm.unseal(&Sealed::decode(&bytes).unwrap()).unwrap().expose(), SECRET);
    }

    extend_16(&swtpm);
    assert_eq!(tpm.unseal(&bound).err(), Some(TpmError::PcrChanged { selection }));
    assert_eq!(tpm.unseal(&free).unwrap().expose(), SECRET);
    // Sealed to what the registers were, it opens when they are so again.
    let foreseen = tpm.seal(&secret(), Some(&now)).unwrap();
    assert_eq!(tpm.unseal(&foreseen).err(), Some(TpmError::PcrChanged { selection }));
    tool(&swtpm, "tpm2_pcrreset", &["16"]);
    assert_eq!(tpm.unseal(&bound).unwrap().expose(), SECRET);
    assert_eq!(tpm.unseal(&foreseen).unwrap().expose(), SECRET);
    assert_eq!(left_over(&swtpm), "");
}

#[test]
fn the_policy_cannot_be_taken_off() {
    let Some(swtpm) = Swtpm::start() else { return };
    let mut tpm = open(&swtpm);
    let both = PcrSelection::new(Bank::Sha256, &[7, 16]).unwrap();
    let values = tpm.read_pcrs(both).unwrap();
    let bound = tpm.seal(&secret(), Some(&values)).unwrap();
    extend_16(&swtpm);
    // The bytes before the name of the parent say which registers it is bound to.
    let mut of_one = bound.encode();
    of_one[3..7].copy_from_slice(&(1_u32 << 7).to_be_bytes());
    let of_one = Sealed::decode(&of_one).unwrap();
    assert!(matches!(tpm.unseal(&of_one).err(), Some(TpmError::PcrChanged { .. })));
    let mut of_none = bound.encode();
    of_none[1..7].fill(0);
    let of_none = Sealed::decode(&of_none).unwrap();
    assert_eq!(tpm.unseal(&of_none).err(), Some(TpmError::SealedElsewhere));
    assert_eq!(left_over(&swtpm), "");
}

#[test]
fn another_tpm_and_one_that_was_cleared_do_not_open_it() {
    let (Some(swtpm), Some(other)) = (Swtpm::start(), Swtpm::start()) else { return };
    let mut tpm = open(&swtpm);
    let sealed = tpm.seal(&secret(), None).unwrap();
    assert_eq!(open(&other).unseal(&sealed).err(), Some(TpmError::SealedElsewhere));
    // A change breaks it: the name of its parent, which is behind the first 9 bytes, and its private half.
    let whole = sealed.encode();
    for at in [20, whole.len() - 80, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        let changed = Sealed::decode(&changed).unwrap();
        assert_eq!(tpm.unseal(&changed).err(), Some(TpmError::SealedElsewhere), "{at}");
    }
    assert_eq!(tpm.unseal(&sealed).unwrap().expose(), SECRET);

    tool(&swtpm, "tpm2_clear", &[]);
    assert_eq!(tpm.unseal(&sealed).err(), Some(TpmError::SealedElsewhere));
    assert_eq!(left_over(&swtpm), "");
}

#[test]
fn a_secret_has_a_length_that_a_tpm_seals() {
    let Some(swtpm) = Swtpm::start() else { return };
    let mut tpm = open(&swtpm);
    for length in [1, MAX_SECRET] {
        let sealed = tpm.seal(&SecretBytes::from_vec(vec![9; length]), None).unwrap();
        assert!(sealed.encode().len() < Sealed::MAX_LEN);
        assert_eq!(tpm.unseal(&sealed).unwrap().expose(), vec![9; length]);
    }
    for length in [0, MAX_SECRET + 1] {
        let refused = tpm.seal(&SecretBytes::from_vec(vec![9; length]), None);
        assert_eq!(refused.err(), Some(TpmError::SecretLength { length }));
    }
}

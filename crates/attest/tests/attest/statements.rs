//! What an attestation key says is taken only if its TPM made it, now, about what it is shown for. The forger here has the attestation
//! key itself, so that each check stands alone.

use crate::forge::{Forger, NONCE, Statement, sized};
use std::collections::BTreeMap;
use wardein_attest::{Evidence, GoldenPcrs, InvalidGolden, PcrState, Refusal, pcr_value};
use wardein_crypto::tpm::HashValue;
use wardein_domain::{Bank, InvalidSelection, PcrSelection};

const VALUES: [&[u8]; 2] = [&[1; 32], &[2; 32]];

fn certify(forger: &Forger, statement: &Statement) -> Option<Refusal> {
    let attested = statement.bytes();
    let signature = forger.sign(&attested);
    let evidence = Evidence { attested: &attested, signature: &signature };
    forger.trusted().certified(evidence, &NONCE, &forger.device_area().bytes()).err()
}

fn quote(forger: &Forger, statement: &Statement) -> Result<PcrState, Refusal> {
    let attested = statement.bytes();
    let signature = forger.sign(&attested);
    let evidence = Evidence { attested: &attested, signature: &signature };
    forger.trusted().quoted(evidence, &NONCE, selection(&[0, 7]))
}

fn selection(registers: &[u8]) -> PcrSelection {
    PcrSelection::new(Bank::Sha256, registers).unwrap()
}

fn value(byte: u8) -> HashValue {
    pcr_value(Bank::Sha256, &[byte; 32]).unwrap()
}

#[test]
fn an_honest_statement_is_taken() {
    let forger = Forger::new();
    assert_eq!(certify(&forger, &Statement::certify(&forger.device_area())), None);
    let state = quote(&forger, &Statement::quote(&VALUES)).unwrap();
    assert_eq!(state.selection().numbers().collect::<Vec<_>>(), [0, 7]);
    assert_eq!(state.selection().bank(), Bank::Sha256);
    let again = PcrState::assertion(state.selection(), state.digest());
    assert_eq!(again.same_as(&state), Ok(()));
}

#[test]
fn a_statement_that_no_tpm_made_is_refused() {
    let forger = Forger::new();
    let mut statement = Statement::certify(&forger.device_area());
    statement.magic ^= 1;
    assert_eq!(certify(&forger, &statement), Some(Refusal::AttestMagic));
    let mut statement = Statement::quote(&VALUES);
    statement.magic = 0;
    assert_eq!(quote(&forger, &statement), Err(Refusal::AttestMagic));
}

#[test]
fn an_answer_to_another_nonce_is_refused() {
    let forger = Forger::new();
    for nonce in [&[0; 32][..], &NONCE[..31], &[], &[&NONCE[..], &[0]].concat()] {
        let mut statement = Statement::certify(&forger.device_area());
        statement.nonce = nonce.to_vec();
        assert_eq!(certify(&forger, &statement), Some(Refusal::AttestNonce));
        let mut statement = Statement::quote(&VALUES);
        statement.nonce = nonce.to_vec();
        assert_eq!(quote(&forger, &statement), Err(Refusal::AttestNonce));
    }
}

#[test]
fn a_statement_of_the_other_type_is_refused() {
    let forger = Forger::new();
    assert_eq!(certify(&forger, &Statement::quote(&VALUES)), Some(Refusal::AttestType));
    let statement = Statement::certify(&forger.device_area());
    assert_eq!(quote(&forger, &statement), Err(Refusal::AttestType));
}

#[test]
fn a_signature_by_another_key_or_of_another_statement_is_refused() {
    let (forger, other) = (Forger::new(), Forger::new());
    let attested = Statement::certify(&forger.device_area()).bytes();
    let device = forger.device_area().bytes();
    let judge = |signature: &[u8]| {
        let evidence = Evidence { attested: &attested, signature };
        forger.trusted().certified(evidence, &NONCE, &device).err()
    };
    assert_eq!(judge(&forger.sign(&attested)), None);
    assert_eq!(judge(&other.sign(&attested)), Some(Refusal::AttestSignature));
    assert_eq!(judge(&forger.sign(b"another statement")), Some(Refusal::AttestSignature));
}

#[test]
fn a_signature_of_another_scheme_is_refused() {
    let forger = Forger::new();
    let attested = Statement::certify(&forger.device_area()).bytes();
    let mut signature = forger.sign(&attested);
    // The numbers are right; the hash that they claim to be of is not the key's.
    signature[3] = 0x0c;
    let evidence = Evidence { attested: &attested, signature: &signature };
    let refusal = forger.trusted().certified(evidence, &NONCE, &forger.device_area().bytes()).err();
    assert_eq!(refusal, Some(Refusal::AttestScheme));
}

#[test]
fn a_statement_about_another_key_is_refused() {
    let (forger, other) = (Forger::new(), Forger::new());
    let statement = Statement::certify(&other.device_area());
    assert_eq!(certify(&forger, &statement), Some(Refusal::CertifyName));
    // The same point with other attributes is another key.
    let mut area = forger.device_area();
    area.attributes |= 1 << 10;
    assert_eq!(certify(&forger, &Statement::certify(&area)), Some(Refusal::CertifyName));
}

#[test]
fn a_quote_is_of_the_registers_that_were_asked_for() {
    let forger = Forger::new();
    let digest = sized(&[5; 32]);
    for selected in [&[0, 0x0b, 3, 0x01, 0, 0][..], &[0, 0x0b, 3, 0x83, 0, 0], &[0, 0x0c, 3, 0x81, 0, 0]] {
        let mut statement = Statement::quote(&VALUES);
        statement.claim = [&[0, 0, 0, 1][..], selected, &digest].concat();
        assert_eq!(quote(&forger, &statement), Err(Refusal::PcrSelection));
    }
    // A digest that is none by the key's hash.
    let mut statement = Statement::quote(&VALUES);
    statement.claim = [&[0, 0, 0, 1, 0, 0x0b, 3, 0x81, 0, 0][..], &sized(&[5; 31])].concat();
    assert_eq!(quote(&forger, &statement), Err(Refusal::PcrDigest));
}

#[test]
fn values_are_those_that_were_quoted() {
    let state = quote(&Forger::new(), &Statement::quote(&VALUES)).unwrap();
    assert!(state.values(&VALUES).is_ok());
    assert_eq!(state.values(&[&[1; 32], &[3; 32]]), Err(Refusal::PcrDigest));
    assert_eq!(state.values(&[VALUES[1], VALUES[0]]), Err(Refusal::PcrDigest));
    // The same bytes, cut elsewhere or into another number of values.
    let bytes = VALUES.concat();
    assert_eq!(state.values(&[&bytes[..31], &bytes[31..]]), Err(Refusal::PcrDigest));
    assert_eq!(state.values(&[&bytes]), Err(Refusal::PcrDigest));
    assert_eq!(state.values(&[VALUES[0], VALUES[1], &[]]), Err(Refusal::PcrDigest));
}

#[test]
fn each_register_has_one_of_its_golden_values() {
    let values = quote(&Forger::new(), &Statement::quote(&VALUES)).unwrap().values(&VALUES).unwrap();
    let judge = |allowed: &[(u8, &[u8])]| {
        let allowed =
            allowed.iter().map(|(register, bytes)| (*register, bytes.iter().copied().map(value).collect()));
        GoldenPcrs::new(Bank::Sha256, allowed.collect::<BTreeMap<_, Vec<_>>>()).unwrap().judge(&values)
    };
    assert_eq!(judge(&[(0, &[1]), (7, &[2])]), Ok(()));
    assert_eq!(judge(&[(0, &[9, 1]), (7, &[2, 9])]), Ok(()));
    assert_eq!(judge(&[(0, &[1]), (7, &[1])]), Err(Refusal::PcrValue { register: 7 }));
    assert_eq!(judge(&[(0, &[1])]), Err(Refusal::PcrSelection));
    assert_eq!(judge(&[(0, &[1]), (7, &[2]), (8, &[3])]), Err(Refusal::PcrSelection));
    assert_eq!(judge(&[(0, &[1]), (8, &[2])]), Err(Refusal::PcrSelection));
}

#[test]
fn golden_values_are_some_and_of_their_bank() {
    let golden = |bank, register, values: &[HashValue]| {
        GoldenPcrs::new(bank, BTreeMap::from([(register, values.to_vec())])).map(|_| ())
    };
    let (small, long) = (value(1), pcr_value(Bank::Sha384, &[1; 48]).unwrap());
    assert_eq!(golden(Bank::Sha256, 0, &[small; 16]), Ok(()));
    let count = |count| Err(InvalidGolden::Count { register: 0, count });
    assert_eq!(golden(Bank::Sha256, 0, &[]), count(0));
    assert_eq!(golden(Bank::Sha256, 0, &[small; 17]), count(17));
    assert_eq!(golden(Bank::Sha256, 7, &[small, long]), Err(InvalidGolden::Bank { register: 7 }));
    let none = GoldenPcrs::new(Bank::Sha256, BTreeMap::new()).map(|_| ());
    for invalid in [none, golden(Bank::Sha256, 24, &[small])] {
        assert_eq!(invalid, Err(InvalidGolden::Selection(InvalidSelection::Numbers)));
    }
    assert_eq!(selection(&[16, 0, 7]).to_string(), "sha256:0,7,16");
}

#[test]
fn a_change_since_the_enrollment_is_seen() {
    let forger = Forger::new();
    let enrolled = quote(&forger, &Statement::quote(&VALUES)).unwrap();
    let changed = quote(&forger, &Statement::quote(&[VALUES[0], &[3; 32]])).unwrap();
    assert_eq!(changed.same_as(&enrolled), Err(Refusal::PcrChanged));
    let others = PcrState::assertion(selection(&[0, 8]), enrolled.digest());
    assert_eq!(others.same_as(&enrolled), Err(Refusal::PcrSelection));
}

#[test]
fn a_quote_of_registers_that_no_tpm_has_is_none() {
    let quoted = |octets: [u8; 5]| {
        let mut statement = Statement::quote(&VALUES);
        statement.claim = [&[0, 0, 0, 1, 0, 0x0b][..], &octets, &sized(&[5; 32])].concat();
        quote(&Forger::new(), &statement).map(|_| ())
    };
    assert_eq!(quoted([4, 0x81, 0, 0, 0]), Ok(()));
    assert!(
        matches!(quoted([4, 0x81, 0, 0, 1]), Err(Refusal::Structure(_))),
        "{:?}",
        quoted([4, 0x81, 0, 0, 1])
    );
}

//! Evidence of TPMs without a TPM, captured from a real one and forged, and of one in software (`swtpm`).
//!
//! Which test fails when a check is removed (each was removed once, and seen to):
//!
//! | check | test |
//! | --- | --- |
//! | EK: kind and size of the key | `keys::an_endorsement_key_of_another_size_is_refused` |
//! | EK: name algorithm, cipher, no scheme, attributes, policy | `keys::an_endorsement_key_is_by_the_template_in_each_part` |
//! | EK certificate: of this key | `keys::a_certificate_of_another_key_is_refused_even_for_a_listed_one` |
//! | EK certificate: chain and time are judged; listed only if listed; first use only if allowed, and only without a certificate | `keys::the_strongest_reason_to_trust_counts_and_nothing_is_trusted_without_one` |
//! | EK certificate: path, times, uses of leaf and CAs, key usage, sizes, trailing bytes | `crates/pki/src/tests/endorsement.rs`, a test for each |
//! | credential: the AK's name in the key and in the mac | `vectors::a_credential_is_the_one_that_the_tpm_opened` |
//! | credential: the zero byte in OAEP's label | `swtpm` |
//! | AK: bound, restricted, signs, does not decrypt, has a scheme and no cipher | `keys::an_attestation_key_is_bound_restricted_and_only_signs` |
//! | AK: the secret came back | `keys::an_attestation_key_is_trusted_only_for_the_whole_secret` |
//! | statement: magic | `statements::a_statement_that_no_tpm_made_is_refused` |
//! | statement: type | `statements::a_statement_of_the_other_type_is_refused` |
//! | statement: nonce | `statements::an_answer_to_another_nonce_is_refused` |
//! | statement: scheme of the signature | `statements::a_signature_of_another_scheme_is_refused` |
//! | statement: signature | `statements::a_signature_by_another_key_or_of_another_statement_is_refused` |
//! | certify: name of the device's key | `statements::a_statement_about_another_key_is_refused` |
//! | device's key: bound, signs, neither restricted nor decrypting | `keys::a_device_key_is_bound_and_only_signs` |
//! | device's key: on P-256 | `keys::a_device_key_is_on_p256` |
//! | quote: selection, and the digest's length | `statements::a_quote_is_of_the_registers_that_were_asked_for` |
//! | values: their number, their lengths, their digest | `statements::values_are_those_that_were_quoted` |
//! | golden values: the registers, each value | `statements::each_register_has_one_of_its_golden_values` |
//! | same as enrolled: the registers, the digest | `statements::a_change_since_the_enrollment_is_seen` |
//! | structures: the whole's size, trailing bytes within and behind | `structures::nothing_larger_than_its_kind_is_looked_at`, `vectors::whatever_is_cut_short_or_followed_by_a_byte_is_refused` |
//! | structures: each field's size, kind and value | `structures`, a test for each structure |
#![allow(clippy::unwrap_used, reason = "a test states its expectations so")]

mod corpus;
mod forge;
mod keys;
mod statements;
mod structures;
mod swtpm;
mod vectors;

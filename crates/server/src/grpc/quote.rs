//! A TPM's quote of a device's PCRs, and the request for it.

use crate::grpc::convert::{at_most, wrong};
use crate::grpc::words::Answered;
use wardein_attest::{Attested, Signature};
use wardein_crypto::tpm::HashAlgorithm;
use wardein_domain::{PCRS, PcrSelection, Quote};
use wardein_engine::Error;
use wardein_proto::v1;

pub(crate) fn quote(given: v1::Quote) -> Result<Quote, Error> {
    let v1::Quote { attested, signature, values } = given;
    judged(Quote { attested, signature, values })
}

/// A quote within its bounds.
pub(crate) fn judged(given: Quote) -> Result<Quote, Error> {
    if given.values.len() > usize::from(PCRS) {
        let count = given.values.len();
        return Err(wrong("quote.values", format_args!("are {count}; it takes at most {PCRS}")));
    }
    let values = given.values.into_iter().enumerate();
    let values = values.map(|(i, value)| at_most(&format!("quote.values[{i}]"), value, LONGEST_HASH.len()));
    Ok(Quote {
        attested: at_most("quote.attested", given.attested, Attested::MAX_LEN)?,
        signature: at_most("quote.signature", given.signature, Signature::MAX_LEN)?,
        values: values.collect::<Result<_, _>>()?,
    })
}

pub(crate) fn selection(selection: PcrSelection) -> v1::PcrSelection {
    let registers = selection.numbers().map(u32::from).collect();
    v1::PcrSelection { bank: selection.bank().wire(), registers }
}

/// That of the largest bank that is taken, and the longest that an attestation key signs with here.
pub(crate) const LONGEST_HASH: HashAlgorithm = HashAlgorithm::Sha384;

//! Quotes: a TPM's statement on a device's PCRs, bound to one request and judged by the policy of the device's profile.

use super::pcr_policy::PcrPolicy;
use crate::derive::actions::Ask;
use crate::kernel::record::hex;
use crate::kernel::{Engine, Error, Stop, Tx};
use crate::rows::{ReleaseColumn, SignatureKeyRow};
use wardein_attest::{Evidence, GoldenPcrs, PcrState, PcrValues, Refusal, TrustedAk, pcr_value};
use wardein_crypto::Digest;
use wardein_ddkg::DeviceName;
use wardein_domain::{ErrorCode, PcrSelection, PcrStanding, ProfileName, Quote};

/// A quote that was taken at an enrollment.
pub(super) struct EnrolledState {
    pub(super) state: PcrState,
    pub(super) standing: PcrStanding,
}

impl PcrPolicy {
    /// Judges the quote of an enrollment; one that was not required has no effect.
    pub(super) fn enroll(
        &self,
        ak: &TrustedAk,
        quote: Option<&Quote>,
        nonce: &[u8; 32],
    ) -> Result<Option<EnrolledState>, Error> {
        let Some(selection) = self.selection() else { return Ok(None) };
        let (state, values) = read(quote.ok_or_else(|| missing(selection))?, ak, nonce, selection)?;
        let standing = match self {
            Self::Golden(golden) => golden.judge(&values).map(|()| PcrStanding::Golden)?,
            Self::Any | Self::AsEnrolled(_) => PcrStanding::AsEnrolled,
        };
        Ok(Some(EnrolledState { state, standing }))
    }

    /// Judges the quote of a request by a device that is on record.
    fn judge(
        &self,
        row: &SignatureKeyRow,
        quote: &Quote,
        nonce: &[u8; 32],
    ) -> Result<Option<PcrStanding>, Error> {
        let Some(selection) = self.selection() else { return Ok(None) };
        let ak = row.ak()?.ok_or_else(no_tpm)?;
        let (state, values) = read(quote, &TrustedAk::assertion(ak.clone()), nonce, selection)?;
        if let Self::Golden(golden) = self {
            golden.judge(&values)?;
            return Ok(Some(PcrStanding::Golden));
        }
        let Some(baseline) = &row.baseline else {
            return Err(not_approved(ErrorCode::PcrUnknown, "no values of its PCRs are on record", &state));
        };
        match state.same_as(&baseline.state(&ak)?) {
            Ok(()) if baseline.is_approved => Ok(Some(PcrStanding::AsApproved)),
            Ok(()) => Ok(Some(PcrStanding::AsEnrolled)),
            // The policy is of other PCRs since: nothing on record can be compared.
            Err(Refusal::PcrSelection) => {
                Err(not_approved(ErrorCode::PcrUnknown, "the values on record are of other PCRs", &state))
            }
            Err(_) => {
                Err(not_approved(ErrorCode::PcrChanged, "the PCRs differ from those on record", &state))
            }
        }
    }
}

impl Engine {
    /// The PCRs that a device is to quote with its next certificate; none if no quote is required, or the device does not exist.
    pub async fn quote_asked(&self, name: &DeviceName) -> Result<Option<PcrSelection>, Error> {
        let Some(known) = self.memory.device(name) else { return Ok(None) };
        if !known.assurance.is_some_and(|level| level.is_tpm()) {
            return Ok(None);
        }
        Ok(self.look(|tx| self.pcr_policy(tx, &name.tenant, &known.profile)).await?.selection())
    }

    /// Judges the quote that came with a signed request of `transcript`: it must come with `certificate` where the profile asks
    /// for one, and is judged wherever it comes.
    pub(super) fn judge_quote(
        &self,
        tx: &Tx<'_>,
        (name, profile): (&DeviceName, &ProfileName),
        (ask, quote): (&Ask<'_>, Option<&Quote>),
        row: &SignatureKeyRow,
        transcript: &Digest,
    ) -> Result<Option<PcrStanding>, Stop> {
        match (quote, ask) {
            (Some(quote), _) => {
                let policy = match self.pcr_policy(tx, &name.tenant, profile)? {
                    PcrPolicy::Golden(golden) => PcrPolicy::Golden(self.with_releases(tx, name, golden)?),
                    policy => policy,
                };
                Ok(policy.judge(row, quote, &transcript.0)?)
            }
            (None, Ask::Certificate(_)) => match self.pcr_policy(tx, &name.tenant, profile)?.selection() {
                Some(_) if row.ak.is_none() => Err(no_tpm().into()),
                Some(selection) => Err(missing(selection).into()),
                None => Ok(None),
            },
            (None, _) => Ok(None),
        }
    }

    /// The golden values of a policy with those of the releases that the device runs by its receipts.
    fn with_releases(&self, tx: &Tx<'_>, name: &DeviceName, golden: GoldenPcrs) -> Result<GoldenPcrs, Stop> {
        Ok(self.releases_run(tx, name)?.iter().fold(golden, joined))
    }
}

/// The golden values with those that `release` has for the same registers.
fn joined(golden: GoldenPcrs, release: &ReleaseColumn) -> GoldenPcrs {
    let bank = golden.selection().bank();
    let mut allowed = golden.allowed().clone();
    for pcr in release.pcrs.iter().filter(|pcr| pcr.bank == bank) {
        let (Some(values), Some(value)) = (allowed.get_mut(&pcr.number), pcr_value(bank, &pcr.value)) else {
            continue;
        };
        if !values.contains(&value) && values.len() < GoldenPcrs::MAX_VALUES {
            values.push(value);
        }
    }
    // The registers are the same, and each has as many values as it may.
    GoldenPcrs::new(bank, allowed).unwrap_or(golden)
}

/// What `quote` says, if `ak` signed it for `nonce` and it is of `selection`.
fn read(
    quote: &Quote,
    ak: &TrustedAk,
    nonce: &[u8; 32],
    selection: PcrSelection,
) -> Result<(PcrState, PcrValues), Refusal> {
    let evidence = Evidence { attested: &quote.attested, signature: &quote.signature };
    let state = ak.quoted(evidence, nonce, selection)?;
    let values: Vec<&[u8]> = quote.values.iter().map(Vec::as_slice).collect();
    let values = state.values(&values)?;
    Ok((state, values))
}

fn missing(selection: PcrSelection) -> Error {
    let message =
        format_args!("quote: is missing; the profile asks for one of {selection}, with the request's nonce");
    Error::new(ErrorCode::QuoteMissing, message)
}

/// Of a device whose profile asks for a statement that only a TPM can make.
pub(super) fn no_tpm() -> Error {
    let message =
        "the profile asks for a quote, and the device's key is not in a TPM; give it another profile";
    Error::new(ErrorCode::QuoteWithoutTpm, message)
}

fn not_approved(code: ErrorCode, why: &str, state: &PcrState) -> Error {
    // As `wardein attestation approve` takes it.
    let digest = hex(state.digest().as_ref());
    let message = format_args!(
        "{why}: their digest is {digest}; have an administrator approve it, or find out what changed"
    );
    Error::new(code, message)
}

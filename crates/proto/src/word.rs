//! Closed words: an enum of the API as people write it, such as `tpm-vendor` for `ASSURANCE_TPM_VENDOR`.

use crate::v1;

/// An enum of the API, all of whose names begin with its own.
pub trait Word: Copy + TryFrom<i32> {
    /// What all names begin with.
    const PREFIX: &'static str;

    /// The name in `proto/`.
    fn name(self) -> &'static str;

    /// The value of that name.
    fn from_name(name: &str) -> Option<Self>;

    /// The word: `tpm-vendor`.
    fn word(self) -> String {
        let name = self.name();
        name.strip_prefix(Self::PREFIX).unwrap_or(name).to_ascii_lowercase().replace('_', "-")
    }

    /// The value of a word; none of the zero value, which says nothing.
    fn from_word(word: &str) -> Option<Self> {
        if word.contains(|letter: char| !matches!(letter, 'a'..='z' | '0'..='9' | '-')) {
            return None;
        }
        let name = format!("{}{}", Self::PREFIX, word.to_ascii_uppercase().replace('-', "_"));
        Self::from_name(&name).filter(|_| word != "unspecified")
    }
}

/// A number of an answer as its word; nothing for the zero value, and the number where a later version sent it.
pub fn word<W: Word>(number: i32) -> String {
    match W::try_from(number) {
        _ if number == 0 => String::new(),
        Ok(value) => value.word(),
        Err(_) => number.to_string(),
    }
}

/// A word as the number that a request has; the zero value where it is none, which the authority refuses by the field.
pub fn number<W: Word + Into<i32>>(word: &str) -> i32 {
    W::from_word(word).map_or(0, Into::into)
}

macro_rules! words {
    ($($name:ident = $prefix:literal,)*) => {
        $(impl Word for v1::$name {
            const PREFIX: &'static str = $prefix;

            fn name(self) -> &'static str {
                self.as_str_name()
            }

            fn from_name(name: &str) -> Option<Self> {
                Self::from_str_name(name)
            }
        })*
    };
}

words! {
    Assurance = "ASSURANCE_",
    CaAlgorithm = "CA_ALGORITHM_",
    CaState = "CA_STATE_",
    CertificateProfile = "CERTIFICATE_PROFILE_",
    ClockAgreement = "CLOCK_AGREEMENT_",
    DeedKind = "DEED_KIND_",
    DeedStep = "DEED_STEP_",
    DeviceState = "DEVICE_STATE_",
    GuardedDeed = "GUARDED_DEED_",
    ProposalState = "PROPOSAL_STATE_",
    KeyKeeper = "KEY_KEEPER_",
    KeyKind = "KEY_KIND_",
    OfflineUse = "OFFLINE_USE_",
    PcrBank = "PCR_BANK_",
    PcrRule = "PCR_RULE_",
    PcrStanding = "PCR_STANDING_",
    PlatformProfile = "PLATFORM_PROFILE_",
    Purpose = "PURPOSE_",
    Reason = "REASON_",
    RekeyGate = "REKEY_GATE_",
    Right = "RIGHT_",
    Role = "ROLE_",
    TransferState = "TRANSFER_STATE_",
    SealFor = "SEAL_FOR_",
    ConsentRule = "CONSENT_RULE_",
    UpdateDecision = "UPDATE_DECISION_",
    ReleaseState = "RELEASE_STATE_",
    ReleaseDeed = "RELEASE_DEED_",
    Verdict = "VERDICT_",
    SessionEnd = "SESSION_END_",
    VisitState = "VISIT_STATE_",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_comes_back_and_nothing_else_is_one() {
        assert_eq!(v1::Assurance::TpmVendor.word(), "tpm-vendor");
        assert_eq!(v1::Assurance::from_word("stated-pkcs11"), Some(v1::Assurance::StatedPkcs11));
        assert_eq!(v1::PcrBank::from_word("sha256"), Some(v1::PcrBank::Sha256));
        for bad in ["", "unspecified", "TPM-VENDOR", "tpm_vendor", "ASSURANCE_TPM_VENDOR", "tpm"] {
            assert_eq!(v1::Assurance::from_word(bad), None, "{bad}");
        }
        assert_eq!(word::<v1::Verdict>(3), "not-trusted");
        assert_eq!(word::<v1::Verdict>(0), "");
        assert_eq!(word::<v1::Verdict>(77), "77");
        assert_eq!((number::<v1::Role>("station"), number::<v1::Role>("king")), (3, 0));
    }
}

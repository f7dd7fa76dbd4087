//! Platform configuration registers of a TPM: which banks there are, and which registers are meant.

use crate::name::NameError;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

/// How many PCRs the TPM of a PC has, numbered from 0 (TCG PC Client Platform TPM Profile for TPM 2.0, §4.6). The authority asks for no
/// others: a device could not quote them.
pub const PCRS: u8 = 24;

/// The PCRs of one bank that are meant, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PcrSelection {
    bank: Bank,
    /// Bit n is PCR n; those from [`PCRS`] on are 0.
    mask: u32,
}

impl PcrSelection {
    /// The PCRs of these numbers, each below [`PCRS`].
    pub fn new(bank: Bank, numbers: &[u8]) -> Result<Self, InvalidSelection> {
        let mut bits = numbers.iter().map(|&number| 1_u32.checked_shl(u32::from(number)));
        let mask = bits.try_fold(0, |mask, bit| Some(mask | bit?)).ok_or(InvalidSelection::Numbers)?;
        Self::from_mask(bank, mask)
    }

    /// The PCRs whose bits are set: bit n is PCR n.
    pub fn from_mask(bank: Bank, mask: u32) -> Result<Self, InvalidSelection> {
        (mask != 0 && mask >> PCRS == 0).then_some(Self { bank, mask }).ok_or(InvalidSelection::Numbers)
    }

    /// The bank.
    pub fn bank(&self) -> Bank {
        self.bank
    }

    /// Their numbers, in order.
    pub fn numbers(&self) -> impl Iterator<Item = u8> + use<> {
        let mask = self.mask;
        (0..PCRS).filter(move |number| mask >> number & 1 == 1)
    }

    /// The inverse of [`PcrSelection::from_mask`].
    pub fn mask(&self) -> u32 {
        self.mask
    }
}

impl fmt::Display for PcrSelection {
    /// As tpm2-tools write it: `sha256:0,7,16`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.bank)?;
        for (number, before) in self.numbers().zip(core::iter::once(':').chain(core::iter::repeat(','))) {
            write!(f, "{before}{number}")?;
        }
        Ok(())
    }
}

impl FromStr for PcrSelection {
    type Err = InvalidSelection;

    /// The inverse of `to_string`. Numbers may have blanks around them, come in any order and more than once.
    fn from_str(text: &str) -> Result<Self, InvalidSelection> {
        let (bank, numbers) = text.split_once(':').ok_or(InvalidSelection::Form)?;
        let bank = bank.parse().map_err(|_| InvalidSelection::Form)?;
        let numbers = numbers.split(',').map(|number| number.trim().parse());
        let numbers: Vec<u32> = numbers.collect::<Result<_, _>>().map_err(|_| InvalidSelection::Form)?;
        let numbers: Result<Vec<u8>, _> = numbers.into_iter().map(u8::try_from).collect();
        Self::new(bank, &numbers.map_err(|_| InvalidSelection::Numbers)?)
    }
}

/// What is no selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSelection {
    /// No PCR is selected, or one that no TPM of a PC has.
    #[error("a selection has at least one PCR, and only PCRs 0 to {last}", last = PCRS - 1)]
    Numbers,
    /// The text does not have the form of one.
    #[error("a selection is a bank (sha256 or sha384) and the numbers of PCRs, such as sha256:0,2,4,7")]
    Form,
}

/// The hash by which PCRs are extended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bank {
    /// What every TPM 2.0 of a PC has.
    Sha256,
    /// What some have besides.
    Sha384,
}

impl Bank {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha384];

    /// What tpm2-tools call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
        }
    }

    /// The bytes of a PCR's value.
    pub fn value_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }

    /// The TPM_ALG_ID of its hash (TPM 2.0 Library, part 2, §6.3).
    pub fn id(self) -> u16 {
        match self {
            Self::Sha256 => 0x000b,
            Self::Sha384 => 0x000c,
        }
    }

    /// The bank of which [`Bank::id`] is `id`.
    pub fn from_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|bank| bank.id() == id)
    }
}

impl fmt::Display for Bank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Bank {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::ALL
            .into_iter()
            .find(|bank| bank.name() == text)
            .ok_or(NameError::Unknown { kind: "bank of PCRs", allowed: "sha256, sha384" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_selection_has_pcrs_that_a_tpm_has() {
        let selection = PcrSelection::new(Bank::Sha256, &[7, 0, 23, 7]).unwrap();
        assert_eq!(selection.to_string(), "sha256:0,7,23");
        assert_eq!(PcrSelection::from_mask(Bank::Sha256, selection.mask()), Ok(selection));
        for wrong in [&[][..], &[24], &[0, 24], &[31], &[32], &[255]] {
            let refused = PcrSelection::new(Bank::Sha256, wrong).unwrap_err();
            assert!(refused.to_string().contains("0 to 23"), "{wrong:?}: {refused}");
        }
        for mask in [0, 1 << 24, 1 << 31] {
            assert_eq!(PcrSelection::from_mask(Bank::Sha384, mask), Err(InvalidSelection::Numbers), "{mask}");
        }
    }

    #[test]
    fn its_text_is_as_tpm2_tools_have_it() {
        let selection = PcrSelection::new(Bank::Sha384, &[0, 2, 23]).unwrap();
        for text in ["sha384:0,2,23", "sha384:23,0,2,0", "sha384: 0, 2, 23"] {
            assert_eq!(text.parse(), Ok(selection), "{text}");
        }
        for text in [
            "",
            "sha384",
            "0,2",
            ":0",
            "sha384:",
            "sha384:0,,2",
            "sha384:0,",
            "sha384:x",
            "sha384:-1",
            "sha1:0",
        ] {
            assert_eq!(text.parse::<PcrSelection>(), Err(InvalidSelection::Form), "{text}");
        }
        for text in ["sha256:24", "sha256:0,32", "sha256:256", "sha256:4294967295"] {
            assert_eq!(text.parse::<PcrSelection>(), Err(InvalidSelection::Numbers), "{text}");
        }
    }

    #[test]
    fn a_bank_comes_back() {
        for bank in Bank::ALL {
            assert_eq!(bank.name().parse(), Ok(bank));
            assert_eq!(Bank::from_id(bank.id()), Some(bank));
        }
        assert!("sha1".parse::<Bank>().is_err());
        assert_eq!(Bank::from_id(4), None);
    }
}

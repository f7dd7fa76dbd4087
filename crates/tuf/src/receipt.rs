//! A receipt: what came of an installation, and what runs, in the device's own words (after Uptane's version report).
//!
//! ```text
//! u8(1) ‖ u8(outcome)                                     1 started, 2 rolled back, 3 verified, 4 differs
//! text(tenant) ‖ text(device) ‖ text(repository) ‖ text(line)        text: u8(length) ‖ bytes
//! u64(version) ‖ sha256[32]
//! u64(installed)                                          Unix milliseconds
//! ```
//!
//! Numbers are big-endian. It is the body of the action `update-receipt` (DDKG-1 §8.6), whose proof or signature covers it; the reply's body
//! is empty. A device keeps it until it is acknowledged, and may give it any number of times.

use crate::wire::{number, put_text, take, text};
use wardein_crypto::Digest;
use wardein_domain::{DeviceId, LineName, RepositoryName, TenantId};

/// What a device says of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Whose device it is.
    pub tenant: TenantId,
    /// The device.
    pub device: DeviceId,
    /// The maker's repository, by its name with the authority.
    pub repository: RepositoryName,
    /// The product line.
    pub line: LineName,
    /// The release.
    pub version: u64,
    /// The artifact's digest.
    pub sha256: Digest,
    /// When the offer was issued by which the device installed last, or when it did, in Unix milliseconds. It rises with each installation.
    pub installed: u64,
    /// What came of it.
    pub outcome: ReceiptOutcome,
}

/// What came of an installation, or of a look at what runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptOutcome {
    /// The release has started well, and runs.
    Started,
    /// It was given up: what ran before runs.
    RolledBack,
    /// It runs, and the device shows what the release says that it shows.
    Verified,
    /// It was to run, and the device shows something else.
    Differs,
}

impl ReceiptOutcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Started, Self::RolledBack, Self::Verified, Self::Differs];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::RolledBack => "rolled-back",
            Self::Verified => "verified",
            Self::Differs => "differs",
        }
    }

    const fn byte(self) -> u8 {
        match self {
            Self::Started => 1,
            Self::RolledBack => 2,
            Self::Verified => 3,
            Self::Differs => 4,
        }
    }
}

impl Receipt {
    /// The longest body, in bytes.
    pub const MAX_LEN: usize = 2 + 4 * 256 + 8 + 32 + 8;

    /// The body of the action.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION, self.outcome.byte()];
        let texts =
            [self.tenant.as_str(), self.device.as_str(), self.repository.as_str(), self.line.as_str()];
        for text in texts {
            put_text(&mut out, text);
        }
        out.extend_from_slice(&self.version.to_be_bytes());
        out.extend_from_slice(&self.sha256.0);
        out.extend_from_slice(&self.installed.to_be_bytes());
        out
    }

    /// The receipt of a body; `None` where it is none.
    pub fn decode(body: &[u8]) -> Option<Self> {
        let mut rest = body.strip_prefix(&[VERSION])?;
        let byte = *take(&mut rest, 1)?.first()?;
        let receipt = Self {
            outcome: ReceiptOutcome::ALL.into_iter().find(|outcome| outcome.byte() == byte)?,
            tenant: text(&mut rest)?.parse().ok()?,
            device: text(&mut rest)?.parse().ok()?,
            repository: text(&mut rest)?.parse().ok()?,
            line: text(&mut rest)?.parse().ok()?,
            version: number(&mut rest)?,
            sha256: Digest(take(&mut rest, 32)?.try_into().ok()?),
            installed: number(&mut rest)?,
        };
        rest.is_empty().then_some(receipt)
    }
}

/// The version of the form.
const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(outcome: ReceiptOutcome) -> Receipt {
        Receipt {
            tenant: "klinik".parse().unwrap(),
            device: "pump-1".parse().unwrap(),
            repository: "acme".parse().unwrap(),
            line: "infusion".parse().unwrap(),
            version: 7,
            sha256: Digest([9; 32]),
            installed: 1_000_500,
            outcome,
        }
    }

    #[test]
    fn a_receipt_is_read_back_and_nothing_else_is() {
        for outcome in ReceiptOutcome::ALL {
            let bytes = receipt(outcome).encode();
            assert_eq!(Receipt::decode(&bytes), Some(receipt(outcome)));
            assert!(bytes.len() <= Receipt::MAX_LEN);
            for at in 0..bytes.len() {
                assert_eq!(Receipt::decode(&bytes[..at]), None, "{at} bytes");
            }
            assert_eq!(Receipt::decode(&[&bytes[..], &[0]].concat()), None);
        }
        for (at, byte) in [(0, 2), (1, 0), (1, 5), (3, b'/')] {
            let mut changed = receipt(ReceiptOutcome::Started).encode();
            changed[at] = byte;
            assert_eq!(Receipt::decode(&changed), None, "byte {at}");
        }
    }

    /// Devices of other releases write these bytes.
    #[test]
    fn the_bytes_never_change() {
        let expected = [
            &b"\x01\x02\x06klinik\x06pump-1\x04acme\x08infusion"[..],
            &[0, 0, 0, 0, 0, 0, 0, 7],
            &[9; 32],
            &[0, 0, 0, 0, 0, 15, 68, 52],
        ];
        assert_eq!(receipt(ReceiptOutcome::RolledBack).encode(), expected.concat());
    }
}

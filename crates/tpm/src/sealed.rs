//! A sealed secret as it is stored.

use wardein_domain::{Bank, PcrSelection};

/// A secret that only the TPM opens that sealed it. It can lie where anybody reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The name of the storage root key under which it is sealed.
    pub(crate) parent: Vec<u8>,
    /// The registers whose values it is bound to.
    pub(crate) selection: Option<PcrSelection>,
    /// TPM2B_PUBLIC.
    pub(crate) public: Vec<u8>,
    /// The contents of a TPM2B_PRIVATE.
    pub(crate) private: Vec<u8>,
}

/// The bytes are no sealed secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no secret that was sealed to a TPM, or are of another version of this program")]
pub struct MalformedSeal;

impl Sealed {
    /// The registers whose values it is bound to; `None` if it opens in any state of the machine.
    pub fn selection(&self) -> Option<PcrSelection> {
        self.selection
    }

    /// Its bytes: a version, the registers, and three fields with their lengths; at most [`Sealed::MAX_LEN`].
    pub fn encode(&self) -> Vec<u8> {
        let (bank, mask) =
            self.selection.map_or((0, 0), |selection| (selection.bank().id(), selection.mask()));
        let mut bytes = vec![VERSION];
        bytes.extend(bank.to_be_bytes());
        bytes.extend(mask.to_be_bytes());
        for field in [&self.parent, &self.public, &self.private] {
            // A TPM gives none above 1 KiB: see `MAX_FIELD`.
            bytes.extend((field.len() as u16).to_be_bytes());
            bytes.extend(field);
        }
        bytes
    }

    /// The inverse of [`Sealed::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, MalformedSeal> {
        let (&[VERSION, bank_0, bank_1, ref mask @ ..], rest) =
            bytes.split_first_chunk::<7>().ok_or(MalformedSeal)?
        else {
            return Err(MalformedSeal);
        };
        let mask = u32::from_be_bytes(*mask);
        let selection = match Bank::from_id(u16::from_be_bytes([bank_0, bank_1])) {
            Some(bank) => Some(PcrSelection::from_mask(bank, mask).map_err(|_| MalformedSeal)?),
            None if [bank_0, bank_1] == [0, 0] && mask == 0 => None,
            None => return Err(MalformedSeal),
        };
        let (parent, rest) = field(rest)?;
        let (public, rest) = field(rest)?;
        let (private, rest) = field(rest)?;
        rest.is_empty().then_some(Self { parent, selection, public, private }).ok_or(MalformedSeal)
    }

    /// The most bytes that one has.
    pub const MAX_LEN: usize = 7 + 3 * (2 + MAX_FIELD);
}

fn field(bytes: &[u8]) -> Result<(Vec<u8>, &[u8]), MalformedSeal> {
    let (length, rest) = bytes.split_first_chunk().ok_or(MalformedSeal)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (field, rest) = rest.split_at_checked(length).ok_or(MalformedSeal)?;
    (1..=MAX_FIELD).contains(&length).then(|| (field.to_vec(), rest)).ok_or(MalformedSeal)
}

const VERSION: u8 = 1;
/// A name has 34 bytes; both halves of a sealed secret of 128 bytes stay below 512.
pub(crate) const MAX_FIELD: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written_and_nothing_else_is_one() {
        let selection = PcrSelection::new(Bank::Sha384, &[0, 7]).unwrap();
        let bound = Sealed {
            parent: vec![1; 34],
            selection: Some(selection),
            public: vec![2; 80],
            private: vec![3; MAX_FIELD],
        };
        let free = Sealed { selection: None, ..bound.clone() };
        for sealed in [&bound, &free] {
            let bytes = sealed.encode();
            assert_eq!(Sealed::decode(&bytes).as_ref(), Ok(sealed));
            for end in 0..bytes.len() {
                assert_eq!(Sealed::decode(&bytes[..end]), Err(MalformedSeal), "{end}");
            }
            assert_eq!(Sealed::decode(&[&bytes[..], &[0]].concat()), Err(MalformedSeal));
        }
        // Version, bank, a register without a bank, a bank without a register, register 24.
        for (at, byte) in [(0, 2), (1, 1), (2, 0), (2, 0x0d)] {
            let mut bytes = bound.encode();
            bytes[at] = byte;
            assert_eq!(Sealed::decode(&bytes), Err(MalformedSeal), "{at}");
        }
        for mask in [0, 1 << 24] {
            let mut bytes = bound.encode();
            bytes[3..7].copy_from_slice(&u32::to_be_bytes(mask));
            assert_eq!(Sealed::decode(&bytes), Err(MalformedSeal), "{mask}");
        }
        let long = Sealed { private: vec![3; MAX_FIELD + 1], ..bound };
        assert_eq!(Sealed::decode(&long.encode()), Err(MalformedSeal));
    }
}

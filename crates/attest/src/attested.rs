//! TPMS_ATTEST: what an attestation key signs (TPM 2.0 Library, part 2, §10.12).

use crate::wire::{Fault, ParseError, Reader};
use wardein_domain::{Bank, PcrSelection};

/// What a TPM says of a key or of its registers.
///
/// Clock, firmware version and the signer's qualified name are read and not kept: freshness comes from the nonce, and whose the
/// signer is from the credential that it activated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attested<'a> {
    pub(crate) magic: u32,
    pub(crate) extra_data: &'a [u8],
    pub(crate) claim: Claim<'a>,
}

/// The part that depends on the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim<'a> {
    /// TPM_ST_ATTEST_CERTIFY: the key of this name is in the TPM.
    Certify { name: &'a [u8] },
    /// TPM_ST_ATTEST_QUOTE: the digest of the values of these registers.
    Quote { selection: PcrSelection, digest: &'a [u8] },
}

impl<'a> Attested<'a> {
    /// The most bytes of a TPMS_ATTEST that is looked at: a certify with names by SHA-512 has 303.
    pub const MAX_LEN: usize = 320;

    /// Reads a TPMS_ATTEST, without the two bytes of length of a TPM2B_ATTEST: what `tpm2_quote -m` and `tpm2_certify -o` write.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::open("TPMS_ATTEST", bytes, Self::MAX_LEN)?;
        let magic = reader.u32("magic")?;
        let kind = reader.u16("type")?;
        reader.sized("qualifiedSigner", MAX_NAME)?;
        let extra_data = reader.sized("extraData", MAX_NAME)?;
        reader.take("clockInfo", CLOCK_LEN)?;
        if reader.u8("clockInfo.safe")? > 1 {
            return Err(reader.fault("clockInfo.safe", Fault::Value));
        }
        reader.take("firmwareVersion", 8)?;
        let claim = match kind {
            CERTIFY => {
                let name = reader.sized("attested.name", MAX_NAME)?;
                reader.sized("attested.qualifiedName", MAX_NAME)?;
                Claim::Certify { name }
            }
            QUOTE => Claim::Quote {
                selection: read_selection(&mut reader)?,
                digest: reader.sized("attested.pcrDigest", MAX_NAME)?,
            },
            _ => return Err(reader.fault("type", Fault::Unsupported)),
        };
        reader.end()?;
        Ok(Self { magic, extra_data, claim })
    }
}

/// TPML_PCR_SELECTION (§10.9.7) of one bank.
fn read_selection(reader: &mut Reader<'_>) -> Result<PcrSelection, ParseError> {
    if reader.u32("attested.pcrSelect.count")? != 1 {
        return Err(reader.fault("attested.pcrSelect.count", Fault::Unsupported));
    }
    let hash = "attested.pcrSelect.hash";
    let bank = Bank::from_id(reader.u16(hash)?).ok_or_else(|| reader.fault(hash, Fault::Unsupported))?;
    let length = usize::from(reader.u8("attested.pcrSelect.sizeofSelect")?);
    // Three octets at least (§10.6.1). A fourth stands for registers that nobody asks for, and is 0.
    if !(3..=4).contains(&length) {
        return Err(reader.fault("attested.pcrSelect.sizeofSelect", Fault::Unsupported));
    }
    let mut mask = [0; 4];
    mask[..length].copy_from_slice(reader.take("attested.pcrSelect.pcrSelect", length)?);
    PcrSelection::from_mask(bank, u32::from_le_bytes(mask))
        .map_err(|_| reader.fault("attested.pcrSelect.pcrSelect", Fault::Value))
}

/// TPM_GENERATED_VALUE: a restricted key never signs anything that begins so unless its TPM made it (§6.2).
pub(crate) const MAGIC: u32 = 0xff54_4347;

const CERTIFY: u16 = 0x8017;
const QUOTE: u16 = 0x8018;

/// clock, resetCount and restartCount (§10.11.1).
const CLOCK_LEN: usize = 8 + 4 + 4;

/// A name by SHA-512; no digest and no qualifying data is longer (§10.4.3).
const MAX_NAME: usize = 2 + 64;

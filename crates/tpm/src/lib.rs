//! A TPM 2.0 at hand: its keys, what it attests, and what it seals.
//!
//! What: one type, [`Tpm`], that opens a TPM by its TCTI (a device node, or `swtpm`), finds or makes the keys that Wardein uses, and
//! speaks in bytes that `wardein-attest` verifies. Why one crate: nothing else links libtss2, and a reviewer finds here every object
//! that is made in a TPM and every authorization that is given to it. Without the feature `tss` it is empty, so that the workspace
//! builds where libtss2 is not installed.
//!
//! # What it makes in the TPM
//!
//! | persistent handle | what |
//! | --- | --- |
//! | 0x81000001 | the storage root key, by the TCG's template (P-256) unless one is there already, P-256 or RSA |
//! | 0x81000012 | the same, where another program's key at 0x81000001 is not by that template |
//! | 0x81000010 | the attestation key: P-256, restricted |
//! | 0x81000011 | the device's key: P-256, signs what the device wants |
//!
//! All of them are made once and found again, and have `noDA` set: three power cuts in a row would otherwise lock the TPM out, since
//! an end without TPM2_Shutdown counts as a failed try for keys that have not. Whatever else is loaded is flushed before a
//! call returns, also when it fails. Endorsement keys are used where they are persistent, and made again from their template where not.
//!
//! What it does not do: it sets no password and takes none (the hierarchies' are empty, as they are on a new TPM), reads no event log,
//! and does not wait for a TPM that is busy. A call blocks until the TPM has answered.
//!
//! libtss2 writes each error of the TPM to standard error as well; `TSS2_LOG=all+none` in the environment of the process silences it.
//!
//! Sections cited are of the TPM 2.0 Library, family 2.0, revision 01.59.
#![cfg(feature = "tss")]

mod attest;
mod ecdsa;
mod endorsement;
mod error;
mod keys;
mod pcr;
mod seal;
mod sealed;
mod session;
mod tcti;
mod template;

pub use attest::Statement;
pub use endorsement::{EkKind, EndorsementKey, InvalidEkKind};
pub use error::{Cause, TpmError};
pub use keys::DeviceKey;
pub use pcr::PcrValues;
pub use seal::MAX_SECRET;
pub use sealed::{MalformedSeal, Sealed};
pub use tcti::{InvalidTcti, Tcti};

use error::Doing;
use tss_esapi::Context;
use tss_esapi::constants::StartupType;

/// A TPM that answered. What is still loaded when it is dropped is flushed.
pub struct Tpm {
    pub(crate) context: Context,
}

impl Tpm {
    /// Opens the TPM at `tcti`, and starts it if nobody did.
    ///
    /// # Errors
    ///
    /// [`TpmError::Unavailable`] if none answers there.
    pub fn open(tcti: &Tcti) -> Result<Self, TpmError> {
        let opening = || format!("open the TPM at {tcti}");
        let mut context = Context::new(tcti.name_conf()?).doing(opening())?;
        // One that is started already says TPM_RC_INITIALIZE, which libtss2 takes for success.
        context.startup(StartupType::Clear).doing(opening())?;
        Ok(Self { context })
    }

    /// Tells the TPM that its power may go (TPM2_Shutdown, part 3, §9.4). A kernel does it for the TPM that it drives; for one that
    /// nobody else ends, such as `swtpm`, this is the way to end its use.
    pub fn shutdown(mut self) -> Result<(), TpmError> {
        self.context.shutdown(StartupType::Clear).doing("shut the TPM down")
    }
}

//! Which TPM, as device.toml says it.

use crate::error::Error;

/// The TPM whose key signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TpmSettings {
    /// Where it is: `device:/dev/tpmrm0`, or `swtpm:host=HOST,port=PORT`.
    pub tcti: String,
    /// Which endorsement key it shows: `rsa2048`, `p256` or `p384`; without one, that which its vendor certified.
    pub endorsement_key: Option<String>,
}

impl TpmSettings {
    pub(crate) fn judge(tcti: Option<&str>, endorsement_key: Option<&str>) -> Result<Option<Self>, Error> {
        let Some(tcti) = tcti else {
            return match endorsement_key {
                None => Ok(None),
                Some(_) => Err(wrong("endorsement_key", "is for a device with signs_with")),
            };
        };
        check_tcti("signs_with", tcti)?;
        check_kind(endorsement_key)?;
        Ok(Some(Self { tcti: tcti.to_owned(), endorsement_key: endorsement_key.map(str::to_owned) }))
    }
}

/// Refuses what is no TCTI, and any in a build that can use none.
#[cfg(feature = "tpm")]
pub(crate) fn check_tcti(field: &'static str, tcti: &str) -> Result<(), Error> {
    tcti.parse::<wardein_tpm::Tcti>().map(|_| ()).map_err(|error| wrong(field, error))
}

#[cfg(not(feature = "tpm"))]
pub(crate) fn check_tcti(field: &'static str, _: &str) -> Result<(), Error> {
    Err(wrong(field, "this build has no TPM in it; build wardein-device with --features tpm"))
}

#[cfg(feature = "tpm")]
fn check_kind(endorsement_key: Option<&str>) -> Result<(), Error> {
    let kind = endorsement_key.map(str::parse::<wardein_tpm::EkKind>).transpose();
    kind.map(|_| ()).map_err(|error| wrong("endorsement_key", error))
}

/// A build without a TPM has refused `signs_with` before.
#[cfg(not(feature = "tpm"))]
fn check_kind(_: Option<&str>) -> Result<(), Error> {
    Ok(())
}

fn wrong(field: &'static str, why: impl std::fmt::Display) -> Error {
    Error::Config { field, why: why.to_string() }
}

//! Where a TPM is.

use crate::error::{Doing, TpmError};
use std::fmt;
use std::str::FromStr;
use tss_esapi::tcti_ldr::TctiNameConf;

/// Where a TPM is, as `tpm2-tools` take it: `device:/dev/tpmrm0` (with the kernel's resource manager, which is the one to use on
/// Linux), `swtpm:host=127.0.0.1,port=2321`, or what else libtss2 has a module for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tcti(String);

/// The text names no place of a TPM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no TCTI; write device:/dev/tpmrm0, or swtpm:host=HOST,port=PORT")]
pub struct InvalidTcti;

impl FromStr for Tcti {
    type Err = InvalidTcti;

    fn from_str(text: &str) -> Result<Self, InvalidTcti> {
        // The library takes a name alone, and adds a default that is nobody's choice: /dev/tpm0 has no resource manager.
        let is_whole = text.split_once(':').is_some_and(|(_, at)| !at.is_empty() && !at.contains('\0'));
        let is_known = TctiNameConf::from_str(text).is_ok();
        (is_whole && is_known).then(|| Self(text.into())).ok_or(InvalidTcti)
    }
}

impl fmt::Display for Tcti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Tcti {
    pub(crate) fn name_conf(&self) -> Result<TctiNameConf, TpmError> {
        TctiNameConf::from_str(&self.0).doing("read the TCTI")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tcti_names_its_place() {
        for text in ["device:/dev/tpmrm0", "swtpm:host=127.0.0.1,port=2321", "swtpm:port=1"] {
            assert_eq!(text.parse::<Tcti>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "device",
            "device:",
            "/dev/tpmrm0",
            "swtpm:port=70000",
            "swtpm:host=a b",
            "usb:1",
            "device:/a\0b",
        ] {
            assert_eq!(text.parse::<Tcti>(), Err(InvalidTcti), "{text}");
        }
    }
}

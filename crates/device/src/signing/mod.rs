//! A device that signs its requests with a key that it cannot give away (DDKG-1 §5.1), instead of deriving keys.

mod enrolled;
pub(crate) mod line;
mod session;
mod settings;
mod steps;
#[cfg(feature = "tpm")]
mod tpm;

pub use enrolled::SigningKey;
pub use session::{Signer, SigningSession};
pub use settings::TpmSettings;
pub(crate) use settings::check_tcti;
pub use steps::{TpmActivation, TpmStation};
pub(crate) use steps::{asked, on_record};
#[cfg(feature = "tpm")]
pub use tpm::{TpmSigner, enroll_tpm, open_tpm};

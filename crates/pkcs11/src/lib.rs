//! Keys of CAs in a token behind PKCS#11 (OASIS PKCS#11 v2.40): an HSM, or SoftHSM.
//!
//! What: [`Token`] finds and makes keys that never leave the token, and signs by them, over a few sessions that are kept. Why a crate of
//! its own: nothing else knows `cryptoki`, and an authority whose keys are in its process carries none of it. What it does not do: it
//! decides nothing, writes no log, and destroys no key that a CA has.
//!
//! The library of the token runs in this process, and sees what it sees: it is as trusted as this program.

mod encoding;
mod error;
mod keys;
mod pin;
mod sessions;
#[cfg(test)]
mod tests;
mod token;

pub use error::Pkcs11Error;
pub use token::{Token, TokenOptions};

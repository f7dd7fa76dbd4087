//! Whole files: sealed, numbered and signed where they arise, without asking anybody.

mod manifest;
mod seal;

pub use seal::{FileOrder, FileSealed, Plaintext};

//! Proofs of devices that derive their keys (DDKG), their actions, spent keys, and when keys change.

pub(crate) mod actions;
pub(crate) mod proof;
pub(crate) mod restored;
pub(crate) mod rotation;
pub(crate) mod spent;

//! Whom to trust, and why.

pub(crate) mod check;

//! The receiving end of devices' logs.
//!
//! What: [`Receiver`] takes the sealed batches of a tenant's devices, each with the statement that its device signed. It checks
//! that the device is trusted now, that the statement is that device's and of these bytes, and that the batch is the one that its
//! name says; opens it by a key that the authority releases, or by a reader's own; and places it as a segment of records, once,
//! whatever is repeated and wherever it is killed. [`Server`] is the same over HTTPS, where devices show their certificates, and
//! the binary `wardein-receive` runs it. Why here: who receives logs is not the authority, has no key of it, and is asked for none
//! of it.
//!
//! What it does not do: it keeps no records for long (what reads the segments does), and it filters nothing (the device has).
//!
//! Every input is bounded: connections, the time of handshakes, heads and bodies, the bytes of a file, the bytes of all that have
//! not been placed yet, and the bytes of an opened batch.

mod answer;
mod authority;
pub mod config;
mod incoming;
mod name;
mod opening;
mod places;
mod receiver;
mod refusal;
mod segment;
mod serve;
mod taking;
mod tls;

pub use authority::{Authority, KeyError, Platform, PlatformError, Standing};
pub use name::{BatchName, Part};
pub use receiver::{Limits, OpenError, Put, Receipt, Receiver, Sender, Settings};
pub use refusal::{Code, Refused};
pub use segment::{GAPS, RECORDS, STATEMENT};
pub use serve::{ServeError, Server};
pub use tls::{Identity, TlsError};

/// The most bytes of a sealed batch: a batch has at most 4 MiB before it is compressed, so that this leaves room for later forms.
pub const MAX_SEALED: u64 = 32 << 20;

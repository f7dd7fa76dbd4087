//! The log agent of a device, and the form of what it sends.
//!
//! What: sources are read from where the last poll ended, lines become entries, filters make a record of each for those audiences
//! that may have it, and records go in batches, sealed, to where each audience takes them. Why one crate without an identity or a
//! network of its own: what leaves a device, and what is counted as left or lost, is decided here and can be tried here alone;
//! `wardein-device` seals and connects. What it does not do: it holds no key of the device and opens no batch.
//!
//! Nothing leaves by default: a source leaves for an audience only by a rule that lists what it keeps.
//!
//! A source may be the log of another device, whose software may not be touched: the agent is then a collector. It seals under its own
//! identity, and marks what is not its own ([`Observed`]).

pub mod agent;
pub mod approval;
pub mod batch;
pub mod config;
pub mod deliver;
mod filter;
mod name;
mod observed;
mod polled;
mod private_file;
mod records;
mod source;
pub mod spool;
mod trial;

pub use config::{ConfigError, LogsConfig};
pub use filter::{Condition, How, Judged, Keep, KeyError, NotParsed, Outcome, Rule, Verdict, Why};
pub use name::{AudienceName, NameError, ObservedName, ObservedNameError, SourceName};
pub use observed::{KnownBy, Observed};
pub use polled::{Counts, Gap, GapReason, Outgoing, Polled, Warning, WarningKind};
pub use records::Records;
pub use source::{CollectorError, Encoding, Frame, FrameError, Frames, Positions, SourceError, Sources};
pub use trial::{Part, Trial, TrialError, Tried};

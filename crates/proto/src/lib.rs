//! The gRPC API of Wardein: what `proto/` says, as generated code.
//!
//! What: the messages of `wardein.v1`, and by feature the callers' half and the authority's half of each service. Why
//! committed: a build needs no generator, and a change of the API shows in review. `tests/proto/current.rs` proves that it is current.
//! What it does not do: it judges nothing; wire types become domain types in `wardein-server` and in the callers.

/// Package `wardein.v1`.
#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated; documented in proto/")]
#[path = "gen/wardein.v1.rs"]
#[rustfmt::skip]
pub mod v1;

#[cfg(feature = "json")]
pub mod json;
pub mod time;
mod word;

pub use prost::Message;
pub use prost_types::{Any, Duration, FieldMask, Timestamp};
pub use word::{Word, number, word};

/// The descriptors of all messages and services, a serialized `google.protobuf.FileDescriptorSet`.
#[cfg(feature = "server")]
pub const DESCRIPTORS: &[u8] = include_bytes!("gen/wardein.v1.bin");

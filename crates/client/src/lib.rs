//! The typed client of Wardein's gRPC API.
//!
//! What: [`connect`] gives a [`Connection`] over TLS 1.3, and of it a client for each kind of caller: [`Station`], [`Platform`]
//! or [`Operator`], and the generated one of each service of `wardein.v1`. [`Refusal`] is the error of a failed call, with the
//! stable code and the request id; [`pages`] reads long lists, and [`Parts`] are answers that come bit by bit. Why here: devices,
//! stations, platforms and administrators speak to the authority in one way. What it does not do: no protocol of devices, no
//! retries; it only says whether one makes sense.

mod calls;
mod clock;
mod connect;
mod error;
mod pages;
mod timeless;
mod tls;

pub use calls::{Operator, Parts, Platform, Station};
pub use connect::{Connection, Settings, connect};
pub use error::{ConnectError, Refusal};
pub use pages::{PAGE_SIZE, pages};
pub use tls::{Identity, MaterialError};
/// The channel that a client of a service uses.
pub use tonic::transport::Channel;
/// The messages and clients that the calls are made with.
pub use wardein_proto::{Duration, FieldMask, Timestamp, Word, number, time, v1, word};

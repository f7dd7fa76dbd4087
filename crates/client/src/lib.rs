//! The typed client of Wardein's gRPC API.
//!
//! What: [`connect`] gives a [`Connection`] over TLS 1.3, with one client per service of `wardein.v1`; [`Refusal`] is what a
//! failed call says, with the stable code and the request id. Why here: devices, stations, platforms and administrators
//! speak to the authority in one way. What it does not do: no protocol of devices, no retries; it only says whether one makes sense.

mod connect;
mod error;
mod timeless;
mod tls;

pub use connect::{Connection, Settings, connect};
pub use error::{ConnectError, Refusal};
pub use tls::{Identity, MaterialError};
/// What a client of a service speaks through.
pub use tonic::transport::Channel;
/// The messages and clients that the calls are made with.
pub use wardein_proto::v1;

//! The typed client of Wardein's API.
//!
//! What: [`connect`] gives a [`Connection`] of gRPC over TLS 1.3, and of it a client for each kind of caller: [`Station`],
//! [`Platform`] or [`Operator`], and the generated one of each service of `wardein.v1`. [`connect_as`] is for who keeps an identity in
//! a directory and renews it there. [`Refusal`] is the error of a failed call, with the stable code and the request id; [`pages`]
//! reads long lists, and [`Parts`] are answers that come bit by bit. [`TrustCache`] has the verdicts on all devices of a platform,
//! kept true by a [`Watcher`]; [`ReceiptKeys`] verify a verdict that the authority signed. [`Poster`] posts a device's messages as
//! bytes, which needs no gRPC; [`Fetcher`] gets files, and [`Putter`] puts them. Calls, posts and files go through a [`Proxy`] where there
//! is one. Why here: devices, stations, platforms and administrators speak to the authority in one way. What it does not do: no protocol
//! of devices, and no retries but a watcher's; it only says whether one makes sense.

#[cfg(feature = "grpc")]
mod cache;
#[cfg(feature = "grpc")]
mod calls;
mod cause;
mod clock;
#[cfg(feature = "grpc")]
mod connect;
#[cfg(feature = "grpc")]
mod directory;
#[cfg(feature = "grpc")]
mod encrypted;
mod error;
mod fetch;
#[cfg(feature = "grpc")]
mod find;
mod foreign;
#[cfg(feature = "grpc")]
mod pages;
mod pinned;
mod post;
mod private;
mod proxy;
mod put;
#[cfg(feature = "receipts")]
mod receipt;
#[cfg(feature = "grpc")]
mod refusal;
mod timeless;
mod tls;
#[cfg(feature = "grpc")]
mod unjudged;
#[cfg(feature = "grpc")]
mod watcher;
mod way;

#[cfg(feature = "grpc")]
pub use cache::{Lookup, TrustCache};
#[cfg(feature = "grpc")]
pub use calls::{Operator, Parts, Platform, Station};
pub use clock::unix_now;
#[cfg(feature = "grpc")]
pub use connect::{Connection, connect};
#[cfg(feature = "encrypted-keys")]
pub use directory::connect_as_under;
#[cfg(feature = "grpc")]
pub use directory::{CERTIFICATE, INFRASTRUCTURE, KEY, connect_as};
pub use error::ConnectError;
pub use fetch::{Fetched, Fetcher};
#[cfg(feature = "grpc")]
pub use find::find_root;
#[cfg(feature = "grpc")]
pub use pages::{PAGE_SIZE, pages};
pub use pinned::{PinnedError, PinnedStream, connect_pinned, connect_pinned_as};
pub use post::{Posted, Poster};
pub use proxy::{NoProxy, Proxy, ProxyError};
pub use put::{FileBody, FileRequest, PutAnswer, Putter, connect_by_roots};
#[cfg(feature = "receipts")]
pub use receipt::{Expected, Receipt, ReceiptError, ReceiptKeys};
#[cfg(feature = "grpc")]
pub use refusal::Refusal;
pub use tls::{Identity, MaterialError};
/// The channel that a client of a service uses.
#[cfg(feature = "grpc")]
pub use tonic::transport::Channel;
/// What a call of the generated clients gives.
#[cfg(feature = "grpc")]
pub use tonic::{Response, Status};
/// The messages and clients that the calls are made with.
#[cfg(feature = "grpc")]
pub use wardein_proto::{Duration, FieldMask, Timestamp, Word, number, time, v1, word};
#[cfg(feature = "grpc")]
pub use watcher::{Moment, WatchEvent, Watcher};
pub use way::Settings;

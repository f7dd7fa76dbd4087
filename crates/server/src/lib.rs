//! The edge of Wardein: gRPC over TLS 1.3, the methods of devices by POST beside it, HTTP for metrics and health, and EST.
//!
//! What: [`Server`] takes connections, identifies the caller, asks the one table whether it may call, turns wire types into
//! domain types, calls the engine, and answers. Why here: outside input is judged once, in one place, and answers say no more
//! than it should. What it does not do: no decision on devices, keys or trust; no record but that of a refused call.

mod config;
mod connect;
mod devices;
mod edge;
mod est;
mod grpc;
mod hooks;
mod http;
mod post;
mod run;
mod sinks;
mod traces;
mod webhooks;

pub use config::{Config, EstConfig, Limits, Rate};
pub use edge::metrics::Metrics;
pub use run::{ServeError, Server};
pub use sinks::{SinkConfig, SinkError, SinkTexts, SinkTls, SinkTo};
pub use traces::{TraceConfig, TraceError};

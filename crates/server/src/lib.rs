//! The edge of Wardein: gRPC over TLS 1.3, and HTTP for metrics and health.
//!
//! What: [`Server`] takes connections, tells who calls, asks the one table whether they may, turns wire types into domain types,
//! calls the engine, and answers. Why here: what comes from outside is judged once, at one place, and what goes out says
//! no more than it should. What it does not do: no decision on devices, keys or trust; no record but that of a refused call.

mod config;
mod edge;
mod grpc;
mod http;
mod run;

pub use config::{Config, Limits, Rate};
pub use edge::metrics::Metrics;
pub use run::{ServeError, Server};

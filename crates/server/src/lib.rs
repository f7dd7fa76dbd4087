//! The edge of Wardein: gRPC over TLS 1.3, and HTTP for metrics and health.
//!
//! What: [`Server`] takes connections, tells who calls, asks the one table whether they may, turns wire types into domain types,
//! calls the engine, and answers. Why here: what comes from outside is judged once, at one place, and what goes out says
//! no more than it should. What it does not do: no decision on devices, keys or trust; no record but that of a refused call.

mod accept;
mod api;
mod config;
mod convert;
mod edge;
mod http_port;
mod metrics;
mod peer;
mod rate;
mod request;
mod route;
mod serve;
mod status;
mod tls;
mod upkeep;

pub use config::{Config, Limits, Rate};
pub use metrics::Metrics;
pub use serve::{ServeError, Server};

//! The log agent on the device: it seals batches by the device's session, and delivers them by its pins and its certificate.
//!
//! What leaves, and for whom, `wardein-logs` decides; what is here is what it has no means for.

mod agent;
mod put;
mod sealer;
mod status;

pub use agent::LogAgent;
pub use status::LogStatus;

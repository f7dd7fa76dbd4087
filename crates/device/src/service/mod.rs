//! Service access: what sshd is given, and the session of a technician.

mod sync;
mod visit;

pub use sync::ServiceAccess;
pub use visit::{SessionEnd, Visit, attend};

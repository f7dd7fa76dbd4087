//! Service access: what sshd is given, the session of a technician, and the protocol of it.

mod protocol;
mod sync;
mod visit;

pub use protocol::{give_protocols, note};
pub use sync::ServiceAccess;
pub use visit::{SessionEnd, Visit, attend};

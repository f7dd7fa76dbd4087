//! Service access: what sshd is given, codes where there is no network, the session of a technician, and the protocol of it.

mod carried;
mod codes;
mod emergency;
mod moment;
mod protocol;
mod release;
mod sync;
mod visit;

pub use carried::{Carrier, carry_protocols};
pub(crate) use codes::Codes;
pub use codes::{Admission, CodeRefused};
pub use moment::Moment;
pub use protocol::{give_protocols, note};
pub use release::{pending_visits, release_visit};
pub use sync::ServiceAccess;
pub use visit::{SessionEnd, Visit, attend, attend_admitted};

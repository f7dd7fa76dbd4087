//! Service access: technicians are in a device only while they are invited.
//!
//! A visit is one technician with one key, one work order, one scope, one window, and the devices that it names. A coordinator asks for it,
//! another person releases it, and each of them may end it at any time. The device gives a protocol of each session.

mod at_device;
pub(crate) mod ca;
pub(crate) mod carried;
mod close;
pub(crate) mod code;
pub(crate) mod counts;
pub(crate) mod emergency;
pub(crate) mod invite;
mod policy;
pub(crate) mod protocols;
pub(crate) mod visits;

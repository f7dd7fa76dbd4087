//! What platforms get from a device: logins by token, keys to open data and files, one or many by one request.

pub(crate) mod files;
pub(crate) mod keys;
pub(crate) mod readers;
pub(crate) mod tokens;

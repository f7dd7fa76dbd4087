//! A key of AWS KMS that wraps what must not lie open: two calls, `Encrypt` and `Decrypt`, under an encryption context.
//!
//! What: [`Kms`] speaks to the key's region over TLS 1.3, signs by Signature Version 4, and takes its credentials where AWS's own
//! tools take them ([`Environment`]): the environment, a file of credentials, a web identity, a container's or an instance's role.
//! Why one crate: a reviewer finds here all that leaves for AWS, and nothing else names its protocol.
//!
//! What it does not do: it follows no redirection and no proxy, names no credentials in its errors, repeats no call (its callers
//! know whether they can wait), and of profiles it reads keys alone: no roles, single sign-on or `credential_process`.
//!
//! A call blocks its thread for up to [`Kms::TIME`]; call it off an async runtime.

mod arn;
mod call;
mod credentials;
mod environment;
mod error;
mod http;

pub use arn::KeyArn;
pub use call::{Context, Kms};
pub use environment::Environment;
pub use error::KmsError;

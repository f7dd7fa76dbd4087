//! Why a connection could not be made.

use crate::clock::span;
use crate::tls::MaterialError;

/// The connection could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The endpoint is not `https://HOST` or `https://HOST:PORT`.
    #[error("endpoint {0:?} is not https://HOST or https://HOST:PORT")]
    Endpoint(String),
    /// The place of files is not `https://HOST/PATH`, or `http://` the same.
    #[error("{0:?} is not https://HOST/PATH or http://HOST/PATH")]
    Base(String),
    /// A file could not be had from there; [`std::error::Error::source`] says why.
    #[error("nothing could be had from {base}")]
    NotFetched {
        /// Where it was looked for.
        base: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file of the identity's directory cannot be read.
    #[error("cannot read {}", path.display())]
    Directory {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The key of the identity's directory is under a passphrase, and none was given.
    #[error(
        "the key in {} is under a passphrase: give it (connect_as_under), or keep the key without one (openssl pkcs8 -topk8 -nocrypt)",
        path.display()
    )]
    KeyEncrypted {
        /// The file.
        path: std::path::PathBuf,
    },
    /// The key of the identity's directory is not opened by the passphrase that was given.
    #[error("cannot open the key in {}: {why}", path.display())]
    KeyNotOpened {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        why: &'static str,
    },
    /// The certificates or the key to connect with are of no use.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// The identity's certificate has ended by this machine's clock. The authority was not asked.
    #[error("the identity's certificate has ended; have an administrator issue another")]
    IdentityEnded {
        /// The Unix second of its end.
        at: u64,
    },
    /// The authority's certificate is not valid yet by this machine's clock.
    #[error("this machine's clock is {} behind the authority's certificate; set it", span(from.saturating_sub(*now)))]
    ClockBehind {
        /// The time here, in Unix seconds.
        now: u64,
        /// The Unix second from which the certificate is valid.
        from: u64,
    },
    /// The authority's certificate has ended by this machine's clock.
    #[error(
        "the authority's certificate ended {} ago by this machine's clock; set the clock, or, if it is right, restart the authority",
        span(now.saturating_sub(*until))
    )]
    AuthorityEnded {
        /// The time here, in Unix seconds.
        now: u64,
        /// The Unix second of the certificate's end.
        until: u64,
    },
    /// The proxy let nothing through: why, and what to do next.
    #[error("{0}")]
    Proxy(String),
    /// One answers in the authority's place whose certificate is not of the infrastructure CA: most often a proxy that opens TLS.
    #[error(
        "what answers at {endpoint} has a certificate that is not of the infrastructure CA: a proxy in between opens TLS, or the roots \
         are another authority's; have the endpoint left out of TLS inspection, or correct the roots"
    )]
    Intercepted {
        /// Where the authority was looked for.
        endpoint: String,
        /// The certificate that was shown, DER; nobody has judged it.
        certificate: Vec<u8>,
    },
    /// The server there did not say which root it has.
    #[error("the server at {endpoint} did not say its root: {reason}")]
    Unasked {
        /// Where it was asked.
        endpoint: String,
        /// Why not.
        reason: String,
    },
    /// The server there has another root than the expected one.
    #[error(
        "the server at {endpoint} is not the authority with that root; compare the digest with the one that you were given"
    )]
    OtherRoot {
        /// Where it was asked.
        endpoint: String,
    },
    /// The authority was not reached, or it or the network broke the handshake off; [`std::error::Error::source`] says why.
    #[error("the authority at {endpoint} was not reached")]
    Unreachable {
        /// Where it was looked for.
        endpoint: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
